/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Merges that release in order: the loop's side. What such a merge lets through goes into the store of its memory
 * region (hold.h), first copies whose turn has come as well; at the end of a turn of the loop all whose turn has come
 * leaves, in order, by the first transmit ring of each output: frames of a flow in two rings would overtake each other.
 *
 * Frames that wait leave as fast as there is room: half a window of them may have their turn at once, more than any
 * ring takes. Outputs without room for FP_STUCK_NS are not waited for. Where all buffers are taken the oldest frame
 * makes room, dropped as `tx_full`.
 *
 * The merges themselves, their times and numbers: merge.h. Here are the frames.
 */
#ifndef FP_ORDERED_H
#define FP_ORDERED_H

#include "hold.h"

#define FP_STUCK_NS 10000000U
#define FP_LEAVE_NS 100000000U /* what a merge that ends still holds may take so long to leave */

/* Frames of one merge whose turn has come, and where its others are. */
struct fp_ordered_line {
    struct fp_hold *hold; /* while it has any */
    uint32_t first;       /* handle; FP_HOLD_NONE: empty */
    uint32_t last;
};

struct fp_ordering {
    uint32_t hold_count;
    struct fp_hold *holds[FP_MAX_PORTS];
    struct fp_hold *hold_of[FP_MAX_PORTS]; /* by port; NULL: none in its region */
    uint64_t due_ns;                       /* when the loop has to look without a frame; UINT64_MAX: never */
    uint64_t leave_by_ns;                  /* 0: no merge ends */
    uint64_t room_ns[FP_MAX_PORTS];        /* when its first transmit ring had room */
    uint32_t turn;                         /* the merge that is first in the next turn */
    uint64_t busy[FP_MAX_MERGES / 64];     /* merges with frames in a store */
    uint64_t leaving[FP_MAX_MERGES / 64];  /* of them those that end */
    struct fp_ordered_line lines[FP_MAX_MERGES];
};

/* A frame of a path of such a merge: held, queued or accounted for. */
void fp_ordered_take(struct fp_burst *burst, const struct fp_frame *frame, const struct fp_table_entry *entry);

/* The end of a turn that brought `frames`: what has its turn leaves. */
void fp_ordered_release(struct fp_worker *worker, uint32_t frames);

/* Before table `next` is taken: false while merges it does not go on with still have frames. They leave first, at most
 * FP_LEAVE_NS long; what is left then is dropped as `tx_full`. */
bool fp_ordered_leave(struct fp_worker *worker, const struct fp_table_flat *next);

/* At the end of the loop: all leaves, holes or not. True while some is left. `now` the rest is dropped. */
bool fp_ordered_end(struct fp_worker *worker, bool now);

/* The first busy merge from `from` on; FP_MAX_MERGES: none. */
uint32_t fp_ordered_next(const struct fp_ordering *ordering, uint32_t from);
/* Drops all a merge has in a store, as `tx_full`. */
void fp_ordered_drop(struct fp_worker *worker, uint32_t number);

void fp_ordering_destroy(struct fp_ordering *ordering); /* NULL is allowed */

#endif
