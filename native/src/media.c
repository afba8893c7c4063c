/* SPDX-License-Identifier: Apache-2.0 */
/* Media in the loop: what is seldom needed, and what readers get. */
#include "media.h"

#define MERGE_PERIOD_NS 100000000U

void fp_media_begin(struct fp_burst *burst, const struct fp_table_entry *entry) {
    struct fp_segment *segment = burst->worker->segment;
    uint32_t counter = entry->counter % FP_MAX_ROUTES;
    fp_observation_begin(&segment->observations[counter], &segment->records[counter], entry->observe);
    /* Its first frame makes it begin anew. */
    atomic_store_explicit(&segment->pacings[counter].plan, 0, memory_order_relaxed);
}

void fp_media_refuse(struct fp_burst *burst, enum fp_merge_verdict verdict) {
    if (verdict == FP_MERGE_DUPLICATE) {
        burst->merged_frames++;
    } else {
        fp_burst_drop(burst, FP_DROP_MERGE_LATE);
    }
}

void fp_media_discover(struct fp_burst *burst, const struct fp_frame *frame) {
    struct fp_key key = {.port = (uint16_t)burst->port};
    struct fp_layout layout;
    /* The whole key: the loop reads as much of it as its routes compare. */
    if (fp_frame_read(frame->bytes, fp_frame_length(frame), &key, &layout) == 0) {
        fp_discovery_see(&burst->worker->segment->discovery, &key, fp_frame_length(frame), burst->now_ns);
    }
}

static void publish_merge(struct fp_worker *worker, uint32_t number) {
    const struct fp_table_flat *table = worker->table;
    struct fp_merge_block *block = &worker->segment->merges[number];
    struct fp_merge_counters counters;
    uint64_t words[FP_MERGE_WORDS];
    /* Not the turn's time: frames have come since then. */
    fp_merge_read(fp_arena_merge(worker->segment, table->merge_at[number]), worker->clock_ns(), &counters);
    words[0] = table->merges[number].config.id;
    memcpy(words + 1, &counters, sizeof counters);
    fp_seq_store(&block->sequence, block->words, words, FP_MERGE_WORDS);
}

static uint32_t count_merges(const struct fp_worker *worker) {
    return worker->table->merge_end < FP_MAX_MERGES ? worker->table->merge_end : FP_MAX_MERGES;
}

/* Merges take turns: all at once would keep 1,000 flows waiting for a millisecond. */
void fp_media_publish(struct fp_worker *worker, bool idle) {
    uint32_t count = count_merges(worker);
    for (uint32_t left = idle ? count : 1; left > 0 && worker->now_ns >= worker->merge_due_ns; left--) {
        uint64_t late_ns = worker->now_ns - worker->merge_due_ns;
        uint32_t number = worker->merge_next < count ? worker->merge_next : 0;
        if (worker->table->merges[number].config.slots != 0) {
            publish_merge(worker, number);
        }
        worker->merge_next = number + 1;
        worker->merge_due_ns = late_ns < MERGE_PERIOD_NS ? worker->merge_due_ns : worker->now_ns - MERGE_PERIOD_NS;
        worker->merge_due_ns += MERGE_PERIOD_NS / count;
    }
}

void fp_media_publish_all(struct fp_worker *worker) {
    for (uint32_t number = 0; number < count_merges(worker); number++) {
        if (worker->table->merges[number].config.slots != 0) {
            publish_merge(worker, number);
        }
    }
}
