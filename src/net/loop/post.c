#include "net/loop/post.h"

#include "net/conn/conn.h"
#include "net/os/locks.h"
#include "net/os/wake.h"
#include "net/server/server.h"
#include "wsocket.h"

#include <stdatomic.h>

/* Queue a post, with a reference for it. True: the leader does not know. */
static bool queue_post(struct wsk_conn *conn, unsigned what, bool *dead)
{
    wsk_server *srv = conn->srv;
    bool first = false;

    wsk__lock(&srv->loop.post_lock, WSK__LOCK_POSTS);
    *dead = srv->loop.posts_closed;
    if (!*dead && conn->post == 0) {
        first = true;
        wsk_conn_ref(conn);
        conn->post_next = NULL;
        *srv->loop.posts_tail = conn;
        srv->loop.posts_tail = &conn->post_next;
        srv->loop.n_posts++;
    }
    if (!*dead)
        conn->post = (uint8_t)(conn->post | what);
    wsk__unlock(&srv->loop.post_lock, WSK__LOCK_POSTS);
    return first && atomic_load(&srv->loop.sleeping);
}

bool wsk__post_quietly(struct wsk_conn *conn, unsigned what)
{
    bool dead;

    return !wsk__forked(&conn->srv->life) && queue_post(conn, what, &dead);
}

void wsk__post(struct wsk_conn *conn, unsigned what)
{
    wsk_server *srv = conn->srv; /* once posted, `conn` may be freed */
    bool dead, asleep;

    assert(!wsk__holds(WSK__LOCK_DISPATCH)); /* to wake is a system call */
    if (wsk__forked(&srv->life))
        return;
    asleep = queue_post(conn, what, &dead);
    if (dead && (what & WSK__POST_RUN))
        wsk__conn_orphan(conn);
    if (asleep)
        wsk__wake(srv);
}

struct wsk_conn *wsk__next_post(wsk_server *srv, unsigned *what)
{
    struct wsk_conn *conn;

    wsk__lock(&srv->loop.post_lock, WSK__LOCK_POSTS);
    conn = srv->loop.posts;
    if (conn != NULL) {
        srv->loop.posts = conn->post_next;
        if (srv->loop.posts == NULL)
            srv->loop.posts_tail = &srv->loop.posts;
        *what = conn->post;
        conn->post = 0;
        srv->loop.n_posts--;
    }
    wsk__unlock(&srv->loop.post_lock, WSK__LOCK_POSTS);
    return conn;
}

size_t wsk__count_posts(wsk_server *srv)
{
    size_t n;

    wsk__lock(&srv->loop.post_lock, WSK__LOCK_POSTS);
    n = srv->loop.n_posts;
    wsk__unlock(&srv->loop.post_lock, WSK__LOCK_POSTS);
    return n;
}
