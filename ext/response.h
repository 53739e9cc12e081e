/* ext/response: start_response, and the way of a result to the client. */
#ifndef WSK_EXT_RESPONSE_H
#define WSK_EXT_RESPONSE_H

#include "thread.h"

extern const PyType_Spec ext_response_spec;

/* Make the start_response of one request. `websocket` is its WebSocket, or NULL
 * for a plain request; once 101 has been sent, nothing of an answer is. */
PyObject *ext_response_new(struct ext_thread *here, struct ext_state *st,
                           wsk_request *req, PyObject *websocket);

/* Send the application's result, which is borrowed. -1 with an exception set.
 */
int ext_response_send(PyObject *response, PyObject *result);

/* Answer the exception that is set: log it, and answer 500, or cut the answer
 * that has begun so that a client does not take it for complete. `body_cut`:
 * the application knows that the body of the request is incomplete. The
 * KeyError of environ["wsgi.websocket"] in a plain request is answered 426. */
void ext_response_fail(PyObject *response, bool body_cut);

/* Answer with a line of text, and close the connection. */
void ext_response_text(wsk_request *req, int code, const char *text);

/* End the object with its request: an application that has kept it gets an
 * error from now on. Takes the reference. */
void ext_response_end_take(struct ext_thread *here, PyObject *response);

/* Free the object that is kept for the next request of a thread that ends. */
void ext_response_clear_spare(struct ext_thread *thread);

#endif
