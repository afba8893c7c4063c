/* SPDX-License-Identifier: Apache-2.0 */
#include "quick.h"

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the masks below are words of a frame in memory");

/* Bits of a kind. */
enum {
    KIND_DESTINATION_MAC = 1,
    KIND_SOURCE_MAC = 2,
    KIND_SOURCE = 4,
    KIND_DESTINATION = 8,
    KIND_UDP_SOURCE = 16,
    KIND_UDP_PORT = 32
};

static const struct {
    uint32_t set; /* FP_SET_* */
    uint8_t kind;
} fields[] = {
    {FP_SET_DESTINATION_MAC, KIND_DESTINATION_MAC},
    {FP_SET_SOURCE_MAC, KIND_SOURCE_MAC},
    {FP_SET_SOURCE, KIND_SOURCE},
    {FP_SET_DESTINATION, KIND_DESTINATION},
    {FP_SET_UDP_SOURCE, KIND_UDP_SOURCE},
    {FP_SET_UDP_PORT, KIND_UDP_PORT},
};

#define KEEP(kind)                                                                                                 \
    {                                                                                                              \
        .mac = ((kind)&KIND_DESTINATION_MAC ? 0 : 0x0000ffffffffffffULL) |                                         \
               ((kind)&KIND_SOURCE_MAC ? 0 : 0xffff000000000000ULL),                                               \
        .address = ((kind)&KIND_SOURCE ? 0 : 0xffffffffULL) | ((kind)&KIND_DESTINATION ? 0 : 0xffffffffULL << 32), \
        .source_mac = (kind)&KIND_SOURCE_MAC ? 0 : UINT32_MAX,                                                     \
        .ports = ((kind)&KIND_UDP_SOURCE ? 0 : 0xffffU) | ((kind)&KIND_UDP_PORT ? 0 : 0xffffU << 16),              \
    }
#define KEEP_4(kind) KEEP(kind), KEEP((kind) + 1), KEEP((kind) + 2), KEEP((kind) + 3)
#define KEEP_16(kind) KEEP_4(kind), KEEP_4((kind) + 4), KEEP_4((kind) + 8), KEEP_4((kind) + 12)

const struct fp_quick_keep fp_quick_keeps[FP_QUICK_KINDS] = {KEEP_16(0), KEEP_16(16), KEEP_16(32), KEEP_16(48)};

bool fp_quick_make(const struct fp_rewrite *rewrite, struct fp_quick *out, uint8_t *kind) {
    uint16_t ports[2] = {__builtin_bswap16(rewrite->udp_source), __builtin_bswap16(rewrite->udp_port)};
    uint8_t macs[12];
    uint32_t left = rewrite->set;
    *kind = 0;
    for (unsigned i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        *kind |= (left & fields[i].set) != 0 ? fields[i].kind : 0;
        left &= ~fields[i].set;
    }
    memset(out, 0, sizeof *out);
    /* One family and UDP below it: a rewrite of IPv6 addresses leaves IPv4 frames alone (fp_route_check). */
    if (*kind == 0 || left != 0) {
        return false;
    }
    const struct fp_quick_keep *keep = &fp_quick_keeps[*kind];
    memcpy(macs, rewrite->destination_mac, 6);
    memcpy(macs + 6, rewrite->source_mac, 6);
    memcpy(&out->mac, macs, sizeof out->mac);
    memcpy(&out->source_mac, macs + 8, sizeof out->source_mac);
    memcpy(&out->address, rewrite->source + 12, 4);
    memcpy((uint8_t *)&out->address + 4, rewrite->destination + 12, 4);
    memcpy(&out->ports, ports, sizeof out->ports);
    out->mac &= ~keep->mac;
    out->source_mac &= ~keep->source_mac;
    out->address &= ~keep->address;
    out->ports &= ~keep->ports;
    return true;
}
