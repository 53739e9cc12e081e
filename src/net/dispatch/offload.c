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

    wsk__lock(&srv->post_lock, WSK__LOCK_POSTS);
    conn = srv->disk;
    if (conn != NULL)
        srv->disk = conn->h->disk_next;
    if (srv->disk == NULL)
        srv->disk_tail = &srv->disk;
    srv->disk_runs = conn != NULL;
    wsk__unlock(&srv->post_lock, WSK__LOCK_POSTS);
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

static void *work(void *srv)
{
    do_jobs(srv);
    wsk__server_unref(srv);
    return NULL;
}

static bool start_thread(wsk_server *srv)
{
    pthread_t thread;
    sigset_t all, old;
    int failed;

    assert(!wsk__holds(WSK__LOCK_ANY)); /* it may take long */
    wsk__server_ref(srv);
    sigfillset(&all); /* the process's signals are for its own threads */
    pthread_sigmask(SIG_BLOCK, &all, &old);
    failed = pthread_create(&thread, NULL, work, srv);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (failed)
        wsk__server_unref(srv);
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
    wsk__lock(&srv->post_lock, WSK__LOCK_POSTS);
    *srv->disk_tail = conn;
    srv->disk_tail = &conn->h->disk_next;
    first = !srv->disk_runs;
    srv->disk_runs = true;
    wsk__unlock(&srv->post_lock, WSK__LOCK_POSTS);
    return first;
}

/* Take back a job that no thread will do. */
static void unqueue_job(struct wsk_conn *conn)
{
    wsk_server *srv = conn->srv;
    struct wsk_conn **at = &srv->disk;

    wsk__lock(&srv->post_lock, WSK__LOCK_POSTS);
    while (*at != conn)
        at = &(*at)->h->disk_next;
    *at = conn->h->disk_next;
    if (*at == NULL)
        srv->disk_tail = at;
    wsk__unlock(&srv->post_lock, WSK__LOCK_POSTS);
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
