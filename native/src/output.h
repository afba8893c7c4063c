/* SPDX-License-Identifier: Apache-2.0 */
/* A frame to the outputs of its route. */
#ifndef FP_OUTPUT_H
#define FP_OUTPUT_H

#include "burst.h"
#include "rewrite.h"

/* In all their variety; the frame has been counted for its route. */
void fp_burst_output(struct fp_burst *burst, const struct fp_frame *frame, const struct fp_table_entry *entry);

/* The usual case, one output that gets the buffer itself. */
static inline __attribute__((always_inline)) void fp_burst_deliver(struct fp_burst *burst, const struct fp_frame *frame,
                                                                   const struct fp_table_entry *entry) {
    struct fp_place place;
    uint32_t length = fp_frame_length(frame);
    fp_burst_count_route(burst, entry->counter, 1, length);
    if (__builtin_expect((entry->flags & (FP_ENTRY_SIMPLE | FP_ENTRY_EXPIRES)) == FP_ENTRY_SIMPLE, 1)) {
        struct fp_cursor *cursor = fp_burst_cursor(burst, entry->first.port);
        if (__builtin_expect(length <= cursor->swap_bytes && fp_cursor_peek(cursor, &place), 1)) {
            if ((entry->flags & FP_ENTRY_QUICK) != 0 && frame->layout.version == 4) {
                fp_quick_apply(frame->bytes, &frame->layout, &entry->quick);
            } else if (entry->first.rewrite != 0) {
                fp_rewrite_apply(frame->bytes, &frame->layout, fp_entry_rewrite(burst->worker->table, entry, 0));
            }
            fp_cursor_swap(cursor, &place, frame, frame->ptr, frame->word);
            fp_burst_count_taken(burst, entry);
            return;
        }
    }
    fp_burst_output(burst, frame, entry);
}

#endif
