/* SPDX-License-Identifier: Apache-2.0 */
#include "recovery.h"
#include "host_path.h"
#include "worker.h"
#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { LOOK_MS = 100, REST_NS = 10000000 /* between two looks, however much changes */ };

struct fp_recovery {
    struct fp_worker *worker;
    pthread_t thread;
    FP_ATOMIC(int) stop;
    int handed_over; /* eventfd: the loop, or the end, wants attention */
    int returned;    /* eventfd: a port is back */
    int changes;     /* rtnetlink(7): interfaces come, go and change */
};

static uint64_t realtime_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

/* ------------------------------------------------------------ the thread's side */

static void health_publish(const struct fp_recovery *recovery, uint32_t index) {
    struct fp_segment *segment = recovery->worker->segment;
    uint64_t words[FP_HEALTH_WORDS];
    memcpy(words, &recovery->worker->ports[index].recovery.health, sizeof words);
    fp_seq_store(&segment->health[index].sequence, segment->health[index].words, words, FP_HEALTH_WORDS);
}

static void state_set(const struct fp_recovery *recovery, uint32_t index, enum fp_port_state state) {
    struct fp_port_health *health = &recovery->worker->ports[index].recovery.health;
    if (health->state != state) {
        health->outages += health->state == FP_PORT_IS_UP;
        health->state = state;
        health->since_ns = realtime_ns();
        health_publish(recovery, index);
    }
}

static enum fp_port_state state_of_link(enum fp_link link) {
    static const enum fp_port_state states[] = {
        [FP_LINK_UP] = FP_PORT_IS_UP,
        [FP_LINK_NO_CARRIER] = FP_PORT_IS_NO_LINK,
        [FP_LINK_DOWN] = FP_PORT_IS_DOWN,
        [FP_LINK_GONE] = FP_PORT_IS_GONE,
    };
    return states[link];
}

static enum fp_port_state state_of_refusal(int error, int number) {
    if (error == FP_E_NO_DEVICE || error == FP_E_NO_NETMAP) {
        return FP_PORT_IS_GONE;
    }
    return error == FP_E_SYSTEM && number == ENETDOWN ? FP_PORT_IS_DOWN : FP_PORT_IS_REOPENING;
}

static void look(const struct fp_recovery *recovery, uint32_t index) {
    struct fp_worker_port *port = &recovery->worker->ports[index];
    struct fp_port_seen seen;
    if (port->own->ops->check == NULL) {
        return;
    }
    port->own->ops->check(port->own, &seen);
    atomic_store_explicit(&port->recovery.missed, seen.missed_frames, memory_order_relaxed);
    atomic_store_explicit(&port->recovery.passed, seen.passed_frames, memory_order_relaxed);
    atomic_store_explicit(&port->recovery.link, seen.link, memory_order_relaxed);
    state_set(recovery, index, state_of_link(seen.link));
}

static void give_up(const struct fp_recovery *recovery, uint32_t index) {
    struct fp_worker_port *port = &recovery->worker->ports[index];
    const struct fp_port *own = port->own;
    for (uint32_t i = 0; i < own->info.tx_rings; i++) {
        port->recovery.health.unconfirmed_frames += fp_ring_outstanding(&own->tx[i]);
    }
    if (port->recovery.health.state != FP_PORT_IS_GONE) { /* gone stays gone, since when it went */
        state_set(recovery, index, FP_PORT_IS_REOPENING);
    }
    own->ops->release(port->own);
    port->recovery.released = true;
}

static void open_again(const struct fp_recovery *recovery, uint32_t index) {
    struct fp_worker_port *port = &recovery->worker->ports[index];
    struct fp_port_health *health = &port->recovery.health;
    int result = port->own->ops->acquire(port->own);
    int number = result == FP_E_SYSTEM ? errno : 0;
    bool told = health->error == result && health->error_errno == number;
    health->error = result;
    health->error_errno = number;
    if (result != 0) {
        state_set(recovery, index, state_of_refusal(result, number));
        if (!told) {
            health_publish(recovery, index);
        }
        return;
    }
    health->reopened++;
    port->recovery.released = false;
    atomic_store_explicit(&port->recovery.missed, 0, memory_order_relaxed);
    atomic_store_explicit(&port->recovery.passed, 0, memory_order_relaxed);
    fp_host_renew(port); /* another interface of that name has another address */
    atomic_store_explicit(&port->recovery.link, FP_LINK_UP, memory_order_relaxed);
    fp_worker_publish_info(recovery->worker, index);
    health_publish(recovery, index);
    atomic_store_explicit(&port->recovery.custody, FP_CUSTODY_RETURNED, memory_order_release);
    (void)!write(recovery->returned, &(uint64_t){1}, sizeof(uint64_t));
}

static void attend(const struct fp_recovery *recovery, uint32_t index) {
    struct fp_worker_port *port = &recovery->worker->ports[index];
    switch (atomic_load_explicit(&port->recovery.custody, memory_order_acquire)) {
    case FP_CUSTODY_RECOVERY:
        if (!port->recovery.released) {
            give_up(recovery, index);
        }
        open_again(recovery, index);
        break;
    case FP_CUSTODY_LOOP:
        look(recovery, index);
        break;
    default: /* the loop is about to take it */
        break;
    }
}

/* What the messages say is asked anew anyway: they only end the wait. */
static void changes_drain(int fd) {
    char buffer[8192];
    while (recv(fd, buffer, sizeof buffer, MSG_DONTWAIT) > 0) {
    }
}

static void *recover(void *argument) {
    const struct fp_recovery *recovery = argument;
    while (atomic_load_explicit(&recovery->stop, memory_order_acquire) == 0) {
        struct pollfd fds[] = {
            {.fd = recovery->handed_over, .events = POLLIN},
            {.fd = recovery->changes, .events = POLLIN},
        };
        uint32_t count = atomic_load_explicit(&recovery->worker->segment->port_count, memory_order_acquire);
        for (uint32_t i = 0; i < count; i++) {
            attend(recovery, i);
        }
        if (poll(fds, 2, LOOK_MS) > 0) {
            uint64_t times;
            (void)!read(recovery->handed_over, &times, sizeof times);
            nanosleep(&(struct timespec){.tv_nsec = REST_NS}, NULL);
            changes_drain(recovery->changes);
        }
    }
    return NULL;
}

/* ------------------------------------------------------------ the loop's side */

/* -1 where the kernel refuses: then changes are seen ten times a second only. */
static int changes_open(void) {
    struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK};
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
    if (fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        close(fd);
        fd = -1;
    }
    return fd;
}

static void recovery_free(struct fp_recovery *recovery) {
    const int descriptors[] = {recovery->handed_over, recovery->returned, recovery->changes};
    for (size_t i = 0; i < sizeof descriptors / sizeof descriptors[0]; i++) {
        if (descriptors[i] >= 0) {
            close(descriptors[i]);
        }
    }
    free(recovery);
}

/* Signals are the process's: none is taken here. */
static int thread_start(struct fp_recovery *recovery) {
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int result = pthread_create(&recovery->thread, NULL, recover, recovery);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = result;
    return result == 0 ? 0 : FP_E_SYSTEM;
}

int fp_recovery_start(struct fp_worker *worker, struct fp_recovery **out) {
    struct fp_recovery *recovery = calloc(1, sizeof *recovery);
    if (recovery == NULL) {
        return FP_E_NO_MEMORY;
    }
    recovery->worker = worker;
    recovery->handed_over = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    recovery->returned = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    recovery->changes = changes_open();
    int result = recovery->handed_over < 0 || recovery->returned < 0 ? FP_E_SYSTEM : thread_start(recovery);
    if (result != 0) {
        int saved = errno;
        recovery_free(recovery);
        errno = saved;
        return result;
    }
    *out = recovery;
    return 0;
}

void fp_recovery_stop(struct fp_recovery *recovery) {
    if (recovery == NULL) {
        return;
    }
    atomic_store_explicit(&recovery->stop, 1, memory_order_release);
    (void)!write(recovery->handed_over, &(uint64_t){1}, sizeof(uint64_t));
    (void)pthread_join(recovery->thread, NULL);
    recovery_free(recovery);
}

void fp_recovery_hand_over(struct fp_recovery *recovery, struct fp_worker_port *port) {
    atomic_store_explicit(&port->recovery.custody, FP_CUSTODY_RECOVERY, memory_order_release);
    (void)!write(recovery->handed_over, &(uint64_t){1}, sizeof(uint64_t));
}

int fp_recovery_returned_fd(const struct fp_recovery *recovery) { return recovery->returned; }

void fp_recovery_clear(const struct fp_recovery *recovery) {
    uint64_t times;
    (void)!read(recovery->returned, &times, sizeof times);
}
