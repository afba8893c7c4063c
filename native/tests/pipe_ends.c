/* SPDX-License-Identifier: Apache-2.0 */
#include "pipe_ends.h"
#include "check.h"
#include "port.h"
#include "wire.h"
#include <string.h>

struct fp_port *pipe_end_open(const char *spec) {
    struct fp_port_config config = {0};
    struct fp_port *port = NULL;
    (void)snprintf(config.spec, sizeof config.spec, "%s", spec);
    CHECK_EQ(fp_port_open(&config, NULL, &port), 0);
    return port;
}

static int end_send(struct fp_port *end, const uint8_t *frame, uint32_t length) {
    const struct fp_ring *ring = &end->tx[0];
    if (fp_ring_space(ring) == 0) {
        return 0;
    }
    struct netmap_slot *slot = &ring->shared->slot[ring->shared->head];
    memcpy(fp_ring_buffer(ring, slot->buf_idx), frame, length);
    slot->len = (uint16_t)length;
    fp_ring_advance(ring, fp_ring_next(ring, ring->shared->head));
    return 1;
}

/* Takes what has arrived; the last four bytes count up. */
static uint32_t end_take(struct fp_port *end, const uint8_t *wanted, uint32_t length, uint32_t next) {
    const struct fp_ring *ring = &end->rx[0];
    CHECK_EQ(end->ops->rx_sync(end), 0);
    for (; fp_ring_space(ring) > 0; fp_ring_advance(ring, fp_ring_next(ring, ring->shared->head))) {
        const struct netmap_slot *slot = &ring->shared->slot[ring->shared->head];
        const uint8_t *seen = fp_ring_buffer(ring, slot->buf_idx);
        uint32_t number = 0;
        CHECK_EQ(slot->len, length);
        memcpy(&number, seen + length - sizeof number, sizeof number);
        CHECK_EQ(number, next);
        CHECK(memcmp(seen, wanted, length - sizeof number) == 0);
        next++;
    }
    return next;
}

void pipe_exchange(const char *what, const char *from, const char *to, uint32_t frames, uint32_t window) {
    uint8_t frame[FRAME_ROOM];
    uint32_t length = frame_build(&media, frame);
    struct fp_port *sender = pipe_end_open(from);
    struct fp_port *receiver = pipe_end_open(to);
    uint32_t sent = 0;
    uint32_t arrived = 0;
    CHECK_EQ(sender->info.adapter, FP_ADAPTER_VIRTUAL);
    while (arrived < frames) {
        for (; sent < frames && sent < arrived + window; sent++) {
            memcpy(frame + length - sizeof sent, &sent, sizeof sent);
            if (!end_send(sender, frame, length)) {
                break;
            }
        }
        CHECK_EQ(sender->ops->tx_sync(sender), 0);
        arrived = end_take(receiver, frame, length, arrived);
    }
    (void)printf("%s: %u frames of %u bytes in order\n", what, arrived, length);
    fp_port_close(sender);
    fp_port_close(receiver);
}
