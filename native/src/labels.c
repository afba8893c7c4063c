/* SPDX-License-Identifier: Apache-2.0 */
#include "fastpath.h"

#define FP_X_ERROR_CASE(name, code, text) \
    case name:                            \
        return text;
#define FP_X_DROP_LABEL(name, label, text) label,
#define FP_X_DROP_TEXT(name, label, text) text,

const char *fp_error_text(int code) {
    switch (code) {
        FP_ERROR_LIST(FP_X_ERROR_CASE)
    case FP_OK:
        return "no error";
    default:
        return "unknown error";
    }
}

const char *fp_drop_label(unsigned index) {
    static const char *const labels[FP_DROP_COUNT] = {FP_DROP_LIST(FP_X_DROP_LABEL)};
    return index < FP_DROP_COUNT ? labels[index] : NULL;
}

const char *fp_drop_text(unsigned index) {
    static const char *const texts[FP_DROP_COUNT] = {FP_DROP_LIST(FP_X_DROP_TEXT)};
    return index < FP_DROP_COUNT ? texts[index] : NULL;
}
