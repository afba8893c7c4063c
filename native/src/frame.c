/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the bytes of any frame to its key. The bytes come from the network: every read is preceded by a check against
 * the end, and each header can only shorten what follows it.
 */
#include "frame.h"

enum {
    MAX_TAGS = 2,
    ETHERTYPE_IPV6 = 0x86dd,
    ETHERTYPE_STAG = 0x88a8,
    ETHERTYPE_OLD_STAG = 0x9100, /* in no standard, on many switches */
    EXTENSION_BYTES = 8,
    MAX_EXTENSIONS = 7, /* RFC 8200, 4.1 recommends each at most once (destination options twice) */
    PROTOCOL_HOP_BY_HOP = 0,
    PROTOCOL_ROUTING = 43,
    PROTOCOL_FRAGMENT = 44,
    PROTOCOL_DESTINATION = 60
};

/* What is left of the frame. */
struct view {
    const uint8_t *at;
    uint32_t bytes;
};

static void view_skip(struct view *view, uint32_t bytes) {
    view->at += bytes;
    view->bytes -= bytes;
}

static unsigned refused(enum fp_drop reason) { return (unsigned)reason + 1; }

static int is_tag(uint16_t ethertype) {
    return ethertype == FP_ETHERTYPE_CTAG || ethertype == ETHERTYPE_STAG || ethertype == ETHERTYPE_OLD_STAG;
}

static unsigned read_ethernet(struct view *view, struct fp_key *key, uint16_t *ethertype) {
    key->vlan = FP_VLAN_NONE;
    key->inner_vlan = FP_VLAN_NONE;
    if (view->bytes < FP_ETHERNET_BYTES) {
        return refused(FP_DROP_SHORT);
    }
    uint16_t *vlans[MAX_TAGS] = {&key->vlan, &key->inner_vlan};
    uint16_t type = fp_load_u16(view->at + 12);
    view_skip(view, FP_ETHERNET_BYTES);
    for (unsigned tags = 0; tags < MAX_TAGS && is_tag(type); tags++) {
        if (view->bytes < FP_TAG_BYTES) {
            return refused(FP_DROP_TRUNCATED);
        }
        *vlans[tags] = fp_load_u16(view->at) & 0x0fff;
        type = fp_load_u16(view->at + 2);
        view_skip(view, FP_TAG_BYTES);
    }
    *ethertype = type; /* a third tag is no IP */
    return 0;
}

/* RTP is what looks like it: version 2 and a whole header (RFC 3550, 5.1). */
static unsigned read_udp(const struct view *view, struct fp_key *key, struct fp_layout *layout, const uint8_t *frame) {
    if (view->bytes < FP_UDP_BYTES) {
        return refused(FP_DROP_BAD_LENGTH);
    }
    uint32_t length = fp_load_u16(view->at + 4);
    if (length < FP_UDP_BYTES || length > view->bytes) {
        return refused(FP_DROP_BAD_LENGTH);
    }
    const uint8_t *rtp = view->at + FP_UDP_BYTES;
    key->udp_source = fp_load_u16(view->at);
    key->udp_port = fp_load_u16(view->at + 2);
    bool is_rtp = length >= FP_UDP_BYTES + FP_RTP_BYTES && rtp[0] >> 6 == 2;
    key->payload_type = is_rtp ? rtp[1] & 0x7f : FP_NOT_RTP;
    key->ssrc = is_rtp ? fp_load_u32(rtp + 8) : 0;
    layout->rtp = is_rtp;
    layout->l4 = (uint16_t)(view->at - frame);
    layout->level = FP_LEVEL_UDP;
    return 0;
}

static void map_ipv4(uint8_t to[16], const uint8_t *address) {
    memset(to, 0, 10);
    memset(to + 10, 0xff, 2);
    memcpy(to + 12, address, 4);
}

/* RFC 791, 3.1. */
static unsigned read_ipv4(struct view view, struct fp_key *key, struct fp_layout *layout, const uint8_t *frame) {
    if (view.bytes < FP_IPV4_BYTES) {
        return refused(FP_DROP_TRUNCATED);
    }
    uint8_t first = view.at[0];
    if (first >> 4 != 4) {
        return refused(FP_DROP_NOT_IP);
    }
    uint32_t header = (first & 0x0fU) * 4;
    uint32_t total = fp_load_u16(view.at + 2);
    if (header < FP_IPV4_BYTES || total < header) {
        return refused(FP_DROP_BAD_LENGTH);
    }
    if (total > view.bytes) {
        return refused(FP_DROP_TRUNCATED);
    }
    map_ipv4(key->destination, view.at + 16);
    map_ipv4(key->source, view.at + 12);
    key->dscp = view.at[1] >> 2;
    layout->level = FP_LEVEL_IP;
    layout->version = 4;
    layout->l3 = (uint8_t)(view.at - frame);
    if ((fp_load_u16(view.at + 6) & 0x3fff) != 0) { /* more fragments, or an offset */
        return refused(FP_DROP_FRAGMENT);
    }
    if (view.at[9] != FP_PROTOCOL_UDP) {
        return refused(FP_DROP_NOT_UDP);
    }
    view.bytes = total; /* the rest pads a short Ethernet frame */
    view_skip(&view, header);
    return read_udp(&view, key, layout, frame);
}

/* RFC 8200, 4: from the first extension header to UDP. */
static unsigned read_extensions(struct view view, uint8_t next, struct fp_key *key, struct fp_layout *layout,
                                const uint8_t *frame) {
    for (unsigned extensions = 0; extensions <= MAX_EXTENSIONS; extensions++) {
        if (next == FP_PROTOCOL_UDP) {
            return read_udp(&view, key, layout, frame);
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

/* RFC 8200, 3. */
static unsigned read_ipv6(struct view view, struct fp_key *key, struct fp_layout *layout, const uint8_t *frame) {
    if (view.bytes < FP_IPV6_BYTES) {
        return refused(FP_DROP_TRUNCATED);
    }
    if (view.at[0] >> 4 != 6) {
        return refused(FP_DROP_NOT_IP);
    }
    uint32_t payload = fp_load_u16(view.at + 4);
    if (payload > view.bytes - FP_IPV6_BYTES) {
        return refused(FP_DROP_TRUNCATED);
    }
    uint8_t next = view.at[6];
    memcpy(key->destination, view.at + 24, sizeof key->destination);
    memcpy(key->source, view.at + 8, sizeof key->source);
    key->dscp = (uint8_t)((fp_load_u16(view.at) >> 6) & 0x3f);
    layout->level = FP_LEVEL_IP;
    layout->version = 6;
    layout->l3 = (uint8_t)(view.at - frame);
    view_skip(&view, FP_IPV6_BYTES);
    view.bytes = payload;
    return read_extensions(view, next, key, layout, frame);
}

unsigned fp_frame_read(const uint8_t *frame, uint32_t length, struct fp_key *key, struct fp_layout *layout) {
    struct view view = {frame, length};
    struct fp_key parsed;
    uint16_t ethertype = 0;
    memset(&parsed, 0, sizeof parsed);
    parsed.port = key->port;
    parsed.payload_type = FP_NOT_RTP;
    *layout = (struct fp_layout){.level = FP_LEVEL_ETHERNET};
    unsigned result = read_ethernet(&view, &parsed, &ethertype);
    if (result == 0) {
        switch (ethertype) {
        case FP_ETHERTYPE_IPV4:
            result = read_ipv4(view, &parsed, layout, frame);
            break;
        case ETHERTYPE_IPV6:
            result = read_ipv6(view, &parsed, layout, frame);
            break;
        default:
            result = refused(FP_DROP_NOT_IP);
        }
    }
    *key = parsed;
    layout->refusal = (uint16_t)result;
    return result;
}

int fp_frame_parse(const uint8_t *frame, uint32_t length_bytes, struct fp_key *key) {
    uint64_t words[FP_KEY_WORDS];
    struct fp_layout layout;
    unsigned result = fp_frame_read_inline(frame, length_bytes, key->port, true, words, &layout);
    if (result == 0) {
        memcpy(key, words, sizeof *key);
    }
    return (int)result;
}
