/* SPDX-License-Identifier: Apache-2.0 */
#include "xdp_socket.h"
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BUSY_TRIES = 50, BUSY_WAIT_NS = 20000000 /* a second together */ };

#ifndef SOL_XDP
#define SOL_XDP 283
#endif

static int code_of_errno(void) {
    switch (errno) {
    case EBUSY:
        return FP_E_BUSY;
    case EOPNOTSUPP:
    case EAFNOSUPPORT:
    case EPROTONOSUPPORT:
        return FP_E_UNSUPPORTED;
    case ENODEV:
        return FP_E_NO_DEVICE;
    case ENOMEM:
    case ENOBUFS:
        return FP_E_NO_MEMORY;
    default:
        return FP_E_SYSTEM;
    }
}

static int memory_register(int fd, const struct fp_region *region) {
    struct xdp_umem_reg memory = {
        .addr = (uintptr_t)region->memory,
        .len = region->size_bytes,
        .chunk_size = region->buffer_bytes,
    };
    return setsockopt(fd, SOL_XDP, XDP_UMEM_REG, &memory, sizeof memory);
}

static int ring_sizes_set(int fd, uint32_t slots) {
    static const int rings[] = {XDP_UMEM_FILL_RING, XDP_UMEM_COMPLETION_RING, XDP_RX_RING, XDP_TX_RING};
    for (size_t i = 0; i < sizeof rings / sizeof rings[0]; i++) {
        if (setsockopt(fd, SOL_XDP, rings[i], &slots, sizeof slots) != 0) {
            return -1;
        }
    }
    return 0;
}

static int ring_map(int fd, uint64_t page_offset, const struct xdp_ring_offset *offset, uint32_t slots,
                    size_t entry_bytes, struct fp_xdp_ring *out) {
    size_t size = offset->desc + slots * entry_bytes;
    void *mapping = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, (off_t)page_offset);
    if (mapping == MAP_FAILED) {
        return -1;
    }
    uint8_t *base = mapping;
    *out = (struct fp_xdp_ring){
        .producer = (void *)(base + offset->producer),
        .consumer = (void *)(base + offset->consumer),
        .flags = (void *)(base + offset->flags),
        .entries = base + offset->desc,
        .mask = slots - 1,
        .mapping = mapping,
        .mapping_bytes = size,
    };
    return 0;
}

static int rings_map(struct fp_xdp_socket *sock, uint32_t slots) {
    struct xdp_mmap_offsets offsets;
    socklen_t size = sizeof offsets;
    if (getsockopt(sock->fd, SOL_XDP, XDP_MMAP_OFFSETS, &offsets, &size) != 0) {
        return -1;
    }
    if (size != sizeof offsets) { /* before Linux 5.4: no need_wakeup */
        errno = EOPNOTSUPP;
        return -1;
    }
    const size_t address = sizeof(uint64_t);
    const size_t descriptor = sizeof(struct xdp_desc);
    if (ring_map(sock->fd, XDP_UMEM_PGOFF_FILL_RING, &offsets.fr, slots, address, &sock->fill) != 0 ||
        ring_map(sock->fd, XDP_UMEM_PGOFF_COMPLETION_RING, &offsets.cr, slots, address, &sock->completion) != 0 ||
        ring_map(sock->fd, XDP_PGOFF_RX_RING, &offsets.rx, slots, descriptor, &sock->receive) != 0 ||
        ring_map(sock->fd, XDP_PGOFF_TX_RING, &offsets.tx, slots, descriptor, &sock->transmit) != 0) {
        return -1;
    }
    return 0;
}

static int socket_bind(struct fp_xdp_socket *sock, int ifindex, uint32_t queue, bool zero_copy) {
    struct sockaddr_xdp address = {
        .sxdp_family = AF_XDP,
        .sxdp_flags = (uint16_t)((zero_copy ? XDP_ZEROCOPY : XDP_COPY) | XDP_USE_NEED_WAKEUP),
        .sxdp_ifindex = (uint32_t)ifindex,
        .sxdp_queue_id = queue,
    };
    if (bind(sock->fd, (struct sockaddr *)&address, sizeof address) != 0) {
        return -1;
    }
    struct xdp_options options = {0};
    socklen_t size = sizeof options;
    if (getsockopt(sock->fd, SOL_XDP, XDP_OPTIONS, &options, &size) != 0) {
        return -1;
    }
    sock->zero_copy = (options.flags & XDP_OPTIONS_ZEROCOPY) != 0;
    if (sock->zero_copy != zero_copy) {
        errno = EOPNOTSUPP;
        return -1;
    }
    return 0;
}

static int socket_open(struct fp_xdp_socket *sock, const struct fp_region *region, uint32_t slots, int ifindex,
                       uint32_t queue, bool zero_copy) {
    memset(sock, 0, sizeof *sock);
    sock->fd = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);
    if (sock->fd < 0) {
        return code_of_errno();
    }
    /* In copy mode every frame in flight counts against the send buffer; the ring is the limit we want. */
    int room = (int)(slots * 4096U);
    (void)setsockopt(sock->fd, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof room);
    if (memory_register(sock->fd, region) != 0 || ring_sizes_set(sock->fd, slots) != 0 || rings_map(sock, slots) != 0 ||
        socket_bind(sock, ifindex, queue, zero_copy) != 0) {
        int result = code_of_errno();
        int saved = errno;
        fp_xdp_socket_close(sock);
        errno = saved;
        return result;
    }
    return 0;
}

/* The kernel frees a closed socket's queue in the background: a worker that follows another may come too early. */
int fp_xdp_socket_open(struct fp_xdp_socket *sock, const struct fp_region *region, uint32_t slots, int ifindex,
                       uint32_t queue, bool zero_copy) {
    int result = socket_open(sock, region, slots, ifindex, queue, zero_copy);
    for (unsigned tries = 0; result == FP_E_BUSY && tries < BUSY_TRIES; tries++) {
        nanosleep(&(struct timespec){.tv_nsec = BUSY_WAIT_NS}, NULL);
        result = socket_open(sock, region, slots, ifindex, queue, zero_copy);
    }
    return result;
}

void fp_xdp_socket_close(struct fp_xdp_socket *sock) {
    const struct fp_xdp_ring *rings[] = {&sock->fill, &sock->completion, &sock->receive, &sock->transmit};
    for (size_t i = 0; i < sizeof rings / sizeof rings[0]; i++) {
        if (rings[i]->mapping != NULL) {
            munmap(rings[i]->mapping, rings[i]->mapping_bytes);
        }
    }
    if (sock->fd >= 0) {
        close(sock->fd);
    }
    memset(sock, 0, sizeof *sock);
    sock->fd = -1;
}

uint64_t fp_xdp_socket_missed(const struct fp_xdp_socket *socket) {
    struct xdp_statistics statistics = {0};
    socklen_t size = sizeof statistics;
    if (getsockopt(socket->fd, SOL_XDP, XDP_STATISTICS, &statistics, &size) != 0) {
        return 0;
    }
    return statistics.rx_dropped + statistics.rx_ring_full;
}
