/* SPDX-License-Identifier: Apache-2.0 */
#include "frame_builder.h"
#include <string.h>

static uint8_t *put_u16(uint8_t *at, unsigned value) {
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
    return at + 2;
}

static uint8_t *put_ethernet(const struct frame_shape *shape, uint8_t *at) {
    static const uint8_t addresses[12] = {0x01, 0x00, 0x5e, 1, 0, 0, 0x02, 0, 0, 0, 0, 1};
    memcpy(at, addresses, sizeof addresses);
    at += sizeof addresses;
    for (unsigned i = 0; i < shape->tags; i++) {
        at = put_u16(at, shape->tag_types[i] != 0 ? shape->tag_types[i] : 0x8100);
        at = put_u16(at, shape->vlans[i] | 0x6000U); /* priority 3: no part of the id */
    }
    return put_u16(at, shape->ipv6 ? 0x86dd : 0x0800);
}

static void ipv6_destination(const struct frame_shape *shape, uint8_t *to) {
    memset(to, 0, 16);
    to[0] = 0xff;
    to[1] = 0x3e;
    put_u16(to + 14, shape->group);
}

static void ipv4_destination(const struct frame_shape *shape, uint8_t *to) {
    to[0] = 239;
    to[1] = 1;
    put_u16(to + 2, shape->group);
}

static uint8_t *put_ipv4(const struct frame_shape *shape, uint8_t *at) {
    unsigned header = 20 + 4 * shape->ipv4_options;
    memset(at, 0, header);
    at[0] = (uint8_t)(0x40 | header / 4);
    put_u16(at + 2, header + 8 + shape->payload_bytes);
    put_u16(at + 6, 0x4000); /* do not fragment */
    at[8] = 64;
    at[9] = 17;
    at[12] = 192;
    at[15] = 1;
    ipv4_destination(shape, at + 16);
    memset(at + 20, 1, header - 20); /* no-operation options */
    return at + header;
}

static uint8_t *put_ipv6(const struct frame_shape *shape, uint8_t *at) {
    memset(at, 0, 40);
    at[0] = 0x60;
    put_u16(at + 4, 8 * shape->extension_count + 8 + shape->payload_bytes);
    at[6] = (uint8_t)(shape->extension_count > 0 ? shape->extensions[0] : 17);
    at[7] = 64;
    ipv6_destination(shape, at + 24);
    at += 40;
    for (unsigned i = 0; i < shape->extension_count; i++) {
        memset(at, 0, 8);
        at[0] = (uint8_t)(i + 1 < shape->extension_count ? shape->extensions[i + 1] : 17);
        at += 8;
    }
    return at;
}

static uint8_t payload_byte(const struct frame_shape *shape, uint32_t at) {
    return (uint8_t)(at * 31 + shape->group + shape->udp_port);
}

uint32_t frame_build(const struct frame_shape *shape, uint8_t *frame) {
    uint8_t *at = put_ethernet(shape, frame);
    at = shape->ipv6 ? put_ipv6(shape, at) : put_ipv4(shape, at);
    put_u16(at, 5004);
    put_u16(at + 2, shape->udp_port);
    put_u16(at + 4, 8 + shape->payload_bytes);
    put_u16(at + 6, 0);
    at += 8;
    for (uint32_t i = 0; i < shape->payload_bytes; i++) {
        *at++ = payload_byte(shape, i);
    }
    memset(at, 0, shape->padding_bytes);
    return (uint32_t)(at - frame) + shape->padding_bytes;
}

/* The payload may look like RTP: its first byte and the SSRC follow from group and port. */
static void key_rtp(const struct frame_shape *shape, struct fp_key *key) {
    uint8_t rtp[12];
    for (uint32_t i = 0; i < sizeof rtp; i++) {
        rtp[i] = payload_byte(shape, i);
    }
    key->payload_type = FP_NOT_RTP;
    if (shape->payload_bytes >= sizeof rtp && rtp[0] >> 6 == 2) {
        key->payload_type = rtp[1] & 0x7f;
        key->ssrc = (uint32_t)rtp[8] << 24 | (uint32_t)rtp[9] << 16 | (uint32_t)rtp[10] << 8 | rtp[11];
    }
}

struct fp_key frame_key(const struct frame_shape *shape) {
    struct fp_key key;
    memset(&key, 0, sizeof key);
    if (shape->ipv6) {
        ipv6_destination(shape, key.destination);
    } else {
        key.destination[10] = 0xff;
        key.destination[11] = 0xff;
        ipv4_destination(shape, key.destination + 12);
        key.source[10] = 0xff;
        key.source[11] = 0xff;
        key.source[12] = 192;
        key.source[15] = 1;
    }
    key.udp_source = 5004;
    key_rtp(shape, &key);
    key.vlan = shape->tags > 0 ? shape->vlans[0] : FP_VLAN_NONE;
    key.inner_vlan = shape->tags > 1 ? shape->vlans[1] : FP_VLAN_NONE;
    key.udp_port = shape->udp_port;
    return key;
}
