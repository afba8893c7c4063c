/* SPDX-License-Identifier: Apache-2.0 */
/* A frame to the outputs of its route. */
#ifndef FP_OUTPUT_H
#define FP_OUTPUT_H

#include "burst.h"
#include "rewrite.h"

/* In all their variety; the frame has been counted for its route. */
void fp_burst_output(struct fp_burst *burst, const struct fp_frame *frame, const struct fp_table_entry *entry);

#endif
