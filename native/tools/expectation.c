/* SPDX-License-Identifier: Apache-2.0 */
#include "expectation.h"

#include <stdlib.h>
#include <string.h>

#define NONE UINT64_MAX

static uint64_t hash_bytes(const uint8_t *bytes, uint32_t length) {
    uint64_t hash = 0xcbf29ce484222325ull; /* FNV-1a */

    for (uint32_t i = 0; i < length; i++) {
        hash = (hash ^ bytes[i]) * 0x100000001b3ull;
    }
    return hash ^ hash >> 32;
}

static uint64_t frame_number(const struct flow *flow, uint64_t position) {
    return flow->frames == NULL ? position : flow->frames[position];
}

static bool is_seen(const struct flow *flow, uint64_t position) {
    return (flow->seen[position / 8] >> (position % 8) & 1) != 0;
}

static bool same_as(const struct source *source, const struct flow *flow, uint64_t position, const uint8_t *frame,
                    uint32_t length) {
    uint8_t wanted[SOURCE_FRAME_BYTES];

    return source_frame_write(source, frame_number(flow, position), wanted) == length &&
           memcmp(wanted, frame, length) == 0;
}

/* ------------------------------------------------------- building it */

static struct flow *find_flow(struct expectation *expectation, const struct flow_key *key) {
    for (uint32_t i = 0; i < expectation->count_flows; i++) {
        if (flow_key_equal(&expectation->flows[i].key, key)) {
            return &expectation->flows[i];
        }
    }
    return NULL;
}

static bool is_expected(const struct flow_key *key, const struct flow_filter *filters, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        if (memcmp(filters[i].key.destination, key->destination, sizeof(key->destination)) == 0 &&
            (filters[i].any_port || filters[i].key.udp_port == key->udp_port)) {
            return true;
        }
    }
    return false;
}

static int append_frame(struct flow *flow, uint64_t number) {
    if ((flow->count_frames & (flow->count_frames - 1)) == 0) { /* 0 and powers of two: double the room */
        uint64_t room = flow->count_frames == 0 ? 1 : flow->count_frames * 2;
        uint64_t *grown = realloc(flow->frames, room * sizeof(*grown));
        if (grown == NULL) {
            return -1;
        }
        flow->frames = grown;
    }
    flow->frames[flow->count_frames++] = number;
    return 0;
}

/* Sorts the capture's frames into flows; other frames of it (ARP, ...) belong to none and are expected nowhere. */
static int collect_flows(struct expectation *expectation, char *error) {
    const struct source *source = expectation->source;
    uint64_t frames = source->generated ? 1 : source->count_frames;
    uint8_t frame[SOURCE_FRAME_BYTES];

    for (uint64_t number = 0; number < frames; number++) {
        struct flow_key key;
        uint32_t length = source_frame_write(source, number, frame);
        if (!flow_key_parse(frame, length, &key)) {
            continue;
        }
        struct flow *flow = find_flow(expectation, &key);
        if (flow == NULL) {
            if (expectation->count_flows == EXPECTATION_MAX_FLOWS) {
                reason_write(error, "the capture has more than %d flows", EXPECTATION_MAX_FLOWS);
                return -1;
            }
            flow = &expectation->flows[expectation->count_flows++];
            flow->key = key;
        }
        if (source->generated) {
            flow->count_frames = source->count_frames;
        } else if (append_frame(flow, number) != 0) {
            reason_write(error, "out of memory");
            return -1;
        }
    }
    return 0;
}

static int index_flow(const struct source *source, struct flow *flow) {
    uint8_t frame[SOURCE_FRAME_BYTES];
    uint64_t buckets = 1;

    flow->seen = calloc(flow->count_frames / 8 + 1, 1);
    if (source->generated) {
        return flow->seen == NULL ? -1 : 0;
    }
    while (buckets < flow->count_frames * 2) {
        buckets *= 2;
    }
    flow->bucket_mask = buckets - 1;
    flow->bucket = calloc(buckets, sizeof(*flow->bucket));
    flow->next_alike = calloc(flow->count_frames, sizeof(*flow->next_alike));
    if (flow->seen == NULL || flow->bucket == NULL || flow->next_alike == NULL) {
        return -1;
    }
    for (uint64_t position = flow->count_frames; position-- > 0;) { /* backwards, so chains run forwards */
        uint32_t length = source_frame_write(source, frame_number(flow, position), frame);
        uint32_t *bucket = &flow->bucket[hash_bytes(frame, length) & flow->bucket_mask];
        flow->next_alike[position] = *bucket;
        *bucket = (uint32_t)position + 1;
    }
    return 0;
}

int expectation_open(const struct source *source, const struct flow_filter *filters, uint32_t count_filters,
                     struct expectation *out, char error[REASON_BYTES]) {
    memset(out, 0, sizeof(*out));
    out->source = source;
    if (collect_flows(out, error) != 0) {
        goto failed;
    }
    for (uint32_t i = 0; i < out->count_flows; i++) {
        struct flow *flow = &out->flows[i];
        flow->expected = is_expected(&flow->key, filters, count_filters);
        if (flow->expected && index_flow(source, flow) != 0) {
            reason_write(error, "out of memory");
            goto failed;
        }
    }
    if (count_filters != 0 && expectation_expected(out) == 0) {
        reason_write(error, "no flow of the source matches --expect");
        goto failed;
    }
    return 0;
failed:
    expectation_close(out);
    return -1;
}

void expectation_close(struct expectation *expectation) {
    for (uint32_t i = 0; i < expectation->count_flows; i++) {
        free(expectation->flows[i].frames);
        free(expectation->flows[i].seen);
        free(expectation->flows[i].bucket);
        free(expectation->flows[i].next_alike);
    }
    expectation->count_flows = 0;
}

/* ------------------------------------------------------- judging frames */

/* Which frame of the flow has these bytes: the one due next, else one still outstanding, else any; NONE where none. */
static uint64_t locate(const struct source *source, const struct flow *flow, const uint8_t *frame, uint32_t length) {
    uint64_t found = NONE;

    if (source->generated) {
        if (length != VIDEO_FRAME_BYTES + source_tag_bytes(source)) {
            return NONE;
        }
        uint64_t claimed = video_frame_claimed_index(frame + source_tag_bytes(source));
        return claimed < flow->count_frames && same_as(source, flow, claimed, frame, length) ? claimed : NONE;
    }
    uint32_t link = flow->bucket[hash_bytes(frame, length) & flow->bucket_mask];
    for (; link != 0; link = flow->next_alike[link - 1]) {
        uint64_t position = link - 1;
        if (!same_as(source, flow, position, frame, length)) {
            continue;
        }
        if (!is_seen(flow, position) && position >= flow->next) {
            return position;
        }
        if (found == NONE || (is_seen(flow, found) && !is_seen(flow, position))) {
            found = position;
        }
    }
    return found;
}

static void note_fault(struct expectation *expectation, const struct flow_key *key, const char *what,
                       uint64_t position) {
    char address[FLOW_TEXT_BYTES];

    if (expectation->first_fault[0] != '\0') {
        return;
    }
    flow_key_address(key, address);
    (void)snprintf(expectation->first_fault, sizeof(expectation->first_fault), "%s port %u: %s at frame %llu", address,
                   key->udp_port, what, (unsigned long long)position);
}

static void take_of_flow(struct expectation *expectation, struct flow *flow, const uint8_t *frame, uint32_t length) {
    const struct source *source = expectation->source;
    bool in_order = flow->next < flow->count_frames && same_as(source, flow, flow->next, frame, length);
    uint64_t position = in_order ? flow->next : locate(source, flow, frame, length);

    if (position == NONE) {
        flow->corrupt_frames++;
        note_fault(expectation, &flow->key, "unknown bytes", flow->next);
        return;
    }
    if (is_seen(flow, position)) {
        flow->duplicated_frames++;
        note_fault(expectation, &flow->key, "a duplicate", position);
        return;
    }
    flow->seen[position / 8] |= (uint8_t)(1u << (position % 8));
    flow->intact_frames++;
    if (position < flow->next) {
        flow->reordered_frames++;
        note_fault(expectation, &flow->key, "a late frame", position);
        return;
    }
    if (position > flow->next) {
        note_fault(expectation, &flow->key, "a gap", flow->next);
    }
    flow->next = position + 1;
}

void expectation_take(struct expectation *expectation, const uint8_t *frame, uint32_t length_bytes) {
    struct flow_key key;

    expectation->received_frames++;
    expectation->received_bytes += length_bytes;
    if (!flow_key_parse(frame, length_bytes, &key)) {
        expectation->foreign_frames++;
        return;
    }
    struct flow *flow = find_flow(expectation, &key);
    if (flow != NULL && flow->expected) {
        take_of_flow(expectation, flow, frame, length_bytes);
        return;
    }
    if (expectation->stray_frames++ == 0) {
        expectation->first_stray = key;
    }
    note_fault(expectation, &key, "a stray frame", expectation->received_frames - 1);
}

/* ------------------------------------------------------- the verdict */

uint64_t expectation_expected(const struct expectation *expectation) {
    uint64_t sum = 0;

    for (uint32_t i = 0; i < expectation->count_flows; i++) {
        sum += expectation->flows[i].expected ? expectation->flows[i].count_frames : 0;
    }
    return sum;
}

uint64_t expectation_intact(const struct expectation *expectation) {
    uint64_t sum = 0;

    for (uint32_t i = 0; i < expectation->count_flows; i++) {
        sum += expectation->flows[i].intact_frames;
    }
    return sum;
}

uint64_t expectation_overdue(const struct expectation *expectation) {
    uint64_t sum = 0;

    for (uint32_t i = 0; i < expectation->count_flows; i++) {
        sum += expectation->flows[i].next - expectation->flows[i].intact_frames;
    }
    return sum;
}

bool expectation_complete(const struct expectation *expectation) {
    return expectation_intact(expectation) == expectation_expected(expectation);
}

bool expectation_met(const struct expectation *expectation) {
    for (uint32_t i = 0; i < expectation->count_flows; i++) {
        const struct flow *flow = &expectation->flows[i];
        if (flow->duplicated_frames + flow->reordered_frames + flow->corrupt_frames != 0) {
            return false;
        }
    }
    return expectation_complete(expectation) && expectation->stray_frames == 0;
}
