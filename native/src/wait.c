/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sleeping until a port has frames, and syncing all ports of netmap with one system call: its poll(2) sends what waits
 * in transmit rings and receives into empty rings, of every descriptor in the set (netmap(4), SELECT, POLL). Between
 * two pipes that is one call a turn instead of five.
 */
#include "ordered.h"
#include <errno.h>
#include <time.h>

enum { FAULTS = POLLERR | POLLHUP | POLLNVAL };

void fp_worker_lay_out_fds(struct fp_worker *worker) {
    worker->fd_count = 0;
    worker->poll_any = false;
    worker->poll_only = true;
    if (worker->recovery != NULL) {
        worker->fds[worker->fd_count++] =
            (struct pollfd){.fd = fp_recovery_returned_fd(worker->recovery), .events = POLLIN};
    }
    for (uint32_t i = 0; i < worker->port_count; i++) {
        struct fp_worker_port *port = &worker->ports[i];
        port->fds = &worker->fds[worker->fd_count];
        port->fd_count = port->port->ops->poll_fds(port->port, port->fds);
        worker->fd_count += port->fd_count;
        worker->poll_any = worker->poll_any || port->port->poll_syncs;
        worker->poll_only = worker->poll_only && port->port->poll_syncs;
    }
}

/* A descriptor in fault is always ready and would turn sleeping into spinning: poll(2) skips negative ones. */
static void fds_mask(struct fp_worker *worker) {
    for (uint32_t i = 0; i < worker->port_count; i++) {
        const struct fp_worker_port *port = &worker->ports[i];
        bool rests = fp_worker_port_rests(worker, port);
        for (uint32_t j = 0; j < port->fd_count; j++) {
            struct pollfd *fd = &port->fds[j];
            if (rests == (fd->fd >= 0)) {
                fd->fd = ~fd->fd;
            }
            fd->revents = 0;
        }
    }
}

static void fds_inspect(struct fp_worker *worker) {
    if (worker->recovery != NULL && worker->fds[0].revents != 0) {
        fp_recovery_clear(worker->recovery);
        worker->checked_ns = 0;
    }
    for (uint32_t i = 0; i < worker->port_count; i++) {
        struct fp_worker_port *port = &worker->ports[i];
        bool fault = false;
        for (uint32_t j = 0; j < port->fd_count; j++) {
            fault = fault || (port->fds[j].revents & FAULTS) != 0;
            port->port->woken = port->port->woken || (port->fds[j].revents & POLLIN) != 0;
        }
        if (fault) {
            worker->now_ns = fp_monotonic_ns();
            fp_worker_sync_done(worker, port, FP_E_SYSTEM);
        } else if (port->port->poll_syncs && port->fds[0].fd >= 0) {
            port->synced = true;
            port->unsent = false;
            fp_worker_sync_done(worker, port, 0);
        }
    }
}

/* Frames the kernel did not take yet are offered again soon. */
static int timeout_ms(const struct fp_worker *worker) {
    for (uint32_t i = 0; i < worker->port_count; i++) {
        if (worker->ports[i].port->tx_backlog) {
            return 1;
        }
    }
    return FP_WAIT_MS;
}

/* The same, but no longer than until a frame that is held has its turn: a window may last less than poll(2) can tell.
 */
static struct timespec timeout(const struct fp_worker *worker) {
    uint64_t wait_ns = (uint64_t)timeout_ms(worker) * 1000000U;
    uint64_t due_ns = worker->ordering != NULL ? worker->ordering->due_ns : UINT64_MAX;
    if (due_ns != UINT64_MAX) {
        uint64_t now_ns = worker->clock_ns();
        uint64_t left_ns = due_ns > now_ns ? due_ns - now_ns : 0;
        wait_ns = left_ns < wait_ns ? left_ns : wait_ns;
    }
    return (struct timespec){.tv_nsec = (long)wait_ns};
}

void fp_worker_poll(struct fp_worker *worker, bool sleep) {
    struct timespec most = {0};
    fds_mask(worker);
    if (sleep) {
        most = timeout(worker);
    }
    int ready = ppoll(worker->fds, worker->fd_count, &most, NULL);
    if (ready >= 0) {
        fds_inspect(worker);
    } else if (errno != EINTR) {
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL); /* out of memory: do not spin */
    }
}
