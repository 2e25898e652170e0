#define _GNU_SOURCE
#include "beneath.h"
#include "wasi.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

// linux/openat2.h, which is not on machines that build for older kernels; where it is,
// fcntl.h may bring it. The number is the same on every architecture.
struct openat2_how {
    uint64_t flags, mode, resolve;
};

enum {
    OPENAT2 = 437,
    OPENAT2_NO_MAGICLINKS = 0x02,
    OPENAT2_BENEATH = 0x08,

    // How often the kernel is asked again that has seen something move meanwhile.
    TRIES_MOST = 4,
};

static int openat2_beneath(int dir, const char *path, int flags)
{
    struct openat2_how how = {.flags = (uint64_t) (O_PATH | O_CLOEXEC | flags),
                              .resolve = OPENAT2_BENEATH | OPENAT2_NO_MAGICLINKS};
    int fd = -1;

    for (int i = 0; i < TRIES_MOST && fd < 0; i++) {
        fd = (int) syscall(OPENAT2, dir, path, &how, sizeof(how));
        if (fd < 0 && errno != EAGAIN && errno != EINTR) {
            return errno == EXDEV ? -EPERM : -errno;
        }
    }
    return fd < 0 ? -EAGAIN : fd;
}

// has_openat2 is false on kernels before 5.6, and where a filter of system calls does not
// know it.
static bool has_openat2(void)
{
    static atomic_int known; // 0: not asked yet, 1: it is there, 2: it is not
    int k = atomic_load_explicit(&known, memory_order_relaxed);

    if (k == 0) {
        int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
        int fd = openat2_beneath(root, ".", 0);

        k = fd >= 0 ? 1 : 2;
        if (fd >= 0) {
            close(fd);
        }
        if (root < 0) {
            return false; // ask again
        }
        close(root);
        atomic_store_explicit(&known, k, memory_order_relaxed);
    }
    return k == 1;
}

// A walker has come from root to dir by names, none of which is a link, "." or "..", and
// has rest before it. What is above a directory may change at any time, so ".." is never
// asked of the kernel: the walk begins again with one name less.
typedef struct {
    call *c;
    int root, dir; // dir is root, or to be closed
    int links;
    size_t names_len;
    char names[FLBWT_WASI_PATH_BYTES]; // a slash behind each, without a NUL
    char *rest;                        // in text
    char text[2 * FLBWT_WASI_PATH_BYTES];
    char other[2 * FLBWT_WASI_PATH_BYTES]; // a text in the making
} walker;

static void go_to(walker *w, int dir)
{
    if (w->dir != w->root) {
        close(w->dir);
    }
    w->dir = dir;
}

// go_by puts n bytes of w->other before what is left of the path.
static int go_by(walker *w, size_t n, const char *left)
{
    size_t left_len = strlen(left);

    if (n + left_len >= sizeof(w->text)) {
        return -ENAMETOOLONG;
    }
    memmove(w->other + n, left, left_len + 1);
    memcpy(w->text, w->other, n + left_len + 1);
    w->rest = w->text;
    return 0;
}

static int go_up(walker *w, const char *left)
{
    size_t n = w->names_len;

    if (n == 0) {
        return -EPERM;
    }
    n--; // the slash behind the name that goes
    while (n > 0 && w->names[n - 1] != '/') {
        n--;
    }
    memcpy(w->other, w->names, n);
    w->names_len = 0;
    go_to(w, w->root);
    return go_by(w, n, left);
}

static int go_along(walker *w, int link, const char *left)
{
    ssize_t n;

    if (++w->links > FLBWT_LINKS_MOST) {
        return -ELOOP;
    }
    n = readlinkat(link, "", w->other, FLBWT_WASI_PATH_BYTES);
    if (n <= 0) {
        return n == 0 ? -ENOENT : -errno;
    }
    if (n == FLBWT_WASI_PATH_BYTES) {
        return -ENAMETOOLONG;
    }
    return w->other[0] == '/' ? -EPERM : go_by(w, (size_t) n, left);
}

static int go_down(walker *w, int dir, const char *name, size_t n)
{
    if (w->names_len + n + 1 > sizeof(w->names)) {
        return -ENAMETOOLONG;
    }
    memcpy(w->names + w->names_len, name, n);
    w->names_len += n;
    w->names[w->names_len++] = '/';
    go_to(w, dir);
    return 0;
}

// step goes on by one component, and returns the descriptor that the path names, a
// negative errno, or GO_ON.
enum { GO_ON = -100000 };

static int step(walker *w, int flags)
{
    char name[NAME_MAX + 1];
    struct stat info;
    size_t n;
    int fd, error;

    if (flbwt_overdue(w->c)) {
        return -EINTR;
    }
    w->rest += strspn(w->rest, "/");
    n = strcspn(w->rest, "/");
    if (n == 0) {
        fd = openat(w->dir, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
        return fd < 0 ? -errno : fd;
    }
    if (n > NAME_MAX) {
        return -ENAMETOOLONG;
    }
    memcpy(name, w->rest, n);
    name[n] = 0;
    const char *left = w->rest + n;
    if (strcmp(name, ".") == 0) {
        w->rest += n;
        return GO_ON;
    }
    if (strcmp(name, "..") == 0) {
        // A path "DIR/..NAME" goes on behind the slash.
        error = go_up(w, left + strspn(left, "/"));
        return error != 0 ? error : GO_ON;
    }

    fd = openat(w->dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        return -errno;
    }
    if (fstat(fd, &info) != 0) {
        error = -errno;
        close(fd);
        return error;
    }
    if (S_ISLNK(info.st_mode) && (*left != 0 || !(flags & O_NOFOLLOW))) {
        error = go_along(w, fd, left);
        close(fd);
        return error != 0 ? error : GO_ON;
    }
    if (*left == 0 && !(flags & O_DIRECTORY)) {
        return fd;
    }
    error = S_ISDIR(info.st_mode) ? go_down(w, fd, name, n) : -ENOTDIR;
    if (error != 0) {
        close(fd);
        return error;
    }
    w->rest += n;
    return GO_ON;
}

static int walk_beneath(call *c, int dir, const char *path, int flags)
{
    size_t n = strlen(path);
    walker *w;
    int fd;

    if (path[0] == '/') {
        return -EPERM;
    }
    if (n == 0 || n >= FLBWT_WASI_PATH_BYTES) {
        return n == 0 ? -ENOENT : -ENAMETOOLONG;
    }
    w = malloc(sizeof(*w));
    if (w == NULL) {
        return -ENOMEM;
    }
    w->c = c;
    w->root = w->dir = dir;
    w->links = 0;
    w->names_len = 0;
    w->rest = memcpy(w->text, path, n + 1);
    do {
        fd = step(w, flags);
    } while (fd == GO_ON);
    go_to(w, w->root);
    free(w);
    return fd;
}

int flbwt_beneath(call *c, int dir, const char *path, int flags, bool walk)
{
    if (!walk && has_openat2()) {
        int fd = openat2_beneath(dir, path, flags);

        // A guest that moves directories all the time must not keep another from going.
        if (fd != -EAGAIN) {
            return fd;
        }
    }
    return walk_beneath(c, dir, path, flags);
}

int flbwt_locate(call *c, int dir, char *path, int dots, bool walk, flbwt_place *place)
{
    size_t end = strlen(path), start;

    if (path[0] == '/') {
        return -EPERM;
    }
    while (end > 0 && path[end - 1] == '/') {
        end--;
    }
    for (start = end; start > 0 && path[start - 1] != '/';) {
        start--;
    }
    if (end == 0) {
        return -ENOENT;
    }
    size_t n = end - start;
    if ((n == 1 || n == 2) && memcmp(path + start, "..", n) == 0) {
        int fd = flbwt_beneath(c, dir, path, O_DIRECTORY, walk);

        if (fd >= 0) {
            close(fd);
        }
        return fd < 0 ? fd : -dots;
    }
    place->name = path + start;
    place->owned = start > 0;
    place->dir = dir;
    if (place->owned) {
        path[start - 1] = 0;
        place->dir = flbwt_beneath(c, dir, path, O_DIRECTORY, walk);
    }
    return place->dir < 0 ? place->dir : 0;
}

void flbwt_leave_place(const flbwt_place *place)
{
    if (place->owned) {
        close(place->dir);
    }
}
