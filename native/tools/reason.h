/* SPDX-License-Identifier: Apache-2.0 */
/* reason.h - why something failed, for a person: written by the part that knows, printed by the program. */
#ifndef REASON_H
#define REASON_H

#include <stdarg.h>
#include <stdio.h>

#define REASON_BYTES 256

/* As sprintf; cut where it does not fit. */
__attribute__((format(printf, 2, 3))) static inline void reason_write(char reason[REASON_BYTES], const char *format,
                                                                      ...) {
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(reason, REASON_BYTES, format, arguments);
    va_end(arguments);
}

#endif /* REASON_H */
