/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the bytes of a frame to the key its route is found by. The bytes come from the network: every read is preceded
 * by a check against the end, and each header can only shorten what follows it.
 */
#include "fastpath.h"
#include <string.h>

enum {
    ETHERNET_BYTES = 14,
    TAG_BYTES = 4,
    MAX_TAGS = 2,
    ETHERTYPE_IPV4 = 0x0800,
    ETHERTYPE_IPV6 = 0x86dd,
    ETHERTYPE_CTAG = 0x8100, /* IEEE 802.1Q-2018, table 9-1 */
    ETHERTYPE_STAG = 0x88a8,
    ETHERTYPE_OLD_STAG = 0x9100, /* in no standard, on many switches */
    IPV4_BYTES = 20,
    IPV6_BYTES = 40,
    UDP_BYTES = 8,
    EXTENSION_BYTES = 8,
    MAX_EXTENSIONS = 7, /* RFC 8200, 4.1 recommends each at most once (destination options twice) */
    PROTOCOL_HOP_BY_HOP = 0,
    PROTOCOL_UDP = 17,
    PROTOCOL_ROUTING = 43,
    PROTOCOL_FRAGMENT = 44,
    PROTOCOL_DESTINATION = 60
};

/* What is left of the frame. */
struct view {
    const uint8_t *at;
    uint32_t bytes;
};

static uint16_t load_u16(const uint8_t *at) { return (uint16_t)(at[0] << 8 | at[1]); }

static void view_skip(struct view *view, uint32_t bytes) {
    view->at += bytes;
    view->bytes -= bytes;
}

static int refused(enum fp_drop reason) { return (int)reason + 1; }

static int is_tag(uint16_t ethertype) {
    return ethertype == ETHERTYPE_CTAG || ethertype == ETHERTYPE_STAG || ethertype == ETHERTYPE_OLD_STAG;
}

static int parse_ethernet(struct view *view, struct fp_key *key, uint16_t *ethertype) {
    if (view->bytes < ETHERNET_BYTES) {
        return refused(FP_DROP_SHORT);
    }
    uint16_t vlans[MAX_TAGS] = {FP_VLAN_NONE, FP_VLAN_NONE};
    uint16_t type = load_u16(view->at + 12);
    view_skip(view, ETHERNET_BYTES);
    for (unsigned tags = 0; tags < MAX_TAGS && is_tag(type); tags++) {
        if (view->bytes < TAG_BYTES) {
            return refused(FP_DROP_TRUNCATED);
        }
        vlans[tags] = load_u16(view->at) & 0x0fff;
        type = load_u16(view->at + 2);
        view_skip(view, TAG_BYTES);
    }
    key->vlan = vlans[0];
    key->inner_vlan = vlans[1];
    *ethertype = type; /* a third tag is no IP */
    return 0;
}

static int parse_udp(const struct view *view, struct fp_key *key) {
    if (view->bytes < UDP_BYTES) {
        return refused(FP_DROP_BAD_LENGTH);
    }
    uint32_t length = load_u16(view->at + 4);
    if (length < UDP_BYTES || length > view->bytes) {
        return refused(FP_DROP_BAD_LENGTH);
    }
    key->udp_port = load_u16(view->at + 2);
    return 0;
}

/* RFC 791, 3.1. */
static int parse_ipv4(struct view view, struct fp_key *key) {
    if (view.bytes < IPV4_BYTES) {
        return refused(FP_DROP_TRUNCATED);
    }
    if (view.at[0] >> 4 != 4) {
        return refused(FP_DROP_NOT_IP);
    }
    uint32_t header = (view.at[0] & 0x0fU) * 4;
    uint32_t total = load_u16(view.at + 2);
    if (header < IPV4_BYTES || total < header) {
        return refused(FP_DROP_BAD_LENGTH);
    }
    if (total > view.bytes) {
        return refused(FP_DROP_TRUNCATED);
    }
    if ((load_u16(view.at + 6) & 0x3fff) != 0) { /* more fragments, or an offset */
        return refused(FP_DROP_FRAGMENT);
    }
    if (view.at[9] != PROTOCOL_UDP) {
        return refused(FP_DROP_NOT_UDP);
    }
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    memcpy(key->destination, mapped, sizeof mapped);
    memcpy(key->destination + 12, view.at + 16, 4);
    view.bytes = total; /* the rest pads a short Ethernet frame */
    view_skip(&view, header);
    return parse_udp(&view, key);
}

/* RFC 8200, 3 and 4. */
static int parse_ipv6(struct view view, struct fp_key *key) {
    if (view.bytes < IPV6_BYTES) {
        return refused(FP_DROP_TRUNCATED);
    }
    if (view.at[0] >> 4 != 6) {
        return refused(FP_DROP_NOT_IP);
    }
    uint32_t payload = load_u16(view.at + 4);
    if (payload > view.bytes - IPV6_BYTES) {
        return refused(FP_DROP_TRUNCATED);
    }
    uint8_t next = view.at[6];
    memcpy(key->destination, view.at + 24, sizeof key->destination);
    view_skip(&view, IPV6_BYTES);
    view.bytes = payload;
    for (unsigned extensions = 0; extensions <= MAX_EXTENSIONS; extensions++) {
        if (next == PROTOCOL_UDP) {
            return parse_udp(&view, key);
        }
        if (next == PROTOCOL_FRAGMENT) {
            return refused(FP_DROP_FRAGMENT);
        }
        if (next != PROTOCOL_HOP_BY_HOP && next != PROTOCOL_ROUTING && next != PROTOCOL_DESTINATION) {
            return refused(FP_DROP_NOT_UDP);
        }
        if (view.bytes < EXTENSION_BYTES) {
            return refused(FP_DROP_BAD_LENGTH);
        }
        uint32_t length = (view.at[1] + 1U) * EXTENSION_BYTES;
        if (length > view.bytes) {
            return refused(FP_DROP_BAD_LENGTH);
        }
        next = view.at[0];
        view_skip(&view, length);
    }
    return refused(FP_DROP_NOT_UDP);
}

int fp_frame_parse(const uint8_t *frame, uint32_t length_bytes, struct fp_key *key) {
    struct view view = {frame, length_bytes};
    struct fp_key parsed;
    uint16_t ethertype = 0;
    int result = parse_ethernet(&view, &parsed, &ethertype);
    if (result == 0) {
        switch (ethertype) {
        case ETHERTYPE_IPV4:
            result = parse_ipv4(view, &parsed);
            break;
        case ETHERTYPE_IPV6:
            result = parse_ipv6(view, &parsed);
            break;
        default:
            result = refused(FP_DROP_NOT_IP);
        }
    }
    if (result == 0) {
        parsed.port = key->port;
        *key = parsed;
    }
    return result;
}
