#include "net/dispatch/offload.h"

#include "net/conn/conn.h"
#include "net/http1/exchange.h"
#include "net/loop/post.h"
#include "net/os/locks.h"
#include "net/server/server.h"
#include "wsocket.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

/* The oldest job; NULL, and no thread serves the queue any more, if there is
 * none. */
static struct wsk_conn *next_job(wsk_server *srv)
{
    struct wsk_conn *conn;

    wsk__lock(&srv->loop.post_lock, WSK__LOCK_POSTS);
    conn = srv->offload.first;
    if (conn != NULL)
        srv->offload.first = conn->h->disk_next;
    if (srv->offload.first == NULL)
        srv->offload.last = &srv->offload.first;
    srv->offload.runs = conn != NULL;
    wsk__unlock(&srv->loop.post_lock, WSK__LOCK_POSTS);
    return conn;
}

static void do_jobs(wsk_server *srv)
{
    struct wsk_conn *conn;

    while ((conn = next_job(srv)) != NULL) {
        conn->h->disk_job(conn);
        atomic_store(&conn->h->at_disk, false);
        wsk__post(conn, WSK__POST_LOOK);
        wsk_conn_unref(conn);
    }
}

static void *work(void *arg)
{
    wsk_server *srv = arg;

    do_jobs(srv);
    wsk__life_drop(&srv->life);
    return NULL;
}

static bool start_thread(wsk_server *srv)
{
    pthread_t thread;
    sigset_t all, old;
    int failed;

    assert(!wsk__holds(WSK__LOCK_ANY)); /* it may take long */
    wsk__life_hold(&srv->life);
    sigfillset(&all); /* the process's signals are for its own threads */
    pthread_sigmask(SIG_BLOCK, &all, &old);
    failed = pthread_create(&thread, NULL, work, srv);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (failed)
        wsk__life_drop(&srv->life);
    else
        pthread_detach(thread);
    return !failed;
}

/* Queue a job. True: the caller has to make the thread. */
static bool queue_job(struct wsk_conn *conn, void (*job)(struct wsk_conn *conn))
{
    wsk_server *srv = conn->srv;
    bool first;

    atomic_store(&conn->h->at_disk, true);
    wsk_conn_ref(conn);
    conn->h->disk_job = job;
    conn->h->disk_next = NULL;
    wsk__lock(&srv->loop.post_lock, WSK__LOCK_POSTS);
    *srv->offload.last = conn;
    srv->offload.last = &conn->h->disk_next;
    first = !srv->offload.runs;
    srv->offload.runs = true;
    wsk__unlock(&srv->loop.post_lock, WSK__LOCK_POSTS);
    return first;
}

/* Take back a job that no thread will do. */
static void unqueue_job(struct wsk_conn *conn)
{
    wsk_server *srv = conn->srv;
    struct wsk_conn **at = &srv->offload.first;

    wsk__lock(&srv->loop.post_lock, WSK__LOCK_POSTS);
    while (*at != conn)
        at = &(*at)->h->disk_next;
    *at = conn->h->disk_next;
    if (*at == NULL)
        srv->offload.last = at;
    wsk__unlock(&srv->loop.post_lock, WSK__LOCK_POSTS);
    atomic_store(&conn->h->at_disk, false);
    wsk_conn_unref(conn);
}

bool wsk__offload_ask(struct wsk_conn *conn, void (*job)(struct wsk_conn *conn))
{
    wsk_server *srv = conn->srv;

    if (!queue_job(conn, job) || start_thread(srv))
        return true;
    unqueue_job(conn);
    do_jobs(srv); /* what other threads have queued since */
    return false;
}
