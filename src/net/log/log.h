/* net/log/log: entries of the error log. */
#ifndef WSK_NET_LOG_LOG_H
#define WSK_NET_LOG_LOG_H

#include "base/format.h"
#include "net/log/limits.h"
#include "net/os/locks.h"
#include "wsocket.h"

struct wsk__life;
struct wsk__log;

struct wsk__logs {
    const wsk_server_config *cfg;    /* fixed */
    const struct wsk__life *life;    /* fixed */
    struct wsk__log *access, *error; /* fixed */
    wsk_log_level level;             /* fixed: of the error log */
    unsigned worker;                 /* fixed: number of this process among
                                        those that share the logs, from 1; 0:
                                        it is alone */
    bool access_by_default;          /* no option says where it goes */
    bool timed, notes;               /* the access format asks for them */
    struct wsk__format format;       /* fixed: of access lines */
    char *env; /* values of its %{x}e, each with its NUL; NULL: none */
    struct wsk__limit_counter limits[WSK__LIMITS];
};

/* Write an entry of one line, if log_level lets it through. Any thread that
 * holds no lock. */
void wsk__log_entry(struct wsk__logs *logs, wsk_log_level level,
                    const char *text, size_t len) WSK__EXCLUDES_ALL;

/* The same for a format of printf(). */
void wsk__logf(struct wsk__logs *logs, wsk_log_level level, const char *fmt,
               ...) WSK__EXCLUDES_ALL __attribute__((format(printf, 3, 4)));

/* Write lines as they are, without a level. Any thread that holds no lock. */
void wsk__log_text(struct wsk__logs *logs, const char *text,
                   size_t len) WSK__EXCLUDES_ALL;

/* Read the name of a level. False: there is none of that name. */
bool wsk__log_parse_level(const char *name, wsk_log_level *level);

/* Return true if the path of a log means that there is none. */
bool wsk__log_is_off(const char *path);

/* Return true if it means an inherited descriptor, "fd:N", which cannot be
 * opened again. */
bool wsk__log_is_inherited(const char *path);

/* Make *log, or make it go on with the file that has that name now: every line
 * logged after that file was made goes to it. `trial`: only find out if that is
 * possible. False, with errno and the reason in `error`, when the file cannot
 * be written. */
bool wsk__log_refresh(struct wsk__log **log, const char *path, const char *what,
                      bool trial, char *error, size_t cap);

/* Let *log go on in a copy of `fd`. False, with errno and the reason in
 * `error`, when that cannot be written; `trial`: only find out. */
bool wsk__log_move(struct wsk__log *log, int fd, const char *what, bool trial,
                   char *error, size_t cap);

#endif
