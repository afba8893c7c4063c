/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One burst on its way: from one receive ring to any transmit rings. What is shared with others (rings, counters) is
 * read when the burst opens and written when it closes; in between everything is local to the loop.
 */
#ifndef FP_BURST_H
#define FP_BURST_H

#include "slot.h"
#include "worker.h"

/*
 * Frames taken through the stages together: what one stage fetched is still near in the next. Buffers lie 2,048 bytes
 * apart, so that their first lines share 24 places of a 48 kB first cache: of two batches of 8 all stay, of 16 some do
 * not (10,000 routes, frames from memory: 25 ns a frame with 8, 32 with 16, 47 with 32).
 */
enum { FP_BATCH_FRAMES = 8 };

/* Frames up to so long are fetched whole where they are copied; of longer ones the processor finds the rest itself. */
enum { FP_LINE_BYTES = 64, FP_FETCHED_BYTES = 2048 };

/* A transmit ring during a burst. Its free slots are a run up to the ring's end, and the rest from its beginning on. */
struct fp_cursor {
    struct netmap_slot *slot; /* next to fill */
    uint32_t run;             /* free slots from there on; 0: fp_burst_open_cursor finds more, or none */
    uint32_t swap_bytes;      /* longest frame whose buffer may change places: 0 where the memory region is another, and
                                 while      it is closed */
    uint32_t first_buffer;
    uint32_t buffer_span; /* buffers from the first on */
    uint64_t sent_bytes;
    uint32_t rest;        /* free slots behind the run */
    uint32_t limit_bytes; /* longest frame */
    uint32_t opened_with; /* free slots in all when the burst came to this ring */
    uint32_t slots_count;
    struct netmap_slot *slots;
    const struct fp_ring *ring;
    struct fp_worker_port *egress;
    uint64_t copied_frames;
    uint64_t full_frames;
    uint64_t too_long_frames;
};

struct fp_burst {
    struct fp_worker *worker;
    struct fp_worker_port *ingress;
    struct fp_ring *ring;
    struct fp_route_block *routes; /* counters of routes */
    uint32_t ring_index;
    uint32_t port;
    uint32_t opened;    /* bit mask of cursors in use */
    uint32_t more_flag; /* NS_MOREFRAG where the ring has frames over several slots, else 0 */
    uint64_t now_ns;    /* when it was taken; only where the table asks for media */
    uint64_t received_frames;
    uint64_t received_bytes;
    uint64_t forwarded_frames;
    uint64_t merged_frames;
    uint64_t to_host_frames;
    struct fp_cursor cursors[FP_MAX_PORTS];
};

/* A frame in its receive slot, checked. */
struct fp_frame {
    struct netmap_slot *slot;
    uint8_t *bytes;
    uint64_t word; /* of the slot: buffer and length; its flags say that the buffer changes places */
    uint64_t ptr;  /* of the slot */
    struct fp_layout layout;
};

static inline uint32_t fp_frame_length(const struct fp_frame *frame) { return fp_word_length(frame->word); }

/* plain.c: frames from slot `at` on to one route, whatever is in them, at most `most`: no stage has to hold them, so as
 * many as its output takes, or a usual burst. Returns how many. */
uint32_t fp_burst_plain(struct fp_burst *burst, uint32_t at, uint32_t most, const struct fp_table_entry *entry);

/* burst.c */
void fp_burst_open(struct fp_burst *burst, struct fp_worker *worker, uint32_t ingress, uint32_t ring_index);
void fp_burst_close(struct fp_burst *burst);
/* A burst of frames that no ring brings, out by the first ring of each port: ordered.c sets ring, ingress and port. */
void fp_burst_open_held(struct fp_burst *burst, struct fp_worker *worker);
void fp_burst_close_held(struct fp_burst *burst);
/* Of a cursor without a run: opens it, or goes on at the ring's beginning. */
void fp_burst_open_cursor(struct fp_burst *burst, struct fp_cursor *cursor);
/* A slot that is damaged, empty or a part of a frame, as it was read: counted; true where a frame goes on with it all
 * the same. */
bool fp_burst_take_odd(struct fp_burst *burst, uint64_t word, uint64_t ptr);

static inline struct fp_cursor *fp_burst_cursor(struct fp_burst *burst, uint32_t port) {
    struct fp_cursor *cursor = &burst->cursors[port % FP_MAX_PORTS];
    __asm__("" : "+r"(cursor)); /* so that gcc does not compute it anew for each use */
    if (__builtin_expect(cursor->run == 0, 0)) {
        fp_burst_open_cursor(burst, cursor);
    }
    return cursor;
}

static inline void fp_burst_drop(struct fp_burst *burst, enum fp_drop reason) {
    burst->ingress->counters.dropped_frames[reason]++;
}

/* `frames` is not 0. */
static inline void fp_burst_count_route(struct fp_burst *burst, uint32_t counter, uint64_t frames, uint64_t bytes) {
    fp_pair_add(&burst->routes[counter % FP_MAX_ROUTES].pair, frames, bytes);
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

/* The next slot of a cursor with a run; false where it is damaged: then there is no room. */
static inline bool fp_cursor_peek(const struct fp_cursor *cursor, struct fp_place *out) {
    out->word = fp_slot_load(cursor->slot);
    out->ptr = fp_slot_load_ptr(cursor->slot);
    return fp_word_buffer(out->word) - cursor->first_buffer < cursor->buffer_span;
}

static inline void fp_cursor_advance(struct fp_cursor *cursor, uint32_t sent_bytes) {
    cursor->slot++;
    cursor->run--;
    cursor->sent_bytes += sent_bytes;
}

/* The frame's buffer goes to the transmit slot, the transmit slot's buffer to the receive slot. `word` is the frame's.
 */
static inline void fp_cursor_swap(struct fp_cursor *cursor, const struct fp_place *place, const struct fp_frame *frame,
                                  uint64_t ptr, uint64_t word) {
    struct netmap_slot *to = cursor->slot;
    struct netmap_slot *from = frame->slot;
    fp_cursor_advance(cursor, fp_word_length(word));
    fp_slot_store(to, word);
    to->ptr = ptr;
    fp_slot_store(from, fp_word_rebuffer(frame->word, place->word));
    from->ptr = place->ptr;
}

#endif
