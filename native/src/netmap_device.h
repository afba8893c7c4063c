/* SPDX-License-Identifier: Apache-2.0 */
/* What is asked of a descriptor of /dev/netmap: control requests, and the memory of what is registered with it. */
#ifndef FP_NETMAP_DEVICE_H
#define FP_NETMAP_DEVICE_H

#include "netmap_abi.h"
#include <stddef.h>

struct fp_netmap_memory {
    uint8_t *start; /* NULL: not mapped */
    size_t bytes;
};

/* NIOCCTRL; `body` and `option` may be NULL. What ioctl(2) returns, with its errno. */
int fp_netmap_request(int fd, uint16_t type, const char *name, void *body, const void *option);
/* Maps `bytes` of the region's memory. FP_E_SYSTEM where that fails. */
int fp_netmap_map(int fd, uint64_t bytes, struct fp_netmap_memory *out);
/* Also where nothing is mapped, and twice. */
void fp_netmap_unmap(struct fp_netmap_memory *memory);

#endif
