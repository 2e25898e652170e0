#define _GNU_SOURCE
#include "wasi_impl.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

static const uint8_t errnos[] = {
    [E2BIG] = 1,
    [EACCES] = E_ACCES,
    [EADDRINUSE] = 3,
    [EADDRNOTAVAIL] = 4,
    [EAFNOSUPPORT] = 5,
    [EAGAIN] = 6,
    [EALREADY] = 7,
    [EBADF] = E_BADF,
    [EBADMSG] = 9,
    [EBUSY] = 10,
    [ECANCELED] = 11,
    [ECHILD] = 12,
    [EDEADLK] = 16,
    [EDOM] = 18,
    [EDQUOT] = 19,
    [EEXIST] = 20,
    [EFAULT] = E_FAULT,
    [EFBIG] = 22,
    [EIDRM] = 24,
    [EILSEQ] = 25,
    [EINPROGRESS] = 26,
    [EINTR] = 27,
    [EINVAL] = E_INVAL,
    [EIO] = E_IO,
    [EISDIR] = 31,
    [ELOOP] = E_LOOP,
    [EMFILE] = E_MFILE,
    [EMLINK] = 34,
    [EMSGSIZE] = 35,
    [EMULTIHOP] = 36,
    [ENAMETOOLONG] = E_NAMETOOLONG,
    [ENFILE] = 41,
    [ENOBUFS] = 42,
    [ENODEV] = 43,
    [ENOENT] = 44,
    [ENOEXEC] = 45,
    [ENOLCK] = 46,
    [ENOLINK] = 47,
    [ENOMEM] = E_NOMEM,
    [ENOMSG] = 49,
    [ENOSPC] = 51,
    [ENOSYS] = 52,
    [ENOTDIR] = E_NOTDIR,
    [ENOTEMPTY] = 55,
    [ENOTRECOVERABLE] = 56,
    [ENOTSOCK] = E_NOTSOCK,
    [EOPNOTSUPP] = E_NOTSUP,
    [ENOTTY] = 59,
    [ENXIO] = 60,
    [EOVERFLOW] = 61,
    [EOWNERDEAD] = 62,
    [EPERM] = E_PERM,
    [EPIPE] = 64,
    [EPROTO] = 65,
    [ERANGE] = 68,
    [EROFS] = 69,
    [ESPIPE] = E_SPIPE,
    [ESRCH] = 71,
    [ESTALE] = 72,
    [ETIMEDOUT] = 73,
    [ETXTBSY] = 74,
    [EXDEV] = 75,
};

uint32_t flbwt_wasi_errno(int error)
{
    size_t n = sizeof(errnos) / sizeof(errnos[0]);

    return error > 0 && (size_t) error < n && errnos[error] != 0 ? errnos[error] : E_IO;
}

int flbwt_wasi_slot(const wasi *w)
{
    for (int i = 0; i < FLBWT_WASI_DESCRIPTORS; i++) {
        if (w->table[i].kind == FREE) {
            return i;
        }
    }
    return -1;
}

void flbwt_wasi_drop(descriptor *d)
{
    if (d->kind == REGULAR || d->kind == DIRECTORY) {
        close(d->fd);
    }
    free(d->granted);
    memset(d, 0, sizeof(*d));
}

scratch *flbwt_wasi_scratch(const call *c)
{
    wasi *w = c->instance->wasi;

    if (w->scratch == NULL) {
        w->scratch = malloc(sizeof(scratch));
    }
    return w->scratch;
}

bool flbwt_wasi_open(flbwt_instance *in, const char *environment, size_t n, uint32_t count)
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
    in->wasi = w;
    return true;
}

void flbwt_wasi_close(flbwt_instance *in)
{
    wasi *w = in->wasi;

    if (w == NULL) {
        return;
    }
    for (int i = 0; i < FLBWT_WASI_DESCRIPTORS; i++) {
        flbwt_wasi_drop(&w->table[i]);
    }
    free(w->environment);
    free(w->scratch);
    free(w);
    in->wasi = NULL;
}

int flbwt_wasi_grant(flbwt_instance *in, const char *path, bool writable)
{
    int i = flbwt_wasi_slot(in->wasi);
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
    in->wasi->table[i] = d;
    return 0;
}

void flbwt_wasi_walk(flbwt_instance *in) { in->wasi->walk = true; }

void flbwt_wasi_waited(const call *c, uint64_t since)
{
    uint64_t ns = flbwt_clock_ns(CLOCK_MONOTONIC) - since;

    if (ns >= WAITED_NS) {
        flbwt_watch_waited(&c->instance->watch, ns);
    }
}
