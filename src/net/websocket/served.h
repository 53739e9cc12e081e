/* net/websocket/served: a WebSocket that the loop serves. The engine, the inbox
 * and every flag stand under wsk__conn_lock(); the read side of the descriptor
 * has one owner (conn->ws->rx). */
#ifndef WSK_NET_WEBSOCKET_SERVED_H
#define WSK_NET_WEBSOCKET_SERVED_H

#include "net/conn/min_rate.h"
#include "net/handle/handle.h"
#include "net/handle/ping.h"
#include "ws/conn.h"
#include "wsocket.h"

struct wsk__buf;
struct wsk__inbox_item;
struct wsk__thread;
struct wsk__conn;

/* Who reads for a WebSocket: its descriptor, and what was kept of it. */
enum wsk__rx {
    WSK__RX_LOOP,
    WSK__RX_HANDLER, /* the thread in receive(), or that delivers its events */
};

/* A WebSocket, in one block; under its connection's lock, unless fixed. */
struct wsk__served {
    struct wsk_conn handle;
    struct wsk__conn *conn; /* fixed; a reference of the handle is one of it */
    struct wsk_ws engine;
    const wsk_ws_handlers *handlers;
    void *handlers_user;
    struct wsk__thread *caller;    /* holds octets of it in hand, see ws_span */
    struct wsk__inbox_item *inbox; /* the newest, of a ring; or NULL */
    size_t inbox_bytes;
    uint64_t sent_ms; /* last octet to the peer, or it took one */
    uint64_t ping_ms; /* our ping left then; 0: none is open. Once `closing`,
                         our Close was sent then */
    struct wsk__ping ping;
    struct wsk__buf *aside; /* its message, while a thread reads into it */
    uint64_t look_ms;       /* the next look at what it holds; 0: nothing */
    size_t counted;         /* octets that srv->conns.counted counts for it */
    size_t begun;           /* octets at the head of its queue whose frame has
                               begun to leave */
    struct wsk__buf *in;    /* received, not yet fed; or NULL */

    /* For the log; of messages. */
    uint64_t opened_ms, octets_in, octets_out;
    uint32_t messages_in, messages_out;

    char *reason;           /* of the peer's Close, or NULL */
    uint32_t deflate_bytes; /* of srv->sockets.deflate_bytes, reserved for it */
    uint32_t unread;        /* octets in the kernel, at the last look at who has
                               `stalled` */
    uint32_t inbox_n;       /* messages in it */
    uint32_t calling_ms;    /* its events were handed out then;
                               wsk__recent_ms() */
    uint32_t over_ms;       /* it waits since then for memory, the same; 0: it
                               does not */
    uint32_t paused_ms;     /* its message is not read since then, the same */
    uint32_t message;       /* of engine.begun, that `arrival` is about */
    uint32_t arrived;       /* of engine.arrived, at the last look */
    struct wsk__min_rate arrival; /* of the message, while `arriving` */
    uint32_t block;               /* octets of all this; fixed */
    uint16_t code;                /* how it ended, with reason */
    uint16_t pins;                /* threads that use fd without the lock */
    uint8_t control_n;            /* pings and pongs in the inbox */
    uint8_t reason_len;
    uint8_t rx;         /* an enum wsk__rx */
    bool in_pieces : 1; /* a piece was fetched, and not yet the last */
    bool hear : 1;      /* pings and pongs come into the inbox */
    bool clean : 1;     /* of its end */
    bool receiving : 1; /* a thread is inside wsk_conn_receive() */
    bool calling : 1;   /* its events are being delivered, or queued */
    bool corked : 1;    /* what its caller sends leaves at the callback's end */
    bool connect_due : 1; /* as an event */
    bool close_fired : 1;
    bool closing : 1;   /* see ping_ms */
    bool ended : 1;     /* code to clean are set; no more messages will come */
    bool shut : 1;      /* the descriptor was shut down */
    bool close_due : 1; /* the last pin closes fd */
    bool drain_due : 1; /* as an event, once less waits */
    bool dropped : 1;   /* so that all must have left by then */
    bool stalled : 1;   /* the kernel takes no more until the peer reads */
    bool arriving : 1;  /* a look has found a message that is not whole */
};

/* ---- leader; `conn` is not busy. False: the lead was lost. ---- */

bool wsk__ws_serve(struct wsk__thread *th, struct wsk__conn *conn);

/* The deadline of the connection's phase; UINT64_MAX: none. HTTP's stands in
 * http1/deadline. */
uint64_t wsk__ws_deadline(struct wsk__conn *conn);

/* That deadline has passed. */
bool wsk__ws_expired(struct wsk__thread *th, struct wsk__conn *conn);

/* ---- lock held: what has come ---- */

/* The handler has returned without attaching: close. */
void wsk__ws_handler_done(struct wsk__conn *conn);
void wsk__ws_goaway(struct wsk__conn *conn); /* 1001, if it is a WebSocket */

/* The transport is given up; its events are still delivered. */
void wsk__ws_lost(struct wsk__conn *conn);

#endif
