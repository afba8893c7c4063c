/* SPDX-License-Identifier: Apache-2.0 */
/* Checks of the C tests: the first that fails says where and what, and ends the test with status 1. */
#ifndef FP_CHECK_H
#define FP_CHECK_H

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define CHECK(condition) check_true((condition) ? 1 : 0, #condition, __FILE__, __LINE__)
#define CHECK_EQ(seen, wanted) check_equal((intmax_t)(seen), (intmax_t)(wanted), #seen, __FILE__, __LINE__)

static inline void check_true(int holds, const char *text, const char *file, int line) {
    if (!holds) {
        (void)fprintf(stderr, "%s:%d: %s does not hold\n", file, line, text);
        exit(1);
    }
}

static inline void check_equal(intmax_t seen, intmax_t wanted, const char *text, const char *file, int line) {
    if (seen != wanted) {
        (void)fprintf(stderr, "%s:%d: %s is %" PRIdMAX ", wanted %" PRIdMAX "\n", file, line, text, seen, wanted);
        exit(1);
    }
}

#define RUN(test)                       \
    do {                                \
        (test)();                       \
        (void)printf("ok %s\n", #test); \
    } while (0)

#endif
