/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The port seam. A port of any kind is rings of netmap's layout plus the four operations below; the loop knows nothing
 * else about it.
 */
#ifndef FP_PORT_H
#define FP_PORT_H

#include "fastpath.h"
#include "ring.h"
#include <poll.h>

#define FP_MAX_RINGS 128 /* receive or transmit rings of one port */

enum { FP_FRAMING_BYTES = 26 /* Ethernet header, two tags and the FCS around an MTU */ };

/* What can be seen of a port's interface from outside its rings. */
enum fp_link { FP_LINK_UP, FP_LINK_NO_CARRIER, FP_LINK_DOWN, FP_LINK_GONE };

struct fp_port_seen {
    enum fp_link link;
    uint64_t missed_frames; /* since the port was opened, or opened again */
    uint64_t passed_frames; /* left to the host stack by the XDP program, since the same */
};

struct fp_port_ops {
    /* Gives consumed receive slots back and brings new frames. 0 or a negative code. */
    int (*rx_sync)(struct fp_port *port);
    /* Sends what lies before head and takes finished slots back. 0 or a negative code. */
    int (*tx_sync)(struct fp_port *port);
    /* Descriptors that become readable with frames, at most port->info.rx_rings of them. Returns how many. */
    uint32_t (*poll_fds)(const struct fp_port *port, struct pollfd *fds);
    /* Asks after what no sync reports: the link, and frames missed or passed. May run beside the syncs, in another
     * thread. NULL where nothing can be asked: then there are no `release` and `acquire` either. */
    void (*check)(const struct fp_port *port, struct fp_port_seen *out);
    /* Gives everything of the interface back and keeps what is needed to acquire it again; also after a failure, and
     * twice. */
    void (*release)(struct fp_port *port);
    /* Opens the released port as it was configured. On failure it stays released. 0 or a negative code. */
    int (*acquire)(struct fp_port *port);
    void (*close)(struct fp_port *port); /* also of a released port */
};

/* First member of every kind's own struct. */
struct fp_port {
    const struct fp_port_ops *ops;
    struct fp_port_info info;
    bool tx_backlog; /* set by tx_sync: frames are still to be handed to the kernel */
    bool hands_over; /* a tx_sync gives frames to their reader at once, and wakes it; set at opening */
    /* poll(2) on its descriptor syncs both directions, as netmap's does; set at opening. */
    bool poll_syncs;
    bool woken;           /* poll(2) reported the port: set by the worker, cleared by rx_sync where the kind cares */
    uint32_t turn_frames; /* most of one receive ring in one turn; set at opening */
    struct fp_ring *rx;
    struct fp_ring *tx;
};

/* What a specification says, taken apart. */
struct fp_spec {
    enum fp_port_kind kind;
    char name[FP_NAME_BYTES];      /* for the kernel: "ens4", "vale0:1", "pipe{1" */
    char interface[FP_NAME_BYTES]; /* the network interface, "" where there is none */
    int ring;                      /* -1: all */
    bool host_rings;               /* netmap:ens4^ */
};

int fp_spec_parse(const char *text, struct fp_spec *out);

/* Openers of the kinds; `config` is checked, its ring_slots not 0. */
int fp_memory_open(const struct fp_port_config *config, struct fp_region *region, struct fp_port **out);
int fp_xdp_open(const struct fp_port_config *config, const struct fp_spec *spec, struct fp_region *region,
                struct fp_port **out);
int fp_netmap_open(const struct fp_port_config *config, const struct fp_spec *spec, struct fp_port **out);

/* Receive queues `spec` stands for, or a negative code. */
int fp_xdp_count_rings(const struct fp_spec *spec);

/* Rings' bookkeeping, zeroed; freed by the kind's close. */
int fp_port_alloc_rings(struct fp_port *port, uint32_t rx_rings, uint32_t tx_rings);
void fp_port_free_rings(struct fp_port *port);

#endif
