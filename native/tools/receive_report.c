/* SPDX-License-Identifier: Apache-2.0 */
#include "receive_report.h"

#include <stdio.h>

#define NUMBER(value) ((unsigned long long)(value))

bool receive_passed(const struct expectation *expectation, const struct receive_summary *summary) {
    return expectation_met(expectation) && summary->witness_dropped_frames == 0;
}

static void print_totals(const struct expectation *expectation, const struct receive_summary *summary) {
    uint64_t duplicated = 0, reordered = 0, corrupt = 0;

    for (uint32_t i = 0; i < expectation->count_flows; i++) {
        duplicated += expectation->flows[i].duplicated_frames;
        reordered += expectation->flows[i].reordered_frames;
        corrupt += expectation->flows[i].corrupt_frames;
    }
    (void)printf(
        "\"elapsed_s\": %.3f, \"expected_frames\": %llu, \"received_frames\": %llu, \"received_bytes\": %llu, "
        "\"intact_frames\": %llu, \"overdue_frames\": %llu, \"duplicated_frames\": %llu, \"reordered_frames\": %llu, "
        "\"corrupt_frames\": %llu, \"stray_frames\": %llu, \"foreign_frames\": %llu, \"witness_dropped_frames\": %llu",
        summary->elapsed_s, NUMBER(expectation_expected(expectation)), NUMBER(expectation->received_frames),
        NUMBER(expectation->received_bytes), NUMBER(expectation_intact(expectation)),
        NUMBER(expectation_overdue(expectation)), NUMBER(duplicated), NUMBER(reordered), NUMBER(corrupt),
        NUMBER(expectation->stray_frames), NUMBER(expectation->foreign_frames),
        NUMBER(summary->witness_dropped_frames));
}

static void print_tag(const char *name, uint16_t vlan) {
    if (vlan == FLOW_NO_VLAN) {
        (void)printf("\"%s\": null", name);
    } else {
        (void)printf("\"%s\": %u", name, vlan);
    }
}

static void print_key(const struct flow_key *key) {
    char address[FLOW_TEXT_BYTES];

    flow_key_address(key, address);
    (void)printf("\"destination\": \"%s\", \"udp_port\": %u, ", address, key->udp_port);
    print_tag("vlan", key->vlan);
    (void)printf(", ");
    print_tag("inner_vlan", key->inner_vlan);
}

static void print_flow(const struct flow *flow) {
    (void)printf("{");
    print_key(&flow->key);
    (void)printf(
        ", \"expected_frames\": %llu, \"intact_frames\": %llu, \"missing_frames\": %llu, \"duplicated_frames\": %llu, "
        "\"reordered_frames\": %llu, \"corrupt_frames\": %llu}",
        NUMBER(flow->count_frames), NUMBER(flow->intact_frames), NUMBER(flow->count_frames - flow->intact_frames),
        NUMBER(flow->duplicated_frames), NUMBER(flow->reordered_frames), NUMBER(flow->corrupt_frames));
}

void print_receive_progress(const struct expectation *expectation, const struct receive_summary *summary) {
    (void)printf("{\"event\": \"progress\", ");
    print_totals(expectation, summary);
    (void)printf("}\n");
    (void)fflush(stdout);
}

void print_receive_report(const struct expectation *expectation, const struct receive_summary *summary) {
    const char *separator = "";

    (void)printf("{\"event\": \"report\", \"passed\": %s, \"ended_by\": \"%s\", \"missing_frames\": %llu, ",
                 receive_passed(expectation, summary) ? "true" : "false", summary->ended_by,
                 NUMBER(expectation_expected(expectation) - expectation_intact(expectation)));
    print_totals(expectation, summary);
    (void)printf(", \"first_fault\": \"%s\", \"first_stray\": ", expectation->first_fault);
    if (expectation->stray_frames != 0) {
        (void)printf("{");
        print_key(&expectation->first_stray);
        (void)printf("}");
    } else {
        (void)printf("null");
    }
    (void)printf(", \"flows\": [");
    for (uint32_t i = 0; i < expectation->count_flows; i++) {
        if (!expectation->flows[i].expected) {
            continue;
        }
        (void)printf("%s", separator);
        print_flow(&expectation->flows[i]);
        separator = ", ";
    }
    (void)printf("]}\n");
    (void)fflush(stdout);
}
