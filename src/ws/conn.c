/* Frames become messages here. A frame that ws/frame has accepted is judged by
 * those before it: order of fragments, size, UTF-8, and the closing handshake.
 */
#include "ws/conn.h"

#include "base/close_code.h"
#include "base/mem.h"
#include "ws/inflate.h"
#include "ws/mask.h"
#include "ws/queue.h"

#include <assert.h>
#include <string.h>

enum {
    REASON_MAX = WSK__CONTROL_MAX - 2, /* octets of a Close reason (5.5.1) */
    PIECE = 4096,      /* bytes that are unmasked before they are inflated */
    PIECE_MAX = 65536, /* bytes buffered of a message that is given in pieces */
    FRAGMENT_COST = 8, /* bytes that a fragment counts besides its payload */
    FREE_OVERHEAD = 65536 /* bytes of that cost which are free */
};

/* Codes that never stand in a frame (RFC 6455 7.4.1). */
enum { NO_CODE = 1005, NO_CLOSE = 1006 };

enum ws_state {
    WS_OPEN,
    WS_CLOSE_SENT, /* our Close has been queued */
    WS_CLOSE_RCVD, /* the peer's Close has come, ours is not queued yet */
    WS_CLOSED,
};

enum ws_act {
    SENT_CLOSE,
    GOT_CLOSE,
    GOT_EOF, /* also when we read no further: the effect is the same */
};

/* RFC 6455 7.1, the closing handshake: state x act -> state. */
/* clang-format off */
static const uint8_t NEXT[4][3] = {
    /*                  SENT_CLOSE     GOT_CLOSE      GOT_EOF   */
    [WS_OPEN]       = { WS_CLOSE_SENT, WS_CLOSE_RCVD, WS_CLOSED },
    [WS_CLOSE_SENT] = { WS_CLOSE_SENT, WS_CLOSED,     WS_CLOSED },
    [WS_CLOSE_RCVD] = { WS_CLOSED,     WS_CLOSE_RCVD, WS_CLOSED },
    [WS_CLOSED]     = { WS_CLOSED,     WS_CLOSED,     WS_CLOSED },
};
/* clang-format on */

static void drop_message(wsk_ws *ws)
{
    if (ws->msg != NULL)
        wsk__buf_free(ws->msg);
    wsk__free(ws->msg);
    ws->msg = NULL;
}

/* Change ws->state: its only writer. */
static void ws_step(wsk_ws *ws, enum ws_act act)
{
    uint8_t was = ws->state;

    ws->state = NEXT[was][act];
    if (was == WS_OPEN) {
        ws->pong_due = false; /* nothing follows a Close (5.5.1) */
        if (ws->in_message)
            drop_message(ws); /* no more of it will come */
        ws->in_message = false;
        ws->held = ws->holds = false;
        wsk__inflater_release(ws->inflater, ws->pool);
        ws->inflater = NULL;
        wsk__deflater_clear(&ws->deflater, &ws->deflate);
    }
    if (ws->state == WS_CLOSED && was != WS_CLOSED) {
        ws->clean = act != GOT_EOF;
        ws->closed_due = true; /* exactly once, whichever side began */
    }
}

/* ------------------------------------------------------------- sending --- */

/* Queue a Close, with at most REASON_MAX bytes of reason; NO_CODE queues an
 * empty one (7.1.5). Nothing may follow it, which each caller ensures by the
 * checks of ws->state. */
static bool queue_close(wsk_ws *ws, uint16_t code, const uint8_t *reason,
                        size_t len)
{
    uint8_t payload[WSK__CONTROL_MAX] = {(uint8_t)(code >> 8), (uint8_t)code};

    if (len > 0)
        memcpy(payload + 2, reason, len);
    if (!wsk__out_put_frame(&ws->out, ws->keys, WSK_CLOSE, true, payload,
                            code == NO_CODE ? 0 : 2 + len))
        return false;
    ws->sent_code = code;
    ws_step(ws, SENT_CLOSE);
    return true;
}

/* End a broken connection (7.1.7): all failures pass through here. The first
 * one wins, because the state is WS_CLOSED for good after it. Without memory
 * for the Close the peer sees only the end of the transport. */
static void fail_limit(wsk_ws *ws, uint16_t code, const char *reason,
                       enum wsk__ws_limit limit)
{
    const uint8_t *text = (const uint8_t *)reason;

    if (ws->state == WS_OPEN) {
        ws->failed = true;
        ws->failure = reason;
        ws->limit = limit & 0xf;
        queue_close(ws, code, text,
                    wsk__utf8_cut(text, strlen(reason), REASON_MAX));
        ws->sent_code = code; /* our side is told even without a frame */
    }
    ws_step(ws, GOT_EOF);
}

static void fail(wsk_ws *ws, uint16_t code, const char *reason)
{
    fail_limit(ws, code, reason, WSK__WS_NO_LIMIT);
}

static void fail_size(wsk_ws *ws)
{
    fail_limit(ws, 1009, "message too big", WSK__WS_MAX_SIZE);
}

/* Queue the pong that had to wait, if that is possible now. */
static void queue_due_pong(wsk_ws *ws)
{
    const uint8_t *payload = ws->pong_len > 0 ? ws->control->pong : NULL;

    if (ws->pong_due &&
        wsk__out_put_pong(&ws->out, ws->keys, payload, ws->pong_len)) {
        ws->pong_due = false;
        ws->pong_len = 0;
    }
}

const uint8_t *wsk_ws_out_buf(const wsk_ws *ws, size_t *len)
{
    return wsk__out_data(ws->out, len);
}

void wsk_ws_out_ack(wsk_ws *ws, size_t n)
{
    assert(n == 0 || ws->out != NULL);
    if (n == 0)
        return;
    wsk__out_ack(ws->out, n);
    queue_due_pong(ws);
}

wsk_status wsk_ws_send_close(wsk_ws *ws, uint16_t code, const uint8_t *reason,
                             size_t len)
{
    bool bare = code == NO_CODE && len == 0;

    if (!bare && !wsk__is_close_code(code))
        return WSK_E_ARG;
    if (len > 0 && !wsk__utf8_valid(reason, len))
        return WSK_E_ARG;
    if (ws->state != WS_OPEN)
        return WSK_OK;
    len = len > 0 ? wsk__utf8_cut(reason, len, REASON_MAX) : 0;
    if (!queue_close(ws, code, reason, len))
        return WSK_E_NOMEM;
    /* Without memory for it the application cannot read it again. */
    ws->parting = len > 0 ? wsk__memdup(reason, len) : NULL;
    ws->parting_len = ws->parting != NULL ? (uint8_t)len : 0;
    return WSK_OK;
}

/* ------------------------------------------------- frames into messages --- */

static bool event_waits(const wsk_ws *ws)
{
    return ws->ready != WSK_WS_NONE || ws->closed_due;
}

/* End a compressed message. Without context takeover nothing of it is kept (RFC
 * 7692 7.1.1.2). */
static bool end_inflating(wsk_ws *ws)
{
    /* No compressed octet at all stands for an empty message. */
    bool good = ws->inflater == NULL || wsk__inflate_end(ws->inflater);

    if (!ws->deflate.client_takeover) {
        wsk__inflater_release(ws->inflater, ws->pool);
        ws->inflater = NULL;
    }
    return good;
}

/* End the message. Its text must not end inside a code point (8.1). */
static void end_message(wsk_ws *ws)
{
    if (ws->deflated && !end_inflating(ws)) {
        fail(ws, 1007, "compressed data is broken");
        return;
    }
    if (!wsk__utf8_complete(&ws->utf8)) {
        fail(ws, 1007, "text is not UTF-8");
        return;
    }
    ws->in_message = false;
    ws->pieces = false;
    ws->ready = WSK_WS_MESSAGE;
}

/* Answer a ping. 5.5.2 demands a pong for every ping, and 5.5.3 permits to
 * answer only the newest of several. We do so when the peer sends pings faster
 * than it reads pongs, which bounds the memory it can make us hold. */
static void answer_ping(wsk_ws *ws)
{
    uint8_t len = (uint8_t)ws->frame.len;
    const uint8_t *payload = len > 0 ? ws->control->in : NULL;

    ws->ready = WSK_WS_PING;
    ws->pong_due = !wsk__out_put_pong(&ws->out, ws->keys, payload, len);
    ws->pong_len = ws->pong_due ? len : 0;
    if (ws->pong_len > 0)
        memcpy(ws->control->pong, payload, len);
}

/* Handle a complete Close frame (5.5.1). */
static void take_close(wsk_ws *ws)
{
    size_t len = (size_t)ws->frame.len;
    const uint8_t *in = len > 0 ? ws->control->in : NULL;
    uint16_t code = NO_CODE;

    if (len == 1) {
        fail(ws, 1002, "Close with half a code");
        return;
    }
    if (len >= 2) {
        code = (uint16_t)(in[0] << 8 | in[1]);
        if (!wsk__is_close_code(code)) {
            fail(ws, 1002, "Close with an illegal code");
            return;
        }
        if (!wsk__utf8_valid(in + 2, len - 2)) {
            fail(ws, 1007, "Close reason is not UTF-8");
            return;
        }
        ws->reason_len = (uint8_t)(len - 2);
    }
    ws->close_code = code;
    ws_step(ws, GOT_CLOSE);
    /* Without memory for the answer the transport is closed all the same. */
    if (ws->state == WS_CLOSE_RCVD && !queue_close(ws, code, NULL, 0))
        ws_step(ws, GOT_EOF);
}

/* Handle a complete frame. Once we have sent our Close, only the peer's Close
 * counts: the application awaits no message any more, and a pong must not
 * follow. */
static void end_frame(wsk_ws *ws)
{
    bool open = ws->state == WS_OPEN;

    ws->in_payload = false;
    ws->head_len = 0;
    ws->head_size = WSK__FRAME_START;
    switch ((wsk_opcode)ws->frame.opcode) {
    case WSK_CONTINUATION:
    case WSK_TEXT:
    case WSK_BINARY:
        if (open && ws->frame.fin)
            end_message(ws);
        break;
    case WSK_PING:
        if (open)
            answer_ping(ws);
        break;
    case WSK_PONG:
        if (open)
            ws->ready = WSK_WS_PONG;
        break;
    case WSK_CLOSE:
        take_close(ws);
        break;
    }
}

/* True if a further fragment of `len` octets keeps the message within the cap.
 * A fragment costs more memory than its payload, so empty ones count too; the
 * first few thousand are free for any cap. The size of a compressed one is
 * checked while it is inflated. */
static bool fits(const wsk_ws *ws, uint64_t len)
{
    uint64_t have = ws->msg != NULL ? wsk__buf_len(ws->msg) : 0;
    uint64_t cost = (uint64_t)ws->fragments * FRAGMENT_COST;

    if (ws->pieces)
        return true; /* no piece is kept */
    len = ws->deflated ? 0 : len;
    cost = cost > FREE_OVERHEAD ? cost - FREE_OVERHEAD : 0;
    return len <= ws->max_size - have && cost <= ws->max_size - have - len;
}

/* Begin a data frame whose header is complete: check that it continues what
 * came before (5.4), within the cap. */
static void begin_fragment(wsk_ws *ws)
{
    bool first = ws->frame.opcode != WSK_CONTINUATION;

    if (first && ws->in_message) {
        fail(ws, 1002, "message begun inside another");
        return;
    }
    if (!first && !ws->in_message) {
        fail(ws, 1002, "continuation of no message");
        return;
    }
    if (first) {
        ws->deflated = ws->frame.rsv1;
        ws->in_message = true;
        ws->begun++;
        ws->opcode = ws->frame.opcode;
        ws->fragments = 0;
    }
    ws->fragments += ws->fragments < UINT32_MAX;
    if (fits(ws, ws->frame.len))
        return;
    if (ws->holds && ws->frame.len > 0)
        ws->held = true;
    else
        fail_size(ws);
}

static void begin_payload(wsk_ws *ws)
{
    ws->in_payload = true;
    ws->got = 0;
    if (ws->state == WS_OPEN && !wsk__frame_is_control(ws->frame.opcode))
        begin_fragment(ws);
    if (ws->frame.len == 0)
        end_frame(ws);
}

/* Take octets of a header: first those that tell its length, then the rest.
 * Returns the number taken. */
static size_t take_head(wsk_ws *ws, const uint8_t *data, size_t len)
{
    size_t n = (size_t)(ws->head_size - ws->head_len);
    const char *wrong = NULL;
    struct wsk__frame frame;

    if (n > len)
        n = len;
    memcpy(ws->head + ws->head_len, data, n);
    ws->head_len = (uint8_t)(ws->head_len + n);
    if (ws->head_len < ws->head_size)
        return n;

    if (ws->head_size == WSK__FRAME_START)
        wrong = wsk__frame_start(ws->head, (enum wsk__masking)ws->masking,
                                 ws->deflates, &ws->head_size);
    if (wrong == NULL && ws->head_len == ws->head_size) {
        wrong = wsk__frame_read(ws->head, &frame);
        if (wrong == NULL) {
            ws->frame = frame;
            begin_payload(ws);
        }
    }
    if (wrong != NULL)
        fail(ws, 1002, wrong);
    return n;
}

/* Make the buffer in which the message grows; false when memory is out. */
static bool have_message(wsk_ws *ws)
{
    if (ws->msg != NULL)
        return true;
    ws->msg = wsk__alloc(sizeof(*ws->msg));
    if (ws->msg != NULL)
        wsk__buf_init(ws->msg,
                      ws->pieces ? (size_t)PIECE_MAX : (size_t)ws->max_size);
    return ws->msg != NULL;
}

/* Return the bytes of the message that can be given now: those of an incomplete
 * code point stay. */
static size_t piece_len(const wsk_ws *ws)
{
    size_t n = ws->msg != NULL ? wsk__buf_len(ws->msg) : 0;
    const uint8_t *p = n > 0 ? wsk__buf_data(ws->msg) : NULL;

    if (ws->opcode != WSK_TEXT || wsk__utf8_complete(&ws->utf8) || n == 0)
        return n;
    do
        n--;
    while (n > 0 && (p[n] & 0xC0) == 0x80); /* back to its first byte */
    return n;
}

/* True if a piece is to be given after input. `all`: the input has ended, or a
 * frame, behind which a control frame may follow. */
static bool piece_is_due(const wsk_ws *ws, bool all)
{
    if (!wsk__ws_in_pieces(ws) || ws->msg == NULL || event_waits(ws))
        return false;
    return (all && piece_len(ws) > 0) || wsk__buf_len(ws->msg) >= ws->msg->cap;
}

/* Unmask *taken octets of a payload to the end of the message; *taken becomes
 * smaller where a piece is full. Nothing is taken when memory is out. The size
 * was judged by the header, but memory is reserved only for what has arrived:
 * an announcement costs nothing. */
static wsk_status take_data(wsk_ws *ws, const uint8_t *data, size_t *taken)
{
    size_t n;
    uint8_t *room;
    bool ascii;

    if (!have_message(ws))
        return WSK_E_NOMEM;
    if (ws->pieces && *taken > ws->msg->cap - wsk__buf_len(ws->msg))
        *taken = ws->msg->cap - wsk__buf_len(ws->msg);
    n = *taken;
    room = wsk__buf_room(ws->msg, n);
    if (room == NULL)
        return WSK_E_NOMEM;
    ascii = wsk__mask_copy(room, data, n, ws->frame.key, ws->got) &&
            wsk__utf8_complete(&ws->utf8);
    wsk__buf_grow_tail(ws->msg, n);
    if (ws->opcode == WSK_TEXT && !ascii && !wsk__utf8_feed(&ws->utf8, room, n))
        fail(ws, 1007, "text is not UTF-8");
    return WSK_OK;
}

/* Judge the inflated bytes of a message from `from` on. Text is validated
 * first: a fault in it comes before the one that stopped zlib. */
static wsk_status judge_inflated(wsk_ws *ws, enum wsk__inflated result,
                                 size_t from)
{
    size_t n = wsk__buf_len(ws->msg) - from;

    if (ws->opcode == WSK_TEXT && n > 0 &&
        !wsk__utf8_feed(&ws->utf8, wsk__buf_data(ws->msg) + from, n)) {
        fail(ws, 1007, "text is not UTF-8");
        return WSK_OK;
    }
    switch (result) {
    case WSK__INFLATED:
    case WSK__INFLATE_FULL:
        break;
    case WSK__INFLATE_NOMEM:
        return WSK_E_NOMEM;
    case WSK__INFLATE_TOO_BIG:
        fail_size(ws);
        break;
    case WSK__INFLATE_BROKEN:
        fail(ws, 1007, "compressed data is broken");
        break;
    }
    return WSK_OK;
}

/* Inflate *n octets of a payload to the end of the message; *n becomes the
 * number taken. */
static wsk_status take_deflated(wsk_ws *ws, const uint8_t *data, size_t *n)
{
    bool in_pieces = ws->pieces || ws->holds;
    size_t len = *n, piece;
    wsk_status st = WSK_OK;
    uint8_t plain[PIECE];

    if (ws->inflater == NULL)
        ws->inflater = wsk__inflater_new(ws->pool);
    *n = 0;
    if (ws->inflater == NULL || !have_message(ws))
        return WSK_E_NOMEM;
    while (st == WSK_OK && *n < len && ws->state == WS_OPEN) {
        size_t from = wsk__buf_len(ws->msg);
        enum wsk__inflated result;

        piece = len - *n < PIECE ? len - *n : PIECE;
        wsk__mask_copy(plain, data + *n, piece, ws->frame.key, ws->got + *n);
        result = wsk__inflate(ws->inflater, plain, &piece, ws->msg, in_pieces);
        st = judge_inflated(ws, result, from);
        *n += piece;
        if (result == WSK__INFLATE_FULL) {
            ws->held = !ws->pieces;
            break;
        }
    }
    return st;
}

static wsk_status take_control(wsk_ws *ws, const uint8_t *data, size_t n)
{
    if (ws->control == NULL)
        ws->control = wsk__alloc(sizeof(*ws->control));
    if (ws->control == NULL)
        return WSK_E_NOMEM;
    wsk__mask_copy(ws->control->in + ws->got, data, n, ws->frame.key, ws->got);
    return WSK_OK;
}

/* Take octets of a payload; *n becomes the number taken. */
static wsk_status take_payload(wsk_ws *ws, const uint8_t *data, size_t *n)
{
    bool data_frame = !wsk__frame_is_control(ws->frame.opcode);
    wsk_status st = WSK_OK;

    if (*n > ws->frame.len - ws->got)
        *n = (size_t)(ws->frame.len - ws->got);
    if (ws->deflated && data_frame && ws->state == WS_OPEN) {
        st = take_deflated(ws, data, n);
    } else {
        if (!data_frame)
            st = take_control(ws, data, *n);
        else if (ws->state == WS_OPEN)
            st = take_data(ws, data, n);
        if (st != WSK_OK)
            *n = 0;
    }
    ws->got += *n;
    ws->arrived += data_frame ? (uint32_t)*n : 0;
    if (ws->got == ws->frame.len)
        end_frame(ws);
    return st;
}

/* -------------------------------------------------------------- events --- */

/* Take back what the last event lent. An idle connection keeps none of it. */
static void take_back(wsk_ws *ws)
{
    if (ws->lent == WSK_WS_MESSAGE)
        drop_message(ws);
    if (ws->lent == WSK_WS_PIECE && ws->msg != NULL)
        wsk__buf_ack(ws->msg, piece_len(ws));
    ws->lent = WSK_WS_NONE;
    if (!event_waits(ws) && !ws->in_payload && !ws->pong_due) {
        wsk__free(ws->control);
        ws->control = NULL;
    }
}

wsk_status wsk_ws_feed(wsk_ws *ws, const uint8_t *data, size_t len,
                       size_t *used)
{
    wsk_status st = WSK_OK;
    size_t n;

    *used = 0;
    if (event_waits(ws) || ws->held)
        return WSK_OK;
    take_back(ws);
    if (ws->state == WS_CLOSED)
        return WSK_E_STATE;
    queue_due_pong(ws); /* in case it waits for memory */
    while (st == WSK_OK && *used < len && !event_waits(ws) && !ws->held) {
        n = len - *used;
        if (ws->in_payload)
            st = take_payload(ws, data + *used, &n);
        else
            n = take_head(ws, data + *used, n);
        *used += n;
        if (piece_is_due(ws, *used == len || !ws->in_payload))
            ws->ready = WSK_WS_PIECE;
    }
    return st;
}

void wsk_ws_take_pieces(wsk_ws *ws)
{
    ws->pieces = true;
    ws->held = false;
    if (ws->msg != NULL && ws->msg->cap < PIECE_MAX)
        ws->msg->cap = PIECE_MAX;
}

void wsk__ws_hold(wsk_ws *ws, bool hold)
{
    bool held = ws->held;

    ws->holds = hold && ws->state == WS_OPEN;
    ws->held = hold && held;
    /* A message that inflates has only reached the cap; going on shows whether
     * it passes it. */
    if (held && !hold && !fits(ws, ws->frame.len))
        fail_size(ws);
}

size_t wsk__ws_take_whole(wsk_ws *ws, const uint8_t *data, size_t len,
                          wsk_message *msg)
{
    struct wsk__frame frame;
    uint8_t size;

    if (event_waits(ws) || ws->state != WS_OPEN || ws->in_message ||
        ws->in_payload || ws->head_len > 0 || len < WSK__FRAME_START ||
        (data[0] != WSK__WHOLE_TEXT && data[0] != WSK__WHOLE_BINARY))
        return 0;
    /* A faulty header is left to wsk_ws_feed(), which reports it. */
    if (wsk__frame_start(data, (enum wsk__masking)ws->masking, false, &size) !=
            NULL ||
        len < size || wsk__frame_read(data, &frame) != NULL ||
        frame.len > ws->max_size || frame.len > len - size)
        return 0;
    take_back(ws);
    queue_due_pong(ws);
    *msg = (wsk_message){.opcode = (wsk_opcode)frame.opcode,
                         .data = data + size,
                         .len = (size_t)frame.len,
                         .masked = true};
    memcpy(msg->key, frame.key, sizeof(msg->key));
    return size + msg->len;
}

void wsk_ws_feed_eof(wsk_ws *ws)
{
    ws_step(ws, GOT_EOF);
}

/* Fill an event of this kind, but for its kind. */
static wsk_ws_event describe(const wsk_ws *ws, uint8_t kind)
{
    static const uint8_t nothing[1]; /* no event has a null pointer */
    wsk_ws_event ev = {.data = nothing};

    switch ((wsk_ws_event_kind)kind) {
    case WSK_WS_NONE:
        break;
    case WSK_WS_MESSAGE:
    case WSK_WS_PIECE:
        ev.opcode = (wsk_opcode)ws->opcode;
        ev.len = piece_len(ws);
        assert(ev.len == 0 || ws->msg != NULL);
        if (ev.len > 0)
            ev.data = wsk__buf_data(ws->msg);
        break;
    case WSK_WS_PING:
    case WSK_WS_PONG:
        ev.opcode = (wsk_opcode)ws->frame.opcode;
        ev.len = (size_t)ws->frame.len;
        if (ev.len > 0)
            ev.data = ws->control->in;
        break;
    case WSK_WS_CLOSED:
        ev.opcode = WSK_CLOSE;
        ev.code = ws->close_code;
        ev.clean = ws->clean;
        ev.len = ws->reason_len;
        if (ev.len > 0)
            ev.data = ws->control->in + 2;
        break;
    }
    return ev;
}

wsk_ws_event wsk_ws_next(wsk_ws *ws)
{
    wsk_ws_event ev;
    uint8_t kind = ws->ready;

    take_back(ws);
    if (!event_waits(ws))
        return describe(ws, WSK_WS_NONE);
    ws->ready = WSK_WS_NONE;
    if (kind == WSK_WS_NONE && ws->closed_due) {
        kind = WSK_WS_CLOSED;
        ws->closed_due = false;
    }
    ev = describe(ws, kind);
    ev.kind = (wsk_ws_event_kind)kind;
    ws->lent = kind;
    return ev;
}

wsk_status wsk_ws_take_message(wsk_ws *ws, void **block)
{
    if (ws->lent != WSK_WS_MESSAGE)
        return WSK_E_STATE;
    *block = NULL;
    if (ws->msg != NULL && wsk__buf_len(ws->msg) > 0) {
        /* Pieces may have been read from its head. */
        if (ws->msg->head > 0)
            memmove(ws->msg->block, wsk__buf_data(ws->msg),
                    wsk__buf_len(ws->msg));
        *block = ws->msg->block;
        ws->msg->block = NULL;
    }
    drop_message(ws);
    ws->lent = WSK_WS_NONE;
    return WSK_OK;
}

struct wsk__buf *wsk__ws_lift_message(wsk_ws *ws)
{
    struct wsk__buf *msg = ws->msg;

    ws->msg = NULL;
    return msg;
}

bool wsk__ws_lay_message(wsk_ws *ws, struct wsk__buf *msg)
{
    if (!ws->in_message)
        return false;
    ws->msg = msg;
    return true;
}

/* ---------------------------------------------------------- connection --- */

void wsk__ws_init(wsk_ws *ws, const wsk_limits *limits)
{
    *ws = (wsk_ws){
        .max_size = limits->ws_max_size < WSK__BUF_CAP_MAX ? limits->ws_max_size
                                                           : WSK__BUF_CAP_MAX,
        .head_size = WSK__FRAME_START,
        .close_code = NO_CLOSE,
        .masking = limits->ws_allow_unmasked ? WSK__MASK_MAY : WSK__MASK_MUST,
        .state = WS_OPEN,
    };
}

bool wsk__ws_init_client(wsk_ws *ws, const wsk_limits *limits,
                         const uint8_t seed[WSK_WS_SEED_LEN])
{
    wsk__ws_init(ws, limits);
    ws->masking = WSK__MASK_NEVER;
    ws->keys = wsk__calloc(sizeof(*ws->keys));
    if (ws->keys == NULL)
        return false;
    memcpy(ws->keys->seed, seed, WSK_WS_SEED_LEN);
    return true;
}

/* Make a server's engine if `seed` is NULL, else a client's. */
static wsk_ws *new_engine(const wsk_limits *limits, const uint8_t *seed)
{
    wsk_ws *ws = wsk__alloc(sizeof(*ws));
    wsk_limits defaults;

    if (ws == NULL)
        return NULL;
    if (limits == NULL) {
        wsk_limits_init(&defaults);
        limits = &defaults;
    }
    if (seed == NULL) {
        wsk__ws_init(ws, limits);
    } else if (!wsk__ws_init_client(ws, limits, seed)) {
        wsk__free(ws);
        return NULL;
    }
    return ws;
}

wsk_ws *wsk_ws_new_server(const wsk_limits *limits)
{
    return new_engine(limits, NULL);
}

wsk_ws *wsk_ws_new_client(const wsk_limits *limits,
                          const uint8_t seed[WSK_WS_SEED_LEN])
{
    return new_engine(limits, seed);
}

void wsk__ws_clear(wsk_ws *ws)
{
    wsk__out_free(ws->out);
    drop_message(ws);
    wsk__inflater_free(ws->inflater);
    wsk__deflater_clear(&ws->deflater, &ws->deflate);
    wsk__free(ws->control);
    if (!ws->failed)
        wsk__free(ws->parting);
    wsk__free(ws->keys);
}

void wsk_ws_free(wsk_ws *ws)
{
    if (ws != NULL)
        wsk__ws_clear(ws);
    wsk__free(ws);
}

wsk_status wsk__ws_set_deflate(wsk_ws *ws, const wsk_ws_deflate *agreed,
                               struct wsk__pool *pool)
{
    wsk_ws_deflate ours = *agreed;

    if (ws->keys != NULL) { /* server_* mean the sender here */
        ours.server_bits = agreed->client_bits;
        ours.server_takeover = agreed->client_takeover;
        ours.client_takeover = agreed->server_takeover;
    }
    if (ours.server_bits < 8 || ours.server_bits > 15 || ours.level > 9)
        return WSK_E_ARG;
    if (ws->deflates)
        return WSK_E_STATE;
    ws->deflates = true;
    ws->deflate = ours;
    ws->pool = pool;
    return WSK_OK;
}

bool wsk__ws_deflates(const wsk_ws *ws)
{
    return ws->deflates;
}

wsk_status wsk_ws_set_deflate(wsk_ws *ws, const wsk_ws_deflate *agreed)
{
    return wsk__ws_set_deflate(ws, agreed, NULL);
}

void wsk__ws_fail(wsk_ws *ws, uint16_t code, const char *reason)
{
    fail(ws, code, reason);
}

void wsk__ws_fail_limit(wsk_ws *ws, uint16_t code, const char *reason,
                        enum wsk__ws_limit limit)
{
    fail_limit(ws, code, reason, limit);
}

void wsk__ws_tell_sent(const wsk_ws *ws, wsk_close_info *info)
{
    static const char *const OPTIONS[] = {
        [WSK__WS_NO_LIMIT] = NULL,
        [WSK__WS_MAX_SIZE] = "ws_max_size",
        [WSK__WS_SEND_MAX] = "ws_send_max",
        [WSK__WS_PING_TIMEOUT] = "ws_ping_timeout",
        [WSK__WS_BODY_RATE] = "body_rate",
        [WSK__WS_MEMORY_LIMIT] = "memory_limit",
        [WSK__WS_TOPIC_BACKLOG] = "topic_backlog",
    };
    const char *reason = NULL;
    size_t len = ws->parting_len;

    if (!ws->failed) {
        reason = ws->parting;
    } else {
        reason = ws->failure;
        len = wsk__utf8_cut((const uint8_t *)reason, strlen(reason),
                            sizeof(info->sent_reason));
    }
    info->sent_code = ws->sent_code;
    info->failed = ws->failed;
    info->option = OPTIONS[ws->limit];
    info->sent_len = (uint8_t)len;
    if (len > 0)
        memcpy(info->sent_reason, reason, len);
}

bool wsk_ws_done(const wsk_ws *ws)
{
    return ws->state == WS_CLOSED;
}

bool wsk_ws_can_send(const wsk_ws *ws)
{
    return ws->state == WS_OPEN;
}
