/* SPDX-License-Identifier: Apache-2.0 */
/* The rings of a registered netmap port in its mapped memory, of which nothing is believed. */
#ifndef FP_NETMAP_RINGS_H
#define FP_NETMAP_RINGS_H

#include "netmap_device.h"
#include "port.h"

/* Fills the port's rings, and what `info` says of them, from the interface at offset `interface_at`. FP_E_SYSTEM with
 * EPROTO where something is not inside the memory, FP_E_UNSUPPORTED where one direction has no ring. */
int fp_netmap_rings_open(struct fp_port *port, const struct fp_netmap_memory *memory, uint64_t interface_at);

#endif
