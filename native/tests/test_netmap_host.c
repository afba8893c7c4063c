/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host stack beside the media on a real netmap interface: ARP, ping and TCP, both ways, while media is forwarded.
 *
 *   test_netmap_host SENDER INGRESS EGRESS RECEIVER   (cabled SENDER ~ INGRESS and EGRESS ~ RECEIVER)
 *
 * SENDER and RECEIVER move into a network namespace of their own, the camera's. INGRESS has the host's address and a
 * netmap driver. Needs root and a loaded netmap.ko, skips loudly without.
 */
#include "check.h"
#include "rig.h"
#include "wire.h"
#include <arpa/inet.h>
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SKIPPED = 77, FRAMES = 20000, WINDOW = 100, PORT = 22, STREAM_BYTES = 1 << 20, CHUNK_BYTES = 4096 };

#define HOST "10.77.0.2"

struct host_appliance {
    struct fp_state *state;
    struct fp_worker *worker;
    struct fp_port *ports[3]; /* INGRESS, EGRESS, INGRESS^ */
    pthread_t loop;
};

static void shell(const char *command) {
    int status = system(command); /* NOLINT(cert-env33-c): fixed text, in a guest or namespaces of our own */
    if (status != 0) {
        (void)fprintf(stderr, "failed (%d): %s\n", WEXITSTATUS(status), command);
        exit(1);
    }
}

#define SHELL(...)                                            \
    do {                                                      \
        char command[256];                                    \
        (void)snprintf(command, sizeof command, __VA_ARGS__); \
        shell(command);                                       \
    } while (0)

/* A namespace, as long as the process lives that is returned. */
static pid_t camera_open(void) {
    int ready[2];
    char byte = 0;
    CHECK_EQ(pipe(ready), 0);
    pid_t camera = fork();
    if (camera == 0) {
        byte = unshare(CLONE_NEWNET) == 0;
        CHECK_EQ(write(ready[1], &byte, 1), 1);
        for (;;) {
            (void)pause();
        }
    }
    CHECK_EQ(read(ready[0], &byte, 1), 1);
    CHECK_EQ(byte, 1);
    return camera;
}

/* A process of the camera's namespace. Its exit status is 0 where all checks held. */
static pid_t camera_fork(pid_t camera) {
    pid_t child = fork();
    if (child == 0) {
        char path[64];
        (void)snprintf(path, sizeof path, "/proc/%d/ns/net", (int)camera);
        FILE *space = fopen(path, "re");
        CHECK(space != NULL);
        CHECK_EQ(setns(fileno(space), CLONE_NEWNET), 0);
        (void)fclose(space);
    }
    return child;
}

static void join(pid_t child) {
    int status = 0;
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
}

/* As appliance/host/knobs.py does: netmap drops host frames that wait for the NIC's checksum. */
static void offloads_off(const char *interface) {
    static const uint32_t commands[] = {ETHTOOL_STSO, ETHTOOL_SGSO, ETHTOOL_STXCSUM};
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    for (unsigned i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        struct ethtool_value value = {.cmd = commands[i]};
        struct ifreq request = {.ifr_data = (void *)&value};
        (void)snprintf(request.ifr_name, sizeof request.ifr_name, "%s", interface);
        CHECK_EQ(ioctl(fd, SIOCETHTOOL, &request), 0);
    }
    close(fd);
}

static void *loop_run(void *worker) {
    CHECK_EQ(fp_worker_run(worker), 0);
    return NULL;
}

static struct fp_port *port_open(const char *interface, const char *mark) {
    struct fp_port_config config = {0};
    struct fp_port *port = NULL;
    (void)snprintf(config.spec, sizeof config.spec, "netmap:%s%s", interface, mark);
    int result = fp_port_open(&config, NULL, &port);
    if (result == FP_E_NO_NETMAP) {
        (void)printf("SKIPPED: no netmap module is loaded\n");
        exit(SKIPPED);
    }
    CHECK_EQ(result, 0);
    return port;
}

static void appliance_open(struct host_appliance *appliance, const char *ingress, const char *egress) {
    static const char *const names[] = {"in", "out", "in^"};
    uint8_t digest[FP_DIGEST_BYTES] = {0};
    struct fp_table *table = NULL;
    struct fp_route route = rig_route_of(&media, 0, 1U << 1, 0);
    CHECK_EQ(fp_state_create("/dev/shm/netmap-host", &appliance->state), 0);
    CHECK_EQ(fp_worker_create(appliance->state, FP_WAIT_ADAPTIVE, &appliance->worker), 0);
    appliance->ports[0] = port_open(ingress, "");
    appliance->ports[1] = port_open(egress, "");
    appliance->ports[2] = port_open(ingress, "^");
    for (unsigned i = 0; i < 3; i++) {
        CHECK_EQ(fp_worker_add_port(appliance->worker, appliance->ports[i], names[i]), 0);
    }
    CHECK_EQ(fp_worker_pair_host(appliance->worker, 0, 2, FP_HOST_ANY, NULL), 0);
    CHECK_EQ(fp_table_create(1, &table), 0);
    CHECK_EQ(fp_table_add(table, &route), 0);
    CHECK_EQ(fp_state_publish(appliance->state, table, 1, digest), 0);
    fp_table_destroy(table);
    CHECK_EQ(pthread_create(&appliance->loop, NULL, loop_run, appliance->worker), 0);
}

static struct fp_port_counters counters_of(const struct host_appliance *appliance, uint32_t port) {
    struct fp_port_counters counters;
    CHECK_EQ(fp_state_read_port(appliance->state, port, &counters), 0);
    CHECK_EQ(counters.received_frames,
             counters.forwarded_frames + counters.merged_frames + counters.to_host_frames + rig_dropped(&counters));
    return counters;
}

static struct sockaddr_in address_of_host(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(PORT)};
    CHECK_EQ(inet_pton(AF_INET, HOST, &address.sin_addr), 1);
    return address;
}

/* What the camera sends comes back as it is. */
static void serve(int listening) {
    char chunk[CHUNK_BYTES];
    int session = accept(listening, NULL, NULL);
    CHECK(session >= 0);
    for (ssize_t got = 0; (got = read(session, chunk, sizeof chunk)) > 0;) {
        for (ssize_t sent = 0; sent < got;) {
            ssize_t now = write(session, chunk + sent, (size_t)(got - sent));
            CHECK(now > 0);
            sent += now;
        }
    }
    exit(0);
}

static void talk(void) {
    struct sockaddr_in address = address_of_host();
    uint8_t sent[CHUNK_BYTES];
    uint8_t back[CHUNK_BYTES];
    int session = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_EQ(connect(session, (struct sockaddr *)&address, sizeof address), 0);
    for (unsigned chunk = 0; chunk < STREAM_BYTES / CHUNK_BYTES; chunk++) {
        for (unsigned i = 0; i < CHUNK_BYTES; i++) {
            sent[i] = (uint8_t)(chunk + i * 7);
        }
        CHECK_EQ(write(session, sent, sizeof sent), CHUNK_BYTES);
        CHECK_EQ(recv(session, back, sizeof back, MSG_WAITALL), CHUNK_BYTES);
        CHECK_EQ(memcmp(sent, back, sizeof sent), 0);
    }
    exit(0);
}

static void tcp_crosses(pid_t camera) {
    struct sockaddr_in address = address_of_host();
    int listening = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_EQ(bind(listening, (struct sockaddr *)&address, sizeof address), 0);
    CHECK_EQ(listen(listening, 1), 0);
    pid_t server = fork();
    if (server == 0) {
        serve(listening);
    }
    close(listening);
    pid_t client = camera_fork(camera);
    if (client == 0) {
        talk();
    }
    join(client);
    join(server);
    (void)printf("tcp: %d bytes there and back\n", STREAM_BYTES);
}

static void check_accounts(const struct host_appliance *appliance) {
    struct fp_port_counters in = counters_of(appliance, 0);
    struct fp_port_counters host = counters_of(appliance, 2);
    CHECK_EQ(in.forwarded_frames, FRAMES);
    CHECK_EQ(counters_of(appliance, 1).transmitted_frames, FRAMES);
    CHECK_EQ(in.to_host_frames, host.transmitted_frames);
    CHECK_EQ(host.forwarded_frames, host.received_frames);
    CHECK_EQ(in.transmitted_frames, host.forwarded_frames);
    CHECK(in.to_host_frames > 20 + STREAM_BYTES / 1460);
    CHECK(host.forwarded_frames > 20 + STREAM_BYTES / 1460);
    CHECK_EQ(in.swapped_frames, in.transmitted_frames); /* zero-copy: one allocator */
    CHECK_EQ(host.swapped_frames, host.transmitted_frames);
    (void)printf("host: %llu frames in, %llu out, of %llu received\n", (unsigned long long)in.to_host_frames,
                 (unsigned long long)host.forwarded_frames, (unsigned long long)in.received_frames);
}

int main(int argc, char **argv) {
    struct host_appliance appliance;
    if (argc != 5 || geteuid() != 0) {
        (void)printf("SKIPPED: name SENDER INGRESS EGRESS RECEIVER as root, with netmap.ko loaded\n");
        return SKIPPED;
    }
    pid_t camera = camera_open();
    SHELL("ip addr add " HOST "/24 dev %s", argv[2]);
    offloads_off(argv[2]);
    for (unsigned i = 1; i < 5; i += 3) {
        SHELL("ip link set %s netns %d", argv[i], (int)camera);
        SHELL("nsenter -t %d -n ip link set %s up promisc on", (int)camera, argv[i]);
    }
    SHELL("nsenter -t %d -n ip addr add 10.77.0.1/24 dev %s", (int)camera, argv[1]);
    appliance_open(&appliance, argv[2], argv[3]);
    SHELL("nsenter -t %d -n ping -c 2 -w 30 " HOST, (int)camera); /* the links are up, ARP works */
    pid_t stream = camera_fork(camera);
    if (stream == 0) {
        wire_exchange("media beside the host's frames", argv[1], argv[4], FRAMES, WINDOW);
        exit(0);
    }
    SHELL("nsenter -t %d -n ping -c 20 -i 0.1 -s 1400 " HOST, (int)camera);
    tcp_crosses(camera);
    join(stream);
    fp_state_request_stop(appliance.state);
    CHECK_EQ(pthread_join(appliance.loop, NULL), 0);
    check_accounts(&appliance);
    fp_worker_destroy(appliance.worker);
    for (unsigned i = 0; i < 3; i++) {
        fp_port_close(appliance.ports[i]);
    }
    fp_state_close(appliance.state);
    CHECK_EQ(kill(camera, SIGKILL), 0);
    (void)printf("ok host_stack_beside_media\n");
    return 0;
}
