/* SPDX-License-Identifier: Apache-2.0 */
/* A worker over memory ports, ready to be turned. */
#ifndef FP_RIG_H
#define FP_RIG_H

#include "frame_builder.h"

struct rig {
    char path[64]; /* of the state segment */
    struct fp_state *state;
    struct fp_region *regions[FP_MAX_PORTS];
    uint32_t region_count;
    struct fp_worker *worker;
    struct fp_table *table;
    struct fp_port *ports[FP_MAX_PORTS];
    uint32_t port_count;
    uint64_t generation;
};

/* Aborts the test where anything fails. `separate` ports have a region each: nothing can be swapped. */
void rig_open(struct rig *rig, uint32_t ports, uint32_t ring_slots, int separate, enum fp_wait wait);
/* One region for all ports, with so many buffers more, which merges of the worker may hold frames in. */
void rig_open_holding(struct rig *rig, uint32_t ports, uint32_t ring_slots, enum fp_wait wait, uint32_t hold_buffers);
/* The same with buffers of another size than 2,048 bytes. */
void rig_open_sized(struct rig *rig, uint32_t ports, uint32_t ring_slots, int separate, enum fp_wait wait,
                    uint32_t buffer_bytes);
void rig_close(struct rig *rig);
/* A route that compares what frame_key says of `shape`, VLANs included, and the ingress port. */
struct fp_route rig_route_of(const struct frame_shape *shape, uint16_t ingress, uint32_t outputs, uint16_t counter);
/* A route for frames of `shape` from `ingress`; `outputs` is a bit mask of ports. Not yet published. */
void rig_route(struct rig *rig, const struct frame_shape *shape, uint16_t ingress, uint32_t outputs, uint16_t counter);
/* Offers the table and turns until it is taken. */
void rig_publish(struct rig *rig);
struct fp_port_counters rig_counters(const struct rig *rig, uint32_t port);
uint64_t rig_dropped(const struct fp_port_counters *counters);
/* Every buffer of the one region is in exactly one slot, or place for held frames. */
void rig_check_buffers(const struct rig *rig);
/* Law 5, for every port. */
void rig_check_balance(const struct rig *rig);

#endif
