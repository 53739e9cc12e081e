#include "net/dispatch/thread.h"

#include "base/mem.h"
#include "net/dispatch/dispatch.h"
#include "net/os/clock.h"
#include "wsocket.h"

#include <pthread.h>

_Thread_local struct wsk__thread *wsk__self;

void wsk__thread_free(struct wsk__thread *th)
{
    for (int i = 0; i < WSK__OWNS; i++)
        if (th->own[i] != NULL) {
            th->dispatch->rooms[i]->clear(th->own[i]);
            wsk__free(th->own[i]);
        }
    pthread_cond_destroy(&th->wake);
    wsk__free(th->rx);
    wsk__free(th);
}

static bool give_own(struct wsk__thread *th, int i)
{
    const struct wsk__thread_room *room = th->dispatch->rooms[i];

    th->own[i] = wsk__calloc(room->size);
    return th->own[i] != NULL &&
           (room->init == NULL || room->init(th->own[i], th->dispatch->cfg));
}

struct wsk__thread *wsk__thread_new(struct wsk__dispatch *dispatch, void *user)
{
    struct wsk__thread *th = wsk__calloc(sizeof(*th));
    bool good;

    if (th == NULL)
        return NULL;
    wsk__cond_init(&th->wake);
    th->dispatch = dispatch;
    th->user = user;
    th->rx = wsk__alloc(WSK__RX_SIZE);
    good = th->rx != NULL;
    for (int i = 0; good && i < WSK__OWNS; i++)
        good = give_own(th, i);
    if (good)
        return th;
    wsk__thread_free(th);
    return NULL;
}
