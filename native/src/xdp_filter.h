/* SPDX-License-Identifier: Apache-2.0 */
/* The code of the XDP program: which frames go to our sockets, and which on to the host stack. */
#ifndef FP_XDP_FILTER_H
#define FP_XDP_FILTER_H

#include <linux/bpf.h>
#include <stdint.h>

enum { FP_XDP_FILTER_ROOM = 160 }; /* instructions; the longest filter has fewer */

struct fp_xdp_filter {
    uint32_t classes; /* FP_HOST_*: what goes to the host stack; 0: nothing */
    uint8_t mac[6];   /* of the interface; FP_HOST_UNICAST needs it */
    int sockets;      /* descriptor of the map queue -> socket */
    int passed;       /* descriptor of the map whose one value counts what went to the host; classes 0: not used */
};

/* Returns the number of instructions. */
uint32_t fp_xdp_filter_assemble(const struct fp_xdp_filter *filter, struct bpf_insn code[FP_XDP_FILTER_ROOM]);

#endif
