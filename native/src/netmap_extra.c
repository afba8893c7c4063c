/* SPDX-License-Identifier: Apache-2.0 */
#include "netmap_extra.h"
#include "netmap_rings.h"
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LEAST_SLOTS = 64 /* of the port, which nothing is sent to */ };

struct fp_netmap_extra {
    int fd;
    struct fp_netmap_memory memory;
    struct fp_port view; /* its rings, as fp_netmap_rings_open finds them */
    uint32_t *head;      /* netmap_if.ni_bufs_head: the list the kernel frees with the port */
    uint32_t first;      /* of the list that is made for it; 0: none */
};

/* A name no other has: all in one VALE switch, of which a host has few. */
static void name_make(char name[NETMAP_REQ_IFNAMSIZ]) {
    static _Atomic(unsigned) opened;
    (void)snprintf(name, NETMAP_REQ_IFNAMSIZ, "valehold:%x_%x", (unsigned)getpid(), atomic_fetch_add(&opened, 1));
}

static int extra_register(const struct fp_netmap_extra *extra, uint32_t region, uint32_t count,
                          struct nmreq_register *body) {
    char name[NETMAP_REQ_IFNAMSIZ];
    name_make(name);
    *body = (struct nmreq_register){
        .nr_tx_slots = LEAST_SLOTS,
        .nr_rx_slots = LEAST_SLOTS,
        .nr_tx_rings = 1,
        .nr_rx_rings = 1,
        .nr_mem_id = (uint16_t)region,
        .nr_mode = NR_REG_ALL_NIC,
        .nr_extra_bufs = count,
    };
    if (fp_netmap_request(extra->fd, NETMAP_REQ_REGISTER, name, body, NULL) != 0) {
        return errno == ENOMEM ? FP_E_REGION : FP_E_SYSTEM; /* not even room for its rings */
    }
    if (body->nr_mem_id != region) {
        errno = EPROTO;
        return FP_E_SYSTEM;
    }
    return body->nr_extra_bufs >= count ? 0 : FP_E_REGION;
}

static int extra_map(struct fp_netmap_extra *extra, const struct nmreq_register *body) {
    int result = fp_netmap_map(extra->fd, body->nr_memsize, &extra->memory);
    if (result == 0) {
        result = fp_netmap_rings_open(&extra->view, &extra->memory, body->nr_offset);
    }
    if (result == 0) {
        struct netmap_if *interface = (void *)(extra->memory.start + body->nr_offset);
        extra->head = &interface->ni_bufs_head;
    }
    return result;
}

/* Each free buffer begins with the index of the next one. */
static int list_take(struct fp_netmap_extra *extra, uint32_t count, uint32_t *out) {
    const struct fp_ring *ring = extra->view.rx;
    uint32_t buffer = *extra->head;
    for (uint32_t i = 0; i < count; i++) {
        if (ring == NULL || buffer < ring->first_buffer || buffer >= ring->buffer_count) {
            errno = EPROTO;
            return FP_E_SYSTEM;
        }
        out[i] = buffer;
        memcpy(&buffer, fp_ring_buffer(ring, buffer), sizeof buffer);
    }
    *extra->head = 0; /* from here on it would name buffers of rings */
    return 0;
}

static void extra_free(struct fp_netmap_extra *extra) {
    fp_netmap_unmap(&extra->memory);
    if (extra->fd >= 0) {
        close(extra->fd);
    }
    fp_port_free_rings(&extra->view);
    free(extra);
}

int fp_netmap_extra_open(uint32_t region, uint32_t count, uint32_t *out, struct fp_netmap_extra **made) {
    struct fp_netmap_extra *extra = calloc(1, sizeof *extra);
    struct nmreq_register body;
    if (extra == NULL) {
        return FP_E_NO_MEMORY;
    }
    extra->fd = open(NETMAP_DEVICE, O_RDWR | O_CLOEXEC);
    int result = extra->fd < 0 ? FP_E_SYSTEM : extra_register(extra, region, count, &body);
    if (result == 0) {
        result = extra_map(extra, &body);
    }
    if (result == 0) {
        result = list_take(extra, count, out);
    }
    if (result != 0) {
        int saved = errno;
        extra_free(extra);
        errno = saved;
        return result;
    }
    *made = extra;
    return 0;
}

uint8_t *fp_netmap_extra_buffers(const struct fp_netmap_extra *extra) { return extra->view.rx[0].buffers; }

void fp_netmap_extra_give(struct fp_netmap_extra *extra, uint32_t buffer) {
    memcpy(fp_ring_buffer(&extra->view.rx[0], buffer), &extra->first, sizeof extra->first);
    extra->first = buffer;
}

void fp_netmap_extra_close(struct fp_netmap_extra *extra) {
    *extra->head = extra->first;
    extra_free(extra);
}
