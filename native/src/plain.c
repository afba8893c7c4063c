/* SPDX-License-Identifier: Apache-2.0 */
/* Ports whose frames all take one route: no header is looked at but for its length. */
#include "output.h"
#include "take.h"

/* Slots whose buffers are to change places, and what each must keep to. */
struct run {
    struct netmap_slot *from;
    struct netmap_slot *to;
    uint32_t count;
    uint32_t length_mask; /* as in struct fp_window */
    uint32_t limit_bytes; /* longest frame that both ports take */
    uint32_t first_buffer;
    uint32_t buffer_span;
    uint32_t buffer_bytes;
    uint64_t offset_mask;
    uint64_t bytes; /* of the frames that went */
};

/*
 * As far as every slot is as it should be. Nothing but slots is read or written, and all limits lie in registers.
 * Without `offsets` frames begin where buffers do, in both rings, and slots' second words say nothing. Returns how
 * many.
 */
static inline __attribute__((always_inline)) uint32_t swap_slots(struct run *run, bool offsets) {
    const struct run limits = *run;
    const uint32_t most = limits.limit_bytes - FP_ETHERNET_BYTES;
    struct netmap_slot *from = limits.from;
    struct netmap_slot *to = limits.to;
    uint64_t bytes = 0;
    for (const struct netmap_slot *end = from + limits.count; from < end; from++, to++) {
        uint64_t received = fp_slot_load(from);
        uint64_t received_ptr = offsets ? fp_slot_load_ptr(from) : 0;
        uint64_t sent = fp_slot_load(to);
        uint64_t sent_ptr = offsets ? fp_slot_load_ptr(to) : 0;
        uint32_t length = (uint32_t)(received >> 32) & limits.length_mask;
        bool usual = length - FP_ETHERNET_BYTES <= most &&
                     fp_word_buffer(received) - limits.first_buffer < limits.buffer_span &&
                     fp_word_buffer(sent) - limits.first_buffer < limits.buffer_span &&
                     (!offsets || (received_ptr & limits.offset_mask) <= limits.buffer_bytes - length);
        if (__builtin_expect(!usual, 0)) {
            break;
        }
        uint64_t word = fp_word_flag(received, NS_BUF_CHANGED);
        fp_slot_store(to, word);
        fp_slot_store(from, word ^ (uint32_t)(received ^ sent)); /* the same with the other buffer */
        if (offsets) {
            to->ptr = received_ptr;
            from->ptr = sent_ptr;
        }
        bytes += length;
    }
    run->bytes = bytes;
    return (uint32_t)(from - limits.from);
}

/* Out of line, so that the limits have the registers for themselves. */
static __attribute__((noinline)) uint32_t swap_with_offsets(struct run *run) { return swap_slots(run, true); }

/* netmap's own rings have no offsets where nobody asked for them: half of the loads and stores are spared. */
static __attribute__((noinline)) uint32_t swap_without_offsets(struct run *run) { return swap_slots(run, false); }

/* Frames from slot `at` on, as far as both rings go without wrapping and all is usual. Returns how many. */
static uint32_t swap_run(struct fp_burst *burst, struct fp_cursor *cursor, const struct fp_window *window, uint32_t at,
                         uint32_t count, uint32_t counter) {
    const struct fp_ring *rx = burst->ring;
    const struct fp_ring *tx = cursor->ring;
    const uint32_t first = rx->first_buffer > tx->first_buffer ? rx->first_buffer : tx->first_buffer;
    struct run run = {
        .from = &rx->shared->slot[at],
        .to = cursor->slot,
        .count = fp_least(count, fp_least(rx->slots - at, cursor->run)),
        .length_mask = window->length_mask,
        .limit_bytes = fp_least(cursor->limit_bytes, rx->buffer_bytes),
        .first_buffer = first,
        .buffer_span = fp_least(rx->buffer_count, tx->buffer_count) - first,
        .buffer_bytes = rx->buffer_bytes,
        .offset_mask = rx->offset_mask,
    };
    uint32_t done = (rx->offset_mask | tx->offset_mask) == 0 ? swap_without_offsets(&run) : swap_with_offsets(&run);
    burst->received_frames += done;
    burst->received_bytes += run.bytes;
    burst->forwarded_frames += done;
    if (done > 0) {
        fp_burst_count_route(burst, counter, done, run.bytes);
    }
    cursor->slot += done;
    cursor->run -= done;
    cursor->sent_bytes += run.bytes;
    return done;
}

/* No more than the output has room for: a sync between bursts may make some for the others. */
static uint32_t find_room(struct fp_burst *burst, const struct fp_table_entry *entry) {
    const struct fp_cursor *cursor = fp_burst_cursor(burst, entry->first.port);
    uint32_t room = cursor->run + cursor->rest;
    return room > FP_BURST_FRAMES ? room : FP_BURST_FRAMES;
}

uint32_t fp_burst_plain(struct fp_burst *burst, uint32_t at, uint32_t most, const struct fp_table_entry *entry) {
    const struct fp_ring *ring = burst->ring;
    bool simple = entry->flags == (FP_ENTRY_SIMPLE | FP_ENTRY_AS_IT_CAME);
    const uint32_t taken = fp_least(most, simple ? find_room(burst, entry) : FP_BURST_FRAMES);
    uint32_t count = taken;
    struct fp_window window = fp_window_open(burst);
    struct fp_frame frame;
    while (count > 0) {
        struct fp_cursor *cursor = simple ? fp_burst_cursor(burst, entry->first.port) : NULL; /* and its next run */
        uint32_t done = cursor != NULL && cursor->swap_bytes > 0 && !ring->inside_multi_slot
                            ? swap_run(burst, cursor, &window, at, count, entry->counter)
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
    return taken;
}
