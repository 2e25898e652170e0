// Addresses as they are written (RFC 4291, 2.2).

#include "write.h"

static int hex_digit(uint8_t c)
{
    return c >= '0' && c <= '9'                     ? c - '0'
           : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10
                                                    : -1;
}

// read_ipv4 reads four numbers with dots between, all of text. A number has no zero in front.
static bool read_ipv4(const uint8_t *p, const uint8_t *end, uint8_t *address)
{
    for (int i = 0; i < 4; i++) {
        const uint8_t *from = p;
        unsigned value = 0;

        for (; p < end && *p >= '0' && *p <= '9' && p - from < 4; p++) {
            value = value * 10 + (unsigned) (*p - '0');
        }
        if (p == from || value > 255 || (p - from > 1 && *from == '0')) {
            return false;
        }
        address[i] = (uint8_t) value;
        if (i < 3) {
            if (p == end || *p != '.') {
                return false;
            }
            p++;
        }
    }
    return p == end;
}

// read_ipv6 reads up to eight numbers of 16 bits with colons between, of which two zeroes or more
// may be left out once, and the last two may be an address of IPv4.
static bool read_ipv6(const uint8_t *p, const uint8_t *end, uint8_t *address)
{
    int n = 0, gap = -1;

    memset(address, 0, 16);
    if (end - p >= 2 && p[0] == ':' && p[1] == ':') {
        gap = 0;
        p += 2;
    }
    while (p < end && n < 16) {
        const uint8_t *from = p;
        unsigned value = 0;

        for (; p < end && hex_digit(*p) >= 0 && p - from < 5; p++) {
            value = value << 4 | (unsigned) hex_digit(*p);
        }
        if (p < end && *p == '.') {
            if (n > 12 || !read_ipv4(from, end, address + n)) {
                return false;
            }
            n += 4;
            p = end;
            break;
        }
        if (p == from || p - from > 4) {
            return false;
        }
        address[n++] = (uint8_t) (value >> 8);
        address[n++] = (uint8_t) value;
        if (p == end) {
            break;
        }
        if (*p != ':' || p + 1 == end) {
            return false;
        }
        p++;
        if (*p == ':') {
            if (gap >= 0) {
                return false;
            }
            gap = n;
            p++;
        }
    }
    if (p < end || (gap < 0) != (n == 16)) {
        return false;
    }
    if (gap >= 0) {
        memmove(address + 16 - (n - gap), address + gap, (size_t) (n - gap));
        memset(address + gap, 0, (size_t) (16 - n));
    }
    return true;
}

bool flbwt_address_mapped(const uint8_t address[16])
{
    static const uint8_t prefix[12] = {[10] = 0xff, [11] = 0xff};

    return memcmp(address, prefix, sizeof(prefix)) == 0;
}

int flbwt_address(const uint8_t *text, size_t n, uint8_t address[16])
{
    enum { MAX_TEXT = 45 }; // eight times four digits, the last four in decimal

    if (n == 0 || n > MAX_TEXT) {
        return 0;
    }
    if (memchr(text, ':', n) == NULL) {
        return read_ipv4(text, text + n, address) ? 4 : 0;
    }
    if (!read_ipv6(text, text + n, address)) {
        return 0;
    }
    if (!flbwt_address_mapped(address)) {
        return 16;
    }
    memmove(address, address + 12, 4);
    return 4;
}
