#include "net/server/server.h"

#include "base/ascii.h"
#include "base/items.h"
#include "base/mem.h"
#include "net/conn/accept.h"
#include "net/conn/admin.h"
#include "net/conn/balance.h"
#include "net/conn/conn.h"
#include "net/conn/listeners.h"
#include "net/conn/peer.h"
#include "net/conn/protocol.h"
#include "net/dispatch/calls.h"
#include "net/dispatch/dispatch.h"
#include "net/dispatch/lock.h"
#include "net/dispatch/monitor.h"
#include "net/dispatch/offload.h"
#include "net/dispatch/thread.h"
#include "net/http1/protocol.h"
#include "net/http1/thread.h"
#include "net/log/access.h"
#include "net/log/writer.h"
#include "net/loop/loop.h"
#include "net/mailbox/thread.h"
#include "net/opening/opening.h"
#include "net/os/life.h"
#include "net/os/listen.h"
#include "net/os/process.h"
#include "net/server/admin.h"
#include "net/server/builtins.h"
#include "net/server/certs.h"
#include "net/server/config.h"
#include "net/server/logs.h"
#include "net/server/stop.h"
#include "net/topics/topics.h"
#include "net/websocket/open.h"
#include "tls/engine.h"
#include "ws/deflate.h"
#include "wsocket.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    SHAKERS = 4,      /* threads for handshakes, at most */
    SHAKERS_NICE = 5, /* and how far they stand back */
};

static void forget_places(wsk_server *srv)
{
    bool tidy = !wsk__forked(&srv->life);

    wsk__places_clear(&srv->conns.places, tidy);
    wsk__places_clear(&srv->conns.admin.places, tidy);
}

/* Free the state of HTTP/1.1 and of WebSocket. */
static void release(struct wsk__conn *conn)
{
    wsk__websocket_release(conn);
    wsk__http1_release(conn);
}

static const struct wsk__protocol PROTOCOLS[] = {{
    .ops = &wsk__http1_protocol,
    .open = wsk__http1_open,
    .release = release,
}};
static const wsk_str ALPN[] = {{"http/1.1", 8}};

/* Make the queues of long work. Handshakes compute: one core is left to those
 * who have come already, and on a full core they go first. */
static void open_offloads(wsk_server *srv)
{
    static const struct wsk__offload_kind DISKS = {.threads = 1};
    unsigned cores = wsk_cpus();
    unsigned threads = cores > 2 ? cores - 1 : 1;
    const struct wsk__offload_kind shakes = {
        .threads = threads < SHAKERS ? threads : SHAKERS,
        .nice = SHAKERS_NICE,
        .idle_ms = 1000,
        .leave = wsk__tls_leave_thread,
    };

    wsk__offload_open(&srv->offload, &srv->life, &DISKS);
    wsk__offload_open(&srv->shakes, &srv->life, &shakes);
}

/* Free a server whose last reference is gone. */
static void end(struct wsk__life *life)
{
    wsk_server *srv = WSK__OWNER(life, struct wsk_server, life);

    if (srv->sockets.topics != NULL)
        wsk__topics_leave(wsk_server_topics(srv), &srv->logs);
    wsk__balance_leave(&srv->conns);
    forget_places(srv);
    wsk__server_close_builtins(srv);
    wsk__certs_close(srv);
    wsk__trust_clear(&srv->conns.trust);
    wsk__loop_close(&srv->loop);
    wsk__log_free(srv->logs.access, WSK__LOG_FLUSH_MS);
    wsk__log_free(srv->logs.error, WSK__LOG_FLUSH_MS);
    wsk__dispatch_close(&srv->dispatch);
    wsk__offload_close(&srv->offload);
    wsk__offload_close(&srv->shakes);
    for (int i = 0; i < WSK__CONN_LOCKS; i++)
        pthread_mutex_destroy(&srv->conns.locks[i].mutex);
    wsk__pool_clear(&srv->sockets.pool);
    wsk_topics_unref(wsk_server_topics(srv));
    wsk__server_close_metrics(srv);
    wsk__free(atomic_load(&srv->dispatch.spare));
    wsk__free(srv->site.temp_dir);
    wsk__format_close(&srv->logs.format);
    wsk__free(srv->logs.env);
    wsk__free(srv->texts);
    wsk__free(srv);
}

static bool open_loop(wsk_server *srv)
{
    const char *poller = getenv("WSK_TEST_POLLER");

    return wsk__loop_open(&srv->loop, &srv->life,
                          poller != NULL && strcmp(poller, "poll") == 0);
}

/* Let each room know those below it. */
static void connect_rooms(wsk_server *srv)
{
    struct wsk__conns *conns = &srv->conns;

    srv->logs.cfg = &srv->cfg;
    srv->logs.life = &srv->life;
    srv->dispatch.cfg = &srv->cfg;
    srv->dispatch.life = &srv->life;
    srv->dispatch.loop = &srv->loop;
    srv->dispatch.logs = &srv->logs;
    srv->dispatch.rooms[WSK__OWN_HTTP1] = &wsk__http1_thread_room;
    srv->dispatch.rooms[WSK__OWN_WEBSOCKET] = &wsk__websocket_thread_room;
    conns->cfg = &srv->cfg;
    conns->life = &srv->life;
    conns->logs = &srv->logs;
    conns->loop = &srv->loop;
    conns->dispatch = &srv->dispatch;
    conns->offload = &srv->offload;
    conns->sockets = &srv->sockets;
    conns->site = &srv->site;
    conns->openings = &srv->openings;
    conns->begin = wsk__opening_begin;
    conns->shakes = &srv->shakes;
    conns->protocol = PROTOCOLS;
    conns->alpn = ALPN;
    conns->n_protocols = sizeof(PROTOCOLS) / sizeof(*PROTOCOLS);
    atomic_init(&conns->accept_asked, WSK__ACCEPT_ON);
    srv->site.srv = srv;
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
        srv->dispatch.hooks = *hooks;
    srv->site.handler = handler;
    srv->site.user = user;
    srv->life.end = end;
    atomic_init(&srv->life.refs, 1);
    atomic_init(&srv->life.forks, atomic_load(&wsk__fork_count));
    for (int i = 0; i < WSK__CONN_LOCKS; i++)
        pthread_mutex_init(&srv->conns.locks[i].mutex, NULL);
    connect_rooms(srv);
    wsk__dispatch_open(&srv->dispatch);
    open_offloads(srv);
    wsk__stop_init(srv);
    wsk__certs_init(srv);
    wsk__server_init_metrics(srv);
    if (open_loop(srv) && wsk__server_prepare(srv))
        return srv;
    saved = errno;
    wsk__life_drop(&srv->life);
    errno = saved;
    return NULL;
}

wsk_topics *wsk_server_topics(const wsk_server *srv)
{
    return wsk__topics_of(srv->sockets.topics);
}

wsk_status wsk_server_set_topics(wsk_server *srv, wsk_topics *topics)
{
    if (srv->dispatch.started)
        return WSK_E_STATE;
    wsk_topics_ref(topics);
    wsk_topics_unref(wsk_server_topics(srv));
    srv->sockets.topics = &topics->core;
    return WSK_OK;
}

/* Make topics of its own, unless the program has set some. */
static bool open_topics(wsk_server *srv)
{
    wsk_topics *own;

    if (srv->sockets.topics != NULL)
        return true;
    own = wsk_topics_new();
    if (own != NULL)
        srv->sockets.topics = &own->core;
    return own != NULL;
}

void wsk_server_free(wsk_server *srv)
{
    if (srv == NULL)
        return;
    if (srv->dispatch.started && !wsk__forked(&srv->life)) {
        wsk_server_stop(srv, 0);
        wsk_server_join(srv, -1);
    }
    wsk__life_drop(&srv->life);
}

/* Listen at the places of a list. */
static wsk_status open_list(wsk_server *srv, const char *list)
{
    wsk_status st = WSK_OK;
    struct wsk__bind bind;
    size_t pos = 0;
    wsk_str item;

    while (st == WSK_OK && wsk__items_next(list, &pos, &item))
        st = wsk__bind_parse(item, &bind)
                 ? wsk__listen(&srv->conns.places, &bind, srv->cfg.backlog)
                 : WSK_E_ARG;
    return st;
}

static wsk_status open_places(wsk_server *srv)
{
    const struct wsk__bind usual = {
        WSK__BIND_TCP, {srv->cfg.host, strlen(srv->cfg.host)}, srv->cfg.port};
    struct wsk__places *places = &srv->conns.places;
    wsk_status st;

    places->tls = srv->certs.set != NULL;
    st = open_list(srv, srv->cfg.bind);
    if (st == WSK_OK && places->n == 0)
        st = wsk__listen(places, &usual, srv->cfg.backlog);
    places->tls = false;
    return st == WSK_OK ? open_list(srv, srv->cfg.insecure_bind) : st;
}

/* Open all that the system, or another program, may refuse. With places.trial
 * only memory of `srv` is changed. */
static wsk_status open_all(wsk_server *srv)
{
    wsk_status st;

    /* A server that has opened nothing belongs to the calling process. */
    atomic_store(&srv->life.forks, atomic_load(&wsk__fork_count));
    if (!wsk__server_open_logs(srv))
        return WSK_E_SYS;
    wsk__look_at_temp_dir(srv);
    if (!wsk__access_read_environment(&srv->logs))
        return WSK_E_NOMEM;
    if (!wsk__trust_read(&srv->conns.trust, &srv->cfg))
        return WSK_E_ARG;
    if (!wsk__server_open_metrics(srv))
        return WSK_E_NOMEM;
    if (!wsk__certs_open(srv))
        return WSK_E_SYS;
    st = open_places(srv);
    if (st == WSK_OK && !wsk__certs_fit_places(srv))
        st = WSK_E_SYS;
    if (st == WSK_OK)
        st = wsk__server_open_admin(srv);
    if (st == WSK_OK && !wsk__server_open_builtins(srv))
        st = WSK_E_SYS;
    if (st != WSK_OK) {
        int saved = errno;

        forget_places(srv);
        errno = saved;
    }
    return st;
}

/* Return the port that redirect_https leads to; 0: it is off. */
static uint16_t find_https_port(const wsk_server *srv)
{
    const char *text = srv->cfg.redirect_https;
    unsigned port;

    if (text == NULL || strcmp(text, "off") == 0)
        return 0;
    if (wsk__read_decimal((wsk_str){text, strlen(text)}, 5, UINT16_MAX, &port))
        return (uint16_t)port;
    port = wsk__places_port(&srv->conns.places, true);
    return port != 0 ? (uint16_t)port : 443;
}

wsk_status wsk_server_listen(wsk_server *srv)
{
    wsk_status st;

    if (srv->conns.listening)
        return WSK_OK;
    if (srv->dispatch.started)
        return WSK_E_STATE;
    if (!open_topics(srv))
        return WSK_E_NOMEM;
    st = open_all(srv);
    if (st != WSK_OK)
        return st;
    wsk__server_open_formats(srv);
    for (size_t i = 0; i < srv->conns.places.n; i++) {
        struct wsk__listener *l = &srv->conns.listeners[i];

        *l = (struct wsk__listener){.i = i,
                                    .batch = 1,
                                    .plain = srv->certs.set != NULL &&
                                             !srv->conns.places.at[i].tls};
        wsk__send_at_once(srv->conns.places.at[i].fd);
        l->fixed = wsk__listens_at(srv->conns.places.at[i].fd, &l->local);
    }
    srv->conns.port = wsk__places_port(&srv->conns.places, false);
    srv->conns.https_port = find_https_port(srv);
    if (srv->certs.set != NULL) {
        srv->conns.tls = wsk__certs_current;
        /* OpenSSL must free no memory of threads while the process ends. */
        srv->dispatch.leave = wsk__tls_leave_thread;
    }
    srv->conns.listening = true;
    return WSK_OK;
}

wsk_status wsk_server_can_start(wsk_server *srv)
{
    wsk_status st;
    int saved;

    if (srv->conns.listening || srv->dispatch.started)
        return WSK_E_STATE;
    srv->conns.places.trial = true;
    st = open_all(srv);
    saved = errno;
    forget_places(srv);
    wsk__server_close_builtins(srv);
    wsk__certs_forget(srv);
    wsk__trust_clear(&srv->conns.trust);
    srv->conns.places.trial = false;
    wsk__log_flush(srv->logs.error, WSK__LOG_FLUSH_MS);
    errno = saved;
    return st;
}

const char *wsk_server_error(const wsk_server *srv)
{
    return srv->conns.places.error;
}

const char *wsk_server_url(const wsk_server *srv, size_t i)
{
    return i < srv->conns.places.n ? srv->conns.places.at[i].url : NULL;
}

const char *wsk_server_address(const wsk_server *srv, size_t i)
{
    return i < srv->conns.places.n ? srv->conns.places.at[i].address : NULL;
}

int wsk_server_fd(const wsk_server *srv, size_t i)
{
    return i < srv->conns.places.n ? srv->conns.places.at[i].fd : -1;
}

void wsk_server_refuse_new(wsk_server *srv)
{
    for (size_t i = 0; i < srv->conns.places.n; i++)
        if (!srv->conns.places.at[i].inherited)
            wsk__place_refuse_new(&srv->conns.places, i);
}

uint16_t wsk_server_port(const wsk_server *srv)
{
    return srv->conns.port;
}

wsk_status wsk_server_start(wsk_server *srv)
{
    wsk_status st;

    if (srv->dispatch.started)
        return WSK_E_STATE;
    st = wsk_server_listen(srv);
    if (st != WSK_OK)
        return st;
    if (!wsk__log_begin(srv->logs.error) || !wsk__log_begin(srv->logs.access) ||
        wsk__accept_start(&srv->conns) != WSK_OK ||
        wsk__admin_start(&srv->conns) != WSK_OK)
        return WSK_E_SYS;
    wsk__server_publish(srv);
    wsk__topics_serve(wsk_server_topics(srv),
                      &(struct wsk__serving){
                          .cfg = &srv->cfg,
                          .level = srv->sockets.compression.level,
                          .threshold = srv->sockets.compression.threshold,
                          .logs = &srv->logs,
                      });
    st = wsk_topics_open_broker(wsk_server_topics(srv), &srv->cfg,
                                srv->conns.places.error,
                                sizeof(srv->conns.places.error));
    if (st != WSK_OK)
        return st;
    wsk__certs_watch(srv);
    /* Until here, a child must not remove what its parent has bound. */
    atomic_store(&srv->life.forks, atomic_load(&wsk__fork_count));
    if (!wsk__monitor_start(&srv->dispatch))
        return WSK_E_SYS;
    srv->dispatch.started = true;
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
    unsigned conns = atomic_load(&srv->conns.n), handlers;

    *out = (wsk_pending){0};
    if (wsk__forked(&srv->life))
        return;
    wsk__dispatch_lock(&srv->dispatch);
    handlers = srv->dispatch.n_running + srv->dispatch.n_parked +
               srv->dispatch.n_queued;
    out->requests = handlers > srv->dispatch.n_upgraded
                        ? handlers - srv->dispatch.n_upgraded
                        : 0;
    wsk__dispatch_unlock(&srv->dispatch);
    out->websockets = atomic_load(&srv->conns.n_websockets);
    handlers = out->requests + out->websockets;
    out->others = conns > handlers ? conns - handlers : 0;
}

void wsk_server_work(wsk_server *srv, void *user)
{
    wsk__dispatch_work(&srv->dispatch, user);
}

void wsk_server_no_thread(wsk_server *srv)
{
    wsk__dispatch_no_thread(&srv->dispatch);
}
