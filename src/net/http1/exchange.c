#include "net/http1/exchange.h"

#include "base/buf.h"
#include "base/mem.h"
#include "http/conn.h"
#include "net/conn/conn.h"
#include "net/conn/conns.h"
#include "net/dispatch/offload.h"
#include "net/dispatch/thread.h"
#include "net/http1/thread.h"
#include "net/log/access.h"
#include "net/log/metrics.h"
#include "net/os/listen.h"
#include "net/request/body.h"
#include "net/request/body_file.h"
#include "net/request/segments.h"
#include "wsocket.h"

struct wsk__exchange *wsk__exchange_new(const wsk_limits *limits,
                                        struct wsk__ends *ends,
                                        struct wsk__buf *early)
{
    struct wsk__exchange *h = wsk__calloc(sizeof(*h));

    if (h == NULL) {
        wsk__free(ends->proxy);
        if (early != NULL)
            wsk__buf_free(early);
        return NULL;
    }
    h->ends = *ends;
    h->spoken = early != NULL;
    wsk__http_init(&h->http, limits);
    wsk__buf_init(&h->in, SIZE_MAX / 4);
    if (early != NULL)
        h->in = *early;
    wsk__body_init(&h->body);
    return h;
}

void wsk__exchange_free(struct wsk__exchange *h, struct wsk__dispatch *dispatch)
{
    if (h == NULL)
        return;
    wsk__segments_clear(&h->segments, dispatch);
    wsk__http_clear(&h->http);
    wsk__buf_free(&h->in);
    wsk__body_free(&h->body);
    wsk__free(h->ends.proxy);
    wsk__free(h);
}

void wsk__http_out_of_memory(struct wsk__conn *conn)
{
    wsk__http_fail(&conn->h->http, 503);
}

void wsk__http_set_date(struct wsk__thread *th, struct wsk__conn *conn)
{
    wsk__date_refresh(&wsk__http1_of(th)->date);
    wsk_http_set_date(&conn->h->http, wsk__http1_of(th)->date.text);
}

static struct wsk__exchange *of_job(struct wsk__job *job)
{
    return WSK__OWNER(job, struct wsk__exchange, disk_job);
}

static void run_job(struct wsk__job *job)
{
    struct wsk__exchange *h = of_job(job);

    h->disk_work(h->disk_conn);
}

static void end_job(struct wsk__job *job)
{
    struct wsk__exchange *h = of_job(job);
    struct wsk__conn *conn = h->disk_conn;

    atomic_store(&h->at_disk, false);
    wsk__conn_post_unref(conn, WSK__POST_LOOK);
}

bool wsk__exchange_offload(struct wsk__conn *conn,
                           void (*work)(struct wsk__conn *conn))
{
    struct wsk__exchange *h = conn->h;

    atomic_store(&h->at_disk, true);
    wsk__conn_ref(conn);
    h->disk_work = work;
    h->disk_conn = conn;
    h->disk_job.run = run_job;
    h->disk_job.done = end_job;
    if (wsk__offload_ask(conn->conns->offload, &h->disk_job))
        return true;
    atomic_store(&h->at_disk, false);
    wsk__conn_unref(conn);
    return false;
}

static void close_file(struct wsk__conn *conn)
{
    wsk__body_file_clear(&conn->h->body);
}

void wsk__exchange_drop_file(struct wsk__conn *conn)
{
    if (conn->h != NULL && conn->h->body.file.fd >= 0 &&
        !atomic_load(&conn->h->at_disk))
        wsk__exchange_offload(conn, close_file);
}

void wsk__http_log_refusal(const struct wsk__conn *conn, int status,
                           uint64_t sent)
{
    const struct wsk__exchange *h = conn->h;
    struct wsk__access_record record = {.peer = h->ends.peer.text,
                                        .tls = h->ends.tls,
                                        .head = h->head,
                                        .status = status,
                                        .sent = sent};
    wsk_head begun;

    if (conn->admin)
        return;
    if (conn->conns->metrics != NULL)
        wsk__count_refusal(conn->conns->metrics, status);
    if (!wsk__access_is_on(conn->conns->logs))
        return;
    if (h->head == NULL) {
        begun = wsk__access_head_of(wsk__http_refused_line(&h->http));
        record.head = &begun;
        if (h->ends.proxy != NULL) /* `ends` tells of the request before */
            record.peer = h->ends.proxy->peer.text;
    }
    wsk__access_write(conn->conns->logs, &record);
}
