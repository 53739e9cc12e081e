#include "net/websocket/long_message.h"

#include "base/buf.h"
#include "base/mem.h"
#include "net/conn/conn.h"
#include "net/handle/spare.h"
#include "net/os/clock.h"
#include "net/server/server.h"
#include "net/websocket/served.h"
#include "ws/conn.h"
#include "wsocket.h"

#include <string.h>

enum {
    AT_ONCE = 131072, /* octets: as many as the caches near the core hold */
    AHEAD = 16,       /* times what has come is reserved at most */
};

/* Move the message to the spare block, if that has room for n more bytes. */
static void take_spare(wsk_server *srv, struct wsk__buf *msg, size_t n)
{
    size_t len = wsk__buf_len(msg);
    struct wsk__spare *spare;

    if (len + n < WSK__SPARE_LEAST || msg->size - msg->tail >= n)
        return;
    spare = wsk__spare_take(&srv->sockets.spare, len + n);
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

    /* The end comes by the thread's own buffer, with what is behind it. */
    if (left <= AT_ONCE)
        return NULL;
    ahead = wsk__buf_len(msg) * (AHEAD - 1);
    if (ahead > left)
        ahead = left;
    take_spare(conn->srv, msg, ahead);
    *size = ahead < AT_ONCE ? ahead : AT_ONCE;
    return wsk__buf_room(msg, ahead);
}

void wsk__long_message_came_locked(struct wsk__conn *conn, const uint8_t *room,
                                   size_t n)
{
    size_t used;

    wsk_ws_feed(&conn->ws->engine, room, n, &used);
    conn->since_ms = wsk__now_ms();
}

struct wsk__long_message wsk__long_message_begin_locked(struct wsk__conn *conn)
{
    struct wsk__long_message direct = {NULL, NULL, 0};

    direct.room = wsk__long_message_room_locked(conn, &direct.size);
    if (direct.room != NULL)
        direct.msg = wsk__ws_lift_message(&conn->ws->engine);
    conn->ws->aside = direct.msg;
    return direct;
}

void wsk__long_message_end_locked(struct wsk__conn *conn,
                                  struct wsk__long_message *direct, size_t n)
{
    struct wsk__buf *msg = direct->msg;
    bool wanted;

    if (msg == NULL)
        return;
    conn->ws->aside = NULL;
    wanted = wsk__ws_lay_message(&conn->ws->engine, msg);
    if (n > 0) /* the frame goes on, wanted or not */
        wsk__long_message_came_locked(conn, direct->room, n);
    if (!wanted) {
        wsk__buf_free(msg);
        wsk__free(msg);
    }
    direct->msg = NULL;
}
