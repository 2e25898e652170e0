/*
 * flb_filter.h: filters for Fluent Bit in C11 and C++17, which run as WebAssembly in the filter `wasmtime`
 * of fluent-bit-wasmtime. README.md begins with an example.
 *
 * Include it wherever it is needed; FLB_FILTER stands in one file. Names that end in _ are not for use.
 *
 * What is read is an event as it came: edits take effect when the filter has returned, one after the other, and
 * cost what they touch; one of what another has touched before costs a copy of the part. What functions return lives until the batch ends, or as long as the module if it is made while the
 * configuration is read. Nothing is to be freed. Text is not checked to be UTF-8, and need not end with a NUL.
 *
 * Functions that do something return 0, or an error that a filter may return in turn. Without memory the
 * event fails, whatever the filter returns.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FLB_FILTER_H
#define FLB_FILTER_H

#define FLB_FILTER_VERSION "0.1.0"

/* Without a libc, memory is that of the module after its data. An allocator of one's own that has memory
 * grow, too, is to be named by FLB_MALLOC and FLB_FREE. */
#if defined(__wasm__) && !defined(__wasi__) && !defined(__EMSCRIPTEN__) && !defined(FLB_MALLOC)
#define FLB_BARE_
#ifndef __wasm_bulk_memory__
#error "without a libc, flb_filter.h needs -mbulk-memory: memcpy is an instruction then"
#endif
#elif !defined(FLB_MALLOC)
#include <stdlib.h>
#define FLB_MALLOC malloc
#define FLB_FREE   free
#endif

#ifdef __wasm__
#define FLB_IMPORT_(name) __attribute__((import_module("flb_v1"), import_name(#name)))
#define FLB_EXPORT_(name) __attribute__((export_name(#name)))
/* What the module says of itself, in its section flb_module. */
#define FLB_ABOUT_ \
    __asm__(".section .custom_section.flb_module,\"\",@\n" \
            ".ascii \"abi=flb_batch_1\\nlanguage=" FLB_LANGUAGE_ "\\nsdk=flb_filter.h\\n\"\n");
#else /* tests: see flb_test.h */
#define FLB_IMPORT_(name)
#define FLB_EXPORT_(name)
#define FLB_ABOUT_
#endif
#define FLB_FORMAT_(n) __attribute__((format(printf, n, n + 1)))
#define FLB_INLINE_    static inline __attribute__((always_inline))
#define FLB_ONCE_      static __attribute__((noinline, unused)) /* what is seldom done keeps modules small */

#ifdef __cplusplus
extern "C" {
#endif

/* Types. */

typedef unsigned char flb_byte;

/* Bytes, text as a rule. at is 0 where there is none. */
typedef struct flb_text {
    const char *at;
    unsigned len;
} flb_text;

/* A value of a record, read where it stands. at is 0 where there is none. */
typedef struct flb_value {
    const flb_byte *at;
} flb_value;

/* FLB_BIN: bytes that are not said to be text; FLB_EXT: an extension of MessagePack. */
enum flb_kind { FLB_NONE, FLB_NIL, FLB_BOOL, FLB_INT, FLB_FLOAT, FLB_EXT, FLB_STR, FLB_BIN, FLB_ARRAY, FLB_MAP };

/* When an event happened: seconds since the epoch, and nanoseconds. */
typedef struct flb_time {
    long long sec;
    unsigned nsec;
} flb_time;

/* Bytes that grow: text, or a map or array of one's own. The first 5 are for a header. */
typedef struct flb_buf {
    flb_byte *at;
    unsigned len, room, count;
    enum flb_kind kind;
} flb_buf, flb_map, flb_list;

/* What is put into a record: MessagePack, in two pieces. */
typedef struct flb_arg {
    flb_byte head[12];
    unsigned head_len, len;
    const void *at;
} flb_arg;

struct flb_op_ {
    unsigned of;
    flb_byte kind, part;
    unsigned short zero;
    unsigned a, b;
    const void *bytes;
    unsigned len;
};

enum { FLB_INDEXED_ = 64 };

/* The body or the metadata of an event or group: a map. */
typedef struct flb_part {
    const flb_byte *came; /* 0: the event has no such part */
    unsigned came_len, which;
    struct {
        flb_text key; /* at is 0: it is no text */
        flb_value value;
    } index[FLB_INDEXED_];  /* the first members, as far as one has been looked for */
    unsigned indexed, left; /* left: members behind them */
    const flb_byte *rest;   /* where these begin; 0: the header has not been read */
    const flb_byte *base; /* what edits are of: came, unless it has been replaced, or edited twice in one place */
    unsigned base_len;
    struct flb_op_ *puts; /* of places in base; they ascend */
    unsigned puts_count, puts_room;
    unsigned edits, adds, named_len; /* sets, removes and adds; bytes of the keys of the first two */
    const char *fault;               /* why the event fails */
} flb_part;

/* An event: what a filter is called for. */
typedef struct flb_event {
    flb_part body, metadata; /* the record; with OTLP, metadata is what else a log record has */
    flb_text tag;
    flb_time time;   /* as it has been set, if it has */
    flb_value group; /* what its group has in common, as it came: with OTLP {"resource": {…}, "scope": {…}} */
    int is_dropped, has_time;
} flb_event;

/* What the events of a group have in common: with OTLP resource and scope, as the body. */
typedef struct flb_group {
    flb_part body, metadata;
} flb_group;

/* The host. */

FLB_IMPORT_(log) void flb_host_log(int level, const void *text, unsigned len);
FLB_IMPORT_(log_enabled) int flb_host_log_enabled(int level);
FLB_IMPORT_(emit_to)
int flb_host_emit_to(const void *tag, unsigned tag_len, const void *body, unsigned body_len, const void *metadata,
                     unsigned metadata_len, long long sec, unsigned nsec);
FLB_IMPORT_(config_get) int flb_host_config_get(const void *key, unsigned len, void *to, unsigned room);
FLB_IMPORT_(config_key) int flb_host_config_key(unsigned i, void *to, unsigned room);
FLB_IMPORT_(table_open) int flb_host_table_open(const void *name, unsigned len);
FLB_IMPORT_(table_get)
int flb_host_table_get(int table, const void *key, unsigned len, const void *path, unsigned path_len, int format,
                       void *to, unsigned room);
FLB_IMPORT_(store_get) int flb_host_store_get(const void *key, unsigned len, void *to, unsigned room);
FLB_IMPORT_(store_set)
int flb_host_store_set(const void *key, unsigned len, const void *value, unsigned value_len, long long ttl_ms);
FLB_IMPORT_(store_delete) int flb_host_store_delete(const void *key, unsigned len);
FLB_IMPORT_(store_add)
int flb_host_store_add(const void *key, unsigned len, long long delta, long long ttl_ms, long long *result);
FLB_IMPORT_(store_cas)
int flb_host_store_cas(const void *key, unsigned len, const void *old, int old_len, const void *value,
                       unsigned value_len, long long ttl_ms);
FLB_IMPORT_(metric_define)
int flb_host_metric_define(int kind, const void *name, unsigned name_len, const void *help, unsigned help_len,
                           const void *labels, unsigned labels_len, const double *buckets, unsigned count);
FLB_IMPORT_(metric_add) int flb_host_metric_add(int metric, double value, const void *labels, unsigned len);
FLB_IMPORT_(metric_set) int flb_host_metric_set(int metric, double value, const void *labels, unsigned len);
FLB_IMPORT_(metric_observe) int flb_host_metric_observe(int metric, double value, const void *labels, unsigned len);

/* The batch ABI, as docs/abi.md has it. */

struct flb_input_ {
    unsigned size, zero, tag, tag_len, events, event_count, event_size, groups, group_count, group_size;
};

struct flb_input_event_ {
    long long sec;
    unsigned nsec, group, metadata, metadata_len, body, body_len;
};

struct flb_input_group_ {
    unsigned changeable, zero, metadata, metadata_len, body, body_len;
};

enum { FLB_DROP_ = 1, FLB_ERROR_, FLB_TIME_, FLB_REPLACE_, FLB_SET_, FLB_ADD_, FLB_REMOVE_, FLB_PUT_ };
enum { FLB_EMIT_ = 9, FLB_EMIT_TO_ };

struct flb_emitted_ {
    long long sec;
    unsigned nsec, group;
    flb_text metadata, body, tag;
};

struct flb_reply_ {
    const struct flb_op_ *events;
    unsigned event_count;
    const struct flb_op_ *groups;
    unsigned group_count;
};

/* State. */

struct flb_block_ {
    struct flb_block_ *next;
    unsigned size;
};

/* Where memory is free. */
struct flb_place_ {
    flb_byte *next, *end;
    struct flb_block_ *block;
};

struct flb_failure_ {
    int code; /* 0: none */
    flb_text text;
};

extern struct flb_state_ {
    struct flb_place_ free, configured, batch; /* where it was after the configuration, and after the input */
    struct flb_block_ *blocks;
    int no_memory;
    struct flb_op_ *ops;
    unsigned ops_count, ops_room;
    unsigned first, of; /* the first operation of the current event or group, and its place in the table */
    unsigned to_come;   /* events and groups, with the current one: each has room for an operation */
    struct flb_failure_ error;
    struct flb_reply_ reply;
    flb_event event;
    flb_group group;
} flb_;

/* Memory. */

static inline flb_byte *flb_no_memory_(void) {
    flb_.no_memory = 1;
    return 0;
}

#ifdef FLB_BARE_
extern flb_byte __heap_base;

static inline flb_byte *flb_more_(unsigned size) {
    unsigned have;
    if (!flb_.free.next) flb_.free.next = &__heap_base;
    flb_.free.end = (flb_byte *) (__builtin_wasm_memory_size(0) << 16);
    have = (unsigned) (flb_.free.end - flb_.free.next);
    if (size > have) {
        unsigned pages = (size - have - 1) / 65536 + 1;
        if (__builtin_wasm_memory_grow(0, pages) == (unsigned long) -1) return flb_no_memory_();
        flb_.free.end += pages << 16;
    }
    return flb_.free.next;
}
#else
/* Goes to a block with so much room: one that there is, or a new one. */
static inline flb_byte *flb_more_(unsigned size) {
    struct flb_block_ **link = flb_.free.block ? &flb_.free.block->next : &flb_.blocks;
    unsigned room = flb_.free.block ? 2 * flb_.free.block->size : 1U << 15;
    while (*link && (*link)->size < size) link = &(*link)->next;
    if (!*link) {
#ifndef FLB_EXACT_BLOCKS_ /* of tests: sanitizers see each byte too many */
        if (room < size || room > 1U << 26)
#endif
            room = size;
        *link = size > 1U << 30 ? 0 : (struct flb_block_ *) FLB_MALLOC(sizeof(**link) + room);
        if (!*link) return flb_no_memory_();
        (*link)->size = room;
        (*link)->next = 0;
    }
    flb_.free.block = *link;
    flb_.free.next = (flb_byte *) (*link + 1);
    flb_.free.end = flb_.free.next + (*link)->size;
    return flb_.free.next;
}

#endif

FLB_INLINE_ void flb_restore_(struct flb_place_ place) { flb_.free = place; }

/* Returns the first free bytes, so many of them; free.next is the caller's to move on. 0: no memory. */
FLB_INLINE_ flb_byte *flb_room_(unsigned size) {
    long have = (long) (flb_.free.end - flb_.free.next);
    return __builtin_expect(flb_.free.next && (unsigned long) have >= size, 1) ? flb_.free.next : flb_more_(size);
}

/* flb_alloc returns memory until the batch ends, or 0: the event fails then. */
static inline void *flb_alloc(unsigned size) {
    flb_byte *p = size > 1U << 30 ? flb_no_memory_() : flb_room_(size + 7);
    if (!p) return 0;
    p += -(__UINTPTR_TYPE__) p & 7;
    flb_.free.next = p + size;
    return p;
}

FLB_INLINE_ flb_byte *flb_copy_(flb_byte *to, const void *from, unsigned n) {
    const flb_byte *f = (const flb_byte *) from;
    if (n > 32) {
        __builtin_memcpy(to, f, n);
    } else if (n >= 8) { /* words, of which the last ones overlap */
        for (unsigned i = 0; i + 8 < n; i += 8) __builtin_memcpy(to + i, f + i, 8);
        __builtin_memcpy(to + n - 8, f + n - 8, 8);
    } else if (n >= 4) {
        __builtin_memcpy(to, f, 4);
        __builtin_memcpy(to + n - 4, f + n - 4, 4);
    } else {
        for (unsigned i = 0; i < n; i++) to[i] = f[i];
    }
    return to + n;
}

/* Texts. */

/* flb_text_of returns a text of so many bytes. */
FLB_INLINE_ flb_text flb_text_of(const void *at, unsigned len) {
    flb_text text = {(const char *) at, len};
    return text;
}

FLB_INLINE_ flb_text flb_between_(const void *from, const void *end) {
    return flb_text_of(from, (unsigned) ((const char *) end - (const char *) from));
}

FLB_INLINE_ flb_text flb_str_(const char *s) {
    unsigned len = 0;
    if (s && __builtin_constant_p(__builtin_strlen(s))) return flb_text_of(s, (unsigned) __builtin_strlen(s));
    while (s && s[len]) len++;
    return flb_text_of(s, len);
}

FLB_INLINE_ flb_text flb_itself_(flb_text text) { return text; }
FLB_INLINE_ flb_value flb_itself_value_(flb_value v) { return v; }

FLB_INLINE_ int flb_same_(flb_text a, flb_text b) {
    unsigned i = 0;
    if (!a.at || !b.at || a.len != b.len) return 0;
    while (i < a.len && a.at[i] == b.at[i]) i++;
    return i == a.len;
}

/* flb_slice returns the bytes from a place up to another one, which may lie behind the end. */
FLB_INLINE_ flb_text flb_slice(flb_text text, unsigned from, unsigned to) {
    to = to < text.len ? to : text.len;
    from = from < to ? from : to;
    return flb_text_of(text.at ? text.at + from : 0, to - from);
}

/* Marks zero bytes of a word: the lowest mark is that of the first one. */
FLB_INLINE_ unsigned long long flb_zeros_(unsigned long long word) {
    const unsigned long long ones = 0x0101010101010101;
    return (word - ones) & ~word & ones << 7;
}

FLB_INLINE_ unsigned long long flb_others_(const char *at, char byte) {
    unsigned long long word;
    __builtin_memcpy(&word, at, 8);
    return word ^ 0x0101010101010101 * (flb_byte) byte;
}

/* flb_find returns where a byte stands, from a place on, or the text's length. */
static inline unsigned flb_find(flb_text text, char byte, unsigned from) {
    unsigned long long zeros = 0;
    for (; from < text.len && text.len - from >= 16; from += 16)
        if (flb_zeros_(flb_others_(text.at + from, byte)) | flb_zeros_(flb_others_(text.at + from + 8, byte))) break;
    for (; from < text.len && text.len - from >= 8; from += 8)
        if ((zeros = flb_zeros_(flb_others_(text.at + from, byte))))
            return from + (unsigned) __builtin_ctzll(zeros) / 8;
    while (from < text.len && text.at[from] != byte) from++;
    return from < text.len ? from : text.len;
}

/* Returns where so many more bytes go in a buffer; len is the caller's to move on. 0: no memory. */
static inline flb_byte *flb_buf_room_(flb_buf *buf, unsigned n) {
    flb_byte *p, *end = buf->at + buf->room;
    unsigned need;
    if (!buf->at)
        buf->len = 5;
    else if (buf->room - buf->len >= n)
        return buf->at + buf->len;
    need = buf->len + n;
    if (n > 1U << 29 || need > 1U << 29) return flb_no_memory_();
    if (buf->at && end == flb_.free.next && flb_room_(need - buf->room) == end) {
        flb_.free.next = buf->at + need;
        buf->room = need;
        return buf->at + buf->len;
    }
    need += buf->at ? buf->len : 0;
    p = flb_room_(need);
    if (!p) return 0;
    if (buf->at) flb_copy_(p, buf->at, buf->len);
    flb_.free.next = p + need;
    buf->at = p;
    buf->room = need;
    return p + buf->len;
}

FLB_INLINE_ void flb_append_(flb_buf *buf, flb_text text) {
    flb_byte *to = flb_buf_room_(buf, text.len);
    if (to) buf->len = (unsigned) (flb_copy_(to, text.at, text.len) - buf->at);
}

/* flb_buf_text returns what a buffer has, without its header. */
static inline flb_text flb_buf_text(const flb_buf *buf) {
    return buf->at ? flb_text_of(buf->at + 5, buf->len - 5) : flb_text_of("", 0);
}

/* flb_vformat appends text as vprintf does, with %s, %c, %d, %i, %u, %x and %%, of l, ll and z, and %.*s. What
 * begins with something else stays as it is. */
static inline void flb_vformat(flb_buf *buf, const char *format, __builtin_va_list given) {
    __builtin_va_list args;
    __builtin_va_copy(args, given);
    for (const char *p = format, *from = p; *p; from = p) {
        unsigned long long v = 0, longs = 0, most = ~0U, base = 10;
        char digits[24], *at = digits + sizeof(digits), sign = 0;
        flb_text text;
        while (*p && *p != '%') p++;
        flb_append_(buf, flb_between_(from, p));
        if (!*p) break;
        from = p++;
        if (p[0] == '.' && p[1] == '*') {
            most = (unsigned) __builtin_va_arg(args, int);
            p += 2;
        }
        for (; *p == 'l' || *p == 'z'; p++)
            longs += *p == 'l' ? 1 : sizeof(__SIZE_TYPE__) == sizeof(long long) ? 2 : 1;
        switch (*p++) {
        case 's':
            text.at = __builtin_va_arg(args, const char *);
            for (text.len = 0; text.at && text.len < most && text.at[text.len];) text.len++;
            flb_append_(buf, text);
            continue;
        case 'c': *--at = (char) __builtin_va_arg(args, int); break;
        case '%': *--at = '%'; break;
        case 'd':
        case 'i':
            v = (unsigned long long) (longs == 0   ? __builtin_va_arg(args, int)
                                      : longs == 1 ? __builtin_va_arg(args, long)
                                                   : __builtin_va_arg(args, long long));
            if ((long long) v < 0) {
                sign = '-';
                v = 0 - v;
            }
            goto number;
        case 'x': base = 16; /* fall through */
        case 'u':
            v = longs == 0   ? __builtin_va_arg(args, unsigned)
                : longs == 1 ? __builtin_va_arg(args, unsigned long)
                             : __builtin_va_arg(args, unsigned long long);
        number:
            do *--at = "0123456789abcdef"[v % base];
            while ((v /= base) > 0);
            if (sign) *--at = sign;
            break;
        default:
            flb_append_(buf, flb_str_(from));
            __builtin_va_end(args);
            return;
        }
        flb_append_(buf, flb_between_(at, digits + sizeof(digits)));
    }
    __builtin_va_end(args);
}

#define FLB_VFORMAT_(buf, format) \
    do { \
        __builtin_va_list args; \
        __builtin_va_start(args, format); \
        flb_vformat(buf, format, args); \
        __builtin_va_end(args); \
    } while (0)
/* flb_format appends text, as flb_vformat does. */
FLB_FORMAT_(2) static inline void flb_format(flb_buf *buf, const char *format, ...) { FLB_VFORMAT_(buf, format); }

/* flb_printf returns text, made as by flb_vformat, with a NUL behind it. */
FLB_FORMAT_(1) static inline flb_text flb_printf(const char *format, ...) {
    flb_buf buf = {0, 0, 0, 0, FLB_STR};
    FLB_VFORMAT_(&buf, format);
    flb_append_(&buf, flb_text_of("", 1));
    return flb_slice(flb_buf_text(&buf), 0, buf.len > 6 ? buf.len - 6 : 0);
}

/* flb_error returns an error, to be returned from a filter, with a code of one's own that is not 0, and a text,
 * of which the host takes 1,024 bytes. While the configuration is read it keeps Fluent Bit from starting. */
FLB_FORMAT_(2) static inline int flb_error(int code, const char *format, ...) {
    flb_buf buf = {0, 0, 0, 0, FLB_STR};
    FLB_VFORMAT_(&buf, format);
    flb_.error.code = code ? code : 1;
    flb_.error.text = flb_buf_text(&buf);
    return flb_.error.code;
}

/* MessagePack: values are whole and valid, as the host has made sure. */

struct flb_head_ {
    enum flb_kind kind;
    unsigned head;  /* bytes of the header */
    unsigned len;   /* bytes after it, without what is in an array or map */
    unsigned count; /* elements of an array, members of a map */
};

FLB_INLINE_ unsigned long long flb_big_endian_(const flb_byte *p, unsigned n) {
    unsigned long long v = 0;
    while (n-- > 0) v = v << 8 | *p++;
    return v;
}

/* Of 0xc0 to 0xdf: the kind, the bytes of the length after the lead byte, and bytes after them. */
static const flb_byte flb_kinds_[] = {1, 1, 2, 2, 7, 7, 7, 5, 5, 5, 4, 4, 3, 3, 3, 3,
                                      3, 3, 3, 3, 5, 5, 5, 5, 5, 6, 6, 6, 8, 8, 9, 9};
static const flb_byte flb_lengths_[] = {0, 0, 0, 0, 1, 2, 4, 1, 2, 4, 0, 0, 0, 0, 0, 0,
                                        0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 4, 2, 4, 2, 4};
static const flb_byte flb_more_bytes_[] = {0, 0, 0, 0, 0, 0, 0, 1, 1,  1, 4, 8, 1, 2, 4, 8,
                                           1, 2, 4, 8, 2, 3, 5, 9, 17, 0, 0, 0, 0, 0, 0, 0};

FLB_INLINE_ struct flb_head_ flb_head_(const flb_byte *p) {
    struct flb_head_ h = {FLB_INT, 1, 0, 0};
    unsigned lead = *p, i = lead - 0xc0, n;
    if (lead < 0x80 || lead >= 0xe0) return h;
    if (lead < 0xa0) {
        h.kind = lead < 0x90 ? FLB_MAP : FLB_ARRAY;
        h.count = lead & 15;
    } else if (lead < 0xc0) {
        h.kind = FLB_STR;
        h.len = lead & 31;
    } else {
        n = (unsigned) flb_big_endian_(p + 1, flb_lengths_[i]);
        h.kind = (enum flb_kind) flb_kinds_[i];
        h.head = 1 + flb_lengths_[i];
        h.count = i >= 0x1c ? n : 0;
        h.len = i >= 0x1c ? 0 : n + flb_more_bytes_[i];
    }
    return h;
}

/* Returns the end of a value, of an array or map that of its header, and adds to *left what is inside. */
FLB_INLINE_ const flb_byte *flb_step_(const flb_byte *p, unsigned *left) {
    unsigned lead = *p;
    struct flb_head_ h;
    if (lead >= 0xa0 && lead < 0xc0) return p + 1 + (lead & 31);
    if (lead < 0x80 || lead >= 0xe0) return p + 1;
    if (lead == 0xd9) return p + 2 + p[1];
    if (lead >= 0xc0 && flb_lengths_[lead - 0xc0] == 0) return p + 1 + flb_more_bytes_[lead - 0xc0];
    h = flb_head_(p);
    *left += h.kind == FLB_MAP ? 2 * h.count : h.count;
    return p + h.head + h.len;
}

/* Returns the end of a value. */
static inline const flb_byte *flb_skip_(const flb_byte *p) {
    unsigned left = 1;
    for (; left > 0; left--) p = flb_step_(p, &left);
    return p;
}

FLB_INLINE_ unsigned flb_put_big_endian_(flb_byte *to, unsigned long long v, unsigned n) {
    for (unsigned i = 0; i < n; i++) to[i] = (flb_byte) (v >> (8 * (n - 1 - i)));
    return n;
}

/* Writes the header of a text, array or map, and returns its length: at most 5. */
FLB_INLINE_ unsigned flb_put_head_(flb_byte *to, enum flb_kind kind, unsigned n) {
    unsigned width = kind < FLB_ARRAY && n < 256 ? 0 : n < 65536 ? 1 : 2;
    if (kind == FLB_STR && n < 32)
        *to = (flb_byte) (0xa0 | n);
    else if (kind >= FLB_ARRAY && n < 16)
        *to = (flb_byte) ((kind == FLB_MAP ? 0x80 : 0x90) | n);
    else {
        *to = (flb_byte) ((kind == FLB_STR ? 0xd9 : kind == FLB_BIN ? 0xc4 : kind == FLB_MAP ? 0xdd : 0xdb) + width);
        return 1 + flb_put_big_endian_(to + 1, n, 1U << width);
    }
    return 1;
}

/* Writes a header before what a buffer has, and returns the whole. */
static inline flb_text flb_close_(flb_buf *buf) {
    flb_byte head[5];
    unsigned n = flb_put_head_(head, buf->kind, buf->kind >= FLB_ARRAY ? buf->count : buf->len - 5);
    if (!buf->at) return flb_text_of(0, 0);
    flb_copy_(buf->at + 5 - n, head, n);
    return flb_text_of(buf->at + 5 - n, buf->len + n - 5);
}

/* Values: one that is not there is FLB_NONE, and has nothing. */

FLB_INLINE_ flb_value flb_value_of_(const void *at) {
    flb_value v = {(const flb_byte *) at};
    return v;
}

FLB_INLINE_ struct flb_head_ flb_head_of_(flb_value v) {
    struct flb_head_ none = {FLB_NONE, 0, 0, 0};
    return v.at ? flb_head_(v.at) : none;
}

/* flb_kind_of returns what a value is. */
static inline enum flb_kind flb_kind_of(flb_value v) { return flb_head_of_(v).kind; }

/* flb_count returns the number of elements of an array, or members of a map, else 0. */
static inline unsigned flb_count(flb_value v) { return flb_head_of_(v).count; }

/* flb_msgpack returns the bytes of a value. */
static inline flb_text flb_msgpack(flb_value v) { return flb_between_(v.at, v.at ? flb_skip_(v.at) : v.at); }

/* flb_as_text returns the text of a string; at is 0 if the value is something else. */
static inline flb_text flb_as_text(flb_value v) {
    struct flb_head_ h = flb_head_of_(v);
    return h.kind == FLB_STR ? flb_text_of(v.at + h.head, h.len) : flb_text_of(0, 0);
}

/* flb_as_bytes returns the bytes of a string or FLB_BIN. */
static inline flb_text flb_as_bytes(flb_value v) {
    struct flb_head_ h = flb_head_of_(v);
    return h.kind == FLB_STR || h.kind == FLB_BIN ? flb_text_of(v.at + h.head, h.len) : flb_text_of(0, 0);
}

/* Returns 0: it is not a whole number; 1; -1: it is a negative one. */
static inline int flb_whole_(flb_value v, unsigned long long *to) {
    struct flb_head_ h = flb_head_of_(v);
    unsigned shift = 64 - 8 * h.len;
    if (h.kind != FLB_INT) return 0;
    *to = h.len ? flb_big_endian_(v.at + 1, h.len) : (unsigned long long) (signed char) *v.at;
    if (h.len && *v.at >= 0xd0) *to = (unsigned long long) ((long long) (*to << shift) >> shift);
    return (h.len == 0 || *v.at >= 0xd0) && *to >> 63 ? -1 : 1;
}

/* These return 1 and set *to if the value is of that kind, else 0. flb_as_double takes any number. */

static inline int flb_as_int(flb_value v, long long *to) {
    unsigned long long n = 0;
    int is = flb_whole_(v, &n);
    if (is == 0 || (is > 0 && n >> 63)) return 0;
    *to = (long long) n;
    return 1;
}

static inline int flb_as_uint(flb_value v, unsigned long long *to) {
    unsigned long long n = 0;
    int is = flb_whole_(v, &n) > 0;
    *to = is ? n : *to;
    return is;
}

static inline int flb_as_double(flb_value v, double *to) {
    unsigned long long n = 0;
    int is = flb_whole_(v, &n);
    unsigned bits;
    float f;
    if (!is && flb_kind_of(v) != FLB_FLOAT) return 0;
    if (is) {
        *to = is < 0 ? (double) (long long) n : (double) n;
    } else if (*v.at == 0xca) {
        bits = (unsigned) flb_big_endian_(v.at + 1, 4);
        __builtin_memcpy(&f, &bits, 4);
        *to = f;
    } else {
        n = flb_big_endian_(v.at + 1, 8);
        __builtin_memcpy(to, &n, 8);
    }
    return 1;
}

static inline int flb_as_bool(flb_value v, int *to) {
    int is = flb_kind_of(v) == FLB_BOOL;
    *to = is ? *v.at & 1 : *to;
    return is;
}

/* What is in an array or map:
 *     for (flb_iter i = flb_iterate(value); flb_next(&i);)
 *         … i.key, i.value …
 * Elements of an array have no key. */
typedef struct flb_iter {
    flb_value key, value;
    const flb_byte *rest;
    unsigned left;
    int is_map;
} flb_iter;

static inline flb_iter flb_iterate(flb_value v) {
    struct flb_head_ h = flb_head_of_(v);
    flb_iter i = {{0}, {0}, v.at ? v.at + h.head : 0, h.count, h.kind == FLB_MAP};
    return i;
}

static inline int flb_next(flb_iter *i) {
    if (i->left == 0) return 0;
    i->left--;
    if (i->is_map) {
        i->key.at = i->rest;
        i->rest = flb_skip_(i->rest);
    }
    i->value.at = i->rest;
    i->rest = flb_skip_(i->rest);
    return 1;
}

/* flb_item returns an element of an array, from 0. */
static inline flb_value flb_item(flb_value v, unsigned n) {
    if (flb_kind_of(v) == FLB_ARRAY)
        for (flb_iter i = flb_iterate(v); flb_next(&i);)
            if (n-- == 0) return i.value;
    return flb_value_of_(0);
}

static inline flb_value flb_search_(flb_iter members, flb_text key) {
    while (members.is_map && flb_next(&members))
        if (flb_same_(flb_as_text(members.key), key)) return members.value;
    return flb_value_of_(0);
}

/* flb_part_value returns a part as it came. */
static inline flb_value flb_part_value(const flb_part *part) {
    return flb_value_of_(part->came ? (const void *) part->came : "\x80");
}

/* Reads one more member. 0: there is none, or no room for it. */
static inline int flb_index_(flb_part *part) {
    unsigned i = part->indexed;
    struct flb_head_ h;
    if (!part->rest) {
        flb_iter members = flb_iterate(flb_part_value(part));
        part->rest = members.rest;
        part->left = members.left;
    }
    if (part->left == 0 || i == FLB_INDEXED_) return 0;
    h = flb_head_(part->rest);
    part->index[i].key = flb_text_of(h.kind == FLB_STR ? part->rest + h.head : 0, h.len);
    part->index[i].value.at = h.kind == FLB_STR ? part->rest + h.head + h.len : flb_skip_(part->rest);
    part->rest = flb_skip_(part->index[i].value.at);
    part->left--;
    part->indexed++;
    return 1;
}

/* Looks a key up in a part, or if that is 0 in a value. */
static inline flb_value flb_member_(flb_part *part, flb_value v, flb_text key) {
    flb_iter members;
    if (!part) return flb_search_(flb_iterate(v), key);
    for (unsigned i = 0; i < part->indexed || flb_index_(part); i++)
        if (part->index[i].key.len == key.len && flb_same_(part->index[i].key, key)) return part->index[i].value;
    members.rest = part->rest;
    members.left = part->left;
    members.is_map = 1;
    return flb_search_(members, key);
}

static inline flb_value flb_numbered_(flb_value v, flb_text digits) {
    unsigned n = 0, i;
    for (i = 0; i < digits.len && i < 9 && digits.at[i] >= '0' && digits.at[i] <= '9'; i++)
        n = 10 * n + (unsigned) (digits.at[i] - '0');
    return i > 0 && i == digits.len ? flb_item(v, n) : flb_value_of_(0);
}

/* Takes the first part off a path: of a text with dots, or of $name['key'][0]. What is left has at 0 if it is
 * nothing. Returns 0 if the path has another form. */
static inline int flb_first_(flb_text *path, int is_accessor, flb_text *first) {
    flb_text p = *path;
    unsigned from = 0, end, more;
    char quote = p.len > 1 ? p.at[1] : 0;
    if (!is_accessor) {
        more = 1 + (end = flb_find(p, '.', 0));
    } else if (p.len > 0 && *p.at == '$') {
        from = 1;
        more = end = flb_find(p, '[', 1);
    } else {
        from = quote == '\'' || quote == '"' ? 2 : 1;
        end = flb_find(p, from == 2 ? quote : ']', from);
        more = end + from;
        if (*p.at != '[' || more > p.len || p.at[more - 1] != ']' || (from == 1 && (quote < '0' || quote > '9')))
            return 0;
    }
    *first = flb_slice(p, from, end);
    *path = flb_slice(p, more, p.len);
    if (end == p.len || (is_accessor && path->len == 0)) path->at = 0;
    return !is_accessor || first->len > 0;
}

/* Where a path leads to. */
struct flb_place_of_ {
    flb_value holder, value; /* the innermost value that is there and holds another; what is there, if it is */
    flb_text key, rest;      /* of that in the holder, or what is to be made there and in it */
    int is_accessor, in_place;
};

FLB_ONCE_ struct flb_place_of_ flb_way_(flb_part *part, flb_value from, flb_text path, int is_accessor) {
    struct flb_place_of_ to = {from, {0}, path, path, is_accessor, 0};
    for (;; to.holder = to.value, part = 0) {
        flb_text whole = to.rest;
        to.value = is_accessor ? flb_value_of_(0) : flb_member_(part, to.holder, whole);
        if (to.value.at) {
            to.key = whole;
            to.rest.at = 0;
        } else if (!flb_first_(&to.rest, is_accessor, &to.key)) {
            to.holder.at = 0; /* it has another form */
        } else if (flb_kind_of(to.holder) == FLB_ARRAY) {
            to.value = flb_numbered_(to.holder, to.key);
        } else if (is_accessor || to.rest.at) {
            to.value = flb_member_(part, to.holder, to.key);
        }
        if (!to.value.at || !to.rest.at) return to;
    }
}

/* Follows a path in a part, whose value `from` is if its index serves, or if that is 0 in a value. */
static inline struct flb_place_of_ flb_follow_(flb_part *part, flb_value from, flb_text path) {
    struct flb_place_of_ to = flb_way_(part, from, path, 0), other;
    if (to.value.at || path.len == 0 || *path.at != '$') return to;
    other = flb_way_(part, from, path, 1);
    return other.holder.at ? other : to;
}

static inline flb_value flb_get_value_(flb_value v, flb_text path) { return flb_follow_(0, v, path).value; }

/* Says whether a path can be more than a key. Of a constant the compiler knows. */
FLB_INLINE_ int flb_is_path_(flb_text path) {
    if (path.at && __builtin_constant_p(__builtin_memchr(path.at, '.', path.len) == 0))
        return __builtin_memchr(path.at, '.', path.len) || *path.at == '$';
    return flb_find(path, '.', 0) < path.len || (path.len > 0 && *path.at == '$');
}

FLB_INLINE_ flb_value flb_get_part_(flb_part *part, flb_text path) {
    flb_value from = flb_part_value(part), v = flb_member_(part, from, path);
    return v.at || !flb_is_path_(path) ? v : flb_follow_(part, from, path).value;
}

static inline flb_value flb_get_buf_(flb_buf *map, flb_text path) {
    return flb_get_value_(flb_value_of_(flb_close_(map).at), path);
}

static inline int flb_is_(flb_value v, flb_text text) { return flb_same_(flb_as_text(v), text); }

/* What is put into a record, and maps and arrays of one's own. */

FLB_INLINE_ flb_arg flb_arg_bytes_(flb_text bytes) {
    flb_arg arg = {{0}, 0, bytes.at ? bytes.len : 0, bytes.at};
    return arg;
}

/* The kinds of FLB_STR and FLB_BIN, and FLB_NONE if there are none. */
FLB_INLINE_ flb_arg flb_arg_head_(enum flb_kind kind, flb_text text) {
    flb_arg arg = flb_arg_bytes_(text);
    if (text.at) arg.head_len = flb_put_head_(arg.head, kind, text.len);
    return arg;
}

FLB_INLINE_ flb_arg flb_arg_text_(flb_text text) { return flb_arg_head_(FLB_STR, text); }
FLB_INLINE_ flb_arg flb_arg_str_(const char *text) { return flb_arg_text_(flb_str_(text)); }
FLB_INLINE_ flb_arg flb_arg_value_(flb_value v) { return flb_arg_bytes_(flb_msgpack(v)); }
FLB_INLINE_ flb_arg flb_arg_buf_(flb_buf *map) { return flb_arg_bytes_(flb_close_(map)); }
FLB_INLINE_ flb_arg flb_arg_arg_(flb_arg arg) { return arg; }

FLB_INLINE_ flb_arg flb_arg_byte_(unsigned byte) {
    flb_arg arg = {{(flb_byte) byte}, 1, 0, 0};
    return arg;
}

FLB_INLINE_ flb_arg flb_arg_number_(unsigned lead, unsigned long long v, unsigned width) {
    flb_arg arg = flb_arg_byte_(lead + width);
    arg.head_len += flb_put_big_endian_(arg.head + 1, v, 1U << width);
    return arg;
}

/* The lead is of one byte; size is less than 2^8, 2^16, 2^32 if that, two or four bytes do. */
FLB_INLINE_ flb_arg flb_arg_whole_(unsigned lead, unsigned long long v, unsigned long long size) {
    return flb_arg_number_(lead, v, (size >> 8 != 0) + (size >> 16 != 0) + (size >> 32 != 0));
}

FLB_INLINE_ flb_arg flb_arg_uint_(unsigned long long v) {
    return v < 128 ? flb_arg_byte_((unsigned) v) : flb_arg_whole_(0xcc, v, v);
}

FLB_INLINE_ flb_arg flb_arg_int_(long long v) {
    unsigned long long u = (unsigned long long) v;
    if (v >= 0) return flb_arg_uint_(u);
    return v >= -32 ? flb_arg_byte_((unsigned) u & 255) : flb_arg_whole_(0xd0, u, ~u << 1);
}

FLB_INLINE_ flb_arg flb_arg_float_(double v) {
    unsigned long long bits;
    __builtin_memcpy(&bits, &v, 8);
    return flb_arg_number_(0xc8, bits, 3);
}

/* flb_bool is true or false: in C a comparison is an int. */
FLB_INLINE_ flb_arg flb_bool(int is) { return flb_arg_byte_(is ? 0xc3 : 0xc2); }
FLB_INLINE_ flb_arg flb_nil(void) { return flb_arg_byte_(0xc0); }
/* flb_bin is bytes that are not text. */
FLB_INLINE_ flb_arg flb_bin(const void *at, unsigned len) { return flb_arg_head_(FLB_BIN, flb_text_of(at, len)); }

FLB_INLINE_ int flb_is_nothing_(flb_arg arg) { return arg.head_len == 0 && !arg.at; }

/* Has room for both pieces. What is nothing becomes nil. */
FLB_INLINE_ flb_byte *flb_put_arg_(flb_byte *to, flb_arg arg) {
    __builtin_memcpy(to, flb_is_nothing_(arg) ? (const flb_byte *) "\xc0          " : arg.head, sizeof(arg.head));
    return flb_copy_(to + arg.head_len + flb_is_nothing_(arg), arg.at, arg.len);
}

FLB_INLINE_ unsigned flb_arg_room_(flb_arg arg) { return (unsigned) sizeof(arg.head) + arg.len; }

static inline flb_buf flb_new_(enum flb_kind kind) {
    flb_buf buf = {0, 0, 0, 0, kind};
    flb_buf_room_(&buf, 0);
    return buf;
}

static inline flb_map flb_new_map(void) { return flb_new_(FLB_MAP); }
static inline flb_list flb_new_list(void) { return flb_new_(FLB_ARRAY); }

/* flb_map_value returns a map or array as a value, to be read until it is edited. */
static inline flb_value flb_map_value(flb_map *map) { return flb_value_of_(flb_close_(map).at); }

static inline void flb_push_arg_(flb_list *list, flb_arg arg) {
    flb_byte *to = flb_buf_room_(list, flb_arg_room_(arg));
    if (to) {
        list->len = (unsigned) (flb_put_arg_(to, arg) - list->at);
        list->count++;
    }
}

static inline void flb_buf_add_(flb_map *map, flb_text key, flb_arg arg) {
    flb_push_arg_(map, flb_arg_text_(key));
    flb_push_arg_(map, arg);
    map->count--;
}

/* Edits. */

FLB_INLINE_ struct flb_op_ flb_op_(int kind, unsigned part, unsigned a, unsigned b, flb_text bytes) {
    struct flb_op_ op = {flb_.of, (flb_byte) kind, (flb_byte) part, 0, a, b, bytes.at, bytes.len};
    return op;
}

/* Adds of a part whose bytes stand together are one: returns 1 if that is so. */
FLB_INLINE_ int flb_join_(struct flb_op_ *last, struct flb_op_ op) {
    int joins = op.kind == FLB_ADD_ && last->kind == op.kind && last->part == op.part &&
                (const flb_byte *) last->bytes + last->len == (const flb_byte *) op.bytes;
    if (joins) last->a += op.a;
    if (joins) last->len += op.len;
    return joins;
}

/* Has room for one more in a list of operations. 0: no memory. */
static inline int flb_more_ops_(struct flb_op_ **ops, unsigned count, unsigned *room) {
    unsigned more = *room ? 2 * *room : 64;
    struct flb_op_ *moved =
        (struct flb_op_ *) (more > 1U << 24 ? flb_no_memory_() : flb_alloc(more * sizeof(*moved)));
    if (!moved) return 0;
    if (count > 0) __builtin_memcpy(moved, *ops, count * sizeof(*moved));
    *ops = moved;
    *room = more;
    return 1;
}

FLB_INLINE_ void flb_add_op_(struct flb_op_ op) {
    if (flb_.ops_count + flb_.to_come < flb_.ops_room || flb_more_ops_(&flb_.ops, flb_.ops_count, &flb_.ops_room))
        flb_.ops[flb_.ops_count++] = op;
}

/* Keeps of the operations on an event those that emit, and the edits of other parts than that one. */
static inline void flb_forget_(unsigned part) {
    unsigned kept = flb_.first;
    for (unsigned i = flb_.first; i < flb_.ops_count; i++)
        if (flb_.ops[i].kind >= FLB_EMIT_ || flb_.ops[i].part == 1 - part) flb_.ops[kept++] = flb_.ops[i];
    flb_.ops_count = kept;
}

/* Returns the last set or remove of a key, in a list of operations. */
static inline struct flb_op_ *flb_named_(struct flb_op_ *ops, unsigned count, unsigned part, int kind, flb_text key) {
    while (count-- > 0)
        if (ops[count].kind == kind && ops[count].part == part &&
            flb_same_(flb_as_text(flb_value_of_(ops[count].bytes)), key))
            return &ops[count];
    return 0;
}

/* Returns what a host makes of a part by operations on it. */
static inline flb_map flb_apply_(const flb_part *part, struct flb_op_ *ops, unsigned count) {
    flb_map put = flb_new_map(), map = flb_new_map();
    const flb_byte *base = part->base, *done = base + flb_head_(base).head;
    flb_iter i = {{0}, {0}, 0, flb_count(flb_value_of_(base)), 1};
    struct flb_op_ *set;
    for (unsigned n = 0; n < part->puts_count; n++) {
        flb_append_(&put, flb_between_(done, base + part->puts[n].a));
        flb_append_(&put, flb_text_of(part->puts[n].bytes, part->puts[n].len));
        done = base + part->puts[n].a + part->puts[n].b;
    }
    flb_append_(&put, flb_between_(done, base + part->base_len));
    put.count = i.left;
    if (flb_.no_memory || !part->edits) return put;
    i.rest = put.at + 5;
    while (flb_next(&i)) {
        flb_text key = flb_as_text(i.key);
        if (key.at && flb_named_(ops, count, part->which, FLB_REMOVE_, key)) continue;
        set = key.at ? flb_named_(ops, count, part->which, FLB_SET_, key) : 0;
        if (!set || !set->zero) {
            flb_append_(&map, set ? flb_text_of(set->bytes, set->len) : flb_between_(i.key.at, i.rest));
            map.count++;
        }
        if (set) set->zero = 1; /* done */
    }
    for (int kind = FLB_SET_; kind <= FLB_ADD_; kind++)
        for (set = ops; set < ops + count; set++) {
            if (set->kind != kind || set->part != part->which) continue;
            if (kind == FLB_ADD_ || (!set->zero && flb_named_(ops, count, part->which, FLB_SET_,
                                                              flb_as_text(flb_value_of_(set->bytes))) == set)) {
                flb_append_(&map, flb_text_of(set->bytes, set->len));
                map.count += kind == FLB_ADD_ ? set->a : 1;
            }
            set->zero = 0;
        }
    return map;
}

/* flb_edited returns a copy of a part with the edits so far. */
static inline flb_map flb_edited(flb_part *part) {
    return flb_apply_(part, flb_.ops + flb_.first, flb_.ops_count - flb_.first);
}

/* Says whether a part can be edited: an event of the old form has no metadata, and can't be given any. */
FLB_INLINE_ int flb_can_edit_(flb_part *part) {
    if (!part->came) part->fault = "the event is of a form that has no metadata";
    return !part->fault;
}

/* Has edits from now on be those of other bytes, one map. */
static inline void flb_rebase_(flb_part *part, flb_text base) {
    flb_forget_(part->which);
    part->puts_count = part->edits = part->adds = part->named_len = 0;
    part->base = (const flb_byte *) base.at;
    part->base_len = base.len;
}

/* Has edits from now on be those of the part with the edits so far. 0: no memory. */
FLB_ONCE_ int flb_carry_out_(flb_part *part) {
    flb_map map = flb_edited(part);
    if (!flb_.no_memory) flb_rebase_(part, flb_close_(&map));
    return !flb_.no_memory;
}

/* flb_replace replaces a part by a map, which is given up, and forgets earlier edits of it. */
static inline void flb_replace(flb_part *part, const flb_map *map) {
    flb_map given = *map;
    if (flb_can_edit_(part) && given.at) flb_rebase_(part, flb_close_(&given));
}

/* Set, add, or remove, which has no value. A host takes 256 of the first and the last, and 65,536 bytes of their
 * keys: beyond, they are carried out here. */
static inline void flb_edit_(flb_part *part, int kind, flb_text key, const flb_arg *value) {
    flb_arg name = flb_arg_text_(key);
    if (!flb_can_edit_(part)) return;
    flb_byte *p = flb_room_(flb_arg_room_(name) + (value ? flb_arg_room_(*value) : 0));
    if (!p) return;
    flb_byte *to = flb_put_arg_(p, name);
    to = value ? flb_put_arg_(to, *value) : to;
    flb_.free.next = to;
    part->edits++;
    struct flb_op_ op = flb_op_(kind, part->which, kind == FLB_ADD_, 0, flb_between_(p, to));
    if (flb_.ops_count > flb_.first && flb_join_(flb_.ops + flb_.ops_count - 1, op)) return;
    flb_add_op_(op);
    if (kind != FLB_ADD_ && ((part->named_len += 5 + key.len) > 65536 || part->edits > 256))
        (void) flb_carry_out_(part);
}

/* Returns the first put at a place of the part, or behind it. */
static inline unsigned flb_puts_from_(const flb_part *part, unsigned at) {
    unsigned n = part->puts_count; /* most are put one behind the other */
    while (n > 0 && part->puts[n - 1].a >= at) n--;
    return n;
}

/* Says whether a put that begins before an end goes beyond a place. */
static inline int flb_is_put_(const flb_part *part, unsigned at, unsigned end) {
    unsigned before = flb_puts_from_(part, end);
    return before > 0 && part->puts[before - 1].a + part->puts[before - 1].b > at;
}

/* Puts bytes in the place of a value. What was put inside of it before is forgotten. */
static inline void flb_put_bytes_(flb_part *part, unsigned at, unsigned len, flb_text bytes) {
    unsigned first = flb_puts_from_(part, at), last = flb_puts_from_(part, at + len);
    if (flb_is_put_(part, at, at)) part->fault = "put inside a value that has been replaced";
    if (part->fault ||
        (part->puts_count >= part->puts_room && !flb_more_ops_(&part->puts, part->puts_count, &part->puts_room)))
        return;
    if (last < part->puts_count)
        __builtin_memmove(part->puts + first + 1, part->puts + last, (part->puts_count - last) * sizeof(*part->puts));
    part->puts_count += 1 + first - last;
    part->puts[first] = flb_op_(FLB_PUT_, part->which, at, len, bytes);
}

/* Says whether a value of the base is in the way of what has been put, in it or around it. */
static inline int flb_is_put_over_(const flb_part *part, flb_value v) {
    unsigned at = (unsigned) (v.at - part->base);
    return v.at && part->puts_count > 0 && flb_is_put_(part, at, at + flb_msgpack(v).len);
}

/* Says whether there are edits of a member, of kinds from one on to another one. */
static inline int flb_is_edited_(const flb_part *part, flb_text key, int kind, int last) {
    for (unsigned i = flb_.first; part->edits > 0 && i < flb_.ops_count; i++) {
        const struct flb_op_ *op = &flb_.ops[i];
        const flb_byte *p = (const flb_byte *) op->bytes;
        unsigned left = op->kind == FLB_ADD_ ? op->a : 1;
        if (op->part != part->which || op->kind < kind || op->kind > last) continue;
        for (; left > 0; left--) {
            if (flb_same_(flb_as_text(flb_value_of_(p)), key)) return 1;
            if (left > 1) p = flb_skip_(flb_skip_(p));
        }
    }
    return 0;
}

/* Says whether there is a value, and no other one with its key. */
static inline int flb_is_only_(struct flb_place_of_ to) {
    unsigned n = 0;
    for (flb_iter i = flb_iterate(to.holder); i.is_map && flb_next(&i);) n += (unsigned) flb_is_(i.key, to.key);
    return to.value.at && n < 2;
}

/* What is done at the end of a path: SET, if not in the place of what is there; PUT only there; REMOVE. */
static inline struct flb_place_of_ flb_follow_base_(flb_part *part, flb_text path, int kind) {
    flb_part *indexed = part->came && part->base != part->came ? 0 : part;
    struct flb_place_of_ to = flb_follow_(indexed, flb_value_of_(part->base), path);
    to.in_place = to.value.at && (kind == FLB_PUT_ || (kind == FLB_SET_ && flb_is_only_(to)));
    return to;
}

/* Follows a path in a part as it is with the edits so far, which are carried out if they have to do with it. */
FLB_ONCE_ struct flb_place_of_ flb_place_(flb_part *part, flb_text path, int kind) {
    struct flb_place_of_ to = flb_follow_base_(part, path, kind);
    flb_text rest = path, first;
    if (part->edits + part->puts_count == 0) return to;
    (void) flb_first_(&rest, to.is_accessor, &first);
    if (flb_is_edited_(part, first, FLB_SET_, FLB_REMOVE_) ||
        (rest.at && flb_is_edited_(part, path, FLB_SET_, FLB_REMOVE_)) ||
        (to.in_place ? flb_is_put_(part, (unsigned) (to.value.at - part->base), (unsigned) (to.value.at - part->base))
                     : flb_is_put_over_(part, to.holder.at == part->base ? to.value : to.holder)))
        if (flb_carry_out_(part)) to = flb_follow_base_(part, path, kind);
    return to;
}

/* Puts a value in the place of one of the base. */
static inline void flb_put_at_(flb_part *part, flb_value v, flb_arg with) {
    flb_byte *p = flb_room_(flb_arg_room_(with));
    if (!p) return;
    flb_.free.next = flb_put_arg_(p, with);
    flb_put_bytes_(part, (unsigned) (v.at - part->base), flb_msgpack(v).len, flb_between_(p, flb_.free.next));
}

/* A value that is not of the part as it came would have any place. */
static inline int flb_put_value_(flb_part *part, flb_value v, flb_arg with) {
    if (!v.at || !flb_can_edit_(part)) return 0;
    if (part->base != part->came)
        part->fault = "put: the part has been replaced, or edited twice in one place: put values of it first";
    else if (v.at < part->came || v.at >= part->came + part->came_len)
        part->fault = "put: the value is not one of this part";
    else
        flb_put_at_(part, v, with);
    return 1;
}

static inline int flb_put_path_(flb_part *part, flb_text path, flb_arg with) {
    struct flb_place_of_ to = flb_place_(part, path, FLB_PUT_);
    if (!to.value.at || !flb_can_edit_(part)) return 0;
    flb_put_at_(part, to.value, with);
    return 1;
}

/* Appends a value, in maps to which what is left of a path leads. */
static inline void flb_append_new_(flb_part *part, flb_buf *to, struct flb_place_of_ place, flb_arg value) {
    flb_text key;
    while (place.rest.at) {
        if (!flb_first_(&place.rest, place.is_accessor, &key)) {
            part->fault = "set: expected a path in the form $a['b'][0] or a.b.0";
            return;
        }
        flb_push_arg_(to, flb_arg_byte_(0x81));
        flb_push_arg_(to, flb_arg_text_(key));
    }
    flb_push_arg_(to, value);
}

/* Returns the holder with another value at the end of the path, or with none. */
static inline flb_map flb_changed_(flb_part *part, struct flb_place_of_ to, const flb_arg *value) {
    flb_map made = flb_new_map();
    unsigned count = 0;
    made.kind = flb_kind_of(to.holder);
    for (flb_iter i = flb_iterate(to.holder); flb_next(&i);) {
        const flb_byte *entry = i.is_map ? i.key.at : i.value.at;
        if (i.is_map ? !flb_is_(i.key, to.key) : i.value.at != to.value.at) {
            flb_append_(&made, flb_between_(entry, i.rest));
        } else if (value) {
            flb_append_(&made, flb_between_(entry, i.value.at));
            flb_push_arg_(&made, *value);
            value = 0;
        } else {
            continue;
        }
        count++;
    }
    if (value) {
        flb_push_arg_(&made, flb_arg_text_(to.key));
        flb_append_new_(part, &made, to, *value);
        count++;
    }
    made.count = count;
    return made;
}

/* Sets at the end of a path, or removes without a value. */
FLB_ONCE_ void flb_change_(flb_part *part, flb_text path, const flb_arg *value) {
    int kind = value ? FLB_SET_ : FLB_REMOVE_;
    flb_buf made = {0, 0, 0, 0, FLB_STR};
    struct flb_place_of_ to = flb_place_(part, path, kind);
    flb_arg with;
    if (!to.value.at && (!value || flb_kind_of(to.holder) != FLB_MAP)) {
        if (value) part->fault = "set: a value that is not a map is in the way";
    } else if (to.holder.at == part->base) {
        if (value && to.rest.at) {
            flb_append_new_(part, &made, to, *value);
            with = flb_arg_bytes_(flb_buf_text(&made));
            value = &with;
        }
        flb_edit_(part, kind, to.key, value);
    } else if (to.in_place) {
        flb_put_at_(part, to.value, *value);
    } else {
        made = flb_changed_(part, to, value);
        flb_put_at_(part, to.holder, flb_arg_buf_(&made));
    }
}

/* A host finds a key by itself. */
FLB_INLINE_ void flb_part_set_(flb_part *part, flb_text path, flb_arg v) {
    if (flb_is_path_(path))
        flb_change_(part, path, &v);
    else if (part->adds == 0 || !flb_is_edited_(part, path, FLB_ADD_, FLB_ADD_) || flb_carry_out_(part))
        flb_edit_(part, FLB_SET_, path, &v);
}

FLB_INLINE_ void flb_part_remove_(flb_part *part, flb_text path) {
    if (flb_is_path_(path))
        flb_change_(part, path, 0);
    else if (!flb_is_edited_(part, path, FLB_SET_, FLB_ADD_) || flb_carry_out_(part))
        flb_edit_(part, FLB_REMOVE_, path, 0);
}

static inline void flb_part_add_(flb_part *part, flb_text key, flb_arg v) {
    part->adds++;
    flb_edit_(part, FLB_ADD_, key, &v);
}

static inline void flb_set_or_remove_(flb_part *part, flb_text path, flb_arg v) {
    if (flb_is_nothing_(v))
        flb_part_remove_(part, path);
    else
        flb_part_set_(part, path, v);
}

/* Is called for a text. It appends to `to` what takes the text's place and returns 1, or returns 0: it stays. */
typedef int flb_rewriter(void *context, flb_text text, flb_buf *to);

/* byte is -1 where all texts are meant. */
static inline void flb_rewrite_(flb_part *part, int byte, int keys, flb_rewriter *function, void *context) {
    enum { DEEPEST = 130 };
    unsigned left[DEEPEST], depth = 0; /* values of each map and array that are to come, with keys */
    unsigned next = 0;                 /* where the byte stands */
    flb_byte is_map[DEEPEST];
    const flb_byte *p, *end;
    if (!part->came || !flb_can_edit_(part) || (part->edits + part->puts_count > 0 && !flb_carry_out_(part))) return;
    p = part->base;
    left[0] = 1;
    is_map[0] = 0;
    while (!part->fault) {
        struct flb_head_ h;
        unsigned at = (unsigned) (p - part->base), inside = 0;
        while (left[depth] == 0)
            if (depth-- == 0) return;
        left[depth]--;
        end = flb_step_(p, &inside);
        if ((is_map[depth] && left[depth] % 2 == 1 && !keys) ||
            (byte >= 0 && inside == 0 && end <= part->base + next)) { /* no text with the byte, no map or array */
            p = inside ? flb_skip_(p) : end;
            continue;
        }
        h = flb_head_(p);
        p += h.head;
        if (byte >= 0 && next < at + h.head) {
            next = flb_find(flb_text_of(part->base, part->base_len), (char) byte, at + h.head);
            if (next == part->base_len) return;
        }
        if ((h.kind == FLB_STR || h.kind == FLB_BIN) && (byte < 0 || next < at + h.head + h.len)) {
            flb_buf with = {0, 0, 0, 0, FLB_STR};
            if (function(context, flb_text_of(p, h.len), &with) && (with.at || flb_buf_room_(&with, 0))) {
                with.kind = h.kind;
                flb_put_bytes_(part, at, h.head + h.len, flb_close_(&with));
            }
        }
        p += h.len;
        if (h.count > 0 && ++depth < DEEPEST) {
            is_map[depth] = h.kind == FLB_MAP;
            left[depth] = h.kind == FLB_MAP ? 2 * h.count : h.count;
        } else if (h.count > 0) {
            part->fault = "the part nests too deep";
        }
    }
}

/* flb_rewrite calls a function, a flb_rewriter, for each text that is a value, at any depth; FLB_BIN is taken for
 * text. What edits have made is looked at, too, which costs a copy of the part: rewrite first. */
#define flb_rewrite(part, function, context) flb_rewrite_(part, -1, 0, function, context)
/* flb_rewrite_with does the same with texts that have that byte in them, such as '@': others cost next to nothing. */
#define flb_rewrite_with(part, byte, function, context) flb_rewrite_(part, (flb_byte) (byte), 0, function, context)
/* flb_rewrite_all does the same as flb_rewrite, with keys as well as values. */
#define flb_rewrite_all(part, function, context) flb_rewrite_(part, -1, 1, function, context)

/* Events. */

/* flb_drop drops the event. Events that it emits come out. */
static inline void flb_drop(flb_event *e) { e->is_dropped = 1; }

/* flb_set_time sets the time: 0 to 2^32 - 3 seconds, and less than 10^9 nanoseconds. */
static inline int flb_set_time(flb_event *e, flb_time time) {
    if (time.sec < 0 || time.sec > 0xfffffffdLL || time.nsec >= 1000000000)
        return flb_error(1, "the time is not one that an event can have");
    e->time = time;
    e->has_time = 1;
    return 0;
}

static inline void flb_emit_bytes_(flb_text tag, flb_text body, flb_text metadata, const flb_time *time,
                                   int grouped) {
    struct flb_emitted_ event = {-1, 0, grouped ? ~0U : 0, metadata, body, {0, tag.len}};
    flb_byte *made = (flb_byte *) flb_alloc((unsigned) sizeof(event) + tag.len);
    if (!made) return;
    if (time) event.sec = time->sec;
    if (time) event.nsec = time->nsec;
    event.tag.at = (char *) made + sizeof(event);
    flb_copy_(made + sizeof(event), tag.at, tag.len);
    __builtin_memcpy(made, &event, sizeof(event));
    flb_add_op_(flb_op_(tag.at ? FLB_EMIT_TO_ : FLB_EMIT_, 0, 0, 0, flb_text_of(made, (unsigned) sizeof(event))));
}

static inline void flb_emit_to_as_(flb_event *e, flb_text tag, flb_map *body, flb_map *metadata, const flb_time *time,
                                   int grouped) {
    if (metadata && !e->metadata.came)
        (void) flb_can_edit_(&e->metadata);
    else
        flb_emit_bytes_(tag, flb_close_(body), metadata ? flb_close_(metadata) : flb_text_of(0, 0), time, grouped);
}

/* flb_emit_as emits a further event, behind this one and those emitted before, in the event's group or in none.
 * Without metadata and time of its own (0) it has those that the event has when the filter has returned. The maps
 * are given up. */
#define flb_emit_as(e, body, metadata, time, grouped) \
    flb_emit_to_as_(e, flb_text_of(0, 0), body, metadata, time, grouped)
/* flb_emit emits a further event with that body, and all else of the event. */
static inline void flb_emit(flb_event *e, flb_map *body) { flb_emit_as(e, body, 0, 0, 1); }

/* A text that is not there is no tag, either: the host fails the event. */
FLB_INLINE_ flb_text flb_tag_(flb_text tag) { return tag.at ? tag : flb_text_of("", 0); }

static inline void flb_route_(flb_event *e, flb_text tag) {
    flb_text body = flb_text_of(e->body.came, e->body.came_len);
    if (e->body.edits + e->body.puts_count > 0 || e->body.base != e->body.came) {
        flb_map whole = flb_edited(&e->body);
        body = flb_close_(&whole);
    }
    flb_emit_bytes_(flb_tag_(tag), body, flb_text_of(0, 0), 0, 1);
    e->is_dropped = 1;
}

static inline int flb_has_elements_(flb_value v) { return flb_kind_of(v) == FLB_ARRAY && flb_count(v) > 0; }

static inline void flb_split_edited_(flb_event *e, flb_text path) {
    flb_map whole = flb_edited(&e->body);
    flb_text body = flb_close_(&whole);
    flb_value array = flb_get_value_(flb_value_of_(body.at), path);
    if (flb_.no_memory || !flb_has_elements_(array)) return;
    flb_text before = flb_between_(body.at, array.at);
    flb_text after = flb_between_(flb_skip_(array.at), body.at + body.len);
    for (flb_iter i = flb_iterate(array); flb_next(&i);) {
        flb_text element = flb_between_(i.value.at, i.rest);
        flb_byte *made = flb_room_(before.len + element.len + after.len);
        if (!made) return;
        flb_.free.next = flb_copy_(flb_copy_(made, before.at, before.len), element.at, element.len);
        flb_.free.next = flb_copy_(flb_.free.next, after.at, after.len);
        flb_emit_bytes_(flb_text_of(0, 0), flb_between_(made, flb_.free.next), flb_text_of(0, 0), 0, 1);
    }
    e->is_dropped = 1;
}

FLB_INLINE_ void flb_split_(flb_event *e, flb_text path) {
    flb_part *part = &e->body;
    int is_path = flb_is_path_(path) || part->base != part->came;
    flb_value array =
        is_path ? flb_follow_base_(part, path, FLB_REMOVE_).value : flb_member_(part, flb_part_value(part), path);
    if (!flb_has_elements_(array) && part->edits + part->puts_count > 0 &&
        (is_path || flb_is_put_over_(part, array) || flb_is_edited_(part, path, FLB_SET_, FLB_REMOVE_)))
        array = flb_place_(part, path, FLB_REMOVE_).value;
    if (flb_has_elements_(array)) flb_split_edited_(e, path);
}

/* Configuration, log. */

/* The text that a host function writes into memory, as much as it has. A NUL stands behind it. at is 0 if it returns
 * less than 0. */
#define FLB_FETCH_(call) \
    __extension__({ \
        int got = 0, fits = 0; \
        flb_byte *to = 0; \
        for (unsigned room = 128; !fits; room = (unsigned) got) { \
            to = flb_room_(room + 1); \
            got = to ? call : -1; \
            fits = got <= (int) room; \
        } \
        if (got >= 0) to[got] = 0; \
        flb_.free.next = got < 0 ? flb_.free.next : to + got + 1; \
        flb_text_of(got < 0 ? 0 : to, got < 0 ? 0 : (unsigned) got); \
    })
/* flb_config returns what the user has set as config.KEY, or in config_file, with a NUL behind it; at is 0 if it
 * is not set. Upper and lower case are the same in a key. */
static inline flb_text flb_config(const char *key) {
    return FLB_FETCH_(flb_host_config_get(key, flb_str_(key).len, to, room));
}

/* flb_config_key returns the i-th key that is set, from 0, in lower case and in order; at is 0 behind the last. */
static inline flb_text flb_config_key(unsigned i) { return FLB_FETCH_(flb_host_config_key(i, to, room)); }

static inline flb_text flb_config_or(const char *key, const char *unless_set) {
    flb_text value = flb_config(key);
    return value.at ? value : flb_str_(unless_set);
}

/* flb_config_require returns an error that says what to set the key to, if it is not set. */
static inline int flb_config_require(const char *key, const char *what, flb_text *to) {
    *to = flb_config(key);
    return to->at ? 0 : flb_error(1, "config.%s: set it to %s", key, what);
}

/* flb_config_int reads a whole number. *to stays as it is if the key is not set. An error names the key, its
 * value, and what there may be. */
static inline int flb_config_int(const char *key, long long least, long long most, long long *to) {
    flb_text text = flb_config(key);
    unsigned minus = text.len > 0 && *text.at == '-', i = minus;
    long long n = 0;
    if (!text.at) return 0;
    for (; i < text.len && i < 18 + minus && text.at[i] >= '0' && text.at[i] <= '9'; i++)
        n = 10 * n + (minus ? '0' - text.at[i] : text.at[i] - '0');
    if (i == minus || i < text.len || n < least || n > most)
        return flb_error(1, "config.%s is '%s': set it to a whole number, %lld to %lld", key, text.at, least, most);
    *to = n;
    return 0;
}

enum flb_level { FLB_ERROR = 1, FLB_WARN, FLB_INFO, FLB_DEBUG, FLB_TRACE };

/* flb_log writes a line to Fluent Bit's log, made as by flb_vformat if lines of that level are logged. The host
 * takes 16 KiB of it, and 100 lines in 10 s. */
FLB_FORMAT_(2) static inline void flb_log(enum flb_level level, const char *format, ...) {
    struct flb_place_ place = flb_.free;
    flb_buf buf = {0, 0, 0, 0, FLB_STR};
    if (!flb_host_log_enabled((int) level)) return;
    FLB_VFORMAT_(&buf, format);
    flb_host_log((int) level, flb_buf_text(&buf).at, flb_buf_text(&buf).len);
    flb_restore_(place);
}

/* Tables, the store, metrics. */

/* A table that the user has set as table.NAME: a CSV, JSON or MaxMind DB file. */
typedef struct flb_table {
    int id;
} flb_table;

/* flb_table_open opens a table, or returns an error that says to set it. */
static inline int flb_table_open(const char *name, flb_table *table) {
    table->id = flb_host_table_open(name, flb_str_(name).len);
    return table->id >= 0 ? 0 : flb_error(1, "table.%s: set it to a .csv, .json or .mmdb file", name);
}

static inline flb_value flb_table_get_(flb_table table, flb_text key, flb_text path) {
    if (!key.at) return flb_value_of_(0);
    return flb_value_of_(
        FLB_FETCH_(flb_host_table_get(table.id, key.at, key.len, path.at, path.len, 1, to, room)).at);
}

/* How long a key of the store lives, in milliseconds from now on. FLB_KEEP: as long as it would have. */
#define FLB_FOREVER    0LL
#define FLB_KEEP       (-1LL)
#define FLB_SECONDS(n) (1000LL * (n))

static inline int flb_full_(int is) {
    return is ? flb_error(1, "no key, or no room in the store: see store_limit") : 0;
}

static inline flb_text flb_store_get_(flb_text key) {
    return FLB_FETCH_(flb_host_store_get(key.at, key.len, to, room));
}

static inline int flb_store_set_(flb_text key, flb_text value, long long ttl_ms) {
    return flb_full_(!key.at || flb_host_store_set(key.at, key.len, value.at, value.len, ttl_ms));
}

static inline int flb_store_delete_(flb_text key) { return flb_host_store_delete(key.at, key.len); }

static inline int flb_store_add_(flb_text key, long long n, long long ttl_ms, long long *result) {
    return flb_full_(!key.at || flb_host_store_add(key.at, key.len, n, ttl_ms, result));
}

static inline int flb_store_cas_(flb_text key, flb_text old, flb_text value, long long ttl_ms) {
    return flb_host_store_cas(key.at, key.len, old.at, old.at ? (int) old.len : -1, value.at, value.len, ttl_ms);
}

/* A metric, which Fluent Bit's log has at the end, and `flb-wasmtime run --metrics`. Define it while the
 * configuration is read. A name that Prometheus does not allow is a trap; what the host has no room for it counts
 * by itself. labels are their names, with commas between, or "". */
typedef struct flb_metric {
    int id;
} flb_metric;

static inline flb_metric flb_metric_(int kind, const char *name, const char *help, const char *labels,
                                     const double *buckets, unsigned count) {
    flb_metric metric = {flb_host_metric_define(kind, name, flb_str_(name).len, help, flb_str_(help).len, labels,
                                                flb_str_(labels).len, buckets, count)};
    return metric;
}

/* flb_counter defines what only grows, flb_gauge what grows and shrinks, and flb_histogram how many values there
 * are up to each of some bounds, 1 to 64 that ascend. */
#define flb_counter(name, help, labels)                  flb_metric_(1, name, help, labels, 0, 0)
#define flb_gauge(name, help, labels)                    flb_metric_(2, name, help, labels, 0, 0)
#define flb_histogram(name, help, labels, bounds, count) flb_metric_(3, name, help, labels, bounds, count)

#define FLB_MEASURE_(name, function) \
    static inline void name(flb_metric metric, double value, ...) { \
        struct flb_place_ place = flb_.free; \
        flb_buf buf = {0, 0, 0, 0, FLB_STR}; \
        const char *label; \
        __builtin_va_list args; \
        __builtin_va_start(args, value); \
        while ((label = __builtin_va_arg(args, const char *)) != 0) { \
            flb_text text = flb_str_(label); \
            flb_append_(&buf, flb_text_of(&text.len, 4)); \
            flb_append_(&buf, text); \
        } \
        __builtin_va_end(args); \
        function(metric.id, value, flb_buf_text(&buf).at, flb_buf_text(&buf).len); \
        flb_restore_(place); \
    }
FLB_MEASURE_(flb_metric_add_, flb_host_metric_add)
FLB_MEASURE_(flb_metric_set_, flb_host_metric_set)
FLB_MEASURE_(flb_metric_observe_, flb_host_metric_observe)

/* These add to a counter or gauge, set a gauge, and count a value in a histogram:
 * flb_metric_add(metric, 1, "POST", "200"), with the values of all labels, in the order of their names. */
#define flb_metric_add(...)     flb_metric_add_(__VA_ARGS__, (const char *) 0)
#define flb_metric_set(...)     flb_metric_set_(__VA_ARGS__, (const char *) 0)
#define flb_metric_observe(...) flb_metric_observe_(__VA_ARGS__, (const char *) 0)

/* Running a filter. */

typedef int flb_filter_fn(flb_event *e);
typedef int flb_configure_fn(void);
typedef int flb_group_fn(flb_group *g);
typedef int flb_tick_fn(int last);

/* Returns why something has failed, or 0. */
static inline const char *flb_reason_(int failed, const char *unless_said) {
    const char *why = flb_.no_memory ? "no memory" : !failed ? 0 : flb_.error.code ? "" : unless_said;
    if (why && !*why) why = flb_printf("%.*s", (int) flb_.error.text.len, flb_.error.text.at).at;
    flb_.error.code = flb_.no_memory = 0;
    return why;
}

static inline const char *flb_run_configure_(flb_configure_fn *configure) {
    const char *why = flb_reason_(configure ? configure() : 0, "the module refuses its configuration");
    flb_.configured = flb_.free;
    return why;
}

/* What a tick has taken is free again, but for its error until the next call. */
static inline const char *flb_run_tick_(flb_tick_fn *tick, unsigned flags) {
    struct flb_place_ place = flb_.free;
    flb_.error.code = 0;
    const char *why = flb_reason_(tick(flags & 1), "the tick has failed");
    flb_restore_(place);
    return why;
}

static inline void *flb_run_buffer_(unsigned size) {
    flb_restore_(flb_.configured);
#ifndef FLB_BARE_
    for (struct flb_block_ *next, **link = flb_.free.block ? &flb_.free.block->next : &flb_.blocks; *link;
         *link = next) {
        next = (*link)->next;
        FLB_FREE(*link);
    }
#endif
    void *input = flb_alloc(size);
    flb_.no_memory = 0;
    flb_.batch = flb_.free;
    return input;
}

static inline void flb_load_(flb_part *part, unsigned which, const flb_byte *came, unsigned len) {
    part->came = len > 0 ? came : 0;
    part->came_len = len;
    part->which = which;
    part->base = flb_part_value(part).at;
    part->base_len = len > 0 ? len : 1;
    part->indexed = part->puts_count = part->edits = part->adds = part->named_len = 0;
    part->rest = 0;
    part->fault = 0;
}

/* Returns the key that an operation names. */
FLB_INLINE_ flb_text flb_named_key_(const struct flb_op_ *op) { return flb_as_text(flb_value_of_(op->bytes)); }

/* Says whether the part has the member that an operation names. */
FLB_INLINE_ int flb_has_named_(flb_part *part, const struct flb_op_ *op) {
    return flb_member_(part, flb_part_value(part), flb_named_key_(op)).at != 0;
}

/* Says of members that are not there that they are added, and nothing of their removal: the host need not look for
 * them. It adds what is set before what is added, so that a part with both, or with members that go, stays as it is. */
static inline void flb_settle_(flb_part *part) {
    unsigned kept = flb_.first;
    if (part->edits == 0 || part->base != part->came) return;
    for (unsigned i = flb_.first; i < flb_.ops_count; i++) {
        const struct flb_op_ *op = &flb_.ops[i];
        if (op->part == part->which &&
            (op->kind == FLB_ADD_ || (op->kind == FLB_REMOVE_ && flb_has_named_(part, op))))
            return;
    }
    for (unsigned i = flb_.first; i < flb_.ops_count; i++) {
        struct flb_op_ op = flb_.ops[i];
        if (op.part == part->which && op.kind == FLB_REMOVE_) continue;
        if (op.part == part->which && op.kind == FLB_SET_ && !flb_has_named_(part, &op)) {
            if (flb_named_(flb_.ops + i + 1, flb_.ops_count - i - 1, part->which, FLB_SET_, flb_named_key_(&op)))
                continue;
            op.kind = FLB_ADD_;
            op.a = 1;
            if (kept > flb_.first && flb_join_(flb_.ops + kept - 1, op)) continue;
        }
        flb_.ops[kept++] = op;
    }
    flb_.ops_count = kept;
}

static inline void flb_finish_part_(flb_part *part) {
    flb_settle_(part);
    if (part->came && part->base != part->came) {
        if (part->edits + part->puts_count > 0 && !flb_carry_out_(part)) return;
        flb_add_op_(flb_op_(FLB_REPLACE_, part->which, 0, 0, flb_text_of(part->base, part->base_len)));
    }
    for (unsigned i = 0; i < part->puts_count; i++) flb_add_op_(part->puts[i]);
}

/* Calls the filter for an event, or for a group, and says in operations what becomes of it. If it has failed, all
 * that it has taken and said is undone, and 1 returned. */
static inline int flb_call_(flb_filter_fn *filter, flb_group_fn *group_filter, unsigned of, flb_part *body,
                            flb_part *metadata) {
    struct flb_place_ place = flb_.free;
    struct flb_op_ *ops = flb_.ops;
    unsigned ops_room = flb_.ops_room;
    flb_.of = of;
    flb_.first = flb_.ops_count;
    flb_.error.code = 0;
    flb_.event.is_dropped = flb_.event.has_time = 0;
    int code = filter ? filter(&flb_.event) : group_filter(&flb_.group);
    if (code && flb_.error.code != code) flb_error(code, "the filter returned %d", code);
    if (!code && (body->fault || metadata->fault))
        code = flb_error(1, "%s", body->fault ? body->fault : metadata->fault);
    if (flb_.event.is_dropped) {
        flb_forget_(0);
        flb_add_op_(flb_op_(FLB_DROP_, 0, 0, 0, flb_text_of(0, 0)));
    } else {
        flb_finish_part_(body);
    }
    if (flb_.event.has_time) /* a dropped event's is that of those that it emits, as its metadata is */
        flb_add_op_(flb_op_(FLB_TIME_, 0, (unsigned) flb_.event.time.sec, flb_.event.time.nsec, flb_text_of(0, 0)));
    flb_finish_part_(metadata);
    flb_.to_come--;
    if (!code && !flb_.no_memory) return 0;
    flb_.ops = ops;
    flb_.ops_room = ops_room;
    flb_.ops_count = flb_.first;
    body->puts = metadata->puts = 0;
    body->puts_room = metadata->puts_room = 0;
    flb_restore_(place);
    flb_text why = flb_.no_memory ? flb_str_("no memory for the event") : flb_slice(flb_.error.text, 0, 1024);
    if (!flb_.no_memory && flb_room_(why.len + 1)) {
        __builtin_memmove(flb_.free.next, why.at, why.len); /* it lies where memory is free again */
        why.at = (const char *) flb_.free.next;
        flb_.free.next += why.len;
    }
    flb_.ops[flb_.ops_count++] = flb_op_(FLB_ERROR_, 0, flb_.no_memory ? 1 : (unsigned) code, 0, why);
    flb_.no_memory = 0;
    return 1;
}

static inline const struct flb_reply_ *flb_run_(flb_filter_fn *filter, flb_group_fn *group_filter, flb_byte *in) {
    const struct flb_input_ *input = (const struct flb_input_ *) in;
    flb_event *e = &flb_.event;
    flb_group *g = &flb_.group;
    unsigned groups = group_filter ? input->group_count : 0, first;
    flb_restore_(flb_.batch);
    flb_.no_memory = 0;
    flb_.to_come = input->event_count + groups;
    flb_.ops_count = flb_.ops_room = 0;
    e->body.puts = e->metadata.puts = g->body.puts = g->metadata.puts = 0;
    e->body.puts_room = e->metadata.puts_room = g->body.puts_room = g->metadata.puts_room = 0;
    flb_byte *failed = (flb_byte *) flb_alloc(groups + 1);
    flb_.ops = (struct flb_op_ *) flb_alloc((2 * flb_.to_come + 64) * (unsigned) sizeof(*flb_.ops));
    if (!flb_.ops || !failed) return 0; /* all events fail, since memory was refused */
    flb_.ops_room = 2 * flb_.to_come + 64;
    for (unsigned i = 0; i < groups; i++) {
        const struct flb_input_group_ *came =
            (const struct flb_input_group_ *) (in + input->groups + i * input->group_size);
        flb_load_(&g->body, 0, in + came->body, came->body_len);
        flb_load_(&g->metadata, 1, in + came->metadata, came->metadata_len);
        failed[i] = came->changeable & 1 && flb_call_(0, group_filter, i, &g->body, &g->metadata);
    }
    first = flb_.ops_count;
    e->tag = flb_text_of(in + input->tag, input->tag_len);
    for (unsigned i = 0; i < input->event_count; i++) {
        const struct flb_input_event_ *came =
            (const struct flb_input_event_ *) (in + input->events + i * input->event_size);
        if (groups && came->group && failed[came->group - 1]) continue; /* and so has the event */
        flb_load_(&e->body, 0, in + came->body, came->body_len);
        flb_load_(&e->metadata, 1, in + came->metadata, came->metadata_len);
        e->time.sec = came->sec;
        e->time.nsec = came->nsec;
        e->group = flb_value_of_(0);
        if (came->group)
            e->group.at =
                in + ((const struct flb_input_group_ *) (in + input->groups + (came->group - 1) * input->group_size))
                         ->body;
        flb_call_(filter, 0, i, &e->body, &e->metadata);
    }
    struct flb_reply_ reply = {flb_.ops + first, flb_.ops_count - first, flb_.ops, first};
    flb_.reply = reply;
    return flb_.ops_count > 0 ? &flb_.reply : 0;
}

#ifdef __cplusplus
}
#define FLB_C_        extern "C"
#define FLB_LANGUAGE_ "C++"
#else
#define FLB_C_
#define FLB_LANGUAGE_ "C"
#endif

/* FLB_FILTER(filter), FLB_FILTER(filter, configure) or FLB_FILTER(filter, configure, group) makes a module of
 *
 *     int filter(flb_event *e)   which is called for each event. An error that it returns is that event's;
 *     int configure(void)        which is called before the first event. An error keeps Fluent Bit from starting;
 *     int group(flb_group *g)    which is called for each group that may be changed, before the batch's events. An
 *                                error leaves the group as it is, and fails its events in the batch, for which the
 *                                filter is not called.
 *
 * The function that Fluent Bit's configuration names is `filter`. */
#define FLB_FILTER(...) FLB_FILTER_(__VA_ARGS__, 0, 0, 0)
#define FLB_FILTER_(on_event, on_start, on_group, ...) \
    FLB_ABOUT_ \
    FLB_C_ FLB_EXPORT_(flb_batch_1) void flb_export_batch_1(void) {} \
    FLB_C_ FLB_EXPORT_(flb_configure) const char *flb_export_configure(void) { \
        return flb_run_configure_(on_start); \
    } \
    FLB_C_ FLB_EXPORT_(flb_buffer) void *flb_export_buffer(unsigned size) { return flb_run_buffer_(size); } \
    FLB_C_ FLB_EXPORT_(filter) const struct flb_reply_ *flb_export_filter(void *input, unsigned len) { \
        (void) len; \
        return flb_run_(on_event, on_group, (flb_byte *) input); \
    } \
    struct flb_state_ flb_

/* FLB_STATEFUL; says that an event must not go through the filter twice, for it counts or stores: retry_batch does
 * not repeat events then. */
#define FLB_STATEFUL \
    FLB_C_ FLB_EXPORT_(flb_stateful) void flb_export_stateful(void) {} \
    extern struct flb_state_ flb_

/* FLB_TICK(function); has a function `int function(int last)` called every tick_interval of the filter, also when no
 * events come. By flb_tick_emit it hands over what is held: all of it if it is called for the last time by this
 * instance. An error that it returns is logged, and nothing that the call has emitted comes out. */
#define FLB_TICK(on_tick) \
    FLB_C_ FLB_EXPORT_(flb_tick) const char *flb_export_tick(unsigned flags) { \
        return flb_run_tick_(on_tick, flags); \
    } \
    extern struct flb_state_ flb_

static inline int flb_tick_emit_as_(flb_text tag, flb_map *body, flb_map *metadata, const flb_time *time) {
    flb_text b = flb_close_(body), m = metadata ? flb_close_(metadata) : flb_text_of(0, 0);
    int done =
        flb_host_emit_to(tag.at, tag.len, b.at, b.len, m.at, m.len, time ? time->sec : -1, time ? time->nsec : 0);
    if (done == -2) return flb_error(1, "the tag '%.*s' is not one that emit_tags grants", (int) tag.len, tag.at);
    return done ? flb_error(1, "there is no tick under way, or the event is not one that a host takes") : 0;
}

/* What takes arguments of several types. */

#ifndef __cplusplus
#define FLB_TEXT_(t) \
    _Generic((t), char *: flb_str_, const char *: flb_str_, flb_value: flb_as_text, flb_text: flb_itself_)(t)
#define FLB_ARG_(v) \
    _Generic((v), \
        _Bool: flb_bool, \
        unsigned char: flb_arg_uint_, \
        unsigned short: flb_arg_uint_, \
        unsigned: flb_arg_uint_, \
        unsigned long: flb_arg_uint_, \
        unsigned long long: flb_arg_uint_, \
        float: flb_arg_float_, \
        double: flb_arg_float_, \
        char *: flb_arg_str_, \
        const char *: flb_arg_str_, \
        flb_text: flb_arg_text_, \
        flb_value: flb_arg_value_, \
        flb_buf *: flb_arg_buf_, \
        flb_arg: flb_arg_arg_, \
        default: flb_arg_int_)(v)
#define FLB_WHERE_(at) \
    _Generic((at), char *: flb_str_, const char *: flb_str_, flb_value: flb_itself_value_, flb_text: flb_itself_)(at)
#define flb_get_(from, path) \
    _Generic((from), flb_part *: flb_get_part_, flb_value: flb_get_value_, flb_buf *: flb_get_buf_)(from, path)
#define flb_add_(to, key, v) _Generic((to), flb_part *: flb_part_add_, flb_buf *: flb_buf_add_)(to, key, v)
#define flb_put_(part, at, v) \
    _Generic((at), flb_value: flb_put_value_, default: flb_put_path_)(part, FLB_WHERE_(at), v)
#else
inline flb_text FLB_TEXT_(const char *s) { return flb_str_(s); }
inline flb_text FLB_TEXT_(flb_value v) { return flb_as_text(v); }
inline flb_text FLB_TEXT_(flb_text t) { return t; }
template <class S> inline auto FLB_TEXT_(const S &s) -> decltype(flb_text_of(s.data(), 0)) {
    return flb_text_of(s.data(), (unsigned) s.size());
}
inline flb_arg FLB_ARG_(bool v) { return flb_bool(v); }
inline flb_arg FLB_ARG_(int v) { return flb_arg_int_(v); }
inline flb_arg FLB_ARG_(long v) { return flb_arg_int_(v); }
inline flb_arg FLB_ARG_(long long v) { return flb_arg_int_(v); }
inline flb_arg FLB_ARG_(unsigned v) { return flb_arg_uint_(v); }
inline flb_arg FLB_ARG_(unsigned long v) { return flb_arg_uint_(v); }
inline flb_arg FLB_ARG_(unsigned long long v) { return flb_arg_uint_(v); }
inline flb_arg FLB_ARG_(double v) { return flb_arg_float_(v); }
inline flb_arg FLB_ARG_(flb_value v) { return flb_arg_value_(v); }
inline flb_arg FLB_ARG_(flb_buf *v) { return flb_arg_buf_(v); }
inline flb_arg FLB_ARG_(flb_arg v) { return v; }
template <class S> inline auto FLB_ARG_(const S &s) -> decltype(FLB_TEXT_(s), flb_arg()) {
    return flb_arg_text_(FLB_TEXT_(s));
}
inline flb_value flb_get_(flb_part *from, flb_text path) { return flb_get_part_(from, path); }
inline flb_value flb_get_(flb_value from, flb_text path) { return flb_get_value_(from, path); }
inline flb_value flb_get_(flb_buf *from, flb_text path) { return flb_get_buf_(from, path); }
inline void flb_add_(flb_part *to, flb_text key, flb_arg v) { flb_part_add_(to, key, v); }
inline void flb_add_(flb_buf *to, flb_text key, flb_arg v) { flb_buf_add_(to, key, v); }
inline int flb_put_(flb_part *part, flb_value at, flb_arg v) { return flb_put_value_(part, at, v); }
template <class S> inline int flb_put_(flb_part *part, const S &path, flb_arg v) {
    return flb_put_path_(part, FLB_TEXT_(path), v);
}
#endif

/* Texts, keys and paths are const char *, flb_text, flb_value (its text), or in C++ what has data() and size().
 * Values are those, numbers, flb_bool(…) (in C++ bool), flb_nil(), flb_bin(…), a flb_value, and the address of a
 * flb_map or flb_list. What is nothing is nil.
 *
 * A path has dots between keys, and numbers for elements of arrays: "a.b", "items.0.name". In a map a key that is
 * all that is left of the path goes before one that is what is left up to the first dot. So does a key with a $
 * before Fluent Bit's own form: "$a['b'][0]", in which dots are those of a key: "$a.b" is the member "a.b". */

/* flb_get returns what a path leads to, in a flb_part *, flb_value or flb_map *. */
#define flb_get(from, path) flb_get_(from, FLB_TEXT_(path))
/* flb_is says whether a value is that text. */
#define flb_is(value, text) flb_is_(value, FLB_TEXT_(text))
/* flb_same says whether two texts are the same. */
#define flb_same(a, b) flb_same_(FLB_TEXT_(a), FLB_TEXT_(b))
/* flb_set gives what the path leads to a value. What is not there is added as the last member of its map, which is
 * made if need be. Where a value that is not a map is in the way, the event fails. */
#define flb_set(part, path, value) flb_part_set_(part, FLB_TEXT_(path), FLB_ARG_(value))
/* flb_add adds a member as the last one, to a flb_part * or flb_map *, without a look whether its key is there. Dots
 * in the key are its. */
#define flb_add(to, key, value) flb_add_(to, FLB_TEXT_(key), FLB_ARG_(value))
/* flb_remove removes what the path leads to, if it is there. */
#define flb_remove(part, path) flb_part_remove_(part, FLB_TEXT_(path))
/* flb_set_or_remove sets what the path leads to to a value that there is, and removes it if there is none. */
#define flb_set_or_remove(part, path, value) flb_set_or_remove_(part, FLB_TEXT_(path), FLB_ARG_(value))
/* flb_put replaces what a path leads to, at any depth, or a flb_value of the part as it came. It returns 0 if there is
 * none. A flb_value that is no more, since it or one around it has been edited, fails the event; so does one after
 * flb_replace, or after two edits in one place. */
#define flb_put(part, where, value) flb_put_(part, where, FLB_ARG_(value))
/* flb_push appends a value to a flb_list *, flb_append text to what a flb_rewriter has to write. */
#define flb_push(list, value) flb_push_arg_(list, FLB_ARG_(value))
#define flb_append(buf, text) flb_append_(buf, FLB_TEXT_(text))
/* flb_route has an event go on under another tag, with the edits of the body so far, through the filters and outputs
 * that match it; a body without edits costs no copy. Under its own tag it is dropped. flb_emit_to and flb_emit_to_as
 * are as flb_emit and flb_emit_as, under another tag. One that emit_tags of the filter does not grant fails the event. */
#define flb_route(event, tag)         flb_route_(event, FLB_TEXT_(tag))
#define flb_emit_to(event, tag, body) flb_emit_to_as(event, tag, body, 0, 0, 1)
#define flb_emit_to_as(event, tag, body, metadata, time, grouped) \
    flb_emit_to_as_(event, flb_tag_(FLB_TEXT_(tag)), body, metadata, time, grouped)
/* flb_tick_emit emits an event under a tag, in a tick alone: 0, or an error. It is one of now without metadata; that of
 * flb_tick_emit_as has them, unless they are 0. The maps are given up. */
#define flb_tick_emit(tag, body)                    flb_tick_emit_as(tag, body, 0, 0)
#define flb_tick_emit_as(tag, body, metadata, time) flb_tick_emit_as_(FLB_TEXT_(tag), body, metadata, time)
/* flb_split makes an event for each element of an array, which takes the place of the array that the path leads to,
 * with the edits so far. The event itself is dropped. What is not an array, or is empty, is left as it is. */
#define flb_split(event, path) flb_split_(event, FLB_TEXT_(path))
/* flb_table_get returns what the path leads to in the table's value for a key (country.iso_code), or with "" all. */
#define flb_table_get(table, key, path) flb_table_get_(table, FLB_TEXT_(key), FLB_TEXT_(path))
/* The store, which all instances of the filter share, and which ends with it, has bytes for a key. flb_store_add
 * adds to a counter, of 8 bytes, and sets *result to what it is then. flb_store_delete returns whether the key was
 * there. flb_store_cas sets a key if it has the old value, or none and the old one is nothing: it returns 1, 0 if
 * that is not so, -1 if there is no room. */
#define flb_store_get(key)                     flb_store_get_(FLB_TEXT_(key))
#define flb_store_set(key, value, ttl)         flb_store_set_(FLB_TEXT_(key), FLB_TEXT_(value), ttl)
#define flb_store_delete(key)                  flb_store_delete_(FLB_TEXT_(key))
#define flb_store_add(key, delta, ttl, result) flb_store_add_(FLB_TEXT_(key), delta, ttl, result)
#define flb_store_cas(key, old, value, ttl)    flb_store_cas_(FLB_TEXT_(key), FLB_TEXT_(old), FLB_TEXT_(value), ttl)

#endif
