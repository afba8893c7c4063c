/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a frame: nothing behind its end is read, the inline reader says what the general one says,
 * and media is not the host's. */
#include "check.h"
#include "frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct fp_key general = {.port = 3};
    struct fp_layout layout;
    struct fp_layout inline_layout;
    uint64_t words[FP_KEY_WORDS];
    uint64_t wanted[FP_KEY_WORDS];
    uint8_t *frame = malloc(size > 0 ? size : 1); /* of exactly the frame's size, for AddressSanitizer */
    if (frame == NULL || size > UINT16_MAX) {
        free(frame);
        return 0;
    }
    memcpy(frame, data, size);
    unsigned refusal = fp_frame_read(frame, (uint32_t)size, &general, &layout);
    memcpy(wanted, &general, sizeof wanted);
    CHECK_EQ(fp_frame_read_inline(frame, (uint32_t)size, 3, true, words, &inline_layout), refusal);
    CHECK(memcmp(words, wanted, sizeof words) == 0);
    CHECK(memcmp(&layout, &inline_layout, sizeof layout) == 0);
    CHECK_EQ(fp_frame_read_inline(frame, (uint32_t)size, 3, false, words, &inline_layout), refusal);
    CHECK(memcmp(words, wanted, FP_KEY_NARROW * sizeof words[0]) == 0);
    CHECK(layout.level != FP_LEVEL_UDP || layout.l4 + 8U + (layout.rtp ? 12U : 0U) <= size);
    static const uint8_t mac[6] = {0x02, 0x00, 0x5e, 0x11, 0x22, 0xf3};
    uint32_t class = fp_host_class(frame, (uint32_t)size, mac);
    CHECK((class & ~(uint32_t)FP_HOST_ANY) == 0 && (class & (class - 1)) == 0);
    /* What a route for UDP on user ports can match is media. */
    bool user_ports = general.udp_source >= 1024 && general.udp_port >= 1024;
    CHECK(layout.level != FP_LEVEL_UDP || refusal != 0 || !user_ports || class == 0);
    free(frame);
    return 0;
}
