/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The observers driven from outside: events on standard input, one a line, counters as JSON on standard output. It is
 * how tests/models compares them with models written in Python.
 *
 *   arrivals                                        the histogram on, before the first frame
 *   plan PACKETS PICTURES PER_S ACTIVE TOTAL SENDER SCHEDULE ANCHOR MAX_UDP ID EPOCH_NS TROFFSET_NS   prints limits
 *   rtp NOW_NS MARKER NUMBER TIMESTAMP SSRC BYTES   a frame
 *   other NOW_NS BYTES                              a frame that is not RTP
 *   trace                                           after each RTP frame from now on: its Cinst and VRX
 *   see NOW_NS BYTES DESTINATION_BYTE UDP_PORT SSRC  a frame no route takes; SSRC 0: no RTP
 *   read                                            prints all counters
 *
 * usage: observe_events [loop]    by themselves, or as frames of a route in the true loop: then frames have 54 to 2,048
 *                                 bytes, and `arrivals` and `plan` come before the first
 */
#include "check.h"
#include "discovery.h"
#include "observe_loop.h"

static struct fp_observation own_observation;
static struct fp_observation_record own_record;
static struct fp_pacing own_pacing;
static const struct fp_observation *observation = &own_observation;
static const struct fp_observation_record *record = &own_record;
static const struct fp_pacing *pacing = &own_pacing;
static bool in_loop;
static struct fp_pacing_plan plan;
static struct fp_discovery discovery;
static bool tracing;

/* The next number of a line; the test ends where there is none. */
static uint64_t next_u64(char **line) {
    char *end;
    uint64_t value = strtoull(*line, &end, 10);
    CHECK(end != *line);
    *line = end;
    return value;
}

static uint32_t next_u32(char **line) {
    uint64_t value = next_u64(line);
    CHECK(value <= UINT32_MAX);
    return (uint32_t)value;
}

static void take_plan(char *line) {
    struct fp_pacing_format format;
    uint32_t *const fields[] = {&format.packets,       &format.pictures, &format.per_s,    &format.active_lines,
                                &format.total_lines,   &format.sender,   &format.schedule, &format.anchor,
                                &format.max_udp_bytes, &format.id};
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        *fields[i] = next_u32(&line);
    }
    format.epoch_ns = next_u64(&line);
    format.troffset_ns = next_u64(&line);
    int result = in_loop ? observe_loop_plan(&format, &plan) : fp_pacing_plan_make(&format, &plan);
    (void)printf("{\"result\": %d, \"cmax_frames\": %u, \"vrx_full_frames\": %u}\n", result, plan.cmax_frames,
                 plan.vrx_full_frames);
}

static void settle(void) {
    if (in_loop) {
        observe_loop_settle();
    }
}

static void take_rtp(char *line) {
    uint64_t now_ns = next_u64(&line);
    uint32_t marker = next_u32(&line);
    uint32_t number = next_u32(&line);
    uint32_t words[2];
    uint8_t rtp[FP_RTP_BYTES] = {0x80, (uint8_t)(marker << 7 | 96), (uint8_t)(number >> 8), (uint8_t)number};
    words[0] = __builtin_bswap32(next_u32(&line)); /* timestamp */
    words[1] = __builtin_bswap32(next_u32(&line)); /* SSRC */
    memcpy(rtp + 4, words, sizeof words);
    uint32_t bytes = next_u32(&line);
    if (in_loop) {
        observe_loop_frame(rtp, bytes, now_ns);
    } else {
        int64_t ahead = fp_observe_rtp(&own_observation, &own_record, rtp, bytes, now_ns);
        if (plan.id != 0) {
            fp_pacing_frame(&own_pacing, &plan, ahead, fp_observation_sequence(observation), marker != 0, now_ns);
        }
    }
    if (tracing) {
        struct fp_pacing_counters counters;
        settle();
        CHECK_EQ(fp_pacing_read(pacing, &counters), 0);
        (void)printf("[%" PRIu64 ", %" PRId64 "]\n", counters.cinst_frames, counters.vrx_frames);
    }
}

static void take_other(char *line) {
    uint64_t now_ns = next_u64(&line);
    uint32_t bytes = next_u32(&line);
    if (in_loop) {
        observe_loop_frame(NULL, bytes, now_ns);
    } else {
        fp_observe_other(&own_observation, &own_record, bytes, now_ns);
    }
}

static void take_unrouted(char *line) {
    struct fp_key key = {.payload_type = 96};
    uint64_t now_ns = next_u64(&line);
    uint32_t bytes = next_u32(&line);
    key.destination[15] = (uint8_t)next_u32(&line);
    key.udp_port = (uint16_t)next_u32(&line);
    key.ssrc = next_u32(&line);
    key.payload_type = key.ssrc != 0 ? 96 : FP_NOT_RTP;
    fp_discovery_see(&discovery, &key, bytes, now_ns);
}

static void print_rtp(void) {
    struct fp_observation_counters counters;
    CHECK_EQ(fp_observation_read(observation, record, &counters), 0);
    const struct fp_rtp_counters *rtp = &counters.rtp;
#define U64(name) "\"" #name "\": %" PRIu64 ", "
    (void)printf("{\"rtp\": {" U64(frames) U64(bytes) U64(first_ns) U64(last_ns) U64(lost_frames) U64(reordered_frames)
                     U64(duplicated_frames) U64(stray_frames),
                 rtp->frames, rtp->bytes, rtp->first_ns, rtp->last_ns, rtp->lost_frames, rtp->reordered_frames,
                 rtp->duplicated_frames, rtp->stray_frames);
    (void)printf(U64(gaps) U64(long_gaps) U64(restarts) U64(ssrc_changes) U64(wraps) U64(past_expected_frames)
                     U64(other_frames) U64(pictures) U64(first_picture_ns) U64(last_picture_ns),
                 rtp->gaps, rtp->long_gaps, rtp->restarts, rtp->ssrc_changes, rtp->wraps, rtp->past_expected_frames,
                 rtp->other_frames, rtp->pictures, rtp->first_picture_ns, rtp->last_picture_ns);
    (void)printf(U64(picture_intervals) U64(picture_min_ns) U64(picture_max_ns) U64(picture_frames)
                     U64(largest_gap_frames) U64(stamp) "\"sequence\": %" PRId64 ", \"base\": %" PRId64
                                                        "}, \"arrivals\": [",
                 rtp->picture_intervals, rtp->picture_min_ns, rtp->picture_max_ns, rtp->picture_frames,
                 rtp->largest_gap_frames, rtp->stamp, rtp->sequence, rtp->base);
    for (unsigned i = 0; i < FP_ARRIVAL_BUCKETS; i++) {
        (void)printf("%s%" PRIu64, i == 0 ? "" : ", ", counters.arrivals[i]);
    }
    (void)printf("]");
}

static void print_pacing(void) {
    struct fp_pacing_counters counters;
    CHECK_EQ(fp_pacing_read(pacing, &counters), 0);
#define I64(name) "\"" #name "\": %" PRId64 ", "
    (void)printf(", \"pacing\": {" U64(cinst_frames) U64(cinst_max_frames) U64(cinst_over_frames) I64(vrx_frames)
                     I64(vrx_max_frames) I64(vrx_min_frames),
                 counters.cinst_frames, counters.cinst_max_frames, counters.cinst_over_frames, counters.vrx_frames,
                 counters.vrx_max_frames, counters.vrx_min_frames);
    (void)printf(U64(vrx_span_frames) U64(vrx_over_frames) U64(vrx_late_frames)
                     U64(pictures_judged) "\"pictures_skipped\": %" PRIu64 "}",
                 counters.vrx_span_frames, counters.vrx_over_frames, counters.vrx_late_frames, counters.pictures_judged,
                 counters.pictures_skipped);
}

static void print_discovery(void) {
    (void)printf(", \"evicted_flows\": %" PRIu64 ", \"flows\": [", fp_discovery_evicted(&discovery));
    for (uint32_t i = 0; i < fp_discovery_count(&discovery); i++) {
        struct fp_discovered flow;
        CHECK_EQ(fp_discovery_read(&discovery, i, &flow), 0);
        (void)printf("%s[%u, %u, %" PRIu64 ", %" PRIu64 ", %" PRIu64 ", %" PRIu64 ", %" PRIu64 ", %u]",
                     i == 0 ? "" : ", ", flow.key.destination[15], flow.key.udp_port, flow.frames, flow.bytes,
                     flow.rtp_frames, flow.first_ns, flow.last_ns, flow.key.ssrc);
    }
    (void)printf("]}\n");
}

static bool starts(const char *line, const char *word) { return strncmp(line, word, strlen(word)) == 0; }

static void want_arrivals(void) {
    own_observation.enabled = FP_OBSERVE_ARRIVALS;
    if (in_loop) {
        observe_loop_want(FP_OBSERVE_ARRIVALS);
    }
}

static void open_loop(void) {
    in_loop = true;
    observe_loop_open();
    observation = observe_loop_observation();
    record = observe_loop_record();
    pacing = observe_loop_pacing();
}

int main(int argc, char **argv) {
    char line[256];
    if (argc > 1 && strcmp(argv[1], "loop") == 0) {
        open_loop();
    }
    fp_discovery_reset(&discovery, 7);
    while (fgets(line, sizeof line, stdin) != NULL) {
        if (starts(line, "rtp ")) {
            take_rtp(line + 4);
        } else if (starts(line, "other ")) {
            take_other(line + 6);
        } else if (starts(line, "see ")) {
            take_unrouted(line + 4);
        } else if (starts(line, "plan ")) {
            take_plan(line + 5);
        } else if (starts(line, "arrivals")) {
            want_arrivals();
        } else if (starts(line, "trace")) {
            tracing = true;
        } else {
            CHECK(starts(line, "read"));
            settle();
            print_rtp();
            print_pacing();
            print_discovery();
        }
    }
    if (in_loop) {
        observe_loop_close();
    }
    return 0;
}
