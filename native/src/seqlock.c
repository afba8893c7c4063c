/* SPDX-License-Identifier: Apache-2.0 */
#include "seqlock.h"
#include <string.h>
#include <time.h>

enum { MAX_WORDS = 96, SPINS = 1000, SLEEP_NS = 50000, SLEEPS = 4000 /* 200 ms together */ };

bool fp_seq_wait(unsigned attempt) {
    if (attempt >= SPINS) { /* the writer was preempted, or is gone */
        nanosleep(&(struct timespec){.tv_nsec = SLEEP_NS}, NULL);
    }
    return attempt + 1 < SPINS + SLEEPS;
}

static bool try_load(const fp_sequence *sequence, const fp_word *from, uint64_t *to, size_t words) {
    uint32_t before = atomic_load_explicit(sequence, memory_order_acquire);
    if ((before & 1) != 0) {
        return false;
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
    for (unsigned attempt = 0; !try_load(sequence, from, copy, words); attempt++) {
        if (!fp_seq_wait(attempt)) {
            return FP_E_TORN;
        }
    }
    memcpy(to, copy, words * sizeof copy[0]);
    return 0;
}

/* In the order opposite to the writer's. */
static bool try_load_pair(const struct fp_pair *pair, uint64_t copy[2]) {
    uint64_t again = atomic_load_explicit(&pair->first_again, memory_order_acquire);
    copy[1] = atomic_load_explicit(&pair->second, memory_order_acquire);
    copy[0] = atomic_load_explicit(&pair->first, memory_order_relaxed);
    return copy[0] == again;
}

int fp_pair_load(const struct fp_pair *pair, uint64_t to[2]) {
    uint64_t copy[2];
    for (unsigned attempt = 0; !try_load_pair(pair, copy); attempt++) {
        if (!fp_seq_wait(attempt)) {
            return FP_E_TORN;
        }
    }
    memcpy(to, copy, sizeof copy);
    return 0;
}
