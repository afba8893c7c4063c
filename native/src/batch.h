/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A batch of frames on its way through the stages: slots -> keys -> routes -> transmit rings. Each stage asks the
 * caches for what the next one reads, so that the waits for memory of a whole batch overlap; each is a function of its
 * own, so that it has the registers for itself. The variants of a stage do the same; each leaves out what the table
 * does not ask for.
 */
#ifndef FP_BATCH_H
#define FP_BATCH_H

#include "burst.h"

/* A frame between two stages. */
struct fp_item {
    struct fp_frame frame;
    uint64_t hash;
    const struct fp_table_entry *entry; /* most likely its route; once found: its route, or NULL */
    uint64_t words[FP_KEY_WORDS];       /* of one shape: masked; else the key's */
};

/* stage_parse.c: slots from `at` on, which may go over the ring's end, to frames. Returns how many. */
uint32_t fp_stage_take(struct fp_burst *burst, struct fp_item *items, uint32_t at, uint32_t count);
/* Frames to keys; those that are none are dropped. Returns how many are left. */
uint32_t fp_stage_parse_narrow(struct fp_burst *burst, struct fp_item *items, uint32_t count);
uint32_t fp_stage_parse_wide(struct fp_burst *burst, struct fp_item *items, uint32_t count);
uint32_t fp_stage_parse_shapes(struct fp_burst *burst, struct fp_item *items, uint32_t count);
/* Keys to the routes most likely theirs, and what these need; of a table that observes, also with pacing, also with
 * merges. */
void fp_stage_fetch(const struct fp_burst *burst, struct fp_item *items, uint32_t count);
void fp_stage_fetch_observed(const struct fp_burst *burst, struct fp_item *items, uint32_t count);
void fp_stage_fetch_paced(const struct fp_burst *burst, struct fp_item *items, uint32_t count);
void fp_stage_fetch_merged(const struct fp_burst *burst, struct fp_item *items, uint32_t count);

/* stage_observe.c: frames to routes, and what is observed of them. */
void fp_stage_observe_narrow(struct fp_burst *burst, struct fp_item *items, uint32_t count);
void fp_stage_observe_wide(struct fp_burst *burst, struct fp_item *items, uint32_t count);
void fp_stage_observe_shapes(struct fp_burst *burst, struct fp_item *items, uint32_t count);

/* stage_match.c: frames to routes, and on to transmit slots; of a table that observes but paces and merges nothing,
 * what is observed, too. */
void fp_stage_match_narrow(struct fp_burst *burst, const struct fp_item *items, uint32_t count);
void fp_stage_match_wide(struct fp_burst *burst, const struct fp_item *items, uint32_t count);
void fp_stage_match_shapes(struct fp_burst *burst, const struct fp_item *items, uint32_t count);
void fp_stage_match_rtp_narrow(struct fp_burst *burst, const struct fp_item *items, uint32_t count);
void fp_stage_match_rtp_wide(struct fp_burst *burst, const struct fp_item *items, uint32_t count);
/* The same of frames whose routes the stage before has found, without and with merges. */
void fp_stage_act(struct fp_burst *burst, const struct fp_item *items, uint32_t count);
void fp_stage_act_merged(struct fp_burst *burst, const struct fp_item *items, uint32_t count);
/* And with merges that hold frames. */
void fp_stage_act_ordered(struct fp_burst *burst, const struct fp_item *items, uint32_t count);

/* The route of an item where the table has one shape, NULL where none fits. */
static inline __attribute__((always_inline)) const struct fp_table_entry *
fp_item_find(const struct fp_table_flat *table, uint32_t number, bool wide_shape, const struct fp_item *item) {
    const struct fp_table_entry *entry = item->entry;
    if (__builtin_expect(!fp_entry_equals(entry, wide_shape, item->words), 0)) {
        entry = fp_shape_find(table, number, wide_shape, item->hash, item->words);
    }
    return __builtin_expect(entry != NULL && entry->level <= item->frame.layout.level, 1) ? entry : NULL;
}

#endif
