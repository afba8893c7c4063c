/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
#ifndef DRIVER_BUILDS_COMPAT_STRNCPY
#define DRIVER_BUILDS_COMPAT_STRNCPY

#include <linux/string.h>

/* ISO C 7.24.2.4: at most `size` characters, and zeros up to `size`. */
static inline char *compat_strncpy(char *to, const char *from, size_t size)
{
	size_t length = strnlen(from, size);

	memcpy(to, from, length);
	memset(to + length, 0, size - length);
	return to;
}
#define strncpy compat_strncpy

#endif
