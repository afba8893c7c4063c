/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Buffers beyond those of any ring, for frames that wait for their turn. A frame is held without a copy: its buffer
 * changes places with a free one, as between rings; so a place always has exactly one buffer, and the number of
 * buffers of a store never changes, whatever becomes of ports. One store for a memory region of a worker, taken when
 * the worker starts and given back at its end.
 */
#ifndef FP_HOLD_H
#define FP_HOLD_H

#include "burst.h"

#define FP_HOLD_NONE UINT32_MAX

enum fp_hold_state {
    FP_HOLD_FREE,
    FP_HOLD_HELD,  /* a merge has its handle */
    FP_HOLD_QUEUED /* its turn has come: ordered.c has its handle */
};

/* All by the worker. */
struct fp_hold_place {
    struct netmap_slot slot; /* as in a ring: what is held, or just a buffer */
    struct fp_layout layout; /* of what is held */
    uint32_t next;           /* handle of the next one: free, or queued; FP_HOLD_NONE: the last */
    uint8_t state;           /* enum fp_hold_state */
    uint8_t port;            /* it came in on */
    uint8_t path;            /* of its merge */
    uint8_t unused;
};

struct fp_netmap_extra;

struct fp_hold {
    uint32_t region;      /* as in fp_port_info.region */
    uint32_t count;       /* of places */
    uint32_t free;        /* handle of the first free one */
    uint32_t free_frames; /* so many are free */
    uint32_t port;        /* of the worker, whose region it is */
    struct fp_ring ring;  /* how buffers are addressed; it has no slots */
    struct fp_hold_place *places;
    struct fp_region *memory;      /* of xdp: and memory: ports, else NULL */
    struct fp_netmap_extra *extra; /* of netmap: ports, else NULL */
};

/* Takes `count` buffers from the region of `port`; `memory` is that region where the port is not netmap's. FP_E_REGION
 * where there are not so many, FP_E_NO_MEMORY, FP_E_SYSTEM. */
int fp_hold_open(const struct fp_port *port, struct fp_region *memory, uint32_t count, struct fp_hold **out);
/* Gives all buffers back, those of held frames included; NULL is allowed. */
void fp_hold_close(struct fp_hold *hold);
/* Memory of the buffers, and of what is known of each. */
uint64_t fp_hold_bytes(const struct fp_hold *hold);

/* The frame's buffer goes into a free place, whose buffer the frame's slot gets. Its handle; FP_HOLD_NONE where there
 * is no free one. */
static inline uint32_t fp_hold_put(struct fp_hold *hold, const struct fp_frame *frame, uint32_t port, uint32_t path) {
    uint32_t handle = hold->free;
    if (handle >= hold->count || fp_word_buffer(frame->word) >= hold->ring.buffer_count) {
        return FP_HOLD_NONE;
    }
    struct fp_hold_place *place = &hold->places[handle];
    uint64_t spare = fp_slot_load(&place->slot);
    uint64_t spare_ptr = place->slot.ptr;
    fp_slot_store(&place->slot, frame->word);
    place->slot.ptr = frame->ptr;
    fp_slot_store(frame->slot, fp_word_rebuffer(frame->word, spare));
    frame->slot->ptr = spare_ptr;
    hold->free = place->next;
    hold->free_frames--;
    place->layout = frame->layout;
    place->next = FP_HOLD_NONE;
    place->state = FP_HOLD_HELD;
    place->port = (uint8_t)port;
    place->path = (uint8_t)path;
    return handle;
}

/* What was held is gone; whatever buffer lies in the place now is free. */
static inline void fp_hold_free(struct fp_hold *hold, uint32_t handle) {
    struct fp_hold_place *place = &hold->places[handle];
    place->state = FP_HOLD_FREE;
    place->next = hold->free;
    hold->free = handle;
    hold->free_frames++;
}

/* The place a merge gave the handle of; NULL where it holds no frame: merges lie in memory that others can write. */
static inline struct fp_hold_place *fp_hold_find(struct fp_hold *hold, uint32_t handle) {
    struct fp_hold_place *place = handle < hold->count ? &hold->places[handle] : NULL;
    return place != NULL && place->state == FP_HOLD_HELD ? place : NULL;
}

/* The frame in a place, as if it lay in a receive slot. */
static inline struct fp_frame fp_hold_frame(const struct fp_hold *hold, struct fp_hold_place *place) {
    uint64_t word = fp_slot_load(&place->slot);
    uint64_t ptr = place->slot.ptr;
    return (struct fp_frame){
        .slot = &place->slot,
        .bytes = fp_ring_buffer(&hold->ring, fp_word_buffer(word)) + (ptr & hold->ring.offset_mask),
        .word = word,
        .ptr = ptr,
        .layout = place->layout,
    };
}

#endif
