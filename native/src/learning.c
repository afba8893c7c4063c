/* SPDX-License-Identifier: Apache-2.0 */
#include "learning.h"

enum { MAC_BYTES = 6, GROUP_BIT = 1, TAG_AT = 12, VLAN_AT = 14, VLAN_BITS = 0xfff };

static uint64_t read_mac(const uint8_t *at) {
    uint64_t mac = 0;
    memcpy(&mac, at, MAC_BYTES);
    return mac;
}

/* Each VLAN learns for itself (8.8.8, independent learning): one host may be behind two ports in two VLANs. */
static uint64_t read_vlan(const struct fp_frame *frame) {
    const uint8_t *bytes = frame->bytes;
    unsigned type = (unsigned)bytes[TAG_AT] << 8 | bytes[TAG_AT + 1];
    bool tagged = (type == 0x8100 || type == 0x88a8) && fp_frame_length(frame) >= VLAN_AT + 2;
    return tagged ? ((uint64_t)bytes[VLAN_AT] << 8 | bytes[VLAN_AT + 1]) & VLAN_BITS : 0;
}

static struct fp_address *set_of(struct fp_addresses *addresses, uint64_t key, uint16_t group) {
    return addresses->sets[fp_mix(key, group, 0) % FP_ADDRESS_SETS];
}

static struct fp_address *find(struct fp_address *set, uint64_t key, uint16_t group) {
    for (unsigned way = 0; way < FP_ADDRESS_WAYS; way++) {
        if (set[way].key == key && set[way].group == group) {
            return &set[way];
        }
    }
    return NULL;
}

/* A free place, or the one of the address that was silent for longest. */
static struct fp_address *place(struct fp_address *set, uint32_t now_s) {
    struct fp_address *oldest = set;
    for (unsigned way = 0; way < FP_ADDRESS_WAYS; way++) {
        if (set[way].group == 0) {
            return &set[way];
        }
        oldest = now_s - set[way].seen_s > now_s - oldest->seen_s ? &set[way] : oldest;
    }
    return oldest;
}

static void learn(struct fp_addresses *addresses, uint64_t key, uint16_t group, uint16_t port, uint32_t now_s) {
    struct fp_address *set = set_of(addresses, key, group);
    struct fp_address *known = find(set, key, group);
    if (known == NULL) {
        known = place(set, now_s);
    } else if (known->port == port && known->seen_s == now_s) {
        return; /* nothing is written for most frames */
    }
    *known = (struct fp_address){.key = key, .seen_s = now_s, .group = group, .port = port};
}

static unsigned find_output(const struct fp_table_entry *entry, uint16_t port) {
    for (unsigned i = 0; i < entry->output_count && i < FP_MAX_OUTPUTS; i++) {
        if (entry->outputs[i].port == port) {
            return i;
        }
    }
    return FP_OUTPUT_ALL; /* learnt under another table, which had that port in the group */
}

unsigned fp_learning_choose(struct fp_burst *burst, const struct fp_frame *frame, const struct fp_table_entry *entry) {
    struct fp_addresses *addresses = burst->worker->addresses;
    const uint8_t *to = frame->bytes;
    const uint8_t *from = frame->bytes + MAC_BYTES;
    const uint64_t vlan = read_vlan(frame) << 48;
    const uint32_t now_s = (uint32_t)(burst->worker->now_ns / 1000000000U);
    if ((from[0] & GROUP_BIT) == 0) { /* a group's address is nobody's (8.7, b) */
        learn(addresses, read_mac(from) | vlan, entry->group, (uint16_t)burst->port, now_s);
    }
    if ((to[0] & GROUP_BIT) != 0) {
        return FP_OUTPUT_ALL;
    }
    uint64_t key = read_mac(to) | vlan;
    const struct fp_address *known = find(set_of(addresses, key, entry->group), key, entry->group);
    if (known == NULL || now_s - known->seen_s > FP_ADDRESS_AGE_S) {
        return FP_OUTPUT_ALL;
    }
    return known->port == burst->port ? FP_OUTPUT_NONE : find_output(entry, known->port);
}
