/*
 * hello: wraps a record, as Fluent Bit's own C example does.
 *
 * There is no libc in the module: malloc, free and snprintf are imported from the
 * one that Fluent Bit, and this plugin, have for guests.
 */

#include <stddef.h>

void *malloc(size_t size);
void free(void *block);
int snprintf(char *to, size_t size, const char *format, ...);

/* What is written beside tag and record, with room to spare. */
#define AROUND 128

/* The reply of the last call. It has to stay until the next one, which frees it. */
static char *reply;

/* Writes a tag as the inside of a JSON string: up to six bytes for one. */
static char *put_escaped(char *to, const char *text, int len)
{
    for (; len-- > 0; text++) {
        unsigned char c = (unsigned char)*text;
        if (c < ' ') {
            to += snprintf(to, 7, "\\u00%c%c", '0' + (c >> 4), "0123456789abcdef"[c & 15]);
            continue;
        }
        if (c == '"' || c == '\\')
            *to++ = '\\';
        *to++ = (char)c;
    }
    return to;
}

const char *hello(const char *tag, int tag_len, unsigned sec, unsigned nsec, const char *record,
                  int record_len)
{
    size_t size = 6 * (size_t)tag_len + (size_t)record_len + AROUND;
    char *to, *end;

    free(reply);
    reply = malloc(size);
    if (!reply)
        return record; /* unchanged rather than lost */

    end = reply + size;
    to = reply + snprintf(reply, size, "{\"tag\":\"");
    to = put_escaped(to, tag, tag_len);
    snprintf(to, (size_t)(end - to),
             "\",\"time\":\"%u.%9u\", \"message\":\"Hello, from C!\", \"original\": %s}", sec, nsec, record);
    return reply;
}
