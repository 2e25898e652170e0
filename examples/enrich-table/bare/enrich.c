/*
 * enrich: adds to a record what tables of the host know.
 *
 *   user       looked up in the table "users", a CSV file: adds user_department
 *   client_ip  looked up in the table "geo", a MaxMind DB: adds client_country
 *
 * Either table may be missing. Only members of the top level whose value is a string without
 * escapes are looked at; a record in which nothing is found comes back as it was.
 *
 * Freestanding: no libc, no allocation. The host keeps the tables, refreshes them when their files
 * change, and shares them among all instances.
 */

#define IMPORT(name) __attribute__((import_module("flb_v1"), import_name(#name)))
#define EXPORT(name) __attribute__((export_name(#name)))

IMPORT(table_open) int table_open(const char *name, unsigned name_len);
IMPORT(table_get)
int table_get(int table, const char *key, unsigned key_len, const char *path, unsigned path_len,
              int format, char *buffer, unsigned room);

enum { AS_JSON = 0 };

enum { OUT_MAX = 256 * 1024, ADDED_MAX = 1024 };

static char out[OUT_MAX];
static int users = -1, geo = -1;

EXPORT(flb_configure)
const char *flb_configure(void)
{
    users = table_open("users", 5);
    geo = table_open("geo", 3);
    return users < 0 && geo < 0 ? "set table.users to a .csv file, or table.geo to a .mmdb file" : 0;
}

static unsigned length(const char *s)
{
    unsigned n = 0;

    while (s[n])
        n++;
    return n;
}

static int same(const char *a, const char *b, unsigned n)
{
    while (n > 0 && *a == *b)
        a++, b++, n--;
    return n == 0;
}

/* The end of the string whose opening quote is before p. */
static const char *string_end(const char *p, const char *end)
{
    for (; p < end && *p != '"'; p++) {
        if (*p == '\\')
            p++;
    }
    return p;
}

/* Where the string is that is the value of a top-level member; 0: there is none, or it has escapes. */
static const char *find(const char *p, const char *end, const char *key, unsigned *value_len)
{
    unsigned key_len = length(key);
    int depth = 0, is_key = 0;

    for (; p < end; p++) {
        if (*p == '{' || *p == '[') {
            is_key = ++depth == 1;
        }
        else if (*p == '}' || *p == ']') {
            depth--;
        }
        else if (*p == ',') {
            is_key = depth == 1;
        }
        else if (*p == '"') {
            const char *from = p + 1;

            p = string_end(from, end);
            if (!is_key || p - from != (int) key_len || !same(from, key, key_len)) {
                is_key = 0;
                continue;
            }
            if (end - p < 3 || p[1] != ':' || p[2] != '"') /* the host writes no blanks */
                return 0;
            from = p + 3;
            p = string_end(from, end);
            *value_len = (unsigned) (p - from);
            for (const char *c = from; c < p; c++) {
                if (*c == '\\')
                    return 0;
            }
            return p < end ? from : 0;
        }
    }
    return 0;
}

static char *put(char *to, const char *from, unsigned n)
{
    while (n-- > 0)
        *to++ = *from++;
    return to;
}

/* Appends ,"name":value if the table has a value for what the record has under key. */
static char *add(char *to, const char *record, const char *end, int table, const char *key,
                 const char *path, const char *name)
{
    unsigned n;
    const char *found = table >= 0 ? find(record, end, key, &n) : 0;
    char *value;
    int value_len;

    if (!found)
        return to;
    value = put(to, ",\"", 2);
    value = put(value, name, length(name));
    value = put(value, "\":", 2);
    value_len = table_get(table, found, n, path, length(path), AS_JSON, value, ADDED_MAX);
    return value_len > 0 && value_len <= ADDED_MAX ? value + value_len : to;
}

EXPORT(enrich)
char *enrich(const char *tag, int tag_len, unsigned sec, unsigned nsec, char *record, int len)
{
    const char *end = record + len;
    char *body, *to;

    (void) tag;
    (void) tag_len;
    (void) sec;
    (void) nsec;
    if (len < 3 || len > OUT_MAX - 4 * ADDED_MAX) /* {}, or too large */
        return record;
    body = put(out, record, (unsigned) len - 1);
    to = add(body, record, end, users, "user", "department", "user_department");
    to = add(to, record, end, geo, "client_ip", "country.iso_code", "client_country");
    if (to == body)
        return record;
    put(to, "}", 2); /* and a NUL */
    return out;
}
