/* SPDX-License-Identifier: Apache-2.0 */
/* Frames to routes, and what nearly all routes ask for. */
#include "batch.h"
#include "host_path.h"
#include "media.h"
#include "ordered.h"

/*
 * A frame whose route is known. Usual is one output that gets the buffer itself, as it came or with the quick rewrite,
 * done here; whatever else a route asks for has a flag of its own (FP_ENTRY_*), which leads by `cursor` NULL to
 * send_otherwise.
 */
static inline __attribute__((always_inline)) void
match(struct fp_burst *burst, struct fp_item *item, const struct fp_table_entry *entry, bool observed, bool merged) {
    unsigned flags = observed ? entry->flags & ~(unsigned)FP_ENTRY_MEDIA : entry->flags;
    struct fp_cursor *cursor = &burst->cursors[entry->first.port % FP_MAX_PORTS];
    uint32_t length = fp_frame_length(&item->frame);
    __asm__("" : "+r"(cursor));             /* so that gcc does not compute it anew for each use */
    if (!observed || entry->observe == 0) { /* else its observation has counted it */
        fp_burst_count_route(burst, entry->counter, 1, length);
    }
    item->entry = entry;
    item->cursor = cursor;
    if (__builtin_expect(length > cursor->swap_bytes, 0)) {
        (void)fp_burst_cursor(burst, entry->first.port);
        item->cursor = length > cursor->swap_bytes ? NULL : cursor;
    }
    if (merged && (entry->merge & FP_ENTRY_MERGE) != 0 && !fp_media_merge_take(burst, &item->frame, entry)) {
        item->entry = NULL;
        item->cursor = NULL;
        return;
    }
    if (flags == (FP_ENTRY_SIMPLE | FP_ENTRY_QUICK) && item->frame.layout.version == 4) {
        if (__builtin_expect(item->cursor != NULL, 1)) {
            fp_quick_apply(item->frame.bytes, &item->frame.layout, &entry->quick, entry->quick_kind);
        }
    } else if (__builtin_expect(flags != (FP_ENTRY_SIMPLE | FP_ENTRY_AS_IT_CAME), 0)) {
        item->cursor = NULL;
    }
}

static void refuse(struct fp_burst *burst, struct fp_item *item) {
    uint32_t refusal = item->frame.layout.refusal;
    item->entry = NULL;
    item->cursor = NULL;
    if (burst->ingress->host != NULL && fp_host_take(burst, &item->frame)) {
        return;
    }
    fp_burst_drop(burst, refusal != 0 ? (enum fp_drop)(refusal - 1) : FP_DROP_NO_ROUTE);
    if (refusal == 0 && burst->worker->table->discovery != 0) {
        fp_media_discover(burst, &item->frame);
    }
}

static inline __attribute__((always_inline)) void stage_match(struct fp_burst *burst, struct fp_item *items,
                                                              uint32_t count, bool wide, bool observed) {
    const struct fp_table_flat *table = burst->worker->table;
    struct fp_segment *segment = burst->worker->segment;
    const uint64_t now_ns = burst->now_ns;
    const uint32_t number = table->order[0] & (FP_MAX_SHAPES - 1);
    const bool wide_shape = wide && table->shapes[number].wide;
    for (struct fp_item *item = items; item < items + count; item++) {
        const struct fp_table_entry *entry = fp_item_find(table, number, wide_shape, item);
        if (__builtin_expect(entry == NULL, 0)) {
            refuse(burst, item);
            continue;
        }
        if (observed && entry->observe != 0) {
            fp_media_observe_inline(burst, segment, table, &item->frame, entry, now_ns, false);
        }
        match(burst, item, entry, observed, false);
    }
}

void fp_stage_match_narrow(struct fp_burst *burst, struct fp_item *items, uint32_t count) {
    stage_match(burst, items, count, false, false);
}

void fp_stage_match_wide(struct fp_burst *burst, struct fp_item *items, uint32_t count) {
    stage_match(burst, items, count, true, false);
}

void fp_stage_match_rtp_narrow(struct fp_burst *burst, struct fp_item *items, uint32_t count) {
    stage_match(burst, items, count, false, true);
}

void fp_stage_match_rtp_wide(struct fp_burst *burst, struct fp_item *items, uint32_t count) {
    stage_match(burst, items, count, true, true);
}

/* The same over several shapes. */
void fp_stage_match_shapes(struct fp_burst *burst, struct fp_item *items, uint32_t count) {
    const struct fp_table_flat *table = burst->worker->table;
    for (struct fp_item *item = items; item < items + count; item++) {
        const struct fp_table_entry *entry = fp_table_search(table, item->words, burst->port, item->frame.layout.level);
        if (entry != NULL) {
            match(burst, item, entry, false, false);
        } else {
            refuse(burst, item);
        }
    }
}

/* A path of a merge that holds frames: none goes on from here. */
static void match_ordered(struct fp_burst *burst, struct fp_item *item, const struct fp_table_entry *entry) {
    if (entry->observe == 0) {
        fp_burst_count_route(burst, entry->counter, 1, fp_frame_length(&item->frame));
    }
    item->entry = NULL;
    item->cursor = NULL;
    fp_ordered_take(burst, &item->frame, entry);
}

static inline __attribute__((always_inline)) void stage_act(struct fp_burst *burst, struct fp_item *items,
                                                            uint32_t count, bool merged, bool ordered) {
    for (struct fp_item *item = items; item < items + count; item++) {
        const struct fp_table_entry *entry = item->entry;
        if (ordered && entry != NULL && (entry->merge & FP_ENTRY_ORDERED) != 0) {
            match_ordered(burst, item, entry);
        } else if (__builtin_expect(entry != NULL, 1)) {
            match(burst, item, entry, true, merged);
        } else {
            refuse(burst, item);
        }
    }
}

void fp_stage_act(struct fp_burst *burst, struct fp_item *items, uint32_t count) {
    stage_act(burst, items, count, false, false);
}

void fp_stage_act_merged(struct fp_burst *burst, struct fp_item *items, uint32_t count) {
    stage_act(burst, items, count, true, false);
}

void fp_stage_act_ordered(struct fp_burst *burst, struct fp_item *items, uint32_t count) {
    stage_act(burst, items, count, true, true);
}
