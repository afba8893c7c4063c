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
 */
#include "check.h"
#include "discovery.h"
#include "pacing.h"

static struct fp_observation observation;
static struct fp_pacing pacing;
static struct fp_pacing_plan plan;
static struct fp_discovery discovery;
static bool tracing;

static void take_plan(const char *line) {
    struct fp_pacing_format format;
    int fields = sscanf(line, "%u %u %u %u %u %u %u %u %u %u %" SCNu64 " %" SCNu64, &format.packets, &format.pictures,
                        &format.per_s, &format.active_lines, &format.total_lines, &format.sender, &format.schedule,
                        &format.anchor, &format.max_udp_bytes, &format.id, &format.epoch_ns, &format.troffset_ns);
    CHECK_EQ(fields, 12);
    int result = fp_pacing_plan_make(&format, &plan);
    (void)printf("{\"result\": %d, \"cmax_frames\": %u, \"vrx_full_frames\": %u}\n", result, plan.cmax_frames,
                 plan.vrx_full_frames);
}

static void take_rtp(const char *line) {
    uint64_t now_ns;
    uint32_t marker;
    uint32_t number;
    uint32_t timestamp;
    uint32_t ssrc;
    uint32_t bytes;
    CHECK_EQ(sscanf(line, "%" SCNu64 " %u %u %u %u %u", &now_ns, &marker, &number, &timestamp, &ssrc, &bytes), 6);
    uint8_t rtp[FP_RTP_BYTES] = {0x80, (uint8_t)(marker << 7 | 96), (uint8_t)(number >> 8), (uint8_t)number};
    for (unsigned i = 0; i < 4; i++) {
        rtp[4 + i] = (uint8_t)(timestamp >> (24 - 8 * i));
        rtp[8 + i] = (uint8_t)(ssrc >> (24 - 8 * i));
    }
    int64_t ahead = fp_observe_rtp(&observation, rtp, bytes, now_ns);
    if (plan.id != 0) {
        fp_pacing_frame(&pacing, &plan, ahead, fp_observation_sequence(&observation), marker != 0, now_ns);
    }
    if (tracing) {
        struct fp_pacing_counters counters;
        CHECK_EQ(fp_pacing_read(&pacing, &counters), 0);
        (void)printf("[%" PRIu64 ", %" PRId64 "]\n", counters.cinst_frames, counters.vrx_frames);
    }
}

static void take_other(const char *line) {
    uint64_t now_ns;
    uint32_t bytes;
    CHECK_EQ(sscanf(line, "%" SCNu64 " %u", &now_ns, &bytes), 2);
    fp_observe_other(&observation, bytes, now_ns);
}

static void take_unrouted(const char *line) {
    uint64_t now_ns;
    uint32_t bytes;
    uint32_t destination;
    uint32_t port;
    uint32_t ssrc;
    CHECK_EQ(sscanf(line, "%" SCNu64 " %u %u %u %u", &now_ns, &bytes, &destination, &port, &ssrc), 5);
    struct fp_key key = {.udp_port = (uint16_t)port, .ssrc = ssrc, .payload_type = ssrc != 0 ? 96 : FP_NOT_RTP};
    key.destination[15] = (uint8_t)destination;
    fp_discovery_see(&discovery, &key, bytes, now_ns);
}

static void print_rtp(void) {
    struct fp_observation_counters counters;
    CHECK_EQ(fp_observation_read(&observation, &counters), 0);
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
    CHECK_EQ(fp_pacing_read(&pacing, &counters), 0);
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

int main(void) {
    char line[256];
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
            observation.enabled = FP_OBSERVE_ARRIVALS;
        } else if (starts(line, "trace")) {
            tracing = true;
        } else {
            CHECK(starts(line, "read"));
            print_rtp();
            print_pacing();
            print_discovery();
        }
    }
    return 0;
}
