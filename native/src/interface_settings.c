/* SPDX-License-Identifier: Apache-2.0 */
#include "interface_settings.h"
#include "fastpath.h"
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

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
