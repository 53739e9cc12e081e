#include "net/request/body.h"

#include "base/buf.h"
#include "http/body.h"
#include "net/conn/conn.h"
#include "net/http1/exchange.h"
#include "wsocket.h"

bool wsk__body_store(struct wsk__conn *conn, const uint8_t *data, size_t len)
{
    conn->h->body_len += len;
    if (!conn->h->head->chunked && wsk__buf_len(&conn->h->body) == 0 &&
        conn->h->body_view.len == 0 && len == conn->h->head->content_length) {
        conn->h->body_view = (wsk_str){(const char *)data, len};
        return true;
    }
    return wsk__buf_put(&conn->h->body, data, len);
}

wsk_str wsk__body_stored(const struct wsk__conn *conn)
{
    if (conn->h->body_view.len > 0)
        return conn->h->body_view;
    return (wsk_str){(const char *)wsk__buf_data(&conn->h->body),
                     wsk__buf_len(&conn->h->body)};
}

void wsk__body_ack(struct wsk__conn *conn, size_t n)
{
    if (conn->h->body_view.len > 0) {
        conn->h->body_view.p += n;
        conn->h->body_view.len -= n;
    } else {
        wsk__buf_ack(&conn->h->body, n);
    }
}
