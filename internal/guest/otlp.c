#include "otlp.h"

#include "../fast/bytes.h"

#include <string.h>

// The structures of docs/abi.md.
enum { HEADER_BYTES = 64, REPLY_BYTES = 16 };

// write_input writes header, tag and payload to memory of HEADER_BYTES and both.
static void write_input(uint8_t *to, uint32_t signal, const uint8_t *tag, uint32_t tag_len,
                        const uint8_t *payload, uint32_t len)
{
    const uint32_t header[HEADER_BYTES / sizeof(uint32_t)] = {
        HEADER_BYTES, signal, HEADER_BYTES, tag_len, HEADER_BYTES + tag_len, len};

    memcpy(to, header, sizeof(header));
    if (tag_len > 0) {
        memcpy(to + HEADER_BYTES, tag, tag_len);
    }
    if (len > 0) {
        memcpy(to + HEADER_BYTES + tag_len, payload, len);
    }
}

// read_reply returns why the reply at that address is none; NULL: answer is set.
static const char *read_reply(const flbwt_guest *g, uint32_t at, flbwt_otlp_answer *answer)
{
    const flbwt_instance *in = &g->instance;

    if (at == 0) {
        return NULL;
    }
    if (at > in->size || in->size - at < REPLY_BYTES) {
        return "it is not inside the guest's memory";
    }
    const uint8_t *p = in->base + at;

    answer->operation = get32(p);
    uint32_t from = get32(p + 8), len = get32(p + 12);

    if (answer->operation < FLBWT_OTLP_DROP || answer->operation > FLBWT_OTLP_ERROR ||
        get32(p + 4) != 0) {
        return "it is no operation that the host knows";
    }
    if (answer->operation == FLBWT_OTLP_DROP) {
        return NULL;
    }
    if (from > in->size || in->size - from < len) {
        return "what it names is not inside the guest's memory";
    }
    answer->bytes = in->base + from;
    answer->len = len;
    return NULL;
}

enum flbwt_outcome flbwt_otlp_call(flbwt_lane *lane, uint32_t signal, const uint8_t *tag,
                                   uint32_t tag_len, const uint8_t *payload, uint32_t len,
                                   flbwt_otlp_answer *answer)
{
    const flbwt_guest *g = lane->guest;
    flbwt_call x = {0};
    uint64_t need = HEADER_BYTES + (uint64_t) tag_len + len;
    uint32_t at = 0;

    *answer = (flbwt_otlp_answer) {0};
    enum flbwt_outcome outcome = flbwt_lane_begin_call(lane, &x, need);
    if (outcome == FLBWT_NOT_RUN) {
        write_input(g->instance.base + x.at, signal, tag, tag_len, payload, len);
        outcome = flbwt_call_batch(&x, (uint32_t) need, &at);
    }
    flbwt_lane_end_call(lane, &x, outcome);
    if (outcome == FLBWT_REPLY) {
        answer->why = read_reply(g, at, answer);
        if (answer->why != NULL) {
            outcome = FLBWT_BAD_REPLY;
        }
    }
    flbwt_lane_show(lane);
    return outcome;
}
