#include "net/conn/idle.h"

#include "net/conn/balance.h"
#include "net/conn/conn.h"
#include "net/conn/conns.h"

#include <stdatomic.h>

enum { TOUCH_MS = 1000 };

/* Return the list of a connection. One that a look finds not idle is parted
 * from the others until it is idle, so that the next look need not pass it. */
static struct wsk__conn_list *list_of(struct wsk__conn *conn)
{
    return conn->parted ? &conn->conns->parted : &conn->conns->resting;
}

static void link_newest(struct wsk__conn *conn)
{
    struct wsk__conn_list *list = list_of(conn);

    conn->next = NULL;
    conn->prev = list->newest;
    if (list->newest != NULL)
        list->newest->next = conn;
    else
        list->oldest = conn;
    list->newest = conn;
}

static void unlink_conn(struct wsk__conn *conn)
{
    struct wsk__conn_list *list = list_of(conn);

    if (conn->prev != NULL)
        conn->prev->next = conn->next;
    else
        list->oldest = conn->next;
    if (conn->next != NULL)
        conn->next->prev = conn->prev;
    else
        list->newest = conn->prev;
    conn->prev = conn->next = NULL;
}

static void move_to_newest(struct wsk__conn *conn, bool parted)
{
    unlink_conn(conn);
    conn->parted = parted;
    link_newest(conn);
}

void wsk__conns_add(struct wsk__conn *conn)
{
    conn->listed_ms = (uint32_t)conn->since_ms;
    link_newest(conn);
    wsk__balance_count(conn->conns, conn->conns->n + 1);
}

void wsk__conns_remove(struct wsk__conn *conn)
{
    unlink_conn(conn);
    wsk__balance_count(conn->conns, conn->conns->n - 1);
}

void wsk__conns_touch(struct wsk__conn *conn)
{
    if (!conn->parted && (uint32_t)conn->since_ms - conn->listed_ms < TOUCH_MS)
        return;
    conn->listed_ms = (uint32_t)conn->since_ms;
    move_to_newest(conn, false);
}

void wsk__conns_offer(struct wsk__conn *conn)
{
    struct wsk__conn_list *list = list_of(conn);

    unlink_conn(conn);
    conn->next = list->oldest;
    if (list->oldest != NULL)
        list->oldest->prev = conn;
    else
        list->newest = conn;
    list->oldest = conn;
}

void wsk__conns_join(struct wsk__conns *conns)
{
    struct wsk__conn *conn;

    while ((conn = conns->parted.oldest) != NULL)
        move_to_newest(conn, false);
}

static bool is_idle(const struct wsk__conn *conn)
{
    const struct wsk__protocol_ops *ops = wsk__conn_ops(conn);

    if (conn->busy) /* then the handler owns the rest of the state */
        return false;
    if (!wsk__conn_is_open(conn))
        return conn->phase == WSK__LINGER;
    return ops->is_idle != NULL && ops->is_idle(conn);
}

struct wsk__conn *wsk__conns_idlest(struct wsk__conns *conns)
{
    struct wsk__conn *conn;

    while ((conn = conns->resting.oldest) != NULL && !is_idle(conn))
        move_to_newest(conn, true);
    return conn;
}
