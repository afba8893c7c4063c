/* SPDX-License-Identifier: Apache-2.0 */
/* One observed route in the true loop, for observe_events. Frames of one time come in one burst, if they fit. */
#ifndef FP_OBSERVE_LOOP_H
#define FP_OBSERVE_LOOP_H

#include "media.h"

void observe_loop_open(void);
/* What is observed, before the first frame. */
void observe_loop_want(uint16_t observe);
/* A format of the route from now on, before the first frame; as fp_pacing_plan_make. */
int observe_loop_plan(const struct fp_pacing_format *format, struct fp_pacing_plan *out);
/* A frame with this RTP header, or, with NULL, without one. */
void observe_loop_frame(const uint8_t *rtp, uint32_t length_bytes, uint64_t now_ns);
/* All frames have been through the loop; checks that the route's counters have all of them. */
void observe_loop_settle(void);
/* Of the route, in the state segment. */
const struct fp_observation *observe_loop_observation(void);
const struct fp_observation_record *observe_loop_record(void);
const struct fp_pacing *observe_loop_pacing(void);
void observe_loop_close(void);

#endif
