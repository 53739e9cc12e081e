/* net/http1/answer: how a handler's answer leaves on HTTP/1.1. */
#ifndef WSK_NET_HTTP1_ANSWER_H
#define WSK_NET_HTTP1_ANSWER_H

#include "wsocket.h"

struct wsk__thread;
struct wsk__conn;

/* Beside the engine, which is the handler's; that finds the descriptor shut. */
void wsk__http_answer_503(struct wsk__thread *th, const struct wsk__conn *conn);

/* A long run of body goes out beside the queue: head and body in one call,
 * and only what the kernel did not take is copied. */
wsk_status wsk__http_write_beside(wsk_request *req, const uint8_t *data,
                                  size_t len);

/* A small piece, read right behind the queue: head and body leave together. */
wsk_status wsk__http_copy_file(struct wsk__conn *conn, int fd, uint64_t offset,
                               size_t n);

/* headers: all that the 101 has. */
wsk_status wsk__http_send_101(wsk_request *req, const wsk_header *headers,
                              size_t n);

/* ---- lock held: what has come ---- */

/* The handler that has taken it over, if there is one, reads an end. */
void wsk__detached_goaway(struct wsk__conn *conn);

#endif
