/* SPDX-License-Identifier: Apache-2.0 */
/*
 * xdp: ports: a queue of the interface after the other, and the program that directs frames to them.
 *
 * Buffers the kernel holds when a port closes cannot be asked back by name: they are lost to the region, which is made
 * for one set of ports and destroyed after them.
 */
#include "interface.h"
#include "port.h"
#include "xdp_program.h"
#include "xdp_queue.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { HEADROOM_BYTES = 256 /* XDP_PACKET_HEADROOM: the kernel writes frames behind it */ };

struct xdp_port {
    struct fp_port port;
    int promiscuous;
    struct fp_xdp_program program;
    struct fp_xdp_queue *queues;
    uint32_t queue_count;
};

static int xdp_rx_sync(struct fp_port *port) {
    struct xdp_port *xdp = (struct xdp_port *)port;
    int result = 0;
    for (uint32_t i = 0; i < xdp->queue_count; i++) {
        int one = fp_xdp_queue_receive(&xdp->queues[i]);
        result = one != 0 ? one : result;
    }
    return result;
}

static int xdp_tx_sync(struct fp_port *port) {
    struct xdp_port *xdp = (struct xdp_port *)port;
    int result = 0;
    port->tx_backlog = false;
    for (uint32_t i = 0; i < xdp->queue_count; i++) {
        int one = fp_xdp_queue_transmit(&xdp->queues[i], &port->tx_backlog);
        result = one != 0 ? one : result;
    }
    return result;
}

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
    uint64_t missed = 0;
    int result = 0;
    for (uint32_t i = 0; i < xdp->queue_count; i++) {
        const struct fp_xdp_socket *socket = &xdp->queues[i].socket;
        missed += fp_xdp_socket_missed(socket);
        if (recvfrom(socket->fd, NULL, 0, MSG_DONTWAIT, NULL, NULL) < 0 &&
            (errno == ENXIO || errno == ENETDOWN || errno == EBADF)) {
            result = FP_E_SYSTEM;
        }
    }
    port->missed_frames = missed;
    return result;
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

static int queue_open(struct xdp_port *xdp, const struct fp_port_config *config, struct fp_region *region, int ifindex,
                      uint32_t number) {
    uint32_t index = xdp->queue_count;
    struct fp_xdp_queue *queue = &xdp->queues[index];
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
        fp_xdp_queue_prime(queue);
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
