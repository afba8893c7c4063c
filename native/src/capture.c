/* SPDX-License-Identifier: Apache-2.0 */
#include "burst.h"

enum { PORT_SHIFT = 16, LENGTH_SHIFT = 32, LOW_16 = 0xffff };

/* Released words after the cleared number: whoever reads one of them finds the number changed afterwards. */
static void capture_write(struct fp_capture *capture, const uint64_t head[FP_CAPTURE_HEAD_WORDS], const uint8_t *bytes,
                          uint32_t length) {
    uint64_t number = atomic_load_explicit(&capture->count, memory_order_relaxed);
    struct fp_capture_slot *slot = &capture->slots[number % FP_CAPTURE_SLOTS];
    fp_word *to = slot->words;
    atomic_store_explicit(&slot->number, 0, memory_order_relaxed);
    for (unsigned i = 0; i < FP_CAPTURE_HEAD_WORDS; i++) {
        atomic_store_explicit(to++, head[i], memory_order_release);
    }
    for (uint32_t at = 0; at < length; at += sizeof(uint64_t)) {
        uint64_t word = 0;
        memcpy(&word, bytes + at, length - at < sizeof word ? length - at : sizeof word);
        atomic_store_explicit(to++, word, memory_order_release);
    }
    atomic_store_explicit(&slot->number, number + 1, memory_order_release);
    atomic_store_explicit(&capture->count, number + 1, memory_order_release);
}

void fp_capture_sample(struct fp_burst *burst, const struct fp_frame *frame, const struct fp_table_entry *entry) {
    struct fp_worker *worker = burst->worker;
    uint32_t every = worker->table->mirror[(entry - worker->table->entries) % FP_MAX_ROUTES];
    uint32_t *passed = &worker->mirror_passed[entry->counter % FP_MAX_ROUTES];
    if (++*passed < every) {
        return;
    }
    *passed = 0;
    uint32_t length = fp_frame_length(frame);
    const uint64_t head[FP_CAPTURE_HEAD_WORDS] = {
        worker->now_ns,
        entry->counter | (uint64_t)burst->port << PORT_SHIFT | (uint64_t)length << LENGTH_SHIFT,
    };
    capture_write(&worker->segment->capture, head, frame->bytes, length < FP_CAPTURE_BYTES ? length : FP_CAPTURE_BYTES);
}

uint64_t fp_state_count_captured(const struct fp_state *state) {
    return atomic_load_explicit(&state->segment->capture.count, memory_order_acquire);
}

int fp_state_read_captured(const struct fp_state *state, uint64_t number, struct fp_captured *out) {
    const struct fp_capture_slot *slot = &state->segment->capture.slots[number % FP_CAPTURE_SLOTS];
    struct {
        uint64_t head[FP_CAPTURE_HEAD_WORDS];
        uint8_t bytes[FP_CAPTURE_BYTES];
    } copy;
    if (atomic_load_explicit(&slot->number, memory_order_acquire) != number + 1) {
        return 0;
    }
    for (unsigned i = 0; i < FP_CAPTURE_WORDS; i++) {
        uint64_t word = atomic_load_explicit(&slot->words[i], memory_order_acquire);
        memcpy((uint8_t *)&copy + i * sizeof word, &word, sizeof word);
    }
    if (atomic_load_explicit(&slot->number, memory_order_relaxed) != number + 1) {
        return 0;
    }
    uint32_t length = (uint32_t)(copy.head[1] >> LENGTH_SHIFT);
    out->time_ns = copy.head[0];
    out->length_bytes = length;
    out->captured_bytes = length < FP_CAPTURE_BYTES ? length : FP_CAPTURE_BYTES;
    out->counter = (uint16_t)(copy.head[1] & LOW_16);
    out->port = (uint16_t)(copy.head[1] >> PORT_SHIFT & LOW_16);
    memcpy(out->bytes, copy.bytes, out->captured_bytes);
    return 1;
}
