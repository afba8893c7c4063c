/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way to the host stack and back, where a port takes the whole interface from it (netmap): frames no route took to
 * the host's own port, as far as their class was asked for, and all that the host sends to the interface's.
 */
#ifndef FP_HOST_PATH_H
#define FP_HOST_PATH_H

#include "burst.h"

/* From one port of a pair to the other; each has its own. */
struct fp_host_path {
    struct fp_table_entry way; /* one output, the other port, as it came; in no table: it begins with the worker */
    uint32_t classes;          /* enum fp_host; 0: the host's own port, all of whose frames go */
    uint8_t mac[6];            /* of the interface */
    bool asked;                /* the interface was asked for it */
};

/* Whether a port is the host's own. */
static inline bool fp_host_is_own(const struct fp_worker_port *port) {
    return port->host != NULL && port->host->classes == 0;
}

/* A frame no route took: true where it is the host's, and counted. */
bool fp_host_take(struct fp_burst *burst, const struct fp_frame *frame);
/* `count` frames of the host's own port, from slot `at` on, to the interface. */
void fp_host_transmit(struct fp_burst *burst, uint32_t at, uint32_t count);

/* After a port was opened again: its interface may have another address. Not while the loop uses the port. */
void fp_host_renew(struct fp_worker_port *port);
/* Frees all pairs. */
void fp_host_unpair(struct fp_worker *worker);

#endif
