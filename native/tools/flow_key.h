/* SPDX-License-Identifier: Apache-2.0 */
/* flow_key.h - which flow a frame belongs to, as the witness programs see it (no code of the fast path). */
#ifndef FLOW_KEY_H
#define FLOW_KEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FLOW_NO_VLAN 0xffff
#define FLOW_TEXT_BYTES 96 /* "[address]:port vlan 4094.4094" fits */

struct flow_key {
    uint8_t destination[16]; /* IPv6, or IPv4 mapped as ::ffff:a.b.c.d */
    uint16_t udp_port;       /* destination port, host order */
    uint16_t vlan;           /* outer tag or FLOW_NO_VLAN */
    uint16_t inner_vlan;     /* inner tag or FLOW_NO_VLAN */
};

/* True and *key filled where the frame is UDP over IPv4 or IPv6; false, *key untouched, for anything else. */
bool flow_key_parse(const uint8_t *frame, uint32_t length_bytes, struct flow_key *key);
bool flow_key_equal(const struct flow_key *left, const struct flow_key *right);
/* `text` is "ADDRESS" or "ADDRESS:PORT", IPv6 as "[ADDRESS]:PORT"; *any_port tells that none was given. */
bool flow_key_from_text(const char *text, struct flow_key *key, bool *any_port);
/* Only the address, for reports. */
void flow_key_address(const struct flow_key *key, char text[FLOW_TEXT_BYTES]);

/* Big-endian fields of frames. */
static inline uint16_t load_be16(const uint8_t *at) { return (uint16_t)((unsigned)at[0] << 8 | at[1]); }

static inline void store_be16(uint8_t *at, uint32_t value) {
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static inline void store_be32(uint8_t *at, uint32_t value) {
    store_be16(at, value >> 16);
    store_be16(at + 2, value & 0xffff);
}

#endif /* FLOW_KEY_H */
