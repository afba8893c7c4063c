/* SPDX-License-Identifier: Apache-2.0 */
/* Media in the loop: what is seldom needed, and what readers get. */
#include "media.h"

#define MERGE_PERIOD_NS 100000000U

void fp_media_observe(struct fp_burst *burst, const struct fp_frame *frame, const struct fp_table_entry *entry) {
    struct fp_segment *segment = burst->worker->segment;
    uint32_t counter = entry->counter % FP_MAX_ROUTES;
    struct fp_observation *at = &segment->observations[counter];
    struct fp_observation_record *record = &segment->records[counter];
    struct fp_pacing *pacing = &segment->pacings[counter];
    const uint8_t *rtp = fp_rtp_find(frame->bytes, &frame->layout);
    uint32_t length = fp_frame_length(frame);
    if (at->enabled != entry->observe) { /* the route is another, or is to be observed in another way */
        fp_observation_begin(at, record, entry->observe);
        atomic_store_explicit(&pacing->plan, 0, memory_order_relaxed); /* its first frame makes it begin anew */
    }
    if (rtp == NULL) {
        fp_observe_other(at, record, length, burst->now_ns);
        return;
    }
    int64_t ahead = fp_observe_rtp(at, record, rtp, length, burst->now_ns);
    if ((entry->observe & FP_OBSERVE_PACING) != 0) {
        fp_pacing_frame(pacing, fp_media_plan(burst->worker->table, entry), ahead, fp_observation_sequence(at),
                        (rtp[1] & 0x80) != 0, burst->now_ns);
    }
}

void fp_media_pace(const struct fp_burst *burst, const struct fp_table_entry *entry) {
    struct fp_segment *segment = burst->worker->segment;
    uint32_t counter = entry->counter % FP_MAX_ROUTES;
    fp_pacing_frame(&segment->pacings[counter], fp_media_plan(burst->worker->table, entry), 1,
                    fp_observation_sequence(&segment->observations[counter]), false, burst->now_ns);
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
