// An instance of a module, as the functions know it that guests import: its memory, what
// bounds it, and what it has of the host.

#ifndef FLBWT_INSTANCE_H
#define FLBWT_INSTANCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../bounds/memory.h"
#include "../bounds/watchdog.h"
#include "../tables/table.h"

// flbwt_buffer grows by realloc; owned by its Go holder.
typedef struct {
    uint8_t *data;
    size_t len, cap;
} flbwt_buffer;

// flbwt_output is what a guest wrote to one of its standard streams and
// nobody has taken yet.
typedef struct {
    flbwt_buffer buffer;
    uint64_t lost; // bytes that found no room
} flbwt_output;

// Levels of the log, by Fluent Bit's numbers (include/fluent-bit/flb_log.h, 1.8 to 5.1).
enum { FLBWT_LOG_ERROR = 1, FLBWT_LOG_TRACE = 5 };

// What the filter should say, since a function was called.
enum flbwt_notice {
    FLBWT_NOTICE_STORE = 1 << 0, // the store has refused something
    FLBWT_NOTICE_METRICS = 1 << 1, // something was not counted
};

// flbwt_setting is one key of a module's configuration.
typedef struct {
    const char *key, *value;
    uint32_t key_len, value_len;
} flbwt_setting;

enum { FLBWT_TAG_BYTES = 1024 };

// flbwt_pattern is a pattern of tags, in which * stands for any bytes, or none.
typedef struct {
    const char *text;
    uint32_t len;
} flbwt_pattern;

// flbwt_tags are those under which the guest may emit events (tags.c).
typedef struct {
    const flbwt_pattern *patterns; // owned by who made the instance, as long as it lives
    uint32_t n; // 0: none
    flbwt_buffer last; // the one that was granted last
} flbwt_tags;

// flbwt_heap is the heap that the host keeps in the guest's memory (heap.c).
// Everything that can be told from outside the guest's memory is here.
enum { FLBWT_HEAP_CLASSES = 108 };

typedef struct {
    uint64_t low;      // where its first page starts
    uint64_t top, end; // what no block has been cut from yet
    uint64_t step;     // bytes to grow by at least
    uint32_t free[FLBWT_HEAP_CLASSES]; // the first free block of each class; 0: none
    bool failed; // an allocation has failed since the call began
} flbwt_heap;

// flbwt_instance lives in C memory, next to a store that no two threads use at once.
typedef struct {
    wasmtime_context_t *context;
    wasmtime_memory_t memory;
    uint8_t *base; // the memory when it was looked at last; NULL: not yet
    uint64_t size;
    flbwt_room room;
    flbwt_watch watch;
    flbwt_heap heap;
    flbwt_output out, err;
    // Lines: level, length (4 bytes, as the machine has them), text; lost counts lines.
    flbwt_output log;
    int log_level; // lines of higher ones are not wanted
    const flbwt_setting *settings; // owned by who made the instance, as long as it lives
    uint32_t settings_len;
    flbwt_tags tags;
    bool ticks; // the guest is called by flb_tick now and then, if it has that
    struct flbwt_store *store; // of the filter, which ends them later; NULL: not granted
    struct flbwt_metrics *metrics;
    uint64_t version; // of the module: one that was loaded later has a higher one
    unsigned notices; // of enum flbwt_notice
    struct flbwt_wasi *wasi; // NULL: there is none yet
    struct flbwt_current *current; // NULL: the guest imports nothing of record.c
    bool exited;             // the guest has asked to be ended, with that status
    int32_t exit_status;
    const flbwt_tables *tables; // of the filter, which outlive it; NULL: there are none
    flbwt_table_reader table_reader;
    uint32_t table_news;     // of the tables, that have been taken to the log
} flbwt_instance;

// flbwt_reserve makes room for that many bytes more. False: there is no memory.
bool flbwt_reserve(flbwt_buffer *buffer, size_t more);

// flbwt_memory_size returns the size of the guest's memory, in bytes.
static inline uint64_t flbwt_memory_size(const flbwt_instance *instance)
{
    return wasmtime_memory_data_size(instance->context, &instance->memory);
}

// flbwt_memory_look sets base and size, which can't change but by the guest, or by
// flbwt_memory_grow.
static inline void flbwt_memory_look(flbwt_instance *instance)
{
    instance->base = wasmtime_memory_data(instance->context, &instance->memory);
    instance->size = flbwt_memory_size(instance);
}

// flbwt_memory_grow adds pages for that many bytes and returns the address of the
// first. False: that is refused. It does not count as refused to the guest.
bool flbwt_memory_grow(flbwt_instance *instance, uint64_t bytes, uint64_t *from);

// flbwt_write appends to what the guest wrote, as far as there is room.
void flbwt_write(flbwt_output *output, const void *bytes, size_t n);

// flbwt_write_line appends a line for the log, if there is room for all of it.
void flbwt_write_line(flbwt_output *log, uint8_t level, const void *text, uint32_t n);

// flbwt_has_written says whether the guest has written what nobody has taken, or there is a notice.
static inline bool flbwt_has_written(const flbwt_instance *instance)
{
    return (instance->out.buffer.len | instance->err.buffer.len | instance->log.buffer.len |
            instance->out.lost | instance->err.lost | instance->log.lost | instance->notices) != 0;
}

// flbwt_has_news says whether there is something to log of the tables.
static inline bool flbwt_has_news(const flbwt_instance *instance)
{
    return instance->tables != NULL && flbwt_tables_news(instance->tables) != instance->table_news;
}

#endif
