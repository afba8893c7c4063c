/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the loop does with RTP: counts what it sees of a route, and merges the two paths of a protected flow. One stage,
 * after the route of a frame is known and before its outputs; only frames whose route has FP_ENTRY_MEDIA come here.
 *
 * A frame of a merge that carries no RTP is dropped (`not_rtp`): nothing tells its two copies apart, so it would go out
 * twice, or stop when one path does; what is behind a merge may rely on one flow of RTP frames and nothing else. RTCP
 * has its own UDP port (RFC 3550, 11) and so its own routes.
 */
#ifndef FP_MEDIA_H
#define FP_MEDIA_H

#include "burst.h"

/* `merge` is its number + 1, and maybe the path. */
static inline struct fp_merge *fp_media_merge(const struct fp_burst *burst, uint32_t merge) {
    uint32_t number = ((merge & FP_ENTRY_MERGE) - 1U) % FP_MAX_MERGES;
    return fp_arena_merge(burst->worker->segment, burst->worker->table->merge_at[number]);
}

/* Before the route is there, by what its bucket says: what counting, observing and merging will write. */
static inline __attribute__((always_inline)) void fp_media_fetch(const struct fp_burst *burst, uint32_t counter,
                                                                 uint32_t media) {
    struct fp_segment *segment = burst->worker->segment;
    const void *counters = &segment->routes[counter % FP_MAX_ROUTES];
    const void *observation = &segment->observations[counter % FP_MAX_ROUTES];
    uint32_t merge = media >> FP_BUCKET_MERGE_SHIFT;
    __builtin_prefetch((media & FP_OBSERVE_RTP) != 0 ? observation : counters, 1);
    if ((media & FP_OBSERVE_PACING) != 0) {
        fp_pacing_prefetch(&segment->pacings[counter % FP_MAX_ROUTES]);
    }
    if (merge != 0) {
        fp_merge_prefetch(fp_media_merge(burst, merge));
    }
}

static inline void fp_media_fetch_slot(const struct fp_burst *burst, const struct fp_frame *frame,
                                       const struct fp_table_entry *entry) {
    if ((entry->merge & FP_ENTRY_MERGE) != 0) {
        const uint8_t *rtp = fp_rtp_find(frame->bytes, &frame->layout);
        if (rtp != NULL) {
            struct fp_merge_frame offered = fp_merge_read_rtp(rtp, 0);
            fp_merge_prefetch_slot(fp_media_merge(burst, entry->merge), &offered);
        }
    }
}

/* media.c: the route is another than what was observed here, or is to be observed in another way. */
void fp_media_begin(struct fp_burst *burst, const struct fp_table_entry *entry);
/* media.c: a frame that a merge keeps is accounted for. */
void fp_media_refuse(struct fp_burst *burst, enum fp_merge_verdict verdict);

/* The frame is counted for its route, too. */
static inline __attribute__((always_inline)) void
fp_media_observe(struct fp_burst *burst, const struct fp_table_entry *entry, const uint8_t *rtp, uint32_t length) {
    struct fp_segment *segment = burst->worker->segment;
    uint32_t counter = entry->counter % FP_MAX_ROUTES;
    struct fp_observation *at = &segment->observations[counter];
    struct fp_observation_record *record = &segment->records[counter];
    if (__builtin_expect(at->enabled != entry->observe, 0)) {
        fp_media_begin(burst, entry);
    }
    if (__builtin_expect(rtp == NULL, 0)) {
        fp_observe_other(at, record, length, burst->now_ns);
        return;
    }
    int64_t ahead = fp_observe_rtp(at, record, entry->observe, rtp, length, burst->now_ns);
    if ((entry->observe & FP_OBSERVE_PACING) != 0) {
        const struct fp_pacing_plan *plan = &burst->worker->table->pacing[(entry->pacing - 1U) % FP_MAX_PACING];
        fp_pacing_frame(&segment->pacings[counter], plan, ahead, fp_observation_sequence(at), (rtp[1] & 0x80) != 0,
                        burst->now_ns);
    }
}

/* Counts the frame for its route. Whether it goes on to its outputs; else it is accounted for. */
static inline __attribute__((always_inline)) bool fp_media_take(struct fp_burst *burst, const struct fp_frame *frame,
                                                                const struct fp_table_entry *entry) {
    const uint8_t *rtp = fp_rtp_find(frame->bytes, &frame->layout);
    if (entry->observe != 0) {
        fp_media_observe(burst, entry, rtp, fp_frame_length(frame));
    } else {
        fp_burst_count_route(burst, entry->counter, 1, fp_frame_length(frame));
    }
    if ((entry->merge & FP_ENTRY_MERGE) == 0) {
        return true;
    }
    if (__builtin_expect(rtp == NULL, 0)) {
        fp_burst_drop(burst, FP_DROP_NOT_RTP);
        return false;
    }
    struct fp_merge_frame offered = fp_merge_read_rtp(rtp, entry->merge >> FP_ENTRY_PATH_SHIFT);
    enum fp_merge_verdict verdict = fp_merge_offer(fp_media_merge(burst, entry->merge), &offered, burst->now_ns);
    if (verdict == FP_MERGE_FORWARD) {
        return true;
    }
    if (__builtin_expect(verdict == FP_MERGE_MERGED, 1)) {
        burst->merged_frames++;
    } else {
        fp_media_refuse(burst, verdict);
    }
    return false;
}

/* media.c: a frame without a route, where flows without routes are listed. */
void fp_media_discover(struct fp_burst *burst, const struct fp_frame *frame);

/* media.c: the counters of merges for readers, each ten times a second, few at once while there are frames to move. */
void fp_media_publish(struct fp_worker *worker, bool idle);
/* Of all merges, now. */
void fp_media_publish_all(struct fp_worker *worker);

#endif
