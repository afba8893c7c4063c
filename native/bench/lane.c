/* SPDX-License-Identifier: Apache-2.0 */
#include "lane.h"
#include "check.h"
#include "format_1080p50.h"
#include "frame.h"
#include <stdbool.h>
#include <string.h>
#include <time.h>

enum { LINE_BYTES = 64, HEADER_BYTES = 54 /* Ethernet, IPv4, UDP, RTP */ };

double lane_now_ns(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static int null_rx_sync(struct fp_port *port) {
    (void)port;
    return 0;
}

static int null_tx_sync(struct fp_port *port) {
    const struct fp_ring *ring = &port->tx[0];
    uint32_t head = ring->shared->head;
    ring->shared->tail = head == 0 ? ring->slots - 1 : head - 1;
    return 0;
}

/* A ring that has been in use for a while has its buffers in any order. */
static void shuffle(const struct fp_ring *ring, uint32_t seed) {
    struct netmap_slot *slots = ring->shared->slot;
    for (uint32_t i = ring->slots - 1; i > 0; i--) {
        seed = seed * 1664525 + 1013904223;
        uint32_t other = (seed >> 8) % (i + 1);
        uint32_t buffer = slots[i].buf_idx;
        slots[i].buf_idx = slots[other].buf_idx;
        slots[other].buf_idx = buffer;
    }
}

static void rewrite_make(struct fp_rewrite *rewrite, uint32_t set, uint32_t route, uint32_t output) {
    const uint8_t address[16] = {[10] = 0xff,           [11] = 0xff,           [12] = 239,
                                 (uint8_t)(2 + output), (uint8_t)(route >> 8), (uint8_t)route};
    const uint8_t source[16] = {[10] = 0xff, [11] = 0xff, [12] = 192, 0, 2, 7};
    const uint8_t mac[6] = {0x01, 0x00, 0x5e, address[13], address[14], address[15]};
    rewrite->set = set;
    rewrite->udp_port = 7000;
    rewrite->udp_source = 7001;
    rewrite->vlan = 100;
    rewrite->dscp = 46;
    rewrite->payload_type = 112;
    rewrite->ssrc = route;
    memcpy(rewrite->destination, address, sizeof address);
    memcpy(rewrite->source, source, sizeof source);
    memcpy(rewrite->destination_mac, mac, sizeof mac);
    memcpy(rewrite->source_mac, "\x02\x00\x00\x00\x00\x07", sizeof rewrite->source_mac);
}

static void routes_add(struct lane *lane) {
    for (uint32_t i = 0; i < lane->wanted.routes; i++) {
        struct frame_shape shape = {.group = (uint16_t)i, .udp_port = 6000};
        struct fp_route route = rig_route_of(&shape, 0, (1U << (lane->wanted.outputs + 1)) - 2, (uint16_t)i);
        route.media.observe = lane->wanted.observe;
        route.media.pacing = (lane->wanted.observe & FP_OBSERVE_PACING) != 0 ? 1 : 0;
        if (lane->wanted.plain) {
            memset(&route.match, 0, sizeof route.match);
            route.match.fields = FP_MATCH_PORT;
        }
        for (uint32_t output = 0; output < route.output_count; output++) {
            rewrite_make(&route.outputs[output].rewrite, lane->wanted.set, i, output);
        }
        CHECK_EQ(fp_table_add(lane->rig.table, &route), 0);
    }
}

/* Frames come evenly, or a few at once: linear senders, or wide ones. */
static void format_add(struct lane *lane) {
    if ((lane->wanted.observe & FP_OBSERVE_PACING) == 0) {
        return;
    }
    struct fp_pacing_format format = {FORMAT_1080P50(lane->wanted.picture_frames, FP_ANCHOR_FIRST, 1500)};
    format.sender = lane->wanted.run_frames == 1 ? FP_SENDER_NARROW_LINEAR : FP_SENDER_WIDE;
    format.schedule = FP_SCHEDULE_LINEAR;
    CHECK_EQ(fp_table_add_pacing(lane->rig.table, &format), 0);
}

/* Pictures of all flows at once would make laps with nothing but markers, and many without any: the fastest would be
 * one of these. A picture begins with a run. */
static void numbers_spread(struct lane *lane) {
    for (uint32_t i = 0; i < lane->wanted.routes; i++) {
        uint32_t number = (uint32_t)((uint64_t)(i * 2654435761U) * lane->wanted.picture_frames >> 32);
        lane->numbers[i] = number - number % lane->wanted.run_frames;
    }
}

uint64_t lane_due_ns(const struct lane *lane, uint64_t frames) {
    return frames * LANE_PICTURE_NS / ((uint64_t)lane->wanted.flows * lane->wanted.picture_frames);
}

void lane_make_null(struct fp_port *port, uint32_t seed) {
    static struct fp_port_ops ops;
    ops = *port->ops;
    ops.rx_sync = null_rx_sync;
    ops.tx_sync = null_tx_sync;
    port->ops = &ops;
    shuffle(&port->rx[0], seed);
    shuffle(&port->tx[0], seed + 1);
}

void lane_open(struct lane *lane, const struct lane_case *wanted, enum lane_memory memory) {
    uint32_t buffer_bytes = wanted->frame_bytes <= 2048 ? 2048 : 16384;
    memset(lane, 0, sizeof *lane);
    lane->wanted = *wanted;
    lane->wanted.flows = wanted->flows != 0 ? wanted->flows : wanted->routes;
    lane->wanted.run_frames = wanted->run_frames != 0 ? wanted->run_frames : 1;
    lane->wanted.picture_frames = wanted->picture_frames != 0 ? wanted->picture_frames : 4320;
    lane->memory = memory;
    numbers_spread(lane);
    rig_open_sized(&lane->rig, wanted->outputs + 1, memory == LANE_NEAR ? LANE_NEAR_SLOTS : LANE_SLOTS, 0, FP_WAIT_BUSY,
                   buffer_bytes);
    for (uint32_t i = 0; i < lane->rig.port_count; i++) {
        lane_make_null(lane->rig.ports[i], 2 * i + 1);
    }
    format_add(lane);
    routes_add(lane);
    rig_publish(&lane->rig);
}

void lane_close(struct lane *lane) {
    struct fp_port_counters in = rig_counters(&lane->rig, 0);
    rig_check_balance(&lane->rig);
    CHECK_EQ(in.forwarded_frames, in.received_frames);
    rig_close(&lane->rig);
}

void lane_evict(const uint8_t *frame, uint32_t bytes) {
#if defined(__x86_64__)
    for (uint32_t at = 0; at < bytes; at += LINE_BYTES) {
        __builtin_ia32_clflush(frame + at);
    }
#else
    (void)frame;
    (void)bytes;
#endif
}

/* Frame `number` of a flow: of a picture, or with ticks of its own. */
static void rtp_write(uint8_t *rtp, uint32_t number, const struct lane_case *wanted) {
    bool audio = wanted->frame_ticks != 0;
    uint32_t picture = wanted->picture_frames;
    uint32_t timestamp = __builtin_bswap32(audio ? number * wanted->frame_ticks : number / picture * 1800);
    rtp[1] = !audio && number % picture == picture - 1 ? 0xe0 : 0x60;
    rtp[2] = (uint8_t)(number >> 8);
    rtp[3] = (uint8_t)number;
    memcpy(rtp + 4, &timestamp, sizeof timestamp);
}

/* The route of the next frame: all that carry frames in turn, in an order without neighbours. */
static uint32_t next_route(struct lane *lane) {
    const struct lane_case *wanted = &lane->wanted;
    uint32_t turn = lane->sent++ / wanted->run_frames;
    return (uint32_t)((uint64_t)turn * 7919 % wanted->flows) * (wanted->routes / wanted->flows);
}

uint32_t lane_fill(struct lane *lane) {
    const struct fp_ring *ring = &lane->rig.ports[0]->rx[0];
    uint32_t head = ring->shared->head;
    uint8_t built[FRAME_ROOM];
    struct frame_shape shape = {.udp_port = 6000, .payload_bytes = lane->wanted.frame_bytes - 42};
    if (shape.payload_bytes > 1000) {
        shape.payload_bytes = 1000; /* only headers are copied */
    }
    (void)frame_build(&shape, built);
    built[16] = (uint8_t)((lane->wanted.frame_bytes - 14) >> 8);
    built[17] = (uint8_t)(lane->wanted.frame_bytes - 14);
    built[38] = (uint8_t)((lane->wanted.frame_bytes - 34) >> 8);
    built[39] = (uint8_t)(lane->wanted.frame_bytes - 34);
    built[40] = 0x12; /* a UDP checksum to keep right */
    built[42] = 0x80;
    for (uint32_t i = 0; i + 1 < ring->slots; i++) {
        uint32_t at = (head + i) % ring->slots;
        struct netmap_slot *slot = &ring->shared->slot[at];
        uint8_t *frame = fp_ring_buffer(ring, slot->buf_idx);
        uint32_t route = next_route(lane);
        built[32] = (uint8_t)(route >> 8);
        built[33] = (uint8_t)route;
        rtp_write(built + HEADER_BYTES - FP_RTP_BYTES, lane->numbers[route]++, &lane->wanted);
        memcpy(frame, built, HEADER_BYTES);
        *slot = (struct netmap_slot){.buf_idx = slot->buf_idx, .len = (uint16_t)lane->wanted.frame_bytes};
        if (lane->memory == LANE_COLD) {
            lane_evict(frame, lane->wanted.frame_bytes);
        }
    }
    ring->shared->tail = (head + ring->slots - 1) % ring->slots;
    return ring->slots - 1;
}

static double keep_least(double least, double seen) { return seen < least ? seen : least; }

double lane_measure(struct lane *lane, uint32_t laps) {
    double least = 1e9;
    for (uint32_t lap = 0; lap < laps; lap++) {
        uint32_t frames = lane_fill(lane);
        double start = lane_now_ns();
        for (int got = 1; got > 0;) {
            got = fp_worker_turn(lane->rig.worker);
        }
        least = keep_least(least, (lane_now_ns() - start) / frames);
    }
    return least;
}

/* What any forwarder has to do. */
static uint64_t floor_turn(const struct lane *lane, uint32_t frames) {
    const struct fp_ring *rx = &lane->rig.ports[0]->rx[0];
    uint32_t head = rx->shared->head;
    uint32_t last = lane->wanted.outputs;
    uint64_t read = 0;
    for (uint32_t i = 0; i < frames; i++) {
        struct netmap_slot *from = &rx->shared->slot[head];
        const uint8_t *frame = fp_ring_buffer(rx, from->buf_idx);
        read += *frame;
        for (uint32_t output = 1; output < last; output++) {
            const struct fp_ring *tx = &lane->rig.ports[output]->tx[0];
            struct netmap_slot *slot = &tx->shared->slot[head];
            memcpy(fp_ring_buffer(tx, slot->buf_idx), frame, from->len);
            slot->len = from->len;
        }
        struct netmap_slot *to = &lane->rig.ports[last]->tx[0].shared->slot[head];
        uint32_t buffer = to->buf_idx;
        to->buf_idx = from->buf_idx;
        to->len = from->len;
        to->flags = NS_BUF_CHANGED;
        from->buf_idx = buffer;
        from->flags = NS_BUF_CHANGED;
        head = head + 1 == rx->slots ? 0 : head + 1;
    }
    rx->shared->head = head;
    return read;
}

double lane_measure_floor(struct lane *lane, uint32_t laps) {
    static volatile uint64_t sink;
    double least = 1e9;
    for (uint32_t lap = 0; lap < laps; lap++) {
        uint32_t frames = lane_fill(lane);
        double start = lane_now_ns();
        sink = sink + floor_turn(lane, frames);
        least = keep_least(least, (lane_now_ns() - start) / frames);
    }
    return least;
}
