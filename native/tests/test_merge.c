/* SPDX-License-Identifier: Apache-2.0 */
/* The merge at the rates it is made for, where the Python model is too slow: 2160p59.94, wraps, whole windows held. */
#include "check.h"
#include "merge.h"

enum {
    PICTURE_FRAMES = 17280, /* 2160p, 4:2:2 10 bit */
    PICTURES_PER_1001_S = 60000,
    FRAMES_PER_S = 1035765,
    WRAP = 65536
};

#define SECOND_NS 1000000000ULL
#define CLASS_B_NS 50000000ULL
#define CLASS_C_NS 150000000ULL

/* Frame `index` of a sender that began in the middle of a picture, a little before sequence and timestamp wrap. */
static struct fp_merge_frame frame_of(uint64_t index, uint16_t path) {
    uint64_t at = index + 5000;
    uint64_t picture = at / PICTURE_FRAMES;
    return (struct fp_merge_frame){(uint32_t)(0xffffff00U + picture * 3003 / 2), 0xcafe0001, (uint16_t)(at + 60000),
                                   path};
}

static uint64_t time_of(uint64_t index) {
    return SECOND_NS + (uint64_t)((double)index * 1001 / PICTURES_PER_1001_S / PICTURE_FRAMES * 1e9);
}

static struct fp_merge *make(uint64_t window_ns, uint32_t hold_frames) {
    struct fp_merge_config config = {.window_ns = window_ns, .hold_frames = hold_frames};
    struct fp_merge *merge = NULL;
    config.slots = (uint32_t)fp_merge_plan_slots(window_ns, FRAMES_PER_S);
    uint64_t bytes = fp_merge_plan_bytes(&config);
    CHECK(bytes > 0);
    CHECK_EQ(posix_memalign((void **)&merge, 64, bytes), 0);
    CHECK_EQ(fp_merge_create(merge, &config), 0);
    return merge;
}

static enum fp_merge_verdict offer(struct fp_merge *merge, uint64_t index, uint16_t path, uint64_t now_ns) {
    struct fp_merge_frame frame = frame_of(index, path);
    return fp_merge_offer(merge, &frame, now_ns);
}

static struct fp_merge_counters counters(struct fp_merge *merge, uint64_t now_ns) {
    struct fp_merge_counters all;
    fp_merge_read(merge, now_ns, &all);
    return all;
}

/* A is ahead by nearly a window, which is more than a wrap: every frame of B meets its own copy. */
static void test_lag_of_more_than_two_wraps(void) {
    struct fp_merge *merge = make(CLASS_C_NS, 0);
    const uint64_t behind = 155000;
    const uint64_t frames = 600000;
    uint64_t holes = 0;
    CHECK(behind > 2ULL * WRAP);
    for (uint64_t i = 0; i < frames + behind; i++) {
        if (i < frames && i % 1000 != 777) {
            CHECK_EQ(offer(merge, i, FP_MERGE_A, time_of(i)), FP_MERGE_FORWARD);
        }
        if (i >= behind) {
            bool hole = (i - behind) % 1000 == 777;
            holes += hole;
            CHECK_EQ(offer(merge, i - behind, FP_MERGE_B, time_of(i)), hole ? FP_MERGE_FORWARD : FP_MERGE_MERGED);
        }
    }
    struct fp_merge_counters all = counters(merge, time_of(frames) + SECOND_NS);
    CHECK_EQ(all.paths[FP_MERGE_A].lost_frames, holes);
    CHECK_EQ(all.paths[FP_MERGE_B].lost_frames, 0);
    CHECK_EQ(all.lost_frames, 0);
    CHECK_EQ(all.filled_frames, holes);
    CHECK_EQ(all.restarts + all.ssrc_changes + all.stray_frames, 0);
    CHECK_EQ(all.differential_frames, frames - holes);
    CHECK(all.differential_min_ns > 149000000 && all.differential_max_ns <= (int64_t)CLASS_C_NS);
    free(merge);
}

/* Both silent for `gap` frames: counted to the last one. */
static void check_gap(uint64_t gap) {
    struct fp_merge *merge = make(CLASS_B_NS, 0);
    const uint64_t before = 1000001;
    const uint64_t after = 20000;
    for (uint64_t i = 0; i < before + gap + after; i++) {
        if (i < before || i >= before + gap) {
            CHECK_EQ(offer(merge, i, FP_MERGE_A, time_of(i)), FP_MERGE_FORWARD);
            CHECK_EQ(offer(merge, i, FP_MERGE_B, time_of(i)), FP_MERGE_MERGED);
        }
    }
    struct fp_merge_counters all = counters(merge, time_of(before + gap + after) + SECOND_NS);
    CHECK_EQ(all.lost_frames, gap);
    CHECK_EQ(all.paths[FP_MERGE_A].lost_frames, gap);
    CHECK_EQ(all.paths[FP_MERGE_B].lost_frames, gap);
    CHECK_EQ(all.silences, time_of(gap) - SECOND_NS > SECOND_NS / 5);
    CHECK_EQ(all.restarts + all.stray_frames, 0);
    free(merge);
}

static void test_gaps(void) {
    const uint64_t gaps[] = {1, 63, 64, 1000, 17280, 32767, 32768, 32769, 65535, 65536, 65537, 150000, 3000000};
    for (size_t i = 0; i < sizeof gaps / sizeof gaps[0]; i++) {
        check_gap(gaps[i]);
    }
}

/* What a path brings in the middle of a gap, long after the other went on, is late; what the window holds is not. */
static void test_window_is_exact(void) {
    struct fp_merge *merge = make(CLASS_B_NS, 0);
    CHECK_EQ(offer(merge, 0, FP_MERGE_A, 1000), FP_MERGE_FORWARD);
    CHECK_EQ(offer(merge, 3, FP_MERGE_A, 2000), FP_MERGE_FORWARD);
    CHECK_EQ(offer(merge, 1, FP_MERGE_B, 2000 + CLASS_B_NS), FP_MERGE_FORWARD);
    CHECK_EQ(offer(merge, 1, FP_MERGE_B, 2000 + CLASS_B_NS), FP_MERGE_DUPLICATE);
    CHECK_EQ(offer(merge, 3, FP_MERGE_B, 2000 + CLASS_B_NS), FP_MERGE_MERGED);
    CHECK_EQ(offer(merge, 2, FP_MERGE_B, 2001 + CLASS_B_NS), FP_MERGE_LATE);
    struct fp_merge_counters all = counters(merge, 2001 + CLASS_B_NS);
    CHECK_EQ(all.paths[FP_MERGE_A].lost_frames, 2);
    CHECK_EQ(all.paths[FP_MERGE_B].lost_frames, 2);
    CHECK_EQ(all.lost_frames, 1);
    CHECK_EQ(all.differential_max_ns, CLASS_B_NS);
    CHECK_EQ(all.paths[FP_MERGE_B].late_frames, 1);
    free(merge);
}

/* Of the numbers held: handles come back in order, each once; `held` are at most as many as may be. */
struct outlet {
    uint64_t next; /* index that has to come out */
    uint64_t skipped;
};

static void put_out(struct outlet *outlet, uint64_t index) {
    CHECK(index >= outlet->next);
    outlet->skipped += index - outlet->next;
    outlet->next = index + 1;
}

static void release(struct fp_merge *merge, struct outlet *outlet, uint64_t now_ns) {
    struct fp_merge_held out[16];
    uint32_t count = 16;
    while (count == 16) {
        count = fp_merge_release(merge, now_ns, out, 16);
        for (uint32_t i = 0; i < count; i++) {
            CHECK_EQ(out[i].length_bytes, 1292);
            put_out(outlet, out[i].handle);
        }
    }
}

static void take(struct fp_merge *merge, struct outlet *outlet, uint64_t index, uint16_t path, uint64_t now_ns) {
    enum fp_merge_verdict verdict = offer(merge, index, path, now_ns);
    while (verdict == FP_MERGE_AGAIN) {
        release(merge, outlet, now_ns);
        verdict = offer(merge, index, path, now_ns);
    }
    if (verdict == FP_MERGE_HOLD) {
        fp_merge_hold(merge, (uint32_t)index, 1292);
    } else if (verdict == FP_MERGE_FORWARD) {
        put_out(outlet, index);
    }
    release(merge, outlet, now_ns);
}

/* B fills a hole of A nearly a window later: a whole window of class B is held meanwhile, and leaves in order. */
static void hold_a_window(uint32_t hold_frames, uint64_t skipped, uint64_t most_held) {
    struct fp_merge *merge = make(CLASS_B_NS, hold_frames);
    struct outlet outlet = {0, 0};
    const uint64_t behind = 51000;
    const uint64_t frames = 200000;
    for (uint64_t i = 0; i < frames + behind; i++) {
        if (i < frames && i != 100000) {
            take(merge, &outlet, i, FP_MERGE_A, time_of(i));
        }
        if (i >= behind && i - behind != 150000) {
            take(merge, &outlet, i - behind, FP_MERGE_B, time_of(i));
        }
    }
    struct fp_merge_counters all = counters(merge, time_of(frames) + SECOND_NS);
    CHECK_EQ(outlet.next, frames);
    CHECK_EQ(outlet.skipped, skipped);
    CHECK_EQ(all.skipped_frames, skipped);
    CHECK_EQ(all.held_frames, 0);
    CHECK_EQ(all.most_held_frames, most_held);
    CHECK_EQ(all.paths[FP_MERGE_B].late_frames, skipped);
    CHECK_EQ(fp_merge_deadline_ns(merge), UINT64_MAX);
    free(merge);
}

static void test_holds_a_window_of_class_b(void) {
    hold_a_window(60000, 0, 51000);
    hold_a_window(1000, 1, 1000); /* too few buffers: the hole is given up, the order kept */
}

/* The window passes while nothing arrives: the deadline says when to look. */
static void test_deadline(void) {
    struct fp_merge *merge = make(CLASS_B_NS, 10);
    struct fp_merge_held out[4];
    CHECK_EQ(offer(merge, 0, FP_MERGE_A, 1000), FP_MERGE_FORWARD);
    CHECK_EQ(offer(merge, 2, FP_MERGE_A, 5000), FP_MERGE_HOLD);
    fp_merge_hold(merge, 7, 100);
    CHECK_EQ(fp_merge_deadline_ns(merge), 5001 + CLASS_B_NS);
    CHECK_EQ(fp_merge_release(merge, 5000 + CLASS_B_NS, out, 4), 0);
    CHECK_EQ(fp_merge_release(merge, 5001 + CLASS_B_NS, out, 4), 1);
    CHECK_EQ(out[0].handle, 7);
    CHECK_EQ(offer(merge, 1, FP_MERGE_B, 5001 + CLASS_B_NS), FP_MERGE_LATE);
    CHECK_EQ(counters(merge, SECOND_NS).lost_frames, 1);
    free(merge);
}

/* B comes back with what it kept for two seconds: late while A is there, and a new beginning when A is gone. */
static void test_path_that_comes_back_old(void) {
    struct fp_merge *merge = make(CLASS_B_NS, 0);
    const uint64_t old = 2000000;
    for (uint64_t i = 0; i < 3000000; i++) {
        CHECK_EQ(offer(merge, i, FP_MERGE_A, time_of(i)), FP_MERGE_FORWARD);
        if (i >= old && i % 2 == 0) {
            CHECK_EQ(offer(merge, i - old, FP_MERGE_B, time_of(i)), FP_MERGE_LATE);
        }
    }
    uint64_t now_ns = time_of(3000000) + 201000000;
    CHECK_EQ(offer(merge, 1000000, FP_MERGE_B, now_ns), FP_MERGE_FORWARD);
    CHECK_EQ(offer(merge, 1000001, FP_MERGE_B, now_ns), FP_MERGE_FORWARD);
    CHECK_EQ(offer(merge, 1000000, FP_MERGE_A, now_ns), FP_MERGE_MERGED);
    struct fp_merge_counters all = counters(merge, now_ns);
    CHECK_EQ(all.restarts, 1);
    CHECK_EQ(all.paths[FP_MERGE_B].late_frames, 500000);
    CHECK_EQ(all.stray_frames, 0);
    free(merge);
}

static void test_classes_and_sizes(void) {
    struct fp_merge_config config = {.window_ns = CLASS_B_NS, .slots = WRAP};
    CHECK_EQ(fp_merge_class_window_ns(FP_MERGE_CLASS_A, 0), 10000000);
    CHECK_EQ(fp_merge_class_window_ns(FP_MERGE_CLASS_B, 0), CLASS_B_NS);
    CHECK_EQ(fp_merge_class_window_ns(FP_MERGE_CLASS_C, 269999999), 450000000);
    CHECK_EQ(fp_merge_class_window_ns(FP_MERGE_CLASS_C, 270000000), CLASS_C_NS);
    CHECK_EQ(fp_merge_class_window_ns(FP_MERGE_CLASS_D, 0), 150000);
    CHECK_EQ(fp_merge_plan_slots(CLASS_B_NS, FRAMES_PER_S), WRAP);
    CHECK_EQ(fp_merge_plan_slots(CLASS_C_NS, FRAMES_PER_S), 4ULL * WRAP);
    CHECK_EQ(fp_merge_plan_bytes(&config), sizeof(struct fp_merge) + 8ULL * WRAP);
    config.hold_frames = 60000;
    CHECK_EQ(fp_merge_plan_bytes(&config), sizeof(struct fp_merge) + 16ULL * WRAP);
    config.hold_frames = WRAP;
    CHECK_EQ(fp_merge_plan_bytes(&config), 0);
    config = (struct fp_merge_config){.window_ns = CLASS_B_NS, .slots = 1000};
    CHECK_EQ(fp_merge_plan_bytes(&config), 0);
    config = (struct fp_merge_config){.window_ns = FP_MERGE_MAX_WINDOW_NS + 1, .slots = WRAP};
    CHECK_EQ(fp_merge_plan_bytes(&config), 0);
    CHECK(fp_merge_plan_slots(FP_MERGE_MAX_WINDOW_NS, 5000000) > FP_MERGE_MAX_SLOTS);
}

int main(void) {
    RUN(test_lag_of_more_than_two_wraps);
    RUN(test_gaps);
    RUN(test_window_is_exact);
    RUN(test_holds_a_window_of_class_b);
    RUN(test_deadline);
    RUN(test_path_that_comes_back_old);
    RUN(test_classes_and_sizes);
    return 0;
}
