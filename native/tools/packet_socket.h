/* SPDX-License-Identifier: Apache-2.0 */
/* packet_socket.h - whole Ethernet frames in and out of one interface by AF_PACKET (packet(7)). */
#ifndef PACKET_SOCKET_H
#define PACKET_SOCKET_H

#include "reason.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PACKET_BURST_FRAMES 64

/* ---- sending: a burst of frames by one sendmmsg(2) */

struct packet_sender;
int packet_sender_open(const char *interface, struct packet_sender **out, char error[REASON_BYTES]);
void packet_sender_close(struct packet_sender *sender);
/* Room for frame `index` of the next burst, below PACKET_BURST_FRAMES. */
uint8_t *packet_sender_frame(struct packet_sender *sender, uint32_t index);
void packet_sender_set_length(struct packet_sender *sender, uint32_t index, uint32_t length_bytes);
/* Sends the first `count` frames; asks again for those the device had no room for (ENOBUFS) and counts that in
 * *retries. 0, or -1 with errno. *sent tells how many went out also then. */
int packet_sender_flush(struct packet_sender *sender, uint32_t count, uint64_t *retries, uint32_t *sent);

/* ---- receiving: a TPACKET_V3 ring */

struct packet_receiver;
typedef void packet_take(void *context, const uint8_t *frame, uint32_t length_bytes);

int packet_receiver_open(const char *interface, size_t ring_bytes, struct packet_receiver **out,
                         char error[REASON_BYTES]);
void packet_receiver_close(struct packet_receiver *receiver);
/* Waits at most `timeout_ms`, hands over every frame there is, in order, VLAN tags put back where the kernel took
 * them out. Returns the frames, -1 with errno (EINTR after a signal). */
int64_t packet_receiver_poll(struct packet_receiver *receiver, int timeout_ms, packet_take *take, void *context);
/* Frames the kernel had no room for in this ring since the start: loss at the witness, not on the way. */
uint64_t packet_receiver_dropped(struct packet_receiver *receiver);
/* How long a frame may stay in a block before poll sees it. */
int packet_receiver_hold_ms(void);

#endif /* PACKET_SOCKET_H */
