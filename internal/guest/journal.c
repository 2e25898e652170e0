// Events under other tags: the journal of a lane.

#include "lane.h"

#include "../fast/bytes.h"

#include <string.h>

uint8_t *flbwt_journal(flbwt_buffer *journal, const flbwt_journal_entry *head, const uint8_t *tag)
{
    size_t n = sizeof(*head) + (size_t) head->tag_len + head->marker_len + head->event_len;

    if (!flbwt_reserve(journal, n)) {
        return NULL;
    }
    uint8_t *to = journal->data + journal->len;

    journal->len += n;
    to = copy(to, (const uint8_t *) head, sizeof(*head));
    return copy(to, tag, head->tag_len);
}

// charge_room has what the chunk may still have be less by what a journal has grown since it had so many
// bytes.
static void charge_room(flbwt_lane *lane, size_t before)
{
    size_t n = lane->journal.len - before;

    lane->most = n < lane->most ? lane->most - n : 0;
}

bool flbwt_lane_route(flbwt_lane *lane, const uint8_t *data, const uint8_t *tag, uint32_t tag_len,
                      const uint8_t *metadata, size_t metadata_len, const uint8_t *event,
                      uint32_t event_len)
{
    const uint8_t *start, *body;
    size_t start_len, body_len, before = lane->journal.len;

    flbwt_lane_marker(lane, data, &start, &start_len, &body, &body_len);
    flbwt_journal_entry head = {
        .tag_len = tag_len,
        .marker_len = (uint32_t) (start_len + body_len),
        .event_len = event_len,
        .hops = flbwt_lane_hops(lane, metadata, metadata_len),
    };
    uint8_t *to = flbwt_journal(&lane->journal, &head, tag);

    if (to == NULL) {
        return false;
    }
    to = copy(to, start, start_len);
    to = copy(to, body, body_len);
    copy(to, event, event_len);
    lane->elsewhere++;
    charge_room(lane, before);
    return true;
}

bool flbwt_lane_route_tick(flbwt_lane *lane, const uint8_t *tag, uint32_t tag_len,
                           const uint8_t *event, uint32_t event_len)
{
    flbwt_journal_entry head = {
        .tag_len = tag_len, .event_len = event_len, .hops = lane->tick_hops};
    uint8_t *to = flbwt_journal(&lane->ticked, &head, tag);

    if (to != NULL) {
        copy(to, event, event_len);
    }
    return to != NULL;
}

// move appends what is in a journal to another. False: there is no memory, and it stays where it is.
static bool move(flbwt_buffer *to, flbwt_buffer *from)
{
    if (from->len > 0 && !flbwt_reserve(to, from->len)) {
        return false;
    }
    copy(to->data + to->len, from->data, from->len);
    to->len += from->len;
    from->len = 0;
    return true;
}

// give_back_if_empty is flbwt_give_back, but for what could not be moved, which waits for the next time.
static void give_back_if_empty(flbwt_buffer *b)
{
    if (b->len == 0) {
        flbwt_give_back(b);
    }
}

void flbwt_lane_join_journal(flbwt_lane *lane, flbwt_lane *from)
{
    move(&lane->journal, &from->journal);
    move(&lane->ticked, &from->ticked);
    from->journal_before = from->journal.len;
    give_back_if_empty(&from->journal);
    give_back_if_empty(&from->ticked);
}

void flbwt_lane_take_journal(flbwt_lane *lane, flbwt_buffer *to)
{
    flbwt_buffer empty = *to;

    move(&lane->journal, &lane->ticked);
    empty.len = 0;
    give_back_if_empty(&empty);
    give_back_if_empty(&lane->ticked);
    *to = lane->journal;
    lane->journal = empty;
    lane->journal_before = 0;
}

uint64_t flbwt_journal_events(const flbwt_buffer *journal, size_t from)
{
    uint64_t events = 0;
    flbwt_journal_entry head;

    for (size_t at = from; at + sizeof(head) <= journal->len; events++) {
        memcpy(&head, journal->data + at, sizeof(head));
        at += sizeof(head) + (size_t) head.tag_len + head.marker_len + head.event_len;
    }
    return events;
}

void flbwt_lane_keep_journal(flbwt_lane *lane)
{
    __atomic_fetch_add(&lane->emission.kept,
                       flbwt_journal_events(&lane->journal, lane->journal_before),
                       __ATOMIC_RELAXED);
    lane->journal.len = lane->journal_before;
}

void flbwt_lane_count_lost(flbwt_lane *lane, uint64_t events)
{
    __atomic_fetch_add(&lane->emission.dropped, events, __ATOMIC_RELAXED);
}

uint64_t flbwt_lane_drop_journal(flbwt_lane *lane)
{
    uint64_t events =
        flbwt_journal_events(&lane->journal, 0) + flbwt_journal_events(&lane->ticked, 0);

    flbwt_lane_count_lost(lane, events);
    lane->journal.len = lane->ticked.len = 0;
    return events;
}
