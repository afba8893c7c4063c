/* SPDX-License-Identifier: Apache-2.0 */
/* Slots of a receive ring to frames. */
#ifndef FP_TAKE_H
#define FP_TAKE_H

#include "burst.h"

/* What of a ring a burst needs, in registers: stores into frames and slots cannot change it. */
struct fp_window {
    uint8_t *buffers;
    uint64_t offset_mask;
    uint32_t length_mask; /* what of a slot word's upper half is compared with usual_bytes: length and NS_MOREFRAG */
    uint32_t buffer_bytes;
    uint32_t usual_bytes; /* longest frame that is nothing odd: 0 inside a frame of several slots */
    uint32_t first_buffer;
    uint32_t buffer_span;
};

static inline struct fp_window fp_window_open(const struct fp_burst *burst) {
    const struct fp_ring *ring = burst->ring;
    return (struct fp_window){
        .buffers = ring->buffers,
        .offset_mask = ring->offset_mask,
        .length_mask = burst->more_flag << 16 | UINT16_MAX,
        .buffer_bytes = ring->buffer_bytes,
        .usual_bytes = ring->inside_multi_slot ? 0 : ring->buffer_bytes,
        .first_buffer = ring->first_buffer,
        .buffer_span = ring->buffer_count - ring->first_buffer,
    };
}

/* The frame in a slot, its layout left open; false where there is none to go on with, which is then counted. */
static inline __attribute__((always_inline)) bool fp_window_take(struct fp_burst *burst, struct fp_window *ring,
                                                                 struct netmap_slot *slot, struct fp_frame *out) {
    uint64_t word = fp_slot_load(slot);
    uint64_t ptr = fp_slot_load_ptr(slot);
    uint64_t offset = ptr & ring->offset_mask;
    uint32_t length = (uint32_t)(word >> 32) & ring->length_mask; /* too long, where more of the frame follows */
    uint32_t buffer = fp_word_buffer(word);
    if (__builtin_expect(buffer - ring->first_buffer >= ring->buffer_span, 0) ||
        __builtin_expect(length - 1 >= ring->usual_bytes, 0) ||
        __builtin_expect(offset > ring->buffer_bytes - length, 0)) {
        bool taken = fp_burst_take_odd(burst, word, ptr);
        ring->usual_bytes = burst->ring->inside_multi_slot ? 0 : ring->buffer_bytes;
        if (!taken) {
            return false;
        }
    } else {
        burst->received_frames++;
        burst->received_bytes += length;
    }
    out->slot = slot;
    out->word = fp_word_flag(word, NS_BUF_CHANGED);
    out->ptr = ptr;
    out->bytes = ring->buffers + (size_t)buffer * ring->buffer_bytes + offset;
    return true;
}

#endif
