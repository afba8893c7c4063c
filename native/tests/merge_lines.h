/* SPDX-License-Identifier: Apache-2.0 */
/* Counters of a merge as tests/models reads them: one word and its numbers a line. */
#ifndef FP_MERGE_LINES_H
#define FP_MERGE_LINES_H

#include "fastpath.h"

void merge_print(const struct fp_merge_counters *counters);

#endif
