/* SPDX-License-Identifier: Apache-2.0 */
#include "netmap_device.h"
#include "fastpath.h"
#include <string.h>
#include <sys/mman.h>

int fp_netmap_request(int fd, uint16_t type, const char *name, void *body, const void *option) {
    struct nmreq_header header = {
        .nr_version = NETMAP_API, .nr_reqtype = type, .nr_options = (uintptr_t)option, .nr_body = (uintptr_t)body};
    memcpy(header.nr_name, name, strnlen(name, sizeof header.nr_name - 1));
    return ioctl(fd, NIOCCTRL, &header);
}

int fp_netmap_map(int fd, uint64_t bytes, struct fp_netmap_memory *out) {
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED) {
        return FP_E_SYSTEM;
    }
    /* The loop's process of another port (netmap_kloop.h) would keep this one's device from being removed. */
    (void)madvise(memory, bytes, MADV_DONTFORK);
    *out = (struct fp_netmap_memory){memory, bytes};
    return 0;
}

void fp_netmap_unmap(struct fp_netmap_memory *memory) {
    if (memory->start != NULL) {
        munmap(memory->start, memory->bytes);
    }
    *memory = (struct fp_netmap_memory){0};
}
