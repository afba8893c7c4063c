/* SPDX-License-Identifier: Apache-2.0 */
/*
 * source.h - where the frames come from: a capture or a generated video flow. The sender and the receiver are
 * told the same source, so the receiver knows every byte that has to arrive.
 */
#ifndef SOURCE_H
#define SOURCE_H

#include "capture.h"
#include "flow_key.h"
#include "video.h"

#include <getopt.h>
#include <stdbool.h>
#include <stdint.h>

#define SOURCE_FRAME_BYTES (CAPTURE_MAX_FRAME_BYTES + 8) /* two VLAN tags may come on top */

struct source_options {
    const char *capture; /* path, or NULL */
    const char *format;  /* video format, or NULL; exactly one of the two is set */
    const char *group;
    const char *source_address;
    uint16_t udp_port;
    uint64_t pictures;
    double seconds;      /* of video; 0 where pictures counts */
    uint16_t vlan;       /* tag to add to every frame, or FLOW_NO_VLAN */
    uint16_t inner_vlan; /* second tag, or FLOW_NO_VLAN */
};

/* getopt_long entries and the codes they return, shared by both programs; their own codes start behind. */
enum source_option_code {
    SOURCE_OPTION_FIRST = 256,
    OPTION_CAPTURE = SOURCE_OPTION_FIRST,
    OPTION_FORMAT,
    OPTION_GROUP,
    OPTION_UDP_PORT,
    OPTION_SOURCE_ADDRESS,
    OPTION_PICTURES,
    OPTION_SECONDS,
    OPTION_VLAN,
    OPTION_INNER_VLAN,
    SOURCE_OPTION_END
};
#define SOURCE_LONG_OPTIONS                                                                                           \
    {"capture", required_argument, NULL, OPTION_CAPTURE}, {"format", required_argument, NULL, OPTION_FORMAT},         \
        {"group", required_argument, NULL, OPTION_GROUP}, {"udp-port", required_argument, NULL, OPTION_UDP_PORT},     \
        {"source-address", required_argument, NULL, OPTION_SOURCE_ADDRESS},                                           \
        {"pictures", required_argument, NULL, OPTION_PICTURES}, {"seconds", required_argument, NULL, OPTION_SECONDS}, \
        {"vlan", required_argument, NULL, OPTION_VLAN}, {                                                             \
        "inner-vlan", required_argument, NULL, OPTION_INNER_VLAN                                                      \
    }
extern const char source_usage[];

void source_options_default(struct source_options *options);
/* Takes one option; false where `code` is not one of the source's or the value makes no sense. */
bool source_options_take(struct source_options *options, int code, const char *value);
/* A number in [low, high], the whole text; false otherwise. */
bool parse_number(const char *text, uint64_t low, uint64_t high, uint64_t *out);
bool parse_seconds(const char *text, double *out);

struct source {
    bool generated;
    struct capture capture; /* where not generated */
    struct video_flow video;
    uint64_t count_frames;
    uint16_t vlan, inner_vlan;
};

int source_open(const struct source_options *options, struct source *out, char error[REASON_BYTES]);
void source_close(struct source *source);
/* Writes frame `index` (below count_frames) into `frame` (SOURCE_FRAME_BYTES); returns its length. */
uint32_t source_frame_write(const struct source *source, uint64_t index, uint8_t *frame);
/* When it leaves, since the source's start. */
uint64_t source_frame_time_ns(const struct source *source, uint64_t index);
/* Bytes of VLAN tags the source puts in front of every frame's type. */
uint32_t source_tag_bytes(const struct source *source);

#endif /* SOURCE_H */
