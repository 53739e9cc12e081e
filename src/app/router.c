/* app/router: find a handler by the path, for programs that need no more. */
#include "wsocket.h"

#include "base/ascii.h"
#include "base/mem.h"

#include <string.h>

/* A path may have both: a handler for pages, events for WebSockets. */
struct route {
    struct route *next;
    wsk_handler *handler; /* or NULL */
    void *user;
    const wsk_ws_handlers *events; /* borrowed; or NULL */
    void *events_user;
    size_t len;  /* length of path, without the '*' */
    bool prefix; /* the path ended in '*' */
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

static wsk_status add(wsk_router *router, const char *path,
                      struct route **route)
{
    if (path[0] != '/' && strcmp(path, "*") != 0)
        return WSK_E_ARG;
    *route = route_at(router, path);
    return *route == NULL ? WSK_E_NOMEM : WSK_OK;
}

wsk_status wsk_route(wsk_router *router, const char *path, wsk_handler *handler,
                     void *user)
{
    struct route *r;
    wsk_status st = add(router, path, &r);

    if (st != WSK_OK)
        return st;
    r->handler = handler;
    r->user = user;
    return WSK_OK;
}

wsk_status wsk_route_ws(wsk_router *router, const char *path,
                        const wsk_ws_handlers *handlers, void *user)
{
    struct route *r;
    wsk_status st = add(router, path, &r);

    if (st != WSK_OK)
        return st;
    r->events = handlers;
    r->events_user = user;
    return WSK_OK;
}

/* Return the next byte of a path, percent-decoded (RFC 3986 2.1); a '%' without
 * two hexadecimal digits stands for itself. */
static char next_octet(wsk_str path, size_t *at)
{
    const char *p = path.p + *at;
    int high, low;

    if (*p == '%' && path.len - *at > 2) {
        high = wsk__hex(p[1]);
        low = wsk__hex(p[2]);
        if (high >= 0 && low >= 0) {
            *at += 3;
            return (char)(high * 16 + low);
        }
    }
    *at += 1;
    return *p;
}

static bool matches(const struct route *r, wsk_str path)
{
    size_t at = 0;

    for (size_t i = 0; i < r->len; i++)
        if (at == path.len || next_octet(path, &at) != r->path[i])
            return false;
    return r->prefix || at == path.len;
}

/* Find the route of an exact path, else that with the longest beginning. */
static const struct route *find(const wsk_router *router, wsk_str path)
{
    const struct route *best = NULL;

    for (const struct route *r = router->routes; r != NULL; r = r->next) {
        if (!matches(r, path))
            continue;
        if (!r->prefix)
            return r;
        if (best == NULL || r->len > best->len)
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
    const wsk_head *head = wsk_request_head(req);
    const char *protocol = NULL;
    char name[WSK_WS_PROTOCOL_MAX];
    wsk_conn *conn;

    if (wsk_ws_choose(head, wsk_request_subprotocols(req), name))
        protocol = name;
    if (wsk_request_upgrade(req, protocol, NULL, 0, &conn) == WSK_OK)
        wsk_conn_attach(conn, route->events, route->events_user);
}

void wsk_router_handler(wsk_request *req, void *router)
{
    static const wsk_header UPGRADE = {{"Upgrade", 7}, {"websocket", 9}};
    const wsk_head *head = wsk_request_head(req);
    /* An empty path means script_name itself. */
    wsk_str path = head->path.len > 0 ? head->path : (wsk_str){"/", 1};
    const struct route *route = find(router, path);

    if (route == NULL)
        refuse(req, 404, NULL, 0);
    else if (head->websocket && route->events != NULL)
        open_socket(req, route);
    else if (route->handler != NULL)
        route->handler(req, route->user);
    else
        refuse(req, 426, &UPGRADE, 1);
}
