/* SPDX-License-Identifier: Apache-2.0 */
#include "netmap_adapter.h"
#include "interface.h"
#include <fcntl.h>
#include <limits.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const char EMULATION_KIND[] = "netmapemu"; /* what netmap calls its discipline */

enum { MODULE_BYTES = 64, ADMODE_NATIVE = 1, ADMODE_EMULATED = 2, PARAMETER_UNREADABLE = -1 };

/* ------------------------------------------------------------ /sys, which is the same in every network namespace */

static bool is_holder(const char *module) {
    char path[PATH_MAX];
    int length = snprintf(path, sizeof path, "/sys/module/netmap/holders/%s", module);
    return module[0] != '\0' && length > 0 && (size_t)length < sizeof path && access(path, F_OK) == 0;
}

static int read_parameter(const char *name) {
    char path[PATH_MAX];
    char text[16] = "";
    (void)snprintf(path, sizeof path, "/sys/module/netmap/parameters/%s", name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return PARAMETER_UNREADABLE;
    }
    ssize_t got = read(fd, text, sizeof text - 1);
    close(fd);
    return got > 0 && text[0] >= '0' && text[0] <= '9' ? (int)strtol(text, NULL, 10) : PARAMETER_UNREADABLE;
}

/* Module of the driver of a PCI device: "e1000" for "0000:00:03.0". Empty where there is none. */
static void read_pci_module(const char *address, char module[MODULE_BYTES]) {
    char path[PATH_MAX];
    char target[PATH_MAX];
    module[0] = '\0';
    if (address[0] == '\0' || strchr(address, '/') != NULL) {
        return;
    }
    (void)snprintf(path, sizeof path, "/sys/bus/pci/devices/%s/driver/module", address);
    ssize_t length = readlink(path, target, sizeof target - 1);
    if (length <= 0) {
        return;
    }
    target[length] = '\0';
    const char *slash = strrchr(target, '/');
    (void)snprintf(module, MODULE_BYTES, "%.*s", MODULE_BYTES - 1, slash != NULL ? slash + 1 : target);
}

bool fp_netmap_driver_is_native(const char *interface) {
    char driver[FP_DRIVER_BYTES];
    char address[FP_DRIVER_BYTES];
    char module[MODULE_BYTES];
    if (fp_interface_driver(interface, driver, address) != 0) {
        return false;
    }
    for (char *at = driver; *at != '\0'; at++) { /* modules are named with '_' in /sys */
        *at = *at == '-' ? '_' : *at;
    }
    read_pci_module(address, module); /* differs from the driver's name where it was built with a suffix */
    return is_holder(driver) || is_holder(module);
}

/* ------------------------------------------------------------ queueing disciplines, by rtnetlink(7) */

static bool is_emulation_kind(const struct nlmsghdr *message, int ifindex) {
    const struct tcmsg *discipline = NLMSG_DATA(message);
    if (message->nlmsg_type != RTM_NEWQDISC || discipline->tcm_ifindex != ifindex) {
        return false;
    }
    if (message->nlmsg_len < NLMSG_LENGTH(sizeof *discipline)) {
        return false;
    }
    size_t left = message->nlmsg_len - NLMSG_LENGTH(sizeof *discipline);
    const char *at = (const char *)discipline + NLMSG_ALIGN(sizeof *discipline);
    while (left >= sizeof(struct rtattr)) {
        const struct rtattr *attribute = (const void *)at;
        size_t step = RTA_ALIGN(attribute->rta_len);
        if (attribute->rta_len < RTA_LENGTH(0) || step > left) {
            return false;
        }
        if (attribute->rta_type == TCA_KIND && attribute->rta_len >= RTA_LENGTH(sizeof EMULATION_KIND) &&
            memcmp(RTA_DATA(attribute), EMULATION_KIND, sizeof EMULATION_KIND) == 0) {
            return true;
        }
        left -= step;
        at += step;
    }
    return false;
}

/* Reads the answer to a dump. Returns 1 found, 0 not found, -1 failed. */
static int find_emulation(int fd, int ifindex) {
    _Alignas(struct nlmsghdr) char buffer[32768];
    int found = 0;
    for (;;) {
        ssize_t got = recv(fd, buffer, sizeof buffer, 0);
        if (got <= 0) {
            return -1;
        }
        size_t left = (size_t)got;
        for (const struct nlmsghdr *message = (const void *)buffer; NLMSG_OK(message, left);
             message = NLMSG_NEXT(message, left)) {
            if (message->nlmsg_type == NLMSG_DONE) {
                return found;
            }
            if (message->nlmsg_type == NLMSG_ERROR) {
                return -1;
            }
            found = found || is_emulation_kind(message, ifindex);
        }
    }
}

static int has_emulation_discipline(int ifindex) {
    struct {
        struct nlmsghdr header;
        struct tcmsg body;
    } request = {
        .header = {.nlmsg_len = sizeof request, .nlmsg_type = RTM_GETQDISC, .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
        .body = {.tcm_ifindex = ifindex},
    };
    int result = -1;
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    if (fd < 0) {
        return -1;
    }
    if (send(fd, &request, sizeof request, 0) == (ssize_t)sizeof request) {
        result = find_emulation(fd, ifindex);
    }
    close(fd);
    return result;
}

enum fp_adapter fp_netmap_adapter(const char *interface, int ifindex) {
    int mode = read_parameter("admode");
    int discipline = has_emulation_discipline(ifindex);
    if (discipline == 1 || mode == ADMODE_EMULATED) {
        return FP_ADAPTER_EMULATED;
    }
    if (!fp_netmap_driver_is_native(interface)) {
        return access("/sys/module/netmap/holders", F_OK) == 0 ? FP_ADAPTER_EMULATED : FP_ADAPTER_UNKNOWN;
    }
    bool would_tell = discipline == 0 && read_parameter("generic_txqdisc") == 1;
    return mode == ADMODE_NATIVE || (mode == 0 && would_tell) ? FP_ADAPTER_NATIVE : FP_ADAPTER_UNKNOWN;
}
