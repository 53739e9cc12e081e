#include "net/standalone/standalone.h"

#include "base/buf.h"
#include "base/mem.h"
#include "net/handle/handle.h"
#include "net/handle/handshake.h"
#include "net/handle/ping.h"
#include "net/os/clock.h"
#include "ws/conn.h"
#include "ws/pool.h"
#include "ws/send.h"
#include "wsocket.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

enum {
    ROOM = 16 << 10,  /* bytes to read at once */
    CHUNK = 64 << 10, /* bytes handed to the transport at once */
    LINGER = 1 << 20, /* bytes thrown away behind the end */
    STALL_MS = 30000, /* no byte moved: the peer is given up */
};

struct wsk__pool wsk__standalone_pool;

static const struct wsk__websocket_ops OPS;

static struct wsk__standalone *standalone_of(const wsk_conn *handle)
{
    return (struct wsk__standalone *)(uintptr_t)handle;
}

struct wsk__handshake *wsk__standalone_remember(const wsk_adoption *how,
                                                const char *protocol)
{
    struct wsk__handshake_facts facts = {
        .head = {how->head, how->head_len},
        .path_len = SIZE_MAX,
        .peer = how->peer,
        .peer_port = how->peer_port,
        .local = how->local,
        .local_port = how->local_port,
        .protocol = protocol,
    };
    struct wsk__handshake *kept = wsk__alloc(wsk__handshake_size(&facts));

    if (kept != NULL)
        wsk__handshake_write(kept, &facts);
    return kept;
}

struct wsk__standalone *wsk__standalone_new(const wsk_adoption *how,
                                            const char *protocol)
{
    const wsk_server_config *cfg = how->config;
    struct wsk__standalone *ws = wsk__calloc(sizeof(*ws));

    if (ws == NULL)
        return NULL;
    ws->handshake = wsk__standalone_remember(how, protocol);
    wsk__buf_init(&ws->in, SIZE_MAX / 4);
    wsk__buf_init(&ws->chunk, CHUNK);
    if (ws->handshake == NULL ||
        !wsk__buf_put(&ws->in, how->early, how->early_len)) {
        wsk__free(ws->handshake);
        wsk__free(ws);
        return NULL;
    }
    ws->handle.ops = &OPS;
    atomic_init(&ws->refs, 1);
    ws->transport = how->transport;
    ws->io = how->io;
    ws->limits = cfg->limits;
    ws->ping_interval_ms = cfg->ws_ping_interval_ms;
    ws->ping_timeout_ms = cfg->ws_ping_timeout_ms;
    ws->close_timeout_ms = cfg->ws_close_timeout_ms;
    ws->send_max = cfg->ws_send_max;
    ws->ping.latency_us = UINT32_MAX;
    pthread_mutex_init(&ws->lock, NULL);
    wsk__ws_init(&ws->engine, &ws->limits);
    return ws;
}

static void standalone_ref(wsk_conn *handle)
{
    struct wsk__standalone *ws = standalone_of(handle);

    atomic_fetch_add(&ws->refs, 1);
}

void wsk__standalone_free(struct wsk__standalone *ws)
{
    wsk__ws_clear(&ws->engine);
    wsk__buf_free(&ws->in);
    wsk__buf_free(&ws->chunk);
    wsk__free(ws->handshake);
    pthread_mutex_destroy(&ws->lock);
    wsk__free(ws);
}

static void standalone_unref(wsk_conn *handle)
{
    struct wsk__standalone *ws = standalone_of(handle);

    if (atomic_fetch_sub(&ws->refs, 1) != 1)
        return;
    ws->transport->free(ws->io);
    wsk__standalone_free(ws);
}

static const struct wsk__handshake *standalone_handshake(const wsk_conn *handle)
{
    return standalone_of(handle)->handshake;
}

static wsk_head *standalone_head(const wsk_conn *handle)
{
    const struct wsk__standalone *ws = standalone_of(handle);

    return wsk__handshake_head(ws->handshake, &ws->limits);
}

static bool standalone_deflates(const wsk_conn *handle)
{
    struct wsk__standalone *ws = standalone_of(handle);

    return wsk__ws_deflates(&ws->engine); /* fixed since the handshake */
}

static size_t owed_locked(const struct wsk__standalone *ws)
{
    size_t len;

    wsk_ws_out_buf(&ws->engine, &len);
    return len + wsk__buf_len(&ws->chunk);
}

/* Move the next bytes to the chunk, out of the engine's reach: other threads
 * may queue while they leave. False: nothing is owed, or memory is out. */
static bool load_locked(struct wsk__standalone *ws)
{
    size_t len;
    const uint8_t *data = wsk_ws_out_buf(&ws->engine, &len);

    if (wsk__buf_len(&ws->chunk) > 0)
        return true;
    len = len < CHUNK ? len : CHUNK;
    if (len == 0 || !wsk__buf_put(&ws->chunk, data, len))
        return false;
    wsk_ws_out_ack(&ws->engine, len);
    return true;
}

wsk_status wsk__standalone_flush(struct wsk__standalone *ws)
{
    wsk_status st = WSK_OK;

    pthread_mutex_lock(&ws->lock);
    if (ws->flushing) {
        pthread_mutex_unlock(&ws->lock);
        return WSK_OK;
    }
    ws->flushing = true;
    while (st == WSK_OK && !ws->gone && load_locked(ws)) {
        size_t n = 0;

        pthread_mutex_unlock(&ws->lock);
        st = ws->transport->send(ws->io, wsk__buf_data(&ws->chunk),
                                 wsk__buf_len(&ws->chunk), STALL_MS, &n);
        pthread_mutex_lock(&ws->lock);
        wsk__buf_ack(&ws->chunk, n);
    }
    if (st != WSK_OK && st != WSK_E_AGAIN)
        ws->gone = true;
    if (wsk__buf_len(&ws->chunk) == 0)
        wsk__buf_free(&ws->chunk);
    ws->flushing = false;
    if (ws->gone) /* bytes that left before the end were sent */
        st = owed_locked(ws) > 0 ? WSK_E_CLOSED : WSK_OK;
    pthread_mutex_unlock(&ws->lock);
    return st;
}

static void end_locked(struct wsk__standalone *ws, const wsk_ws_event *ev)
{
    size_t len = ev->len < sizeof(ws->info.reason) ? ev->len
                                                   : sizeof(ws->info.reason);

    ws->ended = true;
    ws->info.code = ev->code;
    ws->info.clean = ev->clean;
    ws->info.len = (uint8_t)len;
    if (len > 0)
        memcpy(ws->info.reason, ev->data, len);
    wsk__ws_tell_sent(&ws->engine, &ws->info);
}

static void take_message_locked(struct wsk__standalone *ws,
                                const wsk_ws_event *ev, wsk_message *msg)
{
    msg->opcode = ev->opcode;
    msg->data = ev->data;
    msg->len = ev->len;
    wsk_ws_take_message(&ws->engine, &msg->block);
}

static bool take_control_locked(struct wsk__standalone *ws,
                                const wsk_ws_event *ev, wsk_message *msg)
{
    *msg = (wsk_message){.opcode = ev->opcode, .len = ev->len};
    msg->block = wsk__memdup(ev->data, ev->len);
    msg->data = msg->block;
    if (msg->block == NULL)
        wsk__ws_fail(&ws->engine, 1011, "out of memory");
    return msg->block != NULL;
}

/* Fetch a message, or a ping or pong that is wanted. False: the engine has
 * none. */
static bool next_message_locked(struct wsk__standalone *ws, wsk_message *msg)
{
    for (;;) {
        wsk_ws_event ev = wsk_ws_next(&ws->engine);

        if (ev.kind == WSK_WS_NONE)
            return false;
        if (ev.kind == WSK_WS_PONG)
            wsk__ping_answered(&ws->ping, &ev);
        if (ev.kind == WSK_WS_CLOSED) {
            end_locked(ws, &ev);
        } else if (ev.kind == WSK_WS_MESSAGE) {
            take_message_locked(ws, &ev, msg);
            return true;
        } else if (ws->hear && take_control_locked(ws, &ev, msg)) {
            return true;
        }
    }
}

/* Parse what has come. WSK_E_AGAIN: there is no message, or a pong has to leave
 * before the next ping is looked at. */
static wsk_status take_locked(struct wsk__standalone *ws, wsk_message *msg)
{
    while (!next_message_locked(ws, msg)) {
        size_t len = wsk__buf_len(&ws->in), used;
        wsk_status st;

        if (ws->ended)
            return WSK_E_CLOSED;
        if (len == 0)
            return WSK_E_AGAIN;
        st = wsk_ws_feed(&ws->engine, wsk__buf_data(&ws->in), len, &used);
        wsk__buf_ack(&ws->in, st == WSK_E_STATE ? len : used);
        if (st == WSK_E_NOMEM)
            wsk__ws_fail(&ws->engine, 1011, "out of memory");
        if (wsk__ws_pong_waits(&ws->engine))
            return WSK_E_AGAIN;
    }
    return WSK_OK;
}

/* Start the peer's time to answer our Close, at the first look after that was
 * queued. */
static void note_closing_locked(struct wsk__standalone *ws, uint64_t now)
{
    if (ws->closing_ms == 0 && !wsk_ws_can_send(&ws->engine))
        ws->closing_ms = now;
}

/* Return when to act though nothing comes. */
static uint64_t deadline_locked(const struct wsk__standalone *ws)
{
    if (!wsk_ws_can_send(&ws->engine)) {
        assert(ws->closing_ms != 0);
        return ws->closing_ms + ws->close_timeout_ms;
    }
    if (ws->ping_ms > 0 && ws->ping_timeout_ms > 0)
        return ws->ping_ms + ws->ping_timeout_ms;
    if (ws->ping_interval_ms > 0)
        return ws->heard_ms + ws->ping_interval_ms;
    return UINT64_MAX;
}

/* Ping a peer that was silent for too long, or give it up. */
static void silent_locked(struct wsk__standalone *ws, uint64_t now)
{
    if (!wsk_ws_can_send(&ws->engine)) {
        wsk_ws_feed_eof(&ws->engine); /* the peer had its time */
    } else if (ws->ping_ms > 0 && ws->ping_timeout_ms > 0) {
        wsk__ws_fail_limit(&ws->engine, 1011, "no answer to a ping",
                           WSK__WS_PING_TIMEOUT);
    } else {
        wsk_ws_send_frame(&ws->engine, WSK_PING, true, NULL, 0);
        wsk__ping_sent(&ws->ping, NULL, 0);
        ws->ping_ms = now;
        ws->heard_ms = now;
    }
}

/* Return how long the transport may wait. It is called again now and then,
 * because nothing wakes it when another thread begins to close. */
static int patience(uint64_t now, uint64_t until, uint64_t due, uint64_t most)
{
    uint64_t end = due < until ? due : until;

    if (end <= now)
        return 0;
    return (int)(end - now < most ? end - now : most);
}

/* Wait for input until `until` at most. WSK_OK also when only time has passed.
 */
static wsk_status wait_and_read(struct wsk__standalone *ws, uint64_t until)
{
    uint64_t now = wsk__now_ms(), due;
    uint8_t *room = wsk__buf_room(&ws->in, ROOM);
    size_t n = 0;
    wsk_status st;

    if (room == NULL)
        return WSK_E_NOMEM;
    pthread_mutex_lock(&ws->lock);
    note_closing_locked(ws, now);
    due = deadline_locked(ws);
    if (ws->gone)
        wsk_ws_feed_eof(&ws->engine);
    st = ws->gone ? WSK_E_CLOSED : WSK_OK;
    pthread_mutex_unlock(&ws->lock);
    if (st == WSK_OK)
        st = ws->transport->recv(ws->io, room, ROOM,
                                 patience(now, until, due, 5000), &n);
    if (st == WSK_E_AGAIN || st == WSK_E_NOMEM)
        return st;
    now = wsk__now_ms();
    pthread_mutex_lock(&ws->lock);
    if (st == WSK_OK && n > 0) {
        wsk__buf_grow_tail(&ws->in, n);
        ws->heard_ms = now;
        ws->ping_ms = 0; /* any byte is a sign of life */
    } else if (st == WSK_E_TIMEOUT) {
        note_closing_locked(ws, now);
        due = deadline_locked(ws);
        if (now >= due)
            silent_locked(ws, now);
        st = now >= until && now < due ? WSK_E_TIMEOUT : WSK_OK;
    } else {
        wsk_ws_feed_eof(&ws->engine);
        st = WSK_OK;
    }
    pthread_mutex_unlock(&ws->lock);
    return st;
}

/* Wait until there is a message. */
static wsk_status await(struct wsk__standalone *ws, uint64_t until,
                        wsk_message *msg)
{
    wsk_status st, flushed;

    for (;;) {
        pthread_mutex_lock(&ws->lock);
        st = take_locked(ws, msg);
        pthread_mutex_unlock(&ws->lock);
        flushed = wsk__standalone_flush(ws);
        if (st != WSK_E_AGAIN)
            return st;
        if (flushed == WSK_E_AGAIN)
            return flushed;
        if (wsk__buf_len(&ws->in) > 0)
            continue;
        st = wait_and_read(ws, until);
        if (st != WSK_OK)
            return st;
    }
}

/* Claim the receive half; false: another thread has it. Time in which no thread
 * received is not the peer's silence. */
static bool begin_receiving(struct wsk__standalone *ws)
{
    bool begun;

    pthread_mutex_lock(&ws->lock);
    begun = !ws->receiving;
    if (begun) {
        ws->receiving = true;
        ws->heard_ms = wsk__now_ms();
        ws->ping_ms = 0;
    }
    pthread_mutex_unlock(&ws->lock);
    return begun;
}

static void end_receiving(struct wsk__standalone *ws)
{
    pthread_mutex_lock(&ws->lock);
    ws->receiving = false;
    pthread_mutex_unlock(&ws->lock);
}

static wsk_status standalone_receive(wsk_conn *handle, int timeout_ms,
                                     enum wsk__receive_mode mode,
                                     wsk_message *msg)
{
    struct wsk__standalone *ws = standalone_of(handle);
    uint64_t until = timeout_ms < 0 ? UINT64_MAX
                                    : wsk__now_ms() + (uint64_t)timeout_ms;
    wsk_status st;

    (void)mode; /* messages come whole and unmasked */
    *msg = (wsk_message){.opcode = WSK_BINARY};
    if (!begin_receiving(ws))
        return WSK_E_STATE;
    st = await(ws, until, msg);
    end_receiving(ws);
    return st;
}

/* Enforce ws_send_max: the thread that flushes may be stuck in a transport that
 * takes nothing. */
static void bound_locked(struct wsk__standalone *ws, size_t before)
{
    if (before > 0 && owed_locked(ws) > ws->send_max &&
        wsk_ws_can_send(&ws->engine))
        wsk__ws_fail_limit(&ws->engine, 1013, "too much waits to be read",
                           WSK__WS_SEND_MAX);
}

/* Flush after a send. A transport that is gone is an error only if something
 * was to be sent. */
static wsk_status flush_sent(struct wsk__standalone *ws, wsk_status st)
{
    wsk_status flushed = st == WSK_OK ? wsk__standalone_flush(ws) : WSK_OK;

    return flushed != WSK_OK ? flushed : st;
}

/* Send a message, or with `fin` false the first piece of one. */
static wsk_status send_some(struct wsk__standalone *ws, wsk_opcode opcode,
                            bool fin, const void *data, size_t len,
                            unsigned flags)
{
    struct wsk_ws *engine = &ws->engine;
    uint8_t *packed = wsk__ws_pack(engine, data, &len, flags);
    size_t before;
    wsk_status st;

    pthread_mutex_lock(&ws->lock);
    before = owed_locked(ws);
    if (ws->gone)
        st = WSK_E_CLOSED;
    else if (packed != NULL)
        st = wsk__ws_send_packed(engine, opcode, fin, packed, len);
    else if (fin)
        st = wsk_ws_send_with(engine, opcode, data, len, flags);
    else
        st = wsk_ws_send_first(engine, opcode, data, len, flags);
    bound_locked(ws, before);
    pthread_mutex_unlock(&ws->lock);
    wsk__free(packed);
    return flush_sent(ws, st);
}

static wsk_status standalone_send(wsk_conn *handle, wsk_opcode opcode,
                                  const void *data, size_t len, unsigned flags)
{
    struct wsk__standalone *ws = standalone_of(handle);

    return send_some(ws, opcode, true, data, len, flags);
}

static wsk_status standalone_send_first(wsk_conn *handle, wsk_opcode opcode,
                                        const void *data, size_t len,
                                        unsigned flags)
{
    struct wsk__standalone *ws = standalone_of(handle);

    return send_some(ws, opcode, false, data, len, flags);
}

static wsk_status standalone_send_frame(wsk_conn *handle, wsk_opcode opcode,
                                        bool fin, const void *data, size_t len)
{
    struct wsk__standalone *ws = standalone_of(handle);
    size_t before;
    wsk_status st;

    pthread_mutex_lock(&ws->lock);
    before = owed_locked(ws);
    st = ws->gone ? WSK_E_CLOSED
                  : wsk_ws_send_frame(&ws->engine, opcode, fin, data, len);
    if (st == WSK_OK && opcode == WSK_PING)
        wsk__ping_sent(&ws->ping, data, len);
    bound_locked(ws, before);
    pthread_mutex_unlock(&ws->lock);
    return flush_sent(ws, st);
}

static wsk_status standalone_close(wsk_conn *handle, uint16_t code,
                                   const void *reason, size_t len)
{
    struct wsk__standalone *ws = standalone_of(handle);
    wsk_status st;

    pthread_mutex_lock(&ws->lock);
    st = wsk_ws_send_close(&ws->engine, code, reason, len);
    if (st == WSK_OK && ws->closing_ms == 0)
        ws->closing_ms = wsk__now_ms();
    pthread_mutex_unlock(&ws->lock);
    return flush_sent(ws, st);
}

static wsk_status standalone_drain(wsk_conn *handle, int timeout_ms)
{
    struct wsk__standalone *ws = standalone_of(handle);

    (void)timeout_ms; /* the transport has its own */
    return wsk__standalone_flush(ws);
}

static size_t standalone_buffered(const wsk_conn *handle)
{
    struct wsk__standalone *ws = standalone_of(handle);
    size_t owed;

    pthread_mutex_lock(&ws->lock);
    owed = ws->gone ? 0 : owed_locked(ws);
    pthread_mutex_unlock(&ws->lock);
    return owed;
}

static bool standalone_closed(const wsk_conn *handle, wsk_close_info *info)
{
    struct wsk__standalone *ws = standalone_of(handle);
    bool ended;

    pthread_mutex_lock(&ws->lock);
    ended = ws->ended;
    if (ended && info != NULL)
        *info = ws->info;
    pthread_mutex_unlock(&ws->lock);
    return ended;
}

static bool standalone_latency(const wsk_conn *handle, uint32_t *us)
{
    struct wsk__standalone *ws = standalone_of(handle);

    pthread_mutex_lock(&ws->lock);
    *us = ws->ping.latency_us;
    pthread_mutex_unlock(&ws->lock);
    return *us != UINT32_MAX;
}

static void standalone_hear_pings(wsk_conn *handle, bool hear)
{
    struct wsk__standalone *ws = standalone_of(handle);

    pthread_mutex_lock(&ws->lock);
    ws->hear = hear;
    pthread_mutex_unlock(&ws->lock);
}

static bool standalone_can_send(const wsk_conn *handle)
{
    struct wsk__standalone *ws = standalone_of(handle);
    bool can;

    pthread_mutex_lock(&ws->lock);
    can = !ws->gone && wsk_ws_can_send(&ws->engine);
    pthread_mutex_unlock(&ws->lock);
    return can;
}

/* Complete the closing handshake, and drop messages that still come. */
static wsk_status close_up(struct wsk__standalone *ws)
{
    wsk_message msg;
    wsk_status st = standalone_close(&ws->handle, 1000, NULL, 0);

    while (st == WSK_OK) {
        st = await(ws, UINT64_MAX, &msg);
        if (st == WSK_OK)
            wsk_message_free(&msg);
    }
    return st;
}

/* Half-close, and read until the peer has closed too: unread bytes would make
 * the kernel reset the connection, and the reset would overtake our Close (RFC
 * 9112 9.6 says the same of HTTP). */
static void linger(struct wsk__standalone *ws)
{
    uint64_t until = wsk__now_ms() + ws->close_timeout_ms;
    uint8_t *room = wsk__buf_room(&ws->in, ROOM);
    size_t left = LINGER, n = 1;
    wsk_status st = WSK_OK;

    /* The server closes first (RFC 6455 7.1.1). */
    if (!ws->client)
        ws->transport->shutdown(ws->io, false);
    while (room != NULL && st == WSK_OK && n > 0 && n <= left) {
        uint64_t now = wsk__now_ms();

        left -= n;
        st = ws->transport->recv(ws->io, room, ROOM,
                                 now < until ? (int)(until - now) : 0, &n);
    }
}

static wsk_status standalone_finish(wsk_conn *handle, bool at_once)
{
    struct wsk__standalone *ws = standalone_of(handle);
    wsk_message none;
    wsk_status st = WSK_OK;

    if (!begin_receiving(ws))
        return WSK_E_STATE;
    if (!ws->finished && !at_once)
        st = close_up(ws);
    if (st != WSK_E_AGAIN && !ws->finished) {
        if (!at_once)
            linger(ws);
        ws->transport->shutdown(ws->io, true);
        ws->finished = true;
    }
    pthread_mutex_lock(&ws->lock);
    if (ws->finished) {
        ws->gone = true;
        wsk_ws_feed_eof(&ws->engine);
        if (take_locked(ws, &none) == WSK_OK)
            wsk_message_free(&none);
    }
    ws->receiving = false;
    pthread_mutex_unlock(&ws->lock);
    return st == WSK_E_AGAIN ? st : WSK_OK;
}

static const struct wsk__websocket_ops OPS = {
    .receive = standalone_receive,
    .send = standalone_send,
    .send_first = standalone_send_first,
    .send_frame = standalone_send_frame,
    .close = standalone_close,
    .drain = standalone_drain,
    .buffered = standalone_buffered,
    .can_send = standalone_can_send,
    .closed = standalone_closed,
    .deflates = standalone_deflates,
    .latency = standalone_latency,
    .hear_pings = standalone_hear_pings,
    .finish = standalone_finish,
    .handshake = standalone_handshake,
    .head = standalone_head,
    .ref = standalone_ref,
    .unref = standalone_unref,
};

/* Compress what we send as the options say. */
static bool set_deflate(struct wsk__standalone *ws,
                        const wsk_server_config *cfg, wsk_ws_deflate agreed)
{
    struct wsk__compression how = wsk__compression_of(cfg);

    wsk__tune_deflate(&how, &agreed);
    if (!how.takeover)
        agreed.client_takeover =
            false; /* we may, and do not, refer to earlier messages */
    return wsk__ws_set_deflate(&ws->engine, &agreed, &wsk__standalone_pool) ==
           WSK_OK;
}

wsk_status wsk_conn_adopt_client(const wsk_adoption *how,
                                 const wsk_ws_answer *answer,
                                 const uint8_t seed[WSK_WS_SEED_LEN],
                                 wsk_conn **conn)
{
    struct wsk__standalone *ws;
    char *protocol = NULL;
    bool ok = true;

    if (answer->protocol.p != NULL) {
        protocol = wsk__calloc(answer->protocol.len + 1);
        if (protocol == NULL)
            return WSK_E_NOMEM;
        memcpy(protocol, answer->protocol.p, answer->protocol.len);
    }
    ws = wsk__standalone_new(how, protocol);
    wsk__free(protocol);
    if (ws == NULL)
        return WSK_E_NOMEM;
    ws->client = true;
    if (!wsk__ws_init_client(&ws->engine, &ws->limits, seed))
        ok = false;
    else if (answer->deflates)
        ok = set_deflate(ws, how->config, answer->deflate);
    if (!ok) {
        wsk__standalone_free(ws);
        return WSK_E_NOMEM;
    }
    *conn = &ws->handle;
    return WSK_OK;
}
