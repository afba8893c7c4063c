/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one frame costs the loop, without any device: memory ports whose other side this program plays slot by slot, so
 * that only the loop is timed. Two figures a size:
 *   floor  one route, the frame's buffer swapped: parse, lookup, swap, count
 *   cross  the same frame to an output of another region, so it is copied
 * and the swap with 10,000 routes in the table, each frame of another one.
 *
 * usage: bench_forward [frames]
 */
#include "port.h"
#include "rig.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { SLOTS = 1024, MANY_ROUTES = 10000, DEFAULT_FRAMES = 4000000 };

static double now_ns(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* Fills the receive ring. */
static void slots_fill(struct rig *rig, uint32_t payload, uint32_t routes) {
    for (uint32_t i = 0; i + 1 < SLOTS; i++) {
        uint8_t frame[FRAME_ROOM];
        struct frame_shape shape = {.group = (uint16_t)(i * 7919 % routes), .udp_port = 6000, .payload_bytes = payload};
        if (fp_memory_inject(rig->ports[0], frame, frame_build(&shape, frame)) != 0) {
            abort();
        }
    }
}

/* Rings full of frames, forwarded and collected, until enough are done; only the turns are timed. ns a frame. */
static double lap(struct rig *rig, uint32_t payload, uint32_t routes, uint32_t frames) {
    uint8_t frame[FRAME_ROOM];
    double spent = 0;
    for (uint32_t done = 0; done < frames;) {
        slots_fill(rig, payload, routes);
        double start = now_ns();
        int got = 1;
        while (got > 0) {
            got = fp_worker_turn(rig->worker);
            done += (uint32_t)got;
        }
        spent += now_ns() - start;
        while (fp_memory_collect(rig->ports[1], frame, sizeof frame) > 0) {
        }
    }
    return spent / frames;
}

static void measure(const char *what, uint32_t payload, uint32_t routes, int separate, uint32_t frames) {
    struct rig rig;
    rig_open(&rig, 2, SLOTS, separate, FP_WAIT_BUSY);
    for (uint32_t i = 0; i < routes; i++) {
        struct frame_shape shape = {.group = (uint16_t)i, .udp_port = 6000};
        rig_route(&rig, &shape, 0, 1 << 1, (uint16_t)i);
    }
    rig_publish(&rig);
    (void)lap(&rig, payload, routes, frames / 10); /* warm */
    double ns = lap(&rig, payload, routes, frames);
    struct fp_port_counters in = rig_counters(&rig, 0);
    (void)printf("%-24s %5u bytes %8.1f ns/frame %8.2f Mframes/s %s\n", what, 42 + payload, ns, 1e3 / ns,
                 in.forwarded_frames == in.received_frames ? "" : "DROPPED");
    rig_close(&rig);
}

int main(int argc, char **argv) {
    uint32_t frames = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : DEFAULT_FRAMES;
    static const uint32_t payloads[] = {22, 1362};
    for (unsigned i = 0; i < 2; i++) {
        measure("floor (swap)", payloads[i], 1, 0, frames);
        measure("cross region (copy)", payloads[i], 1, 1, frames);
        measure("swap, 10,000 routes", payloads[i], MANY_ROUTES, 0, frames);
    }
    return 0;
}
