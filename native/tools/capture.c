/* SPDX-License-Identifier: Apache-2.0 */
#include "capture.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define MAGIC_MICROSECONDS 0xa1b2c3d4u
#define MAGIC_NANOSECONDS 0xa1b23c4du
#define LINK_ETHERNET 1
#define FILE_HEADER_BYTES 24
#define RECORD_HEADER_BYTES 16
#define NS_PER_S 1000000000u

struct layout {
    bool swapped;
    uint32_t ns_per_tick;
};

static uint32_t load_field(const uint8_t *at, bool swapped) {
    uint32_t value;

    memcpy(&value, at, sizeof(value));
    return swapped ? __builtin_bswap32(value) : value;
}

static uint8_t *load_whole_file(const char *path, size_t *length) {
    FILE *file = fopen(path, "rb");
    uint8_t *bytes = NULL;

    if (file == NULL) {
        return NULL;
    }
    if (fseek(file, 0, SEEK_END) == 0) {
        long end = ftell(file);
        rewind(file);
        *length = end > 0 ? (size_t)end : 0;
        bytes = malloc(*length + 1);
        if (bytes != NULL && fread(bytes, 1, *length, file) != *length) {
            free(bytes);
            bytes = NULL;
            errno = EIO;
        }
    }
    (void)fclose(file);
    return bytes;
}

static int parse_file_header(const uint8_t *file, size_t length, struct layout *layout, char *error) {
    if (length < FILE_HEADER_BYTES) {
        reason_write(error, "%zu bytes, shorter than the 24 of a pcap file header", length);
        return -1;
    }
    uint32_t magic = load_field(file, false);
    layout->swapped = magic == __builtin_bswap32(MAGIC_MICROSECONDS) || magic == __builtin_bswap32(MAGIC_NANOSECONDS);
    magic = load_field(file, layout->swapped);
    if (magic != MAGIC_MICROSECONDS && magic != MAGIC_NANOSECONDS) {
        reason_write(error, "magic 0x%08x is not classic pcap; convert pcapng with: editcap -F pcap IN OUT", magic);
        return -1;
    }
    layout->ns_per_tick = magic == MAGIC_NANOSECONDS ? 1 : 1000;
    uint32_t link = load_field(file + 20, layout->swapped) & 0xffff;
    if (link != LINK_ETHERNET) {
        reason_write(error, "link type %u, Ethernet (1) wanted", link);
        return -1;
    }
    return 0;
}

/* Reads one record at *offset; moves *offset behind it. */
static int parse_record(const uint8_t *file, size_t length, const struct layout *layout, size_t *offset,
                        struct capture_frame *frame, char *error) {
    if (length - *offset < RECORD_HEADER_BYTES) {
        reason_write(error, "ends inside a record header at byte %zu", *offset);
        return -1;
    }
    const uint8_t *header = file + *offset;
    uint32_t captured = load_field(header + 8, layout->swapped);
    uint32_t original = load_field(header + 12, layout->swapped);
    if (captured != original || captured < 14 || captured > CAPTURE_MAX_FRAME_BYTES) {
        reason_write(error, "the record at byte %zu holds %u of %u bytes; whole frames of 14 to %d wanted", *offset,
                     captured, original, CAPTURE_MAX_FRAME_BYTES);
        return -1;
    }
    if (length - *offset - RECORD_HEADER_BYTES < captured) {
        reason_write(error, "ends inside the frame at byte %zu", *offset);
        return -1;
    }
    frame->bytes = header + RECORD_HEADER_BYTES;
    frame->length_bytes = captured;
    frame->time_ns = (uint64_t)load_field(header, layout->swapped) * NS_PER_S +
                     (uint64_t)load_field(header + 4, layout->swapped) * layout->ns_per_tick;
    *offset += RECORD_HEADER_BYTES + captured;
    return 0;
}

static void parse_records(struct capture *capture, size_t length, const struct layout *layout, char *error) {
    size_t offset = FILE_HEADER_BYTES;
    uint64_t room = 0, first_ns = 0, last_ns = 0;

    while (offset < length) {
        if (capture->count_frames == room) {
            room = room == 0 ? 4096 : room * 2;
            struct capture_frame *grown = realloc(capture->frames, room * sizeof(*grown));
            if (grown == NULL) {
                reason_write(error, "out of memory");
                return;
            }
            capture->frames = grown;
        }
        struct capture_frame *frame = &capture->frames[capture->count_frames];
        if (parse_record(capture->file, length, layout, &offset, frame, error) != 0) {
            return;
        }
        if (capture->count_frames == 0) {
            first_ns = last_ns = frame->time_ns;
        }
        if (frame->time_ns < last_ns) { /* captures of two NICs are not always sorted */
            frame->time_ns = last_ns;
        }
        last_ns = frame->time_ns;
        frame->time_ns -= first_ns;
        capture->count_frames++;
    }
}

int capture_load(const char *path, struct capture *out, char error[REASON_BYTES]) {
    struct capture capture = {0};
    struct layout layout;
    char reason[REASON_BYTES] = "";
    size_t length = 0;

    capture.file = load_whole_file(path, &length);
    if (capture.file == NULL) {
        reason_write(reason, "%s", strerror(errno));
    } else if (parse_file_header(capture.file, length, &layout, reason) == 0) {
        parse_records(&capture, length, &layout, reason);
    }
    if (reason[0] != '\0') {
        reason_write(error, "%s: %s", path, reason);
        capture_free(&capture);
        return -1;
    }
    *out = capture;
    return 0;
}

void capture_free(struct capture *capture) {
    free(capture->frames);
    free(capture->file);
    *capture = (struct capture){0};
}

int capture_write_header(FILE *file) {
    const uint32_t header[6] = {MAGIC_NANOSECONDS, 2u | 4u << 16, 0, 0, CAPTURE_MAX_FRAME_BYTES, LINK_ETHERNET};
    uint8_t bytes[FILE_HEADER_BYTES];
    const uint16_t version[2] = {2, 4};

    memcpy(bytes, header, sizeof(bytes));
    memcpy(bytes + 4, version, sizeof(version));
    return fwrite(bytes, sizeof(bytes), 1, file) == 1 ? 0 : -1;
}

int capture_write_frame(FILE *file, const uint8_t *frame, uint32_t length_bytes, uint64_t time_ns) {
    const uint32_t header[4] = {(uint32_t)(time_ns / NS_PER_S), (uint32_t)(time_ns % NS_PER_S), length_bytes,
                                length_bytes};

    if (fwrite(header, sizeof(header), 1, file) != 1) {
        return -1;
    }
    return fwrite(frame, length_bytes, 1, file) == 1 ? 0 : -1;
}
