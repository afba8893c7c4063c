/* SPDX-License-Identifier: Apache-2.0 */
/* What a frame says that does not simply follow. */
#ifndef FP_RTP_JUDGE_H
#define FP_RTP_JUDGE_H

#include "rtp_observe.h"

/* Any frame; `head` is the first RTP word. `flow` is a copy; frames, bytes and last_ns are the caller's. Returns as
 * fp_observe_rtp. */
int64_t fp_rtp_judge(struct fp_rtp_counters *flow, uint32_t head, uint64_t stamp, uint64_t now_ns);
/* The newest frame, already counted, has the marker; touches nothing behind the first FP_RECORD_PICTURE_WORDS. */
void fp_rtp_end_picture(struct fp_rtp_counters *flow, uint64_t now_ns);

#endif
