/* SPDX-License-Identifier: Apache-2.0 */
#include "netmap_kloop.h"
#include "netmap_device.h"
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Between two rounds of the kernel's. At 14.88 Mpps (10G, 64 bytes) 149 frames come in between, less than any ring. */
enum { SLEEP_US = 10 };
/* nm_csb_atok.sync_flags of transmit rings: look for new frames and take sent slots back, in every round. By itself the
 * loop takes them back only once the ring is half full, a round too late for bursts into small rings. */
enum { FORCE_READ = 1, FORCE_RECLAIM = 2 };
enum { TRIES = 2000, PAUSE_NS = 1000000 /* two seconds together */ };

int fp_netmap_kloop_prepare(struct fp_netmap_kloop *kloop, struct nmreq_opt_csb *option) {
    void *memory = mmap(NULL, sizeof *kloop->memory, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        return FP_E_NO_MEMORY;
    }
    kloop->memory = memory;
    *option = (struct nmreq_opt_csb){
        .nro_opt.nro_reqtype = NETMAP_REQ_OPT_CSB,
        .csb_atok = (uintptr_t)kloop->memory->atok,
        .csb_ktoa = (uintptr_t)kloop->memory->ktoa,
    };
    return 0;
}

/* Only system calls here: the worker's other threads, and what they hold, are not in this process. */
static void loop_run(struct fp_kloop_memory *memory, int fd, pid_t worker) {
    struct nmreq_sync_kloop_start start = {.sleep_us = SLEEP_US};
    sigset_t all;
    cpu_set_t cpus;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != worker) {
        _exit(1);
    }
    sigfillset(&all); /* a signal meant for the worker must not end the loop; SIGKILL does */
    (void)sigprocmask(SIG_SETMASK, &all, NULL);
    memset(&cpus, 0xff, sizeof cpus); /* not the worker's: it never sleeps */
    (void)sched_setaffinity(0, sizeof cpus, &cpus);
    (void)dup2(fd, 0); /* nothing else of the worker's stays open here: locks, pipes, ports */
    (void)syscall(SYS_close_range, 1U, ~0U, 0U);
    int result = fp_netmap_request(0, NETMAP_REQ_SYNC_KLOOP_START, "", &start, NULL);
    atomic_store_explicit(&memory->ended, result == 0 ? 1 : errno + 1, memory_order_release);
    _exit(0);
}

static void pause_briefly(void) { nanosleep(&(struct timespec){.tv_nsec = PAUSE_NS}, NULL); }

/* The first thing a round does is to say that it needs no kick. */
static int wait_until_running(struct fp_netmap_kloop *kloop) {
    const volatile uint32_t *kick = &kloop->memory->ktoa[0].kern_need_kick;
    for (unsigned i = 0; i < TRIES && *kick != 0; i++) {
        if (atomic_load_explicit(&kloop->memory->ended, memory_order_acquire) != 0) {
            return FP_E_NO_KLOOP;
        }
        pause_briefly();
    }
    return *kick == 0 ? 0 : FP_E_NO_KLOOP;
}

static int process_start(struct fp_netmap_kloop *kloop, int fd) {
    pid_t worker = getpid();
    kloop->memory->ktoa[0].kern_need_kick = 1;
    atomic_store(&kloop->memory->ended, 0);
    pid_t process = fork();
    if (process == 0) {
        loop_run(kloop->memory, fd, worker);
    }
    if (process < 0) {
        return FP_E_SYSTEM;
    }
    kloop->process = process;
    return wait_until_running(kloop);
}

static bool is_gone(const struct fp_netmap_kloop *kloop) {
    siginfo_t info = {0};
    int result = waitid(P_PID, (id_t)kloop->process, &info, WEXITED | WNOHANG | WNOWAIT);
    return result != 0 || info.si_pid != 0;
}

/* False where the loop goes on although its process was killed. */
static bool process_kill(struct fp_netmap_kloop *kloop) {
    (void)kill(kloop->process, SIGKILL);
    for (unsigned i = 0; i < TRIES && !is_gone(kloop); i++) {
        pause_briefly();
    }
    if (!is_gone(kloop)) {
        return false;
    }
    (void)waitpid(kloop->process, NULL, 0);
    kloop->process = 0;
    return true;
}

int fp_netmap_kloop_start(struct fp_netmap_kloop *kloop, int fd) {
    int result = process_start(kloop, fd);
    /* Killed once before it is needed. */
    if (result == 0 && !process_kill(kloop)) {
        result = FP_E_NO_KLOOP;
        (void)fp_netmap_request(fd, NETMAP_REQ_SYNC_KLOOP_STOP, "", NULL, NULL);
    }
    return result != 0 ? result : process_start(kloop, fd);
}

void fp_netmap_kloop_stop(struct fp_netmap_kloop *kloop) {
    if (kloop->process != 0) {
        (void)process_kill(kloop);
    }
    if (kloop->memory != NULL) {
        munmap(kloop->memory, sizeof *kloop->memory);
    }
    *kloop = (struct fp_netmap_kloop){0};
}

int fp_netmap_kloop_exchange(struct fp_netmap_kloop *kloop, struct fp_ring *rings, uint32_t count, uint32_t first) {
    struct fp_kloop_memory *memory = kloop->memory;
    int ended = atomic_load_explicit(&memory->ended, memory_order_relaxed);
    if (ended != 0) {
        errno = ended > 1 ? ended - 1 : ESRCH;
        return FP_E_SYSTEM;
    }
    uint32_t flags = first == 0 ? FORCE_READ | FORCE_RECLAIM : FORCE_READ; /* transmit rings are the first */
    for (uint32_t i = 0; i < count; i++) {
        struct netmap_ring *ring = rings[i].shared;
        struct nm_csb_atok *to = &memory->atok[first + i];
        uint32_t head = ring->head;
        /* Slots before cur, cur before head: the kernel reads them the other way round. */
        __atomic_store_n(&to->sync_flags, flags, __ATOMIC_RELAXED);
        __atomic_store_n(&to->cur, head, __ATOMIC_RELEASE);
        __atomic_store_n(&to->head, head, __ATOMIC_RELEASE);
        /* Before the slots it stands for. */
        ring->tail = __atomic_load_n(&memory->ktoa[first + i].hwtail, __ATOMIC_ACQUIRE);
    }
    return 0;
}

void fp_netmap_kloop_check(const struct fp_netmap_kloop *kloop) {
    int running = 0;
    if (kloop->memory != NULL && kloop->process != 0 && is_gone(kloop)) {
        (void)atomic_compare_exchange_strong(&kloop->memory->ended, &running, ESRCH + 1);
    }
}
