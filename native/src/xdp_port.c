/* SPDX-License-Identifier: Apache-2.0 */
/*
 * xdp: ports. Each queue is an AF_XDP socket and a pair of rings of netmap's layout, which rx_sync and tx_sync
 * translate into the socket's four. A ring of n slots has n - 1 buffers: slots of the kernel have none, their buffers
 * are in the socket's rings.
 *
 * Buffers the kernel holds when a port closes cannot be asked back by name: they are lost to the region, which is made
 * for one set of ports and destroyed after them.
 */
#include "interface.h"
#include "port.h"
#include "xdp_program.h"
#include "xdp_socket.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { HEADROOM_BYTES = 256 /* XDP_PACKET_HEADROOM: the kernel writes frames behind it */ };

struct queue {
    struct fp_xdp_socket socket;
    struct fp_ring *rx; /* in the port's arrays */
    struct fp_ring *tx;
    uint32_t rx_given; /* first receive slot whose buffer is not yet in the fill ring */
    uint32_t tx_given; /* first transmit slot that is not yet in the transmit ring */
};

struct xdp_port {
    struct fp_port port;
    int promiscuous;
    struct fp_xdp_program program;
    struct queue *queues;
    uint32_t queue_count;
};

/* ------------------------------------------------------------ receive */

/* Buffers of consumed slots go to the fill ring. It has room: there are fewer buffers than entries. */
static void fill_give(struct queue *queue) {
    const struct fp_ring *ring = queue->rx;
    struct fp_xdp_ring *fill = &queue->socket.fill;
    uint64_t *addresses = fill->entries;
    uint32_t produced = atomic_load_explicit(fill->producer, memory_order_relaxed);
    uint32_t head = ring->shared->head;
    while (queue->rx_given != head) {
        addresses[produced & fill->mask] = (uint64_t)ring->shared->slot[queue->rx_given].buf_idx * ring->buffer_bytes;
        produced++;
        queue->rx_given = fp_ring_next(ring, queue->rx_given);
    }
    atomic_store_explicit(fill->producer, produced, memory_order_release);
}

/* Received descriptors become slots. */
static void receive_take(struct queue *queue) {
    const struct fp_ring *ring = queue->rx;
    struct fp_xdp_ring *receive = &queue->socket.receive;
    const struct xdp_desc *descriptors = receive->entries;
    uint32_t consumed = atomic_load_explicit(receive->consumer, memory_order_relaxed);
    uint32_t produced = fp_xdp_produced(receive);
    uint32_t tail = ring->shared->tail;
    while (consumed != produced && fp_ring_next(ring, tail) != queue->rx_given) {
        struct xdp_desc descriptor = descriptors[consumed & receive->mask];
        ring->shared->slot[tail] = (struct netmap_slot){
            .buf_idx = (uint32_t)(descriptor.addr / ring->buffer_bytes),
            .len = (uint16_t)(descriptor.len <= UINT16_MAX ? descriptor.len : UINT16_MAX),
            .ptr = descriptor.addr % ring->buffer_bytes,
        };
        consumed++;
        tail = fp_ring_next(ring, tail);
    }
    atomic_store_explicit(receive->consumer, consumed, memory_order_release);
    ring->shared->tail = tail;
}

static int xdp_rx_sync(struct fp_port *port) {
    struct xdp_port *xdp = (struct xdp_port *)port;
    int result = 0;
    for (uint32_t i = 0; i < xdp->queue_count; i++) {
        struct queue *queue = &xdp->queues[i];
        fill_give(queue);
        if (fp_xdp_needs_wakeup(&queue->socket.fill) &&
            recvfrom(queue->socket.fd, NULL, 0, MSG_DONTWAIT, NULL, NULL) < 0 && errno != EAGAIN && errno != EBUSY &&
            errno != EINTR) {
            result = FP_E_SYSTEM;
        }
        receive_take(queue);
    }
    return result;
}

/* ------------------------------------------------------------ transmit */

static void transmit_give(struct queue *queue) {
    const struct fp_ring *ring = queue->tx;
    struct fp_xdp_ring *transmit = &queue->socket.transmit;
    struct xdp_desc *descriptors = transmit->entries;
    uint32_t produced = atomic_load_explicit(transmit->producer, memory_order_relaxed);
    uint32_t head = ring->shared->head;
    while (queue->tx_given != head) {
        const struct netmap_slot *slot = &ring->shared->slot[queue->tx_given];
        descriptors[produced & transmit->mask] = (struct xdp_desc){
            .addr = (uint64_t)slot->buf_idx * ring->buffer_bytes + fp_slot_offset(ring, slot),
            .len = slot->len,
        };
        produced++;
        queue->tx_given = fp_ring_next(ring, queue->tx_given);
    }
    atomic_store_explicit(transmit->producer, produced, memory_order_release);
}

/* Buffers of sent frames become free slots. */
static void completion_take(struct queue *queue) {
    const struct fp_ring *ring = queue->tx;
    struct fp_xdp_ring *completion = &queue->socket.completion;
    const uint64_t *addresses = completion->entries;
    uint32_t consumed = atomic_load_explicit(completion->consumer, memory_order_relaxed);
    uint32_t produced = fp_xdp_produced(completion);
    uint32_t tail = ring->shared->tail;
    while (consumed != produced && fp_ring_next(ring, tail) != queue->tx_given) {
        ring->shared->slot[tail] = (struct netmap_slot){
            .buf_idx = (uint32_t)(addresses[consumed & completion->mask] / ring->buffer_bytes),
        };
        consumed++;
        tail = fp_ring_next(ring, tail);
    }
    atomic_store_explicit(completion->consumer, consumed, memory_order_release);
    ring->shared->tail = tail;
}

/* In copy mode one call sends a few frames only: call again as long as it moves. Returns 0 or a negative code. */
static int transmit_kick(struct queue *queue, bool *backlog) {
    const struct fp_xdp_ring *transmit = &queue->socket.transmit;
    uint32_t produced = atomic_load_explicit(transmit->producer, memory_order_relaxed);
    uint32_t consumed = fp_xdp_consumed(transmit);
    while (consumed != produced && fp_xdp_needs_wakeup(transmit)) {
        ssize_t sent = sendto(queue->socket.fd, NULL, 0, MSG_DONTWAIT, NULL, 0);
        if (sent < 0 && errno != EAGAIN && errno != EBUSY && errno != ENOBUFS && errno != EINTR) {
            return FP_E_SYSTEM;
        }
        uint32_t now = fp_xdp_consumed(transmit);
        if (now == consumed) {
            break;
        }
        consumed = now;
    }
    *backlog = *backlog || (consumed != produced && fp_xdp_needs_wakeup(transmit));
    return 0;
}

static int xdp_tx_sync(struct fp_port *port) {
    struct xdp_port *xdp = (struct xdp_port *)port;
    int result = 0;
    port->tx_backlog = false;
    for (uint32_t i = 0; i < xdp->queue_count; i++) {
        struct queue *queue = &xdp->queues[i];
        transmit_give(queue);
        int kicked = transmit_kick(queue, &port->tx_backlog);
        result = kicked != 0 ? kicked : result;
        completion_take(queue);
    }
    return result;
}

/* ------------------------------------------------------------ open and close */

static uint32_t xdp_poll_fds(const struct fp_port *port, struct pollfd *fds) {
    const struct xdp_port *xdp = (const struct xdp_port *)port;
    for (uint32_t i = 0; i < xdp->queue_count; i++) {
        fds[i] = (struct pollfd){.fd = xdp->queues[i].socket.fd, .events = POLLIN};
    }
    return xdp->queue_count;
}

/* A socket whose interface was taken down or away just receives no more; a receive call says why. */
static int xdp_check(struct fp_port *port) {
    struct xdp_port *xdp = (struct xdp_port *)port;
    for (uint32_t i = 0; i < xdp->queue_count; i++) {
        if (recvfrom(xdp->queues[i].socket.fd, NULL, 0, MSG_DONTWAIT, NULL, NULL) < 0 &&
            (errno == ENXIO || errno == ENETDOWN || errno == EBADF)) {
            return FP_E_SYSTEM;
        }
    }
    return 0;
}

static void xdp_close(struct fp_port *port) {
    struct xdp_port *xdp = (struct xdp_port *)port;
    fp_xdp_program_close(&xdp->program);
    for (uint32_t i = 0; i < xdp->queue_count; i++) {
        fp_xdp_socket_close(&xdp->queues[i].socket);
        free(port->rx[i].shared);
        free(port->tx[i].shared);
    }
    if (xdp->promiscuous >= 0) {
        close(xdp->promiscuous);
    }
    fp_port_free_rings(port);
    free(xdp->queues);
    free(xdp);
}

static const struct fp_port_ops xdp_ops = {xdp_rx_sync, xdp_tx_sync, xdp_poll_fds, xdp_check, xdp_close};

static int ring_open(struct fp_region *region, uint32_t slots, uint16_t ringid, uint16_t dir, struct fp_ring *out) {
    uint32_t *buffers = calloc(slots, sizeof *buffers);
    struct netmap_ring *ring = fp_region_ring_create(region, slots, ringid, dir);
    int result = buffers == NULL || ring == NULL ? FP_E_NO_MEMORY : fp_region_take(region, slots - 1, buffers);
    if (result == 0) {
        for (uint32_t i = 0; i + 1 < slots; i++) {
            ring->slot[i].buf_idx = buffers[i];
        }
        fp_region_ring_view(region, ring, region->buffer_bytes - HEADROOM_BYTES, out);
    } else {
        free(ring);
    }
    free(buffers);
    return result;
}

/* All receive buffers start in the fill ring: as if slots 0 to n - 2 had just been consumed. */
static void queue_prime(struct queue *queue, uint32_t slots) {
    queue->tx->shared->tail = slots - 1;
    queue->rx->shared->head = slots - 1;
    fill_give(queue);
    queue->rx->shared->cur = slots - 1;
    queue->rx->shared->tail = slots - 1;
}

static int queue_open(struct xdp_port *xdp, const struct fp_port_config *config, struct fp_region *region, int ifindex,
                      uint32_t number) {
    uint32_t index = xdp->queue_count;
    struct queue *queue = &xdp->queues[index];
    bool zero_copy = (config->flags & FP_OPEN_XDP_ZEROCOPY) != 0;
    int result = ring_open(region, config->ring_slots, (uint16_t)number, 1, &xdp->port.rx[index]);
    if (result != 0) {
        return result;
    }
    xdp->queue_count++; /* from here on xdp_close cleans up */
    queue->socket.fd = -1;
    queue->rx = &xdp->port.rx[index];
    queue->tx = &xdp->port.tx[index];
    result = ring_open(region, config->ring_slots, (uint16_t)number, 0, queue->tx);
    if (result == 0) {
        result = fp_xdp_socket_open(&queue->socket, region, config->ring_slots, ifindex, number, zero_copy);
    }
    if (result == 0) {
        queue_prime(queue, config->ring_slots);
        result = fp_xdp_program_direct(&xdp->program, number, queue->socket.fd);
    }
    return result;
}

int fp_xdp_count_rings(const struct fp_spec *spec) {
    return spec->ring >= 0 ? 1 : fp_interface_queues(spec->interface);
}

static int xdp_setup(struct xdp_port *xdp, const struct fp_port_config *config, const struct fp_spec *spec,
                     struct fp_region *region) {
    int ifindex = fp_interface_index(spec->interface);
    int rings = ifindex > 0 ? fp_xdp_count_rings(spec) : ifindex;
    if (rings < 1) {
        return rings < 0 ? rings : FP_E_UNSUPPORTED;
    }
    uint32_t first = spec->ring >= 0 ? (uint32_t)spec->ring : 0;
    xdp->queues = calloc((size_t)rings, sizeof *xdp->queues);
    int result =
        xdp->queues == NULL ? FP_E_NO_MEMORY : fp_port_alloc_rings(&xdp->port, (uint32_t)rings, (uint32_t)rings);
    if (result == 0) {
        result = fp_xdp_program_load(&xdp->program, first + (uint32_t)rings);
    }
    for (uint32_t i = 0; result == 0 && i < (uint32_t)rings; i++) {
        result = queue_open(xdp, config, region, ifindex, first + i);
    }
    if (result == 0) {
        result = fp_xdp_program_attach(&xdp->program, ifindex, (config->flags & FP_OPEN_XDP_GENERIC) != 0);
    }
    if (result == 0) {
        xdp->promiscuous = fp_interface_hold_promiscuous(ifindex);
        result = xdp->promiscuous < 0 ? xdp->promiscuous : 0;
    }
    return result;
}

int fp_xdp_open(const struct fp_port_config *config, const struct fp_spec *spec, struct fp_region *region,
                struct fp_port **out) {
    struct xdp_port *xdp = calloc(1, sizeof *xdp);
    if (xdp == NULL) {
        return FP_E_NO_MEMORY;
    }
    xdp->port.ops = &xdp_ops;
    xdp->promiscuous = -1;
    xdp->program = (struct fp_xdp_program){-1, -1, -1};
    int result = xdp_setup(xdp, config, spec, region);
    if (result != 0) {
        int saved = errno;
        xdp_close(&xdp->port);
        errno = saved;
        return result;
    }
    struct fp_port_info *info = &xdp->port.info;
    info->kind = FP_PORT_XDP;
    info->adapter = (config->flags & FP_OPEN_XDP_GENERIC) != 0 ? FP_ADAPTER_XDP_GENERIC
                    : xdp->queues[0].socket.zero_copy          ? FP_ADAPTER_XDP_ZEROCOPY
                                                               : FP_ADAPTER_XDP_COPY;
    info->region = fp_region_id(region);
    info->rx_slots = config->ring_slots;
    info->tx_slots = config->ring_slots;
    info->buffer_bytes = region->buffer_bytes - HEADROOM_BYTES;
    memcpy(info->spec, config->spec, sizeof info->spec);
    *out = &xdp->port;
    return 0;
}
