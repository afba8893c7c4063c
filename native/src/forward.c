/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way of one burst: slots -> keys -> routes -> transmit rings. No allocation, lock, log or system call here; every
 * frame ends in exactly one counter.
 *
 * Frames go through the stages in batches: each stage asks the caches for what the next one reads, so that the waits
 * for memory of a whole batch overlap. A port whose frames all take one route skips the parser.
 */
#include "host_path.h"
#include "media.h"
#include "output.h"
#include "take.h"

/* A frame between two stages. */
struct item {
    struct fp_frame frame;
    uint64_t hash;
    const struct fp_table_entry *entry; /* most likely its route; once matched: its route, or NULL */
    struct fp_cursor *cursor;           /* NULL: not the usual way */
    uint64_t words[FP_KEY_WORDS];       /* of one shape: masked; else the key's */
};

/* Slots to frames, whose first lines are fetched, or all lines where they will be copied. Returns how many. */
static inline __attribute__((always_inline)) uint32_t take_run(struct fp_burst *burst, struct item *item, uint32_t at,
                                                               uint32_t count, bool whole) {
    struct fp_window ring = fp_window_open(burst);
    struct netmap_slot *slot = &burst->ring->shared->slot[at];
    const struct item *first = item;
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
static __attribute__((noinline)) uint32_t take_headers(struct fp_burst *burst, struct item *items, uint32_t at,
                                                       uint32_t count) {
    return take_run(burst, items, at, count, false);
}

static __attribute__((noinline)) uint32_t take_whole(struct fp_burst *burst, struct item *items, uint32_t at,
                                                     uint32_t count) {
    return take_run(burst, items, at, count, true);
}

/* A batch, which may go over the ring's end. */
static uint32_t stage_take(struct fp_burst *burst, struct item *items, uint32_t at, uint32_t count) {
    uint32_t run = burst->ring->slots - at;
    run = run < count ? run : count;
    uint32_t (*take)(struct fp_burst *, struct item *, uint32_t, uint32_t) =
        burst->ingress->copied ? take_whole : take_headers;
    uint32_t frames = take(burst, items, at, run);
    return run == count ? frames : frames + take(burst, items + frames, 0, count - run);
}

/* Frames to keys; the bucket that the first shape makes of them is fetched. Frames that are none are dropped. Returns
 * how many are left. */
static inline __attribute__((always_inline)) uint32_t stage_parse(struct fp_burst *burst, struct item *items,
                                                                  uint32_t count, bool wide, bool one_shape) {
    const struct fp_table_flat *table = burst->worker->table;
    const uint32_t number = table->order[0] & (FP_MAX_SHAPES - 1);
    const struct fp_table_shape *shape = &table->shapes[number];
    const uint32_t mask = table->mask & (FP_TABLE_BUCKETS - 1);
    const uint32_t port = burst->port;
    struct item *end = items + count;
    for (struct item *item = items; item < end;) {
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
        fp_shape_mask(shape, wide, words, masked);
        uint64_t hash = fp_shape_hash(number, wide && shape->wide, masked);
        __builtin_prefetch(&table->buckets[hash & mask]);
        item->hash = hash;
        for (unsigned word = 0; word < (wide ? FP_KEY_WORDS : FP_KEY_NARROW); word++) {
            item->words[word] = one_shape ? masked[word] : words[word];
        }
        item++;
    }
    return (uint32_t)(end - items);
}

static __attribute__((noinline)) uint32_t parse_narrow(struct fp_burst *burst, struct item *items, uint32_t count) {
    return stage_parse(burst, items, count, false, true);
}

static __attribute__((noinline)) uint32_t parse_wide(struct fp_burst *burst, struct item *items, uint32_t count) {
    return stage_parse(burst, items, count, true, true);
}

static __attribute__((noinline)) uint32_t parse_shapes(struct fp_burst *burst, struct item *items, uint32_t count) {
    return stage_parse(burst, items, count, true, false);
}

/*
 * The route most likely the frame's (any where there is none), and what it needs. Of 10,000 routes 19 in 20 lie in the
 * first bucket or the next, chosen without a branch that one frame in five would mispredict.
 */
static inline __attribute__((always_inline)) void fetch(const struct fp_burst *burst, struct item *items,
                                                        uint32_t count, bool media) {
    const struct fp_table_flat *table = burst->worker->table;
    const struct fp_route_block *counters = burst->routes;
    const uint32_t mask = table->mask & (FP_TABLE_BUCKETS - 1);
    for (struct item *item = items; item < items + count; item++) {
        uint32_t at = (uint32_t)item->hash & mask;
        uint64_t bucket = fp_bucket_word(&table->buckets[at]);
        uint64_t next = fp_bucket_word(&table->buckets[(at + 1) & mask]);
        bucket = (uint16_t)bucket == (uint16_t)(item->hash >> 48) ? bucket : next;
        item->entry = fp_table_entry_of(table, (uint16_t)(bucket >> 16));
        __builtin_prefetch(item->entry);
        if (media) {
            fp_media_fetch(burst, (uint16_t)(bucket >> 32), (uint16_t)(bucket >> 48));
        } else {
            __builtin_prefetch(&counters[(bucket >> 32) % FP_MAX_ROUTES], 1);
        }
    }
}

static __attribute__((noinline)) void stage_fetch(const struct fp_burst *burst, struct item *items, uint32_t count) {
    fetch(burst, items, count, false);
}

/* And where a merge looks for a frame, which only the merge tells. */
static __attribute__((noinline)) void fetch_media(const struct fp_burst *burst, struct item *items, uint32_t count) {
    fetch(burst, items, count, true);
    for (const struct item *item = items; item < items + count && burst->worker->table->merge_end != 0; item++) {
        fp_media_fetch_slot(burst, &item->frame, item->entry);
    }
}

/*
 * A frame whose route is known. Usual is one output that gets the buffer itself, as it came or with the quick rewrite,
 * done here; whatever else a route asks for has a flag of its own (FP_ENTRY_*), which leads by `cursor` NULL to
 * send_otherwise.
 */
static inline __attribute__((always_inline)) void match(struct fp_burst *burst, struct item *item,
                                                        const struct fp_table_entry *entry, bool media) {
    unsigned flags = entry->flags;
    struct fp_cursor *cursor = &burst->cursors[entry->first.port % FP_MAX_PORTS];
    uint32_t length = fp_frame_length(&item->frame);
    __asm__("" : "+r"(cursor)); /* so that gcc does not compute it anew for each use */
    bool takes_media = media && (flags & FP_ENTRY_MEDIA) != 0;
    if (!takes_media) {
        fp_burst_count_route(burst, entry->counter, 1, length);
    }
    item->entry = entry;
    item->cursor = cursor;
    if (__builtin_expect(length > cursor->swap_bytes, 0)) {
        (void)fp_burst_cursor(burst, entry->first.port);
        item->cursor = length > cursor->swap_bytes ? NULL : cursor;
    }
    if (takes_media) {
        flags &= ~(unsigned)FP_ENTRY_MEDIA;
        if (!fp_media_take(burst, &item->frame, entry)) {
            item->entry = NULL;
            item->cursor = NULL;
            return;
        }
    }
    if (flags == (FP_ENTRY_SIMPLE | FP_ENTRY_QUICK) && item->frame.layout.version == 4) {
        if (__builtin_expect(item->cursor != NULL, 1)) {
            fp_quick_apply(item->frame.bytes, &item->frame.layout, &entry->quick, entry->quick_kind);
        }
    } else if (__builtin_expect(flags != (FP_ENTRY_SIMPLE | FP_ENTRY_AS_IT_CAME), 0)) {
        item->cursor = NULL;
    }
}

static void refuse(struct fp_burst *burst, struct item *item) {
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

static inline __attribute__((always_inline)) void stage_match(struct fp_burst *burst, struct item *items,
                                                              uint32_t count, bool wide, bool media) {
    const struct fp_table_flat *table = burst->worker->table;
    const uint32_t number = table->order[0] & (FP_MAX_SHAPES - 1);
    const bool wide_shape = wide && table->shapes[number].wide;
    for (struct item *item = items; item < items + count; item++) {
        const struct fp_table_entry *entry = item->entry;
        if (__builtin_expect(!fp_entry_equals(entry, wide_shape, item->words), 0)) {
            entry = fp_shape_find(table, number, wide_shape, item->hash, item->words);
        }
        if (__builtin_expect(entry != NULL && entry->level <= item->frame.layout.level, 1)) {
            match(burst, item, entry, media);
        } else {
            refuse(burst, item);
        }
    }
}

static __attribute__((noinline)) void match_narrow(struct fp_burst *burst, struct item *items, uint32_t count) {
    stage_match(burst, items, count, false, false);
}

static __attribute__((noinline)) void match_wide(struct fp_burst *burst, struct item *items, uint32_t count) {
    stage_match(burst, items, count, true, false);
}

static __attribute__((noinline)) void match_media_narrow(struct fp_burst *burst, struct item *items, uint32_t count) {
    stage_match(burst, items, count, false, true);
}

static __attribute__((noinline)) void match_media_wide(struct fp_burst *burst, struct item *items, uint32_t count) {
    stage_match(burst, items, count, true, true);
}

/* The same over several shapes. */
static inline __attribute__((always_inline)) void search(struct fp_burst *burst, struct item *items, uint32_t count,
                                                         bool media) {
    const struct fp_table_flat *table = burst->worker->table;
    for (struct item *item = items; item < items + count; item++) {
        const struct fp_table_entry *entry = fp_table_search(table, item->words, burst->port, item->frame.layout.level);
        if (entry != NULL) {
            match(burst, item, entry, media);
        } else {
            refuse(burst, item);
        }
    }
}

static __attribute__((noinline)) void match_shapes(struct fp_burst *burst, struct item *items, uint32_t count) {
    search(burst, items, count, false);
}

static __attribute__((noinline)) void match_media_shapes(struct fp_burst *burst, struct item *items, uint32_t count) {
    search(burst, items, count, true);
}

/* The one place for what a route asks for beyond the usual: the frame is as it came, and counted for its route. */
static void send_otherwise(struct fp_burst *burst, const struct item *item) {
    if (item->entry != NULL) { /* else it was refused */
        fp_burst_output(burst, &item->frame, item->entry);
    }
}

/* Frames to transmit slots, in the order they came. */
static __attribute__((noinline)) void stage_send(struct fp_burst *burst, const struct item *items, uint32_t count) {
    for (const struct item *item = items; item < items + count; item++) {
        struct fp_cursor *cursor = item->cursor;
        struct fp_place place;
        if (__builtin_expect(cursor == NULL, 0)) {
            send_otherwise(burst, item);
            continue;
        }
        if (__builtin_expect(cursor->run == 0, 0)) {
            fp_burst_open_cursor(burst, cursor);
        }
        if (__builtin_expect(cursor->run == 0, 0) || __builtin_expect(!fp_cursor_peek(cursor, &place), 0)) {
            cursor->full_frames++;
            fp_burst_drop(burst, FP_DROP_TX_FULL);
            continue;
        }
        fp_cursor_swap(cursor, &place, &item->frame, item->frame.ptr, item->frame.word);
        burst->forwarded_frames++;
    }
}

/* The stages of a table. All do the same; each leaves out what the table does not ask for. */
struct way {
    uint32_t (*parse)(struct fp_burst *burst, struct item *items, uint32_t count);
    void (*fetch)(const struct fp_burst *burst, struct item *items, uint32_t count);
    void (*match)(struct fp_burst *burst, struct item *items, uint32_t count);
};

static const struct way *find_way(const struct fp_table_flat *table) {
    static const struct way ways[2][3] = {
        {{parse_shapes, stage_fetch, match_shapes},
         {parse_wide, stage_fetch, match_wide},
         {parse_narrow, stage_fetch, match_narrow}},
        {{parse_shapes, fetch_media, match_media_shapes},
         {parse_wide, fetch_media, match_media_wide},
         {parse_narrow, fetch_media, match_media_narrow}},
    };
    unsigned kind = table->shape_count != 1 ? 0 : table->wide != 0 ? 1 : 2;
    return &ways[table->media != 0][kind];
}

/* A batch of taken frames through the other stages. */
static void forward_batch(struct fp_burst *burst, const struct way *way, struct item *items, uint32_t count) {
    count = way->parse(burst, items, count);
    way->fetch(burst, items, count);
    way->match(burst, items, count);
    stage_send(burst, items, count);
}

/* First lines of frames the next burst will take first; of a damaged slot anything inside the buffers. */
static void fetch_frames(const struct fp_ring *ring, uint32_t at, uint32_t count) {
    uint64_t end = (uint64_t)ring->buffer_bytes * ring->buffer_count;
    for (; count > 0; count--) {
        const struct netmap_slot *slot = &ring->shared->slot[at];
        uint64_t start = (uint64_t)fp_word_buffer(fp_slot_load(slot)) * ring->buffer_bytes +
                         (fp_slot_load_ptr(slot) & ring->offset_mask);
        __builtin_prefetch(ring->buffers + (start < end ? start : 0));
        at = fp_ring_next(ring, at);
    }
}

/* While a batch goes through the stages, the frames of the next are on their way from memory. `waiting` frames are in
 * the ring, of which `count` are this burst. */
static void forward_routed(struct fp_burst *burst, uint32_t at, uint32_t count, uint32_t waiting) {
    const struct fp_ring *ring = burst->ring;
    const struct way *way = find_way(burst->worker->table);
    struct item batches[2][FP_BATCH_FRAMES];
    uint32_t left = count;
    uint32_t frames = 0;
    for (unsigned now = 0; left > 0 || frames > 0; now ^= 1) {
        uint32_t slots = left < FP_BATCH_FRAMES ? left : FP_BATCH_FRAMES;
        uint32_t next = 0;
        if (slots > 0) {
            next = stage_take(burst, batches[now ^ 1], at, slots);
            at = fp_ring_skip(ring, at, slots);
            left -= slots;
        } else {
            fetch_frames(ring, at, waiting - count < FP_BATCH_FRAMES ? waiting - count : FP_BATCH_FRAMES);
        }
        forward_batch(burst, way, batches[now], frames);
        frames = next;
    }
}

uint32_t fp_worker_forward(struct fp_worker *worker, uint32_t ingress, uint32_t ring_index) {
    struct fp_ring *ring = &worker->ports[ingress].port->rx[ring_index];
    struct fp_burst *burst = worker->burst;
    uint32_t count = fp_ring_space(ring);
    if (count == 0) {
        return 0;
    }
    uint32_t waiting = count;
    count = count < FP_BURST_FRAMES ? count : FP_BURST_FRAMES;
    uint32_t at = ring->shared->head % ring->slots;
    uint32_t end = fp_ring_skip(ring, at, count);
    uint16_t plain = worker->table->plain[ingress % FP_MAX_PORTS];
    fp_burst_open(burst, worker, ingress, ring_index);
    if (fp_host_is_own(burst->ingress)) {
        fp_host_transmit(burst, at, count);
    } else if (plain != 0) {
        fp_burst_plain(burst, at, count, &worker->table->entries[(plain - 1U) & (FP_MAX_ROUTES - 1)]);
    } else {
        forward_routed(burst, at, count, waiting);
    }
    fp_ring_advance(ring, end);
    fp_burst_close(burst);
    fp_worker_publish(worker);
    return count;
}
