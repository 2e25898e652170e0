// Batches: the lane's way for guests of the batch ABI (docs/abi.md). Events are gathered, the guest is
// called for all of them, and they are emitted one after the other as it says.

#ifndef FLBWT_BATCH_H
#define FLBWT_BATCH_H

#include "call.h"

#include "../fast/fast.h"

// Metadata stands in two arrays, which Fluent Bit counts with it.
enum { FLBWT_METADATA_DEPTH = 30 };

// What a gathered event is.
enum flbwt_entry_kind {
    FLBWT_ENTRY_RECORD, // in the guest's table
    FLBWT_ENTRY_UNUSABLE, // a record that can't be given to it
    FLBWT_ENTRY_GROUP_START, // the marker before a group
    FLBWT_ENTRY_GROUP_END,
};

// flbwt_entry is a gathered event. Its place is from where the batch begins in the chunk.
typedef struct {
    flbwt_place place;
    int64_t sec;
    uint32_t kind, group; // group: by the guest's table; 0: none
} flbwt_entry;

// flbwt_marker is the marker of a group, as offsets in where it is.
typedef struct {
    bool edited; // it is in batch.markers, not in the chunk
    bool answered; // the guest has, for a batch that had the group
    const uint8_t *error; // the operation by which the guest says that it has failed; or NULL
    size_t at, meta, body, next; // next 0: there is no group
} flbwt_marker;

// What the guest says of a batch, in its memory.
typedef struct {
    const uint8_t *ops;
    uint32_t n, at; // at: the first that is not yet done
} flbwt_ops;

typedef struct {
    uint32_t max_records; // of a batch; 0: the lane's guest is none of the batch ABI
    size_t max_bytes; // of its events, but for one that is larger
    bool drop; // what fails
    uint32_t limit; // max_records for now, after a failure; 0: none

    // What is gathered: the places of all events and, unless all are ordinary records, and of one group,
    // what else there is to know of each.
    flbwt_buffer places, others;
    bool mixed;
    flbwt_buffer groups, markers; // markers: of groups that the guest has edited
    size_t base, end; // of the events that have been gathered, in the chunk
    uint32_t n, records; // of events; of these, in the guest's table
    uint32_t groups_n; // the first of groups is the one that is open at base, if there is one
    uint32_t gathered_group; // the one that is open at end
    bool closed; // the event at end is for the next batch
    flbwt_marker outer; // of the group that is open at base

    bool seen; // the guest has been given the input, whatever came of it
    bool called; // the guest has been: they are to be emitted
    bool stopped; // for Go to emit some of them
    bool told; // Go, of the marker that is next, whose group has failed
    uint32_t failed; // an outcome, of all of them; FLBWT_NOT_RUN: they have not
    flbwt_ops ops, group_ops;
    uint32_t i, record; // the event that is next, and how many records are before it
    // The groups that are open in the chunk there, and in what is emitted; 0: none.
    uint32_t now, open;
    uint64_t given; // bytes of operations, in the chunk so far
    flbwt_buffer edits, scratch, inherited;
    flbwt_shape shape; // of the records so far

    const char *why; // an operation is a breach, or the reply is
    const uint8_t *refused_tag; // that why is about, in the guest's memory; NULL: it is about none
    uint32_t refused_tag_len;
    uint32_t code; // of an event that the guest says has failed
    const uint8_t *text; // in its memory
    uint32_t text_len;
} flbwt_batch;

#endif
