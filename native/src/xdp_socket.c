/* SPDX-License-Identifier: Apache-2.0 */
#include "xdp_socket.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

enum { BUSY_TRIES = 50, BUSY_WAIT_NS = 20000000 /* a second together */ };
enum { FIRST_TOLD_MAJOR = 6, FIRST_TOLD_MINOR = 13 }; /* Linux: see will_be_polled */

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

/*
 * Whether the kernel will know which NAPI instance to poll for this socket. Up to Linux 6.12 it learns that from the
 * first frame. Since 6.13 (napi_config) it is known when the socket is bound, from what the driver says of its queues
 * (netif_queue_set_napi), or never: then the options are taken and nothing is polled.
 */
static bool will_be_polled(int fd) {
    unsigned instance = 0;
    unsigned major = 0;
    unsigned minor = 0;
    socklen_t size = sizeof instance;
    struct utsname system;
    if (getsockopt(fd, SOL_SOCKET, SO_INCOMING_NAPI_ID, &instance, &size) == 0 && instance != 0) {
        return true;
    }
    bool known = uname(&system) == 0 && sscanf(system.release, "%u.%u", &major, &minor) == 2; /* NOLINT(cert-err34-c) */
    return known && (major < FIRST_TOLD_MAJOR || (major == FIRST_TOLD_MAJOR && minor < FIRST_TOLD_MINOR));
}

/*
 * Each of our calls polls the queue once and leaves it with its interrupts off; the kernel takes it back where we do
 * not call for the interface's gro_flush_timeout (Documentation/networking/napi.rst). None of our calls waits, so that
 * of SO_BUSY_POLL's time only matters that it is not 0.
 */
static int busy_poll_set(struct fp_xdp_socket *sock, const struct fp_xdp_mode *mode) {
    int prefer = 1;
    int time_us = (int)mode->busy_poll_us;
    int budget = (int)mode->busy_poll_frames;
    socklen_t size = sizeof time_us;
    if (setsockopt(sock->fd, SOL_SOCKET, SO_PREFER_BUSY_POLL, &prefer, sizeof prefer) != 0 ||
        setsockopt(sock->fd, SOL_SOCKET, SO_BUSY_POLL, &time_us, sizeof time_us) != 0 ||
        setsockopt(sock->fd, SOL_SOCKET, SO_BUSY_POLL_BUDGET, &budget, sizeof budget) != 0 ||
        getsockopt(sock->fd, SOL_SOCKET, SO_BUSY_POLL, &time_us, &size) != 0) {
        return errno == ENOPROTOOPT ? FP_E_NO_BUSY_POLL : FP_E_SYSTEM;
    }
    sock->busy_poll_us = (uint32_t)time_us;
    return will_be_polled(sock->fd) ? 0 : FP_E_NO_BUSY_POLL;
}

static int socket_open(struct fp_xdp_socket *sock, const struct fp_region *region, const struct fp_xdp_mode *mode,
                       int ifindex, uint32_t queue) {
    uint32_t slots = mode->slots;
    int result = 0;
    memset(sock, 0, sizeof *sock);
    sock->fd = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);
    if (sock->fd < 0) {
        return code_of_errno();
    }
    /* In copy mode every frame in flight counts against the send buffer; the ring is the limit we want. */
    int room = (int)(slots * 4096U);
    (void)setsockopt(sock->fd, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof room);
    if (memory_register(sock->fd, region) != 0 || ring_sizes_set(sock->fd, slots) != 0 || rings_map(sock, slots) != 0 ||
        socket_bind(sock, ifindex, queue, mode->zero_copy) != 0) {
        result = code_of_errno();
    } else if (mode->busy_poll_us != 0) {
        result = busy_poll_set(sock, mode);
    }
    if (result != 0) {
        int saved = errno;
        fp_xdp_socket_close(sock);
        errno = saved;
    }
    return result;
}

/* The kernel frees a closed socket's queue in the background: a worker that follows another may come too early. */
int fp_xdp_socket_open(struct fp_xdp_socket *sock, const struct fp_region *region, const struct fp_xdp_mode *mode,
                       int ifindex, uint32_t queue) {
    int result = socket_open(sock, region, mode, ifindex, queue);
    for (unsigned tries = 0; result == FP_E_BUSY && tries < BUSY_TRIES; tries++) {
        nanosleep(&(struct timespec){.tv_nsec = BUSY_WAIT_NS}, NULL);
        result = socket_open(sock, region, mode, ifindex, queue);
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
