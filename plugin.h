// The border to Fluent Bit: what the host calls, and what it is asked for.
//
// filter_abi.c  the symbols that Fluent Bit looks up, in the layout of the host that
//               loads the object, and the callbacks that they name
// stack.c       where Go and the guest run: on the thread that calls; if that is a coroutine
//               with a stack of 24 KiB, the guest has another stack, and Go the instance's
//               thread
// processor_abi.c  the symbol of a processor of metrics and traces, and its callbacks
// otlp_abi.c    metrics and traces as the host holds them, to OTLP and back
// otlp_check.c  whether the host's encoder of OTLP survives them
// engine.c      the host's engine: its thread, and timers on it
// host_access.c  what the host exports, and what stands in its memory
// properties.c  the properties that the user has set, in the host's memory
// emit_abi.c    when events under other tags are delivered, and what becomes of the others; ticks.
//               emit.h says what belongs to it
// metrics_abi.c the struct of the host that an instance's metrics are in, and who writes to it
// output_abi.c  what the Go proxy of Fluent Bit calls, and the thread that takes it to Go
// load.c        what happens while the library is loaded, and when Go starts

#ifndef FLBWT_PLUGIN_H
#define FLBWT_PLUGIN_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "internal/guest/lane.h"

// The host's objects: opaque, but for what the files named above look for in them.
struct flb_filter_instance;
struct flb_input_instance;
struct flb_config;

// Levels of Fluent Bit's log (include/fluent-bit/flb_log.h, 1.8 to 5.1).
enum { FLB_LOG_ERROR = 1, FLB_LOG_WARN = 2, FLB_LOG_INFO = 3 };

// What a filter callback returns (include/fluent-bit/flb_filter.h), as a lane does.
enum { FLB_FILTER_MODIFIED = 1, FLB_FILTER_NOTOUCH = 2 };

_Static_assert((int) FLB_FILTER_MODIFIED == (int) FLBWT_FILTER_MODIFIED, "modified");
_Static_assert((int) FLB_FILTER_NOTOUCH == (int) FLBWT_FILTER_NOTOUCH, "notouch");

struct job;

// What becomes of events that the emitter does not take (emit_on_busy).
enum on_busy { ON_BUSY_KEEP, ON_BUSY_DROP, ON_BUSY_BLOCK };

// emission_options are what the options say of events under other tags, and of ticks.
struct emission_options {
    bool wanted; // there may be such events
    enum on_busy on_busy;
    int64_t block_ns; // of ON_BUSY_BLOCK: how long they wait
    char *name; // of the emitter; freed with the instance
    bool filesystem; // its storage; else memory
    int64_t limit; // bytes that it, and what waits, may have
    int64_t tick_ns; // between two ticks; 0: there are none
};

// What is filtered.
enum flbwt_signal { FLBWT_LOGS = 0, FLBWT_METRICS = 1, FLBWT_TRACES = 2 };

// instance is one instance of a filter, or of a processor of metrics or traces. Its address is the host's
// context.
struct instance {
    void *ins; // struct flb_filter_instance, or struct flb_processor_instance
    bool processor; // it is that
    enum flbwt_signal signal;
    const void *owner; // of a processor: struct flb_input_instance or struct flb_output_instance
    char *name; // of a processor: what tells it apart; NULL: it is called as the host calls it
    const char *plugin; // "wasmtime" or "wasm"
    int log_level;
    struct flb_config *config; // of its pipeline; emit_host.c reads it
    struct instance *next; // of those that have started
    bool reloads; // JOB_CHECK: it is for a reload, and another pipeline runs
    uintptr_t handle; // the Go side; 0 until it has started

    flbwt_lane *lane; // filters chunks without Go while it is ready; NULL before the start
    size_t stack_bytes; // native stack that the guest may use

    struct metrics *metrics; // NULL: the host's endpoint does not have them

    struct emission_options emits;
    // NULL: there are neither events under other tags nor ticks. Written while running instances are locked.
    struct emission *emission;

    pthread_mutex_t lock; // guards all that follows, and finished of jobs
    flbwt_buffer spare; // memory for the next journal
    struct job *current; // what runs; NULL: the instance is free
    pthread_cond_t freed; // it has become so
    pthread_t thread;
    struct job *handed; // the current job, for the thread to go on with
    pthread_cond_t handing; // there is one
    pthread_cond_t finishing; // the thread has finished it

    // For guests of callers that have none: owned by the current job.
    struct stack *stack;
};

// log_line is a line that the Go side wrote, for the calling thread to print:
// only threads of the host reach the host's log.
struct log_line {
    struct log_line *next;
    int level;
    char text[];
};

enum job_kind { JOB_CHECK, JOB_START, JOB_FILTER, JOB_PAYLOAD, JOB_TICK, JOB_STOP };

// What becomes of the payload of a JOB_PAYLOAD.
enum { PAYLOAD_KEPT, PAYLOAD_REPLACED, PAYLOAD_DROPPED };

// payload is metrics or traces of the host: one of the two is set. What takes their place is owned by the
// job, until the callback gives it to the host.
struct cmt;
struct ctrace;
struct payload {
    struct cmt *metrics, *put_metrics;
    struct ctrace *traces, *put_traces;
    const char *refused; // why the host is not to encode it; NULL: it may
};

// job is a call of the host, on its way to the guest. It lives on the caller's
// stack; what it points at is borrowed for as long as the caller waits.
struct job {
    enum job_kind kind;
    const void *data;
    size_t size;
    const char *tag;
    int tag_len;
    void *out;
    size_t out_size;
    struct payload payload;
    int result;

    bool count_hops; // JOB_FILTER: the chunk comes of an emitter
    uint32_t tick_hops; // of such a chunk, for flbwt_lane_give_hops
    // JOB_FILTER: the pipeline ends, and its tick_hops count though the guest lets all events pass.
    bool ending;
    bool final; // JOB_TICK: it is the last one
    bool count_anew; // JOB_TICK: what has come before does not count for the hops of what it emits
    bool busy; // set by a JOB_TICK that found another job running, and did nothing
    flbwt_buffer journal; // set: events under other tags

    bool finished;
    struct log_line *lines, **lines_end;
};

// start_instance_thread starts the instance's thread; 0, or an errno.
int start_instance_thread(struct instance *inst);

// run_job has the job done. Any thread may call, several at once too. A JOB_STOP
// ends the instance's thread, a JOB_TICK does not wait for another job.
void run_job(struct instance *inst, struct job *job);

// run_go_here has a function run on this thread that calls Go; false: its stack is too small.
bool run_go_here(void (*run)(void *arg), void *arg);
bool has_stack_for_go(void);

// What filters and processors do alike (filter_abi.c).

// border_begin makes an instance with a thread, on which nothing has run yet; NULL after the log says why
// not. border_end ends it.
struct instance *border_begin(void *ins, struct flb_config *config, const char *plugin,
                              bool processor, int log_level);
void border_end(struct instance *inst);

// border_enter_running has the instance be one of those that run, until border_end. border_running finds it by what
// the host calls it; NULL: there is none.
void border_enter_running(struct instance *inst);
struct instance *border_running(const void *ins);

// border_lock_running returns the first of the instances that run, the one that has started last; each has the
// next one. None is entered or ends, and emission of none changes, until border_unlock_running.
struct instance *border_lock_running(void);
void border_unlock_running(void);

// border_siblings is how many processors of the same owner and signal run already.
int border_siblings(const struct instance *inst);

// Processors only (processor_abi.c).
const char *processor_property(const struct instance *inst, const char *name);
const char *processor_name(const struct instance *inst);
// processor_fill fills the symbol in, while the library is loaded. why: it is to refuse to start.
void processor_fill(const char *why, void *config_map);

// otlp_lack says why there can be no processor of that signal in this host; NULL: there can. It goes before
// all other functions of otlp_abi.c.
const char *otlp_lack(enum flbwt_signal signal);

// otlp_metrics_out returns what the host is to go on with, NULL if there is no memory; copied: the host
// destroys what came.
// otlp_traces_in_place has the host's object hold that.
struct cmt *otlp_metrics_out(const struct job *job, bool copied);
void otlp_traces_in_place(struct job *job);

// otlp_inspect finds out whether the host's encoder survives a payload. To be called on the stack that the host calls
// on: there the host writes the same MessagePack next, and what nests too deep for it ends the process anyway.
void otlp_inspect(struct payload *p);

// otlp_refusal returns why the host must not encode a payload, given as the host writes it as MessagePack; NULL: it
// may. takes_scope_attributes and takes_scopeless say what its encoders survive.
const char *otlp_refusal(enum flbwt_signal signal, const void *packed, size_t size,
                         bool takes_scope_attributes, bool takes_scopeless);

// What the Go side asks for, of a payload.

// border_encode returns it as an OTLP request, NULL if the host can't do that: why. border_encoded frees it.
char *border_encode(struct payload *p, size_t *len, const char **why);
void border_encoded(const struct payload *p, char *encoded);

// border_put has another request take the payload's place, if the job is a PAYLOAD_REPLACED. It is called
// once, and returns why that can't be, else NULL.
const char *border_put(struct payload *p, const void *from, size_t len);

// border_exponential says whether the host reads exponential histograms, and signed integers.
bool border_exponential(void);

// border_scope_attributes says whether the host can encode attributes of a scope of metrics.
bool border_scope_attributes(void);

// border_scopeless says whether the host can encode spans without a scope.
bool border_scopeless(void);

// host_look_up finds functions that the host exports; those that it does not become NULL. It returns the name of
// the first of these; NULL: all are there.
struct host_symbol {
    void **to;
    const char *name;
};

const char *host_look_up(const struct host_symbol *symbols, size_t n);

// host_readable says whether n bytes of memory, up to 4,096, may be read: the kernel does, or says that they can't
// be. False, too, if p is not aligned as a pointer is. host_copy copies what may not be memory, at any address;
// false: it is not.
bool host_readable(const void *p, size_t n);
bool host_copy(void *to, const void *from, size_t n);

// host_word is the pointer that stands at p + at, which has to be readable.
void *host_word(const void *p, size_t at);

// host_context_at returns where in a struct flb_filter_instance (flb_filter.h) its context stands, once the host
// has been given it: from there on, the members are the same from 1.8 to 5.1. 0: nowhere, or in two places.
size_t host_context_at(const void *ins, const void *context);

// struct mk_list (lib/monkey) and struct cfl_list (lib/cfl), 1.8 to 5.1.
struct list {
    struct list *prev, *next;
};

// is_engine_thread says whether this is the engine's thread (src/flb_lib.c, 1.8 to 5.1).
bool is_engine_thread(void);

// engine_timer calls a function on the engine's thread, every so many milliseconds until it is ended.
// engine_timer_start has to be called there; NULL: *why it can't be. The timer is not used again after
// engine_timer_end, which waits for a call that is under way on another thread.
struct engine_timer;
struct engine_timer *engine_timer_start(int ms, void (*run)(void *arg), void *arg,
                                        const char **why);
void engine_timer_end(struct engine_timer *t);

// emission_check says whether the host may take events under other tags, if there are any. emission_start
// has it do so, and has the guest ticked, for an instance that has started and is the host's context. False:
// the log says why not.
bool emission_check(struct instance *inst);
bool emission_start(struct instance *inst);
void emission_stop(struct instance *inst);

// emission_begin goes before a chunk of an input, emission_deliver after it: what can't be delivered may
// be added to what comes out of the chunk.
void emission_begin(struct instance *inst, struct flb_input_instance *input, struct job *job);
void emission_deliver(struct instance *inst, struct flb_input_instance *input, struct job *job);

// border_call has a job done and prints what was logged meanwhile; border_print prints a line. Both on a
// thread of the host.
void border_call(struct instance *inst, struct job *job);
void border_print(const struct instance *inst, int level, const char *text);

// metrics_start has the metrics of an instance, which is the host's context, be written each second, by
// the engine's thread; those of a processor to where its owner has its own. Where that can't be, the log says
// why. metrics_stop ends it.
void metrics_start(struct instance *inst);
void metrics_stop(struct instance *inst);

// metrics_owner says what a processor belongs to, "input" or "output", and where that has its metrics; NULL:
// it can't be told.
const char *metrics_owner(const void *owner, void **cmt);

// What the Go side asks for, of the metrics that it is called for. Strings and lists are copied.

// border_family makes a counter or a gauge; NULL: there is no memory. It is the host's.
void *border_family(struct metrics *m, bool counter, const char *ns, const char *subsystem,
                    const char *name, const char *help, int labels, char **keys);

// border_set sets it for some values of its labels. False: there is no memory.
bool border_set(void *family, bool counter, double value, int labels, char **values);

// What the Go side asks for, on the instance's thread while a job runs.

// border_name is what the instance is called in logs and metrics.
const char *border_name(const struct instance *inst);

// border_filters_before takes the filters of the pipeline that stand before this one, which is the host's context,
// the nearest first: up to max struct flb_filter_instance. It returns how many there are; -1: that can't be
// told, or it is a filter of processors.
ptrdiff_t border_filters_before(const struct instance *inst, void **to, size_t max);

// border_property and border_output_property return the first value of a property, NULL if it is
// not set. It is the host's, until the instance ends.
const char *border_property(struct instance *inst, const char *name);
const char *border_output_property(void *plugin, const char *name);

// border_properties takes the properties that the user has set for an instance of the host, in order:
// up to max. It returns how many there are; -1: they can't be found. value is that of one of them, as
// border_property returns it.
struct border_property {
    const char *key, *value;
};

ptrdiff_t border_properties(const void *instance, const char *value, struct border_property *to,
                            size_t max);

// border_take_list returns the name of a property of a processor that is no text, but a list or map of the
// host's, NULL if there is none. All such are taken from the host, which would free them as texts.
struct flb_processor_instance;
const char *border_take_list(const struct flb_processor_instance *ins,
                             const char *(*get)(const char *key,
                                                struct flb_processor_instance *ins));

// border_option is the name of the i-th option, NULL from their number on.
const char *border_option(size_t i);

// border_append_line keeps a line for the host's thread to print; *end is where the list
// ends. Without memory there is no line.
void border_append_line(struct log_line ***end, int level, const char *text, size_t len);
void border_log(struct instance *inst, int level, const char *text, size_t len);
void *border_alloc(size_t size); // for job.out: the host frees it

// plugin_thread starts a thread that Go and guests may run on, with the plugin's signals, which Go's
// threads inherit from the first; 0, or an errno.
int plugin_thread(pthread_t *thread, void *(*start)(void *), void *arg);

// border_drop_pages has the kernel drop the library's code and constants, which are mapped again as
// they are used. Most of them are the compiler's, and needed for starting only.
void border_drop_pages(void);

// border_second_copy says whether another copy of the library was loaded before.
bool border_second_copy(void);

// border_start_go starts the Go runtime, unless it runs. Nothing may call Go before. It returns NULL,
// or why Go can't run in this process: a text that is valid until the next call.
const char *border_start_go(void);

// border_is_standard says whether fd, 1 or 2, is still what it was while the library was loaded. Fluent
// Bit closes both when it goes into the background, and other files get their numbers.
bool border_is_standard(int fd);

// border_output_options is the config map of the output, for hosts that take one
// from a Go plugin; NULL if this one does not.
void *border_output_options(void);

struct flb_output_instance;

enum output_job_kind { OUTPUT_INIT, OUTPUT_FLUSH, OUTPUT_EXIT };

// output_job is a call of the host to an output. It lives on the caller's stack;
// what it points at is borrowed until border_output_done.
struct output_job {
    enum output_job_kind kind;
    void *context; // the plugin to initialise, or what FLBPluginSetContext has set
    void *data;
    size_t size;
    char *tag;
    bool on_engine; // the caller is the engine's thread, as far as is known

    struct flb_output_instance *ins;
    int result;
    bool finished;
    pthread_cond_t done;
    struct log_line *lines, **lines_end;
    struct output_job *next;
};

// What the Go side asks for, on any thread.
const char *border_output_name(void *plugin); // of an OUTPUT_INIT
struct flb_output_instance *border_output_instance(void *plugin);
void border_output_line(struct output_job *job, int level, const char *text, size_t len);
void border_output_done(struct output_job *job, struct flb_output_instance *ins, int result);

// border_engine_silent is how many nanoseconds ago the engine's event loop came round
// last; 0 if it has not begun, or the host does not tell.
int64_t border_engine_silent(void);

// What the host looks up by name and calls (src/proxy/go/go.c, 1.9 to 5.1).
int FLBPluginRegister(void *def);
int FLBPluginInit(void *plugin);
int FLBPluginFlushCtx(void *context, void *data, size_t size, char *tag);
int FLBPluginExitCtx(void *context);
int FLBPluginExit(void);

#endif
