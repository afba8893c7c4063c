/* SPDX-License-Identifier: Apache-2.0 */
#include "discovery.h"

enum {
    WORD_KEY = 0,
    WORD_FRAMES = FP_KEY_WORDS,
    WORD_BYTES,
    WORD_RTP,
    WORD_FIRST,
    WORD_LAST,
    WORD_COUNT,
    UDP_SOURCE_MASK = 0xffff /* of the key's last word: the rest of it does not tell flows apart */
};

static_assert((int)WORD_COUNT == (int)FP_DISCOVERED_WORDS, "struct fp_discovered in words");
static_assert(FP_DISCOVERED_FLOWS <= UINT16_MAX, "links are two bytes");
static_assert((FP_DISCOVERY_BUCKETS & (FP_DISCOVERY_BUCKETS - 1)) == 0, "buckets are found by a mask");

static uint64_t word_get(const fp_word *word) { return atomic_load_explicit(word, memory_order_relaxed); }

static uint16_t bucket_of(const struct fp_discovery *at, const uint64_t key[FP_KEY_WORDS]) {
    uint64_t hash = at->seed;
    for (unsigned i = 0; i < FP_KEY_WORDS; i++) {
        uint64_t word = i == FP_KEY_WORDS - 1 ? key[i] & UDP_SOURCE_MASK : key[i];
        hash = (hash ^ word) * 0x9e3779b97f4a7c15ULL;
        hash ^= hash >> 32;
    }
    return (uint16_t)(hash >> 16 & (FP_DISCOVERY_BUCKETS - 1));
}

static bool is_flow(const struct fp_discovery_entry *entry, const uint64_t key[FP_KEY_WORDS]) {
    uint64_t differs = (word_get(&entry->words[FP_KEY_WORDS - 1]) ^ key[FP_KEY_WORDS - 1]) & UDP_SOURCE_MASK;
    for (unsigned i = 0; i < FP_KEY_WORDS - 1; i++) {
        differs |= word_get(&entry->words[i]) ^ key[i];
    }
    return differs == 0;
}

/* Of the entry + 1; 0 where there is none. */
static uint16_t find(const struct fp_discovery *at, uint16_t bucket, const uint64_t key[FP_KEY_WORDS]) {
    uint16_t place = at->buckets[bucket];
    while (place != 0 && !is_flow(&at->entries[place - 1], key)) {
        place = at->links[place - 1].chain;
    }
    return place;
}

static void leave_bucket(struct fp_discovery *at, uint16_t place) {
    const struct fp_discovery_link *link = &at->links[place - 1];
    uint16_t *from = &at->buckets[link->bucket];
    while (*from != place) {
        from = &at->links[*from - 1].chain;
    }
    *from = link->chain;
}

static void enter_bucket(struct fp_discovery *at, uint16_t place, uint16_t bucket) {
    struct fp_discovery_link *link = &at->links[place - 1];
    link->bucket = bucket;
    link->chain = at->buckets[bucket];
    at->buckets[bucket] = place;
}

/* Out of the order of age. */
static void leave_age(struct fp_discovery *at, uint16_t place) {
    const struct fp_discovery_link link = at->links[place - 1];
    *(link.newer != 0 ? &at->links[link.newer - 1].older : &at->newest) = link.older;
    *(link.older != 0 ? &at->links[link.older - 1].newer : &at->oldest) = link.newer;
}

static void become_newest(struct fp_discovery *at, uint16_t place) {
    struct fp_discovery_link *link = &at->links[place - 1];
    link->newer = 0;
    link->older = at->newest;
    *(at->newest != 0 ? &at->links[at->newest - 1].newer : &at->oldest) = place;
    at->newest = place;
}

/* A place for a new flow: an unused one, or the oldest flow's. */
static uint16_t make_room(struct fp_discovery *at) {
    uint32_t count = atomic_load_explicit(&at->count, memory_order_relaxed);
    if (count < FP_DISCOVERED_FLOWS) {
        return (uint16_t)(count + 1);
    }
    uint16_t place = at->oldest;
    leave_bucket(at, place);
    leave_age(at, place);
    atomic_store_explicit(&at->evicted_flows, word_get(&at->evicted_flows) + 1, memory_order_release);
    return place;
}

void fp_discovery_reset(struct fp_discovery *at, uint64_t seed) {
    atomic_store_explicit(&at->count, 0, memory_order_release);
    atomic_store_explicit(&at->evicted_flows, 0, memory_order_release);
    at->newest = 0;
    at->oldest = 0;
    at->seed = seed;
    memset(at->buckets, 0, sizeof at->buckets);
}

void fp_discovery_see(struct fp_discovery *at, const struct fp_key *key, uint32_t length_bytes, uint64_t now_ns) {
    uint64_t words[WORD_COUNT];
    uint64_t is_rtp = key->payload_type != FP_NOT_RTP ? 1 : 0;
    memcpy(words, key, sizeof *key);
    uint16_t bucket = bucket_of(at, words);
    uint16_t place = find(at, bucket, words);
    bool is_new = place == 0;
    if (is_new) {
        place = make_room(at);
        enter_bucket(at, place, bucket);
        become_newest(at, place);
    } else if (place != at->newest) {
        leave_age(at, place);
        become_newest(at, place);
    }
    struct fp_discovery_entry *entry = &at->entries[place - 1];
    words[WORD_FRAMES] = is_new ? 1 : word_get(&entry->words[WORD_FRAMES]) + 1;
    words[WORD_BYTES] = is_new ? length_bytes : word_get(&entry->words[WORD_BYTES]) + length_bytes;
    words[WORD_RTP] = is_new ? is_rtp : word_get(&entry->words[WORD_RTP]) + is_rtp;
    words[WORD_FIRST] = is_new ? now_ns : word_get(&entry->words[WORD_FIRST]);
    words[WORD_LAST] = now_ns;
    fp_seq_store(&entry->sequence, entry->words, words, WORD_COUNT);
    if (is_new && place > atomic_load_explicit(&at->count, memory_order_relaxed)) {
        atomic_store_explicit(&at->count, place, memory_order_release);
    }
}

int fp_discovery_read(const struct fp_discovery *at, uint32_t index, struct fp_discovered *out) {
    uint64_t words[WORD_COUNT];
    if (index >= fp_discovery_count(at)) {
        return FP_E_INVALID;
    }
    int result = fp_seq_load(&at->entries[index].sequence, at->entries[index].words, words, WORD_COUNT);
    if (result == 0) {
        memcpy(out, words, sizeof *out);
    }
    return result;
}

uint32_t fp_discovery_count(const struct fp_discovery *at) {
    uint32_t count = atomic_load_explicit(&at->count, memory_order_acquire);
    return count < FP_DISCOVERED_FLOWS ? count : FP_DISCOVERED_FLOWS;
}

uint64_t fp_discovery_evicted(const struct fp_discovery *at) {
    return atomic_load_explicit(&at->evicted_flows, memory_order_acquire);
}
