/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What lies in the state segment. Who writes what: `offer` and the table slot not in use: the daemon; `stop`: both; all
 * else: the worker.
 *
 * Publishing a table is one release store of `offer` = generation << 1 | table slot. The worker takes it at a burst
 * boundary and answers by storing the same value into `taken`; from then on the other slot is free to be written.
 */
#ifndef FP_STATE_H
#define FP_STATE_H

#include "capture.h"
#include "discovery.h"
#include "merge.h"
#include "table.h"

#define FP_STATE_MAGIC 0x315f65746174732dULL /* little endian "-state_1" */

#define FP_STATE_PAGE_BYTES 4096 /* mmap(2) aligns to no more */
#define FP_PORT_WORDS (sizeof(struct fp_port_counters) / sizeof(uint64_t))
#define FP_INFO_WORDS (sizeof(struct fp_port_info) / sizeof(uint64_t))
#define FP_MERGE_WORDS (1 + sizeof(struct fp_merge_counters) / sizeof(uint64_t))
#define FP_HEALTH_WORDS (sizeof(struct fp_port_health) / sizeof(uint64_t))

struct fp_port_block {
    _Alignas(64) fp_sequence sequence;
    fp_word words[FP_PORT_WORDS];
};

/* How a port works, anew each time it is opened. */
struct fp_info_block {
    _Alignas(64) fp_sequence sequence;
    fp_word words[FP_INFO_WORDS];
};

struct fp_health_block {
    _Alignas(64) fp_sequence sequence;
    fp_word words[FP_HEALTH_WORDS];
};

/* Frames and bytes of a route while it was not observed: else they are in its observation. Never across two cache
 * lines: the loop touches a random one a frame. */
struct fp_route_block {
    _Alignas(32) struct fp_pair pair; /* struct fp_route_counters */
};

/* The id of a merge's configuration, and its counters. */
struct fp_merge_block {
    _Alignas(64) fp_sequence sequence;
    fp_word words[FP_MERGE_WORDS];
};

/* Worker words that belong together, in the order of this enum. */
enum { FP_WORD_HEARTBEAT_NS, FP_WORD_LOOPS, FP_WORD_RUNNING, FP_WORKER_WORDS };

struct fp_table_slot {
    fp_word digest[FP_DIGEST_BYTES / sizeof(uint64_t)];
    struct fp_table_flat table;
};

struct fp_segment {
    uint64_t magic;
    uint32_t version;
    uint32_t reserved;
    uint64_t size_bytes;
    uint64_t pid;
    uint64_t pid_start_ticks;
    uint64_t started_ns;
    struct fp_info_block infos[FP_MAX_PORTS]; /* complete below port_count */
    struct fp_health_block health[FP_MAX_PORTS];
    _Alignas(64) FP_ATOMIC(uint32_t) port_count;
    FP_ATOMIC(uint32_t) stop;
    _Alignas(64) fp_word offer;
    _Alignas(64) fp_word taken;
    fp_sequence worker_sequence;
    fp_word worker_words[FP_WORKER_WORDS];
    struct fp_port_block ports[FP_MAX_PORTS];
    struct fp_route_block routes[FP_MAX_ROUTES];
    struct fp_table_slot tables[2];
    struct fp_discovery discovery;
    struct fp_merge_block merges[FP_MAX_MERGES];
    struct fp_capture capture;
    FP_ATOMIC(uint32_t) observed_routes; /* observations, pacings and records that have memory; publisher, only grows */
    /* From here on the file is sparse: the publisher asks for memory before a table uses it, nobody else touches it. */
    _Alignas(FP_STATE_PAGE_BYTES) struct fp_observation observations[FP_MAX_ROUTES];
    struct fp_pacing pacings[FP_MAX_ROUTES];
    struct fp_observation_record records[FP_MAX_ROUTES]; /* of the observations */
    _Alignas(FP_STATE_PAGE_BYTES) uint8_t arena[FP_MERGE_ARENA_BYTES];
};

#define FP_STATE_SPARSE offsetof(struct fp_segment, observations)

struct fp_state {
    int fd; /* holds publishers apart by flock(2) */
    struct fp_segment *segment;
};

/* Holds other publishers off, without waiting; the kernel frees it should this process die. */
int fp_state_lock(struct fp_state *state);

/* arena.c: memory for what `next` observes and merges, beside `in_use`, the table the worker has. Merges whose number
 * and configuration are in both keep their place. */
int fp_arena_place(struct fp_state *state, const struct fp_table_flat *in_use, struct fp_table_flat *next);

static inline struct fp_merge *fp_arena_merge(struct fp_segment *segment, uint32_t line) {
    size_t at = (size_t)line * FP_MERGE_LINE_BYTES & (FP_MERGE_ARENA_BYTES - 1);
    return (struct fp_merge *)(void *)(segment->arena + at);
}

static inline uint64_t fp_offer_generation(uint64_t offer) { return offer >> 1; }
static inline unsigned fp_offer_slot(uint64_t offer) { return (unsigned)(offer & 1); }

#endif
