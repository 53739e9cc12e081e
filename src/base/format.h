/* base/format: the format of a log line, as text, taken apart. */
#ifndef WSK_BASE_FORMAT_H
#define WSK_BASE_FORMAT_H

#include "wsocket.h"

/* One piece: of `what`, 0 is plain text (in name), a letter what is written as
 * %h or gunicorn's %(h)s, and of i, o, e and w the name is what stands between
 * braces: %{Host}i. */
struct wsk__atom {
    char what;
    wsk_str name;
};

/* The next piece at *p, which moves behind it. False at the end, and where the
 * text is no format: then **p is not NUL. */
bool wsk__format_next(const char **p, struct wsk__atom *atom);

/* What the option means: a preset's format, or the text itself. "json" stays
 * what it is. */
const char *wsk__format_of(const char *option);

/* Whether all of it is understood. */
bool wsk__format_good(const char *option);

#endif
