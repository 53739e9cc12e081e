#include "net/parts.h"

#include "base/mem.h"
#include "net/disk.h"
#include "net/dispatch.h"
#include "net/log/log.h"
#include "net/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>
#if defined(__linux__)
#include <sys/sendfile.h>
#endif

enum {
    STEP = 256 << 10,    /* of a file, between two looks at the disk */
    GO_MAX = 1024 << 10, /* of one connection, until others have a turn */
    COPY = 64 << 10,
    GATHER = 8,         /* pieces of memory in one call */
    UNSENT = 256 << 10, /* octets the kernel holds beyond the client's window */
};

static const uint8_t NOTHING[1];

struct wsk__part {
    struct wsk__release release; /* call NULL: nobody waits for it */
    struct wsk__part *next;
    const uint8_t *data; /* lent; for a file NULL */
    size_t before;       /* octets of the queue that leave ahead of it */
    uint64_t offset, left;
    uint64_t warm;      /* up to here the file has been seen in memory */
    int fd;             /* -1: no file */
    bool ends_by_close; /* nothing else shows the client where the body ends */
};

/* -------------------------------------------------------------- queue --- */

static void add(struct wsk_conn *conn, struct wsk__part *part)
{
    struct wsk__exchange *h = conn->h;
    size_t queued;

    wsk_http_out_buf(&h->http, &queued);
    part->before = queued - h->parts_before;
    if (h->parts == NULL)
        h->parts = part;
    else
        h->last_part->next = part;
    h->last_part = part;
    h->parts_before = queued;
    h->parts_owed += part->left;
}

/* Of the queue ahead of it, and of the first part itself, so much has left. */
static void ack_queue(struct wsk_conn *conn, struct wsk__part *part, size_t n)
{
    wsk_http_out_ack(&conn->h->http, n);
    part->before -= n;
    conn->h->parts_before -= n;
}

static void ack_part(struct wsk_conn *conn, struct wsk__part *part, size_t n)
{
    part->offset += n;
    part->left -= n;
    conn->h->parts_owed -= n;
}

wsk_status wsk__parts_add_file(struct wsk_conn *conn, int fd, uint64_t offset,
                               uint64_t length, bool ends_by_close)
{
    struct wsk__part *part = wsk__calloc(sizeof(*part));

    if (part == NULL)
        return WSK_E_NOMEM;
    part->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (part->fd < 0) {
        wsk__free(part);
        return WSK_E_SYS;
    }
    part->offset = offset;
    part->left = length;
    part->ends_by_close = ends_by_close;
    add(conn, part);
    return WSK_OK;
}

wsk_status wsk__parts_add_lent(struct wsk_conn *conn, const uint8_t *data,
                               size_t len, void (*release)(void *user),
                               void *user)
{
    struct wsk__part *part = wsk__calloc(sizeof(*part));

    if (part == NULL)
        return WSK_E_NOMEM;
    part->release.call = release;
    part->release.user = user;
    part->data = len > 0 ? data : NOTHING;
    part->left = len;
    part->fd = -1;
    add(conn, part);
    return WSK_OK;
}

static void drop_first(struct wsk_conn *conn)
{
    struct wsk__part *part = conn->h->parts;

    conn->h->parts = part->next;
    conn->h->parts_before -= part->before;
    conn->h->parts_owed -= part->left;
    if (part->fd >= 0)
        close(part->fd);
    if (part->release.call == NULL) {
        wsk__free(part);
    } else if (conn->h->called) {
        part->release.next = conn->h->released;
        conn->h->released = &part->release;
    } else {
        wsk__release_queue(conn->srv, &part->release);
    }
}

void wsk__parts_give_back(struct wsk_conn *conn)
{
    while (conn->h->released != NULL) {
        struct wsk__release *release = conn->h->released;

        conn->h->released = release->next;
        release->call(release->user);
        wsk__free(release);
    }
}

void wsk__parts_free(struct wsk_conn *conn)
{
    while (conn->h->parts != NULL)
        drop_first(conn);
}

/* --------------------------------------------------------------- disk --- */

/* The loop must not wait for a disk: what is not in memory is read by a thread
 * that may. */
static void read_ahead(struct wsk_conn *conn)
{
    struct wsk__part *part = conn->h->parts;
    char trash[COPY];
    uint64_t end = part->offset + (part->left < STEP ? part->left : STEP);
    uint64_t at = part->offset;

    while (at < end) {
        size_t n = end - at < COPY ? (size_t)(end - at) : COPY;
        ssize_t got = pread(part->fd, trash, n, (off_t)at);

        if (got <= 0) /* sending finds the same, and says so */
            break;
        at += (uint64_t)got;
    }
    part->warm = end;
}

/* Whether the next n octets can be had without the disk; when that cannot be
 * asked, they cannot. The kernel reads ahead in runs, so that both ends of one
 * speak for what lies between. */
static bool in_memory(const wsk_server *srv, struct wsk__part *part, size_t n)
{
#if defined(__linux__) && defined(RWF_NOWAIT)
    uint64_t ends[2] = {part->offset, part->offset + n - 1};
    char one;
    struct iovec iov = {&one, 1};

    if (part->offset + n <= part->warm || srv->plain_files)
        return part->offset + n <= part->warm;
    for (int i = 0; i < 2; i++)
        if (preadv2(part->fd, &iov, 1, (off_t)ends[i], RWF_NOWAIT) < 0)
            return false;
    part->warm = part->offset + n;
    return true;
#else
    (void)srv;
    return part->offset + n <= part->warm;
#endif
}

/* --------------------------------------------------------------- send --- */

/* Through a buffer: where there is no sendfile(), or it refuses this file. */
static ssize_t copy_file(struct wsk_conn *conn, const struct wsk__part *part,
                         size_t n)
{
    char data[COPY];
    ssize_t got, sent;

    got = pread(part->fd, data, n < COPY ? n : COPY, (off_t)part->offset);
    if (got <= 0) {
        errno = got < 0 ? EIO : 0;
        return got;
    }
    do
        sent = send(conn->fd, data, (size_t)got, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent;
}

#if defined(__linux__)
/* sendfile() knows neither MSG_DONTWAIT nor MSG_NOSIGNAL. */
static ssize_t send_file(struct wsk_conn *conn, const struct wsk__part *part,
                         size_t n)
{
    static const struct timespec NOW;
    off_t offset = (off_t)part->offset;
    sigset_t pipe, old, pending;
    ssize_t sent;
    int saved;

    if (conn->srv->plain_files)
        return copy_file(conn, part, n);
    if (!conn->h->nonblocking) {
        fcntl(conn->fd, F_SETFL, O_NONBLOCK);
        conn->h->nonblocking = true;
    }
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe, &old);
    do
        sent = sendfile(conn->fd, part->fd, &offset, n);
    while (sent < 0 && errno == EINTR);
    saved = errno;
    /* It is raised also by a call that had sent something before. */
    if (sent < (ssize_t)n && !sigismember(&old, SIGPIPE) &&
        sigpending(&pending) == 0 && sigismember(&pending, SIGPIPE))
        sigtimedwait(&pipe, NULL, &NOW);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (sent < 0 && (saved == EINVAL || saved == ENOSYS))
        return copy_file(conn, part, n);
    errno = saved;
    return sent;
}
#else
static ssize_t send_file(struct wsk_conn *conn, const struct wsk__part *part,
                         size_t n)
{
    return copy_file(conn, part, n);
}
#endif

void wsk__parts_let_block(struct wsk_conn *conn)
{
    if (conn->h->nonblocking)
        fcntl(conn->fd, F_SETFL, 0);
    conn->h->nonblocking = false;
}

/* The file has become shorter, or cannot be read. */
static enum wsk__io cut(struct wsk_conn *conn, const struct wsk__part *part)
{
    static const struct linger RESET = {.l_onoff = 1};

    if (part->ends_by_close)
        setsockopt(conn->fd, SOL_SOCKET, SO_LINGER, &RESET, sizeof(RESET));
    wsk__server_logf(conn->srv, WSK_LOG_WARNING,
                     "a file ended before all of it was sent that was "
                     "announced: the answer is cut");
    return WSK__IO_GONE;
}

static enum wsk__io later(struct wsk_conn *conn)
{
    if (conn->h->called) /* its handler goes on, or the loop after it */
        return WSK__IO_WAIT;
    wsk__post(conn, WSK__POST_LOOK);
    return WSK__IO_LATER;
}

static enum wsk__io send_part(struct wsk_conn *conn, struct wsk__part *part,
                              size_t *budget)
{
    while (part->left > 0) {
        size_t n = part->left < STEP ? (size_t)part->left : STEP;
        ssize_t sent;

        if (*budget < n)
            return later(conn);
        /* A handler may wait for a disk: it is watched. */
        if (!conn->h->called && !in_memory(conn->srv, part, n) &&
            wsk__disk_ask(conn, read_ahead))
            return WSK__IO_LATER;
        sent = send_file(conn, part, n);
        if (sent < 0 && (errno == EAGAIN || errno == ENOBUFS))
            return WSK__IO_WAIT;
        if (sent == 0 || (sent < 0 && errno == EIO))
            return cut(conn, part);
        if (sent < 0)
            return WSK__IO_GONE;
        ack_part(conn, part, (size_t)sent);
        *budget -= (size_t)sent;
        conn->since_ms = wsk__now_ms();
    }
    return WSK__IO_DONE;
}

/* The queue and what is lent, as far as the next file, in one call. */
static ssize_t send_memory(const struct wsk_conn *conn)
{
    struct iovec iov[2 * GATHER + 1];
    const struct wsk__part *part = conn->h->parts;
    struct msghdr msg = {.msg_iov = iov};
    size_t len, behind, total;
    const uint8_t *queue = wsk_http_out_buf(&conn->h->http, &behind);
    ssize_t sent;

    if (queue == NULL)
        queue = NOTHING;
    total = behind;
    for (int i = 0; part != NULL && i < GATHER; i++, part = part->next) {
        len = part->before;
        iov[msg.msg_iovlen++] = (struct iovec){(void *)(uintptr_t)queue, len};
        queue += len;
        behind -= len;
        if (part->fd >= 0)
            break;
        len = (size_t)part->left;
        total += len;
        iov[msg.msg_iovlen++] =
            (struct iovec){(void *)(uintptr_t)(part->data + part->offset), len};
    }
    if (part == NULL)
        iov[msg.msg_iovlen++] =
            (struct iovec){(void *)(uintptr_t)queue, behind};
    if (total == 0)
        return 0;
    do
        sent = sendmsg(conn->fd, &msg,
                       MSG_DONTWAIT | MSG_NOSIGNAL |
                           (part != NULL ? MSG_MORE : 0));
    while (sent < 0 && errno == EINTR);
    return sent;
}

/* n octets of the queue and of what is lent have left. */
static void ack_memory(struct wsk_conn *conn, size_t n)
{
    struct wsk__part *part;

    while ((part = conn->h->parts) != NULL) {
        size_t queued = n < part->before ? n : part->before;
        size_t lent = n - queued;

        ack_queue(conn, part, queued);
        if (part->before > 0 || part->fd >= 0)
            return;
        if (lent < part->left) {
            ack_part(conn, part, lent);
            return;
        }
        n = lent - (size_t)part->left;
        drop_first(conn);
    }
    wsk_http_out_ack(&conn->h->http, n);
}

static enum wsk__io flush_memory(struct wsk_conn *conn)
{
    ssize_t sent = send_memory(conn);

    if (sent < 0)
        return errno == EAGAIN || errno == ENOBUFS ? WSK__IO_WAIT
                                                   : WSK__IO_GONE;
    ack_memory(conn, (size_t)sent);
    conn->since_ms = wsk__now_ms();
    return WSK__IO_DONE;
}

/* Left alone, the kernel takes megabytes for each client that does not read: a
 * thousand of them exhaust what it has for TCP, and everybody waits. */
static void pace(struct wsk_conn *conn)
{
    int unsent = UNSENT;

    conn->h->paced = true;
#if defined(TCP_NOTSENT_LOWAT)
    setsockopt(conn->fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent,
               sizeof(unsent));
#else
    (void)unsent;
#endif
}

enum wsk__io wsk__parts_flush(struct wsk_conn *conn)
{
    size_t budget = GO_MAX;

    if (conn->h->parts_owed > UNSENT && !conn->h->paced)
        pace(conn);
    while (conn->h->parts != NULL) {
        struct wsk__part *part = conn->h->parts;
        enum wsk__io io;

        if (atomic_load(&conn->h->at_disk))
            return WSK__IO_LATER;
        if (part->before > 0 || part->fd < 0) {
            io = flush_memory(conn);
        } else {
            io = send_part(conn, part, &budget);
            if (io == WSK__IO_DONE)
                drop_first(conn);
        }
        if (io != WSK__IO_DONE)
            return io;
    }
    return WSK__IO_DONE;
}
