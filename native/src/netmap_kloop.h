/* SPDX-License-Identifier: Apache-2.0 */
/*
 * netmap's sync loop in the kernel: a process of ours stays inside one ioctl and syncs all rings of a port, round after
 * round, while the worker exchanges ring indices with it in shared memory (CSB) and makes no system call.
 *
 * A process, because only a signal that kills ends the loop without a signal handler; it dies with the worker, however
 * that ends (PR_SET_PDEATHSIG), and takes the loop of an interface that went away with it. A netmap whose loop does not
 * look for signals is found out at opening and refused: what runs there could not be ended.
 */
#ifndef FP_NETMAP_KLOOP_H
#define FP_NETMAP_KLOOP_H

#include "netmap_abi.h"
#include "port.h"
#include <sys/types.h>

struct fp_kloop_memory {
    struct nm_csb_atok atok[2 * FP_MAX_RINGS]; /* written by us */
    struct nm_csb_ktoa ktoa[2 * FP_MAX_RINGS]; /* written by the kernel */
    FP_ATOMIC(int)
    ended; /* errno + 1 of the loop's end; 0: it runs. Written by its process, or by who found that gone */
};

struct fp_netmap_kloop {
    struct fp_kloop_memory *memory; /* shared with the process; NULL: not used */
    pid_t process;                  /* 0: none */
};

/* Memory and the option of the registration that names it. 0 or a negative code. */
int fp_netmap_kloop_prepare(struct fp_netmap_kloop *kloop, struct nmreq_opt_csb *option);
/* Starts the loop of the registered port behind `fd`. FP_E_NO_KLOOP where netmap has none that can be ended. */
int fp_netmap_kloop_start(struct fp_netmap_kloop *kloop, int fd);
/* Ends it; also where there is none. */
void fp_netmap_kloop_stop(struct fp_netmap_kloop *kloop);
/* Tells head and cur of rings to the kernel and takes its tails; the first ring's entry is `first`. 0 or a negative
 * code where the loop has ended. */
int fp_netmap_kloop_exchange(struct fp_netmap_kloop *kloop, struct fp_ring *rings, uint32_t count, uint32_t first);
/* Whether its process still lives; the next exchange fails where not. */
void fp_netmap_kloop_check(const struct fp_netmap_kloop *kloop);

#endif
