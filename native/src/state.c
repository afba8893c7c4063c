/* SPDX-License-Identifier: Apache-2.0 */
/* The state segment's file: creation, mapping, and what readers take out of it. */
#include "state.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static_assert(sizeof(struct fp_port_counters) % sizeof(uint64_t) == 0, "counters are 64-bit words");
static_assert(sizeof(struct fp_port_info) % sizeof(uint64_t) == 0, "read and written as words");
static_assert(sizeof(struct fp_port_health) % sizeof(uint64_t) == 0, "read and written as words");
static_assert(sizeof(struct fp_route_counters) == 2 * sizeof(uint64_t), "route counters are two words");

/* Field 22 of /proc/self/stat; the second field, the name, may hold spaces and parentheses. 0 where unreadable. */
static uint64_t read_own_start_ticks(void) {
    char text[1024];
    int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return 0;
    }
    ssize_t got = read(fd, text, sizeof text - 1);
    close(fd);
    if (got <= 0) {
        return 0;
    }
    text[got] = '\0';
    const char *at = strrchr(text, ')');
    for (unsigned field = 2; at != NULL && field < 22; field++) {
        at = strchr(at + 1, ' ');
    }
    return at != NULL ? strtoull(at, NULL, 10) : 0;
}

static uint64_t realtime_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

/* Maps the file of `fd` into a new fp_state, which then owns it. `flags` for mmap(2) of what is not sparse. */
static int state_map(int fd, int flags, struct fp_state **out) {
    struct fp_state *state = calloc(1, sizeof *state);
    if (state == NULL) {
        return FP_E_NO_MEMORY;
    }
    size_t bytes = sizeof(struct fp_segment);
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED) {
        free(state);
        return FP_E_SYSTEM;
    }
    if (flags != 0 &&
        mmap(memory, FP_STATE_SPARSE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED | flags, fd, 0) == MAP_FAILED) {
        munmap(memory, bytes);
        free(state);
        return FP_E_SYSTEM;
    }
    state->fd = fd;
    state->segment = memory;
    *out = state;
    return 0;
}

static int state_fill(int fd, const char *temporary, const char *path, struct fp_state **out) {
    struct fp_state *state = NULL;
    /* Or the loop would die of SIGBUS on a full tmpfs. */
    if (ftruncate(fd, (off_t)sizeof(struct fp_segment)) != 0) {
        return FP_E_SYSTEM;
    }
    if (posix_fallocate(fd, 0, (off_t)FP_STATE_SPARSE) != 0) {
        errno = ENOSPC;
        return FP_E_SYSTEM;
    }
    /* Populated: the loop shall not fault pages in, one for each route it meets first. */
    int result = state_map(fd, MAP_POPULATE, &state);
    if (result != 0) {
        return result;
    }
    struct fp_segment *segment = state->segment;
    segment->magic = FP_STATE_MAGIC;
    segment->version = FP_STATE_VERSION;
    segment->size_bytes = sizeof *segment;
    segment->pid = (uint64_t)getpid();
    segment->pid_start_ticks = read_own_start_ticks();
    segment->started_ns = realtime_ns();
    if (rename(temporary, path) != 0) { /* readers see a whole file or none */
        munmap(segment, sizeof *segment);
        free(state);
        return FP_E_SYSTEM;
    }
    *out = state;
    return 0;
}

int fp_state_create(const char *path, struct fp_state **out) {
    char temporary[PATH_MAX];
    int length = snprintf(temporary, sizeof temporary, "%s.XXXXXX", path);
    if (length < 0 || (size_t)length >= sizeof temporary) {
        return FP_E_INVALID;
    }
    int fd = mkostemp(temporary, O_CLOEXEC);
    if (fd < 0) {
        return FP_E_SYSTEM;
    }
    int result = state_fill(fd, temporary, path, out);
    if (result != 0) {
        int saved = errno;
        unlink(temporary);
        close(fd);
        errno = saved;
    }
    return result;
}

static int segment_check(int fd) {
    struct stat status;
    if (fstat(fd, &status) != 0) {
        return FP_E_SYSTEM;
    }
    uint64_t head[3];
    static_assert(offsetof(struct fp_segment, size_bytes) == 16, "the head is read before the file is mapped");
    if (status.st_size != (off_t)sizeof(struct fp_segment) || pread(fd, head, sizeof head, 0) != (ssize_t)sizeof head ||
        head[0] != FP_STATE_MAGIC || (uint32_t)head[1] != FP_STATE_VERSION || head[2] != sizeof(struct fp_segment)) {
        return FP_E_STATE_VERSION;
    }
    return 0;
}

int fp_state_open(const char *path, struct fp_state **out) {
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0) {
        return FP_E_SYSTEM;
    }
    int result = segment_check(fd);
    if (result == 0) {
        result = state_map(fd, 0, out);
    }
    if (result != 0) {
        int saved = errno;
        close(fd);
        errno = saved;
    }
    return result;
}

void fp_state_close(struct fp_state *state) {
    if (state == NULL) {
        return;
    }
    munmap(state->segment, sizeof *state->segment);
    close(state->fd);
    free(state);
}
