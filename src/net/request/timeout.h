/* net/request/timeout: request_timeout, and waits for a slot that the log tells
 * of. */
#ifndef WSK_NET_REQUEST_TIMEOUT_H
#define WSK_NET_REQUEST_TIMEOUT_H

#include "net/conn/conn.h"
#include "wsocket.h"

struct wsk__thread;

/* ---- request_timeout ---- */

/* A request is about to be called; leader. */
void wsk__overdue_arm(struct wsk__conn *conn);

/* Its request was queued: from now on a long wait for a slot is told; leader.
 */
void wsk__wait_arm(struct wsk__conn *conn);

/* A timer of a busy connection has fired; leader. */
void wsk__wait_told(struct wsk__conn *conn);
void wsk__overdue(struct wsk__thread *th, struct wsk__conn *conn);

/* Whether the handler may still answer, or (`socket`) upgrade; its thread. */
bool wsk__may_answer(struct wsk__conn *conn, enum wsk__answered_by as);

/* Whether its client was told that it takes too long; any thread. */
bool wsk__is_overdue(const struct wsk__conn *conn);

#endif
