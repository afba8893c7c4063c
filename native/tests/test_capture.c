/* SPDX-License-Identifier: Apache-2.0 */
/* Samples of routes' frames: which are taken, what is kept of them, and that a reader never sees half of one. */
#include "capture.h"
#include "check.h"
#include "rig.h"
#include <pthread.h>
#include <string.h>

enum { NARROW = 1, WIDE = 2, COUNTER = 7, RACE_FRAMES = 20000 };

static struct frame_shape shape_of(uint32_t number) {
    return (struct frame_shape){.group = 9, .udp_port = 5000, .payload_bytes = 20 + number % 1980};
}

/* Told apart by their length and by their number, behind the UDP header and at the end of what is captured. */
static uint32_t build(uint32_t number, uint8_t *frame) {
    struct frame_shape shape = shape_of(number);
    uint32_t length = frame_build(&shape, frame);
    uint32_t end = length < FP_CAPTURE_BYTES ? length : FP_CAPTURE_BYTES;
    memcpy(frame + 42, &number, sizeof number);
    memcpy(frame + end - sizeof number, &number, sizeof number);
    return length;
}

static void open_mirror(struct rig *rig, uint16_t every, uint32_t outputs, uint32_t rewrite) {
    struct frame_shape shape = shape_of(0);
    rig_open(rig, 3, 64, 0, FP_WAIT_BUSY);
    struct fp_route route = rig_route_of(&shape, 0, outputs, COUNTER);
    route.mirror = every;
    route.outputs[0].rewrite.set = rewrite;
    CHECK_EQ(fp_table_add(rig->table, &route), 0);
    rig_publish(rig);
}

static void turn_all(struct rig *rig) {
    uint8_t frame[FRAME_ROOM];
    while (fp_worker_turn(rig->worker) > 0) {
    }
    for (uint32_t port = 1; port < 3; port++) {
        while (fp_memory_collect(rig->ports[port], frame, sizeof frame) > 0) {
        }
    }
}

static void send(struct rig *rig, uint32_t number) {
    uint8_t frame[FRAME_ROOM];
    uint32_t length = build(number, frame);
    CHECK_EQ(fp_memory_inject(rig->ports[0], frame, length), 0);
    turn_all(rig);
}

static void expect(const struct rig *rig, uint64_t captured, uint32_t number) {
    static struct fp_captured seen;
    uint8_t frame[FRAME_ROOM];
    uint32_t length = build(number, frame);
    CHECK_EQ(fp_state_read_captured(rig->state, captured, &seen), 1);
    CHECK_EQ(seen.length_bytes, length);
    CHECK_EQ(seen.captured_bytes, length < FP_CAPTURE_BYTES ? length : FP_CAPTURE_BYTES);
    CHECK(memcmp(seen.bytes, frame, seen.captured_bytes) == 0);
    CHECK_EQ(seen.counter, COUNTER);
    CHECK_EQ(seen.port, 0);
    CHECK(seen.time_ns > 0);
}

static void every_frame_as_it_came(void) {
    const uint32_t outputs[] = {1 << NARROW, 1 << NARROW | 1 << WIDE, 0 /* a drop */};
    for (unsigned i = 0; i < 3; i++) {
        struct rig rig;
        open_mirror(&rig, 1, outputs[i], outputs[i] == 0 ? 0 : FP_SET_DESTINATION_MAC);
        for (uint32_t number = 0; number < 100; number++) {
            send(&rig, number * 20);
        }
        CHECK_EQ(fp_state_count_captured(rig.state), 100);
        for (uint32_t number = 0; number < 100; number++) {
            expect(&rig, number, number * 20);
        }
        rig_check_balance(&rig);
        rig_close(&rig);
    }
}

/* Fifty at a time: each frame of a burst counts for itself. */
static void one_in_so_many(void) {
    struct rig rig;
    open_mirror(&rig, 7, 1 << NARROW, 0);
    for (uint32_t number = 1; number <= 100; number++) {
        uint8_t frame[FRAME_ROOM];
        uint32_t length = build(number, frame);
        CHECK_EQ(fp_memory_inject(rig.ports[0], frame, length), 0);
        if (number % 50 == 0) {
            turn_all(&rig);
        }
    }
    CHECK_EQ(fp_state_count_captured(rig.state), 100 / 7);
    for (uint32_t sample = 0; sample < 100 / 7; sample++) {
        expect(&rig, sample, 7 * (sample + 1));
    }
    rig_close(&rig);
}

static void the_last_ones_are_kept(void) {
    enum { SENT = FP_CAPTURE_SLOTS + 5 };
    static struct fp_captured seen;
    struct rig rig;
    open_mirror(&rig, 1, 1 << NARROW, 0);
    CHECK_EQ(fp_state_read_captured(rig.state, 0, &seen), 0);
    for (uint32_t number = 0; number < SENT; number++) {
        send(&rig, number);
    }
    CHECK_EQ(fp_state_read_captured(rig.state, 4, &seen), 0);
    expect(&rig, 5, 5);
    expect(&rig, SENT - 1, SENT - 1);
    CHECK_EQ(fp_state_read_captured(rig.state, SENT, &seen), 0);
    CHECK_EQ(fp_state_read_captured(rig.state, UINT64_MAX, &seen), 0);
    rig_close(&rig);
}

static void none_is_taken_unasked(void) {
    struct rig rig;
    open_mirror(&rig, 0, 1 << NARROW, 0);
    send(&rig, 1);
    CHECK_EQ(fp_state_count_captured(rig.state), 0);
    rig_close(&rig);
}

struct reader {
    struct fp_state *state;
    uint64_t whole; /* frames it read */
};

/* Always the frame that is written over next: the writer is in its slot as often as can be. */
static void *read_oldest(void *argument) {
    static struct fp_captured seen;
    struct reader *reader = argument;
    const struct fp_state *state = reader->state;
    for (uint64_t count = 0; count < RACE_FRAMES;) {
        count = fp_state_count_captured(state);
        uint64_t number = count > FP_CAPTURE_SLOTS ? count - FP_CAPTURE_SLOTS : 0;
        if (fp_state_read_captured(state, number, &seen) == 1) {
            uint8_t frame[FRAME_ROOM];
            CHECK_EQ(seen.length_bytes, build((uint32_t)number, frame));
            CHECK(memcmp(seen.bytes, frame, seen.captured_bytes) == 0);
            reader->whole++;
        }
    }
    return NULL;
}

static void a_reader_sees_whole_frames(void) {
    struct rig rig;
    struct reader reader = {.whole = 0};
    pthread_t thread;
    open_mirror(&rig, 1, 1 << NARROW, 0);
    CHECK_EQ(fp_state_open(rig.path, &reader.state), 0);
    CHECK_EQ(pthread_create(&thread, NULL, read_oldest, &reader), 0);
    for (uint32_t number = 0; number < RACE_FRAMES; number++) {
        send(&rig, number);
    }
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK(reader.whole > 0);
    fp_state_close(reader.state);
    rig_close(&rig);
}

int main(void) {
    RUN(every_frame_as_it_came);
    RUN(one_in_so_many);
    RUN(the_last_ones_are_kept);
    RUN(none_is_taken_unasked);
    RUN(a_reader_sees_whole_frames);
    return 0;
}
