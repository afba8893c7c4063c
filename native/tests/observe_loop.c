/* SPDX-License-Identifier: Apache-2.0 */
#include "observe_loop.h"
#include "check.h"
#include "media_rig.h"

enum { FLOW = 7, COUNTER = 2 * FLOW, SLOTS = 128, MOST_WAITING = 100, LEAST_BYTES = 54, ROOM = 2048 };

static struct rig rig;
static uint16_t wanted = FP_OBSERVE_RTP;
static bool published;
static uint32_t waiting;
static uint64_t waiting_since_ns;
static struct fp_route_counters sent;

void observe_loop_open(void) { media_open(&rig, SLOTS); }

void observe_loop_want(uint16_t observe) { wanted |= observe; }

int observe_loop_plan(const struct fp_pacing_format *format, struct fp_pacing_plan *out) {
    int result = fp_table_add_pacing(rig.table, format);
    if (result < 0) {
        return result;
    }
    CHECK_EQ(result, 0); /* one a run */
    wanted |= FP_OBSERVE_PACING;
    return fp_pacing_plan_make(format, out);
}

static void publish(void) {
    struct fp_route route = media_route(FLOW, 0);
    route.media.observe = wanted;
    route.media.pacing = (wanted & FP_OBSERVE_PACING) != 0 ? 1 : 0;
    media_add(&rig, &route);
    rig_publish(&rig);
    published = true;
}

void observe_loop_settle(void) {
    struct fp_route_counters counted;
    if (waiting > 0) {
        media_set_clock(waiting_since_ns);
        media_turn(&rig);
        CHECK_EQ(media_discard(&rig), waiting);
        waiting = 0;
    }
    CHECK_EQ(fp_state_read_route(rig.state, COUNTER, &counted), 0);
    CHECK_EQ(counted.frames, sent.frames);
    CHECK_EQ(counted.bytes, sent.bytes);
}

/* Of the length asked for, if that has room for its headers. */
void observe_loop_frame(const uint8_t *rtp, uint32_t length_bytes, uint64_t now_ns) {
    uint8_t bytes[ROOM] = {0};
    CHECK(length_bytes >= LEAST_BYTES && length_bytes <= ROOM);
    struct frame_shape shape = {.group = FLOW, .udp_port = MEDIA_UDP_PORT};
    shape.payload_bytes = length_bytes - MEDIA_RTP_AT;
    CHECK_EQ(frame_build(&shape, bytes), length_bytes);
    memset(bytes + MEDIA_RTP_AT, 0, FP_RTP_BYTES);
    if (rtp != NULL) {
        memcpy(bytes + MEDIA_RTP_AT, rtp, FP_RTP_BYTES);
    }
    if (!published) {
        publish();
    }
    if (waiting == MOST_WAITING || (waiting > 0 && now_ns != waiting_since_ns)) {
        observe_loop_settle();
    }
    waiting_since_ns = now_ns;
    CHECK_EQ(fp_memory_inject(rig.ports[0], bytes, length_bytes), 0);
    waiting++;
    sent.frames++;
    sent.bytes += length_bytes;
}

const struct fp_observation *observe_loop_observation(void) { return &rig.state->segment->observations[COUNTER]; }

const struct fp_observation_record *observe_loop_record(void) { return &rig.state->segment->records[COUNTER]; }

const struct fp_pacing *observe_loop_pacing(void) { return &rig.state->segment->pacings[COUNTER]; }

void observe_loop_close(void) { rig_close(&rig); }
