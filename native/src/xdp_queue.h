/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One queue of an xdp: port: an AF_XDP socket, and a pair of rings of netmap's layout that are translated into the
 * socket's four. A ring of n slots has n - 1 buffers. Slots of the kernel, those behind tail up to the first not given
 * yet, remember which buffers the kernel holds, in whatever order it returns them: so all are known when the socket is
 * closed.
 */
#ifndef FP_XDP_QUEUE_H
#define FP_XDP_QUEUE_H

#include "ring.h"
#include "xdp_socket.h"

struct fp_xdp_queue {
    struct fp_xdp_socket socket;
    struct fp_ring *rx; /* in the port's arrays */
    struct fp_ring *tx;
    uint32_t rx_given; /* first receive slot whose buffer is not yet in the fill ring */
    uint32_t tx_given; /* first transmit slot that is not yet in the transmit ring */
};

/* Gives every receive buffer to the kernel, once, right after opening. */
void fp_xdp_queue_prime(struct fp_xdp_queue *queue);
/* Consumed slots' buffers go to the kernel, received frames become slots. 0 or a negative code. */
int fp_xdp_queue_receive(struct fp_xdp_queue *queue);
/* Slots before head go to the kernel, sent frames' buffers become free slots. 0 or a negative code; *backlog is set
 * where the kernel did not take all. */
int fp_xdp_queue_transmit(struct fp_xdp_queue *queue, bool *backlog);

#endif
