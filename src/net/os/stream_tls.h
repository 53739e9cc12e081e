/* net/os/stream_tls: TLS on a connection's descriptor, below os/stream. An
 * engine is not safe for two threads, not even for a reader and a writer, so a
 * lock stands beside it: the innermost of all. It is held for one call of the
 * engine and what that sends, and never for a wait. */
#ifndef WSK_NET_OS_STREAM_TLS_H
#define WSK_NET_OS_STREAM_TLS_H

#include "net/os/locks.h"
#include "tls/engine.h"
#include "wsocket.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct wsk__buf;

enum {
    /* Least room of a read. What comes is decrypted at once, and all of it: a
     * read asks the kernel for so much less than the room has, as part of a
     * record may be inside. So no byte that can be read waits there. */
    WSK__TLS_ROOM = 32768,
    WSK__TLS_PIECES = 20, /* most pieces of one wsk__stream_tls_sendv() */
};

/* Behind functions that are called only where there is TLS: the plain way is to
 * stay as short as without it. */
#define WSK__TLS_ONLY __attribute__((cold))

/* TLS on a descriptor. */
struct wsk__stream_tls {
    int fd;                  /* fixed; the stream's */
    struct wsk__tls *engine; /* lock; fixed */
    pthread_mutex_t lock;
    bool ended; /* lock: close_notify was sent, or waits */

    /* Written under the lock; read by any thread. */
    atomic_size_t owed;  /* bytes in records that the kernel has not taken */
    atomic_bool partial; /* part of a record is inside */
    atomic_bool amid;    /* the byte that is sent next is in a record already */
    atomic_bool cut;     /* close_notify would be a lie; set by any thread */

    /* The thread that reads. */
    bool dry;           /* the last read has emptied the descriptor */
    bool heard;         /* some octets came in the last read */
    unsigned char over; /* an enum wsk__tls_got: END or BAD has come */
};

/* Send what is left of a flight. -1: not all, see errno. */
int wsk__stream_tls_flush(struct wsk__stream_tls *tls);

/* Put TLS on a descriptor; the engine becomes its own. NULL: memory is out, and
 * the engine is freed. */
struct wsk__stream_tls *wsk__stream_tls_new(int fd, struct wsk__tls *engine);

/* Free it, and the engine. Nothing is sent. NULL is legal. */
void wsk__stream_tls_free(struct wsk__stream_tls *tls) WSK__TLS_ONLY;

/*
 * Go on with the handshake, in which no other thread may use it: DONE, MORE,
 * BAD. It may take 5 ms. With DONE, what came behind the handshake is decrypted
 * into `early`; false in *fits: memory is out for that. */
enum wsk__tls_got wsk__stream_tls_shake(struct wsk__stream_tls *tls,
                                        wsk_str *ct, struct wsk__buf *early,
                                        bool *fits);

/*
 * Read and send, as the functions of os/stream do.
 *
 * A record is taken whole, and the kernel may refuse a part of it. Then its
 * last byte is not counted as sent: the sender's queue is not empty, the sender
 * waits for the kernel and comes again with that byte, which is skipped. So no
 * room above has to know of records that have not left. A queue may be dropped
 * meanwhile but for what has begun. */
ssize_t wsk__stream_tls_recv(struct wsk__stream_tls *tls, void *data,
                             size_t cap, bool waits) WSK__TLS_ONLY;
ssize_t wsk__stream_tls_sendv(struct wsk__stream_tls *tls,
                              const wsk_str *pieces, size_t n,
                              bool more) WSK__TLS_ONLY;

/* Say that no more is sent (RFC 8446 6.1), and send what is left before that.
 * -1: not all, see errno; the same again goes on. */
int wsk__stream_tls_end(struct wsk__stream_tls *tls) WSK__TLS_ONLY;

#endif
