#include "base/format.h"

#include "base/ascii.h"
#include "base/mem.h"

#include <string.h>

/* Read one letter, {name} and a letter, or {worker}. */
static bool take_atom(const char **p, struct wsk__atom *atom)
{
    const char *at = *p, *close;

    if (*at == '>' ||
        *at == '<') /* Apache's "last" and "first": there is one request */
        at++;
    if (*at == '{') {
        close = strchr(at, '}');
        if (close == NULL || close == at + 1)
            return false;
        atom->name = (wsk_str){at + 1, (size_t)(close - at - 1)};
        if (close[1] == '\0' || strchr("ioew", close[1]) == NULL) {
            bool known = wsk__str_is(atom->name, "worker");

            *atom = (struct wsk__atom){'W', {NULL, 0}};
            *p = close + 1;
            return known;
        }
        atom->what = close[1];
        *p = close + 2;
        return true;
    }
    if (*at == '\0' || strchr("hlutrsbBfaDTMLpUqmH", *at) == NULL)
        return false;
    atom->what = *at;
    *p = at + 1;
    return true;
}

bool wsk__format_next(const char **p, struct wsk__atom *atom)
{
    const char *at = *p;

    *atom = (struct wsk__atom){0, {at, strcspn(at, "%")}};
    if (*at == '\0')
        return false;
    if (*at != '%') {
        *p = at + atom->name.len;
        return true;
    }
    if (at[1] == '%') {
        atom->name.len = 1;
        *p = at + 2;
        return true;
    }
    at++;
    if (*at == '(') { /* %(h)s */
        at++;
        if (!take_atom(&at, atom) || at[0] != ')' || at[1] != 's')
            return false;
        *p = at + 2;
        return true;
    }
    if (!take_atom(&at, atom))
        return false;
    *p = at;
    return true;
}

const char *wsk__format_of(const char *option)
{
    if (strcmp(option, "common") == 0)
        return "%h %l %u %t \"%r\" %s %B";
    if (strcmp(option, "combined") == 0)
        return "%h %l %u %t \"%r\" %s %B \"%f\" \"%a\"";
    return option;
}

bool wsk__format_open(struct wsk__format *format, const char *option)
{
    const char *text = wsk__format_of(option), *p = text;
    struct wsk__atom atom;
    size_t n = 0;

    *format = (struct wsk__format){.json = strcmp(option, "json") == 0};
    while (!format->json && wsk__format_next(&p, &atom))
        n++;
    format->atoms = wsk__alloc(n * sizeof(atom));
    if (format->atoms == NULL)
        return false;
    for (p = text; format->n < n; format->n++)
        wsk__format_next(&p, &format->atoms[format->n]);
    return true;
}

void wsk__format_close(struct wsk__format *format)
{
    wsk__free(format->atoms);
}

bool wsk__format_good(const char *option)
{
    const char *p = wsk__format_of(option);
    struct wsk__atom atom;
    bool any = false;

    if (strcmp(option, "json") == 0)
        return true;
    while (wsk__format_next(&p, &atom))
        any |= atom.what != 0;
    return any && *p == '\0';
}
