#define _GNU_SOURCE
#include "wasi_impl.h"
#include "beneath.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

// get_path copies the path of n bytes at that address.
static uint32_t get_path(call *c, int i, char *to)
{
    uint64_t n = param(c, i + 1);
    const uint8_t *p = within(c->instance, param(c, i), n);

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
    scratch *s = flbwt_wasi_scratch(c);

    p->from = open_as(c, param(c, i), DIRECTORY);
    if (p->from == NULL || s == NULL) {
        return p->from == NULL ? E_BADF : E_NOMEM;
    }
    p->text = s->path[which];
    return get_path(c, j, p->text);
}

static int find(call *c, const path *p, int flags)
{
    return flbwt_beneath(c, p->from->fd, p->text, flags, c->instance->wasi->walk);
}

static int locate(call *c, const path *p, int dots, flbwt_place *place)
{
    return flbwt_locate(c, p->from->fd, p->text, dots, c->instance->wasi->walk, place);
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
    return failed < 0 ? flbwt_wasi_errno(-failed) : OK;
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
    uint8_t *to = within(c->instance, param(c, 4), old ? OLD_STAT_BYTES : STAT_BYTES);
    struct stat s;
    path p;
    uint32_t error = get_path_from(c, 0, 2, 0, &p);
    int fd, failed;

    if (error != OK || to == NULL || param(c, 1) > SYMLINK_FOLLOW) {
        return error != OK ? error : to == NULL ? E_FAULT : E_INVAL;
    }
    fd = find(c, &p, param(c, 1) & SYMLINK_FOLLOW ? 0 : O_NOFOLLOW);
    if (fd < 0) {
        return flbwt_wasi_errno(-fd);
    }
    failed = fstat(fd, &s);
    error = result(failed);
    close(fd);
    if (failed == 0) {
        flbwt_wasi_put_stat(to, &s, old);
    }
    return error;
}

uint32_t flbwt_wasi_path_filestat_get(call *c) { return path_stat(c, false); }
uint32_t flbwt_wasi_old_path_filestat_get(call *c) { return path_stat(c, true); }

uint32_t flbwt_wasi_path_filestat_set_times(call *c)
{
    struct timespec times[2];
    descriptor_name name;
    struct stat s;
    path p;
    uint32_t error = get_path_from(c, 0, 2, 0, &p);
    int fd, failed;

    if (error == OK) {
        error = flbwt_wasi_times(c, 4, times);
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
        return flbwt_wasi_errno(-fd);
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
            return flbwt_wasi_errno(-failed);
        }
        error = result(utimensat(place.dir, place.name, times, AT_SYMLINK_NOFOLLOW));
        flbwt_leave_place(&place);
    }
    return error;
}

uint32_t flbwt_wasi_path_readlink(call *c)
{
    uint32_t len = param(c, 4);
    uint8_t *to = within(c->instance, param(c, 3), len);
    path p;
    uint32_t error = get_path_from(c, 0, 1, 0, &p);
    ssize_t n;
    int fd;

    if (error != OK) {
        return error;
    }
    if (to == NULL || within(c->instance, param(c, 5), 4) == NULL) {
        return E_FAULT;
    }
    fd = find(c, &p, O_NOFOLLOW);
    if (fd < 0) {
        return flbwt_wasi_errno(-fd);
    }
    n = readlinkat(fd, "", p.text, FLBWT_WASI_PATH_BYTES);
    if (n < 0) { // the kernel says ENOENT of what is no link
        error = errno == ENOENT ? E_INVAL : flbwt_wasi_errno(errno);
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

uint32_t flbwt_wasi_path_create_directory(call *c)
{
    flbwt_place place;
    uint32_t error = get_place(c, 0, 1, 0, EEXIST, &place);

    if (error == OK) {
        error = result(mkdirat(place.dir, place.name, 0777));
        flbwt_leave_place(&place);
    }
    return error;
}

uint32_t flbwt_wasi_path_remove_directory(call *c)
{
    flbwt_place place;
    uint32_t error = get_place(c, 0, 1, 0, EINVAL, &place);

    if (error == OK) {
        error = result(unlinkat(place.dir, place.name, AT_REMOVEDIR));
        flbwt_leave_place(&place);
    }
    return error;
}

uint32_t flbwt_wasi_path_unlink_file(call *c)
{
    flbwt_place place;
    uint32_t error = get_place(c, 0, 1, 0, EISDIR, &place);

    if (error == OK) {
        error = result(unlinkat(place.dir, place.name, 0));
        flbwt_leave_place(&place);
    }
    return error;
}

uint32_t flbwt_wasi_path_rename(call *c)
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

uint32_t flbwt_wasi_path_link(call *c)
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

uint32_t flbwt_wasi_path_symlink(call *c)
{
    flbwt_place place;
    scratch *s = flbwt_wasi_scratch(c);
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

enum { // oflags
    CREAT = 1,
    O_DIR = 2,
    EXCL = 4,
    TRUNC = 8,
};

// O_NONBLOCK: there are files in proc(5) which a read waits for, and a file may be leased
// to another process.
enum { OPEN_FLAGS = O_CLOEXEC | O_NONBLOCK | O_NOCTTY };

// open_found opens what a guest has found by O_PATH, and closes that. To open something
// else than a file or a directory may wait, or do something to a device: it is not done.
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
    char *other = c->instance->wasi->scratch->path[1];

    for (int links = 0; links <= FLBWT_LINKS_MOST; links++) {
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
            *fd = openat(place.dir, place.name, flags | OPEN_FLAGS | O_CREAT | O_EXCL, 0666);
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
        len = -1;
        if (follow) {
            len = readlinkat(found, "", p->text + dir_len, FLBWT_WASI_PATH_BYTES - dir_len);
        }
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

uint32_t flbwt_wasi_path_open(call *c)
{
    wasi *w = c->instance->wasi;
    const descriptor *from = open_one(c, param(c, 0));
    uint32_t follow = param(c, 1), oflags = param(c, 4), fdflags = param(c, 7), error;
    uint64_t rights = param64(c, 5);
    bool writes = rights & FD_WRITE || oflags & (CREAT | TRUNC);
    bool reads = rights & FD_READ || !(rights & FD_WRITE);
    int slot = flbwt_wasi_slot(w), flags, fd = -1, failed;
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
    if (within(c->instance, param(c, 8), 4) == NULL) {
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
        return flbwt_wasi_errno(failed);
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
