/* SPDX-License-Identifier: Apache-2.0 */
#include "packet_socket.h"

#include "source.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define BLOCK_BYTES ((size_t)256 * 1024)
#define SLOT_BYTES 2048u /* TPACKET_V3 packs frames; this only has to divide a block */
#define HOLD_MS 8
#define MACS_BYTES 12u
#define TAG_BYTES 4u

struct packet_receiver {
    int fd;
    uint8_t *ring;
    size_t ring_bytes;
    uint32_t blocks, at;
    uint64_t dropped; /* PACKET_STATISTICS starts at 0 again after every read */
    uint8_t scratch[SOURCE_FRAME_BYTES];
};

static int join(int fd, int index) {
    const struct packet_mreq all = {.mr_ifindex = index, .mr_type = PACKET_MR_PROMISC};
    const struct sockaddr_ll address = {
        .sll_family = AF_PACKET, .sll_ifindex = index, .sll_protocol = htons(ETH_P_ALL)};

    if (setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &all, sizeof(all)) != 0) {
        return -1;
    }
    return bind(fd, (const struct sockaddr *)&address, sizeof(address));
}

static int map_ring(struct packet_receiver *receiver) {
    const int version = TPACKET_V3, on = 1;
    const struct tpacket_req3 request = {
        .tp_block_size = BLOCK_BYTES,
        .tp_block_nr = receiver->blocks,
        .tp_frame_size = SLOT_BYTES,
        .tp_frame_nr = BLOCK_BYTES / SLOT_BYTES * receiver->blocks,
        .tp_retire_blk_tov = HOLD_MS,
    };

    /* What this interface sends is no business of a receiver (Linux 4.20). */
    if (setsockopt(receiver->fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on)) != 0 ||
        setsockopt(receiver->fd, SOL_PACKET, PACKET_VERSION, &version, sizeof(version)) != 0 ||
        setsockopt(receiver->fd, SOL_PACKET, PACKET_RX_RING, &request, sizeof(request)) != 0) {
        return -1;
    }
    void *ring = mmap(NULL, receiver->ring_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, receiver->fd, 0);
    if (ring == MAP_FAILED) {
        return -1;
    }
    receiver->ring = ring;
    return 0;
}

int packet_receiver_open(const char *interface, size_t ring_bytes, struct packet_receiver **out,
                         char error[REASON_BYTES]) {
    struct packet_receiver *receiver = calloc(1, sizeof(*receiver));
    unsigned index = if_nametoindex(interface);

    if (receiver == NULL || index == 0) {
        reason_write(error, "interface %.32s: %s", interface, strerror(errno));
        free(receiver);
        return -1;
    }
    receiver->blocks = (uint32_t)(ring_bytes / BLOCK_BYTES);
    receiver->ring_bytes = (size_t)receiver->blocks * BLOCK_BYTES;
    /* Protocol 0 until the ring stands, so no frame of another interface slips in. */
    receiver->fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    if (receiver->fd < 0 || map_ring(receiver) != 0 || join(receiver->fd, (int)index) != 0) {
        reason_write(error, "interface %.32s: AF_PACKET ring of %zu bytes: %s", interface, receiver->ring_bytes,
                     strerror(errno));
        packet_receiver_close(receiver);
        return -1;
    }
    *out = receiver;
    return 0;
}

void packet_receiver_close(struct packet_receiver *receiver) {
    if (receiver == NULL) {
        return;
    }
    if (receiver->ring != NULL) {
        munmap(receiver->ring, receiver->ring_bytes);
    }
    if (receiver->fd >= 0) {
        close(receiver->fd);
    }
    free(receiver);
}

static void hand_over(struct packet_receiver *receiver, const struct tpacket3_hdr *header, packet_take *take,
                      void *context) {
    const uint8_t *frame = (const uint8_t *)header + header->tp_mac;
    uint32_t length = header->tp_snaplen;

    if ((header->tp_status & TP_STATUS_VLAN_VALID) == 0 || length < MACS_BYTES ||
        length + TAG_BYTES > sizeof(receiver->scratch)) {
        take(context, frame, length);
        return;
    }
    /* The kernel takes the outer tag out of every received frame and hands it over beside it. */
    uint16_t tpid = (header->tp_status & TP_STATUS_VLAN_TPID_VALID) != 0 ? header->hv1.tp_vlan_tpid : 0x8100;
    memcpy(receiver->scratch, frame, MACS_BYTES);
    store_be16(receiver->scratch + MACS_BYTES, tpid);
    store_be16(receiver->scratch + MACS_BYTES + 2, header->hv1.tp_vlan_tci);
    memcpy(receiver->scratch + MACS_BYTES + TAG_BYTES, frame + MACS_BYTES, length - MACS_BYTES);
    take(context, receiver->scratch, length + TAG_BYTES);
}

int64_t packet_receiver_poll(struct packet_receiver *receiver, int timeout_ms, packet_take *take, void *context) {
    struct pollfd wait = {.fd = receiver->fd, .events = POLLIN | POLLERR};
    int64_t frames = 0;

    for (uint32_t turn = 0; turn < receiver->blocks; turn++) {
        struct tpacket_block_desc *block = (void *)(receiver->ring + (size_t)receiver->at * BLOCK_BYTES);
        uint32_t *status = &block->hdr.bh1.block_status;
        if ((__atomic_load_n(status, __ATOMIC_ACQUIRE) & TP_STATUS_USER) == 0) {
            if (frames != 0 || turn != 0) {
                break;
            }
            if (poll(&wait, 1, timeout_ms) < 0) {
                return -1;
            }
            if ((__atomic_load_n(status, __ATOMIC_ACQUIRE) & TP_STATUS_USER) == 0) {
                break;
            }
        }
        uint8_t *at = (uint8_t *)block + block->hdr.bh1.offset_to_first_pkt;
        for (uint32_t i = 0; i < block->hdr.bh1.num_pkts; i++) {
            const struct tpacket3_hdr *header = (const void *)at;
            hand_over(receiver, header, take, context);
            at += header->tp_next_offset;
        }
        frames += block->hdr.bh1.num_pkts;
        __atomic_store_n(status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
        receiver->at = (receiver->at + 1) % receiver->blocks;
    }
    return frames;
}

uint64_t packet_receiver_dropped(struct packet_receiver *receiver) {
    struct tpacket_stats_v3 statistics;
    socklen_t length = sizeof(statistics);

    if (getsockopt(receiver->fd, SOL_PACKET, PACKET_STATISTICS, &statistics, &length) == 0) {
        receiver->dropped += statistics.tp_drops;
    }
    return receiver->dropped;
}

int packet_receiver_hold_ms(void) { return HOLD_MS; }
