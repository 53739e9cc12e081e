#include "net/disk.h"

#include "net/loop.h"

#include <pthread.h>
#include <signal.h>

static void *work(void *arg)
{
    wsk_server *srv = arg;
    struct wsk_conn *conn;

    for (;;) {
        wsk__lock(&srv->post_lock, WSK__LOCK_POSTS);
        conn = srv->disk;
        if (conn != NULL)
            srv->disk = conn->h->disk_next;
        if (srv->disk == NULL)
            srv->disk_tail = &srv->disk;
        srv->disk_runs = conn != NULL;
        wsk__unlock(&srv->post_lock, WSK__LOCK_POSTS);
        if (conn == NULL)
            break;
        conn->h->disk_job(conn);
        atomic_store(&conn->h->at_disk, false);
        wsk__post(conn, WSK__POST_LOOK);
        wsk_conn_unref(conn);
    }
    wsk__server_unref(srv);
    return NULL;
}

static bool start_thread(wsk_server *srv)
{
    pthread_t thread;
    sigset_t all, old;
    int failed;

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

bool wsk__disk_ask(struct wsk_conn *conn, void (*job)(struct wsk_conn *conn))
{
    wsk_server *srv = conn->srv;
    bool running;

    wsk__lock(&srv->post_lock, WSK__LOCK_POSTS);
    running = srv->disk_runs;
    if (!running)
        running = srv->disk_runs = start_thread(srv);
    if (running) {
        atomic_store(&conn->h->at_disk, true);
        wsk_conn_ref(conn);
        conn->h->disk_job = job;
        conn->h->disk_next = NULL;
        *srv->disk_tail = conn;
        srv->disk_tail = &conn->h->disk_next;
    }
    wsk__unlock(&srv->post_lock, WSK__LOCK_POSTS);
    return running;
}
