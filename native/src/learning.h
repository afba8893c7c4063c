/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who is where, for cross-connects between more than two ports: a frame to an address that was seen leaves through the
 * port it was last seen at, every other one through all (IEEE 802.1Q-2018, 8.7 learning, 8.8 the database).
 *
 * A database of fixed size, of one worker: where a set of four is full, the address unseen for longest goes, and frames
 * to it are flooded until it speaks again. Nothing in it can lead a frame to a port its route does not name.
 */
#ifndef FP_LEARNING_H
#define FP_LEARNING_H

#include "burst.h"

enum {
    FP_ADDRESS_SETS = 1024,
    FP_ADDRESS_WAYS = 4,
    FP_ADDRESS_AGE_S = 300 /* an address unseen for longer is unknown: IEEE 802.1Q-2018, table 8-6 */
};

/* All written by the worker. */
struct fp_address {
    uint64_t key;    /* MAC address | VLAN of the outer tag << 48, 0 where there is none */
    uint32_t seen_s; /* CLOCK_MONOTONIC */
    uint16_t group;  /* as in fp_route; 0: free */
    uint16_t port;   /* it was last seen at */
};

struct fp_addresses {
    struct fp_address sets[FP_ADDRESS_SETS][FP_ADDRESS_WAYS];
};

/* What fp_learning_choose returns beside the index of an output. */
enum { FP_OUTPUT_ALL = FP_MAX_OUTPUTS, FP_OUTPUT_NONE };

/* Remembers where the frame's source is and returns which of the entry's outputs its destination is behind:
 * FP_OUTPUT_NONE for the port it came from. The frame has at least its 14 bytes of Ethernet. */
unsigned fp_learning_choose(struct fp_burst *burst, const struct fp_frame *frame, const struct fp_table_entry *entry);

#endif
