/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What waiting costs, in each wait mode: the share of one CPU an idle worker takes (its loop, and the process with all
 * its threads), and the time from a frame's arrival at a sleeping worker to its copy at the output.
 *
 * usage: bench_wake [frames]
 */
#include "check.h"
#include "rig.h"
#include <pthread.h>
#include <string.h>
#include <time.h>

enum { SLOTS = 256, DEFAULT_FRAMES = 500, IDLE_S = 2, PAUSE_NS = 3000000 /* longer than the adaptive mode spins */ };

static const struct frame_shape media = {.group = 7, .udp_port = 6000, .payload_bytes = 1362};

static uint64_t clock_ns(clockid_t clock) {
    struct timespec now;
    CHECK_EQ(clock_gettime(clock, &now), 0);
    return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

static void *run_loop(void *argument) {
    CHECK_EQ(fp_worker_run(((const struct rig *)argument)->worker), 0);
    return NULL;
}

static int compare(const void *one, const void *two) {
    uint64_t left = *(const uint64_t *)one;
    uint64_t right = *(const uint64_t *)two;
    return left < right ? -1 : left > right;
}

static uint64_t way_ns(struct rig *rig, const uint8_t *frame, uint32_t length) {
    uint8_t seen[FRAME_ROOM];
    uint64_t start = clock_ns(CLOCK_MONOTONIC);
    CHECK_EQ(fp_memory_inject(rig->ports[0], frame, length), 0);
    while (fp_memory_collect(rig->ports[1], seen, sizeof seen) == 0) {
    }
    return clock_ns(CLOCK_MONOTONIC) - start;
}

static void measure(const char *name, enum fp_wait wait, uint32_t frames) {
    struct rig rig;
    pthread_t loop;
    clockid_t loop_clock;
    uint8_t frame[FRAME_ROOM];
    uint32_t length = frame_build(&media, frame);
    uint64_t *ways = calloc(frames, sizeof *ways);
    CHECK(ways != NULL);
    rig_open(&rig, 2, SLOTS, 0, wait);
    rig_route(&rig, &media, 0, 1 << 1, 0);
    rig_publish(&rig);
    CHECK_EQ(pthread_create(&loop, NULL, run_loop, &rig), 0);
    CHECK_EQ(pthread_getcpuclockid(loop, &loop_clock), 0);
    nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
    uint64_t before = clock_ns(loop_clock);
    uint64_t began = clock_ns(CLOCK_MONOTONIC);
    nanosleep(&(struct timespec){.tv_sec = IDLE_S}, NULL);
    double share = 100.0 * (double)(clock_ns(loop_clock) - before) / (double)(clock_ns(CLOCK_MONOTONIC) - began);
    for (uint32_t i = 0; i < frames; i++) {
        nanosleep(&(struct timespec){.tv_nsec = PAUSE_NS}, NULL);
        ways[i] = way_ns(&rig, frame, length);
    }
    uint32_t median = frames / 2;
    uint32_t late = (uint32_t)((uint64_t)frames * 99 / 100);
    qsort(ways, frames, sizeof *ways, compare);
    (void)printf("%-9s idle %6.2f %% of a CPU, way of a frame: median %7.1f us, 99 %% within %7.1f us\n", name, share,
                 (double)ways[median] / 1e3, (double)ways[late] / 1e3);
    fp_state_request_stop(rig.state);
    CHECK_EQ(pthread_join(loop, NULL), 0);
    rig_close(&rig);
    free(ways);
}

int main(int argc, char **argv) {
    uint32_t frames = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : DEFAULT_FRAMES;
    CHECK(frames > 0);
    measure("poll", FP_WAIT_POLL, frames);
    measure("adaptive", FP_WAIT_ADAPTIVE, frames);
    measure("busy", FP_WAIT_BUSY, frames);
    return 0;
}
