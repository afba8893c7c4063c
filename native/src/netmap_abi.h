/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The part of netmap's user-kernel interface, API 14, that we speak: written from netmap(4) and vale(4), x86-64 and
 * aarch64 Linux. Every size and offset is asserted below; tests/contract compares them with the real headers.
 *
 * Rings of every port kind have this layout in memory, so that the loop knows one kind of ring only.
 */
#ifndef FP_NETMAP_ABI_H
#define FP_NETMAP_ABI_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/time.h>

#define NETMAP_DEVICE "/dev/netmap"
#define NETMAP_API 14

/* ------------------------------------------------------------ shared memory */

#define NS_BUF_CHANGED 0x0001 /* buf_idx is not the one it was: the driver maps the buffer anew */
#define NS_MOREFRAG 0x0020    /* the frame goes on in the next slot */

struct netmap_slot {
    uint32_t buf_idx;
    uint16_t len; /* bytes */
    uint16_t flags;
    uint64_t ptr; /* the bits of netmap_ring.offset_mask: where in the buffer the frame starts */
};

/* A ring of num_slots slots. Slots [head, tail) are the program's, the others the kernel's. The kernel reads head and
 * cur, and moves tail, in system calls only. */
struct netmap_ring {
    int64_t buf_ofs; /* from this struct to buffer 0, bytes */
    uint32_t num_slots;
    uint32_t nr_buf_size; /* bytes */
    uint16_t ringid;
    uint16_t dir; /* 0 transmit, 1 receive */
    uint32_t head;
    uint32_t cur; /* poll(2) wakes when tail passes it */
    uint32_t tail;
    uint32_t flags;
    struct timeval ts;
    uint64_t offset_mask;
    uint64_t buf_align;
    uint8_t sem[128] __attribute__((aligned(128)));
    struct netmap_slot slot[];
};

/* One per open descriptor. ring_ofs: NIC transmit, host transmit, NIC receive, host receive rings, from this struct. */
struct netmap_if {
    char ni_name[16];
    uint32_t ni_version;
    uint32_t ni_flags;
    uint32_t ni_tx_rings; /* of the NIC, without the host's */
    uint32_t ni_rx_rings;
    uint32_t ni_bufs_head;
    uint32_t ni_host_tx_rings;
    uint32_t ni_host_rx_rings;
    uint32_t ni_spare1[3];
    int64_t ring_ofs[];
};

/* ------------------------------------------------------------ requests */

#define NETMAP_REQ_IFNAMSIZ 64

enum { NETMAP_REQ_REGISTER = 1, NETMAP_REQ_PORT_INFO_GET = 2 };

enum { NETMAP_REQ_SYNC_KLOOP_START = 13, NETMAP_REQ_SYNC_KLOOP_STOP = 14 };

enum { NETMAP_REQ_OPT_CSB = 3 };

enum { NR_REG_ALL_NIC = 1, NR_REG_SW = 2, NR_REG_NIC_SW = 3, NR_REG_ONE_NIC = 4 };

#define NR_EXCLUSIVE 0x800 /* nr_flags: the rings are ours alone, or the request fails with EBUSY */

struct nmreq_header {
    uint16_t nr_version;
    uint16_t nr_reqtype;
    uint32_t nr_reserved;
    char nr_name[NETMAP_REQ_IFNAMSIZ];
    uint64_t nr_options; /* address of the first option, 0 for none */
    uint64_t nr_body;    /* address of the request's own struct */
};

struct nmreq_register {
    uint64_t nr_offset;  /* out: of struct netmap_if in the mapping */
    uint64_t nr_memsize; /* out: bytes to map */
    uint32_t nr_tx_slots;
    uint32_t nr_rx_slots;
    uint16_t nr_tx_rings;
    uint16_t nr_rx_rings;
    uint16_t nr_host_tx_rings;
    uint16_t nr_host_rx_rings;
    uint16_t nr_mem_id; /* out: which allocator; ports of one can swap buffers */
    uint16_t nr_ringid;
    uint32_t nr_mode; /* NR_REG_* */
    uint32_t nr_extra_bufs;
    uint64_t nr_flags;
};

struct nmreq_option {
    uint64_t nro_next; /* address of the next one, 0 for none */
    uint32_t nro_reqtype;
    uint32_t nro_status; /* out: 0, or an errno value */
    uint64_t nro_size;   /* of options with an array, else 0 */
};

/* With a registration: ring indices are exchanged in memory of ours (CSB), and no system call syncs the port any more.
 */
struct nmreq_opt_csb {
    struct nmreq_option nro_opt;
    uint64_t csb_atok; /* address of an entry for each ring, transmit rings first */
    uint64_t csb_ktoa; /* the same in the other direction */
};

/* What the program tells the kernel: it writes cur before head, so that head is never seen ahead of cur. */
struct nm_csb_atok {
    uint32_t head;
    uint32_t cur;
    uint32_t appl_need_kick;
    uint32_t sync_flags;
    uint32_t pad[12];
};

/* What the kernel tells the program: it writes hwcur before hwtail. */
struct nm_csb_ktoa {
    uint32_t hwcur;
    uint32_t hwtail;
    uint32_t kern_need_kick;
    uint32_t pad[13];
};

/* The loop runs inside this request. */
struct nmreq_sync_kloop_start {
    uint32_t sleep_us; /* between two rounds, at most 1,000,000 */
    uint32_t pad1;
};

struct nmreq_port_info_get {
    uint64_t nr_memsize;
    uint32_t nr_tx_slots;
    uint32_t nr_rx_slots;
    uint16_t nr_tx_rings;
    uint16_t nr_rx_rings;
    uint16_t nr_host_tx_rings;
    uint16_t nr_host_rx_rings;
    uint16_t nr_mem_id;
    uint16_t pad[3];
};

#define NIOCCTRL _IOWR('i', 151, struct nmreq_header)
#define NIOCTXSYNC _IO('i', 148)
#define NIOCRXSYNC _IO('i', 149)

/* ------------------------------------------------------------ proof */

#define FP_ABI_SIZE(type, bytes) static_assert(sizeof(struct type) == (bytes), "netmap ABI: size of " #type)
#define FP_ABI_FIELD(type, field, offset) \
    static_assert(offsetof(struct type, field) == (offset), "netmap ABI: " #type "." #field)

FP_ABI_SIZE(netmap_slot, 16);
FP_ABI_FIELD(netmap_slot, buf_idx, 0);
FP_ABI_FIELD(netmap_slot, len, 4);
FP_ABI_FIELD(netmap_slot, flags, 6);
FP_ABI_FIELD(netmap_slot, ptr, 8);

FP_ABI_SIZE(netmap_ring, 256);
FP_ABI_FIELD(netmap_ring, buf_ofs, 0);
FP_ABI_FIELD(netmap_ring, num_slots, 8);
FP_ABI_FIELD(netmap_ring, nr_buf_size, 12);
FP_ABI_FIELD(netmap_ring, ringid, 16);
FP_ABI_FIELD(netmap_ring, dir, 18);
FP_ABI_FIELD(netmap_ring, head, 20);
FP_ABI_FIELD(netmap_ring, cur, 24);
FP_ABI_FIELD(netmap_ring, tail, 28);
FP_ABI_FIELD(netmap_ring, flags, 32);
FP_ABI_FIELD(netmap_ring, ts, 40);
FP_ABI_FIELD(netmap_ring, offset_mask, 56);
FP_ABI_FIELD(netmap_ring, buf_align, 64);
FP_ABI_FIELD(netmap_ring, sem, 128);
FP_ABI_FIELD(netmap_ring, slot, 256);

FP_ABI_SIZE(netmap_if, 56);
FP_ABI_FIELD(netmap_if, ni_name, 0);
FP_ABI_FIELD(netmap_if, ni_version, 16);
FP_ABI_FIELD(netmap_if, ni_flags, 20);
FP_ABI_FIELD(netmap_if, ni_tx_rings, 24);
FP_ABI_FIELD(netmap_if, ni_rx_rings, 28);
FP_ABI_FIELD(netmap_if, ni_bufs_head, 32);
FP_ABI_FIELD(netmap_if, ni_host_tx_rings, 36);
FP_ABI_FIELD(netmap_if, ni_host_rx_rings, 40);
FP_ABI_FIELD(netmap_if, ring_ofs, 56);

FP_ABI_SIZE(nmreq_header, 88);
FP_ABI_FIELD(nmreq_header, nr_version, 0);
FP_ABI_FIELD(nmreq_header, nr_reqtype, 2);
FP_ABI_FIELD(nmreq_header, nr_reserved, 4);
FP_ABI_FIELD(nmreq_header, nr_name, 8);
FP_ABI_FIELD(nmreq_header, nr_options, 72);
FP_ABI_FIELD(nmreq_header, nr_body, 80);

FP_ABI_SIZE(nmreq_register, 56);
FP_ABI_FIELD(nmreq_register, nr_offset, 0);
FP_ABI_FIELD(nmreq_register, nr_memsize, 8);
FP_ABI_FIELD(nmreq_register, nr_tx_slots, 16);
FP_ABI_FIELD(nmreq_register, nr_rx_slots, 20);
FP_ABI_FIELD(nmreq_register, nr_tx_rings, 24);
FP_ABI_FIELD(nmreq_register, nr_rx_rings, 26);
FP_ABI_FIELD(nmreq_register, nr_host_tx_rings, 28);
FP_ABI_FIELD(nmreq_register, nr_host_rx_rings, 30);
FP_ABI_FIELD(nmreq_register, nr_mem_id, 32);
FP_ABI_FIELD(nmreq_register, nr_ringid, 34);
FP_ABI_FIELD(nmreq_register, nr_mode, 36);
FP_ABI_FIELD(nmreq_register, nr_extra_bufs, 40);
FP_ABI_FIELD(nmreq_register, nr_flags, 48);

FP_ABI_SIZE(nmreq_port_info_get, 32);
FP_ABI_FIELD(nmreq_port_info_get, nr_memsize, 0);
FP_ABI_FIELD(nmreq_port_info_get, nr_tx_slots, 8);
FP_ABI_FIELD(nmreq_port_info_get, nr_rx_slots, 12);
FP_ABI_FIELD(nmreq_port_info_get, nr_tx_rings, 16);
FP_ABI_FIELD(nmreq_port_info_get, nr_mem_id, 24);

FP_ABI_SIZE(nmreq_option, 24);
FP_ABI_FIELD(nmreq_option, nro_next, 0);
FP_ABI_FIELD(nmreq_option, nro_reqtype, 8);
FP_ABI_FIELD(nmreq_option, nro_status, 12);
FP_ABI_FIELD(nmreq_option, nro_size, 16);

FP_ABI_SIZE(nmreq_opt_csb, 40);
FP_ABI_FIELD(nmreq_opt_csb, csb_atok, 24);
FP_ABI_FIELD(nmreq_opt_csb, csb_ktoa, 32);

FP_ABI_SIZE(nm_csb_atok, 64);
FP_ABI_FIELD(nm_csb_atok, head, 0);
FP_ABI_FIELD(nm_csb_atok, cur, 4);
FP_ABI_FIELD(nm_csb_atok, appl_need_kick, 8);
FP_ABI_FIELD(nm_csb_atok, sync_flags, 12);

FP_ABI_SIZE(nm_csb_ktoa, 64);
FP_ABI_FIELD(nm_csb_ktoa, hwcur, 0);
FP_ABI_FIELD(nm_csb_ktoa, hwtail, 4);
FP_ABI_FIELD(nm_csb_ktoa, kern_need_kick, 8);

FP_ABI_SIZE(nmreq_sync_kloop_start, 8);
FP_ABI_FIELD(nmreq_sync_kloop_start, sleep_us, 0);

static_assert(NIOCCTRL == 0xc0586997UL, "netmap ABI: NIOCCTRL");
static_assert(NIOCTXSYNC == 0x6994UL, "netmap ABI: NIOCTXSYNC");
static_assert(NIOCRXSYNC == 0x6995UL, "netmap ABI: NIOCRXSYNC");

#endif
