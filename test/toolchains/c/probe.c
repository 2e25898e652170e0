/*
 * The probe, as C and as C++. What is defined says where its memory comes from:
 *
 *   (nothing)     static arrays
 *   OWN_MALLOC    a small malloc and free in this file
 *   LIBC          a libc, either linked in or imported
 *
 * and what runs before the first call: CONSTRUCTOR adds 10 to the number of
 * calls, main of a COMMAND adds 1. START is what the number starts at: the
 * negative of what is expected to be added.
 */

#ifndef START
#define START 0
#endif

#ifdef __cplusplus
#define EXTERN extern "C"
#else
#define EXTERN
#endif

typedef __SIZE_TYPE__ size_t;

enum { WINDOW = 8, KEPT = 512 };

/* volatile: or the compiler would run the constructor itself. */
static volatile int calls = START;

#ifdef CONSTRUCTOR
#ifdef __cplusplus
static struct Starter {
    Starter() { calls = calls + 10; }
} starter;
#else
__attribute__((constructor)) static void construct(void) { calls = calls + 10; }
#endif
#endif

#ifdef COMMAND
int main(void)
{
    calls = calls + 1;
    return 0;
}
#endif

#ifdef NAMED
#define malloc take
#define free give
#endif

#ifdef OWN_MALLOC
/* First fit; blocks are neither split nor merged. */
struct block {
    size_t size;
    struct block *next;
};

static struct block *unused;

EXTERN void *malloc(size_t n)
{
    struct block *b, **link = &unused;
    n = (n + 15) & ~(size_t)15;
    for (; (b = *link); link = &b->next)
        if (b->size >= n) {
            *link = b->next;
            return b + 2;
        }
    size_t pages = (n + 2 * sizeof *b + 65535) / 65536;
    size_t at = __builtin_wasm_memory_grow(0, pages);
    if (at == (size_t)-1)
        return 0;
    b = (struct block *)(at * 65536);
    b->size = pages * 65536 - 2 * sizeof *b;
    return b + 2;
}

EXTERN void free(void *p)
{
    if (p) {
        struct block *b = (struct block *)p - 2;
        b->next = unused;
        unused = b;
    }
}
#endif

#ifdef LIBC
EXTERN void *malloc(size_t);
EXTERN void free(void *);
EXTERN void *memcpy(void *, const void *, size_t);
EXTERN char *strstr(const char *, const char *);
EXTERN int snprintf(char *, size_t, const char *, ...);
EXTERN int printf(const char *, ...);
#else
static char *strstr(const char *text, const char *part)
{
    for (; *text; text++) {
        int i = 0;
        while (part[i] && text[i] == part[i])
            i++;
        if (!part[i])
            return (char *)text;
    }
    return 0;
}
#endif

#ifdef WASI_UNSTABLE
#define WASI(name) \
    __attribute__((import_module("wasi_unstable"), import_name(#name))) int wasi_##name
WASI(fd_write)(int fd, const void *vectors, int count, size_t *written);
WASI(clock_time_get)(int clock, long long precision, unsigned long long *nanos);
#ifdef WASI_CHANGED
WASI(fd_seek)(int fd, long long offset, int whence, unsigned long long *at);
#endif

static void use_wasi(void)
{
    size_t written;
    unsigned long long nanos = 0;
    if (wasi_fd_write(1, 0, 0, &written) || wasi_clock_time_get(0, 1, &nanos) || !nanos)
        __builtin_trap();
#ifdef WASI_CHANGED
    if (!wasi_fd_seek(1, 0, 0, &nanos))
        __builtin_trap();
#endif
}
#endif

#ifdef UNDEFINED
EXTERN void *fopen(const char *, const char *);
#endif

struct kept {
    int len;
#if defined LIBC || defined OWN_MALLOC
    unsigned char *bytes;
#else
    unsigned char bytes[KEPT];
#endif
};

static struct kept kept[WINDOW];

static unsigned hash(const struct kept *k)
{
    unsigned h = 2166136261u;
    for (int i = 0; i < k->len; i++)
        h = (h ^ k->bytes[i]) * 16777619u;
    return h;
}

static int keep(struct kept *k, const char *record, int len)
{
    k->len = len < KEPT ? len : KEPT;
#if defined LIBC || defined OWN_MALLOC
    free(k->bytes);
    if (!(k->bytes = (unsigned char *)malloc(k->len)))
        return 0;
#endif
#ifdef __wasm_bulk_memory__ /* one instruction; else a call of memcpy */
    __builtin_memcpy(k->bytes, record, (size_t)k->len);
#else
    for (int i = 0; i < k->len; i++)
        k->bytes[i] = (unsigned char)record[i];
#endif
    return 1;
}

#ifndef LIBC
static char *put(char *to, const char *s)
{
    while (*s)
        *to++ = *s++;
    return to;
}

static char *put_number(char *to, unsigned n)
{
    char digits[11], *p = digits + 10;
    *p = 0;
    do
        *--p = (char)('0' + n % 10);
    while (n /= 10);
    return put(to, p);
}
#endif

enum { AROUND = 128 };

/* The reply, its capacity behind the tag and the record. */
#if defined LIBC || defined OWN_MALLOC
static char *reply;
#else
static char reply[64 * 1024];
#endif

static char *room(size_t n)
{
#if defined LIBC || defined OWN_MALLOC
    free(reply);
    return reply = (char *)malloc(n);
#else
    return n <= sizeof reply ? reply : 0;
#endif
}

EXTERN __attribute__((visibility("default")))
char *probe(const char *tag, int tag_len, unsigned sec, unsigned nsec, const char *record, int record_len)
{
    struct kept *k = &kept[calls & (WINDOW - 1)];
    unsigned sum = calls < WINDOW ? 0 : hash(k);
    size_t size = (size_t)tag_len + (size_t)record_len + AROUND;

#ifdef WASI_UNSTABLE
    use_wasi();
#endif
#ifdef UNDEFINED
    if (fopen("probe", "r"))
        return 0;
#endif
    if (!keep(k, record, record_len))
        __builtin_trap();
    calls = calls + 1;
    if (strstr(record, "\"drop\":true"))
        return 0;

    char *out = room(size);
    if (!out)
        __builtin_trap();
#ifdef LIBC
    int n = snprintf(out, size, "{\"tag\":\"%s\",\"sec\":%u,\"nsec\":%u,\"count\":%d,\"sum\":%u,\"record\":",
                     tag, sec, nsec, calls, sum);
    memcpy(out + n, record, (size_t)record_len);
    memcpy(out + n + record_len, "}", 2);
#else
    char *to = put(put(out, "{\"tag\":\""), tag);
    to = put_number(put(to, "\",\"sec\":"), sec);
    to = put_number(put(to, ",\"nsec\":"), nsec);
    to = put_number(put(to, ",\"count\":"), (unsigned)calls);
    to = put_number(put(to, ",\"sum\":"), sum);
    to = put(put(put(to, ",\"record\":"), record), "}");
    *to = 0;
#endif
    return out;
}
