/* SPDX-License-Identifier: Apache-2.0 */
#include "wire.h"
#include "check.h"
#include "region.h"
#include "rig.h"
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

const struct frame_shape media = {.group = 7, .udp_port = 6000, .payload_bytes = 1362};

static void *run_loop(void *argument) {
    const struct wire_appliance *appliance = argument;
    CHECK_EQ(fp_worker_run(appliance->worker), 0);
    return NULL;
}

static uint32_t buffers_for(const struct fp_port_config configs[2]) {
    uint32_t buffers = 1;
    for (unsigned i = 0; i < 2; i++) {
        int planned = fp_port_plan_buffers(&configs[i]);
        CHECK(planned >= 0);
        buffers += (uint32_t)planned;
    }
    return buffers;
}

void wire_appliance_open(struct wire_appliance *appliance, const char *const specs[2], uint32_t flags,
                         uint32_t ring_slots) {
    struct fp_port_config configs[2] = {0};
    for (unsigned i = 0; i < 2; i++) {
        configs[i].flags = flags;
        configs[i].ring_slots = ring_slots;
        (void)snprintf(configs[i].spec, sizeof configs[i].spec, "%s", specs[i]);
    }
    wire_appliance_open_as(appliance, configs, FP_WAIT_ADAPTIVE);
}

void wire_appliance_open_as(struct wire_appliance *appliance, const struct fp_port_config configs[2],
                            enum fp_wait wait) {
    struct fp_table *table = NULL;
    struct fp_route route = rig_route_of(&media, 0, 1 << 1, 0);
    uint8_t digest[FP_DIGEST_BYTES] = {0};
    (void)snprintf(appliance->path, sizeof appliance->path, "/dev/shm/fp-test-wire-%d", (int)getpid());
    CHECK_EQ(fp_state_create(appliance->path, &appliance->state), 0);
    CHECK_EQ(fp_worker_create(appliance->state, wait, &appliance->worker), 0);
    CHECK_EQ(fp_region_create(buffers_for(configs), 2048, &appliance->region), 0);
    for (unsigned i = 0; i < 2; i++) {
        CHECK_EQ(fp_port_open(&configs[i], appliance->region, &appliance->ports[i]), 0);
        CHECK_EQ(fp_worker_add_port(appliance->worker, appliance->ports[i], configs[i].spec), 0);
    }
    CHECK_EQ(fp_table_create(1, &table), 0);
    CHECK_EQ(fp_table_add(table, &route), 0);
    CHECK_EQ(fp_state_publish(appliance->state, table, 1, digest), 0);
    fp_table_destroy(table);
    CHECK_EQ(pthread_create(&appliance->loop, NULL, run_loop, appliance), 0);
}

/* Every buffer is back, once. */
static void region_check_whole(const struct fp_region *region) {
    uint8_t *seen = calloc(region->buffer_count, 1);
    CHECK(seen != NULL);
    CHECK_EQ(region->free_count, region->buffer_count);
    for (uint32_t i = 0; i < region->free_count; i++) {
        CHECK_EQ(seen[region->free_buffers[i]], 0);
        seen[region->free_buffers[i]] = 1;
    }
    free(seen);
}

void wire_appliance_close(struct wire_appliance *appliance) {
    fp_state_request_stop(appliance->state);
    CHECK_EQ(pthread_join(appliance->loop, NULL), 0);
    fp_worker_destroy(appliance->worker);
    for (unsigned i = 0; i < 2; i++) {
        fp_port_close(appliance->ports[i]);
    }
    region_check_whole(appliance->region);
    fp_region_destroy(appliance->region);
    fp_state_close(appliance->state);
    CHECK_EQ(unlink(appliance->path), 0);
}

struct fp_port_counters wire_counters(const struct wire_appliance *appliance, uint32_t port) {
    struct fp_port_counters counters;
    CHECK_EQ(fp_state_read_port(appliance->state, port, &counters), 0);
    return counters;
}

struct fp_port_health wire_health(const struct wire_appliance *appliance, uint32_t port) {
    struct fp_port_health health;
    CHECK_EQ(fp_state_read_port_health(appliance->state, port, &health), 0);
    return health;
}

struct fp_port_info wire_info(const struct wire_appliance *appliance, uint32_t port) {
    struct fp_port_info info;
    CHECK_EQ(fp_state_read_port_info(appliance->state, port, &info), 0);
    return info;
}

static int packet_socket(const char *interface) {
    struct timeval limit = {.tv_sec = 10};
    int room = 64 << 20;
    int index = (int)if_nametoindex(interface);
    struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL), .sll_ifindex = index};
    struct packet_mreq promiscuous = {.mr_ifindex = index, .mr_type = PACKET_MR_PROMISC};
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0);
    CHECK_EQ(setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room), 0);
    CHECK_EQ(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit), 0);
    CHECK_EQ(setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &promiscuous, sizeof promiscuous), 0);
    CHECK_EQ(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

/* The next frame of ours: the kernel talks on its interfaces too. */
static void receive_next(int receiver, const uint8_t *wanted, uint32_t length, uint32_t number) {
    uint8_t seen[FRAME_ROOM];
    uint32_t got_number = 0;
    ssize_t got = -1;
    do {
        got = recv(receiver, seen, sizeof seen, 0);
        CHECK(got > 0);
    } while (memcmp(seen, wanted, 12) != 0);
    CHECK_EQ(got, length);
    memcpy(&got_number, seen + length - sizeof got_number, sizeof got_number);
    CHECK_EQ(got_number, number);
    CHECK(memcmp(seen, wanted, length - sizeof got_number) == 0);
}

static double seconds(void) {
    struct timespec now;
    CHECK_EQ(clock_gettime(CLOCK_MONOTONIC, &now), 0);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

void wire_exchange(const char *what, const char *sender, const char *receiver, uint32_t frames, uint32_t window) {
    uint8_t frame[FRAME_ROOM];
    uint32_t length = frame_build(&media, frame);
    int from = packet_socket(sender);
    int to = packet_socket(receiver);
    uint32_t sent = 0;
    double start = seconds();
    for (uint32_t arrived = 0; arrived < frames; arrived++) {
        for (; sent < frames && sent < arrived + window; sent++) {
            memcpy(frame + length - sizeof sent, &sent, sizeof sent);
            CHECK_EQ(send(from, frame, length, 0), length);
        }
        receive_next(to, frame, length, arrived);
    }
    double took = seconds() - start;
    (void)printf("%s: %u frames of %u bytes in order, %.0f frames/s\n", what, frames, length, frames / took);
    close(from);
    close(to);
}

int wire_try_open(const char *spec, uint32_t flags, uint32_t ring_slots, uint32_t buffers) {
    struct fp_port_config config = {.flags = flags, .ring_slots = ring_slots};
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
