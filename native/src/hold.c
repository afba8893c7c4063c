/* SPDX-License-Identifier: Apache-2.0 */
#include "hold.h"
#include "netmap_extra.h"
#include "region.h"
#include <stdlib.h>

static_assert(sizeof(struct fp_hold_place) == 32, "two places a cache line");

/* Where the buffers are: of a region of our own, or in the kernel's. `buffers` is filled. */
static int buffers_take(struct fp_hold *hold, const struct fp_port *port, uint32_t *buffers) {
    hold->ring = port->rx[0]; /* addresses of one region mean the same in all its rings */
    hold->ring.shared = NULL;
    hold->ring.slots = 0;
    if (hold->memory != NULL) {
        return fp_region_take(hold->memory, hold->count, buffers);
    }
    int result = fp_netmap_extra_open(port->info.region, hold->count, buffers, &hold->extra);
    if (result == 0) {
        hold->ring.buffers = fp_netmap_extra_buffers(hold->extra); /* a mapping that stays, whatever becomes of ports */
    }
    return result;
}

int fp_hold_open(const struct fp_port *port, struct fp_region *memory, uint32_t count, struct fp_hold **out) {
    bool netmap = port->info.kind == FP_PORT_NETMAP;
    if (count == 0 || count == FP_HOLD_NONE || port->rx == NULL || netmap != (memory == NULL) ||
        (!netmap && fp_region_id(memory) != port->info.region)) {
        return FP_E_INVALID;
    }
    struct fp_hold *hold = calloc(1, sizeof *hold);
    struct fp_hold_place *places = calloc(count, sizeof *places);
    uint32_t *buffers = calloc(count, sizeof *buffers);
    int result = hold == NULL || places == NULL || buffers == NULL ? FP_E_NO_MEMORY : 0;
    if (result == 0) {
        *hold = (struct fp_hold){.region = port->info.region, .count = count, .places = places, .memory = memory};
        result = buffers_take(hold, port, buffers);
    }
    if (result == 0) {
        hold->free = FP_HOLD_NONE;
        for (uint32_t handle = count; handle-- > 0;) {
            places[handle].slot.buf_idx = buffers[handle];
            fp_hold_free(hold, handle);
        }
        *out = hold;
    } else {
        free(places);
        free(hold);
    }
    free(buffers);
    return result;
}

void fp_hold_close(struct fp_hold *hold) {
    if (hold == NULL) {
        return;
    }
    for (uint32_t handle = 0; handle < hold->count; handle++) {
        uint32_t buffer = hold->places[handle].slot.buf_idx;
        if (hold->memory != NULL) {
            fp_region_give(hold->memory, buffer);
        } else {
            fp_netmap_extra_give(hold->extra, buffer);
        }
    }
    if (hold->memory == NULL) {
        fp_netmap_extra_close(hold->extra);
    }
    free(hold->places);
    free(hold);
}

uint64_t fp_hold_bytes(const struct fp_hold *hold) {
    return hold->count * (hold->ring.buffer_bytes + (uint64_t)sizeof(struct fp_hold_place));
}
