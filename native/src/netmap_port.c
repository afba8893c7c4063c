/* SPDX-License-Identifier: Apache-2.0 */
/*
 * netmap: and vale ports: a descriptor of /dev/netmap, registered with the port, and its memory mapped.
 *
 * Every port maps its allocator's memory for itself, also where two share one: rings address buffers relative to
 * themselves, so swapping works across mappings, and a port that closes leaves nothing of its interface behind.
 */
#include "interface.h"
#include "interface_settings.h"
#include "netmap_adapter.h"
#include "netmap_kloop.h"
#include "netmap_rings.h"
#include "port.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct netmap_port {
    struct fp_port port;
    struct fp_spec spec;
    uint32_t flags;
    int fd;
    int promiscuous;
    int ifindex;                           /* 0 for VALE ports and pipes */
    struct fp_interface_settings settings; /* as they were at the first opening */
    struct fp_netmap_memory memory;
    struct fp_netmap_kloop kloop; /* FP_OPEN_NETMAP_KLOOP */
};

static int netmap_rx_sync(struct fp_port *port) {
    return ioctl(((struct netmap_port *)port)->fd, NIOCRXSYNC) == 0 ? 0 : FP_E_SYSTEM;
}

static int netmap_tx_sync(struct fp_port *port) {
    return ioctl(((struct netmap_port *)port)->fd, NIOCTXSYNC) == 0 ? 0 : FP_E_SYSTEM;
}

static int kloop_rx_sync(struct fp_port *port) {
    struct netmap_port *netmap = (struct netmap_port *)port;
    return fp_netmap_kloop_exchange(&netmap->kloop, port->rx, port->info.rx_rings, port->info.tx_rings);
}

static int kloop_tx_sync(struct fp_port *port) {
    struct netmap_port *netmap = (struct netmap_port *)port;
    return fp_netmap_kloop_exchange(&netmap->kloop, port->tx, port->info.tx_rings, 0);
}

/* With a loop in the kernel netmap refuses poll(2): only workers that never sleep have such ports. */
static uint32_t kloop_poll_fds(const struct fp_port *port, struct pollfd *fds) {
    (void)port;
    (void)fds;
    return 0;
}

static uint32_t netmap_poll_fds(const struct fp_port *port, struct pollfd *fds) {
    fds[0] = (struct pollfd){.fd = ((const struct netmap_port *)port)->fd, .events = POLLIN};
    return 1;
}

static void netmap_release(struct fp_port *port) {
    struct netmap_port *netmap = (struct netmap_port *)port;
    fp_netmap_kloop_stop(&netmap->kloop);
    fp_netmap_unmap(&netmap->memory);
    if (netmap->fd >= 0) {
        close(netmap->fd); /* the interface goes back to the host stack */
    }
    if (netmap->promiscuous >= 0) {
        close(netmap->promiscuous);
    }
    fp_port_free_rings(port);
    netmap->fd = -1;
    netmap->promiscuous = -1;
}

static void netmap_close(struct fp_port *port) {
    netmap_release(port);
    free(port);
}

/* Rings of an interface that was taken down or away sync without a word. */
static void netmap_check(const struct fp_port *port, struct fp_port_seen *out) {
    const struct netmap_port *netmap = (const struct netmap_port *)port;
    enum fp_link link = FP_LINK_UP;
    if (netmap->ifindex != 0) {
        link = fp_interface_link(netmap->spec.interface, netmap->ifindex);
    }
    fp_netmap_kloop_check(&netmap->kloop);
    *out = (struct fp_port_seen){.link = link};
}

/* A request about the global allocator, which every netmap has: fails where the module speaks another API only. */
static int version_check(int fd) {
    struct nmreq_port_info_get body = {.nr_mem_id = 1};
    if (fp_netmap_request(fd, NETMAP_REQ_PORT_INFO_GET, "", &body, NULL) == 0) {
        return 0;
    }
    return errno == EINVAL || errno == ENOTTY ? FP_E_NETMAP_VERSION : FP_E_SYSTEM;
}

static int device_open(int *out) {
    int fd = open(NETMAP_DEVICE, O_RDWR | O_CLOEXEC);
    if (fd < 0) {
        return errno == ENOENT || errno == ENXIO || errno == ENODEV ? FP_E_NO_NETMAP : FP_E_SYSTEM;
    }
    *out = fd;
    return version_check(fd);
}

static int port_register(struct netmap_port *netmap, const struct fp_spec *spec, struct nmreq_register *body) {
    *body = (struct nmreq_register){.nr_mode = NR_REG_ALL_NIC, .nr_flags = NR_EXCLUSIVE};
    if (spec->host_rings) {
        body->nr_mode = NR_REG_SW;
    } else if (spec->ring >= 0) {
        body->nr_mode = NR_REG_ONE_NIC;
        body->nr_ringid = (uint16_t)spec->ring;
    }
    struct nmreq_opt_csb csb;
    bool kloop = (netmap->flags & FP_OPEN_NETMAP_KLOOP) != 0;
    int result = kloop ? fp_netmap_kloop_prepare(&netmap->kloop, &csb) : 0;
    if (result != 0) {
        return result;
    }
    if (fp_netmap_request(netmap->fd, NETMAP_REQ_REGISTER, spec->name, body, kloop ? &csb : NULL) == 0) {
        return 0;
    }
    switch (errno) {
    case EBUSY:
        return FP_E_BUSY;
    case ENXIO:
    case ENODEV:
        return FP_E_NO_DEVICE;
    case EOPNOTSUPP: /* admode 1 and no native driver */
        return FP_E_NOT_NATIVE;
    case ENOMEM:
        return FP_E_NO_MEMORY;
    default:
        return FP_E_SYSTEM;
    }
}

/*
 * Where the MTU fits one buffer, netmap has no frame spread over several (it checks just that when a port is
 * registered), and NS_MOREFRAG must not be believed: its e1000e sets the flag on every whole frame (up to 2026 at
 * least).
 */
static int frames_are_whole(struct netmap_port *netmap, const char *interface) {
    int mtu = fp_interface_mtu(interface);
    if (mtu < 0) {
        return mtu;
    }
    for (uint32_t i = 0; i < netmap->port.info.rx_rings; i++) {
        struct fp_ring *ring = &netmap->port.rx[i];
        ring->whole_frames = (uint32_t)mtu + FP_FRAMING_BYTES <= ring->buffer_bytes;
    }
    return 0;
}

/* Law 2: an interface that is not known to be native is refused unless emulation was allowed by name. */
static int adapter_check(struct netmap_port *netmap, const struct fp_spec *spec, int ifindex, uint32_t flags) {
    netmap->port.info.adapter = ifindex > 0 ? fp_netmap_adapter(spec->interface, ifindex) : FP_ADAPTER_VIRTUAL;
    if (netmap->port.info.adapter == FP_ADAPTER_NATIVE || netmap->port.info.adapter == FP_ADAPTER_VIRTUAL ||
        (flags & FP_OPEN_ALLOW_EMULATED) != 0) {
        return 0;
    }
    return FP_E_NOT_NATIVE;
}

static int netmap_setup(struct netmap_port *netmap) {
    const struct fp_spec *spec = &netmap->spec;
    uint32_t flags = netmap->flags;
    struct nmreq_register body;
    int ifindex = 0;
    int result = device_open(&netmap->fd);
    if (result == 0 && spec->interface[0] != '\0') {
        ifindex = fp_interface_index(spec->interface);
        result = ifindex > 0 ? 0 : ifindex;
        netmap->ifindex = ifindex;
        /* Before the interface is taken from the host: what cannot be native is not even tried. */
        if (result == 0 && (flags & FP_OPEN_ALLOW_EMULATED) == 0 && !fp_netmap_driver_is_native(spec->interface)) {
            result = FP_E_NOT_NATIVE;
        }
    }
    if (result == 0) {
        result = port_register(netmap, spec, &body);
    }
    if (result == 0) {
        result = adapter_check(netmap, spec, ifindex, flags);
    }
    if (result == 0) {
        result = fp_netmap_map(netmap->fd, body.nr_memsize, &netmap->memory);
    }
    if (result == 0) {
        netmap->port.info.region = body.nr_mem_id;
        result = fp_netmap_rings_open(&netmap->port, &netmap->memory, body.nr_offset);
    }
    if (result == 0 && (flags & FP_OPEN_NETMAP_KLOOP) != 0) {
        result = fp_netmap_kloop_start(&netmap->kloop, netmap->fd);
    }
    if (result == 0 && ifindex > 0 && !spec->host_rings) {
        /* After registering, which resets the device and its address filter (netmap issue 417). */
        netmap->promiscuous = fp_interface_hold_promiscuous(ifindex);
        result = netmap->promiscuous < 0 ? netmap->promiscuous : frames_are_whole(netmap, spec->interface);
    }
    return result;
}

static int netmap_acquire(struct fp_port *port) {
    struct netmap_port *netmap = (struct netmap_port *)port;
    if (netmap->ifindex != 0 && fp_interface_find(netmap->spec.interface) != netmap->ifindex) {
        fp_interface_restore_settings(netmap->spec.interface, &netmap->settings);
    }
    int result = netmap_setup(netmap);
    if (result != 0) {
        int saved = errno;
        netmap_release(port);
        errno = saved;
    }
    return result;
}

static const struct fp_port_ops netmap_ops = {
    .rx_sync = netmap_rx_sync,
    .tx_sync = netmap_tx_sync,
    .poll_fds = netmap_poll_fds,
    .check = netmap_check,
    .release = netmap_release,
    .acquire = netmap_acquire,
    .close = netmap_close,
};

static const struct fp_port_ops kloop_ops = {
    .rx_sync = kloop_rx_sync,
    .tx_sync = kloop_tx_sync,
    .poll_fds = kloop_poll_fds,
    .check = netmap_check,
    .release = netmap_release,
    .acquire = netmap_acquire,
    .close = netmap_close,
};

int fp_netmap_open(const struct fp_port_config *config, const struct fp_spec *spec, struct fp_port **out) {
    struct netmap_port *netmap = calloc(1, sizeof *netmap);
    if (netmap == NULL) {
        return FP_E_NO_MEMORY;
    }
    bool kloop = (config->flags & FP_OPEN_NETMAP_KLOOP) != 0;
    netmap->port.ops = kloop ? &kloop_ops : &netmap_ops;
    netmap->port.info.sync = kloop ? FP_SYNC_KLOOP : FP_SYNC_CALLS;
    netmap->spec = *spec;
    netmap->flags = config->flags;
    netmap->fd = -1;
    netmap->promiscuous = -1;
    netmap->port.info.kind = FP_PORT_NETMAP;
    netmap->port.turn_frames = FP_TURN_FRAMES;
    netmap->port.poll_syncs = !kloop;
    netmap->port.hands_over = spec->interface[0] == '\0'; /* pipes and VALE ports: each sync may switch processes */
    memcpy(netmap->port.info.spec, config->spec, sizeof netmap->port.info.spec);
    int result = netmap_acquire(&netmap->port);
    if (result != 0) {
        int saved = errno;
        netmap_close(&netmap->port);
        errno = saved;
        return result;
    }
    if (netmap->ifindex != 0) {
        fp_interface_read_settings(spec->interface, &netmap->settings);
    }
    *out = &netmap->port;
    return 0;
}
