/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The merge in the true loop, for tests/models: input and output are those of replay_merge, but
 * that `first` stands for both `forward` and `hold`: the loop holds for a moment what could leave at once. Each frame
 * comes in by the port of its path, by itself; what became of it is read from the ports' accounts.
 */
#include "check.h"
#include "media.h"
#include "media_rig.h"
#include "merge_lines.h"

enum { FLOW = 7, NUMBER = 5, LINE_BYTES = 256, SLOTS = 1024 /* all that is held may leave at once */ };

static const struct fp_merge *merge_of(const struct rig *rig) {
    return fp_arena_merge(rig->state->segment, rig->worker->table->merge_at[NUMBER]);
}

static void open_loop(struct rig *rig, const struct fp_merge_config *config) {
    if (config->hold_frames > 0) {
        media_open_holding(rig, SLOTS, config->hold_frames);
    } else {
        media_open(rig, SLOTS);
    }
    CHECK_EQ(fp_table_add_merge(rig->table, NUMBER, config), 0);
    for (uint16_t path = 0; path < FP_MERGE_PATHS; path++) {
        struct fp_route route = media_merge_route(FLOW, path, NUMBER);
        media_add(rig, &route);
    }
    rig_publish(rig);
}

/* Before a frame comes. */
struct before {
    struct fp_port_counters port;
    uint64_t duplicates;
};

/* What the accounts say of the one frame that came since `before`. */
static const char *verdict_of(const struct rig *rig, uint32_t path, const struct before *before) {
    struct fp_port_counters now = rig_counters(rig, path);
    CHECK_EQ(now.received_frames, before->port.received_frames + 1);
    if (now.merged_frames != before->port.merged_frames) {
        return merge_of(rig)->rare[path].duplicate_frames != before->duplicates ? "duplicate" : "merged";
    }
    if (now.dropped_frames[FP_DROP_MERGE_LATE] != before->port.dropped_frames[FP_DROP_MERGE_LATE]) {
        return "late";
    }
    CHECK_EQ(rig_dropped(&now), rig_dropped(&before->port));
    return "first";
}

static void print_out(struct rig *rig) {
    struct media_frame out;
    rig->worker->now_is_new = false;
    media_turn(rig);
    while (media_collect(rig, &out)) {
        (void)printf("out %u\n", out.mark);
    }
}

static void take_frame(struct rig *rig, char *at) {
    struct media_frame frame = {.flow = FLOW};
    uint16_t path = (uint16_t)merge_next_number(&at);
    frame.sequence = (uint16_t)merge_next_number(&at);
    frame.timestamp = (uint32_t)merge_next_number(&at);
    frame.ssrc = (uint32_t)merge_next_number(&at);
    frame.mark = (uint32_t)merge_next_number(&at);
    struct before before = {rig_counters(rig, path), merge_of(rig)->rare[path & 1U].duplicate_frames};
    media_inject(rig, path, &frame);
    print_out(rig);
    (void)printf("%s\n", verdict_of(rig, path, &before));
}

int main(void) {
    struct fp_merge_config config = {.id = 1};
    struct rig rig;
    char line[LINE_BYTES];
    CHECK(fgets(line, sizeof line, stdin) != NULL);
    char *at = line;
    config.window_ns = merge_next_number(&at);
    config.silence_ns = merge_next_number(&at);
    config.slots = (uint32_t)merge_next_number(&at);
    config.hold_frames = (uint32_t)merge_next_number(&at);
    open_loop(&rig, &config);
    while (fgets(line, sizeof line, stdin) != NULL) {
        at = line + 1;
        media_set_clock(merge_next_number(&at));
        if (line[0] == 'f') {
            take_frame(&rig, at);
        } else if (line[0] == 't') {
            print_out(&rig);
        } else if (line[0] == 'r') {
            struct fp_merge_counters counters = media_merge(&rig, NUMBER);
            merge_print(&counters);
        }
    }
    rig_check_buffers(&rig);
    rig_close(&rig);
    return 0;
}
