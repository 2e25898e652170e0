// Guests that are called for metrics and traces, as docs/abi.md has it.

#ifndef FLBWT_OTLP_H
#define FLBWT_OTLP_H

#include "lane.h"

// What a guest says of a payload.
enum flbwt_otlp_operation {
    FLBWT_OTLP_KEEP = 0,
    FLBWT_OTLP_DROP = 1,
    FLBWT_OTLP_REPLACE = 2,
    FLBWT_OTLP_ERROR = 3,
};

typedef struct {
    uint32_t operation;
    // Of REPLACE and ERROR, in the guest's memory until it is called again; may be empty.
    const uint8_t *bytes;
    size_t len;
    const char *why; // of FLBWT_BAD_REPLY
} flbwt_otlp_answer;

// flbwt_otlp_call calls the guest of the lane, which has to be one for that signal, with a payload.
// FLBWT_REPLY: answer is set. lane->trap and lane->error are set as after FLBWT_STOP_RECORD.
enum flbwt_outcome flbwt_otlp_call(flbwt_lane *lane, uint32_t signal, const uint8_t *tag,
                                   uint32_t tag_len, const uint8_t *payload, uint32_t len,
                                   flbwt_otlp_answer *answer);

#endif
