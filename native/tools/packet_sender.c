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
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define RETRY_PAUSE_NS 20000

struct packet_sender {
    int fd;
    struct mmsghdr messages[PACKET_BURST_FRAMES];
    struct iovec parts[PACKET_BURST_FRAMES];
    uint8_t frames[PACKET_BURST_FRAMES][SOURCE_FRAME_BYTES];
};

int packet_sender_open(const char *interface, struct packet_sender **out, char error[REASON_BYTES]) {
    struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex(interface)};
    struct packet_sender *sender = calloc(1, sizeof(*sender));

    if (sender == NULL || address.sll_ifindex == 0) {
        reason_write(error, "interface %.32s: %s", interface, strerror(errno));
        free(sender);
        return -1;
    }
    /* Protocol 0: this socket receives nothing. */
    sender->fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    if (sender->fd < 0 || bind(sender->fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
        reason_write(error, "interface %.32s: AF_PACKET socket: %s", interface, strerror(errno));
        packet_sender_close(sender);
        return -1;
    }
    for (uint32_t i = 0; i < PACKET_BURST_FRAMES; i++) {
        sender->parts[i].iov_base = sender->frames[i];
        sender->messages[i].msg_hdr.msg_iov = &sender->parts[i];
        sender->messages[i].msg_hdr.msg_iovlen = 1;
    }
    *out = sender;
    return 0;
}

void packet_sender_close(struct packet_sender *sender) {
    if (sender == NULL) {
        return;
    }
    if (sender->fd >= 0) {
        close(sender->fd);
    }
    free(sender);
}

uint8_t *packet_sender_frame(struct packet_sender *sender, uint32_t index) { return sender->frames[index]; }

void packet_sender_set_length(struct packet_sender *sender, uint32_t index, uint32_t length_bytes) {
    sender->parts[index].iov_len = length_bytes;
}

int packet_sender_flush(struct packet_sender *sender, uint32_t count, uint64_t *retries, uint32_t *sent) {
    *sent = 0;
    while (*sent < count) {
        int went = sendmmsg(sender->fd, sender->messages + *sent, count - *sent, 0);
        if (went > 0) {
            *sent += (uint32_t)went;
        } else if (errno == ENOBUFS || errno == EAGAIN) {
            /* The device dropped the frame and said so; the frame was not sent, so asking again makes no duplicate. */
            const struct timespec pause = {.tv_nsec = RETRY_PAUSE_NS};
            (*retries)++;
            (void)nanosleep(&pause, NULL);
        } else if (errno != EINTR) {
            return -1;
        }
    }
    return 0;
}
