/* net/http1/run: the turns of an HTTP connection. */
#ifndef WSK_NET_HTTP1_RUN_H
#define WSK_NET_HTTP1_RUN_H

#include "net/log/limits.h"
#include "wsocket.h"

struct wsk__thread;
struct wsk__conn;

/* Answer the open request through the server's handler; what is left of the
 * answer is the caller's to flush. True: it became a WebSocket, and the caller
 * has a reference to give up once the loop knows. */
enum wsk__call_kind {
    WSK__CALL_NOW,    /* by the thread that has read it */
    WSK__CALL_QUEUED, /* unless nobody waits for it any more */
    WSK__CALL_FILE,   /* not the handler: it is one of the static files */
};

/* ---- leader; `conn` is not busy ---- */

/* That deadline has passed. False: the lead was lost. */
bool wsk__http_expired(struct wsk__thread *th, struct wsk__conn *conn);

/* ---- leader; `conn` is not busy. False: the lead was lost. ---- */

bool wsk__http_run(struct wsk__thread *th, struct wsk__conn *conn);

/* Its call was queued and will never be begun: 503. */
void wsk__http_refuse(struct wsk__thread *th, struct wsk__conn *conn,
                      enum wsk__limit limit);

/* ---- a thread with a call for `conn` ---- */

bool wsk__http_call(struct wsk__thread *th, struct wsk__conn *conn,
                    enum wsk__call_kind how);

/* The call of a connection's request. */
extern const struct wsk__call_ops wsk__http_call_ops;

#endif
