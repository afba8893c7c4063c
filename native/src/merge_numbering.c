/* SPDX-License-Identifier: Apache-2.0 */
/* Sequence numbers and timestamps to 64-bit numbers: learning how many frames pass in a tick, and using it. */
#include "merge_numbering.h"

enum {
    RATE_SHIFT = 24,
    TICK_SHIFT = 12,
    SMALL_GAP = 64,           /* frames; a longest run with one timestamp is not learnt across more */
    MOST_HALF_SPAN = 30000,   /* of 65,536 frames, so that slack remains */
    SURE_SHIFT = 9,           /* of a far estimate, one in 512 may be wrong */
    LONGEST_LESSON = 1 << 20, /* frames; a rate is exact enough then, and learnt anew */
    LEAST_LESSON_WINDOWS = 8  /* the first and the last frame of it may have come on different paths */
};

#define LEAST_LESSON_NS 10000000ULL /* bursts arrive less exactly than clocks run */
#define MOST_RATE (1LL << 31)       /* 128 frames a tick; times 2^31 ticks still fits into 63 bits */

static void set_span(struct fp_merge_numbering *as, uint64_t run) {
    uint64_t half = run / 2 < MOST_HALF_SPAN ? run / 2 : MOST_HALF_SPAN;
    uint64_t tolerance = half + FP_MERGE_SLACK;
    as->half_span = (uint16_t)half;
    as->tolerance = (uint16_t)(tolerance < INT16_MAX ? tolerance : INT16_MAX);
}

void fp_merge_begin(struct fp_merge *merge, const struct fp_merge_frame *frame, uint64_t number) {
    merge->now = (struct fp_merge_numbering){
        .ref = number,
        .ref_timestamp = frame->timestamp,
        .ref_sequence = frame->sequence,
        .ssrc = frame->ssrc,
    };
    set_span(&merge->now, 0);
    merge->flags |= FP_MERGE_LEARNING;
    merge->tick_ns = 0;
    merge->learn_frames = 0;
    merge->base = number;
}

static void set_mark(struct fp_merge *merge, uint64_t ref_ns) {
    merge->mark = merge->now.ref;
    merge->mark_timestamp = merge->now.ref_timestamp;
    merge->mark_ns = ref_ns;
}

/* The reference is the first frame of its timestamp: so is the mark, and the frames between took the ticks between. */
static void learn(struct fp_merge *merge, uint64_t ref_ns) {
    struct fp_merge_numbering *as = &merge->now;
    int64_t ticks = (int32_t)(as->ref_timestamp - merge->mark_timestamp);
    uint64_t frames = as->ref - merge->mark;
    if (ticks <= 0 || frames >> 38 != 0) { /* not a sender's clock, or too far for it */
        set_mark(merge, ref_ns);
        return;
    }
    uint64_t least_ns = LEAST_LESSON_WINDOWS * merge->window_ns + LEAST_LESSON_NS;
    int64_t rate = (int64_t)(frames << RATE_SHIFT) / ticks;
    uint64_t elapsed_ns = ref_ns - merge->mark_ns;
    as->rate = rate < MOST_RATE ? rate : MOST_RATE;
    as->known = 1;
    merge->flags &= ~(uint32_t)FP_MERGE_LEARNING;
    if (elapsed_ns >= least_ns && elapsed_ns >> 50 == 0) {
        uint64_t tick_ns = (elapsed_ns << TICK_SHIFT) / (uint64_t)ticks;
        merge->tick_ns = tick_ns < INT32_MAX ? tick_ns : INT32_MAX;
    }
    if (merge->learn_frames < LONGEST_LESSON || elapsed_ns < least_ns) {
        merge->learn_frames *= 2;
    } else {
        set_mark(merge, ref_ns);
    }
}

/* Where the first frame of this timestamp is: this one, or one of those missing before it. */
static uint64_t find_first(const struct fp_merge_numbering *as, uint32_t timestamp, uint64_t number, uint64_t gap) {
    int64_t ticks = (int32_t)(timestamp - as->ref_timestamp);
    uint64_t first = as->ref + (uint64_t)(ticks * as->rate >> RATE_SHIFT);
    uint64_t back = gap < 2ULL * as->half_span ? gap : 2ULL * as->half_span;
    if (as->known == 0 || first >= number) {
        return number;
    }
    return number - first < back ? first : number - back;
}

void fp_merge_follow(struct fp_merge *merge, const struct fp_merge_frame *frame, uint64_t number, uint64_t gap,
                     uint64_t now_ns) {
    struct fp_merge_numbering *as = &merge->now;
    bool changed = frame->timestamp != as->ref_timestamp;
    bool in_slots = merge->head - as->ref < merge->mask;
    if (changed) {
        uint64_t run = number - as->ref;
        uint64_t first = find_first(as, frame->timestamp, number, gap);
        if (run > 2ULL * as->half_span + 1 && gap < SMALL_GAP && (as->known != 0 || merge->learn_frames != 0)) {
            set_span(as, run);
        }
        as->ref = first;
        as->ref_timestamp = frame->timestamp;
        as->ref_sequence = (uint16_t)(frame->sequence - (uint16_t)(number - first));
    }
    if (as->known != 0) {
        if (number / FP_MERGE_BLOCK != merge->head / FP_MERGE_BLOCK && as->ref - merge->mark >= merge->learn_frames) {
            learn(merge, changed || !in_slots ? now_ns : fp_merge_slot_ns(merge, as->ref));
        }
    } else if (changed && merge->learn_frames == 0) {
        merge->learn_frames = 1;
        set_mark(merge, now_ns);
    } else if (changed) {
        learn(merge, now_ns);
    }
}

/* Before the rate is known: older timestamps go with numbers less than half a wrap back, newer ones come within one. */
static uint64_t guess(const struct fp_merge_numbering *as, uint64_t top, const struct fp_merge_frame *frame) {
    int32_t ticks = (int32_t)(frame->timestamp - as->ref_timestamp);
    uint16_t ahead = (uint16_t)(frame->sequence - as->ref_sequence - (uint16_t)(top - as->ref));
    if (ticks < 0 && (int16_t)ahead >= 0) {
        return 0;
    }
    if (ticks <= 0) {
        return top + (uint64_t)(int64_t)(int16_t)ahead;
    }
    return top + (ahead != 0 ? ahead : UINT16_MAX + 1U);
}

bool fp_merge_locate(const struct fp_merge_numbering *as, uint64_t top, const struct fp_merge_frame *frame,
                     uint64_t *number) {
    if (as->known == 0) {
        *number = guess(as, top, frame);
        return true;
    }
    if (fp_merge_place(as, frame->timestamp, frame->sequence, number)) {
        return true;
    }
    int64_t ticks = (int32_t)(frame->timestamp - as->ref_timestamp);
    int64_t estimate = (ticks * as->rate >> RATE_SHIFT) + as->half_span;
    int64_t off = (int64_t)(*number - as->ref) - estimate;
    int64_t tolerance = as->tolerance + ((estimate < 0 ? -estimate : estimate) >> SURE_SHIFT);
    return off <= tolerance && -off <= tolerance;
}

bool fp_merge_lead(const struct fp_merge *merge, const struct fp_merge_frame *frame, uint64_t now_ns, int64_t *out) {
    int64_t ticks = (int32_t)(frame->timestamp - merge->now.ref_timestamp);
    uint64_t elapsed_ns = now_ns - fp_merge_slot_ns(merge, merge->head);
    if (merge->tick_ns == 0 || elapsed_ns >> 62 != 0) {
        return false;
    }
    *out = (ticks * (int64_t)merge->tick_ns >> TICK_SHIFT) - (int64_t)elapsed_ns;
    return true;
}
