/* SPDX-License-Identifier: Apache-2.0 */
/*
 * By what a frame is known to be the host stack's: the numbers that fp_host_class (C) and the XDP filter (BPF) share,
 * so that both say the same of every frame.
 */
#ifndef FP_HOST_CLASS_H
#define FP_HOST_CLASS_H

#include "frame.h"

enum {
    FP_TYPE_ARP = 0x0806, /* RFC 826; IEEE 802 numbers, ethertypes */
    FP_TYPE_IPV6 = 0x86dd,
    FP_TYPE_STAG = 0x88a8,
    FP_TYPE_LLDP = 0x88cc,     /* IEEE 802.1AB-2016, 7.4 */
    FP_TYPE_PTP = 0x88f7,      /* IEEE 1588-2019, annex E */
    FP_TYPE_OLD_STAG = 0x9100, /* in no standard, on many switches */

    FP_NEXT_HOP_BY_HOP = 0, /* IANA protocol numbers */
    FP_NEXT_IGMP = 2,
    FP_NEXT_ROUTING = 43,
    FP_NEXT_ICMPV6 = 58,
    FP_NEXT_DESTINATION = 60,

    FP_MLD_QUERY = 130, /* RFC 2710, 3.1: query, report and done follow each other */
    FP_MLD_DONE = 132,
    FP_MLD_REPORT_V2 = 143,      /* RFC 3810, 5.2 */
    FP_ND_FIRST = 133,           /* RFC 4861, 4: router solicitation ... */
    FP_ND_LAST = 137,            /* ... redirect */
    FP_PTP_EVENT_PORT = 319,     /* IEEE 1588-2019, annex C */
    FP_PTP_GENERAL_PORT = 320,   /* the same */
    FP_FIRST_USER_PORT = 1024,   /* RFC 6335, 6: below are the system ports */
    FP_FRAGMENT_FIELDS = 0x3fff, /* more fragments, or an offset (RFC 791, 3.1) */

    FP_HOST_MAX_TAGS = 2,
    FP_HOST_HOP_BY_HOP_BYTES = 8 /* what MLD puts before ICMPv6: Router Alert and padding (RFC 3810, 5) */
};

#endif
