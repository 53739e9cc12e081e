#include "ascii.h"

/* 1: tchar (9110 5.6.2). */
static const unsigned char TCHAR[256] = {
    ['!'] = 1, ['#'] = 1, ['$'] = 1, ['%'] = 1, ['&'] = 1, ['\''] = 1,
    ['*'] = 1, ['+'] = 1, ['-'] = 1, ['.'] = 1, ['^'] = 1, ['_'] = 1,
    ['`'] = 1, ['|'] = 1, ['~'] = 1, ['0'] = 1, ['1'] = 1, ['2'] = 1,
    ['3'] = 1, ['4'] = 1, ['5'] = 1, ['6'] = 1, ['7'] = 1, ['8'] = 1,
    ['9'] = 1, ['A'] = 1, ['B'] = 1, ['C'] = 1, ['D'] = 1, ['E'] = 1,
    ['F'] = 1, ['G'] = 1, ['H'] = 1, ['I'] = 1, ['J'] = 1, ['K'] = 1,
    ['L'] = 1, ['M'] = 1, ['N'] = 1, ['O'] = 1, ['P'] = 1, ['Q'] = 1,
    ['R'] = 1, ['S'] = 1, ['T'] = 1, ['U'] = 1, ['V'] = 1, ['W'] = 1,
    ['X'] = 1, ['Y'] = 1, ['Z'] = 1, ['a'] = 1, ['b'] = 1, ['c'] = 1,
    ['d'] = 1, ['e'] = 1, ['f'] = 1, ['g'] = 1, ['h'] = 1, ['i'] = 1,
    ['j'] = 1, ['k'] = 1, ['l'] = 1, ['m'] = 1, ['n'] = 1, ['o'] = 1,
    ['p'] = 1, ['q'] = 1, ['r'] = 1, ['s'] = 1, ['t'] = 1, ['u'] = 1,
    ['v'] = 1, ['w'] = 1, ['x'] = 1, ['y'] = 1, ['z'] = 1,
};

bool wsk__is_tchar(unsigned char c)
{
    return TCHAR[c] != 0;
}

bool wsk__is_token(const char *p, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (!TCHAR[(unsigned char)p[i]])
            return false;
    return len > 0;
}

bool wsk__is_field_value(const char *p, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)p[i];

        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return false;
    }
    return true;
}

bool wsk__str_ieq(wsk_str s, const char *lit)
{
    if (s.len != strlen(lit))
        return false;
    for (size_t i = 0; i < s.len; i++)
        if (wsk__lower((unsigned char)s.p[i]) !=
            wsk__lower((unsigned char)lit[i]))
            return false;
    return true;
}

wsk_str wsk__str_trim(wsk_str s)
{
    while (s.len > 0 && (s.p[0] == ' ' || s.p[0] == '\t'))
        s.p++, s.len--;
    while (s.len > 0 && (s.p[s.len - 1] == ' ' || s.p[s.len - 1] == '\t'))
        s.len--;
    return s;
}

bool wsk__list_next(wsk_str list, size_t *pos, wsk_str *item)
{
    while (*pos < list.len) {
        const char *from = list.p + *pos;
        const char *comma = memchr(from, ',', list.len - *pos);
        size_t n = comma ? (size_t)(comma - from) : list.len - *pos;

        *pos += n + (comma != NULL);
        *item = wsk__str_trim((wsk_str){from, n});
        if (item->len > 0)
            return true;
    }
    return false;
}
