/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
#ifndef DRIVER_BUILDS_COMPAT_KERNEL_BIND
#define DRIVER_BUILDS_COMPAT_KERNEL_BIND

#include <linux/net.h>

#define kernel_bind(socket, address, length) kernel_bind(socket, (struct sockaddr_unsized *)(address), length)

#endif
