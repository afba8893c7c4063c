/* SPDX-License-Identifier: Apache-2.0 */
/* The loop's side of recovery: faults counted and rested, lost ports replaced, returned ones taken. */
#include "worker.h"

enum { MAX_FAILURES = 5 /* in a row, of an interface that looks well: half a second */ };

/* ------------------------------------------------------------ a port that is not there */

static int nothing_sync(struct fp_port *port) {
    (void)port;
    return 0;
}

static uint32_t nothing_fds(const struct fp_port *port, struct pollfd *fds) {
    (void)port;
    (void)fds;
    return 0;
}

static const struct fp_port_ops absent_ops = {
    .rx_sync = nothing_sync, .tx_sync = nothing_sync, .poll_fds = nothing_fds};

void fp_worker_make_absent(struct fp_worker_port *port) {
    /* One slot: none is room, none is outstanding. Never written. */
    static struct netmap_ring no_slots = {.num_slots = 1};
    static struct fp_ring no_room = {.shared = &no_slots, .slots = 1};
    port->absent = (struct fp_port){.ops = &absent_ops, .info = port->own->info, .tx = &no_room};
    port->absent.info.rx_rings = 0;
    port->absent.info.tx_rings = 1;
}

/* ------------------------------------------------------------ counted, handed over, taken back */

void fp_worker_sync_done(struct fp_worker *worker, struct fp_worker_port *port, int result) {
    if (result == 0) {
        port->retry_ns = 0;
        port->failures = 0;
        return;
    }
    port->failures++;
    port->counters.sync_errors++;
    port->counters_changed = true;
    port->retry_ns = worker->now_ns + FP_REST_NS;
}

static void leave(struct fp_worker *worker, struct fp_worker_port *port) {
    fp_worker_make_absent(port);
    port->port = &port->absent;
    port->missed_before = port->counters.missed_frames;
    port->passed_before = port->counters.passed_to_host_frames;
    port->unsent = false;
    port->synced = false;
    fp_worker_lay_out_fds(worker);
    fp_recovery_hand_over(worker->recovery, port);
}

static void take_back(struct fp_worker *worker, struct fp_worker_port *port) {
    port->port = port->own;
    port->retry_ns = 0;
    port->failures = 0;
    fp_worker_lay_out_fds(worker);
    atomic_store_explicit(&port->recovery.custody, FP_CUSTODY_LOOP, memory_order_release);
}

void fp_worker_count_seen(struct fp_worker_port *port, uint64_t missed, uint64_t passed) {
    missed += port->missed_before;
    passed += port->passed_before;
    port->counters_changed = port->counters_changed || port->counters.missed_frames != missed ||
                             port->counters.passed_to_host_frames != passed;
    port->counters.missed_frames = missed;
    port->counters.passed_to_host_frames = passed;
}

static void check_own(struct fp_worker *worker, struct fp_worker_port *port) {
    enum fp_link link = (enum fp_link)atomic_load_explicit(&port->recovery.link, memory_order_relaxed);
    fp_worker_count_seen(port, atomic_load_explicit(&port->recovery.missed, memory_order_relaxed),
                         atomic_load_explicit(&port->recovery.passed, memory_order_relaxed));
    if (link == FP_LINK_DOWN && !fp_worker_port_rests(worker, port)) {
        fp_worker_sync_done(worker, port, FP_E_SYSTEM); /* a port without traffic would never show it */
    }
    if (link != FP_LINK_UP) {
        port->failures = 0; /* of the link, not of the rings */
    }
    if (link == FP_LINK_GONE || port->failures >= MAX_FAILURES) {
        port->counters.sync_errors += link == FP_LINK_GONE;
        port->counters_changed = true;
        leave(worker, port);
    }
}

void fp_worker_check_ports(struct fp_worker *worker) {
    if (worker->recovery == NULL || worker->now_ns - worker->checked_ns < FP_CHECK_NS) {
        return;
    }
    worker->checked_ns = worker->now_ns;
    for (uint32_t i = 0; i < worker->port_count; i++) {
        struct fp_worker_port *port = &worker->ports[i];
        if (port->port == port->own) {
            if (port->own->ops->check != NULL) {
                check_own(worker, port);
            }
        } else if (atomic_load_explicit(&port->recovery.custody, memory_order_acquire) == FP_CUSTODY_RETURNED) {
            take_back(worker, port);
        }
    }
}
