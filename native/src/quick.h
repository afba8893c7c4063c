/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rewrite that moves a flow, MAC addresses, IPv4 addresses and UDP ports, without a branch for each field: a mask
 * says what stays, a value what comes. What stays adds minus zero to the checksums (RFC 1624: ~m + m), so they need not
 * know either.
 */
#ifndef FP_QUICK_H
#define FP_QUICK_H

#include "rewrite.h"

struct fp_quick {
    uint64_t mac_keep; /* destination address and two bytes of the source */
    uint64_t mac;
    uint64_t address_keep; /* source and destination */
    uint64_t address;
    uint32_t source_mac_keep; /* the other four bytes */
    uint32_t source_mac;
    uint32_t ports_keep; /* source and destination */
    uint32_t ports;
    uint32_t above_ethernet; /* IP or UDP changes */
};

/* False where the rewrite asks for more, or for nothing. */
bool fp_quick_make(const struct fp_rewrite *rewrite, struct fp_quick *out);

static inline uint64_t fp_sum_halves(uint64_t words) { return (words & UINT32_MAX) + (words >> 32); }

/* `sum` of four 32-bit words at most, and a checksum to follow it. */
static inline uint16_t fp_quick_follow(uint16_t checksum, uint64_t sum) {
    sum = fp_sum_halves(sum) + (uint16_t)~checksum;
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t) ~((sum & 0xffff) + (sum >> 16));
}

static inline void fp_quick_apply(uint8_t *frame, const struct fp_layout *layout, const struct fp_quick *quick) {
    uint64_t mac;
    uint32_t source_mac;
    memcpy(&mac, frame, sizeof mac);
    memcpy(&source_mac, frame + 8, sizeof source_mac);
    mac = (mac & quick->mac_keep) | quick->mac;
    source_mac = (source_mac & quick->source_mac_keep) | quick->source_mac;
    memcpy(frame, &mac, sizeof mac);
    memcpy(frame + 8, &source_mac, sizeof source_mac);
    if (quick->above_ethernet == 0) {
        return;
    }
    uint8_t *ip = frame + layout->l3;
    uint8_t *udp = frame + layout->l4;
    uint64_t address;
    uint32_t ports;
    memcpy(&address, ip + 12, sizeof address);
    memcpy(&ports, udp, sizeof ports);
    uint64_t change = fp_sum_halves(~address);
    address = (address & quick->address_keep) | quick->address;
    change += fp_sum_halves(address);
    uint16_t checksum = fp_quick_follow(fp_raw_u16(ip + 10), change);
    memcpy(ip + 10, &checksum, sizeof checksum);
    memcpy(ip + 12, &address, sizeof address);
    change += (uint32_t)~ports;
    ports = (ports & quick->ports_keep) | quick->ports;
    change += ports;
    memcpy(udp, &ports, sizeof ports);
    checksum = fp_raw_u16(udp + 6);
    if (checksum != 0) { /* 0: the sender made none (RFC 768) */
        checksum = fp_quick_follow(checksum, change);
        checksum = checksum == 0 ? UINT16_MAX : checksum;
        memcpy(udp + 6, &checksum, sizeof checksum);
    }
}

#endif
