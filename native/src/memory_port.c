/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory: ports. Rings in ordinary memory, whose other side is played by fp_memory_inject and fp_memory_collect; these
 * may be called from another thread than the worker's.
 */
#include "port.h"
#include "region.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct memory_port {
    struct fp_port port;
    struct fp_region *region;
    int event; /* readable after an injection */
    FP_ATOMIC(int) event_written;
    /* Each index is written by one side and published to the other. */
    FP_ATOMIC(uint32_t) rx_injected;  /* first free receive slot; door */
    FP_ATOMIC(uint32_t) rx_released;  /* first slot the worker has not given back; worker */
    FP_ATOMIC(uint32_t) tx_submitted; /* end of the frames to collect; worker */
    FP_ATOMIC(uint32_t) tx_collected; /* first frame not collected; door */
};

static struct memory_port *memory_of(struct fp_port *port) { return (struct memory_port *)port; }

static uint32_t previous(uint32_t slot, uint32_t slots) { return slot == 0 ? slots - 1 : slot - 1; }

static int memory_rx_sync(struct fp_port *port) {
    struct memory_port *memory = memory_of(port);
    struct netmap_ring *ring = port->rx[0].shared;
    if (port->woken) {
        uint64_t count;
        port->woken = false;
        atomic_exchange(&memory->event_written, 0);
        /* EAGAIN where the door is about to write: then the next poll wakes once more. */
        (void)!read(memory->event, &count, sizeof count);
    }
    atomic_store_explicit(&memory->rx_released, ring->head, memory_order_release);
    ring->tail = atomic_load_explicit(&memory->rx_injected, memory_order_acquire);
    return 0;
}

static int memory_tx_sync(struct fp_port *port) {
    struct memory_port *memory = memory_of(port);
    struct netmap_ring *ring = port->tx[0].shared;
    atomic_store_explicit(&memory->tx_submitted, ring->head, memory_order_release);
    ring->tail = previous(atomic_load_explicit(&memory->tx_collected, memory_order_acquire), ring->num_slots);
    return 0;
}

static uint32_t memory_poll_fds(const struct fp_port *port, struct pollfd *fds) {
    fds[0] = (struct pollfd){.fd = ((const struct memory_port *)port)->event, .events = POLLIN};
    return 1;
}

static void ring_free(struct fp_region *region, struct netmap_ring *ring) {
    if (ring == NULL) {
        return;
    }
    for (uint32_t i = 0; i < ring->num_slots; i++) {
        fp_region_give(region, ring->slot[i].buf_idx);
    }
    free(ring);
}

static void memory_close(struct fp_port *port) {
    struct memory_port *memory = memory_of(port);
    if (port->rx != NULL) {
        ring_free(memory->region, port->rx[0].shared);
        ring_free(memory->region, port->tx[0].shared);
    }
    fp_port_free_rings(port);
    if (memory->event >= 0) {
        close(memory->event);
    }
    free(memory);
}

static const struct fp_port_ops memory_ops = {memory_rx_sync, memory_tx_sync, memory_poll_fds, NULL,
                                              NULL,           NULL,           memory_close};

static int ring_open(struct fp_region *region, uint32_t slots, uint16_t dir, struct fp_ring *out) {
    uint32_t *buffers = calloc(slots, sizeof *buffers);
    struct netmap_ring *ring = fp_region_ring_create(region, slots, 0, dir);
    int result = buffers == NULL || ring == NULL ? FP_E_NO_MEMORY : fp_region_take(region, slots, buffers);
    if (result == 0) {
        for (uint32_t i = 0; i < slots; i++) {
            ring->slot[i].buf_idx = buffers[i];
        }
        ring->tail = dir == 0 ? slots - 1 : 0;
        fp_region_ring_view(region, ring, region->buffer_bytes, out);
    } else {
        free(ring);
    }
    free(buffers);
    return result;
}

int fp_memory_open(const struct fp_port_config *config, struct fp_region *region, struct fp_port **out) {
    struct memory_port *memory = calloc(1, sizeof *memory);
    if (memory == NULL) {
        return FP_E_NO_MEMORY;
    }
    struct fp_port *port = &memory->port;
    port->ops = &memory_ops;
    port->turn_frames = FP_TURN_FRAMES;
    memory->region = region;
    memory->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int result = memory->event < 0 ? FP_E_SYSTEM : fp_port_alloc_rings(port, 1, 1);
    if (result == 0) {
        result = ring_open(region, config->ring_slots, 1, &port->rx[0]);
    }
    if (result == 0) {
        result = ring_open(region, config->ring_slots, 0, &port->tx[0]);
    }
    if (result != 0) {
        int saved = errno;
        memory_close(port);
        errno = saved;
        return result;
    }
    port->info.kind = FP_PORT_MEMORY;
    port->info.adapter = FP_ADAPTER_VIRTUAL;
    port->info.region = fp_region_id(region);
    port->info.rx_slots = config->ring_slots;
    port->info.tx_slots = config->ring_slots;
    port->info.buffer_bytes = region->buffer_bytes;
    memcpy(port->info.spec, config->spec, sizeof port->info.spec);
    *out = port;
    return 0;
}

int fp_memory_inject(struct fp_port *port, const uint8_t *frame, uint32_t length_bytes) {
    if (port->info.kind != FP_PORT_MEMORY || length_bytes > port->info.buffer_bytes) {
        return FP_E_INVALID;
    }
    struct memory_port *memory = memory_of(port);
    const struct fp_ring *ring = &port->rx[0];
    uint32_t at = atomic_load_explicit(&memory->rx_injected, memory_order_relaxed);
    uint32_t next = fp_ring_next(ring, at);
    if (next == atomic_load_explicit(&memory->rx_released, memory_order_acquire)) {
        return FP_E_TABLE_FULL;
    }
    struct netmap_slot *slot = &ring->shared->slot[at];
    memcpy(fp_ring_buffer(ring, slot->buf_idx), frame, length_bytes);
    slot->len = (uint16_t)length_bytes;
    slot->flags = 0;
    slot->ptr = 0;
    atomic_store_explicit(&memory->rx_injected, next, memory_order_release);
    if (atomic_exchange(&memory->event_written, 1) == 0) {
        (void)!write(memory->event, &(uint64_t){1}, sizeof(uint64_t));
    }
    return 0;
}

int fp_memory_collect(struct fp_port *port, uint8_t *frame, uint32_t room_bytes) {
    if (port->info.kind != FP_PORT_MEMORY) {
        return FP_E_INVALID;
    }
    struct memory_port *memory = memory_of(port);
    const struct fp_ring *ring = &port->tx[0];
    uint32_t at = atomic_load_explicit(&memory->tx_collected, memory_order_relaxed);
    if (at == atomic_load_explicit(&memory->tx_submitted, memory_order_acquire)) {
        return 0;
    }
    const struct netmap_slot *slot = &ring->shared->slot[at];
    if (slot->len > room_bytes) {
        return FP_E_INVALID;
    }
    memcpy(frame, fp_ring_buffer(ring, slot->buf_idx) + fp_slot_offset(ring, slot), slot->len);
    int length = slot->len;
    atomic_store_explicit(&memory->tx_collected, fp_ring_next(ring, at), memory_order_release);
    return length;
}
