#define _GNU_SOURCE
#include "tags.h"

#include <string.h>

bool flbwt_tag_matches(const flbwt_pattern *pattern, const uint8_t *tag, size_t n)
{
    const char *p = pattern->text, *end = p + pattern->len, *star = memchr(p, '*', pattern->len);
    const uint8_t *at = tag, *tag_end = tag + n;

    if (star == NULL) {
        return n == pattern->len && memcmp(tag, p, n) == 0;
    }
    // What stands before the first * is at the start, each part between two at the first place that it
    // is at behind the part before, and what stands after the last one at the end.
    for (bool first = true;; first = false) {
        size_t len = (size_t) (star - p);

        if ((size_t) (tag_end - at) < len) {
            return false;
        }
        const uint8_t *found = first || len == 0 ? at : memmem(at, (size_t) (tag_end - at), p, len);
        if (found == NULL || (first && len > 0 && memcmp(at, p, len) != 0)) {
            return false;
        }
        at = found + len;
        p = star + 1;
        star = memchr(p, '*', (size_t) (end - p));
        if (star == NULL) {
            len = (size_t) (end - p);
            return (size_t) (tag_end - at) >= len &&
                   (len == 0 || memcmp(tag_end - len, p, len) == 0);
        }
    }
}

static bool has_controls(const uint8_t *tag, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (tag[i] < 0x20 || tag[i] == 0x7f) {
            return true;
        }
    }
    return false;
}

bool flbwt_tags_grant(flbwt_tags *tags, const uint8_t *tag, size_t n)
{
    flbwt_buffer *last = &tags->last;

    if (n == 0 || n > FLBWT_TAG_BYTES) {
        return false;
    }
    if (n == last->len && memcmp(tag, last->data, n) == 0) {
        return true;
    }
    for (uint32_t i = 0; i < tags->n; i++) {
        if (!flbwt_tag_matches(&tags->patterns[i], tag, n)) {
            continue;
        }
        if (has_controls(tag, n)) {
            return false;
        }
        last->len = 0;
        if (flbwt_reserve(last, n)) { // else it is looked for again
            memcpy(last->data, tag, n);
            last->len = n;
        }
        return true;
    }
    return false;
}
