// What modules of AssemblyScript import from "env".

#include "hostcall.h"

#include <stdio.h>
#include <string.h>

enum {
    UNITS_MOST = 512,            // of UTF-16, in a string that is worded
    TEXT_BYTES = 4 * UNITS_MOST, // as UTF-8, with escapes
    REPLACEMENT = 0xfffd,        // for what is no character
};

static uint32_t unit(const uint8_t *p) { return (uint32_t) (p[0] | p[1] << 8); }

// put_character writes UTF-8, and control characters as \xNN: the message of a trap is one
// line.
static size_t put_character(char *to, uint32_t c)
{
    if (c < ' ' || c == 0x7f) {
        return (size_t) sprintf(to, "\\x%02x", c);
    }
    if (c < 0x80) {
        to[0] = (char) c;
        return 1;
    }
    if (c < 0x800) {
        to[0] = (char) (0xc0 | c >> 6);
        to[1] = (char) (0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        to[0] = (char) (0xe0 | c >> 12);
        to[1] = (char) (0x80 | (c >> 6 & 0x3f));
        to[2] = (char) (0x80 | (c & 0x3f));
        return 3;
    }
    to[0] = (char) (0xf0 | c >> 18);
    to[1] = (char) (0x80 | (c >> 12 & 0x3f));
    to[2] = (char) (0x80 | (c >> 6 & 0x3f));
    to[3] = (char) (0x80 | (c & 0x3f));
    return 4;
}

// put_string writes a string of AssemblyScript: UTF-16, its length in bytes in the four
// bytes before it. Whatever does not fit reads as "?". It takes TEXT_BYTES at most, and is
// followed by a NUL or not.
static size_t put_string(const flbwt_instance *in, uint32_t at, char *to)
{
    const uint8_t *length = at < 4 ? NULL : within(in, at - 4, 4), *p;
    uint32_t n;
    size_t len = 0;

    if (length == NULL) {
        *to = '?';
        return 1;
    }
    memcpy(&n, length, sizeof(n));
    p = within(in, at, n);
    if (p == NULL || n > 2 * UNITS_MOST) {
        *to = '?';
        return 1;
    }
    for (uint32_t i = 0; i + 1 < n; i += 2) {
        uint32_t c = unit(p + i);

        if (c >= 0xd800 && c < 0xe000) {
            uint32_t low = i + 3 < n ? unit(p + i + 2) : 0;

            if (c < 0xdc00 && low >= 0xdc00 && low < 0xe000) {
                c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
                i += 2;
            }
            else {
                c = REPLACEMENT;
            }
        }
        len += put_character(to + len, c);
    }
    return len;
}

// do_abort ends the guest with the words of its own that AssemblyScript hands over.
static void do_abort(call *c)
{
    char text[2 * TEXT_BYTES + 64], *p = text;

    p = stpcpy(p, "abort: ");
    p += put_string(c->instance, param(c, 0), p);
    p = stpcpy(p, " in ");
    p += put_string(c->instance, param(c, 1), p);
    p += sprintf(p, ":%d:%d", c->v[2].i32, c->v[3].i32);
    flbwt_stop_with(c, text, (size_t) (p - text));
}

HOST_FUNCTION(host_abort, "abort", do_abort)

static const flbwt_import table[] = {{"env", "abort", "iiii:", host_abort}};

const flbwt_import *const flbwt_script = table;
const size_t flbwt_script_len = 1;
