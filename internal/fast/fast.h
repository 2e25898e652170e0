// The hot path: from a chunk to what a guest is given, and from its reply to a chunk.
//
// These functions do what packages chunk, mp and transcode define, for what log records are
// made of, and decline everything else, malformed or rare: then Go decides. What they do write
// is byte for byte what those packages write; fuzz targets hold them to that. They know neither
// Fluent Bit nor wasmtime, allocate nothing, and read nothing beyond the end that they are given.

#ifndef FLBWT_FAST_H
#define FLBWT_FAST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Of event.c: events.

// How deep containers may nest in an event: chunk.MaxDepth.
enum { FLBWT_EVENT_DEPTH = 128 };

// An ordinary event, as offsets in the chunk.
typedef struct {
    size_t header, header_len; // time and metadata
    size_t time, meta; // where in the header they begin; meta at its end, if there are none
    size_t body, next; // next is for the caller to set, who finds the end of the body
    uint32_t sec, nsec;
} flbwt_event;

// flbwt_read_event reads an event of data[at..size) up to its body, which is a map. False: it is
// no ordinary record.
bool flbwt_read_event(const uint8_t *data, size_t size, size_t at, flbwt_event *e);

// The marker that ends a group, as Fluent Bit writes it (src/flb_log_event_encoder.c, 3.2 to 5.1): an event of the
// time -2.
enum { FLBWT_GROUP_END_BYTES = 14 };
extern const uint8_t flbwt_group_end[FLBWT_GROUP_END_BYTES];

// An ordinary event among others, as offsets from where they begin. Each part ends where the next
// begins; an event without metadata has none, in no bytes.
typedef struct {
    uint32_t at, time, meta, body, next;
    uint32_t sec, nsec;
} flbwt_place;

// flbwt_shape is what records have been like so far. Zeroed, it is of none; what is in it makes reading
// faster or slower, and nothing else.
enum { FLBWT_SHAPE_MEMBERS = 64 };

typedef struct {
    uint8_t key, key_len; // its lead byte, and how many bytes it takes
    uint8_t kind, len; // of its value, by shape.h
} flbwt_member;

typedef struct {
    unsigned n;
    flbwt_member members[FLBWT_SHAPE_MEMBERS + 1]; // the one behind the last has no key
} flbwt_shape;

enum flbwt_reading {
    FLBWT_READ_ALL, // to the end
    FLBWT_READ_FULL, // as many as may be
    FLBWT_READ_UNUSUAL, // up to one that is no ordinary record
};

// flbwt_read_events reads the events of data[from..size), which are checked to their ends: up to max,
// and while they end at max_bytes at most, but for one at data[0]. *n is how many.
enum flbwt_reading flbwt_read_events(const uint8_t *data, size_t size, size_t from,
                                     size_t max_bytes, flbwt_shape *shape, flbwt_place *places,
                                     size_t max, size_t *n);

// flbwt_event_metadata returns where the metadata begins in an event's header of len bytes, which has
// been checked, and ends with it. NULL: the header is a time alone.
const uint8_t *flbwt_event_metadata(const uint8_t *header, size_t len);

// Of json_write.c and json_read.c: records between MessagePack and JSON.

enum {
    // Containers deeper than this are left to package transcode.
    FLBWT_JSON_DEPTH = 64,
    // What n bytes may become: so many times n, and some more.
    FLBWT_JSON_GROWTH = 6,
    FLBWT_MSGPACK_GROWTH = 3,
    FLBWT_GROWTH_ROOM = 64,
    // A record with more members is decoded in full.
    FLBWT_MEMBERS = 32,
};

// A flbwt_record is a record in both of its forms. Most replies repeat members of the
// record that they answer; what is repeated letter for letter need not be decoded, for
// its MessagePack is at hand.
//
// Member i is json[json_at[i]..json_at[i+1]-1), without the ',' or '}' behind it, and
// body[body_at[i]..body_at[i+1]).
typedef struct {
    const uint8_t *json, *body;
    int depth; // how deep its containers nest
    bool lossy; // it holds what JSON does not: a reply is not its JSON alone
    unsigned members; // 0: not noted, or its JSON decodes to something else than body
    uint64_t starts; // how their JSON starts: tells most that no member is
    uint32_t json_at[FLBWT_MEMBERS + 1], body_at[FLBWT_MEMBERS + 1];
} flbwt_record;

// flbwt_write_json writes the MessagePack value at in, which ends at end at the latest,
// as JSON to out, where there is room for FLBWT_JSON_GROWTH times the length of the
// value and FLBWT_GROWTH_ROOM bytes more. It returns where the JSON ends, and sets
// *after to what follows the value and *record to what it is; NULL if it does not do
// it.
uint8_t *flbwt_write_json(const uint8_t *in, const uint8_t *end, uint8_t *out,
                          const uint8_t **after, flbwt_record *record);

// flbwt_read_json writes the JSON object that begins in[0..end), behind white space, as
// MessagePack to out, where there is room for FLBWT_MSGPACK_GROWTH times end - in
// and FLBWT_GROWTH_ROOM bytes more. It returns where the MessagePack ends; NULL if
// it does not do it, or if another object follows. Containers may nest depth deep. Up to readable, which is not
// below end, memory may be read. What it writes does not depend on record, which is
// what the object may repeat; NULL if that is not known.
uint8_t *flbwt_read_json(const uint8_t *in, const uint8_t *end, const uint8_t *readable, int depth,
                         const flbwt_record *record, uint8_t *out);

// flbwt_span_json returns the length of the JSON object or array at the start of p[0..n),
// leading blanks included; 0 if p starts with anything else, or if the value does not end in p.
// It only finds where the value ends.
size_t flbwt_span_json(const uint8_t *p, size_t n);

// Of msgpack.c: where values end.

// flbwt_skip returns what follows the MessagePack value at p, having checked all of it; NULL if
// it is invalid, does not end before end, or nests deeper than depth. *containers is how many
// containers it is made of, or more than depth.
const uint8_t *flbwt_skip(const uint8_t *p, const uint8_t *end, int depth, unsigned *containers);

// flbwt_skip_reply does the same with a map that may begin with the pairs of in: a map that has
// been skipped, and need not be gone through again.
const uint8_t *flbwt_skip_reply(const uint8_t *p, const uint8_t *end, int depth, const uint8_t *in,
                                size_t in_len, unsigned in_containers);

// flbwt_span_msgpack returns the length of the MessagePack value at the start of p[0..n), valid
// or not; 0 if it does not end there.
size_t flbwt_span_msgpack(const uint8_t *p, size_t n);

// Of edit.c: edits of a map.

// What a batch guest may do to a part of an event, by the numbers of its operations (docs/abi.md).
enum {
    FLBWT_EDIT_REPLACE = 4, // by bytes, one map
    FLBWT_EDIT_SET, // a member: bytes are key and value
    FLBWT_EDIT_ADD, // a members, whose keys are not looked for
    FLBWT_EDIT_REMOVE, // the members with that key
    FLBWT_EDIT_PUT, // in the place of the value at offset a, of b bytes
};

// How many keys of a part may be set and removed, and how many bytes they may have in all: each is
// compared with each.
enum { FLBWT_EDIT_KEYS = 256, FLBWT_EDIT_KEY_BYTES = 1 << 16 };

typedef struct {
    uint32_t kind, a, b;
    const uint8_t *bytes;
    size_t len;
} flbwt_edit;

// flbwt_edit_map writes the value at in[0..n), which is valid and nests FLBWT_EVENT_DEPTH deep at most,
// as count > 0 edits make it; unless it is a map, it can only be replaced. It may nest depth deep then, or as deep as it
// did. out and scratch have room for n, all bytes of the edits, and 4 more. It returns where the map ends; NULL: an edit
// is not valid, and *why says how.
uint8_t *flbwt_edit_map(const uint8_t *in, size_t n, const flbwt_edit *edits, size_t count,
                        int depth, uint8_t *scratch, uint8_t *out, const char **why);

// flbwt_add_members is flbwt_edit_map for one FLBWT_EDIT_ADD, which is not valid if it returns NULL, or the map
// nests deeper than depth as it came.
uint8_t *flbwt_add_members(const uint8_t *in, size_t n, uint32_t members, const uint8_t *bytes,
                           size_t len, int depth, uint8_t *out);

#endif
