/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What happened to the RTP frames of one route on one path (RFC 3550, 6.4.1, A.1, A.3), counted in the loop.
 *
 * A frame that follows the one before it, which nearly all do, costs a comparison and writes one cache line, histogram
 * included: what every frame changes lies in struct fp_observation, all else in struct fp_observation_record. As the
 * line also has the route's frames and bytes, a route that is observed has no other counters to write. A marker writes
 * two lines of the record; what is left (first frame, wrap, gap, reorder, duplicate, restart) is judged out of line.
 * Nothing here allocates or holds a pointer: both lie in the state segment, zeroed, and are read there.
 *
 * Times are those the caller gives, of one clock. With one time for each burst all frames of a burst seem to arrive at
 * once: intervals are right to the time between two turns of the loop, no better.
 */
#ifndef FP_RTP_OBSERVE_H
#define FP_RTP_OBSERVE_H

#include "frame.h"
#include "seqlock.h"

enum { FP_ARRIVAL_FIRST_BITS = 6 /* bucket 1 holds intervals below 2^6 ns */ };

/* Of one RTP flow, as it is judged and read. Written by the worker, all of it. */
struct fp_rtp_counters {
    uint64_t frames;  /* RTP frames, all of them */
    uint64_t bytes;   /* of RTP and other frames; Ethernet header on, FCS off */
    uint64_t last_ns; /* when the newest frame came */
    int64_t sequence; /* highest number of this run, extended by its wraps (RFC 3550, A.3); a run begins below 2^16 */
    uint64_t stamp;   /* of that frame: RTP timestamp << 32 | SSRC */
    uint64_t guard_ticks; /* a timestamp that far ahead gets a closer look; 0 before the first frame */
    /* From here on as in the record. One cache line, for the end of a picture: */
    uint64_t pictures;          /* frames with the marker bit (ST 2110-20, 6.1.2: the last of a picture or field) */
    uint64_t last_picture_ns;   /* when the newest marker came */
    uint64_t picture_intervals; /* from marker to marker of one run */
    uint64_t picture_min_ns;    /* shortest of these; 0 before the first */
    uint64_t picture_max_ns;    /* longest of these */
    uint64_t picture_frames;    /* numbers of the last of these, lost ones too */
    int64_t picture_sequence;   /* of the newest marker; below `base`: none */
    int64_t base;               /* first number of this run */
    /* And the next. How far numbers, timestamps and time go together: sums, and where the next part begins. */
    uint64_t span_frames;
    uint64_t span_ticks;
    uint64_t span_ns;
    int64_t anchor_sequence;
    uint64_t anchor_stamp;
    uint64_t anchor_ns;
    uint64_t first_picture_ns; /* when the first marker came */
    uint64_t wraps;            /* of the 16-bit number */
    /* Judgements. expected - lost == frames - duplicated - stray, where expected == past_expected + sequence - base + 1
     */
    uint64_t first_ns;             /* when the first frame came */
    uint64_t lost_frames;          /* missing now: a late one is taken back (RFC 3550, 6.4.1) */
    uint64_t reordered_frames;     /* came behind a higher number, at most 99 late, and filled a gap */
    uint64_t duplicated_frames;    /* number seen before, at most 99 ago */
    uint64_t stray_frames;         /* number fits neither gap nor reorder, and no frame followed it (RFC 3550, A.1) */
    uint64_t gaps;                 /* times at least one number was skipped */
    uint64_t largest_gap_frames;   /* numbers skipped in the largest of these */
    uint64_t long_gaps;            /* of these: longer than the 16-bit number tells, found by the timestamp */
    uint64_t restarts;             /* same SSRC, numbers began anew: two in sequence (RFC 3550, A.1) */
    uint64_t ssrc_changes;         /* RFC 3550, 5.1 and 8.2 */
    uint64_t past_expected_frames; /* of the runs before this one */
    uint64_t other_frames;         /* of the route, but not RTP */
    uint64_t missing_low;          /* bit i: number missing_at - i is missing; i < 64 */
    uint64_t missing_high;         /* bit i: number missing_at - 64 - i is missing */
    int64_t missing_at;            /* `sequence` when the two were written last */
    uint64_t stray_next;           /* number that would confirm a restart; above 65535: none */
    /* The counter's frames and bytes go on when what is observed begins anew. */
    uint64_t before_frames; /* the counter had then */
    uint64_t before_bytes;
    uint64_t skew_frames; /* all frames of the counter less fp_observation.next, modulo 2^64 */
    uint64_t unused[5];
};

/* What a reader gets. */
struct fp_observation_counters {
    struct fp_rtp_counters rtp;
    /* Time since the frame before: [0] none, [1] 1..63 ns, [i] 2^(i+4) to 2^(i+5) - 1 ns, the last all above; worker */
    uint64_t arrivals[FP_ARRIVAL_BUCKETS];
};

enum {
    FP_RECORD_FROM = offsetof(struct fp_rtp_counters, pictures),
    FP_RECORD_PICTURE_WORDS = 16, /* the first: what a marker writes */
    FP_RECORD_ARRIVALS = (sizeof(struct fp_rtp_counters) - FP_RECORD_FROM) / sizeof(uint64_t),
    FP_RECORD_WORDS = FP_RECORD_ARRIVALS + FP_ARRIVAL_BUCKETS
};
#define FP_RECORD_WORD(name) ((offsetof(struct fp_rtp_counters, name) - FP_RECORD_FROM) / sizeof(uint64_t))

/*
 * What every frame writes; one cache line. `sequence` is odd while more is written than a frame in sequence does; such
 * a frame says by `next` and `next_again` that all between them belongs together.
 */
struct fp_observation {
    _Alignas(64) fp_sequence sequence;
    uint32_t enabled; /* FP_OBSERVE_* and above them the run (fp_table_entry.observe); worker, before the first frame */
    fp_word next;     /* fp_next_behind the highest number; 0 before the first frame; worker */
    fp_word bytes;    /* of all frames of the counter; worker */
    fp_word stamp;    /* fp_rtp_counters.stamp; worker */
    fp_word last_ns;  /* fp_rtp_counters.last_ns; worker */
    /* Intervals that are not in the histogram yet: eight counters of eight bits, the first of bucket 0, the others of
     * the seven behind bucket `window`. They are added to it before one overflows; worker. */
    fp_word recent;
    FP_ATOMIC(uint32_t) guard_ticks; /* fp_rtp_counters.guard_ticks; worker */
    FP_ATOMIC(uint32_t) window;      /* 0..16; worker */
    fp_word next_again;              /* worker */
};

struct fp_observation_record {
    _Alignas(64) fp_word words[FP_RECORD_WORDS]; /* fp_rtp_counters from `pictures` on, and the histogram */
};

enum { FP_RECENT_BITS = 8, FP_RECENT_COUNTERS = 8 };
#define FP_RECENT_FULL 0x8080808080808080ULL

static_assert(sizeof(struct fp_observation) == 64, "what every frame writes is one cache line");
static_assert(FP_RECORD_WORD(span_frames) == 8 && FP_RECORD_WORD(first_ns) == FP_RECORD_PICTURE_WORDS,
              "what a marker writes is two cache lines");
static_assert(sizeof(struct fp_observation_record) == 512, "a power of two, so that no record straddles pages");

/* What fp_observe_rtp says of a frame, besides a number above 0: how far it is ahead of the highest before. */
enum { FP_RTP_NOT_AHEAD = 0, FP_RTP_NEW_RUN = -1 };

static inline uint64_t fp_word_get(const fp_word *word) { return atomic_load_explicit(word, memory_order_relaxed); }
static inline void fp_word_put(fp_word *word, uint64_t value) {
    atomic_store_explicit(word, value, memory_order_release);
}
static inline void fp_word_add(fp_word *word, uint64_t value) { fp_word_put(word, fp_word_get(word) + value); }

/* A frame, with the RTP header at `rtp`. Returns as said above; fp_pacing_frame takes it. */
int64_t fp_observe_rtp(struct fp_observation *at, struct fp_observation_record *record, const uint8_t *rtp,
                       uint32_t length_bytes, uint64_t now_ns);
/* A frame of the route that is not RTP. */
void fp_observe_other(struct fp_observation *at, struct fp_observation_record *record, uint32_t length_bytes,
                      uint64_t now_ns);
/* What is observed begins anew, as `enabled` says; frames and bytes of the counter go on. */
void fp_observation_begin(struct fp_observation *at, struct fp_observation_record *record, uint32_t enabled);

/* FP_E_TORN where the worker died while it wrote; outputs are then untouched. */
int fp_observation_read(const struct fp_observation *at, const struct fp_observation_record *record,
                        struct fp_observation_counters *out);
/* The same of the counter's frames and bytes only: all since the segment was created that were observed. */
int fp_observation_read_totals(const struct fp_observation *at, const struct fp_observation_record *record,
                               struct fp_route_counters *out);

/* Parts of the first RTP word. */
#define FP_RTP_VERSION 0xc0000000U
#define FP_RTP_MARKER 0x00800000U
#define FP_RTP_NUMBER 0x0000ffffU

/*
 * The number behind an extended one, so that its lower half is what is looked for in an RTP header: version 2, no
 * marker, this number. One more is the next one; where the number wraps the lower half fits no header, and the frame is
 * looked at.
 */
#define FP_NEXT_RTP UINT64_C(0x80000000)
static inline uint64_t fp_next_behind(uint64_t extended) {
    return ((extended >> 16) << 32 | FP_NEXT_RTP | (extended & FP_RTP_NUMBER)) + 1;
}
/* That number, extended. */
static inline uint64_t fp_next_extended(uint64_t next) {
    return ((next >> 32) << 16) + (next & ~FP_NEXT_RTP & UINT32_MAX);
}

/* Where the RTP header of a UDP frame begins, as parsed, NULL where there is no room for one: fp_observe_usual knows
 * the version. */
static inline const uint8_t *fp_rtp_room(const uint8_t *frame, const struct fp_layout *layout) {
    const uint8_t *udp = frame + layout->l4;
    bool has_room = layout->level == FP_LEVEL_UDP && fp_load_u16(udp + 4) >= FP_UDP_BYTES + FP_RTP_BYTES;
    return has_room ? udp + FP_UDP_BYTES : NULL;
}

/* RTP header of a UDP frame, NULL where it carries none (RFC 3550, 5.1). */
static inline const uint8_t *fp_rtp_find(const uint8_t *frame, const struct fp_layout *layout) {
    const uint8_t *rtp = fp_rtp_room(frame, layout);
    return rtp != NULL && rtp[0] >> 6 == 2 ? rtp : NULL;
}

/* In which bucket of `arrivals` an interval above 0 falls, if there were more of them. */
static inline unsigned fp_interval_bucket(uint64_t interval_ns) {
    unsigned bits = 64 - (unsigned)__builtin_clzll(interval_ns | (1U << (FP_ARRIVAL_FIRST_BITS - 1)));
    return bits - (FP_ARRIVAL_FIRST_BITS - 1);
}

/* In which bucket of `arrivals` an interval falls. */
static inline unsigned fp_arrival_bucket(uint64_t interval_ns) {
    enum { LARGEST = FP_ARRIVAL_BUCKETS - 1 };
    unsigned bucket = fp_interval_bucket(interval_ns);
    bucket = bucket < LARGEST ? bucket : LARGEST;
    return interval_ns == 0 ? 0 : bucket;
}

/* `recent` with one interval more; false where it has no room for it: also where the clock went back, or the interval
 * is longer than the last bucket's beginning. */
static inline __attribute__((always_inline)) bool fp_recent_add(const struct fp_observation *at, uint64_t now_ns,
                                                                uint64_t *recent) {
    uint64_t interval_ns = now_ns - fp_word_get(&at->last_ns);
    unsigned place = fp_interval_bucket(interval_ns) - atomic_load_explicit(&at->window, memory_order_relaxed);
    bool fits = (place - 1 < FP_RECENT_COUNTERS - 1) | (interval_ns == 0);
    place = interval_ns == 0 ? 0 : place;
    *recent += UINT64_C(1) << (FP_RECENT_BITS * place & 63);
    return fits & ((*recent & FP_RECENT_FULL) == 0);
}

/*
 * fp_observe_rtp for a frame in sequence, which is FP_RTP 1 ahead: of the run in `enabled`, with the number that
 * follows, no wrap, a timestamp that is no riddle, no marker, and an interval there is room for. False where it is
 * anything else: then nothing is written.
 */
static inline __attribute__((always_inline)) bool fp_observe_usual(struct fp_observation *at, uint32_t enabled,
                                                                   const uint8_t *rtp, uint32_t length_bytes,
                                                                   uint64_t now_ns) {
    const uint32_t looked_at = FP_RTP_VERSION | FP_RTP_MARKER | FP_RTP_NUMBER;
    uint32_t head = __builtin_bswap32(fp_load_raw_u32(rtp));
    uint64_t stamp = __builtin_bswap64(fp_load_raw_u64(rtp + 4));
    uint64_t known = fp_word_get(&at->stamp);
    uint64_t next = fp_word_get(&at->next);
    uint32_t guard = atomic_load_explicit(&at->guard_ticks, memory_order_relaxed);
    uint32_t differs = ((head & looked_at) ^ (uint32_t)next) | (uint32_t)(stamp ^ known) | (at->enabled ^ enabled);
    /* With equal SSRCs the difference's upper half is that of the timestamps. */
    if (__builtin_expect((differs != 0) | ((stamp - known) >> 32 >= guard), 0)) {
        return false;
    }
    if ((enabled & FP_OBSERVE_ARRIVALS) != 0) {
        uint64_t recent = fp_word_get(&at->recent);
        if (__builtin_expect(!fp_recent_add(at, now_ns, &recent), 0)) {
            return false;
        }
        atomic_store_explicit(&at->next, next + 1, memory_order_relaxed);
        fp_word_put(&at->recent, recent);
    } else {
        atomic_store_explicit(&at->next, next + 1, memory_order_relaxed);
    }
    fp_word_add(&at->bytes, length_bytes);
    fp_word_put(&at->stamp, stamp);
    fp_word_put(&at->last_ns, now_ns);
    fp_word_put(&at->next_again, next + 1);
    return true;
}

/* Highest extended number, after fp_observe_rtp. */
static inline uint64_t fp_observation_sequence(const struct fp_observation *at) {
    return fp_next_extended(fp_word_get(&at->next)) - 1;
}

#endif
