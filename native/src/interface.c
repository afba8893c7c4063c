/* SPDX-License-Identifier: Apache-2.0 */
#include "interface.h"
#include "fastpath.h"
#include <assert.h>
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/if_packet.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* One ioctl about an interface; errno as left by it. `request` has the name filled in. */
static int interface_ioctl(const char *name, unsigned long number, struct ifreq *request) {
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return FP_E_SYSTEM;
    }
    size_t length = strnlen(name, IFNAMSIZ - 1);
    memcpy(request->ifr_name, name, length);
    request->ifr_name[length] = '\0';
    int result = ioctl(fd, number, request);
    int saved = errno;
    close(fd);
    errno = saved;
    if (result != 0) {
        return saved == ENODEV ? FP_E_NO_DEVICE : FP_E_SYSTEM;
    }
    return 0;
}

int fp_interface_index(const char *name) {
    struct ifreq request = {0};
    int result = interface_ioctl(name, SIOCGIFFLAGS, &request);
    if (result == 0 && (request.ifr_flags & IFF_UP) == 0) {
        errno = ENETDOWN;
        return FP_E_SYSTEM;
    }
    if (result == 0) {
        result = interface_ioctl(name, SIOCGIFINDEX, &request);
    }
    return result == 0 ? request.ifr_ifindex : result;
}

int fp_interface_find(const char *name) {
    struct ifreq request = {0};
    int result = interface_ioctl(name, SIOCGIFINDEX, &request);
    return result == 0 ? request.ifr_ifindex : result;
}

/* Asked of the driver: IFF_RUNNING follows it late. True where it cannot say. */
static bool has_carrier(const char *name) {
    struct ethtool_value value = {.cmd = ETHTOOL_GLINK};
    struct ifreq request = {.ifr_data = (void *)&value};
    return interface_ioctl(name, SIOCETHTOOL, &request) != 0 || value.data != 0;
}

enum fp_link fp_interface_link(const char *name, int ifindex) {
    struct ifreq request = {0};
    if (interface_ioctl(name, SIOCGIFINDEX, &request) != 0 || request.ifr_ifindex != ifindex ||
        interface_ioctl(name, SIOCGIFFLAGS, &request) != 0) {
        return FP_LINK_GONE;
    }
    if ((request.ifr_flags & IFF_UP) == 0) {
        return FP_LINK_DOWN;
    }
    return has_carrier(name) ? FP_LINK_UP : FP_LINK_NO_CARRIER;
}

int fp_interface_mtu(const char *name) {
    struct ifreq request = {0};
    int result = interface_ioctl(name, SIOCGIFMTU, &request);
    return result == 0 ? request.ifr_mtu : result;
}

int fp_interface_mac(const char *name, uint8_t mac[6]) {
    struct ifreq request = {0};
    int result = interface_ioctl(name, SIOCGIFHWADDR, &request);
    if (result == 0) {
        memcpy(mac, request.ifr_hwaddr.sa_data, 6);
    }
    return result;
}

int fp_interface_queues(const char *name) {
    struct ethtool_channels channels = {.cmd = ETHTOOL_GCHANNELS};
    struct ifreq request = {.ifr_data = (void *)&channels};
    int result = interface_ioctl(name, SIOCETHTOOL, &request);
    if (result == FP_E_SYSTEM && errno == EOPNOTSUPP) {
        return 1;
    }
    int queues = (int)(channels.combined_count + channels.rx_count);
    return result != 0 ? result : queues > 0 ? queues : 1;
}

int fp_interface_driver(const char *name, char driver[FP_DRIVER_BYTES], char address[FP_DRIVER_BYTES]) {
    struct ethtool_drvinfo info = {.cmd = ETHTOOL_GDRVINFO};
    struct ifreq request = {.ifr_data = (void *)&info};
    int result = interface_ioctl(name, SIOCETHTOOL, &request);
    static_assert(sizeof info.driver == FP_DRIVER_BYTES - 1 && sizeof info.bus_info == FP_DRIVER_BYTES - 1,
                  "the kernel's names may fill their fields");
    if (result == 0) {
        memcpy(driver, info.driver, sizeof info.driver);
        memcpy(address, info.bus_info, sizeof info.bus_info);
        driver[sizeof info.driver] = '\0';
        address[sizeof info.bus_info] = '\0';
    }
    return result;
}

int fp_interface_hold_promiscuous(int ifindex) {
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0); /* protocol 0: receives nothing */
    struct packet_mreq wanted = {.mr_ifindex = ifindex, .mr_type = PACKET_MR_PROMISC};
    if (fd < 0) {
        return FP_E_SYSTEM;
    }
    if (setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &wanted, sizeof wanted) != 0) {
        int saved = errno;
        close(fd);
        errno = saved;
        return FP_E_SYSTEM;
    }
    return fd;
}
