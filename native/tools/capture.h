/* SPDX-License-Identifier: Apache-2.0 */
/*
 * capture.h - classic pcap files, microsecond and nanosecond, either byte order.
 * Format: draft-ietf-opsawg-pcap, section 4 (file header) and 5 (packet record).
 */
#ifndef CAPTURE_H
#define CAPTURE_H

#include "reason.h"

#include <stdint.h>
#include <stdio.h>

#define CAPTURE_MAX_FRAME_BYTES 9216 /* a jumbo frame; longer records are refused */

struct capture_frame {
    const uint8_t *bytes;
    uint32_t length_bytes;
    uint64_t time_ns; /* since the first frame of the file; never goes back */
};

struct capture {
    struct capture_frame *frames;
    uint64_t count_frames;
    uint8_t *file; /* the whole file; frames point into it */
};

/* 0, or -1 with `error` telling file, what was seen and what was wanted. */
int capture_load(const char *path, struct capture *out, char error[REASON_BYTES]);
void capture_free(struct capture *capture);

/* Writes a nanosecond file in this machine's byte order; 0 or -1 with errno. */
int capture_write_header(FILE *file);
int capture_write_frame(FILE *file, const uint8_t *frame, uint32_t length_bytes, uint64_t time_ns);

#endif /* CAPTURE_H */
