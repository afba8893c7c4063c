/* SPDX-License-Identifier: Apache-2.0 */
/* Slots to frames, frames to keys, keys to what a route needs. */
#include "batch.h"
#include "media.h"
#include "take.h"

/* Slots to frames, whose first lines are fetched, or all lines where they will be copied. Returns how many. */
static inline __attribute__((always_inline)) uint32_t take_run(struct fp_burst *burst, struct fp_item *item,
                                                               uint32_t at, uint32_t count, bool whole) {
    struct fp_window ring = fp_window_open(burst);
    struct netmap_slot *slot = &burst->ring->shared->slot[at];
    const struct fp_item *first = item;
    for (const struct netmap_slot *end = slot + count; slot < end; slot++) {
        if (__builtin_expect(!fp_window_take(burst, &ring, slot, &item->frame), 0)) {
            continue;
        }
        __builtin_prefetch(item->frame.bytes);
        if (whole) {
            uint32_t length = fp_frame_length(&item->frame);
            length = length < FP_FETCHED_BYTES ? length : FP_FETCHED_BYTES;
            for (uint32_t line = FP_LINE_BYTES; line < length; line += FP_LINE_BYTES) {
                __builtin_prefetch(item->frame.bytes + line, 0, 2);
            }
        }
        item++;
    }
    return (uint32_t)(item - first);
}

/* Out of line, so that each stage has the registers for itself. */
static __attribute__((noinline)) uint32_t take_headers(struct fp_burst *burst, struct fp_item *items, uint32_t at,
                                                       uint32_t count) {
    return take_run(burst, items, at, count, false);
}

static __attribute__((noinline)) uint32_t take_whole(struct fp_burst *burst, struct fp_item *items, uint32_t at,
                                                     uint32_t count) {
    return take_run(burst, items, at, count, true);
}

/* A batch, which may go over the ring's end. */
uint32_t fp_stage_take(struct fp_burst *burst, struct fp_item *items, uint32_t at, uint32_t count) {
    uint32_t run = burst->ring->slots - at;
    run = run < count ? run : count;
    uint32_t (*take)(struct fp_burst *, struct fp_item *, uint32_t, uint32_t) =
        burst->ingress->copied ? take_whole : take_headers;
    uint32_t frames = take(burst, items, at, run);
    return run == count ? frames : frames + take(burst, items + frames, 0, count - run);
}

/* Frames to keys; the bucket that the first shape makes of them is fetched. Frames that are none are dropped. Returns
 * how many are left. */
static inline __attribute__((always_inline)) uint32_t stage_parse(struct fp_burst *burst, struct fp_item *items,
                                                                  uint32_t count, bool wide, bool one_shape) {
    const struct fp_table_flat *table = burst->worker->table;
    const uint32_t number = table->order[0] & (FP_MAX_SHAPES - 1);
    const uint32_t mask = table->mask & (FP_TABLE_BUCKETS - 1);
    const uint32_t port = burst->port;
    const struct fp_table_shape shape = table->shapes[number]; /* stores into items cannot change it */
    struct fp_item *end = items + count;
    for (struct fp_item *item = items; item < end;) {
        uint64_t words[FP_KEY_WORDS];
        uint64_t masked[FP_KEY_WORDS];
        unsigned refusal = fp_frame_read_inline(item->frame.bytes, fp_frame_length(&item->frame), port, wide, words,
                                                &item->frame.layout);
        if (__builtin_expect(refusal == FP_DROP_SHORT + 1, 0)) { /* no route takes it, whatever it compares */
            fp_burst_drop(burst, FP_DROP_SHORT);
            end--;
            memmove(item, item + 1, (size_t)(end - item) * sizeof *item);
            continue;
        }
        fp_shape_mask(&shape, wide, words, masked);
        uint64_t hash = fp_shape_hash(number, wide && shape.wide, masked);
        __builtin_prefetch(&table->buckets[hash & mask]);
        item->hash = hash;
        for (unsigned word = 0; word < (wide ? FP_KEY_WORDS : FP_KEY_NARROW); word++) {
            item->words[word] = one_shape ? masked[word] : words[word];
        }
        item++;
    }
    return (uint32_t)(end - items);
}

uint32_t fp_stage_parse_narrow(struct fp_burst *burst, struct fp_item *items, uint32_t count) {
    return stage_parse(burst, items, count, false, true);
}

uint32_t fp_stage_parse_wide(struct fp_burst *burst, struct fp_item *items, uint32_t count) {
    return stage_parse(burst, items, count, true, true);
}

uint32_t fp_stage_parse_shapes(struct fp_burst *burst, struct fp_item *items, uint32_t count) {
    return stage_parse(burst, items, count, true, false);
}

/*
 * The route most likely the frame's (any where there is none), and what it needs. Of 10,000 routes 19 in 20 lie in the
 * first bucket or the next, chosen without a branch that one frame in five would mispredict. Where frames are observed,
 * their observation is written instead of the route's counters.
 */
static inline __attribute__((always_inline)) void fetch(const struct fp_burst *burst, struct fp_item *items,
                                                        uint32_t count, bool observed, bool pacing, bool merged) {
    const struct fp_table_flat *table = burst->worker->table;
    struct fp_segment *segment = burst->worker->segment;
    const struct fp_route_block *counters = segment->routes;
    const uint32_t mask = table->mask & (FP_TABLE_BUCKETS - 1);
    for (struct fp_item *item = items; item < items + count; item++) {
        uint32_t at = (uint32_t)item->hash & mask;
        uint64_t bucket = fp_bucket_word(&table->buckets[at]);
        uint64_t next = fp_bucket_word(&table->buckets[(at + 1) & mask]);
        bucket = (uint16_t)bucket == (uint16_t)(item->hash >> 48) ? bucket : next;
        uint32_t counter = (bucket >> 32) % FP_MAX_ROUTES;
        item->entry = fp_table_entry_of(table, (uint16_t)(bucket >> 16));
        __builtin_prefetch(item->entry);
        if (!observed) {
            __builtin_prefetch(&counters[counter], 1);
            continue;
        }
        fp_media_fetch(segment, counter, (uint32_t)(bucket >> 48), pacing);
        if (merged && bucket >> (48 + FP_BUCKET_MERGE_SHIFT) != 0) {
            fp_merge_prefetch(fp_media_merge(burst, (uint32_t)(bucket >> (48 + FP_BUCKET_MERGE_SHIFT))));
        }
    }
}

void fp_stage_fetch(const struct fp_burst *burst, struct fp_item *items, uint32_t count) {
    fetch(burst, items, count, false, false, false);
}

void fp_stage_fetch_observed(const struct fp_burst *burst, struct fp_item *items, uint32_t count) {
    fetch(burst, items, count, true, false, false);
}

void fp_stage_fetch_paced(const struct fp_burst *burst, struct fp_item *items, uint32_t count) {
    fetch(burst, items, count, true, true, false);
}

/* And where a merge looks for a frame, which only the merge tells. */
void fp_stage_fetch_merged(const struct fp_burst *burst, struct fp_item *items, uint32_t count) {
    fetch(burst, items, count, true, true, true);
    for (const struct fp_item *item = items; item < items + count; item++) {
        fp_media_fetch_slot(burst, &item->frame, item->entry);
    }
}
