/* SPDX-License-Identifier: Apache-2.0 */
/* The state segment as a file: whole or not at all, ours or refused, and a snapshot of a dead writer is told apart. */
#include "check.h"
#include "rig.h"
#include "state.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void path_of(char path[64], const char *what) {
    (void)snprintf(path, 64, "/dev/shm/fp-test-%s-%d", what, (int)getpid());
}

static void fresh_segment_is_zero(void) {
    struct rig rig;
    struct fp_state *reader = NULL;
    struct fp_worker_snapshot worker;
    struct fp_port_counters counters;
    struct fp_port_counters zero;
    struct fp_route_counters route;
    struct fp_port_info info;
    rig_open(&rig, 2, 16, 0, FP_WAIT_POLL);
    memset(&zero, 0, sizeof zero);
    CHECK_EQ(fp_state_open(rig.path, &reader), 0);
    CHECK_EQ(fp_state_read_worker(reader, &worker), 0);
    CHECK_EQ(worker.pid, getpid());
    CHECK(worker.pid_start_ticks > 0);
    CHECK(worker.started_ns > 0);
    CHECK_EQ(worker.port_count, 2);
    CHECK_EQ(worker.generation, 0);
    CHECK_EQ(worker.running, 0);
    CHECK_EQ(worker.stop_requested, 0);
    CHECK_EQ(fp_state_read_port(reader, 1, &counters), 0);
    CHECK(memcmp(&counters, &zero, sizeof zero) == 0);
    CHECK_EQ(fp_state_read_port(reader, 2, &counters), FP_E_INVALID);
    CHECK_EQ(fp_state_read_route(reader, FP_MAX_ROUTES - 1, &route), 0);
    CHECK_EQ(route.frames + route.bytes, 0);
    CHECK_EQ(fp_state_read_route(reader, FP_MAX_ROUTES, &route), FP_E_INVALID);
    CHECK_EQ(fp_state_read_port_info(reader, 1, &info), 0);
    CHECK(strcmp(info.name, "port-1") == 0);
    CHECK(strcmp(info.spec, "memory:1") == 0);
    CHECK_EQ(info.kind, FP_PORT_MEMORY);
    CHECK_EQ(info.adapter, FP_ADAPTER_VIRTUAL);
    CHECK_EQ(info.rx_slots, 16);
    CHECK_EQ(info.buffer_bytes, 2048);
    fp_state_request_stop(reader);
    CHECK_EQ(fp_state_read_worker(rig.state, &worker), 0);
    CHECK_EQ(worker.stop_requested, 1);
    fp_state_close(reader);
    fp_state_close(NULL);
    rig_close(&rig);
}

static void other_files_are_refused(void) {
    char path[64];
    struct fp_state *state = NULL;
    path_of(path, "bad");
    CHECK_EQ(fp_state_open(path, &state), FP_E_SYSTEM);
    CHECK_EQ(errno, ENOENT);
    int fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    CHECK(fd >= 0);
    CHECK_EQ(fp_state_open(path, &state), FP_E_STATE_VERSION); /* empty */
    CHECK_EQ(ftruncate(fd, (off_t)sizeof(struct fp_segment)), 0);
    CHECK_EQ(fp_state_open(path, &state), FP_E_STATE_VERSION); /* no magic */
    close(fd);
    CHECK_EQ(fp_state_create(path, &state), 0); /* replaces it */
    CHECK_EQ(state->segment->version, FP_STATE_VERSION);
    state->segment->version++;
    struct fp_state *second = NULL;
    CHECK_EQ(fp_state_open(path, &second), FP_E_STATE_VERSION);
    fp_state_close(state);
    CHECK_EQ(unlink(path), 0);
    CHECK_EQ(fp_state_create("/nowhere/at/all", &state), FP_E_SYSTEM);
    CHECK_EQ(errno, ENOENT);
}

/* A writer that died between the two halves of a write leaves the sequence odd for ever. */
static void dead_writer_is_torn(void) {
    struct rig rig;
    struct fp_port_counters counters = {.received_frames = 77};
    rig_open(&rig, 1, 16, 0, FP_WAIT_POLL);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        struct fp_state *state = NULL;
        if (fp_state_open(rig.path, &state) == 0) {
            (void)fp_seq_write_begin(&state->segment->ports[0].sequence);
            atomic_store(&state->segment->ports[0].words[0], 5);
        }
        _exit(0);
    }
    CHECK_EQ(waitpid(child, NULL, 0), child);
    CHECK_EQ(fp_state_read_port(rig.state, 0, &counters), FP_E_TORN);
    CHECK_EQ(counters.received_frames, 77);
    rig_close(&rig);
}

/* Another publisher is at work: refused, not waited for. Its death frees the lock. */
static void publishers_exclude_each_other(void) {
    struct rig rig;
    int ready[2];
    uint8_t digest[FP_DIGEST_BYTES] = {0};
    rig_open(&rig, 1, 16, 0, FP_WAIT_POLL);
    CHECK_EQ(pipe(ready), 0);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        struct fp_state *state = NULL;
        int locked = fp_state_open(rig.path, &state) == 0 && fp_state_lock(state) == 0;
        (void)!write(ready[1], &locked, sizeof locked);
        pause();
        _exit(0);
    }
    int locked = 0;
    CHECK_EQ(read(ready[0], &locked, sizeof locked), sizeof locked);
    CHECK(locked);
    CHECK_EQ(fp_state_publish(rig.state, rig.table, 1, digest), FP_E_BUSY);
    CHECK_EQ(kill(child, SIGKILL), 0);
    CHECK_EQ(waitpid(child, NULL, 0), child);
    CHECK_EQ(fp_state_publish(rig.state, rig.table, 1, digest), 0);
    close(ready[0]);
    close(ready[1]);
    rig_close(&rig);
}

int main(void) {
    RUN(fresh_segment_is_zero);
    RUN(other_files_are_refused);
    RUN(dead_writer_is_torn);
    RUN(publishers_exclude_each_other);
    return 0;
}
