/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random frames, routes, ring sizes and slow outputs: law 5 holds after each turn, each output gets what a model of the
 * route table says, in order, and no buffer is lost or doubled.
 */
#include "check.h"
#include "port.h"
#include "region.h"
#include "rig.h"
#include <string.h>

enum { PORTS = 5, ROUTES = 40, ROUNDS = 25, TURNS = 40, QUEUE = 4096 };

static uint64_t seed;

static uint32_t random_below(uint32_t limit) {
    seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
    return (uint32_t)(seed >> 33) % limit;
}

/* Numbers of the frames that were sent to a port and not yet collected. */
struct model {
    uint32_t outputs[PORTS][ROUTES]; /* by ingress port and route: mask of outputs */
    uint32_t next;
    uint64_t collected[PORTS];
};

static struct frame_shape shape_of(uint32_t route, uint32_t payload) {
    return (struct frame_shape){.group = (uint16_t)route,
                                .udp_port = (uint16_t)(1000 + route),
                                .tags = route % 3,
                                .vlans = {(uint16_t)route, 7},
                                .ipv6 = route % 2 == 1,
                                .payload_bytes = payload};
}

static void routes_make(struct rig *rig, struct model *model) {
    memset(model, 0, sizeof *model);
    for (uint32_t port = 0; port < PORTS; port++) {
        for (uint32_t route = 0; route < ROUTES; route++) {
            uint32_t outputs = random_below(1 << PORTS);
            model->outputs[port][route] = outputs;
            if (outputs != 0) {
                struct frame_shape shape = shape_of(route, 0);
                rig_route(rig, &shape, (uint16_t)port, outputs, (uint16_t)(port * ROUTES + route));
            }
        }
    }
    rig_publish(rig);
}

/* The last twelve bytes: number, ingress port, route; sometimes the frame is damaged and can reach nobody. */
static void inject_one(struct rig *rig, struct model *model) {
    uint8_t frame[FRAME_ROOM];
    uint32_t port = random_below(PORTS);
    uint32_t route = random_below(ROUTES);
    struct frame_shape shape = shape_of(route, 12 + random_below(1400));
    uint32_t length = frame_build(&shape, frame);
    uint32_t mark[3] = {++model->next, port, route};
    memcpy(frame + length - sizeof mark, mark, sizeof mark);
    if (random_below(8) == 0) {
        length = random_below(length);
    }
    (void)fp_memory_inject(rig->ports[port], frame, length);
}

static void collect_some(struct rig *rig, struct model *model, uint32_t port, uint32_t count) {
    uint8_t seen[FRAME_ROOM];
    uint8_t wanted[FRAME_ROOM];
    int length = 1;
    for (uint32_t i = 0; i < count && length > 0; i++) {
        length = fp_memory_collect(rig->ports[port], seen, sizeof seen);
        CHECK(length >= 0);
        if (length == 0) {
            break;
        }
        uint32_t mark[3];
        memcpy(mark, seen + length - sizeof mark, sizeof mark);
        CHECK(mark[1] < PORTS && mark[2] < ROUTES);
        CHECK((model->outputs[mark[1]][mark[2]] >> port & 1) != 0);
        struct frame_shape shape = shape_of(mark[2], 0);
        uint32_t headers = frame_build(&shape, wanted);
        shape.payload_bytes = (uint32_t)length - headers;
        CHECK_EQ(frame_build(&shape, wanted), length);
        memcpy(wanted + length - sizeof mark, mark, sizeof mark);
        CHECK(memcmp(seen, wanted, (size_t)length) == 0);
        model->collected[port]++;
    }
}

/* Every buffer of the region is in exactly one slot. */
static void check_buffers(const struct rig *rig) {
    static uint8_t owners[QUEUE];
    memset(owners, 0, sizeof owners);
    uint32_t count = 0;
    for (uint32_t port = 0; port < rig->port_count; port++) {
        const struct fp_ring *rings[2] = {&rig->ports[port]->rx[0], &rig->ports[port]->tx[0]};
        for (unsigned i = 0; i < 2; i++) {
            for (uint32_t slot = 0; slot < rings[i]->slots; slot++) {
                uint32_t buffer = rings[i]->shared->slot[slot].buf_idx;
                CHECK(buffer < rings[i]->buffer_count && buffer < QUEUE);
                CHECK_EQ(owners[buffer]++, 0);
                count++;
            }
        }
    }
    CHECK_EQ(count, rig->regions[0]->buffer_count);
}

static void one_round(int separate) {
    struct rig rig;
    static struct model model;
    rig_open(&rig, PORTS, 8U << random_below(5), separate, FP_WAIT_BUSY);
    routes_make(&rig, &model);
    for (unsigned turn = 0; turn < TURNS; turn++) {
        for (uint32_t i = random_below(100); i > 0; i--) {
            inject_one(&rig, &model);
        }
        CHECK(fp_worker_turn(rig.worker) >= 0);
        rig_check_balance(&rig);
        for (uint32_t port = 0; port < PORTS; port++) {
            collect_some(&rig, &model, port, random_below(60));
        }
    }
    while (fp_worker_turn(rig.worker) > 0) {
    }
    for (uint32_t port = 0; port < PORTS; port++) {
        collect_some(&rig, &model, port, QUEUE);
        CHECK_EQ(model.collected[port], rig_counters(&rig, port).transmitted_frames);
    }
    if (!separate) {
        check_buffers(&rig);
    }
    rig_close(&rig);
}

static void shared_region(void) {
    for (seed = 1; seed <= ROUNDS; seed++) {
        uint64_t kept = seed;
        one_round(0);
        seed = kept;
    }
}

static void separate_regions(void) {
    for (seed = 1; seed <= ROUNDS; seed++) {
        uint64_t kept = seed;
        one_round(1);
        seed = kept;
    }
}

int main(void) {
    RUN(shared_region);
    RUN(separate_regions);
    return 0;
}
