#include "net/server/admin.h"

#include "base/ascii.h"
#include "base/items.h"
#include "base/mem.h"
#include "net/log/page.h"
#include "net/os/listen.h"
#include "net/request/builtin.h"
#include "net/server/certs.h"
#include "net/server/metrics.h"
#include "net/server/server.h"
#include "tls/set.h"
#include "wsocket.h"

#include <errno.h>
#include <string.h>

/* ------------------------------------------------------------- answers --- */

static void answer(wsk_request *req, int status, const char *type,
                   const char *body, size_t len)
{
    const wsk_header fields[] = {{{"Content-Type", 12}, {type, strlen(type)}},
                                 {{"Cache-Control", 13}, {"no-store", 8}},
                                 {{"Allow", 5}, {"GET, HEAD", 9}}};

    wsk_request_respond(req, status, fields, status == 405 ? 3 : 2, body, len);
}

static void answer_text(wsk_request *req, int status, const char *text)
{
    answer(req, status, "text/plain; charset=utf-8", text, strlen(text));
}

static void answer_ready(wsk_request *req, const wsk_server *srv)
{
    if (wsk__server_is_ready(srv))
        answer_text(req, 200, "ready\n");
    else
        answer_text(req, 503, "the server stops\n");
}

/* Answer another method than GET and HEAD. False: it is one of them. */
static bool refuses_method(wsk_request *req)
{
    wsk_str method = wsk_request_head(req)->method;

    if (wsk__str_is(method, "GET") || wsk__str_is(method, "HEAD"))
        return false;
    answer_text(req, 405, "GET and HEAD are answered here\n");
    return true;
}

/* ---------------------------------------------------------------- page --- */

/* Look at the queues of the listening sockets, where the system tells. */
static size_t look_at_queues(const struct wsk__places *places,
                             struct wsk__page_listener out[WSK__LISTENERS])
{
    size_t n = 0;

    for (size_t i = 0; i < places->n; i++) {
        out[n].address = places->at[i].address;
        n += wsk__listen_queue(places->at[i].fd, &out[n].length, &out[n].limit);
    }
    return n;
}

static void send_page(wsk_request *req, const struct wsk__page *page)
{
    size_t len = wsk__page_write(page, NULL, 0);
    char *text = wsk__alloc(len);

    if (text == NULL) {
        answer_text(req, 503, "out of memory\n");
        return;
    }
    wsk__page_write(page, text, len);
    answer(req, 200, wsk__page_type(page->openmetrics), text, len);
    wsk__free(text);
}

static void answer_metrics(wsk_request *req, wsk_server *srv)
{
    uint64_t counters[WSK__COUNTERS];
    size_t most = wsk__server_most_workers(srv);
    struct wsk__page_worker *workers = wsk__alloc(most * sizeof(*workers));
    struct wsk__page_listener listeners[WSK__LISTENERS];
    struct wsk__page_certificate *certificates;
    struct wsk__tls_set *set;
    struct wsk__page page = {
        .openmetrics = wsk__page_wants_openmetrics(wsk_request_head(req)),
        .python = srv->about.python != NULL ? srv->about.python : "",
        .gil = srv->about.python != NULL ? srv->about.gil : "",
        .counters = counters,
        .workers = workers,
        .listeners = listeners,
        .n_listeners = look_at_queues(&srv->conns.places, listeners),
    };

    if (workers == NULL) {
        answer_text(req, 503, "out of memory\n");
        return;
    }
    page.n_workers = wsk__server_all(srv, counters, workers);
    wsk__server_parent_values(srv, page.parent);
    certificates = wsk__certs_list(srv, &page.n_certificates, &set);
    page.certificates = certificates;
    send_page(req, &page);
    wsk__free(certificates);
    wsk__tls_set_unref(set);
    wsk__free(workers);
}

/* Answer a request that came by metrics_bind. */
static void answer_admin(void *user, wsk_request *req)
{
    wsk_str path = wsk_request_head(req)->path;

    if (refuses_method(req))
        return;
    if (wsk__str_is(path, "/metrics"))
        answer_metrics(req, user);
    else if (wsk__str_is(path, "/ready"))
        answer_ready(req, user);
    else if (wsk__str_is(path, "/live"))
        answer_text(req, 200, "live\n");
    else
        answer_text(req, 404, "/metrics, /ready and /live are here\n");
}

wsk_status wsk__server_open_admin(wsk_server *srv)
{
    struct wsk__admin *admin = &srv->conns.admin;
    const char *where = srv->cfg.metrics_bind;
    struct wsk__bind bind;
    wsk_status st;

    if (where == NULL || admin->places.n > 0)
        return WSK_OK;
    if (!wsk__bind_parse((wsk_str){where, strlen(where)}, &bind))
        return WSK_E_ARG;
    srv->site.admin =
        (struct wsk__builtin){.answer = answer_admin, .user = srv};
    admin->places.trial = srv->conns.places.trial;
    st = wsk__listen(&admin->places, &bind, srv->cfg.backlog);
    if (st != WSK_OK) {
        int saved = errno;

        memcpy(srv->conns.places.error, admin->places.error,
               sizeof(admin->places.error));
        errno = saved;
    }
    return st;
}

const char *wsk_server_metrics_url(const wsk_server *srv)
{
    const struct wsk__places *places = &srv->conns.admin.places;

    return places->n > 0 ? places->at[0].url : NULL;
}

/* -------------------------------------------- ready_path and live_path --- */

static bool is_path(const wsk_head *head, const char *path)
{
    return path != NULL && !head->websocket && wsk__str_is(head->path, path);
}

static bool wants_health(const void *user, const wsk_head *head)
{
    const wsk_server_config *cfg = &((const wsk_server *)user)->cfg;

    return is_path(head, cfg->ready_path) || is_path(head, cfg->live_path);
}

static void answer_health(void *user, wsk_request *req)
{
    const wsk_server *srv = user;

    if (refuses_method(req))
        return;
    if (is_path(wsk_request_head(req), srv->cfg.ready_path))
        answer_ready(req, srv);
    else
        answer_text(req, 200, "live\n");
}

static void free_nothing(void *user)
{
    (void)user;
}

void wsk__server_open_health(wsk_server *srv)
{
    struct wsk__builtins *builtins = &srv->site.builtins;

    if (srv->cfg.ready_path != NULL || srv->cfg.live_path != NULL)
        builtins->at[builtins->n++] = (struct wsk__builtin){
            wants_health, answer_health, free_nothing, srv};
}
