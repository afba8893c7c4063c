/* SPDX-License-Identifier: Apache-2.0 */
#include "merge_lines.h"
#include "check.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

uint64_t merge_next_number(char **at) {
    char *end = *at;
    unsigned long long number = strtoull(*at, &end, 10);
    CHECK(end > *at);
    *at = end;
    return number;
}

static void print_path(const struct fp_merge_path_counters *path, char letter) {
    (void)printf("path %c %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n",
                 letter, path->received_frames, path->forwarded_frames, path->merged_frames, path->duplicate_frames,
                 path->late_frames, path->lost_frames, path->outages);
}

void merge_print(const struct fp_merge_counters *counters) {
    const struct fp_merge_counters all = *counters;
    print_path(&all.paths[FP_MERGE_A], 'A');
    print_path(&all.paths[FP_MERGE_B], 'B');
    (void)printf("flow %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64
                 "\n",
                 all.lost_frames, all.filled_frames, all.stray_frames, all.restarts, all.ssrc_changes, all.silences,
                 all.skipped_frames, all.held_frames);
    (void)printf("differential %" PRIu64 " %" PRId64 " %" PRId64 " %" PRId64 "\n", all.differential_frames,
                 all.differential_sum_ns, all.differential_min_ns, all.differential_max_ns);
    (void)printf("bins");
    for (unsigned i = 0; i < FP_MERGE_BINS; i++) {
        (void)printf(" %" PRIu64 " %" PRIu64, all.leads_a[i], all.leads_b[i]);
    }
    (void)printf("\n");
}
