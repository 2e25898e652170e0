// host_access.c of the plugin alone, on memory that is no memory, or no filter instance.
#define _GNU_SOURCE
#include "../../../host_access.c"

#include <assert.h>
#include <stdlib.h>
#include <sys/mman.h>

static void look_up(void)
{
    char was;
    void *found = NULL, *none = &was, *other = &was;
    const struct host_symbol symbols[] = {
        {&found, "malloc"}, {&none, "flb_no_such_function"}, {&other, "flb_nor_this_one"}};

    assert(host_look_up(symbols, 1) == NULL && found != NULL);
    found = NULL;
    const char *missing = host_look_up(symbols, 3);
    assert(missing == symbols[1].name && found != NULL && none == NULL && other == NULL);
}

static void memory(void)
{
    enum { PAGE = 4096 };
    // A page, and behind it one that can't be read.
    char *pages = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *end = pages + PAGE, to[16];
    int next = dup(0);

    assert(next >= 0 && close(next) == 0);
    assert(pages != MAP_FAILED && mprotect(end, PAGE, PROT_NONE) == 0);
    memcpy(end - 16, "0123456789abcdef", 16);
    assert(host_readable(pages, PAGE) && host_readable(end - 8, 8));
    assert(!host_readable(end - 8, 16) && !host_readable(end, 8) && !host_readable(NULL, 8));
    assert(!host_readable(pages + 1, 8)); // nothing of the host's is there
    assert(host_copy(to, end - 16, 16) && memcmp(to, "0123456789abcdef", 16) == 0);
    assert(host_copy(to, end - 3, 3) && memcmp(to, "def", 3) == 0);
    assert(!host_copy(to, end - 3, 4) && !host_copy(to, end, 1) && !host_copy(to, NULL, 1));
    assert(dup(0) == next); // no pipe has been left open
}

static void context(void)
{
    void *ins[32], *it = &ins;

    for (size_t i = 0; i < 32; i++) {
        ins[i] = NULL;
    }
    assert(host_context_at(ins, it) == 0);
    for (size_t at = 0; at < sizeof(ins); at += sizeof(void *)) {
        bool known = at >= 48 && at <= 96;

        ins[at / sizeof(void *)] = it;
        assert(host_context_at(ins, it) == (known ? at : 0));
        for (size_t other = 48; known && other <= 96; other += sizeof(void *)) {
            if (other != at) {
                ins[other / sizeof(void *)] = it;
                assert(host_context_at(ins, it) == 0);
                ins[other / sizeof(void *)] = NULL;
            }
        }
        ins[at / sizeof(void *)] = NULL;
    }
}

int main(void)
{
    look_up();
    memory();
    context();
    return 0;
}
