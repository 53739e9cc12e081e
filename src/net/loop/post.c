#include "net/loop/post.h"

#include "net/loop/loop.h"
#include "net/loop/source.h"
#include "net/os/life.h"
#include "net/os/locks.h"
#include "net/os/wake.h"

static void lock_posts(struct wsk__loop *loop)
    WSK__ACQUIRE(wsk__cap_posts) WSK__NO_ANALYSIS
{
    wsk__lock(&loop->post_lock, WSK__LOCK_POSTS);
}

static void unlock_posts(struct wsk__loop *loop)
    WSK__RELEASE(wsk__cap_posts) WSK__NO_ANALYSIS
{
    wsk__unlock(&loop->post_lock, WSK__LOCK_POSTS);
}

/* No other thread knows the loop yet. */
void wsk__posts_open(struct wsk__loop *loop) WSK__NO_ANALYSIS
{
    pthread_mutex_init(&loop->post_lock, NULL);
    loop->posts_tail = &loop->posts;
}

/* Queue a post, with a reference to its source: the caller's, if it is given;
 * else one more. A given one that the open post does not need is not the last.
 * True: the leader must be woken. */
static bool queue_post(struct wsk__loop *loop, struct wsk__source *source,
                       unsigned what, bool given, bool *closed)
{
    bool first = false;

    lock_posts(loop);
    *closed = loop->posts_closed;
    if (!*closed && source->posted == 0) {
        first = true;
        if (!given)
            atomic_fetch_add(&source->refs, 1);
        source->post_next = NULL;
        *loop->posts_tail = source;
        loop->posts_tail = &source->post_next;
        loop->n_posts++;
    } else if (!*closed && given) {
        atomic_fetch_sub(&source->refs, 1);
    }
    if (!*closed)
        source->posted = (unsigned char)(source->posted | what);
    unlock_posts(loop);
    return first && atomic_load(&loop->sleeping);
}

bool wsk__post_quietly(struct wsk__loop *loop, struct wsk__source *source,
                       unsigned what)
{
    bool closed;

    return !wsk__forked(loop->life) &&
           queue_post(loop, source, what, false, &closed);
}

static void post(struct wsk__loop *loop, struct wsk__source *source,
                 unsigned what, bool given)
{
    bool closed, asleep;

    assert(!wsk__holds(WSK__LOCK_DISPATCH)); /* to wake is a system call */
    if (wsk__forked(loop->life))
        return;
    asleep = queue_post(loop, source, what, given, &closed);
    if (closed) {
        source->ops->orphaned(source, what);
        if (given)
            source->ops->drop(source);
    }
    if (asleep) /* `source` may be freed by now */
        wsk__wake(&loop->wake);
}

void wsk__post(struct wsk__loop *loop, struct wsk__source *source,
               unsigned what)
{
    post(loop, source, what, false);
}

void wsk__post_given(struct wsk__loop *loop, struct wsk__source *source,
                     unsigned what)
{
    post(loop, source, what, true);
}

struct wsk__source *wsk__next_post(struct wsk__loop *loop, unsigned *what)
{
    struct wsk__source *source;

    lock_posts(loop);
    source = loop->posts;
    if (source != NULL) {
        loop->posts = source->post_next;
        if (loop->posts == NULL)
            loop->posts_tail = &loop->posts;
        *what = source->posted;
        source->posted = 0;
        loop->n_posts--;
    }
    unlock_posts(loop);
    return source;
}

size_t wsk__count_posts(struct wsk__loop *loop)
{
    size_t n;

    lock_posts(loop);
    n = loop->n_posts;
    unlock_posts(loop);
    return n;
}

void wsk__close_posts(struct wsk__loop *loop)
{
    struct wsk__source *source;
    unsigned what = 0;

    lock_posts(loop);
    loop->posts_closed = true;
    unlock_posts(loop);
    while ((source = wsk__next_post(loop, &what)) != NULL) {
        source->ops->orphaned(source, what);
        source->ops->drop(source);
    }
}
