/* Adds the department of a user, and the country of an address, out of tables. */

#include "flb_filter.h"

static flb_table users, geo;

static int configure(void) {
    int no_users = flb_table_open("users", &users), no_geo = flb_table_open("geo", &geo);
    if (no_users && no_geo) return flb_error(1, "set table.users to a .csv file, or table.geo to a .mmdb file");
    return 0; /* one of them may be missing */
}

/* Adds what a table has, at a path, for the text that the event has under a key. */
static void add(flb_event *e, const char *name, flb_table table, const char *key, const char *path) {
    flb_value found = {0};
    if (table.id >= 0) found = flb_table_get(table, flb_get(&e->body, key), path);
    if (flb_kind_of(found) != FLB_NONE) flb_set(&e->body, name, found);
}

static int filter(flb_event *e) {
    add(e, "user_department", users, "user", "department");
    add(e, "client_country", geo, "client_ip", "country.iso_code");
    return 0;
}

FLB_FILTER(filter, configure);
