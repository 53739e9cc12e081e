/* ext/response_object: what the files of the start_response type share. */
#ifndef WSK_EXT_RESPONSE_OBJECT_H
#define WSK_EXT_RESPONSE_OBJECT_H

#include "headers.h"
#include "response.h"
#include "websocket.h"

enum stage {
    STAGE_SILENT,  /* start_response was not called */
    STAGE_READY,   /* start_response was called; no byte can have left */
    STAGE_STARTED, /* the head is with the server */
    STAGE_GONE,    /* the client is gone */
    STAGE_OVER,    /* the request has ended */
};

typedef struct {
    PyObject_HEAD
    vectorcallfunc vectorcall;
    struct ext_state *st;
    wsk_request *req;     /* NULL once it is over */
    PyObject *websocket;  /* NULL: a plain request */
    PyObject *write;      /* the method; it refers to this object */
    unsigned long thread; /* the handler's, which alone may use req */
    enum stage stage;
    bool full;      /* a slow reader: make room before the next item */
    bool sated;     /* there was more than `room`: drop the rest */
    uint64_t room;  /* bytes of the body that may still be sent */
    size_t waiting; /* bytes since the last flush */
    int code;
    const char *reason; /* in `status` */
    PyObject *status;   /* str; keeps the reason alive */
    struct ext_headers headers;
} ResponseObject;

#define Response_CAST(op) ((ResponseObject *)(op))

/* True if the 101 has been sent. */
static inline bool ext_response_accepted(const ResponseObject *self)
{
    return self->websocket != NULL && ext_websocket_accepted(self->websocket);
}

PyObject *ext_response_write(PyObject *op, PyObject *data);

#endif
