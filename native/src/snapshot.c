/* SPDX-License-Identifier: Apache-2.0 */
/* What readers take out of the state segment. */
#include "state.h"

/* The digest of the table offered last. The slot is written again only after a later offer was taken, so the digest is
 * the right one if the offer is still the same afterwards. */
static uint64_t read_offer(const struct fp_segment *segment, uint64_t digest[FP_DIGEST_BYTES / 8]) {
    for (;;) {
        uint64_t offer = atomic_load_explicit(&segment->offer, memory_order_acquire);
        const struct fp_table_slot *slot = &segment->tables[fp_offer_slot(offer)];
        for (size_t i = 0; i < FP_DIGEST_BYTES / sizeof(uint64_t); i++) {
            digest[i] = offer == 0 ? 0 : atomic_load_explicit(&slot->digest[i], memory_order_acquire);
        }
        if (atomic_load_explicit(&segment->offer, memory_order_relaxed) == offer) {
            return offer;
        }
    }
}

int fp_state_read_worker(const struct fp_state *state, struct fp_worker_snapshot *out) {
    const struct fp_segment *segment = state->segment;
    uint64_t words[FP_WORKER_WORDS];
    uint64_t digest[FP_DIGEST_BYTES / sizeof(uint64_t)];
    int result = fp_seq_load(&segment->worker_sequence, segment->worker_words, words, FP_WORKER_WORDS);
    if (result != 0) {
        return result;
    }
    *out = (struct fp_worker_snapshot){
        .generation = fp_offer_generation(atomic_load_explicit(&segment->taken, memory_order_acquire)),
        .pid = segment->pid,
        .pid_start_ticks = segment->pid_start_ticks,
        .started_ns = segment->started_ns,
        .heartbeat_ns = words[FP_WORD_HEARTBEAT_NS],
        .loops = words[FP_WORD_LOOPS],
        .running = (uint32_t)words[FP_WORD_RUNNING],
        .port_count = atomic_load_explicit(&segment->port_count, memory_order_acquire),
        .stop_requested = atomic_load_explicit(&segment->stop, memory_order_acquire),
    };
    /* After `generation`, so that published is never below it. */
    out->published = fp_offer_generation(read_offer(segment, digest));
    memcpy(out->digest, digest, sizeof digest);
    return 0;
}

static int port_exists(const struct fp_state *state, uint32_t port) {
    return port < FP_MAX_PORTS && port < atomic_load_explicit(&state->segment->port_count, memory_order_acquire);
}

int fp_state_read_port_info(const struct fp_state *state, uint32_t port, struct fp_port_info *out) {
    if (!port_exists(state, port)) {
        return FP_E_INVALID;
    }
    uint64_t words[FP_INFO_WORDS];
    const struct fp_info_block *block = &state->segment->infos[port];
    int result = fp_seq_load(&block->sequence, block->words, words, FP_INFO_WORDS);
    if (result == 0) {
        memcpy(out, words, sizeof *out);
        out->name[FP_NAME_BYTES - 1] = '\0';
        out->spec[FP_NAME_BYTES - 1] = '\0';
    }
    return result;
}

int fp_state_read_port_health(const struct fp_state *state, uint32_t port, struct fp_port_health *out) {
    uint64_t words[FP_HEALTH_WORDS];
    if (!port_exists(state, port)) {
        return FP_E_INVALID;
    }
    const struct fp_health_block *block = &state->segment->health[port];
    int result = fp_seq_load(&block->sequence, block->words, words, FP_HEALTH_WORDS);
    if (result == 0) {
        memcpy(out, words, sizeof *out);
    }
    return result;
}

int fp_state_read_port(const struct fp_state *state, uint32_t port, struct fp_port_counters *out) {
    uint64_t words[FP_PORT_WORDS];
    if (!port_exists(state, port)) {
        return FP_E_INVALID;
    }
    const struct fp_port_block *block = &state->segment->ports[port];
    int result = fp_seq_load(&block->sequence, block->words, words, FP_PORT_WORDS);
    if (result == 0) {
        memcpy(out, words, sizeof *out);
    }
    return result;
}

/* Its number ends below where publishers have taken memory: what is beyond was never there. */
static int observed_exists(const struct fp_state *state, uint32_t counter) {
    return counter < FP_MAX_ROUTES &&
           counter < atomic_load_explicit(&state->segment->observed_routes, memory_order_acquire);
}

static void read_rtp(const struct fp_rtp_counters *rtp, struct fp_observed *out) {
    uint64_t run = rtp->guard_ticks != 0 ? (uint64_t)(rtp->sequence - rtp->base + 1) : 0;
    *out = (struct fp_observed){
        .frames = rtp->frames,
        .other_frames = rtp->other_frames,
        .bytes = rtp->bytes,
        .first_ns = rtp->first_ns,
        .last_ns = rtp->last_ns,
        .expected_frames = rtp->past_expected_frames + run,
        .lost_frames = rtp->lost_frames,
        .reordered_frames = rtp->reordered_frames,
        .duplicated_frames = rtp->duplicated_frames,
        .stray_frames = rtp->stray_frames,
        .gaps = rtp->gaps,
        .largest_gap_frames = rtp->largest_gap_frames,
        .long_gaps = rtp->long_gaps,
        .restarts = rtp->restarts,
        .ssrc_changes = rtp->ssrc_changes,
        .wraps = rtp->wraps,
        .pictures = rtp->pictures,
        .first_picture_ns = rtp->first_picture_ns,
        .last_picture_ns = rtp->last_picture_ns,
        .picture_intervals = rtp->picture_intervals,
        .picture_min_ns = rtp->picture_min_ns,
        .picture_max_ns = rtp->picture_max_ns,
        .picture_frames = rtp->picture_frames,
        .ssrc = rtp->stamp & UINT32_MAX,
        .sequence = (uint64_t)rtp->sequence & UINT16_MAX,
        .timestamp = rtp->stamp >> 32,
    };
}

int fp_state_read_observed(const struct fp_state *state, uint32_t counter, struct fp_observed *out) {
    struct fp_observation_counters counters;
    if (!observed_exists(state, counter)) {
        return FP_E_INVALID;
    }
    int result =
        fp_observation_read(&state->segment->observations[counter], &state->segment->records[counter], &counters);
    if (result == 0) {
        read_rtp(&counters.rtp, out);
        memcpy(out->arrivals, counters.arrivals, sizeof out->arrivals);
    }
    return result;
}

int fp_state_read_pacing(const struct fp_state *state, uint32_t counter, struct fp_pacing_counters *out) {
    return observed_exists(state, counter) ? fp_pacing_read(&state->segment->pacings[counter], out) : FP_E_INVALID;
}

int fp_state_read_merge(const struct fp_state *state, uint32_t number, uint64_t *id, struct fp_merge_counters *out) {
    uint64_t words[FP_MERGE_WORDS];
    if (number >= FP_MAX_MERGES) {
        return FP_E_INVALID;
    }
    const struct fp_merge_block *block = &state->segment->merges[number];
    int result = fp_seq_load(&block->sequence, block->words, words, FP_MERGE_WORDS);
    if (result != 0 || words[0] == 0) {
        return result != 0 ? result : FP_E_INVALID;
    }
    *id = words[0];
    memcpy(out, words + 1, sizeof *out);
    return 0;
}

int fp_state_count_discovered(const struct fp_state *state) {
    return (int)fp_discovery_count(&state->segment->discovery);
}

int fp_state_read_discovered(const struct fp_state *state, uint32_t index, struct fp_discovered *out) {
    return fp_discovery_read(&state->segment->discovery, index, out);
}

uint64_t fp_state_count_evicted(const struct fp_state *state) {
    return fp_discovery_evicted(&state->segment->discovery);
}

int fp_state_read_route(const struct fp_state *state, uint32_t counter, struct fp_route_counters *out) {
    struct fp_route_counters observed = {0};
    uint64_t words[2];
    if (counter >= FP_MAX_ROUTES) {
        return FP_E_INVALID;
    }
    int result = fp_pair_load(&state->segment->routes[counter].pair, words);
    if (result == 0 && observed_exists(state, counter)) {
        result = fp_observation_read_totals(&state->segment->observations[counter], &state->segment->records[counter],
                                            &observed);
    }
    if (result == 0) {
        *out = (struct fp_route_counters){.frames = words[0] + observed.frames, .bytes = words[1] + observed.bytes};
    }
    return result;
}
