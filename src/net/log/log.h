/* net/log/log: entries of the error log. */
#ifndef WSK_NET_LOG_LOG_H
#define WSK_NET_LOG_LOG_H

#include "net/log/limits.h"
#include "wsocket.h"

struct wsk__log;

struct wsk__logs {
    struct wsk__log *access, *error; /* fixed */
    wsk_log_level level;             /* fixed: of the error log */
    bool access_by_default;          /* no option says where it goes */
    bool timed, notes;               /* the access format asks for them */
    char *env; /* values of its %{x}e, each with its NUL; NULL: none */
    struct wsk__limit_counter limits[WSK__LIMITS];
};

/* An entry of one line, if log_level lets it through. Any thread. */
void wsk__server_logf(wsk_server *srv, wsk_log_level level, const char *fmt,
                      ...) __attribute__((format(printf, 3, 4)));

bool wsk__log_parse_level(const char *name, wsk_log_level *level);
bool wsk__log_is_off(const char *path);

/* Make *log, or let it go on with the file of that name as it is now: all that
 * is logged once that file is there comes into it. */
bool wsk__log_refresh(wsk_server *srv, struct wsk__log **log, const char *path,
                      const char *what);

#endif
