/* The host functions and structures of docs/abi.md that this example uses. */

#ifndef FLB_H
#define FLB_H

#include "msgpack.h"

#define IMPORT(name) __attribute__((import_module("flb_v1"), import_name(#name)))
#define EXPORT(name) __attribute__((export_name(#name)))

IMPORT(log) void flb_log(u32 level, const char *text, u32 len);
IMPORT(config_get) int config_get(const char *key, u32 key_len, void *buffer, u32 room);
IMPORT(table_open) int table_open(const char *name, u32 len);
IMPORT(table_get)
int table_get(int table, const u8 *key, u32 key_len, const u8 *path, u32 path_len, int format,
              u8 *buffer, u32 room);
IMPORT(store_add) int store_add(const u8 *key, u32 key_len, i64 delta, i64 ttl_ms, i64 *result);
IMPORT(metric_define)
int metric_define(int kind, const char *name, u32 name_len, const char *help, u32 help_len,
                  const char *labels, u32 labels_len, const double *buckets, u32 buckets_count);
IMPORT(metric_add) int metric_add(int metric, double value, const void *labels, u32 labels_len);

/* Of the current record: for guests of six arguments. */
IMPORT(metadata_get) int metadata_get(u8 *buffer, u32 room);
IMPORT(metadata_set) int metadata_set(const u8 *bytes, u32 len);
IMPORT(group_get) int group_get(u8 *buffer, u32 room);
IMPORT(group_set) int group_set(const u8 *bytes, u32 len);
IMPORT(emit)
int emit(const u8 *body, u32 len, const u8 *metadata, u32 metadata_len, i64 sec, u32 nsec);

enum { LOG_ERROR = 1 };
enum { METRIC_COUNTER = 1 };
enum { TABLE_MSGPACK = 1 };

/* The batch ABI. Sizes of the host's structures may grow: step by those that it gives. */

struct input {
    u32 size, zero, tag, tag_len;
    u32 events, event_count, event_size;
    u32 groups, group_count, group_size;
};

struct event {
    i64 sec;
    u32 nsec, group, metadata, metadata_len, body, body_len;
};

struct group {
    u32 changeable, zero, metadata, metadata_len, body, body_len;
};

enum { OP_DROP = 1, OP_ERROR = 2, OP_REPLACE = 4, OP_ADD = 6, OP_EMIT = 9 };
enum { BODY, METADATA };

struct op {
    u32 of;
    u8 kind, part;
    u16 zero;
    u32 a, b;
    const void *bytes;
    u32 len;
};

enum { SAME_TIME = -1, SAME_GROUP = -1 };

struct emitted {
    i64 sec;
    u32 nsec, group;
    const u8 *metadata;
    u32 metadata_len;
    const u8 *body;
    u32 body_len;
};

struct reply {
    const struct op *events;
    u32 event_count;
    const struct op *groups;
    u32 group_count;
};

_Static_assert(sizeof(struct event) == 32 && sizeof(struct group) == 24, "as the host writes them");
_Static_assert(sizeof(struct op) == 24 && sizeof(struct emitted) == 32, "as the host reads them");

#endif
