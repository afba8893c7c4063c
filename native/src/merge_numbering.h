/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the merge share and its callers do not need. */
#ifndef FP_MERGE_NUMBERING_H
#define FP_MERGE_NUMBERING_H

#include "merge.h"

enum {
    FP_MERGE_BLOCK = 64,    /* numbers between two looks at the tail */
    FP_MERGE_RESERVE = 192, /* slots that are never reached ahead of the tail: blocks judged at once, and one more */
    FP_MERGE_SLACK = 1024   /* frames an estimate may err by beyond half a picture */
};

static inline uint64_t fp_merge_slot_ns(const struct fp_merge *merge, uint64_t number) {
    return merge->slots[number & merge->mask] >> FP_SLOT_SHIFT;
}

/* The most numbers between the oldest and the newest one kept. */
static inline uint64_t fp_merge_reach(const struct fp_merge *merge) { return merge->mask + 1ULL - FP_MERGE_RESERVE; }

static inline void fp_merge_set_low(struct fp_merge *merge) {
    merge->low = merge->tail > merge->base ? merge->tail : merge->base;
}

/* The numbering begins with this frame as `number`. */
void fp_merge_begin(struct fp_merge *merge, const struct fp_merge_frame *frame, uint64_t number);
/* The numbering with a new frame, behind `gap` missing ones; called before merge->head moves. */
void fp_merge_follow(struct fp_merge *merge, const struct fp_merge_frame *frame, uint64_t number, uint64_t gap,
                     uint64_t now_ns);
/* The frame's number in a numbering whose newest is `top`; false where it is none of its frames. */
bool fp_merge_locate(const struct fp_merge_numbering *as, uint64_t top, const struct fp_merge_frame *frame,
                     uint64_t *number);
/* By how much the frame's timestamp is ahead of the clock, in ns; false where the clock's rate is not known. */
bool fp_merge_lead(const struct fp_merge *merge, const struct fp_merge_frame *frame, uint64_t now_ns, int64_t *out);

/* Judges what is due, at most `most` numbers, and all below `forced`. */
void fp_merge_judge(struct fp_merge *merge, uint64_t now_ns, uint64_t forced, uint64_t most);

/* Of flows that hold frames: whether `number` can be taken now; where not, frames are free to be released. */
bool fp_merge_make_room(struct fp_merge *merge, uint64_t number);
/* What becomes of a first copy whose slot is written. */
enum fp_merge_verdict fp_merge_put_in_order(struct fp_merge *merge, uint64_t number);

#endif
