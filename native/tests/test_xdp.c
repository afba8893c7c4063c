/* SPDX-License-Identifier: Apache-2.0 */
/*
 * xdp: ports on veth, in a network namespace of this process: every frame sent arrives once, in order, byte for byte.
 * Needs root (CAP_NET_ADMIN, CAP_SYS_ADMIN, CAP_BPF) and iproute2; skips loudly without.
 *
 *   sender (AF_PACKET) sa ~ wa [worker] wb ~ sb receiver (AF_PACKET)
 */
#include "check.h"
#include "frame_builder.h"
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { SKIPPED = 77, FRAMES = 120000, FEW_FRAMES = 20000, WINDOW = 256, SLOTS = 1024, PAYLOAD = 1362 };

static const struct frame_shape media = {.group = 7, .udp_port = 6000, .payload_bytes = PAYLOAD};

struct appliance {
    struct fp_state *state;
    struct fp_region *region;
    struct fp_worker *worker;
    struct fp_port *ports[2];
    pthread_t loop;
    char path[64];
};

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

static int packet_socket(const char *interface) {
    struct timeval limit = {.tv_sec = 10};
    int room = 64 << 20;
    struct sockaddr_ll address = {
        .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL), .sll_ifindex = (int)if_nametoindex(interface)};
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0);
    CHECK_EQ(setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room), 0);
    CHECK_EQ(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit), 0);
    CHECK_EQ(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static void *run_loop(void *argument) {
    struct appliance *appliance = argument;
    CHECK_EQ(fp_worker_run(appliance->worker), 0);
    return NULL;
}

static void appliance_open(struct appliance *appliance, uint32_t flags) {
    static const char *const specs[2] = {"xdp:wa", "xdp:wb"};
    struct fp_table *table = NULL;
    struct fp_route route = {.key = frame_key(&media), .outputs = {1}, .output_count = 1};
    uint8_t digest[FP_DIGEST_BYTES] = {0};
    (void)snprintf(appliance->path, sizeof appliance->path, "/dev/shm/fp-test-xdp-%d", (int)getpid());
    CHECK_EQ(fp_state_create(appliance->path, &appliance->state), 0);
    CHECK_EQ(fp_worker_create(appliance->state, FP_WAIT_ADAPTIVE, &appliance->worker), 0);
    CHECK_EQ(fp_region_create(4 * SLOTS, 2048, &appliance->region), 0);
    for (unsigned i = 0; i < 2; i++) {
        struct fp_port_config config = {.flags = flags, .ring_slots = SLOTS};
        (void)snprintf(config.spec, sizeof config.spec, "%s", specs[i]);
        CHECK_EQ(fp_port_plan_buffers(&config), 2 * SLOTS);
        CHECK_EQ(fp_port_open(&config, appliance->region, &appliance->ports[i]), 0);
        CHECK_EQ(fp_worker_add_port(appliance->worker, appliance->ports[i], specs[i]), 0);
    }
    CHECK_EQ(fp_table_create(1, &table), 0);
    CHECK_EQ(fp_table_add(table, &route), 0);
    CHECK_EQ(fp_state_publish(appliance->state, table, 1, digest), 0);
    fp_table_destroy(table);
    CHECK_EQ(pthread_create(&appliance->loop, NULL, run_loop, appliance), 0);
}

static void appliance_close(struct appliance *appliance) {
    fp_state_request_stop(appliance->state);
    CHECK_EQ(pthread_join(appliance->loop, NULL), 0);
    fp_worker_destroy(appliance->worker);
    for (unsigned i = 0; i < 2; i++) {
        fp_port_close(appliance->ports[i]);
    }
    fp_region_destroy(appliance->region);
    fp_state_close(appliance->state);
    CHECK_EQ(unlink(appliance->path), 0);
}

static double seconds(void) {
    struct timespec now;
    CHECK_EQ(clock_gettime(CLOCK_MONOTONIC, &now), 0);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static uint32_t number_of(const uint8_t *frame, uint32_t length) {
    uint32_t number = 0;
    memcpy(&number, frame + length - sizeof number, sizeof number);
    return number;
}

/* Sends at most WINDOW frames ahead of what arrived: any loss is then the appliance's. */
static void exchange(const char *mode, uint32_t frames) {
    uint8_t frame[FRAME_ROOM];
    uint8_t seen[FRAME_ROOM];
    uint32_t length = frame_build(&media, frame);
    int sender = packet_socket("sa");
    int receiver = packet_socket("sb");
    uint32_t sent = 0;
    double start = seconds();
    for (uint32_t arrived = 0; arrived < frames; arrived++) {
        for (; sent < frames && sent < arrived + WINDOW; sent++) {
            memcpy(frame + length - sizeof sent, &sent, sizeof sent);
            CHECK_EQ(send(sender, frame, length, 0), length);
        }
        ssize_t got = -1;
        do {
            got = recv(receiver, seen, sizeof seen, 0);
            CHECK(got > 0);
        } while (memcmp(seen, frame, 12) != 0); /* the kernel's own neighbour discovery */
        CHECK_EQ(got, length);
        CHECK_EQ(number_of(seen, length), arrived);
        CHECK(memcmp(seen, frame, length - sizeof sent) == 0);
    }
    double took = seconds() - start;
    (void)printf("%s: %u frames of %u bytes in order, %.0f frames/s\n", mode, frames, length, frames / took);
    close(sender);
    close(receiver);
}

static int open_one(const char *spec, uint32_t flags, uint32_t buffers) {
    struct fp_port_config config = {.flags = flags, .ring_slots = 64};
    struct fp_region *region = NULL;
    struct fp_port *port = NULL;
    (void)snprintf(config.spec, sizeof config.spec, "%s", spec);
    CHECK_EQ(fp_region_create(buffers, 2048, &region), 0);
    int result = fp_port_open(&config, region, &port);
    int saved = errno;
    fp_port_close(port);
    fp_region_destroy(region);
    errno = saved;
    return result;
}

static void forward(uint32_t flags, enum fp_adapter adapter, const char *mode) {
    struct appliance appliance;
    struct fp_port_info info;
    struct fp_port_counters in;
    struct fp_port_counters out;
    appliance_open(&appliance, flags);
    exchange(mode, FRAMES);
    CHECK_EQ(fp_state_read_port_info(appliance.state, 1, &info), 0);
    CHECK_EQ(info.adapter, adapter);
    CHECK_EQ(info.kind, FP_PORT_XDP);
    CHECK_EQ(fp_state_read_port(appliance.state, 0, &in), 0);
    CHECK_EQ(fp_state_read_port(appliance.state, 1, &out), 0);
    CHECK_EQ(in.forwarded_frames, FRAMES);
    CHECK_EQ(out.swapped_frames, FRAMES);
    CHECK_EQ(out.tx_full_frames, 0);
    appliance_close(&appliance);
    shell("! ip link show wa | grep -q xdp"); /* nothing of us stays behind */
}

/* A second port on the queue is refused, and the first one keeps it. */
static void busy_queue(void) {
    struct appliance appliance;
    appliance_open(&appliance, 0);
    CHECK_EQ(open_one("xdp:wa", 0, 256), FP_E_BUSY);
    exchange("beside a refused port", FEW_FRAMES);
    appliance_close(&appliance);
}

static void wait_for_fault(const struct appliance *appliance, uint32_t port) {
    struct fp_port_counters counters;
    do {
        (void)usleep(10000);
        CHECK_EQ(fp_state_read_port(appliance->state, port, &counters), 0);
    } while (counters.sync_errors == 0);
}

/* Faults are counted, end nothing, and pass with their cause. */
static void link_goes_down_and_up(void) {
    struct appliance appliance;
    appliance_open(&appliance, 0);
    shell("ip link set wa down");
    wait_for_fault(&appliance, 0);
    shell("ip link set wa up");
    (void)usleep(300000); /* the port rests a while after a fault */
    exchange("after link down and up", FEW_FRAMES);
    appliance_close(&appliance);
}

static void interface_is_removed(void) {
    struct appliance appliance;
    struct fp_worker_snapshot before;
    struct fp_worker_snapshot after;
    appliance_open(&appliance, 0);
    shell("ip link del wa && ip link del wb");
    wait_for_fault(&appliance, 0);
    wait_for_fault(&appliance, 1);
    CHECK_EQ(fp_state_read_worker(appliance.state, &before), 0);
    (void)usleep(500000);
    CHECK_EQ(fp_state_read_worker(appliance.state, &after), 0);
    CHECK(after.heartbeat_ns > before.heartbeat_ns);
    CHECK(after.loops - before.loops < 1000); /* it sleeps, it does not spin */
    appliance_close(&appliance);
    links_make();
}

static void native_hook(void) { forward(0, FP_ADAPTER_XDP_COPY, "driver hook, copy"); }

static void generic_hook(void) { forward(FP_OPEN_XDP_GENERIC, FP_ADAPTER_XDP_GENERIC, "generic hook, copy"); }

static void refusals(void) {
    CHECK_EQ(open_one("xdp:nowhere", 0, 256), FP_E_NO_DEVICE);
    CHECK_EQ(open_one("xdp:wa", FP_OPEN_XDP_ZEROCOPY, 256), FP_E_UNSUPPORTED); /* no silent copy */
    CHECK_EQ(open_one("xdp:lo", 0, 256), FP_E_SYSTEM);                         /* down */
    CHECK_EQ(errno, ENETDOWN);
    CHECK_EQ(open_one("xdp:wa", 0, 100), FP_E_REGION);
    CHECK_EQ(open_one("xdp:wa-9", 0, 256), FP_E_SYSTEM); /* there is no queue 9 */
    shell("ip link set lo up");
    CHECK_EQ(open_one("xdp:lo", 0, 256), FP_E_UNSUPPORTED); /* no driver hook, no silent generic one */
    for (unsigned i = 0; i < 5; i++) {                      /* open again at once */
        CHECK_EQ(open_one("xdp:wa-0", 0, 256), 0);
    }
}

int main(void) {
    namespace_open();
    links_make();
    RUN(refusals);
    RUN(busy_queue);
    RUN(link_goes_down_and_up);
    RUN(interface_is_removed);
    RUN(native_hook);
    RUN(generic_hook);
    return 0;
}
