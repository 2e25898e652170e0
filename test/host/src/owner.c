// metrics_abi.c and host_access.c of the plugin alone: where an input or output has its metrics is found in memory
// that is like it, and in no other.
#define _GNU_SOURCE
#include "../../../host_access.c"
#include "../../../metrics_abi.c"

#include <assert.h>
#include <sys/mman.h>

struct engine_timer *engine_timer_start(int ms, void (*run)(void *arg), void *arg, const char **why)
{
    (void) ms;
    (void) run;
    (void) arg;
    *why = "none";
    return NULL;
}

void engine_timer_end(struct engine_timer *t) { (void) t; }
void border_print(const struct instance *inst, int level, const char *text)
{
    (void) inst;
    (void) level;
    (void) text;
}
bool run_go_here(void (*run)(void *arg), void *arg)
{
    (void) run;
    (void) arg;
    return true;
}
void flbwtMetrics(uintptr_t handle, struct metrics *to)
{
    (void) handle;
    (void) to;
}

struct counter {
    const char *namespace, *subsystem, *rest[6];
    void *cmt;
    void *more[3];
};

static _Alignas(8) char fluentbit[16] = "fluentbit", input[8] = "input", output[8] = "output",
                        other[16] = "fluentbi", filter[8] = "filter";
static char cmt[64] __attribute__((aligned(8)));

static const char *found(const char *memory, void **to) { return metrics_owner(memory, to); }

int main(void)
{
    enum { BYTES = 2048, PAGE = 4096 };
    // An owner, and behind it memory that can't be read.
    char *pages = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    void *to;

    assert(pages != MAP_FAILED && mprotect(pages + PAGE, PAGE, PROT_NONE) == 0);
    char *owner = pages + PAGE - BYTES;
    struct counter c = {.namespace = fluentbit, .subsystem = input, .cmt = cmt};

    assert(found(NULL, &to) == NULL && to == NULL);
    assert(found(owner, &to) == NULL && to == NULL);
    assert(found(pages + PAGE - 64, &to) == NULL && to == NULL);
    for (size_t at = 264; at <= 1000; at += 8) {
        memset(owner, at % 16 == 0 ? 0xff : 0, BYTES);
        *(void **) (owner + at - 8) = owner; // what points to something else
        *(void **) (owner + at) = cmt;
        *(void **) (owner + at + 8) = &c;
        c.namespace = fluentbit;
        c.subsystem = input;
        c.cmt = cmt;
        assert(strcmp(found(owner, &to), "input") == 0 && to == cmt);
        c.subsystem = output;
        assert(strcmp(found(owner, &to), "output") == 0 && to == cmt);
        c.subsystem = filter;
        assert(found(owner, &to) == NULL && to == NULL);
        c.subsystem = (char *) pages + PAGE;
        assert(found(owner, &to) == NULL && to == NULL);
        c.subsystem = input;
        c.namespace = other;
        assert(found(owner, &to) == NULL && to == NULL);
        c.namespace = NULL;
        assert(found(owner, &to) == NULL && to == NULL);
        c.namespace = fluentbit;
        c.cmt = owner;
        assert(found(owner, &to) == NULL && to == NULL);
        *(void **) (owner + at + 8) = pages + PAGE;
        assert(found(owner, &to) == NULL && to == NULL);
    }
    return 0;
}
