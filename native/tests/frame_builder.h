/* SPDX-License-Identifier: Apache-2.0 */
/* Frames for tests and benches. */
#ifndef FP_FRAME_BUILDER_H
#define FP_FRAME_BUILDER_H

#include "fastpath.h"

enum { FRAME_ROOM = 2048 };

/* What the built frame says. Zero: untagged IPv4 to 239.1.0.0, port 0, 14 + 20 + 8 bytes of headers and no payload. */
struct frame_shape {
    unsigned tags;         /* 0..3 */
    uint16_t tag_types[3]; /* 0: 0x8100 */
    uint16_t vlans[3];
    int ipv6;
    unsigned ipv4_options;   /* words of 4 bytes */
    unsigned extensions[10]; /* IPv6 extension headers, in order; 0 as hop-by-hop only at the start */
    unsigned extension_count;
    uint16_t group; /* low 16 bits of the destination */
    uint16_t udp_port;
    uint32_t payload_bytes;
    uint32_t padding_bytes; /* behind the IP packet */
};

/* Returns the frame's length; `frame` has FRAME_ROOM bytes. Payload bytes are a function of group, port and position.
 */
uint32_t frame_build(const struct frame_shape *shape, uint8_t *frame);
/* The key the parser must find (port 0). */
struct fp_key frame_key(const struct frame_shape *shape);

#endif
