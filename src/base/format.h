/* base/format: the parser of access_log_format. */
#ifndef WSK_BASE_FORMAT_H
#define WSK_BASE_FORMAT_H

#include "wsocket.h"

/* One piece of a format. `what` is 0 for plain text (in name), else the letter
 * of %h or of gunicorn's %(h)s. For i, o, e and w, name is the text between
 * braces: %{Host}i. %{worker}, which has no letter, is 'W'. */
struct wsk__atom {
    char what;
    wsk_str name;
};

/* Read the piece at *p, and move *p behind it. False at the end, and at a fault
 * of the format: then **p is not NUL. */
bool wsk__format_next(const char **p, struct wsk__atom *atom);

/* Return the format of a preset, or the text itself. "json" is returned as it
 * is. */
const char *wsk__format_of(const char *option);

/* access_log_format, parsed. Names point into the option's text. */
struct wsk__format {
    struct wsk__atom *atoms; /* up to a fault */
    size_t n;
    bool json;
};

/* False: memory is out. */
bool wsk__format_open(struct wsk__format *format, const char *option);
void wsk__format_close(struct wsk__format *format);

/* True if the whole text is a format. */
bool wsk__format_good(const char *option);

#endif
