/* SPDX-License-Identifier: Apache-2.0 */
/* RTP truth in cases small enough to be counted by hand; tests/models compares with models. */
#include "check.h"
#include "rtp_observe.h"
#include <pthread.h>

enum { SSRC = 0x11223344, FRAME_BYTES = 198, STEP_NS = 1000000, STEP_TICKS = 48 };

/* One flow of audio: a timestamp step a frame. */
struct sender {
    struct fp_observation at;
    struct fp_observation_record record;
    uint64_t now_ns;
    uint32_t timestamp;
    uint32_t ssrc;
};

static int64_t send_frame(struct sender *sender, uint32_t number, bool marker) {
    uint8_t rtp[FP_RTP_BYTES] = {0x80, (uint8_t)(marker ? 224 : 96), (uint8_t)(number >> 8), (uint8_t)number};
    uint32_t words[2] = {__builtin_bswap32(sender->timestamp), __builtin_bswap32(sender->ssrc)};
    memcpy(rtp + 4, words, sizeof words);
    return fp_observe_rtp(&sender->at, &sender->record, rtp, FRAME_BYTES, sender->now_ns);
}

/* `steps` frames on, of which only the last is sent. */
static int64_t skip_to(struct sender *sender, uint32_t number, uint32_t steps) {
    sender->now_ns += (uint64_t)steps * STEP_NS;
    sender->timestamp += steps * STEP_TICKS;
    return send_frame(sender, number, false);
}

static void send_run(struct sender *sender, uint32_t number, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        bool is_first = sender->at.guard_ticks == 0;
        CHECK_EQ(skip_to(sender, number + i, 1), is_first ? FP_RTP_NEW_RUN : 1);
    }
}

static struct fp_rtp_counters read_rtp(const struct sender *sender) {
    struct fp_observation_counters counters;
    CHECK_EQ(fp_observation_read(&sender->at, &sender->record, &counters), 0);
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

static void test_the_longest_gap_without_a_timestamp_to_tell(void) {
    struct sender sender = open_sender();
    CHECK_EQ(send_frame(&sender, 0, false), FP_RTP_NEW_RUN);
    CHECK_EQ(send_frame(&sender, 2999, false), 2999);
    CHECK_EQ(send_frame(&sender, 5999, false), FP_RTP_NOT_AHEAD); /* RFC 3550, MAX_DROPOUT */
    CHECK_EQ(read_rtp(&sender).lost_frames, 2998);
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
        fp_observe_other(&sender.at, &sender.record, 60, sender.now_ns);
        CHECK_EQ(fp_observation_read(&sender.at, &sender.record, &counters), 0);
        CHECK_EQ(counters.arrivals[buckets[i]], 1);
        CHECK_EQ(counters.rtp.other_frames, 1);
        CHECK_EQ(counters.rtp.bytes, FRAME_BYTES + 60);
    }
}

static void test_a_wrap_behind_a_marker_is_a_wrap(void) {
    for (uint32_t marked = 65534; marked <= 65537; marked++) {
        struct sender sender = open_sender();
        send_run(&sender, 65500, 10);
        for (uint32_t i = 65510; i < 65550; i++) {
            sender.now_ns += STEP_NS;
            sender.timestamp += STEP_TICKS;
            CHECK_EQ(send_frame(&sender, i, i == marked), 1);
        }
        struct fp_rtp_counters rtp = read_rtp(&sender);
        CHECK_EQ(rtp.frames, 50);
        CHECK_EQ(rtp.wraps, 1);
        CHECK_EQ(rtp.pictures, 1);
        CHECK_EQ(rtp.sequence, 65549);
        CHECK_EQ(rtp.lost_frames + rtp.gaps + rtp.stray_frames, 0);
    }
}

/* The line's eight small counters overflow, and their window moves: nothing of it shows. */
static void test_many_intervals(void) {
    struct sender sender = open_sender();
    struct fp_observation_counters counters;
    uint64_t wanted[FP_ARRIVAL_BUCKETS] = {0};
    sender.at.enabled = FP_OBSERVE_ARRIVALS;
    (void)send_frame(&sender, 0, false);
    for (uint32_t i = 1; i < 20000; i++) {
        uint64_t interval_ns = i % 3 == 0 ? 0 : UINT64_C(1) << (i % 1000 < 300 ? i % 40 : 18);
        sender.now_ns += interval_ns;
        wanted[fp_arrival_bucket(interval_ns)]++;
        (void)send_frame(&sender, i & 0xffff, i % 50 == 0);
    }
    CHECK_EQ(fp_observation_read(&sender.at, &sender.record, &counters), 0);
    for (unsigned i = 0; i < FP_ARRIVAL_BUCKETS; i++) {
        CHECK_EQ(counters.arrivals[i], wanted[i]);
    }
}

/* Frames and bytes of the counter go on, whatever it was observed for. */
static void test_a_new_run_begins_anew(void) {
    struct sender sender = open_sender();
    struct fp_route_counters totals;
    send_run(&sender, 100, 30);
    fp_observe_other(&sender.at, &sender.record, 60, sender.now_ns);
    fp_observation_begin(&sender.at, &sender.record, FP_OBSERVE_RTP);
    struct fp_observation_counters none;
    CHECK_EQ(fp_observation_read(&sender.at, &sender.record, &none), 0);
    CHECK_EQ(none.rtp.frames + none.rtp.bytes + none.rtp.first_ns + (uint64_t)none.rtp.sequence, 0);
    send_run(&sender, 7, 5);
    struct fp_rtp_counters rtp = read_rtp(&sender);
    CHECK_EQ(rtp.frames, 5);
    CHECK_EQ(rtp.bytes, 5 * FRAME_BYTES);
    CHECK_EQ(rtp.other_frames + rtp.ssrc_changes + rtp.restarts, 0);
    CHECK_EQ(fp_observation_read_totals(&sender.at, &sender.record, &totals), 0);
    CHECK_EQ(totals.frames, 36);
    CHECK_EQ(totals.bytes, 35 * FRAME_BYTES + 60);
}

static void test_a_dead_writer_is_torn(void) {
    struct sender sender = open_sender();
    struct fp_observation_counters counters = {.arrivals = {5}};
    sender.at.sequence = 1;
    CHECK_EQ(fp_observation_read(&sender.at, &sender.record, &counters), FP_E_TORN);
    CHECK_EQ(counters.arrivals[0], 5);
    sender = open_sender();
    (void)send_frame(&sender, 1, false);
    sender.at.next += 1; /* between the two */
    CHECK_EQ(fp_observation_read(&sender.at, &sender.record, &counters), FP_E_TORN);
    CHECK_EQ(counters.arrivals[0], 5);
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
        struct fp_route_counters totals;
        CHECK_EQ(fp_observation_read_totals(&shared.at, &shared.record, &totals), 0);
        CHECK_EQ(totals.bytes, totals.frames * FRAME_BYTES);
        CHECK(totals.frames >= before);
    }
    CHECK_EQ(pthread_join(writer, NULL), 0);
}

int main(void) {
    RUN(test_frames_in_sequence_lose_nothing);
    RUN(test_late_frames_are_taken_back_from_the_lost);
    RUN(test_the_oldest_late_frame);
    RUN(test_the_longest_gap_without_a_timestamp_to_tell);
    RUN(test_gaps_longer_than_a_wrap_are_told_by_the_timestamp);
    RUN(test_a_timestamp_without_the_time_to_it_is_no_gap);
    RUN(test_a_pause_is_no_gap);
    RUN(test_restart_and_new_ssrc);
    RUN(test_pictures);
    RUN(test_arrivals_and_other_frames);
    RUN(test_a_wrap_behind_a_marker_is_a_wrap);
    RUN(test_many_intervals);
    RUN(test_a_new_run_begins_anew);
    RUN(test_a_dead_writer_is_torn);
    RUN(test_readers_see_whole_frames);
    return 0;
}
