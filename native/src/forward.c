/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way of one burst: slots -> keys -> routes -> transmit rings. No allocation, lock, log or system call here; every
 * frame ends in exactly one counter.
 */
#include "worker.h"
#include <string.h>

/* A frame in its receive slot, checked. */
struct frame {
    const struct fp_ring *ring;
    struct netmap_slot *slot;
    const uint8_t *bytes;
    uint32_t length;
    uint32_t region;
    uint32_t ring_index;
};

/* A transmit slot taken for the frame. */
struct place {
    struct fp_worker_port *egress;
    struct netmap_slot *slot;
    const struct fp_ring *ring;
};

static void drop(struct fp_worker_port *ingress, enum fp_drop reason) { ingress->counters.dropped_frames[reason]++; }

static void count_sent(const struct place *place, uint32_t length) {
    struct fp_port_counters *counters = &place->egress->counters;
    place->egress->unsent = true;
    counters->transmitted_frames++;
    counters->transmitted_bytes += length;
}

static void send_by_copy(const struct place *place, const struct frame *frame) {
    struct netmap_slot *slot = place->slot;
    /* netmap's own slots may carry an offset the ring was opened with; ours start at 0. */
    slot->ptr &= ~place->ring->offset_mask;
    memcpy(fp_ring_buffer(place->ring, slot->buf_idx), frame->bytes, frame->length);
    slot->len = (uint16_t)frame->length;
    slot->flags &= NS_BUF_CHANGED; /* the kernel may have changed the buffer itself (pipes) */
    place->egress->counters.copied_frames++;
    count_sent(place, frame->length);
}

/* The frame's buffer goes to the transmit slot, the transmit slot's buffer to the receive slot. */
static void send_by_swap(const struct place *place, const struct frame *frame) {
    struct netmap_slot *to = place->slot;
    struct netmap_slot *from = frame->slot;
    uint32_t buffer = to->buf_idx;
    uint64_t offset = to->ptr;
    to->buf_idx = from->buf_idx;
    to->ptr = from->ptr;
    to->len = (uint16_t)frame->length;
    to->flags = NS_BUF_CHANGED;
    from->buf_idx = buffer;
    from->ptr = offset;
    from->flags = NS_BUF_CHANGED;
    place->egress->counters.swapped_frames++;
    count_sent(place, frame->length);
}

/* Takes the next free slot of the egress port's ring; false where there is none. */
static bool take_place(struct fp_worker_port *egress, uint32_t ring_index, struct place *out) {
    const struct fp_ring *ring = &egress->port->tx[ring_index % egress->port->info.tx_rings];
    if (fp_ring_space(ring) == 0) {
        return false;
    }
    uint32_t head = ring->shared->head;
    struct netmap_slot *slot = &ring->shared->slot[head];
    if (!fp_slot_is_sound(ring, slot->buf_idx, 0, 0)) {
        return false; /* a damaged transmit slot is no room */
    }
    fp_ring_advance(ring, fp_ring_next(ring, head));
    *out = (struct place){egress, slot, ring};
    return true;
}

static void forward(struct fp_worker *worker, struct fp_worker_port *ingress, const struct frame *frame,
                    const struct fp_route *route) {
    struct place places[FP_MAX_OUTPUTS];
    unsigned taken = 0;
    unsigned swap = FP_MAX_OUTPUTS; /* which place gets the buffer itself: the last that can */
    bool full = false;
    unsigned outputs = route->output_count <= FP_MAX_OUTPUTS ? route->output_count : FP_MAX_OUTPUTS;
    for (unsigned i = 0; i < outputs; i++) {
        struct fp_worker_port *egress = &worker->ports[route->outputs[i] % FP_MAX_PORTS];
        egress->counters_changed = true;
        egress->counters.offered_frames++;
        if (frame->length > egress->port->info.buffer_bytes) {
            egress->counters.tx_too_long_frames++;
        } else if (!take_place(egress, frame->ring_index, &places[taken])) {
            egress->counters.tx_full_frames++;
            full = true;
        } else {
            swap = egress->port->info.region == frame->region ? taken : swap;
            taken++;
        }
    }
    for (unsigned i = 0; i < taken; i++) {
        if (i != swap) {
            send_by_copy(&places[i], frame);
        }
    }
    if (swap < taken) {
        send_by_swap(&places[swap], frame);
    }
    if (taken > 0) {
        ingress->counters.forwarded_frames++;
    } else {
        drop(ingress, full ? FP_DROP_TX_FULL : FP_DROP_TOO_LONG);
    }
}

static void publish_run(struct fp_worker *worker) {
    struct fp_route_run *run = &worker->run;
    if (run->frames == 0) {
        return;
    }
    struct fp_route_block *block = &worker->segment->routes[run->counter % FP_MAX_ROUTES];
    uint64_t words[2] = {
        atomic_load_explicit(&block->words[0], memory_order_relaxed) + run->frames,
        atomic_load_explicit(&block->words[1], memory_order_relaxed) + run->bytes,
    };
    fp_seq_store(&block->sequence, block->words, words, 2);
    run->frames = 0;
    run->bytes = 0;
}

static void count_route(struct fp_worker *worker, const struct fp_route *route, uint32_t length) {
    if (worker->run.counter != route->counter) {
        publish_run(worker);
        worker->run.counter = route->counter;
    }
    worker->run.frames++;
    worker->run.bytes += length;
}

static void take_frame(struct fp_worker *worker, uint16_t port, const struct frame *frame) {
    struct fp_worker_port *ingress = &worker->ports[port];
    struct fp_key key;
    key.port = port;
    int refused = fp_frame_parse(frame->bytes, frame->length, &key);
    if (refused != 0) {
        drop(ingress, (enum fp_drop)(refused - 1));
        return;
    }
    const struct fp_route *route = worker->table == NULL ? NULL : fp_table_flat_lookup(worker->table, &key);
    if (route == NULL) {
        drop(ingress, FP_DROP_NO_ROUTE);
        return;
    }
    count_route(worker, route, frame->length);
    forward(worker, ingress, frame, route);
}

/*
 * A frame over several slots is one frame: counted where it ends. Slots of no bytes add nothing to it: netmap's e1000
 * and e1000e leave the last receive descriptor unset when they start, a NIC may skip it, and it comes in as such a
 * slot.
 */
static void take_slot(struct fp_worker *worker, uint16_t port, uint32_t ring_index, struct netmap_slot *slot) {
    struct fp_worker_port *ingress = &worker->ports[port];
    struct fp_ring *ring = &ingress->port->rx[ring_index];
    struct fp_port_counters *counters = &ingress->counters;
    uint32_t offset = fp_slot_offset(ring, slot);
    uint32_t length = slot->len;
    bool more = (slot->flags & NS_MOREFRAG) != 0 && !ring->whole_frames;
    bool inside = ring->inside_multi_slot;
    if (ring->whole_frames && length == 0) {
        return;
    }
    if (!fp_slot_is_sound(ring, slot->buf_idx, offset, length)) {
        ring->inside_multi_slot = more; /* what follows is no frame of its own */
        counters->received_frames++;
        drop(ingress, FP_DROP_BAD_SLOT);
        return;
    }
    counters->received_bytes += length;
    if (more) {
        ring->inside_multi_slot = inside || length > 0;
        return;
    }
    ring->inside_multi_slot = false;
    counters->received_frames++;
    if (inside) {
        drop(ingress, FP_DROP_MULTI_SLOT);
        return;
    }
    struct frame frame = {
        ring, slot, fp_ring_buffer(ring, slot->buf_idx) + offset, length, ingress->port->info.region, ring_index};
    take_frame(worker, port, &frame);
}

/* The headers of a burst are fetched while the first frames are parsed. */
static void prefetch(const struct fp_ring *ring, uint32_t head, uint32_t count) {
    for (uint32_t i = 0, at = head; i < count; i++, at = fp_ring_next(ring, at)) {
        const struct netmap_slot *slot = &ring->shared->slot[at];
        uint32_t buffer = slot->buf_idx < ring->buffer_count ? slot->buf_idx : 0;
        __builtin_prefetch(fp_ring_buffer(ring, buffer) + fp_slot_offset(ring, slot));
    }
}

uint32_t fp_worker_forward(struct fp_worker *worker, uint32_t ingress, uint32_t ring_index) {
    struct fp_worker_port *port = &worker->ports[ingress];
    struct fp_ring *ring = &port->port->rx[ring_index];
    uint32_t count = fp_ring_space(ring);
    if (count == 0) {
        return 0;
    }
    count = count < FP_BURST_FRAMES ? count : FP_BURST_FRAMES;
    uint32_t at = ring->shared->head;
    prefetch(ring, at, count);
    for (uint32_t i = 0; i < count; i++) {
        take_slot(worker, (uint16_t)ingress, ring_index, &ring->shared->slot[at]);
        at = fp_ring_next(ring, at);
    }
    fp_ring_advance(ring, at);
    port->counters.bursts++;
    port->counters_changed = true;
    fp_worker_publish(worker);
    return count;
}

void fp_worker_publish(struct fp_worker *worker) {
    publish_run(worker);
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
