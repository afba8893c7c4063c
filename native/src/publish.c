/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon's side of the state segment: offering tables, asking for the end. */
#include "state.h"
#include <errno.h>
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
    unsigned idle = 1 - fp_offer_slot(offer);
    slot_fill(&segment->tables[idle], &table->flat, digest);
    int result = fp_arena_place(state, &segment->tables[1 - idle].table, &segment->tables[idle].table);
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
