/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames in any order, at any time, of any format: every frame is in one counter, nothing lost is below zero, and what
 * readers get makes sense. Input: a format, then eight bytes an event.
 */
#include "check.h"
#include "discovery.h"
#include "pacing.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { EVENT_BYTES = 8, FORMAT_BYTES = 32 };

struct studio {
    struct fp_observation at;
    struct fp_observation_record record;
    struct fp_pacing pacing;
    struct fp_pacing_plan plan;
    uint64_t now_ns;
    uint32_t timestamp;
    uint32_t ssrc;
    uint16_t number;
    uint64_t frames;
    uint64_t unrouted_frames;
};

static struct fp_discovery discovery;

static uint32_t load_u32(const uint8_t *at) {
    uint32_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

/* Mostly a sound one. */
static void make_plan(struct studio *studio, const uint8_t *data) {
    struct fp_pacing_format format = {
        .packets = load_u32(data) >> (data[31] & 31),
        .pictures = load_u32(data + 4) >> (data[30] & 31),
        .per_s = load_u32(data + 8) >> (data[29] & 31),
        .active_lines = 1080,
        .total_lines = 1080 + data[12],
        .sender = data[13] & 3U,
        .schedule = data[14] & 3U,
        .anchor = data[15] & 3U,
        .max_udp_bytes = load_u32(data + 16) & 0xffff,
        .id = data[20],
        .epoch_ns = load_u32(data + 21),
        .troffset_ns = load_u32(data + 25) >> 8,
    };
    struct fp_pacing_plan before = studio->plan;
    if (fp_pacing_plan_make(&format, &studio->plan) == 0) {
        CHECK(studio->plan.cmax_frames >= 4);
        CHECK(studio->plan.drain_q64 > 0 && studio->plan.read_q64 > 0);
    } else {
        CHECK_EQ(studio->plan.id, before.id);
        CHECK_EQ(studio->plan.drain_q64, before.drain_q64);
    }
}

static void send_frame(struct studio *studio, bool marker) {
    uint8_t rtp[FP_RTP_BYTES] = {0x80, (uint8_t)(marker ? 224 : 96), (uint8_t)(studio->number >> 8),
                                 (uint8_t)studio->number};
    uint32_t words[2] = {__builtin_bswap32(studio->timestamp), studio->ssrc};
    memcpy(rtp + 4, words, sizeof words);
    int64_t ahead = fp_observe_rtp(&studio->at, &studio->record, rtp, 100, studio->now_ns);
    CHECK(ahead >= FP_RTP_NEW_RUN);
    /* As the loop does. */
    uint64_t sequence = fp_observation_sequence(&studio->at);
    if (ahead != 1 || marker || !fp_pacing_usual(&studio->pacing, &studio->plan, (uint32_t)sequence, studio->now_ns)) {
        fp_pacing_frame(&studio->pacing, &studio->plan, ahead, sequence, marker, studio->now_ns);
    }
    studio->frames++;
}

static void take_event(struct studio *studio, const uint8_t *event) {
    uint32_t value = load_u32(event + 4);
    bool marker = (event[0] & 0x80) != 0;
    studio->now_ns += (uint64_t)event[1] << (event[0] >> 2 & 31);
    switch (event[0] & 3) {
    case 0: /* the next number, or nearly */
        studio->number = (uint16_t)(studio->number + 1 + (int8_t)event[2]);
        studio->timestamp += value;
        send_frame(studio, marker);
        break;
    case 1: /* any number */
        studio->number = (uint16_t)(event[2] | event[3] << 8);
        studio->timestamp = value;
        studio->ssrc = event[1] & 1U;
        send_frame(studio, marker);
        break;
    case 2: /* a run of good ones */
        for (unsigned i = 0; i < event[2]; i++) {
            studio->number++;
            studio->timestamp += event[3];
            studio->now_ns += event[4] * UINT64_C(1000);
            send_frame(studio, event[5] != 0 && i % event[5] == 0);
        }
        break;
    default: {
        struct fp_key key = {.udp_port = (uint16_t)value, .payload_type = event[2]};
        fp_discovery_see(&discovery, &key, event[3], studio->now_ns);
        fp_observe_other(&studio->at, &studio->record, event[3], studio->now_ns);
        studio->unrouted_frames++;
    }
    }
}

static void check_rtp(const struct studio *studio) {
    struct fp_observation_counters counters;
    CHECK_EQ(fp_observation_read(&studio->at, &studio->record, &counters), 0);
    const struct fp_rtp_counters *rtp = &counters.rtp;
    uint64_t arrivals = 0;
    for (unsigned i = 0; i < FP_ARRIVAL_BUCKETS; i++) {
        arrivals += counters.arrivals[i];
    }
    CHECK_EQ(rtp->frames, studio->frames);
    CHECK_EQ(rtp->other_frames, studio->unrouted_frames);
    CHECK(arrivals + 1 >= rtp->frames + rtp->other_frames || rtp->first_ns == 0);
    if (rtp->frames > 0) {
        uint64_t expected = rtp->past_expected_frames + (uint64_t)(rtp->sequence - rtp->base + 1);
        CHECK(rtp->lost_frames <= expected);
        CHECK_EQ(expected - rtp->lost_frames, rtp->frames - rtp->duplicated_frames - rtp->stray_frames);
        CHECK(rtp->gaps >= rtp->long_gaps && rtp->pictures <= rtp->frames);
        CHECK(rtp->reordered_frames + rtp->duplicated_frames + rtp->stray_frames <= rtp->frames);
        CHECK((uint16_t)rtp->sequence == (uint16_t)rtp->sequence % 65536);
    }
}

static void check_pacing(const struct studio *studio) {
    struct fp_pacing_counters counters;
    CHECK_EQ(fp_pacing_read(&studio->pacing, &counters), 0);
    CHECK(counters.cinst_frames <= counters.cinst_max_frames && counters.cinst_max_frames <= studio->frames);
    CHECK((counters.cinst_over_frames > 0) == (counters.cinst_max_frames > studio->plan.cmax_frames));
    CHECK(counters.vrx_min_frames <= counters.vrx_max_frames);
    CHECK(counters.vrx_over_frames + counters.vrx_late_frames <= studio->frames);
    CHECK((counters.vrx_over_frames > 0) == (counters.vrx_max_frames > studio->plan.vrx_full_frames));
    CHECK((counters.vrx_late_frames > 0) == (counters.vrx_min_frames < 0));
    CHECK(counters.vrx_span_frames <= (uint64_t)(counters.vrx_max_frames - counters.vrx_min_frames));
}

static void check_discovery(const struct studio *studio) {
    uint64_t frames = 0;
    struct fp_discovered flow;
    for (uint32_t i = 0; i < fp_discovery_count(&discovery); i++) {
        CHECK_EQ(fp_discovery_read(&discovery, i, &flow), 0);
        CHECK(flow.frames > 0 && flow.first_ns <= flow.last_ns);
        frames += flow.frames;
    }
    CHECK(fp_discovery_evicted(&discovery) > 0 || frames == studio->unrouted_frames);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < FORMAT_BYTES) {
        return 0;
    }
    struct studio studio = {.now_ns = 1, .at = {.enabled = FP_OBSERVE_ARRIVALS}};
    fp_discovery_reset(&discovery, data[0]);
    make_plan(&studio, data);
    if (studio.plan.id == 0) {
        return 0;
    }
    for (size_t at = FORMAT_BYTES; at + EVENT_BYTES <= size; at += EVENT_BYTES) {
        take_event(&studio, data + at);
    }
    check_rtp(&studio);
    check_pacing(&studio);
    check_discovery(&studio);
    return 0;
}
