/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an output writes into its copy. Checksums are not computed anew but follow the change (RFC 1624, eqn. 3), so
 * that a frame damaged before stays recognisable as damaged. VLAN tags, which move bytes, are in vlan.h.
 */
#ifndef FP_REWRITE_H
#define FP_REWRITE_H

#include "frame.h"

enum {
    FP_REWRITE_IP = FP_SET_SOURCE | FP_SET_DESTINATION | FP_SET_DSCP | FP_DECREMENT_TTL,
    FP_REWRITE_RTP = FP_SET_PAYLOAD_TYPE | FP_SET_SSRC,
    FP_REWRITE_UDP = FP_SET_UDP_SOURCE | FP_SET_UDP_PORT | FP_REWRITE_RTP
};

/* Sums of 16-bit words in memory order: the one's complement sum does not mind the byte order (RFC 1071, 2.B). */
struct fp_sums {
    uint64_t ip;  /* what changes in the IPv4 header */
    uint64_t udp; /* what changes in the UDP datagram and its pseudo header */
};

static inline uint16_t fp_sum_fold(uint64_t sum) {
    sum = (sum & 0xffffffffU) + (sum >> 32);
    sum = (sum & 0xffffffffU) + (sum >> 32);
    sum = (sum & 0xffffU) + (sum >> 16);
    sum = (sum & 0xffffU) + (sum >> 16);
    return (uint16_t)sum;
}

static inline uint16_t fp_raw_u16(const uint8_t *at) {
    uint16_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

static inline uint32_t fp_raw_u32(const uint8_t *at) {
    uint32_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

/* Replaces two bytes; returns what that adds to a sum. */
static inline uint64_t fp_put_u16(uint8_t *at, uint16_t raw) {
    uint64_t change = (uint16_t)~fp_raw_u16(at) + (uint64_t)raw;
    memcpy(at, &raw, sizeof raw);
    return change;
}

static inline uint64_t fp_put_u32(uint8_t *at, uint32_t raw) {
    uint64_t change = ~fp_raw_u32(at) + (uint64_t)raw;
    memcpy(at, &raw, sizeof raw);
    return change;
}

static inline void fp_checksum_follow(uint8_t *at, uint64_t change) {
    uint16_t checksum = (uint16_t)~fp_sum_fold((uint16_t)~fp_raw_u16(at) + change);
    memcpy(at, &checksum, sizeof checksum);
}

static inline void fp_rewrite_ipv4(uint8_t *ip, const struct fp_rewrite *rewrite, struct fp_sums *sums) {
    if ((rewrite->set & FP_SET_SOURCE) != 0) {
        sums->udp += fp_put_u32(ip + 12, fp_raw_u32(rewrite->source + 12));
    }
    if ((rewrite->set & FP_SET_DESTINATION) != 0) {
        sums->udp += fp_put_u32(ip + 16, fp_raw_u32(rewrite->destination + 12));
    }
    sums->ip = sums->udp;
    if ((rewrite->set & FP_SET_DSCP) != 0) {
        uint8_t head[2] = {ip[0], (uint8_t)(rewrite->dscp << 2 | (ip[1] & 3))}; /* ECN stays */
        sums->ip += fp_put_u16(ip, fp_raw_u16(head));
    }
    if ((rewrite->set & FP_DECREMENT_TTL) != 0) {
        uint8_t life[2] = {(uint8_t)(ip[8] - 1), ip[9]};
        sums->ip += fp_put_u16(ip + 8, fp_raw_u16(life));
    }
    fp_checksum_follow(ip + 10, sums->ip);
}

/* RFC 8200, 3: no header checksum. */
static inline void fp_rewrite_ipv6(uint8_t *ip, const struct fp_rewrite *rewrite, struct fp_sums *sums) {
    for (unsigned i = 0; i < 16; i += 4) {
        if ((rewrite->set & FP_SET_SOURCE) != 0) {
            sums->udp += fp_put_u32(ip + 8 + i, fp_raw_u32(rewrite->source + i));
        }
        if ((rewrite->set & FP_SET_DESTINATION) != 0) {
            sums->udp += fp_put_u32(ip + 24 + i, fp_raw_u32(rewrite->destination + i));
        }
    }
    if ((rewrite->set & FP_SET_DSCP) != 0) {
        ip[0] = (uint8_t)((ip[0] & 0xf0) | rewrite->dscp >> 2);
        ip[1] = (uint8_t)((ip[1] & 0x3f) | (rewrite->dscp & 3) << 6);
    }
    ip[7] = (uint8_t)(ip[7] - ((rewrite->set & FP_DECREMENT_TTL) != 0));
}

static inline void fp_rewrite_udp(uint8_t *udp, const struct fp_rewrite *rewrite, bool rtp, uint64_t change) {
    if ((rewrite->set & FP_SET_UDP_SOURCE) != 0) {
        change += fp_put_u16(udp, __builtin_bswap16(rewrite->udp_source));
    }
    if ((rewrite->set & FP_SET_UDP_PORT) != 0) {
        change += fp_put_u16(udp + 2, __builtin_bswap16(rewrite->udp_port));
    }
    if (rtp && (rewrite->set & FP_SET_PAYLOAD_TYPE) != 0) {
        uint8_t head[2] = {udp[8], (uint8_t)((udp[9] & 0x80) | rewrite->payload_type)}; /* the marker stays */
        change += fp_put_u16(udp + 8, fp_raw_u16(head));
    }
    if (rtp && (rewrite->set & FP_SET_SSRC) != 0) {
        change += fp_put_u32(udp + 16, __builtin_bswap32(rewrite->ssrc));
    }
    if (fp_raw_u16(udp + 6) != 0) { /* 0: the sender made none (RFC 768; RFC 6935 for IPv6) */
        fp_checksum_follow(udp + 6, change);
        if (fp_raw_u16(udp + 6) == 0) {
            memset(udp + 6, 0xff, 2);
        }
    }
}

/* All but VLAN tags. The frame has the level its route asks for, so that every header touched is inside it. */
static inline void fp_rewrite_apply(uint8_t *frame, const struct fp_layout *layout, const struct fp_rewrite *rewrite) {
    struct fp_sums sums = {0, 0};
    uint32_t set = rewrite->set;
    if ((set & FP_SET_DESTINATION_MAC) != 0) {
        memcpy(frame, rewrite->destination_mac, sizeof rewrite->destination_mac);
    }
    if ((set & FP_SET_SOURCE_MAC) != 0) {
        memcpy(frame + 6, rewrite->source_mac, sizeof rewrite->source_mac);
    }
    if ((set & FP_REWRITE_IP) != 0) {
        if (layout->version == 4) {
            fp_rewrite_ipv4(frame + layout->l3, rewrite, &sums);
        } else {
            fp_rewrite_ipv6(frame + layout->l3, rewrite, &sums);
        }
    }
    if ((set & (FP_REWRITE_UDP | FP_SET_SOURCE | FP_SET_DESTINATION)) != 0) {
        fp_rewrite_udp(frame + layout->l4, rewrite, layout->rtp, sums.udp);
    }
}

/* A frame that may be decremented once more (RFC 1812, 5.3.1; RFC 8200, 3). */
static inline bool fp_frame_lives(const uint8_t *frame, const struct fp_layout *layout) {
    return frame[layout->l3 + (layout->version == 4 ? 8 : 7)] > 1;
}

#endif
