// SPDX-License-Identifier: Apache-2.0
//
// Runs in the test guest (guest.sh): what a driver must survive besides loading.
//
//   exercise both A B COUNT   both ports in netmap mode; COUNT frames of several lengths go from A to B, then from B
//                             to A, and arrive whole and in order
//   exercise busy A B         leaves with full transmit rings that were never waited for
//   exercise hold PORT        keeps the port open until it is killed
//
// The kernel is told to give native adapters or none (admode 1), and what it says of each port is printed.
// Exit status 0 when it went well; otherwise one line says what was seen and what was wanted.

#include <errno.h>
#include <fcntl.h>
#include <net/netmap_user.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    HEADER_BYTES = 14,     // Ethernet
    LARGEST_BYTES = 1514,  // without the checksum the NIC adds
    BURST_FRAMES = 32,
    LIMIT_S = 90,          // an emulated guest on a busy machine is slow, but not that slow
    LINK_LIMIT_S = 30,
};

#define ADMODE "/sys/module/netmap/parameters/admode"

// The shortest frame, one word more, odd ones, an ST 2110 media frame, the longest.
static const uint16_t lengths[] = {60, 64, 65, 590, 1404, LARGEST_BYTES};

struct port {
    const char *name;
    int fd;
    struct netmap_if *interface;
};

static void fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vprintf(format, arguments);
    printf("\n");
    va_end(arguments);
    exit(1);
}

static bool is_virtual(const char *name)
{
    return strchr(name, ':') != NULL;
}

// Entering netmap mode resets the NIC; a frame sent before the link is back would be lost by right.
static void wait_for_link(const struct port *port)
{
    char path[64];
    if (is_virtual(port->name))
        return;
    snprintf(path, sizeof path, "/sys/class/net/%s/carrier", port->name);
    for (int tries = 0; tries < LINK_LIMIT_S * 50; tries++) {
        FILE *file = fopen(path, "r");
        int carrier = file ? fgetc(file) : EOF;
        if (file)
            fclose(file);
        if (carrier == '1')
            return;
        usleep(20 * 1000);
    }
    fail("%s: no link after %d s", port->name, LINK_LIMIT_S);
}

// "1: either native or none" is netmap's own choice, made in the kernel at registration.
static void ask_for_native(void)
{
    char seen = '?';
    int fd = open(ADMODE, O_RDWR);
    if (fd < 0 || write(fd, "1", 1) != 1 || lseek(fd, 0, SEEK_SET) != 0 || read(fd, &seen, 1) != 1 || seen != '1')
        fail("%s: cannot be set to 1, reads %c: %s", ADMODE, seen, strerror(errno));
    close(fd);
}

static int request(int fd, const char *name, uint16_t kind, void *body)
{
    struct nmreq_header header = {.nr_version = NETMAP_API, .nr_reqtype = kind, .nr_body = (uintptr_t)body};
    snprintf(header.nr_name, sizeof header.nr_name, "%s", name);
    return ioctl(fd, NIOCCTRL, &header);
}

static struct port open_port(const char *name)
{
    struct nmreq_register body = {.nr_mode = NR_REG_ALL_NIC};
    struct nmreq_port_info_get info = {0};
    struct port port = {.name = name, .fd = open("/dev/netmap", O_RDWR)};
    if (port.fd < 0)
        fail("/dev/netmap: %s", strerror(errno));
    ask_for_native();
    if (request(port.fd, name, NETMAP_REQ_REGISTER, &body) != 0) {
        if (errno == EOPNOTSUPP)
            fail("%s: the kernel has no native adapter for it, only the emulated one", name);
        fail("%s: register: %s", name, strerror(errno));
    }
    info.nr_mem_id = body.nr_mem_id;
    if (request(port.fd, name, NETMAP_REQ_PORT_INFO_GET, &info) != 0)
        fail("%s: port info: %s", name, strerror(errno));
    char *memory = mmap(NULL, body.nr_memsize, PROT_READ | PROT_WRITE, MAP_SHARED, port.fd, 0);
    if (memory == MAP_FAILED)
        fail("%s: mmap: %s", name, strerror(errno));
    port.interface = NETMAP_IF(memory, body.nr_offset);
    printf("adapter %s %s tx %u*%u rx %u*%u\n", name, is_virtual(name) ? "virtual" : "native", info.nr_tx_rings,
           info.nr_tx_slots, info.nr_rx_rings, info.nr_rx_slots);
    return port;
}

// Broadcast, the EtherType for local experiments (IEEE 802 clause 9.2.4), and a payload that names its frame.
static uint16_t fill_frame(uint8_t *frame, uint32_t number)
{
    uint16_t length = lengths[number % (sizeof lengths / sizeof lengths[0])];
    memset(frame, 0xff, 6);
    memset(frame + 6, 0x02, 6);
    frame[12] = 0x88;
    frame[13] = 0xb5;
    for (int index = HEADER_BYTES; index < length; index++)
        frame[index] = (uint8_t)(number * 31 + (uint32_t)index);
    memcpy(frame + HEADER_BYTES, &number, sizeof number);
    return length;
}

static void fill_slot(struct netmap_ring *ring, uint32_t number)
{
    struct netmap_slot *slot = &ring->slot[ring->head];
    slot->len = fill_frame((uint8_t *)NETMAP_BUF(ring, slot->buf_idx), number);
    ring->head = ring->cur = nm_ring_next(ring, ring->head);
}

static uint32_t send_some(const struct port *port, uint32_t next, uint32_t end)
{
    struct netmap_ring *ring = NETMAP_TXRING(port->interface, 0);
    for (int count = 0; count < BURST_FRAMES && next < end && !nm_ring_empty(ring); count++, next++)
        fill_slot(ring, next);
    ioctl(port->fd, NIOCTXSYNC, NULL);
    return next;
}

static void check_frame(const char *name, const struct netmap_slot *slot, const uint8_t *frame, uint32_t number)
{
    static uint8_t wanted[LARGEST_BYTES];
    uint16_t length = fill_frame(wanted, number);
    if (slot->flags & NS_MOREFRAG)
        fail("%s: frame %u, %u bytes, says that it goes on in the next slot", name, number, slot->len);
    if (slot->len != length)
        fail("%s: frame %u came with %u bytes, %u were sent", name, number, slot->len, length);
    for (int index = 0; index < length; index++) {
        if (frame[index] != wanted[index])
            fail("%s: frame %u: byte %d of %u is %02x, %02x was sent", name, number, index, length, frame[index],
                 wanted[index]);
    }
}

// What the guest's own stack had sent before is not ours to judge.
static bool is_ours(const struct netmap_slot *slot, const uint8_t *frame)
{
    return slot->len < HEADER_BYTES || (frame[12] == 0x88 && frame[13] == 0xb5);
}

static uint32_t receive_some(const struct port *port, uint32_t next)
{
    for (uint32_t index = 0; index < port->interface->ni_rx_rings; index++) {
        struct netmap_ring *ring = NETMAP_RXRING(port->interface, index);
        for (; !nm_ring_empty(ring); ring->head = ring->cur = nm_ring_next(ring, ring->head)) {
            const struct netmap_slot *slot = &ring->slot[ring->head];
            const uint8_t *frame = (const uint8_t *)NETMAP_BUF(ring, slot->buf_idx);
            if (is_ours(slot, frame))
                check_frame(port->name, slot, frame, next++);
        }
    }
    return next;
}

static void move(const struct port *sender, const struct port *receiver, uint32_t count)
{
    uint32_t sent = 0, received = 0;
    while (received < count) {
        // No more on the way than the receive ring takes, so that none is dropped by right.
        if (sent - received < 2 * BURST_FRAMES)
            sent = send_some(sender, sent, count);
        struct pollfd wait = {.fd = receiver->fd, .events = POLLIN};
        poll(&wait, 1, 10);
        received = receive_some(receiver, received);
    }
    printf("moved %u frames from %s to %s\n", received, sender->name, receiver->name);
}

static void move_both_ways(const char *one, const char *other, uint32_t count)
{
    struct port first = open_port(one);
    struct port second = open_port(other);
    wait_for_link(&first);
    wait_for_link(&second);
    move(&first, &second, count);
    move(&second, &first, count);
}

static void fill_ring(const struct port *port)
{
    struct netmap_ring *ring = NETMAP_TXRING(port->interface, 0);
    uint32_t number = 0;
    while (!nm_ring_empty(ring))
        fill_slot(ring, number++);
    ioctl(port->fd, NIOCTXSYNC, NULL);
    printf("left %s with %u frames\n", port->name, number);
}

static void leave_busy(const char *one, const char *other)
{
    struct port first = open_port(one);
    struct port second = open_port(other);
    wait_for_link(&first);
    wait_for_link(&second);
    fill_ring(&first);
    fill_ring(&second);
}

static void on_alarm(int number)
{
    (void)number;
    static const char text[] = "frames were lost: not all came\n";
    if (write(STDOUT_FILENO, text, sizeof text - 1) < 0)
        _exit(2);
    _exit(1);
}

int main(int argc, char **argv)
{
    setbuf(stdout, NULL);
    if (argc == 3 && strcmp(argv[1], "hold") == 0) {
        open_port(argv[2]);
        pause();
        return 0;
    }
    signal(SIGALRM, on_alarm);
    alarm(LIMIT_S);
    if (argc == 5 && strcmp(argv[1], "both") == 0)
        move_both_ways(argv[2], argv[3], (uint32_t)strtoul(argv[4], NULL, 10));
    else if (argc == 4 && strcmp(argv[1], "busy") == 0)
        leave_busy(argv[2], argv[3]);
    else
        fail("usage: exercise both A B COUNT | exercise busy A B | exercise hold PORT");
    return 0;
}
