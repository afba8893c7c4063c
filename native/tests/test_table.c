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

/* Wider, narrower, of higher priority: who wins does not depend on who was added first. */
static void the_best_match_wins(void) {
    for (unsigned order = 0; order < 2; order++) {
        struct fp_table *table = NULL;
        struct fp_route exact = route_of(5);
        struct fp_route wide = route_of(6);
        struct fp_route any;
        struct fp_route found;
        memset(&any, 0, sizeof any);
        any.counter = 99;
        wide.match.destination_bits = 96 + 16;
        wide.match.key.destination[14] = 0;
        wide.match.key.destination[15] = 0;
        wide.match.fields = FP_MATCH_PORT;
        wide.match.key.vlan = 0;
        wide.match.key.inner_vlan = 0;
        wide.match.key.udp_port = 0;
        const struct fp_route *routes[3] = {&exact, &wide, &any};
        CHECK_EQ(fp_table_create(10, &table), 0);
        for (unsigned i = 0; i < 3; i++) {
            CHECK_EQ(fp_table_add(table, routes[order ? 2 - i : i]), 0);
        }
        struct fp_key key = exact.match.key;
        CHECK_EQ(fp_table_lookup(table, &key, FP_LEVEL_UDP, &found), 1);
        CHECK_EQ(found.counter, exact.counter);
        key.udp_port++;
        CHECK_EQ(fp_table_lookup(table, &key, FP_LEVEL_UDP, &found), 1);
        CHECK_EQ(found.counter, wide.counter);
        CHECK_EQ(fp_table_lookup(table, &key, FP_LEVEL_ETHERNET, &found), 1);
        CHECK_EQ(found.counter, any.counter);
        any.match.priority = 1;
        CHECK_EQ(fp_table_add(table, &any), FP_E_DUPLICATE); /* it could never match beside the other */
        any.match.fields = FP_MATCH_PORT;
        CHECK_EQ(fp_table_add(table, &any), 0);
        CHECK_EQ(fp_table_lookup(table, &exact.match.key, FP_LEVEL_UDP, &found), 1);
        CHECK_EQ(found.match.priority, 1);
        fp_table_destroy(table);
    }
}

static void shapes_are_bounded(void) {
    struct fp_table *table = NULL;
    struct fp_route route = route_of(1);
    CHECK_EQ(fp_table_create(100, &table), 0);
    for (unsigned i = 0; i < FP_MAX_SHAPES; i++) {
        route.match.source_bits = (uint8_t)(96 + i);
        memset(route.match.key.source, 0, sizeof route.match.key.source);
        route.match.key.source[10] = 0xff;
        route.match.key.source[11] = 0xff;
        CHECK_EQ(fp_table_add(table, &route), 0);
    }
    route.match.source_bits = 128;
    CHECK_EQ(fp_table_add(table, &route), FP_E_SHAPES);
    CHECK_EQ(fp_table_count(table), FP_MAX_SHAPES);
    fp_table_destroy(table);
}

static void bad_rewrites_are_refused(void) {
    struct fp_table *table = NULL;
    struct fp_route good = route_of(1);
    struct fp_route route;
    CHECK_EQ(fp_table_create(10, &table), 0);
    const struct fp_rewrite bad[] = {
        {.set = FP_SET_ANY + 1},
        {.set = FP_SET_VLAN}, /* frames are untagged */
        {.set = FP_POP_VLAN},
        {.set = FP_PUSH_VLAN, .vlan = 4095},
        {.set = FP_SET_DSCP, .dscp = 64},
        {.set = FP_SET_PAYLOAD_TYPE, .payload_type = 128},
        {.set = FP_SET_SOURCE, .source = {0xff, 0x3e}}, /* of the other family */
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        route = good;
        route.outputs[0].rewrite = bad[i];
        refuse(table, &route);
    }
    route = good;
    route.match.key.vlan = 7;
    route.outputs[0].rewrite = (struct fp_rewrite){.set = FP_SET_VLAN | FP_PUSH_VLAN};
    refuse(table, &route);
    route.outputs[0].rewrite = (struct fp_rewrite){.set = FP_SET_VLAN};
    CHECK_EQ(fp_table_add(table, &route), 0);
    fp_table_destroy(table);
}

int main(void) {
    RUN(the_best_match_wins);
    RUN(shapes_are_bounded);
    RUN(bad_rewrites_are_refused);
    RUN(full_table_finds_each_route);
    RUN(capacities);
    RUN(bad_routes_are_refused);
    return 0;
}
