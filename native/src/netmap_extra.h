/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Buffers of a netmap memory region that are in no ring ("extra buffers" of netmap(4)). They are asked for by a VALE
 * port of its own that nothing is sent to, `valehold:…`: extra buffers go back to the kernel with the port they were
 * registered with, and held frames shall outlive any interface.
 *
 * Only an orderly end gives them back one by one. The list the kernel keeps is broken as soon as they are used, and is
 * forgotten at once: of a process that is killed they are lost until nobody uses the region any more, when netmap makes
 * it anew. With the list left alone the kernel would free buffers that are in other rings by then.
 */
#ifndef FP_NETMAP_EXTRA_H
#define FP_NETMAP_EXTRA_H

#include <stdint.h>

struct fp_netmap_extra;

/* `out` gets their indices. FP_E_REGION where the kernel has not so many. */
int fp_netmap_extra_open(uint32_t region, uint32_t count, uint32_t *out, struct fp_netmap_extra **made);
/* Buffer 0 of the region, in a mapping that lasts until the end. */
uint8_t *fp_netmap_extra_buffers(const struct fp_netmap_extra *extra);
/* Notes a buffer for the kernel, which gets all of them with the close. */
void fp_netmap_extra_give(struct fp_netmap_extra *extra, uint32_t buffer);
void fp_netmap_extra_close(struct fp_netmap_extra *extra);

#endif
