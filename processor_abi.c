// A native processor of Fluent Bit, for metrics and traces: the symbol that the host looks up, in its
// layout, and the callbacks that it names. Logs go through the filter of the same name, which the host
// takes for them.
#define _GNU_SOURCE
#include "plugin.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct flb_processor_instance; // the host's

// What Fluent Bit exports and is called here, in flb_processor.h of 3.0 to 5.1.
static struct {
    const char *(*get_property)(const char *key, struct flb_processor_instance *ins);
    const char *(*get_name)(struct flb_processor_instance *ins);
    void (*set_context)(struct flb_processor_instance *ins, void *context);
    const char *(*input_name)(void *input); // NULL: not exported
    const char *(*output_name)(void *output);
} host;

// The layouts of struct flb_processor_plugin, by the release that began each
// (include/fluent-bit/flb_processor.h of v3.0.0, v3.2.0 and v4.0.0).
enum layout { LAYOUT_UNKNOWN, LAYOUT_3_0, LAYOUT_3_2, LAYOUT_4_0 };

static enum layout layout;

typedef int (*start_function)(struct flb_processor_instance *ins, void *owner, int owner_type,
                              struct flb_config *config);
typedef int (*logs_function)(struct flb_processor_instance *ins, void *chunk, const char *tag,
                             int tag_len);
typedef int (*metrics_function)(struct flb_processor_instance *ins, struct cmt *in,
                                struct cmt **out, const char *tag, int tag_len);
typedef int (*traces_function_3_0)(struct flb_processor_instance *ins, struct ctrace *in,
                                   const char *tag, int tag_len);
typedef int (*traces_function_4_0)(struct flb_processor_instance *ins, struct ctrace *in,
                                   struct ctrace **out, const char *tag, int tag_len);
typedef int (*profiles_function)(struct flb_processor_instance *ins, void *in, const char *tag,
                                 int tag_len);
typedef int (*exit_function)(struct flb_processor_instance *ins, void *context);

struct plugin_head {
    int flags;
    const char *name;
    const char *description;
    void *config_map;
    start_function cb_init;
    logs_function cb_process_logs;
    metrics_function cb_process_metrics;
};

struct plugin_3_0 { // and 3.2, where cb_notification follows: none
    struct plugin_head head;
    traces_function_3_0 cb_process_traces;
    exit_function cb_exit;
};

struct plugin_4_0 {
    struct plugin_head head;
    traces_function_4_0 cb_process_traces;
    profiles_function cb_process_profiles;
    exit_function cb_exit;
};

// The host copies as many bytes as its own struct has: there is room behind.
union plugin {
    struct plugin_head head;
    struct plugin_3_0 v3_0;
    struct plugin_4_0 v4_0;
    char room[512];
};

_Static_assert(offsetof(struct plugin_head, name) == 8, "name");
_Static_assert(offsetof(struct plugin_head, cb_init) == 32, "cb_init");
_Static_assert(offsetof(struct plugin_head, cb_process_metrics) == 48, "cb_process_metrics");
_Static_assert(offsetof(struct plugin_3_0, cb_process_traces) == 56, "cb_process_traces");
_Static_assert(offsetof(struct plugin_3_0, cb_exit) == 64, "cb_exit, 3.0");
_Static_assert(offsetof(struct plugin_4_0, cb_exit) == 72, "cb_exit, 4.0");

__attribute__((visibility("protected"))) union plugin processor_wasmtime_plugin;

enum { FLB_PROCESSOR_SUCCESS = 0, FLB_PROCESSOR_FAILURE = -1 };

// What a processor is made for, as flb_processor.h has it.
enum { EVENT_LOGS = 1, EVENT_METRICS = 2, EVENT_TRACES = 4 };

// struct flb_processor_instance begins, from 3.0 to 5.1, with int id, int log_level, int event_type,
// char name[32]. The name, which is the plugin's with a number, proves the place.
enum { LOG_LEVEL_AT = 4, EVENT_TYPE_AT = 8, NAME_AT = 12 };

static const char plugin_name[] = "wasmtime";

static int int_at(const struct flb_processor_instance *ins, size_t at)
{
    int value;

    memcpy(&value, (const char *) ins + at, sizeof(value));
    return value;
}

static bool known_instance(const struct flb_processor_instance *ins)
{
    const char *name = (const char *) ins + NAME_AT;
    size_t len = sizeof(plugin_name) - 1;

    return strncmp(name, plugin_name, len) == 0 && name[len] == '.';
}

const char *processor_property(const struct instance *inst, const char *name)
{
    return host.get_property(name, inst->ins);
}

const char *processor_name(const struct instance *inst) { return host.get_name(inst->ins); }

// distinct_name is input.NAME.SIGNAL.NUMBER, or output., since the host calls all processors wasmtime.0, and
// an input and an output may have the same name; NULL: it has an alias, or its owner is not known. The caller
// frees it.
static char *distinct_name(const struct instance *inst, void *owner)
{
    static const char *const signals[] = {[FLBWT_METRICS] = "metrics", [FLBWT_TRACES] = "traces"};
    void *cmt;
    const char *kind = metrics_owner(owner, &cmt);
    char *name = NULL;

    if (kind == NULL || signals[inst->signal] == NULL || !known_instance(inst->ins) ||
        host.get_name(inst->ins) != (const char *) inst->ins + NAME_AT) {
        return NULL;
    }
    const char *(*name_of)(void *) =
        strcmp(kind, "input") == 0 ? host.input_name : host.output_name;

    if (name_of == NULL || asprintf(&name, "%s.%s.%s.%d", kind, name_of(owner),
                                    signals[inst->signal], border_siblings(inst)) < 0) {
        return NULL;
    }
    return name;
}

// signal_of says what a processor is for, or why there is none for that.
static const char *signal_of(const struct flb_processor_instance *ins, enum flbwt_signal *signal)
{
    if (!known_instance(ins)) {
        return "what this processor is for can't be told";
    }
    switch (int_at(ins, EVENT_TYPE_AT)) {
    case EVENT_METRICS:
        *signal = FLBWT_METRICS;
        return NULL;
    case EVENT_TRACES:
        *signal = FLBWT_TRACES;
        return NULL;
    case EVENT_LOGS:
        return "logs go through the filter of that name: load flb-filter_wasmtime.so, too";
    default:
        return "it is for metrics and traces, and logs by the filter of that name";
    }
}

static int init(struct flb_processor_instance *ins, void *owner, int owner_type,
                struct flb_config *config)
{
    enum flbwt_signal signal = FLBWT_LOGS;
    const char *lack = signal_of(ins, &signal);
    int log_level = known_instance(ins) ? int_at(ins, LOG_LEVEL_AT) : FLB_LOG_INFO;

    (void) owner_type; // 0 for all
    struct instance *inst =
        border_begin(ins, config, plugin_name, true, log_level >= 0 ? log_level : FLB_LOG_INFO);
    struct job job = {.kind = JOB_START};
    char text[256];

    if (inst == NULL) {
        return -1;
    }
    inst->signal = signal;
    inst->owner = owner;
    inst->name = distinct_name(inst, owner);
    if (lack == NULL) {
        lack = otlp_lack(signal);
    }
    const char *list = border_take_list(ins, host.get_property);
    if (lack == NULL && list != NULL) {
        snprintf(text, sizeof(text),
                 "option %.100s: a list or map can't be read here: write a text", list);
        lack = text;
    }
    if (lack != NULL) {
        border_print(inst, FLB_LOG_ERROR, lack);
        border_end(inst);
        return -1;
    }
    border_call(inst, &job);
    if (job.result != 0) {
        border_end(inst);
        return -1;
    }
    border_enter_running(inst);
    host.set_context(ins, inst);
    metrics_start(inst);
    border_drop_pages();
    return 0;
}

// run has a payload filtered. The payload is kept, if there is no instance.
static void run(struct flb_processor_instance *ins, struct job *job, const char *tag, int tag_len)
{
    struct instance *inst = border_running(ins);

    job->kind = JOB_PAYLOAD;
    job->tag = tag;
    job->tag_len = tag_len > 0 ? tag_len : 0;
    job->result = PAYLOAD_KEPT;
    if (inst != NULL) {
        otlp_inspect(&job->payload);
        border_call(inst, job);
    }
}

static int metrics(struct flb_processor_instance *ins, struct cmt *in, struct cmt **out,
                   const char *tag, int tag_len)
{
    struct job job = {.payload = {.metrics = in}};

    run(ins, &job, tag, tag_len);
    *out = otlp_metrics_out(&job, layout < LAYOUT_3_2);
    return *out != NULL ? FLB_PROCESSOR_SUCCESS : FLB_PROCESSOR_FAILURE;
}

static void process_traces(struct flb_processor_instance *ins, struct ctrace *in, const char *tag,
                           int tag_len)
{
    struct job job = {.payload = {.traces = in}};

    run(ins, &job, tag, tag_len);
    otlp_traces_in_place(&job);
}

static int traces_3_0(struct flb_processor_instance *ins, struct ctrace *in, const char *tag,
                      int tag_len)
{
    process_traces(ins, in, tag, tag_len);
    return FLB_PROCESSOR_SUCCESS;
}

// Since 4.0 there is an out, of which the host takes but whether it is set: NULL says that the processor
// has taken the traces over (src/flb_processor.c, 4.0.0 to 5.1.1).
static int traces_4_0(struct flb_processor_instance *ins, struct ctrace *in, struct ctrace **out,
                      const char *tag, int tag_len)
{
    process_traces(ins, in, tag, tag_len);
    *out = in;
    return FLB_PROCESSOR_SUCCESS;
}

static int stop(struct flb_processor_instance *ins, void *context)
{
    (void) ins;
    if (context != NULL) {
        metrics_stop(context);
        border_end(context);
    }
    return 0;
}

static const char *refusal;

static int refuse(struct flb_processor_instance *ins, void *owner, int owner_type,
                  struct flb_config *config)
{
    (void) ins;
    (void) owner;
    (void) owner_type;
    (void) config;
    fprintf(stderr, "[processor:wasmtime] %s\n", refusal);
    return -1;
}

static enum layout probe(void)
{
    *(void **) &host.get_property = dlsym(RTLD_DEFAULT, "flb_processor_instance_get_property");
    *(void **) &host.get_name = dlsym(RTLD_DEFAULT, "flb_processor_instance_get_name");
    *(void **) &host.set_context = dlsym(RTLD_DEFAULT, "flb_processor_instance_set_context");
    *(void **) &host.input_name = dlsym(RTLD_DEFAULT, "flb_input_name");
    *(void **) &host.output_name = dlsym(RTLD_DEFAULT, "flb_output_name");

    // Each of these came with the release that changed the layout.
    bool since_3_0 = dlsym(RTLD_DEFAULT, "flb_mp_chunk_cobj_create") != NULL;
    bool since_3_2 = dlsym(RTLD_DEFAULT, "flb_notification_enqueue") != NULL;
    bool since_4_0 = dlsym(RTLD_DEFAULT, "flb_input_profiles_append") != NULL;

    if (host.get_property == NULL || host.get_name == NULL || host.set_context == NULL ||
        !since_3_0 || (since_4_0 && !since_3_2)) {
        return LAYOUT_UNKNOWN;
    }
    return since_4_0 ? LAYOUT_4_0 : since_3_2 ? LAYOUT_3_2 : LAYOUT_3_0;
}

void processor_fill(const char *why, void *config_map)
{
    union plugin *p = &processor_wasmtime_plugin;

    layout = probe();
    refusal = why;
    if (refusal == NULL && layout == LAYOUT_UNKNOWN) {
        refusal =
            "this program is not a Fluent Bit whose processors the plugin knows (3.0 to 5.1): "
            "it does not export what those do";
    }
    p->head.name = plugin_name;
    p->head.description = "WebAssembly processor on wasmtime, for metrics and traces";
    if (refusal != NULL) {
        p->head.cb_init = refuse;
        return;
    }
    p->head.config_map = config_map;
    p->head.cb_init = init;
    p->head.cb_process_metrics = metrics;
    if (layout >= LAYOUT_4_0) {
        p->v4_0.cb_process_traces = traces_4_0;
        p->v4_0.cb_exit = stop;
    }
    else {
        p->v3_0.cb_process_traces = traces_3_0;
        p->v3_0.cb_exit = stop;
    }
}
