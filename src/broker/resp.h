/*
 * broker/resp: what Redis says, and what is said to it, by the reader and the
 * formatter of hiredis, which does no I/O here. Of a reply that holds others
 * only the first level is kept.
 *
 * Without Redis (-Dredis=disabled) all functions are there, but no reader can
 * be made: wsk__resp_new() returns NULL.
 */
#ifndef WSK_BROKER_RESP_H
#define WSK_BROKER_RESP_H

#include "base/buf.h"
#include "wsocket.h"

/* Return "hiredis 1.1.0", or "no Redis". Static. */
const char *wsk__resp_library(void);

enum wsk__reply_kind {
    WSK__REPLY_TEXT,
    WSK__REPLY_STATUS,
    WSK__REPLY_ERROR,
    WSK__REPLY_NUMBER,
    WSK__REPLY_NIL,
    WSK__REPLY_ARRAY,
};

enum { WSK__REPLY_ITEMS = 8 };

struct wsk__reply_item {
    enum wsk__reply_kind kind;
    wsk_str text;   /* of TEXT, STATUS, ERROR; else empty */
    int64_t number; /* of NUMBER; of ARRAY: its items */
};

struct wsk__reply {
    struct wsk__reply_item self;
    size_t n; /* items that are kept */
    struct wsk__reply_item items[WSK__REPLY_ITEMS];
};

enum wsk__resp_got { WSK__RESP_REPLY, WSK__RESP_MORE, WSK__RESP_BAD };

struct wsk__resp;

/* Return true if this build has Redis. */
bool wsk__resp_is_there(void);

/* Make a reader of replies of at most `max` bytes. NULL: memory is out. */
struct wsk__resp *wsk__resp_new(size_t max);
void wsk__resp_free(struct wsk__resp *resp); /* NULL is legal */

/* Take octets that have come. False: memory is out. */
bool wsk__resp_feed(struct wsk__resp *resp, const void *data, size_t len);

/* Get the next reply, whose texts live until the next call. BAD stays, and *why
 * is a static text. */
enum wsk__resp_got wsk__resp_next(struct wsk__resp *resp,
                                  struct wsk__reply *reply, const char **why);

/* Append a command of at most WSK__RESP_WORDS words. False: memory is out, or
 * the buffer's cap. */
enum { WSK__RESP_WORDS = 501 };
bool wsk__resp_write(struct wsk__buf *to, const wsk_str *words, size_t n);

#endif
