/* SPDX-License-Identifier: Apache-2.0 */
#include "video.h"

#include "flow_key.h"

#include <stddef.h>
#include <string.h>

#define IPV4_AT 14
#define UDP_AT (IPV4_AT + 20)
#define RTP_AT (UDP_AT + 8)
#define SEQUENCE_AT (RTP_AT + 12)
#define SEGMENT_AT (SEQUENCE_AT + 2)
#define PAYLOAD_AT (SEGMENT_AT + 6)

#define RTP_CLOCK_HZ 90000u  /* ST 2110-20, 6.2 */
#define PAYLOAD_TYPE 96u     /* first dynamic type, RFC 3551 */
#define SSRC 0x53425950u     /* "SBYP" */
#define DSCP_AF41 (34u << 2) /* what broadcast switches are told to expect for media */
#define NS_PER_S 1000000000ull

static const struct video_format formats[] = {
    {"1080p50", 1920, 1080, 50, 1},
    {"1080p5994", 1920, 1080, 60000, 1001},
    {"2160p50", 3840, 2160, 50, 1},
    {"2160p5994", 3840, 2160, 60000, 1001},
};

const struct video_format *video_format_find(const char *name) {
    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
        if (strcmp(formats[i].name, name) == 0) {
            return &formats[i];
        }
    }
    return NULL;
}

uint32_t video_frames_per_picture(const struct video_format *format) {
    return format->width_pixels / VIDEO_PIXELS * format->height_lines;
}

uint64_t video_frame_time_ns(const struct video_format *format, uint64_t index) {
    uint64_t per_picture = video_frames_per_picture(format);
    uint64_t picture = index / per_picture, frame = index % per_picture;
    uint64_t period_ns = NS_PER_S * format->per_s / format->pictures;
    uint64_t start_ns = picture * format->per_s * NS_PER_S / format->pictures;

    /* ST 2110-21, 6.3: R_active is 1080/1125 and TR_offset 43/1125 of the picture period. */
    return start_ns + period_ns * 43 / 1125 + period_ns * 1080 / 1125 * frame / per_picture;
}

/* RFC 1071 over the 20 bytes of the header. */
static uint16_t ipv4_checksum(const uint8_t *header) {
    uint32_t sum = 0;

    for (int i = 0; i < 20; i += 2) {
        sum += load_be16(header + i);
    }
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)~sum;
}

static void write_ethernet_ip_udp(const struct video_flow *flow, uint8_t *frame) {
    static const uint8_t source_mac[6] = {0x02, 0x53, 0x42, 0x00, 0x00, 0x01}; /* locally administered */
    uint8_t *ip = frame + IPV4_AT, *udp = frame + UDP_AT;

    /* RFC 1112, 6.4: the group's low 23 bits under 01-00-5e. */
    const uint8_t group_mac[6] = {0x01, 0x00, 0x5e, flow->group[1] & 0x7f, flow->group[2], flow->group[3]};
    memcpy(frame, group_mac, 6);
    memcpy(frame + 6, source_mac, 6);
    store_be16(frame + 12, 0x0800);

    ip[0] = 0x45;
    ip[1] = DSCP_AF41;
    store_be16(ip + 2, VIDEO_FRAME_BYTES - IPV4_AT);
    store_be16(ip + 4, 0);      /* RFC 6864: atomic datagrams need no identification */
    store_be16(ip + 6, 0x4000); /* do not fragment */
    ip[8] = 64;
    ip[9] = 17;
    store_be16(ip + 10, 0);
    memcpy(ip + 12, flow->source, 4);
    memcpy(ip + 16, flow->group, 4);
    store_be16(ip + 10, ipv4_checksum(ip));

    store_be16(udp, flow->udp_port);
    store_be16(udp + 2, flow->udp_port);
    store_be16(udp + 4, VIDEO_FRAME_BYTES - UDP_AT);
    store_be16(udp + 6, 0); /* RFC 768: none, allowed over IPv4 */
}

static void write_rtp(const struct video_format *format, uint64_t index, uint8_t *frame) {
    uint32_t per_picture = video_frames_per_picture(format), per_line = format->width_pixels / VIDEO_PIXELS;
    uint64_t picture = index / per_picture;
    uint32_t place = (uint32_t)(index % per_picture);
    uint32_t marker = place == per_picture - 1 ? 0x80 : 0;
    uint8_t *rtp = frame + RTP_AT, *segment = frame + SEGMENT_AT;

    rtp[0] = 0x80; /* RFC 3550, 5.1: version 2 */
    rtp[1] = (uint8_t)(marker | PAYLOAD_TYPE);
    store_be16(rtp + 2, (uint32_t)index & 0xffff);
    store_be32(rtp + 4, (uint32_t)(picture * RTP_CLOCK_HZ * format->per_s / format->pictures));
    store_be32(rtp + 8, SSRC);
    store_be16(frame + SEQUENCE_AT, (uint32_t)(index >> 16) & 0xffff);
    store_be16(segment, VIDEO_PAYLOAD_BYTES);
    store_be16(segment + 2, place / per_line);                /* field bit 0: progressive */
    store_be16(segment + 4, place % per_line * VIDEO_PIXELS); /* continuation bit 0: the only segment */
}

/* splitmix64's finalizer: a bijection, so no two frames of a flow have the same first payload word. */
static uint64_t mix(uint64_t value) {
    value += 0x9e3779b97f4a7c15ull;
    value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9ull;
    value = (value ^ value >> 27) * 0x94d049bb133111ebull;
    return value ^ value >> 31;
}

void video_frame_write(const struct video_flow *flow, uint64_t index, uint8_t *frame) {
    write_ethernet_ip_udp(flow, frame);
    write_rtp(flow->format, index, frame);
    /* An arithmetic sequence per frame: additions only, so the compiler makes vectors of it. Little-endian words. */
    uint64_t seed = mix(index);
    for (size_t word = 0; word < VIDEO_PAYLOAD_BYTES / 8; word++) {
        uint64_t value = seed + word * 0x9e3779b97f4a7c15ull;
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
        value = __builtin_bswap64(value);
#endif
        memcpy(frame + PAYLOAD_AT + word * 8, &value, sizeof(value));
    }
}

uint32_t video_frame_claimed_index(const uint8_t *frame) {
    return (uint32_t)load_be16(frame + SEQUENCE_AT) << 16 | load_be16(frame + RTP_AT + 2);
}
