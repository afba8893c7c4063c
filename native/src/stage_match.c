/* SPDX-License-Identifier: Apache-2.0 */
/* Frames to routes and transmit slots. */
#include "batch.h"
#include "host_path.h"
#include "media.h"
#include "ordered.h"
#include "output.h"

/* Where a frame cannot leave in the usual way for now: drops it, as it came. */
static __attribute__((cold, noinline)) void refuse_full(struct fp_burst *burst, struct fp_cursor *cursor) {
    cursor->full_frames++;
    fp_burst_drop(burst, FP_DROP_TX_FULL);
}

/*
 * A frame whose route is known, to its outputs. Usual is one output that gets the buffer itself, as it came or with the
 * quick rewrite, done here; whatever else a route asks for has a flag of its own (FP_ENTRY_*), which leads to
 * fp_burst_output. Matching and sending in one go spares storing between them: 4 % of 10,000 routes and rewrites.
 */
static inline __attribute__((always_inline)) void forward(struct fp_burst *burst, const struct fp_frame *frame,
                                                          const struct fp_table_entry *entry, bool observed,
                                                          bool merged) {
    unsigned flags = observed ? entry->flags & ~(unsigned)FP_ENTRY_MEDIA : entry->flags;
    uint32_t length = fp_frame_length(frame);
    struct fp_place place;
    if (!observed || entry->observe == 0) { /* else its observation has counted it */
        fp_burst_count_route(burst, entry->counter, 1, length);
    }
    if (merged && (entry->merge & FP_ENTRY_MERGE) != 0 && !fp_media_merge_take(burst, frame, entry)) {
        return;
    }
    struct fp_cursor *cursor = fp_burst_cursor(burst, entry->first.port);
    bool quick = flags == (FP_ENTRY_SIMPLE | FP_ENTRY_QUICK) && frame->layout.version == 4;
    if (__builtin_expect(!quick && flags != (FP_ENTRY_SIMPLE | FP_ENTRY_AS_IT_CAME), 0) ||
        __builtin_expect(length > cursor->swap_bytes, 0)) {
        fp_burst_output(burst, frame, entry);
        return;
    }
    if (__builtin_expect(cursor->run == 0, 0) || __builtin_expect(!fp_cursor_peek(cursor, &place), 0)) {
        refuse_full(burst, cursor);
        return;
    }
    if (quick) {
        fp_quick_apply(frame->bytes, &frame->layout, &entry->quick, entry->quick_kind);
    }
    fp_cursor_swap(cursor, &place, frame, frame->ptr, frame->word);
    burst->forwarded_frames++;
}

static void refuse(struct fp_burst *burst, const struct fp_item *item) {
    uint32_t refusal = item->frame.layout.refusal;
    if (burst->ingress->host != NULL && fp_host_take(burst, &item->frame)) {
        return;
    }
    fp_burst_drop(burst, refusal != 0 ? (enum fp_drop)(refusal - 1) : FP_DROP_NO_ROUTE);
    if (refusal == 0 && burst->worker->table->discovery != 0) {
        fp_media_discover(burst, &item->frame);
    }
}

static inline __attribute__((always_inline)) void stage_match(struct fp_burst *burst, const struct fp_item *items,
                                                              uint32_t count, bool wide, bool observed) {
    const struct fp_table_flat *table = burst->worker->table;
    struct fp_segment *segment = burst->worker->segment;
    const uint64_t now_ns = burst->now_ns;
    const uint32_t number = table->order[0] & (FP_MAX_SHAPES - 1);
    const bool wide_shape = wide && table->shapes[number].wide;
    for (const struct fp_item *item = items; item < items + count; item++) {
        const struct fp_table_entry *entry = fp_item_find(table, number, wide_shape, item);
        if (__builtin_expect(entry == NULL, 0)) {
            refuse(burst, item);
            continue;
        }
        if (observed && entry->observe != 0) {
            fp_media_observe_inline(burst, segment, table, &item->frame, entry, now_ns, false);
        }
        forward(burst, &item->frame, entry, observed, false);
    }
}

void fp_stage_match_narrow(struct fp_burst *burst, const struct fp_item *items, uint32_t count) {
    stage_match(burst, items, count, false, false);
}

void fp_stage_match_wide(struct fp_burst *burst, const struct fp_item *items, uint32_t count) {
    stage_match(burst, items, count, true, false);
}

void fp_stage_match_rtp_narrow(struct fp_burst *burst, const struct fp_item *items, uint32_t count) {
    stage_match(burst, items, count, false, true);
}

void fp_stage_match_rtp_wide(struct fp_burst *burst, const struct fp_item *items, uint32_t count) {
    stage_match(burst, items, count, true, true);
}

/* The same over several shapes. */
void fp_stage_match_shapes(struct fp_burst *burst, const struct fp_item *items, uint32_t count) {
    const struct fp_table_flat *table = burst->worker->table;
    for (const struct fp_item *item = items; item < items + count; item++) {
        const struct fp_table_entry *entry = fp_table_search(table, item->words, burst->port, item->frame.layout.level);
        if (entry != NULL) {
            forward(burst, &item->frame, entry, false, false);
        } else {
            refuse(burst, item);
        }
    }
}

/* A path of a merge that holds frames: none goes on from here. */
static void hold(struct fp_burst *burst, const struct fp_frame *frame, const struct fp_table_entry *entry) {
    if (entry->observe == 0) {
        fp_burst_count_route(burst, entry->counter, 1, fp_frame_length(frame));
    }
    fp_ordered_take(burst, frame, entry);
}

static inline __attribute__((always_inline)) void stage_act(struct fp_burst *burst, const struct fp_item *items,
                                                            uint32_t count, bool merged, bool ordered) {
    for (const struct fp_item *item = items; item < items + count; item++) {
        const struct fp_table_entry *entry = item->entry;
        if (ordered && entry != NULL && (entry->merge & FP_ENTRY_ORDERED) != 0) {
            hold(burst, &item->frame, entry);
        } else if (__builtin_expect(entry != NULL, 1)) {
            forward(burst, &item->frame, entry, true, merged);
        } else {
            refuse(burst, item);
        }
    }
}

void fp_stage_act(struct fp_burst *burst, const struct fp_item *items, uint32_t count) {
    stage_act(burst, items, count, false, false);
}

void fp_stage_act_merged(struct fp_burst *burst, const struct fp_item *items, uint32_t count) {
    stage_act(burst, items, count, true, false);
}

void fp_stage_act_ordered(struct fp_burst *burst, const struct fp_item *items, uint32_t count) {
    stage_act(burst, items, count, true, true);
}
