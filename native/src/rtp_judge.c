/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames that do not simply follow: RFC 3550, A.1, with two additions. A bitmap of the last 128 numbers tells late
 * frames from copies. And a number that jumped, or a timestamp that did, is held against how fast numbers, timestamps
 * and time went together so far: that tells gaps longer than a wrap of the 16-bit number (63 ms at 2160p59.94), and how
 * long.
 *
 * Limits of that: nothing is known in the first two pictures; where one picture has more frames than half a wrap the
 * timestamp says too little; a picture that follows its predecessor in number is taken for a sender that paused; a
 * pause of up to 64 frames and two pictures is taken for slow sending, so that in a flow's first moments it hides how
 * long a gap behind it was.
 */
#include "rtp_judge.h"

enum {
    MAX_DROPOUT = 3000,  /* RFC 3550, A.1 */
    MAX_MISORDER = 100,  /* RFC 3550, A.1 */
    HALF_WRAP = 1 << 15, /* of the number */
    NO_NUMBER = 1 << 16,
    SLACK_FRAMES = 64,        /* a jump may be off by so much, and by a picture */
    TIME_SLACK_FRAMES = 4096, /* and by so much from what the arrival times say, and by a quarter */
    SPAN_FRAMES = 1 << 24     /* older experience fades */
};
#define GUARD_TICKS (UINT64_C(1) << 31) /* at most: timestamps behind have the upper bit */

__extension__ typedef unsigned __int128 bitmap;

static uint32_t timestamp_of(uint64_t stamp) { return (uint32_t)(stamp >> 32); }

static uint64_t larger(uint64_t a, uint64_t b) { return a > b ? a : b; }

static void anchor(struct fp_rtp_counters *flow, uint64_t now_ns) {
    flow->anchor_sequence = flow->sequence;
    flow->anchor_stamp = flow->stamp;
    flow->anchor_ns = now_ns;
}

static bool is_known(const struct fp_rtp_counters *flow) { return flow->span_frames > 0 && flow->span_ticks > 0; }

/* What the frames since the anchor say, the newest of which came at `now_ns`. */
static void measure(struct fp_rtp_counters *flow, uint64_t now_ns) {
    flow->span_frames += (uint64_t)(flow->sequence - flow->anchor_sequence);
    flow->span_ticks += timestamp_of(flow->stamp) - timestamp_of(flow->anchor_stamp);
    flow->span_ns += now_ns > flow->anchor_ns ? now_ns - flow->anchor_ns : 0;
    if (flow->span_frames > SPAN_FRAMES) {
        flow->span_frames /= 2;
        flow->span_ticks /= 2;
        flow->span_ns /= 2;
    }
    uint64_t guard = 1; /* every step of the timestamp is looked at until its speed is known */
    if (is_known(flow)) {
        uint64_t frames = 2 * flow->picture_frames + SLACK_FRAMES; /* more than from a picture to the next */
        frames = frames < HALF_WRAP ? frames : HALF_WRAP;
        guard = (uint64_t)((bitmap)flow->span_ticks * frames / flow->span_frames) + 1;
    }
    flow->guard_ticks = guard < GUARD_TICKS ? guard : GUARD_TICKS;
    anchor(flow, now_ns);
}

/* A flow, or a flow anew. */
static int64_t begin(struct fp_rtp_counters *flow, uint16_t number, uint64_t stamp, uint64_t now_ns) {
    if (flow->guard_ticks != 0) {
        flow->past_expected_frames += (uint64_t)(flow->sequence - flow->base + 1);
    }
    flow->base = flow->sequence = flow->missing_at = number;
    flow->stamp = stamp;
    flow->missing_low = flow->missing_high = 0;
    flow->stray_next = NO_NUMBER;
    flow->picture_sequence = INT64_MIN;
    flow->picture_frames = 0;
    flow->span_frames = flow->span_ticks = flow->span_ns = 0;
    flow->guard_ticks = 1;
    anchor(flow, now_ns);
    return FP_RTP_NEW_RUN;
}

/* The missing numbers behind the highest one; frames in sequence shift them only here. */
static bitmap missing_now(const struct fp_rtp_counters *flow) {
    int64_t passed = flow->sequence - flow->missing_at;
    bitmap missing = (bitmap)flow->missing_high << 64 | flow->missing_low;
    return passed < 128 ? missing << passed : 0;
}

static void missing_keep(struct fp_rtp_counters *flow, bitmap missing) {
    flow->missing_low = (uint64_t)missing;
    flow->missing_high = (uint64_t)(missing >> 64);
    flow->missing_at = flow->sequence;
}

static int64_t go_ahead(struct fp_rtp_counters *flow, int64_t by, uint64_t stamp) {
    bitmap missing = missing_now(flow);
    uint64_t wraps = (uint64_t)((flow->sequence + by) >> 16) - (uint64_t)(flow->sequence >> 16);
    if (by > 1) {
        flow->gaps++;
        flow->lost_frames += (uint64_t)by - 1;
        flow->largest_gap_frames = larger(flow->largest_gap_frames, (uint64_t)by - 1);
        missing = by < 128 ? missing << by | ((((bitmap)1 << (by - 1)) - 1) << 1) : ~(bitmap)1;
    } else {
        missing <<= 1;
    }
    flow->wraps += wraps;
    flow->sequence += by;
    flow->stamp = stamp;
    missing_keep(flow, missing);
    return by;
}

/* A number at or behind the highest one: late, or a copy. */
static int64_t fall_back(struct fp_rtp_counters *flow, int64_t by) {
    bitmap missing = missing_now(flow);
    bitmap bit = (bitmap)1 << by;
    if (flow->sequence - by < flow->base) {
        flow->stray_frames++; /* from before the first */
    } else if ((missing & bit) != 0) {
        flow->reordered_frames++;
        flow->lost_frames--;
        missing_keep(flow, missing & ~bit);
    } else {
        flow->duplicated_frames++;
    }
    return FP_RTP_NOT_AHEAD;
}

static uint64_t distance(uint64_t a, uint64_t b) { return a > b ? a - b : b - a; }

/* How many numbers a jump of the timestamp by `ticks` makes, 0 where it does not fit: of all advances the 16 bits allow
 * the nearest to what the timestamp says, if it is near, and if time went by too. */
static int64_t leap(const struct fp_rtp_counters *flow, uint16_t number, int32_t ticks, uint64_t now_ns) {
    uint64_t picture = flow->picture_frames > 0 ? flow->picture_frames : 1;
    uint64_t frames = flow->span_frames + (uint64_t)(flow->sequence - flow->anchor_sequence);
    uint64_t frames_ns = flow->span_ns + (flow->last_ns > flow->anchor_ns ? flow->last_ns - flow->anchor_ns : 0);
    uint64_t silent_ns = now_ns > flow->last_ns ? now_ns - flow->last_ns : 0;
    bool follows = number == (uint16_t)(flow->sequence + 1);
    if (ticks <= 0 || !is_known(flow) || frames_ns == 0 || picture >= HALF_WRAP || (follows && picture > 1)) {
        return 0;
    }
    uint64_t wanted = (uint64_t)((bitmap)(uint32_t)ticks * flow->span_frames / flow->span_ticks);
    bitmap by_time = (bitmap)silent_ns * frames / frames_ns;
    uint64_t slack = picture + SLACK_FRAMES + wanted / flow->span_ticks; /* which may be a tick off */
    int64_t by = (int64_t)wanted + (int16_t)(number - (uint16_t)((uint64_t)flow->sequence + wanted));
    if (by <= 0 || by_time > INT64_MAX || distance((uint64_t)by, wanted) > slack ||
        distance(wanted, (uint64_t)by_time) > 2 * picture + TIME_SLACK_FRAMES + (uint64_t)by_time / 4) {
        return 0;
    }
    return by;
}

/* A number ahead by no more than RFC 3550 allows. The first step of the timestamp begins a picture, from the second on
 * its speed is known. */
static void advance(struct fp_rtp_counters *flow, int64_t by, uint64_t stamp, int32_t ticks, uint64_t now_ns) {
    uint64_t wraps = flow->wraps;
    bool known = is_known(flow);
    bool steady = ticks >= 0 && (!known || ticks < (int64_t)flow->guard_ticks);
    bool first = !known && flow->anchor_sequence <= flow->base + 1;
    (void)go_ahead(flow, by, stamp);
    if (!steady || (first && ticks > 0)) {
        anchor(flow, now_ns); /* a pause, or another clock, is no experience */
    } else if (known ? flow->wraps != wraps && flow->picture_frames == 0 : ticks > 0) {
        measure(flow, now_ns);
    }
}

/* Of a frame of the known SSRC. */
static int64_t follow(struct fp_rtp_counters *flow, uint16_t number, uint64_t stamp, uint64_t now_ns) {
    int32_t ticks = (int32_t)((stamp - flow->stamp) >> 32);
    int64_t by = (int16_t)(number - (uint16_t)flow->sequence);
    bool near = by > -MAX_MISORDER && by < MAX_DROPOUT;
    if (!near || ticks >= (int64_t)flow->guard_ticks) {
        int64_t leaped = leap(flow, number, ticks, now_ns);
        if (leaped > 0) {
            flow->long_gaps += leaped > HALF_WRAP ? 1 : 0;
            (void)go_ahead(flow, leaped, stamp);
            anchor(flow, now_ns);
            flow->picture_sequence = INT64_MIN; /* markers went by unseen */
            return leaped;
        }
    }
    if (!near) {
        if (number == flow->stray_next) { /* two in sequence: the other side restarted (RFC 3550, A.1) */
            flow->restarts++;
            flow->stray_frames--;
            (void)begin(flow, number, stamp, now_ns);
            flow->base--;
            return FP_RTP_NEW_RUN;
        }
        flow->stray_frames++;
        flow->stray_next = (uint16_t)(number + 1);
        return FP_RTP_NOT_AHEAD;
    }
    if (by <= 0) {
        return fall_back(flow, -by);
    }
    advance(flow, by, stamp, ticks, now_ns);
    return by;
}

void fp_rtp_end_picture(struct fp_rtp_counters *flow, uint64_t now_ns) {
    if (flow->pictures++ == 0) {
        flow->first_picture_ns = now_ns;
    }
    if (flow->picture_sequence >= flow->base) {
        uint64_t interval = now_ns > flow->last_picture_ns ? now_ns - flow->last_picture_ns : 0;
        bool first = flow->picture_intervals++ == 0;
        flow->picture_min_ns = first || interval < flow->picture_min_ns ? interval : flow->picture_min_ns;
        flow->picture_max_ns = larger(flow->picture_max_ns, interval);
        flow->picture_frames = (uint64_t)(flow->sequence - flow->picture_sequence);
        measure(flow, now_ns);
    } else {
        anchor(flow, now_ns); /* what came of the first picture says little */
    }
    flow->last_picture_ns = now_ns;
    flow->picture_sequence = flow->sequence;
}

int64_t fp_rtp_judge(struct fp_rtp_counters *flow, uint32_t head, uint64_t stamp, uint64_t now_ns) {
    uint16_t number = (uint16_t)(head & FP_RTP_NUMBER);
    int64_t ahead;
    if (flow->guard_ticks == 0) {
        flow->first_ns = flow->first_ns != 0 ? flow->first_ns : now_ns;
        ahead = begin(flow, number, stamp, now_ns);
    } else if ((uint32_t)stamp != (uint32_t)flow->stamp) {
        flow->ssrc_changes++;
        ahead = begin(flow, number, stamp, now_ns);
    } else {
        ahead = follow(flow, number, stamp, now_ns);
    }
    if (ahead != FP_RTP_NOT_AHEAD && (head & FP_RTP_MARKER) != 0) {
        fp_rtp_end_picture(flow, now_ns);
    }
    return ahead;
}
