/* SPDX-License-Identifier: Apache-2.0 */
/*
 * media-receive - witness: is told what was sent and which of it should arrive here, and checks that every such frame
 * arrived exactly once, in order, byte for byte, and nothing else. Exits 0 when all of it is so, 1 when not.
 * Prints JSON lines: {"event": "ready"} once it listens, progress, and the report at the end.
 */
#include "expectation.h"
#include "packet_socket.h"
#include "receive_report.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define RING_BYTES ((size_t)64 * 1024 * 1024) /* a fifth of a second of 1080p50 */
#define POLL_MS 50
#define QUIET_MS 200 /* after the last expected frame: time for a duplicate or stray to show up */

enum {
    OPTION_INTERFACE = SOURCE_OPTION_END,
    OPTION_READ,
    OPTION_EXPECT,
    OPTION_ALL,
    OPTION_IDLE,
    OPTION_REPORT,
    OPTION_HELP
};

struct receive_options {
    struct source_options source;
    const char *interface, *read;
    struct flow_filter filters[EXPECTATION_MAX_FILTERS];
    uint32_t count_filters;
    bool until_all;
    double idle_s, report_interval_s;
};

static volatile sig_atomic_t interrupted;

static void on_signal(int number) {
    (void)number;
    interrupted = 1;
}

static double now_s(void) {
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void take(void *context, const uint8_t *frame, uint32_t length_bytes) {
    expectation_take(context, frame, length_bytes);
}

/* Why to stop now, or NULL. */
static const char *reason_to_stop(const struct receive_options *options, const struct expectation *expectation,
                                  double quiet_s) {
    if (interrupted) {
        return "signal";
    }
    if (options->until_all && expectation_complete(expectation) && quiet_s * 1e3 > QUIET_MS) {
        return "complete";
    }
    if (options->idle_s > 0 && quiet_s > options->idle_s) {
        return "idle";
    }
    return NULL;
}

static int drain(struct packet_receiver *receiver, struct expectation *expectation) {
    /* What the kernel still holds in an open block comes out within its hold time. */
    const double end_s = now_s() + 3 * packet_receiver_hold_ms() / 1e3;

    while (now_s() < end_s) {
        if (packet_receiver_poll(receiver, packet_receiver_hold_ms(), take, expectation) < 0 && errno != EINTR) {
            return -1;
        }
    }
    return 0;
}

static int listen_loop(const struct receive_options *options, struct packet_receiver *receiver,
                       struct expectation *expectation, struct receive_summary *summary) {
    double started_s = now_s(), last_frame_s = started_s, reported_s = started_s;

    (void)printf("{\"event\": \"ready\"}\n");
    (void)fflush(stdout);
    while (summary->ended_by == NULL) {
        int64_t frames = packet_receiver_poll(receiver, POLL_MS, take, expectation);
        if (frames < 0 && errno != EINTR) {
            return -1;
        }
        double now = now_s();
        if (frames > 0) {
            last_frame_s = now;
        }
        summary->elapsed_s = now - started_s;
        summary->ended_by = reason_to_stop(options, expectation, now - last_frame_s);
        if (options->report_interval_s > 0 && now - reported_s >= options->report_interval_s) {
            reported_s = now;
            summary->witness_dropped_frames = packet_receiver_dropped(receiver);
            print_receive_progress(expectation, summary);
        }
    }
    int result = drain(receiver, expectation);
    summary->witness_dropped_frames = packet_receiver_dropped(receiver);
    return result;
}

static int receive_from_interface(const struct receive_options *options, struct expectation *expectation,
                                  struct receive_summary *summary) {
    struct packet_receiver *receiver = NULL;
    char error[REASON_BYTES];

    if (packet_receiver_open(options->interface, RING_BYTES, &receiver, error) != 0) {
        (void)fprintf(stderr, "media-receive: %s\n", error);
        return -1;
    }
    int result = listen_loop(options, receiver, expectation, summary);
    if (result != 0) {
        (void)fprintf(stderr, "media-receive: interface %s: %s\n", options->interface, strerror(errno));
    }
    packet_receiver_close(receiver);
    return result;
}

static int receive_from_file(const struct receive_options *options, struct expectation *expectation,
                             struct receive_summary *summary) {
    struct capture capture;
    char error[REASON_BYTES];

    if (capture_load(options->read, &capture, error) != 0) {
        (void)fprintf(stderr, "media-receive: %s\n", error);
        return -1;
    }
    for (uint64_t i = 0; i < capture.count_frames; i++) {
        expectation_take(expectation, capture.frames[i].bytes, capture.frames[i].length_bytes);
    }
    capture_free(&capture);
    summary->ended_by = "end of file";
    return 0;
}

static void print_usage(FILE *to) {
    (void)fprintf(
        to,
        "Usage: media-receive --interface NAME | --read FILE.pcap  SOURCE  [options]\n%s"
        "Receiving:\n"
        "  --expect ADDRESS[:PORT]  flow of the source that should arrive here; may be repeated; without it none "
        "should\n"
        "  --expect-all             end when everything expected came\n"
        "  --idle SECONDS           end when nothing came for so long (default 0: wait for SIGTERM or SIGINT)\n"
        "  --report-interval SECONDS  progress lines on standard output (default 0: none)\n",
        source_usage);
}

static bool take_own_option(struct receive_options *options, int code, const char *value) {
    switch (code) {
    case OPTION_INTERFACE:
        options->interface = value;
        return true;
    case OPTION_READ:
        options->read = value;
        return true;
    case OPTION_EXPECT:
        if (options->count_filters == EXPECTATION_MAX_FILTERS) {
            return false;
        }
        struct flow_filter *filter = &options->filters[options->count_filters++];
        return flow_key_from_text(value, &filter->key, &filter->any_port);
    case OPTION_ALL:
        options->until_all = true;
        return true;
    case OPTION_IDLE:
        return parse_seconds(value, &options->idle_s);
    case OPTION_REPORT:
        return parse_seconds(value, &options->report_interval_s);
    default:
        return source_options_take(&options->source, code, value);
    }
}

/* 0, 1 after --help, -1 where the command line makes no sense. */
static int parse_options(int count, char **arguments, struct receive_options *options) {
    static const struct option known[] = {
        SOURCE_LONG_OPTIONS,
        {"interface", required_argument, NULL, OPTION_INTERFACE},
        {"read", required_argument, NULL, OPTION_READ},
        {"expect", required_argument, NULL, OPTION_EXPECT},
        {"expect-all", no_argument, NULL, OPTION_ALL},
        {"idle", required_argument, NULL, OPTION_IDLE},
        {"report-interval", required_argument, NULL, OPTION_REPORT},
        {"help", no_argument, NULL, OPTION_HELP},
        {NULL, 0, NULL, 0},
    };
    int code, where = 0;

    memset(options, 0, sizeof(*options));
    source_options_default(&options->source);
    while ((code = getopt_long(count, arguments, "", known, &where)) != -1) {
        if (code == OPTION_HELP) {
            return 1;
        }
        if (code == '?') {
            return -1;
        }
        if (!take_own_option(options, code, optarg)) {
            (void)fprintf(stderr, "media-receive: --%s %s makes no sense\n", known[where].name, optarg);
            return -1;
        }
    }
    return optind == count && (options->interface == NULL) != (options->read == NULL) ? 0 : -1;
}

int main(int count, char **arguments) {
    static struct receive_options options;
    static struct expectation expectation;
    struct source source;
    struct receive_summary summary = {0};
    struct sigaction action = {.sa_handler = on_signal};
    char error[REASON_BYTES];
    int parsed = parse_options(count, arguments, &options);

    if (parsed != 0) {
        print_usage(parsed > 0 ? stdout : stderr);
        return parsed > 0 ? 0 : 2;
    }
    if (source_open(&options.source, &source, error) != 0) {
        (void)fprintf(stderr, "media-receive: %s\n", error);
        return 2;
    }
    if (expectation_open(&source, options.filters, options.count_filters, &expectation, error) != 0) {
        (void)fprintf(stderr, "media-receive: %s\n", error);
        source_close(&source);
        return 2;
    }
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    int result = options.interface != NULL ? receive_from_interface(&options, &expectation, &summary)
                                           : receive_from_file(&options, &expectation, &summary);
    bool passed = result == 0 && receive_passed(&expectation, &summary);
    if (result == 0) {
        print_receive_report(&expectation, &summary);
    }
    expectation_close(&expectation);
    source_close(&source);
    return passed ? 0 : 1;
}
