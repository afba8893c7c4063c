/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames that are not the next one nor the second copy of a recent one.
 *
 * A frame that continues no known numbering is a stray: it goes out, since nobody has seen it, and is remembered. The
 * sender has begun anew when another one continues the stray, by at most 64 numbers and before the numbering in use
 * went on, or when the other path brings the same (two in sequence: RFC 3550, A.1). The new numbering follows the old
 * one without a hole, so that frames in flight on the slower path are still judged by the old one.
 *
 * A sender whose timestamps go on while its sequence begins anew (ST 2110-10: timestamps follow the common clock) is
 * told only by the sequence: where that by chance lies as near to the estimate as tolerance / 32,768 of all do (3 % for
 * audio, 30 % at 2160p), it is a gap of up to so many frames instead, and what the slower path still brings may go out
 * again. Two numberings are known at a time: a sender that begins anew twice within a window loses its slower path's
 * frames.
 *
 * A frame older than all slots is late. But where no path has brought a newer one for as long as makes a path silent,
 * a sender that went back is taken for a stray and so begins anew: a flow never stays dark because it was once ahead.
 */
#include "merge_numbering.h"

enum {
    BEFORE_WINDOWS = 4,  /* the numbering before counts so many windows around its end */
    STRAY_REACH = 64,    /* frames that continue a stray */
    JUDGED_AT_ONCE = 256 /* bounds what one frame may cost */
};

#define SECOND_NS 1000000000LL
#define BEFORE_NS (2 * SECOND_NS)       /* the numbering before is remembered so much longer than the window */
#define MOST_AHEAD_NS SECOND_NS         /* of the clock, beyond the window: timestamps, bursts and clocks vary */
#define MOST_BEHIND_NS (60 * SECOND_NS) /* a path that comes back old; older is a sender that began anew */

static enum fp_merge_verdict count_late(struct fp_merge *merge, unsigned path) {
    merge->rare[path].late_frames++;
    return FP_MERGE_LATE;
}

/* The caller offers the frame again. */
static enum fp_merge_verdict ask_again(struct fp_merge *merge, unsigned path) {
    merge->paths[path].received_frames--;
    return FP_MERGE_AGAIN;
}

/* `number`, next to the newest or behind holes, becomes the newest. Everything below is judged in time before its slot
 * is used again. */
static void write_slots(struct fp_merge *merge, uint64_t number, unsigned path, uint64_t seen_ns, uint64_t now_ns) {
    if (number / FP_MERGE_BLOCK != merge->head / FP_MERGE_BLOCK) {
        uint64_t block = number / FP_MERGE_BLOCK * FP_MERGE_BLOCK;
        fp_merge_judge(merge, now_ns, block + FP_MERGE_BLOCK - (merge->mask + 1ULL), JUDGED_AT_ONCE);
    }
    for (uint64_t hole = merge->head + 1; hole < number; hole++) {
        merge->slots[hole & merge->mask] = seen_ns << FP_SLOT_SHIFT;
    }
    merge->slots[number & merge->mask] = seen_ns << FP_SLOT_SHIFT | 1U << path;
    merge->head = number;
    merge->flags &= ~(uint32_t)(FP_MERGE_STRAY | FP_MERGE_EMPTY);
}

static void keep_before(struct fp_merge *merge, uint64_t now_ns) {
    merge->before = merge->now;
    merge->before_base = merge->base;
    merge->before_until_ns = now_ns + merge->window_ns + BEFORE_NS;
}

/* A new frame. A gap longer than the slots is lost at once and leaves no numbers: nothing in it could come in time. */
static enum fp_merge_verdict take_new(struct fp_merge *merge, const struct fp_merge_frame *frame, uint64_t number,
                                      uint64_t now_ns) {
    uint64_t gap = number - merge->head - 1;
    uint64_t leap = gap > fp_merge_reach(merge) ? gap : 0;
    bool ordered = (merge->flags & FP_MERGE_ORDERED) != 0;
    if (ordered && !fp_merge_make_room(merge, number - leap)) {
        return ask_again(merge, frame->path);
    }
    if (leap > 0) {
        keep_before(merge, now_ns);
        merge->rare[FP_MERGE_A].lost_frames += leap;
        merge->rare[FP_MERGE_B].lost_frames += leap;
        merge->lost_frames += leap;
    }
    fp_merge_follow(merge, frame, number, gap, now_ns);
    if (leap > 0) {
        merge->now.ref -= leap;
        merge->mark -= leap;
        merge->base = number - leap;
    }
    write_slots(merge, number - leap, frame->path, now_ns, now_ns);
    fp_merge_set_low(merge);
    return ordered ? fp_merge_put_in_order(merge, number - leap) : FP_MERGE_FORWARD;
}

/* A frame whose slot is there. */
static enum fp_merge_verdict take_known(struct fp_merge *merge, uint64_t number, unsigned path, uint64_t now_ns) {
    uint64_t *slot = &merge->slots[number & merge->mask];
    bool ordered = (merge->flags & FP_MERGE_ORDERED) != 0;
    if (number < merge->tail || now_ns - (*slot >> FP_SLOT_SHIFT) > merge->window_ns) {
        return count_late(merge, path);
    }
    if ((*slot >> path & 1) != 0) {
        merge->rare[path].duplicate_frames++;
        return FP_MERGE_DUPLICATE;
    }
    if (fp_merge_second(merge, number, path, now_ns)) {
        return FP_MERGE_MERGED;
    }
    if ((*slot & FP_SLOT_PATHS) != 0) {
        *slot |= 1U << path;
        merge->paths[path].merged_frames++;
        return FP_MERGE_MERGED;
    }
    if (ordered && number < merge->next) {
        return count_late(merge, path);
    }
    if (ordered && !fp_merge_make_room(merge, number)) {
        return ask_again(merge, path);
    }
    *slot |= 1U << path | FP_SLOT_FILLED;
    merge->filled_frames++;
    return ordered ? fp_merge_put_in_order(merge, number) : FP_MERGE_FORWARD;
}

/* The stray becomes the first frame of the numbering. */
static void begin_anew(struct fp_merge *merge) {
    struct fp_merge_frame first = {merge->stray_timestamp, merge->stray_ssrc, merge->stray_sequence, merge->stray_path};
    if (first.ssrc != merge->now.ssrc) {
        merge->ssrc_changes++;
    } else {
        merge->restarts++;
    }
    merge->stray_frames--;
    keep_before(merge, merge->stray_ns);
    fp_merge_begin(merge, &first, merge->head + 1);
    write_slots(merge, merge->head + 1, first.path, merge->stray_ns, merge->stray_ns);
    fp_merge_set_low(merge);
}

static enum fp_merge_verdict take_stray(struct fp_merge *merge, const struct fp_merge_frame *frame, uint64_t now_ns) {
    uint16_t ahead = (uint16_t)(frame->sequence - merge->stray_sequence);
    int32_t ticks = (int32_t)(frame->timestamp - merge->stray_timestamp);
    bool same = ahead == 0 && ticks == 0;
    if ((merge->flags & FP_MERGE_STRAY) != 0 && frame->ssrc == merge->stray_ssrc) {
        if (same && frame->path == merge->stray_path) {
            merge->rare[frame->path].duplicate_frames++;
            return FP_MERGE_DUPLICATE;
        }
        if (same || (ahead >= 1 && ahead <= STRAY_REACH && ticks >= 0)) {
            if ((merge->flags & FP_MERGE_ORDERED) != 0 && !fp_merge_make_room(merge, merge->head + 1)) {
                return ask_again(merge, frame->path);
            }
            begin_anew(merge);
            return same ? take_known(merge, merge->head, frame->path, now_ns)
                        : take_new(merge, frame, merge->head + ahead, now_ns);
        }
    }
    merge->flags |= FP_MERGE_STRAY;
    merge->stray_timestamp = frame->timestamp;
    merge->stray_ssrc = frame->ssrc;
    merge->stray_sequence = frame->sequence;
    merge->stray_path = frame->path;
    merge->stray_ns = now_ns;
    merge->stray_frames++;
    return FP_MERGE_FORWARD;
}

static enum fp_merge_verdict take_old(struct fp_merge *merge, const struct fp_merge_frame *frame, uint64_t now_ns) {
    uint64_t still_ns = now_ns - fp_merge_slot_ns(merge, merge->head);
    return still_ns > merge->paths[0].silence_ns ? take_stray(merge, frame, now_ns) : count_late(merge, frame->path);
}

/* By the clock: small gaps always may be. */
static bool may_be_ahead(const struct fp_merge *merge, const struct fp_merge_frame *frame, uint64_t gap,
                         uint64_t now_ns) {
    int64_t lead_ns;
    if (gap < FP_MERGE_BLOCK) {
        return true;
    }
    if (!fp_merge_lead(merge, frame, now_ns, &lead_ns)) {
        return merge->now.known == 0 || gap <= 4 * (merge->mask + 1ULL);
    }
    uint64_t still_ns = now_ns - fp_merge_slot_ns(merge, merge->head);
    return lead_ns <= (int64_t)merge->window_ns + MOST_AHEAD_NS + (int64_t)(still_ns / 4);
}

static bool may_be_behind(const struct fp_merge *merge, const struct fp_merge_frame *frame, uint64_t now_ns) {
    int64_t lead_ns;
    return !fp_merge_lead(merge, frame, now_ns, &lead_ns) || lead_ns >= -MOST_BEHIND_NS;
}

/* Slots are used again a block at a time. */
static bool has_slot(const struct fp_merge *merge, uint64_t number, uint64_t base, uint64_t top) {
    uint64_t block = merge->head / FP_MERGE_BLOCK * FP_MERGE_BLOCK;
    return number >= base && number <= top && number + merge->mask + 1 >= block + FP_MERGE_BLOCK;
}

/* What the numbering before says of a frame: no frame of its own, one whose slot is there, or an old one. */
enum belongs { BELONGS_NOT, BELONGS_WITH_SLOT, BELONGS_OLD };

static enum belongs find_before(const struct fp_merge *merge, const struct fp_merge_frame *frame, uint64_t now_ns,
                                uint64_t *number) {
    const struct fp_merge_numbering *before = &merge->before;
    uint64_t reach = BEFORE_WINDOWS * (merge->mask + 1ULL);
    if (now_ns >= merge->before_until_ns || frame->ssrc != before->ssrc ||
        (before->known == 0 && frame->timestamp != before->ref_timestamp) ||
        !fp_merge_locate(before, merge->base - 1, frame, number) || *number + reach < merge->base ||
        *number > merge->base + reach) {
        return BELONGS_NOT;
    }
    return has_slot(merge, *number, merge->before_base, merge->base - 1) ? BELONGS_WITH_SLOT : BELONGS_OLD;
}

enum fp_merge_verdict fp_merge_offer_odd(struct fp_merge *merge, const struct fp_merge_frame *frame, uint64_t now_ns) {
    uint64_t number;
    uint64_t number_before;
    if ((merge->flags & FP_MERGE_EMPTY) != 0) {
        fp_merge_begin(merge, frame, merge->head + 1);
        return take_new(merge, frame, merge->head + 1, now_ns);
    }
    enum belongs before = find_before(merge, frame, now_ns, &number_before);
    bool fits = frame->ssrc == merge->now.ssrc && fp_merge_locate(&merge->now, merge->head, frame, &number);
    if (fits && (merge->now.known != 0 || before == BELONGS_NOT)) {
        if (number > merge->head && may_be_ahead(merge, frame, number - merge->head - 1, now_ns)) {
            return take_new(merge, frame, number, now_ns);
        }
        if (has_slot(merge, number, merge->base, merge->head)) {
            return take_known(merge, number, frame->path, now_ns);
        }
        fits = number <= merge->head && may_be_behind(merge, frame, now_ns);
    }
    if (before == BELONGS_WITH_SLOT) {
        return take_known(merge, number_before, frame->path, now_ns);
    }
    return fits || before == BELONGS_OLD ? take_old(merge, frame, now_ns) : take_stray(merge, frame, now_ns);
}
