/* SPDX-License-Identifier: Apache-2.0 */
/*
 * netmap: and vale ports with the real module: needs root and a loaded netmap.ko, skips loudly without. Pipes and VALE
 * ports are always tested; interfaces where four are named:
 *
 *   test_netmap SENDER INGRESS EGRESS RECEIVER [STOCK]   (cabled SENDER ~ INGRESS and EGRESS ~ RECEIVER)
 *
 * INGRESS and EGRESS must have netmap drivers, STOCK (a dummy interface will do) must have none.
 */
#include "check.h"
#include "hold.h"
#include "pipe_ends.h"
#include "port.h"
#include "wire.h"
#include <errno.h>
#include <string.h>
#include <unistd.h>

enum { SKIPPED = 77, FRAMES = 100000, FEW_FRAMES = 20000, WINDOW = 100 };

static char **nics;

/* Pipes of one parent share its memory: frames move by swapping. */
static void pipes_of_one_parent(void) {
    static const char *const specs[2] = {"netmap:fpa}1", "netmap:fpa{2"};
    struct wire_appliance appliance;
    wire_appliance_open(&appliance, specs, 0, 64);
    CHECK_EQ(wire_info(&appliance, 0).region, wire_info(&appliance, 1).region);
    pipe_exchange("pipes", "netmap:fpa{1", "netmap:fpa}2", FRAMES, WINDOW);
    CHECK_EQ(wire_counters(&appliance, 0).forwarded_frames, FRAMES);
    CHECK_EQ(wire_counters(&appliance, 1).swapped_frames, FRAMES);
    wire_appliance_close(&appliance);
}

/* Who was at the other end of a pipe may stop and be replaced: the port stays and counts nothing twice. */
static void a_peer_stops(void) {
    static const char *const specs[2] = {"netmap:fpb}1", "netmap:fpb{2"};
    struct wire_appliance appliance;
    wire_appliance_open(&appliance, specs, 0, 64);
    for (unsigned times = 1; times <= 3; times++) {
        pipe_exchange("pipes, peers anew", "netmap:fpb{1", "netmap:fpb}2", FRAMES, WINDOW);
        (void)usleep(300000); /* no peer */
        CHECK_EQ(wire_counters(&appliance, 0).forwarded_frames, (uint64_t)times * FRAMES);
    }
    wire_appliance_close(&appliance);
}

/* VALE ports have memory of their own: frames are copied. */
static void vale_ports(void) {
    static const char *const specs[2] = {"vale7:in", "vale8:out"};
    struct wire_appliance appliance;
    wire_appliance_open(&appliance, specs, 0, 64);
    CHECK(wire_info(&appliance, 0).region != wire_info(&appliance, 1).region);
    CHECK_EQ(wire_info(&appliance, 0).adapter, FP_ADAPTER_VIRTUAL);
    pipe_exchange("VALE", "vale7:sender", "vale8:receiver", FRAMES, WINDOW);
    CHECK_EQ(wire_counters(&appliance, 1).copied_frames, FRAMES);
    wire_appliance_close(&appliance);
}

static void refusals(void) {
    CHECK_EQ(wire_try_open("netmap:nowhere", 0, 64, 256), FP_E_NO_DEVICE);
    CHECK_EQ(wire_try_open("netmap:lo", 0, 64, 256), FP_E_NOT_NATIVE);
}

/* Down and up again: faults are counted, forwarding goes on. A netmap.ko that holds its callers in the kernel while an
 * interface is down (netmap issue 987) fails here: its whole worker stands still. */
static void bounce(struct wire_appliance *appliance) {
    char command[128];
    (void)snprintf(command, sizeof command, "ip link set %s down && sleep 1 && ip link set %s up", nics[2], nics[2]);
    CHECK_EQ(system(command), 0); /* NOLINT(cert-env33-c): in a guest */
    (void)sleep(6);
    CHECK(wire_counters(appliance, 0).sync_errors > 0);
    wire_exchange("after link down and up", nics[1], nics[4], FEW_FRAMES, WINDOW);
    CHECK_EQ(wire_counters(appliance, 1).transmitted_frames, 2 * FEW_FRAMES);
}

static void shell(const char *command) { CHECK_EQ(system(command), 0); /* NOLINT(cert-env33-c): in a guest */ }

static void wait_for_state(const struct wire_appliance *appliance, uint32_t port, enum fp_port_state wanted) {
    for (unsigned i = 0; wire_health(appliance, port).state != wanted; i++) {
        CHECK(i < 60);
        (void)usleep(500000);
    }
}

/*
 * The driver lets go of the ingress interface and takes it again, as when a module is exchanged or a card is replaced:
 * the interface comes back down and with its defaults, the port returns by itself. Nothing of it harms the egress port.
 */
static void ingress_vanishes(struct wire_appliance *appliance) {
    char command[256];
    uint64_t forwarded = wire_counters(appliance, 0).forwarded_frames;
    uint64_t outages = wire_health(appliance, 1).outages;
    (void)snprintf(command, sizeof command,
                   "basename $(readlink /sys/class/net/%s/device) >/tmp/address && cat /tmp/address "
                   ">/sys/bus/pci/drivers/e1000/unbind",
                   nics[2]);
    shell("mkdir -p /tmp");
    shell(command);
    wait_for_state(appliance, 0, FP_PORT_IS_GONE);
    shell("cat /tmp/address >/sys/bus/pci/drivers/e1000/bind");
    wait_for_state(appliance, 0, FP_PORT_IS_UP);
    CHECK_EQ(wire_health(appliance, 0).reopened, 1);
    CHECK_EQ(wire_info(appliance, 0).adapter, FP_ADAPTER_NATIVE);
    CHECK_EQ(wire_health(appliance, 1).outages, outages);
    CHECK_EQ(wire_health(appliance, 1).reopened, 0);
    (void)sleep(4);
    wire_exchange("after the interface vanished and came back", nics[1], nics[4], FEW_FRAMES, WINDOW);
    CHECK_EQ(wire_counters(appliance, 0).forwarded_frames, forwarded + FEW_FRAMES);
}

static void native_interfaces(void) {
    char specs[2][FP_NAME_BYTES];
    (void)snprintf(specs[0], sizeof specs[0], "netmap:%s", nics[2]);
    (void)snprintf(specs[1], sizeof specs[1], "netmap:%s", nics[3]);
    const char *const texts[2] = {specs[0], specs[1]};
    struct wire_appliance appliance;
    wire_appliance_open(&appliance, texts, 0, 64);
    CHECK_EQ(wire_info(&appliance, 0).adapter, FP_ADAPTER_NATIVE);
    CHECK_EQ(wire_info(&appliance, 1).adapter, FP_ADAPTER_NATIVE);
    CHECK_EQ(wire_try_open(specs[0], 0, 64, 256), FP_E_BUSY);
    (void)sleep(4); /* the link comes back after the driver's reset */
    wire_exchange("native interfaces", nics[1], nics[4], FEW_FRAMES, WINDOW);
    CHECK_EQ(wire_counters(&appliance, 1).transmitted_frames, FEW_FRAMES);
    (void)printf("swapped %llu, copied %llu\n", (unsigned long long)wire_counters(&appliance, 1).swapped_frames,
                 (unsigned long long)wire_counters(&appliance, 1).copied_frames);
    bounce(&appliance);
    ingress_vanishes(&appliance);
    wire_appliance_close(&appliance);
}

static void own(uint8_t *owners, const struct fp_ring *ring, uint32_t buffer) {
    CHECK(buffer >= ring->first_buffer && buffer < ring->buffer_count);
    CHECK_EQ(owners[buffer]++, 0);
}

static void own_rings(uint8_t *owners, const struct fp_ring *rings, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t slot = 0; slot < rings[i].slots; slot++) {
            own(owners, &rings[i], rings[i].shared->slot[slot].buf_idx);
        }
    }
}

/* Buffers for frames that merges hold: of the region's, none that is in a ring, the same through every mapping; given
 * back at the end, or the fourth round would find too few; and more than there are is refused. */
static void extra_buffers(void) {
    char spec[FP_NAME_BYTES];
    struct fp_hold *hold = NULL;
    (void)snprintf(spec, sizeof spec, "netmap:%s", nics[2]);
    struct fp_port *port = pipe_end_open(spec);
    const struct fp_ring *ring = &port->rx[0];
    uint32_t third = ring->buffer_count / 3;
    uint8_t *owners = calloc(ring->buffer_count, 1);
    CHECK(owners != NULL);
    for (unsigned round = 0; round < 4; round++) {
        memset(owners, 0, ring->buffer_count);
        CHECK_EQ(fp_hold_open(port, NULL, third, &hold), 0);
        CHECK_EQ(hold->free_frames, third);
        own_rings(owners, port->rx, port->info.rx_rings);
        own_rings(owners, port->tx, port->info.tx_rings);
        for (uint32_t i = 0; i < third; i++) {
            uint32_t buffer = hold->places[i].slot.buf_idx;
            own(owners, ring, buffer);
            memcpy(fp_ring_buffer(&hold->ring, buffer), &i, sizeof i);
            CHECK(memcmp(fp_ring_buffer(ring, buffer), &i, sizeof i) == 0);
        }
        fp_hold_close(hold);
    }
    CHECK_EQ(fp_hold_open(port, NULL, ring->buffer_count, &hold), FP_E_REGION);
    CHECK_EQ(fp_hold_open(port, NULL, third, &hold), 0); /* what was refused took nothing */
    fp_port_close(port);                                 /* nor does it need the port any more */
    memset(fp_ring_buffer(&hold->ring, hold->places[0].slot.buf_idx), 0xff, hold->ring.buffer_bytes);
    fp_hold_close(hold);
    (void)printf("%u extra buffers held four times\n", third);
    free(owners);
}

/* A driver without netmap: refused, and reported as emulated where that was allowed. */
static void stock_driver(void) {
    struct fp_port_config config = {.flags = FP_OPEN_ALLOW_EMULATED};
    struct fp_port *port = NULL;
    (void)snprintf(config.spec, sizeof config.spec, "netmap:%s", nics[5]);
    CHECK_EQ(wire_try_open(config.spec, 0, 64, 256), FP_E_NOT_NATIVE);
    CHECK_EQ(fp_port_open(&config, NULL, &port), 0);
    CHECK_EQ(port->info.adapter, FP_ADAPTER_EMULATED);
    CHECK_EQ(port->ops->rx_sync(port), 0);
    CHECK_EQ(port->ops->tx_sync(port), 0);
    fp_port_close(port);
}

int main(int argc, char **argv) {
    if (geteuid() != 0 || access("/dev/netmap", R_OK | W_OK) != 0) {
        (void)printf("SKIPPED: %s; load netmap.ko (make lab does it in a guest) to test netmap: ports\n",
                     strerror(errno));
        return SKIPPED;
    }
    nics = argv;
    RUN(refusals);
    RUN(pipes_of_one_parent);
    RUN(a_peer_stops);
    RUN(vale_ports);
    if (argc >= 5) {
        RUN(extra_buffers);
        RUN(native_interfaces);
    } else {
        (void)printf("SKIPPED: native interfaces; name four: SENDER INGRESS EGRESS RECEIVER\n");
    }
    if (argc == 6) {
        RUN(stock_driver);
    } else {
        (void)printf("SKIPPED: a stock driver; name one behind the four\n");
    }
    return 0;
}
