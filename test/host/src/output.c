// A stand-in for Fluent Bit's Go proxy and its output side: it loads the plugin,
// makes instances and flushes chunks, each on a coroutine whose stack is as small as
// the host's. DEFINITION is how many bytes struct flb_plugin_proxy_def has: 32 up to
// 4.1, 40 up to 5.1.0, 48 since.
//
// It reads commands, a line each, and answers "ok ..." or "err ..."; a flush is
// answered later, by "done ID RESULT". Bytes are x and hexadecimal digits.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <malloc.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

enum { STACK_BYTES = 24 * 1024, MAX_INSTANCES = 16, MAX_OPTIONS = 32 };

// struct mk_list and struct flb_kv
struct list {
    struct list *prev, *next;
};

struct property {
    char *key, *value;
    struct list link;
};

// The list of properties stands somewhere in the middle, between lists of other things.
struct instance {
    char name[32];
    struct list event, empty, properties, tasks;
    struct property property[MAX_OPTIONS];
    int options;
    struct proxy_context *context;
};

static void append(struct list *list, struct list *link)
{
    link->prev = list->prev;
    link->next = list;
    link->prev->next = list->prev = link;
}

struct proxy_context {
    void *remote_context;
    void *proxy;
};

struct api {
    const char *(*output_get_property)(const char *, struct instance *);
    void *rest[8];
};

struct go_plugin {
    char *name;
    struct api *api;
    struct instance *o_ins;
    struct proxy_context *context;
};

static struct instance instances[MAX_INSTANCES];
static int instance_count;
static pthread_mutex_t out = PTHREAD_MUTEX_INITIALIZER;

static int (*plugin_register)(void *);
static int (*plugin_init)(struct go_plugin *);
static int (*plugin_flush)(void *, const void *, size_t, char *);
static int (*plugin_exit)(void *);

// What the plugin looks up.
const char *flb_filter_get_property(const char *key, void *ins)
{
    (void) key;
    (void) ins;
    return NULL;
}
void flb_filter_set_context(void *ins, void *context)
{
    (void) ins;
    (void) context;
}
const char *flb_filter_name(void *ins)
{
    (void) ins;
    return "none";
}
void flb_log_event_decoder_init(void) {}
void flb_proxy_output_cb_init(void) {}
#if DEFINITION >= 40
void flb_notification_enqueue(void) {}
#endif
#if DEFINITION >= 48
void flb_config_map_get_raw(void) {}
#endif

const char *flb_output_name(struct instance *ins) { return ins->name; }
#if DEFINITION >= 40
int flb_output_log_check(struct instance *ins, int level)
{
    (void) ins;
    return level <= 3;
}
#endif

static __thread int in_host; // the log belongs to threads of the host

#if DEFINITION >= 40
// The engine's event loop: a thread that calls what flb_sched_timer_cb_create has been
// given, as long as the engine lives.
struct timer {
    void (*cb)(void *config, void *data);
    void *data;
    int ms;
};

static char engine; // what the plugin takes for its scheduler
static pthread_mutex_t engine_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t went_round = PTHREAD_COND_INITIALIZER;
static bool rounds, engine_ended;

static void *timer_main(void *arg)
{
    struct timer *timer = arg;

    for (;;) {
        usleep((useconds_t) timer->ms * 1000);
        pthread_mutex_lock(&engine_lock);
        if (!engine_ended) {
            timer->cb(NULL, timer->data);
            rounds = true;
            pthread_cond_signal(&went_round);
        }
        pthread_mutex_unlock(&engine_lock);
    }
    return NULL;
}

static void end_engine(void)
{
    pthread_mutex_lock(&engine_lock);
    while (!rounds) {
        pthread_cond_wait(&went_round, &engine_lock);
    }
    engine_ended = true;
    pthread_mutex_unlock(&engine_lock);
}

void *flb_sched_ctx_get(void) { return &engine; }

int flb_sched_timer_cb_create(void *sched, int type, int ms, void (*cb)(void *, void *), void *data,
                              void **out)
{
    struct timer *timer = malloc(sizeof(*timer));
    pthread_t thread;

    if (sched != &engine || type != 4) {
        return -1;
    }
    *timer = (struct timer) {cb, data, ms};
    *out = timer;
    return pthread_create(&thread, NULL, timer_main, timer);
}
#endif

static void say(const char *fmt, ...)
{
    va_list args;

    pthread_mutex_lock(&out);
    va_start(args, fmt);
    vprintf(fmt, args);
    va_end(args);
    putchar('\n');
    fflush(stdout);
    pthread_mutex_unlock(&out);
}

void flb_log_print(int type, const char *file, int line, const char *fmt, ...)
{
    va_list args;
    char text[4096];

    (void) file;
    (void) line;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    for (char *c = text; *c != '\0'; c++) {
        if (*c == '\n') {
            *c = '|';
        }
    }
    say("log %d %d %s", type, in_host, text);
}

static const char *get_property(const char *key, struct instance *ins)
{
    for (int i = 0; i < ins->options; i++) {
        if (strcasecmp(ins->property[i].key, key) == 0) {
            return ins->property[i].value;
        }
    }
    return NULL;
}

static struct api api = {.output_get_property = get_property};

static char *unhex(const char *word, size_t *size)
{
    size_t n = strlen(word) / 2;
    char *bytes = malloc(n + 1);
    unsigned int byte;

    for (size_t i = 0; i < n; i++) {
        sscanf(word + 1 + 2 * i, "%2x", &byte);
        bytes[i] = (char) byte;
    }
    bytes[n] = '\0';
    if (size != NULL) {
        *size = n;
    }
    return bytes;
}

struct flush {
    char id[32];
    bool worker;
    struct instance *ins;
    char *tag, *data;
    size_t size;
    int result;
    ucontext_t caller, callee;
};

static void on_coroutine(unsigned int low, unsigned int high)
{
    struct flush *f = (void *) ((uintptr_t) low | (uintptr_t) high << 32);

    f->result = plugin_flush(f->ins->context->remote_context, f->data, f->size, f->tag);
}

static void *flush_main(void *arg)
{
    struct flush *f = arg;
    size_t page = (size_t) sysconf(_SC_PAGESIZE);
    char *stack =
        mmap(NULL, STACK_BYTES + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    in_host = 1;
    prctl(PR_SET_NAME, f->worker ? "flb-out-wasmtime.0-w0" : "flb-pipeline");
    mprotect(stack, page, PROT_NONE);
    getcontext(&f->callee);
    f->callee.uc_stack.ss_sp = stack + page;
    f->callee.uc_stack.ss_size = STACK_BYTES;
    f->callee.uc_link = &f->caller;
    makecontext(&f->callee, (void (*)(void)) on_coroutine, 2, (unsigned int) (uintptr_t) f,
                (unsigned int) ((uintptr_t) f >> 32));
    swapcontext(&f->caller, &f->callee);
    munmap(stack, STACK_BYTES + page);

    // The chunk is the host's again: it must not be read any more.
    memset(f->data, 0xc1, f->size);
    free(f->data);
    free(f->tag);
    say("done %s %d", f->id, f->result);
    free(f);
    return NULL;
}

static void load(char **words)
{
    void *object = dlopen(unhex(words[1], NULL), RTLD_LAZY);
    char *def;

    if (object == NULL) {
        say("err %s", dlerror());
        return;
    }
    *(void **) &plugin_register = dlsym(object, "FLBPluginRegister");
    *(void **) &plugin_init = dlsym(object, "FLBPluginInit");
    *(void **) &plugin_flush = dlsym(object, "FLBPluginFlushCtx");
    *(void **) &plugin_exit = dlsym(object, "FLBPluginExitCtx");
    if (!plugin_register || !plugin_init || !plugin_flush || !plugin_exit) {
        say("err a symbol of the Go proxy is missing");
        return;
    }
    def = calloc(1, DEFINITION); // what is written behind it, glibc finds out below
    int ret = plugin_register(def);
    void *map = NULL;
    int options = 0;
#if DEFINITION >= 48
    memcpy(&map, def + 40, sizeof(map));
    for (char *entry = map; entry != NULL && *(char **) (entry + 8) != NULL; entry += 104) {
        options++;
    }
#endif
    for (int i = 0; i < 64; i++) { // a damaged heap aborts
        free(malloc((size_t) DEFINITION + (size_t) i));
    }
    say("ok ret=%d type=%d proxy=%d name=%s map=%d options=%d", ret, *(int *) def,
        *(int *) (def + 4), *(char **) (def + 16), map != NULL, options);
}

static void command(char **words, int count)
{
    struct instance *ins = count > 1 ? &instances[atoi(words[1]) % MAX_INSTANCES] : NULL;
    pthread_attr_t attr;
    pthread_t thread;

    if (strcmp(words[0], "load") == 0) {
        load(words);
    }
    else if (strcmp(words[0], "new") == 0) {
        ins = &instances[instance_count];
        static struct property task = {"emit_to", "stdout", {NULL, NULL}};

        snprintf(ins->name, sizeof(ins->name), "wasmtime.%d", instance_count);
        ins->event = (struct list) {NULL, (struct list *) 16}; // nothing that can be read
        ins->empty = (struct list) {&ins->empty, &ins->empty};
        ins->properties = (struct list) {&ins->properties, &ins->properties};
        ins->tasks = (struct list) {&ins->tasks, &ins->tasks};
        append(&ins->tasks, &task.link);
        say("ok instance=%d", instance_count++);
    }
    else if (strcmp(words[0], "set") == 0) {
        struct property *p = &ins->property[ins->options++];

        p->key = unhex(words[2], NULL);
        p->value = unhex(words[3], NULL);
        append(&ins->properties, &p->link);
        say("ok");
    }
    else if (strcmp(words[0], "init") == 0) {
        ins->context = calloc(1, sizeof(*ins->context));
        struct go_plugin plugin = {
            .name = "wasmtime", .api = &api, .o_ins = ins, .context = ins->context};
        say("ok ret=%d", plugin_init(&plugin));
    }
    else if (strcmp(words[0], "flush") == 0) { // INSTANCE ID WORKER TAG DATA
        struct flush *f = calloc(1, sizeof(*f));
        f->ins = ins;
        snprintf(f->id, sizeof(f->id), "%s", words[2]);
        f->worker = strcmp(words[3], "1") == 0;
        f->tag = unhex(words[4], NULL);
        f->data = unhex(words[5], &f->size);
        pthread_attr_init(&attr);
        pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
        pthread_create(&thread, &attr, flush_main, f);
        pthread_attr_destroy(&attr);
        say("ok");
    }
#if DEFINITION >= 40
    else if (strcmp(words[0], "end-engine") == 0) {
        end_engine();
        say("ok");
    }
#endif
    else if (strcmp(words[0], "fork") == 0) { // goes on as a child, as with Daemon On
        pid_t child = fork();
        int status;

        if (child != 0) {
            waitpid(child, &status, 0);
            _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
        }
        say("ok");
    }
    else if (strcmp(words[0], "exit") == 0) {
        say("ok ret=%d", plugin_exit(ins->context->remote_context));
    }
    else {
        say("err no such command");
    }
}

int main(void)
{
    char *line = NULL;
    size_t room = 0;

    in_host = 1;
    while (getline(&line, &room, stdin) > 0) {
        char *words[8] = {0}, *save;
        int count = 0;

        for (char *w = strtok_r(line, " \n", &save); w != NULL && count < 8;
             w = strtok_r(NULL, " \n", &save)) {
            words[count++] = w;
        }
        if (count > 0) {
            command(words, count);
        }
    }
    return 0;
}
