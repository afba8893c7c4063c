/* SPDX-License-Identifier: Apache-2.0 */
/* Rewrites that move bytes: a tag pushed or popped shifts what lies behind the two MAC addresses by four. */
#ifndef FP_VLAN_H
#define FP_VLAN_H

#include "frame.h"

enum { FP_MACS_BYTES = 12 };

/* How many bytes longer the frame becomes: 4, 0 or -4. */
static inline int fp_vlan_growth(const struct fp_rewrite *rewrite) {
    return ((rewrite->set & FP_PUSH_VLAN) != 0 ? FP_TAG_BYTES : 0) -
           ((rewrite->set & FP_POP_VLAN) != 0 ? FP_TAG_BYTES : 0);
}

/* The tag that lies behind the MAC addresses of a frame already in its new form. */
static inline void fp_vlan_write(uint8_t *frame, const struct fp_rewrite *rewrite) {
    uint8_t *tag = frame + FP_MACS_BYTES;
    if ((rewrite->set & FP_PUSH_VLAN) != 0) {
        const uint8_t fresh[4] = {0x81, 0x00, (uint8_t)(rewrite->vlan >> 8), (uint8_t)rewrite->vlan};
        memcpy(tag, fresh, sizeof fresh);
    } else if ((rewrite->set & FP_SET_VLAN) != 0) {
        tag[2] = (uint8_t)((tag[2] & 0xf0) | rewrite->vlan >> 8); /* priority and drop eligibility stay */
        tag[3] = (uint8_t)rewrite->vlan;
    }
}

/* The layout of the frame in its new form. */
static inline struct fp_layout fp_vlan_layout(struct fp_layout layout, int growth) {
    layout.l3 = (uint8_t)(layout.l3 + growth);
    layout.l4 = (uint16_t)(layout.l4 + growth);
    return layout;
}

#endif
