/* What redact takes for a secret. */

#include "flb_filter.h"

static int is_digit(int c) { return c >= '0' && c <= '9'; }
static int is_letter(int c) { return (c | 32) >= 'a' && (c | 32) <= 'z'; }
static int is_alnum(int c) { return is_digit(c) || is_letter(c); }

/* What a key in a text or the local part of an address is made of. */
static int is_word(int c) {
    return is_alnum(c) || c == '.' || c == '_' || c == '-' || c == '+' || c == '%' || c == 0x80;
}

/* The character at a place: 0x80 beyond ASCII, a space for all that is below it, 0 at the end. */
static int at(flb_text t, unsigned i) {
    int c = i < t.len ? (unsigned char) t.at[i] : 0;
    return i >= t.len ? 0 : c < ' ' ? ' ' : c >= 0x80 ? 0x80 : c;
}

static unsigned word_end(flb_text t, unsigned i) {
    while (is_word(at(t, i))) i++;
    return i;
}

/* Says whether a name ends in a word, whatever its case; - and _ do not count. */
static int ends_in(flb_text name, const char *word) {
    unsigned i = name.len, n = 0;
    while (word[n]) n++;
    while (n > 0 && i > 0) {
        char c = name.at[--i];
        if (c != '-' && c != '_' && (c | 32) != word[--n]) return 0;
    }
    return n == 0;
}

static int is_secret_name(flb_text name) {
    static const char *const words[] = {"password", "passwd", "passphrase", "secret",     "token", "authorization",
                                        "apikey",   "accesskey", "privatekey", "cookie"};
    for (unsigned i = 0; i < sizeof(words) / sizeof(*words); i++)
        if (ends_in(name, words[i])) return 1;
    return 0;
}

/* Luhn's check digit: it tells card numbers from most other long numbers. */
static int luhn(const char *digits, int n) {
    int sum = 0;
    for (int i = 0; i < n; i++) {
        int d = (digits[n - 1 - i] - '0') << (i & 1);
        sum += d > 9 ? d - 9 : d;
    }
    return sum % 10 == 0;
}

/* Returns the end of the card number that begins there, or 0: 13 to 19 digits, which a single space or hyphen
 * may separate. */
static unsigned card_end(flb_text t, unsigned i) {
    char digits[19];
    int n = 0, separated = 1;
    unsigned found = 0;

    for (;; i++) {
        int c = at(t, i);
        if (is_digit(c) && n < 19)
            digits[n++] = (char) c;
        else if ((c != ' ' && c != '-') || separated)
            return found;
        separated = !is_digit(c);
        if (n >= 13 && !separated && !is_alnum(at(t, i + 1)) && luhn(digits, n)) found = i + 1;
    }
}

static void append_card(flb_buf *to, flb_text card) {
    int digits = 0;
    for (unsigned i = 0; i < card.len; i++) digits += is_digit(card.at[i]);
    for (unsigned i = 0; i < card.len; i++)
        flb_append(to, is_digit(card.at[i]) && digits-- > 4 ? flb_text_of("*", 1) : flb_slice(card, i, i + 1));
}

/* Says whether a host name with a dot begins there: 163.com, but not 1.2.3. */
static int is_domain(flb_text t, unsigned i) {
    for (int dot = 0; is_word(at(t, i)); i++) {
        if (dot && (is_letter(at(t, i)) || at(t, i) == 0x80)) return 1;
        dot = at(t, i) == '.';
    }
    return 0;
}

/* Returns where the value begins that a key is given by = or :, or 0. *quote is what opens it, or 0. */
static unsigned value_start(flb_text t, unsigned i, int *quote) {
    for (int assigned = 0;; i++) {
        int c = at(t, i);
        if (c == '=' || c == ':' || (c == '>' && assigned)) {
            assigned = 1;
        } else if ((c == '"' || c == '\'') && assigned) {
            *quote = c;
            return i + 1;
        } else if (c != '"' && c != '\'' && c != ' ') {
            return assigned ? i : 0;
        }
    }
}

static unsigned value_end(flb_text t, unsigned i, int quote) {
    for (; i < t.len; i++) {
        int c = at(t, i);
        if (quote ? c == quote : flb_find(flb_text_of(" &;,\"')]}<", 10), (char) c, 0) < 10) break;
        if (c == '\\' && i + 1 < t.len) i++;
    }
    return i;
}

/* Returns the end of the secret that a word begins, and sets *from to its beginning; 0: there is none. */
static unsigned secret_at(flb_text t, unsigned word, int before, unsigned *from) {
    unsigned end = word_end(t, word), i = word, scheme;
    int quote = 0, is_bearer = ends_in(flb_slice(t, word, end), "bearer");

    *from = word;
    if (at(t, end) == '@' && (before == ':' || is_domain(t, end + 1))) return end;
    if (is_secret_name(flb_slice(t, word, end))) {
        if (!(i = value_start(t, end, &quote))) return 0;
    } else if (!is_bearer) {
        return 0;
    }
    scheme = word_end(t, i);
    if (at(t, scheme) == ' ' &&
        (ends_in(flb_slice(t, i, scheme), "bearer") || ends_in(flb_slice(t, i, scheme), "basic")))
        for (i = scheme; at(t, i) == ' ';) i++;
    else if (i == word)
        return 0;
    *from = i;
    end = value_end(t, i, quote);
    return end > i ? end : 0;
}

/* Appends a text with its secrets masked; 0: there are none. */
static int mask_text(flb_text t, flb_buf *to) {
    unsigned done = 0, from, end;
    int before = ' ';

    for (unsigned i = 0; i < t.len; i = end) {
        int c = at(t, i);
        from = end = 0;
        if (is_digit(c) && !is_alnum(before) && (end = card_end(t, i))) {
            flb_append(to, flb_slice(t, done, i));
            append_card(to, flb_slice(t, i, end));
            done = end;
        } else if (is_word(c) && !is_word(before) && (end = secret_at(t, i, before, &from))) {
            flb_append(to, flb_slice(t, done, from));
            flb_append(to, "***");
            done = end;
        } else {
            end = i + 1;
        }
        before = c;
    }
    if (done > 0) flb_append(to, flb_slice(t, done, t.len));
    return done > 0;
}
