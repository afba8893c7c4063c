/* SPDX-License-Identifier: Apache-2.0 */
#include "table.h"
#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>

static_assert(sizeof(struct fp_key) == 24, "a key has no padding: it is hashed and compared as three words");
static_assert((FP_MAX_ROUTES & (FP_MAX_ROUTES - 1)) == 0, "route indices are clipped with a mask");
static_assert(FP_MAX_ROUTES < UINT16_MAX, "a bucket names a route in 16 bits");

int fp_table_create(uint32_t capacity_routes, struct fp_table **out) {
    if (capacity_routes < 1 || capacity_routes > FP_MAX_ROUTES) {
        return FP_E_INVALID;
    }
    struct fp_table *table = NULL;
    if (posix_memalign((void **)&table, _Alignof(struct fp_table), sizeof *table) != 0) {
        return FP_E_NO_MEMORY;
    }
    memset(table, 0, sizeof *table);
    uint32_t buckets = 2;
    while (buckets < 2 * capacity_routes) {
        buckets *= 2;
    }
    table->capacity = capacity_routes;
    table->flat.mask = buckets - 1;
    *out = table;
    return 0;
}

void fp_table_destroy(struct fp_table *table) { free(table); }

static bool is_vlan(uint16_t vlan) { return vlan <= 4094 || vlan == FP_VLAN_NONE; }

static bool key_is_sound(const struct fp_key *key) {
    return key->port < FP_MAX_PORTS && is_vlan(key->vlan) && is_vlan(key->inner_vlan) &&
           (key->vlan != FP_VLAN_NONE || key->inner_vlan == FP_VLAN_NONE);
}

static bool outputs_are_sound(const struct fp_route *route) {
    if (route->output_count < 1 || route->output_count > FP_MAX_OUTPUTS) {
        return false;
    }
    uint32_t seen = 0;
    for (unsigned i = 0; i < route->output_count; i++) {
        if (route->outputs[i] >= FP_MAX_PORTS || (seen >> route->outputs[i] & 1) != 0) {
            return false;
        }
        seen |= 1U << route->outputs[i];
    }
    return true;
}

int fp_table_add(struct fp_table *table, const struct fp_route *route) {
    struct fp_table_flat *flat = &table->flat;
    if (!key_is_sound(&route->key) || !outputs_are_sound(route) || route->counter >= FP_MAX_ROUTES) {
        return FP_E_INVALID;
    }
    if (fp_table_flat_lookup(flat, &route->key) != NULL) {
        return FP_E_DUPLICATE;
    }
    if (flat->count == table->capacity) {
        return FP_E_TABLE_FULL;
    }
    uint64_t hash = fp_key_hash(&route->key);
    uint32_t at = (uint32_t)hash & flat->mask;
    while (flat->buckets[at].route != 0) {
        at = (at + 1) & flat->mask;
    }
    flat->entries[flat->count].route = *route;
    flat->count++;
    flat->buckets[at].tag = (uint16_t)(hash >> 48);
    flat->buckets[at].route = (uint16_t)flat->count;
    return 0;
}

uint32_t fp_table_count(const struct fp_table *table) { return table->flat.count; }

const struct fp_route *fp_table_lookup(const struct fp_table *table, const struct fp_key *key) {
    return fp_table_flat_lookup(&table->flat, key);
}
