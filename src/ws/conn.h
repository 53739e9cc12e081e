/* ws/conn: one WebSocket connection: messages, the close table, and the one
 * fail() door. The server embeds the struct; everyone else sees wsocket.h. */
#ifndef WSK_WS_CONN_H
#define WSK_WS_CONN_H

#include "base/utf8.h"
#include "ws/deflate.h"
#include "ws/pool.h"
#include "ws/queue.h"
#include "wsocket.h"

/* Memory a connection needs only now and then. */
struct wsk__control {
    uint8_t in[WSK__CONTROL_MAX];   /* payload of a control frame, unmasked */
    uint8_t pong[WSK__CONTROL_MAX]; /* of the pong that is due */
};

/* Who embeds it minds its size: an idle connection owns nothing more. All is
 * conn.c's own. */
struct wsk_ws {
    struct wsk__out *out; /* owned; NULL while nothing is owed */
    struct wsk__buf *msg; /* the message so far, unmasked; owned, or NULL */
    struct wsk__control *control;   /* owned; NULL between control frames */
    struct wsk__inflater *inflater; /* owned; see end_inflating() */
    struct wsk__deflater deflater;  /* with context takeover only */
    struct wsk__pool *pool;         /* borrowed; NULL: none */
    struct wsk__keys *keys;         /* a client's; owned, or NULL */
    wsk_ws_deflate deflate;         /* as agreed, if `deflates` */
    uint64_t max_size;              /* octets of a message */
    uint64_t got;            /* octets of the frame's payload that are here */
    struct wsk__frame frame; /* that is being received */
    uint32_t fragments;      /* of the message so far */
    uint32_t begun;          /* messages in fragments or pieces, ever */
    uint32_t arrived;        /* octets of payloads of messages, ever */
    char *parting;           /* reason of the application's Close, or NULL */
    const char *failure;     /* the same of fail(), static, or NULL */
    const char *option;      /* whose limit it names, static, or NULL */
    uint16_t close_code;     /* for the event, 1006 until a Close comes */
    uint16_t sent_code;      /* of our Close; 0: there is none */
    uint8_t parting_len;     /* of `parting` */
    uint8_t reason_len;      /* of control->in + 2, when a Close has come */
    uint8_t pong_len;        /* of control->pong, when pong_due */
    uint8_t head[WSK__FRAME_HEAD_MAX];
    uint8_t head_len;      /* octets of head that are here */
    uint8_t head_size;     /* octets of head that are known to come */
    uint8_t masking;       /* an enum wsk__masking */
    uint8_t state;         /* an enum ws_state; written by ws_step() only */
    uint8_t ready;         /* event that waits for next(), or WSK_WS_NONE */
    uint8_t lent;          /* event that next() returned last */
    uint8_t opcode;        /* of the message */
    struct wsk__utf8 utf8; /* where its text stands; complete between two */
    bool deflates;         /* permessage-deflate was agreed; threads read this
                              without the lock, so it is no bit */
    bool pieces : 1;       /* the message is given in pieces */
    bool holds : 1;      /* a message that is too long waits: wsk__ws_hold() */
    bool held : 1;       /* one does */
    bool in_payload : 1; /* else in the header */
    bool in_message : 1; /* between the first fragment and the last */
    bool deflated : 1;   /* the message is compressed */
    bool sending : 1;    /* in_message, for what the application sends */
    bool packing : 1;    /* and that message is compressed */
    bool pong_due : 1;   /* control->pong waits to be queued */
    bool closed_due : 1; /* CLOSED waits for next(), behind `ready` */
    bool clean : 1;      /* both Close frames were exchanged */
};

/* An engine in memory of the caller's. No more is taken. */
void wsk__ws_init(struct wsk_ws *ws, const wsk_limits *limits);

/* The same for a client, which masks with keys out of the seed; false when
 * memory is out. */
bool wsk__ws_init_client(struct wsk_ws *ws, const wsk_limits *limits,
                         const uint8_t seed[WSK_WS_SEED_LEN]);

/* Give back all memory. */
void wsk__ws_clear(struct wsk_ws *ws);

/* As wsk_ws_set_deflate(); states of zlib come from `pool`, which is borrowed
 * for the engine's life. */
wsk_status wsk__ws_set_deflate(struct wsk_ws *ws, const wsk_ws_deflate *agreed,
                               struct wsk__pool *pool);
bool wsk__ws_deflates(const struct wsk_ws *ws);

/*
 * Take a message that stands whole in data[0..len), in one frame and
 * uncompressed, where it stands: msg->data points there, still masked, and
 * nobody has looked whether its text is UTF-8. Returns the octets of its frame,
 * or 0 when wsk_ws_feed() is to see what there is.
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
 * Octets still to come of a frame that feed() only unmasks, and of whose
 * message some are here: it may be given them at wsk__buf_room(ws->msg), where
 * they are to stand.
 */
static inline size_t wsk__ws_to_come(const struct wsk_ws *ws)
{
    bool plain = ws->in_payload && ws->in_message && ws->msg != NULL &&
                 !ws->deflated && !ws->pieces && !ws->held &&
                 !wsk__frame_is_control(ws->frame.opcode);

    return plain ? (size_t)(ws->frame.len - ws->got) : 0;
}

/* The message so far is taken out, while others may call anything but feed();
 * and put back. False: it was given up meanwhile, and is the caller's. */
struct wsk__buf *wsk__ws_lift_message(struct wsk_ws *ws);
bool wsk__ws_lay_message(struct wsk_ws *ws, struct wsk__buf *msg);

/*
 * Whether a message over the cap is to wait until somebody has said how he
 * wants it, in pieces or not at all. While one is held, nothing is fed. Not to
 * hold fails for one that is; a closing connection does not hold.
 */
void wsk__ws_hold(struct wsk_ws *ws, bool hold);
static inline bool wsk__ws_holds_one(const struct wsk_ws *ws)
{
    return ws->held;
}

/* A pong waits for others to leave first: more pings may make it void. */
static inline bool wsk__ws_pong_waits(const struct wsk_ws *ws)
{
    return ws->pong_due;
}

/* A message is being received, whatever becomes of it. */
static inline bool wsk__ws_in_message(const struct wsk_ws *ws)
{
    return ws->in_message;
}

/* A message is being received, to be given when it is whole. */
static inline bool wsk__ws_assembles(const struct wsk_ws *ws)
{
    return ws->msg != NULL && ws->in_message && !ws->pieces;
}

/* Octets of memory that messages on their way take, in both directions. */
static inline size_t wsk__ws_held(const struct wsk_ws *ws)
{
    size_t in = ws->msg != NULL ? ws->msg->size : 0;

    return in + wsk__out_held(ws->out);
}

/* Whether pieces of the message that is being received are given. */
static inline bool wsk__ws_in_pieces(const struct wsk_ws *ws)
{
    return ws->pieces && ws->in_message;
}

/* None has begun, and none is wanted in pieces any more. */
static inline void wsk__ws_take_whole_again(struct wsk_ws *ws)
{
    ws->pieces = ws->pieces && ws->in_message;
}

/* A deadline has passed: fail the connection as RFC 6455 7.1.7 says, sending
 * `code` if a Close may still be sent; locally it is 1006. */
void wsk__ws_fail(struct wsk_ws *ws, uint16_t code, const char *reason);

/* The same for the limit that `option` sets. Both texts are static. */
void wsk__ws_fail_limit(struct wsk_ws *ws, uint16_t code, const char *reason,
                        const char *option);

/* Complete *info by what we have sent. */
void wsk__ws_tell_sent(const struct wsk_ws *ws, wsk_close_info *info);

#endif
