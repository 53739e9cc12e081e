#include "harness.h"

#include "base/format.h"

/* The pieces of a format: literal text as it is, atoms as <letter name>. */
static const char *pieces(const char *format)
{
    static char out[256];
    char *copy = (char *)exact(format, strlen(format) + 1);
    const char *p = copy;
    struct wsk__atom atom;
    size_t n = 0;

    out[0] = '\0';
    while (wsk__format_next(&p, &atom))
        n += (size_t)snprintf(
            out + n, sizeof out - n, atom.what ? "<%c%s%.*s>" : "%.0d%s%.*s",
            atom.what, atom.what && atom.name.len ? " " : "",
            atom.what == 0 || strchr("ioew", atom.what) ? (int)atom.name.len
                                                        : 0,
            atom.name.p);
    if (*p != '\0')
        snprintf(out + n, sizeof out - n, "!");
    free(copy);
    return out;
}

#define HAS(format, text) EXPECT(strcmp(pieces(format), text) == 0)

TEST(a_format_is_text_and_atoms)
{
    HAS("%h", "<h>");
    HAS("%h %t", "<h> <t>");
    HAS("a%%b", "a%b");
    HAS("%>s", "<s>");
    HAS("%{X-Request-Id}i", "<i X-Request-Id>");
    HAS("%{a}o%{b}e%{c}w", "<o a><e b><w c>");
    HAS("%{worker}", "<W>");
    HAS("%{worker} %{worker}i", "<W> <i worker>");
    HAS("", "");
}

TEST(gunicorns_form_is_understood)
{
    HAS("%(h)s %(l)s", "<h> <l>");
    HAS("%({x-y}i)s", "<i x-y>");
    HAS("%({worker})s", "<W>");
}

TEST(what_is_no_format_is_seen)
{
    HAS("%", "!");
    HAS("%z", "!");
    HAS("%h %", "<h> !");
    HAS("%{x", "!");
    HAS("%{}i", "!");
    HAS("%{x}", "!");
    HAS("%{x}h", "!");
    HAS("%{workers}", "!");
    HAS("%(h", "!");
    HAS("%(h)d", "!");
    HAS("%()s", "!");
    HAS("%>", "!");
}

TEST(an_option_is_parsed_once_up_to_a_fault)
{
    struct wsk__format format;

    EXPECT(wsk__format_open(&format, "common"));
    EXPECT(format.n == 13 && !format.json);
    EXPECT(format.atoms[0].what == 'h' && format.atoms[12].what == 'B');
    wsk__format_close(&format);
    EXPECT(wsk__format_open(&format, "%{a}o %z"));
    EXPECT(format.n == 2 && format.atoms[0].name.len == 1);
    wsk__format_close(&format);
    EXPECT(wsk__format_open(&format, "json"));
    EXPECT(format.n == 0 && format.json);
    wsk__format_close(&format);
}

TEST(options_are_presets_or_have_an_atom)
{
    EXPECT(wsk__format_good("combined"));
    EXPECT(wsk__format_good("common"));
    EXPECT(wsk__format_good("json"));
    EXPECT(wsk__format_good("%h"));
    EXPECT(!wsk__format_good("combinde"));
    EXPECT(!wsk__format_good(""));
    EXPECT(!wsk__format_good("%h %z"));
}
