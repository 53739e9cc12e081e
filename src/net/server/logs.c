#include "net/server/logs.h"

#include "base/format.h"
#include "net/log/log.h"
#include "net/log/writer.h"
#include "net/os/life.h"
#include "net/os/listen.h"
#include "net/server/server.h"
#include "wsocket.h"

#include <string.h>

static bool refresh(wsk_server *srv, struct wsk__log **log, const char *path,
                    const char *what)
{
    struct wsk__places *places = &srv->conns.places;

    return wsk__log_refresh(log, path, what, places->trial, places->error,
                            sizeof(places->error));
}

bool wsk__server_refresh_logs(wsk_server *srv)
{
    const char *access = srv->cfg.access_logfile;
    const char *error = srv->cfg.error_logfile;
    bool quiet =
        wsk__log_is_off(access) ||
        (srv->logs.access_by_default && srv->logs.level >= WSK_LOG_WARNING);

    if (wsk__log_is_off(error)) {
        wsk__log_free(srv->logs.error, WSK__LOG_FLUSH_MS);
        srv->logs.error = NULL;
    } else if (!refresh(srv, &srv->logs.error, error, "error log")) {
        return false;
    }
    return quiet || refresh(srv, &srv->logs.access, access, "access log");
}

wsk_status wsk_server_reopen_logs(wsk_server *srv)
{
    char *why = srv->conns.places.error;

    if (wsk__forked(&srv->life) || !srv->conns.listening)
        return WSK_OK;
    if (wsk__server_refresh_logs(srv))
        return WSK_OK;
    wsk_server_log(srv, WSK_LOG_ERROR, why, strlen(why));
    return WSK_E_SYS;
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
