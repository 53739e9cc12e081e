/* http/conn: one HTTP/1.1 connection: whose turn it is, keep-alive,
 * 100-continue, and the one fail() door. The server embeds the struct; everyone
 * else sees wsocket.h. */
#ifndef WSK_HTTP_CONN_H
#define WSK_HTTP_CONN_H

#include "base/buf.h"
#include "http/body.h"
#include "http/head.h"
#include "wsocket.h"

struct wsk_http; /* defined below by the implementation of this room */

/* limits is borrowed for the engine's life; no memory is taken. */
void wsk__http_init(struct wsk_http *h, const wsk_limits *limits);

/* Give back all memory, lent things excepted. */
void wsk__http_clear(struct wsk_http *h);

/* Where the next head is unpacked. Lend before each wsk_http_feed() that may
 * begin a request; the loan ends with the request or wsk__http_keep_head(). */
void wsk__http_lend(struct wsk_http *h, struct wsk__head_store *store);

/* The head must outlive the octets it was parsed from, and the lent store:
 * copy both (exactly as much as is used) into memory of the engine's own. */
wsk_status wsk__http_keep_head(struct wsk_http *h);

/*
 * For bodies too large to copy: account for `len` body octets which the caller
 * itself writes right behind out_buf(). Returns how many of them may be
 * written (fewer past the announced length, 0 without a body), or SIZE_MAX when
 * the framing is chunked: use wsk_http_send_body().
 */
size_t wsk__http_admit_body(struct wsk_http *h, size_t len);

/* The peer broke a rule or ran out of time: queue the answer `status` (if none
 * has begun) and end. For the server's own refusals: 408, 413, 503. */
void wsk__http_fail(struct wsk_http *h, int status);

/* The open request was answered 101: HTTP is over on this connection, the rest
 * of the octets is somebody else's. */
void wsk__http_upgraded(struct wsk_http *h);

#endif
