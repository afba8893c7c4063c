/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ports that were lost come back by themselves. A thread beside the loop watches their interfaces, releases what was
 * lost and opens it again: that takes milliseconds in the kernel, which no other port's frames wait for.
 *
 * A port is in the hands of one of the two threads. The loop hands over a lost port at a burst boundary and puts a port
 * without rings in its place; the thread hands back what it has opened. `custody` is the only word both write.
 */
#ifndef FP_RECOVERY_H
#define FP_RECOVERY_H

#include "fastpath.h"
#include "port.h"

struct fp_worker;
struct fp_worker_port;

enum fp_custody { FP_CUSTODY_LOOP, FP_CUSTODY_RECOVERY, FP_CUSTODY_RETURNED };

/* One port as the recovery thread keeps it. */
struct fp_recovery_port {
    FP_ATOMIC(uint32_t) custody;
    FP_ATOMIC(uint32_t) link;   /* enum fp_link as last seen; recovery */
    FP_ATOMIC(uint64_t) missed; /* frames, since the port was opened last; recovery */
    FP_ATOMIC(uint64_t) passed; /* likewise; recovery */
    bool released;
    struct fp_port_health health;
};

struct fp_recovery;

/* Starts the thread; it looks at the worker's ports as they are added. 0 or a negative code. */
int fp_recovery_start(struct fp_worker *worker, struct fp_recovery **out);
/* Ends it; a port in its hands stays released or opened, to be closed by its owner. NULL is allowed. */
void fp_recovery_stop(struct fp_recovery *recovery);

/* The loop's side, at a burst boundary. */
void fp_recovery_hand_over(struct fp_recovery *recovery, struct fp_worker_port *port);
/* Becomes readable when a port is handed back; cleared by fp_recovery_clear. */
int fp_recovery_returned_fd(const struct fp_recovery *recovery);
void fp_recovery_clear(const struct fp_recovery *recovery);

#endif
