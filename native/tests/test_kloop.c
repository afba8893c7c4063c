/* SPDX-License-Identifier: Apache-2.0 */
/*
 * netmap: ports that the kernel's sync loop syncs, with the real module: frames, what ends the loop, and what brings a
 * port back. Needs root and a loaded netmap.ko, skips loudly without. Interfaces as test_netmap:
 *
 *   test_kloop SENDER INGRESS EGRESS RECEIVER     with e1000 for INGRESS
 *   test_kloop refused                            netmap.ko without the correction netmap-kloop-signal
 */
#include "check.h"
#include "pipe_ends.h"
#include "port.h"
#include "wire.h"
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SKIPPED = 77, FRAMES = 50000, FEW_FRAMES = 10000, WINDOW = 64, PAUSE_US = 10000, TRIES = 6000 };

static void shell(const char *command) { CHECK_EQ(system(command), 0); /* NOLINT(cert-env33-c): in a guest */ }

static struct fp_port_config config_of(const char *spec) {
    struct fp_port_config config = {.flags = FP_OPEN_NETMAP_KLOOP};
    (void)snprintf(config.spec, sizeof config.spec, "%s", spec);
    return config;
}

static void appliance_open(struct wire_appliance *appliance, const char *ingress, const char *egress) {
    const struct fp_port_config configs[2] = {config_of(ingress), config_of(egress)};
    wire_appliance_open_as(appliance, configs, FP_WAIT_BUSY);
    CHECK_EQ(wire_info(appliance, 0).sync, FP_SYNC_KLOOP);
    CHECK_EQ(wire_info(appliance, 1).sync, FP_SYNC_KLOOP);
}

/* Children of `parent`, its loops; the pid of the last in *out. */
static unsigned count_children(pid_t parent, pid_t *out) {
    unsigned count = 0;
    DIR *folder = opendir("/proc");
    CHECK(folder != NULL);
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        char path[300];
        int of = 0;
        (void)snprintf(path, sizeof path, "/proc/%s/stat", entry->d_name);
        FILE *file = entry->d_name[0] >= '1' && entry->d_name[0] <= '9' ? fopen(path, "r") : NULL;
        if (file != NULL && fscanf(file, "%*d (%*[^)]) %*c %d", &of) == 1 && of == parent) { /* NOLINT(cert-err34-c) */
            *out = (pid_t)strtol(entry->d_name, NULL, 10);
            count++;
        }
        if (file != NULL) {
            (void)fclose(file);
        }
    }
    (void)closedir(folder);
    return count;
}

static void pipes(void) {
    struct wire_appliance appliance;
    pid_t loop = 0;
    for (unsigned times = 0; times < 3; times++) { /* a port is opened, closed and opened again */
        appliance_open(&appliance, "netmap:fpk}1", "netmap:fpk{2");
        CHECK_EQ(count_children(getpid(), &loop), 2);
        pipe_exchange("pipes by kloop", "netmap:fpk{1", "netmap:fpk}2", FRAMES, WINDOW);
        CHECK_EQ(wire_counters(&appliance, 0).received_frames, FRAMES);
        CHECK_EQ(wire_counters(&appliance, 0).forwarded_frames, FRAMES);
        CHECK_EQ(wire_counters(&appliance, 1).offered_frames, FRAMES);
        CHECK_EQ(wire_counters(&appliance, 1).swapped_frames, FRAMES);
        CHECK_EQ(wire_counters(&appliance, 0).sync_errors, 0);
        wire_appliance_close(&appliance);
        CHECK_EQ(count_children(getpid(), &loop), 0);
    }
}

static int try_open(const char *spec) {
    struct fp_port_config config = config_of(spec);
    struct fp_port *port = NULL;
    int result = fp_port_open(&config, NULL, &port);
    fp_port_close(port);
    return result;
}

static void refusals(void) {
    pid_t loop = 0;
    struct fp_port_config config = config_of("netmap:fpk}1");
    struct fp_state *state = NULL;
    struct fp_worker *worker = NULL;
    struct fp_port *port = NULL;
    CHECK_EQ(try_open("memory:a"), FP_E_INVALID);
    CHECK_EQ(try_open("netmap:lo^"), FP_E_INVALID);
    CHECK_EQ(fp_state_create("/dev/shm/fp-test-kloop", &state), 0);
    CHECK_EQ(fp_worker_create(state, FP_WAIT_ADAPTIVE, &worker), 0);
    CHECK_EQ(fp_port_open(&config, NULL, &port), 0);
    CHECK_EQ(fp_worker_add_port(worker, port, "a"), FP_E_INVALID); /* it would sleep, and nobody wake it */
    fp_worker_destroy(worker);
    fp_port_close(port);
    fp_state_close(state);
    CHECK_EQ(unlink("/dev/shm/fp-test-kloop"), 0);
    CHECK_EQ(count_children(getpid(), &loop), 0);
}

/* A worker that is killed leaves no loop, and no port in use. */
static void killed_worker(void) {
    int ready[2];
    char byte = 0;
    pid_t loop = 0;
    CHECK_EQ(pipe(ready), 0);
    (void)fflush(stdout);
    pid_t worker = fork();
    if (worker == 0) {
        struct wire_appliance appliance;
        appliance_open(&appliance, "netmap:fpk}1", "netmap:fpk{2");
        CHECK_EQ(write(ready[1], "r", 1), 1);
        for (;;) {
            (void)pause();
        }
    }
    CHECK_EQ(read(ready[0], &byte, 1), 1);
    CHECK_EQ(count_children(worker, &loop), 2);
    CHECK_EQ(kill(worker, SIGKILL), 0);
    CHECK_EQ(waitpid(worker, NULL, 0), worker);
    for (unsigned i = 0; kill(loop, 0) == 0; i++) {
        CHECK(i < TRIES);
        (void)usleep(PAUSE_US);
    }
    CHECK_EQ(try_open("netmap:fpk}1"), 0);
    CHECK_EQ(try_open("netmap:fpk{2"), 0);
}

static void wait_for_reopened(const struct wire_appliance *appliance, uint32_t port, uint64_t times) {
    for (unsigned i = 0;
         wire_health(appliance, port).reopened < times || wire_health(appliance, port).state != FP_PORT_IS_UP; i++) {
        CHECK(i < TRIES);
        (void)usleep(PAUSE_US);
    }
    (void)usleep(50000); /* the loop takes it at its next turn */
}

/* A loop that ends by itself is a fault of its port, which is opened again. */
static void killed_loop(void) {
    struct wire_appliance appliance;
    pid_t loop = 0;
    appliance_open(&appliance, "netmap:fpk}1", "netmap:fpk{2");
    CHECK_EQ(count_children(getpid(), &loop), 2);
    CHECK_EQ(kill(loop, SIGKILL), 0);
    while (wire_health(&appliance, 0).reopened + wire_health(&appliance, 1).reopened == 0) {
        (void)usleep(PAUSE_US);
    }
    (void)usleep(200000);
    CHECK_EQ(count_children(getpid(), &loop), 2);
    pipe_exchange("pipes after a killed loop", "netmap:fpk{1", "netmap:fpk}2", FEW_FRAMES, WINDOW);
    wire_appliance_close(&appliance);
}

static struct wire_appliance appliance; /* of `interfaces`, for `tell` */

/* What became of frames that did not arrive. */
static void tell(void) {
    for (unsigned i = 0; i < 2 && appliance.state != NULL; i++) {
        struct fp_port_counters seen = wire_counters(&appliance, i);
        (void)printf(
            "port %u: received %llu, forwarded %llu, offered %llu, transmitted %llu, tx_full %llu, errors %llu\n", i,
            (unsigned long long)seen.received_frames, (unsigned long long)seen.forwarded_frames,
            (unsigned long long)seen.offered_frames, (unsigned long long)seen.transmitted_frames,
            (unsigned long long)seen.tx_full_frames, (unsigned long long)seen.sync_errors);
        for (unsigned reason = 0; reason < FP_DROP_COUNT; reason++) {
            if (seen.dropped_frames[reason] != 0) {
                (void)printf("dropped %s %llu\n", fp_drop_label(reason),
                             (unsigned long long)seen.dropped_frames[reason]);
            }
        }
    }
}

static void interfaces(char **nics) {
    CHECK_EQ(atexit(tell), 0);
    char specs[2][FP_NAME_BYTES];
    char command[256];
    pid_t loop = 0;
    (void)snprintf(specs[0], sizeof specs[0], "netmap:%s", nics[2]);
    (void)snprintf(specs[1], sizeof specs[1], "netmap:%s", nics[3]);
    appliance_open(&appliance, specs[0], specs[1]);
    CHECK_EQ(wire_info(&appliance, 0).adapter, FP_ADAPTER_NATIVE);
    (void)sleep(4); /* the link comes back after the driver's reset */
    wire_exchange("interfaces by kloop", nics[1], nics[4], FEW_FRAMES, WINDOW);
    CHECK_EQ(wire_counters(&appliance, 1).transmitted_frames, FEW_FRAMES);
    (void)snprintf(command, sizeof command,
                   "mkdir -p /tmp; basename $(readlink /sys/class/net/%s/device) >/tmp/address && cat /tmp/address "
                   ">/sys/bus/pci/drivers/e1000/unbind && sleep 2 && cat /tmp/address >/sys/bus/pci/drivers/e1000/bind",
                   nics[2]);
    shell(command);
    wait_for_reopened(&appliance, 0, 1);
    CHECK_EQ(count_children(getpid(), &loop), 2);
    (void)sleep(4);
    wire_exchange("by kloop after the interface came back", nics[1], nics[4], FEW_FRAMES, WINDOW);
    CHECK_EQ(wire_counters(&appliance, 0).forwarded_frames, 2 * FEW_FRAMES);
    wire_appliance_close(&appliance);
    appliance.state = NULL;
    CHECK_EQ(count_children(getpid(), &loop), 0);
}

/* A netmap whose loop a killed process could not leave. */
static void refused(void) {
    pid_t loop = 0;
    CHECK_EQ(try_open("netmap:fpk}1"), FP_E_NO_KLOOP);
    CHECK_EQ(count_children(getpid(), &loop), 0);
    CHECK_EQ(wire_try_open("netmap:fpk}1", 0, 64, 256), 0);
}

int main(int argc, char **argv) {
    if (geteuid() != 0 || access("/dev/netmap", R_OK | W_OK) != 0) {
        (void)printf("SKIPPED: %s; load netmap.ko (make lab does it in a guest) to test the sync loop\n",
                     strerror(errno));
        return SKIPPED;
    }
    if (argc == 2 && strcmp(argv[1], "refused") == 0) {
        RUN(refused);
        return 0;
    }
    RUN(refusals);
    RUN(pipes);
    RUN(killed_worker);
    RUN(killed_loop);
    if (argc >= 5) {
        interfaces(argv);
        (void)printf("ok interfaces\n");
    } else {
        (void)printf("SKIPPED: interfaces; name four: SENDER INGRESS EGRESS RECEIVER\n");
    }
    return 0;
}
