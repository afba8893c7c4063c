/* SPDX-License-Identifier: Apache-2.0 */
#include "interface_settings.h"
#include "fastpath.h"
#include <fcntl.h>
#include <inttypes.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PATH_BYTES = 80, NUMBER_BYTES = 24 };

static void request_name(struct ifreq *request, const char *name) {
    size_t length = strnlen(name, IFNAMSIZ - 1);
    memset(request, 0, sizeof *request);
    memcpy(request->ifr_name, name, length);
}

static int value_get(int fd, const char *name, uint32_t command, uint32_t *out) {
    struct ethtool_value value = {.cmd = command};
    struct ifreq request;
    request_name(&request, name);
    request.ifr_data = (void *)&value;
    int result = ioctl(fd, SIOCETHTOOL, &request);
    *out = result == 0 ? value.data : 0;
    return result;
}

static void value_set(int fd, const char *name, uint32_t command, uint32_t data) {
    struct ethtool_value value = {.cmd = command, .data = data};
    struct ifreq request;
    request_name(&request, name);
    request.ifr_data = (void *)&value;
    (void)ioctl(fd, SIOCETHTOOL, &request);
}

/* The kernel has no socket call for these. /sys may be mounted for another network namespace: true where the file is of
 * the interface we mean. */
static bool attribute_path(const char *name, const char *attribute, char path[PATH_BYTES]) {
    char text[NUMBER_BYTES];
    (void)snprintf(path, PATH_BYTES, "/sys/class/net/%s/ifindex", name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (fd >= 0) {
        close(fd);
    }
    text[length > 0 ? length : 0] = '\0';
    (void)snprintf(path, PATH_BYTES, "/sys/class/net/%s/%s", name, attribute);
    return length > 0 && strtoul(text, NULL, 10) == if_nametoindex(name);
}

static bool attribute_get(const char *name, const char *attribute, uint64_t *out) {
    char path[PATH_BYTES];
    char text[NUMBER_BYTES];
    int fd = attribute_path(name, attribute, path) ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0) {
        return false;
    }
    ssize_t length = read(fd, text, sizeof text - 1);
    close(fd);
    text[length > 0 ? length : 0] = '\0';
    *out = strtoull(text, NULL, 10);
    return length > 0;
}

static void attribute_set(const char *name, const char *attribute, uint64_t value) {
    char path[PATH_BYTES];
    char text[NUMBER_BYTES];
    int fd = attribute_path(name, attribute, path) ? open(path, O_WRONLY | O_CLOEXEC) : -1;
    if (fd >= 0) {
        int length = snprintf(text, sizeof text, "%" PRIu64, value);
        (void)!write(fd, text, (size_t)length);
        close(fd);
    }
}

static void deferral_read(const char *name, struct fp_interface_settings *out) {
    uint64_t times = 0;
    out->has_deferral = attribute_get(name, "napi_defer_hard_irqs", &times) &&
                        attribute_get(name, "gro_flush_timeout", &out->flush_timeout_ns);
    out->defer_hard_irqs = (uint32_t)times;
}

void fp_interface_read_settings(const char *name, struct fp_interface_settings *out) {
    struct ifreq request;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    *out = (struct fp_interface_settings){0};
    if (fd < 0) {
        return;
    }
    out->has_features = value_get(fd, name, ETHTOOL_GFLAGS, &out->features) == 0;
    out->has_gro = value_get(fd, name, ETHTOOL_GGRO, &out->gro) == 0;
    out->has_tx_checksum = value_get(fd, name, ETHTOOL_GTXCSUM, &out->tx_checksum) == 0;
    request_name(&request, name);
    out->mtu = ioctl(fd, SIOCGIFMTU, &request) == 0 ? request.ifr_mtu : 0;
    close(fd);
    deferral_read(name, out);
}

void fp_interface_restore_settings(const char *name, const struct fp_interface_settings *settings) {
    struct ifreq request;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return;
    }
    if (settings->has_features) {
        value_set(fd, name, ETHTOOL_SFLAGS, settings->features);
    }
    if (settings->has_gro) {
        value_set(fd, name, ETHTOOL_SGRO, settings->gro);
    }
    if (settings->has_tx_checksum) {
        value_set(fd, name, ETHTOOL_STXCSUM, settings->tx_checksum != 0);
    }
    if (settings->has_deferral) {
        attribute_set(name, "napi_defer_hard_irqs", settings->defer_hard_irqs);
        attribute_set(name, "gro_flush_timeout", settings->flush_timeout_ns);
    }
    request_name(&request, name);
    request.ifr_mtu = settings->mtu;
    if (settings->mtu > 0) {
        (void)ioctl(fd, SIOCSIFMTU, &request);
    }
    request_name(&request, name);
    if (ioctl(fd, SIOCGIFFLAGS, &request) == 0 && (request.ifr_flags & IFF_UP) == 0) {
        request.ifr_flags = (short)(request.ifr_flags | IFF_UP);
        (void)ioctl(fd, SIOCSIFFLAGS, &request);
    }
    close(fd);
}
