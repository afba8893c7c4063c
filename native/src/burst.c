/* SPDX-License-Identifier: Apache-2.0 */
/* Opening and closing a burst: what is read from shared memory before it, and what is written there after it. */
#include "burst.h"

void fp_burst_open(struct fp_burst *burst, struct fp_worker *worker, uint32_t ingress, uint32_t ring_index) {
    burst->worker = worker;
    burst->ingress = &worker->ports[ingress];
    burst->ring = &burst->ingress->port->rx[ring_index];
    burst->routes = worker->segment->routes;
    burst->ring_index = ring_index;
    burst->port = ingress;
    burst->opened = 0;
    burst->more_flag = burst->ring->whole_frames ? 0 : NS_MOREFRAG;
    if ((worker->table->media | worker->table->discovery) != 0) {
        burst->now_ns = worker->clock_ns();
        worker->now_ns = burst->now_ns;
        worker->now_is_new = true;
    }
    burst->received_frames = 0;
    burst->received_bytes = 0;
    burst->forwarded_frames = 0;
    burst->merged_frames = 0;
    burst->to_host_frames = 0;
}

/*
 * A frame over several slots is one frame: counted where it ends. Slots of no bytes add nothing to it: netmap's e1000
 * and e1000e leave the last receive descriptor unset when they start, a NIC may skip it, and it comes in as such a
 * slot.
 */
bool fp_burst_take_odd(struct fp_burst *burst, uint64_t word, uint64_t ptr) {
    struct fp_ring *ring = burst->ring;
    bool inside = ring->inside_multi_slot;
    bool more = (word >> 48 & burst->more_flag) != 0;
    uint32_t length = fp_word_length(word);
    uint64_t offset = ptr & ring->offset_mask;
    bool sound = offset <= ring->buffer_bytes && fp_slot_is_sound(ring, fp_word_buffer(word), (uint32_t)offset, length);
    if (ring->whole_frames && length == 0) {
        return false;
    }
    if (!sound) {
        ring->inside_multi_slot = more; /* what follows is no frame of its own */
        burst->received_frames++;
        fp_burst_drop(burst, FP_DROP_BAD_SLOT);
        return false;
    }
    burst->received_bytes += length;
    if (more) {
        ring->inside_multi_slot = inside || length > 0;
        return false;
    }
    ring->inside_multi_slot = false;
    burst->received_frames++;
    if (inside) {
        fp_burst_drop(burst, FP_DROP_MULTI_SLOT);
    }
    return !inside;
}

void fp_burst_open_cursor(struct fp_burst *burst, struct fp_cursor *cursor) {
    uint32_t port = (uint32_t)(cursor - burst->cursors);
    if ((burst->opened >> port & 1) != 0) {
        if (cursor->rest > 0) { /* else it is full where it is */
            cursor->slot = cursor->slots;
            cursor->run = cursor->rest;
            cursor->rest = 0;
        }
        return;
    }
    struct fp_worker_port *egress = &burst->worker->ports[port];
    const struct fp_ring *ring = &egress->port->tx[burst->ring_index % egress->port->info.tx_rings];
    uint32_t space = fp_ring_space(ring);
    uint32_t at = space > 0 ? ring->shared->head % ring->slots : 0;
    uint32_t run = space < ring->slots - at ? space : ring->slots - at;
    bool swaps = egress->port->info.region == burst->ingress->port->info.region;
    burst->opened |= 1U << port;
    *cursor = (struct fp_cursor){
        .slot = ring->shared->slot + at,
        .run = run,
        .rest = space - run,
        .opened_with = space,
        .slots = ring->shared->slot,
        .slots_count = ring->slots,
        .ring = ring,
        .egress = egress,
        .limit_bytes = egress->port->info.buffer_bytes,
        .swap_bytes = swaps ? egress->port->info.buffer_bytes : 0,
        .first_buffer = ring->first_buffer,
        .buffer_span = ring->buffer_count - ring->first_buffer,
    };
}

static void cursor_close(struct fp_cursor *cursor) {
    struct fp_port_counters *counters = &cursor->egress->counters;
    uint64_t sent = cursor->opened_with - cursor->run - cursor->rest;
    if (sent > 0) {
        uint32_t at = (uint32_t)(cursor->slot - cursor->slots);
        fp_ring_advance(cursor->ring, at == cursor->slots_count ? 0 : at);
        cursor->egress->unsent = true;
    }
    counters->offered_frames += sent + cursor->full_frames + cursor->too_long_frames;
    counters->transmitted_frames += sent;
    counters->transmitted_bytes += cursor->sent_bytes;
    counters->swapped_frames += sent - cursor->copied_frames;
    counters->copied_frames += cursor->copied_frames;
    counters->tx_full_frames += cursor->full_frames;
    counters->tx_too_long_frames += cursor->too_long_frames;
    cursor->egress->counters_changed = true;
    cursor->run = 0; /* the next burst opens it anew */
    cursor->swap_bytes = 0;
}

void fp_burst_open_held(struct fp_burst *burst, struct fp_worker *worker) {
    burst->worker = worker;
    burst->routes = worker->segment->routes;
    burst->ring_index = 0;
    burst->opened = 0;
    burst->more_flag = 0;
    burst->now_ns = worker->now_ns;
}

void fp_burst_close_held(struct fp_burst *burst) {
    for (uint32_t left = burst->opened; left != 0; left &= left - 1) {
        cursor_close(&burst->cursors[__builtin_ctz(left)]);
    }
}

void fp_burst_close(struct fp_burst *burst) {
    struct fp_port_counters *counters = &burst->ingress->counters;
    burst->ingress->copied = false;
    for (uint32_t left = burst->opened; left != 0; left &= left - 1) {
        struct fp_cursor *cursor = &burst->cursors[__builtin_ctz(left)];
        burst->ingress->copied = burst->ingress->copied || cursor->copied_frames > 0;
        cursor_close(cursor);
    }
    counters->received_frames += burst->received_frames;
    counters->received_bytes += burst->received_bytes;
    counters->forwarded_frames += burst->forwarded_frames;
    counters->merged_frames += burst->merged_frames;
    counters->to_host_frames += burst->to_host_frames;
    counters->bursts++;
    burst->ingress->counters_changed = true;
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
