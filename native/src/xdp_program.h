/* SPDX-License-Identifier: Apache-2.0 */
/* The XDP program that hands frames to our sockets, and its attachment. All of it is held by descriptors: it leaves the
 * interface with the process, however that ends. */
#ifndef FP_XDP_PROGRAM_H
#define FP_XDP_PROGRAM_H

#include "xdp_filter.h"
#include <stdbool.h>

struct fp_xdp_program {
    int map;    /* queue -> socket */
    int passed; /* counts what was left to the host stack; -1 where nothing is */
    int code;
    int link;
};

/* A program that holds nothing. */
#define FP_XDP_PROGRAM_NONE \
    (struct fp_xdp_program) { -1, -1, -1, -1 }

/* Loads the program with room for queues 0..queues-1. Frames of queues without a socket go to the host, and so do those
 * of `classes` (enum fp_host) for an interface of address `mac`. */
int fp_xdp_program_load(struct fp_xdp_program *program, uint32_t queues, uint32_t classes, const uint8_t mac[6]);
/* Frames left to the host stack because of their class. */
uint64_t fp_xdp_program_passed(const struct fp_xdp_program *program);
int fp_xdp_program_direct(const struct fp_xdp_program *program, uint32_t queue, int socket);
/* Attaches at the driver's hook or at the generic one, as asked, or fails. FP_E_BUSY where another is attached. */
int fp_xdp_program_attach(struct fp_xdp_program *program, int ifindex, bool generic);
void fp_xdp_program_close(struct fp_xdp_program *program);

#endif
