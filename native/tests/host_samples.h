/* SPDX-License-Identifier: Apache-2.0 */
/* Frames whose class is known from how they were put together. */
#ifndef FP_HOST_SAMPLES_H
#define FP_HOST_SAMPLES_H

#include "fastpath.h"

enum { SAMPLE_ROOM = 256 };

struct host_sample {
    const char *name;
    uint32_t class; /* enum fp_host, or 0 */
    uint32_t length;
    uint8_t bytes[SAMPLE_ROOM];
};

extern const uint8_t sample_mac[6]; /* of the interface */

/* Sample `index` with `tags` tags (0..2) before its type; 0 where there is none. */
int host_sample_build(unsigned index, unsigned tags, struct host_sample *out);

#endif
