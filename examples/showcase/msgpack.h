/* Reads and writes MessagePack, without memory of its own. */

#ifndef MSGPACK_H
#define MSGPACK_H

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef long long i64;

/* MP_OTHER: nil, booleans, numbers, extensions. */
enum mp_kind { MP_OTHER, MP_STRING, MP_BYTES, MP_ARRAY, MP_MAP };

struct mp {
    enum mp_kind kind;
    u32 head;  /* bytes of the header: 1 to 6 */
    u32 len;   /* bytes after the header, without what is in an array or map */
    u32 count; /* elements of an array, members of a map */
};

static inline u64 mp_big_endian(const u8 *p, u32 n)
{
    u64 v = 0;

    while (n-- > 0)
        v = v << 8 | *p++;
    return v;
}

/* mp_read reads the header of a value. 0: there is none, or the value is cut off at end. */
static inline int mp_read(const u8 *p, const u8 *end, struct mp *v)
{
    /* Of 0xc0 to 0xdf: the kind, the bytes of the length after the lead byte, and bytes after them. */
    static const u8 kinds[32] = {
        [0x04] = MP_BYTES,  [0x05] = MP_BYTES,  [0x06] = MP_BYTES, [0x19] = MP_STRING,
        [0x1a] = MP_STRING, [0x1b] = MP_STRING, [0x1c] = MP_ARRAY, [0x1d] = MP_ARRAY,
        [0x1e] = MP_MAP,    [0x1f] = MP_MAP,
    };
    static const u8 lengths[32] = {0, 0, 0, 0, 1, 2, 4, 1, 2, 4, 0, 0, 0, 0, 0, 0,
                                   0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 4, 2, 4, 2, 4};
    static const u8 more[32] = {0, 0, 0, 0, 0, 0, 0, 1, 1,  1, 4, 8, 1, 2, 4, 8,
                                1, 2, 4, 8, 2, 3, 5, 9, 17, 0, 0, 0, 0, 0, 0, 0};
    u32 room = (u32) (end - p), lead;

    if (p >= end)
        return 0;
    lead = *p;
    *v = (struct mp) {.kind = MP_OTHER, .head = 1};
    if (lead < 0x80 || lead >= 0xe0)
        return 1;
    if (lead < 0x90) {
        v->kind = MP_MAP;
        v->count = lead & 15;
    }
    else if (lead < 0xa0) {
        v->kind = MP_ARRAY;
        v->count = lead & 15;
    }
    else if (lead < 0xc0) {
        v->kind = MP_STRING;
        v->len = lead & 31;
    }
    else {
        u32 i = lead - 0xc0, n;

        v->kind = (enum mp_kind) kinds[i];
        v->head = 1 + lengths[i];
        if (v->head > room)
            return 0;
        n = (u32) mp_big_endian(p + 1, lengths[i]);
        if (v->kind == MP_ARRAY || v->kind == MP_MAP)
            v->count = n;
        else
            v->len = n;
        if (lengths[i] > 0 && v->kind == MP_OTHER)
            v->head += more[i]; /* the type of an extension */
        else
            v->len += more[i];
    }
    return v->head <= room && v->len <= room - v->head;
}

/* mp_skip returns the end of a value, or 0. */
static inline const u8 *mp_skip(const u8 *p, const u8 *end)
{
    struct mp v;

    for (u64 left = 1; left > 0; left--) {
        if (!mp_read(p, end, &v))
            return 0;
        p += v.head + v.len;
        left += v.kind == MP_MAP ? 2 * (u64) v.count : v.count;
    }
    return p;
}

/* mp_text returns the bytes of a string or 0, and their number. */
static inline const u8 *mp_text(const u8 *p, const u8 *end, u32 *len)
{
    struct mp v;

    if (!mp_read(p, end, &v) || v.kind != MP_STRING)
        return 0;
    *len = v.len;
    return p + v.head;
}

/* Writers return where the next byte goes. */

static inline u8 *mp_put_big_endian(u8 *to, u64 v, u32 n)
{
    while (n-- > 0)
        *to++ = (u8) (v >> (8 * n));
    return to;
}

/* At most 5 bytes. */
static inline u8 *mp_put_map(u8 *to, u32 count)
{
    if (count < 16) {
        *to++ = (u8) (0x80 | count);
        return to;
    }
    *to++ = count < 65536 ? 0xde : 0xdf;
    return mp_put_big_endian(to, count, count < 65536 ? 2 : 4);
}

/* At most 5 bytes more than the text has. */
static inline u8 *mp_put_string(u8 *to, const u8 *text, u32 len)
{
    if (len < 32) {
        *to++ = (u8) (0xa0 | len);
    }
    else {
        u32 n = len < 256 ? 1 : len < 65536 ? 2 : 4;

        *to++ = n == 1 ? 0xd9 : n == 2 ? 0xda : 0xdb;
        to = mp_put_big_endian(to, len, n);
    }
    __builtin_memcpy(to, text, len);
    return to + len;
}

/* At most 9 bytes. */
static inline u8 *mp_put_uint(u8 *to, u64 v)
{
    u32 width = v < 256 ? 0 : v < 65536 ? 1 : v >> 32 == 0 ? 2 : 3;

    if (v < 128) {
        *to++ = (u8) v;
        return to;
    }
    *to++ = (u8) (0xcc + width);
    return mp_put_big_endian(to, v, 1U << width);
}

#endif
