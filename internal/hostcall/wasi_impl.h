// What the files of the WASI share: wasi.c, wasi_file.c, wasi_path.c. guest->wasi is
// there when one of the functions is called.

#ifndef FLBWT_WASI_IMPL_H
#define FLBWT_WASI_IMPL_H

#include "hostcall.h"
#include "wasi.h"

#include "../bounds/clock.h"
#include "../fast/bytes.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

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

// flbwt_wasi_errno returns WASI's number for one of the kernel's.
uint32_t flbwt_wasi_errno(int error);

static inline uint32_t result(int failed) { return failed == 0 ? OK : flbwt_wasi_errno(errno); }

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

// open_one returns what the guest has open by that number, or NULL.
static inline descriptor *open_one(const call *c, uint32_t fd)
{
    wasi *w = c->instance->wasi;

    return fd < FLBWT_WASI_DESCRIPTORS && w->table[fd].kind != FREE ? &w->table[fd] : NULL;
}

static inline descriptor *open_as(const call *c, uint32_t fd, enum kind kind)
{
    descriptor *d = open_one(c, fd);

    return d != NULL && d->kind == kind ? d : NULL;
}

static inline bool is_stream(const descriptor *d) { return d->kind <= STDERR; }

// What counts against a guest's timeout is the CPU time of its thread, and what is said to
// be waited. A call of the kernel that took so long has waited for a disk, or for another
// machine: flbwt_wasi_waited has to follow one that may, with the time from before it.
enum { WAITED_NS = 50 * 1000 };

void flbwt_wasi_waited(const call *c, uint64_t since);

// flbwt_wasi_slot returns a free place in the table, or -1.
int flbwt_wasi_slot(const wasi *w);

// flbwt_wasi_drop closes what is open there, and makes the place free.
void flbwt_wasi_drop(descriptor *d);

// flbwt_wasi_scratch returns NULL if there is no memory.
scratch *flbwt_wasi_scratch(const call *c);

// give writes values where parameters say, if there is room for all.
static inline uint32_t give32(call *c, int i, uint32_t v)
{
    uint8_t *p = within(c->instance, param(c, i), 4);

    if (p == NULL) {
        return E_FAULT;
    }
    put32(p, v);
    return OK;
}

static inline uint32_t give64(call *c, int i, uint64_t v)
{
    uint8_t *p = within(c->instance, param(c, i), 8);

    if (p == NULL) {
        return E_FAULT;
    }
    put64(p, v);
    return OK;
}

static inline uint64_t nanoseconds(const struct timespec *t)
{
    return t->tv_sec < 0 ? 0 : (uint64_t) t->tv_sec * 1000000000u + (uint64_t) t->tv_nsec;
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

enum { STAT_BYTES = 64, OLD_STAT_BYTES = 56 };

// flbwt_wasi_put_stat writes a filestat. In the older WASI links are counted in 32 bits.
void flbwt_wasi_put_stat(uint8_t *p, const struct stat *s, bool old);

// flbwt_wasi_times reads the two times that utimensat(2) takes; i is the first parameter
// of three. It returns an errno.
uint32_t flbwt_wasi_times(call *c, int i, struct timespec times[2]);

// The functions of WASI that are not in wasi.c: each returns its errno.
uint32_t flbwt_wasi_fd_advise(call *c);
uint32_t flbwt_wasi_fd_allocate(call *c);
uint32_t flbwt_wasi_fd_close(call *c);
uint32_t flbwt_wasi_fd_datasync(call *c);
uint32_t flbwt_wasi_fd_fdstat_get(call *c);
uint32_t flbwt_wasi_fd_fdstat_set_flags(call *c);
uint32_t flbwt_wasi_fd_fdstat_set_rights(call *c);
uint32_t flbwt_wasi_fd_filestat_get(call *c);
uint32_t flbwt_wasi_fd_filestat_set_size(call *c);
uint32_t flbwt_wasi_fd_filestat_set_times(call *c);
uint32_t flbwt_wasi_fd_pread(call *c);
uint32_t flbwt_wasi_fd_prestat_dir_name(call *c);
uint32_t flbwt_wasi_fd_prestat_get(call *c);
uint32_t flbwt_wasi_fd_pwrite(call *c);
uint32_t flbwt_wasi_fd_read(call *c);
uint32_t flbwt_wasi_fd_readdir(call *c);
uint32_t flbwt_wasi_fd_renumber(call *c);
uint32_t flbwt_wasi_fd_seek(call *c);
uint32_t flbwt_wasi_fd_sync(call *c);
uint32_t flbwt_wasi_fd_tell(call *c);
uint32_t flbwt_wasi_fd_write(call *c);
uint32_t flbwt_wasi_old_fd_filestat_get(call *c);
uint32_t flbwt_wasi_old_fd_seek(call *c);
uint32_t flbwt_wasi_old_path_filestat_get(call *c);
uint32_t flbwt_wasi_path_create_directory(call *c);
uint32_t flbwt_wasi_path_filestat_get(call *c);
uint32_t flbwt_wasi_path_filestat_set_times(call *c);
uint32_t flbwt_wasi_path_link(call *c);
uint32_t flbwt_wasi_path_open(call *c);
uint32_t flbwt_wasi_path_readlink(call *c);
uint32_t flbwt_wasi_path_remove_directory(call *c);
uint32_t flbwt_wasi_path_rename(call *c);
uint32_t flbwt_wasi_path_symlink(call *c);
uint32_t flbwt_wasi_path_unlink_file(call *c);

#endif
