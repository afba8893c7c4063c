/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Four instructions and three bpf(2) calls: less than what libbpf would add to every host, and the same kernel
 * interface.
 */
#include "xdp_program.h"
#include "fastpath.h"
#include <errno.h>
#include <linux/bpf.h>
#include <linux/if_link.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int bpf(int command, union bpf_attr *attributes) {
    return (int)syscall(SYS_bpf, command, attributes, sizeof *attributes);
}

static int code_of_errno(void) {
    switch (errno) {
    case EBUSY:
    case EEXIST:
        return FP_E_BUSY;
    case EOPNOTSUPP:
    case ENOSYS:
        return FP_E_UNSUPPORTED;
    case ENODEV:
        return FP_E_NO_DEVICE;
    case ENOMEM:
        return FP_E_NO_MEMORY;
    default:
        return FP_E_SYSTEM;
    }
}

static int map_create(uint32_t queues) {
    union bpf_attr attributes = {0};
    attributes.map_type = BPF_MAP_TYPE_XSKMAP;
    attributes.key_size = sizeof(uint32_t);
    attributes.value_size = sizeof(uint32_t);
    attributes.max_entries = queues;
    return bpf(BPF_MAP_CREATE, &attributes);
}

/* return bpf_redirect_map(map, context->rx_queue_index, XDP_PASS) */
static int code_load(int map) {
    const struct bpf_insn code[] = {
        {.code = BPF_LDX | BPF_MEM | BPF_W,
         .dst_reg = BPF_REG_2,
         .src_reg = BPF_REG_1,
         .off = offsetof(struct xdp_md, rx_queue_index)},
        {.code = BPF_LD | BPF_DW | BPF_IMM, .dst_reg = BPF_REG_1, .src_reg = BPF_PSEUDO_MAP_FD, .imm = map},
        {0}, /* the upper half of the 64-bit load */
        {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_3, .imm = XDP_PASS},
        {.code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_redirect_map},
        {.code = BPF_JMP | BPF_EXIT},
    };
    union bpf_attr attributes = {0};
    attributes.prog_type = BPF_PROG_TYPE_XDP;
    attributes.expected_attach_type = BPF_XDP;
    attributes.insns = (uintptr_t)code;
    attributes.insn_cnt = sizeof code / sizeof code[0];
    attributes.license = (uintptr_t) "Dual BSD/GPL";
    memcpy(attributes.prog_name, "studio_bypass", sizeof "studio_bypass");
    return bpf(BPF_PROG_LOAD, &attributes);
}

int fp_xdp_program_load(struct fp_xdp_program *program, uint32_t queues) {
    *program = (struct fp_xdp_program){-1, -1, -1};
    program->map = map_create(queues);
    if (program->map >= 0) {
        program->code = code_load(program->map);
    }
    if (program->code < 0) {
        int saved = errno;
        int result = code_of_errno();
        fp_xdp_program_close(program);
        errno = saved;
        return result;
    }
    return 0;
}

int fp_xdp_program_direct(const struct fp_xdp_program *program, uint32_t queue, int socket) {
    union bpf_attr attributes = {0};
    attributes.map_fd = (uint32_t)program->map;
    attributes.key = (uintptr_t)&queue;
    attributes.value = (uintptr_t)&socket;
    attributes.flags = BPF_ANY;
    return bpf(BPF_MAP_UPDATE_ELEM, &attributes) == 0 ? 0 : code_of_errno();
}

int fp_xdp_program_attach(struct fp_xdp_program *program, int ifindex, bool generic) {
    union bpf_attr attributes = {0};
    attributes.link_create.prog_fd = (uint32_t)program->code;
    attributes.link_create.target_ifindex = (uint32_t)ifindex;
    attributes.link_create.attach_type = BPF_XDP;
    attributes.link_create.flags = generic ? XDP_FLAGS_SKB_MODE : XDP_FLAGS_DRV_MODE;
    program->link = bpf(BPF_LINK_CREATE, &attributes);
    return program->link >= 0 ? 0 : code_of_errno();
}

void fp_xdp_program_close(struct fp_xdp_program *program) {
    const int descriptors[] = {program->link, program->code, program->map};
    for (size_t i = 0; i < sizeof descriptors / sizeof descriptors[0]; i++) {
        if (descriptors[i] >= 0) {
            close(descriptors[i]);
        }
    }
    *program = (struct fp_xdp_program){-1, -1, -1};
}
