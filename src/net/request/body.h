/* net/request/body: the body of a request, as far as it is in memory. */
#ifndef WSK_NET_REQUEST_BODY_H
#define WSK_NET_REQUEST_BODY_H

#include "wsocket.h"

struct wsk__conn;

/* Body octets: a body that came in one piece stays where it is. */
bool wsk__body_store(struct wsk__conn *conn, const uint8_t *data, size_t len);
wsk_str wsk__body_stored(const struct wsk__conn *conn);
void wsk__body_ack(struct wsk__conn *conn, size_t n);

#endif
