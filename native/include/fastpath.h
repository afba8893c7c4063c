/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fastpath.h - the only public header of the native fast path.
 *
 * Contract of every function, stated once:
 *   - returns 0 (or a count where said so) on success and a negative `enum fp_error` code on failure;
 *   - on failure outputs and arguments are untouched; with FP_E_SYSTEM errno says why;
 *   - nothing here logs, exits, installs signal handlers or keeps global state;
 *   - one thread per worker; the state segment may be read by any process at any time.
 *
 * In the order a frame meets them: ports bring slots, the worker parses a key, looks up the route
 * table of the current generation, moves buffers to the outputs and counts what became of the frame
 * in the state segment, which the daemon, `appliance status` and tests read from other processes.
 *
 * The cffi declarations are made from this file by the C preprocessor with FP_CDEF defined: keep
 * declarations plain C, wrap what cffi cannot parse in the macros below, and keep every #include
 * under `#ifndef FP_CDEF`.
 */
#ifndef FASTPATH_H
#define FASTPATH_H

#ifndef FP_CDEF
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#define FP_ATOMIC(type) _Atomic(type)
#else
#define FP_ATOMIC(type) type
#endif

/* ------------------------------------------------------------------ names */

/* Layout version of the state segment; a daemon refuses a worker of another version. */
#define FP_STATE_VERSION 6
#define FP_NAME_BYTES 64           /* names and device specs, NUL included */
#define FP_MAX_PORTS 16            /* ports of one worker */
#define FP_MAX_OUTPUTS 8           /* outputs of one route */
#define FP_MAX_ROUTES 16384        /* routes of one table: more than issue C's 10,000, a power of two */
#define FP_MAX_SHAPES 32           /* different sets of matched fields and prefix lengths in one table */
#define FP_MAX_REWRITES 65535      /* outputs with a rewrite in one table */
#define FP_DIGEST_BYTES 32         /* SHA-256 of the configuration a table came from */
#define FP_VLAN_NONE 0xffff        /* key field: the frame carries no such tag */
#define FP_NOT_RTP 0xff            /* key field payload_type: the frame carries no RTP */
#define FP_BURST_FRAMES 64         /* frames taken from one ring at a time */
#define FP_TURN_FRAMES 512         /* most frames of one ring between two syncs, of netmap and memory ports */
#define FP_MAX_MERGES 1024         /* ST 2022-7 merges of one table, a power of two */
#define FP_MAX_PACING 64           /* formats of one table, for ST 2110-21 */
#define FP_MAX_RUN 8191            /* largest fp_route_media.run */
#define FP_MAX_MERGE_SLOTS 1048576 /* of one merge */
/* Most memory of all merges of one worker, a power of two; taken from tmpfs as it is needed. */
#define FP_MERGE_ARENA_BYTES 536870912
#define FP_MAX_HOLD_BUFFERS 8388608 /* of one memory region, for frames that merges hold */
#define FP_HOLD_SPARE_FRAMES 1024   /* of them for frames of one turn of the loop, beyond what merges hold */

/* Errors: name, code, what a user is told when nothing better is known. */
#define FP_ERROR_LIST(X)                                                                                \
    X(FP_E_INVALID, -1, "an argument is outside its documented range")                                  \
    X(FP_E_NO_MEMORY, -2, "out of memory")                                                              \
    X(FP_E_SYSTEM, -3, "a system call failed")                                                          \
    X(FP_E_NO_NETMAP, -4, "the netmap module is not loaded: /dev/netmap does not exist")                \
    X(FP_E_NETMAP_VERSION, -5, "the loaded netmap module does not speak API 14")                        \
    X(FP_E_NOT_NATIVE, -6, "the driver is loaded without netmap, the emulated adapter was not allowed") \
    X(FP_E_NO_DEVICE, -7, "the interface does not exist")                                               \
    X(FP_E_BUSY, -8, "the port or queue is in use by another process")                                  \
    X(FP_E_UNSUPPORTED, -9, "the kernel or the driver does not support this mode")                      \
    X(FP_E_TABLE_FULL, -10, "the route table is full")                                                  \
    X(FP_E_DUPLICATE, -11, "a route with this match exists already")                                    \
    X(FP_E_NOT_ACKNOWLEDGED, -12, "the worker has not yet taken the previous generation")               \
    X(FP_E_STATE_VERSION, -13, "the state segment is of another version or damaged")                    \
    X(FP_E_TORN, -14, "the worker stopped while it was writing its counters")                           \
    X(FP_E_SPEC, -15, "the port specification is not of a known form")                                  \
    X(FP_E_REGION, -16, "the port needs a memory region with more or larger buffers")                   \
    X(FP_E_SHAPES, -17, "the routes match on too many different sets of fields")                        \
    X(FP_E_MTU, -18, "the interface's MTU allows frames that are longer than the port's buffers")       \
    X(FP_E_MERGE_MEMORY, -19, "the merges' windows need more memory than a worker may have")            \
    X(FP_E_NO_BUSY_POLL, -20, "the kernel or the driver lets no socket poll the queue (busy poll)")     \
    X(FP_E_NO_KLOOP, -21, "the loaded netmap module's sync loop cannot be ended, or does not begin")    \
    X(FP_E_HOLD_REGION, -22, "a merge that holds frames has ports in different memory regions")         \
    X(FP_E_HOLD_BUFFERS, -23, "the merges hold more frames than the worker has buffers for")

/* Why a frame was dropped: name as in status, what it means. Order is the index in `dropped_frames`. */
#define FP_DROP_LIST(X)                                                                                    \
    X(FP_DROP_SHORT, "short", "fewer bytes than an Ethernet header (14 bytes)")                            \
    X(FP_DROP_TRUNCATED, "truncated", "fewer bytes than its own headers announce")                         \
    X(FP_DROP_BAD_LENGTH, "bad_length", "a header length that contradicts another")                        \
    X(FP_DROP_FRAGMENT, "fragment", "an IP fragment: carries no UDP port to match")                        \
    X(FP_DROP_NOT_IP, "not_ip", "neither IPv4 nor IPv6")                                                   \
    X(FP_DROP_NOT_UDP, "not_udp", "IP, but not UDP")                                                       \
    X(FP_DROP_NO_ROUTE, "no_route", "no route matches")                                                    \
    X(FP_DROP_TX_FULL, "tx_full", "no output had a free slot")                                             \
    X(FP_DROP_TOO_LONG, "too_long", "longer than every output's buffer")                                   \
    X(FP_DROP_BAD_SLOT, "bad_slot", "the ring handed over a slot with an impossible length or buffer")     \
    X(FP_DROP_MULTI_SLOT, "multi_slot", "spread over several slots (jumbo), not forwarded")                \
    X(FP_DROP_BY_ROUTE, "by_route", "its route says drop")                                                 \
    X(FP_DROP_EXPIRED, "expired", "its route decrements the TTL or hop limit, which is used up")           \
    X(FP_DROP_MERGE_LATE, "merge_late", "its merge (ST 2022-7) had given it up: it came after its window") \
    X(FP_DROP_NOT_RTP, "not_rtp", "its route merges RTP flows (ST 2022-7), and it carries no RTP")

#define FP_X_ENUM_ERROR(name, code, text) name = (code),
#define FP_X_ENUM_DROP(name, label, text) name,
enum fp_error { FP_ERROR_LIST(FP_X_ENUM_ERROR) FP_OK = 0 };
enum fp_drop { FP_DROP_LIST(FP_X_ENUM_DROP) FP_DROP_COUNT };

/* Text for people. Never NULL; an unknown code gives "unknown error". */
const char *fp_error_text(int code);
/* Label ("tx_full") and meaning of drop reason `index`; NULL where index is not below FP_DROP_COUNT. */
const char *fp_drop_label(unsigned index);
const char *fp_drop_text(unsigned index);

/* ------------------------------------------------------------ frame keys */

/* What a frame's headers say. Every byte takes part in comparisons: zero it before you fill it. */
struct fp_key {
    uint8_t destination[16]; /* IPv6, or IPv4 mapped as ::ffff:a.b.c.d (RFC 4291, 2.5.5.2); parser, daemon */
    uint16_t port;           /* index of the ingress port in its worker; worker, daemon */
    uint16_t vlan;           /* outer VLAN id 0..4094 or FP_VLAN_NONE; parser, daemon */
    uint16_t inner_vlan;     /* inner VLAN id 0..4094 or FP_VLAN_NONE; parser, daemon */
    uint16_t udp_port;       /* UDP destination port, host order; parser, daemon */
    uint8_t source[16];      /* as destination; parser, daemon */
    uint16_t udp_source;     /* UDP source port, host order; parser, daemon */
    uint8_t dscp;            /* 0..63 (RFC 2474); parser, daemon */
    uint8_t payload_type;    /* RTP payload type 0..127 (RFC 3550, 5.1) or FP_NOT_RTP; parser, daemon */
    uint32_t ssrc;           /* RTP synchronization source, host order; 0 without RTP; parser, daemon */
};

/* How far a frame was understood; a match is only tried on frames that carry all it asks for. */
enum fp_level { FP_LEVEL_ETHERNET = 0, FP_LEVEL_IP = 1, FP_LEVEL_UDP = 2 };

/* Parse a frame's headers (Ethernet II, up to two tags 0x8100/0x88a8/0x9100, IPv4 with options, IPv6
 * with extension headers, UDP, RTP) into *key except key->port. Returns 0 or the drop reason + 1 (positive);
 * never reads past frame[length]. *key is untouched unless 0 is returned. */
int fp_frame_parse(const uint8_t *frame, uint32_t length_bytes, struct fp_key *key);

/* ------------------------------------------------------------ media */

/* RTP truth of one route (RFC 3550); with both paths of a protected flow, of one path. Times are CLOCK_MONOTONIC as the
 * burst was taken: frames of one burst seem to come at once. expected - lost == frames - duplicated - stray. */
#define FP_ARRIVAL_BUCKETS 24
struct fp_observed {
    uint64_t frames;             /* RTP frames, all of them; worker */
    uint64_t other_frames;       /* of the route, but not RTP; worker */
    uint64_t bytes;              /* of both; Ethernet header on, FCS off; worker */
    uint64_t first_ns;           /* when the first came; 0: none yet; worker */
    uint64_t last_ns;            /* when the newest came; worker */
    uint64_t expected_frames;    /* RFC 3550, 6.4.1 and A.3; worker */
    uint64_t lost_frames;        /* missing now: one that comes late is taken back (RFC 3550, 6.4.1); worker */
    uint64_t reordered_frames;   /* came behind a higher number and filled a gap; worker */
    uint64_t duplicated_frames;  /* number seen before; worker */
    uint64_t stray_frames;       /* fit nowhere, and none followed them (RFC 3550, A.1); worker */
    uint64_t gaps;               /* times at least one number was skipped; worker */
    uint64_t largest_gap_frames; /* skipped at once; worker */
    uint64_t long_gaps;          /* longer than the 16-bit number tells, found by the timestamp; worker */
    uint64_t restarts;           /* numbers began anew, same SSRC (RFC 3550, A.1); worker */
    uint64_t ssrc_changes;       /* RFC 3550, 5.1 and 8.2; worker */
    uint64_t wraps;              /* of the 16-bit number; worker */
    uint64_t pictures;           /* frames with the marker bit (ST 2110-20, 6.1.2); worker */
    uint64_t first_picture_ns;   /* when the first of them came; worker */
    uint64_t last_picture_ns;    /* when the newest of them came; worker */
    uint64_t picture_intervals;  /* from marker to marker, without restart between; worker */
    uint64_t picture_min_ns;     /* shortest of these; worker */
    uint64_t picture_max_ns;     /* longest of these; worker */
    uint64_t picture_frames;     /* numbers of the newest of these; worker */
    uint64_t ssrc;               /* of the newest frame in sequence; worker */
    uint64_t sequence;           /* its number, 0..65535; worker */
    uint64_t timestamp;          /* its RTP timestamp; worker */
    /* Time since the frame before: [0] none, [1] 1..63 ns, [i] 2^(i+4) to 2^(i+5) - 1 ns, the last all above; worker */
    uint64_t arrivals[FP_ARRIVAL_BUCKETS];
};

/* ST 2110-21, 7.1: how narrow a sender says it is. */
enum fp_sender { FP_SENDER_NARROW = 1, FP_SENDER_NARROW_LINEAR = 2, FP_SENDER_WIDE = 3 };

/* ST 2110-21, 6.3: frames are read in the active part of a picture only, or all the time. */
enum fp_schedule { FP_SCHEDULE_GAPPED = 1, FP_SCHEDULE_LINEAR = 2 };

/* From where TVD is counted. */
enum fp_anchor {
    FP_ANCHOR_EPOCH = 1, /* TVD = epoch_ns + n * TFRAME + TROFFSET: needs times of a clock that follows PTP */
    FP_ANCHOR_FIRST = 2 /* TVD = when the first frame of each picture came: any clock; shows the spread inside pictures,
                           and frames later than their schedule as negative levels, without being a fault */
};

/* A format as a route names it; of interlaced video all of it for one field. Written by the daemon. */
struct fp_pacing_format {
    uint32_t packets;      /* NPACKETS, 1..2^20 */
    uint32_t pictures;     /* so many ... 1..1,000,000 */
    uint32_t per_s;        /* ... in so many seconds (60000 in 1001), 1..100,000; at most 1,000,000 pictures a second */
    uint32_t active_lines; /* RACTIVE: 1080 of ... */
    uint32_t total_lines;  /* ... 1125; 1..100,000, active_lines at most this */
    uint32_t sender;       /* enum fp_sender */
    uint32_t schedule;     /* enum fp_schedule */
    uint32_t anchor;       /* enum fp_anchor */
    uint32_t max_udp_bytes; /* MAXUDP, 1..65,535; 1,500 gives the figures usually quoted, 1,460 is ST 2110-10's limit */
    uint32_t id;            /* not 0; another one makes the model begin anew */
    uint64_t epoch_ns;    /* what the clock of the frames' times showed at the SMPTE epoch, of the worker's clock modulo
                             2^64: CLOCK_MONOTONIC less CLOCK_TAI; for FP_ANCHOR_EPOCH */
    uint64_t troffset_ns; /* TROFFSET, less than a picture; for FP_ANCHOR_EPOCH */
};

/* What the two models of ST 2110-21 say of a route. All by the worker. */
struct fp_pacing_counters {
    uint64_t cinst_frames;      /* Cinst after the newest frame */
    uint64_t cinst_max_frames;  /* highest so far */
    uint64_t cinst_over_frames; /* frames that found Cinst above Cmax */
    int64_t vrx_frames;         /* VRX after the newest frame that was judged */
    int64_t vrx_max_frames;     /* highest so far */
    int64_t vrx_min_frames;     /* lowest so far */
    uint64_t vrx_span_frames;  /* largest difference of the two within one picture: what the best TROFFSET would need */
    uint64_t vrx_over_frames;  /* frames that found VRX above VRXFULL */
    uint64_t vrx_late_frames;  /* frames that found VRX below 0 */
    uint64_t pictures_judged;  /* whose beginning was seen */
    uint64_t pictures_skipped; /* of which not: their first frame was lost, or they had more frames than NPACKETS */
};

#define FP_MERGE_PATHS 2
enum { FP_MERGE_A = 0, FP_MERGE_B = 1 };

/* Path differential, in time between the copies: bin 0 is below 1,024 ns, bin i below 2^(10 + i) ns. */
#define FP_MERGE_BINS 21

struct fp_merge_config {
    uint64_t id;          /* of the flow, not 0: another one makes the merge begin anew; daemon */
    uint64_t window_ns;   /* 1 .. 2^30: what the bins reach; daemon */
    uint64_t silence_ns;  /* a path without a frame for longer is silent; 0: 200 ms, or the window where that is more */
    uint32_t slots;       /* power of two, 512 .. 2^20: see fp_merge_plan_slots */
    uint32_t hold_frames; /* 0: first copy wins without delay; else in order, and at most so many frames are held */
};

/* What has happened since creation (ST 2022-7). Losses are judged, late by the window. All by the worker. */
struct fp_merge_path_counters {
    uint64_t received_frames;  /* all that was offered; = forwarded + merged + duplicate + late */
    uint64_t forwarded_frames; /* first copies, held ones included */
    uint64_t merged_frames;    /* second copies: the other path brought the frame before, within the window */
    uint64_t duplicate_frames; /* this path brought the frame before, within the window */
    uint64_t late_frames;      /* their window had passed: dropped */
    uint64_t lost_frames;      /* did not come on this path within the window, whatever the other path did */
    uint64_t outages;          /* times it was silent and came back */
    uint64_t last_ns;          /* of the newest frame, by the caller's clock; 0: never */
};

struct fp_merge_counters {
    struct fp_merge_path_counters paths[FP_MERGE_PATHS]; /* A and B */
    uint64_t lost_frames;                                /* came on neither path within the window */
    uint64_t filled_frames;          /* forwarded behind a newer one: a hole that was filled in time */
    uint64_t stray_frames;           /* forwarded although they continue no known numbering; not lost, not found */
    uint64_t restarts;               /* sequence and timestamp began anew */
    uint64_t ssrc_changes;           /* the same with another SSRC */
    uint64_t silences;               /* times both paths were silent at once, ended by a frame */
    uint64_t skipped_frames;         /* holes given up early since too many frames were held */
    uint64_t held_frames;            /* now */
    uint64_t most_held_frames;       /* ever */
    uint64_t differential_frames;    /* measured: second copies of frames whose first copy was the newest */
    int64_t differential_sum_ns;     /* arrival on B less arrival on A: positive where A leads */
    int64_t differential_min_ns;     /* INT64_MAX before the first */
    int64_t differential_max_ns;     /* INT64_MIN before the first */
    uint64_t leads_a[FP_MERGE_BINS]; /* frames A brought first, by size of the differential */
    uint64_t leads_b[FP_MERGE_BINS]; /* frames B brought first, by size of the differential */
};

enum fp_merge_class { FP_MERGE_CLASS_A, FP_MERGE_CLASS_B, FP_MERGE_CLASS_C, FP_MERGE_CLASS_D };

/* Path differential of a class of receivers (ST 2022-7:2019), in ns; class C depends on the rate. 0: no such class. */
uint64_t fp_merge_class_window_ns(enum fp_merge_class number, uint64_t bits_per_s);
/* The least slots in which a window at this rate fits, with a quarter to spare; more than FP_MERGE_MAX_SLOTS: none. */
uint64_t fp_merge_plan_slots(uint64_t window_ns, uint64_t frames_per_s);

#define FP_DISCOVERED_FLOWS 1024

/* What tells flows apart: port, tags, addresses and UDP ports. DSCP, payload type and SSRC are the newest frame's. */
struct fp_discovered {
    struct fp_key key;   /* as in a frame; worker */
    uint64_t frames;     /* since it came into the table; worker */
    uint64_t bytes;      /* Ethernet header on, FCS off; worker */
    uint64_t rtp_frames; /* of them with an RTP header (RFC 3550, 5.1); worker */
    uint64_t first_ns;   /* when it came into the table; worker */
    uint64_t last_ns;    /* when its newest frame came; worker */
};

/* Frames of routes with `mirror` are kept in a ring; of longer ones the beginning. */
#define FP_CAPTURE_SLOTS 512
#define FP_CAPTURE_BYTES 2032

struct fp_captured {
    uint64_t time_ns;        /* of the turn it was taken in, CLOCK_MONOTONIC; worker */
    uint32_t length_bytes;   /* Ethernet header on, FCS off; worker */
    uint32_t captured_bytes; /* of `bytes`; worker */
    uint16_t counter;        /* of its route; worker */
    uint16_t port;           /* it came in on; worker */
    uint32_t unused;
    uint8_t bytes[FP_CAPTURE_BYTES]; /* as it came, before any rewrite; worker */
};

/* ----------------------------------------------------------- route table */

/* fp_match.fields: which fields of the key are compared; addresses are told by their number of bits instead. */
#define FP_MATCH_PORT 0x1
#define FP_MATCH_VLAN 0x2 /* FP_VLAN_NONE in the key: untagged frames only */
#define FP_MATCH_INNER_VLAN 0x4
#define FP_MATCH_UDP_PORT 0x8
#define FP_MATCH_UDP_SOURCE 0x10
#define FP_MATCH_DSCP 0x20
#define FP_MATCH_PAYLOAD_TYPE 0x40
#define FP_MATCH_SSRC 0x80
#define FP_MATCH_FIELDS 0xff

/* What a route takes. Of several matches that fit a frame the highest priority wins, then the one that compares more
 * bits, then the one whose mask is larger byte for byte: never the order in which they were added.
 * Without UDP ports and RTP fields also frames that are not UDP fit, without addresses and DSCP also those not IP. */
struct fp_match {
    struct fp_key key;        /* what is not compared must be 0 here; daemon */
    uint32_t priority;        /* daemon */
    uint16_t fields;          /* FP_MATCH_*; daemon */
    uint8_t destination_bits; /* leading bits compared: 0 none, 128 all, an IPv4 prefix /n is 96 + n; daemon */
    uint8_t source_bits;      /* as destination_bits; daemon */
};

/* fp_rewrite.set: what is written into a copy on its way out. At most one of the three VLAN bits. */
#define FP_SET_DESTINATION_MAC 0x1
#define FP_SET_SOURCE_MAC 0x2
#define FP_SET_VLAN 0x4  /* the outer tag's id; its priority stays; the match must name a VLAN */
#define FP_PUSH_VLAN 0x8 /* a new outer tag 0x8100, priority 0 */
#define FP_POP_VLAN 0x10 /* the outer tag goes; the match must name a VLAN */
#define FP_SET_SOURCE 0x20
#define FP_SET_DESTINATION 0x40 /* of the family the match names */
#define FP_SET_UDP_SOURCE 0x80
#define FP_SET_UDP_PORT 0x100
#define FP_SET_DSCP 0x200
#define FP_DECREMENT_TTL 0x400    /* or hop limit; frames with less than 2 are dropped */
#define FP_SET_PAYLOAD_TYPE 0x800 /* of frames that carry RTP */
#define FP_SET_SSRC 0x1000        /* of frames that carry RTP */
#define FP_SET_ANY 0x1fff

/* Checksums follow (RFC 1624); a UDP checksum of zero stays zero (RFC 768, RFC 6935). */
struct fp_rewrite {
    uint32_t set;               /* FP_SET_*; 0: as it came; daemon */
    uint16_t vlan;              /* 0..4094; daemon */
    uint8_t dscp;               /* 0..63; daemon */
    uint8_t payload_type;       /* 0..127; daemon */
    uint16_t udp_source;        /* host order; daemon */
    uint16_t udp_port;          /* destination, host order; daemon */
    uint32_t ssrc;              /* host order; daemon */
    uint8_t destination[16];    /* as in fp_key; daemon */
    uint8_t source[16];         /* daemon */
    uint8_t destination_mac[6]; /* daemon */
    uint8_t source_mac[6];      /* daemon */
    uint32_t unused;
};

struct fp_output {
    uint32_t port; /* egress port; the ingress port where that is meant; daemon */
    struct fp_rewrite rewrite;
};

/* fp_route_media.observe: what is counted of a route's frames; the others need the first. */
#define FP_OBSERVE_RTP 0x1      /* struct fp_observed but for its histogram */
#define FP_OBSERVE_ARRIVALS 0x2 /* its histogram */
#define FP_OBSERVE_PACING 0x4   /* struct fp_pacing_counters */
#define FP_OBSERVE_ANY 0x7

/* What a route asks of RTP, before its outputs. All 0: nothing. */
struct fp_route_media {
    uint16_t observe; /* FP_OBSERVE_*; daemon */
    uint16_t run;     /* 0..FP_MAX_RUN; another one makes what is observed begin anew: a counter given to another route;
                         daemon */
    uint16_t pacing;  /* index + 1 of a format of the table, exactly with FP_OBSERVE_PACING; daemon */
    uint16_t merge;   /* number + 1 of a merge of the table; daemon */
    uint16_t path;    /* of that merge: FP_MERGE_A or FP_MERGE_B; daemon */
    uint16_t unused[3];
};

#define FP_ROUTE_TO_HOST 0x1 /* its outputs are host rings: frames count as to_host, not as forwarded */

struct fp_route {
    struct fp_match match;
    uint32_t flags;        /* FP_ROUTE_*; daemon */
    uint16_t counter;      /* index of its struct fp_route_counters, stable across generations; daemon */
    uint16_t output_count; /* 0 (drop) .. FP_MAX_OUTPUTS; daemon */
    uint16_t group;        /* 0, or 1 .. FP_MAX_ROUTES: the worker learns which MAC addresses are behind the ports of
                              all routes with this number, and a frame to one of them goes to no other output. Stable
                              across generations; daemon */
    uint16_t mirror;       /* 0, or one frame in so many is captured as it came (fp_state_read_captured); daemon */
    struct fp_route_media media;
    struct fp_output outputs[FP_MAX_OUTPUTS]; /* every port once; daemon */
};

/* A table under construction in ordinary memory. All matches of one shape (the same fields and prefix lengths) are
 * found by one hash lookup whatever their number; a table has at most FP_MAX_SHAPES shapes. */
struct fp_table;
int fp_table_create(uint32_t capacity_routes, struct fp_table **out); /* 1..FP_MAX_ROUTES */
void fp_table_destroy(struct fp_table *table);                        /* NULL is allowed */
/* FP_E_DUPLICATE where a route compares the same fields with the same values, FP_E_TABLE_FULL past the capacity or
 * FP_MAX_REWRITES, FP_E_SHAPES past FP_MAX_SHAPES, FP_E_INVALID for bad fields. */
int fp_table_add(struct fp_table *table, const struct fp_route *route);
/* A format for routes added later; returns its index. FP_E_TABLE_FULL past FP_MAX_PACING, FP_E_INVALID outside a range.
 */
int fp_table_add_pacing(struct fp_table *table, const struct fp_pacing_format *format);
/* Merge `number` (0..FP_MAX_MERGES - 1) for routes added later: a flow's own across generations, as its route's
 * counter. Where number and config are those of the table in use, its state and counters go on when this table is
 * published. FP_E_DUPLICATE where there is one with this number, FP_E_INVALID outside a range. Routes of one
 * with hold_frames name their ingress port; its frames leave by the first transmit ring of each output. */
int fp_table_add_merge(struct fp_table *table, uint32_t number, const struct fp_merge_config *config);
/* Whether flows that no route takes are listed (fp_state_read_discovered); each of their frames then costs some time.
 */
void fp_table_set_discovery(struct fp_table *table, int wanted);
uint32_t fp_table_count(const struct fp_table *table);
/* The route of a frame understood up to `level` (enum fp_level). Returns 1 and fills *out, or 0 where none fits. */
int fp_table_lookup(const struct fp_table *table, const struct fp_key *key, uint32_t level, struct fp_route *out);

/* ------------------------------------------------------------ ports */

/* What the host stack can be given of a port's frames, while media bypasses it: bits of a set. A frame has one class or
 * none, by what it is, in up to two tags; ARP sent to this host is FP_HOST_ARP, not FP_HOST_UNICAST. */
enum fp_host {
    FP_HOST_ARP = 0x1,     /* ethertype 0x0806 (RFC 826) */
    FP_HOST_ND = 0x2,      /* ICMPv6 133..137: neighbours, routers, redirects (RFC 4861) */
    FP_HOST_IGMP = 0x4,    /* IP protocol 2 (RFC 3376) */
    FP_HOST_MLD = 0x8,     /* ICMPv6 130..132 and 143 (RFC 2710, RFC 3810) */
    FP_HOST_PTP = 0x10,    /* UDP to 319 and 320, ethertype 0x88F7 (IEEE 1588-2019, annexes C, D and E) */
    FP_HOST_LLDP = 0x20,   /* ethertype 0x88CC (IEEE 802.1AB) */
    FP_HOST_UNICAST = 0x40 /* to the interface's own or the broadcast MAC address: all but UDP, and UDP from or to a
                             system port 0..1023 (RFC 6335, 6): ssh, ping, DHCP, DNS, NTP; IP fragments */
};
#define FP_HOST_ANY 0x7f

/* The class of a frame for an interface of address `mac` (6 bytes): one bit of enum fp_host, 0: none of the host's.
 * Never reads past frame[length_bytes]. What lies behind IPv6 extension headers other than MLD's is not looked at. */
uint32_t fp_host_class(const uint8_t *frame, uint32_t length_bytes, const uint8_t mac[6]);

enum fp_port_kind { FP_PORT_NETMAP = 1, FP_PORT_XDP = 2, FP_PORT_MEMORY = 3 };

/* How the port really works, read back from the kernel, never assumed. */
enum fp_adapter {
    FP_ADAPTER_UNKNOWN = 0,
    FP_ADAPTER_NATIVE = 1,       /* netmap: the driver carries netmap's hooks */
    FP_ADAPTER_EMULATED = 2,     /* netmap: the generic adapter */
    FP_ADAPTER_VIRTUAL = 3,      /* netmap: VALE port or pipe; memory port */
    FP_ADAPTER_XDP_ZEROCOPY = 4, /* AF_XDP, XDP_ZEROCOPY bound */
    FP_ADAPTER_XDP_COPY = 5,     /* AF_XDP, driver (native) XDP hook, copy */
    FP_ADAPTER_XDP_GENERIC = 6   /* AF_XDP, generic (skb) XDP hook, copy */
};

/* How a port's rings and the kernel meet. */
enum fp_sync {
    FP_SYNC_CALLS = 0,     /* a system call a turn, or as the kernel asks for one; none with memory ports */
    FP_SYNC_BUSY_POLL = 1, /* AF_XDP: each turn's call polls the queue itself, interrupts are put off */
    FP_SYNC_KLOOP = 2      /* netmap: a thread in the kernel syncs, ring indices are exchanged in memory */
};

/* Flags of fp_port_open: each weaker mode must be named, none is a fallback. */
#define FP_OPEN_ALLOW_EMULATED 0x1 /* netmap: accept the generic adapter */
#define FP_OPEN_XDP_ZEROCOPY 0x2   /* xdp: bind zero-copy or fail; without it bind copy */
#define FP_OPEN_NETMAP_KLOOP 0x8   /* netmap: no system call for a sync; for workers of FP_WAIT_BUSY only */
#define FP_OPEN_XDP_GENERIC 0x4    /* xdp: use the generic (skb) hook; without it the driver hook or fail */

/* Buffers shared by xdp: and memory: ports of one worker, so frames move between them by swapping indices.
 * netmap ports bring their own region (the kernel's allocator). */
struct fp_region;
/* `buffer_bytes` is 2048, 4096, 8192 or 16384; xdp ports need one of the first two (a page). */
int fp_region_create(uint32_t buffer_count, uint32_t buffer_bytes, struct fp_region **out);
void fp_region_destroy(struct fp_region *region); /* after the ports that use it; NULL is allowed */

/* Specifications: "netmap:ens4", "netmap:ens4-2" (one ring), "netmap:ens4^" (host rings), "vale0:1", "netmap:pipe{1",
 * "netmap:pipe}1", "xdp:ens4" (every queue), "xdp:ens4-2" (one queue), "memory:a". */
struct fp_port_config {
    char spec[FP_NAME_BYTES];
    uint32_t flags;      /* FP_OPEN_* */
    uint32_t ring_slots; /* of each xdp or memory ring, a power of two; 0 is 4096; netmap: what the driver has */
    /* Bits of enum fp_host, xdp only: the XDP program leaves these frames to the host stack, before any route; they are
     * not received here. Ports of other kinds are paired with a host port instead: fp_worker_pair_host. */
    uint32_t host_classes;
    /* xdp only: SO_BUSY_POLL in microseconds and SO_BUSY_POLL_BUDGET, 1..65,535, with SO_PREFER_BUSY_POLL. Both 0:
     * none. Takes effect where the interface's napi_defer_hard_irqs and gro_flush_timeout are set too, by the daemon.
     */
    uint32_t busy_poll_us;
    uint32_t busy_poll_frames;
};

struct fp_port_info {
    char name[FP_NAME_BYTES]; /* the name in the configuration; daemon, by way of the worker */
    char spec[FP_NAME_BYTES]; /* as opened; worker */
    uint32_t kind;            /* enum fp_port_kind; worker */
    uint32_t adapter;         /* enum fp_adapter; worker */
    uint32_t region;          /* id of the memory region: equal ids can swap buffers; worker */
    uint32_t rx_rings;        /* worker */
    uint32_t tx_rings;        /* worker */
    uint32_t rx_slots;        /* per ring; worker */
    uint32_t tx_slots;        /* per ring; worker */
    uint32_t buffer_bytes;    /* largest frame one slot holds, in bytes; worker */
    uint32_t sync;            /* enum fp_sync; worker */
    uint32_t busy_poll_us;    /* FP_SYNC_BUSY_POLL: as the kernel says; worker */
    uint64_t hold_buffers;    /* of its region, for frames that merges hold (fp_worker_hold); worker */
    uint64_t hold_bytes;      /* of memory these take, all in all; worker */
};

struct fp_port;
/* `region` is needed for xdp: and memory: ports and ignored by netmap ports. */
int fp_port_open(const struct fp_port_config *config, struct fp_region *region, struct fp_port **out);
/* Buffers the port will take from its region, to size that before: 0 for netmap ports, else rings x 2 x slots.
 * Or a negative code. */
int fp_port_plan_buffers(const struct fp_port_config *config);
void fp_port_close(struct fp_port *port); /* returns the interface to the state before; NULL is allowed */
int fp_port_describe(const struct fp_port *port, struct fp_port_info *out); /* name is left empty */

/* The test doors of memory: ports (FP_E_INVALID on other kinds). Inject copies a frame into the RX ring;
 * FP_E_TABLE_FULL where no slot is free. Collect takes the oldest frame of the TX ring: returns its length,
 * 0 where there is none, FP_E_INVALID where `room_bytes` is too small (the frame stays). */
int fp_memory_inject(struct fp_port *port, const uint8_t *frame, uint32_t length_bytes);
int fp_memory_collect(struct fp_port *port, uint8_t *frame, uint32_t room_bytes);

/* --------------------------------------------------- the state segment */

/* One worker's shared memory: a file on tmpfs, created by the worker, mapped by whoever wants to look, and by the
 * daemon to publish route tables. It outlives the daemon (law 1). All counters start at 0 when it is created. */
struct fp_state;

struct fp_port_counters {
    /* Ingress: received == forwarded + merged + to_host + held + sum(dropped) in every snapshot (law 5). */
    uint64_t received_frames;               /* worker */
    uint64_t received_bytes;                /* worker; Ethernet header on, FCS off */
    uint64_t forwarded_frames;              /* taken by at least one output; worker */
    uint64_t merged_frames;                 /* consumed by an ST 2022-7 merge; worker */
    uint64_t to_host_frames;                /* given to the host stack; worker */
    uint64_t held_frames;                   /* now: of merges that release in order, with a buffer each; worker */
    uint64_t dropped_frames[FP_DROP_COUNT]; /* by enum fp_drop; worker */
    uint64_t
        missed_frames; /* lost before the RX ring, which was full, so not in received; AF_XDP says so (XDP_STATISTICS),
                          of netmap ports the interface's own statistics tell; worker, ten times a second */
    uint64_t passed_to_host_frames; /* left to the host stack by the XDP program, so not in received; worker, ten times
                                       a second */
    /* Egress: offered == transmitted + tx_full + tx_too_long in every snapshot. */
    uint64_t offered_frames;     /* copies routes wanted to send here; worker */
    uint64_t transmitted_frames; /* copies put into a TX ring; worker */
    uint64_t transmitted_bytes;  /* worker */
    uint64_t tx_full_frames;     /* copies without a free slot; worker */
    uint64_t tx_too_long_frames; /* copies longer than the port's buffer; worker */
    /* How */
    uint64_t swapped_frames; /* transmitted by buffer swap, without a copy; worker */
    uint64_t copied_frames;  /* transmitted by copy; worker */
    uint64_t bursts;         /* RX bursts with at least one frame; worker */
    uint64_t sync_errors;    /* failed syncs (error, by fault); worker */
};

struct fp_route_counters {
    uint64_t frames; /* matched; worker */
    uint64_t bytes;  /* matched; worker */
};

/* Whether a port can move frames. The worker opens a port that was lost again, without anybody's help. */
enum fp_port_state {
    FP_PORT_IS_UP = 1,
    FP_PORT_IS_NO_LINK = 2,  /* the interface is up and has no carrier */
    FP_PORT_IS_DOWN = 3,     /* the interface is set down */
    FP_PORT_IS_GONE = 4,     /* there is no such interface, or no netmap module */
    FP_PORT_IS_REOPENING = 5 /* given up after faults, or refused so far: `error` says why; tried ten times a second */
};

struct fp_port_health {
    uint64_t state;    /* enum fp_port_state; worker */
    uint64_t since_ns; /* CLOCK_REALTIME when that began; worker */
    uint64_t outages;  /* times it left FP_PORT_IS_UP; worker */
    uint64_t reopened; /* times it was opened again; worker */
    uint64_t
        unconfirmed_frames; /* in a TX ring when the port was given up: transmitted, but may not have left; worker */
    int64_t error;          /* of the last try to open it again: enum fp_error; worker */
    int64_t error_errno;    /* with FP_E_SYSTEM; worker */
};

/* Everything a reader needs, consistent in itself (seqlock). */
struct fp_worker_snapshot {
    uint64_t generation;             /* of the table in use: 0 before the first; worker */
    uint64_t published;              /* generation offered last; daemon */
    uint8_t digest[FP_DIGEST_BYTES]; /* configuration of the table offered last; daemon */
    uint64_t pid;                    /* worker process; worker */
    uint64_t pid_start_ticks;        /* field 22 of /proc/PID/stat: tells a reused pid; worker */
    uint64_t started_ns;             /* CLOCK_REALTIME; worker */
    uint64_t heartbeat_ns;           /* CLOCK_MONOTONIC, at least every 200 ms while running; worker */
    uint64_t loops;                  /* turns of the loop; worker */
    uint32_t running;                /* 1 between the loop's start and its end; worker */
    uint32_t port_count;             /* worker */
    uint32_t stop_requested;         /* daemon or worker */
};

/* Creates `path` anew (an existing file is replaced, so old readers keep the old one). */
int fp_state_create(const char *path, struct fp_state **out);
/* Maps an existing one, read-write. FP_E_STATE_VERSION where it is not ours. */
int fp_state_open(const char *path, struct fp_state **out);
void fp_state_close(struct fp_state *state); /* the file stays; NULL is allowed */

/* Snapshots. FP_E_TORN where the worker died in the middle of a write (outputs then untouched). */
int fp_state_read_worker(const struct fp_state *state, struct fp_worker_snapshot *out);
int fp_state_read_port_info(const struct fp_state *state, uint32_t port, struct fp_port_info *out);
int fp_state_read_port(const struct fp_state *state, uint32_t port, struct fp_port_counters *out);
int fp_state_read_port_health(const struct fp_state *state, uint32_t port, struct fp_port_health *out);
int fp_state_read_route(const struct fp_state *state, uint32_t counter, struct fp_route_counters *out);
/* FP_E_INVALID where no table published so far observed a route with this counter, or one above. */
int fp_state_read_observed(const struct fp_state *state, uint32_t counter, struct fp_observed *out);
int fp_state_read_pacing(const struct fp_state *state, uint32_t counter, struct fp_pacing_counters *out);
/* As of ten times a second. `id` is the config's whose counters they are; FP_E_INVALID where there are none yet. */
int fp_state_read_merge(const struct fp_state *state, uint32_t number, uint64_t *id, struct fp_merge_counters *out);
/* Flows that no route took, in no order, 0 to fp_state_count_discovered - 1; FP_E_INVALID past the last. */
int fp_state_count_discovered(const struct fp_state *state);
int fp_state_read_discovered(const struct fp_state *state, uint32_t index, struct fp_discovered *out);
uint64_t fp_state_count_evicted(const struct fp_state *state); /* flows that made room for newer ones */
/* Frames of routes with `mirror` so far: the next one's number. The last FP_CAPTURE_SLOTS can be read. */
uint64_t fp_state_count_captured(const struct fp_state *state);
/* Returns 1 and fills *out, or 0 where frame `number` is not there any more, or not yet. */
int fp_state_read_captured(const struct fp_state *state, uint64_t number, struct fp_captured *out);

/* Publish: copy `table` beside the one in use, then one release store of `generation` (above the last one).
 * The worker switches at a burst boundary and acknowledges. FP_E_NOT_ACKNOWLEDGED while the last one is pending;
 * FP_E_INVALID where an output or a match names a port the worker has not; FP_E_MERGE_MEMORY where merges need more
 * than FP_MERGE_ARENA_BYTES, FP_E_SYSTEM where tmpfs is full. Of merges with hold_frames: FP_E_HOLD_REGION where their
 * ports have not one memory region, FP_E_HOLD_BUFFERS where all that hold in a region, and FP_HOLD_SPARE_FRAMES, are
 * more than fp_worker_hold took. A merge that is no longer in the table, or with another config, releases what it holds
 * first, for at most 100 ms: so long the worker keeps the table before. */
int fp_state_publish(struct fp_state *state, const struct fp_table *table, uint64_t generation,
                     const uint8_t digest[FP_DIGEST_BYTES]);
/* Ask the worker to end its loop; from any process. */
void fp_state_request_stop(struct fp_state *state);

/* ---------------------------------------------------------- the worker */

enum fp_wait {
    FP_WAIT_POLL = 0,    /* sleep in poll(2) whenever a turn brought nothing */
    FP_WAIT_BUSY = 1,    /* never sleep */
    FP_WAIT_ADAPTIVE = 2 /* spin for 50 us after the last frame, then poll(2) */
};

struct fp_worker;
/* The worker fills `state`'s worker fields; it does not own `state` nor the ports. */
int fp_worker_create(struct fp_state *state, enum fp_wait wait, struct fp_worker **out);
void fp_worker_destroy(struct fp_worker *worker); /* NULL is allowed */
/* Ports get indices 0, 1, ... in this order, before the first turn. `name` is the one in the configuration.
 * Ports of interfaces are watched, and opened again after they were lost, by a thread of the worker's own that starts
 * here and inherits this thread's CPUs. */
int fp_worker_add_port(struct fp_worker *worker, struct fp_port *port, const char *name);
/* Port `host` becomes the host stack's side of port `port`, before the first turn: "netmap:ens4^" of "netmap:ens4".
 * Frames of `port` that no route takes and whose class is in `classes` (enum fp_host) go there and count as to_host;
 * every frame of `host` goes out of `port`, whatever the table says. `mac` (6 bytes) is the interface's address; NULL:
 * it is asked for, and again when the port is reopened. FP_E_INVALID where a port is paired already. */
int fp_worker_pair_host(struct fp_worker *worker, uint32_t port, uint32_t host, uint32_t classes, const uint8_t *mac);
/* Takes `buffers` buffers (1 .. FP_MAX_HOLD_BUFFERS) out of the memory region of port `port`, for frames that merges of
 * this region hold (fp_merge_config.hold_frames), until the worker is destroyed. After all ports were added, before the
 * first turn, once for a region. `region` as when the port was opened, NULL for netmap ports, whose kernel is asked for
 * extra buffers. FP_E_REGION where there are not so many, FP_E_DUPLICATE where the region has some already. */
int fp_worker_hold(struct fp_worker *worker, uint32_t port, struct fp_region *region, uint32_t buffers);
/* One turn: table switch, a burst from every RX ring, one sync per port. Returns the frames received (>= 0). */
int fp_worker_turn(struct fp_worker *worker);
/* Turns until a stop is requested, then flushes what is in TX rings (at most 100 ms) and returns 0. */
int fp_worker_run(struct fp_worker *worker);

#endif /* FASTPATH_H */
