/* SPDX-License-Identifier: Apache-2.0 */
/* Flows of the merge: made, judged, told. */
#include "merge_numbering.h"

#define MILLISECOND_NS 1000000ULL
#define FIRST_NUMBER (1ULL << 40) /* above all an estimate may go below it */

static_assert(sizeof(struct fp_merge_numbering) == 32, "a numbering is half a line");
static_assert(offsetof(struct fp_merge, paths) == 64, "what every frame needs lies in the first two lines");
static_assert(offsetof(struct fp_merge, differential_frames) == 128, "what second copies need comes next");
static_assert(sizeof(struct fp_merge) % 64 == 0, "slots begin with a line");
static_assert((FP_MERGE_MIN_SLOTS > 2 * FP_MERGE_RESERVE), "some numbers fit even into the fewest slots");

uint64_t fp_merge_class_window_ns(enum fp_merge_class number, uint64_t bits_per_s) {
    switch (number) {
    case FP_MERGE_CLASS_A:
        return 10 * MILLISECOND_NS;
    case FP_MERGE_CLASS_B:
        return 50 * MILLISECOND_NS;
    case FP_MERGE_CLASS_C:
        return (bits_per_s < 270000000 ? 450 : 150) * MILLISECOND_NS;
    case FP_MERGE_CLASS_D:
        return 150000;
    default:
        return 0;
    }
}

uint64_t fp_merge_plan_slots(uint64_t window_ns, uint64_t frames_per_s) {
    if (window_ns > FP_MERGE_MAX_WINDOW_NS || frames_per_s > 1000000000) {
        return 2ULL * FP_MERGE_MAX_SLOTS;
    }
    uint64_t frames = window_ns * frames_per_s / 1000000000 + 1;
    uint64_t slots = FP_MERGE_MIN_SLOTS;
    while (slots - FP_MERGE_RESERVE < frames + frames / 4) {
        slots *= 2;
    }
    return slots;
}

static bool is_valid(const struct fp_merge_config *config) {
    return config->window_ns >= 1 && config->window_ns <= FP_MERGE_MAX_WINDOW_NS && config->silence_ns <= INT64_MAX &&
           (config->slots & (config->slots - 1)) == 0 && config->slots >= FP_MERGE_MIN_SLOTS &&
           config->slots <= FP_MERGE_MAX_SLOTS && config->hold_frames <= config->slots - FP_MERGE_RESERVE;
}

uint64_t fp_merge_plan_bytes(const struct fp_merge_config *config) {
    if (!is_valid(config)) {
        return 0;
    }
    uint64_t slot_bytes = sizeof(uint64_t) + (config->hold_frames > 0 ? sizeof(struct fp_merge_held) : 0);
    return sizeof(struct fp_merge) + config->slots * slot_bytes;
}

int fp_merge_create(struct fp_merge *memory, const struct fp_merge_config *config) {
    uint64_t bytes = fp_merge_plan_bytes(config);
    if (bytes == 0) {
        return FP_E_INVALID;
    }
    memset(memory, 0, bytes);
    uint64_t least_ns = config->window_ns > 200 * MILLISECOND_NS ? config->window_ns : 200 * MILLISECOND_NS;
    for (unsigned path = 0; path < FP_MERGE_PATHS; path++) {
        memory->paths[path].silence_ns = config->silence_ns > 0 ? config->silence_ns : least_ns;
    }
    memory->window_ns = config->window_ns;
    memory->mask = config->slots - 1;
    memory->flags = FP_MERGE_EMPTY | (config->hold_frames > 0 ? FP_MERGE_ORDERED : 0);
    memory->hold_frames = config->hold_frames;
    memory->differential_min_ns = INT64_MAX;
    memory->differential_max_ns = INT64_MIN;
    memory->head = FIRST_NUMBER - 1;
    memory->next = FIRST_NUMBER;
    memory->base = FIRST_NUMBER;
    memory->tail = FIRST_NUMBER;
    memory->low = FIRST_NUMBER;
    return 0;
}

void fp_merge_judge(struct fp_merge *merge, uint64_t now_ns, uint64_t forced, uint64_t most) {
    uint64_t at = merge->tail;
    uint64_t end = merge->head + 1;
    uint64_t lost[FP_MERGE_PATHS] = {0, 0};
    uint64_t lost_both = 0;
    end = forced > at + most ? (forced < end ? forced : end) : (end - at < most ? end : at + most);
    for (; at < end; at++) {
        uint64_t word = merge->slots[at & merge->mask];
        if (at >= forced && now_ns - (word >> FP_SLOT_SHIFT) <= merge->window_ns) {
            break;
        }
        lost[FP_MERGE_A] += ~word & 1;
        lost[FP_MERGE_B] += ~word >> 1 & 1;
        lost_both += (word & FP_SLOT_PATHS) == 0;
    }
    merge->rare[FP_MERGE_A].lost_frames += lost[FP_MERGE_A];
    merge->rare[FP_MERGE_B].lost_frames += lost[FP_MERGE_B];
    merge->lost_frames += lost_both;
    merge->tail = at;
    fp_merge_set_low(merge);
}

/* A path speaks again. The first frame ends no outage. */
void fp_merge_return(struct fp_merge *merge, unsigned path, uint64_t now_ns) {
    const struct fp_merge_path *from = &merge->paths[path];
    const struct fp_merge_path *other = &merge->paths[path ^ 1U];
    bool other_is_silent = other->received_frames == 0 || now_ns - other->last_ns > other->silence_ns;
    if (from->received_frames > 0) {
        merge->rare[path].outages++;
    }
    if (other_is_silent && (merge->flags & FP_MERGE_EMPTY) == 0) {
        merge->silences++;
    }
}

static void read_path(const struct fp_merge *merge, unsigned path, struct fp_merge_path_counters *out) {
    const struct fp_merge_path *from = &merge->paths[path];
    const struct fp_merge_rare *rare = &merge->rare[path];
    *out = (struct fp_merge_path_counters){
        .received_frames = from->received_frames,
        .forwarded_frames = from->received_frames - from->merged_frames - rare->duplicate_frames - rare->late_frames,
        .merged_frames = from->merged_frames,
        .duplicate_frames = rare->duplicate_frames,
        .late_frames = rare->late_frames,
        .lost_frames = rare->lost_frames,
        .outages = rare->outages,
        .last_ns = from->last_ns,
    };
}

void fp_merge_read(struct fp_merge *merge, uint64_t now_ns, struct fp_merge_counters *out) {
    fp_merge_judge(merge, now_ns, 0, UINT32_MAX);
    *out = (struct fp_merge_counters){
        .lost_frames = merge->lost_frames,
        .filled_frames = merge->filled_frames,
        .stray_frames = merge->stray_frames,
        .restarts = merge->restarts,
        .ssrc_changes = merge->ssrc_changes,
        .silences = merge->silences,
        .skipped_frames = merge->skipped_frames,
        .held_frames = merge->held,
        .most_held_frames = merge->most_held,
        .differential_frames = merge->differential_frames,
        .differential_sum_ns = merge->differential_sum_ns,
        .differential_min_ns = merge->differential_min_ns,
        .differential_max_ns = merge->differential_max_ns,
    };
    read_path(merge, FP_MERGE_A, &out->paths[FP_MERGE_A]);
    read_path(merge, FP_MERGE_B, &out->paths[FP_MERGE_B]);
    memcpy(out->leads_a, merge->bins[FP_MERGE_A], sizeof out->leads_a);
    memcpy(out->leads_b, merge->bins[FP_MERGE_B], sizeof out->leads_b);
}
