/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loop in its own thread, as in the appliance: frames go in and out through the doors, tables are published and
 * counters read meanwhile. Every snapshot balances, no frame is lost, none is duplicated. Run under ThreadSanitizer
 * too.
 */
#include "check.h"
#include "rig.h"
#include <pthread.h>
#include <sched.h>
#include <string.h>

enum { FRAMES = 30000, SLOTS = 256 };

static const struct frame_shape media = {.group = 7, .udp_port = 6000, .payload_bytes = 100};

struct reader {
    struct rig *rig;
    FP_ATOMIC(int) done;
    uint64_t snapshots;
};

static void *run_loop(void *argument) {
    const struct rig *rig = argument;
    CHECK_EQ(fp_worker_run(rig->worker), 0);
    return NULL;
}

static void *read_snapshots(void *argument) {
    struct reader *reader = argument;
    struct fp_state *state = NULL;
    uint64_t last_frames = 0;
    CHECK_EQ(fp_state_open(reader->rig->path, &state), 0);
    while (!atomic_load(&reader->done)) {
        struct fp_worker_snapshot worker;
        struct fp_route_counters route;
        rig_check_balance(reader->rig);
        CHECK_EQ(fp_state_read_route(state, 5, &route), 0);
        CHECK_EQ(route.bytes, route.frames * 142);
        CHECK(route.frames >= last_frames);
        last_frames = route.frames;
        CHECK_EQ(fp_state_read_worker(state, &worker), 0);
        CHECK(worker.published >= worker.generation);
        reader->snapshots++;
        sched_yield();
    }
    fp_state_close(state);
    return NULL;
}

/* Sends all frames through, with at most half a ring on the way; a new table every 500 frames. */
static void send_all(struct rig *rig) {
    uint8_t frame[FRAME_ROOM];
    uint8_t seen[FRAME_ROOM];
    uint8_t digest[FP_DIGEST_BYTES] = {0};
    uint32_t length = frame_build(&media, frame);
    uint32_t sent = 0;
    uint32_t arrived = 0;
    while (arrived < FRAMES) {
        if (sent < FRAMES && sent < arrived + SLOTS / 2) {
            memcpy(frame + length - sizeof sent, &sent, sizeof sent);
            sent += fp_memory_inject(rig->ports[0], frame, length) == 0;
        }
        if (sent % 500 == 0) {
            int result = fp_state_publish(rig->state, rig->table, rig->generation + 1, digest);
            rig->generation += result == 0;
            CHECK(result == 0 || result == FP_E_NOT_ACKNOWLEDGED);
        }
        int got = fp_memory_collect(rig->ports[1], seen, sizeof seen);
        if (got == 0) {
            sched_yield();
            continue;
        }
        uint32_t number = 0;
        CHECK_EQ(got, length);
        memcpy(&number, seen + length - sizeof number, sizeof number);
        CHECK_EQ(number, arrived);
        arrived++;
    }
}

static void wait_until_running(const struct rig *rig) {
    struct fp_worker_snapshot worker;
    do {
        CHECK_EQ(fp_state_read_worker(rig->state, &worker), 0);
        sched_yield();
    } while (worker.running == 0 || worker.generation != worker.published);
}

static void exchange(enum fp_wait wait) {
    struct rig rig;
    struct reader reader = {.rig = &rig};
    pthread_t loop;
    pthread_t snapshots;
    uint8_t digest[FP_DIGEST_BYTES] = {0};
    struct fp_worker_snapshot worker;
    rig_open(&rig, 2, SLOTS, 0, wait);
    rig_route(&rig, &media, 0, 1 << 1, 5);
    rig.generation = 1;
    CHECK_EQ(fp_state_publish(rig.state, rig.table, 1, digest), 0);
    CHECK_EQ(pthread_create(&loop, NULL, run_loop, &rig), 0);
    CHECK_EQ(pthread_create(&snapshots, NULL, read_snapshots, &reader), 0);
    wait_until_running(&rig);
    send_all(&rig);
    atomic_store(&reader.done, 1);
    CHECK_EQ(pthread_join(snapshots, NULL), 0);
    fp_state_request_stop(rig.state);
    CHECK_EQ(pthread_join(loop, NULL), 0);
    CHECK_EQ(fp_state_read_worker(rig.state, &worker), 0);
    CHECK_EQ(worker.running, 0);
    CHECK(worker.loops > 0 && worker.heartbeat_ns > 0);
    CHECK_EQ(rig_counters(&rig, 0).forwarded_frames, FRAMES);
    CHECK_EQ(rig_counters(&rig, 1).swapped_frames, FRAMES);
    (void)printf("%d frames, %llu snapshots, %llu generations\n", FRAMES, (unsigned long long)reader.snapshots,
                 (unsigned long long)worker.generation);
    rig_check_balance(&rig);
    rig_close(&rig);
}

static void sleeping_loop(void) { exchange(FP_WAIT_POLL); }

static void spinning_loop(void) { exchange(FP_WAIT_BUSY); }

static void adaptive_loop(void) { exchange(FP_WAIT_ADAPTIVE); }

int main(void) {
    RUN(sleeping_loop);
    RUN(spinning_loop);
    RUN(adaptive_loop);
    return 0;
}
