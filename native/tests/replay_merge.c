/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The merge as a filter, for tests/models: reads a flow's configuration and its frames, prints every verdict and at the
 * end every counter, one word and its numbers a line.
 *
 *   window_ns silence_ns slots hold_frames          first line
 *   f now_ns path sequence timestamp ssrc handle    a frame: prints `out HANDLE` of each frame that goes out,
 *                                                   in order, and then its verdict: `forward`, `merged`, ...
 *   t now_ns                                        time passes: held frames whose deadline has passed go out
 *   r now_ns                                        prints the counters
 */
#include "check.h"
#include "merge.h"
#include "merge_lines.h"

enum { RELEASED_AT_ONCE = 3, LINE_BYTES = 256 };

static const char *const names[] = {"forward", "hold", "merged", "duplicate", "late", "again"};

static void release(struct fp_merge *merge, uint64_t now_ns) {
    struct fp_merge_held out[RELEASED_AT_ONCE];
    uint32_t count = RELEASED_AT_ONCE;
    while (count == RELEASED_AT_ONCE) {
        count = fp_merge_release(merge, now_ns, out, RELEASED_AT_ONCE);
        for (uint32_t i = 0; i < count; i++) {
            CHECK_EQ(out[i].length_bytes, out[i].handle + 1); /* as it was put in */
            (void)printf("out %u\n", out[i].handle);
        }
    }
}

static void take_frame(struct fp_merge *merge, uint64_t now_ns, char *at) {
    struct fp_merge_frame frame;
    frame.path = (uint16_t)merge_next_number(&at);
    frame.sequence = (uint16_t)merge_next_number(&at);
    frame.timestamp = (uint32_t)merge_next_number(&at);
    frame.ssrc = (uint32_t)merge_next_number(&at);
    uint32_t handle = (uint32_t)merge_next_number(&at);
    CHECK(frame.path < FP_MERGE_PATHS);
    enum fp_merge_verdict verdict = fp_merge_offer(merge, &frame, now_ns);
    while (verdict == FP_MERGE_AGAIN) {
        release(merge, now_ns);
        verdict = fp_merge_offer(merge, &frame, now_ns);
    }
    if (verdict == FP_MERGE_FORWARD) {
        (void)printf("out %u\n", handle);
    } else if (verdict == FP_MERGE_HOLD) {
        fp_merge_hold(merge, handle, handle + 1);
    }
    release(merge, now_ns);
    (void)printf("%s\n", names[verdict]);
}

static void print_counters(struct fp_merge *merge, uint64_t now_ns) {
    struct fp_merge_counters all;
    fp_merge_read(merge, now_ns, &all);
    merge_print(&all);
}

static struct fp_merge *create(char *at) {
    struct fp_merge_config config;
    struct fp_merge *merge = NULL;
    config.window_ns = merge_next_number(&at);
    config.silence_ns = merge_next_number(&at);
    config.slots = (uint32_t)merge_next_number(&at);
    config.hold_frames = (uint32_t)merge_next_number(&at);
    uint64_t bytes = fp_merge_plan_bytes(&config);
    CHECK(bytes > 0);
    CHECK_EQ(posix_memalign((void **)&merge, 64, bytes), 0);
    CHECK_EQ(fp_merge_create(merge, &config), 0);
    return merge;
}

int main(void) {
    char line[LINE_BYTES];
    CHECK(fgets(line, sizeof line, stdin) != NULL);
    struct fp_merge *merge = create(line);
    while (fgets(line, sizeof line, stdin) != NULL) {
        char *at = line + 1;
        uint64_t now_ns = merge_next_number(&at);
        if (line[0] == 'f') {
            take_frame(merge, now_ns, at);
        } else if (line[0] == 't') {
            release(merge, now_ns);
        } else {
            CHECK_EQ(line[0], 'r');
            print_counters(merge, now_ns);
        }
    }
    free(merge);
    return 0;
}
