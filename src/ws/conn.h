/* ws/conn: one WebSocket connection: its messages, its state, its end. The
 * server embeds the struct; other code sees wsocket.h. */
#ifndef WSK_WS_CONN_H
#define WSK_WS_CONN_H

#include "base/utf8.h"
#include "ws/deflate.h"
#include "ws/pool.h"
#include "ws/queue.h"
#include "wsocket.h"

/* Memory that a connection needs only now and then. */
struct wsk__control {
    uint8_t in[WSK__CONTROL_MAX];   /* payload of a control frame, unmasked */
    uint8_t pong[WSK__CONTROL_MAX]; /* payload of the pong that is due */
};

/* The option whose limit a connection has passed. */
enum wsk__ws_limit {
    WSK__WS_NO_LIMIT,
    WSK__WS_MAX_SIZE,
    WSK__WS_SEND_MAX,
    WSK__WS_PING_TIMEOUT,
    WSK__WS_BODY_RATE,
    WSK__WS_MEMORY_LIMIT,
    WSK__WS_TOPIC_BACKLOG,
};

/* Every field counts in the size of an idle connection, which owns nothing
 * more. Only ws/conn and ws/send touch them. A plain message that stands whole
 * in the input touches the first 64 bytes and no others. */
struct wsk_ws {
    struct wsk__out *out;   /* owned; NULL while nothing is queued */
    struct wsk__buf *msg;   /* the message so far, unmasked; owned, or NULL */
    struct wsk__keys *keys; /* owned; NULL for a server */
    uint64_t max_size;      /* bytes that a message may have */
    wsk_ws_deflate deflate; /* as agreed, if `deflates` */
    uint8_t head_len;       /* octets of head that have come */
    uint8_t head_size;      /* octets that the head is known to have */
    uint8_t masking;        /* an enum wsk__masking */
    uint8_t state;          /* an enum ws_state; written by ws_step() only */
    uint8_t ready;          /* event that waits for next(), or WSK_WS_NONE */
    uint8_t lent;           /* event that next() has returned last */
    uint8_t opcode;         /* opcode of the message */
    bool deflates;   /* permessage-deflate was agreed; no bit, because threads
                        read it without the lock */
    bool pieces : 1; /* the message is given in pieces */
    bool holds : 1;  /* a message past the cap is held: wsk__ws_hold() */
    bool held : 1;   /* a message is held now */
    bool in_payload : 1;   /* false: in the header */
    bool in_message : 1;   /* between the first fragment and the last */
    bool deflated : 1;     /* the message is compressed */
    bool sending : 1;      /* inside a message of the application */
    bool packing : 1;      /* which is compressed */
    bool pong_due : 1;     /* control->pong waits to be queued */
    bool closed_due : 1;   /* CLOSED waits for next(), behind `ready` */
    bool clean : 1;        /* both Close frames were exchanged */
    bool failed : 1;       /* fail() has ended an open connection */
    uint8_t limit : 4;     /* an enum wsk__ws_limit */
    struct wsk__utf8 utf8; /* state of the message's text */
    uint8_t parting_len;   /* length of `parting` */
    uint8_t reason_len; /* length of control->in + 2, once a Close has come */
    uint8_t pong_len;   /* length of control->pong, while pong_due */

    struct wsk__control *control;   /* owned; NULL between control frames */
    struct wsk__inflater *inflater; /* owned; see end_inflating() */
    struct wsk__deflater deflater;  /* used with context takeover only */
    struct wsk__pool *pool;         /* borrowed; NULL: none */
    union {
        uint8_t head[WSK__FRAME_HEAD_MAX]; /* the octets of a header */
        struct wsk__frame frame; /* the same header once it is whole, until the
                                    next begins */
    };
    uint64_t got; /* octets received of the frame's payload */
    union {
        const char *failure; /* reason of fail(), static, if `failed` */
        char *parting; /* reason of the application's Close, owned; or NULL */
    };
    uint32_t fragments; /* number in the message so far */
    uint32_t begun;     /* messages in fragments or pieces so far */
    uint32_t arrived;   /* payload octets of messages, since the start; wraps */
    uint16_t close_code; /* for the event, 1006 until a Close comes */
    uint16_t sent_code;  /* code of our Close; 0: none */
};

/* Initialize an engine in the caller's memory. Takes no further memory. */
void wsk__ws_init(struct wsk_ws *ws, const wsk_limits *limits);

/* The same for a client, which masks with keys made of the seed. False when
 * memory is out. */
bool wsk__ws_init_client(struct wsk_ws *ws, const wsk_limits *limits,
                         const uint8_t seed[WSK_WS_SEED_LEN]);

/* Free all memory but the struct itself. */
void wsk__ws_clear(struct wsk_ws *ws);

/* As wsk_ws_set_deflate(). States of zlib come from `pool`, which is borrowed
 * for the engine's life. */
wsk_status wsk__ws_set_deflate(struct wsk_ws *ws, const wsk_ws_deflate *agreed,
                               struct wsk__pool *pool);
bool wsk__ws_deflates(const struct wsk_ws *ws);

/*
 * Take a message that data[0..len) begins with, whole, in one frame and
 * uncompressed, without copying it: msg->data points into data, still masked,
 * and its text is not validated. Returns the octets of its frame, or 0 when
 * data must go to wsk_ws_feed() instead.
 */
size_t wsk__ws_take_whole(struct wsk_ws *ws, const uint8_t *data, size_t len,
                          wsk_message *msg);

/* Queue bytes as they are: the rest of a handshake's answer, or of a message
 * that the caller writes itself. False when memory is out. */
static inline bool wsk__ws_send_raw(struct wsk_ws *ws, const uint8_t *data,
                                    size_t len)
{
    return wsk__out_put(&ws->out, data, len);
}

/*
 * Lend the queue *spare to an engine that has none, so that sending takes no
 * memory; and take it back when all has left. *spare is NULL while it is lent;
 * a queue that cannot be given back to it is freed.
 */
static inline void wsk__ws_lend(struct wsk_ws *ws, struct wsk__out **spare)
{
    wsk__out_lend(&ws->out, spare);
}
static inline void wsk__ws_return(struct wsk_ws *ws, struct wsk__out **spare)
{
    wsk__out_return(&ws->out, spare);
}

/* Free what is queued: the transport is gone, so it will never leave. */
static inline void wsk__ws_drop_out(struct wsk_ws *ws)
{
    wsk__out_free(ws->out);
    ws->out = NULL;
}

/*
 * Return the octets still to come of a frame that feed() would only unmask, and
 * of whose message some have come: the caller may read them straight to
 * wsk__buf_room(ws->msg), and feed them there. 0 for any other frame.
 */
static inline size_t wsk__ws_to_come(const struct wsk_ws *ws)
{
    bool plain = ws->in_payload && ws->in_message && ws->msg != NULL &&
                 !ws->deflated && !ws->pieces && !ws->held &&
                 !wsk__frame_is_control(ws->frame.opcode);

    return plain ? (size_t)(ws->frame.len - ws->got) : 0;
}

/* Take the message so far out, while other threads may call anything but
 * feed(); and put it back. False: the engine has given the message up, and the
 * buffer is the caller's. */
struct wsk__buf *wsk__ws_lift_message(struct wsk_ws *ws);
bool wsk__ws_lay_message(struct wsk_ws *ws, struct wsk__buf *msg);

/*
 * Hold a message past the cap, instead of failing, until the application has
 * said whether it wants it in pieces. While one is held, feed() takes nothing.
 * To end holding fails the connection if a message is held. A connection that
 * closes holds none.
 */
void wsk__ws_hold(struct wsk_ws *ws, bool hold);
static inline bool wsk__ws_holds_one(const struct wsk_ws *ws)
{
    return ws->held;
}

/* True if a pong waits until others have left; a further ping replaces it. */
static inline bool wsk__ws_pong_waits(const struct wsk_ws *ws)
{
    return ws->pong_due;
}

/* True while a message is being received, even one that will be dropped. */
static inline bool wsk__ws_in_message(const struct wsk_ws *ws)
{
    return ws->in_message;
}

/* True while a message is being received that will be given whole. */
static inline bool wsk__ws_assembles(const struct wsk_ws *ws)
{
    return ws->msg != NULL && ws->in_message && !ws->pieces;
}

/* Return the bytes that the windows it may keep take, as agreed. */
static inline size_t wsk__ws_deflate_bytes(const struct wsk_ws *ws)
{
    return ws->deflates ? wsk__deflate_bytes(&ws->deflate) : 0;
}

/* Return the bytes of memory that messages take, received and queued. */
static inline size_t wsk__ws_held(const struct wsk_ws *ws)
{
    size_t in = ws->msg != NULL ? ws->msg->size : 0;

    return in + wsk__out_held(ws->out);
}

/* True if there is a queue, which may be empty. */
static inline bool wsk__ws_has_queue(const struct wsk_ws *ws)
{
    return ws->out != NULL;
}

/* True if the message that is being received is given in pieces. */
static inline bool wsk__ws_in_pieces(const struct wsk_ws *ws)
{
    return ws->pieces && ws->in_message;
}

/* Stop wanting pieces, unless a message has begun. */
static inline void wsk__ws_take_whole_again(struct wsk_ws *ws)
{
    ws->pieces = ws->pieces && ws->in_message;
}

/* Fail the connection (RFC 6455 7.1.7), as after a deadline: send `code` if a
 * Close may still be sent; the local code is 1006. `reason` is static. */
void wsk__ws_fail(struct wsk_ws *ws, uint16_t code, const char *reason);

/* The same for a limit that was passed. */
void wsk__ws_fail_limit(struct wsk_ws *ws, uint16_t code, const char *reason,
                        enum wsk__ws_limit limit);

/* Say in *info how the connection has ended, as its last event did. */
static inline void wsk__ws_tell_end(const struct wsk_ws *ws,
                                    wsk_close_info *info)
{
    info->code = ws->close_code;
    info->clean = ws->clean;
}

/* Complete *info by the Close that we have sent. */
void wsk__ws_tell_sent(const struct wsk_ws *ws, wsk_close_info *info);

#endif
