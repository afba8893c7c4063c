/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What observing costs a frame, as JSON lines: one object for each set of observers and number of flows. Frames go
 * through in batches as in the loop: what a batch needs is fetched, then its frames are observed. `off` does the same
 * without observing; the others are to be read less it. Fastest of LAPS laps of 4,096 frames.
 *
 * usage: bench_observe [LAPS [SET]]
 */
#include "check.h"
#include "discovery.h"
#include "format_1080p50.h"
#include "pacing.h"
#include <time.h>

enum { LAP_FRAMES = 4096, BATCH_FRAMES = 16, LINE_BYTES = 64, MOST_ROUTES = 10000, LAPS = 300 };
enum { SET_OFF, SET_RTP, SET_ARRIVALS, SET_PACING, SET_ALL, SET_DISCOVERY, SETS };

static const char *const set_names[SETS] = {"off", "rtp", "rtp+arrivals", "rtp+pacing", "all", "discovery"};

static _Alignas(64) uint8_t frames[LAP_FRAMES][LINE_BYTES];
static struct fp_observation observations[MOST_ROUTES];
static struct fp_observation_record records[MOST_ROUTES];
static struct fp_pacing pacings[MOST_ROUTES];
static struct fp_pacing_plan plans[MOST_ROUTES];
static struct fp_discovery discovery;
static uint16_t routes_of[LAP_FRAMES];
static uint32_t numbers[MOST_ROUTES];
static uint64_t now_ns = 1000000000;
/* 1080p50, but of 10,000 flows each a small one: as many frames a second as bench_media's. */
static uint32_t picture_frames;

static double clock_ns(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* Headers of frames of `routes` flows of 1080p50 in an order that repeats only after all of them. */
static void lay_out(uint32_t routes, uint32_t lap) {
    for (uint32_t i = 0; i < LAP_FRAMES; i++) {
        uint32_t route = (uint32_t)(((uint64_t)lap * LAP_FRAMES + i) * 7919 % routes);
        uint32_t number = numbers[route]++;
        uint32_t timestamp = __builtin_bswap32(number / picture_frames * 1800);
        uint8_t *rtp = frames[i] + FP_ETHERNET_BYTES + FP_IPV4_BYTES + FP_UDP_BYTES;
        routes_of[i] = (uint16_t)route;
        rtp[0] = 0x80;
        rtp[1] = (uint8_t)(number % picture_frames == picture_frames - 1 ? 224 : 96);
        rtp[2] = (uint8_t)(number >> 8);
        rtp[3] = (uint8_t)number;
        memcpy(rtp + 4, &timestamp, sizeof timestamp);
        memcpy(rtp + 8, &route, sizeof route);
        rtp[-4] = 0x04; /* UDP length */
        rtp[-3] = 0xd4;
    }
}

static void fetch(uint32_t set, uint32_t first) {
    for (uint32_t i = first; i < first + BATCH_FRAMES; i++) {
        uint32_t route = routes_of[i];
        if (set != SET_OFF) {
            __builtin_prefetch(&observations[route], 1);
        }
        if (set == SET_PACING || set == SET_ALL) {
            fp_pacing_prefetch(&pacings[route]);
            __builtin_prefetch(&plans[route]);
        }
    }
}

static inline __attribute__((always_inline)) void observe(uint32_t set, uint32_t frame, uint64_t step_ns) {
    static const struct fp_layout layout = {FP_LEVEL_UDP, 4, FP_ETHERNET_BYTES, 0, 34, 0};
    uint32_t route = routes_of[frame];
    const uint8_t *rtp = fp_rtp_find(frames[frame], &layout);
    now_ns += step_ns;
    if (rtp == NULL) {
        return;
    }
    if (set == SET_OFF) {
        __asm__ volatile("" : : "r"(rtp[3]), "r"(&observations[route]));
        return;
    }
    struct fp_observation *at = &observations[route];
    if (!fp_observe_usual(at, set == SET_ARRIVALS || set == SET_ALL ? FP_OBSERVE_ARRIVALS : 0, rtp, 1262, now_ns)) {
        int64_t ahead = fp_observe_rtp(at, &records[route], rtp, 1262, now_ns);
        if (set == SET_PACING || set == SET_ALL) {
            fp_pacing_frame(&pacings[route], &plans[route], ahead, fp_observation_sequence(at), (rtp[1] & 0x80) != 0,
                            now_ns);
        }
        return;
    }
    if ((set == SET_PACING || set == SET_ALL) &&
        !fp_pacing_usual(&pacings[route], &plans[route], (uint32_t)fp_observation_sequence(at), now_ns)) {
        fp_pacing_frame(&pacings[route], &plans[route], 1, fp_observation_sequence(at), false, now_ns);
    }
}

static inline __attribute__((always_inline)) double run_lap(uint32_t set, uint64_t step_ns) {
    double start = clock_ns();
    for (uint32_t first = 0; first < LAP_FRAMES; first += BATCH_FRAMES) {
        fetch(set, first);
        for (uint32_t i = first; i < first + BATCH_FRAMES; i++) {
            observe(set, i, step_ns);
        }
    }
    return (clock_ns() - start) / LAP_FRAMES;
}

static double run_discovery(void) {
    struct fp_key key = {.udp_port = 6000, .payload_type = 96};
    double start = clock_ns();
    for (uint32_t i = 0; i < LAP_FRAMES; i++) {
        uint32_t flow = routes_of[i];
        memcpy(key.source + 12, &flow, sizeof flow);
        fp_discovery_see(&discovery, &key, 1262, now_ns + i);
    }
    return (clock_ns() - start) / LAP_FRAMES;
}

/* Each set compiled for itself, as a route's flags would choose it. */
static double lap_of(uint32_t set, uint64_t step_ns) {
    switch (set) {
    case SET_OFF:
        return run_lap(SET_OFF, step_ns);
    case SET_RTP:
        return run_lap(SET_RTP, step_ns);
    case SET_ARRIVALS:
        return run_lap(SET_ARRIVALS, step_ns);
    case SET_PACING:
        return run_lap(SET_PACING, step_ns);
    case SET_ALL:
        return run_lap(SET_ALL, step_ns);
    default:
        return run_discovery();
    }
}

static void open_set(uint32_t set, uint32_t routes) {
    struct fp_pacing_format format = {FORMAT_1080P50(picture_frames, FP_ANCHOR_FIRST, 1500)};
    format.sender = FP_SENDER_NARROW_LINEAR; /* frames come evenly */
    format.schedule = FP_SCHEDULE_LINEAR;
    memset(observations, 0, sizeof observations);
    memset(records, 0, sizeof records);
    memset(pacings, 0, sizeof pacings);
    memset(numbers, 0, sizeof numbers);
    for (uint32_t i = 0; i < routes; i++) {
        observations[i].enabled = set == SET_ARRIVALS || set == SET_ALL ? FP_OBSERVE_ARRIVALS : 0;
        CHECK_EQ(fp_pacing_plan_make(&format, &plans[i]), 0);
    }
    fp_discovery_reset(&discovery, 99);
}

static void run(uint32_t set, uint32_t routes, uint32_t laps) {
    double best = 1e9;
    picture_frames = routes == MOST_ROUTES ? 50 : 4320;
    open_set(set, routes);
    uint64_t step_ns = 20000000 / ((uint64_t)picture_frames * routes);
    uint32_t warm = 3 + 3 * picture_frames * routes / LAP_FRAMES;
    for (uint32_t lap = 0; lap < warm + laps; lap++) {
        lay_out(routes, lap);
        double ns = lap_of(set, step_ns);
        best = lap >= warm && ns < best ? ns : best;
    }
    struct fp_observation_counters counters;
    CHECK_EQ(fp_observation_read(&observations[0], &records[0], &counters), 0);
    CHECK_EQ(counters.rtp.gaps + counters.rtp.stray_frames, 0);
    (void)printf("{\"observers\": \"%s\", \"routes\": %u, \"ns\": %.2f}\n", set_names[set], routes, best);
    (void)fflush(stdout);
}

int main(int argc, char **argv) {
    static const uint32_t routes[] = {1, 100, MOST_ROUTES};
    uint32_t laps = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : LAPS;
    for (uint32_t set = 0; set < SETS; set++) {
        for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++) {
            if (laps > 0 && (argc <= 2 || strcmp(argv[2], set_names[set]) == 0)) {
                run(set, routes[i], laps);
            }
        }
    }
    return 0;
}
