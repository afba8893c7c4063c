/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The route table as it lies in memory: no pointers, so the same bytes work in every process that maps them.
 *
 * Matches of one shape (the same mask over the key) share one hash table: a frame's key is masked, hashed with the
 * shape's number and found with one probe. Shapes are tried in the order of the highest priority they hold, so that the
 * search ends as soon as no later shape can win; one shape is the usual case. Open addressing, linear probing, at most
 * half full; a bucket holds 16 bits of the hash to spare most comparisons.
 */
#ifndef FP_TABLE_H
#define FP_TABLE_H

#include "pacing.h"
#include "quick.h"

#define FP_TABLE_BUCKETS (2 * FP_MAX_ROUTES)

struct fp_table_bucket {
    uint16_t tag;
    uint16_t route;   /* index + 1; 0: empty */
    uint16_t counter; /* of the route: what it needs can be fetched before the route itself is there */
    uint16_t media;   /* of the route, as counter: FP_OBSERVE_* | number of its merge + 1 << FP_BUCKET_MERGE_SHIFT */
};

/* One mask. */
struct fp_table_shape {
    _Alignas(64) uint64_t mask[FP_KEY_WORDS];
    uint32_t priority; /* the highest of its routes */
    uint32_t ports;    /* bit mask of the ingress ports its routes may take frames from */
    uint16_t bits;     /* set in the mask: the more specific match wins at equal priority */
    uint8_t wide;      /* the mask reaches beyond the narrow words */
    uint8_t level;     /* enum fp_level its fields need */
};

struct fp_table_output {
    uint16_t port;
    uint16_t rewrite; /* index in fp_table_flat.rewrites; 0: as it came */
};

enum {
    FP_ENTRY_TO_HOST = 1,
    FP_ENTRY_EXPIRES = 2,     /* an output decrements the TTL */
    FP_ENTRY_SIMPLE = 4,      /* one output, no tag pushed, popped or translated */
    FP_ENTRY_QUICK = 8,       /* fp_table_entry.quick does what the rewrite asks of IPv4 frames */
    FP_ENTRY_AS_IT_CAME = 16, /* the first output writes nothing */
    FP_ENTRY_MEDIA = 32,      /* observed, or one path of a merge: media.h */
    FP_ENTRY_LEARN = 64,      /* to one of its outputs where the frame's address was seen there: learning.h */
    FP_ENTRY_MIRROR = 128     /* a sample of its frames is captured: capture.h */
};

enum {
    FP_BUCKET_MERGE_SHIFT = 3,
    FP_ENTRY_RUN_SHIFT = 3,
    FP_ENTRY_PATH_SHIFT = 15,
    FP_ENTRY_ORDERED = 1 << 14, /* of fp_table_entry.merge: it holds frames (ordered.h) */
    FP_ENTRY_MERGE = FP_ENTRY_ORDERED - 1
};

/* A route. What a frame to one output needs lies in the first cache line: 10,000 routes are then 640 kB to walk about
 * in, and one line to fetch for each frame. */
struct fp_table_entry {
    _Alignas(64) uint64_t key[FP_KEY_NARROW]; /* masked */
    uint8_t flags;                            /* FP_ENTRY_* */
    uint8_t level;                            /* enum fp_level the frame must have */
    uint8_t quick_kind;                       /* of the rewrite of the first output, where its flag is set */
    uint8_t shape;
    uint16_t counter;
    struct fp_table_output first; /* of outputs, once more */
    uint8_t output_count;
    uint8_t pacing;        /* index + 1 of a plan of the table */
    uint16_t observe;      /* FP_OBSERVE_* | run << FP_ENTRY_RUN_SHIFT */
    uint16_t merge;        /* number + 1 of a merge of the table | FP_ENTRY_ORDERED | path << FP_ENTRY_PATH_SHIFT */
    struct fp_quick quick; /* values of that rewrite */
    uint64_t wide_key[FP_KEY_WORDS - FP_KEY_NARROW]; /* the rest of the key, masked */
    uint32_t priority;
    uint8_t destination_bits; /* as in the match; not for the loop */
    uint8_t source_bits;
    uint16_t group; /* as in fp_route, with FP_ENTRY_LEARN */
    struct fp_table_output outputs[FP_MAX_OUTPUTS];
};

struct fp_table_rewrite {
    _Alignas(64) struct fp_rewrite rewrite; /* one cache line */
};

enum { FP_MERGE_LINE_BYTES = 64 };

struct fp_table_merge {
    struct fp_merge_config config; /* slots 0: there is none with this number */
    uint64_t lines;                /* of its state */
};

struct fp_table_flat {
    uint32_t count;
    uint32_t mask; /* buckets - 1 */
    uint32_t shape_count;
    uint32_t rewrite_count;   /* index 0 is none and not used */
    uint32_t wide;            /* a shape is wide, or a rewrite touches RTP */
    uint32_t media;           /* a route has FP_ENTRY_MEDIA */
    uint32_t discovery;       /* flows without a route are listed */
    uint32_t observed_routes; /* highest counter of an observed route + 1 */
    uint32_t pacing_count;
    uint32_t merge_end;           /* highest number of a merge + 1 */
    uint32_t ordered;             /* a merge holds frames */
    uint8_t order[FP_MAX_SHAPES]; /* of the search */
    uint16_t plain[FP_MAX_PORTS]; /* route + 1 where every frame of the port takes it, unparsed; else 0 */
    struct fp_table_shape shapes[FP_MAX_SHAPES];
    struct fp_pacing_plan pacing[FP_MAX_PACING];
    uint32_t merge_at[FP_MAX_MERGES]; /* first line of each merge's state in the arena: the publisher decides */
    struct fp_table_merge merges[FP_MAX_MERGES];
    uint16_t ordered_routes[FP_MAX_MERGES]
                           [FP_MERGE_PATHS]; /* route + 1 of each path of those that hold frames, else 0 */
    struct fp_table_bucket buckets[FP_TABLE_BUCKETS];
    struct fp_table_entry entries[FP_MAX_ROUTES];
    struct fp_table_rewrite rewrites[FP_MAX_REWRITES + 1];
    uint16_t mirror[FP_MAX_ROUTES]; /* of each entry, as in fp_route */
};

struct fp_table {
    uint32_t capacity;
    struct fp_table_flat flat;
};

/* `to` becomes what `from` is; only what is used is copied. */
void fp_table_flat_copy(struct fp_table_flat *to, const struct fp_table_flat *from);

/* The rewrite of an output that has one. */
static inline const struct fp_rewrite *fp_entry_rewrite(const struct fp_table_flat *table,
                                                        const struct fp_table_entry *entry, unsigned output) {
    return &table->rewrites[entry->outputs[output].rewrite].rewrite;
}

__extension__ typedef unsigned __int128 fp_product;

/* Both halves of one product: every bit of the three words reaches every bit of the hash, in one multiplication. */
static inline uint64_t fp_mix(uint64_t a, uint64_t b, uint64_t c) {
    fp_product product = (fp_product)(b ^ 0x9e3779b97f4a7c15ULL) * (a ^ c ^ 0xd6e8feb86659fd93ULL);
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* Of a masked key. The shape takes part: masks may leave equal words. */
static inline uint64_t fp_shape_hash(uint32_t number, bool wide, const uint64_t key[FP_KEY_WORDS]) {
    uint64_t hash = fp_mix(key[0] + number, key[1], key[2]);
    return wide ? fp_mix(hash ^ key[3], key[4], key[5]) : hash;
}

/* The words a narrow shape needs, or all. */
static inline __attribute__((always_inline)) void fp_shape_mask(const struct fp_table_shape *shape, bool wide,
                                                                const uint64_t words[FP_KEY_WORDS],
                                                                uint64_t out[FP_KEY_WORDS]) {
    for (unsigned i = 0; i < (wide ? FP_KEY_WORDS : FP_KEY_NARROW); i++) {
        out[i] = words[i] & shape->mask[i];
    }
}

/* Whether the entry's masked key is this one. */
static inline bool fp_entry_equals(const struct fp_table_entry *entry, bool wide, const uint64_t key[FP_KEY_WORDS]) {
    uint64_t differs = (entry->key[0] ^ key[0]) | (entry->key[1] ^ key[1]) | (entry->key[2] ^ key[2]);
    if (wide) {
        for (unsigned i = FP_KEY_NARROW; i < FP_KEY_WORDS; i++) {
            differs |= entry->wide_key[i - FP_KEY_NARROW] ^ key[i];
        }
    }
    return differs == 0;
}

/* The entry a bucket names with index + 1. An empty one's is the last: either a route like any other, or one whose
 * level no frame has (fp_table_flat_copy), whatever an older table left there. */
static inline const struct fp_table_entry *fp_table_entry_of(const struct fp_table_flat *table, uint16_t route) {
    return &table->entries[(route - 1U) & (FP_MAX_ROUTES - 1)];
}

/* A bucket in one word: tag, route and counter from the lowest bits on. */
static inline uint64_t fp_bucket_word(const struct fp_table_bucket *bucket) {
    uint64_t word;
    memcpy(&word, bucket, sizeof word);
    return word;
}

/* Bounded whatever the memory holds: `mask` and route indices are clipped to the arrays. */
static inline const struct fp_table_entry *fp_shape_find(const struct fp_table_flat *table, uint32_t shape, bool wide,
                                                         uint64_t hash, const uint64_t key[FP_KEY_WORDS]) {
    uint16_t tag = (uint16_t)(hash >> 48);
    uint32_t mask = table->mask & (FP_TABLE_BUCKETS - 1);
    uint32_t at = (uint32_t)hash & mask;
    for (uint32_t probes = 0; probes <= mask; probes++) {
        struct fp_table_bucket bucket = table->buckets[at];
        if (bucket.route == 0) {
            return NULL;
        }
        if (bucket.tag == tag) {
            const struct fp_table_entry *entry = fp_table_entry_of(table, bucket.route);
            if (entry->shape == shape && fp_entry_equals(entry, wide, key)) {
                return entry;
            }
        }
        at = (at + 1) & mask;
    }
    return NULL;
}

/* Whether shape `a` wins over shape `b` at equal priority: more bits, then the larger mask, byte for byte. */
static inline bool fp_shape_beats(const struct fp_table_shape *a, const struct fp_table_shape *b) {
    return a->bits != b->bits ? a->bits > b->bits : memcmp(a->mask, b->mask, sizeof a->mask) > 0;
}

/* The route of a frame that came in on `port` and is understood up to `level`, NULL where none fits. `words` are the
 * key's; the narrow ones suffice where the table is not wide. */
const struct fp_table_entry *fp_table_search(const struct fp_table_flat *table, const uint64_t words[FP_KEY_WORDS],
                                             uint32_t port, uint32_t level);

#endif
