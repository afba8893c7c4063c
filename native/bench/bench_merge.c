/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the merge of two paths costs a frame, alone: RTP headers are made ready beforehand and read in bursts of 64 of
 * one path, as the loop would; nothing is forwarded. JSON lines: flows, loss, skew, nanoseconds a frame of input (the
 * best lap) and memory.
 *
 * usage: bench_merge [LAPS [FRAMES_PER_LAP]]
 */
#include "check.h"
#include "lane.h"
#include "merge.h"
#include <string.h>

enum {
    DEFAULT_LAPS = 20,
    DEFAULT_FRAMES = 1 << 16,
    BURST = 64,
    BATCH = 16,
    FRAME_NS = 40, /* input of 25 million frames a second */
    SETTLING_LAPS = 3
};

#define CLASS_D_NS 150000ULL
#define CLASS_A_NS 10000000ULL

struct bench {
    uint32_t flows;
    uint32_t per_cent; /* of frames lost, on each path */
    uint64_t skew_ns;  /* of path B */
    uint64_t window_ns;
    struct fp_merge_config config;
    uint64_t flow_bytes;
    uint8_t *memory;
    uint8_t *headers; /* 12 bytes a frame */
    uint32_t *flow_of;
    uint64_t *now_of; /* of a burst */
    uint64_t sent[FP_MERGE_PATHS];
    uint64_t seed;
    uint64_t verdicts[8];
    bool ordered;
    uint64_t released; /* of those held */
};

static struct fp_merge *flow_at(const struct bench *bench, uint32_t flow) {
    return (struct fp_merge *)(void *)(bench->memory + flow * bench->flow_bytes);
}

static bool is_lost(struct bench *bench) {
    bench->seed = bench->seed * 6364136223846793005ULL + 1442695040888963407ULL;
    return (bench->seed >> 40) % 100 < bench->per_cent;
}

/* The next frame of a path over all flows in turn: `at` counts all that were sent. Both paths have the same frames. */
static void write_header(const struct bench *bench, uint64_t at, uint8_t *rtp) {
    uint64_t index = at / bench->flows;
    uint32_t sequence = (uint32_t)(index + at % bench->flows * 977);
    /* 90 kHz, and 64 frames a picture, which lasts as long as its frames take */
    uint64_t frame_ns = 2ULL * FRAME_NS * bench->flows;
    uint32_t timestamp = (uint32_t)(index / 64 * (64 * frame_ns) * 9 / 100000);
    uint32_t words[3] = {__builtin_bswap32(0x80600000U | (sequence & 0xffff)), __builtin_bswap32(timestamp),
                         __builtin_bswap32(0xcafe0000U + (uint32_t)(at % bench->flows))};
    memcpy(rtp, words, sizeof words);
}

/* Bursts of A and B alternate; B is behind by the skew. */
static void fill(struct bench *bench, uint32_t frames, uint64_t start_ns) {
    uint64_t behind = bench->skew_ns / (2ULL * FRAME_NS);
    for (uint32_t at = 0; at < frames; at += BURST) {
        unsigned path = at / BURST % 2;
        bench->now_of[at / BURST] = start_ns + (uint64_t)at * FRAME_NS;
        for (uint32_t i = at; i < at + BURST; i++) {
            while (is_lost(bench)) {
                bench->sent[path]++;
            }
            uint64_t sent = bench->sent[path]++ + (path == FP_MERGE_A ? behind : 0);
            write_header(bench, sent, bench->headers + 12ULL * i);
            bench->flow_of[i] = (uint32_t)(sent % bench->flows);
        }
    }
    /* losses advance a path beyond the other: keep them together */
    uint64_t most = bench->sent[0] > bench->sent[1] ? bench->sent[0] : bench->sent[1];
    bench->sent[0] = most;
    bench->sent[1] = most;
}

static void run_burst(struct bench *bench, uint32_t at, uint64_t now_ns) {
    uint16_t path = at / BURST % 2;
    struct fp_merge_frame frames[BATCH];
    for (uint32_t done = at; done < at + BURST; done += BATCH) {
        for (uint32_t i = 0; i < BATCH; i++) {
            fp_merge_prefetch(flow_at(bench, bench->flow_of[done + i]));
        }
        for (uint32_t i = 0; i < BATCH; i++) {
            frames[i] = fp_merge_read_rtp(bench->headers + 12ULL * (done + i), path);
            fp_merge_prefetch_slot(flow_at(bench, bench->flow_of[done + i]), &frames[i]);
        }
        for (uint32_t i = 0; i < BATCH; i++) {
            bench->verdicts[fp_merge_offer(flow_at(bench, bench->flow_of[done + i]), &frames[i], now_ns)]++;
        }
    }
}

/* The same in order within the window: what is held and what is released are handles, as buffers would be. */
static void run_burst_ordered(struct bench *bench, uint32_t at, uint64_t now_ns) {
    struct fp_merge_held out[BURST];
    for (uint32_t i = at; i < at + BURST; i++) {
        struct fp_merge *merge = flow_at(bench, bench->flow_of[i]);
        struct fp_merge_frame frame = fp_merge_read_rtp(bench->headers + 12ULL * i, at / BURST % 2);
        enum fp_merge_verdict verdict = fp_merge_offer(merge, &frame, now_ns);
        while (verdict == FP_MERGE_AGAIN) {
            bench->released += fp_merge_release(merge, now_ns, out, BURST);
            verdict = fp_merge_offer(merge, &frame, now_ns);
        }
        bench->verdicts[verdict]++;
        if (verdict == FP_MERGE_HOLD) {
            fp_merge_hold(merge, i, 198);
        }
        for (uint32_t count = BURST; count == BURST;) {
            count = fp_merge_release(merge, now_ns, out, BURST);
            bench->released += count;
        }
    }
}

static void bench_open(struct bench *bench, uint32_t frames) {
    uint64_t rate = 1000000000ULL / (2ULL * FRAME_NS * bench->flows) + 1;
    bench->config = (struct fp_merge_config){.window_ns = bench->window_ns};
    bench->config.slots = (uint32_t)fp_merge_plan_slots(bench->window_ns, rate);
    bench->config.hold_frames = bench->ordered ? bench->config.slots / 2 : 0;
    bench->flow_bytes = fp_merge_plan_bytes(&bench->config);
    CHECK(bench->flow_bytes > 0);
    CHECK_EQ(posix_memalign((void **)&bench->memory, 64, bench->flow_bytes * bench->flows), 0);
    for (uint32_t i = 0; i < bench->flows; i++) {
        CHECK_EQ(fp_merge_create(flow_at(bench, i), &bench->config), 0);
    }
    bench->headers = calloc(frames, 12);
    bench->flow_of = calloc(frames, sizeof *bench->flow_of);
    bench->now_of = calloc(frames / BURST, sizeof *bench->now_of);
    CHECK(bench->headers != NULL && bench->flow_of != NULL && bench->now_of != NULL);
}

static void bench_close(struct bench *bench) {
    free(bench->memory);
    free(bench->headers);
    free(bench->flow_of);
    free(bench->now_of);
}

static void run(struct bench *bench, uint32_t laps, uint32_t frames) {
    double least = 1e9;
    uint64_t now_ns = 1000000000;
    bench_open(bench, frames);
    for (uint32_t lap = 0; lap < laps + SETTLING_LAPS; lap++) {
        fill(bench, frames, now_ns);
        double start = lane_now_ns();
        for (uint32_t at = 0; at < frames; at += BURST) {
            if (bench->ordered) {
                run_burst_ordered(bench, at, bench->now_of[at / BURST]);
            } else {
                run_burst(bench, at, bench->now_of[at / BURST]);
            }
        }
        double ns = (lane_now_ns() - start) / frames;
        least = lap >= SETTLING_LAPS && ns < least ? ns : least;
        now_ns += (uint64_t)frames * FRAME_NS;
    }
    (void)printf(
        "{\"case\": \"%s-%u\", \"loss_per_cent\": %u, \"skew_ns\": %" PRIu64 ", \"window_ns\": %" PRIu64
        ", \"ns\": %.2f, \"mpps\": %.1f, \"flow_bytes\": %" PRIu64 ", \"forwarded\": %" PRIu64 ", \"held\": %" PRIu64
        ", \"released\": %" PRIu64 ", \"merged\": %" PRIu64 ", \"late\": %" PRIu64 "}\n",
        bench->ordered ? "merge-in-order" : "merge", bench->flows, bench->per_cent, bench->skew_ns, bench->window_ns,
        least, 1000 / least, bench->flow_bytes, bench->verdicts[FP_MERGE_FORWARD], bench->verdicts[FP_MERGE_HOLD],
        bench->released, bench->verdicts[FP_MERGE_MERGED], bench->verdicts[FP_MERGE_LATE]);
    (void)fflush(stdout);
    bench_close(bench);
}

/* Every loss and skew of so many flows; skew at nine tenths of the window, for bursts are seen late. */
static void run_all(uint32_t flows, bool ordered, uint32_t laps, uint32_t frames) {
    /* one flow of 12.5 million frames a second fills no class but D */
    uint64_t window_ns = flows == 1 ? CLASS_D_NS : CLASS_A_NS;
    for (uint32_t at = 0; at < 4; at++) {
        struct bench bench = {.flows = flows, .ordered = ordered, .window_ns = window_ns, .seed = 1};
        bench.per_cent = at / 2;
        bench.skew_ns = at % 2 * (window_ns - window_ns / 10);
        run(&bench, laps, frames);
    }
}

int main(int argc, char **argv) {
    uint32_t laps = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : DEFAULT_LAPS;
    uint32_t frames = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) / BURST * BURST : DEFAULT_FRAMES;
    CHECK(laps > 0 && frames > 0);
    for (unsigned ordered = 0; ordered < 2; ordered++) {
        run_all(1, ordered != 0, laps, frames);
        run_all(100, ordered != 0, laps, frames);
        run_all(1000, ordered != 0, laps, frames);
    }
    return 0;
}
