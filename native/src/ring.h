/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One ring as the loop sees it: netmap's shared ring, and beside it what the loop may believe. The shared memory can be
 * written by others (the kernel, a peer process), so sizes and limits are copied at open and never read from it again.
 */
#ifndef FP_RING_H
#define FP_RING_H

#include "netmap_abi.h"
#include <stdbool.h>

struct fp_ring {
    struct netmap_ring *shared;
    uint8_t *buffers;       /* buffer 0 */
    uint32_t slots;         /* num_slots as it was at open */
    uint32_t buffer_bytes;  /* distance of two buffers */
    uint32_t frame_bytes;   /* largest frame a slot takes */
    uint32_t first_buffer;  /* indices below are not ours (netmap keeps 0 and 1) */
    uint32_t buffer_count;  /* indices from here on do not exist */
    uint64_t offset_mask;   /* bits of slot.ptr that say where the frame starts */
    bool whole_frames;      /* receive: every slot is a frame, NS_MOREFRAG says nothing */
    bool inside_multi_slot; /* receive: slots before this one hold the beginning of its frame */
};

static inline uint32_t fp_least(uint32_t a, uint32_t b) { return a < b ? a : b; }

static inline uint32_t fp_ring_next(const struct fp_ring *ring, uint32_t slot) {
    return slot + 1 == ring->slots ? 0 : slot + 1;
}

/* The slot `count` slots on; `count` is at most the ring's size. */
static inline uint32_t fp_ring_skip(const struct fp_ring *ring, uint32_t slot, uint32_t count) {
    return slot + count < ring->slots ? slot + count : slot + count - ring->slots;
}

/* Slots [head, tail): received frames, or room to send. 0 where the shared indices are impossible. */
static inline uint32_t fp_ring_space(const struct fp_ring *ring) {
    uint32_t head = ring->shared->head;
    uint32_t tail = ring->shared->tail;
    if (head >= ring->slots || tail >= ring->slots) {
        return 0;
    }
    return tail >= head ? tail - head : tail + ring->slots - head;
}

static inline void fp_ring_advance(const struct fp_ring *ring, uint32_t head) {
    ring->shared->head = head;
    ring->shared->cur = head;
}

/* Frames given to the port and not yet given back: a ring of n slots offers n - 1. */
static inline uint32_t fp_ring_outstanding(const struct fp_ring *ring) { return ring->slots - 1 - fp_ring_space(ring); }

static inline uint32_t fp_slot_offset(const struct fp_ring *ring, const struct netmap_slot *slot) {
    uint64_t offset = slot->ptr & ring->offset_mask;
    return offset < ring->buffer_bytes ? (uint32_t)offset : ring->buffer_bytes;
}

/* Whether the slot's buffer exists and holds `length_bytes` from `offset` on. */
static inline bool fp_slot_is_sound(const struct fp_ring *ring, uint32_t buffer, uint32_t offset,
                                    uint32_t length_bytes) {
    return buffer >= ring->first_buffer && buffer < ring->buffer_count && length_bytes <= ring->buffer_bytes - offset;
}

static inline uint8_t *fp_ring_buffer(const struct fp_ring *ring, uint32_t buffer) {
    return ring->buffers + (size_t)buffer * ring->buffer_bytes;
}

#endif
