// SPDX-License-Identifier: Apache-2.0
//
// Runs in the guest of test_guest.py: what a driver must survive besides loading.
//
//   exercise move FROM TO COUNT   both ports in netmap mode; COUNT frames sent on FROM arrive on TO, in order, whole
//   exercise busy PORT            leaves with a full transmit ring that was never waited for
//
// Exit status 0 when it went well; otherwise one line says what was seen and what was wanted.

#include <errno.h>
#include <fcntl.h>
#include <net/netmap_user.h>
#include <poll.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    FRAME_BYTES = 1404,    // an ST 2110 media frame
    HEADER_BYTES = 14,     // Ethernet
    BURST_FRAMES = 32,
    LIMIT_S = 120,         // an emulated guest on a busy machine is slow, but not that slow
    LINK_LIMIT_S = 30,
};

struct port {
    const char *name;
    int fd;
    struct netmap_if *interface;
};

static void fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    printf("exercise: ");
    vprintf(format, arguments);
    printf("\n");
    va_end(arguments);
    exit(1);
}

// Entering netmap mode resets the NIC; a frame sent before the link is back would be lost by right.
static void wait_for_link(const struct port *port)
{
    char path[64];
    snprintf(path, sizeof path, "/sys/class/net/%s/carrier", port->name);
    for (int tenths = 0; tenths < LINK_LIMIT_S * 10; tenths++) {
        FILE *file = fopen(path, "r");
        int carrier = file ? fgetc(file) : EOF;
        if (file)
            fclose(file);
        if (carrier == '1')
            return;
        usleep(100 * 1000);
    }
    fail("%s: no link after %d s", port->name, LINK_LIMIT_S);
}

static struct port open_port(const char *name)
{
    struct nmreq_register request = {.nr_mode = NR_REG_ALL_NIC};
    struct nmreq_header header = {
        .nr_version = NETMAP_API,
        .nr_reqtype = NETMAP_REQ_REGISTER,
        .nr_body = (uintptr_t)&request,
    };
    struct port port = {.name = name, .fd = open("/dev/netmap", O_RDWR)};
    if (port.fd < 0)
        fail("/dev/netmap: %s", strerror(errno));
    snprintf(header.nr_name, sizeof header.nr_name, "%s", name);
    if (ioctl(port.fd, NIOCCTRL, &header) != 0)
        fail("%s: register: %s", name, strerror(errno));
    char *memory = mmap(NULL, request.nr_memsize, PROT_READ | PROT_WRITE, MAP_SHARED, port.fd, 0);
    if (memory == MAP_FAILED)
        fail("%s: mmap: %s", name, strerror(errno));
    port.interface = NETMAP_IF(memory, request.nr_offset);
    return port;
}

// Broadcast, the EtherType for local experiments (IEEE 802 clause 9.2.4), and a payload that names its frame.
static void fill_frame(uint8_t *frame, uint32_t number)
{
    memset(frame, 0xff, 6);
    memset(frame + 6, 0x02, 6);
    frame[12] = 0x88;
    frame[13] = 0xb5;
    for (int index = HEADER_BYTES; index < FRAME_BYTES; index++)
        frame[index] = (uint8_t)(number * 31 + (uint32_t)index);
    memcpy(frame + HEADER_BYTES, &number, sizeof number);
}

static uint32_t send_some(const struct port *port, uint32_t next, uint32_t end)
{
    struct netmap_ring *ring = NETMAP_TXRING(port->interface, 0);
    for (int count = 0; count < BURST_FRAMES && next < end && !nm_ring_empty(ring); count++, next++) {
        struct netmap_slot *slot = &ring->slot[ring->head];
        fill_frame((uint8_t *)NETMAP_BUF(ring, slot->buf_idx), next);
        slot->len = FRAME_BYTES;
        ring->head = ring->cur = nm_ring_next(ring, ring->head);
    }
    ioctl(port->fd, NIOCTXSYNC, NULL);
    return next;
}

static uint32_t receive_some(const struct port *port, uint32_t next)
{
    static uint8_t wanted[FRAME_BYTES];
    for (uint32_t index = 0; index < port->interface->ni_rx_rings; index++) {
        struct netmap_ring *ring = NETMAP_RXRING(port->interface, index);
        for (; !nm_ring_empty(ring); ring->head = ring->cur = nm_ring_next(ring, ring->head), next++) {
            const struct netmap_slot *slot = &ring->slot[ring->head];
            fill_frame(wanted, next);
            if (slot->flags & NS_MOREFRAG)
                fail("%s: frame %u, %u bytes, says that it goes on in the next slot", port->name, next, slot->len);
            if (slot->len != FRAME_BYTES || memcmp(NETMAP_BUF(ring, slot->buf_idx), wanted, FRAME_BYTES) != 0)
                fail("%s: frame %u came with %u bytes and is not what was sent", port->name, next, slot->len);
        }
    }
    return next;
}

static void move(const char *from, const char *to, uint32_t count)
{
    struct port sender = open_port(from);
    struct port receiver = open_port(to);
    wait_for_link(&sender);
    wait_for_link(&receiver);
    uint32_t sent = 0, received = 0;
    while (received < count) {
        // No more on the way than the receive ring takes, so that none is dropped by right.
        if (sent - received < 2 * BURST_FRAMES)
            sent = send_some(&sender, sent, count);
        struct pollfd wait = {.fd = receiver.fd, .events = POLLIN};
        poll(&wait, 1, 10);
        received = receive_some(&receiver, received);
    }
    printf("exercise: moved %u frames from %s to %s\n", received, from, to);
}

static void leave_busy(const char *name)
{
    struct port port = open_port(name);
    wait_for_link(&port);
    struct netmap_ring *ring = NETMAP_TXRING(port.interface, 0);
    while (!nm_ring_empty(ring)) {
        struct netmap_slot *slot = &ring->slot[ring->head];
        fill_frame((uint8_t *)NETMAP_BUF(ring, slot->buf_idx), 0);
        slot->len = FRAME_BYTES;
        ring->head = ring->cur = nm_ring_next(ring, ring->head);
    }
    ioctl(port.fd, NIOCTXSYNC, NULL);
    printf("exercise: left %s busy\n", name);
}

int main(int argc, char **argv)
{
    setbuf(stdout, NULL);
    alarm(LIMIT_S);
    if (argc == 5 && strcmp(argv[1], "move") == 0)
        move(argv[2], argv[3], (uint32_t)strtoul(argv[4], NULL, 10));
    else if (argc == 3 && strcmp(argv[1], "busy") == 0)
        leave_busy(argv[2]);
    else
        fail("usage: exercise move FROM TO COUNT | exercise busy PORT");
    return 0;
}
