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

/* Before the route is there, by what its bucket says: what counting and observing will write. */
static inline __attribute__((always_inline)) void fp_media_fetch(struct fp_segment *segment, uint32_t counter,
                                                                 uint32_t media, bool pacing) {
    const void *counters = &segment->routes[counter];
    const void *observation = &segment->observations[counter];
    __builtin_prefetch((media & FP_OBSERVE_RTP) != 0 ? observation : counters, 1);
    if (pacing && (media & FP_OBSERVE_PACING) != 0) {
        fp_pacing_prefetch(&segment->pacings[counter]);
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

static inline const struct fp_pacing_plan *fp_media_plan(const struct fp_table_flat *table,
                                                         const struct fp_table_entry *entry) {
    return &table->pacing[(entry->pacing - 1U) % FP_MAX_PACING];
}

/* media.c: any frame of an observed route; counts it for the route, too. */
void fp_media_observe(struct fp_burst *burst, const struct fp_frame *frame, const struct fp_table_entry *entry);
/* media.c: the frame in sequence that was observed last is not in its schedule, or begins a picture. */
void fp_media_pace(const struct fp_burst *burst, const struct fp_table_entry *entry);

/* The same; a frame in sequence and in its schedule is counted here. Without `pacing` for tables that have none.
 * `segment`, `table` and `now_ns` are the burst's. */
static inline __attribute__((always_inline)) void
fp_media_observe_inline(struct fp_burst *burst, struct fp_segment *segment, const struct fp_table_flat *table,
                        const struct fp_frame *frame, const struct fp_table_entry *entry, uint64_t now_ns,
                        bool pacing) {
    const uint8_t *rtp = fp_rtp_room(frame->bytes, &frame->layout);
    uint32_t counter = entry->counter % FP_MAX_ROUTES;
    uint32_t observe = entry->observe;
    struct fp_observation *at = &segment->observations[counter];
    __asm__("" : "+r"(at)); /* so that gcc does not compute the address of each member */
    if (__builtin_expect(rtp == NULL, 0) ||
        __builtin_expect(!fp_observe_usual(at, observe, rtp, fp_frame_length(frame), now_ns), 0)) {
        fp_media_observe(burst, frame, entry);
        return;
    }
    if (pacing && (observe & FP_OBSERVE_PACING) != 0) {
        struct fp_pacing *pace = &segment->pacings[counter];
        __asm__("" : "+r"(pace));
        if (__builtin_expect(
                !fp_pacing_usual(pace, fp_media_plan(table, entry), (uint32_t)fp_observation_sequence(at), now_ns),
                0)) {
            fp_media_pace(burst, entry);
        }
    }
}

/* media.c: a frame that a merge keeps is accounted for. */
void fp_media_refuse(struct fp_burst *burst, enum fp_merge_verdict verdict);

/* A frame of a path: whether it goes on to its outputs; else it is accounted for. */
static inline __attribute__((always_inline)) bool
fp_media_merge_take(struct fp_burst *burst, const struct fp_frame *frame, const struct fp_table_entry *entry) {
    const uint8_t *rtp = fp_rtp_find(frame->bytes, &frame->layout);
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
