/* net/loop/source: what a poller event points at. */
#ifndef WSK_NET_LOOP_SOURCE_H
#define WSK_NET_LOOP_SOURCE_H

/* What a poller event points at: its first member. A lone WebSocket is in no
 * poller, but is told from a server's by it. */
enum wsk__source {
    WSK__SOURCE_WAKE,
    WSK__SOURCE_LISTENER,
    WSK__SOURCE_CONN,
    WSK__SOURCE_LONE,
};

#endif
