#define _GNU_SOURCE
#include "wasi.h"
#include "beneath.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

// Numbers and layouts are those of witx/typenames.witx in phases/snapshot and
// phases/old/snapshot_0 of the WASI repository. Where it leaves open what a function
// answers, wasmtime 44 decides (crates/wasi/src/p1.rs), with one exception: a bad address
// is an errno, and no trap.

enum {
    OK = 0,
    E_ACCES = 2,
    E_BADF = 8,
    E_FAULT = 21,
    E_INVAL = 28,
    E_IO = 29,
    E_LOOP = 32,
    E_MFILE = 33,
    E_NAMETOOLONG = 37,
    E_NOMEM = 48,
    E_NOTDIR = 54,
    E_NOTSOCK = 57,
    E_NOTSUP = 58,
    E_PERM = 63,
    E_SPIPE = 70,
};

static const uint8_t errnos[] = {
    [E2BIG] = 1, [EACCES] = E_ACCES, [EADDRINUSE] = 3, [EADDRNOTAVAIL] = 4, [EAFNOSUPPORT] = 5,
    [EAGAIN] = 6, [EALREADY] = 7, [EBADF] = E_BADF, [EBADMSG] = 9, [EBUSY] = 10,
    [ECANCELED] = 11, [ECHILD] = 12, [EDEADLK] = 16, [EDOM] = 18, [EDQUOT] = 19, [EEXIST] = 20,
    [EFAULT] = E_FAULT, [EFBIG] = 22, [EIDRM] = 24, [EILSEQ] = 25, [EINPROGRESS] = 26,
    [EINTR] = 27, [EINVAL] = E_INVAL, [EIO] = E_IO, [EISDIR] = 31, [ELOOP] = E_LOOP,
    [EMFILE] = E_MFILE, [EMLINK] = 34, [EMSGSIZE] = 35, [EMULTIHOP] = 36,
    [ENAMETOOLONG] = E_NAMETOOLONG, [ENFILE] = 41, [ENOBUFS] = 42, [ENODEV] = 43, [ENOENT] = 44,
    [ENOEXEC] = 45, [ENOLCK] = 46, [ENOLINK] = 47, [ENOMEM] = E_NOMEM, [ENOMSG] = 49,
    [ENOSPC] = 51, [ENOSYS] = 52, [ENOTDIR] = E_NOTDIR, [ENOTEMPTY] = 55, [ENOTRECOVERABLE] = 56,
    [ENOTSOCK] = E_NOTSOCK, [EOPNOTSUPP] = E_NOTSUP, [ENOTTY] = 59, [ENXIO] = 60,
    [EOVERFLOW] = 61, [EOWNERDEAD] = 62, [EPERM] = E_PERM, [EPIPE] = 64, [EPROTO] = 65,
    [ERANGE] = 68, [EROFS] = 69, [ESPIPE] = E_SPIPE, [ESRCH] = 71, [ESTALE] = 72,
    [ETIMEDOUT] = 73, [ETXTBSY] = 74, [EXDEV] = 75,
};

// from_errno answers WASI's number for one of the kernel's.
static uint32_t from_errno(int error)
{
    size_t n = sizeof(errnos) / sizeof(errnos[0]);

    return error > 0 && (size_t) error < n && errnos[error] != 0 ? errnos[error] : E_IO;
}

static uint32_t result(int failed) { return failed == 0 ? OK : from_errno(errno); }

enum {
    // The most of one call that is done before the guest is asked to end, if its time is
    // over. A part takes a millisecond at most where nothing waits for a disk.
    PART_BYTES = 256 * 1024,
    SLEEP_NS = 10 * 1000 * 1000,

    ENTRIES_BYTES = 8192, // of a directory, at a time
};

enum kind { FREE, STDIN, STDOUT, STDERR, REGULAR, DIRECTORY };

typedef struct {
    enum kind kind;
    int fd;                // REGULAR, DIRECTORY: the process's, owned
    bool writable;         // REGULAR, DIRECTORY: below a directory that was given to write
    bool append, nonblock; // REGULAR: as the guest has set them
    char *granted;         // DIRECTORY: the name of one that the guest was given, owned
    uint64_t entry;        // DIRECTORY: as many entries of it were read,
    int64_t position;      // and there the next one is, as the kernel counts
} descriptor;

// Room for what is too large for a stack. Made when it is first needed.
typedef struct {
    char path[2][FLBWT_WASI_PATH_BYTES];
    union {
        uint8_t bytes[ENTRIES_BYTES];
        struct dirent64 first; // for its alignment
    } entries;
} scratch;

typedef struct flbwt_wasi {
    descriptor table[FLBWT_WASI_DESCRIPTORS];
    char *environment;
    uint32_t environment_len, environment_count;
    bool walk; // see flbwt_beneath
    scratch *scratch;
} wasi;

// ---- What a guest has open ------------------------------------------------------

static int free_slot(const wasi *w)
{
    for (int i = 0; i < FLBWT_WASI_DESCRIPTORS; i++) {
        if (w->table[i].kind == FREE) {
            return i;
        }
    }
    return -1;
}

static void drop(descriptor *d)
{
    if (d->kind == REGULAR || d->kind == DIRECTORY) {
        close(d->fd);
    }
    free(d->granted);
    memset(d, 0, sizeof(*d));
}

bool flbwt_wasi_open(flbwt_guest *g, const char *environment, size_t n, uint32_t count)
{
    wasi *w = calloc(1, sizeof(*w));

    if (w == NULL || n > UINT32_MAX || (n > 0 && (w->environment = malloc(n)) == NULL)) {
        free(w);
        return false;
    }
    if (n > 0) {
        memcpy(w->environment, environment, n);
    }
    w->environment_len = (uint32_t) n;
    w->environment_count = count;
    w->table[0].kind = STDIN;
    w->table[1].kind = STDOUT;
    w->table[2].kind = STDERR;
    g->wasi = w;
    return true;
}

void flbwt_wasi_close(flbwt_guest *g)
{
    wasi *w = g->wasi;

    if (w == NULL) {
        return;
    }
    for (int i = 0; i < FLBWT_WASI_DESCRIPTORS; i++) {
        drop(&w->table[i]);
    }
    free(w->environment);
    free(w->scratch);
    free(w);
    g->wasi = NULL;
}

int flbwt_wasi_grant(flbwt_guest *g, const char *path, bool writable)
{
    int i = free_slot(g->wasi);
    descriptor d = {.kind = DIRECTORY, .writable = writable};

    if (i < 0) {
        return EMFILE;
    }
    d.granted = strdup(path);
    if (d.granted == NULL) {
        return ENOMEM;
    }
    d.fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (d.fd < 0 && errno == EACCES) { // one that can only be gone through
        d.fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    }
    if (d.fd < 0) {
        int error = errno;

        free(d.granted);
        return error;
    }
    g->wasi->table[i] = d;
    return 0;
}

void flbwt_wasi_walk(flbwt_guest *g) { g->wasi->walk = true; }

// open_one answers what the guest has open by that number, or NULL.
static descriptor *open_one(const call *c, uint32_t fd)
{
    wasi *w = c->guest->wasi;

    return fd < FLBWT_WASI_DESCRIPTORS && w->table[fd].kind != FREE ? &w->table[fd] : NULL;
}

static descriptor *open_as(const call *c, uint32_t fd, enum kind kind)
{
    descriptor *d = open_one(c, fd);

    return d != NULL && d->kind == kind ? d : NULL;
}

static bool is_stream(const descriptor *d) { return d->kind <= STDERR; }

static scratch *scratch_of(const call *c)
{
    wasi *w = c->guest->wasi;

    if (w->scratch == NULL) {
        w->scratch = malloc(sizeof(scratch));
    }
    return w->scratch;
}

// ---- The guest's memory ---------------------------------------------------------

// Values of WebAssembly are little endian, as those of the machines that this runs on.
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "byte order");

static void put16(uint8_t *p, uint16_t v) { memcpy(p, &v, sizeof(v)); }
static void put32(uint8_t *p, uint32_t v) { memcpy(p, &v, sizeof(v)); }
static void put64(uint8_t *p, uint64_t v) { memcpy(p, &v, sizeof(v)); }

static uint16_t get16(const uint8_t *p)
{
    uint16_t v;

    memcpy(&v, p, sizeof(v));
    return v;
}

static uint32_t get32(const uint8_t *p)
{
    uint32_t v;

    memcpy(&v, p, sizeof(v));
    return v;
}

static uint64_t get64(const uint8_t *p)
{
    uint64_t v;

    memcpy(&v, p, sizeof(v));
    return v;
}

// give writes values where parameters say, if there is room for all.
static uint32_t give32(call *c, int i, uint32_t v)
{
    uint8_t *p = within(c->guest, param(c, i), 4);

    if (p == NULL) {
        return E_FAULT;
    }
    put32(p, v);
    return OK;
}

static uint32_t give64(call *c, int i, uint64_t v)
{
    uint8_t *p = within(c->guest, param(c, i), 8);

    if (p == NULL) {
        return E_FAULT;
    }
    put64(p, v);
    return OK;
}

// ---- Arguments, environment, clocks, random numbers -----------------------------

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
    uint32_t error = give32(c, 0, c->guest->wasi->environment_count);

    return error != OK ? error : give32(c, 1, c->guest->wasi->environment_len);
}

static uint32_t do_environ_get(call *c)
{
    const wasi *w = c->guest->wasi;
    uint32_t at = param(c, 1);
    uint8_t *list = within(c->guest, param(c, 0), (uint64_t) w->environment_count * 4);
    uint8_t *text = within(c->guest, at, w->environment_len);

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

static uint64_t nanoseconds(const struct timespec *t)
{
    return t->tv_sec < 0 ? 0 : (uint64_t) t->tv_sec * 1000000000u + (uint64_t) t->tv_nsec;
}

static uint64_t now(clockid_t clock)
{
    struct timespec t = {0};

    clock_gettime(clock, &t);
    return nanoseconds(&t);
}

// clock_of answers the kernel's name of a clock; false: there is no such clock. What a
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

    return clock_of(param(c, 0), &clock) ? give64(c, 2, now(clock)) : E_INVAL;
}

static void pause_for(uint64_t ns)
{
    struct timespec t = {(time_t) (ns / 1000000000u), (long) (ns % 1000000000u)};

    nanosleep(&t, NULL);
}

static uint32_t do_random_get(call *c)
{
    uint64_t n = param(c, 1);
    uint8_t *p = within(c->guest, param(c, 0), n);

    if (p == NULL) {
        return E_FAULT;
    }
    while (n > 0 && !flbwt_overdue(c)) {
        // Without GRND_NONBLOCK it waits for as long as a machine that starts has no
        // random numbers yet.
        ssize_t got = getrandom(p, n < PART_BYTES ? n : PART_BYTES, GRND_NONBLOCK);

        if (got < 0 && errno == EAGAIN) {
            pause_for(SLEEP_NS);
        }
        else if (got < 0 && errno != EINTR) {
            return from_errno(errno);
        }
        else if (got > 0) {
            p += got;
            n -= (uint64_t) got;
        }
    }
    return OK;
}

// ---- Descriptors ----------------------------------------------------------------

enum { UNKNOWN_TYPE = 0, DIRECTORY_TYPE = 3, REGULAR_TYPE = 4 };

static uint8_t type_of(mode_t mode)
{
    switch (mode & S_IFMT) {
    case S_IFBLK: return 1;
    case S_IFCHR: return 2;
    case S_IFDIR: return DIRECTORY_TYPE;
    case S_IFREG: return REGULAR_TYPE;
    case S_IFSOCK: return 6;
    case S_IFLNK: return 7;
    default: return UNKNOWN_TYPE;
    }
}

enum { // fdflags
    APPEND = 1,
    DSYNC = 2,
    NONBLOCK = 4,
    RSYNC = 8,
    SYNC = 16,
};

enum { // rights
    FD_READ = 1 << 1,
    FD_SEEK = 1 << 2,
    FD_WRITE = 1 << 6,
    FD_READDIR = 1 << 14,
    PATH_FILESTAT_SET_SIZE = 1 << 19,
    FD_FILESTAT_SET_SIZE = 1 << 22,
    ALL = (1 << 30) - 1,

    // Of a granted directory, as wasmtime has them, whether it is writable or not:
    // wasi-libc takes away from what it asks for what is missing here, and would open
    // files for reading that a program wants to write. All but datasync, read, seek,
    // fdstat_set_flags, sync, tell, write, advise, allocate, path_filestat_set_size,
    // filestat_set_size and poll_fd_readwrite; and then all of these but
    // path_filestat_set_size.
    GRANTED = ALL & ~(0x1ff | PATH_FILESTAT_SET_SIZE | FD_FILESTAT_SET_SIZE | 7 << 27),
    GRANTED_INHERITING = GRANTED | 0x1ff | FD_FILESTAT_SET_SIZE | 1 << 27,
};

static uint32_t do_fd_fdstat_get(call *c)
{
    const descriptor *d = open_one(c, param(c, 0));
    uint8_t *p = within(c->guest, param(c, 1), 24);
    uint64_t base, inheriting;
    uint16_t flags = 0;
    uint8_t type = UNKNOWN_TYPE;

    if (d == NULL || p == NULL) {
        return d == NULL ? E_BADF : E_FAULT;
    }
    switch (d->kind) {
    case STDIN:
        base = inheriting = FD_READ;
        break;
    case STDOUT:
    case STDERR:
        base = inheriting = FD_WRITE;
        break;
    case DIRECTORY:
        type = DIRECTORY_TYPE;
        base = inheriting = ALL & ~(FD_SEEK | FD_FILESTAT_SET_SIZE | PATH_FILESTAT_SET_SIZE | FD_WRITE);
        if (d->granted != NULL) {
            base = GRANTED;
            inheriting = GRANTED_INHERITING;
        }
        break;
    default: {
        int mode = fcntl(d->fd, F_GETFL) & O_ACCMODE;

        type = REGULAR_TYPE;
        base = ALL;
        if (mode == O_WRONLY) {
            base &= ~(uint64_t) (FD_READ | FD_READDIR);
        }
        if (mode == O_RDONLY) {
            base &= ~(uint64_t) FD_WRITE;
        }
        inheriting = base;
        flags = (uint16_t) ((d->append ? APPEND : 0) | (d->nonblock ? NONBLOCK : 0));
    }
    }
    memset(p, 0, 24);
    p[0] = type;
    put16(p + 2, flags);
    put64(p + 8, base);
    put64(p + 16, inheriting);
    return OK;
}

static uint32_t do_fd_fdstat_set_flags(call *c)
{
    descriptor *d = open_as(c, param(c, 0), REGULAR);
    uint32_t flags = param(c, 1);

    if (d == NULL) {
        return E_BADF;
    }
    if ((flags & ~(uint32_t) (APPEND | NONBLOCK)) != 0) {
        return E_INVAL;
    }
    // O_NONBLOCK stays: there are files in proc(5) which a read waits for.
    if (fcntl(d->fd, F_SETFL, O_NONBLOCK | (flags & APPEND ? O_APPEND : 0)) != 0) {
        return from_errno(errno);
    }
    d->append = flags & APPEND;
    d->nonblock = flags & NONBLOCK;
    return OK;
}

static uint32_t do_fd_fdstat_set_rights(call *c)
{
    const descriptor *d = open_one(c, param(c, 0));

    return d == NULL || is_stream(d) ? E_BADF : E_NOTSUP;
}

static uint32_t do_fd_advise(call *c)
{
    if (open_as(c, param(c, 0), REGULAR) == NULL) {
        return E_BADF;
    }
    // It is not passed on: what the host keeps in memory is not the guest's to say.
    return param(c, 3) <= 5 ? OK : E_INVAL;
}

static uint32_t do_fd_allocate(call *c)
{
    return open_as(c, param(c, 0), REGULAR) == NULL ? E_BADF : E_NOTSUP;
}

static uint32_t do_fd_close(call *c)
{
    descriptor *d = open_one(c, param(c, 0));

    if (d == NULL) {
        return E_BADF;
    }
    drop(d);
    return OK;
}

static uint32_t do_fd_renumber(call *c)
{
    descriptor *from = open_one(c, param(c, 0)), *to = open_one(c, param(c, 1));

    if (from == NULL || to == NULL) {
        return E_BADF;
    }
    if (from != to) {
        drop(to);
        *to = *from;
        memset(from, 0, sizeof(*from));
    }
    return OK;
}

static uint32_t synchronize(call *c, int (*sync)(int))
{
    const descriptor *d = open_as(c, param(c, 0), REGULAR);

    if (d == NULL) {
        return E_BADF;
    }
    // What others have written is not for a guest that only reads to wait for.
    return d->writable ? result(sync(d->fd)) : OK;
}

static uint32_t do_fd_sync(call *c) { return synchronize(c, fsync); }
static uint32_t do_fd_datasync(call *c) { return synchronize(c, fdatasync); }

static uint32_t do_fd_prestat_get(call *c)
{
    const descriptor *d = open_as(c, param(c, 0), DIRECTORY);
    uint8_t *p = within(c->guest, param(c, 1), 8);

    if (d == NULL || d->granted == NULL) {
        return E_BADF;
    }
    if (p == NULL) {
        return E_FAULT;
    }
    put32(p, 0); // a directory
    put32(p + 4, (uint32_t) strlen(d->granted));
    return OK;
}

static uint32_t do_fd_prestat_dir_name(call *c)
{
    const descriptor *d = open_one(c, param(c, 0));

    if (d == NULL || d->granted == NULL) {
        return d == NULL ? E_BADF : E_NOTDIR;
    }
    size_t n = strlen(d->granted);
    uint8_t *p = within(c->guest, param(c, 1), n);
    if (n > param(c, 2)) {
        return E_NAMETOOLONG;
    }
    if (p == NULL) {
        return E_FAULT;
    }
    memcpy(p, d->granted, n);
    return OK;
}

static uint32_t seekable(call *c, const descriptor **d)
{
    *d = open_one(c, param(c, 0));
    if (*d == NULL || (*d)->kind == DIRECTORY) {
        return E_BADF;
    }
    return (*d)->kind == REGULAR ? OK : E_SPIPE;
}

static uint32_t seek(call *c, const int whences[3])
{
    const descriptor *d;
    uint32_t error = seekable(c, &d), whence = param(c, 2);
    off_t at;

    if (error != OK) {
        return error;
    }
    if (whence > 2) {
        return E_INVAL;
    }
    if (within(c->guest, param(c, 3), 8) == NULL) {
        return E_FAULT;
    }
    at = lseek(d->fd, c->v[1].i64, whences[whence]);
    return at < 0 ? from_errno(errno) : give64(c, 3, (uint64_t) at);
}

static uint32_t do_fd_seek(call *c)
{
    return seek(c, (const int[]){SEEK_SET, SEEK_CUR, SEEK_END});
}

static uint32_t do_old_fd_seek(call *c)
{
    return seek(c, (const int[]){SEEK_CUR, SEEK_END, SEEK_SET});
}

static uint32_t do_fd_tell(call *c)
{
    const descriptor *d;
    uint32_t error = seekable(c, &d);
    off_t at = error == OK ? lseek(d->fd, 0, SEEK_CUR) : 0;

    if (error != OK) {
        return error;
    }
    return at < 0 ? from_errno(errno) : give64(c, 1, (uint64_t) at);
}

// ---- What is known of files -----------------------------------------------------

enum { STAT_BYTES = 64, OLD_STAT_BYTES = 56 };

// put_stat writes a filestat. In the older WASI links are counted in 32 bits.
static void put_stat(uint8_t *p, const struct stat *s, bool old)
{
    memset(p, 0, old ? OLD_STAT_BYTES : STAT_BYTES);
    put64(p, s->st_dev);
    put64(p + 8, s->st_ino);
    p[16] = type_of(s->st_mode);
    if (old) {
        put32(p + 20, (uint32_t) s->st_nlink);
        p += 24;
    }
    else {
        put64(p + 24, s->st_nlink);
        p += 32;
    }
    put64(p, (uint64_t) s->st_size);
    put64(p + 8, nanoseconds(&s->st_atim));
    put64(p + 16, nanoseconds(&s->st_mtim));
    put64(p + 24, nanoseconds(&s->st_ctim));
}

static uint32_t fd_stat(call *c, bool old)
{
    const descriptor *d = open_one(c, param(c, 0));
    uint8_t *p = within(c->guest, param(c, 1), old ? OLD_STAT_BYTES : STAT_BYTES);
    struct stat s = {0};

    if (d == NULL || p == NULL) {
        return d == NULL ? E_BADF : E_FAULT;
    }
    if (!is_stream(d) && fstat(d->fd, &s) != 0) {
        return from_errno(errno);
    }
    put_stat(p, &s, old);
    return OK;
}

static uint32_t do_fd_filestat_get(call *c) { return fd_stat(c, false); }
static uint32_t do_old_fd_filestat_get(call *c) { return fd_stat(c, true); }

// A file that grows past the process's limit (RLIMIT_FSIZE) is not only an error, but
// also a signal that ends the process. hold_xfsz keeps it from the thread, and
// release_xfsz takes it away after such an error.
static void xfsz(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGXFSZ);
}

static void hold_xfsz(sigset_t *before)
{
    sigset_t set;

    xfsz(&set);
    pthread_sigmask(SIG_BLOCK, &set, before);
}

static void release_xfsz(const sigset_t *before, bool too_large)
{
    struct timespec none = {0};
    int error = errno;
    sigset_t set;

    if (too_large) {
        xfsz(&set);
        sigtimedwait(&set, NULL, &none);
    }
    pthread_sigmask(SIG_SETMASK, before, NULL);
    errno = error;
}

static uint32_t do_fd_filestat_set_size(call *c)
{
    const descriptor *d = open_as(c, param(c, 0), REGULAR);
    sigset_t before;
    int failed;

    if (d == NULL) {
        return E_BADF;
    }
    if (!d->writable) {
        return E_PERM;
    }
    if (param64(c, 1) > INT64_MAX) {
        return E_INVAL;
    }
    hold_xfsz(&before);
    failed = ftruncate(d->fd, c->v[1].i64);
    release_xfsz(&before, failed != 0 && errno == EFBIG);
    return result(failed);
}

// get_times reads the two times that utimensat(2) takes; i is the first parameter of
// three.
static uint32_t get_times(call *c, int i, struct timespec times[2])
{
    uint32_t flags = param(c, i + 2);

    if (flags > 15) {
        return E_INVAL;
    }
    for (int k = 0; k < 2; k++, flags >>= 2) {
        uint64_t ns = param64(c, i + k);

        times[k].tv_sec = (time_t) (ns / 1000000000u);
        times[k].tv_nsec = (long) (ns % 1000000000u);
        switch (flags & 3) {
        case 0: times[k].tv_nsec = UTIME_OMIT; break;
        case 2: times[k].tv_nsec = UTIME_NOW; break;
        case 3: return E_INVAL;
        }
    }
    return OK;
}

static uint32_t do_fd_filestat_set_times(call *c)
{
    const descriptor *d = open_one(c, param(c, 0));
    struct timespec times[2];
    uint32_t error = get_times(c, 1, times);

    if (error != OK || d == NULL || is_stream(d)) {
        return error != OK ? error : E_BADF;
    }
    return d->writable ? result(futimens(d->fd, times)) : E_PERM;
}

// ---- Reading and writing --------------------------------------------------------

// A list of buffers in the guest's memory, which what is read into one may change: each
// is looked at when its turn comes.
typedef struct {
    uint32_t at, count;
} buffers;

static bool buffer(call *c, const buffers *list, uint32_t i, uint8_t **p, uint32_t *n)
{
    const uint8_t *one = within(c->guest, (uint64_t) list->at + (uint64_t) i * 8, 8);

    if (one == NULL) {
        return false;
    }
    *n = get32(one + 4);
    *p = within(c->guest, get32(one), *n);
    return *p != NULL;
}

// get_buffers reads which buffers there are, and sees that all are in memory, as is the
// place of the number that is answered, parameter i.
static uint32_t get_buffers(call *c, buffers *list, int i)
{
    uint64_t total = 0;

    *list = (buffers){param(c, 1), param(c, 2)};
    if (list->count > FLBWT_WASI_BUFFERS) {
        return E_INVAL;
    }
    for (uint32_t k = 0; k < list->count; k++) {
        uint8_t *p;
        uint32_t n;

        if (!buffer(c, list, k, &p, &n)) {
            return E_FAULT;
        }
        total += n;
    }
    if (total > UINT32_MAX) {
        return E_INVAL;
    }
    return within(c->guest, param(c, i), 4) == NULL ? E_FAULT : OK;
}

// transfer moves the bytes of all buffers, in parts. offset is -1 for where the file
// stands.
typedef ssize_t one_transfer(int fd, void *p, size_t n, off_t offset);

static uint32_t transfer(call *c, const descriptor *d, const buffers *list, int64_t offset,
                         one_transfer *move, int i)
{
    uint32_t total = 0;

    for (uint32_t k = 0; k < list->count; k++) {
        uint8_t *p;
        uint32_t n;

        if (!buffer(c, list, k, &p, &n)) {
            return E_FAULT;
        }
        while (n > 0) {
            uint32_t part = n < PART_BYTES ? n : PART_BYTES;
            ssize_t moved = move(d->fd, p, part, offset);

            if (flbwt_overdue(c)) {
                return OK;
            }
            if (moved < 0 && errno == EINTR) {
                continue;
            }
            if (moved < 0 && total == 0) {
                return from_errno(errno);
            }
            if (moved <= 0) {
                return give32(c, i, total);
            }
            p += moved;
            n -= (uint32_t) moved;
            total += (uint32_t) moved;
            offset = offset < 0 ? offset : offset + moved;
            if ((uint32_t) moved < part) {
                return give32(c, i, total);
            }
        }
    }
    return give32(c, i, total);
}

static ssize_t read_part(int fd, void *p, size_t n, off_t offset)
{
    return offset < 0 ? read(fd, p, n) : pread(fd, p, n, offset);
}

static ssize_t write_part(int fd, void *p, size_t n, off_t offset)
{
    sigset_t before;
    ssize_t written;

    hold_xfsz(&before);
    written = offset < 0 ? write(fd, p, n) : pwrite(fd, p, n, offset);
    release_xfsz(&before, written < 0 && errno == EFBIG);
    return written;
}

static uint32_t do_fd_read(call *c)
{
    const descriptor *d = open_one(c, param(c, 0));
    buffers list;
    uint32_t error = get_buffers(c, &list, 3);

    if (error != OK || d == NULL) {
        return error != OK ? error : E_BADF;
    }
    switch (d->kind) {
    case STDIN: return give32(c, 3, 0); // it is at its end
    case REGULAR: return transfer(c, d, &list, -1, read_part, 3);
    default: return E_BADF;
    }
}

static uint32_t do_fd_write(call *c)
{
    const descriptor *d = open_one(c, param(c, 0));
    buffers list;
    uint32_t error = get_buffers(c, &list, 3), total = 0;

    if (error != OK || d == NULL) {
        return error != OK ? error : E_BADF;
    }
    if (d->kind == REGULAR) {
        return transfer(c, d, &list, -1, write_part, 3);
    }
    if (d->kind != STDOUT && d->kind != STDERR) {
        return E_BADF;
    }
    for (uint32_t i = 0; i < list.count; i++) {
        uint8_t *p;
        uint32_t n;

        if (!buffer(c, &list, i, &p, &n)) {
            return E_FAULT;
        }
        flbwt_write(d->kind == STDOUT ? &c->guest->out : &c->guest->err, p, n);
        total += n;
    }
    return give32(c, 3, total);
}

static uint32_t at_offset(call *c, bool reads)
{
    const descriptor *d = open_one(c, param(c, 0));
    buffers list;
    uint32_t error = get_buffers(c, &list, 4);

    if (error != OK || d == NULL || d->kind == DIRECTORY) {
        return error != OK ? error : E_BADF;
    }
    if (d->kind != REGULAR) {
        return (d->kind == STDIN) == reads ? E_SPIPE : E_BADF;
    }
    if (param64(c, 3) > INT64_MAX) {
        return E_INVAL;
    }
    return transfer(c, d, &list, c->v[3].i64, reads ? read_part : write_part, 4);
}

static uint32_t do_fd_pread(call *c) { return at_offset(c, true); }
static uint32_t do_fd_pwrite(call *c) { return at_offset(c, false); }

enum { ENTRY_BYTES = 24 };

// entry_type answers what an entry is, which not every file system says by itself.
static uint8_t entry_type(int dir, const struct dirent64 *e)
{
    struct stat s;

    if (e->d_type != DT_UNKNOWN) {
        return type_of((mode_t) DTTOIF(e->d_type));
    }
    return fstatat(dir, e->d_name, &s, AT_SYMLINK_NOFOLLOW) == 0 ? type_of(s.st_mode) : UNKNOWN_TYPE;
}

// put_entry writes as much of an entry as there is room for.
static size_t put_entry(const descriptor *d, const struct dirent64 *e, uint8_t *to, size_t room)
{
    uint8_t head[ENTRY_BYTES] = {0};
    size_t name = strlen(e->d_name);
    uint64_t inode = e->d_ino;
    struct stat s;

    if (strcmp(e->d_name, "..") == 0) { // which of the host's it is, is not said
        inode = fstat(d->fd, &s) == 0 ? s.st_ino : 0;
    }
    put64(head, d->entry + 1);
    put64(head + 8, inode);
    put32(head + 16, (uint32_t) name);
    head[20] = entry_type(d->fd, e);

    size_t n = room < ENTRY_BYTES ? room : ENTRY_BYTES;
    memcpy(to, head, n);
    if (name > room - n) {
        name = room - n;
    }
    memcpy(to + n, e->d_name, name);
    return n + name;
}

// A cookie is the number of an entry, of those that the kernel lists. The guest most
// often asks for the one after those it was given.
static uint32_t do_fd_readdir(call *c)
{
    descriptor *d = open_as(c, param(c, 0), DIRECTORY);
    uint32_t len = param(c, 2), used = 0;
    uint8_t *to = within(c->guest, param(c, 1), len);
    uint64_t cookie = param64(c, 3);
    scratch *s = scratch_of(c);

    if (d == NULL || to == NULL || within(c->guest, param(c, 4), 4) == NULL) {
        return d == NULL ? E_BADF : E_FAULT;
    }
    if (s == NULL) {
        return E_NOMEM;
    }
    if (cookie != d->entry) {
        d->entry = 0;
        d->position = 0;
    }
    if (lseek(d->fd, d->position, SEEK_SET) < 0) {
        return errno == EBADF ? E_ACCES : from_errno(errno); // see flbwt_wasi_grant
    }
    while (used < len && !flbwt_overdue(c)) {
        long n = syscall(SYS_getdents64, d->fd, s->entries.bytes, sizeof(s->entries.bytes));

        if (n < 0 && used == 0) {
            return from_errno(errno);
        }
        if (n <= 0) {
            break;
        }
        for (const uint8_t *p = s->entries.bytes, *end = p + n; p < end && used < len;) {
            const struct dirent64 *e = (const struct dirent64 *) p;

            p += e->d_reclen;
            if (d->entry >= cookie) {
                size_t whole = ENTRY_BYTES + strlen(e->d_name), room = len - used;

                used += (uint32_t) put_entry(d, e, to + used, room);
                if (whole > room) {
                    break; // the guest asks for it again
                }
            }
            d->entry++;
            d->position = e->d_off;
        }
    }
    return give32(c, 4, used);
}

// ---- Paths ----------------------------------------------------------------------

// get_path copies the path of n bytes at that address.
static uint32_t get_path(call *c, int i, char *to)
{
    uint64_t n = param(c, i + 1);
    const uint8_t *p = within(c->guest, param(c, i), n);

    if (p == NULL) {
        return E_FAULT;
    }
    if (n >= FLBWT_WASI_PATH_BYTES) {
        return E_NAMETOOLONG;
    }
    if (memchr(p, 0, n) != NULL) {
        return E_INVAL;
    }
    memcpy(to, p, n);
    to[n] = 0;
    return OK;
}

// A path of the guest: parameter i is the directory that it starts in, j where it stands.
typedef struct {
    const descriptor *from;
    char *text;
} path;

static uint32_t get_path_from(call *c, int i, int j, int which, path *p)
{
    scratch *s = scratch_of(c);

    p->from = open_as(c, param(c, i), DIRECTORY);
    if (p->from == NULL || s == NULL) {
        return p->from == NULL ? E_BADF : E_NOMEM;
    }
    p->text = s->path[which];
    return get_path(c, j, p->text);
}

static int find(call *c, const path *p, int flags)
{
    return flbwt_beneath(c, p->from->fd, p->text, flags, c->guest->wasi->walk);
}

static int locate(call *c, const path *p, int dots, flbwt_place *place)
{
    return flbwt_locate(c, p->from->fd, p->text, dots, c->guest->wasi->walk, place);
}

// get_place is get_path_from for what the guest changes.
static uint32_t get_place(call *c, int i, int j, int which, int dots, flbwt_place *place)
{
    path p;
    uint32_t error = get_path_from(c, i, j, which, &p);

    if (error != OK || !p.from->writable) {
        return error != OK ? error : E_PERM;
    }
    int failed = locate(c, &p, dots, place);
    return failed < 0 ? from_errno(-failed) : OK;
}

// By this name the kernel finds what a descriptor is open on, wherever it is now.
typedef char descriptor_name[32];

static const char *name_of(int fd, descriptor_name name)
{
    snprintf(name, sizeof(descriptor_name), "/proc/self/fd/%d", fd);
    return name;
}

enum { SYMLINK_FOLLOW = 1 };

static uint32_t path_stat(call *c, bool old)
{
    uint8_t *to = within(c->guest, param(c, 4), old ? OLD_STAT_BYTES : STAT_BYTES);
    struct stat s;
    path p;
    uint32_t error = get_path_from(c, 0, 2, 0, &p);
    int fd, failed;

    if (error != OK || to == NULL || param(c, 1) > SYMLINK_FOLLOW) {
        return error != OK ? error : to == NULL ? E_FAULT : E_INVAL;
    }
    fd = find(c, &p, param(c, 1) & SYMLINK_FOLLOW ? 0 : O_NOFOLLOW);
    if (fd < 0) {
        return from_errno(-fd);
    }
    failed = fstat(fd, &s);
    error = result(failed);
    close(fd);
    if (failed == 0) {
        put_stat(to, &s, old);
    }
    return error;
}

static uint32_t do_path_filestat_get(call *c) { return path_stat(c, false); }
static uint32_t do_old_path_filestat_get(call *c) { return path_stat(c, true); }

static uint32_t do_path_filestat_set_times(call *c)
{
    struct timespec times[2];
    descriptor_name name;
    struct stat s;
    path p;
    uint32_t error = get_path_from(c, 0, 2, 0, &p);
    int fd, failed;

    if (error == OK) {
        error = get_times(c, 4, times);
    }
    if (error == OK && param(c, 1) > SYMLINK_FOLLOW) {
        error = E_INVAL;
    }
    if (error == OK && !p.from->writable) {
        error = E_PERM;
    }
    if (error != OK) {
        return error;
    }
    fd = find(c, &p, param(c, 1) & SYMLINK_FOLLOW ? 0 : O_NOFOLLOW);
    if (fd < 0) {
        return from_errno(-fd);
    }
    failed = fstat(fd, &s);
    if (failed == 0 && !S_ISLNK(s.st_mode)) {
        failed = utimensat(AT_FDCWD, name_of(fd, name), times, 0);
    }
    error = result(failed);
    close(fd);
    if (failed == 0 && S_ISLNK(s.st_mode)) { // which is changed by its name only
        flbwt_place place;

        failed = locate(c, &p, EINVAL, &place);
        if (failed < 0) {
            return from_errno(-failed);
        }
        error = result(utimensat(place.dir, place.name, times, AT_SYMLINK_NOFOLLOW));
        flbwt_leave_place(&place);
    }
    return error;
}

static uint32_t do_path_readlink(call *c)
{
    uint32_t len = param(c, 4);
    uint8_t *to = within(c->guest, param(c, 3), len);
    path p;
    uint32_t error = get_path_from(c, 0, 1, 0, &p);
    ssize_t n;
    int fd;

    if (error != OK) {
        return error;
    }
    if (to == NULL || within(c->guest, param(c, 5), 4) == NULL) {
        return E_FAULT;
    }
    fd = find(c, &p, O_NOFOLLOW);
    if (fd < 0) {
        return from_errno(-fd);
    }
    n = readlinkat(fd, "", p.text, FLBWT_WASI_PATH_BYTES);
    if (n < 0) { // the kernel says ENOENT of what is no link
        error = errno == ENOENT ? E_INVAL : from_errno(errno);
    }
    close(fd);
    if (error != OK) {
        return error;
    }
    if ((uint32_t) n > len) {
        n = len;
    }
    memcpy(to, p.text, (size_t) n);
    return give32(c, 5, (uint32_t) n);
}

static uint32_t do_path_create_directory(call *c)
{
    flbwt_place place;
    uint32_t error = get_place(c, 0, 1, 0, EEXIST, &place);

    if (error == OK) {
        error = result(mkdirat(place.dir, place.name, 0777));
        flbwt_leave_place(&place);
    }
    return error;
}

static uint32_t do_path_remove_directory(call *c)
{
    flbwt_place place;
    uint32_t error = get_place(c, 0, 1, 0, EINVAL, &place);

    if (error == OK) {
        error = result(unlinkat(place.dir, place.name, AT_REMOVEDIR));
        flbwt_leave_place(&place);
    }
    return error;
}

static uint32_t do_path_unlink_file(call *c)
{
    flbwt_place place;
    uint32_t error = get_place(c, 0, 1, 0, EISDIR, &place);

    if (error == OK) {
        error = result(unlinkat(place.dir, place.name, 0));
        flbwt_leave_place(&place);
    }
    return error;
}

static uint32_t do_path_rename(call *c)
{
    flbwt_place from, to;
    uint32_t error = get_place(c, 0, 1, 0, EBUSY, &from);

    if (error != OK) {
        return error;
    }
    error = get_place(c, 3, 4, 1, EBUSY, &to);
    if (error == OK) {
        error = result(renameat(from.dir, from.name, to.dir, to.name));
        flbwt_leave_place(&to);
    }
    flbwt_leave_place(&from);
    return error;
}

static uint32_t do_path_link(call *c)
{
    flbwt_place from, to;
    uint32_t error = get_place(c, 0, 2, 0, EPERM, &from);
    if (error != OK) {
        return error;
    }
    error = get_place(c, 4, 5, 1, EEXIST, &to);
    if (error == OK) {
        if (param(c, 1) != 0) { // links are not followed
            error = E_INVAL;
        }
        else if (strchr(from.name, '/') != NULL) { // as the kernel would
            error = E_NOTDIR;
        }
        else {
            error = result(linkat(from.dir, from.name, to.dir, to.name, 0));
        }
        flbwt_leave_place(&to);
    }
    flbwt_leave_place(&from);
    return error;
}

static uint32_t do_path_symlink(call *c)
{
    flbwt_place place;
    scratch *s = scratch_of(c);
    uint32_t error = s == NULL ? E_NOMEM : get_path(c, 0, s->path[0]);

    if (error == OK) {
        error = get_place(c, 2, 3, 1, EEXIST, &place);
    }
    if (error != OK) {
        return error;
    }
    // Guests can't follow one from "/", but other programs can.
    error = s->path[0][0] == '/' ? E_PERM : result(symlinkat(s->path[0], place.dir, place.name));
    flbwt_leave_place(&place);
    return error;
}

// ---- path_open ------------------------------------------------------------------

enum { // oflags
    CREAT = 1,
    O_DIR = 2,
    EXCL = 4,
    TRUNC = 8,
};

// O_NONBLOCK: there are files in proc(5) which a read waits for, and a file may be leased
// to another process.
enum { OPEN_FLAGS = O_CLOEXEC | O_NONBLOCK | O_NOCTTY };

// open_found opens what a guest has found, and closes the place that was found. To open something else than a
// file or a directory may wait, or do something to a device: it is not done.
static int open_found(int found, int flags, int *fd)
{
    descriptor_name name;
    struct stat s;
    int error = 0;

    if (fstat(found, &s) != 0) {
        error = errno;
    }
    else if (S_ISLNK(s.st_mode)) {
        error = ELOOP;
    }
    else if (!S_ISREG(s.st_mode) && !S_ISDIR(s.st_mode)) {
        error = EOPNOTSUPP;
    }
    else {
        *fd = open(name_of(found, name), flags | OPEN_FLAGS);
        error = *fd < 0 ? errno : 0;
    }
    close(found);
    return error;
}

// open_or_make opens a file that may have to be made. A link at the end of the path is
// gone along here: only so is it known whether something is there before it is opened.
static int open_or_make(call *c, const path *p, int flags, bool follow, bool exclusive, int *fd)
{
    char *other = c->guest->wasi->scratch->path[1];

    for (int links = 0; links <= 40; links++) {
        size_t dir_len, n = strlen(p->text);
        flbwt_place place;
        ssize_t len;
        int error, found;

        memcpy(other, p->text, n + 1);
        error = locate(c, p, EISDIR, &place);
        if (error < 0) {
            return -error;
        }
        if (strchr(place.name, '/') != NULL) {
            flbwt_leave_place(&place);
            return EISDIR;
        }
        found = openat(place.dir, place.name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        error = found < 0 ? errno : exclusive ? EEXIST : 0;
        if (found < 0 && error == ENOENT) {
            *fd = openat(place.dir, place.name, flags | OPEN_FLAGS | O_CREAT | O_EXCL | O_NOFOLLOW, 0666);
            error = *fd < 0 ? errno : 0;
            flbwt_leave_place(&place);
            if (error == EEXIST && !exclusive) { // it has come meanwhile
                memcpy(p->text, other, n + 1);
                continue;
            }
            return error;
        }
        dir_len = (size_t) (place.name - p->text);
        flbwt_leave_place(&place);
        if (error != 0) {
            if (found >= 0) {
                close(found);
            }
            return error;
        }
        len = follow ? readlinkat(found, "", p->text + dir_len, FLBWT_WASI_PATH_BYTES - dir_len) : -1;
        if (len < 0) { // it is no link, or not to be followed
            return open_found(found, flags, fd);
        }
        close(found);
        if (dir_len + (size_t) len >= FLBWT_WASI_PATH_BYTES) {
            return ENAMETOOLONG;
        }
        if (p->text[dir_len] == '/') {
            return EPERM;
        }
        memcpy(p->text, other, dir_len);
        p->text[dir_len + (size_t) len] = 0;
    }
    return ELOOP;
}

static uint32_t do_path_open(call *c)
{
    wasi *w = c->guest->wasi;
    const descriptor *from = open_one(c, param(c, 0));
    uint32_t follow = param(c, 1), oflags = param(c, 4), fdflags = param(c, 7), error;
    uint64_t rights = param64(c, 5);
    bool writes = rights & FD_WRITE || oflags & (CREAT | TRUNC);
    bool reads = rights & FD_READ || !(rights & FD_WRITE);
    int slot = free_slot(w), flags, fd = -1, failed;
    descriptor d = {.kind = REGULAR};
    struct stat s;
    path p;

    if (from == NULL || is_stream(from)) {
        return E_BADF;
    }
    if (from->kind == REGULAR) {
        return E_NOTDIR;
    }
    error = get_path_from(c, 0, 2, 0, &p);
    if (error != OK) {
        return error;
    }
    if (within(c->guest, param(c, 8), 4) == NULL) {
        return E_FAULT;
    }
    if (follow > SYMLINK_FOLLOW || oflags > 15 || fdflags > 31) {
        return E_INVAL;
    }
    if (writes && !from->writable) {
        return E_PERM;
    }
    if (fdflags & (DSYNC | RSYNC | SYNC)) {
        return E_NOTSUP;
    }
    if (oflags & O_DIR && oflags & (CREAT | EXCL | TRUNC)) {
        return E_INVAL;
    }
    if (slot < 0) {
        return E_MFILE;
    }
    flags = (writes ? reads ? O_RDWR : O_WRONLY : O_RDONLY) | (oflags & TRUNC ? O_TRUNC : 0) |
            (fdflags & APPEND ? O_APPEND : 0);
    if (oflags & CREAT) {
        failed = open_or_make(c, &p, flags, follow, oflags & EXCL, &fd);
    }
    else {
        int found = find(c, &p, (follow ? 0 : O_NOFOLLOW) | (oflags & O_DIR ? O_DIRECTORY : 0));

        failed = found < 0 ? -found : open_found(found, flags, &fd);
    }
    if (failed == 0 && fstat(fd, &s) != 0) {
        failed = errno;
        close(fd);
    }
    if (failed != 0) {
        return from_errno(failed);
    }
    d.fd = fd;
    d.writable = from->writable;
    if (S_ISDIR(s.st_mode)) {
        d.kind = DIRECTORY;
    }
    else {
        d.append = fdflags & APPEND;
        d.nonblock = fdflags & NONBLOCK;
    }
    w->table[slot] = d;
    return give32(c, 8, (uint32_t) slot);
}

// ---- Waiting --------------------------------------------------------------------

// What differs in a subscription between the two versions: the older one has a number
// before the clock, of no use.
typedef struct {
    uint32_t bytes, clock;
} subscription_layout;

enum { EVENT_BYTES = 32, CLOCK_EVENT = 0, READ_EVENT = 1, WRITE_EVENT = 2, ABSOLUTE = 1, HANGUP = 1 };

// clock_delay answers how long the clock at p is to be waited for from now on.
static bool clock_delay(const uint8_t *p, uint64_t *delay)
{
    uint32_t id = get32(p);
    uint64_t until = get64(p + 8);

    if (id > 1) { // nobody's CPU time passes in a sleep
        return false;
    }
    *delay = until;
    if (get16(p + 24) & ABSOLUTE) {
        uint64_t t = now(id == 0 ? CLOCK_REALTIME : CLOCK_MONOTONIC);

        *delay = until > t ? until - t : 0;
    }
    return true;
}

// sleep_for waits, or ends the guest.
static bool sleep_for(call *c, uint64_t ns)
{
    uint64_t start = now(CLOCK_MONOTONIC), passed;

    while (!flbwt_overdue(c)) {
        passed = now(CLOCK_MONOTONIC) - start;
        if (passed >= ns) {
            return true;
        }
        pause_for(ns - passed < SLEEP_NS ? ns - passed : SLEEP_NS);
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
    from = within(c->guest, param(c, 0), (uint64_t) count * layout->bytes);
    to = within(c->guest, param(c, 1), (uint64_t) count * EVENT_BYTES);
    if (from == NULL || to == NULL || within(c->guest, param(c, 3), 4) == NULL) {
        return E_FAULT;
    }
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *s = from + (size_t) i * layout->bytes;

        delays[i] = 0;
        if (s[8] > WRITE_EVENT || (s[8] == CLOCK_EVENT && !clock_delay(s + layout->clock, &delays[i]))) {
            return E_INVAL;
        }
        if (s[8] != CLOCK_EVENT) {
            ready++;
        }
        if (delays[i] < shortest) {
            shortest = delays[i];
        }
    }
    if (ready == 0 && !sleep_for(c, shortest)) {
        return OK;
    }
    for (uint32_t i = 0; i < count; i++) {
        uint8_t s[56], *event = to + (size_t) written * EVENT_BYTES;

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

static uint32_t do_poll_oneoff(call *c) { return wait_for(c, &(subscription_layout){48, 16}); }
static uint32_t do_old_poll_oneoff(call *c) { return wait_for(c, &(subscription_layout){56, 24}); }

// ---- The rest -------------------------------------------------------------------

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
static uint32_t do_sock(call *c)
{
    return open_one(c, param(c, 0)) == NULL ? E_BADF : E_NOTSOCK;
}

static void do_proc_exit(call *c) { flbwt_exit(c, (int32_t) param(c, 0)); }

// Name and types of what the two versions have in common.
#define BOTH(X)                                                                          \
    X(args_get, "ii:i", do_args_get)                                                     \
    X(args_sizes_get, "ii:i", do_args_sizes_get)                                         \
    X(clock_res_get, "ii:i", do_clock_res_get)                                           \
    X(clock_time_get, "iIi:i", do_clock_time_get)                                        \
    X(environ_get, "ii:i", do_environ_get)                                               \
    X(environ_sizes_get, "ii:i", do_environ_sizes_get)                                   \
    X(fd_advise, "iIIi:i", do_fd_advise)                                                 \
    X(fd_allocate, "iII:i", do_fd_allocate)                                              \
    X(fd_close, "i:i", do_fd_close)                                                      \
    X(fd_datasync, "i:i", do_fd_datasync)                                                \
    X(fd_fdstat_get, "ii:i", do_fd_fdstat_get)                                           \
    X(fd_fdstat_set_flags, "ii:i", do_fd_fdstat_set_flags)                               \
    X(fd_fdstat_set_rights, "iII:i", do_fd_fdstat_set_rights)                            \
    X(fd_filestat_set_size, "iI:i", do_fd_filestat_set_size)                             \
    X(fd_filestat_set_times, "iIIi:i", do_fd_filestat_set_times)                         \
    X(fd_pread, "iiiIi:i", do_fd_pread)                                                  \
    X(fd_prestat_dir_name, "iii:i", do_fd_prestat_dir_name)                              \
    X(fd_prestat_get, "ii:i", do_fd_prestat_get)                                         \
    X(fd_pwrite, "iiiIi:i", do_fd_pwrite)                                                \
    X(fd_read, "iiii:i", do_fd_read)                                                     \
    X(fd_readdir, "iiiIi:i", do_fd_readdir)                                              \
    X(fd_renumber, "ii:i", do_fd_renumber)                                               \
    X(fd_sync, "i:i", do_fd_sync)                                                        \
    X(fd_tell, "ii:i", do_fd_tell)                                                       \
    X(fd_write, "iiii:i", do_fd_write)                                                   \
    X(path_create_directory, "iii:i", do_path_create_directory)                          \
    X(path_filestat_set_times, "iiiiIIi:i", do_path_filestat_set_times)                  \
    X(path_link, "iiiiiii:i", do_path_link)                                              \
    X(path_open, "iiiiiIIii:i", do_path_open)                                            \
    X(path_readlink, "iiiiii:i", do_path_readlink)                                       \
    X(path_remove_directory, "iii:i", do_path_remove_directory)                          \
    X(path_rename, "iiiiii:i", do_path_rename)                                           \
    X(path_symlink, "iiiii:i", do_path_symlink)                                          \
    X(path_unlink_file, "iii:i", do_path_unlink_file)                                    \
    X(proc_raise, "i:i", do_proc_raise)                                                  \
    X(random_get, "ii:i", do_random_get)                                                 \
    X(sched_yield, ":i", do_sched_yield)                                                 \
    X(sock_recv, "iiiiii:i", do_sock)                                                    \
    X(sock_send, "iiiii:i", do_sock)                                                     \
    X(sock_shutdown, "ii:i", do_sock)

// What is of the newer one only, or differs in the older one (in OLD).
#define NEW(X)                                                                           \
    X(fd_filestat_get, "ii:i", do_fd_filestat_get)                                       \
    X(fd_seek, "iIii:i", do_fd_seek)                                                     \
    X(path_filestat_get, "iiiii:i", do_path_filestat_get)                                \
    X(poll_oneoff, "iiii:i", do_poll_oneoff)                                             \
    X(sock_accept, "iii:i", do_sock)
#define OLD(X)                                                                           \
    X(fd_filestat_get, "ii:i", do_old_fd_filestat_get)                                   \
    X(fd_seek, "iIii:i", do_old_fd_seek)                                                 \
    X(path_filestat_get, "iiiii:i", do_old_path_filestat_get)                            \
    X(poll_oneoff, "iiii:i", do_old_poll_oneoff)

#define DEFINE(prefix, its_name, act)                                                    \
    static inline void prefix##act_##its_name(call *c) { answer(c, act(c)); }            \
    HOST_FUNCTION(prefix##its_name, #its_name, prefix##act_##its_name)
#define DEFINE_NEW(its_name, types, act) DEFINE(host_, its_name, act)
#define DEFINE_OLD(its_name, types, act) DEFINE(old_, its_name, act)

BOTH(DEFINE_NEW)
NEW(DEFINE_NEW)
OLD(DEFINE_OLD)
HOST_FUNCTION(host_proc_exit, "proc_exit", do_proc_exit)

#define PREVIEW1 "wasi_snapshot_preview1"
#define UNSTABLE "wasi_unstable"
#define ENTRY_NEW(its_name, types, act) {PREVIEW1, #its_name, types, host_##its_name},
#define ENTRY_BOTH(its_name, types, act) {UNSTABLE, #its_name, types, host_##its_name},
#define ENTRY_OLD(its_name, types, act) {UNSTABLE, #its_name, types, old_##its_name},

static const flbwt_import table[] = {
    BOTH(ENTRY_NEW)
    NEW(ENTRY_NEW)
    {PREVIEW1, "proc_exit", "i:", host_proc_exit},
    BOTH(ENTRY_BOTH)
    OLD(ENTRY_OLD)
    {UNSTABLE, "proc_exit", "i:", host_proc_exit},
};

const flbwt_import *const flbwt_wasi_imports = table;
const size_t flbwt_wasi_imports_len = sizeof(table) / sizeof(table[0]);
