/* SPDX-License-Identifier: Apache-2.0 */
/* receive_report.h - what media-receive prints: one JSON object a line. */
#ifndef RECEIVE_REPORT_H
#define RECEIVE_REPORT_H

#include "expectation.h"

struct receive_summary {
    double elapsed_s;
    uint64_t witness_dropped_frames; /* lost in the receiver's own socket */
    const char *ended_by;            /* "complete", "idle", "signal", "end of file"; NULL in progress lines */
};

/* No fault and nothing lost at the witness. */
bool receive_passed(const struct expectation *expectation, const struct receive_summary *summary);
void print_receive_progress(const struct expectation *expectation, const struct receive_summary *summary);
void print_receive_report(const struct expectation *expectation, const struct receive_summary *summary);

#endif /* RECEIVE_REPORT_H */
