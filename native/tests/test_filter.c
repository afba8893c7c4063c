/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The XDP program, run by the kernel (BPF_PROG_TEST_RUN), says of every frame what fp_host_class says: samples of every
 * class, cut and damaged ones, for every set of classes that matters. Needs root (CAP_BPF, CAP_NET_ADMIN); skips loudly
 * without.
 */
#include "check.h"
#include "host_samples.h"
#include "xdp_program.h"
#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { SKIPPED = 77, ETHERNET_BYTES = 14, DAMAGED = 20000 };

/* Whether the program left the frame to the host; its return value is XDP_PASS in any case: no queue has a socket. */
static int is_passed(const struct fp_xdp_program *program, const uint8_t *frame, uint32_t length) {
    uint64_t before = fp_xdp_program_passed(program);
    union bpf_attr attributes = {0};
    attributes.test.prog_fd = (uint32_t)program->code;
    attributes.test.data_in = (uintptr_t)frame;
    attributes.test.data_size_in = length;
    CHECK_EQ(syscall(SYS_bpf, BPF_PROG_TEST_RUN, &attributes, sizeof attributes), 0);
    CHECK_EQ(attributes.test.retval, XDP_PASS);
    uint64_t passed = fp_xdp_program_passed(program) - before;
    CHECK(passed <= 1);
    return passed == 1;
}

static void compare(const struct fp_xdp_program *program, uint32_t classes, const struct host_sample *sample,
                    uint32_t length) {
    int wanted = (fp_host_class(sample->bytes, length, sample_mac) & classes) != 0;
    int seen = is_passed(program, sample->bytes, length);
    if (seen != wanted) {
        (void)fprintf(stderr, "%s, %u bytes, classes %#x: filter says %d, fp_host_class %d\n", sample->name, length,
                      classes, seen, wanted);
        exit(1);
    }
}

static void open_or_skip(struct fp_xdp_program *program, uint32_t classes) {
    int result = fp_xdp_program_load(program, 1, classes, sample_mac);
    if (result == FP_E_SYSTEM && errno == EPERM) {
        (void)printf("SKIPPED: no BPF program can be loaded; run as root to test the XDP filter\n");
        exit(SKIPPED);
    }
    CHECK_EQ(result, 0);
}

/* Every sample whole, and cut after every byte. */
static void agrees_on_samples(const struct fp_xdp_program *program, uint32_t classes) {
    struct host_sample sample;
    for (unsigned tags = 0; tags <= 2; tags++) {
        for (unsigned i = 0; host_sample_build(i, tags, &sample); i++) {
            for (uint32_t length = ETHERNET_BYTES; length <= sample.length; length++) {
                compare(program, classes, &sample, length);
            }
        }
    }
}

static uint32_t random_below(uint32_t limit) {
    static uint64_t state = 0x2545f4914f6cdd1dULL;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 32) % limit;
}

static void agrees_on_damaged(const struct fp_xdp_program *program, uint32_t classes) {
    struct host_sample sample;
    unsigned count = 0;
    while (host_sample_build(count, 0, &sample)) {
        count++;
    }
    CHECK(count > 0);
    for (unsigned i = 0; i < DAMAGED; i++) {
        CHECK(host_sample_build(random_below(count), random_below(3), &sample));
        for (uint32_t changes = random_below(4); changes > 0; changes--) {
            sample.bytes[random_below(sample.length)] ^= (uint8_t)(1U << random_below(8));
        }
        compare(program, classes, &sample, ETHERNET_BYTES + random_below(sample.length - ETHERNET_BYTES + 1));
    }
}

static void every_set_agrees(void) {
    for (uint32_t bit = 0; bit <= 7; bit++) {
        uint32_t sets[] = {1U << bit & FP_HOST_ANY, FP_HOST_ANY & ~(1U << bit)};
        for (unsigned i = 0; i < 2; i++) {
            struct fp_xdp_program program;
            if (sets[i] != 0) {
                open_or_skip(&program, sets[i]);
                agrees_on_samples(&program, sets[i]);
                agrees_on_damaged(&program, sets[i]);
                fp_xdp_program_close(&program);
            }
        }
    }
}

/* Without classes nothing is looked at and nothing counted. */
static void without_classes_nothing_is_counted(void) {
    struct fp_xdp_program program;
    struct host_sample sample;
    open_or_skip(&program, 0);
    CHECK_EQ(program.passed, -1);
    for (unsigned i = 0; host_sample_build(i, 1, &sample); i++) {
        CHECK_EQ(is_passed(&program, sample.bytes, sample.length), 0);
    }
    fp_xdp_program_close(&program);
}

int main(void) {
    RUN(without_classes_nothing_is_counted);
    RUN(every_set_agrees);
    return 0;
}
