/* net/request/body: the body of a request. Its carrier fills it, its handler
 * reads it; a body has one owner at a time. */
#ifndef WSK_NET_REQUEST_BODY_H
#define WSK_NET_REQUEST_BODY_H

#include "base/buf.h"
#include "wsocket.h"

#include <stdatomic.h>

/* The beginning of a long body, in a file without a name. */
struct wsk__body_file {
    uint64_t stored;    /* bytes of the body in it */
    uint64_t read;      /* bytes of them that the handler has read */
    uint64_t counted;   /* bytes that *sum counts for it */
    atomic_ullong *sum; /* bytes in all such files; NULL: not counted */
    int fd;             /* -1: there is none */
    int error;          /* errno of a write that failed; 0: none has */
    bool full;          /* the error was spill_limit */
};

struct wsk__body {
    struct wsk__body_file file;
    struct wsk__buf buf; /* the bytes behind those, until they are read */
    wsk_str view;        /* the whole body where it was received; or empty */
    uint64_t length;     /* bytes that have come */
    bool done;           /* all of it has come */
    bool failed;         /* the rest will never come */
};

/* Prepare the memory of a body, once. */
void wsk__body_init(struct wsk__body *body);

/* Free the body, its file too. */
void wsk__body_free(struct wsk__body *body);

/* Forget the body of an earlier request: a new one begins. */
void wsk__body_begin(struct wsk__body *body);

/* Add bytes that have come. A body that comes in one piece stays where it was
 * received until wsk__body_own(). False when memory is out. */
bool wsk__body_store(struct wsk__body *body, const wsk_head *head,
                     const uint8_t *data, size_t len);

/* Copy a body that is still where it was received; false when memory is out. */
bool wsk__body_own(struct wsk__body *body);

/* Return what is in memory; wsk__body_ack() takes bytes from its beginning. */
wsk_str wsk__body_stored(const struct wsk__body *body);
/* Forget the first n bytes, which were read. */
void wsk__body_ack(struct wsk__body *body, size_t n);

#endif
