// Tables that guests look things up in: files that the host has loaded, in C memory, which every
// instance of a filter reads at once. A table is never changed: a new version of its file is
// another table, which takes its place.

#ifndef FLBWT_TABLE_H
#define FLBWT_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    FLBWT_TABLE_KEY_BYTES = 64 << 10,   // a longer key is in no table
    FLBWT_TABLE_PATH_BYTES = 1024,      // a longer path leads nowhere
    FLBWT_TABLE_VALUE_BYTES = 1 << 20,  // of a value, as it is kept
    FLBWT_TABLE_WRITTEN_BYTES = 6 << 20, // of one of a MaxMind DB, as it is written
    FLBWT_TABLE_STEPS = 1 << 16, // that a look-up goes in a MaxMind DB: values that it reads
    FLBWT_TABLE_DEPTH = 31, // containers within each other: what Fluent Bit can read
};

enum flbwt_table_kind { FLBWT_TABLE_JSON, FLBWT_TABLE_CSV, FLBWT_TABLE_MMDB };

// flbwt_table is one version of a file. It owns bytes and slots.
//
// Those of CSV and JSON have entries one after the other in bytes, from entries_at on: two lengths
// of 32 bits, as the machine has them, of the key and of the value; the key; the value. The value of
// JSON is MessagePack; that of CSV a str for each column, whose names stand before the entries, as
// strs, too. slots is a hash table, twice as long as there are entries at least; 0: nothing is
// there, else the place of the entry, with 16 bits of the hash above.
//
// bytes of a MaxMind DB are the file.
typedef struct {
    enum flbwt_table_kind kind;
    uint8_t *bytes;
    size_t size;

    size_t entries_at;
    uint64_t *slots, mask, seed;
    uint32_t columns;

    const uint8_t *data; // the data section
    size_t data_size;
    uint32_t nodes, ipv4_start;
    unsigned record_bits; // 24, 28 or 32
    bool ipv6;
} flbwt_table;

// flbwt_table_index makes the slots. Of entries with one key the last one counts; *repeated is how
// many there are before, and *first where the first of them stands that repeats a key. False: there
// is no memory.
bool flbwt_table_index(flbwt_table *t, uint64_t entries, uint64_t seed, uint64_t *repeated,
                       size_t *first);

// flbwt_table_tree looks where addresses of IPv4 begin in a tree of IPv6. nodes, record_bits, ipv6
// and bytes are set, and the tree is within bytes.
void flbwt_table_tree(flbwt_table *t);

// flbwt_table_verify goes through the tree and all values that it leads to. *at is where in the data
// section, or at which node, what is bad is.
enum flbwt_table_fault {
    FLBWT_TABLE_GOOD,
    FLBWT_TABLE_BAD_NODE,
    FLBWT_TABLE_BAD_VALUE,
    FLBWT_TABLE_NO_MEMORY,
};

enum flbwt_table_fault flbwt_table_verify(const flbwt_table *t, size_t *at);

// flbwt_table_resize is realloc, which cgo's malloc is not: without memory it returns NULL.
uint8_t *flbwt_table_resize(uint8_t *bytes, size_t size);

// flbwt_table_free frees the table and what it owns; NULL is none.
void flbwt_table_free(flbwt_table *t);

// What a value is written as. Text is a string as it is, and JSON of what is not a string.
enum flbwt_table_form { FLBWT_FORM_JSON, FLBWT_FORM_MSGPACK, FLBWT_FORM_TEXT };

// What there is in place of a length.
enum {
    FLBWT_TABLE_ABSENT = -1,
    FLBWT_TABLE_DAMAGED = -2, // the file is, or the value is too large or nests too deep
};

typedef struct {
    const uint8_t *key;
    size_t key_len;
    bool is_address; // the key is an address of 4 or 16 bytes, and not the text of one
    const uint8_t *path; // names and numbers within the value, with dots between; empty: all of it
    size_t path_len;
    enum flbwt_table_form form;
} flbwt_query;

// flbwt_table_get writes the value of a key, or what a path leads to within it, and returns its
// length; if that is more than room, what is at out is not all of it. It takes time that the
// constants above bound, allocates nothing and locks nothing.
int32_t flbwt_table_get(const flbwt_table *t, const flbwt_query *q, uint8_t *out, size_t room);

// flbwt_address reads an IPv4 or IPv6 address as it is written, without zone, and returns its
// length, 4 or 16; 0 if it is none. One of IPv4 that is mapped into IPv6 has 4 bytes.
int flbwt_address(const uint8_t *text, size_t n, uint8_t address[16]);

// flbwt_address_mapped says whether an address of IPv6 is one of IPv4 that is mapped into it.
bool flbwt_address_mapped(const uint8_t address[16]);

// flbwt_tables are the tables of a filter, by their names.
typedef struct {
    const char *name; // in lower case
    uint32_t name_len;
    flbwt_table *current;
} flbwt_table_place;

typedef struct {
    uint32_t news; // counts what has happened to them, for the log
    uint32_t len;
    flbwt_table_place *places;
} flbwt_tables;

// flbwt_table_reader is where an instance says which table it reads: while it does, the table is not
// freed.
typedef struct {
    flbwt_table *reading;
} flbwt_table_reader;

// flbwt_table_enter returns the version of a table to read until flbwt_table_leave.
const flbwt_table *flbwt_table_enter(const flbwt_table_place *place, flbwt_table_reader *reader);
void flbwt_table_leave(flbwt_table_reader *reader);

// flbwt_table_swap has another version take the place, and returns the one before, which may be
// freed once no reader reads it.
flbwt_table *flbwt_table_swap(flbwt_table_place *place, flbwt_table *next);
bool flbwt_table_reads(const flbwt_table_reader *reader, const flbwt_table *t);

// flbwt_tables_tell counts news; flbwt_tables_news is how many there are.
void flbwt_tables_tell(flbwt_tables *tables);
static inline uint32_t flbwt_tables_news(const flbwt_tables *tables)
{
    return __atomic_load_n(&tables->news, __ATOMIC_ACQUIRE);
}

#endif
