// The properties that the user has set for an instance. Fluent Bit has a function for the first
// value of one, and none for all values. They stand in a list within the instance, whose place
// differs by version and build: it is found by what is in it.

#define _GNU_SOURCE
#include "plugin.h"

#include <string.h>

// struct flb_kv (include/fluent-bit/flb_kv.h), 1.8 to 5.1.1.
struct property {
    const char *key, *value;
    struct list link;
};

enum {
    // The list begins before this in instances of filters and outputs, 1.8 to 5.1.1: at most at
    // half of it.
    SEARCHED_BYTES = 1024,
    // The list ends, for each link names the one before it. config.KEY may be set many times.
    PROPERTIES = 1 << 20,
};

static const struct property *property_of(const struct list *link)
{
    return (const struct property *) ((const char *) link - offsetof(struct property, link));
}

// holds says whether the words at head are a list of properties, one of which has that value.
static bool holds(const struct list *head, const char *value)
{
    struct list link;
    const struct list *at = head;
    bool found = false;

    if (!host_copy(&link, head, sizeof(link))) {
        return false;
    }
    for (int i = 0; i < PROPERTIES && link.next != head; i++) {
        const struct list *next = link.next;
        struct property p;

        if (next == NULL || (uintptr_t) next % sizeof(void *) != 0 ||
            !host_copy(&p, property_of(next), sizeof(p)) || p.link.prev != at) {
            return false;
        }
        found |= p.value == value;
        at = next;
        link = p.link;
    }
    return found && link.next == head;
}

static const struct list *find_list(const void *instance, const char *value)
{
    const struct list *list = NULL;

    for (size_t at = 0; value != NULL && at < SEARCHED_BYTES && list == NULL;
         at += sizeof(void *)) {
        const struct list *head = (const struct list *) ((const char *) instance + at);

        list = holds(head, value) ? head : NULL;
    }
    return list;
}

ptrdiff_t border_properties(const void *instance, const char *value, struct border_property *to,
                            size_t max)
{
    const struct list *list = find_list(instance, value);
    ptrdiff_t n = 0;

    if (list == NULL) {
        return -1;
    }
    for (const struct list *at = list->next; at != list; at = at->next, n++) {
        if ((size_t) n < max) {
            to[n] = (struct border_property) {property_of(at)->key, property_of(at)->value};
        }
    }
    return n;
}

// is_text says whether a value is one of flb_sds (include/fluent-bit/flb_sds.h, 3.0 to 5.1), in front of
// which stand its length and its room, and not a struct cfl_variant, as lists and maps are.
static bool is_text(const char *value)
{
    uint64_t head[2];
    char end;

    return host_copy(head, value - sizeof(head), sizeof(head)) && head[0] <= head[1] &&
           head[1] <= PTRDIFF_MAX && host_copy(&end, value + head[0], 1) && end == '\0' &&
           strlen(value) == head[0];
}

const char *border_take_list(const struct flb_processor_instance *ins,
                             const char *(*get)(const char *key,
                                                struct flb_processor_instance *ins))
{
    const struct list *list = NULL;
    const char *found = NULL;

    for (size_t i = 0; border_option(i) != NULL && list == NULL; i++) {
        list = find_list(ins, get(border_option(i), (struct flb_processor_instance *) ins));
    }
    if (list == NULL) {
        return NULL;
    }
    for (struct list *at = list->next; at != list; at = at->next) {
        struct property *p = (struct property *) property_of(at);

        if (p->value != NULL && !is_text(p->value)) {
            found = p->key;
            p->value = NULL;
        }
    }
    return found;
}
