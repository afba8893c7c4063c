/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One writer, any number of readers in other processes: the writer never waits, a reader repeats until it read no word
 * of two writes. Data words are atomics with release stores and acquire loads instead of plain words and fences: free
 * on x86-64, and ThreadSanitizer understands it.
 */
#ifndef FP_SEQLOCK_H
#define FP_SEQLOCK_H

#include "fastpath.h"
#include <stdbool.h>

typedef FP_ATOMIC(uint64_t) fp_word;
typedef FP_ATOMIC(uint32_t) fp_sequence; /* odd while a write is under way */

/* Returns the odd value that says so. */
static inline uint32_t fp_seq_write_begin(fp_sequence *sequence) {
    uint32_t value = atomic_load_explicit(sequence, memory_order_relaxed) + 1;
    atomic_store_explicit(sequence, value, memory_order_relaxed);
    return value;
}

static inline void fp_seq_store(fp_sequence *sequence, fp_word *to, const uint64_t *from, size_t words) {
    uint32_t value = fp_seq_write_begin(sequence);
    for (size_t i = 0; i < words; i++) {
        atomic_store_explicit(&to[i], from[i], memory_order_release);
    }
    atomic_store_explicit(sequence, value + 1, memory_order_release);
}

/*
 * Two totals read together, of which the first grows with every write and so needs no sequence beside it: it is written
 * before and after the other.
 */
struct fp_pair {
    fp_word first;
    fp_word second;
    fp_word first_again;
};

static inline void fp_pair_add(struct fp_pair *pair, uint64_t first, uint64_t second) {
    first += atomic_load_explicit(&pair->first, memory_order_relaxed);
    second += atomic_load_explicit(&pair->second, memory_order_relaxed);
    atomic_store_explicit(&pair->first, first, memory_order_relaxed);
    atomic_store_explicit(&pair->second, second, memory_order_release);
    atomic_store_explicit(&pair->first_again, first, memory_order_release);
}

/* As fp_seq_load. */
int fp_pair_load(const struct fp_pair *pair, uint64_t to[2]);

/* For readers with loops of their own: waits after a try that failed; false where it was the last one. */
bool fp_seq_wait(unsigned attempt);

/* FP_E_TORN where the write under way does not end within 200 ms; `to` is then untouched. */
int fp_seq_load(const fp_sequence *sequence, const fp_word *from, uint64_t *to, size_t words);

#endif
