/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The true worker between two devices, without Python, for benchmarks of kernels and guests:
 *
 *   bench_wire [-w busy|poll|adaptive] [-c CPU] [-s RING_SLOTS] [-t SECONDS] [-n ROUTES] [-r] [-z] IN OUT
 *
 * Forwards UDP to 239.1.0.1 port 20000, and to ROUTES - 1 other groups, from IN to OUT until the time is over or
 * SIGTERM comes, then prints one line of JSON: the counters of both ports and the CPU time the loop took. With -n 0
 * whatever comes is forwarded, a cross-connect; with -r each frame leaves with other MAC addresses, another group and
 * another UDP port.
 */
#include "fastpath.h"
#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { UDP_PORT = 20000, MAX_ROUTES = 10000, FOREVER_S = 1 << 30 };

#define OTHER_GROUP 0x00100000U /* what -r adds to a group: 239.17.0.1 */

#define FIRST_GROUP 0xef010001U /* 239.1.0.1 */

struct options {
    const char *devices[2];
    enum fp_wait wait;
    int cpu; /* -1: any */
    uint32_t ring_slots;
    uint32_t seconds;
    uint32_t routes; /* 0: one that looks at the port only */
    uint32_t flags;
    uint32_t set; /* FP_SET_* of each route */
};

struct forwarder {
    struct fp_state *state;
    struct fp_region *region;
    struct fp_worker *worker;
    struct fp_port *ports[2];
    int cpu;
    double cpu_s;
    char path[64];
};

static void check(int result, const char *what) {
    if (result < 0) {
        (void)fprintf(stderr, "bench_wire: %s: %s (%s)\n", what, fp_error_text(result), strerror(errno));
        exit(1);
    }
}

static void address_write(uint8_t address[16], uint32_t ipv4) {
    uint32_t big_endian = htonl(ipv4);
    address[10] = 0xff;
    address[11] = 0xff;
    memcpy(address + 12, &big_endian, sizeof big_endian);
}

/* Whatever comes, as it came. */
static struct fp_route route_for_all(void) {
    struct fp_route route;
    memset(&route, 0, sizeof route);
    route.match.fields = FP_MATCH_PORT;
    route.outputs[0].port = 1;
    route.output_count = 1;
    return route;
}

static struct fp_route route_to(uint32_t group, uint32_t set) {
    static const uint8_t own_mac[] = {0x02, 0, 0, 0, 0, 1};
    struct fp_route route = route_for_all();
    struct fp_key *key = &route.match.key;
    address_write(key->destination, group);
    key->vlan = FP_VLAN_NONE;
    key->inner_vlan = FP_VLAN_NONE;
    key->udp_port = UDP_PORT;
    route.match.fields = FP_MATCH_PORT | FP_MATCH_VLAN | FP_MATCH_INNER_VLAN | FP_MATCH_UDP_PORT;
    route.match.destination_bits = 128;
    if (set != 0) {
        struct fp_rewrite *rewrite = &route.outputs[0].rewrite;
        uint32_t big_endian = htonl(group + OTHER_GROUP);
        rewrite->set = set;
        rewrite->udp_port = UDP_PORT + 1;
        address_write(rewrite->destination, group + OTHER_GROUP);
        memcpy(rewrite->source_mac, own_mac, sizeof own_mac);
        memcpy(rewrite->destination_mac + 2, &big_endian, sizeof big_endian); /* RFC 1112, 6.4 */
        rewrite->destination_mac[0] = 0x01;
        rewrite->destination_mac[2] = 0x5e;
        rewrite->destination_mac[3] &= 0x7f;
    }
    return route;
}

static void routes_publish(const struct forwarder *forwarder, const struct options *options) {
    uint8_t digest[FP_DIGEST_BYTES] = {0};
    uint32_t routes = options->routes > 0 ? options->routes : 1;
    struct fp_table *table = NULL;
    check(fp_table_create(routes, &table), "route table");
    for (uint32_t i = 0; i < routes; i++) {
        struct fp_route route = options->routes > 0 ? route_to(FIRST_GROUP + i, options->set) : route_for_all();
        route.counter = (uint16_t)i;
        check(fp_table_add(table, &route), "route");
    }
    check(fp_state_publish(forwarder->state, table, 1, digest), "publishing");
    fp_table_destroy(table);
}

static void ports_open(struct forwarder *forwarder, const struct options *options) {
    struct fp_port_config configs[2];
    uint32_t buffers = 1;
    for (unsigned i = 0; i < 2; i++) {
        configs[i] = (struct fp_port_config){.flags = options->flags, .ring_slots = options->ring_slots};
        (void)snprintf(configs[i].spec, sizeof configs[i].spec, "%s", options->devices[i]);
        int planned = fp_port_plan_buffers(&configs[i]);
        check(planned, options->devices[i]);
        buffers += (uint32_t)planned;
    }
    check(fp_region_create(buffers, 2048, &forwarder->region), "memory");
    for (unsigned i = 0; i < 2; i++) {
        check(fp_port_open(&configs[i], forwarder->region, &forwarder->ports[i]), options->devices[i]);
        check(fp_worker_add_port(forwarder->worker, forwarder->ports[i], options->devices[i]), options->devices[i]);
    }
}

static void *loop_run(void *argument) {
    struct forwarder *forwarder = argument;
    struct timespec spent;
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    if (forwarder->cpu >= 0) {
        CPU_SET((unsigned)forwarder->cpu, &cpus);
        check(pthread_setaffinity_np(pthread_self(), sizeof cpus, &cpus) == 0 ? 0 : FP_E_SYSTEM, "CPU");
    }
    check(fp_worker_run(forwarder->worker), "loop");
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &spent);
    forwarder->cpu_s = (double)spent.tv_sec + (double)spent.tv_nsec / 1e9;
    return NULL;
}

static void wait_for_end(uint32_t seconds) {
    struct timespec limit = {.tv_sec = (time_t)seconds};
    sigset_t ends;
    (void)sigemptyset(&ends);
    (void)sigaddset(&ends, SIGTERM);
    (void)sigaddset(&ends, SIGINT);
    while (sigtimedwait(&ends, NULL, &limit) < 0 && errno == EINTR) {
    }
}

static void report(const struct forwarder *forwarder) {
    struct fp_port_counters in;
    struct fp_port_counters out;
    check(fp_state_read_port(forwarder->state, 0, &in), "counters");
    check(fp_state_read_port(forwarder->state, 1, &out), "counters");
    (void)printf("{\"received_frames\": %llu, \"forwarded_frames\": %llu, \"missed_frames\": %llu, "
                 "\"transmitted_frames\": %llu, \"tx_full_frames\": %llu, \"swapped_frames\": %llu, "
                 "\"copied_frames\": %llu, \"bursts\": %llu, \"loop_cpu_s\": %.3f}\n",
                 (unsigned long long)in.received_frames, (unsigned long long)in.forwarded_frames,
                 (unsigned long long)in.missed_frames, (unsigned long long)out.transmitted_frames,
                 (unsigned long long)out.tx_full_frames, (unsigned long long)out.swapped_frames,
                 (unsigned long long)out.copied_frames, (unsigned long long)in.bursts, forwarder->cpu_s);
}

static uint32_t number(const char *text, uint32_t least, uint32_t most) {
    char *end = NULL;
    unsigned long value = strtoul(text, &end, 10);
    if (*text == '\0' || *end != '\0' || value < least || value > most) {
        (void)fprintf(stderr, "bench_wire: %s is not a number of %u to %u\n", text, least, most);
        exit(2);
    }
    return (uint32_t)value;
}

static void options_parse(int argc, char **argv, struct options *out) {
    int option;
    *out = (struct options){.wait = FP_WAIT_ADAPTIVE, .cpu = -1, .seconds = FOREVER_S, .routes = 1};
    while ((option = getopt(argc, argv, "w:c:s:t:n:rz")) >= 0) { /* NOLINT(concurrency-mt-unsafe): one thread yet */
        if (option == 'w') {
            out->wait = strcmp(optarg, "busy") == 0   ? FP_WAIT_BUSY
                        : strcmp(optarg, "poll") == 0 ? FP_WAIT_POLL
                                                      : FP_WAIT_ADAPTIVE;
        } else if (option == 'c') {
            out->cpu = (int)number(optarg, 0, CPU_SETSIZE - 1);
        } else if (option == 's') {
            out->ring_slots = number(optarg, 2, 65536);
        } else if (option == 't') {
            out->seconds = number(optarg, 1, FOREVER_S);
        } else if (option == 'n') {
            out->routes = number(optarg, 0, MAX_ROUTES);
        } else if (option == 'r') {
            out->set = FP_SET_SOURCE_MAC | FP_SET_DESTINATION_MAC | FP_SET_DESTINATION | FP_SET_UDP_PORT;
        } else if (option == 'z') {
            out->flags |= FP_OPEN_XDP_ZEROCOPY;
        } else {
            exit(2);
        }
    }
    if (argc - optind != 2) {
        (void)fprintf(stderr, "bench_wire: two devices are wanted: IN OUT\n");
        exit(2);
    }
    out->devices[0] = argv[optind];
    out->devices[1] = argv[optind + 1];
}

int main(int argc, char **argv) {
    struct options options;
    struct forwarder forwarder = {0};
    pthread_t loop;
    sigset_t ends;
    options_parse(argc, argv, &options);
    (void)sigemptyset(&ends);
    (void)sigaddset(&ends, SIGTERM);
    (void)sigaddset(&ends, SIGINT);
    (void)pthread_sigmask(SIG_BLOCK, &ends, NULL);
    forwarder.cpu = options.cpu;
    (void)snprintf(forwarder.path, sizeof forwarder.path, "/dev/shm/fp-bench-wire-%d", (int)getpid());
    check(fp_state_create(forwarder.path, &forwarder.state), forwarder.path);
    check(fp_worker_create(forwarder.state, options.wait, &forwarder.worker), "worker");
    ports_open(&forwarder, &options);
    routes_publish(&forwarder, &options);
    check(pthread_create(&loop, NULL, loop_run, &forwarder) == 0 ? 0 : FP_E_SYSTEM, "thread");
    (void)fprintf(stderr, "forwarding %s to %s\n", options.devices[0], options.devices[1]);
    wait_for_end(options.seconds);
    fp_state_request_stop(forwarder.state);
    (void)pthread_join(loop, NULL);
    report(&forwarder);
    fp_worker_destroy(forwarder.worker);
    fp_port_close(forwarder.ports[0]);
    fp_port_close(forwarder.ports[1]);
    fp_region_destroy(forwarder.region);
    fp_state_close(forwarder.state);
    return unlink(forwarder.path) == 0 ? 0 : 1;
}
