/* SPDX-License-Identifier: Apache-2.0 */
#include "host_samples.h"
#include <string.h>

const uint8_t sample_mac[6] = {0x02, 0x00, 0x5e, 0x11, 0x22, 0xf3};

enum to { OWN, ALL, GROUP, OTHER };
enum { UDP = 17, TCP = 6, ICMP = 1, IGMP = 2, ICMPV6 = 58, HOP = 0, ROUTING = 43, FRAGMENT = 44, DESTINATION = 60 };

/* What a frame is made of: `next` is the IP protocol, `from` and `to` its ports, or `from` the ICMPv6 type. */
struct recipe {
    const char *name;
    uint32_t class;
    enum to mac;
    uint16_t type;
    uint8_t next;
    uint16_t from;
    uint16_t port;
    uint8_t options;   /* words behind the IPv4 header */
    uint8_t extension; /* IPv6: next header before `next`, + 1; 0: none */
    uint8_t extra;     /* 8-byte units by which it is longer than the shortest */
    uint16_t fragment; /* flags and offset of IPv4 */
};

static const struct recipe recipes[] = {
    {"arp request", FP_HOST_ARP, ALL, .type = 0x0806},
    {"arp reply", FP_HOST_ARP, OWN, .type = 0x0806},
    {"arp of others", FP_HOST_ARP, OTHER, .type = 0x0806},
    {"lldp", FP_HOST_LLDP, GROUP, .type = 0x88cc},
    {"ptp over ethernet", FP_HOST_PTP, GROUP, .type = 0x88f7},
    {"ptp event", FP_HOST_PTP, GROUP, .type = 0x0800, .next = UDP, .from = 319, .port = 319},
    {"ptp general", FP_HOST_PTP, GROUP, .type = 0x0800, .next = UDP, .from = 320, .port = 320},
    {"ptp behind options", FP_HOST_PTP, GROUP, .type = 0x0800, .next = UDP, .from = 4000, .port = 320, .options = 10},
    {"ptp over ipv6", FP_HOST_PTP, GROUP, .type = 0x86dd, .next = UDP, .from = 319, .port = 319},
    {"unicast ptp", FP_HOST_PTP, OWN, .type = 0x0800, .next = UDP, .from = 319, .port = 319},
    {"igmp query", FP_HOST_IGMP, GROUP, .type = 0x0800, .next = IGMP, .from = 0x1100, .options = 1},
    {"igmp without options", FP_HOST_IGMP, GROUP, .type = 0x0800, .next = IGMP, .from = 0x1600},
    {"mld query", FP_HOST_MLD, GROUP, .type = 0x86dd, .next = ICMPV6, .from = 130, .extension = HOP + 1},
    {"mld report", FP_HOST_MLD, GROUP, .type = 0x86dd, .next = ICMPV6, .from = 131, .extension = HOP + 1},
    {"mld done", FP_HOST_MLD, GROUP, .type = 0x86dd, .next = ICMPV6, .from = 132, .extension = HOP + 1},
    {"mld v2 report", FP_HOST_MLD, GROUP, .type = 0x86dd, .next = ICMPV6, .from = 143, .extension = HOP + 1},
    {"mld behind more options", 0, GROUP, .type = 0x86dd, .next = ICMPV6, .from = 143, .extension = HOP + 1,
     .extra = 1},
    {"router solicitation", FP_HOST_ND, GROUP, .type = 0x86dd, .next = ICMPV6, .from = 133},
    {"neighbour solicitation", FP_HOST_ND, GROUP, .type = 0x86dd, .next = ICMPV6, .from = 135},
    {"redirect", FP_HOST_ND, OWN, .type = 0x86dd, .next = ICMPV6, .from = 137},
    {"after redirect", 0, GROUP, .type = 0x86dd, .next = ICMPV6, .from = 138},
    {"ping of ipv6", FP_HOST_UNICAST, OWN, .type = 0x86dd, .next = ICMPV6, .from = 128},
    {"ping of a group", 0, GROUP, .type = 0x86dd, .next = ICMPV6, .from = 128},
    {"too big", FP_HOST_UNICAST, OWN, .type = 0x86dd, .next = ICMPV6, .from = 2},
    {"ping", FP_HOST_UNICAST, OWN, .type = 0x0800, .next = ICMP},
    {"ping of others", 0, OTHER, .type = 0x0800, .next = ICMP},
    {"ssh", FP_HOST_UNICAST, OWN, .type = 0x0800, .next = TCP, .from = 50000, .port = 22},
    {"ssh over ipv6", FP_HOST_UNICAST, OWN, .type = 0x86dd, .next = TCP, .from = 50000, .port = 22},
    {"http of others", 0, OTHER, .type = 0x0800, .next = TCP, .from = 50000, .port = 80},
    {"dhcp offer", FP_HOST_UNICAST, ALL, .type = 0x0800, .next = UDP, .from = 67, .port = 68},
    {"dns reply", FP_HOST_UNICAST, OWN, .type = 0x0800, .next = UDP, .from = 53, .port = 40000},
    {"dns of others", 0, OTHER, .type = 0x0800, .next = UDP, .from = 53, .port = 40000},
    {"last system port", FP_HOST_UNICAST, OWN, .type = 0x0800, .next = UDP, .from = 40000, .port = 1023},
    {"first user port", 0, OWN, .type = 0x0800, .next = UDP, .from = 1024, .port = 1024},
    {"unicast media", 0, OWN, .type = 0x0800, .next = UDP, .from = 10000, .port = 5004},
    {"broadcast media", 0, ALL, .type = 0x0800, .next = UDP, .from = 10000, .port = 5004},
    {"media", 0, GROUP, .type = 0x0800, .next = UDP, .from = 10000, .port = 5004},
    {"media over ipv6", 0, GROUP, .type = 0x86dd, .next = UDP, .from = 10000, .port = 5004},
    {"unicast media over ipv6", 0, OWN, .type = 0x86dd, .next = UDP, .from = 10000, .port = 5004},
    {"media behind a header", 0, OWN, .type = 0x86dd, .next = UDP, .from = 9, .port = 9, .extension = DESTINATION + 1},
    {"behind routing", 0, OWN, .type = 0x86dd, .next = TCP, .extension = ROUTING + 1},
    {"ipv6 fragment", FP_HOST_UNICAST, OWN, .type = 0x86dd, .next = UDP, .extension = FRAGMENT + 1},
    {"system port behind hop-by-hop", FP_HOST_UNICAST, OWN, .type = 0x86dd, .next = UDP, .from = 53, .port = 40000,
     .extension = HOP + 1},
    {"first fragment", FP_HOST_UNICAST, OWN, .type = 0x0800, .next = UDP, .from = 319, .port = 319, .fragment = 0x2000},
    {"last fragment", FP_HOST_UNICAST, OWN, .type = 0x0800, .next = UDP, .from = 319, .port = 319, .fragment = 0x0007},
    {"fragment of others", 0, GROUP, .type = 0x0800, .next = UDP, .from = 319, .port = 319, .fragment = 0x2000},
    {"do not fragment", 0, OWN, .type = 0x0800, .next = UDP, .from = 5004, .port = 5004, .fragment = 0x4000},
    {"unknown type", FP_HOST_UNICAST, OWN, .type = 0x88b5},
    {"unknown type of a group", 0, GROUP, .type = 0x88b5},
};

static void put_16(uint8_t *at, uint32_t value) {
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static uint8_t *put_payload(uint8_t *at, const struct recipe *recipe) {
    if (recipe->next == ICMPV6) {
        at[0] = (uint8_t)recipe->from;
    } else {
        put_16(at, recipe->from);
        put_16(at + 2, recipe->port);
        put_16(at + 4, 20);
    }
    return at + 20;
}

static uint8_t *put_ipv4(uint8_t *at, const struct recipe *recipe) {
    uint32_t header = 20 + 4U * recipe->options;
    at[0] = (uint8_t)(0x40 | (header / 4));
    put_16(at + 2, header + 20);
    put_16(at + 6, recipe->fragment);
    at[8] = 1;
    at[9] = recipe->next;
    memset(at + 20, 1, header - 20); /* no operation (RFC 791, 3.1) */
    return put_payload(at + header, recipe);
}

static uint8_t *put_ipv6(uint8_t *at, const struct recipe *recipe) {
    uint32_t extension = recipe->extension != 0 ? 8U * (1U + recipe->extra) : 0;
    at[0] = 0x60;
    put_16(at + 4, extension + 20);
    at[6] = recipe->extension != 0 ? (uint8_t)(recipe->extension - 1) : recipe->next;
    at[7] = 255;
    at += 40;
    if (extension != 0) {
        at[0] = recipe->next;
        at[1] = recipe->extra;
    }
    return put_payload(at + extension, recipe);
}

int host_sample_build(unsigned index, unsigned tags, struct host_sample *out) {
    static const uint8_t macs[][6] = {[OWN] = {0x02, 0x00, 0x5e, 0x11, 0x22, 0xf3},
                                      [ALL] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
                                      [GROUP] = {0x01, 0x00, 0x5e, 0x01, 0x02, 0x03},
                                      [OTHER] = {0x02, 0x00, 0x5e, 0x11, 0x22, 0xf4}};
    static const uint16_t tag_types[] = {0x88a8, 0x8100};
    if (index >= sizeof recipes / sizeof recipes[0]) {
        return 0;
    }
    const struct recipe *recipe = &recipes[index];
    memset(out, 0, sizeof *out);
    out->name = recipe->name;
    out->class = recipe->class;
    memcpy(out->bytes, macs[recipe->mac], 6);
    memset(out->bytes + 6, 0x0a, 6);
    uint8_t *at = out->bytes + 12;
    for (unsigned tag = 2 - tags; tag < 2; tag++) {
        put_16(at, tag_types[tag]);
        put_16(at + 2, 0x6064);
        at += 4;
    }
    put_16(at, recipe->type);
    at += 2;
    at = recipe->type == 0x0800 ? put_ipv4(at, recipe) : recipe->type == 0x86dd ? put_ipv6(at, recipe) : at + 46;
    out->length = (uint32_t)(at - out->bytes);
    return 1;
}
