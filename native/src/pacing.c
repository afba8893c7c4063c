/* SPDX-License-Identifier: Apache-2.0 */
/* Plans of formats, starts of pictures, and what readers get. */
#include "pacing.h"

#define NS_PER_S UINT64_C(1000000000)

enum { MOST_PACKETS = 1 << 20, MOST_PICTURES = 1000000, MOST_SECONDS = 100000, MOST_LINES = 100000, MOST_UDP = 65535 };

static bool is_between(uint32_t value, uint32_t most) { return value >= 1 && value <= most; }

static bool format_is_sound(const struct fp_pacing_format *format) {
    return is_between(format->packets, MOST_PACKETS) && is_between(format->pictures, MOST_PICTURES) &&
           is_between(format->per_s, MOST_SECONDS) && is_between(format->total_lines, MOST_LINES) &&
           is_between(format->active_lines, format->total_lines) && is_between(format->sender, FP_SENDER_WIDE) &&
           is_between(format->schedule, FP_SCHEDULE_LINEAR) && is_between(format->anchor, FP_ANCHOR_FIRST) &&
           is_between(format->max_udp_bytes, MOST_UDP) && format->id != 0 &&
           format->troffset_ns < NS_PER_S * format->per_s / format->pictures;
}

static uint32_t larger(uint64_t a, uint64_t b) { return (uint32_t)(a > b ? a : b); }

/* ST 2110-21, 6.6.1 and 7.1: a sender may make the network hold so many frames. */
static uint32_t cmax(const struct fp_pacing_format *format) {
    uint64_t rate = (uint64_t)format->packets * format->pictures; /* in per_s seconds */
    if (format->sender == FP_SENDER_WIDE) {
        return larger(16, rate / (UINT64_C(21600) * format->per_s));
    }
    if (format->sender == FP_SENDER_NARROW_LINEAR) {
        return larger(4, rate / (UINT64_C(43200) * format->per_s));
    }
    return larger(
        4, (uint64_t)((fp_wide)rate * format->total_lines / ((fp_wide)43200 * format->active_lines * format->per_s)));
}

/* ST 2110-21, 6.6.2 and 7.1: so many it may be ahead of the read schedule. */
static uint32_t vrx_full(const struct fp_pacing_format *format) {
    uint64_t rate = (uint64_t)format->packets * format->pictures;
    bool wide = format->sender == FP_SENDER_WIDE;
    return larger(UINT64_C(1500) * (wide ? 720 : 8) / format->max_udp_bytes,
                  rate / (UINT64_C(1) * (wide ? 300 : 27000) * format->per_s));
}

/* `frames` in `ns`, as a fraction of 2^64 a ns, rounded up; 0 where that is one or more. */
static uint64_t rate_q64(fp_wide frames, fp_wide ns) {
    if (frames >= ns) {
        return 0;
    }
    /* Both below 2^84: the quotient comes in two halves. */
    fp_wide high = (frames << 32) / ns;
    fp_wide rest = (frames << 32) % ns;
    fp_wide low = ((rest << 32) + ns - 1) / ns;
    return (uint64_t)((high << 32) + low);
}

int fp_pacing_plan_make(const struct fp_pacing_format *format, struct fp_pacing_plan *out) {
    if (!format_is_sound(format)) {
        return FP_E_INVALID;
    }
    bool gapped = format->schedule == FP_SCHEDULE_GAPPED;
    fp_wide frames = (fp_wide)format->packets * format->pictures;
    fp_wide ns = (fp_wide)NS_PER_S * format->per_s;
    /* Beta, 1.1: ST 2110-21, 6.6.1. TRS: 6.3. */
    uint64_t drain = rate_q64(frames * 11, ns * 10);
    uint64_t reads = gapped ? rate_q64(frames * format->total_lines, ns * format->active_lines) : rate_q64(frames, ns);
    if (drain == 0 || reads == 0) {
        return FP_E_INVALID; /* more than a frame a nanosecond */
    }
    uint64_t rest = NS_PER_S * format->per_s % format->pictures;
    *out = (struct fp_pacing_plan){
        .drain_q64 = drain,
        .read_q64 = reads,
        .period_ns = NS_PER_S * format->per_s / format->pictures,
        .period_q64 = (uint64_t)(((fp_wide)rest * reads + format->pictures - 1) / format->pictures),
        .id = format->id,
        .packets = format->packets,
        .cmax_frames = cmax(format),
        .vrx_full_frames = vrx_full(format),
        .epoch_ns = format->epoch_ns + format->troffset_ns,
        .pictures = format->pictures,
        .per_s = format->per_s,
        .anchor = format->anchor,
    };
    return 0;
}

/* The picture's range goes into the totals. */
static void close_picture(fp_word *words) {
    uint64_t range = fp_word_get(&words[FP_PACING_RANGE]);
    uint64_t before = fp_word_get(&words[FP_PACING_EXTREMES]);
    int32_t highest = fp_pair_high(range);
    int32_t lowest = fp_pair_low(range);
    if (highest < lowest) {
        return;
    }
    uint64_t span = (uint64_t)((int64_t)highest - lowest);
    if (span > fp_word_get(&words[FP_PACING_SPAN])) {
        fp_word_put(&words[FP_PACING_SPAN], span);
    }
    fp_word_put(&words[FP_PACING_EXTREMES], fp_pair(highest > fp_pair_high(before) ? highest : fp_pair_high(before),
                                                    lowest < fp_pair_low(before) ? lowest : fp_pair_low(before)));
    fp_word_put(&words[FP_PACING_RANGE], FP_PACING_NO_RANGE);
}

/* A plan anew; the first frame follows. */
static void begin(struct fp_pacing *at, uint32_t plan, uint64_t now_ns) {
    for (unsigned i = 0; i < FP_PACING_WORDS; i++) {
        fp_word_put(&at->words[i], 0);
    }
    fp_word_put(&at->words[FP_PACING_BEGAN], now_ns);
    fp_word_put(&at->words[FP_PACING_TVD], FP_PACING_NO_PICTURE);
    fp_word_put(&at->words[FP_PACING_RANGE], FP_PACING_NO_RANGE);
    fp_word_put(&at->words[FP_PACING_EXTREMES], FP_PACING_NO_RANGE);
    fp_word_put(&at->words[FP_PACING_NUMBER], UINT64_MAX);
    atomic_store_explicit(&at->plan, plan, memory_order_relaxed);
}

static void skip_picture(fp_word *words) {
    fp_word_add(&words[FP_PACING_SKIPPED], 1);
    fp_word_put(&words[FP_PACING_TVD], FP_PACING_NO_PICTURE);
    fp_word_put(&words[FP_PACING_NUMBER], UINT64_MAX); /* the next picture finds no predecessor */
}

/* TVD of the picture nearest to now (ST 2110-21, 6.3): its number, the next whole ns, and what that adds. */
static uint64_t epoch_tvd(fp_word *words, const struct fp_pacing_plan *plan, uint64_t now_ns) {
    uint64_t since_ns = now_ns - plan->epoch_ns;
    since_ns = since_ns <= INT64_MAX ? since_ns : 0;  /* an epoch before the clock began is a large number */
    fp_wide length = (fp_wide)NS_PER_S * plan->per_s; /* of `pictures` pictures */
    fp_wide number = ((fp_wide)since_ns * plan->pictures * 2 + length) / (2 * length);
    fp_wide product = number * length + plan->pictures - 1;
    uint64_t added = (uint64_t)(plan->pictures - 1 - product % plan->pictures); /* in 1/pictures ns */
    fp_wide credit = ((fp_wide)added * plan->read_q64 + plan->pictures - 1) / plan->pictures;
    fp_word_put(&words[FP_PACING_CREDIT], (uint64_t)credit);
    /* The predecessor matters only where it was judged: its frames may be unread. The upper bit says so. */
    uint64_t before = fp_word_get(&words[FP_PACING_NUMBER]);
    bool follows = before != UINT64_MAX && (before >> 1) + 1 == (uint64_t)number;
    fp_word_put(&words[FP_PACING_NUMBER], (uint64_t)number << 1 | (follows ? 1 : 0));
    return plan->epoch_ns + (uint64_t)(product / plan->pictures);
}

/* A picture's first frame, or one that should be. Returns TVD or FP_PACING_NO_PICTURE. */
static uint64_t begin_picture(struct fp_pacing *at, const struct fp_pacing_plan *plan, uint32_t number,
                              uint64_t now_ns) {
    fp_word *words = at->words;
    close_picture(words);
    if (number != (uint32_t)fp_word_get(&words[FP_PACING_PICTURE])) {
        skip_picture(words);
        return FP_PACING_NO_PICTURE;
    }
    uint64_t tvd_ns = now_ns;
    if (plan->anchor == FP_ANCHOR_EPOCH) {
        tvd_ns = epoch_tvd(words, plan, now_ns);
    }
    fp_word_put(&words[FP_PACING_TVD], tvd_ns);
    fp_word_add(&words[FP_PACING_JUDGED], 1);
    return tvd_ns;
}

/* Frames of the picture before that are still to be read `early_ns` before TVD. */
static int32_t backlog(const struct fp_pacing *at, const struct fp_pacing_plan *plan, uint64_t early_ns) {
    uint64_t number = fp_word_get(&at->words[FP_PACING_NUMBER]);
    if (number == UINT64_MAX || (number & 1) == 0 || early_ns > plan->period_ns) {
        return 0;
    }
    fp_wide due = (fp_wide)(plan->period_ns - early_ns) * plan->read_q64 + plan->period_q64 +
                  fp_word_get(&at->words[FP_PACING_CREDIT]);
    uint64_t taken = (uint64_t)(due >> 64) + 1;
    return taken < plan->packets ? (int32_t)(plan->packets - taken) : 0;
}

static void count_cinst(fp_word *words, const struct fp_pacing_plan *plan, uint64_t now_ns) {
    uint64_t began_ns = fp_word_get(&words[FP_PACING_BEGAN]);
    uint64_t before = fp_word_get(&words[FP_PACING_DRAINS]);
    uint64_t elapsed_ns = now_ns > began_ns ? now_ns - began_ns : 0;
    uint64_t drains = (uint64_t)((fp_wide)elapsed_ns * plan->drain_q64 >> 64);
    drains = drains > before ? drains : before; /* a clock that went back */
    uint64_t bucket = fp_word_get(&words[FP_PACING_BUCKET]);
    uint64_t level = (uint32_t)bucket;
    uint64_t highest = bucket >> 32;
    level = (level > drains - before ? level - (drains - before) : 0) + 1;
    highest = level > highest ? level : highest;
    fp_word_put(&words[FP_PACING_DRAINS], drains);
    fp_word_put(&words[FP_PACING_BUCKET], highest << 32 | level);
    if (level > plan->cmax_frames) {
        fp_word_add(&words[FP_PACING_OVER], 1);
    }
}

static void count_vrx(struct fp_pacing *at, const struct fp_pacing_plan *plan, uint64_t tvd_ns, uint32_t number,
                      uint64_t now_ns) {
    fp_word *words = at->words;
    uint32_t first = (uint32_t)fp_word_get(&words[FP_PACING_PICTURE]);
    uint32_t place = number - first;
    int32_t taken;
    if (place >= plan->packets) { /* it cannot be of this picture */
        close_picture(words);
        skip_picture(words);
        return;
    }
    if (now_ns < tvd_ns) {
        taken = -backlog(at, plan, tvd_ns - now_ns);
    } else {
        fp_wide due = (fp_wide)(now_ns - tvd_ns) * plan->read_q64 + fp_word_get(&words[FP_PACING_CREDIT]);
        uint64_t whole = (uint64_t)(due >> 64) + 1;
        taken = (int32_t)(whole < plan->packets ? whole : plan->packets);
    }
    int32_t level = (int32_t)place + 1 - taken;
    uint64_t range = fp_word_get(&words[FP_PACING_RANGE]);
    int32_t highest = fp_pair_high(range);
    int32_t lowest = fp_pair_low(range);
    fp_word_put(&words[FP_PACING_RANGE], fp_pair(level > highest ? level : highest, level < lowest ? level : lowest));
    fp_word_put(&words[FP_PACING_PICTURE], fp_pair(level, (int32_t)first));
    if ((uint32_t)level > plan->vrx_full_frames) { /* or negative */
        fp_word_add(&words[level < 0 ? FP_PACING_LATE : FP_PACING_FULL], 1);
    }
}

void fp_pacing_frame(struct fp_pacing *at, const struct fp_pacing_plan *plan, int64_t ahead, uint64_t number,
                     bool marker, uint64_t now_ns) {
    uint32_t odd = fp_seq_write_begin(&at->sequence);
    if (atomic_load_explicit(&at->plan, memory_order_relaxed) != plan->id) {
        begin(at, plan->id, now_ns);
    }
    count_cinst(at->words, plan, now_ns);
    if (ahead > 0) {
        uint64_t tvd_ns = fp_word_get(&at->words[FP_PACING_TVD]);
        if (tvd_ns == FP_PACING_NEW_PICTURE) {
            tvd_ns = begin_picture(at, plan, (uint32_t)number, now_ns);
        }
        if (tvd_ns != FP_PACING_NO_PICTURE) {
            count_vrx(at, plan, tvd_ns, (uint32_t)number, now_ns);
        }
    } else if (ahead < 0) {
        fp_word_put(&at->words[FP_PACING_TVD], FP_PACING_NO_PICTURE);
    }
    if (marker && ahead != FP_RTP_NOT_AHEAD) {
        uint64_t picture = fp_word_get(&at->words[FP_PACING_PICTURE]);
        fp_word_put(&at->words[FP_PACING_PICTURE], (picture & ~(uint64_t)UINT32_MAX) | (uint32_t)(number + 1));
        fp_word_put(&at->words[FP_PACING_TVD], FP_PACING_NEW_PICTURE);
    }
    atomic_store_explicit(&at->sequence, odd + 1, memory_order_release);
}

int fp_pacing_read(const struct fp_pacing *at, struct fp_pacing_counters *out) {
    uint64_t words[FP_PACING_WORDS];
    int result = fp_seq_load(&at->sequence, at->words, words, FP_PACING_WORDS);
    if (result != 0) {
        return result;
    }
    int32_t highest = fp_pair_high(words[FP_PACING_RANGE]);
    int32_t lowest = fp_pair_low(words[FP_PACING_RANGE]);
    int32_t high_before = fp_pair_high(words[FP_PACING_EXTREMES]);
    int32_t low_before = fp_pair_low(words[FP_PACING_EXTREMES]);
    bool none = words[FP_PACING_JUDGED] == 0;
    uint64_t span = highest < lowest ? 0 : (uint64_t)((int64_t)highest - lowest);
    *out = (struct fp_pacing_counters){
        .cinst_frames = (uint32_t)words[FP_PACING_BUCKET],
        .cinst_max_frames = words[FP_PACING_BUCKET] >> 32,
        .cinst_over_frames = words[FP_PACING_OVER],
        .vrx_frames = none ? 0 : fp_pair_high(words[FP_PACING_PICTURE]),
        .vrx_max_frames = none ? 0 : (highest > high_before ? highest : high_before),
        .vrx_min_frames = none ? 0 : (lowest < low_before ? lowest : low_before),
        .vrx_span_frames = span > words[FP_PACING_SPAN] ? span : words[FP_PACING_SPAN],
        .vrx_over_frames = words[FP_PACING_FULL],
        .vrx_late_frames = words[FP_PACING_LATE],
        .pictures_judged = words[FP_PACING_JUDGED],
        .pictures_skipped = words[FP_PACING_SKIPPED],
    };
    return 0;
}
