// The current record, for functions that guests call while they are called for it (record.c).

#ifndef FLBWT_RECORD_H
#define FLBWT_RECORD_H

#include "instance.h"

// What a guest has done to its record, as bits of changes.
enum {
    FLBWT_TIME_SET = 1,
    FLBWT_METADATA_SET = 2,
    FLBWT_GROUP_SET = 4,
    FLBWT_EMITTED = 8,
};

// What a guest gives of a record has this size at most, in all, and each part of it that.
enum { FLBWT_GIVEN_BYTES = 64 << 20, FLBWT_GIVEN_PART_BYTES = 32 << 20 };

// flbwt_emitted stands before the bytes of a further record: those of its body, of its metadata, which are
// that of the record if there are none, and of the tag that it is emitted under, which is the chunk's if
// there are none. A second of -1 is the record's time.
typedef struct {
    int64_t sec;
    uint32_t nsec, body_len, metadata_len, tag_len;
} flbwt_emitted;

// flbwt_json is JSON that was made of what a guest has asked for, for as long as that is the same.
typedef struct {
    flbwt_buffer text;
    uint64_t of; // which it was made of; 0: none
} flbwt_json;

// flbwt_current is the record for which a guest is called. What points into the chunk is good while
// it is open.
typedef struct flbwt_current {
    bool open; // there is such a record
    bool ticking; // flb_tick is called: there is none, and events may be emitted under other tags
    bool msgpack; // what is given and taken is MessagePack, not JSON
    const uint8_t *header, *group; // group: the body of its marker; NULL: there is none
    size_t header_len, group_len;
    uint64_t number, group_number; // another one for each record, and for each body of a marker
    uint32_t sec, nsec; // as the guest has set it, if it has
    // What it has done, for the host to read until the next record. Bytes are not checked.
    unsigned changes;
    size_t given;
    flbwt_buffer new_metadata, new_group, emitted;
    // Kept to be read again.
    flbwt_json metadata_json, group_json;
} flbwt_current;

// flbwt_current_new returns one with no record, NULL if there is no memory.
flbwt_current *flbwt_current_new(bool msgpack);

// flbwt_current_free frees it; it may be NULL.
void flbwt_current_free(flbwt_current *current);

// flbwt_current_trim gives back the buffers that have more than that many bytes.
void flbwt_current_trim(flbwt_current *current, size_t keep);

#endif
