/* SPDX-License-Identifier: Apache-2.0 */
/* Buffers of xdp: and memory: ports. A buffer belongs to exactly one slot (or to the region's free list) at any time;
 * ports of one region exchange buffers by exchanging indices. */
#ifndef FP_REGION_H
#define FP_REGION_H

#include "fastpath.h"
#include "ring.h"

struct fp_region {
    uint8_t *memory; /* page aligned */
    size_t size_bytes;
    uint32_t buffer_count;
    uint32_t buffer_bytes;
    uint32_t free_count;
    uint32_t *free_buffers; /* stack of indices */
};

/* As in fp_port_info.region: differs from every netmap allocator's, which are 16 bits. */
uint32_t fp_region_id(const struct fp_region *region);
/* Takes `count` buffers into `out`; FP_E_REGION where there are not so many. */
int fp_region_take(struct fp_region *region, uint32_t count, uint32_t *out);
void fp_region_give(struct fp_region *region, uint32_t buffer);
/* A ring of `slots` zeroed slots over the region, to be freed with free(3); NULL without memory. */
struct netmap_ring *fp_region_ring_create(const struct fp_region *region, uint32_t slots, uint16_t ringid,
                                          uint16_t dir);
/* The loop's view of such a ring. */
void fp_region_ring_view(const struct fp_region *region, struct netmap_ring *shared, uint32_t frame_bytes,
                         struct fp_ring *out);

#endif
