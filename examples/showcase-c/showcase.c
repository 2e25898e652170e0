/* Drops debug, masks e-mail addresses, adds an environment, a country and a count, and splits by an array. */

#include "flb_filter.h"
static flb_text environment, geo_path;
static flb_table geo;
static flb_metric masked_total;
static long long ttl;

static int configure(void) {
    ttl = 60;
    geo_path = flb_config_or("geo_path", "country.iso_code");
    masked_total = flb_counter("masked_total", "E-mail addresses masked", "where");
    return flb_config_require("environment", "what is to be added to each record", &environment) ||
           flb_config_int("count_ttl", 1, 999999, &ttl) || flb_table_open("geo", &geo);
}

static int is_domain(unsigned char c) {
    return (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') || c == '-' || c >= 0x80;
}

static int is_local(unsigned char c) { return is_domain(c) || c == '.' || c == '_' || c == '%' || c == '+'; }
static int mask(void *where, flb_text text, flb_buf *to) {
    unsigned done = 0, found = 0, from, end;
    for (unsigned at = flb_find(text, '@', 0); at < text.len; at = flb_find(text, '@', at + 1)) {
        for (from = at; from > done && is_local(text.at[from - 1]);) from--;
        for (end = at + 1; end < text.len && is_domain(text.at[end]);)
            end += 1 + (end + 2 < text.len && text.at[end + 1] == '.' && is_domain(text.at[end + 2]));
        if (from == at || end == at + 1) continue;
        flb_append(to, flb_slice(text, done, from));
        flb_append(to, "***");
        done = end;
        found++;
    }
    flb_append(to, flb_slice(text, done, text.len));
    if (found > 0) flb_metric_add(masked_total, found, (const char *) where);
    return found > 0;
}

static void mask_part(flb_part *part, const char *where) {
    flb_rewrite_with(part, '@', mask, (void *) where);
}

static int group(flb_group *g) { return mask_part(&g->body, "group"), mask_part(&g->metadata, "group"), 0; }

static int filter(flb_event *e) {
    long long count;
    flb_text user = flb_as_text(flb_get(&e->body, "user"));
    if (flb_is(flb_get(&e->body, "level"), "debug")) return flb_drop(e), 0;
    mask_part(&e->body, "body");
    mask_part(&e->metadata, "metadata");
    flb_set(&e->body, "environment", environment);
    flb_set_or_remove(&e->body, "country", flb_table_get(geo, flb_get(&e->body, "client_ip"), geo_path));
    if (user.at && !flb_store_add(user, 1, FLB_SECONDS(ttl), &count)) flb_set(&e->body, "count", count);
    else flb_remove(&e->body, "count");
    flb_split(e, "items");
    return 0;
}

FLB_FILTER(filter, configure, group);
FLB_STATEFUL;
