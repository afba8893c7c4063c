/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any frames on two paths at any times: every frame gets one verdict, every held frame comes out once, nothing comes
 * out twice, and the account holds. Eight bytes a frame; sequence, timestamp and time mostly go on from the last ones.
 */
#include "check.h"
#include "merge.h"

enum { EVENT_BYTES = 8, SLOTS = 512, HOLD_FRAMES = 100, ROOM = 7 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct run {
    struct fp_merge *merge;
    uint64_t now_ns;
    uint64_t offered[FP_MERGE_PATHS];
    uint64_t put_in;
    uint64_t taken_out;
    struct fp_merge_frame last;
};

static void release(struct run *run) {
    struct fp_merge_held out[ROOM];
    uint32_t count = ROOM;
    while (count == ROOM) {
        count = fp_merge_release(run->merge, run->now_ns, out, ROOM);
        CHECK(count <= ROOM);
        for (uint32_t i = 0; i < count; i++) {
            CHECK_EQ(out[i].length_bytes, out[i].handle ^ 0xffff);
            CHECK(out[i].handle < run->put_in);
        }
        run->taken_out += count;
    }
}

static void offer(struct run *run, const struct fp_merge_frame *frame) {
    enum fp_merge_verdict verdict = fp_merge_offer(run->merge, frame, run->now_ns);
    for (unsigned turn = 0; verdict == FP_MERGE_AGAIN; turn++) {
        uint64_t before = run->taken_out;
        release(run);
        CHECK(run->taken_out > before); /* so that the caller comes to an end */
        CHECK(turn < SLOTS);
        verdict = fp_merge_offer(run->merge, frame, run->now_ns);
    }
    run->offered[frame->path]++;
    if (verdict == FP_MERGE_HOLD) {
        fp_merge_hold(run->merge, (uint32_t)run->put_in, (uint32_t)run->put_in ^ 0xffff);
        run->put_in++;
    }
    if (verdict == FP_MERGE_HOLD || verdict == FP_MERGE_FORWARD) {
        /* The same frame once more is never forwarded. */
        enum fp_merge_verdict again = fp_merge_offer(run->merge, frame, run->now_ns);
        CHECK(again == FP_MERGE_DUPLICATE || again == FP_MERGE_LATE);
        run->offered[frame->path]++;
    }
}

/* Bytes: what, time, sequence (2), timestamp (3), and how to read them. */
static void event(struct run *run, const uint8_t *at) {
    struct fp_merge_frame *frame = &run->last;
    uint16_t sequence = fp_load_u16(at + 2);
    uint32_t timestamp = fp_load_u32(at + 4) >> 8;
    frame->path = at[0] & 1;
    frame->sequence = (uint16_t)((at[0] & 2) != 0 ? sequence : frame->sequence + (int8_t)at[3]);
    frame->timestamp = (at[0] & 4) != 0 ? timestamp << (at[7] & 15) : frame->timestamp + (uint32_t)(int8_t)at[6];
    frame->ssrc += (at[0] & 0x38) == 0x38;
    run->now_ns += (at[0] & 0x40) != 0 ? (uint64_t)at[1] << (at[7] & 31) : at[1];
    offer(run, frame);
    if ((at[0] & 0x80) != 0) {
        release(run);
    }
    uint64_t repeated = (uint64_t)(at[7] >> 5) * 8; /* the stream goes on by itself */
    for (uint64_t i = 0; i < repeated; i++) {
        frame->sequence++;
        frame->timestamp += at[6] & 63;
        run->now_ns += 1000;
        offer(run, frame);
    }
}

static void check_account(struct run *run) {
    struct fp_merge_counters all;
    run->now_ns += 2 * FP_MERGE_MAX_WINDOW_NS;
    release(run);
    CHECK_EQ(run->taken_out, run->put_in);
    fp_merge_read(run->merge, run->now_ns, &all);
    uint64_t bins = 0;
    for (unsigned i = 0; i < FP_MERGE_BINS; i++) {
        bins += all.leads_a[i] + all.leads_b[i];
    }
    CHECK_EQ(bins, all.differential_frames);
    CHECK_EQ(all.held_frames, 0);
    CHECK(all.most_held_frames <= HOLD_FRAMES);
    for (unsigned path = 0; path < FP_MERGE_PATHS; path++) {
        const struct fp_merge_path_counters *one = &all.paths[path];
        CHECK_EQ(one->received_frames, run->offered[path]);
        CHECK(one->forwarded_frames <= one->received_frames);
        CHECK(all.lost_frames <= one->lost_frames);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct fp_merge *memory;
    if (size < 1) {
        return 0;
    }
    struct fp_merge_config config = {.window_ns = 100000ULL << (data[0] & 7), .slots = SLOTS};
    config.hold_frames = (data[0] & 8) != 0 ? HOLD_FRAMES : 0;
    if (memory == NULL) {
        struct fp_merge_config largest = {.window_ns = 1, .slots = SLOTS, .hold_frames = 1};
        CHECK_EQ(posix_memalign((void **)&memory, 64, fp_merge_plan_bytes(&largest)), 0);
    }
    CHECK_EQ(fp_merge_create(memory, &config), 0);
    struct run run = {.merge = memory, .now_ns = 1000000000};
    for (size_t at = 1; at + EVENT_BYTES <= size; at += EVENT_BYTES) {
        event(&run, data + at);
    }
    check_account(&run);
    return 0;
}
