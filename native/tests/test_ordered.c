/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Merges that release in order, in the true loop over memory ports: frames behind a hole wait in buffers of their own,
 * leave in order as fast as there is room, and every frame and every buffer is accounted for whatever happens
 * meanwhile.
 */
#include "check.h"
#include "media_rig.h"
#include "ordered.h"
#include "region.h"
#include <string.h>
#include <time.h>

enum { FLOW = 7, NUMBER = 5, SLOTS = 64, HOLD = 400, SSRC = 0x1234, ID = 11 };
#define WINDOW_NS 50000000ULL
#define STEP_NS 10000U

static void add_flow(struct rig *rig, uint16_t flow, uint32_t number, uint64_t id, uint32_t hold) {
    media_add_ordered(rig, number, id, WINDOW_NS, hold);
    for (uint16_t path = 0; path < FP_MERGE_PATHS; path++) {
        struct fp_route route = media_merge_route(flow, path, number);
        media_add(rig, &route);
    }
}

static void open_flow(struct rig *rig, uint32_t ring_slots, uint32_t hold) {
    media_open_holding(rig, ring_slots, hold);
    add_flow(rig, FLOW, NUMBER, ID, hold);
    rig_publish(rig);
}

static void bring(struct rig *rig, uint32_t path, uint32_t number) {
    struct media_frame frame = {.flow = FLOW, .sequence = (uint16_t)number, .timestamp = number * 100, .ssrc = SSRC};
    media_inject(rig, path, &frame);
}

/* At the time the clock shows: a turn without frames may take the one of the burst before. */
static void turn(struct rig *rig) {
    rig->worker->now_is_new = false;
    CHECK(fp_worker_turn(rig->worker) >= 0);
    rig_check_balance(rig);
}

/* Numbers `from` to below `end` by one path, each at its time. */
static void bring_all(struct rig *rig, uint32_t path, uint32_t from, uint32_t end) {
    for (uint32_t number = from; number < end; number++) {
        media_set_clock(media_clock() + STEP_NS);
        bring(rig, path, number);
        turn(rig);
    }
}

/* What left goes on from *next, without a hole. */
static uint32_t collect(struct rig *rig, uint32_t *next) {
    struct media_frame frame;
    uint32_t frames = 0;
    while (media_collect(rig, &frame)) {
        CHECK_EQ(frame.sequence, (uint16_t)*next);
        (*next)++;
        frames++;
    }
    return frames;
}

static uint64_t held_of(const struct rig *rig) {
    return rig_counters(rig, 0).held_frames + rig_counters(rig, 1).held_frames;
}

static uint64_t dropped_of(const struct rig *rig, enum fp_drop reason) {
    return rig_counters(rig, 0).dropped_frames[reason] + rig_counters(rig, 1).dropped_frames[reason];
}

static void close_empty(struct rig *rig) {
    CHECK_EQ(held_of(rig), 0);
    rig_check_buffers(rig);
    rig_close(rig);
}

static void test_a_hole_is_filled(void) {
    struct rig rig;
    uint32_t next = 0;
    open_flow(&rig, SLOTS, HOLD);
    bring_all(&rig, 0, 0, 10);
    bring_all(&rig, 0, 11, 40);
    CHECK_EQ(collect(&rig, &next), 10);
    CHECK_EQ(held_of(&rig), 29);
    CHECK_EQ(media_merge(&rig, NUMBER).held_frames, 29);
    CHECK_EQ(rig.worker->ordering->due_ns, media_clock() - 28ULL * STEP_NS + WINDOW_NS + 1);
    rig_check_buffers(&rig);
    bring_all(&rig, 1, 0, 11);
    CHECK_EQ(collect(&rig, &next), 30);
    struct fp_merge_counters all = media_merge(&rig, NUMBER);
    CHECK_EQ(all.held_frames, 0);
    CHECK_EQ(all.most_held_frames, 29);
    CHECK_EQ(all.filled_frames, 1);
    CHECK_EQ(all.lost_frames, 0);
    CHECK_EQ(rig_counters(&rig, 0).forwarded_frames, 39);
    CHECK_EQ(rig_counters(&rig, 1).forwarded_frames, 1);
    CHECK_EQ(rig_counters(&rig, 1).merged_frames, 10);
    CHECK_EQ(rig_counters(&rig, MEDIA_OUT).copied_frames, 0);
    CHECK_EQ(rig_counters(&rig, MEDIA_OUT).swapped_frames, 40);
    CHECK_EQ(rig.worker->ordering->due_ns, UINT64_MAX);
    close_empty(&rig);
}

static void test_a_hole_is_given_up(void) {
    struct rig rig;
    uint32_t next = 0;
    open_flow(&rig, SLOTS, HOLD);
    bring_all(&rig, 0, 0, 10);
    bring_all(&rig, 0, 11, 40);
    CHECK_EQ(collect(&rig, &next), 10);
    media_set_clock(rig.worker->ordering->due_ns - 1);
    turn(&rig);
    CHECK_EQ(collect(&rig, &next), 0);
    media_set_clock(rig.worker->ordering->due_ns);
    turn(&rig); /* no frame has come */
    next = 11;
    CHECK_EQ(collect(&rig, &next), 29);
    bring(&rig, 1, 10); /* too late, or it would leave out of order */
    turn(&rig);
    CHECK_EQ(dropped_of(&rig, FP_DROP_MERGE_LATE), 1);
    CHECK_EQ(media_merge(&rig, NUMBER).lost_frames, 1);
    close_empty(&rig);
}

/* More have their turn at once than the ring takes: none is lost, those that come meanwhile queue behind them. */
static void test_as_fast_as_there_is_room(void) {
    struct rig rig;
    uint32_t next = 0;
    open_flow(&rig, 16, HOLD);
    bring_all(&rig, 0, 0, 1);
    CHECK_EQ(collect(&rig, &next), 1);
    bring_all(&rig, 0, 2, 302);
    CHECK_EQ(held_of(&rig), 300);
    bring(&rig, 1, 1);
    turn(&rig);
    CHECK_EQ(held_of(&rig), 301 - 15);
    CHECK(rig.worker->ordering->due_ns > media_clock() && rig.worker->ordering->due_ns < media_clock() + WINDOW_NS);
    for (uint32_t number = 302; number < 340; number++) {
        CHECK_EQ(collect(&rig, &next), 15);
        bring(&rig, 0, number);
        turn(&rig);
        rig_check_buffers(&rig);
        if (held_of(&rig) == 0) {
            break;
        }
    }
    (void)collect(&rig, &next);
    CHECK(next > 302);
    CHECK_EQ(dropped_of(&rig, FP_DROP_TX_FULL), 0);
    close_empty(&rig);
}

/* An output nobody empties is waited for a moment only. */
static void test_a_stuck_output(void) {
    struct rig rig;
    open_flow(&rig, 16, HOLD);
    bring_all(&rig, 0, 0, 100);
    CHECK_EQ(held_of(&rig), 85);
    media_set_clock(media_clock() + FP_STUCK_NS + 1);
    turn(&rig);
    CHECK_EQ(dropped_of(&rig, FP_DROP_TX_FULL), 85);
    uint32_t next = 0;
    CHECK_EQ(collect(&rig, &next), 15);
    next = 100;
    bring_all(&rig, 0, 100, 110); /* it is back */
    CHECK_EQ(collect(&rig, &next), 10);
    close_empty(&rig);
}

/* The store is full of frames that wait for an output: the oldest make room. */
static void test_no_free_buffer(void) {
    struct rig rig;
    enum { ALL = HOLD + FP_HOLD_SPARE_FRAMES };
    open_flow(&rig, 16, HOLD);
    for (uint32_t number = 0; number < ALL + 15 + 20; number++) {
        bring(&rig, 0, number); /* the clock stands still */
        turn(&rig);
    }
    CHECK_EQ(held_of(&rig), ALL);
    CHECK_EQ(dropped_of(&rig, FP_DROP_TX_FULL), 20);
    uint32_t next = 0;
    CHECK_EQ(collect(&rig, &next), 15);
    next += 20;
    while (held_of(&rig) > 0) {
        turn(&rig);
        CHECK(collect(&rig, &next) > 0);
    }
    CHECK_EQ(next, ALL + 35);
    close_empty(&rig);
}

/* More than may be held: the hole is given up early. */
static void test_too_many_are_held(void) {
    struct rig rig;
    uint32_t next = 0;
    open_flow(&rig, 1024, 50);
    bring_all(&rig, 0, 0, 1);
    bring_all(&rig, 0, 2, 52);
    CHECK_EQ(collect(&rig, &next), 1);
    bring_all(&rig, 0, 52, 53);
    next = 2;
    CHECK_EQ(collect(&rig, &next), 51);
    struct fp_merge_counters all = media_merge(&rig, NUMBER);
    CHECK_EQ(all.skipped_frames, 1);
    CHECK_EQ(all.most_held_frames, 50);
    bring(&rig, 1, 1);
    turn(&rig);
    CHECK_EQ(dropped_of(&rig, FP_DROP_MERGE_LATE), 1);
    close_empty(&rig);
}

/* Offers the table; returns how many turns it took. */
static uint32_t publish(struct rig *rig) {
    struct fp_worker_snapshot worker;
    uint8_t digest[FP_DIGEST_BYTES] = {0};
    uint32_t turns = 0;
    CHECK_EQ(fp_state_publish(rig->state, rig->table, ++rig->generation, digest), 0);
    do {
        turn(rig);
        turns++;
        CHECK_EQ(fp_state_read_worker(rig->state, &worker), 0);
    } while (worker.generation != rig->generation && turns < 100);
    return turns;
}

static void test_the_table_is_replaced(void) {
    struct rig rig;
    uint32_t next = 0;
    media_open_holding(&rig, SLOTS, HOLD + 10);
    add_flow(&rig, FLOW, NUMBER, ID, HOLD);
    rig_publish(&rig);
    bring_all(&rig, 0, 0, 1);
    bring_all(&rig, 0, 2, 40);
    media_new_table(&rig); /* the same flow, among others: nothing happens to it */
    add_flow(&rig, FLOW + 1, NUMBER + 1, ID + 1, 10);
    add_flow(&rig, FLOW, NUMBER, ID, HOLD);
    CHECK_EQ(publish(&rig), 1);
    CHECK_EQ(held_of(&rig), 38);
    CHECK_EQ(collect(&rig, &next), 1);
    bring(&rig, 1, 1);
    turn(&rig);
    CHECK_EQ(collect(&rig, &next), 39);
    close_empty(&rig);
}

/* The flow gets another window, or goes: what was held leaves first, by the table before. */
static void test_the_merge_ends(void) {
    for (unsigned again = 0; again < 2; again++) {
        struct rig rig;
        uint32_t next = 0;
        open_flow(&rig, SLOTS, HOLD);
        bring_all(&rig, 0, 0, 1);
        CHECK_EQ(collect(&rig, &next), 1);
        bring_all(&rig, 0, 2, 150);
        media_new_table(&rig);
        if (again != 0) {
            add_flow(&rig, FLOW, NUMBER, ID + 1, HOLD);
        }
        next = 2;
        uint8_t digest[FP_DIGEST_BYTES] = {0};
        CHECK_EQ(fp_state_publish(rig.state, rig.table, ++rig.generation, digest), 0);
        for (uint32_t i = 0; i < 3; i++) { /* 63, 63 and 22 */
            struct fp_worker_snapshot worker;
            turn(&rig);
            CHECK(collect(&rig, &next) > 0);
            CHECK_EQ(fp_state_read_worker(rig.state, &worker), 0);
            CHECK_EQ(worker.generation, rig.generation - 1);
        }
        turn(&rig);
        CHECK_EQ(next, 150);
        CHECK_EQ(dropped_of(&rig, FP_DROP_TX_FULL), 0);
        bring_all(&rig, 0, 150, 160);
        CHECK_EQ(collect(&rig, &next), again != 0 ? 10 : 0);
        close_empty(&rig);
    }
}

/* The same while nothing leaves: not for ever. */
static void test_the_merge_ends_at_a_stuck_output(void) {
    struct rig rig;
    open_flow(&rig, 16, HOLD);
    for (uint32_t number = 0; number < 100; number++) {
        bring(&rig, 0, number);
        turn(&rig);
    }
    CHECK_EQ(held_of(&rig), 85);
    media_new_table(&rig);
    rig.worker->ordering->leave_by_ns = media_clock() + 1000; /* sooner than the output is given up */
    uint8_t digest[FP_DIGEST_BYTES] = {0};
    CHECK_EQ(fp_state_publish(rig.state, rig.table, ++rig.generation, digest), 0);
    turn(&rig);
    CHECK_EQ(held_of(&rig), 85);
    media_set_clock(media_clock() + 2000);
    turn(&rig);
    CHECK_EQ(dropped_of(&rig, FP_DROP_TX_FULL), 85);
    close_empty(&rig);
}

/* Each output of several is in order; the frames are those of one. */
static void test_two_outputs(void) {
    struct rig rig;
    uint8_t bytes[FRAME_ROOM];
    media_open_holding(&rig, SLOTS, HOLD);
    media_add_ordered(&rig, NUMBER, ID, WINDOW_NS, HOLD);
    for (uint16_t path = 0; path < FP_MERGE_PATHS; path++) {
        struct fp_route route = media_merge_route(FLOW, path, NUMBER);
        route.outputs[1] = route.outputs[0];
        route.outputs[0].port = 1;
        route.outputs[1].rewrite = (struct fp_rewrite){.set = FP_PUSH_VLAN, .vlan = 100};
        route.output_count = 2;
        media_add(&rig, &route);
    }
    rig_publish(&rig);
    bring_all(&rig, 0, 0, 5);
    bring_all(&rig, 0, 6, 30);
    bring_all(&rig, 1, 5, 6);
    for (uint32_t port = 1; port <= MEDIA_OUT; port++) {
        uint32_t more = port == MEDIA_OUT ? 4 : 0;
        for (uint32_t number = 0; number < 30; number++) {
            CHECK(fp_memory_collect(rig.ports[port], bytes, sizeof bytes) > 0);
            CHECK_EQ(bytes[MEDIA_RTP_AT + more + 3], number);
        }
        CHECK_EQ(fp_memory_collect(rig.ports[port], bytes, sizeof bytes), 0);
    }
    CHECK_EQ(held_of(&rig), 0);
    rig_check_buffers(&rig);
    /* One of them is not there: the other goes on. */
    fp_worker_make_absent(&rig.worker->ports[1]);
    rig.worker->ports[1].port = &rig.worker->ports[1].absent;
    media_set_clock(media_clock() + FP_STUCK_NS + 1);
    bring_all(&rig, 0, 30, 40);
    CHECK_EQ(media_discard(&rig), 10);
    CHECK_EQ(rig_counters(&rig, 1).tx_full_frames, 10);
    rig.worker->ports[1].port = rig.worker->ports[1].own;
    close_empty(&rig);
}

/* The end of the loop: nothing more will fill a hole. */
static void test_the_worker_ends(void) {
    struct rig rig;
    uint32_t next = 0;
    open_flow(&rig, SLOTS, HOLD);
    bring_all(&rig, 0, 0, 1);
    bring_all(&rig, 0, 2, 52);
    CHECK_EQ(collect(&rig, &next), 1);
    fp_state_request_stop(rig.state);
    CHECK_EQ(fp_worker_run(rig.worker), 0);
    rig_check_balance(&rig);
    next = 2;
    CHECK_EQ(collect(&rig, &next), 50);
    CHECK_EQ(media_merge(&rig, NUMBER).held_frames, 0);
    close_empty(&rig);
    open_flow(&rig, 16, HOLD); /* nobody takes them: counted */
    bring_all(&rig, 0, 0, 1);
    bring_all(&rig, 0, 2, 52);
    fp_state_request_stop(rig.state);
    CHECK_EQ(fp_worker_run(rig.worker), 0);
    rig_check_balance(&rig);
    CHECK_EQ(dropped_of(&rig, FP_DROP_TX_FULL), 51 - 15);
    close_empty(&rig);
}

/* Asleep, the loop wakes in time for a window that is shorter than its usual sleep. */
static void test_wakes_in_time(void) {
    struct rig rig;
    uint64_t least_ns = UINT64_MAX;
    uint32_t next = 0;
    rig_open_holding(&rig, 3, SLOTS, FP_WAIT_POLL, HOLD + FP_HOLD_SPARE_FRAMES);
    media_add_ordered(&rig, NUMBER, ID, 150000, HOLD);
    for (uint16_t path = 0; path < FP_MERGE_PATHS; path++) {
        struct fp_route route = media_merge_route(FLOW, path, NUMBER);
        media_add(&rig, &route);
    }
    rig_publish(&rig);
    bring(&rig, 0, next);
    turn(&rig);
    CHECK_EQ(collect(&rig, &next), 1);
    for (unsigned i = 0; i < 20; i++) {
        next++; /* lost */
        bring(&rig, 0, next);
        turn(&rig);
        uint64_t began_ns = fp_monotonic_ns();
        while (collect(&rig, &next) == 0) {
            fp_worker_poll(rig.worker, true);
            turn(&rig);
        }
        uint64_t took_ns = fp_monotonic_ns() - began_ns;
        least_ns = took_ns < least_ns ? took_ns : least_ns;
    }
    CHECK(least_ns < FP_WAIT_MS * 1000000ULL);
    close_empty(&rig);
}

static void test_refusals(void) {
    struct rig rig;
    uint8_t digest[FP_DIGEST_BYTES] = {0};
    media_open_holding(&rig, SLOTS, HOLD);
    CHECK_EQ(fp_worker_hold(rig.worker, 1, rig.regions[0], 1), FP_E_DUPLICATE);
    CHECK_EQ(fp_worker_hold(rig.worker, 3, rig.regions[0], 1), FP_E_INVALID);
    add_flow(&rig, FLOW, NUMBER, ID, HOLD / 2);
    add_flow(&rig, FLOW + 1, NUMBER + 1, ID + 1, HOLD / 2 + 1);
    CHECK_EQ(fp_state_publish(rig.state, rig.table, 1, digest), FP_E_HOLD_BUFFERS);
    struct fp_route anywhere = media_merge_route(FLOW + 2, 0, NUMBER);
    anywhere.match.fields &= (uint16_t)~FP_MATCH_PORT;
    anywhere.match.key.port = 0;
    CHECK_EQ(fp_table_add(rig.table, &anywhere), FP_E_INVALID);
    rig_close(&rig);
    rig_open(&rig, 3, SLOTS, 1, FP_WAIT_BUSY); /* a region each, no buffer to spare */
    CHECK_EQ(fp_worker_hold(rig.worker, 0, rig.regions[0], 1), FP_E_REGION);
    CHECK_EQ(fp_worker_hold(rig.worker, 0, rig.regions[1], 1), FP_E_INVALID);
    CHECK_EQ(fp_worker_hold(rig.worker, 0, NULL, 1), FP_E_INVALID);
    add_flow(&rig, FLOW, NUMBER, ID, HOLD);
    CHECK_EQ(fp_state_publish(rig.state, rig.table, 1, digest), FP_E_HOLD_REGION);
    rig_close(&rig);
}

static void test_what_it_takes(void) {
    struct rig rig;
    struct fp_port_info info;
    media_open_holding(&rig, SLOTS, HOLD);
    for (uint32_t port = 0; port < 3; port++) {
        CHECK_EQ(fp_state_read_port_info(rig.state, port, &info), 0);
        CHECK_EQ(info.hold_buffers, HOLD + FP_HOLD_SPARE_FRAMES);
        CHECK_EQ(info.hold_bytes, (HOLD + FP_HOLD_SPARE_FRAMES) * (2048 + 32));
    }
    CHECK_EQ(fp_worker_turn(rig.worker), 0);
    CHECK_EQ(fp_worker_hold(rig.worker, 0, rig.regions[0], 1), FP_E_INVALID); /* too late */
    struct fp_region *region = rig.regions[0];
    CHECK_EQ(region->free_count, 0);
    fp_worker_destroy(rig.worker);
    rig.worker = NULL;
    CHECK_EQ(region->free_count, HOLD + FP_HOLD_SPARE_FRAMES);
    rig_close(&rig);
}

int main(void) {
    RUN(test_a_hole_is_filled);
    RUN(test_a_hole_is_given_up);
    RUN(test_as_fast_as_there_is_room);
    RUN(test_a_stuck_output);
    RUN(test_no_free_buffer);
    RUN(test_too_many_are_held);
    RUN(test_the_table_is_replaced);
    RUN(test_the_merge_ends);
    RUN(test_the_merge_ends_at_a_stuck_output);
    RUN(test_two_outputs);
    RUN(test_the_worker_ends);
    RUN(test_wakes_in_time);
    RUN(test_refusals);
    RUN(test_what_it_takes);
    return 0;
}
