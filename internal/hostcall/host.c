// What modules import from "flb_v1": the host functions of this project (docs/abi.md). Functions are
// added to it, and never changed.

#include "hostcall.h"

#include <string.h>

enum { MAX_LINE_BYTES = 16 * 1024 };

// NOT_SET is what config_get returns for a key that is not set.
static const uint32_t NOT_SET = UINT32_MAX;

static void do_log(call *c)
{
    uint32_t level = param(c, 0), n = param(c, 2);
    const uint8_t *p = flbwt_text(c, 1);

    if (p == NULL) {
        return;
    }
    if (level < FLBWT_LOG_ERROR || level > FLBWT_LOG_TRACE) {
        flbwt_stop(c, "log: there is no level %u: 1 is error, 2 warn, 3 info, 4 debug, 5 trace",
                   level);
        return;
    }
    if ((int) level <= c->instance->log_level) {
        flbwt_write_line(&c->instance->log, (uint8_t) level, p,
                         n < MAX_LINE_BYTES ? n : MAX_LINE_BYTES);
    }
}

static void do_log_enabled(call *c)
{
    uint32_t level = param(c, 0);

    answer(c, level >= FLBWT_LOG_ERROR && level <= FLBWT_LOG_TRACE &&
                  (int) level <= c->instance->log_level);
}

// version_of is what feature returns, beside functions, which guests import.
static uint32_t version_of(const flbwt_instance *in, const uint8_t *name, uint32_t n)
{
    const struct {
        const char *name;
        uint32_t version;
    } features[] = {
        {"batch", 1},
        {"emit_to", in->tags.n > 0},
        {"tick", in->ticks},
    };

    for (size_t i = 0; i < sizeof(features) / sizeof(features[0]); i++) {
        if (strlen(features[i].name) == n && memcmp(features[i].name, name, n) == 0) {
            return features[i].version;
        }
    }
    return 0;
}

static void do_feature(call *c)
{
    uint32_t n = param(c, 1);
    const uint8_t *name = within(c->instance, param(c, 0), n);

    if (name == NULL) {
        flbwt_stop(c, "%s: the name is outside memory", c->name);
        return;
    }
    answer(c, version_of(c->instance, name, n));
}

// give writes text where the guest wants it, if there is room for all of it, and returns its
// length.
static void give(call *c, const char *from, uint32_t n, int i)
{
    uint32_t room = param(c, i + 1);
    uint8_t *to = flbwt_room_for(c, i, room);

    if (to == NULL) {
        return;
    }
    if (n > 0 && n <= room) {
        memcpy(to, from, n);
    }
    answer(c, n);
}

static uint8_t lower(uint8_t c) { return c >= 'A' && c <= 'Z' ? (uint8_t) (c + 'a' - 'A') : c; }

static bool same_key(const flbwt_setting *s, const uint8_t *key, uint32_t n)
{
    if (s->key_len != n) {
        return false;
    }
    for (uint32_t i = 0; i < n; i++) {
        if (lower((uint8_t) s->key[i]) != lower(key[i])) {
            return false;
        }
    }
    return true;
}

static void do_config_get(call *c)
{
    uint32_t n = param(c, 1);
    const uint8_t *key = flbwt_text(c, 0);

    if (key == NULL) {
        return;
    }
    for (uint32_t i = 0; i < c->instance->settings_len; i++) {
        const flbwt_setting *s = &c->instance->settings[i];

        if (same_key(s, key, n)) {
            give(c, s->value, s->value_len, 2);
            return;
        }
    }
    answer(c, NOT_SET);
}

static void do_config_count(call *c) { answer(c, c->instance->settings_len); }

static void do_config_key(call *c)
{
    uint32_t i = param(c, 0);

    if (i >= c->instance->settings_len) {
        answer(c, NOT_SET);
        return;
    }
    give(c, c->instance->settings[i].key, c->instance->settings[i].key_len, 1);
}

HOST_FUNCTION(host_log, "log", do_log)
HOST_FUNCTION(host_log_enabled, "log_enabled", do_log_enabled)
HOST_FUNCTION(host_feature, "feature", do_feature)
HOST_FUNCTION(host_config_get, "config_get", do_config_get)
HOST_FUNCTION(host_config_count, "config_count", do_config_count)
HOST_FUNCTION(host_config_key, "config_key", do_config_key)

static const flbwt_import table[] = {
    {"flb_v1", "log", "iii:", host_log},
    {"flb_v1", "log_enabled", "i:i", host_log_enabled},
    {"flb_v1", "feature", "ii:i", host_feature},
    {"flb_v1", "config_get", "iiii:i", host_config_get},
    {"flb_v1", "config_count", ":i", host_config_count},
    {"flb_v1", "config_key", "iii:i", host_config_key},
};

const flbwt_import *const flbwt_host = table;
const size_t flbwt_host_len = sizeof(table) / sizeof(table[0]);
