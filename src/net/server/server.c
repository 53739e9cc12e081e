#include "net/server/server.h"

#include "app/static.h"
#include "base/items.h"
#include "base/mem.h"
#include "net/conn/accept.h"
#include "net/conn/conn.h"
#include "net/conn/peer.h"
#include "net/dispatch/calls.h"
#include "net/dispatch/dispatch.h"
#include "net/dispatch/lock.h"
#include "net/log/access.h"
#include "net/log/writer.h"
#include "net/loop/source.h"
#include "net/os/listen.h"
#include "net/os/poller.h"
#include "net/os/process.h"
#include "net/server/config.h"
#include "net/server/logs.h"
#include "ws/pool.h"
#include "wsocket.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

enum {
    LOG_FLUSH_MS = 1000,
};

void wsk__server_ref(wsk_server *srv)
{
    atomic_fetch_add(&srv->refs, 1);
}

static void forget_places(wsk_server *srv)
{
    wsk__places_clear(&srv->places, !wsk__forked(srv));
}

void wsk__server_unref(wsk_server *srv)
{
    if (atomic_fetch_sub(&srv->refs, 1) != 1)
        return;
    forget_places(srv);
    wsk__statics_free(srv->statics);
    wsk__trust_clear(&srv->trust);
    if (srv->wake_fds[0] >= 0)
        close(srv->wake_fds[0]);
    if (srv->wake_fds[1] >= 0 && srv->wake_fds[1] != srv->wake_fds[0])
        close(srv->wake_fds[1]);
    while (srv->releases != NULL) { /* too late: nobody can run them */
        struct wsk__release *release = srv->releases;

        srv->releases = release->next;
        wsk__free(release);
    }
    wsk__poller_free(srv->poller);
    wsk__log_free(srv->access_log, LOG_FLUSH_MS);
    wsk__log_free(srv->error_log, LOG_FLUSH_MS);
    pthread_mutex_destroy(&srv->lock);
    pthread_mutex_destroy(&srv->post_lock);
    for (int i = 0; i < WSK__CONN_LOCKS; i++)
        pthread_mutex_destroy(&srv->conn_locks[i].mutex);
    pthread_cond_destroy(&srv->monitor_wake);
    pthread_cond_destroy(&srv->slot_free);
    pthread_cond_destroy(&srv->changed);
    wsk__pool_clear(&srv->pool);
    wsk__free(atomic_load(&srv->spare));
    wsk__free(srv->temp_dir);
    wsk__free(srv->log_env);
    wsk__free(srv->texts);
    wsk__free(srv);
}

wsk_server *wsk_server_new(const wsk_server_config *cfg, wsk_handler *handler,
                           void *user, const wsk_hooks *hooks)
{
    wsk_server *srv = wsk__calloc(sizeof(*srv));
    int saved;

    if (srv == NULL) {
        errno = ENOMEM;
        return NULL;
    }
    wsk__watch_forks();
    if (cfg != NULL)
        srv->cfg = *cfg;
    else
        wsk_config_init(&srv->cfg);
    if (srv->cfg.memory_limit == WSK_AUTO)
        srv->cfg.memory_limit = wsk__auto_memory();
    if (hooks != NULL)
        srv->hooks = *hooks;
    srv->handler = handler;
    srv->user = user;
    srv->wake_fds[0] = srv->wake_fds[1] = -1;
    srv->posts_tail = &srv->posts;
    srv->queue_tail = &srv->queue;
    srv->disk_tail = &srv->disk;
    atomic_init(&srv->refs, 1);
    atomic_init(&srv->forks, atomic_load(&wsk__fork_count));
    pthread_mutex_init(&srv->lock, NULL);
    pthread_mutex_init(&srv->post_lock, NULL);
    for (int i = 0; i < WSK__CONN_LOCKS; i++)
        pthread_mutex_init(&srv->conn_locks[i].mutex, NULL);
    pthread_cond_init(&srv->monitor_wake, NULL);
    pthread_cond_init(&srv->slot_free, NULL);
    pthread_cond_init(&srv->changed, NULL);
    if (wsk__server_prepare(srv))
        return srv;
    saved = errno;
    wsk__server_unref(srv);
    errno = saved;
    return NULL;
}

void wsk_server_free(wsk_server *srv)
{
    if (srv == NULL)
        return;
    if (srv->started && !wsk__forked(srv)) {
        wsk_server_stop(srv, 0);
        wsk_server_join(srv, -1);
    }
    wsk__server_unref(srv);
}

static wsk_status open_places(wsk_server *srv)
{
    struct wsk__bind bind = {
        WSK__BIND_TCP, {srv->cfg.host, strlen(srv->cfg.host)}, srv->cfg.port};
    size_t pos = 0;
    wsk_status st;
    wsk_str item;

    if (!wsk__items_next(srv->cfg.bind, &pos, &item))
        return wsk__listen(&srv->places, &bind, srv->cfg.backlog);
    do
        st = wsk__bind_parse(item, &bind)
                 ? wsk__listen(&srv->places, &bind, srv->cfg.backlog)
                 : WSK_E_ARG;
    while (st == WSK_OK && wsk__items_next(srv->cfg.bind, &pos, &item));
    return st;
}

/* All that can fail for what the system, or another program, has. With
 * places.trial nothing of it stays but what is in `srv`. */
static wsk_status open_all(wsk_server *srv)
{
    wsk_status st;

    if (!wsk__server_refresh_logs(srv))
        return WSK_E_SYS;
    wsk__look_at_temp_dir(srv);
    if (!wsk__access_read_environment(srv))
        return WSK_E_NOMEM;
    if (!wsk__trust_read(&srv->trust, &srv->cfg))
        return WSK_E_ARG;
    st = open_places(srv);
    if (st == WSK_OK && srv->statics == NULL) {
        srv->statics = wsk__statics_new(srv->cfg.static_folders,
                                        srv->places.error,
                                        sizeof(srv->places.error));
        if (srv->statics == NULL && srv->cfg.static_folders != NULL)
            st = WSK_E_SYS;
    }
    if (st != WSK_OK) {
        int saved = errno;

        forget_places(srv);
        errno = saved;
    }
    return st;
}

wsk_status wsk_server_listen(wsk_server *srv)
{
    wsk_status st;

    if (srv->listening)
        return WSK_OK;
    if (srv->started)
        return WSK_E_STATE;
    st = open_all(srv);
    if (st != WSK_OK)
        return st;
    wsk__server_open_formats(srv);
    for (size_t i = 0; i < srv->places.n; i++) {
        struct wsk__listener *l = &srv->listeners[i];

        *l = (struct wsk__listener){
            .source = WSK__SOURCE_LISTENER, .i = i, .batch = 1};
        wsk__send_at_once(srv->places.at[i].fd);
        l->fixed = wsk__listens_at(srv->places.at[i].fd, &l->local);
    }
    srv->port = wsk__places_port(&srv->places);
    srv->listening = true;
    return WSK_OK;
}

wsk_status wsk_server_can_start(wsk_server *srv)
{
    wsk_status st;
    int saved;

    if (srv->listening || srv->started)
        return WSK_E_STATE;
    srv->places.trial = true;
    st = open_all(srv);
    saved = errno;
    forget_places(srv);
    wsk__statics_free(srv->statics);
    srv->statics = NULL;
    wsk__trust_clear(&srv->trust);
    srv->places.trial = false;
    wsk__log_flush(srv->error_log, LOG_FLUSH_MS);
    errno = saved;
    return st;
}

const char *wsk_server_error(const wsk_server *srv)
{
    return srv->places.error;
}

const char *wsk_server_url(const wsk_server *srv, size_t i)
{
    return i < srv->places.n ? srv->places.at[i].url : NULL;
}

const char *wsk_server_address(const wsk_server *srv, size_t i)
{
    return i < srv->places.n ? srv->places.at[i].address : NULL;
}

uint16_t wsk_server_port(const wsk_server *srv)
{
    return srv->port;
}

wsk_status wsk_server_start(wsk_server *srv)
{
    wsk_status st;

    if (srv->started)
        return WSK_E_STATE;
    st = wsk_server_listen(srv);
    if (st != WSK_OK)
        return st;
    for (size_t i = 0; i < srv->places.n; i++)
        if (!wsk__poller_add(srv->poller, srv->places.at[i].fd,
                             &srv->listeners[i], true))
            return WSK_E_SYS;
    atomic_store(&srv->forks, atomic_load(&wsk__fork_count));
    if (!wsk__dispatch_start(srv))
        return WSK_E_SYS;
    srv->started = true;
    return WSK_OK;
}

wsk_status wsk_server_run(wsk_server *srv)
{
    wsk_status st = wsk_server_start(srv);

    if (st != WSK_OK)
        return st;
    st = wsk_server_join(srv, -1);
    return st == WSK_E_STATE ? WSK_E_TIMEOUT : st;
}

void wsk_server_pending(wsk_server *srv, wsk_pending *out)
{
    unsigned conns = atomic_load(&srv->n_conns), handlers;

    *out = (wsk_pending){0};
    if (wsk__forked(srv))
        return;
    wsk__dispatch_lock(srv);
    handlers = srv->n_running + srv->n_parked + srv->n_queued;
    out->requests = handlers > srv->n_upgraded ? handlers - srv->n_upgraded : 0;
    wsk__dispatch_unlock(srv);
    out->websockets = atomic_load(&srv->n_websockets);
    handlers = out->requests + out->websockets;
    out->others = conns > handlers ? conns - handlers : 0;
}
