/* SPDX-License-Identifier: Apache-2.0 */
/* Of observations what is seldom needed, and what readers get. */
#include "rtp_judge.h"

/* ---- between the copy and what readers see; writers call these with the sequence number odd */

/* The line, and the first `words` of the record, of which nobody writes. */
static void load(const struct fp_observation *at, const struct fp_observation_record *record, size_t words,
                 struct fp_rtp_counters *flow) {
    uint64_t copy[FP_RECORD_ARRIVALS];
    uint64_t next = fp_word_get(&at->next);
    for (size_t i = 0; i < words; i++) {
        copy[i] = fp_word_get(&record->words[i]);
    }
    memcpy((uint8_t *)flow + FP_RECORD_FROM, copy, words * sizeof copy[0]);
    flow->last_ns = fp_word_get(&at->last_ns);
    flow->stamp = fp_word_get(&at->stamp);
    flow->guard_ticks = atomic_load_explicit(&at->guard_ticks, memory_order_relaxed);
    flow->sequence = flow->guard_ticks != 0 ? (int64_t)fp_next_extended(next) - 1 : 0;
}

static uint64_t next_of(const struct fp_rtp_counters *flow) {
    return flow->guard_ticks != 0 ? fp_next_behind((uint64_t)flow->sequence) : 0;
}

static void store(struct fp_observation *at, struct fp_observation_record *record, size_t words,
                  const struct fp_rtp_counters *flow) {
    uint64_t copy[FP_RECORD_ARRIVALS];
    memcpy(copy, (const uint8_t *)flow + FP_RECORD_FROM, words * sizeof copy[0]);
    for (size_t i = 0; i < words; i++) {
        fp_word_put(&record->words[i], copy[i]);
    }
    uint64_t next = next_of(flow);
    fp_word_put(&at->next, next);
    fp_word_put(&at->stamp, flow->stamp);
    fp_word_put(&at->last_ns, flow->last_ns);
    atomic_store_explicit(&at->guard_ticks, (uint32_t)flow->guard_ticks, memory_order_release);
    fp_word_put(&at->next_again, next);
}

static void end_write(struct fp_observation *at) {
    uint32_t odd = atomic_load_explicit(&at->sequence, memory_order_relaxed);
    atomic_store_explicit(&at->sequence, odd + 1, memory_order_release);
}

static void load_all(const struct fp_observation *at, const struct fp_observation_record *record,
                     struct fp_rtp_counters *flow) {
    load(at, record, FP_RECORD_ARRIVALS, flow);
    uint64_t frames = fp_word_get(&at->next) + flow->skew_frames;
    flow->frames = frames - flow->before_frames - flow->other_frames;
    flow->bytes = fp_word_get(&at->bytes) - flow->before_bytes;
}

static void store_all(struct fp_observation *at, struct fp_observation_record *record, struct fp_rtp_counters *flow) {
    flow->skew_frames = flow->before_frames + flow->other_frames + flow->frames - next_of(flow);
    fp_word_put(&at->bytes, flow->before_bytes + flow->bytes);
    store(at, record, FP_RECORD_ARRIVALS, flow);
}

/* Of bucket 0, and of those behind the window, in the histogram. */
static void fold(struct fp_observation *at, struct fp_observation_record *record) {
    uint64_t recent = fp_word_get(&at->recent);
    uint32_t window = atomic_load_explicit(&at->window, memory_order_relaxed);
    for (uint32_t place = 0; recent != 0; place++, recent >>= FP_RECENT_BITS) {
        uint32_t bucket = place == 0 ? 0 : window + place;
        fp_word_add(&record->words[FP_RECORD_ARRIVALS + bucket], recent & ((1U << FP_RECENT_BITS) - 1));
    }
    fp_word_put(&at->recent, 0);
}

/* An interval, with three buckets of the window on its one side and three on the other. */
static void count_arrival(struct fp_observation *at, struct fp_observation_record *record, unsigned bucket) {
    enum { BEHIND = FP_RECENT_COUNTERS - 1, HALF = BEHIND / 2 + 1, LAST = FP_ARRIVAL_BUCKETS - 1 - BEHIND };
    fold(at, record);
    fp_word_add(&record->words[FP_RECORD_ARRIVALS + bucket], 1);
    if (bucket != 0) {
        uint32_t window = bucket > HALF ? bucket - HALF : 0;
        atomic_store_explicit(&at->window, window < LAST ? window : LAST, memory_order_release);
    }
}

static void count_frame(struct fp_observation *at, struct fp_observation_record *record, struct fp_rtp_counters *flow,
                        uint32_t length_bytes, uint64_t now_ns) {
    flow->bytes += length_bytes;
    if ((at->enabled & FP_OBSERVE_ARRIVALS) != 0 && flow->last_ns != 0) {
        count_arrival(at, record, fp_arrival_bucket(now_ns > flow->last_ns ? now_ns - flow->last_ns : 0));
    }
    flow->last_ns = now_ns;
}

/* ---- doors */

/* What needs more than a comparison. */
static int64_t observe_odd(struct fp_observation *at, struct fp_observation_record *record, uint32_t head,
                           uint64_t stamp, uint32_t length_bytes, uint64_t now_ns) {
    struct fp_rtp_counters flow;
    (void)fp_seq_write_begin(&at->sequence);
    load_all(at, record, &flow);
    int64_t ahead = fp_rtp_judge(&flow, head, stamp, now_ns);
    flow.frames++;
    count_frame(at, record, &flow, length_bytes, now_ns);
    store_all(at, record, &flow);
    end_write(at);
    return ahead;
}

/* A frame in sequence with a marker, or with an interval that begins a new window. */
static void observe_next(struct fp_observation *at, struct fp_observation_record *record, bool marker, uint64_t stamp,
                         uint32_t length_bytes, uint64_t now_ns) {
    struct fp_rtp_counters flow;
    size_t words = marker ? FP_RECORD_PICTURE_WORDS : 0;
    uint64_t recent = fp_word_get(&at->recent);
    uint64_t last_ns = fp_word_get(&at->last_ns);
    (void)fp_seq_write_begin(&at->sequence);
    load(at, record, words, &flow);
    flow.sequence++;
    flow.stamp = stamp;
    flow.last_ns = now_ns;
    if (marker) {
        fp_rtp_end_picture(&flow, now_ns);
    }
    if ((at->enabled & FP_OBSERVE_ARRIVALS) != 0) {
        if (fp_recent_add(at, now_ns, &recent)) {
            fp_word_put(&at->recent, recent);
        } else {
            count_arrival(at, record, fp_arrival_bucket(now_ns > last_ns ? now_ns - last_ns : 0));
        }
    }
    fp_word_add(&at->bytes, length_bytes);
    store(at, record, words, &flow);
    end_write(at);
}

int64_t fp_observe_rtp(struct fp_observation *at, struct fp_observation_record *record, const uint8_t *rtp,
                       uint32_t length_bytes, uint64_t now_ns) {
    if (fp_observe_usual(at, at->enabled, rtp, length_bytes, now_ns)) {
        return 1;
    }
    uint32_t head = __builtin_bswap32(fp_load_raw_u32(rtp));
    uint64_t stamp = __builtin_bswap64(fp_load_raw_u64(rtp + 4));
    uint64_t known = fp_word_get(&at->stamp);
    uint32_t guard = atomic_load_explicit(&at->guard_ticks, memory_order_relaxed);
    uint32_t next = (uint32_t)(fp_word_get(&at->next) & ~FP_NEXT_RTP); /* more than a number where that has wrapped */
    bool follows = (head & FP_RTP_NUMBER) == next && (uint32_t)stamp == (uint32_t)known;
    if (follows && (stamp - known) >> 32 < guard) {
        observe_next(at, record, (head & FP_RTP_MARKER) != 0, stamp, length_bytes, now_ns);
        return 1;
    }
    return observe_odd(at, record, head, stamp, length_bytes, now_ns);
}

void fp_observe_other(struct fp_observation *at, struct fp_observation_record *record, uint32_t length_bytes,
                      uint64_t now_ns) {
    struct fp_rtp_counters flow;
    (void)fp_seq_write_begin(&at->sequence);
    load_all(at, record, &flow);
    flow.first_ns = flow.first_ns != 0 ? flow.first_ns : now_ns;
    flow.other_frames++;
    count_frame(at, record, &flow, length_bytes, now_ns);
    store_all(at, record, &flow);
    end_write(at);
}

void fp_observation_begin(struct fp_observation *at, struct fp_observation_record *record, uint32_t enabled) {
    struct fp_rtp_counters before;
    (void)fp_seq_write_begin(&at->sequence);
    load_all(at, record, &before);
    struct fp_rtp_counters flow = {
        .before_frames = before.before_frames + before.frames + before.other_frames,
        .before_bytes = before.before_bytes + before.bytes,
    };
    for (size_t i = 0; i < FP_RECORD_WORDS; i++) {
        fp_word_put(&record->words[i], 0);
    }
    fp_word_put(&at->recent, 0);
    store_all(at, record, &flow);
    at->enabled = enabled;
    end_write(at);
}

/* ---- readers, in other processes */

/* The record is behind the sequence number; of the line all from the second `next` back to the first. */
static bool try_read(const struct fp_observation *at, const struct fp_observation_record *record,
                     struct fp_observation *line, struct fp_observation_record *kept) {
    uint32_t before = atomic_load_explicit(&at->sequence, memory_order_acquire);
    for (size_t i = 0; i < FP_RECORD_WORDS; i++) {
        fp_word_put(&kept->words[i], atomic_load_explicit(&record->words[i], memory_order_acquire));
    }
    fp_word_put(&line->next_again, atomic_load_explicit(&at->next_again, memory_order_acquire));
    fp_word_put(&line->bytes, atomic_load_explicit(&at->bytes, memory_order_acquire));
    fp_word_put(&line->stamp, atomic_load_explicit(&at->stamp, memory_order_acquire));
    fp_word_put(&line->last_ns, atomic_load_explicit(&at->last_ns, memory_order_acquire));
    fp_word_put(&line->recent, atomic_load_explicit(&at->recent, memory_order_acquire));
    atomic_store_explicit(&line->guard_ticks, atomic_load_explicit(&at->guard_ticks, memory_order_acquire),
                          memory_order_relaxed);
    atomic_store_explicit(&line->window, atomic_load_explicit(&at->window, memory_order_acquire), memory_order_relaxed);
    fp_word_put(&line->next, atomic_load_explicit(&at->next, memory_order_acquire));
    return (before & 1) == 0 && fp_word_get(&line->next) == fp_word_get(&line->next_again) &&
           atomic_load_explicit(&at->sequence, memory_order_relaxed) == before;
}

static int read_whole(const struct fp_observation *at, const struct fp_observation_record *record,
                      struct fp_observation *line, struct fp_observation_record *kept) {
    for (unsigned attempt = 0; !try_read(at, record, line, kept); attempt++) {
        if (!fp_seq_wait(attempt)) {
            return FP_E_TORN;
        }
    }
    return 0;
}

int fp_observation_read(const struct fp_observation *at, const struct fp_observation_record *record,
                        struct fp_observation_counters *out) {
    struct fp_observation line = {.enabled = 0};
    struct fp_observation_record kept;
    int result = read_whole(at, record, &line, &kept);
    if (result != 0) {
        return result;
    }
    fold(&line, &kept);
    load_all(&line, &kept, &out->rtp);
    for (unsigned i = 0; i < FP_ARRIVAL_BUCKETS; i++) {
        out->arrivals[i] = fp_word_get(&kept.words[FP_RECORD_ARRIVALS + i]);
    }
    return 0;
}

int fp_observation_read_totals(const struct fp_observation *at, const struct fp_observation_record *record,
                               struct fp_route_counters *out) {
    struct fp_observation line = {.enabled = 0};
    struct fp_observation_record kept;
    int result = read_whole(at, record, &line, &kept);
    if (result == 0) {
        out->frames = fp_word_get(&line.next) + fp_word_get(&kept.words[FP_RECORD_WORD(skew_frames)]);
        out->bytes = fp_word_get(&line.bytes);
    }
    return result;
}
