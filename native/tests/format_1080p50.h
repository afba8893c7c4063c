/* SPDX-License-Identifier: Apache-2.0 */
/* The format most tests and benches pace by. */
#ifndef FP_FORMAT_1080P50_H
#define FP_FORMAT_1080P50_H

#include "fastpath.h"

/* Fields of struct fp_pacing_format: 1080 lines, 50 pictures a second, a narrow, gapped sender; with `packets` a
 * picture, TVD from `anchor`, MAXUDP in bytes. More may follow. */
#define FORMAT_1080P50(packets_, anchor_, max_udp_bytes_)                                         \
    .packets = (packets_), .pictures = 50, .per_s = 1, .active_lines = 1080, .total_lines = 1125, \
    .sender = FP_SENDER_NARROW, .schedule = FP_SCHEDULE_GAPPED, .anchor = (anchor_),              \
    .max_udp_bytes = (max_udp_bytes_), .id = 1

#endif
