#include "net/server/logs.h"

#include "base/format.h"
#include "net/log/log.h"
#include "net/log/writer.h"
#include "net/os/life.h"
#include "net/os/listen.h"
#include "net/server/server.h"
#include "wsocket.h"

#include <string.h>

/* Make a log, or open its file `again`. */
static bool refresh(wsk_server *srv, struct wsk__log **log, const char *path,
                    const char *what, bool again)
{
    struct wsk__places *places = &srv->conns.places;

    return (again && wsk__log_is_inherited(path)) ||
           wsk__log_refresh(log, path, what, places->trial, places->error,
                            sizeof(places->error));
}

static bool refresh_all(wsk_server *srv, bool again)
{
    const char *access = srv->cfg.access_logfile;
    const char *error = srv->cfg.error_logfile;
    bool quiet =
        wsk__log_is_off(access) ||
        (srv->logs.access_by_default && srv->logs.level >= WSK_LOG_WARNING);

    if (wsk__log_is_off(error)) {
        wsk__log_free(srv->logs.error, WSK__LOG_FLUSH_MS);
        srv->logs.error = NULL;
    } else if (!refresh(srv, &srv->logs.error, error, "error log", again)) {
        return false;
    }
    return quiet ||
           refresh(srv, &srv->logs.access, access, "access log", again);
}

bool wsk__server_open_logs(wsk_server *srv)
{
    return refresh_all(srv, false);
}

/* Return the status of an attempt to let the logs go on elsewhere. */
static wsk_status status_of(wsk_server *srv, bool good)
{
    const char *why = srv->conns.places.error;

    if (good)
        return WSK_OK;
    wsk_server_log(srv, WSK_LOG_ERROR, why, strlen(why));
    return WSK_E_SYS;
}

wsk_status wsk_server_reopen_logs(wsk_server *srv)
{
    if (wsk__forked(&srv->life) || !srv->conns.listening)
        return WSK_OK;
    return status_of(srv, refresh_all(srv, true));
}

static bool move(wsk_server *srv, struct wsk__log *log, int fd,
                 const char *what, bool trial)
{
    struct wsk__places *places = &srv->conns.places;

    return log == NULL || fd < 0 ||
           wsk__log_move(log, fd, what, trial, places->error,
                         sizeof(places->error));
}

/* Let both logs go on in other descriptors; or find out if they can. */
static bool move_all(wsk_server *srv, int access, int error, bool trial)
{
    return move(srv, srv->logs.access, access, "access log", trial) &&
           move(srv, srv->logs.error, error, "error log", trial);
}

wsk_status wsk_server_move_logs(wsk_server *srv, int access, int error)
{
    if (wsk__forked(&srv->life))
        return WSK_OK;
    if (!srv->conns.listening)
        return WSK_E_STATE;
    return status_of(srv, move_all(srv, access, error, true) &&
                              move_all(srv, access, error, false));
}

void wsk__server_open_formats(wsk_server *srv)
{
    const struct wsk__format *format = &srv->logs.format;

    srv->logs.timed = format->json;
    srv->logs.notes = false;
    for (size_t i = 0; i < format->n; i++) {
        char what = format->atoms[i].what;

        srv->logs.timed |= what != 0 && strchr("DTML", what) != NULL;
        srv->logs.notes |= what == 'o';
    }
    srv->logs.timed &= srv->logs.access != NULL;
    srv->logs.notes &= srv->logs.access != NULL;
}

void wsk_server_log(wsk_server *srv, wsk_log_level level, const char *text,
                    size_t len)
{
    wsk__log_entry(&srv->logs, level, text, len);
}

void wsk_server_log_text(wsk_server *srv, const char *text, size_t len)
{
    wsk__log_text(&srv->logs, text, len);
}
