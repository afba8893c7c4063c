/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Native or emulated? API 14 does not say it: a request succeeds either way. These facts do, together:
 *
 *  1. A driver is native only through netmap.ko's symbols, so its module is in /sys/module/netmap/holders. A driver
 * that is not there can only be emulated.
 *  2. /sys/module/netmap/parameters/admode: 1 refuses emulation, 2 forces it, 0 takes what there is.
 *  3. While an emulated adapter is open, and unless generic_txqdisc is 0, netmap has put its queueing discipline
 *     "netmapemu" on the interface. With admode 0 a driver may be in holders and yet have failed to attach (out of
 *     memory); then the discipline tells.
 *
 * Native: in holders, and either admode is 1, or admode is 0, the discipline would be there and is not.
 */
#ifndef FP_NETMAP_ADAPTER_H
#define FP_NETMAP_ADAPTER_H

#include "fastpath.h"
#include <stdbool.h>

/* Fact 1. False also where the driver or the list cannot be read. */
bool fp_netmap_driver_is_native(const char *interface);
/* For an interface registered with netmap. FP_ADAPTER_UNKNOWN where the facts do not suffice. */
enum fp_adapter fp_netmap_adapter(const char *interface, int ifindex);

#endif
