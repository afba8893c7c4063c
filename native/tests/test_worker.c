/* SPDX-License-Identifier: Apache-2.0 */
/* The loop over memory ports, turn by turn: where frames go, how, and how they are counted. */
#include "check.h"
#include "port.h"
#include "rig.h"
#include <string.h>

static const struct frame_shape media = {.group = 7, .udp_port = 6000, .payload_bytes = 1362};

static void inject(struct rig *rig, uint32_t port, const struct frame_shape *shape) {
    uint8_t frame[FRAME_ROOM];
    uint32_t length = frame_build(shape, frame);
    CHECK_EQ(fp_memory_inject(rig->ports[port], frame, length), 0);
}

static void expect(struct rig *rig, uint32_t port, const struct frame_shape *shape) {
    uint8_t wanted[FRAME_ROOM];
    uint8_t seen[FRAME_ROOM];
    uint32_t length = frame_build(shape, wanted);
    CHECK_EQ(fp_memory_collect(rig->ports[port], seen, sizeof seen), length);
    CHECK(memcmp(seen, wanted, length) == 0);
}

static void expect_nothing(struct rig *rig, uint32_t port) {
    uint8_t frame[FRAME_ROOM];
    CHECK_EQ(fp_memory_collect(rig->ports[port], frame, sizeof frame), 0);
}

static void one_output_swaps(void) {
    struct rig rig;
    rig_open(&rig, 2, 64, 0, FP_WAIT_BUSY);
    rig_route(&rig, &media, 0, 1 << 1, 5);
    rig_publish(&rig);
    const struct netmap_slot *from = &rig.ports[0]->rx[0].shared->slot[0];
    const struct netmap_slot *to = &rig.ports[1]->tx[0].shared->slot[0];
    uint32_t from_buffer = from->buf_idx;
    uint32_t to_buffer = to->buf_idx;
    inject(&rig, 0, &media);
    CHECK_EQ(fp_worker_turn(rig.worker), 1);
    CHECK_EQ(to->buf_idx, from_buffer);
    CHECK_EQ(from->buf_idx, to_buffer);
    CHECK_EQ(to->flags, NS_BUF_CHANGED);
    CHECK_EQ(from->flags, NS_BUF_CHANGED);
    expect(&rig, 1, &media);
    expect_nothing(&rig, 1);
    expect_nothing(&rig, 0);
    struct fp_port_counters in = rig_counters(&rig, 0);
    struct fp_port_counters out = rig_counters(&rig, 1);
    struct fp_route_counters route;
    CHECK_EQ(in.received_frames, 1);
    CHECK_EQ(in.received_bytes, 1404);
    CHECK_EQ(in.forwarded_frames, 1);
    CHECK_EQ(in.bursts, 1);
    CHECK_EQ(out.transmitted_bytes, 1404);
    CHECK_EQ(out.swapped_frames, 1);
    CHECK_EQ(out.copied_frames, 0);
    CHECK_EQ(fp_state_read_route(rig.state, 5, &route), 0);
    CHECK_EQ(route.frames, 1);
    CHECK_EQ(route.bytes, 1404);
    rig_check_balance(&rig);
    rig_close(&rig);
}

static void other_region_copies(void) {
    struct rig rig;
    rig_open(&rig, 2, 64, 1, FP_WAIT_BUSY);
    rig_route(&rig, &media, 0, 1 << 1, 0);
    rig_publish(&rig);
    inject(&rig, 0, &media);
    CHECK_EQ(fp_worker_turn(rig.worker), 1);
    expect(&rig, 1, &media);
    CHECK_EQ(rig_counters(&rig, 1).copied_frames, 1);
    CHECK_EQ(rig_counters(&rig, 1).swapped_frames, 0);
    rig_check_balance(&rig);
    rig_close(&rig);
}

static void fan_out_copies_all_but_one(void) {
    struct rig rig;
    rig_open(&rig, 9, 64, 0, FP_WAIT_BUSY);
    rig_route(&rig, &media, 0, 0x1fe, 0);
    rig_publish(&rig);
    for (unsigned i = 0; i < 50; i++) {
        inject(&rig, 0, &media);
    }
    CHECK_EQ(fp_worker_turn(rig.worker), 50);
    uint64_t swapped = 0;
    uint64_t copied = 0;
    for (uint32_t port = 1; port <= 8; port++) {
        for (unsigned i = 0; i < 50; i++) {
            expect(&rig, port, &media);
        }
        expect_nothing(&rig, port);
        swapped += rig_counters(&rig, port).swapped_frames;
        copied += rig_counters(&rig, port).copied_frames;
    }
    CHECK_EQ(swapped, 50);
    CHECK_EQ(copied, 50 * 7);
    CHECK_EQ(rig_counters(&rig, 0).forwarded_frames, 50);
    rig_check_balance(&rig);
    rig_close(&rig);
}

/* A frame whose output is full stays as it came, although its route would rewrite it: whoever owns the buffer next (the
 * sender of a pipe) need not be told (netmap.h: NS_BUF_CHANGED). */
static void a_frame_that_stays_is_not_changed(void) {
    struct rig rig;
    uint8_t before[7][64];
    rig_open(&rig, 2, 8, 0, FP_WAIT_BUSY);
    struct fp_route route = rig_route_of(&media, 0, 1 << 1, 0);
    route.outputs[0].rewrite.set = FP_SET_DESTINATION_MAC;
    CHECK_EQ(fp_table_add(rig.table, &route), 0);
    rig_publish(&rig);
    for (unsigned round = 0; round < 2; round++) {
        bool leaves = round == 0; /* in the second round none finds room */
        const struct fp_ring *ring = &rig.ports[0]->rx[0];
        uint32_t first = ring->shared->head;
        for (unsigned i = 0; i < 7; i++) {
            inject(&rig, 0, &media);
        }
        for (uint32_t i = 0, at = first; i < 7; i++, at = fp_ring_next(ring, at)) {
            memcpy(before[i], fp_ring_buffer(ring, ring->shared->slot[at].buf_idx), sizeof before[i]);
        }
        CHECK_EQ(fp_worker_turn(rig.worker), 7);
        for (uint32_t i = 0, at = first; i < 7; i++, at = fp_ring_next(ring, at)) {
            const struct netmap_slot *slot = &ring->shared->slot[at];
            CHECK_EQ((slot->flags & NS_BUF_CHANGED) != 0, leaves);
            CHECK(leaves || memcmp(before[i], fp_ring_buffer(ring, slot->buf_idx), sizeof before[i]) == 0);
        }
        CHECK_EQ(fp_worker_turn(rig.worker), 0);
    }
    CHECK_EQ(rig_counters(&rig, 0).dropped_frames[FP_DROP_TX_FULL], 7);
    rig_close(&rig);
}

/* One output is full: the other still gets the frame; both full: the frame is dropped. */
static void full_ring_drops_and_never_waits(void) {
    struct rig rig;
    rig_open(&rig, 3, 8, 0, FP_WAIT_BUSY);
    rig_route(&rig, &media, 0, 1 << 1 | 1 << 2, 0);
    rig_publish(&rig);
    for (unsigned i = 0; i < 7; i++) {
        inject(&rig, 0, &media);
    }
    CHECK_EQ(fp_worker_turn(rig.worker), 7);
    CHECK_EQ(fp_worker_turn(rig.worker), 0); /* the sync that gives receive slots back */
    for (unsigned i = 0; i < 7; i++) {
        expect(&rig, 2, &media);
        inject(&rig, 0, &media);
    }
    CHECK_EQ(fp_worker_turn(rig.worker), 7); /* port 1 is full, port 2 is not */
    CHECK_EQ(fp_worker_turn(rig.worker), 0);
    for (unsigned i = 0; i < 7; i++) {
        inject(&rig, 0, &media);
    }
    CHECK_EQ(fp_worker_turn(rig.worker), 7); /* both are full */
    struct fp_port_counters in = rig_counters(&rig, 0);
    CHECK_EQ(in.received_frames, 21);
    CHECK_EQ(in.forwarded_frames, 14);
    CHECK_EQ(in.dropped_frames[FP_DROP_TX_FULL], 7);
    CHECK_EQ(rig_counters(&rig, 1).tx_full_frames, 14);
    CHECK_EQ(rig_counters(&rig, 2).tx_full_frames, 7);
    for (unsigned i = 0; i < 7; i++) {
        expect(&rig, 1, &media);
        expect(&rig, 2, &media);
    }
    rig_check_balance(&rig);
    rig_close(&rig);
}

static void hostile_slots_are_counted(void) {
    struct rig rig;
    rig_open(&rig, 2, 64, 0, FP_WAIT_BUSY);
    rig_route(&rig, &media, 0, 1 << 1, 0);
    rig_publish(&rig);
    struct netmap_slot *slots = rig.ports[0]->rx[0].shared->slot;
    for (unsigned i = 0; i < 10; i++) {
        inject(&rig, 0, &media);
    }
    uint32_t kept[2] = {slots[0].buf_idx, slots[1].buf_idx};
    slots[0].buf_idx = 0xffffffff;
    slots[1].buf_idx = rig.ports[0]->rx[0].buffer_count;
    slots[2].len = 2049;
    slots[3].len = 65535;
    slots[4].ptr = UINT64_MAX;
    slots[5].ptr = 2048;
    slots[6].ptr = 1000; /* 1000 + 1404 is past the end */
    slots[7].flags = NS_MOREFRAG;
    slots[8].flags = NS_MOREFRAG; /* 7, 8, 9: one frame */
    CHECK_EQ(fp_worker_turn(rig.worker), 10);
    struct fp_port_counters in = rig_counters(&rig, 0);
    CHECK_EQ(in.dropped_frames[FP_DROP_BAD_SLOT], 7);
    CHECK_EQ(in.dropped_frames[FP_DROP_MULTI_SLOT], 1);
    CHECK_EQ(in.received_frames, 8);
    CHECK_EQ(in.received_bytes, 3 * 1404);
    expect_nothing(&rig, 1);
    slots[0].buf_idx = kept[0];
    slots[1].buf_idx = kept[1];
    rig_check_balance(&rig);
    rig.ports[0]->rx[0].shared->head = 1000; /* impossible ring indices: no frames, no crash */
    CHECK_EQ(fp_worker_turn(rig.worker), 0);
    rig_close(&rig);
}

static void slots_without_bytes_add_nothing(void) {
    struct rig rig;
    rig_open(&rig, 2, 64, 0, FP_WAIT_BUSY);
    rig_route(&rig, &media, 0, 1 << 1, 0);
    rig_publish(&rig);
    struct netmap_slot *slots = rig.ports[0]->rx[0].shared->slot;
    for (unsigned i = 0; i < 6; i++) {
        inject(&rig, 0, &media);
    }
    slots[0].len = 0;
    slots[0].flags = NS_MOREFRAG; /* 0 and 1: a frame that lies in 1 */
    slots[2].flags = NS_MOREFRAG; /* 2, 3 and 4: a frame over two slots */
    slots[3].flags = NS_MOREFRAG;
    slots[3].len = 0;
    CHECK_EQ(fp_worker_turn(rig.worker), 6);
    struct fp_port_counters in = rig_counters(&rig, 0);
    CHECK_EQ(in.received_frames, 3);
    CHECK_EQ(in.forwarded_frames, 2);
    CHECK_EQ(in.dropped_frames[FP_DROP_MULTI_SLOT], 1);
    expect(&rig, 1, &media);
    expect(&rig, 1, &media);
    expect_nothing(&rig, 1);
    rig_check_balance(&rig);
    rig_close(&rig);
}

/* As netmap's e1000e hands frames over: the flag on every one, and one slot without bytes. */
static void flags_of_whole_frames_say_nothing(void) {
    struct rig rig;
    rig_open(&rig, 2, 64, 0, FP_WAIT_BUSY);
    rig_route(&rig, &media, 0, 1 << 1, 0);
    rig_publish(&rig);
    struct netmap_slot *slots = rig.ports[0]->rx[0].shared->slot;
    rig.ports[0]->rx[0].whole_frames = true;
    for (unsigned i = 0; i < 4; i++) {
        inject(&rig, 0, &media);
        slots[i].flags = i == 2 ? 0 : NS_MOREFRAG;
    }
    slots[2].len = 0;
    CHECK_EQ(fp_worker_turn(rig.worker), 4);
    CHECK_EQ(rig_counters(&rig, 0).received_frames, 3);
    CHECK_EQ(rig_counters(&rig, 0).forwarded_frames, 3);
    for (unsigned i = 0; i < 3; i++) {
        expect(&rig, 1, &media);
    }
    expect_nothing(&rig, 1);
    rig_check_balance(&rig);
    rig_close(&rig);
}

static void generation_changes_between_bursts(void) {
    struct rig rig;
    uint8_t digest[FP_DIGEST_BYTES] = {9};
    struct fp_worker_snapshot snapshot;
    rig_open(&rig, 3, 64, 0, FP_WAIT_BUSY);
    inject(&rig, 0, &media);
    CHECK_EQ(fp_worker_turn(rig.worker), 1);
    CHECK_EQ(rig_counters(&rig, 0).dropped_frames[FP_DROP_NO_ROUTE], 1);
    rig_route(&rig, &media, 0, 1 << 1, 0);
    CHECK_EQ(fp_state_publish(rig.state, rig.table, 7, digest), 0);
    CHECK_EQ(fp_state_publish(rig.state, rig.table, 8, digest), FP_E_NOT_ACKNOWLEDGED);
    CHECK_EQ(fp_state_read_worker(rig.state, &snapshot), 0);
    CHECK_EQ(snapshot.generation, 0);
    CHECK_EQ(snapshot.published, 7);
    CHECK(memcmp(snapshot.digest, digest, sizeof digest) == 0);
    inject(&rig, 0, &media);
    CHECK_EQ(fp_worker_turn(rig.worker), 1);
    expect(&rig, 1, &media);
    CHECK_EQ(fp_state_read_worker(rig.state, &snapshot), 0);
    CHECK_EQ(snapshot.generation, 7);
    CHECK_EQ(fp_state_publish(rig.state, rig.table, 7, digest), FP_E_INVALID);
    fp_table_destroy(rig.table);
    CHECK_EQ(fp_table_create(10, &rig.table), 0);
    rig_route(&rig, &media, 0, 1 << 3, 0);
    CHECK_EQ(fp_state_publish(rig.state, rig.table, 8, digest), FP_E_INVALID); /* there is no port 3 */
    fp_table_destroy(rig.table);
    CHECK_EQ(fp_table_create(10, &rig.table), 0);
    rig_route(&rig, &media, 0, 1 << 2, 0);
    CHECK_EQ(fp_state_publish(rig.state, rig.table, 8, digest), 0);
    inject(&rig, 0, &media);
    CHECK_EQ(fp_worker_turn(rig.worker), 1);
    expect_nothing(&rig, 1);
    expect(&rig, 2, &media);
    rig_check_balance(&rig);
    rig_close(&rig);
}

static void turns_are_bounded_and_in_order(void) {
    const uint16_t frames = FP_TURN_FRAMES + 200;
    struct rig rig;
    struct frame_shape shape = media;
    rig_open(&rig, 2, 1024, 0, FP_WAIT_BUSY);
    for (uint16_t i = 0; i < frames; i++) {
        shape.udp_port = i;
        rig_route(&rig, &shape, 0, 1 << 1, i);
    }
    rig_publish(&rig);
    for (uint16_t i = 0; i < frames; i++) {
        shape.udp_port = i;
        inject(&rig, 0, &shape);
    }
    CHECK_EQ(fp_worker_turn(rig.worker), FP_TURN_FRAMES);
    CHECK_EQ(fp_worker_turn(rig.worker), frames - FP_TURN_FRAMES);
    CHECK_EQ(fp_worker_turn(rig.worker), 0);
    for (uint16_t i = 0; i < frames; i++) {
        struct fp_route_counters route;
        shape.udp_port = i;
        expect(&rig, 1, &shape);
        CHECK_EQ(fp_state_read_route(rig.state, i, &route), 0);
        CHECK_EQ(route.frames, 1);
    }
    CHECK_EQ(rig_counters(&rig, 0).bursts, (frames + FP_BURST_FRAMES - 1) / FP_BURST_FRAMES);
    rig_check_balance(&rig);
    rig_close(&rig);
}

static void doors_refuse_what_does_not_fit(void) {
    struct rig rig;
    uint8_t frame[4096] = {0};
    rig_open(&rig, 1, 4, 0, FP_WAIT_BUSY);
    CHECK_EQ(fp_memory_inject(rig.ports[0], frame, 2049), FP_E_INVALID);
    for (unsigned i = 0; i < 3; i++) {
        CHECK_EQ(fp_memory_inject(rig.ports[0], frame, 2048), 0);
    }
    CHECK_EQ(fp_memory_inject(rig.ports[0], frame, 60), FP_E_TABLE_FULL);
    CHECK_EQ(fp_worker_turn(rig.worker), 3);
    CHECK_EQ(fp_worker_turn(rig.worker), 0); /* gives the slots back */
    rig_route(&rig, &media, 0, 1, 0);        /* out where it came in, as asked */
    rig_publish(&rig);
    inject(&rig, 0, &media);
    CHECK_EQ(fp_worker_turn(rig.worker), 1);
    CHECK_EQ(fp_memory_collect(rig.ports[0], frame, 1403), FP_E_INVALID);
    expect(&rig, 0, &media);
    rig_check_balance(&rig);
    rig_close(&rig);
}

enum { UNUSED_PTR = 0x5a5a };

/* As netmap's own rings: frames begin where buffers do, whatever the slots' second words hold. */
static void without_offsets(const struct rig *rig) {
    for (uint32_t i = 0; i < rig->port_count; i++) {
        struct fp_ring *rings[] = {&rig->ports[i]->rx[0], &rig->ports[i]->tx[0]};
        for (unsigned j = 0; j < 2; j++) {
            rings[j]->offset_mask = 0;
            for (uint32_t slot = 0; slot < rings[j]->slots; slot++) {
                rings[j]->shared->slot[slot].ptr = UNUSED_PTR;
            }
        }
    }
}

/* All frames of port 0 go to port 1, also those no route can read; those of port 1 are given to the host. */
static void forward_plain(bool offsets) {
    struct rig rig;
    struct fp_route route;
    const uint8_t arp[60] = {[12] = 0x08, [13] = 0x06};
    uint8_t seen[FRAME_ROOM];
    rig_open(&rig, 2, 64, 0, FP_WAIT_BUSY);
    for (uint16_t port = 0; port < 2; port++) {
        memset(&route, 0, sizeof route);
        route.match.fields = FP_MATCH_PORT;
        route.match.key.port = port;
        route.output_count = 1;
        route.outputs[0].port = 1U - port;
        route.flags = port == 1 ? FP_ROUTE_TO_HOST : 0;
        route.counter = port;
        CHECK_EQ(fp_table_add(rig.table, &route), 0);
    }
    rig_publish(&rig);
    if (!offsets) {
        without_offsets(&rig);
    }
    for (unsigned i = 0; i < 40; i++) { /* wraps both rings */
        inject(&rig, 0, &media);
        CHECK_EQ(fp_memory_inject(rig.ports[0], arp, sizeof arp), 0);
        CHECK_EQ(fp_memory_inject(rig.ports[0], arp, 13), 0);
        CHECK_EQ(fp_memory_inject(rig.ports[1], arp, sizeof arp), 0);
        CHECK_EQ(fp_worker_turn(rig.worker), 4);
        expect(&rig, 1, &media);
        CHECK_EQ(fp_memory_collect(rig.ports[1], seen, sizeof seen), sizeof arp);
        CHECK_EQ(fp_memory_collect(rig.ports[0], seen, sizeof seen), sizeof arp);
        CHECK_EQ(fp_worker_turn(rig.worker), 0);
    }
    CHECK_EQ(rig.ports[1]->tx[0].shared->slot[0].ptr, offsets ? 0 : UNUSED_PTR);
    struct fp_port_counters in = rig_counters(&rig, 0);
    CHECK_EQ(in.forwarded_frames, 80);
    CHECK_EQ(in.dropped_frames[FP_DROP_SHORT], 40);
    CHECK_EQ(rig_counters(&rig, 1).to_host_frames, 40);
    CHECK_EQ(rig_counters(&rig, 1).forwarded_frames, 0);
    CHECK_EQ(rig_counters(&rig, 1).swapped_frames, 80);
    rig_check_balance(&rig);
    rig_close(&rig);
}

/* A whole turn is one burst, but for frames its output has no room for: these come in small ones, and are dropped. */
static void plain_bursts_are_as_large_as_the_room(void) {
    enum { SLOTS = 256, ALL = SLOTS - 1, COLLECTED = 100 };
    struct rig rig;
    struct fp_route route;
    uint8_t seen[FRAME_ROOM];
    memset(&route, 0, sizeof route);
    route.match.fields = FP_MATCH_PORT;
    route.output_count = 1;
    route.outputs[0].port = 1;
    rig_open(&rig, 2, SLOTS, 0, FP_WAIT_BUSY);
    CHECK_EQ(fp_table_add(rig.table, &route), 0);
    rig_publish(&rig);
    for (unsigned turn = 0; turn < 2; turn++) {
        for (unsigned i = 0; i < ALL; i++) {
            inject(&rig, 0, &media);
        }
        CHECK_EQ(fp_worker_turn(rig.worker), ALL);
        CHECK_EQ(fp_worker_turn(rig.worker), 0); /* which gives the receive ring back */
        CHECK_EQ(rig_counters(&rig, 0).bursts, turn == 0 ? 1 : 5);
        CHECK_EQ(rig_counters(&rig, 1).tx_full_frames, turn == 0 ? 0 : ALL - COLLECTED);
        for (unsigned i = 0; i < COLLECTED; i++) {
            expect(&rig, 1, &media);
        }
    }
    CHECK_EQ(rig_counters(&rig, 1).transmitted_frames, ALL + COLLECTED);
    while (fp_memory_collect(rig.ports[1], seen, sizeof seen) > 0) {
    }
    rig_check_balance(&rig);
    rig_close(&rig);
}

static void plain_ports_take_every_frame(void) { forward_plain(true); }
static void plain_ports_without_offsets_leave_second_words(void) { forward_plain(false); }

/* Four copies with their own destination each, one frame that may live no longer, one route that drops. */
static void every_output_has_its_rewrite(void) {
    struct rig rig;
    uint8_t seen[FRAME_ROOM];
    rig_open(&rig, 5, 64, 0, FP_WAIT_BUSY);
    struct fp_route route = rig_route_of(&media, 0, 0x1e, 3);
    for (uint32_t i = 0; i < route.output_count; i++) {
        route.outputs[i].rewrite = (struct fp_rewrite){.set = FP_SET_UDP_PORT | FP_PUSH_VLAN | FP_DECREMENT_TTL,
                                                       .udp_port = (uint16_t)(7000 + i),
                                                       .vlan = (uint16_t)(10 + i)};
    }
    CHECK_EQ(fp_table_add(rig.table, &route), 0);
    struct frame_shape dropped = media;
    dropped.udp_port++;
    rig_route(&rig, &dropped, 0, 0, 4);
    rig_publish(&rig);
    inject(&rig, 0, &media);
    inject(&rig, 0, &dropped);
    uint32_t length = frame_build(&media, seen);
    seen[22] = 1; /* TTL */
    CHECK_EQ(fp_memory_inject(rig.ports[0], seen, length), 0);
    CHECK_EQ(fp_worker_turn(rig.worker), 3);
    for (uint32_t port = 1; port < 5; port++) {
        CHECK_EQ(fp_memory_collect(rig.ports[port], seen, sizeof seen), length + 4);
        CHECK_EQ(seen[12] << 8 | seen[13], 0x8100);
        CHECK_EQ(seen[15], 10 + port - 1);
        CHECK_EQ(seen[26], 63);
        CHECK_EQ(seen[40] << 8 | seen[41], 7000 + port - 1);
        expect_nothing(&rig, port);
    }
    struct fp_port_counters in = rig_counters(&rig, 0);
    CHECK_EQ(in.forwarded_frames, 1);
    CHECK_EQ(in.dropped_frames[FP_DROP_BY_ROUTE], 1);
    CHECK_EQ(in.dropped_frames[FP_DROP_EXPIRED], 1);
    rig_check_balance(&rig);
    rig_close(&rig);
}

int main(void) {
    RUN(plain_bursts_are_as_large_as_the_room);
    RUN(plain_ports_take_every_frame);
    RUN(plain_ports_without_offsets_leave_second_words);
    RUN(every_output_has_its_rewrite);
    RUN(one_output_swaps);
    RUN(other_region_copies);
    RUN(fan_out_copies_all_but_one);
    RUN(full_ring_drops_and_never_waits);
    RUN(a_frame_that_stays_is_not_changed);
    RUN(hostile_slots_are_counted);
    RUN(slots_without_bytes_add_nothing);
    RUN(flags_of_whole_frames_say_nothing);
    RUN(generation_changes_between_bursts);
    RUN(turns_are_bounded_and_in_order);
    RUN(doors_refuse_what_does_not_fit);
    return 0;
}
