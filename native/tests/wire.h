/* SPDX-License-Identifier: Apache-2.0 */
/* The world around an appliance: a worker in its own thread, and frames sent to and taken from real interfaces. */
#ifndef FP_WIRE_H
#define FP_WIRE_H

#include "frame_builder.h"
#include <pthread.h>

/* A worker that forwards `media` from port 0 to port 1. */
struct wire_appliance {
    struct fp_state *state;
    struct fp_region *region;
    struct fp_worker *worker;
    struct fp_port *ports[2];
    pthread_t loop;
    char path[64];
};

extern const struct frame_shape media;

void wire_appliance_open(struct wire_appliance *appliance, const char *const specs[2], uint32_t flags,
                         uint32_t ring_slots);
void wire_appliance_open_as(struct wire_appliance *appliance, const struct fp_port_config configs[2],
                            enum fp_wait wait);
void wire_appliance_close(struct wire_appliance *appliance);
struct fp_port_counters wire_counters(const struct wire_appliance *appliance, uint32_t port);
struct fp_port_health wire_health(const struct wire_appliance *appliance, uint32_t port);
struct fp_port_info wire_info(const struct wire_appliance *appliance, uint32_t port);

/* Sends `frames` out of one interface and checks that each arrives at the other once, in order, byte for byte. At most
 * `window` are on the way, so that any loss is the appliance's. Prints the rate. */
void wire_exchange(const char *what, const char *sender, const char *receiver, uint32_t frames, uint32_t window);

/* Opens a port as a test would, closes it again and returns the result; errno as the opening left it. */
int wire_try_open(const char *spec, uint32_t flags, uint32_t ring_slots, uint32_t buffers);

#endif
