/* app/router: paths to handlers, for programs that want no more than that. */
#include "wsocket.h"

#include "base/mem.h"

#include <string.h>

struct target {
    wsk_handler *handler;            /* NULL: events */
    const wsk_ws_handlers *handlers; /* borrowed */
    void *user;
};

struct route {
    struct route *next;
    struct target to;
    size_t len;  /* of path, without the '*' */
    bool prefix; /* it ended in '*' */
    char path[];
};

struct wsk_router {
    struct route *routes;
};

wsk_router *wsk_router_new(void)
{
    return wsk__calloc(sizeof(wsk_router));
}

void wsk_router_free(wsk_router *router)
{
    struct route *next;

    if (router == NULL)
        return;
    for (struct route *r = router->routes; r != NULL; r = next) {
        next = r->next;
        wsk__free(r);
    }
    wsk__free(router);
}

static struct route *route_at(wsk_router *router, const char *path)
{
    size_t len = strlen(path);
    bool prefix = len > 0 && path[len - 1] == '*';
    struct route *r;

    len -= prefix;
    for (r = router->routes; r != NULL; r = r->next)
        if (r->len == len && r->prefix == prefix &&
            memcmp(r->path, path, len) == 0)
            return r;
    r = wsk__calloc(sizeof(*r) + len);
    if (r == NULL)
        return NULL;
    memcpy(r->path, path, len);
    r->len = len;
    r->prefix = prefix;
    r->next = router->routes;
    router->routes = r;
    return r;
}

static wsk_status add(wsk_router *router, const char *path, struct target to)
{
    struct route *r;

    if (path[0] != '/' && strcmp(path, "*") != 0)
        return WSK_E_ARG;
    r = route_at(router, path);
    if (r == NULL)
        return WSK_E_NOMEM;
    r->to = to;
    return WSK_OK;
}

wsk_status wsk_route(wsk_router *router, const char *path, wsk_handler *handler,
                     void *user)
{
    return add(router, path, (struct target){.handler = handler, .user = user});
}

wsk_status wsk_route_ws(wsk_router *router, const char *path,
                        const wsk_ws_handlers *handlers, void *user)
{
    return add(router, path,
               (struct target){.handlers = handlers, .user = user});
}

/* An exact path wins, then the longest beginning. */
static const struct route *find(const wsk_router *router, wsk_str path)
{
    const struct route *best = NULL;

    for (const struct route *r = router->routes; r != NULL; r = r->next) {
        if (r->len > path.len || memcmp(r->path, path.p, r->len) != 0)
            continue;
        if (!r->prefix && r->len == path.len)
            return r;
        if (r->prefix && (best == NULL || r->len > best->len))
            best = r;
    }
    return best;
}

static void refuse(wsk_request *req, int status, const wsk_header *headers,
                   size_t n)
{
    const char *text = wsk_reason(status);

    wsk_request_respond(req, status, headers, n, text, strlen(text));
}

static void open_socket(wsk_request *req, const struct route *route)
{
    static const wsk_header UPGRADE = {{"Upgrade", 7}, {"websocket", 9}};
    const wsk_head *head = wsk_request_head(req);
    const char *protocol = NULL;
    char name[WSK_WS_PROTOCOL_MAX];
    wsk_conn *conn;

    if (!head->websocket) {
        refuse(req, 426, &UPGRADE, 1);
        return;
    }
    if (wsk_ws_choose(head, wsk_request_subprotocols(req), name))
        protocol = name;
    if (wsk_request_upgrade(req, protocol, NULL, 0, &conn) == WSK_OK)
        wsk_conn_attach(conn, route->to.handlers, route->to.user);
}

void wsk_router_handler(wsk_request *req, void *router)
{
    const struct route *route = find(router, wsk_request_head(req)->path);

    if (route == NULL)
        refuse(req, 404, NULL, 0);
    else if (route->to.handler != NULL)
        route->to.handler(req, route->to.user);
    else
        open_socket(req, route);
}
