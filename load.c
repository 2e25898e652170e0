// What could end the process while the library is loaded: the Go runtime starts then, and has
// nobody to report to. What it would die of is found out before, and told on stderr, for there
// is no log yet.

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

// The address space that the runtime reserves at its start, 600 MB by Go 1.26, with room for
// the compiler and a thread. Guests need more: wasmtime reserves 4 GiB for each memory.
enum { RUNTIME_BYTES = 1000 * 1000 * 1000 };

static void require_address_space(void)
{
    void *p =
        mmap(NULL, RUNTIME_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (p != MAP_FAILED) {
        munmap(p, RUNTIME_BYTES);
        return;
    }
    fprintf(stderr,
            "[wasmtime] the plugin can't be loaded: this process may not have %d MB more of "
            "address space (%s): raise the limit (ulimit -v, LimitAS=) to 8 GB and more\n",
            RUNTIME_BYTES / 1000000, strerror(errno));
    _exit(EXIT_FAILURE);
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

// Before the Go runtime starts, with the arguments of the process, as glibc gives them.
__attribute__((constructor(103))) static void before_runtime(int argc, char **argv)
{
    const char *limit = getenv("GOMEMLIMIT"), *debug;

    require_address_space();
    if (limit != NULL && !is_memory_limit(limit)) {
        drop_variable("GOMEMLIMIT", argv + argc + 1);
    }
    debug = getenv("GODEBUG");
    if (debug != NULL && !is_debug(debug)) {
        drop_variable("GODEBUG", argv + argc + 1);
    }
}
