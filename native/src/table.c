/* SPDX-License-Identifier: Apache-2.0 */
/* Building route tables, and the search over all shapes. What may be added is checked in route_check.c. */
#include "table.h"
#include "merge.h"
#include "route_check.h"
#include <stdlib.h>

static_assert((FP_MAX_ROUTES & (FP_MAX_ROUTES - 1)) == 0, "route indices are clipped with a mask");
static_assert((FP_MAX_SHAPES & (FP_MAX_SHAPES - 1)) == 0, "shape numbers are clipped with a mask");
static_assert(FP_MAX_ROUTES < UINT16_MAX, "a bucket names a route in 16 bits");
static_assert(FP_MAX_REWRITES == UINT16_MAX, "an output names any rewrite in 16 bits, and no other");
static_assert(offsetof(struct fp_table_entry, wide_key) == 64, "what one output needs lies in one cache line");
static_assert(sizeof(struct fp_table_entry) == 128, "two cache lines a route");
static_assert(sizeof(struct fp_rewrite) == 64, "one cache line a rewrite");
static_assert((FP_MAX_MERGES & (FP_MAX_MERGES - 1)) == 0 && FP_MAX_MERGES <= FP_ENTRY_MERGE, "an entry names a merge");
static_assert(FP_MAX_MERGES << FP_BUCKET_MERGE_SHIFT <= UINT16_MAX, "so does a bucket");
static_assert(FP_OBSERVE_ANY >> FP_ENTRY_RUN_SHIFT == 0 && FP_MAX_RUN << FP_ENTRY_RUN_SHIFT <= UINT16_MAX,
              "an entry says in 16 bits what is observed, and in which run");

int fp_table_create(uint32_t capacity_routes, struct fp_table **out) {
    if (capacity_routes < 1 || capacity_routes > FP_MAX_ROUTES) {
        return FP_E_INVALID;
    }
    struct fp_table *table = NULL;
    if (posix_memalign((void **)&table, _Alignof(struct fp_table), sizeof *table) != 0) {
        return FP_E_NO_MEMORY;
    }
    memset(table, 0, offsetof(struct fp_table, flat.entries)); /* the rest is written before it is read */
    uint32_t buckets = 2;
    while (buckets < 2 * capacity_routes) {
        buckets *= 2;
    }
    table->capacity = capacity_routes;
    table->flat.mask = buckets - 1;
    *out = table;
    return 0;
}

void fp_table_destroy(struct fp_table *table) { free(table); }

/* The shape of this mask; makes it where there is room. Returns its number or a negative code. */
static int shape_find(struct fp_table_flat *flat, const uint64_t mask[FP_KEY_WORDS]) {
    for (uint32_t i = 0; i < flat->shape_count; i++) {
        if (memcmp(flat->shapes[i].mask, mask, sizeof flat->shapes[i].mask) == 0) {
            return (int)i;
        }
    }
    return flat->shape_count < FP_MAX_SHAPES ? (int)flat->shape_count : FP_E_SHAPES;
}

static void shape_make(struct fp_table_flat *flat, uint32_t number, const uint64_t mask[FP_KEY_WORDS], uint8_t level) {
    struct fp_table_shape *shape = &flat->shapes[number];
    *shape = (struct fp_table_shape){.level = level};
    memcpy(shape->mask, mask, sizeof shape->mask);
    for (unsigned i = 0; i < FP_KEY_WORDS; i++) {
        shape->bits = (uint16_t)(shape->bits + __builtin_popcountll(mask[i]));
        shape->wide = shape->wide || (i >= FP_KEY_NARROW && mask[i] != 0);
    }
    flat->wide = flat->wide || shape->wide;
    flat->order[number] = (uint8_t)number;
    flat->shape_count = number + 1;
}

static bool comes_first(const struct fp_table_shape *a, const struct fp_table_shape *b) {
    return a->priority != b->priority ? a->priority > b->priority : fp_shape_beats(a, b);
}

/* The shape has a new route: insertion sort, of few shapes that were in order. */
static void shape_extend(struct fp_table_flat *flat, uint32_t number, const struct fp_match *match) {
    struct fp_table_shape *shape = &flat->shapes[number];
    bool one_port = (match->fields & FP_MATCH_PORT) != 0;
    shape->ports |= one_port ? 1U << match->key.port : (1U << FP_MAX_PORTS) - 1;
    shape->priority = match->priority > shape->priority ? match->priority : shape->priority;
    for (uint32_t i = 1; i < flat->shape_count; i++) {
        uint8_t moving = flat->order[i];
        uint32_t at = i;
        while (at > 0 && comes_first(&flat->shapes[moving], &flat->shapes[flat->order[at - 1]])) {
            flat->order[at] = flat->order[at - 1];
            at--;
        }
        flat->order[at] = moving;
    }
}

static void entry_fill(struct fp_table_flat *flat, struct fp_table_entry *entry, const struct fp_route *route) {
    entry->priority = route->match.priority;
    entry->counter = route->counter;
    entry->level = fp_route_level(route);
    entry->observe = (uint16_t)(route->media.observe | route->media.run << FP_ENTRY_RUN_SHIFT);
    entry->pacing = (uint8_t)route->media.pacing;
    entry->merge = (uint16_t)(route->media.merge | route->media.path << FP_ENTRY_PATH_SHIFT);
    entry->destination_bits = route->match.destination_bits;
    entry->source_bits = route->match.source_bits;
    entry->output_count = (uint8_t)route->output_count;
    bool to_host = (route->flags & FP_ROUTE_TO_HOST) != 0;
    bool media = route->media.observe != 0 || route->media.merge != 0;
    bool expires = false;
    bool simple = route->output_count == 1;
    for (unsigned i = 0; i < route->output_count; i++) {
        const struct fp_rewrite *rewrite = &route->outputs[i].rewrite;
        entry->outputs[i] = (struct fp_table_output){(uint16_t)route->outputs[i].port, 0};
        if (rewrite->set != 0) {
            flat->rewrite_count++;
            flat->rewrites[flat->rewrite_count].rewrite = *rewrite;
            entry->outputs[i].rewrite = (uint16_t)flat->rewrite_count;
        }
        flat->wide = flat->wide || (rewrite->set & (FP_SET_PAYLOAD_TYPE | FP_SET_SSRC)) != 0;
        simple = simple && (rewrite->set & (FP_SET_VLAN | FP_PUSH_VLAN | FP_POP_VLAN)) == 0;
        expires = expires || (rewrite->set & FP_DECREMENT_TTL) != 0;
    }
    entry->first = entry->outputs[0];
    bool quick = fp_quick_make(&route->outputs[0].rewrite, &entry->quick, &entry->quick_kind);
    entry->flags =
        (uint8_t)((to_host ? FP_ENTRY_TO_HOST : 0U) | (expires ? FP_ENTRY_EXPIRES : 0U) |
                  (simple ? FP_ENTRY_SIMPLE : 0U) | (quick ? FP_ENTRY_QUICK : 0U) |
                  (route->outputs[0].rewrite.set == 0 ? FP_ENTRY_AS_IT_CAME : 0U) | (media ? FP_ENTRY_MEDIA : 0U) |
                  (route->group != 0 ? FP_ENTRY_LEARN : 0U) | (route->mirror != 0 ? FP_ENTRY_MIRROR : 0U));
    entry->group = route->group;
    flat->media = flat->media || media;
    if (route->media.observe != 0 && flat->observed_routes <= route->counter) {
        flat->observed_routes = route->counter + 1U;
    }
}

static void bucket_fill(struct fp_table_flat *flat, uint64_t hash, const struct fp_route *route) {
    uint32_t at = (uint32_t)hash & flat->mask;
    while (flat->buckets[at].route != 0) {
        at = (at + 1) & flat->mask;
    }
    flat->count++;
    flat->buckets[at].counter = route->counter;
    flat->buckets[at].media = (uint16_t)(route->media.observe | route->media.merge << FP_BUCKET_MERGE_SHIFT);
    flat->buckets[at].tag = (uint16_t)(hash >> 48);
    flat->buckets[at].route = (uint16_t)flat->count;
}

static bool is_ordered(const struct fp_table_flat *flat, const struct fp_route_media *media) {
    return media->merge != 0 && flat->merges[(media->merge - 1U) % FP_MAX_MERGES].config.hold_frames != 0;
}

/* What the route names, the table has. Of a merge that holds frames it is known at which port they come in. */
static bool media_is_known(const struct fp_table_flat *flat, const struct fp_route *route) {
    const struct fp_route_media *media = &route->media;
    return media->pacing <= flat->pacing_count &&
           (media->merge == 0 || flat->merges[(media->merge - 1U) % FP_MAX_MERGES].config.slots != 0) &&
           (!is_ordered(flat, media) || (route->match.fields & FP_MATCH_PORT) != 0);
}

/* The entry that was filled last is a path of a merge that holds frames. */
static void ordered_fill(struct fp_table_flat *flat, struct fp_table_entry *entry, const struct fp_route_media *media) {
    entry->merge |= FP_ENTRY_ORDERED;
    flat->ordered_routes[(media->merge - 1U) % FP_MAX_MERGES][media->path % FP_MERGE_PATHS] =
        (uint16_t)(flat->count + 1);
}

int fp_table_add(struct fp_table *table, const struct fp_route *route) {
    struct fp_table_flat *flat = &table->flat;
    struct fp_table_entry entry = {.output_count = 0};
    uint64_t mask[FP_KEY_WORDS];
    if (fp_route_check(route) != 0 || !media_is_known(flat, route)) {
        return FP_E_INVALID;
    }
    fp_match_mask(&route->match, mask);
    int shape = shape_find(flat, mask);
    if (shape < 0) {
        return shape;
    }
    uint32_t number = (uint32_t)shape;
    bool wide = (mask[3] | mask[4] | mask[5]) != 0;
    uint64_t key[FP_KEY_WORDS];
    memcpy(key, &route->match.key, sizeof key); /* what is not compared is 0, as in the mask */
    memcpy(entry.key, key, sizeof entry.key);
    memcpy(entry.wide_key, key + FP_KEY_NARROW, sizeof entry.wide_key);
    entry.shape = (uint8_t)number;
    uint64_t hash = fp_shape_hash(number, wide, key);
    if (number < flat->shape_count && fp_shape_find(flat, number, wide, hash, key) != NULL) {
        return FP_E_DUPLICATE;
    }
    if (flat->count == table->capacity || flat->rewrite_count + route->output_count > FP_MAX_REWRITES) {
        return FP_E_TABLE_FULL;
    }
    if (number == flat->shape_count) {
        shape_make(flat, number, mask, fp_match_level(&route->match));
    }
    shape_extend(flat, number, &route->match);
    entry_fill(flat, &entry, route);
    if (is_ordered(flat, &route->media)) {
        ordered_fill(flat, &entry, &route->media);
    }
    flat->entries[flat->count] = entry;
    flat->mirror[flat->count] = route->mirror;
    bucket_fill(flat, hash, route);
    return 0;
}

int fp_table_add_pacing(struct fp_table *table, const struct fp_pacing_format *format) {
    struct fp_table_flat *flat = &table->flat;
    if (flat->pacing_count == FP_MAX_PACING) {
        return FP_E_TABLE_FULL;
    }
    int result = fp_pacing_plan_make(format, &flat->pacing[flat->pacing_count]);
    return result != 0 ? result : (int)flat->pacing_count++;
}

int fp_table_add_merge(struct fp_table *table, uint32_t number, const struct fp_merge_config *config) {
    uint64_t bytes = fp_merge_plan_bytes(config);
    if (number >= FP_MAX_MERGES || config->id == 0 || bytes == 0) {
        return FP_E_INVALID;
    }
    struct fp_table_merge *merge = &table->flat.merges[number];
    if (merge->config.slots != 0) {
        return FP_E_DUPLICATE;
    }
    *merge = (struct fp_table_merge){*config, bytes / FP_MERGE_LINE_BYTES};
    table->flat.ordered = table->flat.ordered | (config->hold_frames != 0);
    table->flat.merge_end = table->flat.merge_end > number ? table->flat.merge_end : number + 1;
    return 0;
}

void fp_table_set_discovery(struct fp_table *table, int wanted) { table->flat.discovery = wanted != 0; }

uint32_t fp_table_count(const struct fp_table *table) { return table->flat.count; }

const struct fp_table_entry *fp_table_search(const struct fp_table_flat *table, const uint64_t words[FP_KEY_WORDS],
                                             uint32_t port, uint32_t level) {
    const struct fp_table_entry *best = NULL;
    const struct fp_table_shape *winner = NULL;
    uint32_t count = table->shape_count < FP_MAX_SHAPES ? table->shape_count : FP_MAX_SHAPES;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t number = table->order[i] & (FP_MAX_SHAPES - 1);
        const struct fp_table_shape *shape = &table->shapes[number];
        if (best != NULL && (shape->priority < best->priority ||
                             (shape->priority == best->priority && !fp_shape_beats(shape, winner)))) {
            break; /* nor can any shape behind it win */
        }
        if (shape->level > level || (shape->ports >> (port & (FP_MAX_PORTS - 1)) & 1) == 0) {
            continue;
        }
        uint64_t masked[FP_KEY_WORDS];
        fp_shape_mask(shape, shape->wide, words, masked);
        const struct fp_table_entry *entry =
            fp_shape_find(table, number, shape->wide, fp_shape_hash(number, shape->wide, masked), masked);
        if (entry != NULL && entry->level <= level &&
            (best == NULL || entry->priority > best->priority ||
             (entry->priority == best->priority && fp_shape_beats(shape, winner)))) {
            best = entry;
            winner = shape;
        }
    }
    return best;
}

int fp_table_lookup(const struct fp_table *table, const struct fp_key *key, uint32_t level, struct fp_route *out) {
    uint64_t words[FP_KEY_WORDS];
    memcpy(words, key, sizeof words);
    const struct fp_table_entry *entry = fp_table_search(&table->flat, words, key->port, level);
    if (entry == NULL) {
        return 0;
    }
    memset(out, 0, sizeof *out);
    memcpy(&out->match.key, entry->key, sizeof entry->key);
    memcpy(out->match.key.source, entry->wide_key, sizeof entry->wide_key);
    out->match.fields = fp_mask_fields(table->flat.shapes[entry->shape].mask);
    out->match.priority = entry->priority;
    out->match.destination_bits = entry->destination_bits;
    out->match.source_bits = entry->source_bits;
    out->flags = (entry->flags & FP_ENTRY_TO_HOST) != 0 ? FP_ROUTE_TO_HOST : 0;
    out->counter = entry->counter;
    out->group = entry->group;
    out->mirror = table->flat.mirror[entry - table->flat.entries];
    out->media = (struct fp_route_media){
        .observe = entry->observe & FP_OBSERVE_ANY,
        .run = entry->observe >> FP_ENTRY_RUN_SHIFT,
        .pacing = entry->pacing,
        .merge = entry->merge & FP_ENTRY_MERGE,
        .path = entry->merge >> FP_ENTRY_PATH_SHIFT,
    };
    out->output_count = entry->output_count;
    for (unsigned i = 0; i < entry->output_count; i++) {
        out->outputs[i].port = entry->outputs[i].port;
        if (entry->outputs[i].rewrite != 0) {
            out->outputs[i].rewrite = *fp_entry_rewrite(&table->flat, entry, i);
        }
    }
    return 1;
}

/* A port all of whose frames take one route that asks for nothing but the port needs no parsing. */
static uint16_t plain_find(const struct fp_table_flat *flat, uint32_t port) {
    const struct fp_table_shape *only = NULL;
    for (uint32_t i = 0; i < flat->shape_count; i++) {
        if ((flat->shapes[i].ports >> port & 1) != 0) {
            if (only != NULL) {
                return 0;
            }
            only = &flat->shapes[i];
        }
    }
    if (only == NULL || (fp_mask_fields(only->mask) & ~FP_MATCH_PORT) != 0 || only->level != FP_LEVEL_ETHERNET) {
        return 0;
    }
    const uint64_t words[FP_KEY_WORDS] = {[2] = port};
    const struct fp_table_entry *entry = fp_table_search(flat, words, port, FP_LEVEL_ETHERNET);
    return entry == NULL || (entry->flags & FP_ENTRY_MEDIA) != 0 ? 0 : (uint16_t)(entry - flat->entries + 1);
}

void fp_table_flat_copy(struct fp_table_flat *to, const struct fp_table_flat *from) {
    memcpy(to, from, offsetof(struct fp_table_flat, buckets));
    memcpy(to->buckets, from->buckets, (from->mask + 1) * sizeof from->buckets[0]);
    memcpy(to->entries, from->entries, from->count * sizeof from->entries[0]);
    memcpy(to->mirror, from->mirror, from->count * sizeof from->mirror[0]);
    if (from->count < FP_MAX_ROUTES) {
        /* An empty bucket leads here: what lies here fits no frame, and merges none before that is known. */
        to->entries[FP_MAX_ROUTES - 1].level = UINT8_MAX;
        to->entries[FP_MAX_ROUTES - 1].merge = 0;
    }
    memcpy(to->rewrites + 1, from->rewrites + 1, from->rewrite_count * sizeof from->rewrites[0]);
    for (uint32_t port = 0; port < FP_MAX_PORTS; port++) {
        to->plain[port] = plain_find(from, port);
    }
}
