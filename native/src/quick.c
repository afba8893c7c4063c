/* SPDX-License-Identifier: Apache-2.0 */
#include "quick.h"

enum {
    MAC_SETS = FP_SET_DESTINATION_MAC | FP_SET_SOURCE_MAC,
    UPPER_SETS = FP_SET_SOURCE | FP_SET_DESTINATION | FP_SET_UDP_SOURCE | FP_SET_UDP_PORT
};

static void put(uint8_t *keep, uint8_t *value, const void *from, size_t bytes) {
    memset(keep, 0, bytes);
    memcpy(value, from, bytes);
}

bool fp_quick_make(const struct fp_rewrite *rewrite, struct fp_quick *out) {
    uint8_t keep[24];
    uint8_t value[24];
    uint32_t set = rewrite->set;
    uint16_t udp_source = __builtin_bswap16(rewrite->udp_source);
    uint16_t udp_port = __builtin_bswap16(rewrite->udp_port);
    memset(out, 0, sizeof *out);
    /* One family and UDP below it: a rewrite of IPv6 addresses leaves IPv4 frames alone (fp_route_check). */
    if (set == 0 || (set & ~(uint32_t)(MAC_SETS | UPPER_SETS)) != 0) {
        return false;
    }
    memset(keep, 0xff, sizeof keep);
    memset(value, 0, sizeof value);
    if ((set & FP_SET_DESTINATION_MAC) != 0) {
        put(keep, value, rewrite->destination_mac, 6);
    }
    if ((set & FP_SET_SOURCE_MAC) != 0) {
        put(keep + 6, value + 6, rewrite->source_mac, 6);
    }
    if ((set & FP_SET_SOURCE) != 0) {
        put(keep + 12, value + 12, rewrite->source + 12, 4);
    }
    if ((set & FP_SET_DESTINATION) != 0) {
        put(keep + 16, value + 16, rewrite->destination + 12, 4);
    }
    if ((set & FP_SET_UDP_SOURCE) != 0) {
        put(keep + 20, value + 20, &udp_source, 2);
    }
    if ((set & FP_SET_UDP_PORT) != 0) {
        put(keep + 22, value + 22, &udp_port, 2);
    }
    memcpy(&out->mac_keep, keep, 8);
    memcpy(&out->mac, value, 8);
    memcpy(&out->source_mac_keep, keep + 8, 4);
    memcpy(&out->source_mac, value + 8, 4);
    memcpy(&out->address_keep, keep + 12, 8);
    memcpy(&out->address, value + 12, 8);
    memcpy(&out->ports_keep, keep + 20, 4);
    memcpy(&out->ports, value + 20, 4);
    out->above_ethernet = (set & UPPER_SETS) != 0;
    return true;
}
