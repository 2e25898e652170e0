// The properties that the user has set for an instance. Fluent Bit has a function for the first
// value of one, and none for all values. They stand in a list within the instance, whose place
// differs by version and build: it is found by what is in it.

#define _GNU_SOURCE
#include "plugin.h"

#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

// struct mk_list (lib/monkey) and struct flb_kv (include/fluent-bit/flb_kv.h), 1.8 to 5.1.1.
struct link {
    struct link *prev, *next;
};

struct property {
    const char *key, *value;
    struct link link;
};

enum {
    // The list begins before this in instances of filters and outputs, 1.8 to 5.1.1: at most at
    // half of it.
    SEARCHED_BYTES = 1024,
    // The list ends, for each link names the one before it. config.KEY may be set many times.
    PROPERTIES = 1 << 20,
};

static const struct property *property_of(const struct link *link)
{
    return (const struct property *) ((const char *) link - offsetof(struct property, link));
}

// peek reads n bytes from a place that may not be memory, by way of a pipe: the kernel says so.
static bool peek(const int pipe[2], const void *from, void *to, size_t n)
{
    return write(pipe[1], from, n) == (ssize_t) n && read(pipe[0], to, n) == (ssize_t) n;
}

// holds says whether the words at head are a list of properties, one of which has that value.
static bool holds(const int pipe[2], const struct link *head, const char *value)
{
    struct link link;
    const struct link *at = head;
    bool found = false;

    if (!peek(pipe, head, &link, sizeof(link))) {
        return false;
    }
    for (int i = 0; i < PROPERTIES && link.next != head; i++) {
        const struct link *next = link.next;
        struct property p;

        if (next == NULL || (uintptr_t) next % sizeof(void *) != 0 ||
            !peek(pipe, property_of(next), &p, sizeof(p)) || p.link.prev != at) {
            return false;
        }
        found |= p.value == value;
        at = next;
        link = p.link;
    }
    return found && link.next == head;
}

static const struct link *find_list(const void *instance, const char *value)
{
    const struct link *list = NULL;
    int pipe[2];

    if (value == NULL || pipe2(pipe, O_CLOEXEC | O_NONBLOCK) != 0) {
        return NULL;
    }
    for (size_t at = 0; at < SEARCHED_BYTES && list == NULL; at += sizeof(void *)) {
        const struct link *head = (const struct link *) ((const char *) instance + at);

        list = holds(pipe, head, value) ? head : NULL;
    }
    close(pipe[0]);
    close(pipe[1]);
    return list;
}

ptrdiff_t border_properties(const void *instance, const char *value, struct border_property *to,
                            size_t max)
{
    const struct link *list = find_list(instance, value);
    ptrdiff_t n = 0;

    if (list == NULL) {
        return -1;
    }
    for (const struct link *at = list->next; at != list; at = at->next, n++) {
        if ((size_t) n < max) {
            to[n] = (struct border_property) {property_of(at)->key, property_of(at)->value};
        }
    }
    return n;
}

// is_text says whether a value is one of flb_sds (include/fluent-bit/flb_sds.h, 3.0 to 5.1), in front of
// which stand its length and its room, and not a struct cfl_variant, as lists and maps are.
static bool is_text(const int pipe[2], const char *value)
{
    uint64_t head[2];
    char end;

    return peek(pipe, value - sizeof(head), head, sizeof(head)) && head[0] <= head[1] &&
           head[1] <= PTRDIFF_MAX && peek(pipe, value + head[0], &end, 1) && end == '\0' &&
           strlen(value) == head[0];
}

const char *border_take_list(const struct flb_processor_instance *ins,
                             const char *(*get)(const char *key,
                                                struct flb_processor_instance *ins))
{
    const struct link *list = NULL;
    const char *found = NULL;
    int pipe[2];

    for (size_t i = 0; border_option(i) != NULL && list == NULL; i++) {
        list = find_list(ins, get(border_option(i), (struct flb_processor_instance *) ins));
    }
    if (list == NULL || pipe2(pipe, O_CLOEXEC | O_NONBLOCK) != 0) {
        return NULL;
    }
    for (struct link *at = list->next; at != list; at = at->next) {
        struct property *p = (struct property *) property_of(at);

        if (p->value != NULL && !is_text(pipe, p->value)) {
            found = p->key;
            p->value = NULL;
        }
    }
    close(pipe[0]);
    close(pipe[1]);
    return found;
}
