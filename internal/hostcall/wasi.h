// The host's own WASI: wasi_snapshot_preview1, and wasi_unstable, which came before it.
// The files are wasi.c (what guests call) and beneath.c (where paths lead).

#ifndef FLBWT_WASI_H
#define FLBWT_WASI_H

#include "instance.h"

// What one instance may use. Each of these has a row in README.md.
enum {
    // Descriptors at a time, the standard streams and the granted directories included.
    FLBWT_WASI_DESCRIPTORS = 64,
    // Bytes of a path and its NUL, as the kernel has it (PATH_MAX).
    FLBWT_WASI_PATH_BYTES = 4096,
    // Buffers of one call that reads or writes, as POSIX has it (IOV_MAX).
    FLBWT_WASI_BUFFERS = 1024,
    // Subscriptions of one poll_oneoff.
    FLBWT_WASI_SUBSCRIPTIONS = 64,
};

// flbwt_wasi_open gives instance->wasi to a guest that has none: no directories, and an
// environment of count strings NAME=value, each with its NUL, in n bytes. False: there is
// no memory. flbwt_wasi_close takes it back, and closes all that the guest has open.
bool flbwt_wasi_open(flbwt_instance *instance, const char *environment, size_t n, uint32_t count);
void flbwt_wasi_close(flbwt_instance *instance);

// flbwt_wasi_grant gives a directory to the guest, by its name, to read or also to write.
// It returns 0 or an errno.
int flbwt_wasi_grant(flbwt_instance *instance, const char *path, bool writable);

// flbwt_wasi_walk has paths resolved without the kernel's help, as on kernels before 5.6.
void flbwt_wasi_walk(flbwt_instance *instance);

#endif
