// Host functions that look things up in tables (docs/abi.md).

#include "hostcall.h"

#include <string.h>

static const uint32_t NO_TABLE = UINT32_MAX;

enum { KEY_IS_ADDRESS = 16 };

static bool is_named(const flbwt_table_place *place, const uint8_t *name, uint32_t n)
{
    if (place->name_len != n) {
        return false;
    }
    for (uint32_t i = 0; i < n; i++) {
        uint8_t c = name[i];

        if ((c >= 'A' && c <= 'Z' ? c + 'a' - 'A' : c) != (uint8_t) place->name[i]) {
            return false;
        }
    }
    return true;
}

static void do_table_open(call *c)
{
    uint32_t n = param(c, 1);
    const uint8_t *name = flbwt_text(c, 0);
    const flbwt_tables *tables = c->instance->tables;

    if (name == NULL) {
        return;
    }
    for (uint32_t i = 0; tables != NULL && i < tables->len; i++) {
        if (is_named(&tables->places[i], name, n)) {
            answer(c, i);
            return;
        }
    }
    answer(c, NO_TABLE);
}

static void do_table_get(call *c)
{
    flbwt_instance *in = c->instance;
    uint32_t id = param(c, 0), form = param(c, 5), room = param(c, 7);
    flbwt_query q = {
        .key = flbwt_text(c, 1),
        .key_len = param(c, 2),
        .path = flbwt_text(c, 3),
        .path_len = param(c, 4),
        .form = (enum flbwt_table_form)(form & ~(uint32_t) KEY_IS_ADDRESS),
        .is_address = (form & KEY_IS_ADDRESS) != 0,
    };
    uint8_t *to = flbwt_room_for(c, 6, room);

    if (c->trap != NULL) {
        return;
    }
    if (in->tables == NULL || id >= in->tables->len) {
        flbwt_stop(c, "%s: there is no table %d: table_open has not returned it", c->name,
                   (int) id);
        return;
    }
    if (q.form > FLBWT_FORM_TEXT) {
        flbwt_stop(c,
                   "%s: there is no format %u: 0 is JSON, 1 MessagePack, 2 text, and 16 more if "
                   "the key is an address of 4 or 16 bytes",
                   c->name, form);
        return;
    }
    const flbwt_table *t = flbwt_table_enter(&in->tables->places[id], &in->table_reader);
    int32_t n = flbwt_table_get(t, &q, to, room);
    flbwt_table_leave(&in->table_reader);
    answer(c, (uint32_t) n);
}

HOST_FUNCTION(table_open, "table_open", do_table_open)
HOST_FUNCTION(table_get, "table_get", do_table_get)

static const flbwt_import table[] = {
    {"flb_v1", "table_open", "ii:i", table_open},
    {"flb_v1", "table_get", "iiiiiiii:i", table_get},
};

const flbwt_import *const flbwt_table_imports = table;
const size_t flbwt_table_imports_len = sizeof(table) / sizeof(table[0]);
