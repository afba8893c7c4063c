/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames at a given rate through the true loop over memory: ports, for test_replacing_routes.py, which compiles it.
 *
 * One thread lets frames arrive, turns the loop and takes what comes out. Its clock is the CPU time spent in
 * fp_worker_turn alone: frames arrive as they would while a worker with a CPU of its own runs, whatever else this
 * machine does. A frame that is due and finds the receive ring full is lost, as on a NIC.
 *
 * Flow i goes to 239.0.0.0 + i. With the routes of generation g it leaves at port 1 + (i + g) % OUTPUTS as 238.0.0.0 +
 * i with DSCP 10 + g % OUTPUTS. A frame carries its flow, its number and the generation in use when it arrived; between
 * that one and the one offered when it comes out, some generation must explain all that is seen of it.
 */
#include "fastpath.h"
#include <arpa/inet.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    OUTPUTS = 3,
    FIRST_DSCP = 10,
    MOST_FRAME_BYTES = 2048,
    TOS_AT = 15, /* Ethernet II, IPv4 without options: RFC 894, RFC 791 3.1 */
    DESTINATION_AT = 30,
    PAYLOAD_AT = 42
};
#define NS_PER_S 1000000000ULL

/* The library's functions, as the extension that Python has loaded holds them. */
struct calls {
    int (*turn)(struct fp_worker *worker);
    int (*inject)(struct fp_port *port, const uint8_t *frame, uint32_t length_bytes);
    int (*collect)(struct fp_port *port, uint8_t *frame, uint32_t room_bytes);
    int (*read_worker)(const struct fp_state *state, struct fp_worker_snapshot *out);
};

struct load {
    struct calls calls;
    struct fp_worker *worker;
    const struct fp_state *state;
    struct fp_port *ports[1 + OUTPUTS]; /* the first receives */
    const uint8_t *template;
    uint64_t frame_bytes;
    uint64_t flows;
    uint64_t rate; /* frames a second of loop time; 0: as many as fit */
    uint64_t most_loop_ns;
    uint64_t most_wall_ns;
    uint64_t until_generation; /* ends when the worker uses it */
    uint8_t *seen;             /* a bit for each of the first most_frames numbers */
    uint64_t most_frames;
    /* Results. */
    uint64_t sent;
    uint64_t lost;      /* due, but the receive ring was full */
    uint64_t collected; /* came out, each once */
    uint64_t wrong;     /* came out where no allowed generation sends it, damaged, or twice */
    uint64_t undecided; /* came out so late that every output was allowed */
    uint64_t loop_ns;
    uint64_t first_generation;
    uint64_t last_generation;
};

struct label {
    uint64_t number;
    uint64_t generation;
    uint32_t flow;
};

static uint64_t now_ns(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

/* Returns false where the ring is full. */
static bool send_one(struct load *load, uint8_t *frame, uint64_t generation) {
    struct label label = {.number = load->sent, .generation = generation, .flow = (uint32_t)(load->sent % load->flows)};
    uint32_t group = htonl(0xef000000U + label.flow);
    memcpy(frame + DESTINATION_AT, &group, sizeof group);
    memcpy(frame + PAYLOAD_AT, &label, sizeof label);
    if (load->calls.inject(load->ports[0], frame, (uint32_t)load->frame_bytes) != 0) {
        return false;
    }
    load->sent++;
    return true;
}

static void judge(struct load *load, const uint8_t *frame, uint32_t length, unsigned output, uint64_t offered) {
    struct label label;
    uint32_t group;
    memcpy(&label, frame + PAYLOAD_AT, sizeof label);
    memcpy(&group, frame + DESTINATION_AT, sizeof group);
    bool whole = length == load->frame_bytes && label.number < load->sent && label.flow == label.number % load->flows &&
                 ntohl(group) == 0xee000000U + label.flow &&
                 memcmp(frame + PAYLOAD_AT + sizeof label, load->template + PAYLOAD_AT + sizeof label,
                        load->frame_bytes - PAYLOAD_AT - sizeof label) == 0;
    bool again = whole && (load->seen[label.number / 8] >> label.number % 8 & 1) != 0;
    bool allowed = false;
    for (uint64_t g = label.generation; whole && g <= offered; g++) {
        allowed = allowed || ((label.flow + g) % OUTPUTS == output && frame[TOS_AT] >> 2 == FIRST_DSCP + g % OUTPUTS);
    }
    if (!whole || again || !allowed) {
        load->wrong++;
        return;
    }
    load->seen[label.number / 8] = (uint8_t)(load->seen[label.number / 8] | 1U << label.number % 8);
    load->collected++;
    load->undecided += offered - label.generation >= OUTPUTS - 1;
}

static void collect_all(struct load *load) {
    uint8_t frame[MOST_FRAME_BYTES];
    struct fp_worker_snapshot now;
    for (unsigned output = 0; output < OUTPUTS; output++) {
        int length;
        while ((length = load->calls.collect(load->ports[1 + output], frame, sizeof frame)) > 0) {
            if (load->calls.read_worker(load->state, &now) != 0) {
                load->wrong++;
                continue;
            }
            judge(load, frame, (uint32_t)length, output, now.published);
        }
    }
}

static uint64_t count_due(const struct load *load) {
    if (load->rate == 0) {
        return UINT64_MAX;
    }
    uint64_t due = (uint64_t)((double)load->loop_ns * (double)load->rate / (double)NS_PER_S);
    uint64_t gone = load->sent + load->lost;
    return due > gone ? due - gone : 0;
}

static void arrive(struct load *load, uint8_t *frame, uint64_t generation) {
    for (uint64_t due = count_due(load); due > 0; due--) {
        if (!send_one(load, frame, generation)) {
            load->lost += load->rate == 0 ? 0 : due;
            return;
        }
    }
}

/* Returns 0, or the negative code of the turn that failed. */
int load_run(struct load *load) {
    uint8_t frame[MOST_FRAME_BYTES];
    struct fp_worker_snapshot now;
    const uint64_t end_ns = now_ns(CLOCK_MONOTONIC) + load->most_wall_ns;
    int received = load->calls.read_worker(load->state, &now);
    if (received != 0) {
        return received;
    }
    memcpy(frame, load->template, load->frame_bytes);
    load->first_generation = now.generation;
    while (load->loop_ns < load->most_loop_ns && now.generation < load->until_generation &&
           load->sent + FP_BURST_FRAMES < load->most_frames && now_ns(CLOCK_MONOTONIC) < end_ns) {
        arrive(load, frame, now.generation);
        uint64_t before = now_ns(CLOCK_THREAD_CPUTIME_ID);
        received = load->calls.turn(load->worker);
        load->loop_ns += now_ns(CLOCK_THREAD_CPUTIME_ID) - before;
        if (received < 0) {
            return received;
        }
        collect_all(load);
        (void)load->calls.read_worker(load->state, &now);
    }
    do { /* what is under way */
        received = load->calls.turn(load->worker);
        collect_all(load);
    } while (received > 0);
    (void)load->calls.read_worker(load->state, &now);
    load->last_generation = now.generation;
    return received;
}
