/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames to routes, and what is observed of them, where there is more to it than RTP counters: before the stage that
 * acts on the routes and by itself, for what both need does not fit the registers.
 */
#include "batch.h"
#include "media.h"

static inline __attribute__((always_inline)) void stage_observe(struct fp_burst *burst, struct fp_item *items,
                                                                uint32_t count, bool wide, bool one_shape) {
    const struct fp_table_flat *table = burst->worker->table;
    struct fp_segment *segment = burst->worker->segment;
    const uint64_t now_ns = burst->now_ns;
    const uint32_t number = table->order[0] & (FP_MAX_SHAPES - 1);
    const bool wide_shape = wide && table->shapes[number].wide;
    for (struct fp_item *item = items; item < items + count; item++) {
        const struct fp_table_entry *entry =
            one_shape ? fp_item_find(table, number, wide_shape, item)
                      : fp_table_search(table, item->words, burst->port, item->frame.layout.level);
        item->entry = entry;
        if (__builtin_expect(entry != NULL, 1) && entry->observe != 0) {
            fp_media_observe_inline(burst, segment, table, &item->frame, entry, now_ns, true);
        }
    }
}

void fp_stage_observe_narrow(struct fp_burst *burst, struct fp_item *items, uint32_t count) {
    stage_observe(burst, items, count, false, true);
}

void fp_stage_observe_wide(struct fp_burst *burst, struct fp_item *items, uint32_t count) {
    stage_observe(burst, items, count, true, true);
}

void fp_stage_observe_shapes(struct fp_burst *burst, struct fp_item *items, uint32_t count) {
    stage_observe(burst, items, count, true, false);
}
