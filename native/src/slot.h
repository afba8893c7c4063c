/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A slot as two words. The memory of a ring may be written by others at any time (the kernel, the peer of a pipe): each
 * word is read exactly once, checked, and only the checked copy is used.
 */
#ifndef FP_SLOT_H
#define FP_SLOT_H

#include "ring.h"

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "slot words are taken apart as little endian");

typedef uint64_t __attribute__((may_alias)) fp_slot_word;

/* buf_idx, len and flags of a slot. */
static inline uint64_t fp_slot_load(const struct netmap_slot *slot) {
    return __atomic_load_n((const fp_slot_word *)(const void *)slot, __ATOMIC_RELAXED);
}

static inline uint64_t fp_slot_load_ptr(const struct netmap_slot *slot) {
    return __atomic_load_n(&slot->ptr, __ATOMIC_RELAXED);
}

static inline void fp_slot_store(struct netmap_slot *slot, uint64_t word) {
    __atomic_store_n((fp_slot_word *)(void *)slot, word, __ATOMIC_RELAXED);
}

#define FP_WORD_FLAGS (0xffffULL << 48)
#define FP_WORD_LENGTH (0xffffULL << 32)

static inline uint32_t fp_word_buffer(uint64_t word) { return (uint32_t)word; }
static inline uint32_t fp_word_length(uint64_t word) { return (uint32_t)(word >> 32) & 0xffff; }

/* The same with other flags; with another buffer; with another length. */
static inline uint64_t fp_word_flag(uint64_t word, uint64_t flags) { return (word & ~FP_WORD_FLAGS) | flags << 48; }
static inline uint64_t fp_word_rebuffer(uint64_t word, uint64_t other) {
    return (word & ~(uint64_t)UINT32_MAX) | (uint32_t)other;
}
static inline uint64_t fp_word_resize(uint64_t word, uint32_t length) {
    return (word & ~FP_WORD_LENGTH) | (uint64_t)(length & 0xffff) << 32;
}

#endif
