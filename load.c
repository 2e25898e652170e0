// When the Go runtime starts, and what it would die of, since it has nobody to report to.
//
// By itself it starts while the library is loaded, and lives on threads. Fluent Bit loads plugins,
// and then may go into the background (Daemon On): of a process that forks, one thread goes on. So the
// runtime is kept from starting until an instance needs it.

#define _GNU_SOURCE
#include "plugin.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

// The address space that the runtime reserves at its start, 600 MB by Go 1.26, with room for
// the compiler and a thread. Guests need more: wasmtime reserves 4 GiB for each memory.
enum { RUNTIME_BYTES = 1000 * 1000 * 1000 };

static const char *lack_of_address_space(void)
{
    static char text[256];
    void *p =
        mmap(NULL, RUNTIME_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (p != MAP_FAILED) {
        munmap(p, RUNTIME_BYTES);
        return NULL;
    }
    snprintf(text, sizeof(text),
             "this process may not have %d MB more of address space (%s): raise the limit "
             "(ulimit -v, LimitAS=) to 8 GB and more",
             RUNTIME_BYTES / 1000000, strerror(errno));
    return text;
}

// is_memory_limit says whether the runtime takes a value of GOMEMLIMIT (readGOMEMLIMIT in
// runtime/mgcpacer.go, parseByteCount in runtime/string.go, Go 1.26), which ends the process else.
static bool is_memory_limit(const char *s)
{
    static const struct {
        const char *suffix;
        int shift;
    } units[] = {{"", 0}, {"B", 0}, {"KiB", 10}, {"MiB", 20}, {"GiB", 30}, {"TiB", 40}};
    size_t digits = strspn(s, "0123456789");

    if (*s == '\0' || strcmp(s, "off") == 0) {
        return true;
    }
    if (digits == 0 || digits > 19) {
        return false;
    }
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (strcmp(s + digits, units[i].suffix) == 0) {
            return strtoull(s, NULL, 10) <= (uint64_t) INT64_MAX >> units[i].shift;
        }
    }
    return false;
}

// is_debug says the same of GODEBUG, of which most is ignored if it makes no sense
// (crypto/internal/fips140/fips140.go, Go 1.26).
static bool is_debug(const char *s)
{
    static const char key[] = "fips140=";
    static const char *const values[] = {"", "on", "off", "only", "debug"};

    for (; s != NULL; s = strchr(s, ',')) {
        s += *s == ',';
        if (strncmp(s, key, sizeof(key) - 1) != 0) {
            continue;
        }
        const char *value = s + sizeof(key) - 1;
        size_t n = strcspn(value, ",");
        bool known = false;

        for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
            known |= strlen(values[i]) == n && strncmp(values[i], value, n) == 0;
        }
        if (!known) {
            return false;
        }
    }
    return true;
}

// drop_variable takes a variable out of the environment: libc's, and the one behind the
// arguments, which the runtime reads.
static void drop_variable(const char *name, char **environment)
{
    size_t n = strlen(name);
    char **to = environment;

    fprintf(stderr, "[wasmtime] the environment variable %s=%s is malformed, and ignored\n", name,
            getenv(name));
    unsetenv(name);
    for (char **from = environment; *from != NULL; from++) {
        if (strncmp(*from, name, n) != 0 || (*from)[n] != '=') {
            *to++ = *from;
        }
    }
    *to = NULL;
}

// The least size of a copy of this object. The files that only name it have a few kilobytes.
enum { COPY_BYTES = 1 << 20 };

// tell_of_copy tells of a file if it is another copy of the object, or another version.
static void tell_of_copy(const char *path, const char *own, const struct stat *self)
{
    struct stat other;

    if (stat(path, &other) != 0 || !S_ISREG(other.st_mode) || other.st_size < COPY_BYTES ||
        (other.st_dev == self->st_dev && other.st_ino == self->st_ino)) {
        return;
    }
    fprintf(stderr,
            "[wasmtime] %s and %s are two copies of the plugin, and one process can't load both "
            "(\"cannot allocate memory in static TLS block\"): keep flb-filter_wasmtime.so alone; "
            "out_wasmtime.so, flb-processor_wasmtime.so and flb-filter_wasm.so are the small files "
            "that come with it, or links\n",
            own, path);
}

// plugin_of is the path in an argument: PATH, -ePATH or --plugin=PATH.
static const char *plugin_of(const char *arg)
{
    static const char option[] = "--plugin=";

    if (strncmp(arg, option, sizeof(option) - 1) == 0) {
        return arg + sizeof(option) - 1;
    }
    return strncmp(arg, "-e", 2) == 0 ? arg + 2 : arg;
}

// tell_of_copies looks beside this object and in the arguments for copies of it, which the
// process may load next. It can't be told then: the dynamic linker has no room for the
// thread-local variables of a second one, and refuses it before any of its code can run.
static void tell_of_copies(char **argv)
{
    static const char *const names[] = {"flb-filter_wasmtime.so", "flb-filter_wasm.so",
                                        "flb-processor_wasmtime.so", "out_wasmtime.so"};
    Dl_info own;
    struct stat self;
    char beside[PATH_MAX];

    if (dladdr((void *) tell_of_copies, &own) == 0 || stat(own.dli_fname, &self) != 0) {
        return;
    }
    const char *slash = strrchr(own.dli_fname, '/');
    int dir = slash != NULL ? (int) (slash - own.dli_fname) + 1 : 0;

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        int n = snprintf(beside, sizeof(beside), "%.*s%s", dir, own.dli_fname, names[i]);

        if (n < (int) sizeof(beside)) {
            tell_of_copy(beside, own.dli_fname, &self);
        }
        for (char **arg = argv; *arg != NULL; arg++) {
            const char *path = plugin_of(*arg), *base = strrchr(path, '/');

            if (base != NULL && strcmp(base + 1, names[i]) == 0 && strcmp(path, beside) != 0) {
                tell_of_copy(path, own.dli_fname, &self);
            }
        }
    }
}

static struct {
    pthread_mutex_t lock; // guards started_in

    // While the library is loaded. Its constructors run one after the other.
    bool loading;

    // The runtime's first thread, on which all of it begins; NULL: it did not start one.
    void *(*main)(void *);
    void *arg;

    pid_t started_in; // 0: it has not been started
} go = {.lock = PTHREAD_MUTEX_INITIALIZER};

// The linker has all of the library call this one for pthread_create (--wrap). The last thing that
// the runtime's constructor does is to start the first thread (_rt0_amd64_lib in
// runtime/asm_amd64.s, x_cgo_sys_thread_create in runtime/cgo/gcc_libinit.c, Go 1.26).
int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*start)(void *),
                          void *arg);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*start)(void *),
                          void *arg);

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*start)(void *),
                          void *arg)
{
    if (!go.loading || go.main != NULL) {
        return __real_pthread_create(thread, attr, start, arg);
    }
    go.main = start;
    go.arg = arg;
    return 0;
}

static const char *start_go(void)
{
    static char text[128];
    const char *lack = lack_of_address_space();
    pthread_t thread;
    int error;

    if (lack != NULL) {
        return lack;
    }
    error = plugin_thread(&thread, go.main, go.arg);
    if (error != 0) {
        snprintf(text, sizeof(text), "can't start a thread: %s", strerror(error));
        return text;
    }
    pthread_detach(thread);
    go.started_in = getpid();
    return NULL;
}

const char *border_start_go(void)
{
    const char *refusal = NULL;

    pthread_mutex_lock(&go.lock);
    if (go.started_in == 0) {
        refusal = start_go();
    }
    else if (go.started_in != getpid()) {
        refusal = "this process was forked after the plugin had started, and its threads did not "
                  "come along: start it after the fork";
    }
    pthread_mutex_unlock(&go.lock);
    return refusal;
}

// What standard output and standard error were while the library was loaded.
static struct {
    bool open;
    struct stat file;
} standard[STDERR_FILENO + 1];

static void see_standard(void)
{
    for (int fd = STDOUT_FILENO; fd <= STDERR_FILENO; fd++) {
        standard[fd].open = fstat(fd, &standard[fd].file) == 0;
    }
}

bool border_is_standard(int fd)
{
    struct stat now;

    return standard[fd].open && fstat(fd, &now) == 0 && now.st_dev == standard[fd].file.st_dev &&
           now.st_ino == standard[fd].file.st_ino;
}

// Before the runtime's constructor, with the arguments of the process, as glibc gives them. The
// runtime reads the environment that is behind them when it starts.
__attribute__((constructor(103))) static void before_go(int argc, char **argv)
{
    const char *limit = getenv("GOMEMLIMIT"), *debug;

    see_standard();
    tell_of_copies(argv);
    if (limit != NULL && !is_memory_limit(limit)) {
        drop_variable("GOMEMLIMIT", argv + argc + 1);
    }
    debug = getenv("GODEBUG");
    if (debug != NULL && !is_debug(debug)) {
        drop_variable("GODEBUG", argv + argc + 1);
    }
    go.loading = true;
}

// After it: Go's object comes before those of C.
__attribute__((constructor)) static void after_go(void)
{
    go.loading = false;
    if (go.main == NULL) {
        go.started_in = getpid();
    }
}
