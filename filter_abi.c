#define _GNU_SOURCE
#include "plugin.h"

#include <dlfcn.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

// What Fluent Bit exports and this plugin calls: in flb_filter.h and flb_log.h
// of every release from 1.8 to 5.1.
static struct {
    const char *(*filter_get_property)(const char *key, struct flb_filter_instance *ins);
    void (*filter_set_context)(struct flb_filter_instance *ins, void *context);
    const char *(*filter_name)(struct flb_filter_instance *ins);
    void (*log_print)(int type, const char *file, int line, const char *fmt, ...);
} host;

// The layouts of struct flb_filter_plugin, by the release that began each
// (include/fluent-bit/flb_filter.h of v1.8.15, v2.1.0, v2.2.0 and v3.2.0).
enum layout { LAYOUT_UNKNOWN, LAYOUT_1_8, LAYOUT_2_1, LAYOUT_2_2, LAYOUT_3_2 };

static enum layout layout;

typedef int (*start_function)(struct flb_filter_instance *ins, struct flb_config *config,
                              void *data);
typedef int (*filter_function)(const void *data, size_t size, const char *tag, int tag_len,
                               void **out, size_t *out_size, struct flb_filter_instance *ins,
                               struct flb_input_instance *input, void *context,
                               struct flb_config *config);
typedef int (*exit_function)(void *context, struct flb_config *config);

// The head is the same in all layouts, but for the meaning of its first word:
// int flags, and nothing, up to 2.0; int event_type, int flags since.
struct plugin_head {
    int first, second;
    const char *name;
    const char *description;
    void *config_map;
};

struct plugin_1_8 { // and 2.1
    struct plugin_head head;
    start_function cb_init;
    filter_function cb_filter;
    exit_function cb_exit;
};

struct plugin_2_2 { // and 3.2, where cb_notification follows: none
    struct plugin_head head;
    start_function cb_pre_run;
    start_function cb_init;
    filter_function cb_filter;
    exit_function cb_exit;
};

// The host copies as many bytes as its own struct has: there is room behind.
union plugin {
    struct plugin_head head;
    struct plugin_1_8 v1_8;
    struct plugin_2_2 v2_2;
    char room[512];
};

_Static_assert(offsetof(struct plugin_head, name) == 8, "name");
_Static_assert(offsetof(struct plugin_head, config_map) == 24, "config_map");
_Static_assert(offsetof(struct plugin_1_8, cb_init) == 32, "cb_init, 1.8");
_Static_assert(offsetof(struct plugin_1_8, cb_exit) == 48, "cb_exit, 1.8");
_Static_assert(offsetof(struct plugin_2_2, cb_pre_run) == 32, "cb_pre_run, 2.2");
_Static_assert(offsetof(struct plugin_2_2, cb_init) == 40, "cb_init, 2.2");
_Static_assert(offsetof(struct plugin_2_2, cb_exit) == 56, "cb_exit, 2.2");

// FLB_FILTER_LOGS of flb_filter.h, since 2.1.
enum { EVENT_TYPE_LOGS = 1 };

// What Fluent Bit looks up: the name is made of the object's file name. Protected, since
// a Fluent Bit that has the built-in filter exports filter_wasm_plugin too, and a reference
// to exported data is bound to the executable's first.
__attribute__((visibility("protected"))) union plugin filter_wasmtime_plugin;
__attribute__((visibility("protected"))) union plugin filter_wasm_plugin;

// struct flb_config_map (include/fluent-bit/flb_config_map.h): what a plugin
// fills in is the same in all releases; what the host keeps behind it has grown
// by a pointer in 5.0.3.
struct config_map_entry {
    int type;
    const char *name;
    const char *default_value;
    int flags;
    int set_property;
    uintptr_t offset;
    const char *description;
};

enum {
    CONFIG_MAP_STR = 0,
    CONFIG_MAP_STR_PREFIX = 1,
    CONFIG_MAP_INT = 2,
    CONFIG_MAP_BOOL = 3,
    CONFIG_MAP_SIZE = 5,
    CONFIG_MAP_TIME = 6,
    CONFIG_MAP_CLIST = 30,

    CONFIG_MAP_MULT = 1, // a flag: it may be set several times

    CONFIG_MAP_STRIDE_1_8 = 96,
    CONFIG_MAP_STRIDE_5_0_3 = 104,
};

_Static_assert(sizeof(struct config_map_entry) == 48, "struct flb_config_map");

static const struct config_map_entry options[] = {
#include "config_map.inc"
};

static const struct config_map_entry output_options[] = {
#include "config_map_output.inc"
};

enum {
    OPTIONS = sizeof(options) / sizeof(options[0]),
    OUTPUT_OPTIONS = sizeof(output_options) / sizeof(output_options[0]),
};

const char *border_option(size_t i) { return i < OPTIONS ? options[i].name : NULL; }

static char config_map[(OPTIONS + 1) * CONFIG_MAP_STRIDE_5_0_3] __attribute__((aligned(16)));
static char output_config_map[(OPTIONS + OUTPUT_OPTIONS + 1) * CONFIG_MAP_STRIDE_5_0_3]
    __attribute__((aligned(16)));

// exported says whether the host exports a symbol. That, never a version
// string, tells what it is: other builds and forks say other things of
// themselves.
static bool exported(const char *symbol) { return dlsym(RTLD_DEFAULT, symbol) != NULL; }

static enum layout probe(void)
{
    static const struct host_symbol symbols[] = {
        {(void **) &host.filter_get_property, "flb_filter_get_property"},
        {(void **) &host.filter_set_context, "flb_filter_set_context"},
        {(void **) &host.filter_name, "flb_filter_name"},
        {(void **) &host.log_print, "flb_log_print"},
    };

    if (host_look_up(symbols, sizeof(symbols) / sizeof(symbols[0])) != NULL) {
        return LAYOUT_UNKNOWN;
    }

    // Each of these came with the release that changed the layout.
    bool since_2_1 = exported("flb_log_event_decoder_init");
    bool since_2_2 = exported("flb_proxy_output_cb_init");
    bool since_3_2 = exported("flb_notification_enqueue");
    bool since_5_0_3 = exported("flb_config_map_get_raw");

    if ((since_5_0_3 && !since_3_2) || (since_3_2 && !since_2_2) || (since_2_2 && !since_2_1)) {
        return LAYOUT_UNKNOWN;
    }
    return since_3_2 ? LAYOUT_3_2 : since_2_2 ? LAYOUT_2_2 : since_2_1 ? LAYOUT_2_1 : LAYOUT_1_8;
}

const char *border_property(struct instance *inst, const char *name)
{
    return inst->processor ? processor_property(inst, name)
                           : host.filter_get_property(name, inst->ins);
}

const char *border_name(const struct instance *inst)
{
    if (inst->name != NULL) {
        return inst->name;
    }
    return inst->processor ? processor_name(inst) : host.filter_name(inst->ins);
}

void *border_alloc(size_t size) { return malloc(size); }

void border_append_line(struct log_line ***end, int level, const char *text, size_t len)
{
    struct log_line *line = malloc(sizeof(*line) + len + 1);

    if (line == NULL) {
        return;
    }
    line->next = NULL;
    line->level = level;
    memcpy(line->text, text, len);
    line->text[len] = '\0';
    **end = line;
    *end = &line->next;
}

void border_log(struct instance *inst, int level, const char *text, size_t len)
{
    struct job *job = inst->current;

    if (level <= inst->log_level && job != NULL) {
        border_append_line(&job->lines_end, level, text, len);
    }
}

void border_print(const struct instance *inst, int level, const char *text)
{
    if (level <= inst->log_level) {
        host.log_print(level, NULL, 0, "[%s:%s:%s] %s", inst->processor ? "processor" : "filter",
                       inst->plugin, border_name(inst), text);
    }
}

void border_call(struct instance *inst, struct job *job)
{
    run_job(inst, job);
    for (struct log_line *line = job->lines, *next; line != NULL; line = next) {
        next = line->next;
        border_print(inst, line->level, line->text);
        free(line);
    }
}

// effective_log_level reads the log level of the instance, which no function of
// the host answers. struct flb_filter_instance begins, up to 2.0, with int id,
// int log_level, char name[32]; since 2.1 with int event_type, int id, int
// log_level, int log_suppress_interval, char name[32]. The name, which is the
// plugin's with a number, proves the place.
static int effective_log_level(struct flb_filter_instance *ins, const char *plugin)
{
    size_t at = layout >= LAYOUT_2_1 ? 8 : 4;
    const char *name = (const char *) ins + 2 * at;
    size_t len = strlen(plugin);
    int level;

    if (strncmp(name, plugin, len) != 0 || name[len] != '.') {
        return FLB_LOG_INFO;
    }
    memcpy(&level, (const char *) ins + at, sizeof(level));
    return level >= 0 ? level : FLB_LOG_INFO;
}

static int drop_pages(struct dl_phdr_info *info, size_t size, void *own)
{
    uintptr_t page = (uintptr_t) sysconf(_SC_PAGESIZE);
    bool here = false;

    (void) size;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *p = &info->dlpi_phdr[i];

        here |= p->p_type == PT_LOAD && (uintptr_t) own - info->dlpi_addr - p->p_vaddr < p->p_memsz;
    }
    for (int i = 0; here && i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *p = &info->dlpi_phdr[i];
        uintptr_t from = (info->dlpi_addr + p->p_vaddr) & -page;

        if (p->p_type == PT_LOAD && (p->p_flags & PF_W) == 0) {
            madvise((void *) from, info->dlpi_addr + p->p_vaddr + p->p_memsz - from, MADV_DONTNEED);
        }
    }
    return here;
}

void border_drop_pages(void) { dl_iterate_phdr(drop_pages, (void *) border_drop_pages); }

// The instances that run, from border_enter_running to border_end. One of them may still be starting, or have failed to.
static struct {
    pthread_mutex_t lock;
    struct instance *first;
} running = {.lock = PTHREAD_MUTEX_INITIALIZER};

void border_enter_running(struct instance *inst)
{
    pthread_mutex_lock(&running.lock);
    inst->next = running.first;
    running.first = inst;
    pthread_mutex_unlock(&running.lock);
}

static void leave_running(struct instance *inst)
{
    pthread_mutex_lock(&running.lock);
    for (struct instance **p = &running.first; *p != NULL; p = &(*p)->next) {
        if (*p == inst) {
            *p = inst->next;
            break;
        }
    }
    pthread_mutex_unlock(&running.lock);
}

struct instance *border_lock_running(void)
{
    pthread_mutex_lock(&running.lock);
    return running.first;
}

void border_unlock_running(void) { pthread_mutex_unlock(&running.lock); }

struct instance *border_running(const void *ins)
{
    struct instance *p;

    pthread_mutex_lock(&running.lock);
    for (p = running.first; p != NULL && p->ins != ins; p = p->next) {}
    pthread_mutex_unlock(&running.lock);
    return p;
}

int border_siblings(const struct instance *inst)
{
    int n = 0;

    pthread_mutex_lock(&running.lock);
    for (struct instance *p = running.first; p != NULL; p = p->next) {
        n += p->processor && p->owner == inst->owner && p->signal == inst->signal;
    }
    pthread_mutex_unlock(&running.lock);
    return n;
}

// other_pipeline_runs says whether an instance of another configuration runs. Filters of one pipeline are
// checked and started in turn, with one configuration; those of a reload are checked, with another, before
// the ones that run are stopped (src/flb_filter.c, src/flb_reload.c, 2.2 to 5.1).
static bool other_pipeline_runs(const struct flb_config *config)
{
    bool found = false;

    pthread_mutex_lock(&running.lock);
    for (struct instance *p = running.first; p != NULL; p = p->next) {
        found |= p->config != config;
    }
    pthread_mutex_unlock(&running.lock);
    return found;
}

struct instance *border_begin(void *ins, struct flb_config *config, const char *plugin,
                              bool processor, int log_level)
{
    struct instance *inst = calloc(1, sizeof(*inst));
    int error;

    if (inst == NULL) {
        return NULL;
    }
    inst->ins = ins;
    inst->processor = processor;
    inst->plugin = plugin;
    inst->config = config;
    inst->log_level = log_level;

    const char *lack = border_start_go();

    if (lack != NULL) {
        border_print(inst, FLB_LOG_ERROR, lack);
        free(inst);
        return NULL;
    }
    error = start_instance_thread(inst);
    if (error != 0) {
        char text[128];

        snprintf(text, sizeof(text), "can't start a thread: %s", strerror(error));
        border_print(inst, FLB_LOG_ERROR, text);
        free(inst);
        return NULL;
    }
    return inst;
}

static struct instance *begin(struct flb_filter_instance *ins, struct flb_config *config,
                              const char *plugin)
{
    return border_begin(ins, config, plugin, false, effective_log_level(ins, plugin));
}

void border_end(struct instance *inst)
{
    struct job job = {.kind = JOB_STOP};

    leave_running(inst);
    border_call(inst, &job);
    free(inst->emits.name);
    free(inst->name);
    free(inst);
}

static int init(struct flb_filter_instance *ins, struct flb_config *config, const char *plugin)
{
    struct instance *inst = begin(ins, config, plugin);
    struct job job = {.kind = JOB_START};

    if (inst == NULL) {
        return -1;
    }
    border_call(inst, &job);
    host.filter_set_context(ins, inst);
    border_enter_running(inst);
    if (job.result != 0 || !emission_start(inst)) {
        host.filter_set_context(ins, NULL);
        border_end(inst);
        return -1;
    }
    metrics_start(inst);
    border_drop_pages();
    return 0;
}

// pre_run says whether an instance with these properties would start. Since 2.2, Fluent Bit asks
// before each start, and at a hot reload (since 5.1 at --dry-run too) before it stops the filters
// that run: it goes on with these if the answer is not 0 (src/flb_filter.c, src/flb_reload.c,
// src/fluent-bit.c).
static int pre_run(struct flb_filter_instance *ins, struct flb_config *config, const char *plugin)
{
    struct instance *inst = begin(ins, config, plugin);
    struct job job = {.kind = JOB_CHECK};

    if (inst == NULL) {
        return -1;
    }
    inst->reloads = other_pipeline_runs(config);
    host.filter_set_context(ins, inst); // by which border_filters_before finds the others
    border_call(inst, &job);
    host.filter_set_context(ins, NULL);
    if (job.result == 0 && !emission_check(inst)) {
        job.result = -1;
    }
    border_end(inst);
    return job.result;
}

static int pre_run_wasmtime(struct flb_filter_instance *ins, struct flb_config *config, void *data)
{
    (void) data;
    return pre_run(ins, config, "wasmtime");
}

static int pre_run_wasm(struct flb_filter_instance *ins, struct flb_config *config, void *data)
{
    (void) data;
    return pre_run(ins, config, "wasm");
}

static int init_wasmtime(struct flb_filter_instance *ins, struct flb_config *config, void *data)
{
    (void) data;
    return init(ins, config, "wasmtime");
}

static int init_wasm(struct flb_filter_instance *ins, struct flb_config *config, void *data)
{
    (void) data;
    return init(ins, config, "wasm");
}

static int filter(const void *data, size_t size, const char *tag, int tag_len, void **out,
                  size_t *out_size, struct flb_filter_instance *ins,
                  struct flb_input_instance *input, void *context, struct flb_config *config)
{
    struct job job = {
        .kind = JOB_FILTER, .data = data, .size = size, .tag = tag, .tag_len = tag_len};

    (void) ins;
    (void) config;
    if (context == NULL) {
        return FLB_FILTER_NOTOUCH;
    }
    emission_begin(context, input, &job);
    border_call(context, &job);
    emission_deliver(context, input, &job);
    if (job.result == FLB_FILTER_MODIFIED) {
        *out = job.out;
        *out_size = job.out_size;
    }
    return job.result;
}

static int stop(void *context, struct flb_config *config)
{
    (void) config;
    if (context != NULL) {
        emission_stop(context);
        metrics_stop(context);
        border_end(context);
    }
    return 0;
}

static const char *refusal;
static bool second_copy;

bool border_second_copy(void) { return second_copy; }

// Go plugins bring a config map since 5.1.1, whose entries have the stride of 5.0.3.
void *border_output_options(void)
{
    return exported("flb_config_map_get_raw") ? output_config_map : NULL;
}

// refuse stands where a host of unknown layout may look for cb_pre_run, cb_init
// or, since it starts nothing, anything else; and in a second copy of the plugin.
static int refuse(struct flb_filter_instance *ins, struct flb_config *config, void *data)
{
    (void) ins;
    (void) config;
    (void) data;
    fprintf(stderr, "[filter:wasmtime] %s\n", refusal);
    return -1;
}

static void fill(union plugin *p, const char *name, start_function cb_pre_run,
                 start_function cb_init)
{
    p->head.name = name;
    p->head.description = "WebAssembly filter on wasmtime";
    if (refusal != NULL) {
        start_function *callbacks = (start_function *) (&p->head + 1);

        for (int i = 0; i < 5; i++) {
            callbacks[i] = refuse;
        }
        return;
    }

    p->head.config_map = config_map;
    p->head.first = layout >= LAYOUT_2_1 ? EVENT_TYPE_LOGS : 0;
    if (layout >= LAYOUT_2_2) {
        p->v2_2.cb_pre_run = cb_pre_run;
        p->v2_2.cb_init = cb_init;
        p->v2_2.cb_filter = filter;
        p->v2_2.cb_exit = stop;
    }
    else {
        p->v1_8.cb_init = cb_init;
        p->v1_8.cb_filter = filter;
        p->v1_8.cb_exit = stop;
    }
}

struct objects {
    char path[8][4096];
    int count;
};

// collect keeps the paths of objects that may be copies of this one.
static int collect(struct dl_phdr_info *info, size_t size, void *data)
{
    struct objects *o = data;

    (void) size;
    if (info->dlpi_name != NULL && strstr(info->dlpi_name, "wasm") != NULL &&
        o->count < (int) (sizeof(o->path) / sizeof(o->path[0])) &&
        strlen(info->dlpi_name) < sizeof(o->path[0])) {
        strcpy(o->path[o->count++], info->dlpi_name);
    }
    return 0;
}

// loaded_before says whether another copy of this library is in the process: two
// copies are two Go runtimes, which Go does not support. Links to one file are
// one library.
static bool loaded_before(void)
{
    static struct objects objects;

    dl_iterate_phdr(collect, &objects);
    for (int i = 0; i < objects.count; i++) {
        void *other = dlopen(objects.path[i], RTLD_LAZY | RTLD_NOLOAD);
        void *symbol = other != NULL ? dlsym(other, "filter_wasmtime_plugin") : NULL;

        if (other != NULL) {
            dlclose(other);
        }
        if (symbol != NULL && symbol != (void *) &filter_wasmtime_plugin) {
            return true;
        }
    }
    return false;
}

// load runs before the host can look anything up.
__attribute__((constructor)) static void load(void)
{
    layout = probe();
    second_copy = loaded_before();
    if (layout == LAYOUT_UNKNOWN) {
        refusal = "this program is not a Fluent Bit that the plugin knows (1.9 to 5.1): it does "
                  "not export what those do";
    }
    else if (second_copy) {
        refusal = "another copy of this plugin is loaded already: load one flb-filter_wasmtime.so, "
                  "and beside it the small files of other names that come with it, or links";
    }

    size_t stride =
        exported("flb_config_map_get_raw") ? CONFIG_MAP_STRIDE_5_0_3 : CONFIG_MAP_STRIDE_1_8;
    for (int i = 0; i < OPTIONS; i++) {
        memcpy(config_map + i * stride, &options[i], sizeof(options[i]));
        memcpy(output_config_map + i * stride, &options[i], sizeof(options[i]));
    }
    for (int i = 0; i < OUTPUT_OPTIONS; i++) {
        memcpy(output_config_map + (OPTIONS + i) * stride, &output_options[i],
               sizeof(output_options[i]));
    }

    processor_fill(refusal, config_map);
    fill(&filter_wasmtime_plugin, "wasmtime", pre_run_wasmtime, init_wasmtime);
    fill(&filter_wasm_plugin, "wasm", pre_run_wasm, init_wasm);
}
