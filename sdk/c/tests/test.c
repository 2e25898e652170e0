/* What filters see and do, by the host in memory. Built as C and as C++. */

#include <stdio.h>
#include <stdlib.h>

/* Memory that can be refused. */
static long long memory_left = 1LL << 40;
static void *limited(size_t n) {
    if ((long long) n > memory_left) return 0;
    memory_left -= (long long) n;
    return malloc(n);
}
#define FLB_MALLOC limited
#define FLB_FREE   free
#include "flb_filter.h"

static int (*run)(flb_event *e);
static int (*run_group)(flb_group *g);
static int called;
static int filter(flb_event *e) { return called++, run(e); }
static int group(flb_group *g) { return run_group ? run_group(g) : 0; }
static int (*run_configure)(void);
static int configure(void) { return run_configure ? run_configure() : 0; }

FLB_FILTER(filter, configure, group);
FLB_STATEFUL;

#include "flb_test.h"

static int checks, failures;

static void same(int line, const char *got, const char *want) {
    checks++;
    if (got && !strcmp(got, want)) return;
    failures++;
    printf("line %d\n got  %.2000s\n want %.2000s\n", line, got ? got : "(nothing)", want);
}
#define SAME(got, want) same(__LINE__, got, want)
#define OK(is)          same(__LINE__, (is) ? "" : #is, "")

static void begin(int (*function)(flb_event *e)) {
    run = function;
    run_group = 0;
    run_configure = 0;
    flb_test_reset();
    memset(&flb_.free, 0, sizeof(flb_.free));
    flb_.configured = flb_.free;
}

/* Between two neighbours, whose bytes would show places that are wrong. */
static void edit(int line, const char *body, const char *want, int (*function)(flb_event *e)) {
    static char lines[300000], wanted[300000];
    begin(function);
    snprintf(lines, sizeof(lines), "{\"n\":1}\n%s\n{\"n\":3}", body);
    snprintf(wanted, sizeof(wanted), "{\"n\":1}\n%s%s{\"n\":3}\n", want, *want ? "\n" : "");
    same(line, flb_test_bodies(lines), wanted);
}
/* Runs for the event in the middle only. */
#define EDIT(name, body, want) edit(__LINE__, body, want, name)
#define NEIGHBOUR(e) \
    if (flb_get(&(e)->body, "n").at) return 0

static int edits_1(flb_event *e) {
    flb_list list = flb_new_list();
    NEIGHBOUR(e);
    flb_push(&list, flb_bool(1));
    flb_push(&list, flb_nil());
    flb_push(&list, 0.5);
    flb_set(&e->body, "c", &list);
    flb_set(&e->body, "a", 1);
    flb_set(&e->body, "a", "x");
    return 0;
}
static int edits_2(flb_event *e) {
    NEIGHBOUR(e);
    flb_add(&e->body, "d", 4);
    flb_add(&e->body, "e", -5LL);
    flb_remove(&e->body, "a");
    flb_remove(&e->body, "not there");
    flb_set(&e->body, "c", 18446744073709551615ULL);
    return 0;
}
static int edits_3(flb_event *e) {
    flb_map map = flb_new_map();
    NEIGHBOUR(e);
    OK(flb_put(&e->body, "z", 9));
    OK(flb_put(&e->body, flb_get(flb_item(flb_get(&e->body, "a.b"), 1), "c"), &map));
    OK(flb_put(&e->body, "a.b.0", "one"));
    OK(!flb_put(&e->body, "a.x", 1));
    return 0;
}
static int edits_4(flb_event *e) { /* what holds an earlier place takes its place */
    NEIGHBOUR(e);
    flb_put(&e->body, "a.c", 7);
    flb_put(&e->body, "d", 4);
    flb_put(&e->body, "a.b", 8);
    flb_put(&e->body, "a", flb_nil());
    return 0;
}
static int edits_5(flb_event *e) {
    flb_map map = flb_new_map(), other = flb_new_map();
    NEIGHBOUR(e);
    flb_put(&e->body, "a", 5);
    flb_set(&e->body, "a", 6);
    flb_add(&map, "a", 1);
    flb_add(&other, "long", "0123456789012345678901234567890123456789");
    flb_add(&map, "b", &other);
    flb_add(&map, "c", flb_get(&e->body, "a"));
    flb_replace(&e->body, &map);
    return 0;
}
static int edits_6(flb_event *e) {
    flb_text none = {0, 0};
    NEIGHBOUR(e);
    flb_set_or_remove(&e->body, "a", none);
    flb_set_or_remove(&e->body, "b", "there");
    flb_set_or_remove(&e->body, "c", flb_get(&e->body, "no such"));
    return 0;
}
static int fault_put(flb_event *e) {
    NEIGHBOUR(e);
    flb_put(&e->body, "a", 1);
    flb_put(&e->body, flb_get(&e->body, "a.b"), 2);
    flb_drop(e);
    return 0;
}
static int fault_base(flb_event *e) {
    NEIGHBOUR(e);
    flb_set(&e->body, "a.x", 1);
    flb_set(&e->body, "a.y", 1);
    flb_put(&e->body, flb_get(&e->body, "a.b"), 2);
    return 0;
}
static int fault_other(flb_event *e) {
    NEIGHBOUR(e);
    flb_put(&e->body, flb_part_value(&e->metadata), 2);
    return 0;
}
static int fault_form(flb_event *e) {
    NEIGHBOUR(e);
    flb_set(&e->body, "$x['y'][", 2);
    return 0;
}
static int edits_many(flb_event *e) { /* more than a host takes: by number, and by bytes of keys */
    char key[40000];
    NEIGHBOUR(e);
    for (int i = 0; i < 300; i++) flb_set(&e->body, flb_printf("k%d", i), i);
    for (int i = 1; i < 300; i++) flb_remove(&e->body, flb_printf("k%d", i));
    memset(key, 'k', sizeof(key));
    for (unsigned len = 30000; len < 30004; len++) flb_set(&e->body, flb_text_of(key, len), 1);
    for (unsigned len = 30000; len < 30004; len++) flb_remove(&e->body, flb_text_of(key, len));
    return 0;
}
static int edits_again(flb_event *e) {
    NEIGHBOUR(e);
    for (int i = 0; i < 300; i++) flb_set(&e->body, "a", i);
    return 0;
}
static int edits_twice(flb_event *e) { /* of several members of one key set leaves one, and remove none */
    NEIGHBOUR(e);
    flb_set(&e->body, "a.k", 9);
    flb_remove(&e->body, "b.k");
    return 0;
}
static int fault_metadata(flb_event *e) {
    flb_set(&e->metadata, "a", 1);
    return 0;
}
static int errors(flb_event *e) {
    if (flb_is(flb_get(&e->body, "kind"), "text"))
        return flb_error(7, "no %s %.*s %c%d %lld %u %x %lu %zu%%", "such", 3, "thing", '#', -12, -5000000000LL, 3U, 255,
                         4UL, sizeof(char));
    if (flb_is(flb_get(&e->body, "kind"), "code")) return 5;
    if (flb_is(flb_get(&e->body, "kind"), "time")) {
        flb_time time = {-1, 0};
        return flb_set_time(e, time);
    }
    flb_set(&e->body, "ok", flb_bool(1));
    return 0;
}
static int reads(flb_event *e) { /* by a part's index and without */
    const char *paths[] = {"a", "a.b", "a.b.0", "a.b.1.c", "d.e", "d.e.f", "$a['b'][1][\"c\"]", "$d.e", "$x", "a.b.9", "a.b.x",
                           "a.b.1.c.z", "", "$a[", "$a['b'", "$a['b'][0", "$a['b'][0]x", "$a]b", "q.", ".", "a."};
    const char *want[] = {"{\"b\":[1,{\"c\":2}]}", "[1,{\"c\":2}]", "1", "2", "\"dots\"", "4", "2", "\"dots\"", "\"key\"", 0, 0, 0, 0, 0, 0, 0, 0, 0,
                          0, 0, 0};
    for (unsigned i = 0; i < sizeof(paths) / sizeof(*paths); i++) {
        flb_value v = flb_get(&e->body, paths[i]);
        SAME(v.at ? flb_test_json(v) : "none", want[i] ? want[i] : "none");
        v = flb_get(flb_part_value(&e->body), paths[i]);
        SAME(v.at ? flb_test_json(v) : "none", want[i] ? want[i] : "none");
    }
    SAME(flb_test_json(flb_get(&e->body, "k150")), "150");
    OK(!flb_get(&e->body, "k151").at);
    return 0;
}
static int numbers(flb_event *e) {
    long long i = 7;
    unsigned long long u = 7;
    double f = 7;
    int b = 7;
    char got[400];
    size_t at = 0;
    for (flb_iter it = flb_iterate(flb_get(&e->body, "v")); flb_next(&it);) {
        i = 7, u = 7, f = 7, b = 7;
        int is = flb_as_int(it.value, &i) | flb_as_uint(it.value, &u) << 1 | flb_as_double(it.value, &f) << 2 | flb_as_bool(it.value, &b) << 3;
        at += (size_t) snprintf(got + at, sizeof(got) - at, "%d %lld %llu %g %d|", is, i, u, f, b);
    }
    SAME(got, "7 0 0 0 7|5 -1 7 -1 7|5 -33 7 -33 7|5 -129 7 -129 7|5 -40000 7 -40000 7|5 -3000000000 7 -3e+09 7|7 255 255 255 7|7 65536 65536 65536 7|"
              "6 7 18446744073709551615 1.84467e+19 7|4 7 7 0.5 7|8 7 7 7 1|8 7 7 7 0|0 7 7 7 7|0 7 7 7 7|");
    OK(flb_count(flb_get(&e->body, "v")) == 14 && flb_kind_of(flb_get(&e->body, "none")) == FLB_NONE);
    return 0;
}
static int mark(void *context, flb_text text, flb_buf *to) {
    unsigned at = flb_find(text, '@', 0);
    if (context && text.len > 10) return flb_append(to, "short"), 1;
    if (at == text.len) return 0;
    flb_append(to, flb_slice(text, 0, at));
    flb_append(to, "***");
    flb_append(to, flb_slice(text, at + 1, text.len));
    return 1;
}
static int rewrites(flb_event *e) {
    NEIGHBOUR(e);
    flb_rewrite(&e->body, mark, 0);
    return 0;
}
static int rewrites_all(flb_event *e) {
    NEIGHBOUR(e);
    flb_rewrite_all(&e->body, mark, (void *) "");
    return 0;
}
static int rewrites_put(flb_event *e) {
    NEIGHBOUR(e);
    flb_put(&e->body, "a", "@put");
    flb_rewrite(&e->body, mark, 0);
    return 0;
}
static int erase(void *context, flb_text text, flb_buf *to) { return (void) context, (void) text, (void) to, 1; }
static int erases(flb_event *e) {
    NEIGHBOUR(e);
    flb_rewrite(&e->body, erase, 0);
    return 0;
}
static int emits(flb_event *e) {
    flb_map one = flb_new_map(), two = flb_new_map(), metadata = flb_new_map();
    flb_time later = {1800000000, 9}, own = {5, 6};
    flb_add(&one, "first", e->tag);
    flb_emit(e, &one);
    flb_set(&e->metadata, "set", e->group.at ? flb_arg_value_(flb_get(e->group, "resource.r")) : flb_nil());
    OK(flb_set_time(e, later) == 0 && e->time.sec == 1800000000);
    flb_add(&two, "second", 2);
    flb_emit(e, &two);
    flb_add(&metadata, "own", 1);
    flb_emit_as(e, &two, &metadata, &own, 0);
    flb_set(&e->body, "gone", 1);
    flb_drop(e);
    return 0;
}
static int splits(flb_event *e) {
    flb_set(&e->metadata, "m", 1);
    flb_set(&e->body, "z", "after");
    flb_set(&e->body, "a", "before");
    flb_split(e, "items");
    return 0;
}
/* 2.5 has the byte of '@', and so have a key and the length of a text of 64 bytes. */
static int rewrites_with(flb_event *e) {
    flb_rewrite_with(&e->body, '@', mark, 0);
    return 0;
}
static int masks_group(flb_group *g) {
    if (flb_get(&g->body, "fail").at) return flb_error(3, "a group");
    flb_rewrite(&g->body, mark, 0);
    flb_set(&g->metadata, "x", 1);
    return 0;
}
static int grows(flb_event *e) {
    long long n = 0;
    flb_map map = flb_new_map();
    flb_as_int(flb_get(&e->body, "n"), &n);
    for (long long i = 0; i < n; i++) flb_emit(e, &map);
    flb_set(&e->body, "x", 1);
    for (long long i = 0; i < n; i++) flb_put(&e->body, "n", "y");
    return 0;
}
static int hosts(void) {
    static const double bounds[] = {1, 2};
    long long n = 60, result = 0;
    flb_table table;
    flb_text value;
    flb_metric counter = flb_counter("c", "help", "a,b"), gauge = flb_gauge("g", "", ""), histogram = flb_histogram("h", "", "", bounds, 2);
    OK(flb_config_int("unset", 1, 9, &n) == 0 && n == 60 && flb_config_int("n", -5, 5, &n) == 0 && n == -5);
    SAME(flb_config_or("unset", "or").at, "or");
    SAME(flb_config("long").at + 996, "end.");
    OK(flb_config_key(0).at && flb_config_key(2).at && !flb_config_key(3).at);
    OK(flb_table_open("none", &table) && flb_table_open("t", &table) == 0);
    SAME(flb_test_json(flb_table_get(table, "k", "a.0")), "1");
    OK(!flb_table_get(table, "k", "b").at && !flb_table_get(table, flb_value_of_(0), "").at);
    OK(flb_store_add("k", 5, FLB_SECONDS(1), &result) == 0 && flb_store_add("k", -7, FLB_FOREVER, &result) == 0 && result == -2);
    flb_test_advance(1000);
    OK(!flb_store_get("k").at && flb_store_set("k", "v", FLB_FOREVER) == 0 && flb_same(flb_store_get("k"), "v"));
    value = flb_store_get("none");
    OK(flb_store_cas("k", value, "w", FLB_KEEP) == 0 && flb_store_cas("k", "v", "w", FLB_KEEP) == 1 && flb_store_cas("new", value, "w", FLB_KEEP) == 1);
    OK(flb_store_delete("k") == 1 && flb_store_delete("k") == 0);
    OK(flb_store_add(flb_value_of_(0), 1, FLB_FOREVER, &result) != 0 && flb_store_set(flb_value_of_(0), "v", FLB_FOREVER) != 0);
    flb_metric_add(counter, 2, "x", "y");
    flb_metric_add(counter, 1, "x", "y");
    flb_metric_set(gauge, 3);
    flb_metric_observe(histogram, 1.5);
    OK(flb_test_metric("c", "x,y") == 3 && flb_test_metric("g", "") == 3 && flb_test_metric("h", "") == 1.5 && flb_test_metric("c", "x") == 0);
    flb_log(FLB_DEBUG, "not logged");
    flb_log(FLB_WARN, "line %d", 1);
    SAME((const char *) flb_test_.log.at, "W line 1\n");
    return flb_config_int("n", 0, 5, &n);
}
static int requires(void) {
    flb_text text;
    return flb_config_require("key", "something", &text);
}

/* Against a model, which has a list of members, and edits them one after the other. */

struct member {
    char key[8], value[64];
};
static unsigned seed;
static unsigned random_to(unsigned n) {
    seed = seed * 1664525 + 1013904223;
    return (seed >> 8) % n;
}
static struct member members[120];
static unsigned members_count, rounds;

/* Removes members of a key from one on, and returns the first one before, or -1. */
static int only(const char *key, unsigned from) {
    unsigned kept = from;
    int first = -1;
    for (unsigned i = 0; i < from && first < 0; i++)
        if (!strcmp(members[i].key, key)) first = (int) i;
    for (unsigned i = from; i < members_count; i++)
        if (strcmp(members[i].key, key)) members[kept++] = members[i];
    members_count = kept;
    return first;
}

static int first_of(const char *key) {
    unsigned i = 0;
    while (i < members_count && strcmp(members[i].key, key)) i++;
    return i < members_count ? (int) i : -1;
}

static void give(int i, const char *key, const char *value) {
    struct member *m = &members[i < 0 ? (int) members_count++ : i];
    snprintf(m->key, sizeof(m->key), "%s", key);
    snprintf(m->value, sizeof(m->value), "%s", value);
}

static int random_edits(flb_event *e) {
    static const char *const texts[] = {"1", "-200", "\"x\"", "[1,\"y\"]", "{\"q\":null}", "\"0123456789012345678901234567890123456789\""};
    static char edited_json[8000];
    flb_part *part = e->metadata.came && rounds % 3 == 0 ? &e->metadata : &e->body;
    flb_map edited;
    for (unsigned n = random_to(14); n > 0; n--) {
        struct flb_bytes_ bytes = {0, 0, 0};
        char key[8];
        const char *text = texts[random_to(6)];
        flb_value v;
        int at;
        flb_json_read_(text, &bytes);
        v.at = bytes.at;
        snprintf(key, sizeof(key), "k%u", random_to(20));
        at = first_of(key);
        switch (random_to(4)) {
        case 0:
            flb_set(part, key, v);
            if (at >= 0) only(key, (unsigned) at + 1);
            give(at, key, text);
            break;
        case 1:
            flb_add(part, key, v);
            give(-1, key, text);
            break;
        case 2:
            flb_remove(part, key);
            only(key, 0);
            break;
        default:
            OK(flb_put(part, key, v) == (at >= 0));
            if (at >= 0) give(at, key, text);
        }
    }
    edited = flb_edited(part);
    snprintf(edited_json, sizeof(edited_json), "%s", flb_test_json(flb_map_value(&edited)));
    flb_.error.text = flb_str_(edited_json);
    return 0;
}

static void append(char *to, const struct member *m) {
    sprintf(to + strlen(to), "%s\"%s\":%s", to[1] ? "," : "", m->key, m->value);
}

static int by_text(const void *a, const void *b) { return strcmp(*(char *const *) a, *(char *const *) b); }

/* Puts the members of a map in order: where there are sets and adds, the order is another one than that of the calls. */
static const char *in_order(const char *json) {
    struct flb_bytes_ map = flb_json_map_(json), all = {0, 0, 0};
    char *list[120];
    unsigned n = 0;
    flb_value v = {map.at};
    flb_bytes_add_(&all, "", 0);
    for (flb_iter i = flb_iterate(v); flb_next(&i);) {
        struct flb_bytes_ m = {0, 0, 0};
        flb_json_write_(i.key, &m);
        flb_bytes_add_(&m, ":", 1);
        flb_json_write_(i.value, &m);
        list[n++] = (char *) m.at;
    }
    qsort(list, n, sizeof(*list), by_text);
    for (unsigned i = 0; i < n; i++) flb_bytes_add_(&all, list[i], strlen(list[i]));
    return (const char *) all.at;
}

static void against_model(void) {
    static char json[8000], want[8000];
    for (rounds = 1; rounds <= 1500; rounds++) {
        int on_metadata = rounds % 3 == 0;
        seed = rounds * 7919;
        begin(random_edits);
        members_count = random_to(rounds % 7 ? 12 : 80);
        strcpy(json, "{");
        for (unsigned i = 0; i < members_count; i++) {
            snprintf(members[i].key, 8, "k%u", random_to(members_count > 12 ? 20 : 15));
            snprintf(members[i].value, 64, random_to(3) ? "%u" : "[\"%u\"]", random_to(70000));
            append(json, &members[i]);
        }
        strcat(json, "}");
        flb_test_event(on_metadata ? "{}" : json);
        if (on_metadata) flb_test_metadata(json);
        else if (random_to(2)) flb_test_metadata(0);
        flb_test_run();
        strcpy(want, "{");
        for (unsigned i = 0; i < members_count; i++) append(want, &members[i]);
        strcat(want, "}");
        SAME(in_order(on_metadata ? flb_test_.out[0].metadata : flb_test_.out[0].body), in_order(want));
        SAME(in_order(flb_.error.text.at), in_order(want));
        if (failures > 5) return;
    }
}

/* By the table that the SDKs share. */

static flb_value table_case;
static char table_edited[4000];

/* Returns a path of the table: a list of keys is one in Fluent Bit's form. */
static flb_text table_path(flb_value v) {
    flb_buf path = {0, 0, 0, 0, FLB_STR};
    long long n;
    if (flb_kind_of(v) != FLB_ARRAY) return flb_as_text(v);
    for (flb_iter i = flb_iterate(v); flb_next(&i);) {
        if (flb_as_int(i.value, &n)) flb_format(&path, "[%lld]", n);
        else flb_format(&path, path.at ? "['%.*s']" : "$%.*s", (int) flb_as_text(i.value).len, flb_as_text(i.value).at);
    }
    return flb_buf_text(&path);
}

static int masks(void *context, flb_text text, flb_buf *to) {
    (void) context;
    return flb_same(text, "secret") ? flb_append(to, "***"), 1 : 0;
}

static int table_edits(flb_event *e) {
    flb_map edited;
    for (flb_iter i = flb_iterate(flb_get(table_case, "edits")); flb_next(&i);) {
        flb_value op = flb_item(i.value, 0), value = flb_item(i.value, 2);
        flb_text path = table_path(flb_item(i.value, 1));
        if (flb_is(op, "set")) flb_set(&e->body, path, value);
        else if (flb_is(op, "put")) flb_put(&e->body, path, value);
        else if (flb_is(op, "remove")) flb_remove(&e->body, path);
        else if (flb_is(op, "add")) flb_add(&e->body, path, value);
        else if (flb_is(op, "split")) flb_split(e, path);
        else if (flb_is(op, "mask")) flb_rewrite_with(&e->body, 's', masks, 0);
        else if (flb_is(op, "replace")) {
            flb_map map = flb_new_map();
            for (flb_iter m = flb_iterate(value); flb_next(&m);) flb_add(&map, m.key, m.value);
            flb_replace(&e->body, &map);
        } else OK(0);
    }
    edited = flb_edited(&e->body);
    snprintf(table_edited, sizeof(table_edited), "%s", flb_test_json(flb_map_value(&edited)));
    return 0;
}

static void by_table(void) {
    static char json[1 << 20], doc[4000], want[4000];
    struct flb_bytes_ bytes;
    flb_value table;
    FILE *f = fopen("../paths.json", "rb");
    OK(f && fread(json, 1, sizeof(json) - 1, f) > 0);
    if (f) fclose(f);
    flb_test_reset();
    bytes = flb_json_map_(json);
    table.at = (flb_byte *) memcpy(malloc(bytes.len), bytes.at, bytes.len); /* flb_test_reset frees the other one */
    OK(flb_count(flb_get(table, "cases")) > 80);
    for (flb_iter i = flb_iterate(flb_get(table, "cases")); flb_next(&i);) {
        flb_value wanted = flb_get(i.value, "want");
        begin(table_edits);
        table_case = i.value;
        snprintf(doc, sizeof(doc), "%s", flb_test_json(flb_get(i.value, "doc")));
        *want = 0;
        if (flb_kind_of(wanted) == FLB_ARRAY)
            for (flb_iter w = flb_iterate(wanted); flb_next(&w);) sprintf(want + strlen(want), "%s\n", flb_test_json(w.value));
        else if (wanted.at) sprintf(want, "%s\n", flb_test_json(wanted));
        SAME(flb_test_bodies(doc), want);
        OK(flb_test_.error_count == !wanted.at);
        strcat(table_edited, "\n");
        if (flb_kind_of(wanted) == FLB_MAP) SAME(table_edited, want);
        if (failures > 0) printf("%s\n", flb_test_json(i.value));
        if (failures > 5) break;
    }
    free((void *) table.at);
}

static int emits_to(flb_event *e) {
    unsigned long long n = 9;
    flb_map made = flb_new_map(), own = flb_new_map();
    flb_time seven = {7, 0}, five = {5, 6};
    char tag[] = "edited.2"; /* is gone when the filter has returned */
    (void) flb_as_uint(flb_get(&e->body, "n"), &n);
    if (n == 1) {
        flb_route(e, "audit");
        flb_set(&e->metadata, "m", 2);
        return flb_set_time(e, seven);
    } else if (n == 2) {
        flb_set(&e->body, "user", "***");
        flb_route(e, tag);
        flb_route(e, "copy");
        memset(tag, 0, sizeof(tag));
    } else if (n == 3) {
        flb_set(&e->body, "kept", flb_bool(1));
        flb_add(&made, "new", 1);
        flb_emit_to(e, "other", &made);
        made = flb_new_map();
        flb_add(&own, "own", 1);
        flb_emit_to_as(e, "other", &made, &own, &five, 0);
    } else if (n == 4) {
        flb_route(e, "nowhere"); /* what fails has gone nowhere */
        return flb_error(2, "no");
    }
    return 0;
}

static int events, fails;

static int counts(flb_event *e) {
    flb_map map = flb_new_map();
    OK(flb_tick_emit("counts", &map) != 0); /* only a tick emits so */
    events++;
    flb_drop(e);
    return 0;
}

static int ticks(int last) {
    flb_map map = flb_new_map(), metadata = flb_new_map();
    flb_time five = {5, 0};
    flb_add(&map, "n", events);
    flb_add(&map, "last", last);
    events = 0;
    int failed = flb_tick_emit("counts", &map);
    map = flb_new_map();
    flb_add(&metadata, "m", 1);
    if (!failed) failed = flb_tick_emit_as("counts", &map, &metadata, &five);
    return failed || !fails ? failed : flb_error(1, "the tick fails");
}

FLB_TICK(ticks);

int main(void) {
    static char text[100000];
    EDIT(edits_1, "{\"a\":1,\"b\":2}", "{\"a\":\"x\",\"b\":2,\"c\":[true,null,0.5]}");
    EDIT(edits_2, "{\"a\":1,\"b\":2}", "{\"b\":2,\"c\":18446744073709551615,\"d\":4,\"e\":-5}");
    EDIT(edits_3, "{\"a\":{\"b\":[1,{\"c\":2}]},\"z\":0}", "{\"a\":{\"b\":[\"one\",{\"c\":{}}]},\"z\":9}");
    EDIT(edits_4, "{\"a\":{\"b\":1,\"c\":2},\"d\":3}", "{\"a\":null,\"d\":4}");
    EDIT(edits_5, "{\"a\":{\"x\":[]}}", "{\"a\":1,\"b\":{\"long\":\"0123456789012345678901234567890123456789\"},\"c\":{\"x\":[]}}");
    EDIT(edits_6, "{\"a\":1,\"c\":2}", "{\"b\":\"there\"}");
    EDIT(fault_put, "{\"a\":{\"b\":1}}", "");
    SAME(flb_test_.errors[0], "put inside a value that has been replaced");
    EDIT(fault_base, "{\"a\":{\"b\":1}}", "");
    SAME(flb_test_.errors[0], "put: the part has been replaced, or edited twice in one place: put values of it first");
    EDIT(fault_other, "{}", "");
    SAME(flb_test_.errors[0], "put: the value is not one of this part");
    EDIT(fault_form, "{}", "");
    SAME(flb_test_.errors[0], "set: expected a path in the form $a['b'][0] or a.b.0");
    EDIT(edits_many, "{\"a\":1,\"k7\":2}", "{\"a\":1,\"k0\":0}");
    EDIT(edits_again, "{}", "{\"a\":299}");
    EDIT(edits_twice, "{\"a\":{\"k\":1,\"l\":2,\"k\":3},\"b\":{\"k\":1,\"k\":3}}", "{\"a\":{\"k\":9,\"l\":2},\"b\":{}}");
    EDIT(rewrites, "{\"k@\":\"a@\",\"l\":[\"@\",{\"m@\":\"@b\",\"x\":\"none\"}]}", "{\"k@\":\"a***\",\"l\":[\"***\",{\"m@\":\"***b\",\"x\":\"none\"}]}");
    EDIT(rewrites_all, "{\"k@\":\"a@\",\"long key of its own\":[{\"m@\":\"@b\"}]}", "{\"k***\":\"a***\",\"short\":[{\"m***\":\"***b\"}]}");
    EDIT(rewrites_put, "{\"a\":[\"@\"],\"b\":\"@\"}", "{\"a\":\"***put\",\"b\":\"***\"}");
    EDIT(erases, "{\"a\":[\"@\"],\"b\":\"\"}", "{\"a\":[\"\"],\"b\":\"\"}");
    for (int n = 28; n <= 70000; n += n < 40 ? 1 : n < 300 ? 27 : 16307) { /* headers of all widths */
        static char body[200000], want[200000];
        memset(text, 'x', (size_t) n);
        text[n] = 0;
        snprintf(body, sizeof(body), "{\"a\":\"%s@\",\"b\":1}", text);
        snprintf(want, sizeof(want), "{\"a\":\"%s***\",\"b\":1}", text);
        EDIT(rewrites, body, want);
    }

    begin(fault_metadata);
    flb_test_event("{}");
    flb_test_metadata(0);
    flb_test_event("{}");
    flb_test_run();
    OK(flb_test_.error_count == 1 && flb_test_.out_count == 1);
    SAME(flb_test_.errors[0], "the event is of a form that has no metadata");
    SAME(flb_test_.out[0].metadata, "{\"a\":1}");

    begin(errors);
    SAME(flb_test_bodies("{\"kind\":\"text\"}\n{}\n{\"kind\":\"code\"}\n{\"kind\":\"time\"}\n{\"z\":1}"), "{\"ok\":true}\n{\"z\":1,\"ok\":true}\n");
    SAME(flb_test_.errors[0], "no such thi #-12 -5000000000 3 ff 4 1%");
    SAME(flb_test_.errors[1], "the filter returned 5");
    SAME(flb_test_.errors[2], "the time is not one that an event can have");
    OK(flb_test_.error_codes[0] == 7 && flb_test_.error_codes[1] == 5);

    begin(reads);
    strcpy(text, "{\"a\":{\"b\":[1,{\"c\":2}]},\"d.e\":\"dots\",\"d\":{\"e\":{\"f\":4}},\"$x\":\"key\"");
    for (int i = 0; i <= 150; i++) sprintf(text + strlen(text), ",\"k%d\":%d", i, i);
    strcat(text, "}");
    flb_test_bodies(text);
    begin(numbers);
    flb_test_bodies("{\"v\":[0,-1,-33,-129,-40000,-3000000000,255,65536,18446744073709551615,0.5,true,false,null,\"1\"]}");

    begin(rewrites_with);
    SAME(flb_test_bodies("{\"f\":2.5,\"@\":\"no\",\"l\":[\"a@\",{\"@\":\"b@b\",\"n\":64}],\"t\":\"c@\"}"),
         "{\"f\":2.5,\"@\":\"no\",\"l\":[\"a***\",{\"@\":\"b***b\",\"n\":64}],\"t\":\"c***\"}\n");
    SAME(flb_test_bodies("{\"f\":2.5,\"n\":64,\"@\":1}"), "{\"f\":2.5,\"n\":64,\"@\":1}\n");

    begin(emits);
    run_group = masks_group;
    called = 0;
    flb_test_group("{\"resource\":{\"r\":\"a@\"}}");
    flb_test_group("{\"fail\":1}");
    flb_test_event("{\"a\":1}");
    flb_test_metadata("{\"m\":1}");
    flb_test_in_group(1);
    flb_test_event("{\"b\":1}");
    flb_test_in_group(2);
    flb_test_run();
    OK(flb_test_.out_count == 3 && flb_test_.error_count == 1 && flb_test_.error_codes[0] == 3);
    OK(called == 1);
    SAME(flb_test_.errors[0], "a group");
    SAME(flb_test_.group_bodies[0], "{\"resource\":{\"r\":\"a***\"}}");
    SAME(flb_test_.group_bodies[1], "{\"fail\":1}");
    SAME(flb_test_.out[0].body, "{\"first\":\"app.log\"}");
    SAME(flb_test_.out[0].metadata, "{\"m\":1,\"set\":\"a@\"}");
    SAME(flb_test_.out[1].metadata, "{\"m\":1,\"set\":\"a@\"}");
    SAME(flb_test_.out[2].metadata, "{\"own\":1}");
    OK(flb_test_.out[0].sec == 1800000000 && flb_test_.out[1].sec == 1800000000 && flb_test_.out[1].nsec == 9);
    OK(flb_test_.out[2].sec == 5 && flb_test_.out[1].group == 1 && flb_test_.out[2].group == 0);

    begin(splits);
    SAME(flb_test_bodies("{\"a\":0,\"items\":[1,{\"x\":\"y\"},[]],\"t\":0}\n{\"items\":[]}\n{\"items\":7}"),
         "{\"a\":\"before\",\"items\":1,\"t\":0,\"z\":\"after\"}\n{\"a\":\"before\",\"items\":{\"x\":\"y\"},\"t\":0,\"z\":\"after\"}\n"
         "{\"a\":\"before\",\"items\":[],\"t\":0,\"z\":\"after\"}\n{\"items\":[],\"z\":\"after\",\"a\":\"before\"}\n"
         "{\"items\":7,\"z\":\"after\",\"a\":\"before\"}\n");
    SAME(flb_test_.out[2].metadata, "{\"m\":1}");

    begin(grows); /* an event for which there is no memory leaves others alone, and what it has taken is free again */
    memory_left = 60000;
    SAME(flb_test_bodies("{\"n\":0}\n{\"n\":100000}\n{\"n\":1}\n{\"n\":100000}\n{\"n\":2}"),
         "{\"n\":0,\"x\":1}\n{\"n\":\"y\",\"x\":1}\n{}\n{\"n\":\"y\",\"x\":1}\n{}\n{}\n");
    OK(flb_test_.error_count == 2);
    SAME(flb_test_.errors[1], "no memory for the event");
    memory_left = 1LL << 40;

    begin(edits_1);
    run_configure = hosts;
    memset(text, 'x', 996);
    strcpy(text + 996, "end.");
    flb_test_config("n", "-5");
    flb_test_config("long", text);
    flb_test_config("other", "");
    flb_test_table("t", "{\"k\":{\"a\":[1]}}");
    SAME(flb_test_start(), "config.n is '-5': set it to a whole number, 0 to 5");
    run_configure = requires;
    SAME(flb_test_start(), "config.key: set it to something");
    flb_test_config("key", "set");
    OK(!flb_test_start());

    begin(emits_to); /* between neighbours, whose bytes would show places that are wrong */
    flb_test_event("{\"n\":0}");
    flb_test_event("{\"n\":1,\"user\":\"bob\"}");
    flb_test_metadata("{\"m\":1}");
    flb_test_event("{\"n\":2,\"user\":\"bob\"}");
    flb_test_event("{\"n\":3}");
    flb_test_event("{\"n\":4}");
    flb_test_run();
    OK(flb_test_.out_count == 2 && flb_test_.routed_count == 5 && flb_test_.error_count == 1);
    SAME(flb_test_.out[1].body, "{\"n\":3,\"kept\":true}");
    SAME(flb_test_.routed[0].tag, "audit");
    SAME(flb_test_.routed[0].body, "{\"n\":1,\"user\":\"bob\"}");
    SAME(flb_test_.routed[0].metadata, "{\"m\":2}");
    OK(flb_test_.routed[0].sec == 7);
    SAME(flb_test_.routed[1].tag, "edited.2");
    SAME(flb_test_.routed[1].body, "{\"n\":2,\"user\":\"***\"}");
    SAME(flb_test_.routed[2].tag, "copy");
    SAME(flb_test_.routed[2].body, "{\"n\":2,\"user\":\"***\"}");
    SAME(flb_test_.routed[3].body, "{\"new\":1}");
    SAME(flb_test_.routed[3].metadata, "{}");
    SAME(flb_test_.routed[4].metadata, "{\"own\":1}");
    OK(flb_test_.routed[4].sec == 5 && flb_test_.routed[4].nsec == 6);

    begin(counts);
    flb_test_bodies("{}\n{}");
    flb_test_advance(60000);
    OK(!flb_test_tick(0));
    OK(flb_test_.routed_count == 2);
    SAME(flb_test_.routed[0].tag, "counts");
    SAME(flb_test_.routed[0].body, "{\"n\":2,\"last\":0}");
    SAME(flb_test_.routed[0].metadata, "{}");
    OK(flb_test_.routed[0].sec == 1700000060 && flb_test_.routed[1].sec == 5);
    SAME(flb_test_.routed[1].metadata, "{\"m\":1}");
    OK(!flb_test_tick(1));
    SAME(flb_test_.routed[0].body, "{\"n\":0,\"last\":1}");
    fails = 1;
    SAME(flb_test_tick(0), "the tick fails");
    OK(flb_test_.routed_count == 0);

    against_model();
    by_table();
    flb_test_reset();
    printf("%d checks, %d failed\n", checks, failures);
    return failures > 0;
}
