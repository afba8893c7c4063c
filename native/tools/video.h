/* SPDX-License-Identifier: Apache-2.0 */
/*
 * video.h - generated video flows, shaped as SMPTE ST 2110-20 / RFC 4175 wants them:
 * YCbCr 4:2:2 10 bit, progressive, one line segment of 480 pixels (1,200 bytes) a frame, so 1080p has
 * 4,320 frames a picture and 2160p has 17,280. Frame `index` of a flow is a pure function of its number.
 */
#ifndef VIDEO_H
#define VIDEO_H

#include <stdint.h>

#define VIDEO_PAYLOAD_BYTES 1200 /* 480 pixels: 240 pgroups of 5 bytes (RFC 4175, 4.3) */
#define VIDEO_PIXELS 480
#define VIDEO_HEADER_BYTES (14 + 20 + 8 + 12 + 2 + 6) /* Ethernet, IPv4, UDP, RTP, extended sequence, segment */
#define VIDEO_FRAME_BYTES (VIDEO_HEADER_BYTES + VIDEO_PAYLOAD_BYTES)

struct video_format {
    const char *name;
    uint32_t width_pixels;
    uint32_t height_lines;
    uint32_t pictures; /* per `per_s` seconds */
    uint32_t per_s;
};

struct video_flow {
    const struct video_format *format;
    uint8_t group[4];
    uint8_t source[4];
    uint16_t udp_port;
};

/* NULL where the name is unknown; names are 1080p50, 1080p5994, 2160p50, 2160p5994. */
const struct video_format *video_format_find(const char *name);
uint32_t video_frames_per_picture(const struct video_format *format);
/* When frame `index` leaves, from the start of picture 0: spread over the active part, as ST 2110-21 gapped senders do.
 */
uint64_t video_frame_time_ns(const struct video_format *format, uint64_t index);
/* Writes VIDEO_FRAME_BYTES. */
void video_frame_write(const struct video_flow *flow, uint64_t index, uint8_t *frame);
/* The number a frame of this flow claims to have: its extended sequence number. `frame` has VIDEO_FRAME_BYTES. */
uint32_t video_frame_claimed_index(const uint8_t *frame);

#endif /* VIDEO_H */
