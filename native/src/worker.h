/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FP_WORKER_H
#define FP_WORKER_H

#include "port.h"
#include "state.h"

/* One port as the worker keeps it. */
struct fp_worker_port {
    struct fp_port *port;
    struct fp_port_counters counters; /* running totals; published to the segment after each burst */
    bool counters_changed;
    bool idle;          /* the last burst emptied its ring: nothing was fetched for the next one */
    bool copied;        /* frames of the last burst were copied: whole frames are fetched for the next one */
    bool unsent;        /* frames were put into a transmit ring since the last sync */
    uint64_t retry_ns;  /* after a failed sync the port rests until then; 0: it works */
    struct pollfd *fds; /* this port's part of fp_worker.fds */
    uint32_t fd_count;
};

struct fp_burst;

struct fp_worker {
    struct fp_segment *segment;
    enum fp_wait wait;
    uint32_t port_count;
    struct fp_worker_port ports[FP_MAX_PORTS];
    const struct fp_table_flat *table;
    struct fp_burst *burst; /* room for one */
    uint64_t loops;
    uint64_t checked_ns; /* when ports were last asked after faults */
    uint64_t now_ns;     /* CLOCK_MONOTONIC as of the last turn */
    bool running;
    struct pollfd *fds;
    uint32_t fd_count;
};

/* Takes at most one burst from a receive ring. Returns the slots taken. */
uint32_t fp_worker_forward(struct fp_worker *worker, uint32_t ingress, uint32_t ring);
/* Makes what was counted visible to other processes. */
void fp_worker_publish(struct fp_worker *worker);

/* Sync of one port, with its faults counted and rested. */
void fp_worker_rx_sync(struct fp_worker *worker, struct fp_worker_port *port);
void fp_worker_tx_sync(struct fp_worker *worker, struct fp_worker_port *port);
static inline bool fp_worker_port_rests(const struct fp_worker *worker, const struct fp_worker_port *port) {
    return port->retry_ns != 0 && worker->now_ns < port->retry_ns;
}

/* Sleeps in poll(2) until a port has frames, at most FP_WAIT_MS. */
void fp_worker_wait(struct fp_worker *worker);

uint64_t fp_monotonic_ns(void);

enum { FP_WAIT_MS = 100, FP_FLUSH_MS = 100 };
#define FP_REST_NS 100000000U /* a port that failed is tried again after this */
#define FP_SPIN_NS 50000U     /* FP_WAIT_ADAPTIVE */

#endif
