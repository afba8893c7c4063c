/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory for media in the state segment, as it is needed. The publisher decides, so that the loop never asks for any:
 * it takes pages from tmpfs before a table that uses them is offered. States of merges lie in the arena, first fit;
 * only two tables exist, the one in use and the one in the making, so that what neither names is free.
 */
#include "state.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#define ARENA_LINES (FP_MERGE_ARENA_BYTES / FP_MERGE_LINE_BYTES)

static_assert((FP_MERGE_ARENA_BYTES & (FP_MERGE_ARENA_BYTES - 1)) == 0, "places are clipped with a mask");
static_assert(ARENA_LINES <= UINT32_MAX, "a place is a number of 32 bits");

/* A part of the arena that is taken, in lines. */
struct span {
    uint64_t at;
    uint64_t lines;
};

struct spans {
    uint32_t count;
    struct span taken[2 * FP_MAX_MERGES]; /* of both tables, in order */
};

static int take_pages(const struct fp_state *state, size_t offset, size_t bytes) {
    int result = bytes > 0 ? posix_fallocate(state->fd, (off_t)offset, (off_t)bytes) : 0;
    if (result != 0) {
        errno = result;
        return FP_E_SYSTEM;
    }
    return 0;
}

static int place_observations(const struct fp_state *state, uint32_t routes) {
    struct fp_segment *segment = state->segment;
    uint32_t before = atomic_load_explicit(&segment->observed_routes, memory_order_relaxed);
    if (routes <= before || routes > FP_MAX_ROUTES) {
        return 0;
    }
    int result = take_pages(state, offsetof(struct fp_segment, observations), routes * sizeof segment->observations[0]);
    if (result == 0) {
        result = take_pages(state, offsetof(struct fp_segment, pacings), routes * sizeof segment->pacings[0]);
    }
    if (result == 0) {
        result = take_pages(state, offsetof(struct fp_segment, records), routes * sizeof segment->records[0]);
    }
    if (result == 0) {
        atomic_store_explicit(&segment->observed_routes, routes, memory_order_release);
    }
    return result;
}

static int compare_spans(const void *a, const void *b) {
    const struct span *first = a;
    const struct span *second = b;
    return (first->at > second->at) - (first->at < second->at);
}

static void find_taken(const struct fp_table_flat *in_use, struct spans *out) {
    for (uint32_t i = 0; i < in_use->merge_end && i < FP_MAX_MERGES; i++) {
        if (in_use->merges[i].config.slots != 0) {
            out->taken[out->count++] = (struct span){in_use->merge_at[i], in_use->merges[i].lines};
        }
    }
    qsort(out->taken, out->count, sizeof out->taken[0], compare_spans);
}

/* The first gap that is long enough; it is taken. */
static int take_gap(struct spans *spans, uint64_t lines, uint64_t *at) {
    uint64_t end = 0;
    uint32_t place = 0;
    while (place < spans->count && spans->taken[place].at - end < lines) {
        end = spans->taken[place].at + spans->taken[place].lines;
        place++;
    }
    if (place == spans->count && end + lines > ARENA_LINES) {
        return FP_E_MERGE_MEMORY;
    }
    memmove(&spans->taken[place + 1], &spans->taken[place], (spans->count - place) * sizeof spans->taken[0]);
    spans->taken[place] = (struct span){end, lines};
    spans->count++;
    *at = end;
    return 0;
}

static bool is_same(const struct fp_merge_config *a, const struct fp_merge_config *b) {
    return a->id == b->id && a->window_ns == b->window_ns && a->silence_ns == b->silence_ns && a->slots == b->slots &&
           a->hold_frames == b->hold_frames;
}

/* Known before anything is touched. */
static bool fits(const struct fp_table_flat *next) {
    uint64_t lines = 0;
    for (uint32_t i = 0; i < next->merge_end; i++) {
        lines += next->merges[i].lines;
    }
    return lines <= ARENA_LINES;
}

static int place_new(struct fp_state *state, struct spans *spans, const struct fp_table_merge *merge, uint32_t *line) {
    uint64_t at;
    int result = take_gap(spans, merge->lines, &at);
    if (result == 0) {
        result = take_pages(state, offsetof(struct fp_segment, arena) + at * FP_MERGE_LINE_BYTES,
                            merge->lines * FP_MERGE_LINE_BYTES);
    }
    if (result == 0) {
        result = fp_merge_create(fp_arena_merge(state->segment, (uint32_t)at), &merge->config);
    }
    if (result == 0) {
        *line = (uint32_t)at;
    }
    return result;
}

int fp_arena_place(struct fp_state *state, const struct fp_table_flat *in_use, struct fp_table_flat *next) {
    int result = fits(next) ? place_observations(state, next->observed_routes) : FP_E_MERGE_MEMORY;
    if (result != 0 || next->merge_end == 0) {
        return result;
    }
    struct spans *spans = calloc(1, sizeof *spans);
    if (spans == NULL) {
        return FP_E_NO_MEMORY;
    }
    find_taken(in_use, spans);
    for (uint32_t i = 0; i < next->merge_end && result == 0; i++) {
        if (next->merges[i].config.slots == 0) {
            continue;
        }
        if (is_same(&next->merges[i].config, &in_use->merges[i].config)) {
            next->merge_at[i] = in_use->merge_at[i];
        } else {
            result = place_new(state, spans, &next->merges[i], &next->merge_at[i]);
        }
    }
    free(spans);
    return result;
}
