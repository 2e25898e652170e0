#define _GNU_SOURCE
#include "wasi_impl.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { UNKNOWN_TYPE = 0, DIRECTORY_TYPE = 3, REGULAR_TYPE = 4 };

static uint8_t type_of(mode_t mode)
{
    switch (mode & S_IFMT) {
    case S_IFBLK:
        return 1;
    case S_IFCHR:
        return 2;
    case S_IFDIR:
        return DIRECTORY_TYPE;
    case S_IFREG:
        return REGULAR_TYPE;
    case S_IFSOCK:
        return 6;
    case S_IFLNK:
        return 7;
    default:
        return UNKNOWN_TYPE;
    }
}

uint32_t flbwt_wasi_fd_fdstat_get(call *c)
{
    const descriptor *d = open_one(c, param(c, 0));
    uint8_t *p = within(c->instance, param(c, 1), 24);
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
        base = ALL & ~(FD_SEEK | FD_WRITE | FD_FILESTAT_SET_SIZE | PATH_FILESTAT_SET_SIZE);
        inheriting = base;
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

uint32_t flbwt_wasi_fd_fdstat_set_flags(call *c)
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
        return flbwt_wasi_errno(errno);
    }
    d->append = flags & APPEND;
    d->nonblock = flags & NONBLOCK;
    return OK;
}

uint32_t flbwt_wasi_fd_fdstat_set_rights(call *c)
{
    const descriptor *d = open_one(c, param(c, 0));

    return d == NULL || is_stream(d) ? E_BADF : E_NOTSUP;
}

uint32_t flbwt_wasi_fd_advise(call *c)
{
    if (open_as(c, param(c, 0), REGULAR) == NULL) {
        return E_BADF;
    }
    // It is not passed on: what the host keeps in memory is not the guest's to say.
    return param(c, 3) <= 5 ? OK : E_INVAL;
}

uint32_t flbwt_wasi_fd_allocate(call *c)
{
    return open_as(c, param(c, 0), REGULAR) == NULL ? E_BADF : E_NOTSUP;
}

uint32_t flbwt_wasi_fd_close(call *c)
{
    descriptor *d = open_one(c, param(c, 0));

    if (d == NULL) {
        return E_BADF;
    }
    flbwt_wasi_drop(d);
    return OK;
}

uint32_t flbwt_wasi_fd_renumber(call *c)
{
    descriptor *from = open_one(c, param(c, 0)), *to = open_one(c, param(c, 1));

    if (from == NULL || to == NULL) {
        return E_BADF;
    }
    if (from != to) {
        flbwt_wasi_drop(to);
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

uint32_t flbwt_wasi_fd_sync(call *c) { return synchronize(c, fsync); }
uint32_t flbwt_wasi_fd_datasync(call *c) { return synchronize(c, fdatasync); }

uint32_t flbwt_wasi_fd_prestat_get(call *c)
{
    const descriptor *d = open_as(c, param(c, 0), DIRECTORY);
    uint8_t *p = within(c->instance, param(c, 1), 8);

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

uint32_t flbwt_wasi_fd_prestat_dir_name(call *c)
{
    const descriptor *d = open_one(c, param(c, 0));

    if (d == NULL || d->granted == NULL) {
        return d == NULL ? E_BADF : E_NOTDIR;
    }
    size_t n = strlen(d->granted);
    uint8_t *p = within(c->instance, param(c, 1), n);
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
    if (within(c->instance, param(c, 3), 8) == NULL) {
        return E_FAULT;
    }
    at = lseek(d->fd, c->v[1].i64, whences[whence]);
    return at < 0 ? flbwt_wasi_errno(errno) : give64(c, 3, (uint64_t) at);
}

uint32_t flbwt_wasi_fd_seek(call *c)
{
    return seek(c, (const int[]) {SEEK_SET, SEEK_CUR, SEEK_END});
}

uint32_t flbwt_wasi_old_fd_seek(call *c)
{
    return seek(c, (const int[]) {SEEK_CUR, SEEK_END, SEEK_SET});
}

uint32_t flbwt_wasi_fd_tell(call *c)
{
    const descriptor *d;
    uint32_t error = seekable(c, &d);
    off_t at = error == OK ? lseek(d->fd, 0, SEEK_CUR) : 0;

    if (error != OK) {
        return error;
    }
    return at < 0 ? flbwt_wasi_errno(errno) : give64(c, 1, (uint64_t) at);
}

void flbwt_wasi_put_stat(uint8_t *p, const struct stat *s, bool old)
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
    uint8_t *p = within(c->instance, param(c, 1), old ? OLD_STAT_BYTES : STAT_BYTES);
    struct stat s = {0};

    if (d == NULL || p == NULL) {
        return d == NULL ? E_BADF : E_FAULT;
    }
    if (!is_stream(d) && fstat(d->fd, &s) != 0) {
        return flbwt_wasi_errno(errno);
    }
    flbwt_wasi_put_stat(p, &s, old);
    return OK;
}

uint32_t flbwt_wasi_fd_filestat_get(call *c) { return fd_stat(c, false); }
uint32_t flbwt_wasi_old_fd_filestat_get(call *c) { return fd_stat(c, true); }

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

uint32_t flbwt_wasi_fd_filestat_set_size(call *c)
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

uint32_t flbwt_wasi_times(call *c, int i, struct timespec times[2])
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
        case 0:
            times[k].tv_nsec = UTIME_OMIT;
            break;
        case 2:
            times[k].tv_nsec = UTIME_NOW;
            break;
        case 3:
            return E_INVAL;
        }
    }
    return OK;
}

uint32_t flbwt_wasi_fd_filestat_set_times(call *c)
{
    const descriptor *d = open_one(c, param(c, 0));
    struct timespec times[2];
    uint32_t error = flbwt_wasi_times(c, 1, times);

    if (error != OK || d == NULL || is_stream(d)) {
        return error != OK ? error : E_BADF;
    }
    return d->writable ? result(futimens(d->fd, times)) : E_PERM;
}

// A list of buffers in the guest's memory, which what is read into one may change: each
// is looked at when its turn comes.
typedef struct {
    uint32_t at, count;
} buffers;

static bool buffer(call *c, const buffers *list, uint32_t i, uint8_t **p, uint32_t *n)
{
    const uint8_t *one = within(c->instance, (uint64_t) list->at + (uint64_t) i * 8, 8);

    if (one == NULL) {
        return false;
    }
    *n = get32(one + 4);
    *p = within(c->instance, get32(one), *n);
    return *p != NULL;
}

// get_buffers reads which buffers there are, and sees that all are in memory, as is the
// place of the number that is answered, parameter i.
static uint32_t get_buffers(call *c, buffers *list, int i)
{
    uint64_t total = 0;

    *list = (buffers) {param(c, 1), param(c, 2)};
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
    return within(c->instance, param(c, i), 4) == NULL ? E_FAULT : OK;
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
            uint64_t since = flbwt_clock_ns(CLOCK_MONOTONIC);
            ssize_t moved = move(d->fd, p, part, offset);
            int error = errno;

            flbwt_wasi_waited(c, since);
            if (flbwt_overdue(c)) {
                return OK;
            }
            if (moved < 0 && error == EINTR) {
                continue;
            }
            if (moved < 0 && total == 0) {
                return flbwt_wasi_errno(error);
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

uint32_t flbwt_wasi_fd_read(call *c)
{
    const descriptor *d = open_one(c, param(c, 0));
    buffers list;
    uint32_t error = get_buffers(c, &list, 3);

    if (error != OK || d == NULL) {
        return error != OK ? error : E_BADF;
    }
    switch (d->kind) {
    case STDIN:
        return give32(c, 3, 0); // it is at its end
    case REGULAR:
        return transfer(c, d, &list, -1, read_part, 3);
    default:
        return E_BADF;
    }
}

uint32_t flbwt_wasi_fd_write(call *c)
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
        flbwt_write(d->kind == STDOUT ? &c->instance->out : &c->instance->err, p, n);
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

uint32_t flbwt_wasi_fd_pread(call *c) { return at_offset(c, true); }
uint32_t flbwt_wasi_fd_pwrite(call *c) { return at_offset(c, false); }

enum { ENTRY_BYTES = 24 };

// entry_type returns what an entry is, which not every file system says by itself.
static uint8_t entry_type(int dir, const struct dirent64 *e)
{
    struct stat s;

    if (e->d_type != DT_UNKNOWN) {
        return type_of((mode_t) DTTOIF(e->d_type));
    }
    if (fstatat(dir, e->d_name, &s, AT_SYMLINK_NOFOLLOW) != 0) {
        return UNKNOWN_TYPE;
    }
    return type_of(s.st_mode);
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
uint32_t flbwt_wasi_fd_readdir(call *c)
{
    descriptor *d = open_as(c, param(c, 0), DIRECTORY);
    uint32_t len = param(c, 2), used = 0;
    uint8_t *to = within(c->instance, param(c, 1), len);
    uint64_t cookie = param64(c, 3);
    scratch *s = flbwt_wasi_scratch(c);

    if (d == NULL || to == NULL || within(c->instance, param(c, 4), 4) == NULL) {
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
        return errno == EBADF ? E_ACCES : flbwt_wasi_errno(errno); // see flbwt_wasi_grant
    }
    while (used < len && !flbwt_overdue(c)) {
        uint64_t since = flbwt_clock_ns(CLOCK_MONOTONIC);
        long n = syscall(SYS_getdents64, d->fd, s->entries.bytes, sizeof(s->entries.bytes));
        int error = errno;

        flbwt_wasi_waited(c, since);
        if (n < 0 && used == 0) {
            return flbwt_wasi_errno(error);
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
