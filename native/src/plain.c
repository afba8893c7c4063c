/* SPDX-License-Identifier: Apache-2.0 */
/* Ports whose frames all take one route: no header is looked at but for its length. */
#include "output.h"
#include "take.h"

/*
 * A run of slots whose buffers change places, as far as both rings go without wrapping and every slot is as it should
 * be. Nothing but slots is read or written, and all limits lie in registers. Without `offsets` frames begin where
 * buffers do, in both rings, and slots' second words say nothing. Returns how many.
 */
static inline __attribute__((always_inline)) uint32_t swap_slots(struct fp_burst *burst, struct fp_cursor *cursor,
                                                                 uint32_t at, uint32_t count, uint32_t counter,
                                                                 bool offsets) {
    const struct fp_ring rx = *burst->ring;
    struct netmap_slot *from = &rx.shared->slot[at];
    struct netmap_slot *to = cursor->slot;
    const uint64_t more_flag = (uint64_t)burst->more_flag << 48;
    const uint32_t span = rx.buffer_count - rx.first_buffer;
    const uint32_t to_first = cursor->first_buffer;
    const uint32_t to_span = cursor->buffer_span;
    const uint32_t limit = cursor->limit_bytes < rx.buffer_bytes ? cursor->limit_bytes : rx.buffer_bytes;
    const struct netmap_slot *start = from;
    uint64_t bytes = 0;
    count = count < rx.slots - at ? count : rx.slots - at;
    count = count < cursor->run ? count : cursor->run;
    for (const struct netmap_slot *end = from + count; from < end; from++, to++) {
        uint64_t received = fp_slot_load(from);
        uint64_t received_ptr = offsets ? fp_slot_load_ptr(from) : 0;
        uint64_t sent = fp_slot_load(to);
        uint64_t sent_ptr = offsets ? fp_slot_load_ptr(to) : 0;
        uint32_t length = fp_word_length(received);
        bool usual = length - FP_ETHERNET_BYTES <= limit - FP_ETHERNET_BYTES && (received & more_flag) == 0 &&
                     fp_word_buffer(received) - rx.first_buffer < span && fp_word_buffer(sent) - to_first < to_span &&
                     (received_ptr & rx.offset_mask) <= rx.buffer_bytes - length;
        if (__builtin_expect(!usual, 0)) {
            break;
        }
        fp_slot_store(to, fp_word_flag(received, NS_BUF_CHANGED));
        fp_slot_store(from, fp_word_flag(fp_word_rebuffer(received, sent), NS_BUF_CHANGED));
        if (offsets) {
            to->ptr = received_ptr;
            from->ptr = sent_ptr;
        }
        bytes += length;
    }
    uint32_t done = (uint32_t)(from - start);
    burst->received_frames += done;
    burst->received_bytes += bytes;
    burst->forwarded_frames += done;
    if (done > 0) {
        fp_burst_count_route(burst, counter, done, bytes);
    }
    cursor->slot += done;
    cursor->run -= done;
    cursor->sent_bytes += bytes;
    return done;
}

/* netmap's own rings have no offsets where nobody asked for them: half of the loads and stores are spared. */
static uint32_t swap_run(struct fp_burst *burst, struct fp_cursor *cursor, uint32_t at, uint32_t count,
                         uint32_t counter) {
    return (burst->ring->offset_mask | cursor->ring->offset_mask) == 0
               ? swap_slots(burst, cursor, at, count, counter, false)
               : swap_slots(burst, cursor, at, count, counter, true);
}

void fp_burst_plain(struct fp_burst *burst, uint32_t at, uint32_t count, const struct fp_table_entry *entry) {
    const struct fp_ring *ring = burst->ring;
    bool simple = entry->flags == (FP_ENTRY_SIMPLE | FP_ENTRY_AS_IT_CAME);
    struct fp_window window = fp_window_open(burst);
    struct fp_frame frame;
    while (count > 0) {
        struct fp_cursor *cursor = simple ? fp_burst_cursor(burst, entry->first.port) : NULL; /* and its next run */
        uint32_t done = cursor != NULL && cursor->swap_bytes > 0 && !ring->inside_multi_slot
                            ? swap_run(burst, cursor, at, count, entry->counter)
                            : 0;
        at = fp_ring_skip(ring, at, done);
        count -= done;
        if (count == 0) {
            break;
        }
        if (fp_window_take(burst, &window, &ring->shared->slot[at], &frame)) {
            frame.layout = (struct fp_layout){.level = FP_LEVEL_ETHERNET};
            if (fp_frame_length(&frame) >= FP_ETHERNET_BYTES) {
                fp_burst_count_route(burst, entry->counter, 1, fp_frame_length(&frame));
                fp_burst_output(burst, &frame, entry);
            } else {
                fp_burst_drop(burst, FP_DROP_SHORT);
            }
        }
        at = fp_ring_next(ring, at);
        count--;
    }
}
