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

enum {
    /* Least room of a read. What comes is decrypted at once, and all of it: a
     * read asks the kernel for so much less than the room has, as part of a
     * record may be inside. So no byte that can be read waits there. */
    WSK__TLS_ROOM = 32768,
};

/* TLS on a descriptor. */
struct wsk__stream_tls {
    int fd;                  /* fixed; the stream's */
    struct wsk__tls *engine; /* lock; fixed */
    pthread_mutex_t lock;
    bool ended; /* lock: close_notify was sent, or waits */

    /* Written under the lock; read by any thread. */
    atomic_size_t owed;  /* bytes in records that the kernel has not taken */
    atomic_bool partial; /* part of a record is inside */

    /* The thread that reads. */
    bool dry;           /* the last read has emptied the descriptor */
    bool heard;         /* some octets came in the last read */
    unsigned char over; /* an enum wsk__tls_got: END or BAD has come */
};

/* Put TLS on a descriptor; the engine becomes its own. NULL: memory is out, and
 * the engine is freed. */
struct wsk__stream_tls *wsk__stream_tls_new(int fd, struct wsk__tls *engine);

/* Free it, and the engine. Nothing is sent. NULL is legal. */
void wsk__stream_tls_free(struct wsk__stream_tls *tls);

/*
 * Go on with the handshake, in which no other thread may use it: DONE, MORE,
 * BAD. It may take 5 ms. With DONE, what came behind the handshake is decrypted
 * into `early`; false in *fits: memory is out for that.
 */
struct wsk__buf;
enum wsk__tls_got wsk__stream_tls_shake(struct wsk__stream_tls *tls,
                                        wsk_str *ct, struct wsk__buf *early,
                                        bool *fits);

/* The functions of os/stream, by whose names they are called. */
ssize_t wsk__stream_tls_recv(struct wsk__stream_tls *tls, void *data,
                             size_t cap, bool waits);
ssize_t wsk__stream_tls_sendv(struct wsk__stream_tls *tls,
                              const wsk_str *pieces, size_t n, bool more);

/* Send the bytes that the kernel has not taken. -1: not all, see errno. */
int wsk__stream_tls_flush(struct wsk__stream_tls *tls);

/* Say that no more is sent (RFC 8446 6.1), and send what is left before that.
 * -1: not all, see errno; the same again goes on. */
int wsk__stream_tls_end(struct wsk__stream_tls *tls);

#endif
