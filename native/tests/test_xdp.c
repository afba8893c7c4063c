/* SPDX-License-Identifier: Apache-2.0 */
/*
 * xdp: ports on veth, in a network namespace of this process: every frame sent arrives once, in order, byte for byte.
 * Needs root (CAP_NET_ADMIN, CAP_SYS_ADMIN, CAP_BPF) and iproute2; skips loudly without.
 *
 *   sender (AF_PACKET) sa ~ wa [worker] wb ~ sb receiver (AF_PACKET)
 */
#include "check.h"
#include "wire.h"
#include <errno.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SKIPPED = 77, FRAMES = 120000, FEW_FRAMES = 20000, WINDOW = 256, SLOTS = 1024 };

static const char *const specs[2] = {"xdp:wa", "xdp:wb"};

static void shell(const char *command) {
    int status = system(command); /* NOLINT(cert-env33-c): fixed text, in a namespace of our own */
    if (status != 0) {
        (void)fprintf(stderr, "failed (%d): %s\n", WEXITSTATUS(status), command);
        exit(1);
    }
}

static void skip(const char *why) {
    (void)printf("SKIPPED: %s; run as root with iproute2 to test xdp: ports\n", why);
    exit(SKIPPED);
}

static void namespace_open(void) {
    if (geteuid() != 0 || unshare(CLONE_NEWNET) != 0) {
        skip("no new network namespace can be made");
    }
    if (system("command -v ip >/dev/null") != 0) { /* NOLINT(cert-env33-c) */
        skip("iproute2 is not installed");
    }
}

static void links_make(void) {
    shell("ip link add sa type veth peer name wa && ip link add wb type veth peer name sb");
    shell("for i in sa wa wb sb; do ip link set $i up; done");
}

static int try_open(const char *spec, uint32_t flags, uint32_t buffers) {
    return wire_try_open(spec, flags, 64, buffers);
}

static void refusals(void) {
    CHECK_EQ(try_open("xdp:nowhere", 0, 256), FP_E_NO_DEVICE);
    CHECK_EQ(try_open("xdp:wa", FP_OPEN_XDP_ZEROCOPY, 256), FP_E_UNSUPPORTED); /* no silent copy */
    CHECK_EQ(try_open("xdp:lo", 0, 256), FP_E_SYSTEM);                         /* down */
    CHECK_EQ(errno, ENETDOWN);
    CHECK_EQ(try_open("xdp:wa", 0, 100), FP_E_REGION);
    CHECK_EQ(try_open("xdp:wa-9", 0, 256), FP_E_SYSTEM); /* there is no queue 9 */
    shell("ip link set lo up");
    CHECK_EQ(try_open("xdp:lo", 0, 256), FP_E_UNSUPPORTED); /* no driver hook, no silent generic one */
    for (unsigned i = 0; i < 5; i++) {                      /* open again at once */
        CHECK_EQ(try_open("xdp:wa-0", 0, 256), 0);
    }
}

/* A second port on the queue is refused, and the first one keeps it. */
static void busy_queue(void) {
    struct wire_appliance appliance;
    wire_appliance_open(&appliance, specs, 0, SLOTS);
    CHECK_EQ(try_open("xdp:wa", 0, 256), FP_E_BUSY);
    wire_exchange("beside a refused port", "sa", "sb", FEW_FRAMES, WINDOW);
    wire_appliance_close(&appliance);
}

static void wait_for_fault(const struct wire_appliance *appliance, uint32_t port) {
    while (wire_counters(appliance, port).sync_errors == 0) {
        (void)usleep(10000);
    }
}

/* Faults are counted, end nothing, and pass with their cause. */
static void link_goes_down_and_up(void) {
    struct wire_appliance appliance;
    wire_appliance_open(&appliance, specs, 0, SLOTS);
    shell("ip link set wa down");
    wait_for_fault(&appliance, 0);
    shell("ip link set wa up");
    (void)usleep(300000); /* the port rests a while after a fault */
    wire_exchange("after link down and up", "sa", "sb", FEW_FRAMES, WINDOW);
    wire_appliance_close(&appliance);
}

static void wait_for_state(const struct wire_appliance *appliance, uint32_t port, enum fp_port_state wanted) {
    while (wire_health(appliance, port).state != wanted) {
        (void)usleep(1000);
    }
}

static void interfaces_are_removed(void) {
    struct wire_appliance appliance;
    struct fp_worker_snapshot before;
    struct fp_worker_snapshot after;
    wire_appliance_open(&appliance, specs, 0, SLOTS);
    shell("ip link del wa && ip link del wb");
    wait_for_state(&appliance, 0, FP_PORT_IS_GONE);
    wait_for_state(&appliance, 1, FP_PORT_IS_GONE);
    wait_for_fault(&appliance, 0);
    CHECK_EQ(fp_state_read_worker(appliance.state, &before), 0);
    (void)usleep(500000);
    CHECK_EQ(fp_state_read_worker(appliance.state, &after), 0);
    CHECK(after.heartbeat_ns > before.heartbeat_ns);
    CHECK(after.loops - before.loops < 1000); /* it sleeps, it does not spin */
    wire_appliance_close(&appliance);
    links_make();
}

static void wait_for_return(const struct wire_appliance *appliance, uint32_t port, uint64_t times) {
    while (wire_health(appliance, port).reopened < times || wire_health(appliance, port).state != FP_PORT_IS_UP) {
        (void)usleep(1000);
    }
    (void)usleep(50000); /* the loop takes it at its next turn */
}

/* Ports return with their interfaces, as often as these come and go. Closing checks that no buffer was lost. */
static void interfaces_come_back(void) {
    struct wire_appliance appliance;
    wire_appliance_open(&appliance, specs, 0, SLOTS);
    for (uint32_t times = 1; times <= 4; times++) {
        wire_exchange("before the interfaces vanish", "sa", "sb", FEW_FRAMES / 4, WINDOW);
        shell("ip link del wa && ip link del wb");
        wait_for_state(&appliance, 0, FP_PORT_IS_GONE);
        wait_for_state(&appliance, 1, FP_PORT_IS_GONE);
        links_make();
        wait_for_return(&appliance, 0, times);
        wait_for_return(&appliance, 1, times);
    }
    wire_exchange("after the interfaces came back", "sa", "sb", FEW_FRAMES, WINDOW);
    CHECK_EQ(wire_health(&appliance, 0).outages, 4);
    CHECK_EQ(wire_health(&appliance, 0).error, 0);
    CHECK_EQ(wire_counters(&appliance, 0).forwarded_frames, 2 * FEW_FRAMES);
    CHECK_EQ(wire_counters(&appliance, 1).swapped_frames, 2 * FEW_FRAMES);
    wire_appliance_close(&appliance);
    shell("! ip link show wa | grep -q xdp");
}

/* A port that comes back with more queues than its buffers are for says so, and returns when it fits again. */
static void a_port_that_does_not_fit_waits(void) {
    struct wire_appliance appliance;
    wire_appliance_open(&appliance, specs, 0, SLOTS);
    shell("ip link del wa");
    shell("ip link add sa numtxqueues 3 numrxqueues 3 type veth peer name wa numtxqueues 3 numrxqueues 3");
    shell("for i in sa wa; do ip link set $i up; done");
    wait_for_state(&appliance, 0, FP_PORT_IS_REOPENING);
    while (wire_health(&appliance, 0).error != FP_E_REGION) {
        (void)usleep(1000);
    }
    shell("ip link del wa && ip link add sa type veth peer name wa && ip link set sa up && ip link set wa up");
    wait_for_return(&appliance, 0, 1);
    CHECK_EQ(wire_health(&appliance, 1).outages, 0);
    wire_exchange("after a port did not fit", "sa", "sb", FEW_FRAMES, WINDOW);
    wire_appliance_close(&appliance);
}

static void a_carrier_is_lost(void) {
    struct wire_appliance appliance;
    wire_appliance_open(&appliance, specs, 0, SLOTS);
    shell("ip link set sa down");
    wait_for_state(&appliance, 0, FP_PORT_IS_NO_LINK);
    CHECK_EQ(wire_health(&appliance, 1).state, FP_PORT_IS_UP);
    shell("ip link set sa up");
    wait_for_state(&appliance, 0, FP_PORT_IS_UP);
    CHECK_EQ(wire_health(&appliance, 0).reopened, 0);
    CHECK_EQ(wire_health(&appliance, 0).outages, 1);
    wire_exchange("after a lost carrier", "sa", "sb", FEW_FRAMES, WINDOW);
    wire_appliance_close(&appliance);
}

/* A frame that would not fit a buffer is no silent loss. */
static void long_frames_are_refused(void) {
    shell("ip link set wa mtu 1766");
    CHECK_EQ(try_open("xdp:wa", 0, 256), 0);
    shell("ip link set wa mtu 1767");
    CHECK_EQ(try_open("xdp:wa", 0, 256), FP_E_MTU);
    shell("ip link set wa mtu 1500");
}

/* All queues of an interface are one port; frames of a flow keep their order. */
static void several_queues(void) {
    static const char *const wide[2] = {"xdp:wc", "xdp:wd"};
    struct fp_port_config config = {.spec = "xdp:wc", .ring_slots = SLOTS};
    struct wire_appliance appliance;
    shell("ip link add sc numtxqueues 3 numrxqueues 3 type veth peer name wc numtxqueues 3 numrxqueues 3");
    shell("ip link add wd numtxqueues 2 numrxqueues 2 type veth peer name sd numtxqueues 2 numrxqueues 2");
    shell("for i in sc wc wd sd; do ip link set $i up; done");
    CHECK_EQ(fp_port_plan_buffers(&config), 3 * 2 * SLOTS);
    wire_appliance_open(&appliance, wide, 0, SLOTS);
    CHECK_EQ(wire_info(&appliance, 0).rx_rings, 3);
    CHECK_EQ(wire_info(&appliance, 1).tx_rings, 2);
    wire_exchange("several queues", "sc", "sd", FEW_FRAMES, WINDOW);
    wire_appliance_close(&appliance);
    CHECK_EQ(try_open("xdp:wc-2", 0, 128), 0);
}

static void forward(uint32_t flags, enum fp_adapter adapter, const char *mode) {
    struct wire_appliance appliance;
    wire_appliance_open(&appliance, specs, flags, SLOTS);
    CHECK_EQ(wire_info(&appliance, 1).adapter, adapter);
    CHECK_EQ(wire_info(&appliance, 1).kind, FP_PORT_XDP);
    wire_exchange(mode, "sa", "sb", FRAMES, WINDOW);
    CHECK_EQ(wire_counters(&appliance, 0).forwarded_frames, FRAMES);
    CHECK_EQ(wire_counters(&appliance, 1).swapped_frames, FRAMES);
    CHECK_EQ(wire_counters(&appliance, 1).copied_frames, 0);
    CHECK_EQ(wire_counters(&appliance, 1).tx_full_frames, 0);
    wire_appliance_close(&appliance);
    shell("! ip link show wa | grep -q xdp"); /* nothing of us stays behind */
}

static void native_hook(void) { forward(0, FP_ADAPTER_XDP_COPY, "driver hook, copy"); }

static void generic_hook(void) { forward(FP_OPEN_XDP_GENERIC, FP_ADAPTER_XDP_GENERIC, "generic hook, copy"); }

int main(void) {
    namespace_open();
    links_make();
    RUN(refusals);
    RUN(busy_queue);
    RUN(link_goes_down_and_up);
    RUN(interfaces_are_removed);
    RUN(interfaces_come_back);
    RUN(a_port_that_does_not_fit_waits);
    RUN(a_carrier_is_lost);
    RUN(long_frames_are_refused);
    RUN(several_queues);
    RUN(native_hook);
    RUN(generic_hook);
    return 0;
}
