/* net/server/certs: the certificates of a server: read at its start, watched,
 * and replaced as a whole or not at all. */
#ifndef WSK_NET_SERVER_CERTS_H
#define WSK_NET_SERVER_CERTS_H

#include "net/dispatch/offload.h"
#include "net/loop/source.h"
#include "net/server/cert_files.h"
#include "tls/set.h"
#include "wsocket.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct wsk__conns;
struct wsk__page_certificate;

struct wsk__certs {
    pthread_mutex_t lock;     /* innermost: held for a few instructions */
    struct wsk__tls_set *set; /* lock; NULL: there is no TLS */

    /* Held while files are read, so that one thread does. No other lock is. */
    pthread_mutex_t reading;
    struct wsk__cert_files files; /* reading */
    struct wsk__tls_fault told; /* reading: the last failure that was logged */
    int64_t told_end_s;         /* reading: when ends were looked at last */
    unsigned tries; /* reading: readings of files that did not fit together */

    uint8_t seed[WSK__TLS_SEED]; /* fixed once listening */
    bool is_dev;                 /* fixed once listening: certfile dev */

    /* The watch. */
    struct wsk__source timer; /* leader */
    struct wsk__job job;
    struct wsk__offload offload; /* for the job, which may take a second */
    bool asked;                  /* leader: for the job */
    atomic_bool busy;            /* the job is asked for, and not done */
    atomic_uint wait_ms;         /* until the next look, as the job has found */
    uint32_t look_ms; /* fixed: between two looks at files that are good */
};

/* Make the locks. */
void wsk__certs_init(wsk_server *srv);

/* Read the certificates, if there are any. False: srv->conns.places.error says
 * why; errno is set. Twice does nothing. */
bool wsk__certs_open(wsk_server *srv);

/* Check that the places that were opened are fit for them; the same result. */
bool wsk__certs_fit_places(wsk_server *srv);

/* Forget them: the server was only tried. */
void wsk__certs_forget(wsk_server *srv);

/* Begin to watch their files. Before the loop turns. */
void wsk__certs_watch(wsk_server *srv);

/* Forget all; no other thread has the server. */
void wsk__certs_close(wsk_server *srv);

/* List the certificates in use for a page of metrics; *n is their number. The
 * list, for wsk__free(), and the texts are valid as long as *set, which is held
 * for the caller. NULL: there are none, or memory is out. */
struct wsk__page_certificate *wsk__certs_list(wsk_server *srv, size_t *n,
                                              struct wsk__tls_set **set);

/* Return the certificates for a new connection, with a reference; NULL: there
 * are none. Any thread. */
struct wsk__tls_set *wsk__certs_current(struct wsk__conns *conns);

#endif
