/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Flows that no route takes: a table of those seen last, the one not seen for the longest time makes room for a new
 * one. A frame costs a hash, a short chain and, where its flow is not the newest, six links of two bytes; neither
 * allocation nor a pointer, so that the table can lie in the state segment, zeroed. Links are the worker's own; readers
 * look at entries, each under its own sequence number.
 */
#ifndef FP_DISCOVERY_H
#define FP_DISCOVERY_H

#include "frame.h"
#include "seqlock.h"

enum { FP_DISCOVERY_BUCKETS = 2048 };

#define FP_DISCOVERED_WORDS (sizeof(struct fp_discovered) / sizeof(uint64_t))

struct fp_discovery_entry {
    _Alignas(32) fp_sequence sequence;
    uint32_t unused;
    fp_word words[FP_DISCOVERED_WORDS];
};

/* Indices are those of entries + 1; 0 is none. */
struct fp_discovery_link {
    uint16_t chain; /* next of the same bucket */
    uint16_t newer;
    uint16_t older;
    uint16_t bucket;
};

struct fp_discovery {
    _Alignas(64) FP_ATOMIC(uint32_t) count; /* entries in use: the first ones; worker */
    uint16_t newest;
    uint16_t oldest;
    uint64_t seed;         /* so that nobody can choose flows of one bucket; worker, before the first frame */
    fp_word evicted_flows; /* that made room; worker */
    uint16_t buckets[FP_DISCOVERY_BUCKETS];
    struct fp_discovery_link links[FP_DISCOVERED_FLOWS];
    struct fp_discovery_entry entries[FP_DISCOVERED_FLOWS];
};

/* Empties the table. */
void fp_discovery_reset(struct fp_discovery *at, uint64_t seed);
/* A frame of a flow that no route takes; the key is a whole one (FP_LEVEL_UDP). */
void fp_discovery_see(struct fp_discovery *at, const struct fp_key *key, uint32_t length_bytes, uint64_t now_ns);
/* Entry `index` of those in use. FP_E_INVALID past the last, FP_E_TORN where the worker died while it wrote. Entries
 * are in no order, and a flow may change its place between two calls only by leaving. */
int fp_discovery_read(const struct fp_discovery *at, uint32_t index, struct fp_discovered *out);
uint32_t fp_discovery_count(const struct fp_discovery *at);
uint64_t fp_discovery_evicted(const struct fp_discovery *at);

#endif
