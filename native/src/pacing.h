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
    FP_PACING_BEGAN,   /* when it was empty, ns: drains are counted from there */
    FP_PACING_DRAINS,  /* up to the newest frame */
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
/* No time has come to these. */
#define FP_PACING_NO_PICTURE ((uint64_t)INT64_MAX)         /* wait for a marker */
#define FP_PACING_NEW_PICTURE (FP_PACING_NO_PICTURE - 1)   /* the next frame begins one */
#define FP_PACING_NO_RANGE (UINT64_C(1) << 63 | INT32_MAX) /* lowest above highest: nothing seen */

struct fp_pacing {
    _Alignas(64) fp_sequence sequence;
    FP_ATOMIC(uint32_t) plan; /* id of the plan it follows; 0: none yet */
    fp_word words[FP_PACING_WORDS];
};

static_assert(sizeof(struct fp_pacing_plan) == 128 && sizeof(struct fp_pacing) == 128, "two cache lines each");
static_assert(FP_PACING_RANGE == 6, "what every frame reads and writes is one cache line");

__extension__ typedef unsigned __int128 fp_wide;

static inline uint64_t fp_pair(int32_t high, int32_t low) { return (uint64_t)(uint32_t)high << 32 | (uint32_t)low; }
static inline int32_t fp_pair_high(uint64_t pair) { return (int32_t)(pair >> 32); }
static inline int32_t fp_pair_low(uint64_t pair) { return (int32_t)(uint32_t)pair; }

/* FP_E_TORN where the worker died while it wrote; outputs are then untouched. */
int fp_pacing_read(const struct fp_pacing *at, struct fp_pacing_counters *out);

static inline void fp_pacing_prefetch(const struct fp_pacing *at) { __builtin_prefetch(at, 1); }

/* A frame of the route; `ahead` is what fp_observe_rtp returned, `number` the highest extended number after it. Copies
 * and late frames fill the bucket, too, but are not looked for in the receiver's buffer. Lost frames count as in it. */
void fp_pacing_frame(struct fp_pacing *at, const struct fp_pacing_plan *plan, int64_t ahead, uint64_t number,
                     bool marker, uint64_t now_ns);

/*
 * The same for a frame that is 1 ahead, without a marker, within a picture whose beginning was seen and behind its TVD,
 * and no reason for complaint: its Cinst and VRX are within their limits. False where it is anything else: then nothing
 * is written. It writes words that make sense one by one, so without the sequence number.
 */
static inline __attribute__((always_inline)) bool
fp_pacing_usual(struct fp_pacing *at, const struct fp_pacing_plan *plan, uint32_t number, uint64_t now_ns) {
    fp_word *words = at->words;
    uint64_t since_began_ns = now_ns - fp_word_get(&words[FP_PACING_BEGAN]);
    uint64_t since_tvd_ns = now_ns - fp_word_get(&words[FP_PACING_TVD]);
    uint64_t bucket = fp_word_get(&words[FP_PACING_BUCKET]);
    uint64_t range = fp_word_get(&words[FP_PACING_RANGE]);
    uint32_t first = (uint32_t)fp_word_get(&words[FP_PACING_PICTURE]);
    uint64_t drains = (uint64_t)((fp_wide)since_began_ns * plan->drain_q64 >> 64);
    int64_t drained = (int64_t)(drains - fp_word_get(&words[FP_PACING_DRAINS]));
    int64_t rest = (int64_t)(uint32_t)bucket - drained;
    int64_t level = (rest > 0 ? rest : 0) + 1;
    fp_wide due = (fp_wide)since_tvd_ns * plan->read_q64 + fp_word_get(&words[FP_PACING_CREDIT]);
    int64_t packets = plan->packets;
    int64_t reads = (int64_t)(due >> 64) + 1;
    int64_t place = (uint32_t)(number - first);
    int64_t vrx = place + 1 - (reads < packets ? reads : packets);
    int64_t differs = (int64_t)(atomic_load_explicit(&at->plan, memory_order_relaxed) ^ plan->id);
    /* One sign for all that may be wrong: a clock that went back, another picture, limits. */
    int64_t wrong = (int64_t)since_began_ns | (int64_t)since_tvd_ns | drained | (packets - 1 - place) |
                    (plan->cmax_frames - level) | vrx | (plan->vrx_full_frames - vrx) | -differs;
    if (__builtin_expect(wrong < 0, 0)) {
        return false;
    }
    fp_word_put(&words[FP_PACING_DRAINS], drains);
    bucket = (bucket & ~(uint64_t)UINT32_MAX) | (uint64_t)level;
    if (__builtin_expect(level > (int64_t)(bucket >> 32), 0)) { /* the highest so far */
        bucket = (uint64_t)level << 32 | (uint64_t)level;
    }
    fp_word_put(&words[FP_PACING_BUCKET], bucket);
    if (__builtin_expect(vrx > fp_pair_high(range) || vrx < fp_pair_low(range), 0)) {
        int32_t now = (int32_t)vrx;
        int32_t highest = fp_pair_high(range);
        int32_t lowest = fp_pair_low(range);
        fp_word_put(&words[FP_PACING_RANGE], fp_pair(now > highest ? now : highest, now < lowest ? now : lowest));
    }
    fp_word_put(&words[FP_PACING_PICTURE], (uint64_t)vrx << 32 | first);
    return true;
}

#endif
