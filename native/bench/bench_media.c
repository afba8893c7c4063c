/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What media costs the loop, as JSON lines. First what observing adds to match and rewrite over a table of 10,000
 * routes: each set of observers is measured in turn with none, round by round, so that all saw the same machine. Then
 * merges: two ports bring the paths of `flows` protected flows, one takes what is left; every loss and skew is that of
 * bench_merge.
 *
 * usage: bench_media [LAPS [observe|merge [INPUT [SET]]]]      a lap is one ring of 4,095 frames on each port
 */
#include "check.h"
#include "lane.h"
#include "media.h"
#include <string.h>

enum {
    DEFAULT_LAPS = 60,
    ROUNDS = 3,
    SETTLING_LAPS = 12,    /* every route has had frames */
    SETTLING_PICTURES = 3, /* of every flow: the first is not judged, speeds are known after the second */
    SET_RENAMED = FP_SET_DESTINATION_MAC | FP_SET_SOURCE_MAC | FP_SET_SOURCE | FP_SET_DESTINATION | FP_SET_UDP_SOURCE |
                  FP_SET_UDP_PORT
};

static const char *const memories[] = {"cold", "warm"};

struct observer_set {
    const char *name;
    uint16_t observe;
};

static const struct observer_set sets[] = {
    {"off", 0},
    {"rtp", FP_OBSERVE_RTP},
    {"rtp+arrivals", FP_OBSERVE_RTP | FP_OBSERVE_ARRIVALS},
    {"rtp+pacing", FP_OBSERVE_RTP | FP_OBSERVE_PACING},
    {"all", FP_OBSERVE_ANY},
};
enum { SETS = sizeof sets / sizeof sets[0], SETS_OF_AUDIO = 3 /* those without pacing come first */ };

/*
 * What comes in. Observing costs what it does because of what changes: whether a flow's state is still near, whether an
 * interval is the one before, how often a picture begins. So a flow's frames come as fast as its format says, and the
 * clock of the loop goes with them: with another clock VRX would find every frame late, or none read, and Cinst would
 * never drain. Nobody sends 10,000 flows of 1080p50 (2,160 million frames a second) through one core:
 *
 * audio    every route carries audio of a frame each millisecond (AES67, ST 2110-30), 10 million frames a second in
 *          all: no flow's state is near when its next frame comes. Nothing has a marker, every frame a timestamp of its
 *          own. ST 2110-21 does not apply: without pacing.
 * many     every route carries a small video flow, 25 million frames a second in all: 10,000 flows of compressed video
 *          (ST 2110-22) of 50 frames a picture, 28 Mb/s at 1,404 bytes. As above, and each fiftieth frame ends a
 *          picture. It is the hardest case.
 * video    100 of the routes carry 1080p50, which is 21.6 million frames a second, about what the loop can forward and
 *          twice what 100 Gb/s bring at 1,404 bytes; the rest of the table is what a studio has in stock. Narrow
 *          senders space their frames, so that a switch interleaves flows: each frame is another flow's.
 * bursts   the same of software senders (type W, whose Cmax is 16), which send 4 frames in a row.
 */
static const struct lane_case inputs[] = {
    {.name = "audio", .flows = 10000, .run_frames = 1, .picture_frames = 20, .frame_ticks = 48},
    {.name = "many", .flows = 10000, .run_frames = 1, .picture_frames = 50},
    {.name = "video", .flows = 100, .run_frames = 1, .picture_frames = 4320},
    {.name = "bursts", .flows = 100, .run_frames = 4, .picture_frames = 4320},
};

enum { FRAME_NS = 40 /* of merges: input of 25 million frames a second */ };

static const struct fp_worker *measured;
static const struct lane *measured_lane; /* NULL: a merge */

/* What it costs to ask, and what it would say at the rate: time goes on with the frames that have come. */
static uint64_t read_clock(void) {
    uint64_t frames = 0;
    (void)fp_monotonic_ns();
    for (uint32_t i = 0; i < measured->port_count; i++) {
        frames += measured->ports[i].counters.received_frames;
    }
    return 1000000000 + (measured_lane != NULL ? lane_due_ns(measured_lane, frames) : frames * FRAME_NS);
}

/* A flow that is not what it should be would cost something else. */
static void check_flow(const struct lane *lane, uint32_t route) {
    struct fp_observed seen;
    struct fp_pacing_counters pacing;
    CHECK_EQ(fp_state_read_observed(lane->rig.state, route, &seen), 0);
    CHECK(seen.frames > 0 && (lane->wanted.frame_ticks != 0 || seen.pictures >= SETTLING_PICTURES));
    CHECK_EQ(seen.lost_frames + seen.stray_frames + seen.gaps + seen.restarts + seen.other_frames, 0);
    if ((lane->wanted.observe & FP_OBSERVE_PACING) != 0) {
        CHECK_EQ(fp_state_read_pacing(lane->rig.state, route, &pacing), 0);
        CHECK(pacing.pictures_judged > 0 && pacing.vrx_max_frames > 0);
        CHECK_EQ(pacing.vrx_late_frames + pacing.vrx_over_frames + pacing.pictures_skipped, 0);
        CHECK_EQ(pacing.cinst_over_frames, 0);
    }
}

static void check_observed(const struct lane *lane) {
    uint32_t step = lane->wanted.routes / lane->wanted.flows;
    for (uint32_t flow = 0; flow < lane->wanted.flows && lane->wanted.observe != 0; flow++) {
        check_flow(lane, flow * step);
    }
}

static double measure_set(const struct lane_case *input, const struct observer_set *set, enum lane_memory memory,
                          uint32_t laps) {
    static struct lane lane;
    struct lane_case wanted = *input;
    wanted.observe = set->observe;
    lane_open(&lane, &wanted, memory);
    measured = lane.rig.worker;
    measured_lane = &lane;
    lane.rig.worker->clock_ns = read_clock;
    lane.memory = LANE_WARM; /* nobody waits for memory while nothing is measured */
    (void)lane_measure(&lane, SETTLING_LAPS + SETTLING_PICTURES * input->flows * input->picture_frames / LANE_SLOTS);
    lane.memory = memory;
    double ns = lane_measure(&lane, laps);
    check_observed(&lane);
    lane_close(&lane);
    return ns;
}

static struct lane_case of_input(const struct lane_case *input, uint32_t bytes) {
    struct lane_case wanted = *input;
    wanted.routes = LANE_MAX_ROUTES;
    wanted.outputs = 1;
    wanted.set = SET_RENAMED;
    wanted.frame_bytes = bytes;
    return wanted;
}

static void run_observers(const struct lane_case *input, uint32_t bytes, enum lane_memory memory, uint32_t laps) {
    struct lane_case wanted = of_input(input, bytes);
    double best[SETS];
    unsigned asked = wanted.frame_ticks != 0 ? SETS_OF_AUDIO : SETS;
    for (unsigned round = 0; round < ROUNDS; round++) {
        for (unsigned i = 0; i < asked; i++) {
            double ns = measure_set(&wanted, &sets[i], memory, laps);
            best[i] = round == 0 || ns < best[i] ? ns : best[i];
        }
    }
    for (unsigned i = 0; i < asked; i++) {
        (void)printf("{\"case\": \"%s-%s\", \"routes\": %d, \"flows\": %u, \"run_frames\": %u, \"bytes\": %u, "
                     "\"memory\": \"%s\", \"ns\": %.2f, \"over_off\": %.3f}\n",
                     wanted.name, sets[i].name, LANE_MAX_ROUTES, wanted.flows, wanted.run_frames, bytes,
                     memories[memory], best[i], best[i] / best[0] - 1);
    }
    (void)fflush(stdout);
}

/* ---- merges */

enum { PATHS = 2, OUT = 2, RTP_AT = 42 };
#define CLASS_D_NS 150000ULL
#define CLASS_A_NS 10000000ULL

struct merge_bench {
    struct rig rig;
    uint32_t flows;
    uint32_t bytes;
    uint32_t per_cent; /* of frames lost, on each path */
    uint64_t skew_ns;  /* of path B */
    uint64_t window_ns;
    enum lane_memory memory;
    uint64_t sent[PATHS];
    uint64_t seed;
    uint64_t arena_bytes;
};

static bool is_lost(struct merge_bench *bench) {
    bench->seed = bench->seed * 6364136223846793005ULL + 1442695040888963407ULL;
    return (bench->seed >> 40) % 100 < bench->per_cent;
}

/* The next frame of a path over all flows in turn: `at` counts all that were sent. Both paths have the same frames. */
static void frame_write(const struct merge_bench *bench, uint64_t at, uint8_t *frame) {
    uint64_t index = at / bench->flows;
    uint32_t flow = (uint32_t)(at % bench->flows);
    uint64_t frame_ns = (uint64_t)PATHS * FRAME_NS * bench->flows;
    uint32_t timestamp = (uint32_t)(index / 64 * (64 * frame_ns) * 9 / 100000); /* 90 kHz, 64 frames a picture */
    uint32_t words[3] = {__builtin_bswap32(0x80600000U | (((uint32_t)index + flow * 977U) & 0xffff)),
                         __builtin_bswap32(timestamp), __builtin_bswap32(0xcafe0000U + flow)};
    frame[32] = (uint8_t)(flow >> 8);
    frame[33] = (uint8_t)flow;
    memcpy(frame + RTP_AT, words, sizeof words);
}

static void path_fill(struct merge_bench *bench, unsigned path, const uint8_t *built) {
    const struct fp_ring *ring = &bench->rig.ports[path]->rx[0];
    uint32_t head = ring->shared->head;
    uint64_t behind = path == FP_MERGE_A ? bench->skew_ns / ((uint64_t)PATHS * FRAME_NS) : 0;
    for (uint32_t i = 0; i + 1 < ring->slots; i++) {
        struct netmap_slot *slot = &ring->shared->slot[(head + i) % ring->slots];
        uint8_t *frame = fp_ring_buffer(ring, slot->buf_idx);
        while (is_lost(bench)) {
            bench->sent[path]++;
        }
        memcpy(frame, built, RTP_AT);
        frame_write(bench, bench->sent[path]++ + behind, frame);
        *slot = (struct netmap_slot){.buf_idx = slot->buf_idx, .len = (uint16_t)bench->bytes};
        if (bench->memory == LANE_COLD) {
            lane_evict(frame, bench->bytes);
        }
    }
    ring->shared->tail = (head + ring->slots - 1) % ring->slots;
}

static void merge_fill(struct merge_bench *bench) {
    uint8_t built[FRAME_ROOM];
    struct frame_shape shape = {.udp_port = 6000, .payload_bytes = bench->bytes - RTP_AT};
    (void)frame_build(&shape, built);
    path_fill(bench, FP_MERGE_A, built);
    path_fill(bench, FP_MERGE_B, built);
    /* Losses advance a path beyond the other: keep them together. */
    uint64_t most = bench->sent[0] > bench->sent[1] ? bench->sent[0] : bench->sent[1];
    bench->sent[0] = most;
    bench->sent[1] = most;
}

static void flow_add(struct merge_bench *bench, uint16_t flow) {
    struct fp_merge_config config = {.id = flow + 1U, .window_ns = bench->window_ns};
    uint64_t rate = 1000000000ULL / ((uint64_t)PATHS * FRAME_NS * bench->flows) + 1;
    config.slots = (uint32_t)fp_merge_plan_slots(bench->window_ns, rate);
    bench->arena_bytes += fp_merge_plan_bytes(&config);
    CHECK_EQ(fp_table_add_merge(bench->rig.table, flow, &config), 0);
    for (uint32_t path = 0; path < PATHS; path++) {
        struct frame_shape shape = {.group = flow, .udp_port = 6000};
        struct fp_route route = rig_route_of(&shape, (uint16_t)path, 1U << OUT, (uint16_t)(PATHS * flow + path));
        route.media.merge = (uint16_t)(flow + 1U);
        route.media.path = (uint16_t)path;
        CHECK_EQ(fp_table_add(bench->rig.table, &route), 0);
    }
}

static void merge_open(struct merge_bench *bench) {
    rig_open(&bench->rig, PATHS + 1, LANE_SLOTS, 0, FP_WAIT_BUSY);
    measured = bench->rig.worker;
    measured_lane = NULL;
    bench->rig.worker->clock_ns = read_clock;
    for (uint32_t i = 0; i < bench->rig.port_count; i++) {
        lane_make_null(bench->rig.ports[i], 2 * i + 1);
    }
    for (uint32_t flow = 0; flow < bench->flows; flow++) {
        flow_add(bench, (uint16_t)flow);
    }
    rig_publish(&bench->rig);
}

static void run_merge(struct merge_bench *bench, uint32_t laps) {
    double best = 1e9;
    merge_open(bench);
    /* Path B begins behind: first with frames nobody on path A has had. */
    uint32_t settling = SETTLING_LAPS + (uint32_t)(bench->skew_ns / ((uint64_t)PATHS * FRAME_NS) / (LANE_SLOTS - 1));
    for (uint32_t lap = 0; lap < laps + settling; lap++) {
        merge_fill(bench);
        double start = lane_now_ns();
        while (fp_worker_turn(bench->rig.worker) > 0) {
        }
        double ns = (lane_now_ns() - start) / (PATHS * (LANE_SLOTS - 1));
        best = lap >= settling && ns < best ? ns : best;
    }
    struct fp_port_counters a = rig_counters(&bench->rig, FP_MERGE_A);
    struct fp_port_counters b = rig_counters(&bench->rig, FP_MERGE_B);
    rig_check_balance(&bench->rig);
    (void)printf("{\"case\": \"merge-%u\", \"bytes\": %u, \"memory\": \"%s\", \"loss_per_cent\": %u, \"skew_ns\": "
                 "%" PRIu64 ", \"window_ns\": %" PRIu64 ", \"ns\": %.2f, \"mpps\": %.1f, \"forwarded\": %" PRIu64
                 ", \"merged\": %" PRIu64 ", \"late\": %" PRIu64 ", \"arena_bytes\": %" PRIu64 "}\n",
                 bench->flows, bench->bytes, memories[bench->memory], bench->per_cent, bench->skew_ns, bench->window_ns,
                 best, 1000 / best, a.forwarded_frames + b.forwarded_frames, a.merged_frames + b.merged_frames,
                 a.dropped_frames[FP_DROP_MERGE_LATE] + b.dropped_frames[FP_DROP_MERGE_LATE], bench->arena_bytes);
    (void)fflush(stdout);
    rig_close(&bench->rig);
}

static void run_merges(uint32_t bytes, uint32_t laps) {
    static const uint32_t flows[] = {1, 100, 1000};
    for (size_t i = 0; i < sizeof flows / sizeof flows[0]; i++) {
        for (unsigned way = 0; way < 8; way++) {
            static struct merge_bench bench;
            /* One flow of 12.5 million frames a second fills no class but D. */
            uint64_t window_ns = flows[i] == 1 ? CLASS_D_NS : CLASS_A_NS;
            bench = (struct merge_bench){.flows = flows[i], .bytes = bytes, .window_ns = window_ns, .seed = 1};
            bench.memory = (way & 4) != 0 ? LANE_WARM : LANE_COLD;
            bench.per_cent = way & 1;
            bench.skew_ns = (way & 2) != 0 ? window_ns - window_ns / 10 : 0 /* bursts come less exactly than frames */;
            run_merge(&bench, laps);
        }
    }
}

/* One set alone, for a profiler. */
static void run_set(const struct lane_case *input, const char *name, uint32_t laps) {
    struct lane_case wanted = of_input(input, 198);
    for (unsigned i = 0; i < SETS; i++) {
        if (strcmp(name, sets[i].name) == 0) {
            (void)printf("%.2f\n", measure_set(&wanted, &sets[i], LANE_WARM, laps));
        }
    }
}

static void run_inputs(int argc, char **argv, uint32_t bytes, uint32_t laps) {
    for (size_t i = 0; i < sizeof inputs / sizeof inputs[0]; i++) {
        if (argc > 3 && strcmp(argv[3], inputs[i].name) != 0) {
            continue;
        }
        run_observers(&inputs[i], bytes, LANE_COLD, laps);
        run_observers(&inputs[i], bytes, LANE_WARM, laps);
    }
}

int main(int argc, char **argv) {
    static const uint32_t sizes[] = {72, 198, 1258, 1404};
    uint32_t laps = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : DEFAULT_LAPS;
    for (size_t i = 0; argc > 4 && i < sizeof inputs / sizeof inputs[0]; i++) {
        if (strcmp(argv[3], inputs[i].name) == 0) {
            run_set(&inputs[i], argv[4], laps);
        }
    }
    for (size_t i = 0; argc <= 4 && i < sizeof sizes / sizeof sizes[0] && laps > 0; i++) {
        if (argc <= 2 || strcmp(argv[2], "observe") == 0) {
            run_inputs(argc, argv, sizes[i], laps);
        }
        if (argc <= 2 || strcmp(argv[2], "merge") == 0) {
            run_merges(sizes[i], laps);
        }
    }
    return 0;
}
