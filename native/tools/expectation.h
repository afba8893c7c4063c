/* SPDX-License-Identifier: Apache-2.0 */
/*
 * expectation.h - what has to arrive, and what did: every frame of every expected flow exactly once, in order,
 * byte for byte. Invariants: arrived = intact + duplicated + corrupt per flow, expected = intact + missing.
 */
#ifndef EXPECTATION_H
#define EXPECTATION_H

#include "source.h"

#define EXPECTATION_MAX_FILTERS 16
#define EXPECTATION_MAX_FLOWS 64

/* "--expect GROUP[:PORT]": flows of the source to this address should arrive here. */
struct flow_filter {
    struct flow_key key;
    bool any_port;
};

struct flow {
    struct flow_key key;
    bool expected;         /* false: a flow of the source that should not come here */
    uint64_t count_frames; /* frames of this flow in the source */
    uint64_t *frames;      /* their numbers in the source; NULL: 0, 1, 2, ... */
    uint8_t *seen;         /* one bit per frame */
    uint32_t *bucket;      /* by content hash: position + 1 of the first frame, 0 none; NULL for video */
    uint32_t *next_alike;  /* per position: position + 1 of the next with that hash, 0 none */
    uint64_t bucket_mask;
    uint64_t next;              /* position that would be in order */
    uint64_t intact_frames;     /* arrived once, byte for byte */
    uint64_t reordered_frames;  /* of the intact ones: after a frame that left later */
    uint64_t duplicated_frames; /* again, after an intact one */
    uint64_t corrupt_frames;    /* of this flow, but with bytes no outstanding frame has */
};

struct expectation {
    const struct source *source;
    struct flow flows[EXPECTATION_MAX_FLOWS];
    uint32_t count_flows;
    uint64_t received_frames; /* == arrived of expected flows + stray + foreign */
    uint64_t received_bytes;
    uint64_t stray_frames;   /* UDP, of no flow that is expected here */
    uint64_t foreign_frames; /* not UDP: IPv6 neighbour discovery, ARP, IGMP, ... */
    struct flow_key first_stray;
    char first_fault[160]; /* the first fault in words, empty where none */
};

/* Without a filter nothing is expected: everything of the source is stray. */
int expectation_open(const struct source *source, const struct flow_filter *filters, uint32_t count_filters,
                     struct expectation *out, char error[REASON_BYTES]);
void expectation_close(struct expectation *expectation);
void expectation_take(struct expectation *expectation, const uint8_t *frame, uint32_t length_bytes);

uint64_t expectation_expected(const struct expectation *expectation);
uint64_t expectation_intact(const struct expectation *expectation);
/* Frames that should have come by now, judged by what came behind them. */
uint64_t expectation_overdue(const struct expectation *expectation);
bool expectation_complete(const struct expectation *expectation);
/* Complete and nothing duplicated, reordered, corrupt or stray. */
bool expectation_met(const struct expectation *expectation);

#endif /* EXPECTATION_H */
