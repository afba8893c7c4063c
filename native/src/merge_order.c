/* SPDX-License-Identifier: Apache-2.0 */
/* In order within the window: frames behind a hole wait until it is filled or its window has passed. */
#include "merge_numbering.h"

static struct fp_merge_held *held_of(struct fp_merge *merge, uint64_t number) {
    struct fp_merge_held *all = (struct fp_merge_held *)(merge->slots + merge->mask + 1ULL);
    return &all[number & merge->mask];
}

/* Past what is not held: it went out, or is given up. */
static void skip_one(struct fp_merge *merge) {
    merge->skipped_frames += (merge->slots[merge->next & merge->mask] & FP_SLOT_PATHS) == 0;
    merge->next++;
}

static bool next_is_held(const struct fp_merge *merge) {
    return merge->next <= merge->head && (merge->slots[merge->next & merge->mask] & FP_SLOT_HELD) != 0;
}

bool fp_merge_make_room(struct fp_merge *merge, uint64_t number) {
    if (number == merge->next) {
        return true;
    }
    if (merge->held >= merge->hold_frames) {
        while (!next_is_held(merge)) {
            skip_one(merge);
        }
        return false;
    }
    while (number - merge->next > fp_merge_reach(merge) && !next_is_held(merge)) {
        skip_one(merge);
    }
    return number - merge->next <= fp_merge_reach(merge);
}

enum fp_merge_verdict fp_merge_put_in_order(struct fp_merge *merge, uint64_t number) {
    if (number == merge->next) {
        merge->next++;
        return FP_MERGE_FORWARD;
    }
    merge->slots[number & merge->mask] |= FP_SLOT_HELD;
    merge->hold_at = number;
    merge->held++;
    merge->most_held = merge->held > merge->most_held ? merge->held : merge->most_held;
    return FP_MERGE_HOLD;
}

void fp_merge_hold(struct fp_merge *merge, uint32_t handle, uint32_t length_bytes) {
    *held_of(merge, merge->hold_at) = (struct fp_merge_held){handle, length_bytes};
}

uint32_t fp_merge_release(struct fp_merge *merge, uint64_t now_ns, struct fp_merge_held *out, uint32_t room) {
    uint32_t count = 0;
    while (count < room && merge->next <= merge->head && merge->held > 0) {
        uint64_t *slot = &merge->slots[merge->next & merge->mask];
        if ((*slot & FP_SLOT_HELD) != 0) {
            out[count] = *held_of(merge, merge->next);
            *slot &= ~(uint64_t)FP_SLOT_HELD;
            merge->held--;
            count++;
        } else if ((*slot & FP_SLOT_PATHS) == 0 && now_ns - (*slot >> FP_SLOT_SHIFT) <= merge->window_ns) {
            break;
        }
        merge->next++;
    }
    return count;
}

uint64_t fp_merge_deadline_ns(const struct fp_merge *merge) {
    return merge->held > 0 ? fp_merge_slot_ns(merge, merge->next) + merge->window_ns + 1 : UINT64_MAX;
}
