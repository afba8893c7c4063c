/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SMPTE ST 2022-7: two paths carry the same RTP frames, one flow goes on. One `struct fp_merge` per protected flow, in
 * memory of the caller's, without pointers. Both paths of a flow belong to one worker: one thread, one clock.
 *
 * Numbers. A frame is told by its sequence number and its RTP timestamp together: 16 bits of sequence wrap in 63 ms at
 * 2160p59.94, less than the windows of classes B and C. Both become one 64-bit number. The timestamp's clock (90 kHz,
 * 48 kHz, anything) need not be known: what is learnt from the flow itself is how many frames pass in one tick. The
 * timestamp's distance from a reference (the first frame that carried the newest timestamp) then says which frame it
 * roughly is, and the sequence number, of all numbers that agree with it modulo 65,536, the one next to that. It is
 * right while the estimate errs by less than 32,768 frames: frames of one picture share a timestamp, so it errs by at
 * most half a picture (8,640 frames at 2160p). One timestamp on more than about 60,000 frames is not told apart.
 * A frame whose sequence number lies further from the estimate than half a picture and 1,024 frames does not continue
 * the numbering: see merge_odd.c. Until the timestamp has changed twice nothing is estimated.
 *
 * Slots. One word for each of the newest `slots` numbers, from `tail` to `head`: when the newest number of the flow
 * first reached or passed it, and which paths brought it. Numbers jumped over get their word at that moment, so times
 * never decrease from tail to head, and no slot holds an older lap. Whether a frame is late is a matter of that time
 * alone, whenever slots are judged: later than the window after the number was first reached.
 *
 * Verdicts cost nothing but the state of their flow: one line for the numbering, one for the paths, one slot, and for
 * second copies two for the differential. `now_ns` is read once a burst, and must never go back.
 */
#ifndef FP_MERGE_H
#define FP_MERGE_H

#include "frame.h"

/* What becomes of a frame. Of an account: forwarded = FORWARD + HOLD (held until it leaves), merged = MERGED +
 * DUPLICATE, dropped = LATE. */
enum fp_merge_verdict {
    FP_MERGE_FORWARD,   /* first copy: goes out now */
    FP_MERGE_HOLD,      /* first copy, ahead of a hole: pass it to fp_merge_hold; only of flows that hold frames */
    FP_MERGE_MERGED,    /* the other path brought it before, within the window */
    FP_MERGE_DUPLICATE, /* this path brought it before, within the window */
    FP_MERGE_LATE,      /* its window has passed, or it is older than all that was forwarded */
    FP_MERGE_AGAIN      /* not counted: take what fp_merge_release gives, then offer the frame again */
};

#define FP_MERGE_MAX_WINDOW_NS (1ULL << 30) /* what the bins reach */
#define FP_MERGE_MIN_SLOTS 512U
#define FP_MERGE_MAX_SLOTS ((uint32_t)FP_MAX_MERGE_SLOTS)

/* One way of counting: `ref` is the number of the first frame that carried timestamp `ref_timestamp`. */
struct fp_merge_numbering {
    uint64_t ref;
    int64_t rate;           /* frames per tick, times 2^24 */
    uint32_t ref_timestamp; /* ticks */
    uint32_t ssrc;
    uint16_t ref_sequence;
    uint16_t half_span; /* half of the most frames seen with one timestamp */
    uint16_t tolerance; /* frames an estimate may err by */
    uint16_t known;     /* 0: the rate is not */
};

struct fp_merge_path {
    uint64_t received_frames;
    uint64_t merged_frames;
    uint64_t last_ns;
    uint64_t silence_ns; /* as configured */
};

struct fp_merge_rare {
    uint64_t duplicate_frames;
    uint64_t late_frames;
    uint64_t lost_frames;
    uint64_t outages;
};

struct fp_merge_held {
    uint32_t handle; /* the caller's: a buffer index */
    uint32_t length_bytes;
};

enum {
    FP_MERGE_ORDERED = 1, /* flags: frames are held */
    FP_MERGE_STRAY = 2,   /* a frame waits for another that continues it */
    FP_MERGE_EMPTY = 4,   /* no frame yet */
    FP_MERGE_LEARNING = 8 /* the rate is not known, as in numbering.known */
};

/* The state of a flow; `slots` words and, where frames are held, `slots` struct fp_merge_held follow. All is written by
 * the worker. */
struct fp_merge {
    _Alignas(64) struct fp_merge_numbering now; /* line 0: what every frame needs */
    uint64_t head;                              /* newest number */
    uint64_t low;                               /* oldest number that can still come: tail, or base */
    uint64_t window_ns;
    uint32_t mask; /* slots - 1 */
    uint32_t flags;
    _Alignas(64) struct fp_merge_path paths[FP_MERGE_PATHS]; /* line 1 */
    _Alignas(64) uint64_t differential_frames;               /* line 2, with the usual bins behind */
    int64_t differential_sum_ns;
    int64_t differential_min_ns;
    int64_t differential_max_ns;
    uint64_t bins[FP_MERGE_PATHS][FP_MERGE_BINS]; /* by the path that leads */
    _Alignas(64) struct fp_merge_rare rare[FP_MERGE_PATHS];
    struct fp_merge_numbering before; /* the numbering that ended at base - 1, for the slower path */
    uint64_t before_base;
    uint64_t before_until_ns; /* 0: there was none */
    uint64_t base;            /* first number of the numbering in use */
    uint64_t tail;            /* next to judge */
    uint64_t mark;            /* number, timestamp, time: what the rate is learnt from */
    uint64_t mark_ns;
    uint64_t learn_frames; /* from the mark to the next lesson; 0: no mark yet */
    uint64_t tick_ns;      /* of the timestamp's clock, times 2^12; 0: not known */
    uint32_t mark_timestamp;
    uint32_t stray_timestamp;
    uint32_t stray_ssrc;
    uint16_t stray_sequence;
    uint16_t stray_path;
    uint64_t stray_ns;
    uint64_t lost_frames;
    uint64_t filled_frames;
    uint64_t stray_frames;
    uint64_t restarts;
    uint64_t ssrc_changes;
    uint64_t silences;
    uint64_t next; /* to go out, of flows that hold frames */
    uint64_t skipped_frames;
    uint64_t hold_at; /* where fp_merge_hold puts the frame */
    uint32_t hold_frames;
    uint32_t held;
    uint32_t most_held;
    uint32_t unused;
    _Alignas(64) uint64_t slots[];
};

/* What a slot word holds below the time. */
enum {
    FP_SLOT_PATHS = 3,  /* bit 0: A brought it, bit 1: B */
    FP_SLOT_FILLED = 4, /* when it came, newer ones had come: says nothing about the differential */
    FP_SLOT_HELD = 8,
    FP_SLOT_SHIFT = 4
};

/* The fields of an RTP header that count (RFC 3550, 5.1). */
struct fp_merge_frame {
    uint32_t timestamp;
    uint32_t ssrc;
    uint16_t sequence;
    uint16_t path; /* FP_MERGE_A or FP_MERGE_B; nothing else */
};

/* `rtp` is a whole RTP header. */
static inline struct fp_merge_frame fp_merge_read_rtp(const uint8_t *rtp, uint16_t path) {
    return (struct fp_merge_frame){fp_load_u32(rtp + 4), fp_load_u32(rtp + 8), fp_load_u16(rtp + 2), path};
}

/* Memory of one flow, a multiple of 64 bytes; or 0 where the configuration is invalid. */
uint64_t fp_merge_plan_bytes(const struct fp_merge_config *config);
/* `memory` is aligned to 64 bytes and has the planned size. FP_E_INVALID where the configuration is. */
int fp_merge_create(struct fp_merge *memory, const struct fp_merge_config *config);
/* Judges all that is due, and tells. */
void fp_merge_read(struct fp_merge *merge, uint64_t now_ns, struct fp_merge_counters *out);

/* After FP_MERGE_HOLD: the frame lies in the caller's buffer `handle` until fp_merge_release gives it back. */
void fp_merge_hold(struct fp_merge *merge, uint32_t handle, uint32_t length_bytes);
/* The held frames whose turn it is, in order, at most `room`; returns how many. To be called after every frame and at
 * the deadline, until it returns less than `room`. */
uint32_t fp_merge_release(struct fp_merge *merge, uint64_t now_ns, struct fp_merge_held *out, uint32_t room);
/* When the hole in front of held frames is given up; UINT64_MAX where none is held. */
uint64_t fp_merge_deadline_ns(const struct fp_merge *merge);

/* The way of frames that are not the usual ones: any frame of a flow that holds frames, the first of a run of 64, one
 * behind a gap, one of another numbering. merge_odd.c */
enum fp_merge_verdict fp_merge_offer_odd(struct fp_merge *merge, const struct fp_merge_frame *frame, uint64_t now_ns);
void fp_merge_return(struct fp_merge *merge, unsigned path, uint64_t now_ns);

/* The number a frame most likely has, and whether it lies where the estimate says. Needs a known rate. */
static inline bool fp_merge_place(const struct fp_merge_numbering *as, uint32_t timestamp, uint16_t sequence,
                                  uint64_t *number) {
    int64_t ticks = (int32_t)(timestamp - as->ref_timestamp);
    int64_t estimate = ((ticks * as->rate) >> 24) + as->half_span;
    int32_t off = (int16_t)(uint16_t)(sequence - as->ref_sequence - (uint16_t)estimate);
    *number = as->ref + (uint64_t)(estimate + off);
    return (uint32_t)(off + as->tolerance) <= 2U * as->tolerance;
}

/* A copy of a frame that both paths brought: its differential. */
static inline void fp_merge_measure(struct fp_merge *merge, unsigned path, uint64_t age_ns) {
    int64_t signed_ns = path == FP_MERGE_B ? (int64_t)age_ns : -(int64_t)age_ns;
    unsigned bin = 63U - (unsigned)__builtin_clzll(age_ns | 512) - 9U;
    merge->differential_frames++;
    merge->differential_sum_ns += signed_ns;
    if (signed_ns < merge->differential_min_ns) {
        merge->differential_min_ns = signed_ns;
    }
    if (signed_ns > merge->differential_max_ns) {
        merge->differential_max_ns = signed_ns;
    }
    merge->bins[path ^ 1U][bin]++;
}

/* The usual case of a slot that exists: the second copy, in time. Else changes nothing and returns false. */
static inline bool fp_merge_second(struct fp_merge *merge, uint64_t number, unsigned path, uint64_t now_ns) {
    uint64_t *slot = &merge->slots[number & merge->mask];
    uint64_t word = *slot;
    uint64_t age_ns = now_ns - (word >> FP_SLOT_SHIFT);
    if (__builtin_expect((word & (FP_SLOT_PATHS | FP_SLOT_FILLED)) != 2U - path || age_ns > merge->window_ns, 0)) {
        return false;
    }
    *slot = word | (1U << path);
    merge->paths[path].merged_frames++;
    fp_merge_measure(merge, path, age_ns);
    return true;
}

/* Fetches what every frame of the flow needs. */
static inline void fp_merge_prefetch(const struct fp_merge *merge) {
    __builtin_prefetch(merge, 1);
    __builtin_prefetch(merge->paths, 1);
    __builtin_prefetch(&merge->differential_frames, 1);
}

/* Later, when that has come: fetches the frame's slot. */
static inline void fp_merge_prefetch_slot(const struct fp_merge *merge, const struct fp_merge_frame *frame) {
    uint64_t number;
    (void)fp_merge_place(&merge->now, frame->timestamp, frame->sequence, &number);
    __builtin_prefetch(&merge->slots[number & merge->mask], 1);
}

/* What becomes of a frame; counts it. */
static inline __attribute__((always_inline)) enum fp_merge_verdict
fp_merge_offer(struct fp_merge *merge, const struct fp_merge_frame *frame, uint64_t now_ns) {
    unsigned path = frame->path & 1U;
    struct fp_merge_path *from = &merge->paths[path];
    uint64_t number;
    if (__builtin_expect(now_ns - from->last_ns > from->silence_ns, 0)) {
        fp_merge_return(merge, path, now_ns);
    }
    from->last_ns = now_ns;
    from->received_frames++;
    bool placed = fp_merge_place(&merge->now, frame->timestamp, frame->sequence, &number);
    if (__builtin_expect((uint32_t)!placed | merge->flags | (merge->now.ssrc ^ frame->ssrc), 0)) {
        return fp_merge_offer_odd(merge, frame, now_ns);
    }
    if (number == merge->head + 1 && (number & 63) != 0) {
        uint32_t run = (uint32_t)(number - merge->now.ref);
        if (frame->timestamp != merge->now.ref_timestamp) {
            if (__builtin_expect(run > 2U * merge->now.half_span + 1, 0)) {
                return fp_merge_offer_odd(merge, frame, now_ns);
            }
            merge->now.ref = number;
            merge->now.ref_timestamp = frame->timestamp;
            merge->now.ref_sequence = frame->sequence;
        }
        merge->head = number;
        merge->slots[number & merge->mask] = now_ns << FP_SLOT_SHIFT | 1U << path;
        return FP_MERGE_FORWARD;
    }
    if (number >= merge->low && number <= merge->head && fp_merge_second(merge, number, path, now_ns)) {
        return FP_MERGE_MERGED;
    }
    return fp_merge_offer_odd(merge, frame, now_ns);
}

#endif
