/* SPDX-License-Identifier: Apache-2.0 */
/* What a route may say, and what its match means in bits. */
#ifndef FP_ROUTE_CHECK_H
#define FP_ROUTE_CHECK_H

#include "frame.h"

/* 0, or FP_E_INVALID for fields outside their range or that contradict each other. */
int fp_route_check(const struct fp_route *route);
/* The mask over a key; level its fields ask for; level the route asks for, rewrites included. */
void fp_match_mask(const struct fp_match *match, uint64_t mask[FP_KEY_WORDS]);
uint8_t fp_match_level(const struct fp_match *match);
uint8_t fp_route_level(const struct fp_route *route);
/* FP_MATCH_* of a mask. */
uint16_t fp_mask_fields(const uint64_t mask[FP_KEY_WORDS]);

#endif
