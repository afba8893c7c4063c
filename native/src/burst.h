/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One burst on its way: from one receive ring to any transmit rings. What is shared with others (rings, counters) is
 * read when the burst opens and written when it closes; in between everything is local to the loop.
 */
#ifndef FP_BURST_H
#define FP_BURST_H

#include "slot.h"
#include "worker.h"

enum {
    FP_BATCH_FRAMES = 16, /* taken through the stages together: what one stage fetched is still near in the next */
    FP_AHEAD_FRAMES = 16  /* first lines fetched ahead of the batch */
};

/* A transmit ring during a burst. */
struct fp_cursor {
    struct fp_worker_port *egress;
    const struct fp_ring *ring;
    struct netmap_slot *slots;
    uint32_t at;          /* next slot to fill */
    uint32_t space;       /* slots from there on */
    uint32_t limit_bytes; /* longest frame */
    uint32_t swap_bytes;  /* longest frame whose buffer may change places: 0 where the memory region is another */
    uint32_t first_buffer;
    uint32_t buffer_span; /* buffers from the first on */
    uint32_t slots_count;
    uint64_t swapped_frames;
    uint64_t copied_frames;
    uint64_t sent_bytes;
    uint64_t full_frames;
    uint64_t too_long_frames;
};

struct fp_burst {
    struct fp_worker *worker;
    struct fp_worker_port *ingress;
    struct fp_ring *ring;
    uint32_t ring_index;
    uint32_t port;
    uint32_t opened;    /* bit mask of cursors in use */
    uint32_t more_flag; /* NS_MOREFRAG where the ring has frames over several slots, else 0 */
    uint64_t received_frames;
    uint64_t received_bytes;
    uint64_t forwarded_frames;
    uint64_t to_host_frames;
    struct fp_cursor cursors[FP_MAX_PORTS];
};

/* A frame in its receive slot, checked. */
struct fp_frame {
    struct netmap_slot *slot;
    uint8_t *bytes;
    uint64_t word; /* of the slot: buffer and length */
    uint64_t ptr;  /* of the slot */
    struct fp_layout layout;
};

static inline uint32_t fp_frame_length(const struct fp_frame *frame) { return fp_word_length(frame->word); }

/* plain.c: `count` frames from slot `at` on to one route, whatever is in them. */
void fp_burst_plain(struct fp_burst *burst, uint32_t at, uint32_t count, const struct fp_table_entry *entry);

/* burst.c */
void fp_burst_open(struct fp_burst *burst, struct fp_worker *worker, uint32_t ingress, uint32_t ring_index);
void fp_burst_close(struct fp_burst *burst);
void fp_burst_open_cursor(struct fp_burst *burst, uint32_t port);
/* A slot that is damaged, empty or a part of a frame: counted; true where a frame goes on with it all the same. */
bool fp_burst_take_odd(struct fp_burst *burst, uint32_t length, bool sound, bool more);

static inline struct fp_cursor *fp_burst_cursor(struct fp_burst *burst, uint32_t port) {
    port %= FP_MAX_PORTS;
    if (__builtin_expect((burst->opened >> port & 1) == 0, 0)) {
        fp_burst_open_cursor(burst, port);
    }
    return &burst->cursors[port];
}

static inline void fp_burst_drop(struct fp_burst *burst, enum fp_drop reason) {
    burst->ingress->counters.dropped_frames[reason]++;
}

static inline void fp_burst_count_route(struct fp_burst *burst, uint32_t counter, uint64_t frames, uint64_t bytes) {
    struct fp_route_block *block = &burst->worker->segment->routes[counter % FP_MAX_ROUTES];
    uint64_t words[2] = {
        atomic_load_explicit(&block->words[0], memory_order_relaxed) + frames,
        atomic_load_explicit(&block->words[1], memory_order_relaxed) + bytes,
    };
    fp_seq_store(&block->sequence, block->words, words, 2);
}

static inline void fp_burst_count_taken(struct fp_burst *burst, const struct fp_table_entry *entry) {
    if (__builtin_expect((entry->flags & FP_ENTRY_TO_HOST) != 0, 0)) {
        burst->to_host_frames++;
    } else {
        burst->forwarded_frames++;
    }
}

/* A transmit slot: its words, read once. */
struct fp_place {
    uint64_t word;
    uint64_t ptr;
};

/* The next free slot; false where there is no room. A damaged slot is none. */
static inline bool fp_cursor_peek(const struct fp_cursor *cursor, struct fp_place *out) {
    const struct netmap_slot *slot = &cursor->slots[cursor->at];
    out->word = fp_slot_load(slot);
    out->ptr = fp_slot_load_ptr(slot);
    return cursor->space > 0 && fp_word_buffer(out->word) - cursor->first_buffer < cursor->buffer_span;
}

static inline void fp_cursor_advance(struct fp_cursor *cursor) {
    uint32_t next = cursor->at + 1;
    cursor->at = next == cursor->slots_count ? 0 : next;
    cursor->space--;
}

/* The frame's buffer goes to the transmit slot, the transmit slot's buffer to the receive slot. */
static inline void fp_cursor_swap(struct fp_cursor *cursor, const struct fp_place *place, const struct fp_frame *frame,
                                  uint64_t ptr, uint64_t word) {
    struct netmap_slot *to = &cursor->slots[cursor->at];
    fp_slot_store(to, fp_word_flag(word, NS_BUF_CHANGED));
    to->ptr = ptr;
    fp_slot_store(frame->slot, fp_word_flag(fp_word_rebuffer(frame->word, place->word), NS_BUF_CHANGED));
    frame->slot->ptr = place->ptr;
    cursor->swapped_frames++;
    cursor->sent_bytes += fp_word_length(word);
    fp_cursor_advance(cursor);
}

#endif
