/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Busy poll of xdp: ports, on veth (whose queues have a NAPI instance each as long as XDP is on), in a network
 * namespace of this process: what is asked for is set, the queue is polled by us and nobody else, and a kernel that
 * does not know it is told. Needs root and iproute2; skips loudly without.
 */
#include "check.h"
#include "port.h"
#include "wire.h"
#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <linux/seccomp.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <sched.h>
#include <stddef.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SKIPPED = 77, FRAMES = 50000, WINDOW = 256, SLOTS = 1024, TRIES = 10 };

static struct fp_port_config config_of(const char *spec, uint32_t busy_poll_us) {
    struct fp_port_config config = {
        .ring_slots = SLOTS, .busy_poll_us = busy_poll_us, .busy_poll_frames = busy_poll_us != 0 ? 64 : 0};
    (void)snprintf(config.spec, sizeof config.spec, "%s", spec);
    return config;
}

static void shell(const char *command) { CHECK_EQ(system(command), 0); /* NOLINT(cert-env33-c): fixed text */ }

static void links_make(void) {
    shell("ip link add sa type veth peer name wa && ip link add wb type veth peer name sb");
    shell("for i in sa wa wb sb; do ip link set $i up; done");
    /* So long that within a test nobody but us polls a queue that we have polled. */
    shell("for i in wa wb; do echo 2 >/sys/class/net/$i/napi_defer_hard_irqs; done");
    shell("for i in wa wb; do echo 2000000000 >/sys/class/net/$i/gro_flush_timeout; done");
}

static void check_options(const struct fp_port *port) {
    struct pollfd fds[FP_MAX_RINGS];
    uint32_t count = port->ops->poll_fds(port, fds);
    CHECK(count > 0);
    for (uint32_t i = 0; i < count; i++) {
        int value = 0;
        socklen_t size = sizeof value;
        CHECK_EQ(getsockopt(fds[i].fd, SOL_SOCKET, SO_PREFER_BUSY_POLL, &value, &size), 0);
        CHECK_EQ(value, 1);
        CHECK_EQ(getsockopt(fds[i].fd, SOL_SOCKET, SO_BUSY_POLL, &value, &size), 0);
        CHECK_EQ(value, 20);
    }
}

static void frames_arrive(void) {
    const struct fp_port_config configs[2] = {config_of("xdp:wa", 20), config_of("xdp:wb", 20)};
    struct wire_appliance appliance;
    wire_appliance_open_as(&appliance, configs, FP_WAIT_BUSY);
    for (unsigned i = 0; i < 2; i++) {
        CHECK_EQ(wire_info(&appliance, i).sync, FP_SYNC_BUSY_POLL);
        CHECK_EQ(wire_info(&appliance, i).busy_poll_us, 20);
        check_options(appliance.ports[i]);
    }
    wire_exchange("busy poll", "sa", "sb", FRAMES, WINDOW);
    CHECK_EQ(wire_counters(&appliance, 0).forwarded_frames, FRAMES);
    CHECK_EQ(wire_counters(&appliance, 1).swapped_frames, FRAMES);
    CHECK_EQ(wire_counters(&appliance, 0).sync_errors, 0);
    wire_appliance_close(&appliance);
}

static void frame_send(const char *interface) {
    uint8_t frame[FRAME_ROOM];
    uint32_t length = frame_build(&media, frame);
    struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex(interface)};
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    CHECK_EQ(sendto(fd, frame, length, 0, (struct sockaddr *)&address, sizeof address), length);
    close(fd);
}

static uint32_t frames_take(struct fp_port *port) {
    const struct fp_ring *ring = &port->rx[0];
    CHECK_EQ(port->ops->rx_sync(port), 0);
    uint32_t frames = fp_ring_space(ring);
    fp_ring_advance(ring, ring->shared->tail);
    return frames;
}

static bool is_readable(const struct fp_port *port) {
    struct pollfd fd;
    CHECK_EQ(port->ops->poll_fds(port, &fd), 1);
    return poll(&fd, 1, 50) > 0;
}

/*
 * Whether a frame stays in the interface's queue until we poll: sent behind a poll of ours, the socket does not have it
 * after a while, and the next call brings it. The kernel may take the queue back in between, so that one time of ten
 * proves it; without busy poll it happens never.
 */
static unsigned count_polled_by_us(uint32_t busy_poll_us) {
    struct fp_port_config config = config_of("xdp:wa", busy_poll_us);
    struct fp_region *region = NULL;
    struct fp_port *port = NULL;
    unsigned ours = 0;
    CHECK_EQ(fp_region_create(4 * SLOTS, 2048, &region), 0);
    CHECK_EQ(fp_port_open(&config, region, &port), 0);
    for (unsigned i = 0; i < TRIES; i++) {
        frame_send("sa"); /* the first frame tells the socket its queue */
        while (frames_take(port) == 0) {
        }
        (void)frames_take(port);
        frame_send("sa");
        bool waits = !is_readable(port);
        uint32_t frames = frames_take(port);
        ours += waits && frames > 0;
        while (frames == 0) {
            frames = frames_take(port);
        }
    }
    fp_port_close(port);
    fp_region_destroy(region);
    return ours;
}

static void queues_are_polled_by_us(void) {
    CHECK(count_polled_by_us(20) > 0);
    CHECK_EQ(count_polled_by_us(0), 0);
}

static int try_open(struct fp_port_config config) {
    struct fp_region *region = NULL;
    struct fp_port *port = NULL;
    CHECK_EQ(fp_region_create(4 * SLOTS, 2048, &region), 0);
    int result = fp_port_open(&config, region, &port);
    fp_port_close(port);
    fp_region_destroy(region);
    return result;
}

/* Since Linux 6.13 the driver has to say which NAPI instance a queue has, and veth does not. */
static bool veth_can_be_polled(void) {
    struct utsname system;
    unsigned major = 0;
    unsigned minor = 0;
    CHECK_EQ(uname(&system), 0);
    CHECK_EQ(sscanf(system.release, "%u.%u", &major, &minor), 2); /* NOLINT(cert-err34-c) */
    return major < 6 || (major == 6 && minor < 13);
}

static void a_queue_nobody_would_poll_is_refused(void) {
    CHECK_EQ(try_open(config_of("xdp:wa", 20)), FP_E_NO_BUSY_POLL);
    CHECK_EQ(try_open(config_of("xdp:wa", 0)), 0); /* nothing of the refused one is left */
    shell("! ip link show wb | grep -q xdp");
}

static void refusals(void) {
    struct fp_port_config config = config_of("xdp:wa", 20);
    config.busy_poll_frames = 0;
    CHECK_EQ(try_open(config), FP_E_INVALID);
    config.busy_poll_frames = 65536;
    CHECK_EQ(try_open(config), FP_E_INVALID);
    CHECK_EQ(try_open(config_of("memory:a", 20)), FP_E_INVALID);
}

/* As a kernel before 5.11 answers. */
static void prefer_busy_poll_unknown(void) {
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_setsockopt, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SO_PREFER_BUSY_POLL, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOPROTOOPT),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof code / sizeof code[0], .filter = code};
    CHECK_EQ(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    CHECK_EQ(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

static void a_kernel_without_it_is_told(void) {
    int status = 1;
    (void)fflush(stdout);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        prefer_busy_poll_unknown();
        CHECK_EQ(try_open(config_of("xdp:wa", 20)), FP_E_NO_BUSY_POLL);
        CHECK_EQ(try_open(config_of("xdp:wa", 0)), 0);
        _exit(0);
    }
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
}

static void namespace_open(void) {
    if (geteuid() != 0 || unshare(CLONE_NEWNET | CLONE_NEWNS) != 0 ||
        system("command -v ip >/dev/null") != 0) { /* NOLINT(cert-env33-c) */
        (void)printf("SKIPPED: no new network namespace can be made; run as root with iproute2 to test busy poll\n");
        exit(SKIPPED);
    }
    /* /sys shows the interfaces of the namespace it was mounted in. */
    CHECK_EQ(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
    CHECK_EQ(mount("sysfs", "/sys", "sysfs", 0, NULL), 0);
}

int main(void) {
    namespace_open();
    links_make();
    RUN(refusals);
    RUN(a_kernel_without_it_is_told);
    if (veth_can_be_polled()) {
        RUN(frames_arrive);
        RUN(queues_are_polled_by_us);
    } else {
        RUN(a_queue_nobody_would_poll_is_refused);
        (void)printf(
            "SKIPPED: frames by busy poll; this kernel's veth does not say which NAPI instance its queues have, "
            "run on Linux 5.11 to 6.12 to test them\n");
    }
    return 0;
}
