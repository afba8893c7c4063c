/* SPDX-License-Identifier: Apache-2.0 */
#include "flow_key.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ETHERTYPE_IPV4 0x0800
#define ETHERTYPE_IPV6 0x86dd
#define PROTOCOL_UDP 17
#define IPV4_MIN_BYTES 20
#define IPV6_BYTES 40
#define UDP_BYTES 8

static const uint8_t mapped_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

static bool is_tag(uint16_t ethertype) { return ethertype == 0x8100 || ethertype == 0x88a8 || ethertype == 0x9100; }

static bool parse_ipv4(const uint8_t *packet, uint32_t length, struct flow_key *key) {
    if (length < IPV4_MIN_BYTES || packet[0] >> 4 != 4 || packet[9] != PROTOCOL_UDP) {
        return false;
    }
    uint32_t header = (uint32_t)(packet[0] & 0xf) * 4;
    if (header < IPV4_MIN_BYTES || length < header + UDP_BYTES || (load_be16(packet + 6) & 0x3fff) != 0) {
        return false; /* RFC 791: a fragment carries no flow of its own */
    }
    memcpy(key->destination, mapped_prefix, sizeof(mapped_prefix));
    memcpy(key->destination + 12, packet + 16, 4);
    key->udp_port = load_be16(packet + header + 2);
    return true;
}

static bool parse_ipv6(const uint8_t *packet, uint32_t length, struct flow_key *key) {
    if (length < IPV6_BYTES + UDP_BYTES || packet[0] >> 4 != 6 || packet[6] != PROTOCOL_UDP) {
        return false;
    }
    memcpy(key->destination, packet + 24, 16);
    key->udp_port = load_be16(packet + IPV6_BYTES + 2);
    return true;
}

bool flow_key_parse(const uint8_t *frame, uint32_t length_bytes, struct flow_key *key) {
    struct flow_key found = {.vlan = FLOW_NO_VLAN, .inner_vlan = FLOW_NO_VLAN};
    uint32_t at = 12;

    for (int tags = 0; tags < 2 && at + 4 <= length_bytes && is_tag(load_be16(frame + at)); tags++) {
        uint16_t id = load_be16(frame + at + 2) & 0xfff;
        if (tags == 0) {
            found.vlan = id;
        } else {
            found.inner_vlan = id;
        }
        at += 4;
    }
    if (at + 2 > length_bytes) {
        return false;
    }
    uint16_t ethertype = load_be16(frame + at);
    at += 2;
    bool udp = (ethertype == ETHERTYPE_IPV4 && parse_ipv4(frame + at, length_bytes - at, &found)) ||
               (ethertype == ETHERTYPE_IPV6 && parse_ipv6(frame + at, length_bytes - at, &found));
    if (udp) {
        *key = found;
    }
    return udp;
}

bool flow_key_equal(const struct flow_key *left, const struct flow_key *right) {
    return memcmp(left->destination, right->destination, sizeof(left->destination)) == 0 &&
           left->udp_port == right->udp_port && left->vlan == right->vlan && left->inner_vlan == right->inner_vlan;
}

static bool parse_address(const char *text, uint8_t destination[16]) {
    memcpy(destination, mapped_prefix, sizeof(mapped_prefix));
    return inet_pton(AF_INET, text, destination + 12) == 1 || inet_pton(AF_INET6, text, destination) == 1;
}

bool flow_key_from_text(const char *text, struct flow_key *key, bool *any_port) {
    char address[FLOW_TEXT_BYTES];
    const char *port = NULL;
    size_t length = strlen(text);

    if (text[0] == '[') {
        const char *end = strchr(text, ']');
        if (end == NULL || (end[1] != ':' && end[1] != '\0')) {
            return false;
        }
        port = end[1] == ':' ? end + 2 : NULL;
        length = (size_t)(end - ++text);
    } else if (strchr(text, ':') == strrchr(text, ':') && strchr(text, ':') != NULL) {
        port = strchr(text, ':') + 1; /* exactly one colon: IPv4 with a port */
        length = (size_t)(port - 1 - text);
    }
    if (length >= sizeof(address)) {
        return false;
    }
    memcpy(address, text, length);
    address[length] = '\0';
    *key = (struct flow_key){.vlan = FLOW_NO_VLAN, .inner_vlan = FLOW_NO_VLAN};
    *any_port = port == NULL;
    if (port != NULL) {
        char *end = NULL;
        unsigned long value = strtoul(port, &end, 10);
        if (*port == '\0' || *end != '\0' || value == 0 || value > 0xffff) {
            return false;
        }
        key->udp_port = (uint16_t)value;
    }
    return parse_address(address, key->destination);
}

void flow_key_address(const struct flow_key *key, char text[FLOW_TEXT_BYTES]) {
    bool mapped = memcmp(key->destination, mapped_prefix, sizeof(mapped_prefix)) == 0;

    if (inet_ntop(mapped ? AF_INET : AF_INET6, key->destination + (mapped ? 12 : 0), text, FLOW_TEXT_BYTES) == NULL) {
        (void)snprintf(text, FLOW_TEXT_BYTES, "?");
    }
}
