/* SPDX-License-Identifier: Apache-2.0 */
/* Lines between tests/models and the programs that replay a stream: one word and its numbers each. */
#ifndef FP_MERGE_LINES_H
#define FP_MERGE_LINES_H

#include "fastpath.h"

/* The next number of a line; `*at` goes behind it. */
uint64_t merge_next_number(char **at);
/* Counters of a merge. */
void merge_print(const struct fp_merge_counters *counters);

#endif
