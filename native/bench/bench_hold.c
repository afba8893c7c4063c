/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A whole window held: one flow of 2160p59.94 (1,035,765 frames a second) by two paths that are 49.9 ms apart, in a
 * merge of class B (50 ms) that releases in order. Path A loses a frame every 100 ms, so that all behind it is held
 * until path B brings it, and then leaves as fast as the loop goes on. Time is that of the flow: what is measured is
 * the loop alone, over memory ports. JSON lines: nanoseconds a frame of input, both paths, over whole cycles of 100 ms
 * (the best one); the same input with first copies going on at once; frames held at most and the memory it takes.
 *
 * usage: bench_hold [CYCLES]
 */
#include "check.h"
#include "lane.h"
#include "media.h"
#include "ordered.h"
#include <string.h>

enum {
    DEFAULT_CYCLES = 6,
    SETTLING_CYCLES = 2,
    PATHS = 2,
    OUT = 2,
    RTP_AT = 42,
    PICTURE_FRAMES = 17280,
    FRAMES_PER_S = 1035765,
    WINDOW_FRAMES = 51789, /* of 50 ms */
    HOLD_FRAMES = WINDOW_FRAMES + WINDOW_FRAMES / 4,
    SKEW_FRAMES = 51684, /* 49.9 ms */
    CYCLE_LAPS = 26,     /* of 4,095 frames of each path: a little more than 100 ms */
    LAP_FRAMES = LANE_SLOTS - 1
};
#define WINDOW_NS 50000000ULL

static const char *const memories[] = {"cold", "warm"};

struct hold_bench {
    struct rig rig;
    uint32_t bytes;
    bool ordered;
    enum lane_memory memory;
    uint64_t sent[PATHS];
    uint64_t next; /* number that leaves next */
    bool checks;
};

static struct hold_bench *measured;
static struct fp_port_ops checking;

/* Both paths bring a frame in the time of one. */
static uint64_t read_clock(void) {
    (void)fp_monotonic_ns(); /* what it costs to ask */
    uint64_t frames = measured->rig.worker->ports[0].counters.received_frames +
                      measured->rig.worker->ports[1].counters.received_frames;
    return 1000000000 + frames * 1000000000 / PATHS / FRAMES_PER_S;
}

/* Takes all that is sent; what leaves is one number after the other. */
static int checking_sync(struct fp_port *port) {
    const struct fp_ring *ring = &port->tx[0];
    uint32_t head = ring->shared->head;
    for (uint32_t at = fp_ring_next(ring, ring->shared->tail); measured->checks && at != head;
         at = fp_ring_next(ring, at)) {
        const uint8_t *frame = fp_ring_buffer(ring, ring->shared->slot[at].buf_idx);
        CHECK_EQ(fp_load_u16(frame + RTP_AT + 2), (uint16_t)measured->next);
        measured->next++;
    }
    ring->shared->tail = head == 0 ? ring->slots - 1 : head - 1;
    return 0;
}

static void path_fill(struct hold_bench *bench, unsigned path, const uint8_t *built) {
    const struct fp_ring *ring = &bench->rig.ports[path]->rx[0];
    uint32_t head = ring->shared->head;
    for (uint32_t i = 0; i < LAP_FRAMES; i++) {
        struct netmap_slot *slot = &ring->shared->slot[(head + i) % ring->slots];
        uint8_t *frame = fp_ring_buffer(ring, slot->buf_idx);
        uint64_t number = bench->sent[path]++ + (path == FP_MERGE_A ? SKEW_FRAMES : 0);
        if (path == FP_MERGE_A && number % ((uint64_t)CYCLE_LAPS * LAP_FRAMES) == 0) {
            number--; /* lost; another frame comes twice instead, to keep the time */
        }
        uint32_t ticks = (uint32_t)(number / PICTURE_FRAMES * 3003 / 2); /* 90 kHz, 59.94 pictures a second */
        uint32_t words[3] = {__builtin_bswap32(0x80600000U | (number & 0xffff)), __builtin_bswap32(ticks),
                             __builtin_bswap32(0xcafe0000U)};
        memcpy(frame, built, RTP_AT);
        memcpy(frame + RTP_AT, words, sizeof words);
        *slot = (struct netmap_slot){.buf_idx = slot->buf_idx, .len = (uint16_t)bench->bytes};
        if (bench->memory == LANE_COLD) {
            lane_evict(frame, bench->bytes);
        }
    }
    ring->shared->tail = (head + ring->slots - 1) % ring->slots;
}

static double run_cycle(struct hold_bench *bench) {
    uint8_t built[FRAME_ROOM];
    struct frame_shape shape = {.udp_port = 6000, .payload_bytes = bench->bytes - RTP_AT};
    double ns = 0;
    (void)frame_build(&shape, built);
    for (uint32_t lap = 0; lap < CYCLE_LAPS; lap++) {
        path_fill(bench, FP_MERGE_A, built);
        path_fill(bench, FP_MERGE_B, built);
        double start = lane_now_ns();
        while (fp_worker_turn(bench->rig.worker) > 0) {
        }
        ns += lane_now_ns() - start;
    }
    rig_check_balance(&bench->rig);
    return ns / ((double)PATHS * CYCLE_LAPS * LAP_FRAMES);
}

static void bench_open(struct hold_bench *bench) {
    struct fp_merge_config config = {.id = 1, .window_ns = WINDOW_NS};
    rig_open_holding(&bench->rig, PATHS + 1, LANE_SLOTS, FP_WAIT_BUSY, HOLD_FRAMES + FP_HOLD_SPARE_FRAMES);
    measured = bench;
    bench->rig.worker->clock_ns = read_clock;
    for (uint32_t i = 0; i < bench->rig.port_count; i++) {
        lane_make_null(bench->rig.ports[i], 2 * i + 1);
        /* The paths bring frames side by side: a whole turn of one, by this clock, is twice the 0.1 ms of the window
         * that the skew leaves. */
        bench->rig.ports[i]->turn_frames = FP_BURST_FRAMES;
    }
    checking = *bench->rig.ports[OUT]->ops;
    checking.tx_sync = checking_sync;
    bench->rig.ports[OUT]->ops = &checking;
    config.slots = (uint32_t)fp_merge_plan_slots(WINDOW_NS, FRAMES_PER_S);
    config.hold_frames = bench->ordered ? HOLD_FRAMES : 0;
    CHECK_EQ(fp_table_add_merge(bench->rig.table, 0, &config), 0);
    for (uint32_t path = 0; path < PATHS; path++) {
        struct frame_shape shape = {.udp_port = 6000};
        struct fp_route route = rig_route_of(&shape, (uint16_t)path, 1U << OUT, (uint16_t)path);
        route.media.merge = 1;
        route.media.path = (uint16_t)path;
        CHECK_EQ(fp_table_add(bench->rig.table, &route), 0);
    }
    rig_publish(&bench->rig);
}

/* Not while it is measured: each frame of a cycle leaves once, in order, without a copy; no buffer is lost. */
static void check_order(struct hold_bench *bench) {
    struct fp_port_counters out = rig_counters(&bench->rig, OUT);
    bench->next = out.transmitted_frames + SKEW_FRAMES;
    bench->checks = true;
    (void)run_cycle(bench);
    bench->checks = false;
    out = rig_counters(&bench->rig, OUT);
    CHECK_EQ(bench->next, out.transmitted_frames + SKEW_FRAMES);
    CHECK_EQ(out.copied_frames + out.tx_full_frames, 0);
    rig_check_buffers(&bench->rig);
}

static void run(struct hold_bench *bench, uint32_t cycles) {
    double best = 1e9;
    struct fp_merge_counters merge;
    struct fp_port_info info;
    uint64_t id;
    bench_open(bench);
    for (uint32_t cycle = 0; cycle < cycles + SETTLING_CYCLES; cycle++) {
        double ns = run_cycle(bench);
        best = cycle >= SETTLING_CYCLES && ns < best ? ns : best;
    }
    if (bench->ordered) {
        check_order(bench);
    }
    fp_media_publish_all(bench->rig.worker);
    CHECK_EQ(fp_state_read_merge(bench->rig.state, 0, &id, &merge), 0);
    CHECK_EQ(fp_state_read_port_info(bench->rig.state, 0, &info), 0);
    CHECK_EQ(merge.lost_frames + merge.skipped_frames + merge.restarts + merge.stray_frames, 0);
    CHECK(!bench->ordered || merge.most_held_frames >= SKEW_FRAMES);
    (void)printf("{\"case\": \"%s-class-b-2160p59.94\", \"bytes\": %u, \"memory\": \"%s\", \"skew_ns\": 49900000, "
                 "\"window_ns\": %" PRIu64 ", \"ns\": %.2f, \"mpps\": %.1f, \"held_most\": %" PRIu64
                 ", \"hold_buffers\": %" PRIu64 ", \"hold_bytes\": %" PRIu64 ", \"copied\": %" PRIu64 "}\n",
                 bench->ordered ? "hold" : "first-copy", bench->bytes, memories[bench->memory], (uint64_t)WINDOW_NS,
                 best, 1000 / best, merge.most_held_frames, bench->ordered ? info.hold_buffers : 0,
                 bench->ordered ? info.hold_bytes : 0, rig_counters(&bench->rig, OUT).copied_frames);
    (void)fflush(stdout);
    rig_close(&bench->rig);
}

int main(int argc, char **argv) {
    static const uint32_t sizes[] = {1258, 1404};
    static struct hold_bench bench;
    uint32_t cycles = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : DEFAULT_CYCLES;
    CHECK(cycles > 0);
    for (unsigned way = 0; way < 8; way++) {
        bench = (struct hold_bench){.bytes = sizes[way >> 2], .ordered = (way & 1) != 0};
        bench.memory = (way & 2) != 0 ? LANE_WARM : LANE_COLD;
        run(&bench, cycles);
    }
    return 0;
}
