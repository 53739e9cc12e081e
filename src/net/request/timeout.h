/* net/request/timeout: the clock of a request: request_timeout, and long waits
 * for a slot, which the log tells of. */
#ifndef WSK_NET_REQUEST_TIMEOUT_H
#define WSK_NET_REQUEST_TIMEOUT_H

#include "net/conn/conn.h"
#include "wsocket.h"

struct wsk__answer_ops;
struct wsk__thread;

/* ---- request_timeout ---- */

/* Set the clock of a request that is about to be called, perhaps `to_head`:
 * a HEAD. Leader. */
void wsk__overdue_arm(struct wsk__conn *conn, bool to_head);

/* Let the log tell if the request waits long for a slot: it was queued. Leader.
 */
void wsk__wait_arm(struct wsk__conn *conn);

/* Look at both clocks: the timer of a busy connection has fired. `ops`: of the
 * carrier of the request. Leader. */
void wsk__busy_expired(struct wsk__thread *th, struct wsk__conn *conn,
                       const struct wsk__answer_ops *ops);

/* Return true if the call may answer, or upgrade: the clock has not. Thread of
 * the call. */
bool wsk__may_answer(struct wsk__conn *conn, enum wsk__answered_by as);

/* Return true if the client was told that its request takes too long. Any
 * thread. */
bool wsk__is_overdue(const struct wsk__conn *conn);

#endif
