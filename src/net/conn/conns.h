/* net/conn/conns: the connections of a server, and what they share. */
#ifndef WSK_NET_CONN_CONNS_H
#define WSK_NET_CONN_CONNS_H

#include "net/conn/accept.h"
#include "net/conn/admin.h"
#include "net/conn/balance.h"
#include "net/conn/conn.h"
#include "net/conn/drain.h"
#include "net/conn/idle.h"
#include "net/conn/listeners.h"
#include "net/conn/peer.h"
#include "net/loop/timer.h"
#include "net/os/listen.h"

#include <stdatomic.h>

struct wsk__dispatch;
struct wsk__life;
struct wsk__logs;
struct wsk__loop;
struct wsk__metrics;
struct wsk__offload;
struct wsk__openings;
struct wsk__site;
struct wsk__sockets;
struct wsk__tls_set;

/* The connections of a server. */
struct wsk__conns {
    /* fixed */
    const wsk_server_config *cfg;
    struct wsk__life *life;
    struct wsk__logs *logs;
    struct wsk__loop *loop;
    struct wsk__dispatch *dispatch;
    struct wsk__offload *offload;   /* for disks */
    struct wsk__offload *shakes;    /* for handshakes */
    struct wsk__sockets *sockets;   /* of the room mailbox */
    struct wsk__site *site;         /* of the room request */
    struct wsk__openings *openings; /* of the room opening */

    /* Let a new connection take over `ends`, and begin its opening or a
       protocol. `plain`: it came by a place without TLS. False: memory is out;
       `ends` is freed all the same. Fixed. */
    bool (*begin)(struct wsk__conn *conn, struct wsk__ends *ends, bool plain);
    /* fixed: the rows of protocols and their names; without a name, a client
       speaks the first */
    const struct wsk__protocol *protocol;
    const wsk_str *alpn;
    size_t n_protocols;
    /* Return the certificates for new connections, with a reference. Fixed once
       listening; NULL: there is no TLS. Any thread. */
    struct wsk__tls_set *(*tls)(struct wsk__conns *conns);

    atomic_size_t counted; /* bytes of buffered input and output, against
                              memory_limit */
    atomic_size_t heads;   /* bytes of handshakes that WebSockets keep, against
                              memory_limit */

    /* fixed once listening */
    struct wsk__listener listeners[WSK__LISTENERS];
    struct wsk__places places;
    struct wsk__trust trust;
    struct wsk__admin admin;
    struct wsk__metrics *metrics; /* owned; NULL: nothing is counted */
    uint16_t port;
    uint16_t https_port; /* to which redirect_https leads; 0: it is off */
    bool listening;

    struct wsk__balance balance;
    atomic_bool accept_again; /* look at the listeners again; any thread */
    atomic_int accept_asked;  /* an enum wsk__accepting; any thread */

    /* leader */
    struct wsk__conn_list resting; /* see conn/idle */
    struct wsk__conn_list parted;  /* were not idle when last looked at */
    atomic_uint n;                 /* in both lists; written by the leader */
    atomic_uint n_websockets;      /* in both lists; any thread */
    atomic_uint n_silent;          /* of which no byte has come; written by the
                                      leader, as the next one */
    atomic_uint n_admin;           /* by metrics_bind */
    struct wsk__conn *graveyard;   /* closed in this batch; linked by next */
    bool listeners_open;           /* of `places` */
    enum wsk__accepting accepting; /* the order that was heeded */
    bool accept_paused;
    bool accept_due; /* there may be room for a connection again */
    struct wsk__source accept_pause; /* the timer that ends a pause */
    struct wsk__source accept_end;   /* the timer that closes the listeners */
    struct wsk__drain drain;         /* set once `draining` is */
    atomic_bool draining;     /* the server leaves; written by the leader */
    atomic_bool last_answers; /* each answer is its connection's last: the
                                 server leaves, now or soon; by the leader */

    struct wsk__conn_mutex locks[WSK__CONN_LOCKS];
};

/* Note that a byte has come. Leader. */
static inline void wsk__conn_spoke(struct wsk__conn *conn)
{
    if (conn->silent)
        conn->conns->n_silent--;
    conn->silent = false;
}

#endif
