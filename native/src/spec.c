/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Port specifications:
 *   netmap:ens4  netmap:ens4-2  netmap:ens4^  vale0:1  netmap:pipe{1  netmap:pipe}1  xdp:ens4  xdp:ens4-2  memory:a
 */
#include "port.h"
#include <string.h>

enum { INTERFACE_BYTES = 16 /* IFNAMSIZ */, MAX_RING = 255 };

/* Parts of a text that fits are never too long. */
static void copy(char to[FP_NAME_BYTES], const char *text) {
    size_t length = strnlen(text, FP_NAME_BYTES - 1);
    memcpy(to, text, length);
    to[length] = '\0';
}

/* After the last '-', digits only: "ens4-2". An interface whose own name ends like that is named with its ring. */
static int split_ring(char *name, int *ring) {
    char *dash = strrchr(name, '-');
    if (dash == NULL || dash[1] == '\0' || strspn(dash + 1, "0123456789") != strlen(dash + 1)) {
        return 0;
    }
    int value = 0;
    for (const char *digit = dash + 1; *digit != '\0'; digit++) {
        value = value * 10 + (*digit - '0');
        if (value > MAX_RING) {
            return FP_E_SPEC;
        }
    }
    *dash = '\0';
    *ring = value;
    return 0;
}

static int is_interface(const char *name) {
    size_t length = strlen(name);
    return length > 0 && length < INTERFACE_BYTES && strpbrk(name, " /:\t\n") == NULL && strcmp(name, ".") != 0 &&
           strcmp(name, "..") != 0;
}

static int parse_interface(struct fp_spec *spec, const char *text) {
    copy(spec->name, text);
    int result = split_ring(spec->name, &spec->ring);
    if (result != 0 || !is_interface(spec->name)) {
        return FP_E_SPEC;
    }
    copy(spec->interface, spec->name);
    return 0;
}

/* "NAME{ID" or "NAME}ID": the two ends of a pipe; the kernel takes the name as it is. */
static int parse_pipe(struct fp_spec *spec, const char *text) {
    size_t name = strcspn(text, "{}");
    const char *id = text + name + 1;
    if (name == 0 || name >= INTERFACE_BYTES || *id == '\0' || strspn(id, "0123456789") != strlen(id)) {
        return FP_E_SPEC;
    }
    copy(spec->name, text);
    return 0;
}

static int parse_netmap(struct fp_spec *spec, const char *text) {
    spec->kind = FP_PORT_NETMAP;
    if (strpbrk(text, "{}") != NULL) {
        return parse_pipe(spec, text);
    }
    int result = parse_interface(spec, text);
    size_t length = strlen(spec->interface);
    if (result == 0 && spec->interface[length - 1] == '^') {
        if (spec->ring >= 0 || length == 1) { /* "ens4^-1" */
            return FP_E_SPEC;
        }
        spec->interface[length - 1] = '\0';
        spec->name[length - 1] = '\0';
        spec->host_rings = true;
    }
    return result;
}

/* "valeSWITCH:PORT" */
static int parse_vale(struct fp_spec *spec, const char *text) {
    const char *colon = strchr(text, ':');
    if (colon == NULL || colon[1] == '\0' || strlen(colon + 1) >= INTERFACE_BYTES || strpbrk(text, " /\t\n") != NULL) {
        return FP_E_SPEC;
    }
    spec->kind = FP_PORT_NETMAP;
    copy(spec->name, text);
    return 0;
}

static const char *after(const char *text, const char *prefix) {
    size_t length = strlen(prefix);
    return strncmp(text, prefix, length) == 0 ? text + length : NULL;
}

int fp_spec_parse(const char *text, struct fp_spec *out) {
    if (memchr(text, '\0', FP_NAME_BYTES) == NULL) {
        return FP_E_SPEC;
    }
    struct fp_spec spec = {.ring = -1};
    int result = FP_E_SPEC;
    const char *rest;
    if ((rest = after(text, "netmap:")) != NULL) {
        result = parse_netmap(&spec, rest);
    } else if (after(text, "vale") != NULL) {
        result = parse_vale(&spec, text);
    } else if ((rest = after(text, "xdp:")) != NULL) {
        spec.kind = FP_PORT_XDP;
        result = parse_interface(&spec, rest);
    } else if ((rest = after(text, "memory:")) != NULL && *rest != '\0') {
        spec.kind = FP_PORT_MEMORY;
        copy(spec.name, rest);
        result = 0;
    }
    if (result == 0) {
        *out = spec;
    }
    return result;
}
