/* SPDX-License-Identifier: Apache-2.0 */
#include "rig.h"
#include "check.h"
#include "ordered.h"
#include "region.h"
#include <string.h>
#include <unistd.h>

static void open_region(struct rig *rig, uint32_t buffers, uint32_t buffer_bytes) {
    CHECK_EQ(fp_region_create(buffers, buffer_bytes, &rig->regions[rig->region_count]), 0);
    rig->region_count++;
}

void rig_open(struct rig *rig, uint32_t ports, uint32_t ring_slots, int separate, enum fp_wait wait) {
    rig_open_sized(rig, ports, ring_slots, separate, wait, 2048);
}

static void open_all(struct rig *rig, uint32_t ports, uint32_t ring_slots, int separate, enum fp_wait wait,
                     uint32_t buffer_bytes, uint32_t more) {
    static unsigned opened;
    memset(rig, 0, sizeof *rig);
    (void)snprintf(rig->path, sizeof rig->path, "/dev/shm/fp-test-%d-%u", (int)getpid(), opened++);
    CHECK_EQ(fp_state_create(rig->path, &rig->state), 0);
    CHECK_EQ(fp_worker_create(rig->state, wait, &rig->worker), 0);
    CHECK_EQ(fp_table_create(FP_MAX_ROUTES, &rig->table), 0);
    for (uint32_t i = 0; i < ports; i++) {
        struct fp_port_config config = {.ring_slots = ring_slots};
        char name[16];
        (void)snprintf(config.spec, sizeof config.spec, "memory:%u", i);
        (void)snprintf(name, sizeof name, "port-%u", i);
        uint32_t buffers = (uint32_t)fp_port_plan_buffers(&config);
        CHECK_EQ(buffers, 2 * ring_slots);
        if (separate || i == 0) {
            open_region(rig, separate ? buffers : buffers * ports + more, buffer_bytes);
        }
        CHECK_EQ(fp_port_open(&config, rig->regions[rig->region_count - 1], &rig->ports[i]), 0);
        CHECK_EQ(fp_worker_add_port(rig->worker, rig->ports[i], name), 0);
    }
    rig->port_count = ports;
}

void rig_open_sized(struct rig *rig, uint32_t ports, uint32_t ring_slots, int separate, enum fp_wait wait,
                    uint32_t buffer_bytes) {
    open_all(rig, ports, ring_slots, separate, wait, buffer_bytes, 0);
}

void rig_open_holding(struct rig *rig, uint32_t ports, uint32_t ring_slots, enum fp_wait wait, uint32_t hold_buffers) {
    open_all(rig, ports, ring_slots, 0, wait, 2048, hold_buffers);
    CHECK_EQ(fp_worker_hold(rig->worker, 0, rig->regions[0], hold_buffers), 0);
}

static void own(uint8_t *owners, const struct rig *rig, uint32_t buffer) {
    CHECK(buffer < rig->regions[0]->buffer_count);
    CHECK_EQ(owners[buffer]++, 0);
}

void rig_check_buffers(const struct rig *rig) {
    uint32_t left = rig->regions[0]->buffer_count - rig->regions[0]->free_count;
    uint8_t *owners = calloc(rig->regions[0]->buffer_count, 1);
    CHECK(owners != NULL);
    for (uint32_t i = 0; i < 2 * rig->port_count; i++) {
        const struct fp_ring *ring = i % 2 == 0 ? &rig->ports[i / 2]->rx[0] : &rig->ports[i / 2]->tx[0];
        for (uint32_t slot = 0; slot < ring->slots; slot++, left--) {
            own(owners, rig, ring->shared->slot[slot].buf_idx);
        }
    }
    const struct fp_ordering *ordering = rig->worker->ordering;
    for (uint32_t i = 0; ordering != NULL && i < ordering->holds[0]->count; i++, left--) {
        own(owners, rig, ordering->holds[0]->places[i].slot.buf_idx);
    }
    CHECK_EQ(left, 0);
    free(owners);
}

void rig_close(struct rig *rig) {
    fp_worker_destroy(rig->worker);
    for (uint32_t i = 0; i < rig->port_count; i++) {
        fp_port_close(rig->ports[i]);
    }
    for (uint32_t i = 0; i < rig->region_count; i++) {
        fp_region_destroy(rig->regions[i]);
    }
    fp_table_destroy(rig->table);
    fp_state_close(rig->state);
    CHECK_EQ(unlink(rig->path), 0);
}

struct fp_route rig_route_of(const struct frame_shape *shape, uint16_t ingress, uint32_t outputs, uint16_t counter) {
    struct fp_route route;
    struct fp_key key = frame_key(shape);
    memset(&route, 0, sizeof route);
    route.match.fields = FP_MATCH_PORT | FP_MATCH_VLAN | FP_MATCH_INNER_VLAN | FP_MATCH_UDP_PORT;
    route.match.destination_bits = 128;
    memcpy(route.match.key.destination, key.destination, sizeof key.destination);
    route.match.key.port = ingress;
    route.match.key.vlan = key.vlan;
    route.match.key.inner_vlan = key.inner_vlan;
    route.match.key.udp_port = key.udp_port;
    route.counter = counter;
    for (uint32_t port = 0; port < FP_MAX_PORTS; port++) {
        if ((outputs >> port & 1) != 0 && route.output_count < FP_MAX_OUTPUTS) {
            route.outputs[route.output_count++].port = port;
        }
    }
    return route;
}

void rig_route(struct rig *rig, const struct frame_shape *shape, uint16_t ingress, uint32_t outputs, uint16_t counter) {
    struct fp_route route = rig_route_of(shape, ingress, outputs, counter);
    CHECK_EQ(fp_table_add(rig->table, &route), 0);
}

void rig_publish(struct rig *rig) {
    uint8_t digest[FP_DIGEST_BYTES] = {1, 2, 3};
    rig->generation++;
    CHECK_EQ(fp_state_publish(rig->state, rig->table, rig->generation, digest), 0);
    CHECK_EQ(fp_worker_turn(rig->worker), 0);
}

struct fp_port_counters rig_counters(const struct rig *rig, uint32_t port) {
    struct fp_port_counters counters;
    CHECK_EQ(fp_state_read_port(rig->state, port, &counters), 0);
    return counters;
}

uint64_t rig_dropped(const struct fp_port_counters *counters) {
    uint64_t sum = 0;
    for (unsigned i = 0; i < FP_DROP_COUNT; i++) {
        sum += counters->dropped_frames[i];
    }
    return sum;
}

void rig_check_balance(const struct rig *rig) {
    for (uint32_t i = 0; i < rig->port_count; i++) {
        struct fp_port_counters counters = rig_counters(rig, i);
        CHECK_EQ(counters.received_frames, counters.forwarded_frames + counters.merged_frames +
                                               counters.to_host_frames + counters.held_frames + rig_dropped(&counters));
        CHECK_EQ(counters.offered_frames,
                 counters.transmitted_frames + counters.tx_full_frames + counters.tx_too_long_frames);
        CHECK_EQ(counters.transmitted_frames, counters.swapped_frames + counters.copied_frames);
    }
}
