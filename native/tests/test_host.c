/* SPDX-License-Identifier: Apache-2.0 */
/* The host stack beside the media: classes of frames, and the way to the host and back through the true loop. */
#include "check.h"
#include "host_samples.h"
#include "rig.h"
#include <string.h>

enum { NIC, HOST, MEDIA_OUT, PORTS, SLOTS = 256 };

static void samples_have_their_class(void) {
    struct host_sample sample;
    for (unsigned tags = 0; tags <= 2; tags++) {
        for (unsigned i = 0; host_sample_build(i, tags, &sample); i++) {
            uint32_t seen = fp_host_class(sample.bytes, sample.length, sample_mac);
            if (seen != sample.class) {
                (void)fprintf(stderr, "%s, %u tags: class %#x, wanted %#x\n", sample.name, tags, seen, sample.class);
                exit(1);
            }
        }
    }
}

/* Cut anywhere, in a buffer that ends there (ASan sees a read beyond it), a frame has its class or none or is only
 * known by its address. */
static void cut_samples_are_not_overread(void) {
    struct host_sample sample;
    for (unsigned tags = 0; tags <= 2; tags++) {
        for (unsigned i = 0; host_sample_build(i, tags, &sample); i++) {
            for (uint32_t length = 0; length < sample.length; length++) {
                uint8_t *cut = malloc(length + 1);
                CHECK(cut != NULL);
                memcpy(cut + 1, sample.bytes, length);
                uint32_t class = fp_host_class(cut + 1, length, sample_mac);
                CHECK(class == 0 || class == sample.class || class == FP_HOST_UNICAST);
                free(cut);
            }
        }
    }
}

/* A third tag is what it is: no type of the host's. */
static void third_tag_hides(void) {
    struct host_sample sample;
    CHECK(host_sample_build(0, 2, &sample));
    memmove(sample.bytes + 16, sample.bytes + 12, sample.length - 12);
    CHECK_EQ(fp_host_class(sample.bytes, sample.length + 4, sample_mac), FP_HOST_UNICAST); /* broadcast */
    sample.bytes[0] = 0x01;
    CHECK_EQ(fp_host_class(sample.bytes, sample.length + 4, sample_mac), 0);
}

static void open_pair(struct rig *rig, int separate, uint32_t classes) {
    rig_open(rig, PORTS, SLOTS, separate, FP_WAIT_BUSY);
    CHECK_EQ(fp_worker_pair_host(rig->worker, NIC, HOST, classes, sample_mac), 0);
}

/* Every sample arrives at the NIC; those of the classes come out at the host, byte for byte, the others are dropped. */
static void selected_frames_reach_the_host(int separate, uint32_t classes) {
    struct rig rig;
    struct host_sample sample;
    uint8_t seen[SAMPLE_ROOM];
    uint64_t frames = 0;
    uint64_t selected = 0;
    open_pair(&rig, separate, classes);
    for (unsigned tags = 0; tags <= 2; tags++) {
        for (unsigned i = 0; host_sample_build(i, tags, &sample); i++) {
            CHECK_EQ(fp_memory_inject(rig.ports[NIC], sample.bytes, sample.length), 0);
            CHECK_EQ(fp_worker_turn(rig.worker), 1);
            int wanted = (sample.class & classes) != 0 ? (int)sample.length : 0;
            CHECK_EQ(fp_memory_collect(rig.ports[HOST], seen, sizeof seen), wanted);
            CHECK_EQ(memcmp(seen, sample.bytes, (size_t)wanted), 0);
            frames++;
            selected += wanted != 0;
            rig_check_balance(&rig);
        }
    }
    struct fp_port_counters counters = rig_counters(&rig, NIC);
    CHECK_EQ(counters.received_frames, frames);
    CHECK_EQ(counters.to_host_frames, selected);
    CHECK_EQ(counters.forwarded_frames, 0);
    CHECK_EQ(rig_dropped(&counters), frames - selected);
    CHECK_EQ(rig_counters(&rig, HOST).swapped_frames, separate ? 0 : selected);
    rig_close(&rig);
}

static void every_class_reaches_the_host(void) {
    for (uint32_t bit = 0; bit < 7; bit++) {
        selected_frames_reach_the_host(bit & 1, 1U << bit);
    }
    selected_frames_reach_the_host(0, FP_HOST_ANY);
    selected_frames_reach_the_host(1, FP_HOST_ANY);
}

/* All that the host sends leaves by the NIC, also where a route would take it; what is no frame is dropped. */
static void host_frames_leave_whole(void) {
    struct rig rig;
    struct host_sample sample;
    struct frame_shape media = {.group = 7, .udp_port = 5004};
    uint8_t seen[FRAME_ROOM];
    uint8_t frame[FRAME_ROOM];
    open_pair(&rig, 0, FP_HOST_ARP);
    rig_route(&rig, &media, HOST, 1U << MEDIA_OUT, 1);
    rig_publish(&rig);
    uint64_t frames = 0;
    for (unsigned i = 0; host_sample_build(i, 0, &sample); i++, frames++) {
        CHECK_EQ(fp_memory_inject(rig.ports[HOST], sample.bytes, sample.length), 0);
        CHECK_EQ(fp_worker_turn(rig.worker), 1);
        CHECK_EQ(fp_memory_collect(rig.ports[NIC], seen, sizeof seen), sample.length);
        CHECK_EQ(memcmp(seen, sample.bytes, sample.length), 0);
    }
    uint32_t length = frame_build(&media, frame);
    CHECK_EQ(fp_memory_inject(rig.ports[HOST], frame, length), 0);
    CHECK_EQ(fp_memory_inject(rig.ports[HOST], frame, 13), 0);
    CHECK_EQ(fp_worker_turn(rig.worker), 2);
    CHECK_EQ(fp_memory_collect(rig.ports[NIC], seen, sizeof seen), length);
    struct fp_port_counters counters = rig_counters(&rig, HOST);
    CHECK_EQ(counters.forwarded_frames, frames + 1);
    CHECK_EQ(counters.dropped_frames[FP_DROP_SHORT], 1);
    CHECK_EQ(rig_counters(&rig, MEDIA_OUT).offered_frames, 0);
    struct fp_route_counters route;
    CHECK_EQ(fp_state_read_route(rig.state, 0, &route), 0); /* nobody's counter was touched */
    CHECK_EQ(route.frames, 0);
    rig_check_balance(&rig);
    rig_close(&rig);
}

/* Media on its routes between frames of the host, in the same bursts; a route that takes PTP keeps it. */
static void routes_come_first(uint32_t routes) {
    struct rig rig;
    struct host_sample arp;
    struct frame_shape media = {.group = 7, .udp_port = 5004};
    struct frame_shape ptp = {.group = 9, .udp_port = 319};
    uint8_t frame[FRAME_ROOM];
    uint8_t seen[FRAME_ROOM];
    open_pair(&rig, 0, FP_HOST_ANY);
    rig_route(&rig, &media, NIC, 1U << MEDIA_OUT, 1);
    if (routes > 1) {
        rig_route(&rig, &ptp, NIC, 1U << MEDIA_OUT, 2);
    }
    if (routes > 2) { /* of another shape: the search goes another way */
        struct fp_route other = rig_route_of(&ptp, NIC, 1U << MEDIA_OUT, 3);
        other.match.fields &= (uint16_t)~FP_MATCH_INNER_VLAN;
        other.match.key.inner_vlan = 0;
        other.match.key.udp_port = 320;
        CHECK_EQ(fp_table_add(rig.table, &other), 0);
    }
    rig_publish(&rig);
    CHECK(host_sample_build(0, 0, &arp));
    uint32_t length = frame_build(&media, frame);
    for (unsigned i = 0; i < SLOTS / 4; i++) {
        CHECK_EQ(fp_memory_inject(rig.ports[NIC], frame, length), 0);
        CHECK_EQ(fp_memory_inject(rig.ports[NIC], arp.bytes, arp.length), 0);
    }
    length = frame_build(&ptp, frame);
    CHECK_EQ(fp_memory_inject(rig.ports[NIC], frame, length), 0);
    while (fp_worker_turn(rig.worker) > 0) {
    }
    struct fp_port_counters counters = rig_counters(&rig, NIC);
    CHECK_EQ(counters.forwarded_frames, SLOTS / 4 + (routes > 1));
    CHECK_EQ(counters.to_host_frames, SLOTS / 4 + (routes == 1));
    CHECK_EQ(rig_dropped(&counters), 0);
    for (unsigned i = 0; i < SLOTS / 4; i++) {
        CHECK_EQ(fp_memory_collect(rig.ports[HOST], seen, sizeof seen), arp.length);
    }
    rig_check_balance(&rig);
    rig_close(&rig);
}

static void media_is_routed_between_host_frames(void) {
    routes_come_first(1);
    routes_come_first(2);
    routes_come_first(3);
}

/* A host that does not read loses its own frames only. */
static void full_host_drops_and_media_goes_on(void) {
    struct rig rig;
    struct host_sample arp;
    struct frame_shape media = {.group = 7, .udp_port = 5004};
    uint8_t frame[FRAME_ROOM];
    uint8_t seen[FRAME_ROOM];
    open_pair(&rig, 1, FP_HOST_ANY);
    rig_route(&rig, &media, NIC, 1U << MEDIA_OUT, 1);
    rig_publish(&rig);
    CHECK(host_sample_build(0, 0, &arp));
    uint32_t length = frame_build(&media, frame);
    for (unsigned i = 0; i < 2 * SLOTS; i++) {
        CHECK_EQ(fp_memory_inject(rig.ports[NIC], arp.bytes, arp.length), 0);
        CHECK_EQ(fp_memory_inject(rig.ports[NIC], frame, length), 0);
        CHECK_EQ(fp_worker_turn(rig.worker), 2);
        CHECK_EQ(fp_memory_collect(rig.ports[MEDIA_OUT], seen, sizeof seen), length);
    }
    struct fp_port_counters counters = rig_counters(&rig, NIC);
    CHECK_EQ(counters.forwarded_frames, 2 * SLOTS);
    CHECK_EQ(counters.to_host_frames, SLOTS - 1);
    CHECK_EQ(counters.dropped_frames[FP_DROP_TX_FULL], SLOTS + 1);
    CHECK_EQ(rig_counters(&rig, HOST).tx_full_frames, SLOTS + 1);
    rig_check_balance(&rig);
    rig_close(&rig);
}

static void pairs_are_checked(void) {
    struct rig rig;
    struct fp_port *port;
    struct fp_port_config config = {.spec = "memory:x", .ring_slots = 64, .host_classes = FP_HOST_ARP};
    rig_open(&rig, PORTS, SLOTS, 0, FP_WAIT_BUSY);
    CHECK_EQ(fp_worker_pair_host(rig.worker, NIC, NIC, FP_HOST_ANY, sample_mac), FP_E_INVALID);
    CHECK_EQ(fp_worker_pair_host(rig.worker, NIC, PORTS, FP_HOST_ANY, sample_mac), FP_E_INVALID);
    CHECK_EQ(fp_worker_pair_host(rig.worker, PORTS, HOST, FP_HOST_ANY, sample_mac), FP_E_INVALID);
    CHECK_EQ(fp_worker_pair_host(rig.worker, NIC, HOST, 0, sample_mac), FP_E_INVALID);
    CHECK_EQ(fp_worker_pair_host(rig.worker, NIC, HOST, FP_HOST_ANY + 1, sample_mac), FP_E_INVALID);
    CHECK_EQ(fp_worker_pair_host(rig.worker, NIC, HOST, FP_HOST_ANY, NULL), FP_E_INVALID); /* memory has no address */
    CHECK_EQ(fp_worker_pair_host(rig.worker, NIC, HOST, FP_HOST_ANY, sample_mac), 0);
    CHECK_EQ(fp_worker_pair_host(rig.worker, MEDIA_OUT, HOST, FP_HOST_ANY, sample_mac), FP_E_INVALID);
    CHECK_EQ(fp_port_open(&config, rig.regions[0], &port), FP_E_INVALID); /* only XDP programs filter */
    config.host_classes = FP_HOST_ANY + 1;
    CHECK_EQ(fp_port_open(&config, rig.regions[0], &port), FP_E_INVALID);
    CHECK_EQ(fp_worker_turn(rig.worker), 0);
    rig_close(&rig);
}

int main(void) {
    RUN(samples_have_their_class);
    RUN(cut_samples_are_not_overread);
    RUN(third_tag_hides);
    RUN(every_class_reaches_the_host);
    RUN(host_frames_leave_whole);
    RUN(media_is_routed_between_host_frames);
    RUN(full_host_drops_and_media_goes_on);
    RUN(pairs_are_checked);
    return 0;
}
