/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A worker over memory ports whose other side costs nothing: a null NIC that offers a whole receive ring at once and
 * takes whatever is sent. Frames are laid out between the timed turns, so that only the loop is timed.
 */
#ifndef FP_LANE_H
#define FP_LANE_H

#include "port.h"
#include "rig.h"

enum { LANE_SLOTS = 4096, LANE_NEAR_SLOTS = 512, LANE_MAX_OUTPUTS = 8, LANE_MAX_ROUTES = 10000 };
#define LANE_PICTURE_NS 20000000U /* 50 pictures a second */

/*
 * Where frames lie when the loop meets them. COLD, in memory: what a NIC does on hosts without DDIO (AMD). WARM, in the
 * last cache: DDIO; the first lines of 8,192 buffers of 2,048 bytes, touched round and round, do not fit the second.
 * NEAR, in the second cache: rings of 512 slots, about the buffers DPDK's net_null goes round in, which leaves every
 * frame where it was touched last.
 */
enum lane_memory { LANE_COLD, LANE_WARM, LANE_NEAR };

struct lane_case {
    const char *name;
    uint32_t frame_bytes;
    uint32_t routes;
    uint32_t outputs;        /* 1..LANE_MAX_OUTPUTS */
    uint32_t set;            /* FP_SET_* */
    int plain;               /* one route that asks for the port only */
    uint16_t observe;        /* FP_OBSERVE_* */
    uint32_t flows;          /* of the routes so many carry frames, spread over the table; 0: all */
    uint32_t run_frames;     /* of one flow come in a row; 0: 1 */
    uint32_t picture_frames; /* of each flow, 50 pictures a second; 0: 4,320, which is 1080p */
    uint32_t frame_ticks;    /* audio: each frame so many ticks of its own, and no marker; 0: video */
};

struct lane {
    struct rig rig;
    struct lane_case wanted;
    enum lane_memory memory;
    uint32_t sent;                     /* frames laid out so far: which route each takes */
    uint32_t numbers[LANE_MAX_ROUTES]; /* RTP number of each route's next frame; pictures begin at different times */
};

/* The other side of a port costs nothing, and its buffers lie in any order, as after a while. */
void lane_make_null(struct fp_port *port, uint32_t seed);
/* Leaves a frame in memory, in no cache. */
void lane_evict(const uint8_t *frame, uint32_t bytes);
void lane_open(struct lane *lane, const struct lane_case *wanted, enum lane_memory memory);
void lane_close(struct lane *lane);
/* Fills the receive ring with frames; they are offered at once. Returns how many. */
uint32_t lane_fill(struct lane *lane);
/* When the frame `frames` after the first one comes, if all flows send as fast as their format says. */
uint64_t lane_due_ns(const struct lane *lane, uint64_t frames);
/* Nanoseconds of CLOCK_MONOTONIC. */
double lane_now_ns(void);

/* Nanoseconds a frame: of the loop; of a loop that only swaps slots and reads the first line of each frame, or, with
 * more than one output, copies frames with memcpy to all but the last, over the same rings, buffers and frames. Both
 * are the fastest of several laps. */
double lane_measure(struct lane *lane, uint32_t laps);
double lane_measure_floor(struct lane *lane, uint32_t laps);

#endif
