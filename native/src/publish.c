/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon's side of the state segment: offering tables, asking for the end. */
#include "state.h"
#include <errno.h>
#include <stdlib.h>
#include <sys/file.h>

static int table_fits(const struct fp_table_flat *flat, uint32_t port_count) {
    for (uint32_t i = 0; i < flat->shape_count; i++) {
        struct fp_key mask;
        memcpy(&mask, flat->shapes[i].mask, sizeof mask);
        if (mask.port != 0 && flat->shapes[i].ports >> port_count != 0) {
            return 0;
        }
    }
    for (uint32_t i = 0; i < flat->count; i++) {
        const struct fp_table_entry *entry = &flat->entries[i];
        for (unsigned output = 0; output < entry->output_count; output++) {
            if (entry->outputs[output].port >= port_count) {
                return 0;
            }
        }
    }
    return 1;
}

/* What merges that hold frames would need of each region, by the first port of it. */
struct holding {
    uint32_t count;
    struct fp_port_info infos[FP_MAX_PORTS];
    uint64_t frames[FP_MAX_PORTS];
    uint32_t region_of[FP_MAX_MERGES]; /* + 1 of the first port of the merge's region; 0: not known yet */
};

static uint32_t first_of_region(const struct holding *holding, uint32_t port) {
    uint32_t first = 0;
    while (first < port && holding->infos[first].region != holding->infos[port].region) {
        first++;
    }
    return first;
}

/* One path of such a merge: nothing is held by copying. */
static int path_fits(struct holding *holding, const struct fp_table_flat *flat, const struct fp_table_entry *entry) {
    uint32_t number = ((entry->merge & FP_ENTRY_MERGE) - 1U) % FP_MAX_MERGES;
    uint32_t first = first_of_region(holding, (uint16_t)entry->key[2] % FP_MAX_PORTS); /* the key's port */
    if (holding->region_of[number] == 0) {
        holding->region_of[number] = first + 1;
        holding->frames[first] += flat->merges[number].config.hold_frames;
    }
    bool fits = holding->region_of[number] == first + 1;
    for (unsigned i = 0; i < entry->output_count; i++) {
        fits = fits && first_of_region(holding, entry->outputs[i].port) == first;
    }
    return fits ? 0 : FP_E_HOLD_REGION;
}

static int holding_fits(const struct fp_state *state, const struct fp_table_flat *flat, uint32_t port_count) {
    struct holding *holding = flat->ordered != 0 ? calloc(1, sizeof *holding) : NULL;
    if (holding == NULL) {
        return flat->ordered != 0 ? FP_E_NO_MEMORY : 0;
    }
    int result = 0;
    for (uint32_t port = 0; port < port_count && result == 0; port++) {
        result = fp_state_read_port_info(state, port, &holding->infos[port]);
    }
    for (uint32_t i = 0; i < flat->count && result == 0; i++) {
        if ((flat->entries[i].merge & FP_ENTRY_ORDERED) != 0) {
            result = path_fits(holding, flat, &flat->entries[i]);
        }
    }
    for (uint32_t port = 0; port < port_count && result == 0; port++) {
        bool fits = holding->frames[port] == 0 ||
                    holding->frames[port] + FP_HOLD_SPARE_FRAMES <= holding->infos[port].hold_buffers;
        result = fits ? 0 : FP_E_HOLD_BUFFERS;
    }
    free(holding);
    return result;
}

static void slot_fill(struct fp_table_slot *slot, const struct fp_table_flat *flat, const uint8_t *digest) {
    uint64_t words[FP_DIGEST_BYTES / sizeof(uint64_t)];
    memcpy(words, digest, sizeof words);
    for (size_t i = 0; i < FP_DIGEST_BYTES / sizeof(uint64_t); i++) {
        atomic_store_explicit(&slot->digest[i], words[i], memory_order_release);
    }
    fp_table_flat_copy(&slot->table, flat);
}

static int publish_locked(struct fp_state *state, const struct fp_table *table, uint64_t generation,
                          const uint8_t *digest) {
    struct fp_segment *segment = state->segment;
    uint64_t offer = atomic_load_explicit(&segment->offer, memory_order_acquire);
    uint64_t taken = atomic_load_explicit(&segment->taken, memory_order_acquire);
    uint32_t port_count = atomic_load_explicit(&segment->port_count, memory_order_acquire);
    if (offer != taken) {
        return FP_E_NOT_ACKNOWLEDGED;
    }
    if (generation <= fp_offer_generation(offer) || generation > UINT64_MAX >> 1 ||
        !table_fits(&table->flat, port_count)) {
        return FP_E_INVALID;
    }
    int result = holding_fits(state, &table->flat, port_count);
    if (result != 0) {
        return result;
    }
    unsigned idle = 1 - fp_offer_slot(offer);
    slot_fill(&segment->tables[idle], &table->flat, digest);
    result = fp_arena_place(state, &segment->tables[1 - idle].table, &segment->tables[idle].table);
    if (result != 0) {
        return result;
    }
    atomic_store_explicit(&segment->offer, generation << 1 | idle, memory_order_release);
    return 0;
}

int fp_state_lock(struct fp_state *state) {
    if (flock(state->fd, LOCK_EX | LOCK_NB) != 0) {
        return errno == EWOULDBLOCK ? FP_E_BUSY : FP_E_SYSTEM;
    }
    return 0;
}

int fp_state_publish(struct fp_state *state, const struct fp_table *table, uint64_t generation,
                     const uint8_t digest[FP_DIGEST_BYTES]) {
    int result = fp_state_lock(state);
    if (result != 0) {
        return result;
    }
    result = publish_locked(state, table, generation, digest);
    flock(state->fd, LOCK_UN);
    return result;
}

void fp_state_request_stop(struct fp_state *state) {
    atomic_store_explicit(&state->segment->stop, 1, memory_order_release);
}
