#define _GNU_SOURCE
#include "wasi_impl.h"

#include <fcntl.h>
#include <linux/random.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static uint32_t do_args_get(call *c)
{
    (void) c;
    return OK;
}

static uint32_t do_args_sizes_get(call *c)
{
    uint32_t error = give32(c, 0, 0);

    return error != OK ? error : give32(c, 1, 0);
}

static uint32_t do_environ_sizes_get(call *c)
{
    uint32_t error = give32(c, 0, c->instance->wasi->environment_count);

    return error != OK ? error : give32(c, 1, c->instance->wasi->environment_len);
}

static uint32_t do_environ_get(call *c)
{
    const wasi *w = c->instance->wasi;
    uint32_t at = param(c, 1);
    uint8_t *list = within(c->instance, param(c, 0), (uint64_t) w->environment_count * 4);
    uint8_t *text = within(c->instance, at, w->environment_len);

    if (list == NULL || text == NULL) {
        return E_FAULT;
    }
    for (uint32_t i = 0, from = 0; i < w->environment_count; i++) {
        put32(list + (size_t) i * 4, at + from);
        from += (uint32_t) strlen(w->environment + from) + 1;
    }
    if (w->environment_len > 0) {
        memcpy(text, w->environment, w->environment_len);
    }
    return OK;
}

// clock_of returns the kernel's name of a clock; false: there is no such clock. What a
// guest calls its process is the thread that it runs on.
static bool clock_of(uint32_t id, clockid_t *clock)
{
    static const clockid_t clocks[] = {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_THREAD_CPUTIME_ID,
                                       CLOCK_THREAD_CPUTIME_ID};

    if (id >= sizeof(clocks) / sizeof(clocks[0])) {
        return false;
    }
    *clock = clocks[id];
    return true;
}

static uint32_t do_clock_res_get(call *c)
{
    struct timespec t = {0};
    clockid_t clock;

    if (!clock_of(param(c, 0), &clock)) {
        return E_INVAL;
    }
    clock_getres(clock, &t);
    return give64(c, 1, nanoseconds(&t));
}

static uint32_t do_clock_time_get(call *c)
{
    clockid_t clock;

    return clock_of(param(c, 0), &clock) ? give64(c, 2, flbwt_clock_ns(clock)) : E_INVAL;
}

// pause_for waits. What it takes longer than it should, the process was stopped, or had no
// processor.
static void pause_for(const call *c, uint64_t ns)
{
    struct timespec t = {(time_t) (ns / 1000000000u), (long) (ns % 1000000000u)};

    nanosleep(&t, NULL);
    flbwt_watch_waited(&c->instance->watch, ns);
}

static uint32_t do_random_get(call *c)
{
    uint64_t n = param(c, 1);
    uint8_t *p = within(c->instance, param(c, 0), n);

    if (p == NULL) {
        return E_FAULT;
    }
    while (n > 0 && !flbwt_overdue(c)) {
        // Without GRND_NONBLOCK it waits for as long as a machine that starts has no
        // random numbers yet.
        // The C library's function is of glibc 2.25.
        ssize_t got = syscall(SYS_getrandom, p, n < PART_BYTES ? n : PART_BYTES, GRND_NONBLOCK);

        if (got < 0 && errno == EAGAIN) {
            pause_for(c, SLEEP_NS);
        }
        else if (got < 0 && errno != EINTR) {
            return flbwt_wasi_errno(errno);
        }
        else if (got > 0) {
            p += got;
            n -= (uint64_t) got;
        }
    }
    return OK;
}

// What differs in a subscription between the two versions: the older one has a number
// before the clock, of no use.
typedef struct {
    uint32_t bytes, clock;
} subscription_layout;

enum { EVENT_BYTES = 32, OLD_SUBSCRIPTION_BYTES = 56 };
enum { CLOCK_EVENT, READ_EVENT, WRITE_EVENT };
enum { ABSOLUTE = 1 }; // of a clock
enum { HANGUP = 1 };   // of a descriptor

// clock_delay returns how long the clock at p is to be waited for from now on.
static bool clock_delay(const uint8_t *p, uint64_t *delay)
{
    uint32_t id = get32(p);
    uint64_t until = get64(p + 8);

    if (id > 1) { // nobody's CPU time passes in a sleep
        return false;
    }
    *delay = until;
    if (get16(p + 24) & ABSOLUTE) {
        uint64_t t = flbwt_clock_ns(id == 0 ? CLOCK_REALTIME : CLOCK_MONOTONIC);

        *delay = until > t ? until - t : 0;
    }
    return true;
}

// sleep_for waits, or ends the guest.
static bool sleep_for(call *c, uint64_t ns)
{
    uint64_t start = flbwt_clock_ns(CLOCK_MONOTONIC), passed;

    while (!flbwt_overdue(c)) {
        passed = flbwt_clock_ns(CLOCK_MONOTONIC) - start;
        if (passed >= ns) {
            return true;
        }
        pause_for(c, ns - passed < SLEEP_NS ? ns - passed : SLEEP_NS);
    }
    return false;
}

// put_ready writes the rest of an event for a descriptor: all are ready at any time.
static void put_ready(const call *c, uint8_t *event, uint32_t fd, uint8_t type)
{
    const descriptor *d = open_one(c, fd);
    uint64_t bytes = 1; // WASI's number for a file that can be written to
    struct stat s;

    if (d == NULL || d->kind == DIRECTORY ||
        (d->kind != REGULAR && (d->kind == STDIN) != (type == READ_EVENT))) {
        put16(event + 8, E_BADF);
        return;
    }
    if (type == READ_EVENT) {
        off_t at = d->kind == REGULAR ? lseek(d->fd, 0, SEEK_CUR) : 0;

        bytes = 0;
        if (d->kind == REGULAR && fstat(d->fd, &s) == 0 && s.st_size > at) {
            bytes = (uint64_t) (s.st_size - at);
        }
        put16(event + 24, bytes == 0 ? HANGUP : 0);
    }
    put64(event + 16, bytes);
}

static uint32_t wait_for(call *c, const subscription_layout *layout)
{
    uint32_t count = param(c, 2), ready = 0, written = 0;
    uint64_t delays[FLBWT_WASI_SUBSCRIPTIONS], shortest = UINT64_MAX;
    const uint8_t *from;
    uint8_t *to;

    if (count == 0 || count > FLBWT_WASI_SUBSCRIPTIONS) {
        return E_INVAL;
    }
    from = within(c->instance, param(c, 0), (uint64_t) count * layout->bytes);
    to = within(c->instance, param(c, 1), (uint64_t) count * EVENT_BYTES);
    if (from == NULL || to == NULL || within(c->instance, param(c, 3), 4) == NULL) {
        return E_FAULT;
    }
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *s = from + (size_t) i * layout->bytes;

        delays[i] = 0;
        if (s[8] > WRITE_EVENT) {
            return E_INVAL;
        }
        if (s[8] != CLOCK_EVENT) {
            ready++;
        }
        else if (!clock_delay(s + layout->clock, &delays[i])) {
            return E_INVAL;
        }
        if (delays[i] < shortest) {
            shortest = delays[i];
        }
    }
    if (ready == 0 && !sleep_for(c, shortest)) {
        return OK;
    }
    for (uint32_t i = 0; i < count; i++) {
        uint8_t s[OLD_SUBSCRIPTION_BYTES], *event = to + (size_t) written * EVENT_BYTES;

        memcpy(s, from + (size_t) i * layout->bytes, layout->bytes); // the event may be over it
        if (delays[i] > shortest) {
            continue;
        }
        memset(event, 0, EVENT_BYTES);
        memcpy(event, s, 8); // what the guest knows it by
        event[10] = s[8];
        if (s[8] != CLOCK_EVENT) {
            put_ready(c, event, get32(s + 16), s[8]);
        }
        written++;
    }
    return give32(c, 3, written);
}

static uint32_t do_poll_oneoff(call *c) { return wait_for(c, &(subscription_layout) {48, 16}); }
static uint32_t do_old_poll_oneoff(call *c)
{
    return wait_for(c, &(subscription_layout) {OLD_SUBSCRIPTION_BYTES, 24});
}

static uint32_t do_proc_raise(call *c)
{
    (void) c;
    return E_NOTSUP;
}

static uint32_t do_sched_yield(call *c)
{
    (void) c;
    return OK;
}

// No descriptor is a socket.
static uint32_t do_sock(call *c) { return open_one(c, param(c, 0)) == NULL ? E_BADF : E_NOTSOCK; }

static void do_proc_exit(call *c) { flbwt_exit(c, (int32_t) param(c, 0)); }

// Name and types of what the two versions have in common. Of FILES whole calls may wait in
// the kernel; BOTH don't, or say themselves what they have waited.
// clang-format off
#define BOTH(X)                                                                 \
    X(args_get, "ii:i", do_args_get)                                            \
    X(args_sizes_get, "ii:i", do_args_sizes_get)                                \
    X(clock_res_get, "ii:i", do_clock_res_get)                                  \
    X(clock_time_get, "iIi:i", do_clock_time_get)                               \
    X(environ_get, "ii:i", do_environ_get)                                      \
    X(environ_sizes_get, "ii:i", do_environ_sizes_get)                          \
    X(fd_advise, "iIIi:i", flbwt_wasi_fd_advise)                                \
    X(fd_allocate, "iII:i", flbwt_wasi_fd_allocate)                             \
    X(fd_fdstat_get, "ii:i", flbwt_wasi_fd_fdstat_get)                          \
    X(fd_fdstat_set_flags, "ii:i", flbwt_wasi_fd_fdstat_set_flags)              \
    X(fd_fdstat_set_rights, "iII:i", flbwt_wasi_fd_fdstat_set_rights)           \
    X(fd_pread, "iiiIi:i", flbwt_wasi_fd_pread)                                 \
    X(fd_prestat_dir_name, "iii:i", flbwt_wasi_fd_prestat_dir_name)             \
    X(fd_prestat_get, "ii:i", flbwt_wasi_fd_prestat_get)                        \
    X(fd_pwrite, "iiiIi:i", flbwt_wasi_fd_pwrite)                               \
    X(fd_read, "iiii:i", flbwt_wasi_fd_read)                                    \
    X(fd_readdir, "iiiIi:i", flbwt_wasi_fd_readdir)                             \
    X(fd_renumber, "ii:i", flbwt_wasi_fd_renumber)                              \
    X(fd_tell, "ii:i", flbwt_wasi_fd_tell)                                      \
    X(fd_write, "iiii:i", flbwt_wasi_fd_write)                                  \
    X(proc_raise, "i:i", do_proc_raise)                                         \
    X(random_get, "ii:i", do_random_get)                                        \
    X(sched_yield, ":i", do_sched_yield)                                        \
    X(sock_recv, "iiiiii:i", do_sock)                                           \
    X(sock_send, "iiiii:i", do_sock)                                            \
    X(sock_shutdown, "ii:i", do_sock)
#define FILES(X)                                                                \
    X(fd_close, "i:i", flbwt_wasi_fd_close)                                     \
    X(fd_datasync, "i:i", flbwt_wasi_fd_datasync)                               \
    X(fd_filestat_set_size, "iI:i", flbwt_wasi_fd_filestat_set_size)            \
    X(fd_filestat_set_times, "iIIi:i", flbwt_wasi_fd_filestat_set_times)        \
    X(fd_sync, "i:i", flbwt_wasi_fd_sync)                                       \
    X(path_create_directory, "iii:i", flbwt_wasi_path_create_directory)         \
    X(path_filestat_set_times, "iiiiIIi:i", flbwt_wasi_path_filestat_set_times) \
    X(path_link, "iiiiiii:i", flbwt_wasi_path_link)                             \
    X(path_open, "iiiiiIIii:i", flbwt_wasi_path_open)                           \
    X(path_readlink, "iiiiii:i", flbwt_wasi_path_readlink)                      \
    X(path_remove_directory, "iii:i", flbwt_wasi_path_remove_directory)         \
    X(path_rename, "iiiiii:i", flbwt_wasi_path_rename)                          \
    X(path_symlink, "iiiii:i", flbwt_wasi_path_symlink)                         \
    X(path_unlink_file, "iii:i", flbwt_wasi_path_unlink_file)

// What is of the newer one only, or differs in the older one.
#define NEW(X)                                                                  \
    X(fd_seek, "iIii:i", flbwt_wasi_fd_seek)                                    \
    X(poll_oneoff, "iiii:i", do_poll_oneoff)                                    \
    X(sock_accept, "iii:i", do_sock)
#define NEW_FILES(X)                                                            \
    X(fd_filestat_get, "ii:i", flbwt_wasi_fd_filestat_get)                      \
    X(path_filestat_get, "iiiii:i", flbwt_wasi_path_filestat_get)
#define OLD(X)                                                                  \
    X(fd_seek, "iIii:i", flbwt_wasi_old_fd_seek)                                \
    X(poll_oneoff, "iiii:i", do_old_poll_oneoff)
#define OLD_FILES(X)                                                            \
    X(fd_filestat_get, "ii:i", flbwt_wasi_old_fd_filestat_get)                  \
    X(path_filestat_get, "iiiii:i", flbwt_wasi_old_path_filestat_get)

// clang-format on

#define DEFINE(prefix, its_name, act) \
    static inline void prefix##act_##its_name(call *c) { answer(c, act(c)); } \
    HOST_FUNCTION(prefix##its_name, #its_name, prefix##act_##its_name)
#define DEFINE_WAITING(prefix, its_name, act) \
    static uint32_t prefix##wait_##its_name(call *c) \
    { \
        uint64_t since = flbwt_clock_ns(CLOCK_MONOTONIC); \
        uint32_t error = act(c); \
\
        flbwt_wasi_waited(c, since); \
        return error; \
    } \
    DEFINE(prefix, its_name, prefix##wait_##its_name)
#define DEFINE_NEW(its_name, types, act)       DEFINE(host_, its_name, act)
#define DEFINE_OLD(its_name, types, act)       DEFINE(old_, its_name, act)
#define DEFINE_NEW_FILES(its_name, types, act) DEFINE_WAITING(host_, its_name, act)
#define DEFINE_OLD_FILES(its_name, types, act) DEFINE_WAITING(old_, its_name, act)

BOTH(DEFINE_NEW)
NEW(DEFINE_NEW)
OLD(DEFINE_OLD)
FILES(DEFINE_NEW_FILES)
NEW_FILES(DEFINE_NEW_FILES)
OLD_FILES(DEFINE_OLD_FILES)
HOST_FUNCTION(host_proc_exit, "proc_exit", do_proc_exit)

#define PREVIEW1                         "wasi_snapshot_preview1"
#define UNSTABLE                         "wasi_unstable"
#define ENTRY_NEW(its_name, types, act)  {PREVIEW1, #its_name, types, host_##its_name},
#define ENTRY_BOTH(its_name, types, act) {UNSTABLE, #its_name, types, host_##its_name},
#define ENTRY_OLD(its_name, types, act)  {UNSTABLE, #its_name, types, old_##its_name},

static const flbwt_import table[] = {
    BOTH(ENTRY_NEW) FILES(ENTRY_NEW) NEW(ENTRY_NEW)
        NEW_FILES(ENTRY_NEW) {PREVIEW1, "proc_exit", "i:", host_proc_exit},
    BOTH(ENTRY_BOTH) FILES(ENTRY_BOTH) OLD(ENTRY_OLD)
        OLD_FILES(ENTRY_OLD) {UNSTABLE, "proc_exit", "i:", host_proc_exit},
};

const flbwt_import *const flbwt_wasi_imports = table;
const size_t flbwt_wasi_imports_len = sizeof(table) / sizeof(table[0]);
