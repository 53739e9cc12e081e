/* base/items: options that hold several things, and what a thing to listen on
 * is. */
#ifndef WSK_BASE_ITEMS_H
#define WSK_BASE_ITEMS_H

#include "wsocket.h"

/*
 * Walk a list option: elements stand between line ends if there is one, else
 * between commas; white space around them does not count, empty ones are
 * skipped. *pos starts at 0. False at the end; a NULL list is empty.
 */
bool wsk__items_next(const char *list, size_t *pos, wsk_str *item);

/* The same for a list whose elements hold no comma: both separate. */
bool wsk__words_next(const char *list, size_t *pos, wsk_str *item);

enum wsk__bind_kind { WSK__BIND_TCP, WSK__BIND_UNIX, WSK__BIND_FD };

/* One thing to listen on: "host:port", "[v6]:port", ":port", "unix:path",
 * "unix:path:mode" (octal) or "fd:N". */
struct wsk__bind {
    enum wsk__bind_kind kind;
    wsk_str host;    /* of TCP, without brackets; or the path */
    unsigned number; /* port, mode (0: as the umask has it) or descriptor */
};

bool wsk__bind_parse(wsk_str item, struct wsk__bind *bind);

/* "/url=folder": the beginning of a path, without a slash at its end, and the
 * folder that answers it. */
bool wsk__static_parse(wsk_str item, wsk_str *url, wsk_str *folder);

/* What access_logfile is until somebody sets it, if only to the same text: an
 * array of its own, which no literal "-" of a program is merged with. */
extern const char wsk__default_access[];

#endif
