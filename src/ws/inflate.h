/* ws/inflate: compressed messages of the peer (RFC 7692 7.2.2). */
#ifndef WSK_WS_INFLATE_H
#define WSK_WS_INFLATE_H

#include "base/buf.h"
#include "ws/pool.h"

struct wsk__inflater;

/* One that has seen nothing yet; NULL when memory is out. pool may be NULL. */
struct wsk__inflater *wsk__inflater_new(struct wsk__pool *pool);

/* Give it back; NULL is legal for both. */
void wsk__inflater_release(struct wsk__inflater *inf, struct wsk__pool *pool);
void wsk__inflater_free(struct wsk__inflater *inf);

/* What a connection with context takeover keeps, about. */
enum { WSK__INFLATER_BYTES = 40960 };

enum wsk__inflated {
    WSK__INFLATED,      /* all that could be, is */
    WSK__INFLATE_NOMEM, /* call again with the octets that are not taken */
    WSK__INFLATE_FULL,  /* the same, when there is room: only where `pieces` */
    WSK__INFLATE_TOO_BIG, /* the cap of the buffer is reached, and more comes */
    WSK__INFLATE_BROKEN,  /* this is not DEFLATE */
};

/*
 * Append what data[0..*len) stands for to `to`, whatever the outcome as much of
 * it as there is before the fault; *len becomes the octets taken. After NOMEM
 * and FULL at least one octet is left, so that there is something to call again
 * with. `pieces`: a buffer that is full is emptied, and no fault.
 */
enum wsk__inflated wsk__inflate(struct wsk__inflater *inf, const uint8_t *data,
                                size_t *len, struct wsk__buf *to, bool pieces);

/* The message is complete. False when its last block is not. */
bool wsk__inflate_end(struct wsk__inflater *inf);

#endif
