#include "net/http1/load.h"

#include "http/conn.h"
#include "net/conn/conn.h"
#include "net/conn/conns.h"
#include "net/conn/load.h"
#include "net/http1/exchange.h"
#include "net/os/clock.h"

#include <stdatomic.h>

void wsk__load_account(struct wsk__conn *conn)
{
    struct wsk__exchange *h = conn->h;
    size_t bytes;

    if (conn->conns->cfg->memory_limit == 0)
        return;
    bytes = h->in.size + h->body.buf.size + wsk__http_partial_size(&h->http) +
            wsk__stream_held(&conn->stream);
    if (bytes == h->counted) /* most requests buffer nothing */
        return;
    atomic_fetch_add(&conn->conns->counted,
                     bytes - (size_t)h->counted); /* may wrap */
    h->counted = bytes;
}

void wsk__load_forget(struct wsk__conn *conn)
{
    if (conn->h == NULL || conn->h->counted == 0)
        return;
    atomic_fetch_sub(&conn->conns->counted, (size_t)conn->h->counted);
    conn->h->counted = 0;
}

bool wsk__load_is_past(const struct wsk__conn *conn)
{
    const struct wsk__exchange *h = conn->h;
    bool attempt = h->head != NULL && h->head->websocket;

    if (h->called || (h->counted == 0 && !attempt))
        return false;
    return wsk__memory_is_past(conn->conns) ||
           (attempt && wsk__heads_are_past(conn->conns));
}

void wsk__load_wait(struct wsk__conn *conn)
{
    if (conn->h->memory_ms == 0)
        conn->h->memory_ms = wsk__now_ms();
    wsk__watch(conn, 0);
    wsk__rearm(conn);
}
