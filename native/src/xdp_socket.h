/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One AF_XDP socket: one queue of one interface, over a region's memory. Spoken to with the kernel's own interface
 * (Documentation/networking/af_xdp.rst), without libxdp: its helpers choose modes by themselves and let all sockets of
 * a region depend on the first one opened. Here every socket registers the region's memory as its own UMEM, so that
 * ports open and close in any order and in any mode, and buffers still move between them by index.
 */
#ifndef FP_XDP_SOCKET_H
#define FP_XDP_SOCKET_H

#include "region.h"
#include <linux/if_xdp.h>
#include <stdbool.h>

/* A ring shared with the kernel. For fill and transmit we produce, for receive and completion we consume. */
struct fp_xdp_ring {
    FP_ATOMIC(uint32_t) * producer;
    FP_ATOMIC(uint32_t) * consumer;
    const FP_ATOMIC(uint32_t) * flags;
    void *entries; /* uint64_t addresses, or struct xdp_desc */
    uint32_t mask;
    void *mapping;
    size_t mapping_bytes;
};

struct fp_xdp_socket {
    int fd;
    bool zero_copy;        /* as the kernel says */
    uint32_t busy_poll_us; /* as the kernel says; 0: not polled by us */
    struct fp_xdp_ring fill;
    struct fp_xdp_ring completion;
    struct fp_xdp_ring receive;
    struct fp_xdp_ring transmit;
};

/* How a socket is bound: what the kernel cannot do is refused, never left out. */
struct fp_xdp_mode {
    uint32_t slots; /* of each ring, a power of two */
    bool zero_copy;
    uint32_t busy_poll_us; /* 0: none */
    uint32_t busy_poll_frames;
};

/* Binds queue `queue` of interface `ifindex`, as asked, or fails. */
int fp_xdp_socket_open(struct fp_xdp_socket *socket, const struct fp_region *region, const struct fp_xdp_mode *mode,
                       int ifindex, uint32_t queue);
void fp_xdp_socket_close(struct fp_xdp_socket *socket); /* also of a partly opened one */

/* Frames the kernel had for this socket and lost, because the receive ring was full or no buffer was there. */
uint64_t fp_xdp_socket_missed(const struct fp_xdp_socket *socket);

static inline uint32_t fp_xdp_produced(const struct fp_xdp_ring *ring) {
    return atomic_load_explicit(ring->producer, memory_order_acquire);
}

static inline uint32_t fp_xdp_consumed(const struct fp_xdp_ring *ring) {
    return atomic_load_explicit(ring->consumer, memory_order_acquire);
}

static inline bool fp_xdp_needs_wakeup(const struct fp_xdp_ring *ring) {
    return (atomic_load_explicit(ring->flags, memory_order_relaxed) & XDP_RING_NEED_WAKEUP) != 0;
}

#endif
