/* SPDX-License-Identifier: Apache-2.0 */
/*
 * media-send - puts the frames of a source onto an interface, paced as the media is, or into a capture file.
 * Prints JSON lines: {"event": "progress"...} while it runs, {"event": "report"...} at the end.
 */
#include "packet_socket.h"
#include "source.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

#define NS_PER_S 1000000000ull
#define TICK_NS 150000ull        /* frames due within one tick leave together */
#define LATE_LIMIT_NS 2000000ull /* further behind than this the schedule moves, so no burst exceeds it */

enum { OPTION_INTERFACE = SOURCE_OPTION_END, OPTION_WRITE, OPTION_SPEED, OPTION_DELAY, OPTION_REPORT, OPTION_HELP };

struct send_options {
    struct source_options source;
    const char *interface, *write;
    double speed; /* 1 real time, 2 twice as fast, 0 as fast as the interface takes them */
    double start_delay_s, report_interval_s;
};

struct send_state {
    const struct send_options *options;
    struct source source;
    struct packet_sender *sender;
    uint64_t sent_frames, sent_bytes, retries;
    uint64_t started_ns, origin_ns, slipped_ns, reported_ns;
};

static volatile sig_atomic_t interrupted;

static void on_signal(int number) {
    (void)number;
    interrupted = 1;
}

static uint64_t now_ns(void) {
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

static void sleep_until(uint64_t at_ns) {
    const struct timespec at = {.tv_sec = (time_t)(at_ns / NS_PER_S), .tv_nsec = (long)(at_ns % NS_PER_S)};

    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL); /* a signal ends it early: the loop looks again */
}

static void print_line(const struct send_state *state, const char *event, uint64_t now) {
    double elapsed_s = (double)(now - state->started_ns) / 1e9;

    (void)printf(
        "{\"event\": \"%s\", \"elapsed_s\": %.3f, \"frames\": %llu, \"sent_frames\": %llu, \"sent_bytes\": %llu, "
        "\"kpps\": %.1f, \"slipped_s\": %.6f, \"retries\": %llu, \"interrupted\": %s}\n",
        event, elapsed_s, (unsigned long long)state->source.count_frames, (unsigned long long)state->sent_frames,
        (unsigned long long)state->sent_bytes, elapsed_s > 0 ? (double)state->sent_frames / elapsed_s / 1e3 : 0,
        (double)state->slipped_ns / 1e9, (unsigned long long)state->retries, interrupted ? "true" : "false");
    (void)fflush(stdout);
}

static uint64_t due_ns(const struct send_state *state, uint64_t index) {
    return state->origin_ns + (uint64_t)((double)source_frame_time_ns(&state->source, index) / state->options->speed);
}

/* How many frames from `index` on may leave now: those due, at most a burst. Sleeps where none is. */
static uint32_t wait_for_burst(struct send_state *state, uint64_t index) {
    uint64_t left = state->source.count_frames - index;
    uint32_t count = 0, most = left < PACKET_BURST_FRAMES ? (uint32_t)left : PACKET_BURST_FRAMES;

    if (state->options->speed <= 0) {
        return most;
    }
    uint64_t now = now_ns(), due = due_ns(state, index);
    if (due > now) {
        sleep_until(due + TICK_NS);
        now = now_ns();
    } else if (now - due > LATE_LIMIT_NS) {
        state->slipped_ns += now - due;
        state->origin_ns += now - due;
    }
    while (count < most && due_ns(state, index + count) <= now) {
        count++;
    }
    return interrupted ? 0 : count;
}

static int send_all(struct send_state *state) {
    uint64_t interval_ns = (uint64_t)(state->options->report_interval_s * 1e9);
    uint64_t index = 0;

    while (index < state->source.count_frames && !interrupted) {
        uint32_t count = wait_for_burst(state, index), sent = 0;
        uint64_t lengths[PACKET_BURST_FRAMES] = {0};
        for (uint32_t i = 0; i < count; i++) {
            uint32_t length = source_frame_write(&state->source, index + i, packet_sender_frame(state->sender, i));
            packet_sender_set_length(state->sender, i, length);
            lengths[i] = length;
        }
        int result = packet_sender_flush(state->sender, count, &state->retries, &sent);
        for (uint32_t i = 0; i < sent; i++) {
            state->sent_bytes += lengths[i];
        }
        state->sent_frames += sent;
        index += sent;
        if (result != 0) {
            (void)fprintf(stderr, "media-send: interface %s: frame %llu: %s\n", state->options->interface,
                          (unsigned long long)index, strerror(errno));
            return -1;
        }
        uint64_t now = now_ns();
        if (interval_ns != 0 && now - state->reported_ns >= interval_ns) {
            state->reported_ns = now;
            print_line(state, "progress", now);
        }
    }
    return 0;
}

static int send_to_interface(struct send_state *state) {
    char error[REASON_BYTES];

    if (packet_sender_open(state->options->interface, &state->sender, error) != 0) {
        (void)fprintf(stderr, "media-send: %s\n", error);
        return -1;
    }
    prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL); /* the default of 50 us is a third of a tick */
    sleep_until(now_ns() + (uint64_t)(state->options->start_delay_s * 1e9));
    state->started_ns = state->origin_ns = state->reported_ns = now_ns();
    int result = send_all(state);
    packet_sender_close(state->sender);
    return result;
}

static int write_to_file(struct send_state *state) {
    FILE *file = fopen(state->options->write, "wb");
    uint8_t frame[SOURCE_FRAME_BYTES];
    bool good = file != NULL && capture_write_header(file) == 0;

    state->started_ns = now_ns();
    for (uint64_t i = 0; good && i < state->source.count_frames && !interrupted; i++) {
        uint32_t length = source_frame_write(&state->source, i, frame);
        good = capture_write_frame(file, frame, length, source_frame_time_ns(&state->source, i)) == 0;
        state->sent_frames += good;
        state->sent_bytes += good ? length : 0;
    }
    if (file != NULL && fclose(file) != 0) {
        good = false;
    }
    if (!good) {
        (void)fprintf(stderr, "media-send: %s: %s\n", state->options->write, strerror(errno));
    }
    return good ? 0 : -1;
}

static void print_usage(FILE *to) {
    (void)fprintf(to,
                  "Usage: media-send --interface NAME | --write FILE.pcap  SOURCE  [options]\n%s"
                  "Sending:\n"
                  "  --speed FACTOR           1 real time (default), 0 as fast as the interface takes them\n"
                  "  --start-delay SECONDS    wait before the first frame (default 0)\n"
                  "  --report-interval SECONDS  progress lines on standard output (default 0: none)\n",
                  source_usage);
}

/* 0, 1 after --help, -1 where the command line makes no sense. */
static int parse_options(int count, char **arguments, struct send_options *options) {
    static const struct option known[] = {
        SOURCE_LONG_OPTIONS,
        {"interface", required_argument, NULL, OPTION_INTERFACE},
        {"write", required_argument, NULL, OPTION_WRITE},
        {"speed", required_argument, NULL, OPTION_SPEED},
        {"start-delay", required_argument, NULL, OPTION_DELAY},
        {"report-interval", required_argument, NULL, OPTION_REPORT},
        {"help", no_argument, NULL, OPTION_HELP},
        {NULL, 0, NULL, 0},
    };
    int code, where = 0;

    *options = (struct send_options){.speed = 1};
    source_options_default(&options->source);
    while ((code = getopt_long(count, arguments, "", known, &where)) != -1) {
        bool good = true;
        if (code == OPTION_HELP) {
            return 1;
        }
        if (code == OPTION_INTERFACE) {
            options->interface = optarg;
        } else if (code == OPTION_WRITE) {
            options->write = optarg;
        } else if (code == OPTION_SPEED) {
            good = parse_seconds(optarg, &options->speed);
        } else if (code == OPTION_DELAY) {
            good = parse_seconds(optarg, &options->start_delay_s);
        } else if (code == OPTION_REPORT) {
            good = parse_seconds(optarg, &options->report_interval_s);
        } else if (code == '?') {
            return -1;
        } else {
            good = source_options_take(&options->source, code, optarg);
        }
        if (!good) {
            (void)fprintf(stderr, "media-send: --%s %s makes no sense\n", known[where].name, optarg);
            return -1;
        }
    }
    return optind == count && (options->interface == NULL) != (options->write == NULL) ? 0 : -1;
}

int main(int count, char **arguments) {
    struct send_options options;
    struct send_state state = {.options = &options};
    struct sigaction action = {.sa_handler = on_signal};
    char error[REASON_BYTES];
    int parsed = parse_options(count, arguments, &options);

    if (parsed != 0) {
        print_usage(parsed > 0 ? stdout : stderr);
        return parsed > 0 ? 0 : 2;
    }
    if (source_open(&options.source, &state.source, error) != 0) {
        (void)fprintf(stderr, "media-send: %s\n", error);
        return 2;
    }
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    int result = options.interface != NULL ? send_to_interface(&state) : write_to_file(&state);
    if (state.started_ns != 0) {
        print_line(&state, "report", now_ns());
    }
    source_close(&state.source);
    return result != 0 ? 1 : interrupted ? 130 : 0;
}
