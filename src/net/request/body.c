#include "net/request/body.h"

#include "base/buf.h"
#include "net/request/body_file.h"
#include "wsocket.h"

void wsk__body_init(struct wsk__body *body)
{
    wsk__buf_init(&body->buf, SIZE_MAX / 4);
    body->file.fd = -1;
}

void wsk__body_free(struct wsk__body *body)
{
    body->view = (wsk_str){NULL, 0};
    wsk__buf_free(&body->buf);
    wsk__body_file_clear(body);
}

void wsk__body_begin(struct wsk__body *body)
{
    body->view = (wsk_str){NULL, 0};
    body->length = 0;
    body->done = body->failed = false;
}

bool wsk__body_store(struct wsk__body *body, const wsk_head *head,
                     const uint8_t *data, size_t len)
{
    body->length += len;
    if (!head->chunked && wsk__buf_len(&body->buf) == 0 &&
        body->view.len == 0 && len == head->content_length) {
        body->view = (wsk_str){(const char *)data, len};
        return true;
    }
    return wsk__buf_put(&body->buf, data, len);
}

bool wsk__body_own(struct wsk__body *body)
{
    if (body->view.len == 0)
        return true;
    if (!wsk__buf_put(&body->buf, body->view.p, body->view.len))
        return false;
    body->view.len = 0;
    return true;
}

wsk_str wsk__body_stored(const struct wsk__body *body)
{
    if (body->view.len > 0)
        return body->view;
    return (wsk_str){(const char *)wsk__buf_data(&body->buf),
                     wsk__buf_len(&body->buf)};
}

void wsk__body_ack(struct wsk__body *body, size_t n)
{
    if (body->view.len > 0) {
        body->view.p += n;
        body->view.len -= n;
    } else {
        wsk__buf_ack(&body->buf, n);
    }
}
