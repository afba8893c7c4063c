/* SPDX-License-Identifier: Apache-2.0 */
#include "xdp_queue.h"
#include <errno.h>
#include <sys/socket.h>

/* Buffers of consumed slots go to the fill ring. It has room: there are fewer buffers than entries. */
static void fill_give(struct fp_xdp_queue *queue) {
    const struct fp_ring *ring = queue->rx;
    struct fp_xdp_ring *fill = &queue->socket.fill;
    uint64_t *addresses = fill->entries;
    uint32_t produced = atomic_load_explicit(fill->producer, memory_order_relaxed);
    uint32_t head = ring->shared->head;
    while (queue->rx_given != head) {
        addresses[produced & fill->mask] = (uint64_t)ring->shared->slot[queue->rx_given].buf_idx * ring->buffer_bytes;
        produced++;
        queue->rx_given = fp_ring_next(ring, queue->rx_given);
    }
    atomic_store_explicit(fill->producer, produced, memory_order_release);
}

/*
 * The kernel returned `buffer`, which goes into the slot at `tail`; the slot behind gives up its memory of a buffer. As
 * a rule it is the same one. Where the kernel returns buffers in another order, the memories change places.
 */
static void memory_give_up(const struct fp_ring *ring, uint32_t tail, uint32_t given, uint32_t buffer) {
    struct netmap_slot *slots = ring->shared->slot;
    uint32_t next = fp_ring_next(ring, tail);
    uint32_t remembered = slots[next].buf_idx;
    for (uint32_t at = next; remembered != buffer && at != given; at = fp_ring_next(ring, at)) {
        if (slots[at].buf_idx == buffer) {
            slots[at].buf_idx = remembered;
            return;
        }
    }
}

/* Received descriptors become slots. */
static void receive_take(struct fp_xdp_queue *queue) {
    const struct fp_ring *ring = queue->rx;
    struct fp_xdp_ring *receive = &queue->socket.receive;
    const struct xdp_desc *descriptors = receive->entries;
    uint32_t consumed = atomic_load_explicit(receive->consumer, memory_order_relaxed);
    uint32_t produced = fp_xdp_produced(receive);
    uint32_t tail = ring->shared->tail;
    while (consumed != produced && fp_ring_next(ring, tail) != queue->rx_given) {
        struct xdp_desc descriptor = descriptors[consumed & receive->mask];
        uint32_t buffer = (uint32_t)(descriptor.addr / ring->buffer_bytes);
        memory_give_up(ring, tail, queue->rx_given, buffer);
        ring->shared->slot[tail] = (struct netmap_slot){
            .buf_idx = buffer,
            .len = (uint16_t)(descriptor.len <= UINT16_MAX ? descriptor.len : UINT16_MAX),
            .ptr = descriptor.addr % ring->buffer_bytes,
        };
        consumed++;
        tail = fp_ring_next(ring, tail);
    }
    atomic_store_explicit(receive->consumer, consumed, memory_order_release);
    ring->shared->tail = tail;
}

int fp_xdp_queue_receive(struct fp_xdp_queue *queue) {
    int result = 0;
    fill_give(queue);
    bool call = queue->socket.busy_poll_us != 0 || fp_xdp_needs_wakeup(&queue->socket.fill);
    if (call && recvfrom(queue->socket.fd, NULL, 0, MSG_DONTWAIT, NULL, NULL) < 0 && errno != EAGAIN &&
        errno != EBUSY && errno != EINTR) {
        result = FP_E_SYSTEM;
    }
    receive_take(queue);
    return result;
}

/* All receive buffers start in the fill ring: as if slots 0 to n - 2 had just been consumed. */
void fp_xdp_queue_prime(struct fp_xdp_queue *queue) {
    fp_ring_advance(queue->rx, queue->rx->slots - 1);
    fill_give(queue);
}

static void transmit_give(struct fp_xdp_queue *queue) {
    const struct fp_ring *ring = queue->tx;
    struct fp_xdp_ring *transmit = &queue->socket.transmit;
    struct xdp_desc *descriptors = transmit->entries;
    uint32_t produced = atomic_load_explicit(transmit->producer, memory_order_relaxed);
    uint32_t head = ring->shared->head;
    while (queue->tx_given != head) {
        const struct netmap_slot *slot = &ring->shared->slot[queue->tx_given];
        descriptors[produced & transmit->mask] = (struct xdp_desc){
            .addr = (uint64_t)slot->buf_idx * ring->buffer_bytes + fp_slot_offset(ring, slot),
            .len = slot->len,
        };
        produced++;
        queue->tx_given = fp_ring_next(ring, queue->tx_given);
    }
    atomic_store_explicit(transmit->producer, produced, memory_order_release);
}

/* Buffers of sent frames become free slots. */
static void completion_take(struct fp_xdp_queue *queue) {
    const struct fp_ring *ring = queue->tx;
    struct fp_xdp_ring *completion = &queue->socket.completion;
    const uint64_t *addresses = completion->entries;
    uint32_t consumed = atomic_load_explicit(completion->consumer, memory_order_relaxed);
    uint32_t produced = fp_xdp_produced(completion);
    uint32_t tail = ring->shared->tail;
    while (consumed != produced && fp_ring_next(ring, tail) != queue->tx_given) {
        uint32_t buffer = (uint32_t)(addresses[consumed & completion->mask] / ring->buffer_bytes);
        memory_give_up(ring, tail, queue->tx_given, buffer);
        ring->shared->slot[tail] = (struct netmap_slot){.buf_idx = buffer};
        consumed++;
        tail = fp_ring_next(ring, tail);
    }
    atomic_store_explicit(completion->consumer, consumed, memory_order_release);
    ring->shared->tail = tail;
}

/* In copy mode one call sends a few frames only: call again as long as it moves. Returns 0 or a negative code. */
static int transmit_kick(struct fp_xdp_queue *queue, bool *backlog) {
    const struct fp_xdp_ring *transmit = &queue->socket.transmit;
    uint32_t produced = atomic_load_explicit(transmit->producer, memory_order_relaxed);
    uint32_t consumed = fp_xdp_consumed(transmit);
    while (consumed != produced && fp_xdp_needs_wakeup(transmit)) {
        ssize_t sent = sendto(queue->socket.fd, NULL, 0, MSG_DONTWAIT, NULL, 0);
        if (sent < 0 && errno != EAGAIN && errno != EBUSY && errno != ENOBUFS && errno != EINTR) {
            return FP_E_SYSTEM;
        }
        uint32_t now = fp_xdp_consumed(transmit);
        if (now == consumed) {
            break;
        }
        consumed = now;
    }
    *backlog = *backlog || (consumed != produced && fp_xdp_needs_wakeup(transmit));
    return 0;
}

int fp_xdp_queue_transmit(struct fp_xdp_queue *queue, bool *backlog) {
    transmit_give(queue);
    int result = transmit_kick(queue, backlog);
    completion_take(queue);
    return result;
}
