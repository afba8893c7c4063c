/* SPDX-License-Identifier: Apache-2.0 */
/*
 * As many routes as a table holds, each with its own rewrite: every frame gets that of its own route and counts for it,
 * also where two routes share a tag or lie far from their bucket; frames between them get none.
 */
#include "check.h"
#include "port.h"
#include "rig.h"
#include <string.h>

enum { HEADERS = 42, IP_CHECKSUM = 24, BATCH = 200, TO = 20000, NO_ROUTE = 50000 };

static struct frame_shape shape_of(uint32_t route, uint16_t udp_port) {
    return (struct frame_shape){.group = (uint16_t)route, .udp_port = udp_port, .payload_bytes = 20 + route % 7};
}

/* To another group and port, with the MAC address of that group; every second route leaves the port alone. */
static struct frame_shape target_of(uint32_t route) {
    struct frame_shape shape = shape_of(route, route % 2 == 0 ? (uint16_t)(TO + route) : (uint16_t)route);
    shape.group ^= 0x8000U;
    return shape;
}

static void route_add(struct rig *rig, uint32_t number) {
    struct frame_shape shape = shape_of(number, (uint16_t)number);
    struct frame_shape target = target_of(number);
    struct fp_route route = rig_route_of(&shape, 0, 1 << 1, (uint16_t)number);
    struct fp_rewrite *rewrite = &route.outputs[0].rewrite;
    struct fp_key key = frame_key(&target);
    const uint8_t mac[6] = {0x01, 0x00, 0x5e, 1, (uint8_t)(number >> 8), (uint8_t)number};
    rewrite->set = FP_SET_DESTINATION_MAC | FP_SET_DESTINATION | (number % 2 == 0 ? FP_SET_UDP_PORT : 0U);
    rewrite->udp_port = target.udp_port;
    memcpy(rewrite->destination, key.destination, sizeof key.destination);
    memcpy(rewrite->destination_mac, mac, sizeof mac);
    CHECK_EQ(fp_table_add(rig->table, &route), 0);
}

static void inject(struct rig *rig, const struct frame_shape *shape) {
    uint8_t frame[FRAME_ROOM];
    uint32_t length = frame_build(shape, frame);
    CHECK_EQ(fp_memory_inject(rig->ports[0], frame, length), 0);
}

static void expect(struct rig *rig, uint32_t route) {
    uint8_t wanted[FRAME_ROOM];
    uint8_t seen[FRAME_ROOM];
    struct frame_shape target = target_of(route);
    uint32_t length = frame_build(&target, wanted);
    CHECK_EQ(fp_memory_collect(rig->ports[1], seen, sizeof seen), length);
    wanted[4] = (uint8_t)(route >> 8);
    wanted[5] = (uint8_t)route;
    CHECK(memcmp(seen, wanted, IP_CHECKSUM) == 0); /* built frames have none: others test how it follows */
    CHECK(memcmp(seen + IP_CHECKSUM + 2, wanted + IP_CHECKSUM + 2, HEADERS - IP_CHECKSUM - 2) == 0);
}

/* A batch of routes, and after every third frame one that no route takes. */
static uint32_t forward(struct rig *rig, uint32_t first, uint32_t end) {
    uint32_t strangers = 0;
    for (uint32_t i = first; i < end; i++) {
        struct frame_shape shape = shape_of(i, (uint16_t)i);
        inject(rig, &shape);
        if (i % 3 == 0) {
            shape.udp_port = (uint16_t)(NO_ROUTE + i % 1000);
            inject(rig, &shape);
            strangers++;
        }
    }
    while (fp_worker_turn(rig->worker) > 0) {
    }
    for (uint32_t i = first; i < end; i++) {
        expect(rig, i);
    }
    return strangers;
}

static void every_route_of_a_full_table(void) {
    struct rig rig;
    uint32_t strangers = 0;
    rig_open(&rig, 2, 512, 0, FP_WAIT_BUSY);
    for (uint32_t i = 0; i < FP_MAX_ROUTES; i++) {
        route_add(&rig, i);
    }
    rig_publish(&rig);
    for (uint32_t i = 0; i < FP_MAX_ROUTES; i += BATCH) {
        strangers += forward(&rig, i, i + BATCH < FP_MAX_ROUTES ? i + BATCH : FP_MAX_ROUTES);
    }
    for (uint32_t i = 0; i < FP_MAX_ROUTES; i++) {
        struct fp_route_counters counters;
        CHECK_EQ(fp_state_read_route(rig.state, i, &counters), 0);
        CHECK_EQ(counters.frames, 1);
        CHECK_EQ(counters.bytes, HEADERS + 20 + i % 7);
    }
    struct fp_port_counters in = rig_counters(&rig, 0);
    CHECK_EQ(in.forwarded_frames, FP_MAX_ROUTES);
    CHECK_EQ(in.dropped_frames[FP_DROP_NO_ROUTE], strangers);
    CHECK_EQ(rig_counters(&rig, 1).swapped_frames, FP_MAX_ROUTES);
    rig_check_balance(&rig);
    rig_close(&rig);
}

int main(void) {
    RUN(every_route_of_a_full_table);
    return 0;
}
