/* SPDX-License-Identifier: Apache-2.0 */
/* RTP truth, pacing and discovery in cases small enough to be counted by hand; tests/models compares with models. */
#include "check.h"
#include "discovery.h"
#include "pacing.h"
#include <pthread.h>

enum { SSRC = 0x11223344, FRAME_BYTES = 198, STEP_NS = 1000000, STEP_TICKS = 48 };

/* One flow of audio: a timestamp step a frame. */
struct sender {
    struct fp_observation at;
    uint64_t now_ns;
    uint32_t timestamp;
    uint32_t ssrc;
};

static int64_t send_frame(struct sender *sender, uint32_t number, bool marker) {
    uint8_t rtp[FP_RTP_BYTES] = {0x80, (uint8_t)(marker ? 224 : 96), (uint8_t)(number >> 8), (uint8_t)number};
    uint32_t words[2] = {__builtin_bswap32(sender->timestamp), __builtin_bswap32(sender->ssrc)};
    memcpy(rtp + 4, words, sizeof words);
    return fp_observe_rtp(&sender->at, rtp, FRAME_BYTES, sender->now_ns);
}

/* `steps` frames on, of which only the last is sent. */
static int64_t skip_to(struct sender *sender, uint32_t number, uint32_t steps) {
    sender->now_ns += (uint64_t)steps * STEP_NS;
    sender->timestamp += steps * STEP_TICKS;
    return send_frame(sender, number, false);
}

static void send_run(struct sender *sender, uint32_t number, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        CHECK(skip_to(sender, number + i, 1) == (sender->at.words[FP_RTP_WORD(frames)] == 1 ? FP_RTP_NEW_RUN : 1));
    }
}

static struct fp_rtp_counters read_rtp(const struct sender *sender) {
    struct fp_observation_counters counters;
    CHECK_EQ(fp_observation_read(&sender->at, &counters), 0);
    const struct fp_rtp_counters *rtp = &counters.rtp;
    uint64_t expected = rtp->past_expected_frames + (uint64_t)(rtp->sequence - rtp->base + 1);
    CHECK_EQ(expected - rtp->lost_frames, rtp->frames - rtp->duplicated_frames - rtp->stray_frames);
    return counters.rtp;
}

static struct sender open_sender(void) { return (struct sender){.now_ns = 1000000000, .ssrc = SSRC, .timestamp = 77}; }

static void test_frames_in_sequence_lose_nothing(void) {
    struct sender sender = open_sender();
    send_run(&sender, 65500, 100);
    struct fp_rtp_counters rtp = read_rtp(&sender);
    CHECK_EQ(rtp.frames, 100);
    CHECK_EQ(rtp.bytes, 100 * FRAME_BYTES);
    CHECK_EQ(rtp.lost_frames + rtp.gaps + rtp.reordered_frames + rtp.stray_frames, 0);
    CHECK_EQ(rtp.wraps, 1);
    CHECK_EQ(rtp.sequence, 65599);
    CHECK_EQ(rtp.first_ns, 1000000000 + STEP_NS);
    CHECK_EQ(rtp.last_ns, 1000000000 + 100 * (uint64_t)STEP_NS);
}

static void test_late_frames_are_taken_back_from_the_lost(void) {
    struct sender sender = open_sender();
    send_run(&sender, 10, 10);
    CHECK_EQ(skip_to(&sender, 24, 5), 5);
    CHECK_EQ(read_rtp(&sender).lost_frames, 4);
    CHECK_EQ(send_frame(&sender, 21, false), FP_RTP_NOT_AHEAD);
    CHECK_EQ(send_frame(&sender, 21, false), FP_RTP_NOT_AHEAD);
    CHECK_EQ(send_frame(&sender, 19, false), FP_RTP_NOT_AHEAD);
    CHECK_EQ(send_frame(&sender, 9, false), FP_RTP_NOT_AHEAD);
    struct fp_rtp_counters rtp = read_rtp(&sender);
    CHECK_EQ(rtp.gaps, 1);
    CHECK_EQ(rtp.lost_frames, 3);
    CHECK_EQ(rtp.reordered_frames, 1);
    CHECK_EQ(rtp.duplicated_frames, 2); /* 21 again, and 19 */
    CHECK_EQ(rtp.stray_frames, 1);      /* from before the first */
}

static void test_the_oldest_late_frame(void) {
    struct sender sender = open_sender();
    send_run(&sender, 0, 1);
    CHECK_EQ(skip_to(&sender, 2, 2), 2);
    for (uint32_t i = 3; i <= 100; i++) {
        (void)skip_to(&sender, i, 1);
    }
    CHECK_EQ(send_frame(&sender, 1, false), FP_RTP_NOT_AHEAD);
    CHECK_EQ(read_rtp(&sender).lost_frames, 0);
    CHECK_EQ(read_rtp(&sender).reordered_frames, 1);
    (void)skip_to(&sender, 101, 1);
    CHECK_EQ(send_frame(&sender, 1, false), FP_RTP_NOT_AHEAD); /* 100 late: no longer known (RFC 3550, MAX_MISORDER) */
    CHECK_EQ(read_rtp(&sender).stray_frames, 1);
}

static void test_gaps_longer_than_a_wrap_are_told_by_the_timestamp(void) {
    static const uint32_t gaps[] = {3500, 40000, 65535, 65536, 65537, 70000, 65536 * 5 + 7};
    for (size_t i = 0; i < sizeof gaps / sizeof gaps[0]; i++) {
        struct sender sender = open_sender();
        send_run(&sender, 0, 500);
        CHECK_EQ(skip_to(&sender, (499 + gaps[i]) & 0xffff, gaps[i]), gaps[i]);
        struct fp_rtp_counters rtp = read_rtp(&sender);
        CHECK_EQ(rtp.lost_frames, gaps[i] - 1);
        CHECK_EQ(rtp.gaps, 1);
        CHECK_EQ(rtp.long_gaps, gaps[i] > 32768 ? 1 : 0);
        CHECK_EQ(rtp.restarts + rtp.stray_frames, 0);
        CHECK_EQ(skip_to(&sender, (500 + gaps[i]) & 0xffff, 1), 1);
        CHECK_EQ(read_rtp(&sender).lost_frames, gaps[i] - 1);
    }
}

static void test_a_timestamp_without_the_time_to_it_is_no_gap(void) {
    struct sender sender = open_sender();
    send_run(&sender, 0, 500);
    sender.timestamp += 70000 * STEP_TICKS;
    CHECK_EQ(send_frame(&sender, (499 + 70000) & 0xffff, false), FP_RTP_NOT_AHEAD);
    CHECK_EQ(read_rtp(&sender).stray_frames, 1);
    CHECK_EQ(read_rtp(&sender).lost_frames, 0);
}

static void test_a_pause_is_no_gap(void) {
    struct sender sender = open_sender();
    send_run(&sender, 0, 500);
    CHECK_EQ(skip_to(&sender, 500, 40000), 1); /* 40 s, then the next number */
    CHECK_EQ(read_rtp(&sender).lost_frames, 0);
}

static void test_restart_and_new_ssrc(void) {
    struct sender sender = open_sender();
    send_run(&sender, 100, 50);
    CHECK_EQ(send_frame(&sender, 40000, false), FP_RTP_NOT_AHEAD);
    CHECK_EQ(read_rtp(&sender).stray_frames, 1);
    CHECK_EQ(send_frame(&sender, 40001, false), FP_RTP_NEW_RUN);
    struct fp_rtp_counters rtp = read_rtp(&sender);
    CHECK_EQ(rtp.restarts, 1);
    CHECK_EQ(rtp.stray_frames, 0);
    CHECK_EQ(rtp.past_expected_frames, 50);
    sender.ssrc = 9;
    CHECK_EQ(send_frame(&sender, 7, false), FP_RTP_NEW_RUN);
    rtp = read_rtp(&sender);
    CHECK_EQ(rtp.ssrc_changes, 1);
    CHECK_EQ(rtp.lost_frames, 0);
    CHECK_EQ((uint32_t)rtp.stamp, 9);
}

static void test_pictures(void) {
    struct sender sender = open_sender();
    for (uint32_t i = 0; i < 40; i++) {
        sender.now_ns += i < 20 ? 1000 : 2000;
        (void)send_frame(&sender, i, i % 10 == 9);
    }
    struct fp_rtp_counters rtp = read_rtp(&sender);
    CHECK_EQ(rtp.pictures, 4);
    CHECK_EQ(rtp.picture_intervals, 3);
    CHECK_EQ(rtp.picture_min_ns, 10000);
    CHECK_EQ(rtp.picture_max_ns, 20000);
    CHECK_EQ(rtp.picture_frames, 10);
    CHECK_EQ(rtp.last_picture_ns - rtp.first_picture_ns, 50000);
}

static void test_arrivals_and_other_frames(void) {
    static const uint64_t intervals_ns[] = {0, 1, 63, 64, 127, 128, 999, 1000000, UINT64_C(1) << 40};
    static const unsigned buckets[] = {0, 1, 1, 2, 2, 3, 5, 15, 23};
    for (size_t i = 0; i < sizeof buckets / sizeof buckets[0]; i++) {
        struct sender sender = open_sender();
        struct fp_observation_counters counters;
        sender.at.enabled = FP_OBSERVE_ARRIVALS;
        (void)send_frame(&sender, 1, false);
        sender.now_ns += intervals_ns[i];
        fp_observe_other(&sender.at, 60, sender.now_ns);
        CHECK_EQ(fp_observation_read(&sender.at, &counters), 0);
        CHECK_EQ(counters.arrivals[buckets[i]], 1);
        CHECK_EQ(counters.rtp.other_frames, 1);
        CHECK_EQ(counters.rtp.bytes, FRAME_BYTES + 60);
    }
}

static void test_a_dead_writer_is_torn(void) {
    struct sender sender = open_sender();
    struct fp_observation_counters counters = {.arrivals = {5}};
    struct fp_pacing pacing = {.sequence = 1};
    struct fp_pacing_counters paced;
    sender.at.sequence = 1;
    CHECK_EQ(fp_observation_read(&sender.at, &counters), FP_E_TORN);
    CHECK_EQ(counters.arrivals[0], 5);
    CHECK_EQ(fp_pacing_read(&pacing, &paced), FP_E_TORN);
}

/* ---- ST 2110-21 */

static const struct fp_pacing_format hd = {.packets = 4320,
                                           .pictures = 50,
                                           .per_s = 1,
                                           .active_lines = 1080,
                                           .total_lines = 1125,
                                           .sender = FP_SENDER_NARROW,
                                           .schedule = FP_SCHEDULE_GAPPED,
                                           .anchor = FP_ANCHOR_EPOCH,
                                           .max_udp_bytes = 1500,
                                           .id = 1,
                                           .troffset_ns = 764444};

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

/* ---- readers in other threads see whole frames */

static struct sender shared;
static FP_ATOMIC(uint32_t) done;

static void *write_frames(void *unused) {
    (void)unused;
    for (uint32_t i = 0; i < 200000; i++) {
        if (i % 7 != 3) { /* each seventh is lost */
            (void)skip_to(&shared, i & 0xffff, 1);
        }
    }
    atomic_store(&done, 1);
    return NULL;
}

static void test_readers_see_whole_frames(void) {
    pthread_t writer;
    uint64_t before = 0;
    shared = open_sender();
    shared.at.enabled = FP_OBSERVE_ARRIVALS;
    (void)skip_to(&shared, 0, 1);
    CHECK_EQ(pthread_create(&writer, NULL, write_frames, NULL), 0);
    while (atomic_load(&done) == 0) {
        struct fp_rtp_counters rtp = read_rtp(&shared); /* checks that all adds up */
        CHECK_EQ(rtp.bytes, rtp.frames * FRAME_BYTES);
        CHECK(rtp.frames >= before);
        before = rtp.frames;
    }
    CHECK_EQ(pthread_join(writer, NULL), 0);
}

int main(void) {
    RUN(test_frames_in_sequence_lose_nothing);
    RUN(test_late_frames_are_taken_back_from_the_lost);
    RUN(test_the_oldest_late_frame);
    RUN(test_gaps_longer_than_a_wrap_are_told_by_the_timestamp);
    RUN(test_a_timestamp_without_the_time_to_it_is_no_gap);
    RUN(test_a_pause_is_no_gap);
    RUN(test_restart_and_new_ssrc);
    RUN(test_pictures);
    RUN(test_arrivals_and_other_frames);
    RUN(test_a_dead_writer_is_torn);
    RUN(test_limits_are_those_of_the_design_page);
    RUN(test_refused_formats);
    RUN(test_a_burst_fills_the_bucket_and_the_buffer);
    RUN(test_a_lost_first_frame_skips_its_picture);
    RUN(test_the_oldest_flow_makes_room);
    RUN(test_readers_see_whole_frames);
    return 0;
}
