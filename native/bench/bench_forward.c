/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one frame costs the loop, without any device, as JSON lines: one object per case, size and memory. `floor_ns` is
 * what any forwarder would need over the same rings, buffers and frames; see lane.h.
 *
 * usage: bench_forward [LAPS [CASE]]      a lap is one ring of 4,095 frames, or, "near", 511: then LAPS times eight
 */
#include "lane.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    DEFAULT_LAPS = 100,
    SET_RENAMED = FP_SET_DESTINATION_MAC | FP_SET_SOURCE_MAC | FP_SET_SOURCE | FP_SET_DESTINATION | FP_SET_UDP_SOURCE |
                  FP_SET_UDP_PORT,
    SET_ALL = SET_RENAMED | FP_SET_DSCP | FP_DECREMENT_TTL | FP_SET_PAYLOAD_TYPE | FP_SET_SSRC
};

static const struct lane_case cases[] = {
    {.name = "cross-connect", .routes = 1, .outputs = 1, .plain = 1},
    {.name = "exact-1", .routes = 1, .outputs = 1},
    {.name = "exact-100", .routes = 100, .outputs = 1},
    {.name = "exact-10000", .routes = 10000, .outputs = 1},
    {.name = "rename-10000", .routes = 10000, .outputs = 1, .set = SET_RENAMED},
    {.name = "rewrite-all-10000", .routes = 10000, .outputs = 1, .set = SET_ALL},
    {.name = "replicate-2", .routes = 1, .outputs = 2},
    {.name = "replicate-4", .routes = 1, .outputs = 4},
    {.name = "replicate-8", .routes = 1, .outputs = 8},
};

static void run(const struct lane_case *one, uint32_t bytes, enum lane_memory memory, uint32_t laps) {
    static const char *const memories[] = {"cold", "warm", "near"};
    struct lane lane;
    laps = memory == LANE_NEAR ? laps * (LANE_SLOTS / LANE_NEAR_SLOTS) : laps;
    struct lane_case wanted = *one;
    wanted.frame_bytes = bytes;
    lane_open(&lane, &wanted, memory);
    (void)lane_measure(&lane, 3);
    double ns = lane_measure(&lane, laps);
    lane_close(&lane);
    lane_open(&lane, &wanted, memory); /* the floor takes frames past the worker's back */
    double floor = lane_measure_floor(&lane, laps);
    rig_close(&lane.rig);
    (void)printf("{\"case\": \"%s\", \"bytes\": %u, \"memory\": \"%s\", \"ns\": %.2f, \"floor_ns\": %.2f}\n",
                 wanted.name, bytes, memories[memory], ns, floor);
    (void)fflush(stdout);
}

int main(int argc, char **argv) {
    static const uint32_t sizes[] = {64, 198, 1258, 1404, 9000};
    uint32_t laps = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : DEFAULT_LAPS;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (size_t size = 0; size < sizeof sizes / sizeof sizes[0]; size++) {
            if (laps > 0 && (argc <= 2 || strcmp(argv[2], cases[i].name) == 0)) {
                run(&cases[i], sizes[size], LANE_COLD, laps);
                run(&cases[i], sizes[size], LANE_WARM, laps);
                run(&cases[i], sizes[size], LANE_NEAR, laps);
            }
        }
    }
    return 0;
}
