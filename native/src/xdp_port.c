/* SPDX-License-Identifier: Apache-2.0 */
/*
 * xdp: ports: a queue of the interface after the other, and the program that directs frames to them.
 *
 * A port keeps what it was opened with, so that it can be released and acquired again where its interface went and came
 * back. Every buffer returns to the region with a release: the kernel cannot be asked which it held, the rings remember
 * (xdp_queue.h).
 */
#include "interface.h"
#include "interface_settings.h"
#include "port.h"
#include "xdp_program.h"
#include "xdp_queue.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    HEADROOM_BYTES = 256, /* XDP_PACKET_HEADROOM: the kernel writes frames behind it */
};

struct xdp_port {
    struct fp_port port;
    struct fp_port_config config;
    struct fp_spec spec;
    struct fp_region *region;
    int ifindex;
    struct fp_interface_settings settings; /* as they were at the first opening */
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

/* A socket whose interface was taken down or away just receives no more, without a word. */
static void xdp_check(const struct fp_port *port, struct fp_port_seen *out) {
    const struct xdp_port *xdp = (const struct xdp_port *)port;
    *out = (struct fp_port_seen){.link = fp_interface_link(xdp->spec.interface, xdp->ifindex)};
    for (uint32_t i = 0; i < xdp->queue_count; i++) {
        out->missed_frames += fp_xdp_socket_missed(&xdp->queues[i].socket);
    }
    out->passed_frames = fp_xdp_program_passed(&xdp->program);
}

/* Every slot but the one at tail has a buffer of its own, or remembers the one the kernel has for it. */
static void ring_release(struct fp_region *region, struct fp_ring *view) {
    struct netmap_ring *ring = view->shared;
    if (ring == NULL) {
        return;
    }
    for (uint32_t at = fp_ring_next(view, ring->tail); at != ring->tail; at = fp_ring_next(view, at)) {
        fp_region_give(region, ring->slot[at].buf_idx);
    }
    free(ring);
    view->shared = NULL;
}

static void xdp_release(struct fp_port *port) {
    struct xdp_port *xdp = (struct xdp_port *)port;
    fp_xdp_program_close(&xdp->program);
    for (uint32_t i = 0; i < xdp->queue_count; i++) {
        fp_xdp_socket_close(&xdp->queues[i].socket); /* from here on the kernel holds no buffer */
        ring_release(xdp->region, &port->rx[i]);
        ring_release(xdp->region, &port->tx[i]);
    }
    if (xdp->promiscuous >= 0) {
        close(xdp->promiscuous);
    }
    fp_port_free_rings(port);
    free(xdp->queues);
    xdp->queues = NULL;
    xdp->queue_count = 0;
    xdp->promiscuous = -1;
    port->tx_backlog = false;
}

static void xdp_close(struct fp_port *port) {
    xdp_release(port);
    free(port);
}

static int ring_open(struct fp_region *region, uint32_t slots, uint16_t ringid, uint16_t dir, struct fp_ring *out) {
    uint32_t *buffers = calloc(slots, sizeof *buffers);
    struct netmap_ring *ring = fp_region_ring_create(region, slots, ringid, dir);
    int result = buffers == NULL || ring == NULL ? FP_E_NO_MEMORY : fp_region_take(region, slots - 1, buffers);
    if (result == 0) {
        for (uint32_t i = 0; i + 1 < slots; i++) {
            ring->slot[i].buf_idx = buffers[i];
        }
        ring->tail = slots - 1;
        fp_region_ring_view(region, ring, region->buffer_bytes - HEADROOM_BYTES, out);
    } else {
        free(ring);
    }
    free(buffers);
    return result;
}

static int queue_open(struct xdp_port *xdp, uint32_t number) {
    const struct fp_port_config *config = &xdp->config;
    struct fp_region *region = xdp->region;
    uint32_t index = xdp->queue_count;
    struct fp_xdp_queue *queue = &xdp->queues[index];
    const struct fp_xdp_mode mode = {
        .slots = config->ring_slots,
        .zero_copy = (config->flags & FP_OPEN_XDP_ZEROCOPY) != 0,
        .busy_poll_us = config->busy_poll_us,
        .busy_poll_frames = config->busy_poll_frames,
    };
    int result = ring_open(region, config->ring_slots, (uint16_t)number, 1, &xdp->port.rx[index]);
    if (result != 0) {
        return result;
    }
    xdp->queue_count++; /* from here on xdp_release cleans up */
    queue->socket.fd = -1;
    queue->rx = &xdp->port.rx[index];
    queue->tx = &xdp->port.tx[index];
    result = ring_open(region, config->ring_slots, (uint16_t)number, 0, queue->tx);
    if (result == 0) {
        result = fp_xdp_socket_open(&queue->socket, region, &mode, xdp->ifindex, number);
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

static int mtu_check(const struct xdp_port *xdp) {
    int mtu = fp_interface_mtu(xdp->spec.interface);
    int room = (int)(xdp->region->buffer_bytes - HEADROOM_BYTES);
    return mtu < 0 ? mtu : mtu + FP_FRAMING_BYTES <= room ? 0 : FP_E_MTU;
}

static int program_load(struct xdp_port *xdp, uint32_t queues) {
    uint8_t mac[6] = {0};
    uint32_t classes = xdp->config.host_classes;
    int result = classes != 0 ? fp_interface_mac(xdp->spec.interface, mac) : 0;
    return result != 0 ? result : fp_xdp_program_load(&xdp->program, queues, classes, mac);
}

static int xdp_setup(struct xdp_port *xdp) {
    const struct fp_spec *spec = &xdp->spec;
    int ifindex = fp_interface_index(spec->interface);
    int rings = ifindex > 0 ? fp_xdp_count_rings(spec) : ifindex;
    if (rings < 1) {
        return rings < 0 ? rings : FP_E_UNSUPPORTED;
    }
    xdp->ifindex = ifindex;
    uint32_t first = spec->ring >= 0 ? (uint32_t)spec->ring : 0;
    xdp->queues = calloc((size_t)rings, sizeof *xdp->queues);
    int result =
        xdp->queues == NULL ? FP_E_NO_MEMORY : fp_port_alloc_rings(&xdp->port, (uint32_t)rings, (uint32_t)rings);
    if (result == 0) {
        result = program_load(xdp, first + (uint32_t)rings);
    }
    for (uint32_t i = 0; result == 0 && i < (uint32_t)rings; i++) {
        result = queue_open(xdp, first + i);
    }
    if (result == 0) {
        result = fp_xdp_program_attach(&xdp->program, ifindex, (xdp->config.flags & FP_OPEN_XDP_GENERIC) != 0);
    }
    if (result == 0) {
        result = mtu_check(xdp);
    }
    if (result == 0) {
        xdp->promiscuous = fp_interface_hold_promiscuous(ifindex);
        result = xdp->promiscuous < 0 ? xdp->promiscuous : 0;
    }
    return result;
}

static int xdp_acquire(struct fp_port *port) {
    struct xdp_port *xdp = (struct xdp_port *)port;
    if (xdp->ifindex != 0 && fp_interface_find(xdp->spec.interface) != xdp->ifindex) {
        fp_interface_restore_settings(xdp->spec.interface, &xdp->settings);
    }
    int result = xdp_setup(xdp);
    if (result != 0) {
        int saved = errno;
        xdp_release(port);
        errno = saved;
        return result;
    }
    port->info.adapter = (xdp->config.flags & FP_OPEN_XDP_GENERIC) != 0 ? FP_ADAPTER_XDP_GENERIC
                         : xdp->queues[0].socket.zero_copy              ? FP_ADAPTER_XDP_ZEROCOPY
                                                                        : FP_ADAPTER_XDP_COPY;
    port->info.busy_poll_us = xdp->queues[0].socket.busy_poll_us;
    port->info.sync = port->info.busy_poll_us != 0 ? FP_SYNC_BUSY_POLL : FP_SYNC_CALLS;
    return 0;
}

static const struct fp_port_ops xdp_ops = {
    .rx_sync = xdp_rx_sync,
    .tx_sync = xdp_tx_sync,
    .poll_fds = xdp_poll_fds,
    .check = xdp_check,
    .release = xdp_release,
    .acquire = xdp_acquire,
    .close = xdp_close,
};

int fp_xdp_open(const struct fp_port_config *config, const struct fp_spec *spec, struct fp_region *region,
                struct fp_port **out) {
    struct xdp_port *xdp = calloc(1, sizeof *xdp);
    if (xdp == NULL) {
        return FP_E_NO_MEMORY;
    }
    xdp->port.ops = &xdp_ops;
    xdp->port.turn_frames = FP_BURST_FRAMES;
    xdp->config = *config;
    xdp->spec = *spec;
    xdp->region = region;
    xdp->promiscuous = -1;
    xdp->program = FP_XDP_PROGRAM_NONE;
    struct fp_port_info *info = &xdp->port.info;
    info->kind = FP_PORT_XDP;
    info->region = fp_region_id(region);
    info->rx_slots = config->ring_slots;
    info->tx_slots = config->ring_slots;
    info->buffer_bytes = region->buffer_bytes - HEADROOM_BYTES;
    memcpy(info->spec, config->spec, sizeof info->spec);
    int result = xdp_acquire(&xdp->port);
    if (result != 0) {
        int saved = errno;
        xdp_close(&xdp->port);
        errno = saved;
        return result;
    }
    fp_interface_read_settings(spec->interface, &xdp->settings);
    *out = &xdp->port;
    return 0;
}
