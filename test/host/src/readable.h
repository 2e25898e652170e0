// engine_readable for programs that take a file of the plugin alone: as in engine.c, but no sanitizer looks at the bytes.
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

bool engine_readable(const void *p, size_t n)
{
    int ends[2];

    if ((uintptr_t) p % sizeof(void *) != 0 || pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) {
        return false;
    }
    bool ok = syscall(SYS_write, ends[1], p, n) == (long) n; // whoever the memory belongs to
    close(ends[0]);
    close(ends[1]);
    return ok;
}
