/* SPDX-License-Identifier: Apache-2.0 */
/* The worker: its ports, its turns, and their faults. */
#include "burst.h"
#include "host_path.h"
#include "learning.h"
#include "media.h"
#include "ordered.h"
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

uint64_t fp_monotonic_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

/* Nobody outside shall choose flows of one bucket. Without randomness the time is better than nothing. */
static uint64_t make_seed(void) {
    uint64_t seed;
    return getrandom(&seed, sizeof seed, GRND_NONBLOCK) == (ssize_t)sizeof seed ? seed : fp_monotonic_ns();
}

int fp_worker_create(struct fp_state *state, enum fp_wait wait, struct fp_worker **out) {
    if (wait != FP_WAIT_POLL && wait != FP_WAIT_BUSY && wait != FP_WAIT_ADAPTIVE) {
        return FP_E_INVALID;
    }
    struct fp_worker *worker = calloc(1, sizeof *worker);
    if (worker == NULL) {
        return FP_E_NO_MEMORY;
    }
    worker->burst = calloc(1, sizeof *worker->burst);
    worker->addresses = calloc(1, sizeof *worker->addresses);
    worker->fds = calloc(1 + FP_MAX_PORTS * FP_MAX_RINGS, sizeof *worker->fds);
    if (worker->burst == NULL || worker->addresses == NULL || worker->fds == NULL) {
        fp_worker_destroy(worker);
        return FP_E_NO_MEMORY;
    }
    worker->segment = state->segment;
    /* Before the first offer slot 0, which is empty: the first one is written into the other. */
    uint64_t taken = atomic_load_explicit(&state->segment->taken, memory_order_relaxed);
    worker->table = &state->segment->tables[fp_offer_slot(taken)].table;
    worker->wait = wait;
    worker->clock_ns = fp_monotonic_ns;
    fp_discovery_reset(&state->segment->discovery, make_seed());
    *out = worker;
    return 0;
}

void fp_worker_destroy(struct fp_worker *worker) {
    if (worker != NULL) {
        fp_recovery_stop(worker->recovery);
        fp_host_unpair(worker);
        fp_ordering_destroy(worker->ordering);
        free(worker->fds);
        free(worker->addresses);
        free(worker->burst);
        free(worker);
    }
}

void fp_worker_publish_info(struct fp_worker *worker, uint32_t index) {
    const struct fp_worker_port *port = &worker->ports[index];
    struct fp_port_info info = port->own->info;
    uint64_t words[FP_INFO_WORDS];
    memcpy(info.name, port->name, sizeof info.name);
    memcpy(words, &info, sizeof words);
    fp_seq_store(&worker->segment->infos[index].sequence, worker->segment->infos[index].words, words, FP_INFO_WORDS);
}

static void publish_first_health(struct fp_worker *worker, uint32_t index) {
    struct fp_health_block *block = &worker->segment->health[index];
    struct timespec now;
    uint64_t words[FP_HEALTH_WORDS];
    clock_gettime(CLOCK_REALTIME, &now);
    struct fp_port_health *health = &worker->ports[index].recovery.health;
    health->state = FP_PORT_IS_UP;
    health->since_ns = (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
    memcpy(words, health, sizeof words);
    fp_seq_store(&block->sequence, block->words, words, FP_HEALTH_WORDS);
}

int fp_worker_add_port(struct fp_worker *worker, struct fp_port *port, const char *name) {
    size_t length = strnlen(name, FP_NAME_BYTES);
    if (worker->port_count == FP_MAX_PORTS || worker->loops > 0 || length == 0 || length == FP_NAME_BYTES) {
        return FP_E_INVALID;
    }
    if (port->info.sync == FP_SYNC_KLOOP && worker->wait != FP_WAIT_BUSY) {
        return FP_E_INVALID; /* nothing would wake it */
    }
    int result = 0;
    if (port->ops->check != NULL && worker->recovery == NULL) {
        result = fp_recovery_start(worker, &worker->recovery);
    }
    if (result != 0) {
        return result;
    }
    struct fp_worker_port *added = &worker->ports[worker->port_count];
    memcpy(added->name, name, length);
    added->port = port;
    added->own = port;
    fp_worker_publish_info(worker, worker->port_count);
    publish_first_health(worker, worker->port_count);
    worker->port_count++;
    fp_worker_lay_out_fds(worker);
    atomic_store_explicit(&worker->segment->port_count, worker->port_count, memory_order_release);
    return 0;
}

void fp_worker_rx_sync(struct fp_worker *worker, struct fp_worker_port *port) {
    fp_worker_sync_done(worker, port, port->port->ops->rx_sync(port->port));
}

void fp_worker_tx_sync(struct fp_worker *worker, struct fp_worker_port *port) {
    int result = port->port->ops->tx_sync(port->port);
    port->unsent = result != 0 || port->port->tx_backlog; /* then it is tried again, also without new frames */
    fp_worker_sync_done(worker, port, result);
}

/* Without room for the next `frames`; a NIC already when half full, so that it sends while the loop goes on. */
static bool runs_short(const struct fp_port *port, uint32_t frames) {
    for (uint32_t i = 0; i < port->info.tx_rings; i++) {
        uint32_t space = fp_ring_space(&port->tx[i]);
        if (space < frames || (!port->hands_over && (space < port->tx[i].slots / 2 || space < FP_BURST_FRAMES))) {
            return true;
        }
    }
    return false;
}

static bool has_outstanding(const struct fp_port *port) {
    for (uint32_t i = 0; i < port->info.tx_rings; i++) {
        if (fp_ring_outstanding(&port->tx[i]) > 0) {
            return true;
        }
    }
    return false;
}

/* Finished slots come back in a sync only: ring by ring, before they run short of the next `frames`. */
static void make_room(struct fp_worker *worker, uint32_t frames) {
    for (uint32_t i = 0; i < worker->port_count; i++) {
        struct fp_worker_port *port = &worker->ports[i];
        if (!fp_worker_port_rests(worker, port) && runs_short(port->port, frames)) {
            fp_worker_tx_sync(worker, port);
        }
    }
}

/* Frames of all ports; `outstanding` also syncs ports that only wait for slots to come back. */
static void transmit(struct fp_worker *worker, bool outstanding) {
    for (uint32_t i = 0; i < worker->port_count; i++) {
        struct fp_worker_port *port = &worker->ports[i];
        bool unsent = port->unsent && !(worker->polls && port->port->poll_syncs);
        bool wanted = unsent || (outstanding && has_outstanding(port->port));
        if (wanted && !fp_worker_port_rests(worker, port)) {
            fp_worker_tx_sync(worker, port);
        }
    }
}

static uint32_t receive(struct fp_worker *worker, uint32_t index) {
    struct fp_worker_port *port = &worker->ports[index];
    uint32_t frames = 0;
    if (fp_worker_port_rests(worker, port)) {
        return 0;
    }
    if (!port->synced) {
        fp_worker_rx_sync(worker, port);
    }
    port->synced = false;
    for (uint32_t ring = 0; ring < port->port->info.rx_rings; ring++) {
        uint32_t burst = FP_BURST_FRAMES;
        for (uint32_t left = port->port->turn_frames; left > 0 && burst >= FP_BURST_FRAMES; left -= burst) {
            burst = fp_worker_forward(worker, index, ring, left);
            frames += burst;
            if (burst > 0) {
                make_room(worker, fp_least(fp_ring_space(&port->port->rx[ring]), FP_BURST_FRAMES));
            }
        }
    }
    return frames;
}

/* The burst boundary: the one place where a table may change. */
static void take_table(struct fp_worker *worker) {
    struct fp_segment *segment = worker->segment;
    uint64_t offer = atomic_load_explicit(&segment->offer, memory_order_acquire);
    if (offer != atomic_load_explicit(&segment->taken, memory_order_relaxed)) {
        const struct fp_table_flat *next = &segment->tables[fp_offer_slot(offer)].table;
        if (worker->ordering != NULL && !fp_ordered_leave(worker, next)) {
            return; /* what the old table still holds leaves by its routes */
        }
        worker->table = next;
        atomic_store_explicit(&segment->taken, offer, memory_order_release);
    }
}

static void publish_worker(struct fp_worker *worker) {
    uint64_t words[FP_WORKER_WORDS] = {
        [FP_WORD_HEARTBEAT_NS] = worker->now_ns,
        [FP_WORD_LOOPS] = worker->loops,
        [FP_WORD_RUNNING] = worker->running,
    };
    fp_seq_store(&worker->segment->worker_sequence, worker->segment->worker_words, words, FP_WORKER_WORDS);
}

int fp_worker_turn(struct fp_worker *worker) {
    uint32_t frames = 0;
    if (!worker->now_is_new) {
        worker->now_ns = worker->clock_ns();
    }
    worker->now_is_new = false;
    take_table(worker);
    fp_worker_check_ports(worker);
    make_room(worker, FP_BURST_FRAMES);
    for (uint32_t i = 0; i < worker->port_count; i++) {
        frames += receive(worker, i);
    }
    if (worker->ordering != NULL) {
        fp_ordered_release(worker, frames);
    }
    if (frames > 0) {
        fp_worker_publish(worker);
    }
    transmit(worker, frames == 0);
    if (worker->table->merge_end != 0) {
        fp_media_publish(worker, frames == 0);
    }
    worker->loops++;
    if (frames == 0) {
        fp_worker_publish(worker); /* faults of syncs; while frames come the next turn tells them */
    }
    publish_worker(worker);
    return (int)frames;
}

/* What the last frames still need once no more are taken. */
static void flush(struct fp_worker *worker) {
    uint64_t deadline_ns = fp_monotonic_ns() + FP_FLUSH_MS * 1000000ULL;
    bool pending = true;
    while (pending && fp_monotonic_ns() < deadline_ns) {
        worker->now_ns = fp_monotonic_ns();
        pending = worker->ordering != NULL && fp_ordered_end(worker, false);
        transmit(worker, true);
        for (uint32_t i = 0; i < worker->port_count; i++) {
            const struct fp_port *port = worker->ports[i].port;
            pending = pending || (port->info.kind != FP_PORT_MEMORY && has_outstanding(port));
        }
        if (pending) {
            nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        }
    }
    if (worker->ordering != NULL) {
        (void)fp_ordered_end(worker, true);
    }
    fp_worker_publish(worker);
}

/* The recovery thread looks ten times a second: what was missed since then. */
static void count_missed_last(struct fp_worker *worker) {
    for (uint32_t i = 0; i < worker->port_count; i++) {
        struct fp_worker_port *port = &worker->ports[i];
        struct fp_port_seen seen;
        if (port->port->ops->check != NULL) {
            port->port->ops->check(port->port, &seen);
            fp_worker_count_seen(port, seen.missed_frames, seen.passed_frames);
        }
    }
}

int fp_worker_run(struct fp_worker *worker) {
    struct fp_segment *segment = worker->segment;
    uint64_t last_frame_ns = 0;
    worker->running = true;
    worker->polls = true;
    while (atomic_load_explicit(&segment->stop, memory_order_acquire) == 0) {
        bool idle = fp_worker_turn(worker) == 0;
        if (!idle) {
            last_frame_ns = worker->now_ns;
        }
        bool sleep = (worker->wait == FP_WAIT_POLL && (idle || worker->poll_only)) ||
                     (worker->wait == FP_WAIT_ADAPTIVE && idle && worker->now_ns - last_frame_ns > FP_SPIN_NS);
        if (sleep || worker->poll_any) {
            fp_worker_poll(worker, sleep);
        }
    }
    worker->polls = false;
    count_missed_last(worker);
    flush(worker);
    fp_media_publish_all(worker);
    worker->running = false;
    publish_worker(worker);
    return 0;
}
