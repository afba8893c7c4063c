/* SPDX-License-Identifier: Apache-2.0 */
/* The XDP program that hands frames to our sockets, and its attachment. All of it is held by descriptors: it leaves the
 * interface with the process, however that ends. */
#ifndef FP_XDP_PROGRAM_H
#define FP_XDP_PROGRAM_H

#include <stdbool.h>
#include <stdint.h>

struct fp_xdp_program {
    int map; /* queue -> socket */
    int code;
    int link;
};

/* Loads the program with room for queues 0..queues-1. Frames of queues without a socket go to the host. */
int fp_xdp_program_load(struct fp_xdp_program *program, uint32_t queues);
int fp_xdp_program_direct(const struct fp_xdp_program *program, uint32_t queue, int socket);
/* Attaches at the driver's hook or at the generic one, as asked, or fails. FP_E_BUSY where another is attached. */
int fp_xdp_program_attach(struct fp_xdp_program *program, int ifindex, bool generic);
void fp_xdp_program_close(struct fp_xdp_program *program);

#endif
