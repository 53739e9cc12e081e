/* net/mailbox/served: a WebSocket that the loop serves. Its engine, inbox,
 * outbox and flags are guarded by wsk__conn_lock(); one thread at a time reads
 * from its descriptor, see enum wsk__rx. */
#ifndef WSK_NET_MAILBOX_SERVED_H
#define WSK_NET_MAILBOX_SERVED_H

#include "net/conn/min_rate.h"
#include "net/handle/handle.h"
#include "net/handle/ping.h"
#include "net/os/locks.h"
#include "ws/conn.h"
#include "wsocket.h"

struct wsk__buf;
struct wsk__inbox_item;
struct wsk__thread;
struct wsk__conn;
struct wsk__handshake;
struct wsk__ws_topics;

/* Which thread may read a WebSocket's descriptor and its unparsed input. */
enum wsk__rx {
    WSK__RX_LOOP,    /* the leader */
    WSK__RX_HANDLER, /* the thread in receive(), or that delivers its events */
};

/* Where the event `draining` stands. */
enum wsk__notice {
    WSK__NOTICE_NONE,
    WSK__NOTICE_DUE,
    WSK__NOTICE_RUNS, /* the callback has begun */
    WSK__NOTICE_DONE,
};

/* A WebSocket, in one block with its handshake. Fields are guarded by its
 * connection's lock, unless fixed. A message touches those up to the engine,
 * and the first of that; times of 32 bits are for wsk__recent_ms(). */
struct wsk__served {
    struct wsk_conn handle;          /* a reference of it is one of `conn` */
    struct wsk__conn *conn;          /* fixed */
    const wsk_ws_handlers *handlers; /* attached; or NULL */
    void *handlers_user;

    WSK__GUARDED_BY(wsk__cap_conn) struct {
        struct wsk__thread *caller; /* the thread that has its events in hand,
                                       see wsk__websocket_thread; or NULL */
        struct wsk__inbox_item *inbox; /* the newest, of a ring; or NULL */
        struct wsk__buf *in;    /* received, and not parsed yet; or NULL */
        struct wsk__buf *aside; /* the message, while a thread reads into it */
        struct wsk__ws_topics *topics; /* NULL: it has never subscribed */
        size_t inbox_bytes;            /* of the payloads in the inbox */
        size_t counted;                /* bytes that conns->counted has of it */
        size_t begun; /* bytes at the head of the outbox that complete a frame
                         which has begun to leave */

        uint64_t ping_ms; /* when our ping left, 0: none is open; once
                             `closing`, when our Close was sent */
        uint64_t look_ms; /* when to look at its memory next; 0: never */

        /* For the access log: messages and the bytes of their payloads. */
        uint64_t octets_in, octets_out;
        uint32_t messages_in, messages_out;

        uint32_t inbox_n; /* messages in the inbox */
        uint32_t sent_ms; /* when the kernel, or the peer, last took some
                             bytes */
        uint32_t
            unread; /* bytes in the kernel at the last look, while `stalled` */
        uint32_t calling_ms;     /* when its events were handed to a thread */
        uint32_t past_memory_ms; /* waits for memory since then; 0: no */
        uint32_t paused_ms; /* does not read its message since then; 0: no */
        uint16_t pins;      /* threads that use fd without the lock */
        uint8_t control_n;  /* pings and pongs in the inbox */
        uint8_t reason_len;
        uint8_t rx;           /* an enum wsk__rx */
        uint8_t notice : 2;   /* an enum wsk__notice */
        bool reserves : 1;    /* of conns->sockets->deflate_bytes; fixed */
        bool in_pieces : 1;   /* a piece was fetched that is not the last */
        bool hear : 1;        /* pings and pongs are put into the inbox */
        bool receiving : 1;   /* a thread is inside wsk_conn_receive() */
        bool calling : 1;     /* events are being delivered, or queued */
        bool corked : 1;      /* frames of `caller` leave after the callback */
        bool connect_due : 1; /* the event connect */
        bool close_fired : 1; /* the event close was delivered */
        bool closing : 1;     /* our Close was seen to be sent, see ping_ms */
        bool ended : 1; /* the engine's last event has come: `reason` is set */
        bool shut : 1;  /* we have shut the descriptor's input: what it reads
                           then is no end that the peer has made */
        bool close_due : 1; /* the last pin closes fd */
        bool stalled : 1;   /* the kernel takes no more until the peer reads */
        bool drain_due : 1; /* the event drain, once less waits */
        bool dropped : 1;   /* a message was dropped: `drain` waits for all to
                               leave */
        bool lapped : 1;    /* lagged too far behind a topic: to be closed */
        bool lags : 1; /* the kernel takes no more of what its topics have */
        bool arriving : 1; /* a look has found a message that is not whole */

        struct wsk_ws engine;

        struct wsk__ping ping;
        uint64_t opened_ms;
        union {
            struct wsk__min_rate arrival; /* of the message, until `ended` */
            char *reason; /* of the peer's Close, or NULL; once `ended` */
        };
        uint32_t message; /* the engine.begun that `arrival` is about */
        uint32_t arrived; /* engine.arrived at the last look */
    };
};

/* Return what is kept of its handshake, which lies behind it. */
static inline struct wsk__handshake *
wsk__served_handshake(const struct wsk__served *ws)
{
    return (struct wsk__handshake *)(uintptr_t)(ws + 1);
}

/* A handle is a reference of its connection, and never outlives it. */
static inline struct wsk__conn *wsk__conn_of(const wsk_conn *handle)
{
    return ((const struct wsk__served *)handle)->conn;
}

#endif
