#include "net/conn/adopt.h"

#include "base/mem.h"
#include "net/conn/accept.h"
#include "net/conn/conns.h"
#include "net/conn/listeners.h"
#include "net/dispatch/thread.h"
#include "net/loop/post.h"
#include "net/loop/source.h"
#include "net/os/accept.h"
#include "net/os/stream.h"

#include <stdatomic.h>

/* A descriptor on its way to the leader. */
struct handed {
    struct wsk__source source; /* first */
    struct wsk__conns *conns;
    struct wsk__address peer;
    int fd; /* -1 once the leader has taken it */
};

static wsk__leads on_posted(struct wsk__thread *th, struct wsk__source *source,
                            unsigned what)
{
    static const struct wsk__listener UNKNOWN = {.fixed = false};
    struct handed *handed = (struct handed *)source;
    int fd = handed->fd;

    wsk__assert_leads(th);
    (void)what;
    handed->fd = -1;
    if (handed->conns->draining)
        wsk__stream_close(&(struct wsk__stream){.fd = fd});
    else
        wsk__accept_welcome(handed->conns, fd, &handed->peer, &UNKNOWN);
    return true;
}

static void drop(struct wsk__source *source)
{
    struct handed *handed = (struct handed *)source;

    if (atomic_fetch_sub(&source->refs, 1) != 1)
        return;
    if (handed->fd >= 0) /* the loop has ended */
        wsk__stream_close(&(struct wsk__stream){.fd = handed->fd});
    wsk__free(handed);
}

static void on_orphaned(struct wsk__source *source, unsigned what)
{
    (void)source; /* the last reference closes the descriptor */
    (void)what;
}

wsk_status wsk__adopt(struct wsk__conns *conns, int fd)
{
    static const struct wsk__source_ops OPS = {
        .posted = on_posted, .drop = drop, .orphaned = on_orphaned};
    struct wsk__address peer;
    struct handed *handed;

    if (!wsk__accept_given(fd, &peer))
        return WSK_E_ARG;
    handed = wsk__calloc(sizeof(*handed));
    if (handed == NULL)
        return WSK_E_NOMEM;
    handed->source.ops = &OPS;
    handed->conns = conns;
    handed->peer = peer;
    handed->fd = fd;
    atomic_init(&handed->source.refs, 1);
    wsk__post(conns->loop, &handed->source, 1);
    drop(&handed->source);
    return WSK_OK;
}
