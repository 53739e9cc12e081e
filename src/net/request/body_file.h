/* net/request/body_file: the beginning of a long buffered body goes to a file
 * without a name. */
#ifndef WSK_NET_REQUEST_BODY_FILE_H
#define WSK_NET_REQUEST_BODY_FILE_H

#include "wsocket.h"

struct wsk__exchange;
struct wsk__conn;

/* Whether so much of the open request's body has come that it must go. Owner.
 */
bool wsk__body_file_due(const struct wsk__conn *conn);

/* Write what is in memory to the file. True: the disk has it, and the loop will
 * be told; false: it is done. Leader; the request is held. */
bool wsk__body_file_write(struct wsk__conn *conn);

/* 0; or the status of the refusal, logged, when it could not be written. */
int wsk__body_file_failed(const struct wsk__conn *conn);

/* Up to `cap` octets of the file; none when all have been read. */
wsk_status wsk__body_file_read(struct wsk__conn *conn, void *data, size_t cap,
                               size_t *got);

/* The request is over. */
void wsk__body_file_clear(struct wsk__exchange *h);

/* The same for a connection that ends without a handler: giving back the blocks
 * of a long file takes a while, which is the disk's time. */
void wsk__body_file_drop(struct wsk__conn *conn);

#endif
