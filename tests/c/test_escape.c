#include "harness.h"

#include "base/escape.h"
#include "base/utf8.h"

#include <string.h>

static const enum wsk__escape ALL[] = {WSK__ESCAPE_LINE, WSK__ESCAPE_TEXT,
                                       WSK__ESCAPE_ASCII, WSK__ESCAPE_WORD,
                                       WSK__ESCAPE_JSON};

static void expect(enum wsk__escape how, const char *text, const char *want)
{
    char out[256];
    size_t n = wsk__escape(out, sizeof(out), text, strlen(text), how);

    EXPECT(n == strlen(want) && memcmp(out, want, n) == 0);
}

TEST(what_steers_is_escaped_in_every_way)
{
    expect(WSK__ESCAPE_LINE, "a\r\n\t\"\\\x7f", "a\\x0d\\x0a\\x09\"\\\\x7f");
    expect(WSK__ESCAPE_ASCII, "a\r\"\\\x7f", "a\\x0d\\x22\\x5c\\x7f");
    expect(WSK__ESCAPE_JSON, "a\r\"\\\x7f", "a\\u000d\\\"\\\\\\u007f");
    expect(WSK__ESCAPE_LINE, "\xc2\x85\xe2\x80\xa8\xe2\x80\xa9\xc2\x9b",
           "\\xc2\\x85\\xe2\\x80\\xa8\\xe2\\x80\\xa9\\xc2\\x9b");
    expect(WSK__ESCAPE_JSON, "\xc2\x85\xe2\x80\xa8\xe2\x80\xa9\xc2\x9b",
           "\\u0085\\u2028\\u2029\\u009b");
    expect(WSK__ESCAPE_JSON, "\xe2\x80\xae\xe2\x81\xa6", "\\u202e\\u2066");
}

TEST(letters_stay_where_they_may)
{
    expect(WSK__ESCAPE_LINE, "caf\xc3\xa9 \xf0\x9f\x98\x80",
           "caf\xc3\xa9 \xf0\x9f\x98\x80");
    expect(WSK__ESCAPE_JSON, "caf\xc3\xa9\xc2\xa0", "caf\xc3\xa9\xc2\xa0");
    expect(WSK__ESCAPE_ASCII, "\xc3\xa9", "\\xc3\\xa9");
    expect(WSK__ESCAPE_WORD, "\xc3\xa9 \"\t", "\\xc3\\xa9\\x20\\x22\\x09");
}

TEST(several_lines_stay_so_and_only_the_first_may_begin_with_a_bracket)
{
    expect(WSK__ESCAPE_TEXT, "[a]\n[b]\n\n[c\n", "[a]\n [b]\n\n [c\n");
    expect(WSK__ESCAPE_TEXT, "\ta\r\n[\"\\", "\ta\\x0d\n [\"\\");
    expect(WSK__ESCAPE_TEXT, "\x1b\xc2\x85[", "\\x1b\\xc2\\x85[");
}

TEST(what_is_no_utf8_is_shown_octet_by_octet)
{
    expect(WSK__ESCAPE_JSON, "\xed\xa0\x80 \xc0\xaf",
           "\\u00ed\\u00a0\\u0080 \\u00c0\\u00af");
    expect(WSK__ESCAPE_LINE, "\xff\xc3", "\\xff\\xc3");
    expect(WSK__ESCAPE_JSON, "\xc3\xa9\xe9", "\xc3\xa9\\u00e9");
}

TEST(a_text_that_does_not_fit_ends_in_a_mark)
{
    char out[8];

    EXPECT_OCTETS(out, wsk__escape(out, 8, "12345678", 8, ALL[0]), "12345678");
    EXPECT_OCTETS(out, wsk__escape(out, 8, "123456789", 9, ALL[0]), "12345...");
    EXPECT_OCTETS(out, wsk__escape(out, 8, "1234\n6789", 9, ALL[0]), "1234...");
    EXPECT_OCTETS(out, wsk__escape(out, 8, "1234\n", 5, ALL[0]), "1234\\x0a");
    EXPECT_OCTETS(out,
                  wsk__escape(out, 7, "123\xc3\xa9\xc3\xa9\xc3\xa9", 9, ALL[0]),
                  "123...");
    EXPECT_OCTETS(out, wsk__escape(out, 3, "12345", 5, ALL[0]), "...");
    EXPECT_OCTETS(out, wsk__escape(out, 2, "12345", 5, ALL[0]), "");
    EXPECT_OCTETS(out, wsk__escape(out, 0, "12345", 5, ALL[0]), "");
    EXPECT_OCTETS(out, wsk__escape(out, 0, "", 0, ALL[0]), "");
}

/* A string of JSON (RFC 8259 7) without its quotes. */
static bool is_json(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if ((unsigned char)p[i] < 0x20 || p[i] == '"')
            return false;
        if (p[i] != '\\')
            continue;
        i++;
        if (i < n && (p[i] == '"' || p[i] == '\\'))
            continue;
        if (i + 4 >= n || p[i] != 'u')
            return false;
        for (int k = 0; k < 4; k++)
            if (strchr("0123456789abcdef", p[++i]) == NULL)
                return false;
    }
    return true;
}

static bool has_controls(const char *text, size_t n, bool lines)
{
    const uint8_t *p = (const uint8_t *)text;
    uint32_t c;

    for (size_t len; n > 0; p += len, n -= len) {
        len = wsk__utf8_letter(p, n, &c);
        if (lines && (c == '\n' || c == '\t'))
            continue;
        if (len == 0 || c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x2028 ||
            c == 0x2029)
            return true;
    }
    return false;
}

/* Octets that are likely to matter; the state is xorshift's. */
static size_t random_text(char *text, size_t most, uint32_t *state)
{
    static const char *const PIECES[] = {
        "\xc2\x85",         "\xe2\x80\xa8", "\"", "\\",      "\n",
        "\xf0\x9f\x98\x80", "\xed\xa0\x80", "a",  "\xc3\xa9"};
    size_t n = 0, len;

    *state ^= *state << 13;
    for (len = *state % most; n + 4 < len;) {
        *state ^= *state >> 17;
        *state ^= *state << 5;
        *state ^= *state << 13;
        if (*state & 64) {
            text[n++] = (char)(*state >> 8);
        } else {
            const char *piece = PIECES[(*state >> 8) % 9];

            memcpy(text + n, piece, strlen(piece));
            n += strlen(piece);
        }
    }
    return n;
}

TEST(random_octets_make_one_line_of_utf8_and_good_json)
{
    uint32_t state = 20260101;

    for (int i = 0; i < 30000; i++) {
        char text[64], out[96];
        size_t len = random_text(text, sizeof(text), &state);
        size_t cap = state % sizeof(out);

        for (size_t k = 0; k < sizeof(ALL) / sizeof(*ALL); k++) {
            size_t n = wsk__escape(out, cap, text, len, ALL[k]);

            EXPECT(n <= cap);
            EXPECT(wsk__utf8_valid((const uint8_t *)out, n));
            EXPECT(!has_controls(out, n, ALL[k] == WSK__ESCAPE_TEXT));
            EXPECT(ALL[k] != WSK__ESCAPE_JSON || is_json(out, n));
        }
    }
}
