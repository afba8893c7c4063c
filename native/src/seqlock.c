/* SPDX-License-Identifier: Apache-2.0 */
#include "seqlock.h"
#include <string.h>
#include <time.h>

enum { MAX_WORDS = 64, SPINS = 1000, SLEEP_NS = 50000, SLEEPS = 4000 /* 200 ms together */ };

static int try_load(const fp_sequence *sequence, const fp_word *from, uint64_t *to, size_t words) {
    uint32_t before = atomic_load_explicit(sequence, memory_order_acquire);
    if ((before & 1) != 0) {
        return 0;
    }
    for (size_t i = 0; i < words; i++) {
        to[i] = atomic_load_explicit(&from[i], memory_order_acquire);
    }
    return atomic_load_explicit(sequence, memory_order_relaxed) == before;
}

int fp_seq_load(const fp_sequence *sequence, const fp_word *from, uint64_t *to, size_t words) {
    uint64_t copy[MAX_WORDS];
    if (words > MAX_WORDS) {
        return FP_E_INVALID;
    }
    for (unsigned attempt = 0; attempt < SPINS + SLEEPS; attempt++) {
        if (try_load(sequence, from, copy, words)) {
            memcpy(to, copy, words * sizeof copy[0]);
            return 0;
        }
        if (attempt >= SPINS) { /* the writer was preempted, or is gone */
            nanosleep(&(struct timespec){.tv_nsec = SLEEP_NS}, NULL);
        }
    }
    return FP_E_TORN;
}
