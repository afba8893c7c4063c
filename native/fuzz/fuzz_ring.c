/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The true loop over rings whose slots and indices hold anything, as the peer of a pipe could write them, with routes
 * and rewrites of any bytes: nothing outside the buffers is touched, and every frame is accounted for.
 */
#include "check.h"
#include "format_1080p50.h"
#include "ordered.h"
#include "port.h"
#include "rig.h"
#include "table.h"
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t now_ns = 1000000000;

static uint64_t read_clock(void) { return now_ns += 1000; }

enum { PORTS = 3, SLOTS = 16, MAX_ADDED_ROUTES = 8, ROUTE_BYTES = 40, HELD_FRAMES = 5 };
enum { HELD_BUFFERS = 2 * HELD_FRAMES + FP_HOLD_SPARE_FRAMES };

struct input {
    const uint8_t *at;
    size_t left;
};

/* Zeroes where the input has ended. */
static void take(struct input *input, void *to, size_t bytes) {
    size_t now = bytes < input->left ? bytes : input->left;
    memset(to, 0, bytes);
    memcpy(to, input->at, now);
    input->at += now;
    input->left -= now;
}

/* A route that the table may well refuse. */
static void route_add(struct rig *rig, struct input *input, uint16_t counter) {
    struct fp_route route;
    uint8_t choice[4];
    uint8_t media[2];
    memset(&route, 0, sizeof route);
    take(input, choice, sizeof choice);
    struct frame_shape shape = {.group = choice[0] & 1U, .udp_port = 6000, .tags = choice[0] >> 7, .vlans = {100}};
    route = rig_route_of(&shape, choice[1] % PORTS, choice[1] >> 2 & 7, counter);
    route.match.fields &= (uint16_t)(choice[2] | FP_MATCH_PORT);
    take(input, media, sizeof media);
    route.media.observe = media[0] & FP_OBSERVE_ANY;
    route.media.run = media[0] >> 6;
    route.media.pacing = media[0] >> 3 & 1;
    route.media.merge = media[1] & 3;
    route.media.path = media[1] >> 2 & 1;
    for (unsigned i = 0; i < route.output_count; i++) {
        take(input, &route.outputs[i].rewrite, ROUTE_BYTES);
        route.outputs[i].rewrite.set &= FP_SET_ANY;
    }
    if ((choice[2] & 0x10) != 0) {
        route.match.destination_bits = 0;
    }
    struct fp_key *key = &route.match.key;
    key->vlan = (route.match.fields & FP_MATCH_VLAN) != 0 ? key->vlan : 0;
    key->inner_vlan = (route.match.fields & FP_MATCH_INNER_VLAN) != 0 ? key->inner_vlan : 0;
    key->udp_port = (route.match.fields & FP_MATCH_UDP_PORT) != 0 ? key->udp_port : 0;
    if (route.match.destination_bits == 0) {
        memset(key->destination, 0, sizeof key->destination);
    }
    (void)fp_table_add(rig->table, &route);
}

static void ring_damage(const struct fp_ring *ring, struct input *input) {
    for (uint32_t i = 0; i < ring->slots; i++) {
        uint8_t how = 0;
        take(input, &how, 1);
        if ((how & 1) != 0) {
            take(input, &ring->shared->slot[i].buf_idx, sizeof(uint32_t));
        } else {
            ring->shared->slot[i].buf_idx = (how >> 4) + ring->first_buffer;
        }
        if ((how & 2) != 0) {
            take(input, &ring->shared->slot[i].len, sizeof(uint16_t));
        }
        if ((how & 4) != 0) {
            take(input, &ring->shared->slot[i].ptr, sizeof(uint64_t));
        }
        if ((how & 8) != 0) {
            take(input, &ring->shared->slot[i].flags, sizeof(uint16_t));
        }
    }
}

static void inject_some(struct rig *rig, struct input *input) {
    uint8_t frame[FRAME_ROOM];
    for (unsigned i = 0; i < SLOTS / 2; i++) {
        uint8_t choice[3];
        take(input, choice, sizeof choice);
        struct frame_shape shape = {.group = choice[0] & 1U,
                                    .udp_port = 6000,
                                    .tags = choice[0] >> 7,
                                    .vlans = {100},
                                    .ipv6 = choice[0] >> 6 & 1,
                                    .payload_bytes = choice[1]};
        uint32_t length = frame_build(&shape, frame);
        frame[choice[2] % length] ^= choice[1];
        (void)fp_memory_inject(rig->ports[choice[2] % PORTS], frame, length);
    }
}

/* What a port looked like when it was opened: every input begins with it. */
struct ports {
    struct netmap_slot slots[PORTS][2][SLOTS];
    struct fp_hold_place places[HELD_BUFFERS];
};

static struct fp_ring *ring_of(const struct rig *rig, unsigned port, unsigned transmit) {
    return transmit ? &rig->ports[port]->tx[0] : &rig->ports[port]->rx[0];
}

static void slots_copy(const struct rig *rig, struct ports *saved, bool restore) {
    for (unsigned i = 0; i < 2 * PORTS; i++) {
        struct netmap_slot *ring = ring_of(rig, i / 2, i % 2)->shared->slot;
        struct netmap_slot *copy = saved->slots[i / 2][i % 2];
        memcpy(restore ? ring : copy, restore ? copy : ring, sizeof saved->slots[0][0]);
    }
}

/* One turn against a damaged ring; afterwards its indices are as a port keeps them. */
static void turn_damaged(struct rig *rig, struct input *input) {
    uint8_t which = 0;
    take(input, &which, 1);
    struct fp_ring *ring = ring_of(rig, which % PORTS, (which & 0x40) != 0);
    uint32_t head = ring->shared->head;
    if ((which & 0x80) != 0) {
        ring_damage(ring, input);
    }
    /* What the other side may have written: where received frames begin, and where room to send ends. */
    bool received = (which & 0x40) == 0;
    if ((which & 0x30) == 0x30) {
        take(input, received ? &ring->shared->head : &ring->shared->tail, sizeof(uint32_t));
    }
    CHECK(fp_worker_turn(rig->worker) >= 0);
    rig_check_balance(rig);
    ring->inside_multi_slot = false;
    ring->shared->head = (which & 0x30) == 0x30 && received ? head : ring->shared->head;
}

static void outputs_empty(struct rig *rig, struct ports *saved) {
    uint8_t frame[UINT16_MAX];
    slots_copy(rig, saved, true);
    for (unsigned i = 0; i < PORTS; i++) {
        struct fp_ring *ring = ring_of(rig, i, 1);
        for (uint32_t slot = 0; slot < SLOTS; slot++) {
            ring->shared->slot[slot].len = 1;
        }
        while (fp_memory_collect(rig->ports[i], frame, sizeof frame) > 0) {
        }
    }
}

/* Whatever is held leaves, and the store is as it was made: the slots are, too. */
static void release_all(struct rig *rig, struct ports *saved) {
    now_ns += FP_LEAVE_NS;
    rig->worker->now_is_new = false;
    for (unsigned turns = 0; turns < 4; turns++) {
        CHECK(fp_worker_turn(rig->worker) >= 0);
        outputs_empty(rig, saved);
    }
    rig_check_balance(rig);
    if (rig->worker->ordering != NULL) {
        struct fp_hold *hold = rig->worker->ordering->holds[0];
        CHECK_EQ(hold->free_frames, hold->count);
        memcpy(hold->places, saved->places, sizeof saved->places);
        hold->free = 0;
    }
}

/* A format, and merges 0 and 1, whose windows may change from one table to the next. */
static void media_add(struct rig *rig, struct input *input) {
    const struct fp_pacing_format format = {FORMAT_1080P50(3, FP_ANCHOR_FIRST, 1500)};
    uint8_t choice = 0;
    take(input, &choice, 1);
    bool holds = rig->worker->ordering != NULL && (choice & 0x40) != 0;
    (void)fp_table_add_pacing(rig->table, &format);
    for (uint32_t number = 0; number < 2; number++) {
        struct fp_merge_config config = {.id = 1 + (choice >> 4 & 1U), .window_ns = 1000U + choice, .slots = 512};
        config.hold_frames = holds ? HELD_FRAMES : 0;
        if ((choice >> number & 1) != 0) {
            CHECK_EQ(fp_table_add_merge(rig->table, number, &config), 0);
        }
    }
    fp_table_set_discovery(rig->table, choice >> 7);
}

static void table_publish(struct rig *rig, struct input *input) {
    /* As fp_table_create leaves it, without asking for megabytes each time. */
    uint32_t mask = rig->table->flat.mask;
    memset(&rig->table->flat, 0, offsetof(struct fp_table_flat, buckets));
    memset(rig->table->flat.buckets, 0, (mask + 1) * sizeof rig->table->flat.buckets[0]);
    rig->table->flat.mask = mask;
    media_add(rig, input);
    for (uint16_t i = 0; i < MAX_ADDED_ROUTES && input->left > 0; i++) {
        route_add(rig, input, i);
    }
    uint8_t digest[FP_DIGEST_BYTES] = {0};
    rig->generation++;
    /* Merges may hold what an earlier table let through: that leaves, or is dropped, within the 100 ms it has. */
    while (fp_state_publish(rig->state, rig->table, rig->generation, digest) != 0) {
        now_ns += FP_LEAVE_NS;
        CHECK(fp_worker_turn(rig->worker) >= 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct rig rigs[2]; /* one memory region, or one each */
    static struct ports saved[2];
    struct input input = {data, size};
    unsigned separate = size % 2;
    struct rig *rig = &rigs[separate];
    if (rig->state == NULL) {
        if (separate) {
            rig_open(rig, PORTS, SLOTS, 1, FP_WAIT_BUSY);
        } else {
            rig_open_holding(rig, PORTS, SLOTS, FP_WAIT_BUSY, HELD_BUFFERS);
        }
        rig->worker->clock_ns = read_clock;
        fp_table_destroy(rig->table);
        CHECK_EQ(fp_table_create(MAX_ADDED_ROUTES, &rig->table), 0);
        (void)unlink(rig->path);
        slots_copy(rig, &saved[separate], false);
        if (!separate) {
            memcpy(saved[0].places, rig->worker->ordering->holds[0]->places, sizeof saved[0].places);
        }
    }
    now_ns += FP_STUCK_NS + 1;
    table_publish(rig, &input);
    for (unsigned turn = 0; turn < 4 && input.left > 0; turn++) {
        inject_some(rig, &input);
        turn_damaged(rig, &input);
        outputs_empty(rig, &saved[separate]);
    }
    while (fp_worker_turn(rig->worker) > 0) {
        outputs_empty(rig, &saved[separate]);
    }
    release_all(rig, &saved[separate]);
    return 0;
}
