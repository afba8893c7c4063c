/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A frame to its outputs: copies for all but one, and the buffer itself, by swapping, for the last output of the same
 * memory region; each with its own rewrite. A full output drops and is counted; nothing waits for it.
 */
#include "output.h"
#include "capture.h"
#include "learning.h"
#include "vlan.h"

/* An output that has a slot for the frame. */
struct taken {
    struct fp_cursor *cursor;
    struct fp_place place;
    const struct fp_rewrite *rewrite;
    bool moves; /* the frame may begin elsewhere in its buffer */
};

static const struct fp_rewrite as_it_came;

static void rewrite_all(uint8_t *bytes, const struct fp_frame *frame, const struct fp_rewrite *rewrite, int growth) {
    struct fp_layout layout = fp_vlan_layout(frame->layout, growth);
    fp_vlan_write(bytes, rewrite);
    fp_rewrite_apply(bytes, &layout, rewrite);
}

/*
 * The lines the next copy to this output will write, most likely as many as this one: else each copy begins by waiting
 * for them (1 to 4 at 1,404 bytes: 1.40 times the time of memcpy alone without this, 0.97 with it). Longer frames are
 * found by the processor itself.
 */
static inline void fetch_next(const struct fp_cursor *cursor, uint32_t length) {
    uint32_t buffer = cursor->run > 1 ? fp_word_buffer(fp_slot_load(cursor->slot + 1)) : 0;
    if (length <= FP_FETCHED_BYTES && buffer - cursor->first_buffer < cursor->buffer_span) {
        const uint8_t *to = fp_ring_buffer(cursor->ring, buffer);
        for (uint32_t line = 0; line < length; line += FP_LINE_BYTES) {
            __builtin_prefetch(to + line, 1);
        }
    }
}

static void send_by_copy(const struct taken *taken, const struct fp_frame *frame) {
    struct fp_cursor *cursor = taken->cursor;
    fetch_next(cursor, fp_frame_length(frame));
    struct netmap_slot *slot = cursor->slot;
    uint8_t *to = fp_ring_buffer(cursor->ring, fp_word_buffer(taken->place.word));
    int growth = fp_vlan_growth(taken->rewrite);
    uint32_t before = fp_frame_length(frame);
    uint32_t length = before + (uint32_t)growth;
    /* memmove: a damaged ring may name the frame's own buffer here. */
    if (growth == 0) {
        memmove(to, frame->bytes, before);
    } else {
        uint32_t kept = FP_MACS_BYTES + (growth < 0 ? FP_TAG_BYTES : 0U); /* where the old frame goes on */
        uint8_t macs[FP_MACS_BYTES];
        memcpy(macs, frame->bytes, FP_MACS_BYTES);
        memmove(to + kept + growth, frame->bytes + kept, before - kept);
        memcpy(to, macs, FP_MACS_BYTES);
    }
    if (taken->rewrite->set != 0) {
        rewrite_all(to, frame, taken->rewrite, growth);
    }
    /* netmap's own slots may carry an offset the ring was opened with; ours start at 0. The kernel may have changed the
     * buffer itself (pipes): that flag stays. */
    slot->ptr = taken->place.ptr & ~cursor->ring->offset_mask;
    fp_slot_store(slot, fp_word_resize(taken->place.word, length) & ~(FP_WORD_FLAGS ^ (uint64_t)NS_BUF_CHANGED << 48));
    cursor->copied_frames++;
    fp_cursor_advance(cursor, length);
}

/* Whether the frame may begin elsewhere in its buffer: in our own rings, whose slots say where. */
static bool begins_anywhere(const struct fp_burst *burst, const struct fp_cursor *cursor) {
    return (burst->ring->offset_mask & cursor->ring->offset_mask) == UINT64_MAX;
}

/* Whether the frame can change its length where it lies: by its start, or by its end. */
static bool grows_in_place(const struct fp_burst *burst, const struct fp_cursor *cursor, const struct fp_frame *frame,
                           int growth) {
    uint64_t offset = frame->ptr & burst->ring->offset_mask;
    return growth <= 0 || (begins_anywhere(burst, cursor) && offset >= FP_TAG_BYTES) ||
           offset + fp_frame_length(frame) + FP_TAG_BYTES <= burst->ring->buffer_bytes;
}

/* Moves the MAC addresses, or all behind them where a frame begins at a fixed place. */
static uint8_t *grow(const struct taken *taken, const struct fp_frame *frame, int growth, uint64_t *ptr) {
    if (taken->moves && (growth < 0 || *ptr >= FP_TAG_BYTES)) { /* then ptr is the offset */
        uint8_t *start = frame->bytes - growth;
        memmove(start, frame->bytes, FP_MACS_BYTES);
        *ptr -= (uint64_t)(int64_t)growth;
        return start;
    }
    uint32_t kept = FP_MACS_BYTES + (growth < 0 ? FP_TAG_BYTES : 0U);
    memmove(frame->bytes + kept + growth, frame->bytes + kept, fp_frame_length(frame) - kept);
    return frame->bytes;
}

static void send_by_swap(const struct taken *taken, const struct fp_frame *frame) {
    int growth = fp_vlan_growth(taken->rewrite);
    uint64_t ptr = frame->ptr;
    uint8_t *bytes = growth == 0 ? frame->bytes : grow(taken, frame, growth, &ptr);
    if (taken->rewrite->set != 0) {
        rewrite_all(bytes, frame, taken->rewrite, growth);
    }
    fp_cursor_swap(taken->cursor, &taken->place, frame, ptr,
                   fp_word_resize(frame->word, fp_frame_length(frame) + (uint32_t)growth));
}

/* Of the entry's outputs. */
struct range {
    unsigned first;
    unsigned end;
};

/* All of them, but where addresses are learnt. */
static struct range range_find(struct fp_burst *burst, const struct fp_frame *frame,
                               const struct fp_table_entry *entry) {
    unsigned end = entry->output_count <= FP_MAX_OUTPUTS ? entry->output_count : FP_MAX_OUTPUTS;
    if ((entry->flags & FP_ENTRY_LEARN) == 0) {
        return (struct range){0, end};
    }
    unsigned output = fp_learning_choose(burst, frame, entry);
    if (output == FP_OUTPUT_ALL) {
        return (struct range){0, end};
    }
    return output < end ? (struct range){output, output + 1} : (struct range){0, 0};
}

/* Finds a slot at every output that has one. Returns how many; *swap is the one that gets the buffer itself. */
static unsigned places_take(struct fp_burst *burst, const struct fp_frame *frame, const struct fp_table_entry *entry,
                            struct range range, struct taken taken[FP_MAX_OUTPUTS], unsigned *swap) {
    unsigned count = 0;
    for (unsigned i = range.first; i < range.end; i++) {
        struct fp_cursor *cursor = fp_burst_cursor(burst, entry->outputs[i].port);
        uint16_t rewrite = entry->outputs[i].rewrite;
        struct taken *next = &taken[count];
        next->cursor = cursor;
        next->rewrite = rewrite == 0 ? &as_it_came : fp_entry_rewrite(burst->worker->table, entry, i);
        int growth = fp_vlan_growth(next->rewrite);
        if (fp_frame_length(frame) + (uint32_t)growth > cursor->limit_bytes) {
            cursor->too_long_frames++;
        } else if (cursor->run == 0 || !fp_cursor_peek(cursor, &next->place)) {
            cursor->full_frames++;
        } else {
            next->moves = begins_anywhere(burst, cursor);
            *swap = cursor->swap_bytes > 0 && grows_in_place(burst, cursor, frame, growth) ? count : *swap;
            count++;
        }
    }
    return count;
}

/* Why no output took it: any that was full tells more than those that are too narrow. */
static enum fp_drop refusal(struct fp_burst *burst, const struct fp_frame *frame, const struct fp_table_entry *entry,
                            struct range range) {
    if (range.first == range.end) {
        return FP_DROP_BY_ROUTE;
    }
    for (unsigned i = range.first; i < range.end; i++) {
        uint16_t rewrite = entry->outputs[i].rewrite;
        int growth = rewrite == 0 ? 0 : fp_vlan_growth(fp_entry_rewrite(burst->worker->table, entry, i));
        if (fp_frame_length(frame) + (uint32_t)growth <= fp_burst_cursor(burst, entry->outputs[i].port)->limit_bytes) {
            return FP_DROP_TX_FULL;
        }
    }
    return FP_DROP_TOO_LONG;
}

void fp_burst_output(struct fp_burst *burst, const struct fp_frame *frame, const struct fp_table_entry *entry) {
    struct taken taken[FP_MAX_OUTPUTS];
    unsigned swap = FP_MAX_OUTPUTS;
    if ((entry->flags & FP_ENTRY_MIRROR) != 0) {
        fp_capture_sample(burst, frame, entry);
    }
    if ((entry->flags & FP_ENTRY_EXPIRES) != 0 && !fp_frame_lives(frame->bytes, &frame->layout)) {
        fp_burst_drop(burst, FP_DROP_EXPIRED);
        return;
    }
    const struct range range = range_find(burst, frame, entry);
    unsigned count = places_take(burst, frame, entry, range, taken, &swap);
    for (unsigned i = 0; i < count; i++) {
        if (i != swap) {
            send_by_copy(&taken[i], frame);
        }
    }
    if (swap < count) {
        send_by_swap(&taken[swap], frame); /* last: it may write into the frame */
    }
    if (count > 0) {
        fp_burst_count_taken(burst, entry);
    } else {
        fp_burst_drop(burst, refusal(burst, frame, entry, range));
    }
}
