/*
 * The structures that Fluent Bit shares with a native filter, one layout per
 * family of versions. FAMILY is the first version of the family, as
 * major * 100 + minor * 10 (+ patch); 0 is a host that this plugin can't know.
 *
 * Offsets are those of 64-bit Linux, from include/fluent-bit/flb_filter.h,
 * flb_config_map.h and flb_plugin_proxy.h at the tags that the comments name.
 */
#ifndef HOST_LAYOUT_H
#define HOST_LAYOUT_H

#include <stddef.h>
#include <stdint.h>

#define FAMILY_UNKNOWN 0
#define FAMILY_1_8     180   /* v1.8.0 - v2.0.14 */
#define FAMILY_2_1     210   /* v2.1.0 - v2.1.10 */
#define FAMILY_2_2     220   /* v2.2.0 - v3.1.10 */
#define FAMILY_3_2     320   /* v3.2.0 - v5.0.2 */
#define FAMILY_5_0_3   503   /* v5.0.3 - v5.1.1 */

#ifndef FAMILY
#error "compile with -DFAMILY=180, 210, 220, 320, 503, or 0 for a host of no known family"
#endif

_Static_assert(sizeof(void *) == 8, "the offsets below are those of LP64");

struct list {
    struct list *prev;
    struct list *next;
};

struct filter_instance;

typedef int (*init_fn)(struct filter_instance *, void *config, void *data);
typedef int (*filter_fn)(const void *data, size_t bytes, const char *tag, int tag_len, void **out,
                         size_t *out_bytes, struct filter_instance *, void *input_instance,
                         void *context, void *config);
typedef int (*exit_fn)(void *context, void *config);

/* struct flb_config_map */
struct config_map {
    int type;
    const char *name;
    const char *def_value;
    int flags;
    int set_property;
    uintptr_t offset;
    const char *desc;
    uint64_t value;
#if FAMILY >= FAMILY_5_0_3
    char *raw;                      /* v5.0.3; not in v5.0.2 */
#endif
    struct list *mult;
    struct list value_head;
    struct list head;
};

_Static_assert(offsetof(struct config_map, name) == 8, "v1.8.15, v5.1.1");
_Static_assert(offsetof(struct config_map, def_value) == 16, "v1.8.15, v5.1.1");
_Static_assert(offsetof(struct config_map, flags) == 24, "v1.8.15, v5.1.1");
_Static_assert(offsetof(struct config_map, set_property) == 28, "v1.8.15, v5.1.1");
_Static_assert(offsetof(struct config_map, offset) == 32, "v1.8.15, v5.1.1");
_Static_assert(offsetof(struct config_map, desc) == 40, "v1.8.15, v5.1.1");
_Static_assert(offsetof(struct config_map, value) == 48, "v1.8.15, v5.1.1");
#if FAMILY >= FAMILY_5_0_3
_Static_assert(sizeof(struct config_map) == 104, "v5.0.3, v5.1.1");
#else
_Static_assert(sizeof(struct config_map) == 96, "v1.8.15, v5.0.2");
#endif

/* struct flb_filter_plugin */
struct filter_plugin {
#if FAMILY >= FAMILY_2_1
    int event_type;                 /* v2.1.0; not in v2.0.14 */
#endif
    int flags;
    const char *name;
    const char *description;
    const struct config_map *config_map;
#if FAMILY >= FAMILY_2_2
    init_fn cb_pre_run;             /* v2.2.0; not in v2.1.10 */
#endif
    init_fn cb_init;
    filter_fn cb_filter;
    exit_fn cb_exit;
#if FAMILY >= FAMILY_3_2
    init_fn cb_notification;        /* v3.2.0; not in v3.1.10 */
#endif
    struct list head;
};

_Static_assert(offsetof(struct filter_plugin, name) == 8, "v1.8.15, v5.1.1");
_Static_assert(offsetof(struct filter_plugin, config_map) == 24, "v1.8.15, v5.1.1");
#if FAMILY >= FAMILY_2_1
_Static_assert(offsetof(struct filter_plugin, flags) == 4, "v2.1.10, v5.1.1");
#endif
#if FAMILY >= FAMILY_2_2
_Static_assert(offsetof(struct filter_plugin, cb_pre_run) == 32, "v2.2.3, v5.1.1");
_Static_assert(offsetof(struct filter_plugin, cb_init) == 40, "v2.2.3, v5.1.1");
_Static_assert(offsetof(struct filter_plugin, cb_exit) == 56, "v2.2.3, v5.1.1");
#else
_Static_assert(offsetof(struct filter_plugin, cb_init) == 32, "v1.8.15, v2.1.10");
_Static_assert(offsetof(struct filter_plugin, cb_exit) == 48, "v1.8.15, v2.1.10");
#endif
#if FAMILY >= FAMILY_3_2
_Static_assert(offsetof(struct filter_plugin, head) == 72, "v3.2.10, v5.1.1");
#elif FAMILY >= FAMILY_2_2
_Static_assert(offsetof(struct filter_plugin, head) == 64, "v2.2.3, v3.1.10");
#else
_Static_assert(offsetof(struct filter_plugin, head) == 56, "v1.8.15, v2.1.10");
#endif

/* struct flb_kv */
struct property {
    char *key;
    char *value;
    struct list link;
};

/*
 * struct flb_filter_instance: as in Fluent Bit up to properties. What a plugin has no
 * business with is poison, and the host's own fields come last.
 */
struct filter_instance {
#if FAMILY >= FAMILY_2_1
    int event_type;                 /* v2.1.0; not in v2.0.14 */
#endif
    int id;
    int log_level;
#if FAMILY >= FAMILY_2_1
    int log_suppress_interval;      /* v2.1.0; not in v2.0.14 */
#endif
    char name[32];
    char *alias;
#if FAMILY >= FAMILY_2_1
    unsigned char poison[3 * sizeof(void *)]; /* match, match_regex, parent_processor (v2.1.4) */
#else
    unsigned char poison[2 * sizeof(void *)]; /* match, match_regex */
#endif
    void *context;
    unsigned char poison_behind_context[2 * sizeof(void *)]; /* data, p */
    struct list properties;
    unsigned char poison_behind_properties[sizeof(void *)]; /* config_map */
    struct list link;               /* _head */
    struct cmt *cmt;
    struct metric *first_counter;   /* cmt_add_records, since v2.1 cmt_records */
    unsigned char poison_at_end[256];

    int initialized;
    struct cmt *cmt_made;
    void *pipeline;                 /* the config that it is listed in */
};

#if FAMILY >= FAMILY_2_1
_Static_assert(offsetof(struct filter_instance, log_level) == 8, "v2.1.10, v5.1.1");
_Static_assert(offsetof(struct filter_instance, name) == 16, "v2.1.10, v5.1.1");
_Static_assert(offsetof(struct filter_instance, alias) == 48, "v2.1.10, v5.1.1");
_Static_assert(offsetof(struct filter_instance, properties) == 104, "v2.1.10, v5.1.1");
_Static_assert(offsetof(struct filter_instance, cmt) == 144, "v2.1.10, v5.1.1");
#else
_Static_assert(offsetof(struct filter_instance, log_level) == 4, "v1.8.15, v2.0.14");
_Static_assert(offsetof(struct filter_instance, name) == 8, "v1.8.15, v2.0.14");
_Static_assert(offsetof(struct filter_instance, alias) == 40, "v1.8.15, v2.0.14");
_Static_assert(offsetof(struct filter_instance, properties) == 88, "v1.8.15, v2.0.14");
_Static_assert(offsetof(struct filter_instance, cmt) == 128, "v1.8.15, v2.0.14");
#endif

#endif
