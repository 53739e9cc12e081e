/* net/request/answer: the carrier of a request: how its body is read and its
 * answer sent. http1 has a table for HTTP/1.1, standalone one for sockets of
 * other servers. */
#ifndef WSK_NET_REQUEST_ANSWER_H
#define WSK_NET_REQUEST_ANSWER_H

#include "wsocket.h"

struct wsk__conn;
struct wsk__thread;

/*
 * Arguments and the state of the request were checked by the caller. Results:
 * WSK_E_CLOSED: the client is gone; WSK_E_NOMEM and WSK_E_SYS: the answer will
 * never be complete. *took counts bytes of body in the answer: fewer than given
 * past the announced length, none where the answer has no body.
 */
struct wsk__answer_ops {
    /* ---- thread of the call: the body, see wsk__body ---- */

    /* Add what has come; WSK_E_AGAIN: nothing has; WSK_E_CUT: nothing will. */
    wsk_status (*more)(wsk_request *req);
    /* Wait until more() finds something. WSK_OK, WSK_E_CUT. */
    wsk_status (*wait)(wsk_request *req);

    /* ---- thread of the call: the answer. NULL `start`: it has none ---- */

    wsk_status (*hints)(wsk_request *req, const wsk_header *headers, size_t n);
    wsk_status (*start)(wsk_request *req, int status, const char *reason,
                        const wsk_header *headers, size_t n, uint64_t length);
    wsk_status (*write)(wsk_request *req, const void *data, size_t len,
                        size_t *took);
    /* WSK_OK: release(user) is called once the bytes have left, or never will.
     */
    wsk_status (*lend)(wsk_request *req, const void *data, size_t len,
                       void (*release)(void *user), void *user, size_t *took);
    wsk_status (*send_file)(wsk_request *req, int fd, uint64_t offset,
                            size_t len, size_t *took);
    /* WSK_E_AGAIN: so much waits that the handler should drain(). */
    wsk_status (*flush)(wsk_request *req);
    /* Wait for the reader; the call is parked. */
    wsk_status (*drain)(wsk_request *req);
    /* Complete the answer, and send nothing yet. WSK_E_ARG: it is not as long
     * as announced. `cut`: let the client see that it never will be complete.
     */
    wsk_status (*end)(wsk_request *req, bool cut);
    /* Return the status of a refusal that the carrier itself has answered with,
     * for bad bytes of the body or no memory; 0: there is none. */
    int (*refused)(const wsk_request *req);

    /* ---- thread of the call: the request becomes another thing ---- */

    /* Do what wsk_request_upgrade() says; `protocol` was offered. */
    wsk_status (*upgrade)(wsk_request *req, const char *protocol,
                          const wsk_header *headers, size_t n, wsk_conn **out);
    /* Do what wsk_request_detach() says. */
    wsk_status (*detach)(wsk_request *req, int *fd, const uint8_t **data,
                         size_t *len);

    /* ---- leader, beside the call: touches no more than the descriptor ---- */

    /* Tell the client that the handler takes too long: 503, or a cut of what
     * has `begun`. */
    void (*timed_out)(struct wsk__thread *th, struct wsk__conn *conn,
                      bool begun);
};

#endif
