/*
 * A stand-in for Fluent Bit. It loads a plugin's shared object, lays out the
 * structures and exports the symbols of one family of versions (layout.h), and
 * calls the plugin in the order and from the kinds of threads and stacks in
 * which Fluent Bit calls it.
 *
 * It reads one command per line and answers with lines of its own: any number
 * of "log LEVEL TEXT" and other details, then "ok ..." or "err TEXT". Texts and
 * bytes are hexadecimal behind an x, so that "x" is the empty string.
 */
#define _GNU_SOURCE

#include "layout.h"
#ifndef PLAIN_MALLOC                /* which is for benchmarks */
#include "memory.h"
#endif
#include "metrics.h"
#include "emitter.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#define MAX_INSTANCES 320
#define MAX_CHUNKS    1024
#define MAX_THREADS   64

/* Levels of include/fluent-bit/flb_log.h (v5.1.1). */
#define LOG_ERROR 1
#define LOG_INFO  3

/* include/fluent-bit/flb_filter.h (v5.1.1) */
#define FILTER_MODIFIED 1

/* include/fluent-bit/flb_config_map.h (v5.1.1) */
#define MAP_STR_PREFIX 1
#define MAP_MULT       1

static struct config config;
#if FAMILY >= FAMILY_2_2
static struct config next_config; /* that of a reload */
#endif

static void *library;
static struct filter_plugin plugin;
static struct filter_instance *instances[MAX_INSTANCES];
static int instance_count;

struct bytes {
    const char *data;
    size_t size;
};

static struct bytes chunks[MAX_CHUNKS];
static int chunk_count;

static pthread_mutex_t out_lock = PTHREAD_MUTEX_INITIALIZER;

static void put_hex(const void *data, size_t size)
{
    static const char digits[] = "0123456789abcdef";
    const unsigned char *p = data;
    size_t i;

    putchar_unlocked('x');
    for (i = 0; i < size; i++) {
        putchar_unlocked(digits[p[i] >> 4]);
        putchar_unlocked(digits[p[i] & 15]);
    }
}

static void put_text(const char *s)
{
    if (s) {
        put_hex(s, strlen(s));
    }
    else {
        putchar_unlocked('-');
    }
}

static void log_text(int level, const char *text)
{
    pthread_mutex_lock(&out_lock);
    printf("log %i ", level);
    put_text(text);
    putchar('\n');
    fflush(stdout);
    pthread_mutex_unlock(&out_lock);
}

__attribute__((format(printf, 2, 3))) static void host_log(int level, const char *format, ...)
{
    char text[4096];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    log_text(level, text);
}

__attribute__((format(printf, 1, 2))) static void ok(const char *format, ...)
{
    va_list args;

    pthread_mutex_lock(&out_lock);
    fputs("ok ", stdout);
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    putchar('\n');
    fflush(stdout);
    pthread_mutex_unlock(&out_lock);
}

__attribute__((format(printf, 1, 2))) static void fail(const char *format, ...)
{
    char text[4096];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    pthread_mutex_lock(&out_lock);
    fputs("err ", stdout);
    put_text(text);
    putchar('\n');
    fflush(stdout);
    pthread_mutex_unlock(&out_lock);
}

static struct property *property_at(struct list *link)
{
    return (struct property *) ((char *) link - offsetof(struct property, link));
}

#if FAMILY != FAMILY_UNKNOWN

const char *flb_filter_name(struct filter_instance *ins)
{
    return ins->alias ? ins->alias : ins->name;
}

/* Keys are compared without case (src/flb_kv.c, v5.1.1). */
const char *flb_filter_get_property(const char *key, struct filter_instance *ins)
{
    struct list *at;

    for (at = ins->properties.next; at != &ins->properties; at = at->next) {
        struct property *p = property_at(at);

        if (strcasecmp(p->key, key) == 0) {
            return p->value;
        }
    }
    return NULL;
}

void flb_filter_set_context(struct filter_instance *ins, void *context) { ins->context = context; }

__attribute__((format(printf, 4, 5))) void flb_log_print(int type, const char *file, int line,
                                                         const char *format, ...)
{
    char text[4096];
    va_list args;

    (void) file;
    (void) line;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    log_text(type, text);
}

#endif

/*
 * Symbols that mark a version. A plugin may look them up, and nothing else: the
 * stubs end the host if they are called.
 */
#define MARKER(name) \
    void name(void); \
    void name(void) \
    { \
        host_log(LOG_ERROR, "the plugin called " #name); \
        abort(); \
    }

#if FAMILY >= FAMILY_2_1
MARKER(flb_log_event_decoder_init)  /* v2.1.0; not in v2.0.14 */
#endif
#if FAMILY >= FAMILY_2_2
MARKER(flb_proxy_output_cb_init)    /* v2.2.0; not in v2.1.10 */
MARKER(flb_log_worker_destroy)      /* v2.2.0; not in v2.1.10 */
MARKER(flb_processor_create)        /* v2.2.3; not in v1.9.10 */
#endif
#if FAMILY >= FAMILY_3_2
MARKER(flb_notification_enqueue)    /* v3.2.0; not in v3.1.10 */
#endif
#if FAMILY >= FAMILY_5_0_3
MARKER(flb_config_map_get_raw)      /* v5.0.3; not in v5.0.2 */
#endif

static char *next_word(char **line)
{
    char *word = strsep(line, " ");

    return word ? word : "";
}

static int next_int(char **line) { return atoi(next_word(line)); }

static int hex_digit(int c) { return c <= '9' ? c - '0' : c - 'a' + 10; }

/* Decodes a word in place, with a NUL behind it, and answers its length. */
static size_t unhex(char *word)
{
    size_t n = 0;
    const char *p = word;

    if (*p == 'x') {
        for (p++; p[0] && p[1]; p += 2) {
            word[n++] = (char) (hex_digit(p[0]) << 4 | hex_digit(p[1]));
        }
    }
    word[n] = '\0';
    return n;
}

static char *next_text(char **line)
{
    char *word = next_word(line);

    unhex(word);
    return word;
}

/*
 * Copies bytes to the end of a page that may only be read, before a page that
 * may not be touched: a plugin that writes into what it borrowed, or reads past
 * its end, crashes.
 */
static const char *borrowed(const void *data, size_t size)
{
    size_t page = (size_t) sysconf(_SC_PAGESIZE);
    size_t room = (size + page - 1) / page * page + page;
    char *base =
        mmap(NULL, room + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *p;

    if (base == MAP_FAILED) {
        perror("mmap");
        abort();
    }
    p = base + room - size;
    memcpy(p, data, size);
    mprotect(base, room, PROT_READ);
    mprotect(base + room, page, PROT_NONE);
    return p;
}

/* The tag as such bytes: those of the tests are few, and each has pages once. */
static struct bytes borrowed_tag(const void *tag, size_t size)
{
    static struct bytes tags[256];
    static size_t count;

    for (size_t i = 0; i < count; i++) {
        if (tags[i].size == size && memcmp(tags[i].data, tag, size) == 0) {
            return tags[i];
        }
    }
    struct bytes b = {borrowed(tag, size), size};

    if (count < sizeof(tags) / sizeof(tags[0])) {
        tags[count++] = b;
    }
    return b;
}

/* flb-filter_NAME.so holds filter_NAME_plugin (src/flb_plugin.c, v5.1.1). */
static int symbol_of(const char *path, char *symbol, size_t room)
{
    const char *base = strrchr(path, '/');
    size_t length;

    base = base ? base + 1 : path;
    length = strlen(base);
    if (strncmp(base, "flb-", 4) != 0 || length < 7 || strcmp(base + length - 3, ".so") != 0) {
        return -1;
    }
    snprintf(symbol, room, "%.*s_plugin", (int) (length - 7), base + 4);
    return strncmp(symbol, "filter_", 7) == 0 ? 0 : -1;
}

/* What a host with the built-in filter exports, filled in: a plugin must not reach it. */
#define BUILT_IN "the host's own filter"
char filter_wasm_plugin[512] = BUILT_IN;
char filter_wasmtime_plugin[512] = BUILT_IN;

static int own_is_intact(const char *own)
{
    static const char intact[512] = BUILT_IN;

    return memcmp(own, intact, sizeof(intact)) == 0;
}

static void load(char *line)
{
    char *path = next_text(&line);
    char symbol[256];
    void *registration;

    if (symbol_of(path, symbol, sizeof(symbol)) != 0) {
        fail("%s is not the name of a native filter", path);
        return;
    }
    library = dlopen(path, RTLD_LAZY);
    if (!library) {
        fail("%s", dlerror());
        return;
    }
    registration = dlsym(library, symbol);
    if (!registration) {
        fail("registration structure %s is missing", symbol);
        return;
    }
    if (!own_is_intact(filter_wasm_plugin) || !own_is_intact(filter_wasmtime_plugin)) {
        fail("the plugin wrote into a filter of the host");
        return;
    }
    memcpy(&plugin, registration, sizeof(plugin));

    pthread_mutex_lock(&out_lock);
    fputs("ok name=", stdout);
    put_text(plugin.name);
    fputs(" description=", stdout);
    put_text(plugin.description);
    printf(" flags=%i map=%i", plugin.flags, plugin.config_map != NULL);
#if FAMILY >= FAMILY_2_1
    printf(" event_type=%i", plugin.event_type);
#endif
#if FAMILY >= FAMILY_2_2
    printf(" pre_run=%i", plugin.cb_pre_run != NULL);
#endif
#if FAMILY >= FAMILY_3_2
    printf(" notification=%i", plugin.cb_notification != NULL);
#endif
    printf(" init=%i filter=%i exit=%i\n", plugin.cb_init != NULL, plugin.cb_filter != NULL,
           plugin.cb_exit != NULL);
    fflush(stdout);
    pthread_mutex_unlock(&out_lock);
}

static void unload(char *line)
{
    (void) line;
    memset(&plugin, 0, sizeof(plugin));
    instance_count = 0;
    if (dlclose(library) != 0) {
        fail("%s", dlerror());
        return;
    }
    library = NULL;
    ok("unloaded");
}

static void show_map(char *line)
{
    const struct config_map *m;

    (void) line;
    if (!plugin.config_map) {
        fail("no config map");
        return;
    }
    pthread_mutex_lock(&out_lock);
    for (m = plugin.config_map; m->name; m++) {
        printf("entry %i ", m->type);
        put_text(m->name);
        putchar(' ');
        put_text(m->def_value);
        printf(" %i %i %ju ", m->flags, m->set_property, (uintmax_t) m->offset);
        put_text(m->desc);
        putchar('\n');
    }
    puts("ok");
    fflush(stdout);
    pthread_mutex_unlock(&out_lock);
}

static void new_instance(char *line)
{
    struct filter_instance *ins = calloc(1, sizeof(*ins));

    (void) line;
    if (!ins || instance_count == MAX_INSTANCES || !plugin.name) {
        fail("no instance");
        free(ins);
        return;
    }
    memset(ins->poison, 0xee, sizeof(ins->poison));
    memset(ins->poison_behind_context, 0xee, sizeof(ins->poison_behind_context));
    memset(ins->poison_behind_properties, 0xee, sizeof(ins->poison_behind_properties));
    memset(ins->poison_at_end, 0xee, sizeof(ins->poison_at_end));
    make_cmt(ins);
    ins->cmt_made = ins->cmt;
    ins->properties.prev = ins->properties.next = &ins->properties;
#if FAMILY >= FAMILY_2_1
    ins->event_type = plugin.event_type ? plugin.event_type : 1;
    ins->log_suppress_interval = -1;
#endif
    ins->id = instance_count;
    ins->log_level = -1;
    snprintf(ins->name, sizeof(ins->name), "%s.%i", plugin.name, ins->id);
    list_add(&config.filters, &ins->link);
    ins->pipeline = &config;
    instances[instance_count] = ins;
    ok("instance=%i", instance_count++);
}

static struct filter_instance *next_instance(char **line)
{
    int i = next_int(line);

    if (i < 0 || i >= instance_count || !instances[i]) {
        fprintf(stderr, "[host] no instance %i\n", i);
        abort();
    }
    return instances[i];
}

static void set_property(char *line)
{
    struct filter_instance *ins = next_instance(&line);
    char *key = next_text(&line);
    char *value = next_text(&line);
    struct property *p;

    /* Properties of the host itself (src/flb_filter.c, v5.1.1). */
    if (strcasecmp(key, "alias") == 0) {
        ins->alias = strdup(value);
    }
    else if (strcasecmp(key, "log_level") == 0) {
        ins->log_level = atoi(value);
    }
    else {
        p = calloc(1, sizeof(*p));
        p->key = strdup(key);
        p->value = strdup(value);
        p->link.prev = ins->properties.prev;
        p->link.next = &ins->properties;
        p->link.prev->next = p->link.next->prev = &p->link;
    }
    ok("set");
}

/* As src/flb_config_map.c (v5.1.1) checks: names without case, counts with it. */
static int properties_are_known(struct filter_instance *ins)
{
    const struct config_map *m;
    struct list *at;
    struct list *other;
    int count;

    for (at = ins->properties.next; at != &ins->properties; at = at->next) {
        const struct property *p = property_at(at);

        for (m = plugin.config_map; m->name; m++) {
            if (m->type == MAP_STR_PREFIX ? strncasecmp(p->key, m->name, strlen(m->name)) == 0
                                          : strcasecmp(m->name, p->key) == 0) {
                break;
            }
        }
        if (!m->name) {
            host_log(LOG_ERROR, "[config] %s: unknown configuration property '%s'", plugin.name,
                     p->key);
            return 0;
        }
        count = 0;
        for (other = ins->properties.next; other != &ins->properties; other = other->next) {
            count += strcmp(p->key, property_at(other)->key) == 0;
        }
        if (count > 1 && (m->flags & MAP_MULT) == 0) {
            host_log(LOG_ERROR, "[config] %s: configuration property '%s' is set %i times",
                     plugin.name, p->key, count);
            return 0;
        }
    }
    return 1;
}

/* list_in has an instance be the last filter of a pipeline, unless it is one of its filters. */
static void list_in(struct config *c, struct filter_instance *ins)
{
    if (ins->pipeline != c) {
        list_del(&ins->link);
        list_add(&c->filters, &ins->link);
        ins->pipeline = c;
    }
}

static void init(char *line)
{
    struct filter_instance *ins = next_instance(&line);
    int result = 0;

    list_in(&config, ins);
    if (ins->log_level == -1) {
        ins->log_level = LOG_INFO;
    }
    if (plugin.config_map && !properties_are_known(ins)) {
        ok("ret=-1 by=host context=0");
        return;
    }
#if FAMILY >= FAMILY_2_2
    if (plugin.cb_pre_run) {
        result = plugin.cb_pre_run(ins, &config, NULL);
    }
#endif
    if (result == 0 && plugin.cb_init) {
        result = plugin.cb_init(ins, &config, NULL);
    }
    ins->initialized = result == 0;
    ok("ret=%i by=plugin context=%i", result, ins->context != NULL);
}

/* As flb_reload (src/flb_reload.c, v5.1.1) asks before it stops the old pipeline. */
static void pre_run(char *line)
{
    struct filter_instance *ins = next_instance(&line);
    int result = 0;

    if (ins->log_level == -1) {
        ins->log_level = LOG_INFO;
    }
#if FAMILY >= FAMILY_2_2
    if (plugin.cb_pre_run) {
        list_in(&next_config, ins);
        result = plugin.cb_pre_run(ins, &next_config, NULL);
    }
#endif
    ok("ret=%i context=%i", result, ins->context != NULL);
}

static int is_poison(const unsigned char *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (bytes[i] != 0xee) {
            return 0;
        }
    }
    return 1;
}

static void exit_instance(char *line)
{
    struct filter_instance *ins = next_instance(&line);
    struct list *at;
    struct list *next;
    int result = 0;

    if (plugin.cb_exit && ins->context) {
        result = plugin.cb_exit(ins->context, &config);
    }
    if (!is_poison(ins->poison, sizeof(ins->poison)) ||
        !is_poison(ins->poison_behind_context, sizeof(ins->poison_behind_context)) ||
        !is_poison(ins->poison_behind_properties, sizeof(ins->poison_behind_properties)) ||
        !is_poison(ins->poison_at_end, sizeof(ins->poison_at_end))) {
        fail("the plugin wrote into the filter instance");
        return;
    }
    for (at = ins->properties.next; at != &ins->properties; at = next) {
        struct property *p = property_at(at);

        next = at->next;
        free(p->key);
        free(p->value);
        free(p);
    }
    if (ins->cmt_made != NULL) {
        destroy_cmt(ins->cmt_made);
    }
    instances[ins->id] = NULL;
    list_del(&ins->link);
    free(ins->alias);
    free(ins);
    ok("ret=%i", result);
}

static void add_chunk(char *line)
{
    char *word = next_word(&line);
    size_t size = unhex(word);

    if (chunk_count == MAX_CHUNKS) {
        fail("too many chunks");
        return;
    }
    chunks[chunk_count].data = borrowed(word, size);
    chunks[chunk_count].size = size;
    ok("chunk=%i", chunk_count++);
}

/* One call of cb_filter and what came of it. The caller frees out. */
struct call {
    struct filter_instance *ins;
    struct bytes chunk;
    struct bytes tag;
    struct input *input;            /* NULL: of none */
    int rounds;
    int verdict;
    void *out;
    size_t out_bytes;
    int stable;                     /* all rounds ended alike */
    int coroutine;                  /* it is called from one */
    pthread_barrier_t *barrier;
};

static void call_filter(struct call *c)
{
    c->out = NULL;
    c->out_bytes = 0;
    c->verdict =
        plugin.cb_filter(c->chunk.data, c->chunk.size, c->tag.data, (int) c->tag.size, &c->out,
                         &c->out_bytes, c->ins, c->input, c->ins->context, &config);
}

static void put_call(const char *word, struct call *c)
{
    pthread_mutex_lock(&out_lock);
    printf("%s verdict=%i size=%zu buffer=%i stable=%i out=", word, c->verdict, c->out_bytes,
           c->out != NULL, c->stable);
    put_hex(c->out, c->out && c->verdict == FILTER_MODIFIED ? c->out_bytes : 0);
    putchar('\n');
    fflush(stdout);
    pthread_mutex_unlock(&out_lock);
    /* The host frees a buffer only if it takes it over. */
    if (c->verdict == FILTER_MODIFIED) {
        free(c->out);
    }
}

static int next_call(char **line, struct call *c)
{
    char *tag;
    int chunk;

    memset(c, 0, sizeof(*c));
    c->ins = next_instance(line);
    tag = next_word(line);
    c->tag = borrowed_tag(tag, unhex(tag));
    chunk = next_int(line);
    if (chunk < 0 || chunk >= chunk_count || !c->ins->initialized) {
        fail("no chunk %i, or instance not initialized", chunk);
        return -1;
    }
    c->chunk = chunks[chunk];
    c->stable = 1;
    return 0;
}

static void filter(char *line)
{
    struct call c;

    if (next_call(&line, &c) == 0) {
        call_filter(&c);
        put_call("ok", &c);
    }
}

static __thread ucontext_t thread_context;
static __thread struct call *coroutine_call;
static __thread void (*coroutine_run)(struct call *);

static void coroutine_main(void) { coroutine_run(coroutine_call); }

/* Runs a function of a call on a stack as a coroutine has it. */
static void on_coroutine(void *stack, size_t stack_bytes, void (*run)(struct call *),
                         struct call *c)
{
    ucontext_t context;

    coroutine_call = c;
    coroutine_run = run;
    getcontext(&context);
    context.uc_stack.ss_sp = stack;
    context.uc_stack.ss_size = stack_bytes;
    context.uc_link = &thread_context;
    makecontext(&context, coroutine_main, 0);
    swapcontext(&thread_context, &context);
}

/* What coroutines have up to Fluent Bit 5.0. */
#define COROUTINE_BYTES (24 * 1024)

static void *storm_thread(void *arg)
{
    struct call *c = arg;
    void *stack = malloc(COROUTINE_BYTES);
    struct call last;
    sigset_t some;
    int i;

    /* A host may block what is not caused by the thread itself. */
    sigfillset(&some);
    sigdelset(&some, SIGSEGV);
    sigdelset(&some, SIGBUS);
    sigdelset(&some, SIGFPE);
    sigdelset(&some, SIGILL);
    sigdelset(&some, SIGTRAP);
    pthread_sigmask(SIG_SETMASK, &some, NULL);
    pthread_barrier_wait(c->barrier);
    for (i = 0; i < c->rounds; i++) {
        last = *c;
        if (c->coroutine) {
            on_coroutine(stack, COROUTINE_BYTES, call_filter, c);
        }
        else {
            call_filter(c);
        }
        if (i > 0) {
            if (c->verdict != last.verdict || c->out_bytes != last.out_bytes ||
                (c->out_bytes > 0 && memcmp(c->out, last.out, c->out_bytes) != 0)) {
                c->stable = 0;
            }
            free(last.out);
        }
    }
    free(stack);
    return NULL;
}

/*
 * storm ROUNDS [INSTANCE TAG CHUNK]...: one thread each, all at once. Of three that
 * follow each other, the last calls from a coroutine.
 */
static void storm(char *line)
{
    static struct call calls[MAX_THREADS];
    pthread_t threads[MAX_THREADS];
    pthread_barrier_t barrier;
    int rounds = next_int(&line);
    int n = 0;
    int i;

    while (line && *line && n < MAX_THREADS) {
        if (next_call(&line, &calls[n]) != 0) {
            return;
        }
        calls[n].rounds = rounds;
        calls[n].coroutine = n % 3 == 2;
        calls[n].barrier = &barrier;
        n++;
    }
    pthread_barrier_init(&barrier, NULL, (unsigned) n);
    for (i = 0; i < n; i++) {
        pthread_create(&threads[i], NULL, storm_thread, &calls[i]);
    }
    for (i = 0; i < n; i++) {
        pthread_join(threads[i], NULL);
        put_call("call", &calls[i]);
    }
    pthread_barrier_destroy(&barrier);
    ok("threads=%i", n);
}

#define CANARY_BYTES (64 * 1024)
#define CANARY_FILL  0xca
#define STACK_FILL   0xc5

/*
 * coroutine STACK INSTANCE TAG CHUNK: cb_filter on a stack from malloc, as in
 * Fluent Bit's coroutines (24 KiB; 64 KiB from v5.1.0). There is no guard page
 * below such a stack, so what lies there is checked afterwards.
 */
static void coroutine(char *line)
{
    size_t stack_bytes = (size_t) next_int(&line);
    struct call c;
    unsigned char *area;
    unsigned char *stack;
    size_t untouched = 0;
    size_t hit = 0;
    size_t i;

    if (next_call(&line, &c) != 0) {
        return;
    }
    area = malloc(CANARY_BYTES + stack_bytes);
    stack = area + CANARY_BYTES;
    memset(area, CANARY_FILL, CANARY_BYTES);
    memset(stack, STACK_FILL, stack_bytes);

    on_coroutine(stack, stack_bytes, call_filter, &c);

    for (i = 0; i < CANARY_BYTES; i++) {
        hit += area[i] != CANARY_FILL;
    }
    while (untouched < stack_bytes && stack[untouched] == STACK_FILL) {
        untouched++;
    }
    free(area);
    if (hit > 0) {
        fail("the plugin overran a stack of %zu bytes: %zu bytes below it were written",
             stack_bytes, hit);
        free(c.out);
        return;
    }
    host_log(LOG_INFO, "[host] %zu of %zu bytes of the coroutine's stack were used",
             stack_bytes - untouched, stack_bytes);
    put_call("ok", &c);
}

/*
 * Goes on as a child process, as with Daemon On: of the threads that a plugin
 * has started by now, none is there any more. The parent waits and ends as the
 * child does.
 */
static void fork_host(char *line)
{
    pid_t child;
    int status;

    (void) line;
    fflush(stdout);
    child = fork();
    if (child == 0) {
        ok("forked");
        return;
    }
    waitpid(child, &status, 0);
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

/* engine: from now on this is the engine's thread. */
static void become_engine(char *line)
{
    (void) line;
    prctl(PR_SET_NAME, "flb-pipeline");
    engine = pthread_self();
    has_engine = 1;
    ok("engine");
}

/* cmt INSTANCE WHAT: what a host of another layout might have in that place. */
static void spoil_cmt(char *line)
{
    struct filter_instance *ins = next_instance(&line);
    char *what = next_word(&line);

    if (strcmp(what, "none") == 0) {
        ins->cmt = NULL;
    }
    else if (strcmp(what, "number") == 0) {
        ins->cmt = (struct cmt *) 7;
    }
    else if (strcmp(what, "unmapped") == 0) {
        ins->cmt = (struct cmt *) (uintptr_t) 0x7000;
    }
    else if (strcmp(what, "other") == 0) {
        ins->cmt = calloc(1, sizeof(*ins->cmt));
    }
    else if (strcmp(what, "counter") == 0) {
        ins->first_counter = (struct metric *) (uintptr_t) 0x7000;
    }
    ok("spoilt");
}

/* tick: a second passes for the engine. */
static void tick(char *line)
{
    int active = 0;
    int i;

    (void) line;
    metric_writes = 0;
    for (i = 0; i < timer_count; i++) {
        if (timers[i].active) {
            active++;
            timers[i].cb(&config, timers[i].data);
        }
    }
    ok("timers=%i writes=%i", active, metric_writes);
}

/* metrics INSTANCE: what an exporter would show. */
static void show_metrics(char *line)
{
    struct filter_instance *ins = next_instance(&line);
    int i;
    int k;
    int n;

    pthread_mutex_lock(&out_lock);
    for (i = 0; ins->cmt_made && i < ins->cmt_made->count; i++) {
        struct metric *m = ins->cmt_made->metrics[i];

        for (k = 0; k < m->count; k++) {
            printf("sample %s %s %.17g", m->is_counter ? "counter" : "gauge", m->name,
                   m->samples[k].value);
            for (n = 0; n < m->labels; n++) {
                putchar(' ');
                put_text(m->keys[n]);
                putchar(' ');
                put_text(m->samples[k].values[n]);
            }
            putchar('\n');
        }
    }
    puts("ok");
    fflush(stdout);
    pthread_mutex_unlock(&out_lock);
}

static struct input *next_input(char **line)
{
    int i = next_int(line);

    return i >= 0 && i < input_count ? inputs[i] : NULL;
}

/* input TYPE: an input of the pipeline. */
static void new_input(char *line)
{
    struct input *in = make_input(&config, next_word(&line));

    in->initialized = 1;
    make_stream(in);
    ok("input=%i", input_count - 1);
}

#if FAMILY >= FAMILY_2_2

/* list INSTANCE: it is of the pipeline of a reload, whose plugin knows nothing of it. */
static void list_next(char *line)
{
    list_in(&next_config, next_instance(&line));
    ok("listed");
}

/* next TYPE: an input of the pipeline of a reload, before that starts. */
static void next_pipeline_input(char *line)
{
    make_input(&next_config, next_word(&line));
    ok("input=%i", input_count - 1);
}

/* storage PATH: that of the pipeline of a reload. */
static void set_storage(char *line)
{
    flb_config_set_property(&next_config, "storage.path", next_word(&line));
    ok("set");
}

#endif

/* name INSTANCE: what the host calls it. */
static void show_name(char *line)
{
    struct filter_instance *ins = next_instance(&line);

    ok("name=%s", ins->alias ? ins->alias : ins->name);
}

/* inputs: all of them. */
static void show_inputs(char *line)
{
    int i;

    (void) line;
    pthread_mutex_lock(&out_lock);
    for (i = 0; i < input_count; i++) {
        if (inputs[i]) {
            printf("input %i %s %s %zu %i %i\n", i, inputs[i]->name,
                   inputs[i]->alias ? inputs[i]->alias : "-", inputs[i]->limit, inputs[i]->files,
                   inputs[i]->pauses);
        }
    }
    puts("ok");
    fflush(stdout);
    pthread_mutex_unlock(&out_lock);
}

/* busy INPUT 0|1: it takes nothing more; busy INPUT 2: it has given on what it had. */
static void set_busy(char *line)
{
    struct input *in = next_input(&line);
    int how = next_int(&line);

    in->busy = how == 1;
    in->bytes = how == 2 ? 0 : in->bytes;
    ok("set");
}

#if FAMILY >= FAMILY_2_1

/* resume INPUT: by the host itself. */
static void resume(char *line)
{
    flb_input_resume(next_input(&line));
    ok("resumed");
}

/* gate INPUT 0|1|2: it is open, closed, or may be opened. */
static void set_gate(char *line)
{
    struct input *in = next_input(&line);

    in->gate = next_int(&line);
    in->pauses = in->gate > 0 ? 1 : in->pauses;
    ok("set");
}

#endif

#ifndef PLAIN_MALLOC

/* deny AFTER BYTES: blocks of so many bytes are refused, once so many have been given. */
static void deny(char *line)
{
    memory_deny_after = next_int(&line);
    memory_deny_bytes = next_int(&line);
    ok("denied");
}

#endif

/* from INPUT INSTANCE TAG CHUNK: cb_filter for a chunk of an input. */
static void filter_from(char *line)
{
    struct input *in = next_input(&line);
    struct call c;

    if (next_call(&line, &c) == 0) {
        c.input = in;
        call_filter(&c);
        put_call("ok", &c);
    }
}

/* within INSTANCE [INSTANCE]: it filters what emitters take, the second one what they take inside of that;
 * within -: no filter does. */
static struct filter_instance *within_instances[2];
static int within_depth;

static void filter_within(struct input *in, const char *tag, size_t tag_len, const void *data,
                          size_t size)
{
    struct call c = {.ins = within_depth < 2 ? within_instances[within_depth] : NULL, .input = in};

    if (c.ins == NULL) {
        return;
    }
    within_depth++;
    c.chunk = (struct bytes) {borrowed(data, size), size};
    c.tag = (struct bytes) {borrowed(tag, tag_len), tag_len};
    call_filter(&c);
    within_depth--;
    log_text(LOG_INFO, c.verdict == FILTER_MODIFIED ? "[host] within: modified"
                                                    : "[host] within: not touched");
    if (c.verdict == FILTER_MODIFIED) {
        free(c.out);
    }
}

static void set_within(char *line)
{
    within_instances[0] = *line == '-' ? NULL : next_instance(&line);
    within_instances[1] = line && *line && *line != '-' ? next_instance(&line) : NULL;
    filters_of = within_instances[0] ? filter_within : NULL;
    ok("set");
}

/* appended: what inputs have taken since the last one. */
static void show_appended(char *line)
{
    int i;

    (void) line;
    pthread_mutex_lock(&out_lock);
    for (i = 0; i < appended_count; i++) {
        fputs("appended ", stdout);
        put_text(appended[i].name);
        putchar(' ');
        put_text(appended[i].tag);
        putchar(' ');
        put_hex(appended[i].data, appended[i].size);
        putchar('\n');
        free(appended[i].name);
        free(appended[i].tag);
        free(appended[i].data);
    }
    appended_count = 0;
    printf("ok flushes=%i\n", flushes);
    fflush(stdout);
    pthread_mutex_unlock(&out_lock);
}

/* ending: as the engine does when it is told to stop. shutdown: as it does before filters end. */
static void begin_end(char *line)
{
    (void) line;
    config.is_ingestion_active = 0;
    config.is_shutting_down = 1;
    ok("ending");
}

static void shut_down(char *line)
{
    (void) line;
    config.is_running = 0;
    ok("shut");
}

/* processor INSTANCE: it is no filter of the pipeline. */
static void to_processor(char *line)
{
    static struct list unused;
    struct filter_instance *ins = next_instance(&line);

    list_del(&ins->link);
    list_init(&unused);
    list_add(&unused, &ins->link);
    ok("moved");
}

/* host WHAT: what a host of another layout might have. */
static void spoil_host(char *line)
{
    char *what = next_word(&line);

    if (strcmp(what, "storage") == 0) {
        config.storage = NULL;
    }
    else if (strcmp(what, "number") == 0) {
        config.storage = (struct storage *) (uintptr_t) 0x7008;
    }
    else if (strcmp(what, "streams") == 0) {
        list_init(&config.storage->streams);
    }
    else if (strcmp(what, "parent") == 0) {
        struct stream *s = (struct stream *) ((char *) config.storage->streams.next -
                                              offsetof(struct stream, link));
        s->parent = s;
    }
    else if (strcmp(what, "ints") == 0) {
        config.is_ingestion_active = 2;
        config.before[3] = 0;
    }
    else if (strcmp(what, "input") == 0) {
        spoilt_input = 1;
    }
    else if (strcmp(what, "config") == 0) {
        spoilt_config = 1;
    }
    ok("spoilt");
}

static void take_signals(void);

/* As src/fluent-bit.c (v5.1.1): each SIGHUP and SIGCONT takes all of them again. */
static void on_signal(int number)
{
    static const char text[] = "[host] caught a fatal signal\n";
    ssize_t ignored;

    take_signals();
    if (number == SIGSEGV || number == SIGFPE) {
        ignored = write(STDERR_FILENO, text, sizeof(text) - 1);
        (void) ignored;
        abort();
    }
}

static volatile sig_atomic_t handlers; /* that run, one within the other */
static volatile sig_atomic_t most_handlers;

static void on_number(int number)
{
    handlers++;
    if (handlers > most_handlers) {
        most_handlers = handlers;
    }
    if (number == SIGTERM || number == SIGHUP) {
        /* Another one that comes meanwhile, to this thread. */
        pthread_kill(pthread_self(), number == SIGTERM ? SIGCONT : SIGTERM);
    }
    on_signal(number);
    handlers--;
}

static void take_signals(void)
{
    signal(SIGTERM, on_number);
    signal(SIGHUP, on_number);
    signal(SIGCONT, on_number);
    signal(SIGSEGV, on_signal);
    signal(SIGFPE, on_signal);
}

static void signals(char *line)
{
    (void) line;
    take_signals();
    ok("taken");
}

static void raise_signal(char *line)
{
    most_handlers = 0;
    kill(getpid(), next_int(&line));
    ok("raised handlers=%i", (int) most_handlers);
}

#ifndef PLAIN_MALLOC
static void memory(char *line)
{
    (void) line;
    ok("bytes=%zu blocks=%zu", atomic_load(&memory_live_bytes), atomic_load(&memory_live_blocks));
}
#else

static void call_rounds(struct call *c)
{
    int i;

    for (i = 0; i < c->rounds; i++) {
        call_filter(c);
        if (c->verdict == FILTER_MODIFIED) {
            free(c->out);
        }
    }
    c->out = NULL;
}

/* time ROUNDS STACK INSTANCE TAG CHUNK: from a coroutine, unless STACK is 0. */
static void time_rounds(char *line)
{
    int rounds = next_int(&line);
    size_t stack_bytes = (size_t) next_int(&line);
    struct timespec from;
    struct timespec to;
    struct call c;
    void *stack;

    if (next_call(&line, &c) != 0) {
        return;
    }
    c.rounds = rounds;
    stack = malloc(stack_bytes);
    clock_gettime(CLOCK_MONOTONIC, &from);
    if (stack_bytes > 0) {
        on_coroutine(stack, stack_bytes, call_rounds, &c);
    }
    else {
        call_rounds(&c);
    }
    clock_gettime(CLOCK_MONOTONIC, &to);
    free(stack);
    ok("ns=%lld", (to.tv_sec - from.tv_sec) * 1000000000LL + to.tv_nsec - from.tv_nsec);
}

/* How often each instruction was executed, by its address. */
static struct {
    uintptr_t at;
    uint64_t count;
} executed[1 << 17];

static int count_instruction(uintptr_t at)
{
    size_t mask = sizeof(executed) / sizeof(executed[0]) - 1;
    size_t i = (at * UINT64_C(0x9e3779b97f4a7c15) >> 40) & mask;
    size_t n;

    for (n = 0; n <= mask; n++, i = (i + 1) & mask) {
        if (executed[i].count == 0) {
            executed[i].at = at;
        }
        if (executed[i].at == at) {
            executed[i].count++;
            return 0;
        }
    }
    return -1;
}

/* Prints the file that the instruction at this address is from, "-" if it is
 * from none, its offset in the file, and how often it was executed. */
static void put_executed(FILE *maps, uintptr_t at, uint64_t count)
{
    char line[512];
    char path[256];
    unsigned long from;
    unsigned long to;
    unsigned long offset;

    rewind(maps);
    while (fgets(line, sizeof(line), maps)) {
        path[0] = '\0';
        sscanf(line, "%lx-%lx %*s %lx %*s %*s %255s", &from, &to, &offset, path);
        if (at >= from && at < to) {
            printf("at %s %lu %ju\n", path[0] == '/' ? path : "-",
                   (unsigned long) at - from + offset, (uintmax_t) count);
            return;
        }
    }
    printf("at - 0 %ju\n", (uintmax_t) count);
}

/*
 * instructions INSTANCE TAG CHUNK: goes through one call step by step, in a child
 * process. It has this thread only, so nothing that needs another can be counted.
 */
static void instructions(char *line)
{
    struct user_regs_struct registers;
    struct call c;
    uint64_t total = 0;
    uintptr_t last = 0;
    int status = 0;
    int failed;
    size_t i;
    FILE *maps;
    pid_t child;

    if (next_call(&line, &c) != 0) {
        return;
    }
    fflush(stdout);
    child = fork();
    if (child == 0) {
        ptrace(PTRACE_TRACEME, 0, NULL, NULL);
        raise(SIGSTOP);
        call_filter(&c);
        raise(SIGSTOP);
        _exit(0);
    }
    waitpid(child, &status, 0);
    failed = !WIFSTOPPED(status);
    memset(executed, 0, sizeof(executed));
    while (!failed) {
        if (ptrace(PTRACE_SINGLESTEP, child, NULL, NULL) != 0 ||
            waitpid(child, &status, 0) != child || !WIFSTOPPED(status)) {
            failed = 1;
            break;
        }
        if (WSTOPSIG(status) != SIGTRAP) {
            failed = WSTOPSIG(status) != SIGSTOP;
            break;
        }
        ptrace(PTRACE_GETREGS, child, NULL, &registers);
        /* A repeated string instruction stops at each repetition. */
        if (registers.rip != last) {
            failed = count_instruction(registers.rip) != 0;
            total++;
        }
        last = registers.rip;
    }
    kill(child, SIGKILL);
    waitpid(child, &status, 0);
    if (failed) {
        fail("the call could not be followed, status %x after %ju instructions", (unsigned) status,
             (uintmax_t) total);
        return;
    }
    maps = fopen("/proc/self/maps", "r");
    pthread_mutex_lock(&out_lock);
    for (i = 0; maps && i < sizeof(executed) / sizeof(executed[0]); i++) {
        if (executed[i].count > 0) {
            put_executed(maps, executed[i].at, executed[i].count);
        }
    }
    pthread_mutex_unlock(&out_lock);
    if (maps) {
        fclose(maps);
    }
    ok("instructions=%ju", (uintmax_t) total);
}
#endif

static const struct {
    const char *word;
    void (*run)(char *line);
} commands[] = {
    {"load", load},
    {"map", show_map},
    {"new", new_instance},
    {"set", set_property},
    {"prerun", pre_run},
#if FAMILY >= FAMILY_2_2
    {"list", list_next},
    {"next", next_pipeline_input},
    {"storage", set_storage},
#endif
    {"init", init},
    {"chunk", add_chunk},
    {"filter", filter},
    {"storm", storm},
    {"coroutine", coroutine},
    {"exit", exit_instance},
    {"unload", unload},
    {"fork", fork_host},
    {"signals", signals},
    {"raise", raise_signal},
    {"engine", become_engine},
    {"cmt", spoil_cmt},
    {"tick", tick},
    {"metrics", show_metrics},
    {"name", show_name},
    {"input", new_input},
    {"inputs", show_inputs},
    {"busy", set_busy},
#if FAMILY >= FAMILY_2_1
    {"resume", resume},
    {"gate", set_gate},
#endif
    {"from", filter_from},
    {"within", set_within},
    {"appended", show_appended},
    {"ending", begin_end},
    {"shutdown", shut_down},
    {"processor", to_processor},
    {"host", spoil_host},
#ifndef PLAIN_MALLOC
    {"memory", memory},
    {"deny", deny},
#else
    {"time", time_rounds},
    {"instructions", instructions},
#endif
};

int main(void)
{
    char *line = NULL;
    char *rest;
    char *word;
    size_t room = 0;
    size_t i;
    ssize_t n;

    make_config(&config);
#if FAMILY >= FAMILY_2_2
    make_config(&next_config);
#endif
    while ((n = getline(&line, &room, stdin)) > 0) {
        line[n - 1] = '\0';
        rest = line;
        word = next_word(&rest);
        if (strcmp(word, "quit") == 0) {
            ok("bye");
            return 0;
        }
        for (i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
            if (strcmp(word, commands[i].word) == 0) {
                commands[i].run(rest);
                break;
            }
        }
        if (i == sizeof(commands) / sizeof(commands[0])) {
            fail("no command %s", word);
        }
    }
    return 0;
}
