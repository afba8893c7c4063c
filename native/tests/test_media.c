/* SPDX-License-Identifier: Apache-2.0 */
/* Media through the true loop over memory ports: merges, observers, the list of flows without a route. */
#include "check.h"
#include "format_1080p50.h"
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
    for (unsigned flow = 0; flow < FLOWS; flow++) {
        media_add_merge(&rig, flow, flow + 1U, WINDOW_NS);
        for (uint16_t path = 0; path < 2; path++) {
            struct fp_route route = media_merge_route((uint16_t)flow, path, flow);
            media_add(&rig, &route);
        }
    }
    rig_publish(&rig);
    for (unsigned round = 0; round < ROUNDS; round++) {
        media_set_clock(media_clock() + FRAME_NS);
        for (unsigned flow = 0; flow < FLOWS; flow++) {
            struct media_frame frame = {.flow = (uint16_t)flow, .sequence = (uint16_t)(round + flow), .ssrc = flow};
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

/* A table change between two frames of a flow: the state of its merge goes on, counters too. */
static void test_merge_survives_generations(void) {
    struct rig rig;
    struct fp_route routes[2] = {media_merge_route(FLOW, 0, 5), media_merge_route(FLOW, 1, 5)};
    open_merge(&rig);
    offer(&rig, 0, 1);
    offer(&rig, 0, 2);
    for (uint32_t change = 0; change < 4; change++) {
        media_new_table(&rig);
        media_add_merge(&rig, 5, 99, WINDOW_NS);
        for (uint32_t other = 0; other < change; other++) { /* others come and go beside it */
            media_add_merge(&rig, 100 * other, 1, WINDOW_NS);
        }
        media_add(&rig, &routes[0]);
        media_add(&rig, &routes[1]);
        rig_publish(&rig);
    }
    offer(&rig, 1, 1);
    offer(&rig, 1, 2);
    offer(&rig, 1, 3);
    struct fp_merge_counters merge = media_merge(&rig, 5);
    CHECK_EQ(merge.paths[0].forwarded_frames, 2);
    CHECK_EQ(merge.paths[1].merged_frames, 2);
    CHECK_EQ(merge.paths[1].forwarded_frames, 1);
    CHECK_EQ(media_discard(&rig), 3);
    rig_close(&rig);
}

/* Another flow, or another window, begins anew beside the state in use. */
static void test_other_merge_begins_anew(void) {
    struct rig rig;
    open_merge(&rig);
    offer(&rig, 0, 1);
    for (uint64_t id = 100; id < 102; id++) {
        struct fp_route routes[2] = {media_merge_route(FLOW, 0, 5), media_merge_route(FLOW, 1, 5)};
        media_new_table(&rig);
        media_add_merge(&rig, 5, id, WINDOW_NS);
        media_add(&rig, &routes[0]);
        media_add(&rig, &routes[1]);
        rig_publish(&rig);
        struct fp_merge_counters merge = media_merge(&rig, 5);
        CHECK_EQ(merge.paths[0].received_frames, 0);
        offer(&rig, 1, 1);
        merge = media_merge(&rig, 5);
        CHECK_EQ(merge.paths[1].forwarded_frames, 1);
    }
    rig_close(&rig);
}

/* Of merges of 2^20 slots 63 fill the arena; what no table names any more is free. */
static void test_arena_is_bounded_and_reused(void) {
    struct rig rig;
    uint8_t digest[FP_DIGEST_BYTES] = {0};
    media_open(&rig, SLOTS);
    for (uint32_t id = 1; id < 5; id++) { /* two tables exist at a time: each may have less than half */
        struct fp_merge_config config = {.id = id, .window_ns = WINDOW_NS, .slots = 1 << 20};
        media_new_table(&rig);
        for (uint32_t number = 0; number < (id == 1 ? 3 : 2); number++) {
            CHECK_EQ(fp_table_add_merge(rig.table, number, &config), 0);
        }
        rig_publish(&rig);
    }
    struct fp_merge_config config = {.id = 9, .window_ns = WINDOW_NS, .slots = 1 << 20};
    const uint64_t bytes = fp_merge_plan_bytes(&config);
    uint32_t least = (uint32_t)(FP_MERGE_ARENA_BYTES / bytes) + 1;
    CHECK(least < FP_MAX_MERGES);
    media_new_table(&rig);
    for (uint32_t number = 0; number < least; number++) {
        CHECK_EQ(fp_table_add_merge(rig.table, number, &config), 0);
    }
    int result = fp_state_publish(rig.state, rig.table, rig.generation + 1, digest);
    CHECK_EQ(result, FP_E_MERGE_MEMORY);
    struct fp_worker_snapshot worker; /* the table in use stays */
    CHECK_EQ(fp_worker_turn(rig.worker), 0);
    CHECK_EQ(fp_state_read_worker(rig.state, &worker), 0);
    CHECK_EQ(worker.generation, rig.generation);
    rig_close(&rig);
}

static void test_observed_run_and_histogram(void) {
    struct rig rig;
    struct fp_route route = media_route(FLOW, 0);
    media_open(&rig, SLOTS);
    struct fp_observed none;
    CHECK_EQ(fp_state_read_observed(rig.state, route.counter, &none), FP_E_INVALID);
    route.media.observe = FP_OBSERVE_RTP | FP_OBSERVE_ARRIVALS;
    media_add(&rig, &route);
    rig_publish(&rig);
    static const uint16_t numbers[] = {65533, 65534, 65535, 0, 1, 1, 4, 3, 5}; /* a copy, 2 lost, 3 late, a wrap */
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        media_set_clock(media_clock() + 100000);
        offer(&rig, 0, numbers[i]);
    }
    struct fp_observed seen = media_observed(&rig, route.counter);
    CHECK_EQ(seen.frames, 9);
    CHECK_EQ(seen.lost_frames, 1);
    CHECK_EQ(seen.duplicated_frames, 1);
    CHECK_EQ(seen.reordered_frames, 1);
    CHECK_EQ(seen.wraps, 1);
    CHECK_EQ(seen.expected_frames, 9);
    CHECK_EQ(seen.sequence, 5);
    CHECK_EQ(seen.arrivals[12], 8); /* 65,536 to 131,071 ns */
    CHECK_EQ(media_discard(&rig), 9);
    CHECK_EQ(rig_counters(&rig, 0).forwarded_frames, 9);
    media_new_table(&rig); /* the counter goes to another route */
    route.media.run = 1;
    media_add(&rig, &route);
    rig_publish(&rig);
    offer(&rig, 0, 7);
    seen = media_observed(&rig, route.counter);
    CHECK_EQ(seen.frames, 1);
    CHECK_EQ(seen.lost_frames, 0);
    rig_close(&rig);
}

/* Two pictures of 100 frames, read over 96 % of 20 ms: all at once, then evenly. */
static void test_pacing(void) {
    enum { PACKETS = 100 };
    struct fp_pacing_format format = {FORMAT_1080P50(PACKETS, FP_ANCHOR_FIRST, 1460)};
    struct rig rig;
    struct fp_route route = media_route(FLOW, 0);
    struct fp_pacing_counters pacing;
    media_open(&rig, SLOTS);
    CHECK_EQ(fp_table_add_pacing(rig.table, &format), 0);
    route.media.observe = FP_OBSERVE_RTP | FP_OBSERVE_PACING;
    route.media.pacing = 1;
    media_add(&rig, &route);
    rig_publish(&rig);
    for (unsigned i = 0; i < 1 + 2 * PACKETS; i++) {
        bool marker = i % PACKETS == 0; /* the first one ends a picture nobody saw */
        struct media_frame frame = {
            .flow = FLOW, .sequence = (uint16_t)i, .timestamp = i / PACKETS, .ssrc = 1, .marker = marker};
        media_set_clock(media_clock() + (i <= PACKETS ? 0 : 192000));
        media_inject(&rig, 0, &frame);
        media_turn(&rig);
    }
    CHECK_EQ(fp_state_read_pacing(rig.state, route.counter, &pacing), 0);
    CHECK_EQ(pacing.pictures_judged, 2);
    CHECK_EQ(pacing.cinst_max_frames, PACKETS + 1);
    CHECK_EQ(pacing.vrx_max_frames, PACKETS - 1); /* the first was read when it came */
    CHECK(pacing.cinst_over_frames > 0 && pacing.cinst_frames < PACKETS);
    CHECK_EQ(media_discard(&rig), 1 + 2 * PACKETS);
    rig_close(&rig);
}

static void test_discovery(void) {
    struct rig rig;
    struct fp_route route = media_route(FLOW + 1, 0);
    struct media_frame frame = {.flow = FLOW, .ssrc = 12};
    media_open(&rig, SLOTS);
    media_add(&rig, &route);
    rig_publish(&rig);
    media_inject(&rig, 0, &frame);
    media_turn(&rig);
    CHECK_EQ(fp_state_count_discovered(rig.state), 0); /* nobody asked */
    fp_table_set_discovery(rig.table, 1);
    rig_publish(&rig);
    for (uint32_t i = 0; i < 5; i++) {
        media_inject(&rig, 1, &frame);
        media_turn(&rig);
    }
    struct fp_discovered flow;
    CHECK_EQ(fp_state_count_discovered(rig.state), 1);
    CHECK_EQ(fp_state_read_discovered(rig.state, 0, &flow), 0);
    CHECK_EQ(flow.frames, 5);
    CHECK_EQ(flow.rtp_frames, 5);
    CHECK_EQ(flow.key.port, 1);
    CHECK_EQ(flow.key.ssrc, 12);
    CHECK_EQ(flow.key.udp_port, MEDIA_UDP_PORT);
    CHECK_EQ(flow.key.destination[12], 239);
    CHECK_EQ(counted(&rig, 1, FP_DROP_NO_ROUTE), 5);
    rig_close(&rig);
}

/* What goes out is the same whether a route is observed or not: each way a frame can take, in tables of every kind. */
static uint32_t send_all_ways(struct rig *rig, uint16_t observe, int shapes, uint8_t out[4][FRAME_ROOM]) {
    static const uint32_t sets[4] = {0, FP_SET_DESTINATION_MAC | FP_SET_UDP_PORT, FP_PUSH_VLAN,
                                     FP_SET_SSRC | FP_DECREMENT_TTL};
    uint32_t lengths = 0;
    media_open(rig, SLOTS);
    for (unsigned i = 0; i < (shapes ? 4U : 2U); i++) {
        struct fp_route route = media_route((uint16_t)i, 0);
        route.media.observe = observe;
        route.outputs[0].rewrite.set = sets[i];
        route.outputs[0].rewrite.udp_port = 7000;
        route.outputs[0].rewrite.vlan = 9;
        route.match.priority = i;
        route.match.destination_bits = shapes != 0 && i == 3 ? 127 : 128;
        route.match.key.destination[15] &= shapes != 0 && i == 3 ? 0xfe : 0xff;
        media_add(rig, &route);
    }
    rig_publish(rig);
    for (uint16_t i = 0; i < 4; i++) {
        struct media_frame frame = {.flow = i, .sequence = i, .ssrc = 5};
        media_inject(rig, 0, &frame);
    }
    media_turn(rig);
    for (unsigned i = 0; i < 4; i++) {
        int length = fp_memory_collect(rig->ports[MEDIA_OUT], out[i], FRAME_ROOM);
        lengths = lengths * 1000 + (uint32_t)length;
    }
    return lengths;
}

static void test_output_is_the_same(void) {
    for (int shapes = 0; shapes < 2; shapes++) {
        static uint8_t out[2][4][FRAME_ROOM];
        struct rig rig;
        uint32_t lengths = send_all_ways(&rig, 0, shapes, out[0]);
        rig_close(&rig);
        CHECK_EQ(send_all_ways(&rig, FP_OBSERVE_RTP, shapes, out[1]), lengths);
        CHECK_EQ(media_observed(&rig, 0).frames, 1);
        rig_close(&rig);
        CHECK(memcmp(out[0], out[1], sizeof out[0]) == 0);
    }
}

static void test_table_refuses(void) {
    struct fp_table *table;
    struct fp_merge_config config = {.id = 1, .window_ns = WINDOW_NS, .slots = 512, .hold_frames = 512};
    struct fp_route route = media_route(FLOW, 0);
    CHECK_EQ(fp_table_create(4, &table), 0);
    CHECK_EQ(fp_table_add_merge(table, 0, &config), FP_E_INVALID); /* more than its slots tell apart */
    config.hold_frames = 0;
    CHECK_EQ(fp_table_add_merge(table, FP_MAX_MERGES, &config), FP_E_INVALID);
    CHECK_EQ(fp_table_add_merge(table, 3, &config), 0);
    CHECK_EQ(fp_table_add_merge(table, 3, &config), FP_E_DUPLICATE);
    static const struct fp_route_media wrong[] = {
        {.observe = FP_OBSERVE_ARRIVALS},
        {.observe = FP_OBSERVE_RTP | FP_OBSERVE_PACING},
        {.observe = FP_OBSERVE_RTP | FP_OBSERVE_PACING, .pacing = 1},
        {.observe = FP_OBSERVE_RTP, .pacing = 1},
        {.observe = 8 | FP_OBSERVE_RTP},
        {.observe = FP_OBSERVE_RTP, .run = FP_MAX_RUN + 1},
        {.merge = 3},
        {.merge = FP_MAX_MERGES + 1},
        {.merge = 4, .path = 2},
        {.path = 1},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        route.media = wrong[i];
        CHECK_EQ(fp_table_add(table, &route), FP_E_INVALID);
    }
    route.media = (struct fp_route_media){.observe = FP_OBSERVE_RTP, .run = FP_MAX_RUN, .merge = 4, .path = 1};
    CHECK_EQ(fp_table_add(table, &route), 0);
    fp_table_destroy(table);
}

int main(void) {
    RUN(test_first_copy_wins);
    RUN(test_losses_are_filled_and_counted);
    RUN(test_late_duplicate_and_not_rtp);
    RUN(test_many_flows);
    RUN(test_merge_survives_generations);
    RUN(test_other_merge_begins_anew);
    RUN(test_arena_is_bounded_and_reused);
    RUN(test_observed_run_and_histogram);
    RUN(test_pacing);
    RUN(test_discovery);
    RUN(test_output_is_the_same);
    RUN(test_table_refuses);
    return 0;
}
