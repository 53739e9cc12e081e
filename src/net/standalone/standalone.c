#include "net/standalone/standalone.h"

#include "base/buf.h"
#include "base/mem.h"
#include "net/conn/conn.h"
#include "net/os/clock.h"
#include "net/websocket/handshake.h"
#include "net/websocket/ping.h"
#include "net/websocket/websocket.h"
#include "ws/conn.h"
#include "ws/pool.h"
#include "ws/send.h"
#include "wsocket.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>

enum {
    ROOM = 16 << 10,  /* octets asked for at once */
    CHUNK = 64 << 10, /* octets handed to the transport at once */
    LINGER = 1 << 20, /* octets thrown away behind the end */
};

/* States of zlib that wait for the next message, of whatever connection. */
struct wsk__pool wsk__lone_pool;

static const struct wsk__websocket_ops OPS;

static struct wsk__standalone *lone_of(const wsk_conn *handle)
{
    return (struct wsk__standalone *)(uintptr_t)handle;
}

static void append(char **at, const char *p, size_t len)
{
    memcpy(*at, p, len);
    *at += len;
}

struct handshake *wsk__lone_remember(const wsk_adoption *how,
                                     const char *protocol)
{
    size_t peer = strlen(how->peer) + 1, local = strlen(how->local) + 1;
    size_t proto = protocol != NULL ? strlen(protocol) + 1 : 0;
    struct handshake *kept =
        wsk__alloc(sizeof *kept + peer + local + proto + how->head_len);
    char *at;

    if (kept == NULL)
        return NULL;
    *kept = (struct handshake){
        .peer_port = how->peer_port,
        .local_port = how->local_port,
        .local_at = peer,
        .protocol_at = proto > 0 ? peer + local : 0,
        .head_at = peer + local + proto,
        .head_len = how->head_len,
    };
    at = kept->text;
    append(&at, how->peer, peer);
    append(&at, how->local, local);
    if (proto > 0)
        append(&at, protocol, proto);
    append(&at, how->head, how->head_len);
    return kept;
}

struct wsk__standalone *wsk__lone_new(const wsk_adoption *how,
                                      const char *protocol)
{
    const wsk_server_config *cfg = how->config;
    struct wsk__standalone *lone = wsk__calloc(sizeof(*lone));

    if (lone == NULL)
        return NULL;
    lone->handshake = wsk__lone_remember(how, protocol);
    wsk__buf_init(&lone->in, SIZE_MAX / 4);
    wsk__buf_init(&lone->chunk, CHUNK);
    if (lone->handshake == NULL ||
        !wsk__buf_put(&lone->in, how->early, how->early_len)) {
        wsk__free(lone->handshake);
        wsk__free(lone);
        return NULL;
    }
    lone->handle.ops = &OPS;
    atomic_init(&lone->refs, 1);
    lone->transport = how->transport;
    lone->io = how->io;
    lone->limits = cfg->limits;
    lone->ping_interval_ms = cfg->ws_ping_interval_ms;
    lone->ping_timeout_ms = cfg->ws_ping_timeout_ms;
    lone->close_timeout_ms = cfg->ws_close_timeout_ms;
    lone->send_max = cfg->ws_send_max;
    lone->latency_us = UINT32_MAX;
    pthread_mutex_init(&lone->lock, NULL);
    wsk__ws_init(&lone->engine, &lone->limits);
    return lone;
}

static void standalone_ref(wsk_conn *handle)
{
    struct wsk__standalone *lone = lone_of(handle);

    atomic_fetch_add(&lone->refs, 1);
}

void wsk__lone_free(struct wsk__standalone *lone)
{
    wsk__ws_clear(&lone->engine);
    wsk__buf_free(&lone->in);
    wsk__buf_free(&lone->chunk);
    wsk__free(lone->handshake);
    pthread_mutex_destroy(&lone->lock);
    wsk__free(lone);
}

static void standalone_unref(wsk_conn *handle)
{
    struct wsk__standalone *lone = lone_of(handle);

    if (atomic_fetch_sub(&lone->refs, 1) != 1)
        return;
    lone->transport->free(lone->io);
    wsk__lone_free(lone);
}

static wsk_head *standalone_head(const wsk_conn *handle)
{
    struct wsk__standalone *lone = lone_of(handle);
    const struct handshake *kept = lone->handshake;

    return wsk__head_again(kept->text + kept->head_at, kept->head_len,
                           &lone->limits);
}

static const char *standalone_protocol(const wsk_conn *handle)
{
    struct wsk__standalone *lone = lone_of(handle);
    const struct handshake *kept = lone->handshake;

    return kept->protocol_at > 0 ? kept->text + kept->protocol_at : NULL;
}

static const char *standalone_peer(const wsk_conn *handle, uint16_t *port)
{
    struct wsk__standalone *lone = lone_of(handle);

    if (port != NULL)
        *port = lone->handshake->peer_port;
    return lone->handshake->text;
}

static const char *standalone_local(const wsk_conn *handle, uint16_t *port)
{
    struct wsk__standalone *lone = lone_of(handle);

    if (port != NULL)
        *port = lone->handshake->local_port;
    return lone->handshake->text + lone->handshake->local_at;
}

static bool standalone_deflates(const wsk_conn *handle)
{
    struct wsk__standalone *lone = lone_of(handle);

    return wsk__ws_deflates(&lone->engine); /* fixed since the handshake */
}

static size_t owed_locked(const struct wsk__standalone *lone)
{
    size_t len;

    wsk_ws_out_buf(&lone->engine, &len);
    return len + wsk__buf_len(&lone->chunk);
}

/* The next octets to hand over, out of the engine's reach: others may queue
 * while they leave. False: nothing is owed, or memory is out. */
static bool load_locked(struct wsk__standalone *lone)
{
    size_t len;
    const uint8_t *data = wsk_ws_out_buf(&lone->engine, &len);

    if (wsk__buf_len(&lone->chunk) > 0)
        return true;
    len = len < CHUNK ? len : CHUNK;
    if (len == 0 || !wsk__buf_put(&lone->chunk, data, len))
        return false;
    wsk_ws_out_ack(&lone->engine, len);
    return true;
}

wsk_status wsk__lone_flush(struct wsk__standalone *lone)
{
    wsk_status st = WSK_OK;

    pthread_mutex_lock(&lone->lock);
    if (lone->flushing) {
        pthread_mutex_unlock(&lone->lock);
        return WSK_OK;
    }
    lone->flushing = true;
    while (st == WSK_OK && !lone->gone && load_locked(lone)) {
        size_t n = 0;

        pthread_mutex_unlock(&lone->lock);
        st = lone->transport->send(lone->io, wsk__buf_data(&lone->chunk),
                                   wsk__buf_len(&lone->chunk), WSK__STALL_MS,
                                   &n);
        pthread_mutex_lock(&lone->lock);
        wsk__buf_ack(&lone->chunk, n);
    }
    if (st != WSK_OK && st != WSK_E_AGAIN)
        lone->gone = true;
    if (lone->gone || wsk__buf_len(&lone->chunk) == 0)
        wsk__buf_free(&lone->chunk);
    lone->flushing = false;
    if (lone->gone)
        st = WSK_E_CLOSED;
    pthread_mutex_unlock(&lone->lock);
    return st;
}

static void end_locked(struct wsk__standalone *lone, const wsk_ws_event *ev)
{
    size_t len = ev->len < sizeof(lone->info.reason)
                     ? ev->len
                     : sizeof(lone->info.reason);

    lone->ended = true;
    lone->info.code = ev->code;
    lone->info.clean = ev->clean;
    lone->info.len = (uint8_t)len;
    if (len > 0)
        memcpy(lone->info.reason, ev->data, len);
    wsk__ws_tell_sent(&lone->engine, &lone->info);
}

static void take_message_locked(struct wsk__standalone *lone,
                                const wsk_ws_event *ev, wsk_message *msg)
{
    msg->opcode = ev->opcode;
    msg->data = ev->data;
    msg->len = ev->len;
    wsk_ws_take_message(&lone->engine, &msg->block);
}

static bool take_control_locked(struct wsk__standalone *lone,
                                const wsk_ws_event *ev, wsk_message *msg)
{
    *msg = (wsk_message){.opcode = ev->opcode, .len = ev->len};
    msg->block = wsk__memdup(ev->data, ev->len);
    msg->data = msg->block;
    if (msg->block == NULL)
        wsk__ws_fail(&lone->engine, 1011, "out of memory");
    return msg->block != NULL;
}

static void pinged_locked(struct wsk__standalone *lone, const uint8_t *data,
                          size_t len)
{
    uint32_t hash = wsk__payload_hash(data, len);

    if (lone->asked_ns != 0 && lone->asked_hash == hash)
        return; /* its pong could be the answer to either */
    lone->asked_ns = wsk__now_ns();
    lone->asked_hash = hash;
}

static void ponged_locked(struct wsk__standalone *lone, const wsk_ws_event *ev)
{
    uint64_t us;

    if (lone->asked_ns == 0 ||
        lone->asked_hash != wsk__payload_hash(ev->data, ev->len))
        return;
    us = (wsk__now_ns() - lone->asked_ns) / 1000;
    lone->latency_us = us < UINT32_MAX ? (uint32_t)us : UINT32_MAX - 1;
    lone->asked_ns = 0;
}

/* Whether the engine has a message, or a ping or pong that is to be told. */
static bool next_message_locked(struct wsk__standalone *lone, wsk_message *msg)
{
    for (;;) {
        wsk_ws_event ev = wsk_ws_next(&lone->engine);

        if (ev.kind == WSK_WS_NONE)
            return false;
        if (ev.kind == WSK_WS_PONG)
            ponged_locked(lone, &ev);
        if (ev.kind == WSK_WS_CLOSED) {
            end_locked(lone, &ev);
        } else if (ev.kind == WSK_WS_MESSAGE) {
            take_message_locked(lone, &ev, msg);
            return true;
        } else if (lone->hear && take_control_locked(lone, &ev, msg)) {
            return true;
        }
    }
}

/* What is there already. WSK_E_AGAIN: nothing, or a pong has to leave before
 * the next ping is looked at. */
static wsk_status take_locked(struct wsk__standalone *lone, wsk_message *msg)
{
    while (!next_message_locked(lone, msg)) {
        size_t len = wsk__buf_len(&lone->in), used;
        wsk_status st;

        if (lone->ended)
            return WSK_E_CLOSED;
        if (len == 0)
            return WSK_E_AGAIN;
        st = wsk_ws_feed(&lone->engine, wsk__buf_data(&lone->in), len, &used);
        wsk__buf_ack(&lone->in, st == WSK_E_STATE ? len : used);
        if (st == WSK_E_NOMEM)
            wsk__ws_fail(&lone->engine, 1011, "out of memory");
        if (wsk__ws_pong_waits(&lone->engine))
            return WSK_E_AGAIN;
    }
    return WSK_OK;
}

/* The peer's time to answer our Close is counted from the first look after it
 * was queued. */
static void note_closing_locked(struct wsk__standalone *lone, uint64_t now)
{
    if (lone->closing_ms == 0 && !wsk_ws_can_send(&lone->engine))
        lone->closing_ms = now;
}

/* When something is due though nothing comes. */
static uint64_t deadline_locked(const struct wsk__standalone *lone)
{
    if (!wsk_ws_can_send(&lone->engine)) {
        assert(lone->closing_ms != 0);
        return lone->closing_ms + lone->close_timeout_ms;
    }
    if (lone->ping_ms > 0 && lone->ping_timeout_ms > 0)
        return lone->ping_ms + lone->ping_timeout_ms;
    if (lone->ping_interval_ms > 0)
        return lone->heard_ms + lone->ping_interval_ms;
    return UINT64_MAX;
}

/* Silence for too long: ask for a sign of life, or give up. */
static void silent_locked(struct wsk__standalone *lone, uint64_t now)
{
    if (!wsk_ws_can_send(&lone->engine)) {
        wsk_ws_feed_eof(&lone->engine); /* the peer had its time */
    } else if (lone->ping_ms > 0 && lone->ping_timeout_ms > 0) {
        wsk__ws_fail_limit(&lone->engine, 1011, "no answer to a ping",
                           "ws_ping_timeout");
    } else {
        wsk_ws_send_frame(&lone->engine, WSK_PING, true, NULL, 0);
        pinged_locked(lone, NULL, 0);
        lone->ping_ms = now;
        lone->heard_ms = now;
    }
}

/* How long the transport may wait. It is looked up now and then, because
 * nothing wakes it when another thread begins to close. */
static int patience(uint64_t now, uint64_t until, uint64_t due, uint64_t most)
{
    uint64_t end = due < until ? due : until;

    if (end <= now)
        return 0;
    return (int)(end - now < most ? end - now : most);
}

/* Wait for octets, until `until` at most. WSK_OK also when only time has
 * passed. */
static wsk_status wait_and_read(struct wsk__standalone *lone, uint64_t until)
{
    uint64_t now = wsk__now_ms(), due;
    uint8_t *room = wsk__buf_room(&lone->in, ROOM);
    size_t n = 0;
    wsk_status st;

    if (room == NULL)
        return WSK_E_NOMEM;
    pthread_mutex_lock(&lone->lock);
    note_closing_locked(lone, now);
    due = deadline_locked(lone);
    if (lone->gone)
        wsk_ws_feed_eof(&lone->engine);
    st = lone->gone ? WSK_E_CLOSED : WSK_OK;
    pthread_mutex_unlock(&lone->lock);
    if (st == WSK_OK)
        st = lone->transport->recv(lone->io, room, ROOM,
                                   patience(now, until, due, 5000), &n);
    if (st == WSK_E_AGAIN || st == WSK_E_NOMEM)
        return st;
    now = wsk__now_ms();
    pthread_mutex_lock(&lone->lock);
    if (st == WSK_OK && n > 0) {
        wsk__buf_grow_tail(&lone->in, n);
        lone->heard_ms = now;
        lone->ping_ms = 0; /* any octet is a sign of life */
    } else if (st == WSK_E_TIMEOUT) {
        note_closing_locked(lone, now);
        due = deadline_locked(lone);
        if (now >= due)
            silent_locked(lone, now);
        st = now >= until && now < due ? WSK_E_TIMEOUT : WSK_OK;
    } else {
        wsk_ws_feed_eof(&lone->engine);
        st = WSK_OK;
    }
    pthread_mutex_unlock(&lone->lock);
    return st;
}

/* Until there is a message. */
static wsk_status await(struct wsk__standalone *lone, uint64_t until,
                        wsk_message *msg)
{
    wsk_status st, flushed;

    for (;;) {
        pthread_mutex_lock(&lone->lock);
        st = take_locked(lone, msg);
        pthread_mutex_unlock(&lone->lock);
        flushed = wsk__lone_flush(lone);
        if (st != WSK_E_AGAIN)
            return st;
        if (flushed == WSK_E_AGAIN)
            return flushed;
        if (wsk__buf_len(&lone->in) > 0)
            continue;
        st = wait_and_read(lone, until);
        if (st != WSK_OK)
            return st;
    }
}

/* Only one thread receives; its absence was no silence of the peer's. */
static bool begin_receiving(struct wsk__standalone *lone)
{
    bool begun;

    pthread_mutex_lock(&lone->lock);
    begun = !lone->receiving;
    if (begun) {
        lone->receiving = true;
        lone->heard_ms = wsk__now_ms();
        lone->ping_ms = 0;
    }
    pthread_mutex_unlock(&lone->lock);
    return begun;
}

static void end_receiving(struct wsk__standalone *lone)
{
    pthread_mutex_lock(&lone->lock);
    lone->receiving = false;
    pthread_mutex_unlock(&lone->lock);
}

static wsk_status standalone_receive(wsk_conn *handle, int timeout_ms,
                                     enum wsk__receive_mode mode,
                                     wsk_message *msg)
{
    struct wsk__standalone *lone = lone_of(handle);
    uint64_t until = timeout_ms < 0 ? UINT64_MAX
                                    : wsk__now_ms() + (uint64_t)timeout_ms;
    wsk_status st;

    (void)mode; /* it comes whole, and without its mask */
    *msg = (wsk_message){.opcode = WSK_BINARY};
    if (!begin_receiving(lone))
        return WSK_E_STATE;
    st = await(lone, until, msg);
    end_receiving(lone);
    return st;
}

/* A queue that nobody empties is not kept for ever: another thread flushes it,
 * into a transport that takes nothing. */
static void bound_locked(struct wsk__standalone *lone, size_t before)
{
    if (before > 0 && owed_locked(lone) > lone->send_max &&
        wsk_ws_can_send(&lone->engine))
        wsk__ws_fail_limit(&lone->engine, 1013, "too much waits to be read",
                           "ws_send_max");
}

/* A transport that is gone is an end only when something was to be sent. */
static wsk_status flush_sent(struct wsk__standalone *lone, wsk_status st)
{
    wsk_status flushed = st == WSK_OK ? wsk__lone_flush(lone) : WSK_OK;

    return flushed != WSK_OK ? flushed : st;
}

/* A message, or with `fin` false the first piece of one. */
static wsk_status send_some(struct wsk__standalone *lone, wsk_opcode opcode,
                            bool fin, const void *data, size_t len,
                            unsigned flags)
{
    struct wsk_ws *engine = &lone->engine;
    uint8_t *packed = wsk__ws_pack(engine, data, &len, flags);
    size_t before;
    wsk_status st;

    pthread_mutex_lock(&lone->lock);
    before = owed_locked(lone);
    if (lone->gone)
        st = WSK_E_CLOSED;
    else if (packed != NULL)
        st = wsk__ws_send_packed(engine, opcode, fin, packed, len);
    else if (fin)
        st = wsk_ws_send_with(engine, opcode, data, len, flags);
    else
        st = wsk_ws_send_first(engine, opcode, data, len, flags);
    bound_locked(lone, before);
    pthread_mutex_unlock(&lone->lock);
    wsk__free(packed);
    return flush_sent(lone, st);
}

static wsk_status standalone_send(wsk_conn *handle, wsk_opcode opcode,
                                  const void *data, size_t len, unsigned flags)
{
    struct wsk__standalone *lone = lone_of(handle);

    return send_some(lone, opcode, true, data, len, flags);
}

static wsk_status standalone_send_first(wsk_conn *handle, wsk_opcode opcode,
                                        const void *data, size_t len,
                                        unsigned flags)
{
    struct wsk__standalone *lone = lone_of(handle);

    return send_some(lone, opcode, false, data, len, flags);
}

static wsk_status standalone_send_frame(wsk_conn *handle, wsk_opcode opcode,
                                        bool fin, const void *data, size_t len)
{
    struct wsk__standalone *lone = lone_of(handle);
    size_t before;
    wsk_status st;

    pthread_mutex_lock(&lone->lock);
    before = owed_locked(lone);
    st = lone->gone ? WSK_E_CLOSED
                    : wsk_ws_send_frame(&lone->engine, opcode, fin, data, len);
    if (st == WSK_OK && opcode == WSK_PING)
        pinged_locked(lone, data, len);
    bound_locked(lone, before);
    pthread_mutex_unlock(&lone->lock);
    return flush_sent(lone, st);
}

static wsk_status standalone_close(wsk_conn *handle, uint16_t code,
                                   const void *reason, size_t len)
{
    struct wsk__standalone *lone = lone_of(handle);
    wsk_status st;

    pthread_mutex_lock(&lone->lock);
    st = wsk_ws_send_close(&lone->engine, code, reason, len);
    if (st == WSK_OK && lone->closing_ms == 0)
        lone->closing_ms = wsk__now_ms();
    pthread_mutex_unlock(&lone->lock);
    return flush_sent(lone, st);
}

static wsk_status standalone_drain(wsk_conn *handle, int timeout_ms)
{
    struct wsk__standalone *lone = lone_of(handle);

    (void)timeout_ms; /* the transport has its own */
    return wsk__lone_flush(lone);
}

static size_t standalone_buffered(const wsk_conn *handle)
{
    struct wsk__standalone *lone = lone_of(handle);
    size_t owed;

    pthread_mutex_lock(&lone->lock);
    owed = lone->gone ? 0 : owed_locked(lone);
    pthread_mutex_unlock(&lone->lock);
    return owed;
}

static bool standalone_closed(const wsk_conn *handle, wsk_close_info *info)
{
    struct wsk__standalone *lone = lone_of(handle);
    bool ended;

    pthread_mutex_lock(&lone->lock);
    ended = lone->ended;
    if (ended && info != NULL)
        *info = lone->info;
    pthread_mutex_unlock(&lone->lock);
    return ended;
}

static bool standalone_latency(const wsk_conn *handle, uint32_t *us)
{
    struct wsk__standalone *lone = lone_of(handle);

    pthread_mutex_lock(&lone->lock);
    *us = lone->latency_us;
    pthread_mutex_unlock(&lone->lock);
    return *us != UINT32_MAX;
}

static void standalone_hear_pings(wsk_conn *handle, bool hear)
{
    struct wsk__standalone *lone = lone_of(handle);

    pthread_mutex_lock(&lone->lock);
    lone->hear = hear;
    pthread_mutex_unlock(&lone->lock);
}

static bool standalone_can_send(const wsk_conn *handle)
{
    struct wsk__standalone *lone = lone_of(handle);
    bool can;

    pthread_mutex_lock(&lone->lock);
    can = !lone->gone && wsk_ws_can_send(&lone->engine);
    pthread_mutex_unlock(&lone->lock);
    return can;
}

/* The rest of the closing handshake; what else comes is nobody's. */
static wsk_status close_up(struct wsk__standalone *lone)
{
    wsk_message msg;
    wsk_status st = standalone_close(&lone->handle, 1000, NULL, 0);

    while (st == WSK_OK) {
        st = await(lone, UINT64_MAX, &msg);
        if (st == WSK_OK)
            wsk_message_free(&msg);
    }
    return st;
}

/* Half-close, and read until the peer has closed too: octets that wait unread
 * would make the kernel reset the connection, and the reset would overtake our
 * Close (RFC 9112 9.6 says the same of HTTP). */
static void linger(struct wsk__standalone *lone)
{
    uint64_t until = wsk__now_ms() + lone->close_timeout_ms;
    uint8_t *room = wsk__buf_room(&lone->in, ROOM);
    size_t left = LINGER, n = 1;
    wsk_status st = WSK_OK;

    /* RFC 6455 7.1.1: it is the server that closes first. */
    if (!lone->client)
        lone->transport->shutdown(lone->io, false);
    while (room != NULL && st == WSK_OK && n > 0 && n <= left) {
        uint64_t now = wsk__now_ms();

        left -= n;
        st = lone->transport->recv(lone->io, room, ROOM,
                                   now < until ? (int)(until - now) : 0, &n);
    }
}

static wsk_status standalone_finish(wsk_conn *handle, bool at_once)
{
    struct wsk__standalone *lone = lone_of(handle);
    wsk_message none;
    wsk_status st = WSK_OK;

    if (!begin_receiving(lone))
        return WSK_E_STATE;
    if (!lone->finished && !at_once)
        st = close_up(lone);
    if (st != WSK_E_AGAIN && !lone->finished) {
        if (!at_once)
            linger(lone);
        lone->transport->shutdown(lone->io, true);
        lone->finished = true;
    }
    pthread_mutex_lock(&lone->lock);
    if (lone->finished) {
        lone->gone = true;
        wsk_ws_feed_eof(&lone->engine);
        if (take_locked(lone, &none) == WSK_OK)
            wsk_message_free(&none);
    }
    lone->receiving = false;
    pthread_mutex_unlock(&lone->lock);
    return st == WSK_E_AGAIN ? st : WSK_OK;
}

static const char *standalone_scheme(const wsk_conn *handle)
{
    (void)handle;
    return "http"; /* its environ is the other server's */
}

static const char *standalone_prefix(const wsk_conn *handle)
{
    (void)handle;
    return ""; /* its environ is the other server's */
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
    .head = standalone_head,
    .protocol = standalone_protocol,
    .scheme = standalone_scheme,
    .prefix = standalone_prefix,
    .peer = standalone_peer,
    .local = standalone_local,
    .ref = standalone_ref,
    .unref = standalone_unref,
};

bool wsk__lone_agree_deflate(const wsk_head *head, const wsk_server_config *cfg,
                             wsk_ws_deflate *agreed,
                             char text[WSK_WS_DEFLATE_TEXT])
{
    const char *level = cfg->ws_compression_level;
    bool takeover = strcmp(cfg->ws_compression, "takeover") == 0;

    text[0] = '\0';
    if (strcmp(cfg->ws_compression, "off") == 0 ||
        !wsk_ws_agree_deflate(head, takeover, agreed, text))
        return false;
    agreed->level = (uint8_t)(level[0] == 'f' ? 0 : level[0] - '0');
    agreed->threshold = cfg->ws_compression_threshold;
    return true;
}

/* Our messages are compressed as our options say. */
static bool set_deflate(struct wsk__standalone *lone,
                        const wsk_server_config *cfg, wsk_ws_deflate agreed)
{
    const char *level = cfg->ws_compression_level;

    agreed.level = (uint8_t)(level[0] == 'f' ? 0 : level[0] - '0');
    agreed.threshold = cfg->ws_compression_threshold;
    if (strcmp(cfg->ws_compression, "takeover") != 0)
        agreed.client_takeover = false; /* we need not make use of it */
    return wsk__ws_set_deflate(&lone->engine, &agreed, &wsk__lone_pool) ==
           WSK_OK;
}

wsk_status wsk_conn_adopt_client(const wsk_adoption *how,
                                 const wsk_ws_answer *answer,
                                 const uint8_t seed[WSK_WS_SEED_LEN],
                                 wsk_conn **conn)
{
    struct wsk__standalone *lone;
    char *protocol = NULL;
    bool ok = true;

    if (answer->protocol.p != NULL) {
        protocol = wsk__calloc(answer->protocol.len + 1);
        if (protocol == NULL)
            return WSK_E_NOMEM;
        memcpy(protocol, answer->protocol.p, answer->protocol.len);
    }
    lone = wsk__lone_new(how, protocol);
    wsk__free(protocol);
    if (lone == NULL)
        return WSK_E_NOMEM;
    lone->client = true;
    if (!wsk__ws_init_client(&lone->engine, &lone->limits, seed))
        ok = false;
    else if (answer->deflates)
        ok = set_deflate(lone, how->config, answer->deflate);
    if (!ok) {
        wsk__lone_free(lone);
        return WSK_E_NOMEM;
    }
    *conn = &lone->handle;
    return WSK_OK;
}
