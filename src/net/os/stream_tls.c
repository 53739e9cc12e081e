#include "net/os/stream_tls.h"

#include "base/buf.h"
#include "base/mem.h"

#include <assert.h>
#include <errno.h>
#include <sys/socket.h>

#ifndef MSG_MORE /* Linux only */
#define MSG_MORE 0
#endif

enum {
    CIPHERTEXT = 32768, /* bytes of one read; on the stack, as senders gather */
};

static void lock_tls(struct wsk__stream_tls *tls)
    WSK__ACQUIRE(wsk__cap_tls) WSK__NO_ANALYSIS
{
    wsk__lock(&tls->lock, WSK__LOCK_TLS);
}

/* Unlock it, once others may see what the engine has come to. */
static void unlock_tls(struct wsk__stream_tls *tls)
    WSK__RELEASE(wsk__cap_tls) WSK__NO_ANALYSIS
{
    atomic_store_explicit(&tls->owed, wsk__tls_owes(tls->engine),
                          memory_order_relaxed);
    atomic_store_explicit(&tls->partial, wsk__tls_is_partial(tls->engine),
                          memory_order_relaxed);
    wsk__unlock(&tls->lock, WSK__LOCK_TLS);
}

struct wsk__stream_tls *wsk__stream_tls_new(int fd, struct wsk__tls *engine)
{
    struct wsk__stream_tls *tls = wsk__calloc(sizeof(*tls));

    if (tls == NULL) {
        wsk__tls_free(engine);
        return NULL;
    }
    tls->fd = fd;
    tls->engine = engine;
    pthread_mutex_init(&tls->lock, NULL);
    return tls;
}

void wsk__stream_tls_free(struct wsk__stream_tls *tls)
{
    if (tls == NULL)
        return;
    wsk__tls_free(tls->engine);
    pthread_mutex_destroy(&tls->lock);
    wsk__free(tls);
}

static ptrdiff_t put(void *to, const uint8_t *p, size_t n, bool more)
{
    const struct wsk__stream_tls *tls = to;
    ssize_t sent;

    do
        sent = send(tls->fd, p, n,
                    MSG_DONTWAIT | MSG_NOSIGNAL | (more ? MSG_MORE : 0));
    while (sent < 0 && errno == EINTR);
    if (sent < 0 &&
        (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS))
        return 0;
    return sent;
}

static struct wsk__tls_out out_of(struct wsk__stream_tls *tls)
{
    return (struct wsk__tls_out){.put = put, .to = tls};
}

/* -------------------------------------------------------------- reading --- */

/* Decrypt all of the span to `data`, which has room for it. Returns the bytes
 * there. */
static size_t decrypt(struct wsk__stream_tls *tls, wsk_str *ct, uint8_t *data,
                      size_t cap)
{
    struct wsk__tls_out out = out_of(tls);
    enum wsk__tls_got got;
    size_t n = 0;

    lock_tls(tls);
    got = wsk__tls_feed(tls->engine, ct, data, cap, &n, &out);
    assert(ct->len == 0 || got == WSK__TLS_END || got == WSK__TLS_BAD);
    assert(wsk__tls_pending(tls->engine) == 0);
    unlock_tls(tls);
    if (got == WSK__TLS_END || got == WSK__TLS_BAD) {
        tls->over = (unsigned char)got;
        tls->dry = false; /* the next read tells it */
    }
    return n;
}

/* Return what a read finds at the end. */
static ssize_t end_of(const struct wsk__stream_tls *tls)
{
    errno = ECONNRESET;
    return tls->over == WSK__TLS_END ? 0 : -1;
}

ssize_t wsk__stream_tls_recv(struct wsk__stream_tls *tls, void *data,
                             size_t cap, bool waits)
{
    uint8_t ct[CIPHERTEXT];
    size_t most = cap - WSK__TLS_RECORD;

    assert(cap >= WSK__TLS_ROOM);
    if (most > sizeof(ct))
        most = sizeof(ct);
    tls->heard = false;
    while (tls->over == 0) {
        ssize_t n = recv(tls->fd, ct, most, waits ? 0 : MSG_DONTWAIT);
        wsk_str span = {(const char *)ct, n > 0 ? (size_t)n : 0};
        size_t got;

        if (n < 0 && errno == EINTR && !waits)
            continue;
        if (n <= 0)
            return n;
        tls->heard = true;
        tls->dry = (size_t)n < most;
        got = decrypt(tls, &span, data, cap);
        if (got > 0)
            return (ssize_t)got;
        if (waits && tls->over == 0) {
            errno = EAGAIN; /* the caller looks again */
            return -1;
        }
    }
    return end_of(tls);
}

/* Decrypt what stands behind the handshake. False: memory is out. */
static bool decrypt_early(struct wsk__stream_tls *tls, wsk_str *ct,
                          struct wsk__buf *early)
{
    size_t cap = ct->len + WSK__TLS_RECORD;
    uint8_t *room;

    if (ct->len == 0)
        return true;
    room = wsk__buf_room(early, cap);
    if (room == NULL)
        return false;
    wsk__buf_grow_tail(early, decrypt(tls, ct, room, cap));
    return true;
}

enum wsk__tls_got wsk__stream_tls_shake(struct wsk__stream_tls *tls,
                                        wsk_str *ct, struct wsk__buf *early,
                                        bool *fits)
{
    struct wsk__tls_out out = out_of(tls);
    enum wsk__tls_got got;

    lock_tls(tls);
    got = wsk__tls_shake(tls->engine, ct, &out);
    unlock_tls(tls);
    *fits = got != WSK__TLS_DONE || decrypt_early(tls, ct, early);
    return got;
}

/* -------------------------------------------------------------- writing --- */

/* Turn the engine's result to that of a system call. */
static int result_of(enum wsk__tls_sent sent)
{
    if (sent == WSK__TLS_SENT)
        return 0;
    errno = sent == WSK__TLS_FULL ? EAGAIN : EPIPE;
    return -1;
}

/* Send the record whose last byte comes again, in front of the pieces, which
 * lose it. */
static enum wsk__tls_sent finish_record_locked(struct wsk__stream_tls *tls,
                                               wsk_str *pieces)
    WSK__REQUIRES(wsk__cap_tls)
{
    struct wsk__tls_out out = out_of(tls);
    enum wsk__tls_sent sent = wsk__tls_flush(tls->engine, &out);

    if (sent != WSK__TLS_SENT)
        return sent;
    while (pieces->len == 0)
        pieces++;
    pieces->p++;
    pieces->len--;
    atomic_store(&tls->amid, false);
    return sent;
}

/* Send; *count: the bytes that count as sent. */
static enum wsk__tls_sent send_locked(struct wsk__stream_tls *tls,
                                      wsk_str *pieces, size_t n, bool more,
                                      size_t *count) WSK__REQUIRES(wsk__cap_tls)
{
    struct wsk__tls_out out = out_of(tls);
    uint8_t room[WSK__TLS_RECORD];
    enum wsk__tls_sent sent;
    size_t taken = 0;

    if (atomic_load(&tls->amid)) {
        sent = finish_record_locked(tls, pieces);
        *count = sent == WSK__TLS_SENT;
        if (sent != WSK__TLS_SENT)
            return sent;
    }
    sent = wsk__tls_writev(tls->engine, &out, pieces, n, more, room, &taken);
    *count += taken;
    if (sent == WSK__TLS_FULL && taken > 0) {
        atomic_store(&tls->amid, true);
        --*count;
    }
    return sent;
}

ssize_t wsk__stream_tls_sendv(struct wsk__stream_tls *tls,
                              const wsk_str *pieces, size_t n, bool more)
{
    wsk_str copy[WSK__TLS_PIECES];
    enum wsk__tls_sent sent = WSK__TLS_GONE;
    size_t count = 0, len = 0;

    assert(n <= WSK__TLS_PIECES);
    for (size_t i = 0; i < n; i++) {
        copy[i] = pieces[i];
        len += pieces[i].len;
    }
    if (len == 0)
        return 0;
    lock_tls(tls);
    if (!tls->ended) /* by another thread, such as the clock's */
        sent = send_locked(tls, copy, n, more, &count);
    unlock_tls(tls);
    if (sent != WSK__TLS_GONE && count > 0)
        return (ssize_t)count;
    return result_of(sent == WSK__TLS_SENT ? WSK__TLS_FULL : sent);
}

int wsk__stream_tls_flush(struct wsk__stream_tls *tls)
{
    struct wsk__tls_out out = out_of(tls);
    enum wsk__tls_sent sent;

    lock_tls(tls);
    sent = wsk__tls_flush(tls->engine, &out);
    unlock_tls(tls);
    return result_of(sent);
}

int wsk__stream_tls_end(struct wsk__stream_tls *tls)
{
    struct wsk__tls_out out = out_of(tls);
    enum wsk__tls_sent sent;

    lock_tls(tls);
    tls->ended = true;
    /* Bytes that their owner still has will not come any more. */
    sent = atomic_load(&tls->cut) || atomic_load(&tls->amid)
               ? wsk__tls_flush(tls->engine, &out)
               : wsk__tls_end(tls->engine, &out, true);
    unlock_tls(tls);
    return result_of(sent);
}
