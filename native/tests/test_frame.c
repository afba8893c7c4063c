/* SPDX-License-Identifier: Apache-2.0 */
/* The parser: what each frame's key is, why each bad frame is refused, and that no byte behind the frame is read. */
#include "check.h"
#include "frame_builder.h"
#include <stdbool.h>
#include <string.h>

enum { HOP_BY_HOP = 0, ROUTING = 43, FRAGMENT = 44, DESTINATION = 60 };

/* A copy on the heap of exactly the frame's size, so that AddressSanitizer sees a read behind its end. */
static int parse(const uint8_t *frame, uint32_t length, struct fp_key *key) {
    uint8_t *exact = malloc(length > 0 ? length : 1);
    CHECK(exact != NULL);
    memcpy(exact, frame, length);
    int result = fp_frame_parse(exact, length, key);
    free(exact);
    return result;
}

static void expect_key(const struct frame_shape *shape) {
    uint8_t frame[FRAME_ROOM];
    uint32_t length = frame_build(shape, frame);
    struct fp_key wanted = frame_key(shape);
    struct fp_key seen = {.port = 3};
    wanted.port = 3;
    CHECK_EQ(parse(frame, length, &seen), 0);
    CHECK(memcmp(&seen, &wanted, sizeof seen) == 0);
}

static void expect_drop(const uint8_t *frame, uint32_t length, enum fp_drop reason) {
    struct fp_key key;
    struct fp_key untouched;
    memset(&key, 0xa5, sizeof key);
    memset(&untouched, 0xa5, sizeof untouched);
    CHECK_EQ(parse(frame, length, &key), (int)reason + 1);
    CHECK(memcmp(&key, &untouched, sizeof key) == 0);
}

static void good_frames(void) {
    const struct frame_shape shapes[] = {
        {.group = 1, .udp_port = 6000},
        {.group = 2, .udp_port = 65535, .payload_bytes = 1400},
        {.group = 3, .udp_port = 1, .padding_bytes = 18},
        {.group = 4, .udp_port = 2, .ipv4_options = 10},
        {.group = 5, .udp_port = 3, .tags = 1, .vlans = {100}},
        {.group = 6, .udp_port = 4, .tags = 1, .vlans = {0}, .tag_types = {0x88a8}},
        {.group = 7, .udp_port = 5, .tags = 2, .vlans = {100, 4094}, .tag_types = {0x88a8, 0x8100}},
        {.group = 8, .udp_port = 6, .tags = 2, .vlans = {1, 2}, .tag_types = {0x9100, 0x9100}},
        {.group = 9, .udp_port = 7, .ipv6 = 1, .payload_bytes = 12},
        {.group = 10, .udp_port = 8, .ipv6 = 1, .tags = 2, .vlans = {5, 6}, .padding_bytes = 3},
        {.group = 11, .udp_port = 9, .ipv6 = 1, .extensions = {HOP_BY_HOP, DESTINATION, ROUTING}, .extension_count = 3},
        {.group = 12, .udp_port = 0, .ipv6 = 1, .extensions = {DESTINATION}, .extension_count = 1},
    };
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        expect_key(&shapes[i]);
    }
}

/* Every prefix of a good frame is refused, as short or truncated. */
static void prefixes(void) {
    const struct frame_shape shapes[] = {
        {.tags = 2, .vlans = {1, 2}, .ipv4_options = 2, .payload_bytes = 20},
        {.tags = 1, .vlans = {1}, .ipv6 = 1, .extensions = {HOP_BY_HOP}, .extension_count = 1, .payload_bytes = 20},
    };
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        uint8_t frame[FRAME_ROOM];
        uint32_t length = frame_build(&shapes[i], frame);
        for (uint32_t prefix = 0; prefix < length; prefix++) {
            expect_drop(frame, prefix, prefix < 14 ? FP_DROP_SHORT : FP_DROP_TRUNCATED);
        }
    }
}

struct patch {
    uint32_t at; /* from the IP header */
    uint8_t value;
    enum fp_drop reason;
};

static void expect_patched(const struct frame_shape *shape, const struct patch *patches, size_t count) {
    for (size_t i = 0; i < count; i++) {
        uint8_t frame[FRAME_ROOM];
        uint32_t length = frame_build(shape, frame);
        frame[14 + patches[i].at] = patches[i].value;
        expect_drop(frame, length, patches[i].reason);
    }
}

static void bad_ipv4(void) {
    const struct frame_shape shape = {.payload_bytes = 100}; /* total length 128, UDP length 108 */
    const struct patch patches[] = {
        {0, 0x65, FP_DROP_NOT_IP},     /* version 6 */
        {0, 0x44, FP_DROP_BAD_LENGTH}, /* header of 16 bytes */
        {0, 0x4f, FP_DROP_BAD_LENGTH}, /* the UDP header is then payload: its length is 0 or wrong */
        {2, 0x01, FP_DROP_TRUNCATED},  /* total length 384 */
        {3, 19, FP_DROP_BAD_LENGTH},   /* total length below the header's */
        {3, 27, FP_DROP_BAD_LENGTH},   /* no room for a UDP header */
        {3, 100, FP_DROP_BAD_LENGTH},  /* below what UDP says */
        {6, 0x20, FP_DROP_FRAGMENT},   /* more fragments */
        {7, 0x01, FP_DROP_FRAGMENT},   /* an offset */
        {6, 0x1f, FP_DROP_FRAGMENT},   {9, 6, FP_DROP_NOT_UDP},
        {9, 2, FP_DROP_NOT_UDP},       {25, 7, FP_DROP_BAD_LENGTH}, /* UDP length */
        {25, 0, FP_DROP_BAD_LENGTH},   {25, 109, FP_DROP_BAD_LENGTH},
    };
    expect_patched(&shape, patches, sizeof patches / sizeof patches[0]);
}

static void bad_ipv6(void) {
    const struct frame_shape shape = {
        .ipv6 = 1, .extensions = {HOP_BY_HOP}, .extension_count = 1, .payload_bytes = 100};
    const struct patch patches[] = {
        {0, 0x45, FP_DROP_NOT_IP},       {4, 1, FP_DROP_TRUNCATED}, /* payload length 372 */
        {5, 7, FP_DROP_BAD_LENGTH},                                 /* no room for the extension header */
        {5, 15, FP_DROP_BAD_LENGTH},                                /* none for UDP */
        {5, 0, FP_DROP_BAD_LENGTH},                                 /* jumbogram */
        {6, FRAGMENT, FP_DROP_FRAGMENT}, {6, 58, FP_DROP_NOT_UDP},         {6, 59, FP_DROP_NOT_UDP},
        {6, 51, FP_DROP_NOT_UDP},        {40, FRAGMENT, FP_DROP_FRAGMENT}, {40, 6, FP_DROP_NOT_UDP},
        {41, 200, FP_DROP_BAD_LENGTH}, /* extension longer than the packet */
        {53, 7, FP_DROP_BAD_LENGTH},     {53, 109, FP_DROP_BAD_LENGTH},
    };
    expect_patched(&shape, patches, sizeof patches / sizeof patches[0]);
}

static void other_ethertypes(void) {
    const uint16_t types[] = {0x0806, 0x88f7, 0x0800 + 1, 100, 0xffff, 0x8100};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        uint8_t frame[FRAME_ROOM];
        const struct frame_shape shape = {.tags = 2};
        uint32_t length = frame_build(&shape, frame);
        frame[20] = (uint8_t)(types[i] >> 8); /* behind the second tag; 0x8100 makes it a third one */
        frame[21] = (uint8_t)types[i];
        expect_drop(frame, length, FP_DROP_NOT_IP);
    }
}

static void long_extension_chains_end(void) {
    struct frame_shape shape = {.ipv6 = 1, .extension_count = 8};
    uint8_t frame[FRAME_ROOM];
    for (unsigned i = 0; i < 10; i++) {
        shape.extensions[i] = DESTINATION;
    }
    expect_drop(frame, frame_build(&shape, frame), FP_DROP_NOT_UDP);
    shape.extension_count = 7;
    expect_key(&shape);
}

/* Random bytes behind plausible beginnings: any result, but no read behind the end (AddressSanitizer). */
static void random_bytes(void) {
    uint64_t seed = 42;
    for (unsigned round = 0; round < 200000; round++) {
        uint8_t frame[128];
        struct frame_shape shape = {.tags = round % 4, .ipv6 = (int)(round / 4 % 2), .extension_count = round / 8 % 3};
        uint8_t built[FRAME_ROOM];
        uint32_t length = frame_build(&shape, built);
        length = length < sizeof frame ? length : sizeof frame;
        memcpy(frame, built, length);
        for (unsigned i = 0; i < 4; i++) {
            seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
            frame[(seed >> 33) % length] = (uint8_t)(seed >> 56);
        }
        struct fp_key key = {0};
        int result = parse(frame, (uint32_t)((seed >> 20) % (length + 1)), &key);
        CHECK(result >= 0 && result <= FP_DROP_COUNT);
    }
}

static void labels(void) {
    CHECK(strcmp(fp_drop_label(FP_DROP_TX_FULL), "tx_full") == 0);
    CHECK(strcmp(fp_drop_label(FP_DROP_SHORT), "short") == 0);
    CHECK(fp_drop_text(FP_DROP_COUNT - 1) != NULL);
    CHECK(fp_drop_label(FP_DROP_COUNT) == NULL);
    CHECK(fp_drop_text(FP_DROP_COUNT) == NULL);
    CHECK(strcmp(fp_error_text(FP_E_TORN), "unknown error") != 0);
    CHECK(strcmp(fp_error_text(1), "unknown error") == 0);
}

int main(void) {
    RUN(good_frames);
    RUN(prefixes);
    RUN(bad_ipv4);
    RUN(bad_ipv6);
    RUN(other_ethertypes);
    RUN(long_extension_chains_end);
    RUN(random_bytes);
    RUN(labels);
    return 0;
}
