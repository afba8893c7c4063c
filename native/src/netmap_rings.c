/* SPDX-License-Identifier: Apache-2.0 */
#include "netmap_rings.h"
#include "netmap_abi.h"
#include <errno.h>

enum { FIRST_BUFFER = 2 /* 0 and 1 are the allocator's own */ };

/* The loop's view of the ring at `at` in the mapping; FP_E_SYSTEM with EPROTO where it is not inside. */
static int ring_view(const struct fp_netmap_memory *memory, int64_t at, struct fp_ring *out) {
    int64_t size = (int64_t)memory->bytes;
    errno = EPROTO;
    if (at < 0 || at > size - (int64_t)sizeof(struct netmap_ring)) {
        return FP_E_SYSTEM;
    }
    struct netmap_ring *ring = (void *)(memory->start + at);
    int64_t slots_end = at + (int64_t)sizeof *ring + (int64_t)ring->num_slots * (int64_t)sizeof ring->slot[0];
    int64_t buffers = at + ring->buf_ofs;
    if (ring->num_slots < 2 || slots_end > size || buffers < 0 || buffers >= size || ring->nr_buf_size == 0) {
        return FP_E_SYSTEM;
    }
    *out = (struct fp_ring){
        .shared = ring,
        .buffers = memory->start + buffers,
        .slots = ring->num_slots,
        .buffer_bytes = ring->nr_buf_size,
        .frame_bytes = ring->nr_buf_size,
        .first_buffer = FIRST_BUFFER,
        .buffer_count = (uint32_t)((size - buffers) / ring->nr_buf_size),
        .offset_mask = ring->offset_mask,
    };
    return 0;
}

/* Rings of one direction: offsets are 0 for those that are not ours. Returns how many, or a negative code. */
static int rings_view(const struct fp_netmap_memory *memory, int64_t interface_at, const int64_t *offsets,
                      uint32_t count, struct fp_ring *out) {
    int rings = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (offsets[i] != 0) {
            int result = ring_view(memory, interface_at + offsets[i], &out[rings]);
            if (result != 0) {
                return result;
            }
            rings++;
        }
    }
    return rings;
}

int fp_netmap_rings_open(struct fp_port *port, const struct fp_netmap_memory *memory, uint64_t interface_at) {
    errno = EPROTO;
    if (interface_at > memory->bytes - sizeof(struct netmap_if)) {
        return FP_E_SYSTEM;
    }
    const struct netmap_if *interface = (const void *)(memory->start + interface_at);
    uint32_t tx_count = interface->ni_tx_rings + interface->ni_host_tx_rings;
    uint32_t rx_count = interface->ni_rx_rings + interface->ni_host_rx_rings;
    size_t room = (memory->bytes - interface_at - sizeof *interface) / sizeof interface->ring_ofs[0];
    if (tx_count > UINT16_MAX || rx_count > UINT16_MAX || tx_count + rx_count > room) {
        return FP_E_SYSTEM;
    }
    int result = fp_port_alloc_rings(port, rx_count, tx_count);
    if (result != 0) {
        return result;
    }
    const int64_t *offsets = interface->ring_ofs;
    int tx = rings_view(memory, (int64_t)interface_at, offsets, tx_count, port->tx);
    int rx = rings_view(memory, (int64_t)interface_at, offsets + tx_count, rx_count, port->rx);
    if (tx <= 0 || rx <= 0) {
        return tx < 0 ? tx : rx < 0 ? rx : FP_E_UNSUPPORTED;
    }
    port->info.tx_rings = (uint32_t)tx;
    port->info.rx_rings = (uint32_t)rx;
    port->info.tx_slots = port->tx[0].slots;
    port->info.rx_slots = port->rx[0].slots;
    port->info.buffer_bytes = port->tx[0].buffer_bytes;
    return 0;
}
