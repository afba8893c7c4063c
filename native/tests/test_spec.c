/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "port.h"
#include <string.h>

static void known_forms(void) {
    const struct {
        const char *text;
        struct fp_spec wanted;
    } cases[] = {
        {"netmap:ens4", {FP_PORT_NETMAP, "ens4", "ens4", -1, false}},
        {"netmap:ens4-2", {FP_PORT_NETMAP, "ens4", "ens4", 2, false}},
        {"netmap:ens4^", {FP_PORT_NETMAP, "ens4", "ens4", -1, true}},
        {"netmap:ens4-1^", {FP_PORT_NETMAP, "ens4-1", "ens4-1", -1, true}}, /* an interface of that name */
        {"netmap:eth-lab", {FP_PORT_NETMAP, "eth-lab", "eth-lab", -1, false}},
        {"netmap:pipe{1", {FP_PORT_NETMAP, "pipe{1", "", -1, false}},
        {"netmap:pipe}1", {FP_PORT_NETMAP, "pipe}1", "", -1, false}},
        {"vale0:1", {FP_PORT_NETMAP, "vale0:1", "", -1, false}},
        {"valeA:in", {FP_PORT_NETMAP, "valeA:in", "", -1, false}},
        {"xdp:ens4", {FP_PORT_XDP, "ens4", "ens4", -1, false}},
        {"xdp:ens4-15", {FP_PORT_XDP, "ens4", "ens4", 15, false}},
        {"memory:a", {FP_PORT_MEMORY, "a", "", -1, false}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fp_spec seen;
        char text[FP_NAME_BYTES] = "";
        memcpy(text, cases[i].text, strlen(cases[i].text));
        CHECK_EQ(fp_spec_parse(text, &seen), 0);
        CHECK_EQ(seen.kind, cases[i].wanted.kind);
        CHECK(strcmp(seen.name, cases[i].wanted.name) == 0);
        CHECK(strcmp(seen.interface, cases[i].wanted.interface) == 0);
        CHECK_EQ(seen.ring, cases[i].wanted.ring);
        CHECK_EQ(seen.host_rings, cases[i].wanted.host_rings);
    }
}

static void other_forms_are_refused(void) {
    const char *const cases[] = {"",           "ens4",         "netmap:",        "netmap:-1", "netmap:^",
                                 "netmap:a/b", "netmap:a b",   "netmap:{1",      "netmap:p{", "netmap:p{x",
                                 "vale0",      "vale0:",       "xdp:",           "xdp:..",    "xdp:sixteen--letters-0",
                                 "memory:",    "xdp:ens4-256", "netmap:ens4^-1", "tap:a"};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fp_spec seen = {.ring = 99};
        char text[FP_NAME_BYTES] = "";
        memcpy(text, cases[i], strlen(cases[i]));
        if (fp_spec_parse(text, &seen) != FP_E_SPEC) {
            (void)fprintf(stderr, "accepted: %s\n", cases[i]);
            exit(1);
        }
        CHECK_EQ(seen.ring, 99);
    }
    char endless[FP_NAME_BYTES];
    struct fp_spec seen;
    memset(endless, 'a', sizeof endless);
    for (unsigned i = 0; i < 7; i++) {
        endless[i] = "memory:"[i];
    }
    CHECK_EQ(fp_spec_parse(endless, &seen), FP_E_SPEC);
}

static void configurations_are_checked(void) {
    struct fp_region *region = NULL;
    struct fp_port *port = NULL;
    struct fp_port_config config = {.spec = "memory:a", .ring_slots = 8};
    CHECK_EQ(fp_region_create(15, 2048, &region), 0);
    CHECK_EQ(fp_port_open(&config, NULL, &port), FP_E_INVALID);
    CHECK_EQ(fp_port_open(&config, region, &port), FP_E_REGION); /* 16 are needed */
    config.ring_slots = 4;
    CHECK_EQ(fp_port_open(&config, region, &port), 0);
    fp_port_close(port); /* its buffers are free again */
    CHECK_EQ(fp_port_open(&config, region, &port), 0);
    fp_port_close(port);
    config.ring_slots = 3;
    CHECK_EQ(fp_port_open(&config, region, &port), FP_E_INVALID);
    config.ring_slots = 4;
    config.flags = 0x80;
    CHECK_EQ(fp_port_open(&config, region, &port), FP_E_INVALID);
    fp_region_destroy(region);
    CHECK_EQ(fp_region_create(0, 2048, &region), FP_E_INVALID);
    CHECK_EQ(fp_region_create(10, 1024, &region), FP_E_INVALID);
    fp_region_destroy(NULL);
    fp_port_close(NULL);
}

int main(void) {
    RUN(known_forms);
    RUN(other_forms_are_refused);
    RUN(configurations_are_checked);
    return 0;
}
