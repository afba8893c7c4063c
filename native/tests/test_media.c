/* SPDX-License-Identifier: Apache-2.0 */
/* Media through the true loop over memory ports: merges, observers, the list of flows without a route. */
#include "check.h"
#include "media.h"
#include "media_rig.h"
#include <string.h>

enum { SLOTS = 256, FLOW = 7 };

#define WINDOW_NS 10000000ULL
#define FRAME_NS 4000ULL

static uint32_t counted(const struct rig *rig, uint32_t port, enum fp_drop reason) {
    return (uint32_t)rig_counters(rig, port).dropped_frames[reason];
}

/* One frame on a path, by itself in its burst. */
static void offer(struct rig *rig, uint32_t path, uint16_t sequence) {
    struct media_frame frame = {.flow = FLOW, .sequence = sequence, .timestamp = sequence / 8 * 1800U, .ssrc = 1};
    media_inject(rig, path, &frame);
    media_turn(rig);
}

static void open_merge(struct rig *rig) {
    struct fp_route routes[2] = {media_merge_route(FLOW, 0, 5), media_merge_route(FLOW, 1, 5)};
    media_open(rig, SLOTS);
    media_add_merge(rig, 5, 99, WINDOW_NS);
    media_add(rig, &routes[0]);
    media_add(rig, &routes[1]);
    rig_publish(rig);
}

/* Whether exactly one frame went out, of this number. */
static void check_out(struct rig *rig, uint16_t sequence) {
    struct media_frame out;
    CHECK(media_collect(rig, &out));
    CHECK_EQ(out.sequence, sequence);
    CHECK_EQ(media_discard(rig), 0);
}

static void test_first_copy_wins(void) {
    struct rig rig;
    open_merge(&rig);
    for (uint16_t i = 0; i < 1000; i++) {
        uint32_t first = i / 10 % 2;
        media_set_clock(media_clock() + FRAME_NS);
        offer(&rig, first, i);
        check_out(&rig, i);
        media_set_clock(media_clock() + 300);
        offer(&rig, first ^ 1U, i);
        CHECK_EQ(media_discard(&rig), 0);
    }
    struct fp_merge_counters merge = media_merge(&rig, 5);
    for (uint32_t path = 0; path < 2; path++) {
        struct fp_port_counters port = rig_counters(&rig, path);
        CHECK_EQ(port.received_frames, 1000);
        CHECK_EQ(port.forwarded_frames, 500);
        CHECK_EQ(port.merged_frames, 500);
        CHECK_EQ(merge.paths[path].received_frames, 1000);
        CHECK_EQ(merge.paths[path].forwarded_frames, 500);
        CHECK_EQ(merge.paths[path].merged_frames, 500);
        CHECK_EQ(media_observed(&rig, 2 * FLOW + path).frames, 1000);
        CHECK_EQ(media_observed(&rig, 2 * FLOW + path).lost_frames, 0);
    }
    CHECK_EQ(merge.lost_frames, 0);
    CHECK_EQ(merge.differential_min_ns, -300);
    CHECK_EQ(merge.differential_max_ns, 300);
    rig_close(&rig);
}

/* A loses 3 of 10, B another 3, one of them in common; every loss is known from the pattern. */
static void test_losses_are_filled_and_counted(void) {
    struct rig rig;
    uint64_t lost[3] = {0, 0, 0};
    uint64_t went_out = 0;
    open_merge(&rig);
    for (uint16_t i = 0; i < 2000; i++) {
        bool on_a = i % 10 > 2;
        bool on_b = i % 10 < 2 || i % 10 > 4;
        lost[0] += !on_a;
        lost[1] += !on_b;
        lost[2] += !on_a && !on_b;
        media_set_clock(media_clock() + FRAME_NS);
        if (on_a) {
            offer(&rig, 0, i);
        }
        if (on_b) {
            offer(&rig, 1, i);
        }
        went_out += media_discard(&rig);
    }
    media_set_clock(media_clock() + 2 * WINDOW_NS);
    struct fp_merge_counters merge = media_merge(&rig, 5);
    CHECK_EQ(lost[2], 200);
    CHECK_EQ(merge.lost_frames, lost[2]);
    CHECK_EQ(merge.paths[0].lost_frames, lost[0]);
    CHECK_EQ(merge.paths[1].lost_frames, lost[1]);
    CHECK_EQ(went_out, 2000 - lost[2]);
    rig_close(&rig);
}

static void test_late_duplicate_and_not_rtp(void) {
    struct rig rig;
    open_merge(&rig);
    for (uint16_t i = 0; i < 20; i++) {
        offer(&rig, 0, i);
    }
    CHECK_EQ(media_discard(&rig), 20);
    offer(&rig, 0, 19); /* the same path again */
    CHECK_EQ(rig_counters(&rig, 0).merged_frames, 1);
    media_set_clock(media_clock() + WINDOW_NS);
    offer(&rig, 1, 18); /* the last moment */
    CHECK_EQ(rig_counters(&rig, 1).merged_frames, 1);
    media_set_clock(media_clock() + 1);
    offer(&rig, 1, 19);
    CHECK_EQ(counted(&rig, 1, FP_DROP_MERGE_LATE), 1);
    struct media_frame other = {.flow = FLOW, .not_rtp = 1};
    media_inject(&rig, 1, &other);
    media_turn(&rig);
    CHECK_EQ(counted(&rig, 1, FP_DROP_NOT_RTP), 1);
    CHECK_EQ(media_observed(&rig, 2 * FLOW + 1).other_frames, 1);
    CHECK_EQ(media_discard(&rig), 0);
    struct fp_merge_counters merge = media_merge(&rig, 5);
    CHECK_EQ(merge.paths[0].duplicate_frames, 1);
    CHECK_EQ(merge.paths[1].late_frames, 1);
    CHECK_EQ(merge.paths[1].received_frames, 2);
    rig_close(&rig);
}

/* Both paths in one ring, hundreds of flows at once: batches and bursts hold many merges. */
static void test_many_flows(void) {
    enum { FLOWS = 300, ROUNDS = 40 };
    struct rig rig;
    media_open(&rig, 2048);
    for (uint16_t flow = 0; flow < FLOWS; flow++) {
        media_add_merge(&rig, flow, flow + 1U, WINDOW_NS);
        for (uint16_t path = 0; path < 2; path++) {
            struct fp_route route = media_merge_route(flow, path, flow);
            media_add(&rig, &route);
        }
    }
    rig_publish(&rig);
    for (uint16_t round = 0; round < ROUNDS; round++) {
        media_set_clock(media_clock() + FRAME_NS);
        for (uint16_t flow = 0; flow < FLOWS; flow++) {
            struct media_frame frame = {.flow = flow, .sequence = (uint16_t)(round + flow), .ssrc = flow};
            media_inject(&rig, (uint32_t)(flow + round) % 2, &frame);
            media_inject(&rig, (uint32_t)(flow + round + 1) % 2, &frame);
        }
        media_turn(&rig);
        uint8_t seen[FLOWS] = {0};
        struct media_frame out;
        while (media_collect(&rig, &out)) {
            CHECK_EQ(out.sequence, (uint16_t)(round + out.flow));
            CHECK_EQ(out.ssrc, out.flow);
            seen[out.flow]++;
        }
        for (unsigned flow = 0; flow < FLOWS; flow++) {
            CHECK_EQ(seen[flow], 1);
        }
    }
    for (uint32_t path = 0; path < 2; path++) {
        struct fp_port_counters port = rig_counters(&rig, path);
        CHECK_EQ(port.received_frames, FLOWS * ROUNDS);
        CHECK_EQ(port.forwarded_frames + port.merged_frames, FLOWS * ROUNDS);
    }
    rig_close(&rig);
}

int main(void) {
    RUN(test_first_copy_wins);
    RUN(test_losses_are_filled_and_counted);
    RUN(test_late_duplicate_and_not_rtp);
    RUN(test_many_flows);
    return 0;
}
