/* SPDX-License-Identifier: Apache-2.0 */
#include "region.h"
#include "ring.h"
#include <stdlib.h>
#include <sys/mman.h>

enum { HUGE_BYTES = 2 << 20 };

/* Memory that begins where a huge page can. */
static void *map_aligned(size_t size) {
    uint8_t *memory = mmap(NULL, size + HUGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        return MAP_FAILED;
    }
    size_t before = (HUGE_BYTES - (uintptr_t)memory % HUGE_BYTES) % HUGE_BYTES;
    if (before > 0) {
        munmap(memory, before);
    }
    munmap(memory + before + size, HUGE_BYTES - before);
    return memory + before;
}

int fp_region_create(uint32_t buffer_count, uint32_t buffer_bytes, struct fp_region **out) {
    bool known_size = buffer_bytes == 2048 || buffer_bytes == 4096 || buffer_bytes == 8192 || buffer_bytes == 16384;
    if (buffer_count == 0 || buffer_count > 1U << 24 || !known_size) {
        return FP_E_INVALID;
    }
    struct fp_region *region = calloc(1, sizeof *region);
    uint32_t *free_buffers = calloc(buffer_count, sizeof *free_buffers);
    size_t size = ((size_t)buffer_count * buffer_bytes + HUGE_BYTES - 1) / HUGE_BYTES * HUGE_BYTES;
    void *memory = MAP_FAILED;
    if (region != NULL && free_buffers != NULL) {
        memory = map_aligned(size);
    }
    if (memory == MAP_FAILED) {
        free(free_buffers);
        free(region);
        return FP_E_NO_MEMORY;
    }
    (void)madvise(memory, size, MADV_DONTFORK); /* no page of it is copied because netmap_kloop.c forks */
    (void)madvise(memory, size, MADV_HUGEPAGE); /* fewer TLB misses where the kernel agrees; works without */
    for (uint32_t i = 0; i < buffer_count; i++) {
        free_buffers[i] = buffer_count - 1 - i; /* low indices are taken first */
    }
    *region = (struct fp_region){memory, size, buffer_count, buffer_bytes, buffer_count, free_buffers};
    *out = region;
    return 0;
}

void fp_region_destroy(struct fp_region *region) {
    if (region == NULL) {
        return;
    }
    munmap(region->memory, region->size_bytes);
    free(region->free_buffers);
    free(region);
}

uint32_t fp_region_id(const struct fp_region *region) {
    /* Mappings of one process are nearer to each other than 2^43 bytes. */
    return 0x80000000U | ((uint32_t)((uintptr_t)region->memory >> 12) & 0x7fffffffU);
}

int fp_region_take(struct fp_region *region, uint32_t count, uint32_t *out) {
    if (count > region->free_count) {
        return FP_E_REGION;
    }
    for (uint32_t i = 0; i < count; i++) {
        out[i] = region->free_buffers[--region->free_count];
    }
    return 0;
}

void fp_region_give(struct fp_region *region, uint32_t buffer) {
    if (buffer < region->buffer_count && region->free_count < region->buffer_count) {
        region->free_buffers[region->free_count++] = buffer;
    }
}

struct netmap_ring *fp_region_ring_create(const struct fp_region *region, uint32_t slots, uint16_t ringid,
                                          uint16_t dir) {
    struct netmap_ring *ring = NULL;
    size_t size = sizeof *ring + slots * sizeof ring->slot[0];
    if (posix_memalign((void **)&ring, _Alignof(struct netmap_ring), size) != 0) {
        return NULL;
    }
    *ring = (struct netmap_ring){
        .buf_ofs = (intptr_t)region->memory - (intptr_t)ring,
        .num_slots = slots,
        .nr_buf_size = region->buffer_bytes,
        .ringid = ringid,
        .dir = dir,
        .offset_mask = UINT64_MAX,
        .buf_align = 1,
    };
    for (uint32_t i = 0; i < slots; i++) {
        ring->slot[i] = (struct netmap_slot){0};
    }
    return ring;
}

void fp_region_ring_view(const struct fp_region *region, struct netmap_ring *shared, uint32_t frame_bytes,
                         struct fp_ring *out) {
    *out = (struct fp_ring){
        .shared = shared,
        .buffers = region->memory,
        .slots = shared->num_slots,
        .buffer_bytes = region->buffer_bytes,
        .frame_bytes = frame_bytes,
        .buffer_count = region->buffer_count,
        .offset_mask = UINT64_MAX,
    };
}
