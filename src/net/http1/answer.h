/* net/http1/answer: HTTP/1.1 as the carrier of a request. */
#ifndef WSK_NET_HTTP1_ANSWER_H
#define WSK_NET_HTTP1_ANSWER_H

#include "net/request/answer.h"
#include "wsocket.h"

struct wsk__conn;

/* The ops of a request that came over HTTP/1.1. */
extern const struct wsk__answer_ops wsk__http1_answer;

/* Let the handler that has detached the socket, if there is one, read an end:
 * the server stops. Any thread. */
void wsk__detached_goaway(struct wsk__conn *conn);

#endif
