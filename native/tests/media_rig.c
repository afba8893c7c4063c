/* SPDX-License-Identifier: Apache-2.0 */
#include "media_rig.h"
#include "check.h"
#include "media.h"
#include <string.h>

static uint64_t clock_now_ns;

static uint64_t read_clock(void) { return clock_now_ns; }

void media_set_clock(uint64_t now_ns) { clock_now_ns = now_ns; }

uint64_t media_clock(void) { return clock_now_ns; }

void media_open(struct rig *rig, uint32_t ring_slots) {
    rig_open(rig, 3, ring_slots, 0, FP_WAIT_BUSY);
    media_set_clock(1000000000);
    rig->worker->clock_ns = read_clock;
}

void media_open_holding(struct rig *rig, uint32_t ring_slots, uint32_t hold_frames) {
    rig_open_holding(rig, 3, ring_slots, FP_WAIT_BUSY, hold_frames + FP_HOLD_SPARE_FRAMES);
    media_set_clock(1000000000);
    rig->worker->clock_ns = read_clock;
}

struct fp_route media_route(uint16_t flow, uint16_t path) {
    struct frame_shape shape = {.group = flow, .udp_port = MEDIA_UDP_PORT};
    return rig_route_of(&shape, path, 1U << MEDIA_OUT, (uint16_t)(2 * flow + path));
}

struct fp_route media_merge_route(uint16_t flow, uint16_t path, uint32_t number) {
    struct fp_route route = media_route(flow, path);
    route.media.observe = FP_OBSERVE_RTP;
    route.media.merge = (uint16_t)(number + 1);
    route.media.path = path;
    return route;
}

void media_add(struct rig *rig, const struct fp_route *route) { CHECK_EQ(fp_table_add(rig->table, route), 0); }

void media_add_merge(struct rig *rig, uint32_t number, uint64_t id, uint64_t window_ns) {
    struct fp_merge_config config = {.id = id, .window_ns = window_ns, .slots = 1024};
    CHECK_EQ(fp_table_add_merge(rig->table, number, &config), 0);
}

void media_add_ordered(struct rig *rig, uint32_t number, uint64_t id, uint64_t window_ns, uint32_t hold_frames) {
    struct fp_merge_config config = {.id = id, .window_ns = window_ns, .hold_frames = hold_frames};
    config.slots = 1024;
    while (config.slots < 2 * hold_frames) {
        config.slots *= 2;
    }
    CHECK_EQ(fp_table_add_merge(rig->table, number, &config), 0);
}

void media_new_table(struct rig *rig) {
    fp_table_destroy(rig->table);
    CHECK_EQ(fp_table_create(FP_MAX_ROUTES, &rig->table), 0);
}

static void put_u32(uint8_t *at, uint32_t value) {
    for (unsigned i = 0; i < 4; i++) {
        at[i] = (uint8_t)(value >> (24 - 8 * i));
    }
}

void media_inject(struct rig *rig, uint32_t port, const struct media_frame *frame) {
    struct frame_shape shape = {.group = frame->flow, .udp_port = MEDIA_UDP_PORT, .payload_bytes = 100};
    uint8_t bytes[FRAME_ROOM];
    uint32_t length = frame_build(&shape, bytes);
    uint8_t *rtp = bytes + MEDIA_RTP_AT;
    rtp[0] = frame->not_rtp ? 0 : 0x80;
    rtp[1] = (uint8_t)(96 | (frame->marker ? 0x80 : 0));
    rtp[2] = (uint8_t)(frame->sequence >> 8);
    rtp[3] = (uint8_t)frame->sequence;
    put_u32(rtp + 4, frame->timestamp);
    put_u32(rtp + 8, frame->ssrc);
    put_u32(rtp + 12, frame->mark);
    CHECK_EQ(fp_memory_inject(rig->ports[port], bytes, length), 0);
}

void media_turn(struct rig *rig) {
    while (fp_worker_turn(rig->worker) > 0) {
    }
    rig_check_balance(rig);
}

int media_collect(struct rig *rig, struct media_frame *out) {
    uint8_t bytes[FRAME_ROOM];
    int length = fp_memory_collect(rig->ports[MEDIA_OUT], bytes, sizeof bytes);
    const uint8_t *rtp = bytes + MEDIA_RTP_AT;
    if (length <= 0) {
        CHECK_EQ(length, 0);
        return 0;
    }
    *out = (struct media_frame){
        .flow = fp_load_u16(bytes + 32),
        .sequence = fp_load_u16(rtp + 2),
        .timestamp = fp_load_u32(rtp + 4),
        .ssrc = fp_load_u32(rtp + 8),
        .mark = fp_load_u32(rtp + 12),
        .marker = rtp[1] >> 7,
        .not_rtp = rtp[0] != 0x80,
    };
    return 1;
}

uint32_t media_discard(struct rig *rig) {
    struct media_frame frame;
    uint32_t frames = 0;
    while (media_collect(rig, &frame)) {
        frames++;
    }
    return frames;
}

struct fp_merge_counters media_merge(struct rig *rig, uint32_t number) {
    struct fp_merge_counters counters;
    uint64_t id;
    fp_media_publish_all(rig->worker);
    CHECK_EQ(fp_state_read_merge(rig->state, number, &id, &counters), 0);
    return counters;
}

struct fp_observed media_observed(const struct rig *rig, uint32_t counter) {
    struct fp_observed observed;
    CHECK_EQ(fp_state_read_observed(rig->state, counter, &observed), 0);
    CHECK_EQ(observed.expected_frames - observed.lost_frames,
             observed.frames - observed.duplicated_frames - observed.stray_frames);
    return observed;
}
