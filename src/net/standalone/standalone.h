/* net/standalone/standalone: a WebSocket without a loop of ours, over a
 * transport of the caller: a client's socket, or that of another server. The
 * calling thread does the work: receive() reads, answers pings and keeps the
 * deadlines while it waits; what is sent leaves at once. No lock is held over a
 * call of the transport, which may run an interpreter or switch to another
 * coroutine. */
#ifndef WSK_NET_STANDALONE_STANDALONE_H
#define WSK_NET_STANDALONE_STANDALONE_H

#include "base/buf.h"
#include "net/handle/handle.h"
#include "net/handle/ping.h"
#include "ws/conn.h"
#include "ws/pool.h"
#include "wsocket.h"

#include <pthread.h>
#include <stdatomic.h>

struct wsk__standalone {
    struct wsk_conn handle;
    atomic_uint refs;
    const wsk_transport *transport;   /* fixed */
    void *io;                         /* fixed */
    struct wsk__handshake *handshake; /* fixed */
    wsk_limits limits;                /* fixed */
    uint64_t send_max;                /* fixed, as are the next */
    uint32_t ping_interval_ms, ping_timeout_ms, close_timeout_ms;

    /* the thread that receives */
    struct wsk__buf in; /* received, and not parsed yet */

    /* the thread that flushes */
    struct wsk__buf chunk; /* bytes on their way to the transport */

    /* lock */
    pthread_mutex_t lock;
    struct wsk_ws engine;
    uint64_t heard_ms;   /* when a byte last came, or a silence of ours ended */
    uint64_t ping_ms;    /* when our ping left; 0: none is open */
    uint64_t closing_ms; /* when our Close was seen to be sent; 0: not yet */
    struct wsk__ping ping;
    wsk_close_info info;
    bool client;    /* fixed */
    bool hear;      /* receive() returns pings and pongs */
    bool receiving; /* a thread is inside receive() or finish() */
    bool flushing;  /* a thread is inside wsk__standalone_flush() */
    bool gone;      /* the transport takes no more */
    bool ended;     /* info is set; no more messages will come */
    bool finished;  /* the transport was shut down */
};

/* Copy the handshake; `protocol` may be NULL. NULL when memory is out. */
struct wsk__handshake *wsk__standalone_remember(const wsk_adoption *how,
                                                const char *protocol);

/* Make a WebSocket, with how->early as its first input. NULL when memory is
 * out; then how->io is still the caller's. */
struct wsk__standalone *wsk__standalone_new(const wsk_adoption *how,
                                            const char *protocol);

/* Free all but the transport. */
void wsk__standalone_free(struct wsk__standalone *ws);

/* Send what is owed, as long as the peer takes some of it now and then. One
 * thread does so for all; any other returns at once. WSK_E_AGAIN: interrupted.
 */
wsk_status wsk__standalone_flush(struct wsk__standalone *ws);

/* States of zlib, kept for the next message of any connection. */
extern struct wsk__pool wsk__standalone_pool;

#endif
