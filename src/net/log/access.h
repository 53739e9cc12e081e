/* net/log/access: one line of the access log for each answer, and for the end
 * of each WebSocket. */
#ifndef WSK_NET_LOG_ACCESS_H
#define WSK_NET_LOG_ACCESS_H

#include "net/conn/conn.h"
#include "net/log/access.h"

/* Read what the format says of the environment, once: a program may change that
 * while we log. Before the first line. False when memory is out. */
bool wsk__access_read_environment(wsk_server *srv);

/* What wsk_request.began is to be: 0 if no line will say how long it took. */
uint64_t wsk__access_begin(const wsk_server *srv);

/* Fields of an answer that the format asks for are noted while they are there.
 */
void wsk__access_note(wsk_request *req, const wsk_header *headers, size_t n);

/* The answer is complete, as far as its handler is concerned. */
void wsk__access_log(wsk_server *srv, wsk_request *req);

/* A request was answered without a handler, its head perhaps unread; `sent`
 * octets of body. Owner. */
void wsk__access_refused(struct wsk__conn *conn, int status, uint64_t sent);

/* A WebSocket is over. Its lock is taken to note how, and free while the line
 * is written. */
void wsk__access_closed(struct wsk__conn *conn);

#endif
