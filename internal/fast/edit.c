// Edits of a map: what a batch guest says of a part of an event becomes that part.

#include "fast.h"

#include "skip.h"

enum { MAX_KEYS = FLBWT_EDIT_KEYS };

// depth_of is how deep the value at in[0..n) nests, which is known to be at most FLBWT_EVENT_DEPTH.
static int depth_of(const uint8_t *in, size_t n)
{
    unsigned containers;
    int low = 0, high = FLBWT_EVENT_DEPTH;

    while (low < high) {
        int middle = (low + high) / 2;

        if (flbwt_skip(in, in + n, middle, &containers) != NULL) {
            high = middle;
        }
        else {
            low = middle + 1;
        }
    }
    return low;
}

typedef struct {
    const uint8_t *in; // the map as it came
    size_t n;
    int depth; // how deep it may nest
    bool deeper; // that is as deep as it came
    const char *why;
} edit_state;

// whole says whether bytes[0..n) are so many values, which stand inside of `above` containers.
static bool whole(edit_state *s, const uint8_t *bytes, size_t n, uint64_t values, int above)
{
    const uint8_t *end = bytes + n;
    unsigned containers = 0;

    if (skip_all(bytes, end, values, s->depth - above, &containers) == end) {
        return true;
    }
    if (!s->deeper) {
        int came = depth_of(s->in, s->n);

        s->deeper = true;
        s->depth = came > s->depth ? came : s->depth;
        containers = 0;
        if (skip_all(bytes, end, values, s->depth - above, &containers) == end) {
            return true;
        }
    }
    s->why = "its bytes are not as many whole values as they have to be, or nest too deep";
    return false;
}

static uint8_t *replace(edit_state *s, const flbwt_edit *edits, size_t count, uint8_t *out)
{
    uint64_t pairs;

    if (count > 1) {
        s->why = "a part that is replaced has other operations";
        return NULL;
    }
    if (map_header(edits->bytes, edits->bytes + edits->len, &pairs) == NULL) {
        s->why = "what replaces it is not a map";
        return NULL;
    }
    return whole(s, edits->bytes, edits->len, 1, 0) ? copy(out, edits->bytes, edits->len) : NULL;
}

static const flbwt_edit *next_of(const flbwt_edit *e, const flbwt_edit *end, uint32_t kind)
{
    while (e < end && e->kind != kind) {
        e++;
    }
    return e;
}

// put_values writes the map with the values that put replaces to out, and returns where it ends.
static uint8_t *put_values(edit_state *s, const flbwt_edit *edits, size_t count, uint8_t *out)
{
    const uint8_t *p = s->in, *end = s->in + s->n, *copied = p;
    const flbwt_edit *edits_end = edits + count, *e = next_of(edits, edits_end, FLBWT_EDIT_PUT);
    uint64_t left[FLBWT_EVENT_DEPTH + 1] = {1}; // in the container at each level
    int level = 0;
    unsigned containers;

    while (e < edits_end) {
        while (level > 0 && left[level] == 0) {
            level--;
        }
        if (p == end || e->a < (size_t) (p - s->in) || (level == 0 && p > s->in)) {
            s->why = "no value begins where one is to be put";
            return NULL;
        }
        left[level]--;
        if (e->a == (size_t) (p - s->in)) {
            const uint8_t *after = flbwt_skip(p, end, FLBWT_EVENT_DEPTH, &containers);

            if (level == 0) {
                s->why = "put takes the place of the whole part";
                return NULL;
            }
            if (after == NULL || (size_t) (after - p) != e->b) {
                s->why = "where a value is to be put, there is none of that length";
                return NULL;
            }
            if (!whole(s, e->bytes, e->len, 1, level)) {
                return NULL;
            }
            out = copy(out, copied, (size_t) (p - copied));
            out = copy(out, e->bytes, e->len);
            p = copied = after;
            e = next_of(e + 1, edits_end, FLBWT_EDIT_PUT);
            continue;
        }
        head h;
        read_head(p, (size_t) (end - p), &h);
        p += h.bytes;
        if (h.container) {
            left[++level] = h.elements;
        }
    }
    return copy(out, copied, (size_t) (end - copied));
}

// A key at p; how many bytes it takes.
typedef struct {
    const uint8_t *p;
    size_t n;
} key;

// text returns the bytes of a key that is a string, NULL if it is not.
static const uint8_t *text(key k, size_t *n)
{
    size_t head = is_fixstr(*k.p) ? 1 : *k.p == 0xd9 ? 2 : *k.p == 0xda ? 3 : *k.p == 0xdb ? 5 : 0;

    *n = k.n - head;
    return head > 0 ? k.p + head : NULL;
}

static bool same_key(key a, key b)
{
    size_t a_n, b_n;

    if (*a.p == *b.p || (is_fixstr(*a.p) && is_fixstr(*b.p))) {
        return a.n == b.n && memcmp(a.p, b.p, a.n) == 0;
    }
    const uint8_t *a_text = text(a, &a_n), *b_text = text(b, &b_n);
    return a_text != NULL && b_text != NULL && a_n == b_n && memcmp(a_text, b_text, a_n) == 0;
}

// What set and remove name.
typedef struct {
    unsigned n;
    size_t bytes; // of all keys
    const flbwt_edit *edit[MAX_KEYS];
    key key[MAX_KEYS];
    bool done[MAX_KEYS];
} named;

// read_named checks what set, add and remove have, and sets *added to how many members they may add.
static bool read_named(edit_state *s, const flbwt_edit *edits, size_t count, named *names,
                       uint64_t *added)
{
    unsigned containers;

    names->n = 0;
    names->bytes = 0;
    *added = 0;
    for (const flbwt_edit *e = edits; e < edits + count; e++) {
        bool set = e->kind == FLBWT_EDIT_SET;

        if (e->kind == FLBWT_EDIT_ADD) {
            *added += e->a;
            if (!whole(s, e->bytes, e->len, (uint64_t) e->a * 2, 1)) {
                return false;
            }
        }
        if (!set && e->kind != FLBWT_EDIT_REMOVE) {
            continue;
        }
        if (names->n == MAX_KEYS) {
            s->why = "more keys of a part are set or removed than may be";
            return false;
        }
        if (!whole(s, e->bytes, e->len, set ? 2 : 1, 1)) {
            return false;
        }
        const uint8_t *after =
            flbwt_skip(e->bytes, e->bytes + e->len, FLBWT_EVENT_DEPTH, &containers);
        names->edit[names->n] = e;
        names->key[names->n] = (key) {e->bytes, (size_t) (after - e->bytes)};
        names->bytes += names->key[names->n].n;
        if (names->bytes > FLBWT_EDIT_KEY_BYTES) {
            s->why = "keys that are set or removed are longer than they may be in all";
            return false;
        }
        names->done[names->n++] = false;
        *added += set;
    }
    return true;
}

// write_header writes the header of a map that had the lead byte lead and has up to most members
// now, once it is known how many: a wide one stays so, as Fluent Bit writes them.
static uint8_t *write_header(uint8_t *out, uint8_t lead, uint64_t most, uint64_t members)
{
    if (lead == 0xdf || most > UINT16_MAX) {
        *out = 0xdf;
        return store32(out + 1, members);
    }
    if (lead == 0xde || most > 0x0f) {
        *out = 0xde;
        return store16(out + 1, members);
    }
    *out = (uint8_t) (0x80 | members);
    return out + 1;
}

// find returns what takes the place of the member with key k, and NULL if it stays, or is *gone.
static const flbwt_edit *find(named *names, key k, bool *gone)
{
    const flbwt_edit *last = NULL;

    *gone = false;
    for (unsigned i = 0; i < names->n; i++) {
        if (names->edit[i]->kind == FLBWT_EDIT_REMOVE && same_key(names->key[i], k)) {
            *gone = true;
            return NULL;
        }
    }
    for (unsigned i = 0; i < names->n; i++) {
        if (names->edit[i]->kind == FLBWT_EDIT_SET && same_key(names->key[i], k)) {
            *gone = *gone || names->done[i];
            names->done[i] = true;
            last = names->edit[i];
        }
    }
    return *gone ? NULL : last;
}

// set_later says whether a set behind the i-th has the same key.
static bool set_later(const named *names, unsigned i)
{
    for (unsigned k = i + 1; k < names->n; k++) {
        if (names->edit[k]->kind == FLBWT_EDIT_SET && same_key(names->key[i], names->key[k])) {
            return true;
        }
    }
    return false;
}

// value_end returns the end of a value that is known to be valid.
static const uint8_t *value_end(const uint8_t *p, const uint8_t *end)
{
    unsigned containers;

    return is_fixstr(*p) ? p + 1 + (*p & 0x1f) : flbwt_skip(p, end, FLBWT_EVENT_DEPTH, &containers);
}

// edit_members writes the map at in[0..n), which is s->in but for what has been put, with what set, add and
// remove make of its members.
static uint8_t *edit_members(edit_state *s, const uint8_t *in, size_t n, const flbwt_edit *edits,
                             size_t count, uint8_t *out)
{
    const uint8_t *end = in + n;
    uint64_t pairs = 0, added;
    const uint8_t *p = map_header(in, end, &pairs);
    named names;

    if (!read_named(s, edits, count, &names, &added)) {
        return NULL;
    }
    uint64_t most = pairs + added, members = names.n == 0 ? most : pairs;
    uint8_t *start = out;

    if (most > UINT32_MAX) {
        s->why = "it gets more members than a map can have";
        return NULL;
    }
    out = write_header(out, *in, most, members);
    if (names.n == 0) {
        out = copy(out, p, (size_t) (end - p));
    }
    else {
        const uint8_t *copied = p;

        for (uint64_t i = 0; i < pairs; i++) {
            const uint8_t *member = p, *value = value_end(p, end);
            bool gone;

            p = value_end(value, end);
            const flbwt_edit *by = find(&names, (key) {member, (size_t) (value - member)}, &gone);
            if (by == NULL && !gone) {
                continue;
            }
            out = copy(out, copied, (size_t) (member - copied));
            copied = p;
            members -= gone;
            if (by != NULL) {
                out = copy(out, by->bytes, by->len);
            }
        }
        out = copy(out, copied, (size_t) (end - copied));
        for (unsigned i = 0; i < names.n; i++) {
            if (names.edit[i]->kind == FLBWT_EDIT_SET && !names.done[i] && !set_later(&names, i)) {
                out = copy(out, names.edit[i]->bytes, names.edit[i]->len);
                members++;
            }
        }
    }
    for (const flbwt_edit *e = edits; e < edits + count; e++) {
        if (e->kind == FLBWT_EDIT_ADD) {
            out = copy(out, e->bytes, e->len);
            members += names.n == 0 ? 0 : e->a;
        }
    }
    write_header(start, *in, most, members);
    return out;
}

uint8_t *flbwt_add_members(const uint8_t *in, size_t n, uint32_t members, const uint8_t *bytes,
                           size_t len, int depth, uint8_t *out)
{
    uint64_t pairs;
    unsigned containers = 0;
    const uint8_t *end = bytes + len, *p = map_header(in, in + n, &pairs);

    if (p == NULL || pairs + members > UINT32_MAX ||
        skip_all(bytes, end, (uint64_t) members * 2, depth - 1, &containers) != end) {
        return NULL;
    }
    out = write_header(out, *in, pairs + members, pairs + members);
    out = copy(out, p, n - (size_t) (p - in));
    return copy(out, bytes, len);
}

uint8_t *flbwt_edit_map(const uint8_t *in, size_t n, const flbwt_edit *edits, size_t count,
                        int depth, uint8_t *scratch, uint8_t *out, const char **why)
{
    edit_state s = {.in = in, .n = n, .depth = depth};
    bool puts = false, members = false;
    uint64_t pairs;

    for (size_t i = 0; i < count; i++) {
        switch (edits[i].kind) {
        case FLBWT_EDIT_REPLACE:
            out = replace(&s, edits, count, out);
            *why = s.why;
            return out;
        case FLBWT_EDIT_PUT:
            puts = true;
            break;
        default:
            members = true;
        }
    }
    if (map_header(in, in + n, &pairs) == NULL) {
        *why = "what is to be edited is not a map";
        return NULL;
    }
    if (puts) {
        uint8_t *to = members ? scratch : out;

        if ((to = put_values(&s, edits, count, to)) == NULL || !members) {
            *why = s.why;
            return to;
        }
        in = scratch;
        n = (size_t) (to - scratch);
    }
    out = edit_members(&s, in, n, edits, count, out);
    *why = s.why;
    return out;
}
