/* SPDX-License-Identifier: Apache-2.0 */
#include "source.h"

#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MACS_BYTES 12
#define TAG_BYTES 4
#define TPID_CUSTOMER 0x8100 /* IEEE 802.1Q, table 9-1 */
#define TPID_SERVICE 0x88a8

const char source_usage[] =
    "Source (sender and receiver get the same):\n"
    "  --capture FILE           frames of a classic pcap file\n"
    "  --format NAME            generated ST 2110-20 video: 1080p50, 1080p5994, 2160p50, 2160p5994\n"
    "  --group ADDRESS          of the generated flow (default 239.20.1.1)\n"
    "  --udp-port PORT          of the generated flow (default 20000)\n"
    "  --source-address ADDRESS of the generated flow (default 192.0.2.10)\n"
    "  --pictures N | --seconds S  length of the generated flow (default 1 s)\n"
    "  --vlan ID [--inner-vlan ID] put an 802.1Q tag (or two: 802.1ad outside) on every frame\n";

void source_options_default(struct source_options *options) {
    *options = (struct source_options){
        .group = "239.20.1.1",
        .source_address = "192.0.2.10", /* RFC 5737: documentation */
        .udp_port = 20000,
        .seconds = 1.0,
        .vlan = FLOW_NO_VLAN,
        .inner_vlan = FLOW_NO_VLAN,
    };
}

bool parse_number(const char *text, uint64_t low, uint64_t high, uint64_t *out) {
    char *end = NULL;

    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || value < low || value > high) {
        return false;
    }
    *out = value;
    return true;
}

bool parse_seconds(const char *text, double *out) {
    char *end = NULL;
    double value = strtod(text, &end);

    if (end == text || *end != '\0' || !isfinite(value) || value < 0 || value > 1e6) {
        return false;
    }
    *out = value;
    return true;
}

bool source_options_take(struct source_options *options, int code, const char *value) {
    uint64_t number = 0;
    bool good = true;

    switch (code) {
    case OPTION_CAPTURE:
        options->capture = value;
        return true;
    case OPTION_FORMAT:
        options->format = value;
        return true;
    case OPTION_GROUP:
        options->group = value;
        return true;
    case OPTION_SOURCE_ADDRESS:
        options->source_address = value;
        return true;
    case OPTION_UDP_PORT:
        good = parse_number(value, 1, 0xffff, &number);
        options->udp_port = (uint16_t)number;
        return good;
    case OPTION_PICTURES:
        options->seconds = 0;
        return parse_number(value, 1, UINT32_MAX, &options->pictures);
    case OPTION_SECONDS:
        return parse_seconds(value, &options->seconds) && options->seconds > 0;
    case OPTION_VLAN:
        good = parse_number(value, 0, 4094, &number);
        options->vlan = (uint16_t)number;
        return good;
    case OPTION_INNER_VLAN:
        good = parse_number(value, 0, 4094, &number);
        options->inner_vlan = (uint16_t)number;
        return good;
    default:
        return false;
    }
}

static int open_video(const struct source_options *options, struct source *source, char *error) {
    const struct video_format *format = video_format_find(options->format);
    struct video_flow *flow = &source->video;

    if (format == NULL) {
        reason_write(error, "--format %.40s is not known; use one of %s", options->format,
                     "1080p50, 1080p5994, 2160p50, 2160p5994");
        return -1;
    }
    flow->format = format;
    flow->udp_port = options->udp_port;
    if (inet_pton(AF_INET, options->group, flow->group) != 1 || flow->group[0] >> 4 != 0xe) {
        reason_write(error, "--group %.40s is not a multicast IPv4 address; use 224.0.0.0/4", options->group);
        return -1;
    }
    if (inet_pton(AF_INET, options->source_address, flow->source) != 1) {
        reason_write(error, "--source-address %.40s is not an IPv4 address", options->source_address);
        return -1;
    }
    uint64_t pictures = options->pictures;
    if (options->seconds > 0) {
        pictures = (uint64_t)ceil(options->seconds * format->pictures / format->per_s - 1e-9);
    }
    source->generated = true;
    source->count_frames = pictures * video_frames_per_picture(format);
    if (source->count_frames > UINT32_MAX) { /* the extended sequence number is what tells frames apart */
        reason_write(error, "%llu pictures have more frames than 32 bits count", (unsigned long long)pictures);
        return -1;
    }
    return 0;
}

int source_open(const struct source_options *options, struct source *out, char error[REASON_BYTES]) {
    struct source source = {.vlan = options->vlan, .inner_vlan = options->inner_vlan};

    if ((options->capture == NULL) == (options->format == NULL)) {
        reason_write(error, "say either --capture FILE or --format NAME");
        return -1;
    }
    if (options->inner_vlan != FLOW_NO_VLAN && options->vlan == FLOW_NO_VLAN) {
        reason_write(error, "--inner-vlan needs --vlan");
        return -1;
    }
    if (options->capture != NULL) {
        if (capture_load(options->capture, &source.capture, error) != 0) {
            return -1;
        }
        source.count_frames = source.capture.count_frames;
        if (source.count_frames == 0) {
            reason_write(error, "%.200s: no frame in it", options->capture);
            capture_free(&source.capture);
            return -1;
        }
    } else if (open_video(options, &source, error) != 0) {
        return -1;
    }
    *out = source;
    return 0;
}

void source_close(struct source *source) { capture_free(&source->capture); }

uint32_t source_tag_bytes(const struct source *source) {
    return (source->vlan != FLOW_NO_VLAN ? TAG_BYTES : 0u) + (source->inner_vlan != FLOW_NO_VLAN ? TAG_BYTES : 0u);
}

static void write_tags(const struct source *source, uint8_t *at) {
    bool two = source->inner_vlan != FLOW_NO_VLAN;

    store_be16(at, two ? TPID_SERVICE : TPID_CUSTOMER);
    store_be16(at + 2, source->vlan);
    if (two) {
        store_be16(at + 4, TPID_CUSTOMER);
        store_be16(at + 6, source->inner_vlan);
    }
}

uint32_t source_frame_write(const struct source *source, uint64_t index, uint8_t *frame) {
    uint32_t tags = source_tag_bytes(source), length = VIDEO_FRAME_BYTES;

    /* The untagged frame is written `tags` bytes late, then its addresses move to the front. */
    if (source->generated) {
        video_frame_write(&source->video, index, frame + tags);
    } else {
        length = source->capture.frames[index].length_bytes;
        memcpy(frame + tags, source->capture.frames[index].bytes, length);
    }
    if (tags != 0) {
        memmove(frame, frame + tags, MACS_BYTES);
        write_tags(source, frame + MACS_BYTES);
    }
    return length + tags;
}

uint64_t source_frame_time_ns(const struct source *source, uint64_t index) {
    return source->generated ? video_frame_time_ns(source->video.format, index) : source->capture.frames[index].time_ns;
}
