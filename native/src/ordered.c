/* SPDX-License-Identifier: Apache-2.0 */
/* Frames of merges that release in order: into the store, into their queue, out. */
#include "ordered.h"
#include "media.h"
#include "output.h"

#define RETRY_NS 100000U /* an output without room is looked at again */

enum {
    TURN_FRAMES = 1024, /* leave in a turn of the loop beyond as many as it brought: bounds what it takes */
    BATCH = 16,         /* whose first lines are fetched together: they have long left the caches */
    MOST_TRIES = 4
};

/* What leaves together. */
struct batch {
    uint32_t handles[BATCH];
    uint32_t count;
};

static struct fp_merge *merge_of(const struct fp_worker *worker, uint32_t number) {
    return fp_arena_merge(worker->segment, worker->table->merge_at[number % FP_MAX_MERGES]);
}

static void line_push(struct fp_ordered_line *line, struct fp_hold *hold, uint32_t handle) {
    struct fp_hold_place *place = &hold->places[handle];
    place->state = FP_HOLD_QUEUED;
    place->next = FP_HOLD_NONE;
    if (line->first == FP_HOLD_NONE) {
        line->first = handle;
    } else {
        hold->places[line->last].next = handle;
    }
    line->last = handle;
}

static uint32_t line_pop(struct fp_ordered_line *line) {
    uint32_t handle = line->first;
    line->first = line->hold->places[handle].next;
    return handle;
}

/* What was held in a place went out or was dropped. */
static void account(struct fp_worker *worker, struct fp_hold *hold, uint32_t handle) {
    struct fp_worker_port *port = &worker->ports[hold->places[handle].port % FP_MAX_PORTS];
    port->counters.held_frames--;
    port->counters_changed = true;
    fp_hold_free(hold, handle);
}

static void drop(struct fp_worker *worker, struct fp_hold *hold, uint32_t handle) {
    worker->ports[hold->places[handle].port % FP_MAX_PORTS].counters.dropped_frames[FP_DROP_TX_FULL]++;
    account(worker, hold, handle);
}

/* Merges hold no more than there are places less FP_HOLD_SPARE_FRAMES (publish.c): others lie in queues, of outputs
 * that have had no room. The oldest of this merge goes, else that of another. */
static void make_free(struct fp_worker *worker, struct fp_hold *hold, uint32_t number) {
    struct fp_ordering *ordering = worker->ordering;
    struct fp_ordered_line *line = &ordering->lines[number];
    for (uint32_t i = 0; i < FP_MAX_MERGES && (line->hold != hold || line->first == FP_HOLD_NONE); i++) {
        line = &ordering->lines[i];
    }
    if (line->hold == hold && line->first != FP_HOLD_NONE) {
        drop(worker, hold, line_pop(line));
    }
}

/* ------------------------------------------------------------ in */

/* Too many are held: those whose turn comes early go into the queue first. */
static enum fp_merge_verdict offer(struct fp_merge *merge, struct fp_ordered_line *line, struct fp_hold *hold,
                                   const struct fp_merge_frame *frame, uint64_t now_ns) {
    struct fp_merge_held out[BATCH];
    enum fp_merge_verdict verdict = fp_merge_offer(merge, frame, now_ns);
    for (unsigned tries = 0; verdict == FP_MERGE_AGAIN && tries < MOST_TRIES; tries++) {
        uint32_t count = fp_merge_release(merge, now_ns, out, BATCH);
        for (uint32_t i = 0; i < count; i++) {
            if (fp_hold_find(hold, out[i].handle) != NULL) {
                line_push(line, hold, out[i].handle);
            }
        }
        verdict = fp_merge_offer(merge, frame, now_ns);
    }
    return verdict;
}

/* A first copy. */
static void keep(struct fp_burst *burst, const struct fp_frame *frame, struct fp_hold *hold, uint32_t number,
                 uint16_t path, bool held) {
    struct fp_ordering *ordering = burst->worker->ordering;
    struct fp_ordered_line *line = &ordering->lines[number];
    if (hold->free == FP_HOLD_NONE) {
        make_free(burst->worker, hold, number);
    }
    uint32_t handle = fp_hold_put(hold, frame, burst->port, path);
    ordering->busy[number / 64] |= 1ULL << number % 64;
    line->hold = hold;
    if (held) { /* it counts on its frame, even where there is none: that handle is no place */
        fp_merge_hold(merge_of(burst->worker, number), handle, fp_frame_length(frame));
    }
    if (__builtin_expect(handle == FP_HOLD_NONE, 0)) {
        fp_burst_drop(burst, FP_DROP_TX_FULL);
        return;
    }
    if (!held) {
        line_push(line, hold, handle);
    }
    burst->ingress->counters.held_frames++;
}

static bool is_busy(const struct fp_ordering *ordering, uint32_t number) {
    return (ordering->busy[number / 64] >> number % 64 & 1) != 0;
}

void fp_ordered_take(struct fp_burst *burst, const struct fp_frame *frame, const struct fp_table_entry *entry) {
    const uint8_t *rtp = fp_rtp_find(frame->bytes, &frame->layout);
    struct fp_ordering *ordering = burst->worker->ordering;
    if (rtp == NULL) {
        fp_burst_drop(burst, FP_DROP_NOT_RTP);
        return;
    }
    uint32_t number = ((entry->merge & FP_ENTRY_MERGE) - 1U) % FP_MAX_MERGES;
    struct fp_hold *hold = ordering != NULL ? ordering->hold_of[burst->port % FP_MAX_PORTS] : NULL;
    if (hold == NULL || hold->region != burst->ingress->port->info.region ||
        (is_busy(ordering, number) && ordering->lines[number].hold != hold)) {
        fp_burst_drop(burst, FP_DROP_TX_FULL); /* the port came back in another region */
        return;
    }
    struct fp_merge_frame offered = fp_merge_read_rtp(rtp, entry->merge >> FP_ENTRY_PATH_SHIFT);
    enum fp_merge_verdict verdict =
        offer(merge_of(burst->worker, number), &ordering->lines[number], hold, &offered, burst->now_ns);
    if (verdict == FP_MERGE_MERGED) {
        burst->merged_frames++;
    } else if (verdict == FP_MERGE_FORWARD || verdict == FP_MERGE_HOLD) {
        keep(burst, frame, hold, number, offered.path, verdict == FP_MERGE_HOLD);
    } else {
        fp_media_refuse(burst, verdict);
    }
}

/* ------------------------------------------------------------ out */

/* Frames whose turn it is, at most `most`. */
static void batch_take(struct fp_worker *worker, uint32_t number, uint64_t now_ns, uint32_t most, struct batch *out) {
    struct fp_ordered_line *line = &worker->ordering->lines[number];
    struct fp_merge_held held[BATCH];
    out->count = 0;
    most = most < BATCH ? most : BATCH;
    while (out->count < most && line->first != FP_HOLD_NONE) {
        out->handles[out->count++] = line_pop(line);
    }
    if (out->count == 0) {
        uint32_t count = fp_merge_release(merge_of(worker, number), now_ns, held, most);
        for (uint32_t i = 0; i < count; i++) {
            struct fp_hold_place *place = fp_hold_find(line->hold, held[i].handle);
            if (place != NULL) {
                place->state = FP_HOLD_QUEUED; /* a handle counts once */
                out->handles[out->count++] = held[i].handle;
            }
        }
    }
}

static const struct fp_table_entry *find_entry(const struct fp_table_flat *table, uint32_t number, unsigned path) {
    uint16_t route = table->ordered_routes[number % FP_MAX_MERGES][path % FP_MERGE_PATHS];
    return route == 0 ? NULL : fp_table_entry_of(table, route);
}

static void send_one(struct fp_burst *burst, struct fp_hold *hold, uint32_t handle, uint32_t number) {
    struct fp_worker *worker = burst->worker;
    struct fp_hold_place *place = &hold->places[handle];
    struct fp_worker_port *port = &worker->ports[place->port % FP_MAX_PORTS];
    const struct fp_table_entry *entry = find_entry(worker->table, number, place->path);
    struct fp_frame frame = fp_hold_frame(hold, place);
    burst->ingress = port;
    burst->port = place->port;
    burst->forwarded_frames = 0;
    burst->to_host_frames = 0;
    if (entry != NULL) {
        fp_burst_output(burst, &frame, entry);
    } else {
        fp_burst_drop(burst, FP_DROP_BY_ROUTE); /* its path is no longer in the table */
    }
    port->counters.forwarded_frames += burst->forwarded_frames;
    port->counters.to_host_frames += burst->to_host_frames;
    account(worker, hold, handle);
}

static void send_batch(struct fp_burst *burst, struct fp_hold *hold, const struct batch *batch, uint32_t number) {
    for (uint32_t i = 0; i < batch->count; i++) {
        __builtin_prefetch(fp_hold_frame(hold, &hold->places[batch->handles[i]]).bytes);
    }
    for (uint32_t i = 0; i < batch->count; i++) {
        send_one(burst, hold, batch->handles[i], number);
    }
}

/* Slots that every output has which had one lately; as many as one likes where none had: then all is dropped. */
static uint32_t find_room(struct fp_burst *burst, uint32_t number) {
    struct fp_ordering *ordering = burst->worker->ordering;
    const struct fp_table_entry *entry = find_entry(burst->worker->table, number, FP_MERGE_A);
    uint32_t least = UINT32_MAX;
    entry = entry != NULL ? entry : find_entry(burst->worker->table, number, FP_MERGE_B);
    for (unsigned i = 0; entry != NULL && i < entry->output_count && i < FP_MAX_OUTPUTS; i++) {
        uint32_t port = entry->outputs[i].port % FP_MAX_PORTS;
        const struct fp_cursor *cursor = fp_burst_cursor(burst, port);
        uint32_t room = cursor->run + cursor->rest;
        if (room > 0) {
            ordering->room_ns[port] = burst->worker->now_ns;
        }
        if (room > 0 || burst->worker->now_ns - ordering->room_ns[port] <= FP_STUCK_NS) {
            least = room < least ? room : least;
        }
    }
    return least;
}

static void note_due(struct fp_ordering *ordering, uint64_t due_ns) {
    ordering->due_ns = due_ns < ordering->due_ns ? due_ns : ordering->due_ns;
}

/* Frames of one merge, at most `most`. Returns how many. */
static uint32_t release_line(struct fp_burst *burst, uint32_t number, uint32_t most) {
    struct fp_worker *worker = burst->worker;
    struct fp_ordering *ordering = worker->ordering;
    struct fp_ordered_line *line = &ordering->lines[number];
    bool leaves = (ordering->leaving[number / 64] >> number % 64 & 1) != 0;
    struct batch batch = {.count = 1};
    uint32_t sent = 0;
    burst->ring = &line->hold->ring;
    burst->ingress = &worker->ports[line->hold->port % FP_MAX_PORTS];
    uint32_t room = find_room(burst, number);
    uint32_t limit = room < most ? room : most;
    while (sent < limit && batch.count > 0) {
        batch_take(worker, number, leaves ? UINT64_MAX : worker->now_ns, limit - sent, &batch);
        send_batch(burst, line->hold, &batch, number);
        sent += batch.count;
    }
    const struct fp_merge *merge = merge_of(worker, number);
    if (line->first == FP_HOLD_NONE && merge->held == 0) {
        ordering->busy[number / 64] &= ~(1ULL << number % 64);
        ordering->leaving[number / 64] &= ~(1ULL << number % 64);
    } else if (sent == limit) {
        note_due(ordering, worker->now_ns + (room <= most ? RETRY_NS : 0));
    } else {
        note_due(ordering, fp_merge_deadline_ns(merge));
    }
    return sent;
}

uint32_t fp_ordered_next(const struct fp_ordering *ordering, uint32_t from) {
    for (uint32_t at = from; at < FP_MAX_MERGES; at = (at / 64 + 1) * 64) {
        uint64_t left = ordering->busy[at / 64] >> at % 64;
        if (left != 0) {
            return at + (uint32_t)__builtin_ctzll(left);
        }
    }
    return FP_MAX_MERGES;
}

/* Of merges from `from` to below `end`; false where the turn is full before. */
static bool release_lines(struct fp_burst *burst, uint32_t from, uint32_t end, uint32_t *left) {
    struct fp_ordering *ordering = burst->worker->ordering;
    for (uint32_t number = fp_ordered_next(ordering, from); number < end;
         number = fp_ordered_next(ordering, number + 1)) {
        if (*left == 0) {
            ordering->turn = number;
            note_due(ordering, burst->worker->now_ns);
            return false;
        }
        *left -= release_line(burst, number, *left);
    }
    return true;
}

void fp_ordered_release(struct fp_worker *worker, uint32_t frames) {
    struct fp_ordering *ordering = worker->ordering;
    uint32_t first = ordering->turn;
    uint32_t left = TURN_FRAMES + frames;
    ordering->due_ns = UINT64_MAX;
    if (fp_ordered_next(ordering, 0) == FP_MAX_MERGES) {
        return;
    }
    fp_burst_open_held(worker->burst, worker);
    if (release_lines(worker->burst, first, FP_MAX_MERGES, &left)) {
        (void)release_lines(worker->burst, 0, first, &left);
    }
    fp_burst_close_held(worker->burst);
    fp_worker_publish(worker);
}

void fp_ordered_drop(struct fp_worker *worker, uint32_t number) {
    struct fp_ordered_line *line = &worker->ordering->lines[number];
    struct batch batch = {.count = 1};
    while (batch.count > 0) {
        batch_take(worker, number, UINT64_MAX, BATCH, &batch);
        for (uint32_t i = 0; i < batch.count; i++) {
            drop(worker, line->hold, batch.handles[i]);
        }
    }
    worker->ordering->busy[number / 64] &= ~(1ULL << number % 64);
    worker->ordering->leaving[number / 64] &= ~(1ULL << number % 64);
}
