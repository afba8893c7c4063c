/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small assembler, and the filter written in it: the decisions of fp_host_class (host_class.c), in the same order.
 * All jumps lead forward, so the program ends after at most as many steps as it has instructions.
 *
 *   r6 context · r2 first byte of the frame · r3 its end · r7 what is looked at next · r0 r4 r5 scratch
 */
#include "xdp_filter.h"
#include "fastpath.h"
#include "host_class.h"
#include <arpa/inet.h>
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

enum label { HERE, MEDIA, HOST, OWN, TAG_1, TAG_2, TYPES, IPV4, IPV6, NEXT_HEADER, ICMPV6, UDP, LABEL_COUNT };

struct assembler {
    struct bpf_insn *code;
    uint32_t count;
    uint32_t classes;
    uint32_t places[LABEL_COUNT];        /* of the labels */
    uint8_t targets[FP_XDP_FILTER_ROOM]; /* label each instruction jumps to; HERE: it does not */
};

enum { R0, R1, R2, R3, R4, R5, R6, R7 };
enum { FRAME = R2, END = R3, CONTEXT = R6, AT = R7 };

static void emit(struct assembler *to, struct bpf_insn instruction) { to->code[to->count++] = instruction; }

static void jump(struct assembler *to, enum label label, struct bpf_insn instruction) {
    to->targets[to->count] = (uint8_t)label;
    emit(to, instruction);
}

static void place(struct assembler *to, enum label label) { to->places[label] = to->count; }

/* Where a frame of this class goes. */
static enum label way_of(const struct assembler *to, uint32_t class) {
    if ((to->classes & class) == 0) {
        return MEDIA;
    }
    return class == FP_HOST_UNICAST ? OWN : HOST;
}

#define LOAD(size, to_register, from_register, offset) \
    (struct bpf_insn) { BPF_LDX | BPF_MEM | (size), (to_register), (from_register), (int16_t)(offset), 0 }
#define MOVE(to_register, from_register) \
    (struct bpf_insn) { BPF_ALU64 | BPF_MOV | BPF_X, (to_register), (from_register), 0, 0 }
#define SET(to_register, value) \
    (struct bpf_insn) { BPF_ALU64 | BPF_MOV | BPF_K, (to_register), 0, 0, (value) }
#define CHANGE(operation, to_register, value) \
    (struct bpf_insn) { BPF_ALU64 | (operation) | BPF_K, (to_register), 0, 0, (value) }
#define ADD(to_register, from_register) \
    (struct bpf_insn) { BPF_ALU64 | BPF_ADD | BPF_X, (to_register), (from_register), 0, 0 }
#define FROM_NETWORK_16(to_register) \
    (struct bpf_insn) { BPF_ALU | BPF_END | BPF_TO_BE, (to_register), 0, 0, 16 }
#define IF(comparison, one, value) \
    (struct bpf_insn) { BPF_JMP32 | (comparison) | BPF_K, (one), 0, 0, (value) }
#define IF_BEYOND(one, other) \
    (struct bpf_insn) { BPF_JMP | BPF_JGT | BPF_X, (one), (other), 0, 0 }
#define ALWAYS \
    (struct bpf_insn) { BPF_JMP | BPF_JA, 0, 0, 0, 0 }
#define CALL(function) \
    (struct bpf_insn) { BPF_JMP | BPF_CALL, 0, 0, 0, (function) }
#define EXIT \
    (struct bpf_insn) { BPF_JMP | BPF_EXIT, 0, 0, 0, 0 }

/* A 64-bit load into r1, of what a descriptor stands for: two instructions. */
#define MAP(kind, descriptor) \
    (struct bpf_insn) { BPF_LD | BPF_DW | BPF_IMM, R1, (kind), 0, (descriptor) }
#define UPPER_HALF \
    (struct bpf_insn) { 0 }

/* The next `bytes` bytes lie inside the frame, or it is none of the host's. */
static void need(struct assembler *to, int bytes) {
    emit(to, MOVE(R0, AT));
    emit(to, CHANGE(BPF_ADD, R0, bytes));
    jump(to, MEDIA, IF_BEYOND(R0, END));
}

static int network_16(uint16_t value) { return htons(value); }

/* r4: the type of what follows, in network order; r7: where it begins. */
static void write_ethernet(struct assembler *to) {
    static const uint16_t tag_types[] = {FP_ETHERTYPE_CTAG, FP_TYPE_STAG, FP_TYPE_OLD_STAG};
    static const enum label tags[FP_HOST_MAX_TAGS] = {TAG_1, TAG_2};
    emit(to, LOAD(BPF_W, FRAME, CONTEXT, offsetof(struct xdp_md, data)));
    emit(to, LOAD(BPF_W, END, CONTEXT, offsetof(struct xdp_md, data_end)));
    emit(to, MOVE(AT, FRAME));
    need(to, FP_ETHERNET_BYTES);
    emit(to, LOAD(BPF_H, R4, FRAME, 12));
    emit(to, CHANGE(BPF_ADD, AT, FP_ETHERNET_BYTES));
    for (unsigned tag = 0; tag < FP_HOST_MAX_TAGS; tag++) {
        for (unsigned i = 0; i < sizeof tag_types / sizeof tag_types[0]; i++) {
            jump(to, tags[tag], IF(BPF_JEQ, R4, network_16(tag_types[i])));
        }
        jump(to, TYPES, ALWAYS);
        place(to, tags[tag]);
        need(to, FP_TAG_BYTES);
        emit(to, LOAD(BPF_H, R4, AT, 2));
        emit(to, CHANGE(BPF_ADD, AT, FP_TAG_BYTES));
    }
    place(to, TYPES);
    jump(to, IPV4, IF(BPF_JEQ, R4, network_16(FP_ETHERTYPE_IPV4)));
    jump(to, IPV6, IF(BPF_JEQ, R4, network_16(FP_TYPE_IPV6)));
    jump(to, way_of(to, FP_HOST_ARP), IF(BPF_JEQ, R4, network_16(FP_TYPE_ARP)));
    jump(to, way_of(to, FP_HOST_PTP), IF(BPF_JEQ, R4, network_16(FP_TYPE_PTP)));
    jump(to, way_of(to, FP_HOST_LLDP), IF(BPF_JEQ, R4, network_16(FP_TYPE_LLDP)));
    jump(to, way_of(to, FP_HOST_UNICAST), ALWAYS);
}

static void write_version(struct assembler *to, int version) {
    emit(to, LOAD(BPF_B, R0, AT, 0));
    emit(to, MOVE(R5, R0));
    emit(to, CHANGE(BPF_RSH, R5, 4));
    jump(to, MEDIA, IF(BPF_JNE, R5, version));
}

static void write_ipv4(struct assembler *to) {
    place(to, IPV4);
    need(to, FP_IPV4_BYTES);
    write_version(to, 4);
    emit(to, CHANGE(BPF_AND, R0, 0x0f));
    emit(to, CHANGE(BPF_LSH, R0, 2)); /* r0: bytes of the header */
    jump(to, MEDIA, IF(BPF_JLT, R0, FP_IPV4_BYTES));
    emit(to, LOAD(BPF_B, R5, AT, 9));
    jump(to, way_of(to, FP_HOST_IGMP), IF(BPF_JEQ, R5, FP_NEXT_IGMP));
    jump(to, way_of(to, FP_HOST_UNICAST), IF(BPF_JNE, R5, FP_PROTOCOL_UDP));
    emit(to, LOAD(BPF_H, R5, AT, 6));
    jump(to, way_of(to, FP_HOST_UNICAST), IF(BPF_JSET, R5, network_16(FP_FRAGMENT_FIELDS)));
    emit(to, ADD(AT, R0));
    jump(to, UDP, ALWAYS);
}

static void write_ipv6(struct assembler *to) {
    place(to, IPV6);
    need(to, FP_IPV6_BYTES);
    write_version(to, 6);
    emit(to, LOAD(BPF_B, R5, AT, 6));
    emit(to, CHANGE(BPF_ADD, AT, FP_IPV6_BYTES));
    jump(to, NEXT_HEADER, IF(BPF_JNE, R5, FP_NEXT_HOP_BY_HOP));
    need(to, FP_HOST_HOP_BY_HOP_BYTES);
    emit(to, LOAD(BPF_B, R5, AT, 0));
    emit(to, LOAD(BPF_B, R0, AT, 1));
    emit(to, CHANGE(BPF_ADD, AT, FP_HOST_HOP_BY_HOP_BYTES));
    jump(to, MEDIA, IF(BPF_JNE, R0, 0));
    place(to, NEXT_HEADER);
    jump(to, UDP, IF(BPF_JEQ, R5, FP_PROTOCOL_UDP));
    jump(to, ICMPV6, IF(BPF_JEQ, R5, FP_NEXT_ICMPV6));
    jump(to, MEDIA, IF(BPF_JEQ, R5, FP_NEXT_HOP_BY_HOP));
    jump(to, MEDIA, IF(BPF_JEQ, R5, FP_NEXT_ROUTING));
    jump(to, MEDIA, IF(BPF_JEQ, R5, FP_NEXT_DESTINATION));
    jump(to, way_of(to, FP_HOST_UNICAST), ALWAYS);
    place(to, ICMPV6);
    need(to, 1);
    emit(to, LOAD(BPF_B, R5, AT, 0));
    jump(to, way_of(to, FP_HOST_MLD), IF(BPF_JEQ, R5, FP_MLD_REPORT_V2));
    jump(to, way_of(to, FP_HOST_UNICAST), IF(BPF_JLT, R5, FP_MLD_QUERY));
    jump(to, way_of(to, FP_HOST_MLD), IF(BPF_JLE, R5, FP_MLD_DONE));
    jump(to, way_of(to, FP_HOST_ND), IF(BPF_JLE, R5, FP_ND_LAST)); /* from FP_ND_FIRST, the next number, on */
    jump(to, way_of(to, FP_HOST_UNICAST), ALWAYS);
}

static_assert(FP_MLD_DONE + 1 == FP_ND_FIRST, "what is no MLD below FP_ND_LAST is neighbour discovery");

static void write_udp(struct assembler *to) {
    place(to, UDP);
    need(to, FP_UDP_BYTES);
    emit(to, LOAD(BPF_H, R4, AT, 0));
    emit(to, LOAD(BPF_H, R5, AT, 2));
    emit(to, FROM_NETWORK_16(R4));
    emit(to, FROM_NETWORK_16(R5));
    jump(to, way_of(to, FP_HOST_PTP), IF(BPF_JEQ, R5, FP_PTP_EVENT_PORT));
    jump(to, way_of(to, FP_HOST_PTP), IF(BPF_JEQ, R5, FP_PTP_GENERAL_PORT));
    jump(to, way_of(to, FP_HOST_UNICAST), IF(BPF_JLT, R4, FP_FIRST_USER_PORT));
    jump(to, way_of(to, FP_HOST_UNICAST), IF(BPF_JLT, R5, FP_FIRST_USER_PORT));
    jump(to, MEDIA, ALWAYS);
}

/* The destination in r4 (four bytes) and r5 (two): this interface, or everybody. */
static void write_own(struct assembler *to, const uint8_t mac[6]) {
    int32_t head;
    uint16_t tail;
    memcpy(&head, mac, sizeof head);
    memcpy(&tail, mac + sizeof head, sizeof tail);
    place(to, OWN);
    emit(to, LOAD(BPF_W, R4, FRAME, 0));
    emit(to, LOAD(BPF_H, R5, FRAME, 4));
    emit(to, SET(R0, 1));
    struct bpf_insn other = IF(BPF_JNE, R4, head);
    other.off = 1; /* past the next one */
    emit(to, other);
    jump(to, HOST, IF(BPF_JEQ, R5, tail));
    jump(to, MEDIA, IF(BPF_JNE, R4, -1));
    jump(to, MEDIA, IF(BPF_JNE, R5, 0xffff));
}

static void write_host(struct assembler *to, int passed) {
    place(to, HOST);
    emit(to, MAP(BPF_PSEUDO_MAP_VALUE, passed));
    emit(to, UPPER_HALF);
    emit(to, SET(R0, 1));
    emit(to, (struct bpf_insn){BPF_STX | BPF_ATOMIC | BPF_DW, R1, R0, 0, BPF_ADD});
    emit(to, SET(R0, XDP_PASS));
    emit(to, EXIT);
}

/* return bpf_redirect_map(sockets, context->rx_queue_index, XDP_PASS): queues without a socket are the host's */
static void write_media(struct assembler *to, int sockets) {
    place(to, MEDIA);
    emit(to, LOAD(BPF_W, R2, CONTEXT, offsetof(struct xdp_md, rx_queue_index)));
    emit(to, MAP(BPF_PSEUDO_MAP_FD, sockets));
    emit(to, UPPER_HALF);
    emit(to, SET(R3, XDP_PASS));
    emit(to, CALL(BPF_FUNC_redirect_map));
    emit(to, EXIT);
}

uint32_t fp_xdp_filter_assemble(const struct fp_xdp_filter *filter, struct bpf_insn code[FP_XDP_FILTER_ROOM]) {
    struct assembler to = {.code = code, .classes = filter->classes};
    emit(&to, MOVE(CONTEXT, R1));
    if (filter->classes == 0) {
        write_media(&to, filter->sockets);
        return to.count;
    }
    write_ethernet(&to);
    write_ipv4(&to);
    write_ipv6(&to);
    write_udp(&to);
    if ((filter->classes & FP_HOST_UNICAST) != 0) {
        write_own(&to, filter->mac);
    }
    write_host(&to, filter->passed);
    write_media(&to, filter->sockets);
    for (uint32_t i = 0; i < to.count; i++) {
        if (to.targets[i] != HERE) {
            code[i].off = (int16_t)(to.places[to.targets[i]] - i - 1);
        }
    }
    return to.count;
}
