/* net/standalone/standalone: a WebSocket over a transport that is not ours: the
 * socket of another server, or a client's. It has no loop: the calling thread
 * does the work. receive() reads, answers pings and keeps the deadlines while
 * it waits; what is sent leaves at once. No lock is held over a call of the
 * transport, which may run an interpreter or switch to another coroutine. It
 * shares the wsk_conn handle, whose first member tells the two apart. */
#ifndef WSK_NET_STANDALONE_STANDALONE_H
#define WSK_NET_STANDALONE_STANDALONE_H

#include "base/buf.h"
#include "net/conn/conn.h"
#include "net/loop/source.h"
#include "ws/conn.h"
#include "ws/pool.h"
#include "wsocket.h"

#include <pthread.h>
#include <stdatomic.h>

struct wsk__lone {
    struct wsk__source source; /* fixed, and first: see wsk__lone_of() */
    atomic_uint refs;
    const wsk_transport *transport; /* fixed */
    void *io;                       /* fixed */
    struct handshake *handshake;    /* fixed */
    wsk_limits limits;              /* fixed */
    uint64_t send_max;              /* fixed, as are the next */
    uint32_t ping_interval_ms, ping_timeout_ms, close_timeout_ms;

    /* the one that receives */
    struct wsk__buf in; /* received, not yet fed */

    /* the one that flushes */
    struct wsk__buf chunk; /* on its way to the transport */

    /* lock */
    pthread_mutex_t lock;
    struct wsk_ws engine;
    uint64_t heard_ms;   /* last octet from the peer, or its silence was ours */
    uint64_t ping_ms;    /* our ping left then; 0: none is open */
    uint64_t closing_ms; /* our Close was seen to be sent; 0: not yet */
    uint64_t asked_ns;   /* the ping to be measured left then; 0: none is */
    uint32_t asked_hash; /* of its payload */
    uint32_t latency_us; /* of the last answered; UINT32_MAX: none was */
    wsk_close_info info;
    bool client;    /* fixed */
    bool hear;      /* pings and pongs are told */
    bool receiving; /* a thread is inside receive() or finish() */
    bool flushing;  /* another is inside wsk__lone_flush() */
    bool gone;      /* the transport takes nothing any more */
    bool ended;     /* info is set; no more messages will come */
    bool finished;  /* the transport was shut down */
};

/* What is kept of an opening handshake, in one block. */
struct handshake {
    uint16_t peer_port, local_port;
    size_t local_at, protocol_at; /* in text; protocol_at 0: none */
    size_t head_at, head_len;
    char text[]; /* peer, local and protocol, each with its NUL; the octets of
                    the head */
};

/* protocol may be NULL. NULL when memory is out. */
struct handshake *wsk__lone_remember(const wsk_adoption *how,
                                     const char *protocol);

/* What follows the handshake comes first from how->early. NULL when memory is
 * out; then how->io is still the caller's. */
struct wsk__lone *wsk__lone_new(const wsk_adoption *how, const char *protocol);

/* All but the transport. */
void wsk__lone_free(struct wsk__lone *lone);

/* Write what is owed, as long as the peer takes some of it now and then. One
 * thread does so for all; another returns at once. WSK_E_AGAIN: interrupted. */
wsk_status wsk__lone_flush(struct wsk__lone *lone);

/* What the options allow of what the client offers. */
bool wsk__lone_agree_deflate(const wsk_head *head, const wsk_server_config *cfg,
                             wsk_ws_deflate *agreed,
                             char text[WSK_WS_DEFLATE_TEXT]);

/* States of zlib that wait for the next message, of whatever connection. */
extern const struct wsk__source_ops wsk__lone_source; /* none: a mark */
extern struct wsk__pool wsk__lone_pool;

/* NULL when it is a server's. */
static inline struct wsk__lone *wsk__lone_of(const wsk_conn *conn)
{
    return conn->source.ops == &wsk__lone_source
               ? (struct wsk__lone *)(uintptr_t)conn
               : NULL;
}

/* As the functions of wsk_conn that are called so. */
void wsk__lone_ref(struct wsk__lone *lone);
void wsk__lone_unref(struct wsk__lone *lone);
wsk_head *wsk__lone_head(const struct wsk__lone *lone);
const char *wsk__lone_protocol(const struct wsk__lone *lone);
const char *wsk__lone_peer(const struct wsk__lone *lone, uint16_t *port);
const char *wsk__lone_local(const struct wsk__lone *lone, uint16_t *port);
wsk_status wsk__lone_receive(struct wsk__lone *lone, int timeout_ms,
                             wsk_message *msg);
wsk_status wsk__lone_send(struct wsk__lone *lone, wsk_opcode opcode,
                          const void *data, size_t len, unsigned flags);
wsk_status wsk__lone_send_first(struct wsk__lone *lone, wsk_opcode opcode,
                                const void *data, size_t len, unsigned flags);
wsk_status wsk__lone_send_frame(struct wsk__lone *lone, wsk_opcode opcode,
                                bool fin, const void *data, size_t len);
wsk_status wsk__lone_close(struct wsk__lone *lone, uint16_t code,
                           const void *reason, size_t len);
wsk_status wsk__lone_drain(struct wsk__lone *lone);
size_t wsk__lone_buffered(struct wsk__lone *lone);
bool wsk__lone_closed(struct wsk__lone *lone, wsk_close_info *info);
bool wsk__lone_can_send(struct wsk__lone *lone);
bool wsk__lone_latency(struct wsk__lone *lone, uint32_t *us);
void wsk__lone_hear_pings(struct wsk__lone *lone, bool hear);
bool wsk__lone_deflates(const struct wsk__lone *lone);

#endif
