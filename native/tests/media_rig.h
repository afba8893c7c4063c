/* SPDX-License-Identifier: Apache-2.0 */
/* RTP frames into a worker whose clock the test sets, and out of it again. */
#ifndef FP_MEDIA_RIG_H
#define FP_MEDIA_RIG_H

#include "rig.h"

enum { MEDIA_UDP_PORT = 6000, MEDIA_RTP_AT = 42, MEDIA_OUT = 2 /* the port routes send to, of three */ };

struct media_frame {
    uint16_t flow; /* group */
    uint16_t sequence;
    uint32_t timestamp;
    uint32_t ssrc;
    uint32_t mark; /* the first four bytes of the payload */
    uint8_t marker;
    uint8_t not_rtp;
};

/* Ports 0, 1 and MEDIA_OUT, `ring_slots` each; the clock begins at a second. */
void media_open(struct rig *rig, uint32_t ring_slots);
/* The same with buffers for frames that merges hold, beyond FP_HOLD_SPARE_FRAMES. */
void media_open_holding(struct rig *rig, uint32_t ring_slots, uint32_t hold_frames);
void media_set_clock(uint64_t now_ns);
uint64_t media_clock(void);
/* Frames of `flow` from port `path` to MEDIA_OUT; counter 2 * flow + path. Asks for nothing. */
struct fp_route media_route(uint16_t flow, uint16_t path);
/* The same as a path of merge `number`, observed. */
struct fp_route media_merge_route(uint16_t flow, uint16_t path, uint32_t number);
void media_add(struct rig *rig, const struct fp_route *route);
void media_add_merge(struct rig *rig, uint32_t number, uint64_t id, uint64_t window_ns);
/* One that releases in order. */
void media_add_ordered(struct rig *rig, uint32_t number, uint64_t id, uint64_t window_ns, uint32_t hold_frames);
/* Begins a new table; rig_publish offers it. */
void media_new_table(struct rig *rig);
void media_inject(struct rig *rig, uint32_t port, const struct media_frame *frame);
/* Turns until nothing comes any more. */
void media_turn(struct rig *rig);
/* The oldest frame that went out; 0 where there is none. */
int media_collect(struct rig *rig, struct media_frame *out);
uint32_t media_discard(struct rig *rig);                                /* the same of all; how many */
struct fp_merge_counters media_merge(struct rig *rig, uint32_t number); /* as of now */
struct fp_observed media_observed(const struct rig *rig, uint32_t counter);

#endif
