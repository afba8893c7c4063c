/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sends equal UDP frames out of an interface faster than the kernel can forward them, and prints one line of JSON: the
 * kernel itself runs an XDP program that redirects copies of the frame to the interface (bpf(2), BPF_PROG_TEST_RUN with
 * BPF_F_TEST_XDP_LIVE_FRAMES, Linux 5.18).
 *
 *   bench_blast INTERFACE FRAME_BYTES SECONDS
 */
#include "frame_builder.h"
#include <errno.h>
#include <linux/bpf.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { BATCH = 64, HEADERS_BYTES = 42, LEAST_BYTES = 60, MOST_BYTES = 1514 };

static void fail(const char *what) {
    (void)fprintf(stderr, "bench_blast: %s: %s\n", what, strerror(errno)); /* NOLINT(concurrency-mt-unsafe) */
    exit(1);
}

static int bpf(int command, union bpf_attr *attributes) {
    return (int)syscall(SYS_bpf, command, attributes, sizeof *attributes);
}

/* return bpf_redirect(ifindex, 0) */
static int program_load(uint32_t ifindex) {
    const struct bpf_insn code[] = {
        {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_1, .imm = (int)ifindex},
        {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_2, .imm = 0},
        {.code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_redirect},
        {.code = BPF_JMP | BPF_EXIT},
    };
    union bpf_attr attributes = {0};
    attributes.prog_type = BPF_PROG_TYPE_XDP;
    attributes.insns = (uintptr_t)code;
    attributes.insn_cnt = sizeof code / sizeof code[0];
    attributes.license = (uintptr_t) "Dual BSD/GPL";
    int fd = bpf(BPF_PROG_LOAD, &attributes);
    if (fd < 0) {
        fail("loading the program");
    }
    return fd;
}

/* The kernel runs the program on `frames` copies of the frame and sends them where it says. */
static void frames_send(int program, const uint8_t *frame, uint32_t length, uint32_t frames) {
    union bpf_attr attributes = {0};
    struct xdp_md context = {.data_end = length};
    attributes.test.prog_fd = (uint32_t)program;
    attributes.test.data_in = (uintptr_t)frame;
    attributes.test.data_size_in = length;
    attributes.test.ctx_in = (uintptr_t)&context;
    attributes.test.ctx_size_in = sizeof context;
    attributes.test.repeat = frames;
    attributes.test.flags = BPF_F_TEST_XDP_LIVE_FRAMES;
    attributes.test.batch_size = BATCH;
    if (bpf(BPF_PROG_TEST_RUN, &attributes) != 0 && errno != EINTR) {
        fail("sending");
    }
}

/* To 239.1.0.1, as bench_wire's first route. */
static uint32_t frame_make(uint8_t *frame, uint32_t bytes) {
    struct frame_shape shape = {.group = 1, .udp_port = 20000, .payload_bytes = bytes - HEADERS_BYTES};
    /* Destination, and a source that is no group: bridges drop others. */
    static const uint8_t macs[] = {0x01, 0x00, 0x5e, 0x01, 0x00, 0x01, 0x02, 0x00, 0x00, 0x00, 0x00, 0x01};
    uint32_t length = frame_build(&shape, frame);
    memcpy(frame, macs, sizeof macs);
    return length;
}

static void end_now(int number) { (void)number; /* interrupts the call, that is all */ }

int main(int argc, char **argv) {
    static uint8_t frame[FRAME_ROOM];
    struct sigaction action = {.sa_handler = end_now};
    if (argc != 4 || atoi(argv[2]) < LEAST_BYTES || atoi(argv[2]) > MOST_BYTES) { /* NOLINT(cert-err34-c) */
        (void)fprintf(stderr, "usage: bench_blast INTERFACE FRAME_BYTES SECONDS\n");
        return 2;
    }
    uint32_t ifindex = if_nametoindex(argv[1]);
    if (ifindex == 0) {
        fail(argv[1]);
    }
    int program = program_load(ifindex);
    uint32_t length = frame_make(frame, (uint32_t)strtoul(argv[2], NULL, 10));
    (void)sigaction(SIGALRM, &action, NULL);
    (void)alarm((unsigned)strtoul(argv[3], NULL, 10));
    frames_send(program, frame, length, INT32_MAX); /* years; the alarm ends it */
    close(program);
    return 0;
}
