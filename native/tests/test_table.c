/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "rig.h"
#include <string.h>

static struct fp_route route_of(uint16_t number) {
    struct frame_shape shape = {.group = number, .udp_port = (uint16_t)(number % 7)};
    return rig_route_of(&shape, 0, 1U << (number % FP_MAX_PORTS), number);
}

static void full_table_finds_each_route(void) {
    struct fp_table *table = NULL;
    struct fp_route found;
    CHECK_EQ(fp_table_create(FP_MAX_ROUTES, &table), 0);
    for (uint32_t i = 0; i < FP_MAX_ROUTES; i++) {
        struct fp_route route = route_of((uint16_t)i);
        CHECK_EQ(fp_table_add(table, &route), 0);
    }
    CHECK_EQ(fp_table_count(table), FP_MAX_ROUTES);
    for (uint32_t i = 0; i < FP_MAX_ROUTES; i++) {
        struct fp_route route = route_of((uint16_t)i);
        struct fp_key key = route.match.key;
        CHECK_EQ(fp_table_lookup(table, &key, FP_LEVEL_UDP, &found), 1);
        CHECK(memcmp(&found, &route, sizeof route) == 0);
        CHECK_EQ(fp_table_add(table, &route), FP_E_DUPLICATE);
        CHECK_EQ(fp_table_lookup(table, &key, FP_LEVEL_IP, &found), 0);
        key.port = 1; /* the same group on another port is another match */
        CHECK_EQ(fp_table_lookup(table, &key, FP_LEVEL_UDP, &found), 0);
        key.port = 0;
        key.vlan = 0;
        CHECK_EQ(fp_table_lookup(table, &key, FP_LEVEL_UDP, &found), 0);
    }
    struct fp_route more = route_of(FP_MAX_ROUTES);
    more.counter = 0;
    CHECK_EQ(fp_table_add(table, &more), FP_E_TABLE_FULL);
    CHECK_EQ(fp_table_count(table), FP_MAX_ROUTES);
    fp_table_destroy(table);
}

static void capacities(void) {
    struct fp_table *table = NULL;
    struct fp_route first = route_of(1);
    struct fp_route second = route_of(2);
    struct fp_route found;
    CHECK_EQ(fp_table_create(0, &table), FP_E_INVALID);
    CHECK_EQ(fp_table_create(FP_MAX_ROUTES + 1, &table), FP_E_INVALID);
    CHECK(table == NULL);
    CHECK_EQ(fp_table_create(1, &table), 0);
    CHECK_EQ(fp_table_lookup(table, &first.match.key, FP_LEVEL_UDP, &found), 0);
    CHECK_EQ(fp_table_add(table, &first), 0);
    CHECK_EQ(fp_table_lookup(table, &second.match.key, FP_LEVEL_UDP, &found), 0);
    CHECK_EQ(fp_table_add(table, &second), FP_E_TABLE_FULL);
    fp_table_destroy(table);
    fp_table_destroy(NULL);
}

static void refuse(struct fp_table *table, const struct fp_route *route) {
    CHECK_EQ(fp_table_add(table, route), FP_E_INVALID);
    CHECK_EQ(fp_table_count(table), 0);
}

static void bad_routes_are_refused(void) {
    struct fp_table *table = NULL;
    struct fp_route route = route_of(1);
    CHECK_EQ(fp_table_create(10, &table), 0);
    route.output_count = FP_MAX_OUTPUTS + 1;
    refuse(table, &route);
    route.output_count = 2;
    route.outputs[0].port = 5;
    route.outputs[1].port = 5;
    refuse(table, &route);
    route.outputs[1].port = FP_MAX_PORTS;
    refuse(table, &route);
    route = route_of(1);
    route.counter = FP_MAX_ROUTES;
    refuse(table, &route);
    route = route_of(1);
    route.match.key.port = FP_MAX_PORTS;
    refuse(table, &route);
    route = route_of(1);
    route.match.key.vlan = 4095;
    refuse(table, &route);
    route = route_of(1);
    route.match.key.inner_vlan = 1; /* without an outer one */
    refuse(table, &route);
    fp_table_destroy(table);
}

int main(void) {
    RUN(full_table_finds_each_route);
    RUN(capacities);
    RUN(bad_routes_are_refused);
    return 0;
}
