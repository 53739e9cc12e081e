/* net/request/builtin: handlers of ours, which need no interpreter: files, for
 * one. A request that one of them wants is never queued, for the queue waits
 * for the application. */
#ifndef WSK_NET_REQUEST_BUILTIN_H
#define WSK_NET_REQUEST_BUILTIN_H

#include "wsocket.h"

enum { WSK__BUILTINS = 4 };

struct wsk__builtin {
    /* Leader: return true to answer the request. */
    bool (*wants)(const void *user, const wsk_head *head);
    /* Thread of the call: answer it. May wait for a disk. */
    void (*answer)(void *user, wsk_request *req);
    /* The server ends. */
    void (*free)(void *user);
    void *user;
};

/* Those of a server, in the order in which they are asked. */
struct wsk__builtins {
    struct wsk__builtin at[WSK__BUILTINS];
    size_t n;
};

/* Return the first that wants the request; NULL: it is the application's. */
static inline const struct wsk__builtin *
wsk__builtin_for(const struct wsk__builtins *builtins, const wsk_head *head)
{
    for (size_t i = 0; i < builtins->n; i++)
        if (builtins->at[i].wants(builtins->at[i].user, head))
            return &builtins->at[i];
    return NULL;
}

#endif
