/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rewrite that moves a flow, MAC addresses, IPv4 addresses and UDP ports, without a branch for each field: a mask
 * says what stays, a value what comes. The masks of all rewrites are 64, near in every cache; only values lie with the
 * route.
 */
#ifndef FP_QUICK_H
#define FP_QUICK_H

#include "rewrite.h"

/* What comes, as it lies in a frame; 0 where something stays. */
struct fp_quick {
    uint64_t mac;        /* destination address and two bytes of the source */
    uint64_t address;    /* source and destination */
    uint32_t source_mac; /* the other four bytes */
    uint32_t ports;      /* source and destination */
};

/* The same places with all bits set where something stays. */
struct fp_quick_keep {
    _Alignas(32) uint64_t mac;
    uint64_t address;
    uint32_t source_mac;
    uint32_t ports;
};

enum {
    FP_QUICK_KINDS = 64,
    FP_QUICK_MACS = 3,   /* bits of a kind: MAC addresses */
    FP_QUICK_UPPER = 60, /* addresses and ports */
    FP_QUICK_ALL = 63,   /* everything: nothing stays */
};

extern const struct fp_quick_keep fp_quick_keeps[FP_QUICK_KINDS] __attribute__((visibility("hidden")));

/* False where the rewrite asks for more, or for nothing. `kind` is an index of fp_quick_keeps. */
bool fp_quick_make(const struct fp_rewrite *rewrite, struct fp_quick *out, uint8_t *kind);

/* A sum of 16-bit words, as one number of 64 bits, folded to 16. It is 0 only where the sum is. */
static inline uint16_t fp_quick_fold(uint64_t sum) {
    uint32_t half = (uint32_t)((sum + (sum >> 32 | sum << 32)) >> 32);
    return (uint16_t)((half + (half >> 16 | half << 16)) >> 16);
}

/* A checksum that follows a change (RFC 1624, eqn. 3). */
static inline uint16_t fp_quick_follow(uint16_t checksum, uint16_t change) {
    uint16_t sum = (uint16_t)~checksum;
    sum = (uint16_t)(sum + change);
    return (uint16_t) ~(sum + (sum < change)); /* the carry comes round */
}

/* What it adds to a sum that `value` takes the place of `from` where `keep` has no bit. */
static inline uint64_t fp_quick_change(uint64_t from, uint64_t keep, uint64_t value) {
    uint64_t sum = ~(from | keep) + value;
    return sum + (sum < value);
}

/* Everything is read before anything is written, so that the compiler need not read again. */
static inline __attribute__((always_inline)) void fp_quick_put(uint8_t *frame, const struct fp_layout *layout,
                                                               const struct fp_quick *quick, unsigned kind,
                                                               const struct fp_quick_keep *keep) {
    uint64_t mac = (fp_load_raw_u64(frame) & keep->mac) | quick->mac;
    uint32_t source_mac = (fp_load_raw_u32(frame + 8) & keep->source_mac) | quick->source_mac;
    if ((kind & FP_QUICK_UPPER) != 0) {
        uint8_t *ip = frame + layout->l3;
        uint8_t *udp = frame + layout->l4;
        uint64_t address = fp_load_raw_u64(ip + 12);
        uint32_t ports = fp_load_raw_u32(udp);
        uint16_t checksum = fp_raw_u16(ip + 10);
        uint16_t udp_checksum = fp_raw_u16(udp + 6);
        uint16_t change = fp_quick_fold(fp_quick_change(address, keep->address, quick->address));
        uint64_t udp_change = (uint64_t) ~(ports | keep->ports) + quick->ports + change;
        address = (address & keep->address) | quick->address;
        ports = (ports & keep->ports) | quick->ports;
        checksum = fp_quick_follow(checksum, change);
        if (udp_checksum != 0) { /* 0: the sender made none (RFC 768) */
            udp_checksum = fp_quick_follow(udp_checksum, fp_quick_fold(udp_change));
            udp_checksum = udp_checksum == 0 ? UINT16_MAX : udp_checksum;
        }
        memcpy(ip + 10, &checksum, sizeof checksum);
        memcpy(ip + 12, &address, sizeof address);
        memcpy(udp, &ports, sizeof ports);
        memcpy(udp + 6, &udp_checksum, sizeof udp_checksum);
    }
    memcpy(frame, &mac, sizeof mac);
    memcpy(frame + 8, &source_mac, sizeof source_mac);
}

/* To move a flow entirely is the usual rewrite: without masks it takes 15 instructions less. */
static inline __attribute__((always_inline)) void fp_quick_apply(uint8_t *frame, const struct fp_layout *layout,
                                                                 const struct fp_quick *quick, unsigned kind) {
    static const struct fp_quick_keep nothing = {0};
    if (kind == FP_QUICK_ALL) {
        fp_quick_put(frame, layout, quick, FP_QUICK_ALL, &nothing);
    } else {
        fp_quick_put(frame, layout, quick, kind, &fp_quick_keeps[kind % FP_QUICK_KINDS]);
    }
}

#endif
