// The emitter of events under other tags, an input of the host, and what has to be found in the host's memory
// for it.
#define _GNU_SOURCE
#include "emit.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

// What Fluent Bit exports and is called here: flb_input.h, flb_storage.h, flb_engine.h and flb_config.h of all
// releases from 1.8 to 5.1, flb_input_log.h of those from 2.1 on.
static struct {
    int (*log_append)(struct flb_input_instance *in, const char *tag, size_t tag_len,
                      const void *data, size_t size);
    int (*name_exists)(const char *name, struct flb_config *config);
    struct flb_input_instance *(*input_new)(struct flb_config *config, const char *plugin,
                                            void *data, int public_only);
    int (*set_property)(struct flb_input_instance *in, const char *key, const char *value);
    int (*instance_init)(struct flb_input_instance *in, struct flb_config *config);
    void (*instance_exit)(struct flb_input_instance *in, struct flb_config *config);
    void (*instance_destroy)(struct flb_input_instance *in);
    int (*storage_create)(void *cio, struct flb_input_instance *in);
    int (*input_pause)(struct flb_input_instance *in);
    int (*input_resume)(struct flb_input_instance *in);
    int (*engine_flush)(struct flb_config *config, void *only);

    // Since 5.1, else NULL: an input may be paused by its gate, of which input_pause knows nothing.
    int (*gate_protect)(struct flb_input_instance *in);
    void (*gate_maybe_resume)(struct flb_input_instance *in);

    // NULL: whether there is a storage.path is found out by the start alone.
    int (*config_set_property)(struct flb_config *config, const char *key, const char *value);
} host;

static const char *missing; // a function that the host does not export

// Of struct flb_config, in which storage_path, the storage and the list of filters stand.
enum { CONFIG_BYTES = 8192 };

static ptrdiff_t storage_path_at; // in struct flb_config; -1: it is not known

// find_storage_path returns where in struct flb_config its storage_path stands, which differs from build to build.
// The host says it: flb_config_set_property (src/flb_config.c, the same from 2.2.0 to 5.1.1) of this key writes a copy
// of the value there, and looks at nothing else of the struct if the value has no variable. It is given
// memory that is all zero, with room for a struct eight times as large. -1: it wrote something else.
static ptrdiff_t find_storage_path(void)
{
    static const char value[] = "/storage.path";
    static char *blank[CONFIG_BYTES]; // keeps the copy, which the host alone could free
    char copy[sizeof(value)];
    ptrdiff_t found = -1;

    if (host.config_set_property == NULL ||
        host.config_set_property((struct flb_config *) blank, "storage.path", value) != 0) {
        return -1;
    }
    for (size_t i = 0; i < sizeof(blank) / sizeof(blank[0]); i++) {
        if (blank[i] == NULL) {
            continue;
        }
        if (found != -1 || !host_copy(copy, blank[i], sizeof(copy)) ||
            memcmp(copy, value, sizeof(copy)) != 0) {
            return -1;
        }
        found = (ptrdiff_t) (i * sizeof(blank[0]));
    }
    return found;
}

// lacks_storage_path says whether a configuration is known to have no storage.path.
static bool lacks_storage_path(const struct flb_config *config)
{
    return storage_path_at != -1 && host_word(config, (size_t) storage_path_at) == NULL;
}

static void look_up(void)
{
    static const struct host_symbol symbols[] = {
        {(void **) &host.log_append, "flb_input_log_append"},
        {(void **) &host.name_exists, "flb_input_name_exists"},
        {(void **) &host.input_new, "flb_input_new"},
        {(void **) &host.set_property, "flb_input_set_property"},
        {(void **) &host.instance_init, "flb_input_instance_init"},
        {(void **) &host.instance_exit, "flb_input_instance_exit"},
        {(void **) &host.instance_destroy, "flb_input_instance_destroy"},
        {(void **) &host.storage_create, "flb_storage_input_create"},
        {(void **) &host.input_pause, "flb_input_pause"},
        {(void **) &host.input_resume, "flb_input_resume"},
        {(void **) &host.engine_flush, "flb_engine_flush"},
    };
    static const struct host_symbol optional[] = {
        {(void **) &host.config_set_property, "flb_config_set_property"},
        {(void **) &host.gate_protect, "flb_input_rate_gate_protect"},
        {(void **) &host.gate_maybe_resume, "flb_input_rate_gate_maybe_resume"},
    };

    missing = host_look_up(symbols, sizeof(symbols) / sizeof(symbols[0]));
    host_look_up(optional, sizeof(optional) / sizeof(optional[0]));
    storage_path_at = find_storage_path();
}

bool emit_host_refuse(struct instance *inst, const char *format, ...)
{
    char text[1024];
    int n = snprintf(text, sizeof(text),
                     "events can't go under other tags (emit_tags, on_error "
                     "route): ");
    va_list args;

    va_start(args, format);
    vsnprintf(text + n, sizeof(text) - (size_t) n, format, args);
    va_end(args);
    border_print(inst, FLB_LOG_ERROR, text);
    return false;
}

bool emission_check(struct instance *inst)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    const struct emission_options *o = &inst->emits;

    if (!o->wanted) {
        return true;
    }
    pthread_once(&once, look_up);
    if (missing != NULL) {
        return emit_host_refuse(inst, "this Fluent Bit does not export %s; 2.2 and later do",
                                missing);
    }
    if (host.name_exists(o->name, inst->config)) {
        return emit_host_refuse(
            inst, "there is an input %s already: set emitter_name to another name", o->name);
    }
    if (o->filesystem && lacks_storage_path(inst->config)) {
        return emit_host_refuse(
            inst, "emitter_storage.type filesystem needs storage.path of the service, which is not "
                  "set: set it, or leave emitter_storage.type out");
    }
    return true;
}

// is_cio says whether that is a struct cio_ctx (chunkio.h): it has a list of streams (cio_stream.h), of which
// each points back to it.
static bool is_cio(const char *p)
{
    enum {
        CIO_BYTES = 192, // the list stands behind the options, 112 to 144 bytes
        LINK = 16, // of a stream: its type and name come first,
        PARENT = 80, // and behind it three more lists
        MAX_STREAMS = 1000,
    };

    if (!host_readable(p, CIO_BYTES)) {
        return false;
    }
    for (size_t at = 0; at + sizeof(struct list) <= CIO_BYTES; at += sizeof(void *)) {
        const char *list = p + at, *before = list, *link = host_word(list, sizeof(void *));
        int n = 0;

        while (link != list && n < MAX_STREAMS) {
            const char *stream = (const char *) ((uintptr_t) link - LINK); // link may be anything

            if (!host_readable(stream, PARENT + sizeof(void *)) || host_word(link, 0) != before ||
                host_word(stream, PARENT) != (const void *) p) {
                break;
            }
            n++;
            before = link;
            link = host_word(link, sizeof(void *));
        }
        if (n > 0 && link == list && host_word(list, 0) == before) {
            return true;
        }
    }
    return false;
}

// find_cio returns the storage of a pipeline, which the emitter needs. At the start all inputs have theirs.
// NULL: it can't be told.
static void *find_cio(const struct flb_config *config)
{
    size_t readable = 0;

    while (readable < CONFIG_BYTES && host_readable((const char *) config + readable, 256)) {
        readable += 256;
    }
    for (size_t at = 0; at < readable; at += sizeof(void *)) {
        void *p = host_word(config, at);

        if (p != NULL && is_cio(p)) {
            return p;
        }
    }
    return NULL;
}

// In struct flb_filter_instance (flb_filter.h, 1.8 to 5.1) _head stands six words behind context.
ptrdiff_t border_filters_before(const struct instance *inst, void **to, size_t max)
{
    enum { HEAD = 48, MAX_FILTERS = 10000 };
    size_t at = host_context_at(inst->ins, inst);
    const char *head = (const char *) inst->ins + at + HEAD, *config = (const char *) inst->config;

    if (at == 0 || !host_readable(head, sizeof(struct list))) {
        return -1;
    }
    const char *link = host_word(head, 0);

    for (ptrdiff_t n = 0; n < MAX_FILTERS && link != head; n++) {
        if (link >= config && link < config + CONFIG_BYTES) {
            return n;
        }
        if (!host_readable(link, sizeof(struct list))) {
            return -1;
        }
        if ((size_t) n < max) {
            to[n] = (void *) (link - HEAD - at);
        }
        link = host_word(link, 0);
    }
    return -1;
}

static bool is_in_pipeline(const struct instance *inst)
{
    return border_filters_before(inst, NULL, 0) >= 0;
}

// stands_at says whether these ints stand at a place of flb_config, and a 1 behind them. In flb_config.h, 2.0 to
// 5.1, stand in a row is_ingestion_active, is_shutting_down and is_running, of which the engine changes the
// first two at once when it is told to stop.
static bool stands_at(const struct emission *e, size_t i, int ingests, int shuts)
{
    int ints[3];

    memcpy(ints, (const char *) e->inst->config + i * sizeof(int), sizeof(ints));
    return ints[0] == ingests && ints[1] == shuts && ints[2] == 1;
}

bool emit_host_find_stops(struct emission *e)
{
    bool any = false;

    if (!host_readable(e->inst->config, (EMIT_STOP_INTS + 2) * sizeof(int))) {
        return false;
    }
    for (size_t i = 0; i < EMIT_STOP_INTS; i++) {
        e->stops[i] = stands_at(e, i, 1, 0);
        any |= e->stops[i];
    }
    return any;
}

bool emit_host_is_stopping(struct emission *e)
{
    bool stopping = e->stopping; // no other thread writes it

    for (size_t i = 0; i < EMIT_STOP_INTS && !stopping; i++) {
        stopping = e->stops[i] && stands_at(e, i, 0, 1);
    }
    __atomic_store_n(&e->stopping, stopping, __ATOMIC_RELAXED);
    return stopping;
}

static void end_emitter(struct flb_input_instance *in, struct flb_config *config)
{
    host.instance_exit(in, config);
    host.instance_destroy(in);
}

// make_emitter makes an input that takes events, of the given name, with a limit in bytes unless that is 0; NULL:
// the host can't, and has said why.
static struct flb_input_instance *make_emitter(struct emission *e, const char *name, int64_t limit)
{
    struct flb_config *config = e->inst->config;
    struct flb_input_instance *in = host.input_new(config, "emitter", NULL, 0);
    char number[32];

    if (in == NULL) {
        return NULL;
    }
    snprintf(number, sizeof(number), "%" PRId64, limit);
    if (host.set_property(in, "alias", name) == 0 &&
        host.set_property(in, "mem_buf_limit", number) == 0 &&
        host.set_property(in, "storage.type",
                          e->inst->emits.filesystem ? "filesystem" : "memory") == 0 &&
        (limit > 0 || host.set_property(in, "storage.pause_on_chunks_overlimit", "off") == 0) &&
        host.instance_init(in, config) == 0 && host.storage_create(e->cio, in) == 0) {
        return in;
    }
    end_emitter(in, config);
    return NULL;
}

bool emit_host_open(struct emission *e)
{
    struct instance *inst = e->inst;

    if (!emission_check(inst)) {
        return false;
    }
    if (!is_in_pipeline(inst)) {
        return emit_host_refuse(
            inst, "a filter in processors of an input or output can't do that; one of the "
                  "pipeline's filters can");
    }
    e->cio = find_cio(inst->config);
    if (e->cio == NULL) {
        return emit_host_refuse(inst, "where this Fluent Bit has its storage is not known");
    }
    if (!emit_host_find_stops(e)) {
        return emit_host_refuse(inst, "where this Fluent Bit says that it ends is not known");
    }
    e->emitter = make_emitter(e, inst->emits.name, inst->emits.limit);
    if (e->emitter == NULL) {
        return emit_host_refuse(inst, "Fluent Bit can't make the emitter %s%s", inst->emits.name,
                                inst->emits.filesystem
                                    ? ": emitter_storage.type filesystem needs storage.path "
                                      "of the service to be set"
                                    : "");
    }
    return true;
}

void emit_host_close(struct emission *e)
{
    end_emitter(e->emitter, e->inst->config);
    e->emitter = NULL;
}

static struct flb_input_instance *shutdown_emitter(struct emission *e)
{
    if (e->shutdown_emitter == NULL && e->stopping) {
        char name[512];

        // The emitter stays paused once the pipeline stops, if it was.
        snprintf(name, sizeof(name), "%s_end", e->inst->emits.name);
        e->shutdown_emitter = make_emitter(e, name, 0);
    }
    return e->shutdown_emitter;
}

// append has an input take events under the emission's tag.
static bool append(struct emission *e, struct flb_input_instance *in, const uint8_t *events,
                   size_t n)
{
    e->delivering = true;
    bool ok = host.log_append(in, (const char *) e->tag.data, e->tag.len, events, n) == 0;
    e->delivering = false;
    return ok;
}

bool emit_host_append(struct emission *e, const flbwt_destination *to, const uint8_t *events,
                      size_t n)
{
    e->tag.len = 0;
    if (!flbwt_reserve(&e->tag, (size_t) to->tag_len + 1)) {
        return false;
    }
    memcpy(e->tag.data, to->tag, to->tag_len);
    e->tag.data[to->tag_len] = '\0'; // for matches of older hosts
    e->tag.len = to->tag_len;
    return append(e, e->emitter, events, n) || (e->stopping && shutdown_emitter(e) != NULL &&
                                                append(e, e->shutdown_emitter, events, n));
}

void emit_host_flush(const struct emission *e) { host.engine_flush(e->inst->config, NULL); }

// The name of an input, which is emitter.N for an emitter, stands near the beginning of struct
// flb_input_instance (flb_input.h, 2.2 to 5.1).
bool emit_host_is_emitter(const struct flb_input_instance *in)
{
    enum { NAMED = 192 };

    return in != NULL && memmem(in, NAMED, "emitter.", 8) != NULL;
}

bool emit_host_is_foreign(const struct flb_input_instance *in)
{
    bool own = false;

    if (!emit_host_is_emitter(in)) {
        return false;
    }
    for (const struct instance *p = border_lock_running(); p != NULL; p = p->next) {
        own |= p->emission != NULL &&
               (in == p->emission->emitter || in == p->emission->shutdown_emitter);
    }
    border_unlock_running();
    return !own;
}

bool emit_host_pause(struct flb_input_instance *in) { return host.input_pause(in) == 0; }

void emit_host_resume(struct flb_input_instance *in)
{
    // One that is paused for its limits says so if it is to be paused again. A gate that is closed is asked: it
    // opens if it may, else it pauses the input once more, until its own timer lets it go on.
    if (host.input_pause(in) != 0) {
        return;
    }
    if (host.gate_protect != NULL && host.gate_maybe_resume != NULL) {
        host.gate_maybe_resume(in);
        if (host.gate_protect(in) != 0) {
            return;
        }
    }
    host.input_resume(in);
}
