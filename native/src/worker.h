/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FP_WORKER_H
#define FP_WORKER_H

#include "port.h"
#include "recovery.h"
#include "state.h"

/* One port as the worker keeps it. */
struct fp_worker_port {
    struct fp_port *port; /* as the loop uses it: `own`, or `absent` while `own` is being recovered */
    struct fp_port *own;
    struct fp_port absent; /* no receive ring, and a transmit ring without room */
    struct fp_recovery_port recovery;
    struct fp_port_counters counters; /* running totals; published to the segment each turn */
    bool counters_changed;
    bool copied;            /* frames of the last burst were copied: whole frames are fetched for the next one */
    bool unsent;            /* frames were put into a transmit ring since the last sync */
    bool synced;            /* poll(2) has received since the last turn */
    uint64_t retry_ns;      /* after a failed sync the port rests until then; 0: it works */
    uint32_t failures;      /* syncs in a row */
    uint64_t missed_before; /* missed_frames of earlier openings */
    char name[FP_NAME_BYTES];
    struct pollfd *fds; /* this port's part of fp_worker.fds */
    uint32_t fd_count;
    uint64_t passed_before;    /* passed_to_host_frames of earlier openings */
    struct fp_host_path *host; /* to the other port of a pair (host_path.h); NULL: not paired */
};

struct fp_burst;
struct fp_addresses;
struct fp_ordering;

struct fp_worker {
    struct fp_segment *segment;
    enum fp_wait wait;
    uint32_t port_count;
    struct fp_worker_port ports[FP_MAX_PORTS];
    const struct fp_table_flat *table;
    struct fp_burst *burst;                /* room for one */
    struct fp_addresses *addresses;        /* learning.h */
    struct fp_ordering *ordering;          /* ordered.h; NULL: nothing can be held */
    uint32_t mirror_passed[FP_MAX_ROUTES]; /* frames of each counter since the last one that was captured */
    uint64_t loops;
    uint64_t checked_ns;        /* when ports were last asked after faults */
    uint64_t now_ns;            /* CLOCK_MONOTONIC as of this turn, or of a burst of the one before */
    bool now_is_new;            /* a burst has asked since the last turn began, which spares the next one to */
    uint64_t (*clock_ns)(void); /* fp_monotonic_ns, or a test's: never goes back */
    uint64_t merge_due_ns;      /* when the counters of the next merge are published */
    uint32_t merge_next;
    bool running;
    bool polls;                   /* poll(2) follows each turn, and sends for ports that it syncs */
    bool poll_any;                /* it syncs a port: laid out with `fds` */
    bool poll_only;               /* it syncs every port */
    struct fp_recovery *recovery; /* NULL where no port needs it */
    struct pollfd *fds;           /* room for every ring of every port; first of all recovery's */
    uint32_t fd_count;
};

/* Takes one burst from a receive ring, of at most `most` slots: FP_BURST_FRAMES of them, or more, where as many wait.
 * Returns how many. */
uint32_t fp_worker_forward(struct fp_worker *worker, uint32_t ingress, uint32_t ring, uint32_t most);
/* Makes what was counted visible to other processes. */
void fp_worker_publish(struct fp_worker *worker);

/* Sync of one port, with its faults counted and rested. */
void fp_worker_rx_sync(struct fp_worker *worker, struct fp_worker_port *port);
void fp_worker_tx_sync(struct fp_worker *worker, struct fp_worker_port *port);
static inline bool fp_worker_port_rests(const struct fp_worker *worker, const struct fp_worker_port *port) {
    return port->retry_ns != 0 && worker->now_ns < port->retry_ns;
}

/* What readers see of a port, as it was opened last. */
void fp_worker_publish_info(struct fp_worker *worker, uint32_t index);

/* Watches the ports: lost ones are handed to recovery, returned ones taken. */
void fp_worker_check_ports(struct fp_worker *worker);
/* Counts a sync; a failed one rests the port. */
void fp_worker_sync_done(struct fp_worker *worker, struct fp_worker_port *port, int result);
/* An egress port without room, and an ingress port without frames, of the same description. */
void fp_worker_make_absent(struct fp_worker_port *port);
/* absence.c: what an open port has missed and passed to the host since it was opened, added to what was before. */
void fp_worker_count_seen(struct fp_worker_port *port, uint64_t missed, uint64_t passed);
/* Lays the descriptors of all ports out for poll(2). */
void fp_worker_lay_out_fds(struct fp_worker *worker);
/* Syncs ports that poll(2) syncs, and where it may `sleep` does until a port has frames, at most FP_WAIT_MS. */
void fp_worker_poll(struct fp_worker *worker, bool sleep);

uint64_t fp_monotonic_ns(void);

enum { FP_WAIT_MS = 100, FP_FLUSH_MS = 100 };
#define FP_REST_NS 100000000U /* a port that failed is tried again after this */
#define FP_CHECK_NS 10000000U /* ports are looked after this often */
#define FP_SPIN_NS 50000U     /* FP_WAIT_ADAPTIVE */

#endif
