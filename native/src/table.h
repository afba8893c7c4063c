/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The route table as it lies in memory: no pointers, so the same bytes work in every process that maps them. Open
 * addressing, linear probing, at most half full; a bucket holds 16 bits of the hash to spare most comparisons.
 */
#ifndef FP_TABLE_H
#define FP_TABLE_H

#include "fastpath.h"
#include <string.h>

#define FP_TABLE_BUCKETS (2 * FP_MAX_ROUTES)

struct fp_table_bucket {
    uint16_t tag;
    uint16_t route; /* index + 1; 0: empty */
};

struct fp_table_entry {
    _Alignas(64) struct fp_route route; /* one cache line */
};

struct fp_table_flat {
    uint32_t count;
    uint32_t mask; /* buckets - 1 */
    struct fp_table_bucket buckets[FP_TABLE_BUCKETS];
    struct fp_table_entry entries[FP_MAX_ROUTES];
};

struct fp_table {
    uint32_t capacity;
    struct fp_table_flat flat;
};

static inline uint64_t fp_key_hash(const struct fp_key *key) {
    uint64_t words[3];
    memcpy(words, key, sizeof words);
    uint64_t hash = words[0] * 0x9e3779b97f4a7c15ULL;
    hash = (hash ^ (hash >> 32) ^ words[1]) * 0xd6e8feb86659fd93ULL;
    hash = (hash ^ (hash >> 32) ^ words[2]) * 0xd6e8feb86659fd93ULL;
    return hash ^ (hash >> 32);
}

static inline int fp_key_equal(const struct fp_key *a, const struct fp_key *b) {
    uint64_t left[3];
    uint64_t right[3];
    memcpy(left, a, sizeof left);
    memcpy(right, b, sizeof right);
    return ((left[0] ^ right[0]) | (left[1] ^ right[1]) | (left[2] ^ right[2])) == 0;
}

/* Bounded whatever the memory holds: `mask` and route indices are clipped to the arrays. */
static inline const struct fp_route *fp_table_flat_lookup(const struct fp_table_flat *table, const struct fp_key *key) {
    uint64_t hash = fp_key_hash(key);
    uint16_t tag = (uint16_t)(hash >> 48);
    uint32_t mask = table->mask & (FP_TABLE_BUCKETS - 1);
    uint32_t at = (uint32_t)hash & mask;
    for (uint32_t probes = 0; probes <= mask; probes++) {
        struct fp_table_bucket bucket = table->buckets[at];
        if (bucket.route == 0) {
            return NULL;
        }
        if (bucket.tag == tag) {
            const struct fp_route *route = &table->entries[(bucket.route - 1U) & (FP_MAX_ROUTES - 1)].route;
            if (fp_key_equal(&route->key, key)) {
                return route;
            }
        }
        at = (at + 1) & mask;
    }
    return NULL;
}

#endif
