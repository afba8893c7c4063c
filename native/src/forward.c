/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way of one burst: slots -> keys -> routes -> transmit rings. No allocation, lock, log or system call here; every
 * frame ends in exactly one counter.
 *
 * Frames go through the stages in batches: each stage asks the caches for what the next one reads, so that the waits
 * for memory of a whole batch overlap. A port whose frames all take one route skips the parser.
 */
#include "host_path.h"
#include "output.h"
#include "take.h"

enum { FEW_ROUTES = 256 };

/* A frame between two stages. */
struct item {
    struct fp_frame frame;
    uint64_t hash;
    uint64_t words[FP_KEY_WORDS]; /* of one shape: masked; else the key's */
};

/* Slots to keys; the bucket that the first shape makes of them is fetched. Returns the frames. */
static inline __attribute__((always_inline)) uint32_t
stage_parse(struct fp_burst *burst, struct item *item, uint32_t at, uint32_t count, bool wide, bool one_shape) {
    const struct fp_table_flat *table = burst->worker->table;
    const struct fp_window ring = fp_window_open(burst);
    const struct item *first = item;
    const uint32_t number = table->order[0] & (FP_MAX_SHAPES - 1);
    const struct fp_table_shape shape = table->shapes[number];
    const uint32_t mask = table->mask & (FP_TABLE_BUCKETS - 1);
    const uint32_t port = burst->port;
    uint64_t bytes = 0;
    for (; count > 0; count--) {
        bool taken = fp_window_take(burst, &ring, &ring.slots[at], &item->frame, &bytes);
        at = at + 1 == ring.slots_count ? 0 : at + 1;
        if (__builtin_expect(!taken, 0)) {
            continue;
        }
        uint64_t words[FP_KEY_WORDS];
        uint64_t masked[FP_KEY_WORDS];
        (void)fp_frame_read_inline(item->frame.bytes, fp_frame_length(&item->frame), port, wide, words,
                                   &item->frame.layout);
        fp_shape_mask(&shape, wide, words, masked);
        uint64_t hash = fp_shape_hash(number, wide && shape.wide, masked);
        __builtin_prefetch(&table->buckets[hash & mask]);
        item->hash = hash;
        for (unsigned word = 0; word < (wide ? FP_KEY_WORDS : FP_KEY_NARROW); word++) {
            item->words[word] = one_shape ? masked[word] : words[word];
        }
        item++;
    }
    burst->received_bytes += bytes;
    return (uint32_t)(item - first);
}

/* What the route in the bucket needs: most likely it is the one. */
static __attribute__((noinline)) void stage_fetch(const struct fp_burst *burst, const struct item *items,
                                                  uint32_t count) {
    const struct fp_table_flat *table = burst->worker->table;
    const struct fp_route_block *counters = burst->worker->segment->routes;
    uint32_t mask = table->mask & (FP_TABLE_BUCKETS - 1);
    for (uint32_t i = 0; i < count; i++) {
        struct fp_table_bucket bucket = table->buckets[items[i].hash & mask];
        const struct fp_table_entry *entry = &table->entries[(bucket.route - 1U) & (FP_MAX_ROUTES - 1)];
        __builtin_prefetch(entry);
        __builtin_prefetch(&entry->quick);
        __builtin_prefetch(&counters[bucket.counter % FP_MAX_ROUTES], 1);
    }
}

static void refuse(struct fp_burst *burst, const struct fp_frame *frame) {
    uint32_t refusal = frame->layout.refusal;
    if (burst->ingress->host != NULL && fp_host_take(burst, frame)) {
        return;
    }
    fp_burst_drop(burst, refusal != 0 ? (enum fp_drop)(refusal - 1) : FP_DROP_NO_ROUTE);
}

static inline __attribute__((always_inline)) void stage_forward(struct fp_burst *burst, const struct item *items,
                                                                uint32_t count, bool wide) {
    const struct fp_table_flat *table = burst->worker->table;
    const uint32_t number = table->order[0] & (FP_MAX_SHAPES - 1);
    const bool wide_shape = wide && table->shapes[number].wide;
    for (const struct item *item = items; item < items + count; item++) {
        const struct fp_table_entry *entry = fp_shape_find(table, number, wide_shape, item->hash, item->words);
        const struct fp_layout *layout = &item->frame.layout;
        if (__builtin_expect(entry != NULL && entry->level <= layout->level, 1) &&
            __builtin_expect(layout->refusal != FP_DROP_SHORT + 1, 1)) {
            fp_burst_deliver(burst, &item->frame, entry);
        } else {
            refuse(burst, &item->frame);
        }
    }
}

/* The same over several shapes. */
static __attribute__((noinline)) void stage_forward_shapes(struct fp_burst *burst, const struct item *items,
                                                           uint32_t count) {
    const struct fp_table_flat *table = burst->worker->table;
    for (const struct item *item = items; item < items + count; item++) {
        const struct fp_layout *layout = &item->frame.layout;
        const struct fp_table_entry *entry = NULL;
        if (layout->refusal != FP_DROP_SHORT + 1) {
            entry = fp_table_search(table, item->words, burst->port, layout->level);
        }
        if (entry != NULL) {
            fp_burst_deliver(burst, &item->frame, entry);
        } else {
            refuse(burst, &item->frame);
        }
    }
}

/* Out of line, so that each has the registers for itself. */
static __attribute__((noinline)) uint32_t parse_narrow(struct fp_burst *burst, struct item *items, uint32_t at,
                                                       uint32_t count) {
    return stage_parse(burst, items, at, count, false, true);
}

static __attribute__((noinline)) uint32_t parse_wide(struct fp_burst *burst, struct item *items, uint32_t at,
                                                     uint32_t count) {
    return stage_parse(burst, items, at, count, true, true);
}

static __attribute__((noinline)) uint32_t parse_shapes(struct fp_burst *burst, struct item *items, uint32_t at,
                                                       uint32_t count) {
    return stage_parse(burst, items, at, count, true, false);
}

static __attribute__((noinline)) void forward_narrow(struct fp_burst *burst, const struct item *items, uint32_t count) {
    stage_forward(burst, items, count, false);
}

static __attribute__((noinline)) void forward_wide(struct fp_burst *burst, const struct item *items, uint32_t count) {
    stage_forward(burst, items, count, true);
}

/* A batch through the stages. Tables of few routes lie in the nearest caches anyway. */
static void forward_batch(struct fp_burst *burst, uint32_t at, uint32_t count) {
    const struct fp_table_flat *table = burst->worker->table;
    struct item items[FP_BATCH_FRAMES];
    bool one_shape = table->shape_count == 1;
    uint32_t frames;
    if (!one_shape) {
        frames = parse_shapes(burst, items, at, count);
    } else {
        frames = table->wide != 0 ? parse_wide(burst, items, at, count) : parse_narrow(burst, items, at, count);
    }
    if (table->count > FEW_ROUTES) {
        stage_fetch(burst, items, frames);
    }
    if (!one_shape) {
        stage_forward_shapes(burst, items, frames);
    } else if (table->wide != 0) {
        forward_wide(burst, items, frames);
    } else {
        forward_narrow(burst, items, frames);
    }
}

enum { LINE_BYTES = 64, MOST_FETCHED_BYTES = 2048 };

/* The first lines of frames, or all where they will be copied; of a damaged slot anything inside the buffers. */
static inline void fetch_frames(const struct fp_ring *ring, uint32_t at, uint32_t count, bool whole) {
    const uint8_t *buffers = ring->buffers;
    uint64_t offset_mask = ring->offset_mask;
    uint64_t buffer_bytes = ring->buffer_bytes;
    uint64_t end = buffer_bytes * ring->buffer_count;
    for (; count > 0; count--) {
        const struct netmap_slot *slot = &ring->shared->slot[at];
        uint64_t word = fp_slot_load(slot);
        uint64_t start = fp_word_buffer(word) * buffer_bytes + (fp_slot_load_ptr(slot) & offset_mask);
        const uint8_t *frame = buffers + (start < end ? start : 0);
        __builtin_prefetch(frame);
        if (whole) {
            uint32_t length = fp_word_length(word) < MOST_FETCHED_BYTES ? fp_word_length(word) : MOST_FETCHED_BYTES;
            for (uint32_t line = LINE_BYTES; line < length; line += LINE_BYTES) {
                __builtin_prefetch(frame + line, 0, 2);
            }
        }
        at = fp_ring_next(ring, at);
    }
}

/* `waiting` frames are in the ring, of which `count` are this burst: the first lines of the others are fetched too. */
static void forward_routed(struct fp_burst *burst, uint32_t at, uint32_t count, uint32_t waiting) {
    const struct fp_ring *ring = burst->ring;
    bool whole = burst->ingress->copied;
    uint32_t fetched = waiting < FP_AHEAD_FRAMES ? waiting : FP_AHEAD_FRAMES;
    if (count == waiting || burst->ingress->idle) {
        fetch_frames(ring, at, fetched, whole); /* else the burst before did */
    }
    for (uint32_t done = 0; done < count; done += FP_BATCH_FRAMES) {
        uint32_t now = count - done < FP_BATCH_FRAMES ? count - done : FP_BATCH_FRAMES;
        uint32_t more = waiting - fetched < now ? waiting - fetched : now;
        fetch_frames(ring, fp_ring_skip(ring, at, fetched), more, whole);
        fetched += more;
        forward_batch(burst, fp_ring_skip(ring, at, done), now);
    }
    burst->ingress->idle = waiting - count < FP_AHEAD_FRAMES;
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

void fp_worker_publish(struct fp_worker *worker) {
    for (uint32_t i = 0; i < worker->port_count; i++) {
        struct fp_worker_port *port = &worker->ports[i];
        if (port->counters_changed) {
            uint64_t words[FP_PORT_WORDS];
            memcpy(words, &port->counters, sizeof words);
            fp_seq_store(&worker->segment->ports[i].sequence, worker->segment->ports[i].words, words, FP_PORT_WORDS);
            port->counters_changed = false;
        }
    }
}
