#include "net/mailbox/long_message.h"

#include "base/buf.h"
#include "base/mem.h"
#include "net/conn/conn.h"
#include "net/conn/conns.h"
#include "net/conn/lock.h"
#include "net/dispatch/dispatch.h"
#include "net/handle/spare.h"
#include "net/mailbox/served.h"
#include "net/os/clock.h"
#include "ws/conn.h"
#include "wsocket.h"

#include <string.h>

enum {
    AT_ONCE = 131072, /* bytes: as many as the caches near the core hold */
    AHEAD = 16,       /* reserve at most so many times what has come */
};

/* Move the message to the spare block, if that has room for n more bytes. */
static void take_spare(struct wsk__conns *conns, struct wsk__buf *msg, size_t n)
{
    size_t len = wsk__buf_len(msg);
    struct wsk__spare *spare;

    if (len + n < WSK__SPARE_LEAST || msg->size - msg->tail >= n)
        return;
    spare = wsk__spare_take(&conns->dispatch->spare, len + n);
    if (spare == NULL)
        return;
    msg->size = spare->size;
    memcpy(spare, wsk__buf_data(msg), len);
    wsk__free(msg->block);
    msg->block = (uint8_t *)spare;
    msg->head = 0;
    msg->tail = len;
}

uint8_t *wsk__long_message_room_locked(struct wsk__conn *conn, size_t *size)
{
    struct wsk__buf *msg = conn->ws->engine.msg;
    size_t left = wsk__ws_to_come(&conn->ws->engine), ahead;

    wsk__assert_conn_locked(conn);
    /* The end is read to the thread's buffer, with what stands behind it. */
    if (left <= AT_ONCE)
        return NULL;
    ahead = wsk__buf_len(msg) * (AHEAD - 1);
    if (ahead > left)
        ahead = left;
    if (ahead < WSK__STREAM_ROOM && wsk__stream_is_tls(&conn->stream))
        return NULL;
    take_spare(conn->conns, msg, ahead);
    *size = ahead < AT_ONCE ? ahead : AT_ONCE;
    return wsk__buf_room(msg, ahead);
}

void wsk__long_message_came_locked(struct wsk__conn *conn, const uint8_t *room,
                                   size_t n)
{
    size_t used;

    wsk__assert_conn_locked(conn);
    wsk_ws_feed(&conn->ws->engine, room, n, &used);
    conn->since_ms = wsk__now_ms();
}

struct wsk__long_message wsk__long_message_begin_locked(struct wsk__conn *conn)
{
    struct wsk__long_message lifted = {NULL, NULL, 0};

    wsk__assert_conn_locked(conn);
    lifted.room = wsk__long_message_room_locked(conn, &lifted.size);
    if (lifted.room != NULL)
        lifted.msg = wsk__ws_lift_message(&conn->ws->engine);
    conn->ws->aside = lifted.msg;
    return lifted;
}

void wsk__long_message_end_locked(struct wsk__conn *conn,
                                  struct wsk__long_message *lifted, size_t n)
{
    struct wsk__buf *msg = lifted->msg;
    bool wanted;

    wsk__assert_conn_locked(conn);
    if (msg == NULL)
        return;
    conn->ws->aside = NULL;
    wanted = wsk__ws_lay_message(&conn->ws->engine, msg);
    if (n > 0) /* the frame goes on, even if the message was given up */
        wsk__long_message_came_locked(conn, lifted->room, n);
    if (!wanted) {
        wsk__buf_free(msg);
        wsk__free(msg);
    }
    lifted->msg = NULL;
}
