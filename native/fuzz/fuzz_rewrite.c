/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A rewrite and a frame, both of any bytes: only the frame is written to, the quick rewrite does what the general one
 * does, and checksums that were right stay right.
 */
#include "check.h"
#include "quick.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t sum(const uint8_t *at, uint32_t bytes) {
    uint64_t total = 0;
    for (uint32_t i = 0; i < bytes; i++) {
        total += (uint64_t)at[i] << (i % 2 == 0 ? 8 : 0);
    }
    return total;
}

static bool ipv4_is_right(const uint8_t *frame, const struct fp_layout *layout) {
    const uint8_t *ip = frame + layout->l3;
    return layout->version == 4 && fp_sum_fold(sum(ip, (ip[0] & 15U) * 4)) == 0xffff;
}

static bool udp_is_right(const uint8_t *frame, const struct fp_layout *layout) {
    const uint8_t *udp = frame + layout->l4;
    const uint8_t *ip = frame + layout->l3;
    uint32_t bytes = fp_load_u16(udp + 4);
    uint64_t pseudo = layout->version == 4 ? sum(ip + 12, 8) : sum(ip + 8, 32);
    return fp_load_u16(udp + 6) != 0 && fp_sum_fold(pseudo + FP_PROTOCOL_UDP + bytes + sum(udp, bytes)) == 0xffff;
}

static void check_sums(const uint8_t *before, const uint8_t *after, const struct fp_layout *layout) {
    CHECK(!ipv4_is_right(before, layout) || ipv4_is_right(after, layout));
    if (layout->level == FP_LEVEL_UDP) {
        CHECK(!udp_is_right(before, layout) || udp_is_right(after, layout));
        CHECK_EQ(fp_load_u16(before + layout->l4 + 6) == 0, fp_load_u16(after + layout->l4 + 6) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct fp_rewrite rewrite;
    struct fp_layout layout;
    struct fp_quick quick;
    uint8_t kind;
    struct fp_key key = {.port = 0};
    if (size < sizeof rewrite + 60 || size > UINT16_MAX) {
        return 0;
    }
    memcpy(&rewrite, data, sizeof rewrite);
    rewrite.set &= FP_SET_ANY & ~(uint32_t)(FP_SET_VLAN | FP_PUSH_VLAN | FP_POP_VLAN);
    rewrite.dscp &= 63;
    rewrite.payload_type &= 127;
    uint32_t length = (uint32_t)(size - sizeof rewrite);
    uint8_t *frame = malloc(length);
    uint8_t *quickly = malloc(length);
    CHECK(frame != NULL && quickly != NULL);
    memcpy(frame, data + sizeof rewrite, length);
    memcpy(quickly, frame, length);
    (void)fp_frame_read(frame, length, &key, &layout);
    bool lives = layout.level >= FP_LEVEL_IP && fp_frame_lives(frame, &layout);
    if (layout.level == FP_LEVEL_UDP && (lives || (rewrite.set & FP_DECREMENT_TTL) == 0)) {
        fp_rewrite_apply(frame, &layout, &rewrite);
        check_sums(data + sizeof rewrite, frame, &layout);
        if (layout.version == 4 && fp_quick_make(&rewrite, &quick, &kind)) {
            fp_quick_apply(quickly, &layout, &quick, kind);
            CHECK(memcmp(frame, quickly, length) == 0);
        }
    }
    free(frame);
    free(quickly);
    return 0;
}
