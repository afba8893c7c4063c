/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the bytes of a frame to its key. Nearly all frames of a studio are IPv4 without options in at most one tag:
 * these are taken apart here, inline; everything else by fp_frame_read, with the same result.
 */
#ifndef FP_FRAME_H
#define FP_FRAME_H

#include "fastpath.h"
#include <assert.h>
#include <stdbool.h>
#include <string.h>

enum {
    FP_ETHERNET_BYTES = 14,
    FP_TAG_BYTES = 4,
    FP_IPV4_BYTES = 20,
    FP_IPV6_BYTES = 40,
    FP_UDP_BYTES = 8,
    FP_RTP_BYTES = 12,
    FP_ETHERTYPE_IPV4 = 0x0800,
    FP_ETHERTYPE_CTAG = 0x8100, /* IEEE 802.1Q-2018, table 9-1 */
    FP_PROTOCOL_UDP = 17
};

#define FP_KEY_WORDS 6
#define FP_KEY_NARROW 3 /* words of destination, ingress port, VLANs and UDP port: what most routes match on */

static_assert(sizeof(struct fp_key) == FP_KEY_WORDS * sizeof(uint64_t), "a key has no padding");
static_assert(offsetof(struct fp_key, source) == FP_KEY_NARROW * sizeof(uint64_t), "the narrow words come first");
static_assert(offsetof(struct fp_key, port) == 16 && offsetof(struct fp_key, udp_port) == 22 &&
                  offsetof(struct fp_key, udp_source) == 40 && offsetof(struct fp_key, dscp) == 42 &&
                  offsetof(struct fp_key, payload_type) == 43 && offsetof(struct fp_key, ssrc) == 44,
              "where fp_frame_read_inline puts the fields");

/* Where the headers lie that a rewrite touches; all of them are inside the frame. */
struct fp_layout {
    uint8_t level;    /* enum fp_level */
    uint8_t version;  /* of IP: 4 or 6, 0 below FP_LEVEL_IP */
    uint8_t l3;       /* offset of the IP header */
    uint8_t rtp;      /* 1: a whole RTP header follows the UDP header */
    uint16_t l4;      /* offset of the UDP header; at FP_LEVEL_UDP */
    uint16_t refusal; /* drop reason + 1 of frames no UDP route takes, else 0 */
};

static inline uint16_t fp_load_u16(const uint8_t *at) {
    uint16_t value;
    memcpy(&value, at, sizeof value);
    return __builtin_bswap16(value);
}

static inline uint32_t fp_load_u32(const uint8_t *at) {
    uint32_t value;
    memcpy(&value, at, sizeof value);
    return __builtin_bswap32(value);
}

/* Any frame. Returns 0, or the drop reason + 1 for frames no route takes; the key is filled as far as layout->level
 * says, the rest of it is zero; key->port is not touched. */
unsigned fp_frame_read(const uint8_t *frame, uint32_t length, struct fp_key *key, struct fp_layout *layout);

#define FP_MAPPED_WORD 0xffff0000ULL /* bytes 8 to 11 of an IPv4 address in a key, as a word */

static inline uint32_t fp_load_raw_u32(const uint8_t *at) {
    uint32_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

static inline uint64_t fp_load_raw_u64(const uint8_t *at) {
    uint64_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

/* Version 4 without options, not a fragment: the first eight bytes of such a header, as a little endian word. */
#define FP_IPV4_HEAD_MASK 0xff3f0000000000ffULL
#define FP_IPV4_HEAD 0x45ULL

/* Words 3 to 5: source address, source port, DSCP and RTP, which few tables ask for. */
static inline void fp_frame_read_wide(const uint8_t *ip, uint32_t payload_bytes, uint64_t words[FP_KEY_WORDS],
                                      struct fp_layout *layout) {
    const uint8_t *udp = ip + FP_IPV4_BYTES;
    const uint8_t *rtp = udp + FP_UDP_BYTES;
    bool is_rtp = payload_bytes >= FP_RTP_BYTES && rtp[0] >> 6 == 2;
    uint64_t payload_type = is_rtp ? rtp[1] & 0x7fU : FP_NOT_RTP;
    uint64_t ssrc = is_rtp ? fp_load_u32(rtp + 8) : 0;
    layout->rtp = is_rtp;
    words[3] = 0;
    words[4] = FP_MAPPED_WORD | (uint64_t)fp_load_raw_u32(ip + 12) << 32;
    words[5] = fp_load_u16(udp) | (uint64_t)(ip[1] >> 2) << 16 | payload_type << 24 | ssrc << 32;
}

/* IPv4 over UDP at `l3`, false where it is anything unusual; `base` is word 2 but for the UDP port. */
static inline __attribute__((always_inline)) bool fp_frame_read_usual(const uint8_t *frame, uint8_t l3, uint32_t length,
                                                                      uint64_t base, bool wide,
                                                                      uint64_t words[FP_KEY_WORDS],
                                                                      struct fp_layout *layout) {
    const uint8_t *ip = frame + l3;
    const uint8_t *udp = ip + FP_IPV4_BYTES;
    uint64_t head = fp_load_raw_u64(ip);
    uint32_t total = __builtin_bswap16((uint16_t)(head >> 16));
    uint32_t udp_bytes = fp_load_u16(udp + 4);
    if ((head & FP_IPV4_HEAD_MASK) != FP_IPV4_HEAD || ip[9] != FP_PROTOCOL_UDP || total > length - l3 ||
        udp_bytes < FP_UDP_BYTES || udp_bytes + FP_IPV4_BYTES > total) {
        return false;
    }
    *layout = (struct fp_layout){FP_LEVEL_UDP, 4, l3, 0, (uint16_t)(l3 + FP_IPV4_BYTES), 0};
    words[0] = 0;
    words[1] = FP_MAPPED_WORD | (uint64_t)fp_load_raw_u32(ip + 16) << 32;
    words[2] = base | (uint64_t)fp_load_u16(udp + 2) << 48;
    if (wide) {
        fp_frame_read_wide(ip, udp_bytes - FP_UDP_BYTES, words, layout);
    }
    return true;
}

/*
 * As fp_frame_read, into the words of a key, key->port included. Without `wide` only the narrow words are filled and
 * layout->rtp is false. The words are put together in registers: storing a key by its fields and loading it by its
 * words would wait for the stores.
 */
static inline __attribute__((always_inline)) unsigned fp_frame_read_inline(const uint8_t *frame, uint32_t length,
                                                                           uint32_t port, bool wide,
                                                                           uint64_t words[FP_KEY_WORDS],
                                                                           struct fp_layout *layout) {
    enum {
        TAGGED = FP_ETHERNET_BYTES + FP_TAG_BYTES,
        TAGGED_BYTES = TAGGED + FP_IPV4_BYTES + FP_UDP_BYTES,
    };
    if (__builtin_expect(length >= TAGGED_BYTES, 1)) {
        uint64_t base = port | (uint64_t)FP_VLAN_NONE << 32;
        uint16_t type = fp_load_u16(frame + 12);
        if (__builtin_expect(type == FP_ETHERTYPE_IPV4, 1)) {
            base |= (uint64_t)FP_VLAN_NONE << 16;
            if (fp_frame_read_usual(frame, FP_ETHERNET_BYTES, length, base, wide, words, layout)) {
                return 0;
            }
        } else if (type == FP_ETHERTYPE_CTAG && fp_load_u16(frame + 16) == FP_ETHERTYPE_IPV4) {
            base |= (uint64_t)(fp_load_u16(frame + 14) & 0x0fff) << 16;
            if (fp_frame_read_usual(frame, TAGGED, length, base, wide, words, layout)) {
                return 0;
            }
        }
    }
    struct fp_key key = {.port = (uint16_t)port};
    unsigned refusal = fp_frame_read(frame, length, &key, layout);
    memcpy(words, &key, (wide ? FP_KEY_WORDS : FP_KEY_NARROW) * sizeof words[0]);
    return refusal;
}

#endif
