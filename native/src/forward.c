/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way of one burst: slots -> keys -> routes -> transmit rings. No allocation, lock, log or system call here; every
 * frame ends in exactly one counter.
 *
 * Frames go through the stages in batches (batch.h). A port whose frames all take one route skips the parser.
 */
#include "batch.h"
#include "host_path.h"

/* The stages of a table. */
struct way {
    uint32_t (*parse)(struct fp_burst *burst, struct fp_item *items, uint32_t count);
    void (*fetch)(const struct fp_burst *burst, struct fp_item *items, uint32_t count);
    void (*observe)(struct fp_burst *burst, struct fp_item *items, uint32_t count); /* NULL: matching finds routes */
    void (*match)(struct fp_burst *burst, const struct fp_item *items, uint32_t count);
};

static const struct way *find_way(const struct fp_table_flat *table) {
    static const struct way ways[5][3] = {
        {{fp_stage_parse_shapes, fp_stage_fetch, NULL, fp_stage_match_shapes},
         {fp_stage_parse_wide, fp_stage_fetch, NULL, fp_stage_match_wide},
         {fp_stage_parse_narrow, fp_stage_fetch, NULL, fp_stage_match_narrow}},
        {{fp_stage_parse_shapes, fp_stage_fetch_observed, fp_stage_observe_shapes, fp_stage_act},
         {fp_stage_parse_wide, fp_stage_fetch_observed, NULL, fp_stage_match_rtp_wide},
         {fp_stage_parse_narrow, fp_stage_fetch_observed, NULL, fp_stage_match_rtp_narrow}},
        {{fp_stage_parse_shapes, fp_stage_fetch_paced, fp_stage_observe_shapes, fp_stage_act},
         {fp_stage_parse_wide, fp_stage_fetch_paced, fp_stage_observe_wide, fp_stage_act},
         {fp_stage_parse_narrow, fp_stage_fetch_paced, fp_stage_observe_narrow, fp_stage_act}},
        {{fp_stage_parse_shapes, fp_stage_fetch_merged, fp_stage_observe_shapes, fp_stage_act_merged},
         {fp_stage_parse_wide, fp_stage_fetch_merged, fp_stage_observe_wide, fp_stage_act_merged},
         {fp_stage_parse_narrow, fp_stage_fetch_merged, fp_stage_observe_narrow, fp_stage_act_merged}},
        {{fp_stage_parse_shapes, fp_stage_fetch_merged, fp_stage_observe_shapes, fp_stage_act_ordered},
         {fp_stage_parse_wide, fp_stage_fetch_merged, fp_stage_observe_wide, fp_stage_act_ordered},
         {fp_stage_parse_narrow, fp_stage_fetch_merged, fp_stage_observe_narrow, fp_stage_act_ordered}},
    };
    unsigned kind = table->shape_count != 1 ? 0 : table->wide != 0 ? 1 : 2;
    unsigned merges = table->ordered != 0 ? 4 : 3;
    unsigned media = table->media == 0 ? 0 : table->merge_end != 0 ? merges : table->pacing_count != 0 ? 2 : 1;
    return &ways[media][kind];
}

/* A batch of taken frames through the other stages. */
static void forward_batch(struct fp_burst *burst, const struct way *way, struct fp_item *items, uint32_t count) {
    count = way->parse(burst, items, count);
    way->fetch(burst, items, count);
    if (way->observe != NULL) {
        way->observe(burst, items, count);
    }
    way->match(burst, items, count);
}

/* First lines of frames the next burst will take first; of a damaged slot anything inside the buffers. */
static void fetch_frames(const struct fp_ring *ring, uint32_t at, uint32_t count) {
    uint64_t end = (uint64_t)ring->buffer_bytes * ring->buffer_count;
    for (; count > 0; count--) {
        const struct netmap_slot *slot = &ring->shared->slot[at];
        uint64_t start = (uint64_t)fp_word_buffer(fp_slot_load(slot)) * ring->buffer_bytes +
                         (fp_slot_load_ptr(slot) & ring->offset_mask);
        __builtin_prefetch(ring->buffers + (start < end ? start : 0));
        at = fp_ring_next(ring, at);
    }
}

/* While a batch goes through the stages, the frames of the next are on their way from memory. `waiting` frames are in
 * the ring, of which `count` are this burst. */
static void forward_routed(struct fp_burst *burst, uint32_t at, uint32_t count, uint32_t waiting) {
    const struct fp_ring *ring = burst->ring;
    const struct way *way = find_way(burst->worker->table);
    struct fp_item batches[2][FP_BATCH_FRAMES];
    uint32_t left = count;
    uint32_t frames = 0;
    for (unsigned now = 0; left > 0 || frames > 0; now ^= 1) {
        uint32_t slots = fp_least(left, FP_BATCH_FRAMES);
        uint32_t next = 0;
        if (slots > 0) {
            next = fp_stage_take(burst, batches[now ^ 1], at, slots);
            at = fp_ring_skip(ring, at, slots);
            left -= slots;
        } else {
            fetch_frames(ring, at, fp_least(waiting - count, FP_BATCH_FRAMES));
        }
        forward_batch(burst, way, batches[now], frames);
        frames = next;
    }
}

uint32_t fp_worker_forward(struct fp_worker *worker, uint32_t ingress, uint32_t ring_index, uint32_t most) {
    struct fp_ring *ring = &worker->ports[ingress].port->rx[ring_index];
    struct fp_burst *burst = worker->burst;
    uint32_t waiting = fp_ring_space(ring);
    if (waiting == 0) {
        return 0;
    }
    uint32_t at = ring->shared->head % ring->slots;
    uint32_t count = fp_least(waiting, fp_least(most, FP_BURST_FRAMES));
    uint16_t plain = worker->table->plain[ingress % FP_MAX_PORTS];
    fp_burst_open(burst, worker, ingress, ring_index);
    if (fp_host_is_own(burst->ingress)) {
        fp_host_transmit(burst, at, count);
    } else if (plain != 0) {
        const struct fp_table_entry *entry = &worker->table->entries[(plain - 1U) & (FP_MAX_ROUTES - 1)];
        count = fp_burst_plain(burst, at, fp_least(waiting, most), entry);
    } else {
        forward_routed(burst, at, count, waiting);
    }
    fp_ring_advance(ring, fp_ring_skip(ring, at, count));
    fp_burst_close(burst);
    return count;
}
