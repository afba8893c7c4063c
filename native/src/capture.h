/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Samples of routes' frames, as they came in, for whoever looks: a ring in the state segment. The worker writes over
 * the oldest and waits for nobody; a reader finds out when it was too slow.
 */
#ifndef FP_CAPTURE_H
#define FP_CAPTURE_H

#include "seqlock.h"

struct fp_burst;
struct fp_frame;
struct fp_table_entry;

enum { FP_CAPTURE_HEAD_WORDS = 2, FP_CAPTURE_WORDS = FP_CAPTURE_HEAD_WORDS + FP_CAPTURE_BYTES / 8 };

/* All written by the worker. */
struct fp_capture_slot {
    _Alignas(64) fp_word number; /* of the frame in it + 1; 0: none, or one is being written */
    fp_word words[FP_CAPTURE_WORDS];
};

struct fp_capture {
    _Alignas(64) fp_word count; /* frames captured so far; the next one's number */
    struct fp_capture_slot slots[FP_CAPTURE_SLOTS];
};

/* Captures the frame where it is one of its route's sample. */
void fp_capture_sample(struct fp_burst *burst, const struct fp_frame *frame, const struct fp_table_entry *entry);

#endif
