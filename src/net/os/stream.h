/* net/os/stream: the bytes of a connection, plain or by way of TLS. Every
 * system call on its descriptor goes through one of these functions. A function
 * waits only if its comment says so, and calls again after EINTR unless its
 * comment says otherwise. With -1, errno tells why; wsk__stream_is_full() knows
 * the errors of a full buffer. */
#ifndef WSK_NET_OS_STREAM_H
#define WSK_NET_OS_STREAM_H

#include "net/os/stream_tls.h"
#include "wsocket.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <unistd.h>

#ifndef MSG_MORE /* Linux only */
#define MSG_MORE 0
#endif

/* Most pieces of one wsk__stream_sendv(). */
enum { WSK__STREAM_PIECES = WSK__TLS_PIECES };

/* The descriptor of a connection, and the TLS on it. */
struct wsk__stream {
    int fd;                      /* -1: closed */
    struct wsk__stream_tls *tls; /* NULL: the bytes are plain */
};

/* The least room of a read: TLS opens whole records. */
enum { WSK__STREAM_ROOM = WSK__TLS_ROOM };

/* Result of sending. */
enum wsk__io {
    WSK__IO_DONE,  /* all has left */
    WSK__IO_WAIT,  /* the kernel's buffer is full */
    WSK__IO_LATER, /* a post will come */
    WSK__IO_GONE,  /* the connection is gone */
};

/* Return true if the last call found no room, or nothing to read. */
static inline bool wsk__stream_is_full(void)
{
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS;
}

/* Return true if there is TLS between the bytes and the descriptor. */
static inline bool wsk__stream_is_tls(const struct wsk__stream *s)
{
    return __builtin_expect(s->tls != NULL, 0);
}

/* Read octets as they are, to throw them away. */
static inline ssize_t wsk__stream_discard(const struct wsk__stream *s,
                                          void *data, size_t cap)
{
    ssize_t n;

    do
        n = recv(s->fd, data, cap, MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    return n;
}

/* Read the bytes that have come, at most `cap`. 0: the peer's end. With TLS,
 * `cap` is WSK__STREAM_ROOM or more, and a part of a record is read, and is
 * nothing. */
static inline ssize_t wsk__stream_recv(const struct wsk__stream *s, void *data,
                                       size_t cap)
{
    if (wsk__stream_is_tls(s))
        return wsk__stream_tls_recv(s->tls, data, cap, false);
    return wsk__stream_discard(s, data, cap);
}

/* Return true if a read of `cap` bytes, which got n > 0, has emptied the
 * descriptor: later bytes are a new event. The reader. */
static inline bool wsk__stream_is_dry(const struct wsk__stream *s, ssize_t n,
                                      size_t cap)
{
    return wsk__stream_is_tls(s) ? s->tls->dry : (size_t)n < cap;
}

/* Return true if octets came in a read that found no bytes: part of a record.
 * The reader. */
static inline bool wsk__stream_has_heard(const struct wsk__stream *s)
{
    return wsk__stream_is_tls(s) && s->tls->heard;
}

/* Return true if part of a record is inside. Any thread. */
static inline bool wsk__stream_is_partial(const struct wsk__stream *s)
{
    return wsk__stream_is_tls(s) &&
           atomic_load_explicit(&s->tls->partial, memory_order_relaxed);
}

/* Wait for bytes and read them; returns -1 with EINTR after a signal, and with
 * EAGAIN after a part of a record. No lock may be held. */
static inline ssize_t wsk__stream_await(const struct wsk__stream *s, void *data,
                                        size_t cap)
{
    if (wsk__stream_is_tls(s))
        return wsk__stream_tls_recv(s->tls, data, cap, true);
    return recv(s->fd, data, cap, 0);
}

/* Send as much as the kernel takes; `more`: other bytes follow at once. TLS
 * counts the last byte of a record once all of that has left. */
static inline ssize_t wsk__stream_send(const struct wsk__stream *s,
                                       const void *data, size_t len, bool more)
{
    ssize_t n;

    if (wsk__stream_is_tls(s))
        return wsk__stream_tls_sendv(
            s->tls, &(wsk_str){(const char *)data, len}, 1, more);
    do
        n = send(s->fd, data, len,
                 MSG_DONTWAIT | MSG_NOSIGNAL | (more ? MSG_MORE : 0));
    while (n < 0 && errno == EINTR);
    return n;
}

/* The same of n pieces, at most WSK__STREAM_PIECES, in one call. */
ssize_t wsk__stream_sendv(const struct wsk__stream *s, const wsk_str *pieces,
                          size_t n, bool more);

/* Return the octets of records that wait for the kernel. Any thread. */
static inline size_t wsk__stream_owed(const struct wsk__stream *s)
{
    return wsk__stream_is_tls(s)
               ? atomic_load_explicit(&s->tls->owed, memory_order_relaxed)
               : 0;
}

/* Return true if a byte that was not counted is in a record already, so that
 * only those who have the bytes may go on. Any thread. */
static inline bool wsk__stream_is_amid(const struct wsk__stream *s)
{
    return wsk__stream_is_tls(s) && atomic_load(&s->tls->amid);
}

/* Return the memory that the records take of which only a part has come, or has
 * left. Any thread. */
static inline size_t wsk__stream_held(const struct wsk__stream *s)
{
    return wsk__stream_is_tls(s)
               ? wsk__stream_owed(s) +
                     (wsk__stream_is_partial(s) ? WSK__TLS_INSIDE : 0)
               : 0;
}

/* Send `n` bytes of a file from `offset` on; the descriptor must not block, see
 * wsk__stream_block(). 0: the file ends there; -1, EIO: it cannot be read. */
ssize_t wsk__stream_sendfile(const struct wsk__stream *s, int file,
                             uint64_t offset, size_t n);

/* The same through a buffer, for files that sendfile() refuses. May send less
 * than the kernel would take. */
ssize_t wsk__stream_copyfile(const struct wsk__stream *s, int file,
                             uint64_t offset, size_t n);

/* Let the descriptor itself block in send() and recv(), or not. */
void wsk__stream_block(const struct wsk__stream *s, bool blocks);

/* Wait until the stream is ready for `what` (WSK__READ, WSK__WRITE), or has
 * failed; false if it is not by until_ms of wsk__now_ms(). */
bool wsk__stream_wait(const struct wsk__stream *s, unsigned what,
                      uint64_t until_ms);

/* The same of any descriptor for at most `ms`, and only until a signal:
 * poll()'s result. */
int wsk__stream_wait_once(int fd, unsigned what, int ms);

/* Return true if a read would find bytes. */
static inline bool wsk__stream_peek(const struct wsk__stream *s)
{
    char one;

    return recv(s->fd, &one, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

/* Return true if the peer's end has come: behind unread bytes, too, where the
 * system tells that. Any thread. */
bool wsk__stream_has_ended(const struct wsk__stream *s);

/* Return the bytes that the peer has not acknowledged. Those in the kernel
 * count, because it reports room only when a third of its buffer is free, which
 * a slow but honest reader may not reach for minutes. */
uint32_t wsk__stream_backlog(const struct wsk__stream *s);

/* Let the kernel hold at most `most` bytes beyond the peer's window. */
void wsk__stream_limit_unsent(const struct wsk__stream *s, int most);

/* Half-close: no more is sent. False: the connection is gone. While bytes are
 * owed, it has to be called again. */
static inline bool wsk__stream_end(const struct wsk__stream *s)
{
    if (wsk__stream_is_tls(s) && wsk__stream_tls_end(s->tls) != 0)
        return wsk__stream_is_full();
    return shutdown(s->fd, SHUT_WR) == 0;
}

/* Let the end of TLS not be told: something is missing. Any thread. */
static inline void wsk__stream_cut(const struct wsk__stream *s)
{
    if (wsk__stream_is_tls(s))
        atomic_store(&s->tls->cut, true);
}

/* Let reads find an end. */
static inline void wsk__stream_end_input(const struct wsk__stream *s)
{
    shutdown(s->fd, SHUT_RD);
}

/* End both directions: threads that wait on the descriptor wake. */
static inline void wsk__stream_shut(const struct wsk__stream *s)
{
    shutdown(s->fd, SHUT_RDWR);
}

/* Let the close be a reset, which tells the peer that something is missing. */
void wsk__stream_reset(const struct wsk__stream *s);

/* Make a pair of sockets that are joined: ours, and one of the caller's, which
 * blocks. False with errno. */
bool wsk__stream_pair(struct wsk__stream *ours, int *other);

/* Close the descriptor, unless it is closed. No other thread uses it. */
static inline void wsk__stream_close(struct wsk__stream *s)
{
    if (s->fd >= 0)
        close(s->fd);
    if (wsk__stream_is_tls(s))
        wsk__stream_tls_free(s->tls);
    *s = (struct wsk__stream){.fd = -1};
}

#endif
