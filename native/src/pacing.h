/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How evenly a video sender sends: the two models of SMPTE ST 2110-21, for routes that name their format.
 *
 * Network compatibility model: every frame adds one to a bucket that loses one each TDRAIN = TFRAME / NPACKETS / 1.1.
 * Cinst is its level, the frame that just came included; it shall not exceed Cmax.
 *
 * Virtual receiver buffer: frame j of a picture adds one when it comes and is taken out at TPRj = TVD + j * TRS. Its
 * level shall not exceed VRXFULL nor fall below 0 (a frame that comes after it should have been read).
 *
 * Arithmetic is exact to 2^-64 of a frame: a rate is a fraction of 2^64 frames a nanosecond, rounded up, so that a
 * moment that is exactly a multiple of TRS counts. The hot path divides nothing; a picture's start does, once.
 *
 * With one time for each burst a burst seems to come at once: Cinst and VRX are then too high by up to what came since
 * the turn before. Only timestamps of the port itself tell a sender from its neighbours in the ring.
 */
#ifndef FP_PACING_H
#define FP_PACING_H

#include "rtp_observe.h"

/* What a frame needs of it; one cache line and a bit for a picture's start. Flat. Written by who publishes routes. */
struct fp_pacing_plan {
    _Alignas(64) uint64_t drain_q64; /* frames the bucket loses a ns, times 2^64 */
    uint64_t read_q64;               /* frames read a ns, times 2^64 */
    uint64_t period_ns;              /* TFRAME, whole ns */
    uint64_t period_q64;             /* frames read in what is left of TFRAME, times 2^64 */
    uint32_t id;
    uint32_t packets;
    uint32_t cmax_frames;
    uint32_t vrx_full_frames;
    uint64_t epoch_ns; /* TROFFSET included */
    uint32_t pictures;
    uint32_t per_s;
    uint32_t anchor;
};

/* FP_E_INVALID where a field is outside its range. */
int fp_pacing_plan_make(const struct fp_pacing_format *format, struct fp_pacing_plan *out);

enum {
    FP_PACING_LAST,    /* when the newest frame came, ns */
    FP_PACING_PHASE,   /* part of the next drain, times 2^64 */
    FP_PACING_BUCKET,  /* highest Cinst << 32 | Cinst */
    FP_PACING_TVD,     /* TVD rounded up, ns; or one of the two below */
    FP_PACING_CREDIT,  /* frames read in what was rounded, times 2^64 */
    FP_PACING_PICTURE, /* VRX << 32 | first number of the picture, both 32 bits */
    FP_PACING_RANGE,   /* highest VRX of this picture << 32 | lowest */
    FP_PACING_OVER,
    FP_PACING_FULL,
    FP_PACING_LATE,
    FP_PACING_EXTREMES, /* of the pictures before: as FP_PACING_RANGE */
    FP_PACING_SPAN,
    FP_PACING_JUDGED,
    FP_PACING_SKIPPED,
    FP_PACING_NUMBER, /* of the picture since the epoch */
    FP_PACING_WORDS
};
#define FP_PACING_NO_PICTURE UINT64_MAX                    /* wait for a marker */
#define FP_PACING_NEW_PICTURE (UINT64_MAX - 1)             /* the next frame begins one */
#define FP_PACING_NO_RANGE (UINT64_C(1) << 63 | INT32_MAX) /* lowest above highest: nothing seen */

struct fp_pacing {
    _Alignas(64) fp_sequence sequence;
    FP_ATOMIC(uint32_t) plan; /* id of the plan it follows; 0: none yet */
    fp_word words[FP_PACING_WORDS];
};

static_assert(sizeof(struct fp_pacing_plan) == 128 && sizeof(struct fp_pacing) == 128, "two cache lines each");
static_assert(FP_PACING_RANGE == 6, "what every frame writes is one cache line");

__extension__ typedef unsigned __int128 fp_wide;

static inline uint64_t fp_pair(int32_t high, int32_t low) { return (uint64_t)(uint32_t)high << 32 | (uint32_t)low; }
static inline int32_t fp_pair_high(uint64_t pair) { return (int32_t)(pair >> 32); }
static inline int32_t fp_pair_low(uint64_t pair) { return (int32_t)(uint32_t)pair; }

/* A plan anew; the first frame follows. Called with the sequence number odd, as the next two. */
void fp_pacing_begin(struct fp_pacing *at, uint32_t plan, uint64_t now_ns);
/* A picture's first frame, or one that should be. Returns TVD or FP_PACING_NO_PICTURE. */
uint64_t fp_pacing_picture(struct fp_pacing *at, const struct fp_pacing_plan *plan, uint32_t number, uint64_t now_ns);
/* Frames of the picture before that are still to be read `early_ns` before TVD. */
int32_t fp_pacing_backlog(const struct fp_pacing *at, const struct fp_pacing_plan *plan, uint64_t early_ns);
/* A number that cannot be of this picture. */
void fp_pacing_lose(struct fp_pacing *at);

/* FP_E_TORN where the worker died while it wrote; outputs are then untouched. */
int fp_pacing_read(const struct fp_pacing *at, struct fp_pacing_counters *out);

static inline void fp_pacing_prefetch(const struct fp_pacing *at) { __builtin_prefetch(at, 1); }

static inline __attribute__((always_inline)) void
fp_pacing_count_cinst(fp_word *words, const struct fp_pacing_plan *plan, uint64_t now_ns) {
    uint64_t last_ns = fp_word_get(&words[FP_PACING_LAST]);
    uint64_t elapsed_ns = now_ns > last_ns ? now_ns - last_ns : 0;
    fp_wide drained = (fp_wide)elapsed_ns * plan->drain_q64 + fp_word_get(&words[FP_PACING_PHASE]);
    uint64_t whole = (uint64_t)(drained >> 64);
    uint64_t bucket = fp_word_get(&words[FP_PACING_BUCKET]);
    uint64_t level = (uint32_t)bucket;
    uint64_t highest = bucket >> 32;
    level = (level > whole ? level - whole : 0) + 1;
    highest = level > highest ? level : highest;
    fp_word_put(&words[FP_PACING_LAST], last_ns + elapsed_ns);
    fp_word_put(&words[FP_PACING_PHASE], (uint64_t)drained);
    fp_word_put(&words[FP_PACING_BUCKET], highest << 32 | level);
    if (__builtin_expect(level > plan->cmax_frames, 0)) {
        fp_word_add(&words[FP_PACING_OVER], 1);
    }
}

static inline __attribute__((always_inline)) void fp_pacing_count_vrx(struct fp_pacing *at,
                                                                      const struct fp_pacing_plan *plan,
                                                                      uint64_t tvd_ns, uint32_t number,
                                                                      uint64_t now_ns) {
    fp_word *words = at->words;
    uint32_t first = (uint32_t)fp_word_get(&words[FP_PACING_PICTURE]);
    uint32_t place = number - first;
    int32_t taken;
    if (__builtin_expect(place >= plan->packets, 0)) {
        fp_pacing_lose(at);
        return;
    }
    if (__builtin_expect(now_ns < tvd_ns, 0)) {
        taken = -fp_pacing_backlog(at, plan, tvd_ns - now_ns);
    } else {
        fp_wide due = (fp_wide)(now_ns - tvd_ns) * plan->read_q64 + fp_word_get(&words[FP_PACING_CREDIT]);
        uint64_t whole = (uint64_t)(due >> 64) + 1;
        taken = (int32_t)(whole < plan->packets ? whole : plan->packets);
    }
    int32_t level = (int32_t)place + 1 - taken;
    uint64_t range = fp_word_get(&words[FP_PACING_RANGE]);
    int32_t highest = fp_pair_high(range);
    int32_t lowest = fp_pair_low(range);
    fp_word_put(&words[FP_PACING_PICTURE], fp_pair(level, (int32_t)first));
    fp_word_put(&words[FP_PACING_RANGE], fp_pair(level > highest ? level : highest, level < lowest ? level : lowest));
    if (__builtin_expect((uint32_t)level > plan->vrx_full_frames, 0)) { /* or negative */
        fp_word_add(&words[level < 0 ? FP_PACING_LATE : FP_PACING_FULL], 1);
    }
}

/* A frame of the route; `ahead` is what fp_observe_rtp returned, `number` the highest extended number after it. Copies
 * and late frames fill the bucket, too, but are not looked for in the receiver's buffer. Lost frames count as in it. */
static inline __attribute__((always_inline)) void fp_pacing_frame(struct fp_pacing *at,
                                                                  const struct fp_pacing_plan *plan, int64_t ahead,
                                                                  uint64_t number, bool marker, uint64_t now_ns) {
    uint32_t odd = fp_seq_write_begin(&at->sequence);
    if (__builtin_expect(atomic_load_explicit(&at->plan, memory_order_relaxed) != plan->id, 0)) {
        fp_pacing_begin(at, plan->id, now_ns);
    }
    fp_pacing_count_cinst(at->words, plan, now_ns);
    if (__builtin_expect(ahead > 0, 1)) {
        uint64_t tvd_ns = fp_word_get(&at->words[FP_PACING_TVD]);
        if (__builtin_expect(tvd_ns == FP_PACING_NEW_PICTURE, 0)) {
            tvd_ns = fp_pacing_picture(at, plan, (uint32_t)number, now_ns);
        }
        if (__builtin_expect(tvd_ns != FP_PACING_NO_PICTURE, 1)) {
            fp_pacing_count_vrx(at, plan, tvd_ns, (uint32_t)number, now_ns);
        }
    } else if (ahead < 0) {
        fp_word_put(&at->words[FP_PACING_TVD], FP_PACING_NO_PICTURE);
    }
    if (__builtin_expect(marker && ahead != FP_RTP_NOT_AHEAD, 0)) {
        uint64_t picture = fp_word_get(&at->words[FP_PACING_PICTURE]);
        fp_word_put(&at->words[FP_PACING_PICTURE], (picture & ~(uint64_t)UINT32_MAX) | (uint32_t)(number + 1));
        fp_word_put(&at->words[FP_PACING_TVD], FP_PACING_NEW_PICTURE);
    }
    atomic_store_explicit(&at->sequence, odd + 1, memory_order_release);
}

#endif
