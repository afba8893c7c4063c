/* SPDX-License-Identifier: Apache-2.0 */
/* Stores of a worker: made before its first turn, emptied when a merge, or the worker, ends. */
#include "media.h"
#include "ordered.h"
#include <stdlib.h>

static_assert(FP_MAX_MERGES % 64 == 0, "a bit for each merge");

static int ordering_make(struct fp_worker *worker) {
    struct fp_ordering *ordering = worker->ordering != NULL ? worker->ordering : calloc(1, sizeof *ordering);
    if (ordering == NULL) {
        return FP_E_NO_MEMORY;
    }
    if (worker->ordering == NULL) {
        ordering->due_ns = UINT64_MAX;
        for (uint32_t number = 0; number < FP_MAX_MERGES; number++) {
            ordering->lines[number].first = FP_HOLD_NONE;
        }
        worker->ordering = ordering;
    }
    return 0;
}

static void ports_join(struct fp_worker *worker, struct fp_hold *hold) {
    for (uint32_t i = 0; i < worker->port_count; i++) {
        struct fp_port_info *info = &worker->ports[i].own->info;
        if (info->region == hold->region) {
            worker->ordering->hold_of[i] = hold;
            info->hold_buffers = hold->count;
            info->hold_bytes = fp_hold_bytes(hold);
            fp_worker_publish_info(worker, i);
        }
    }
}

int fp_worker_hold(struct fp_worker *worker, uint32_t port, struct fp_region *region, uint32_t buffers) {
    if (port >= worker->port_count || worker->loops != 0 || buffers == 0 || buffers > FP_MAX_HOLD_BUFFERS) {
        return FP_E_INVALID;
    }
    int result = ordering_make(worker);
    if (result != 0) {
        return result;
    }
    struct fp_ordering *ordering = worker->ordering;
    if (ordering->hold_of[port] != NULL) {
        return FP_E_DUPLICATE;
    }
    struct fp_hold *hold;
    result = fp_hold_open(worker->ports[port].own, region, buffers, &hold);
    if (result == 0) {
        hold->port = port;
        ordering->holds[ordering->hold_count++] = hold;
        ports_join(worker, hold);
    }
    return result;
}

void fp_ordering_destroy(struct fp_ordering *ordering) {
    for (uint32_t i = 0; ordering != NULL && i < ordering->hold_count; i++) {
        fp_hold_close(ordering->holds[i]);
    }
    free(ordering);
}

/* ------------------------------------------------------------ the end of a merge */

static bool goes_on(const struct fp_table_flat *now, const struct fp_table_flat *next, uint32_t number) {
    return now->merges[number].config.id == next->merges[number].config.id && next->merges[number].config.slots != 0 &&
           now->merge_at[number] == next->merge_at[number] &&
           (next->ordered_routes[number][FP_MERGE_A] | next->ordered_routes[number][FP_MERGE_B]) != 0;
}

static void drop_leaving(struct fp_worker *worker) {
    struct fp_ordering *ordering = worker->ordering;
    for (uint32_t number = fp_ordered_next(ordering, 0); number < FP_MAX_MERGES;
         number = fp_ordered_next(ordering, number + 1)) {
        if ((ordering->leaving[number / 64] >> number % 64 & 1) != 0) {
            fp_ordered_drop(worker, number);
        }
    }
    fp_worker_publish(worker);
}

bool fp_ordered_leave(struct fp_worker *worker, const struct fp_table_flat *next) {
    struct fp_ordering *ordering = worker->ordering;
    bool left = false;
    for (uint32_t number = fp_ordered_next(ordering, 0); number < FP_MAX_MERGES;
         number = fp_ordered_next(ordering, number + 1)) {
        if (!goes_on(worker->table, next, number)) {
            ordering->leaving[number / 64] |= 1ULL << number % 64;
            left = true;
        }
    }
    if (left && ordering->leave_by_ns == 0) {
        ordering->leave_by_ns = worker->now_ns + FP_LEAVE_NS;
    }
    if (left && worker->now_ns < ordering->leave_by_ns) {
        return false;
    }
    if (left) {
        drop_leaving(worker);
    }
    ordering->leave_by_ns = 0;
    return true;
}

bool fp_ordered_end(struct fp_worker *worker, bool now) {
    struct fp_ordering *ordering = worker->ordering;
    memcpy(ordering->leaving, ordering->busy, sizeof ordering->leaving);
    if (now) {
        drop_leaving(worker);
    } else {
        fp_ordered_release(worker, 0);
    }
    return fp_ordered_next(ordering, 0) < FP_MAX_MERGES;
}
