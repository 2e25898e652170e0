// Tags under which a guest may emit events.

#ifndef FLBWT_TAGS_H
#define FLBWT_TAGS_H

#include "instance.h"

// flbwt_tags_grant says whether the n bytes are a tag, and a pattern matches it.
bool flbwt_tags_grant(flbwt_tags *tags, const uint8_t *tag, size_t n);

// flbwt_tag_matches says whether the pattern matches the tag, in time that grows as their lengths do.
bool flbwt_tag_matches(const flbwt_pattern *pattern, const uint8_t *tag, size_t n);

#endif
