/* SPDX-License-Identifier: Apache-2.0 */
/* A cross-connect between four ports that learns: who gets a frame, told by where its address was seen. */
#include "check.h"
#include "learning.h"
#include "rig.h"
#include <string.h>

enum { PORTS = 4, ALL = (1 << PORTS) - 1, NOBODY = 0, FRAME_BYTES = 64, SECOND_NS = 1000000000 };

static uint64_t now_ns;

static uint64_t read_clock(void) { return now_ns; }

/* Each port's frames to all others, with counter and group from `first` on. */
static void add_group(struct rig *rig, uint32_t ports, uint16_t first, uint16_t group) {
    for (uint32_t ingress = 0; ingress < PORTS; ingress++) {
        if ((ports >> ingress & 1) != 0) {
            struct fp_route route;
            memset(&route, 0, sizeof route);
            route.match.fields = FP_MATCH_PORT;
            route.match.key.port = (uint16_t)ingress;
            route.counter = (uint16_t)(first + ingress);
            route.group = group;
            for (uint32_t port = 0; port < PORTS; port++) {
                if (port != ingress && (ports >> port & 1) != 0) {
                    route.outputs[route.output_count++].port = port;
                }
            }
            CHECK_EQ(fp_table_add(rig->table, &route), 0);
        }
    }
}

static void open_switch(struct rig *rig, int separate) {
    rig_open(rig, PORTS, 64, separate, FP_WAIT_BUSY);
    now_ns = 5 * (uint64_t)SECOND_NS; /* a machine just started */
    rig->worker->clock_ns = read_clock;
    add_group(rig, ALL, 0, 1);
    rig_publish(rig);
}

static void close_switch(struct rig *rig) {
    rig_check_balance(rig);
    rig_close(rig);
}

/* A host's address: 2 makes it a local one; with bit 0 of the first byte it is a group's. */
static void write_mac(uint8_t *at, unsigned host) {
    const uint8_t mac[6] = {2, 0, 0, (uint8_t)(host >> 16), (uint8_t)(host >> 8), (uint8_t)host};
    memcpy(at, mac, sizeof mac);
}

static void send_bytes(struct rig *rig, unsigned ingress, const uint8_t frame[FRAME_BYTES]) {
    CHECK_EQ(fp_memory_inject(rig->ports[ingress], frame, FRAME_BYTES), 0);
    while (fp_worker_turn(rig->worker) > 0) {
    }
}

/* Takes what every port got, byte for byte what was sent; bit mask of the ports. */
static unsigned collect(struct rig *rig, const uint8_t sent[FRAME_BYTES]) {
    uint8_t seen[FRAME_ROOM];
    unsigned got = 0;
    for (unsigned port = 0; port < PORTS; port++) {
        int length = fp_memory_collect(rig->ports[port], seen, sizeof seen);
        if (length > 0) {
            CHECK_EQ(length, FRAME_BYTES);
            CHECK(memcmp(seen, sent, FRAME_BYTES) == 0);
            got |= 1U << port;
        }
        CHECK_EQ(fp_memory_collect(rig->ports[port], seen, sizeof seen), 0);
    }
    return got;
}

/* `vlan` 0: untagged. */
static unsigned send_tagged(struct rig *rig, unsigned ingress, unsigned from, unsigned to, unsigned vlan) {
    uint8_t frame[FRAME_BYTES] = {0};
    write_mac(frame, to);
    write_mac(frame + 6, from);
    memcpy(frame + 12, (const uint8_t[]){0x81, 0, (uint8_t)(0xa0 | vlan >> 8), (uint8_t)vlan, 0x88, 0xb5}, 6);
    if (vlan == 0) {
        memcpy(frame + 12, (const uint8_t[]){0x88, 0xb5}, 2);
    }
    send_bytes(rig, ingress, frame);
    return collect(rig, frame);
}

static unsigned send(struct rig *rig, unsigned ingress, unsigned from, unsigned to) {
    return send_tagged(rig, ingress, from, to, 0);
}

static void unknown_goes_to_all_and_known_to_one(void) {
    for (int separate = 0; separate < 2; separate++) {
        struct rig rig;
        open_switch(&rig, separate);
        CHECK_EQ(send(&rig, 0, 10, 11), ALL & ~1);
        CHECK_EQ(send(&rig, 1, 11, 10), 1 << 0);
        CHECK_EQ(send(&rig, 0, 10, 11), 1 << 1);
        CHECK_EQ(send(&rig, 3, 13, 11), 1 << 1);
        CHECK_EQ(send(&rig, 3, 13, 99), ALL & ~8);
        close_switch(&rig);
    }
}

/* Both hosts behind one port: the frame was there already. */
static void a_frame_to_where_it_came_from_is_dropped(void) {
    struct rig rig;
    open_switch(&rig, 0);
    (void)send(&rig, 2, 20, 99);
    CHECK_EQ(send(&rig, 2, 21, 20), NOBODY);
    struct fp_port_counters counters = rig_counters(&rig, 2);
    CHECK_EQ(counters.dropped_frames[FP_DROP_BY_ROUTE], 1);
    close_switch(&rig);
}

static void groups_and_broadcast_go_to_all_and_are_nobody(void) {
    struct rig rig;
    uint8_t frame[FRAME_BYTES] = {0x01, 0x00, 0x5e, 1, 2, 3, 0x03, 0, 0, 0, 0, 7, 0x88, 0xb5}; /* from a group, too */
    open_switch(&rig, 0);
    send_bytes(&rig, 1, frame);
    CHECK_EQ(collect(&rig, frame), ALL & ~2);
    memcpy(frame, (const uint8_t[]){0x03, 0, 0, 0, 0, 7}, 6);
    send_bytes(&rig, 0, frame);
    CHECK_EQ(collect(&rig, frame), ALL & ~1);
    memset(frame, 0xff, 6);
    send_bytes(&rig, 3, frame);
    CHECK_EQ(collect(&rig, frame), ALL & ~8);
    close_switch(&rig);
}

static void a_host_that_moves_is_found_where_it_spoke_last(void) {
    struct rig rig;
    open_switch(&rig, 0);
    (void)send(&rig, 1, 10, 99);
    CHECK_EQ(send(&rig, 0, 11, 10), 1 << 1);
    (void)send(&rig, 3, 10, 99);
    CHECK_EQ(send(&rig, 0, 11, 10), 1 << 3);
    close_switch(&rig);
}

static void a_silent_host_is_forgotten(void) {
    struct rig rig;
    open_switch(&rig, 0);
    (void)send(&rig, 1, 10, 99);
    (void)send(&rig, 2, 12, 99);
    now_ns += FP_ADDRESS_AGE_S * (uint64_t)SECOND_NS;
    CHECK_EQ(send(&rig, 2, 12, 10), 1 << 1); /* and 12 spoke again */
    now_ns += SECOND_NS;
    CHECK_EQ(send(&rig, 0, 11, 10), ALL & ~1);
    CHECK_EQ(send(&rig, 0, 11, 12), 1 << 2);
    close_switch(&rig);
}

static void each_vlan_learns_for_itself(void) {
    struct rig rig;
    open_switch(&rig, 0);
    (void)send_tagged(&rig, 1, 10, 99, 100);
    (void)send_tagged(&rig, 2, 10, 99, 356); /* the same low byte */
    (void)send_tagged(&rig, 3, 10, 99, 0);
    CHECK_EQ(send_tagged(&rig, 0, 11, 10, 100), 1 << 1);
    CHECK_EQ(send_tagged(&rig, 0, 11, 10, 356), 1 << 2);
    CHECK_EQ(send_tagged(&rig, 0, 11, 10, 0), 1 << 3);
    CHECK_EQ(send_tagged(&rig, 0, 11, 10, 101), ALL & ~1);
    close_switch(&rig);
}

/* Hosts of one group are unknown in another, and what was learnt of a port that left leads nowhere. */
static void groups_know_nothing_of_each_other(void) {
    struct rig rig;
    open_switch(&rig, 0);
    (void)send(&rig, 1, 10, 99);
    (void)send(&rig, 3, 13, 99);
    fp_table_destroy(rig.table);
    CHECK_EQ(fp_table_create(FP_MAX_ROUTES, &rig.table), 0);
    add_group(&rig, 0x3, 0, 2);
    add_group(&rig, 0xc, 2, 1);
    rig_publish(&rig);
    CHECK_EQ(send(&rig, 0, 11, 10), 1 << 1); /* of two ports the other one */
    CHECK_EQ(send(&rig, 2, 12, 13), 1 << 3);
    CHECK_EQ(send(&rig, 2, 12, 10), 1 << 3); /* seen at port 1, which is not of this group any more: to all */
    close_switch(&rig);
}

/* Sixteen times what there is room for, all at port 1: whoever is not known any more is flooded, none goes astray. */
static void more_hosts_than_room(void) {
    enum { HOSTS = 16 * FP_ADDRESS_SETS * FP_ADDRESS_WAYS };
    struct rig rig;
    unsigned known = 0;
    open_switch(&rig, 0);
    for (unsigned host = 0; host < HOSTS; host++) {
        now_ns += host % 1000 == 0 ? SECOND_NS : 0;
        (void)send(&rig, 1, 1000 + host, 99);
    }
    for (unsigned host = HOSTS - 100; host < HOSTS; host++) {
        unsigned got = send(&rig, 0, 11, 1000 + host);
        CHECK(got == 1 << 1 || got == (ALL & ~1));
        known += got == 1 << 1;
    }
    CHECK(known > 90); /* the latest are there but for full sets */
    CHECK_EQ(send(&rig, 0, 11, 1000), ALL & ~1);
    close_switch(&rig);
}

/* One route beside it: frames it takes are no concern of the learning. */
static void routes_go_before(void) {
    struct rig rig;
    struct frame_shape shape = {.group = 5, .udp_port = 5000, .payload_bytes = 100};
    uint8_t frame[FRAME_ROOM];
    open_switch(&rig, 0);
    rig_route(&rig, &shape, 0, 1 << 2, 20);
    rig_publish(&rig);
    CHECK_EQ(fp_memory_inject(rig.ports[0], frame, frame_build(&shape, frame)), 0);
    while (fp_worker_turn(rig.worker) > 0) {
    }
    CHECK(fp_memory_collect(rig.ports[2], frame, sizeof frame) > 0);
    CHECK_EQ(fp_memory_collect(rig.ports[1], frame, sizeof frame), 0);
    CHECK_EQ(send(&rig, 0, 10, 11), ALL & ~1);
    CHECK_EQ(send(&rig, 1, 11, 10), 1 << 0);
    close_switch(&rig);
}

int main(void) {
    RUN(unknown_goes_to_all_and_known_to_one);
    RUN(a_frame_to_where_it_came_from_is_dropped);
    RUN(groups_and_broadcast_go_to_all_and_are_nobody);
    RUN(a_host_that_moves_is_found_where_it_spoke_last);
    RUN(a_silent_host_is_forgotten);
    RUN(each_vlan_learns_for_itself);
    RUN(groups_know_nothing_of_each_other);
    RUN(more_hosts_than_room);
    RUN(routes_go_before);
    return 0;
}
