/* base/items: options that hold several things, and what a thing to listen on
 * is. */
#ifndef WSK_BASE_ITEMS_H
#define WSK_BASE_ITEMS_H

#include "wsocket.h"

/* As long as the option script_name may be, with its NUL. */
enum { WSK__SCRIPT_NAME = 128 };

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

/* The longest name or address of TCP, and path of a Unix socket, in octets. */
enum { WSK__BIND_HOST_MAX = 255 };

bool wsk__bind_parse(wsk_str item, struct wsk__bind *bind);

/* "/url=folder": the beginning of a path, without a slash at its end, and the
 * folder that answers it. */
bool wsk__static_parse(wsk_str item, wsk_str *url, wsk_str *folder);

/* The fields by which a proxy tells of its client, a set. */
enum wsk__forwarded_field {
    WSK__FORWARDED = 1, /* RFC 7239 */
    WSK__X_FOR = 2,
    WSK__X_PROTO = 4,
    WSK__X_HOST = 8,
    WSK__X_PORT = 16,
    WSK__X_PREFIX = 32,
};

/* The field of that name, in any case; 0: none. */
unsigned wsk__forwarded_field(wsk_str name);

/* The set that the option forwarded_fields names. False for another name, and
 * where Forwarded stands beside X-Forwarded fields: they would say the same
 * twice, and a proxy that writes one kind lets the other through. */
bool wsk__forwarded_fields(const char *list, unsigned *fields);

/* What access_logfile is until somebody sets it, if only to the same text: an
 * array of its own, which no literal "-" of a program is merged with. */
extern const char wsk__default_access[];

#endif
