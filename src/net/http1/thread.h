/* net/http1/thread: what a thread keeps for the requests that it answers. */
#ifndef WSK_NET_HTTP1_THREAD_H
#define WSK_NET_HTTP1_THREAD_H

#include "base/buf.h"
#include "http/select.h"
#include "net/dispatch/thread.h"
#include "net/request/request.h"

struct wsk__head_store;

/* Text of a Date field (RFC 9110 5.6.7) and the second it stands for. */
struct wsk__date {
    int64_t second;
    char text[WSK__HTTP_DATE + 1];
};

/* Bring the text up to date. */
void wsk__date_refresh(struct wsk__date *date);

struct wsk__http1_thread {
    struct wsk__head_store *heads;
    struct wsk__buf spare_out; /* a block that connections borrow */
    struct wsk__date date;
    struct wsk_request req;
};

/* The room's entry in dispatch->rooms. */
extern const struct wsk__thread_room wsk__http1_thread_room;

/* Return a thread's data of this room. */
static inline struct wsk__http1_thread *
wsk__http1_of(const struct wsk__thread *th)
{
    return th->own[WSK__OWN_HTTP1];
}

#endif
