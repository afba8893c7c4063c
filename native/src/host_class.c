/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whose frame is it? The same decisions in the same order as xdp_filter.c, in which a frame meets them before any
 * route. The bytes come from the network: every read is preceded by a check against the end.
 */
#include "host_class.h"

/* What is left of the frame, and what is known of it. */
struct glance {
    const uint8_t *at;
    uint32_t bytes;
    bool own; /* addressed to this interface, or to all */
};

static void skip(struct glance *frame, uint32_t bytes) {
    frame->at += bytes;
    frame->bytes -= bytes;
}

static uint32_t own_class(const struct glance *frame) { return frame->own ? FP_HOST_UNICAST : 0; }

/* Media never uses system ports; DHCP, DNS, NTP, SNMP and what else a host asks of others do. */
static uint32_t class_of_udp(const struct glance *frame) {
    if (frame->bytes < FP_UDP_BYTES) {
        return 0;
    }
    uint16_t from = fp_load_u16(frame->at);
    uint16_t to = fp_load_u16(frame->at + 2);
    if (to == FP_PTP_EVENT_PORT || to == FP_PTP_GENERAL_PORT) {
        return FP_HOST_PTP;
    }
    return from < FP_FIRST_USER_PORT || to < FP_FIRST_USER_PORT ? own_class(frame) : 0;
}

static uint32_t class_of_ipv4(struct glance frame) {
    if (frame.bytes < FP_IPV4_BYTES || frame.at[0] >> 4 != 4) {
        return 0;
    }
    uint32_t header = (frame.at[0] & 0x0fU) * 4;
    if (header < FP_IPV4_BYTES) {
        return 0;
    }
    if (frame.at[9] == FP_NEXT_IGMP) {
        return FP_HOST_IGMP;
    }
    if (frame.at[9] != FP_PROTOCOL_UDP || (fp_load_u16(frame.at + 6) & FP_FRAGMENT_FIELDS) != 0) {
        return own_class(&frame); /* no route asks for the ports of a fragment, it has none */
    }
    if (header > frame.bytes) {
        return 0;
    }
    skip(&frame, header);
    return class_of_udp(&frame);
}

static uint32_t class_of_icmpv6(const struct glance *frame) {
    if (frame->bytes == 0) {
        return 0;
    }
    uint8_t type = frame->at[0];
    if ((type >= FP_MLD_QUERY && type <= FP_MLD_DONE) || type == FP_MLD_REPORT_V2) {
        return FP_HOST_MLD;
    }
    return type >= FP_ND_FIRST && type <= FP_ND_LAST ? FP_HOST_ND : own_class(frame);
}

/* Behind one short hop-by-hop header, as MLD has it, and behind no other: media behind such headers has its routes. */
static uint32_t class_of_ipv6(struct glance frame) {
    if (frame.bytes < FP_IPV6_BYTES || frame.at[0] >> 4 != 6) {
        return 0;
    }
    uint8_t next = frame.at[6];
    skip(&frame, FP_IPV6_BYTES);
    if (next == FP_NEXT_HOP_BY_HOP) {
        if (frame.bytes < FP_HOST_HOP_BY_HOP_BYTES || frame.at[1] != 0) {
            return 0;
        }
        next = frame.at[0];
        skip(&frame, FP_HOST_HOP_BY_HOP_BYTES);
    }
    switch (next) {
    case FP_PROTOCOL_UDP:
        return class_of_udp(&frame);
    case FP_NEXT_ICMPV6:
        return class_of_icmpv6(&frame);
    case FP_NEXT_HOP_BY_HOP:
    case FP_NEXT_ROUTING:
    case FP_NEXT_DESTINATION:
        return 0;
    default:
        return own_class(&frame);
    }
}

static bool is_tag(uint16_t type) {
    return type == FP_ETHERTYPE_CTAG || type == FP_TYPE_STAG || type == FP_TYPE_OLD_STAG;
}

uint32_t fp_host_class(const uint8_t *frame, uint32_t length_bytes, const uint8_t mac[6]) {
    static const uint8_t everybody[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    struct glance left = {frame, length_bytes, false};
    if (length_bytes < FP_ETHERNET_BYTES) {
        return 0;
    }
    left.own = memcmp(frame, mac, sizeof everybody) == 0 || memcmp(frame, everybody, sizeof everybody) == 0;
    uint16_t type = fp_load_u16(frame + 12);
    skip(&left, FP_ETHERNET_BYTES);
    for (unsigned tags = 0; tags < FP_HOST_MAX_TAGS && is_tag(type); tags++) {
        if (left.bytes < FP_TAG_BYTES) {
            return 0;
        }
        type = fp_load_u16(left.at + 2);
        skip(&left, FP_TAG_BYTES);
    }
    switch (type) {
    case FP_ETHERTYPE_IPV4:
        return class_of_ipv4(left);
    case FP_TYPE_IPV6:
        return class_of_ipv6(left);
    case FP_TYPE_ARP:
        return FP_HOST_ARP;
    case FP_TYPE_PTP:
        return FP_HOST_PTP;
    case FP_TYPE_LLDP:
        return FP_HOST_LLDP;
    default:
        return own_class(&left);
    }
}
