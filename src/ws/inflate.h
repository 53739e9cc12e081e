/* ws/inflate: inflate compressed messages of the peer (RFC 7692 7.2.2). */
#ifndef WSK_WS_INFLATE_H
#define WSK_WS_INFLATE_H

#include "base/buf.h"
#include "ws/pool.h"

struct wsk__inflater;

/* Make one, or take one of `pool`, which may be NULL. NULL: memory is out. */
struct wsk__inflater *wsk__inflater_new(struct wsk__pool *pool);

/* Give one back to `pool`, or free it; NULL is legal for both. */
void wsk__inflater_release(struct wsk__inflater *inf, struct wsk__pool *pool);
void wsk__inflater_free(struct wsk__inflater *inf);

/* Bytes that a connection with context takeover keeps, about. */
enum { WSK__INFLATER_BYTES = 40960 };

enum wsk__inflated {
    WSK__INFLATED,        /* all is inflated that can be */
    WSK__INFLATE_NOMEM,   /* memory is out: call again with the rest */
    WSK__INFLATE_FULL,    /* `to` is full: call again with the rest once it has
                             room; only where `pieces` */
    WSK__INFLATE_TOO_BIG, /* the cap of `to` is reached, and more follows */
    WSK__INFLATE_BROKEN,  /* the data is not DEFLATE */
};

/*
 * Inflate data[0..*len) and append the result to `to`, also what comes before a
 * fault; *len becomes the bytes taken. After NOMEM and FULL at least one byte
 * is left, to call again with. `pieces`: a full buffer is no fault, because the
 * caller empties it.
 */
enum wsk__inflated wsk__inflate(struct wsk__inflater *inf, const uint8_t *data,
                                size_t *len, struct wsk__buf *to, bool pieces);

/* End a message. False when its last block is not complete. */
bool wsk__inflate_end(struct wsk__inflater *inf);

#endif
