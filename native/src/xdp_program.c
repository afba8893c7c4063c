/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A few instructions (xdp_filter.c) and bpf(2) calls: less than what libbpf would add to every host, and the same
 * kernel interface.
 */
#include "xdp_program.h"
#include "fastpath.h"
#include <errno.h>
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

static int map_create(uint32_t type, uint32_t value_bytes, uint32_t entries) {
    union bpf_attr attributes = {0};
    attributes.map_type = type;
    attributes.key_size = sizeof(uint32_t);
    attributes.value_size = value_bytes;
    attributes.max_entries = entries;
    return bpf(BPF_MAP_CREATE, &attributes);
}

static int code_load(const struct fp_xdp_filter *filter) {
    struct bpf_insn code[FP_XDP_FILTER_ROOM];
    uint32_t count = fp_xdp_filter_assemble(filter, code);
    union bpf_attr attributes = {0};
    attributes.prog_type = BPF_PROG_TYPE_XDP;
    attributes.expected_attach_type = BPF_XDP;
    attributes.insns = (uintptr_t)code;
    attributes.insn_cnt = count;
    attributes.license = (uintptr_t) "Dual BSD/GPL";
    memcpy(attributes.prog_name, "studio_bypass", sizeof "studio_bypass");
    return bpf(BPF_PROG_LOAD, &attributes);
}

/* One value for all CPUs: what goes to the host is little. */
static int maps_create(struct fp_xdp_program *program, uint32_t queues, bool counts) {
    program->map = map_create(BPF_MAP_TYPE_XSKMAP, sizeof(uint32_t), queues);
    if (program->map >= 0 && counts) {
        program->passed = map_create(BPF_MAP_TYPE_ARRAY, sizeof(uint64_t), 1);
        return program->passed;
    }
    return program->map;
}

int fp_xdp_program_load(struct fp_xdp_program *program, uint32_t queues, uint32_t classes, const uint8_t mac[6]) {
    *program = FP_XDP_PROGRAM_NONE;
    if (maps_create(program, queues, classes != 0) >= 0) {
        struct fp_xdp_filter filter = {.classes = classes, .sockets = program->map, .passed = program->passed};
        memcpy(filter.mac, mac, sizeof filter.mac);
        program->code = code_load(&filter);
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

uint64_t fp_xdp_program_passed(const struct fp_xdp_program *program) {
    uint32_t key = 0;
    uint64_t passed = 0;
    union bpf_attr attributes = {0};
    attributes.map_fd = (uint32_t)program->passed;
    attributes.key = (uintptr_t)&key;
    attributes.value = (uintptr_t)&passed;
    return program->passed >= 0 && bpf(BPF_MAP_LOOKUP_ELEM, &attributes) == 0 ? passed : 0;
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
    const int descriptors[] = {program->link, program->code, program->passed, program->map};
    for (size_t i = 0; i < sizeof descriptors / sizeof descriptors[0]; i++) {
        if (descriptors[i] >= 0) {
            close(descriptors[i]);
        }
    }
    *program = FP_XDP_PROGRAM_NONE;
}
