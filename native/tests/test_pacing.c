/* SPDX-License-Identifier: Apache-2.0 */
/* Pacing and discovery in cases small enough to be counted by hand; tests/models compares with models. */
#include "check.h"
#include "discovery.h"
#include "format_1080p50.h"
#include "pacing.h"

/* ---- ST 2110-21 */

static const struct fp_pacing_format hd = {FORMAT_1080P50(4320, FP_ANCHOR_EPOCH, 1500), .troffset_ns = 764444};

static void check_limits(uint32_t packets, uint32_t pictures, uint32_t per_s, const uint32_t wanted[5]) {
    static const uint32_t senders[] = {FP_SENDER_NARROW, FP_SENDER_NARROW_LINEAR, FP_SENDER_WIDE};
    for (unsigned i = 0; i < 3; i++) {
        struct fp_pacing_format format = hd;
        struct fp_pacing_plan plan;
        format.packets = packets;
        format.pictures = pictures;
        format.per_s = per_s;
        format.sender = senders[i];
        CHECK_EQ(fp_pacing_plan_make(&format, &plan), 0);
        CHECK_EQ(plan.cmax_frames, wanted[i]);
        CHECK_EQ(plan.vrx_full_frames, wanted[i == 2 ? 4 : 3]);
    }
}

static void test_limits_are_those_of_the_design_page(void) {
    check_limits(4320, 50, 1, (const uint32_t[]){5, 5, 16, 8, 720});
    check_limits(4320, 60000, 1001, (const uint32_t[]){6, 5, 16, 9, 863});
    check_limits(17280, 50, 1, (const uint32_t[]){20, 20, 40, 32, 2880});
}

static void test_refused_formats(void) {
    struct fp_pacing_plan plan = {.id = 99};
    struct fp_pacing_format format;
#define REFUSED(field, value)                                    \
    format = hd;                                                 \
    format.field = (value);                                      \
    CHECK_EQ(fp_pacing_plan_make(&format, &plan), FP_E_INVALID); \
    CHECK_EQ(plan.id, 99)
    REFUSED(packets, 0);
    REFUSED(packets, (1 << 20) + 1);
    REFUSED(pictures, 0);
    REFUSED(pictures, 1000000); /* of 4,320 frames: more than one a nanosecond */
    REFUSED(per_s, 0);
    REFUSED(active_lines, 1126);
    REFUSED(sender, 0);
    REFUSED(sender, 4);
    REFUSED(schedule, 3);
    REFUSED(anchor, 0);
    REFUSED(max_udp_bytes, 0);
    REFUSED(id, 0);
    REFUSED(troffset_ns, 20000000);
}

static void test_a_burst_fills_the_bucket_and_the_buffer(void) {
    struct fp_pacing_plan plan;
    struct fp_pacing_format format = hd;
    static struct fp_pacing pacing;
    struct fp_pacing_counters counters;
    format.anchor = FP_ANCHOR_FIRST;
    CHECK_EQ(fp_pacing_plan_make(&format, &plan), 0);
    fp_pacing_frame(&pacing, &plan, FP_RTP_NEW_RUN, 99, true, 1000);
    for (uint64_t i = 0; i < 10; i++) {
        fp_pacing_frame(&pacing, &plan, 1, 100 + i, false, 50000000);
    }
    CHECK_EQ(fp_pacing_read(&pacing, &counters), 0);
    CHECK_EQ(counters.cinst_frames, 10);
    CHECK_EQ(counters.cinst_max_frames, 10);
    CHECK_EQ(counters.cinst_over_frames, 5); /* Cmax is 5 */
    CHECK_EQ(counters.vrx_frames, 9);        /* the first was read when it came */
    CHECK_EQ(counters.vrx_max_frames, 9);
    CHECK_EQ(counters.vrx_over_frames, 1);
    fp_pacing_frame(&pacing, &plan, 1, 110, false, 50000000 + 4209 * 4); /* four times TDRAIN: 4208.75 ns */
    CHECK_EQ(fp_pacing_read(&pacing, &counters), 0);
    CHECK_EQ(counters.cinst_frames, 7);
    CHECK_EQ(counters.vrx_frames, 7); /* TRS is 4444.4 ns: 1 + 3 read, 11 came */
    CHECK_EQ(counters.pictures_judged, 1);
}

/* CLOCK_MONOTONIC began after the SMPTE epoch. */
static void test_an_epoch_before_the_clock_began(void) {
    const uint64_t epochs_ns[] = {0, 0 - UINT64_C(1000000000000000000)}; /* whole pictures apart */
    struct fp_pacing_counters counters[2];
    for (unsigned i = 0; i < 2; i++) {
        struct fp_pacing_format format = hd;
        struct fp_pacing_plan plan;
        struct fp_pacing pacing = {0};
        format.epoch_ns = epochs_ns[i];
        CHECK_EQ(fp_pacing_plan_make(&format, &plan), 0);
        fp_pacing_frame(&pacing, &plan, FP_RTP_NEW_RUN, 99, true, 1000);
        fp_pacing_frame(&pacing, &plan, 1, 100, false, 20000000 + 764444 - 1);
        fp_pacing_frame(&pacing, &plan, 1, 101, false, 20000000 + 764444 + 4444 * 5);
        CHECK_EQ(fp_pacing_read(&pacing, &counters[i]), 0);
    }
    CHECK_EQ(counters[1].pictures_judged, 1);
    CHECK_EQ(counters[1].vrx_max_frames, 1);  /* before TVD nothing is read */
    CHECK_EQ(counters[1].vrx_min_frames, -3); /* TRS is 4444.4 ns: 5 read, 2 came */
    CHECK_EQ(memcmp(&counters[0], &counters[1], sizeof counters[0]), 0);
}

static void test_a_lost_first_frame_skips_its_picture(void) {
    struct fp_pacing_plan plan;
    static struct fp_pacing pacing;
    struct fp_pacing_counters counters;
    CHECK_EQ(fp_pacing_plan_make(&hd, &plan), 0);
    fp_pacing_frame(&pacing, &plan, FP_RTP_NEW_RUN, 99, true, 1000);
    fp_pacing_frame(&pacing, &plan, 2, 101, false, 2000);
    CHECK_EQ(fp_pacing_read(&pacing, &counters), 0);
    CHECK_EQ(counters.pictures_skipped, 1);
    CHECK_EQ(counters.pictures_judged, 0);
    CHECK_EQ(counters.vrx_max_frames, 0);
}

static void test_a_dead_writer_is_torn(void) {
    struct fp_pacing pacing = {.sequence = 1};
    struct fp_pacing_counters counters = {.vrx_frames = 5};
    CHECK_EQ(fp_pacing_read(&pacing, &counters), FP_E_TORN);
    CHECK_EQ(counters.vrx_frames, 5);
}

/* ---- discovery */

static struct fp_discovery table;

static void see(uint32_t flow, uint64_t now_ns) {
    struct fp_key key = {.udp_port = (uint16_t)flow, .payload_type = flow % 2 == 0 ? 96 : FP_NOT_RTP};
    memcpy(key.source, &flow, sizeof flow);
    fp_discovery_see(&table, &key, 100, now_ns);
}

static void test_the_oldest_flow_makes_room(void) {
    struct fp_discovered flow;
    fp_discovery_reset(&table, 12345);
    for (uint32_t i = 0; i < FP_DISCOVERED_FLOWS; i++) {
        see(i, 1000 + i);
    }
    see(0, 9000); /* no longer the oldest: that is 1 */
    CHECK_EQ(fp_discovery_evicted(&table), 0);
    see(FP_DISCOVERED_FLOWS, 9001);
    CHECK_EQ(fp_discovery_count(&table), FP_DISCOVERED_FLOWS);
    CHECK_EQ(fp_discovery_evicted(&table), 1);
    bool seen[FP_DISCOVERED_FLOWS + 1] = {false};
    for (uint32_t i = 0; i < FP_DISCOVERED_FLOWS; i++) {
        CHECK_EQ(fp_discovery_read(&table, i, &flow), 0);
        seen[flow.key.udp_port] = true;
        CHECK_EQ(flow.frames, flow.key.udp_port == 0 ? 2 : 1);
        CHECK_EQ(flow.bytes, flow.frames * 100);
        CHECK_EQ(flow.rtp_frames, flow.key.udp_port % 2 == 0 ? flow.frames : 0);
    }
    for (uint32_t i = 0; i <= FP_DISCOVERED_FLOWS; i++) {
        CHECK_EQ(seen[i], i != 1);
    }
    CHECK_EQ(fp_discovery_read(&table, FP_DISCOVERED_FLOWS, &flow), FP_E_INVALID);
}

static void test_flows_are_found_again_after_others_left(void) {
    enum { MANY = 4 * FP_DISCOVERED_FLOWS };
    struct fp_discovered flow;
    fp_discovery_reset(&table, 6);
    for (uint32_t i = 0; i < MANY; i++) {
        see(i, i);
    }
    for (uint32_t i = MANY - FP_DISCOVERED_FLOWS; i < MANY; i++) {
        see(i, MANY + i);
    }
    CHECK_EQ(fp_discovery_evicted(&table), MANY - FP_DISCOVERED_FLOWS);
    for (uint32_t i = 0; i < FP_DISCOVERED_FLOWS; i++) {
        CHECK_EQ(fp_discovery_read(&table, i, &flow), 0);
        CHECK_EQ(flow.frames, 2);
    }
}

int main(void) {
    RUN(test_limits_are_those_of_the_design_page);
    RUN(test_refused_formats);
    RUN(test_a_burst_fills_the_bucket_and_the_buffer);
    RUN(test_an_epoch_before_the_clock_began);
    RUN(test_a_lost_first_frame_skips_its_picture);
    RUN(test_a_dead_writer_is_torn);
    RUN(test_the_oldest_flow_makes_room);
    RUN(test_flows_are_found_again_after_others_left);
    return 0;
}
