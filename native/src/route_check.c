/* SPDX-License-Identifier: Apache-2.0 */
#include "route_check.h"

enum {
    MAPPED_BITS = 96, /* of ::ffff:0:0/96, where IPv4 addresses live */
    ADDRESS_BITS = 128,
    VLAN_BITS = FP_SET_VLAN | FP_PUSH_VLAN | FP_POP_VLAN,
    UDP_SETS =
        FP_SET_SOURCE | FP_SET_DESTINATION | FP_SET_UDP_SOURCE | FP_SET_UDP_PORT | FP_SET_PAYLOAD_TYPE | FP_SET_SSRC,
    IP_SETS = FP_SET_DSCP | FP_DECREMENT_TTL,
    UDP_FIELDS = FP_MATCH_UDP_PORT | FP_MATCH_UDP_SOURCE | FP_MATCH_PAYLOAD_TYPE | FP_MATCH_SSRC
};

static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

static bool is_mapped(const uint8_t address[16]) { return memcmp(address, mapped, sizeof mapped) == 0; }

static void address_mask(uint8_t out[16], uint8_t bits) {
    for (unsigned i = 0; i < 16; i++) {
        unsigned left = bits > 8 * i ? bits - 8 * i : 0;
        out[i] = (uint8_t)(left >= 8 ? 0xff : 0xff00 >> left);
    }
}

void fp_match_mask(const struct fp_match *match, uint64_t mask[FP_KEY_WORDS]) {
    struct fp_key key;
    memset(&key, 0, sizeof key);
    address_mask(key.destination, match->destination_bits);
    address_mask(key.source, match->source_bits);
    key.port = (match->fields & FP_MATCH_PORT) != 0 ? UINT16_MAX : 0;
    key.vlan = (match->fields & FP_MATCH_VLAN) != 0 ? UINT16_MAX : 0;
    key.inner_vlan = (match->fields & FP_MATCH_INNER_VLAN) != 0 ? UINT16_MAX : 0;
    key.udp_port = (match->fields & FP_MATCH_UDP_PORT) != 0 ? UINT16_MAX : 0;
    key.udp_source = (match->fields & FP_MATCH_UDP_SOURCE) != 0 ? UINT16_MAX : 0;
    key.dscp = (match->fields & FP_MATCH_DSCP) != 0 ? UINT8_MAX : 0;
    key.payload_type = (match->fields & FP_MATCH_PAYLOAD_TYPE) != 0 ? UINT8_MAX : 0;
    key.ssrc = (match->fields & FP_MATCH_SSRC) != 0 ? UINT32_MAX : 0;
    memcpy(mask, &key, sizeof key);
}

uint16_t fp_mask_fields(const uint64_t mask[FP_KEY_WORDS]) {
    struct fp_key key;
    memcpy(&key, mask, sizeof key);
    unsigned fields = (key.port != 0 ? FP_MATCH_PORT : 0U) | (key.vlan != 0 ? FP_MATCH_VLAN : 0U) |
                      (key.inner_vlan != 0 ? FP_MATCH_INNER_VLAN : 0U) | (key.udp_port != 0 ? FP_MATCH_UDP_PORT : 0U) |
                      (key.udp_source != 0 ? FP_MATCH_UDP_SOURCE : 0U) | (key.dscp != 0 ? FP_MATCH_DSCP : 0U) |
                      (key.payload_type != 0 ? FP_MATCH_PAYLOAD_TYPE : 0U) | (key.ssrc != 0 ? FP_MATCH_SSRC : 0U);
    return (uint16_t)fields;
}

uint8_t fp_match_level(const struct fp_match *match) {
    if ((match->fields & UDP_FIELDS) != 0) {
        return FP_LEVEL_UDP;
    }
    bool ip = match->destination_bits != 0 || match->source_bits != 0 || (match->fields & FP_MATCH_DSCP) != 0;
    return ip ? FP_LEVEL_IP : FP_LEVEL_ETHERNET;
}

/* Addresses are in the checksum of whatever follows IP, and of that only UDP is known here. */
uint8_t fp_route_level(const struct fp_route *route) {
    uint8_t level = fp_match_level(&route->match);
    for (unsigned i = 0; i < route->output_count; i++) {
        uint32_t set = route->outputs[i].rewrite.set;
        uint8_t needed = (set & UDP_SETS) != 0 ? FP_LEVEL_UDP : (set & IP_SETS) != 0 ? FP_LEVEL_IP : FP_LEVEL_ETHERNET;
        level = needed > level ? needed : level;
    }
    return level;
}

static bool is_vlan(uint16_t vlan) { return vlan <= 4094 || vlan == FP_VLAN_NONE; }

/* A prefix is of one family: all IPv4, or without any IPv4 address in it. */
static bool prefix_is_sound(const uint8_t address[16], uint8_t bits) {
    uint8_t mask[16];
    bool inside = true; /* ::ffff:0:0 lies in the prefix */
    address_mask(mask, bits);
    for (unsigned i = 0; i < sizeof mapped; i++) {
        inside = inside && (mapped[i] & mask[i]) == (address[i] & mask[i]);
    }
    return bits <= ADDRESS_BITS && (bits == 0 || bits >= MAPPED_BITS || !inside);
}

static bool match_is_sound(const struct fp_match *match) {
    const struct fp_key *key = &match->key;
    uint64_t words[FP_KEY_WORDS];
    uint64_t mask[FP_KEY_WORDS];
    uint64_t outside = 0;
    fp_match_mask(match, mask);
    memcpy(words, key, sizeof words);
    for (unsigned i = 0; i < FP_KEY_WORDS; i++) {
        outside |= words[i] & ~mask[i];
    }
    return outside == 0 && (match->fields & ~FP_MATCH_FIELDS) == 0 && key->port < FP_MAX_PORTS && is_vlan(key->vlan) &&
           is_vlan(key->inner_vlan) && key->dscp < 64 && (key->payload_type < 128 || key->payload_type == FP_NOT_RTP) &&
           (key->vlan != FP_VLAN_NONE || key->inner_vlan == FP_VLAN_NONE ||
            (match->fields & FP_MATCH_INNER_VLAN) == 0) &&
           prefix_is_sound(key->destination, match->destination_bits) &&
           prefix_is_sound(key->source, match->source_bits);
}

/* New addresses are of the family that the match lets in, and of one family only. */
static bool addresses_are_sound(const struct fp_match *match, const struct fp_rewrite *rewrite) {
    bool v4 = match->destination_bits >= MAPPED_BITS
                  ? is_mapped(match->key.destination)
                  : match->source_bits >= MAPPED_BITS && is_mapped(match->key.source);
    bool known = match->destination_bits > 0 || match->source_bits > 0;
    bool source = (rewrite->set & FP_SET_SOURCE) != 0;
    bool destination = (rewrite->set & FP_SET_DESTINATION) != 0;
    return (!source && !destination) || (known && (!source || is_mapped(rewrite->source) == v4) &&
                                         (!destination || is_mapped(rewrite->destination) == v4));
}

static bool rewrite_is_sound(const struct fp_match *match, const struct fp_rewrite *rewrite) {
    uint32_t vlan = rewrite->set & VLAN_BITS;
    bool tagged = (match->fields & FP_MATCH_VLAN) != 0 && match->key.vlan != FP_VLAN_NONE;
    return (rewrite->set & ~(uint32_t)FP_SET_ANY) == 0 && (vlan & (vlan - 1)) == 0 && rewrite->vlan <= 4094 &&
           rewrite->dscp < 64 && rewrite->payload_type < 128 && (tagged || (vlan & ~(uint32_t)FP_PUSH_VLAN) == 0) &&
           addresses_are_sound(match, rewrite);
}

static bool media_is_sound(const struct fp_route_media *media) {
    bool paced = (media->observe & FP_OBSERVE_PACING) != 0;
    return (media->observe & ~FP_OBSERVE_ANY) == 0 && (media->observe == 0 || (media->observe & FP_OBSERVE_RTP) != 0) &&
           media->run <= FP_MAX_RUN && paced == (media->pacing != 0) && media->merge <= FP_MAX_MERGES &&
           media->path < FP_MERGE_PATHS && (media->merge != 0 || media->path == 0);
}

int fp_route_check(const struct fp_route *route) {
    if (!match_is_sound(&route->match) || route->output_count > FP_MAX_OUTPUTS || route->counter >= FP_MAX_ROUTES ||
        (route->flags & ~(uint32_t)FP_ROUTE_TO_HOST) != 0 || route->group > FP_MAX_ROUTES ||
        !media_is_sound(&route->media)) {
        return FP_E_INVALID;
    }
    uint32_t seen = 0;
    for (unsigned i = 0; i < route->output_count; i++) {
        uint32_t port = route->outputs[i].port;
        if (port >= FP_MAX_PORTS || (seen >> port & 1) != 0 ||
            !rewrite_is_sound(&route->match, &route->outputs[i].rewrite)) {
            return FP_E_INVALID;
        }
        seen |= 1U << port;
    }
    return 0;
}
