#include "net/request/body_file.h"

#include "base/buf.h"
#include "net/conn/conn.h"
#include "net/dispatch/offload.h"
#include "net/http1/exchange.h"
#include "net/log/limits.h"
#include "net/log/log.h"
#include "net/server/server.h"
#include "wsocket.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

/* Of a body that goes to a file in any case: so much is written at once. */
enum { STEP = 128 << 10 };

static bool is_long(const struct wsk__conn *conn)
{
    return conn->h->file_fd >= 0 ||
           conn->h->head->content_length > conn->srv->cfg.body_memory;
}

bool wsk__body_file_due(const struct wsk__conn *conn)
{
    uint64_t most = conn->srv->cfg.body_memory;

    if (most > STEP && is_long(conn))
        most = STEP;
    return wsk__buf_len(&conn->h->body) > most;
}

static int open_nameless(const char *dir)
{
    char path[4096];
    int fd, n;
#if defined(O_TMPFILE)
    fd = open(dir, O_RDWR | O_TMPFILE | O_EXCL | O_CLOEXEC, 0600);
    if (fd >= 0)
        return fd;
#endif
    /* Not every file system has such files. */
    n = snprintf(path, sizeof(path), "%s/wsocket-XXXXXX", dir);
    if (n < 0 || (size_t)n >= sizeof(path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    fd = mkostemp(path, O_CLOEXEC);
    if (fd >= 0)
        unlink(path);
    return fd;
}

/* Of spill_limit; what was reserved is given back when the request is over. */
static bool reserve(struct wsk__conn *conn, uint64_t octets)
{
    wsk_server *srv = conn->srv;
    uint64_t limit = srv->cfg.spill_limit;

    if (limit == 0)
        return true;
    conn->h->file_sum = &srv->site.spilled;
    conn->h->file_counted += octets;
    conn->h->file_full = atomic_fetch_add(&srv->site.spilled, octets) + octets >
                         limit;
    return !conn->h->file_full;
}

/* The disk's thread, or the leader where there is none. */
static void write_out(struct wsk__conn *conn)
{
    struct wsk__exchange *h = conn->h;

    if (!reserve(conn, wsk__buf_len(&h->body)))
        h->file_errno = ENOSPC;
    else if (h->file_fd < 0)
        h->file_fd = open_nameless(conn->srv->site.temp_dir);
    if (h->file_fd < 0 && h->file_errno == 0)
        h->file_errno = errno;
    while (h->file_errno == 0 && wsk__buf_len(&h->body) > 0) {
        ssize_t n =
            write(h->file_fd, wsk__buf_data(&h->body), wsk__buf_len(&h->body));

        if (n < 0 && errno != EINTR)
            h->file_errno = errno;
        if (n > 0) {
            wsk__buf_ack(&h->body, (size_t)n);
            h->spilled += (uint64_t)n;
        }
    }
    if (h->body.size > 4 * (size_t)STEP || h->file_errno != 0)
        wsk__buf_free(&h->body);
}

bool wsk__body_file_write(struct wsk__conn *conn)
{
    if (wsk__exchange_offload(conn, write_out))
        return true;
    write_out(conn);
    return false;
}

int wsk__body_file_failed(const struct wsk__conn *conn)
{
    int err = conn->h->file_errno, status;

    if (err == 0)
        return 0;
    if (conn->h->file_full) {
        wsk__limit_hit(&conn->srv->logs, WSK__LIMIT_SPILL);
        return 507;
    }
    status = err == ENOSPC || err == EDQUOT || err == EFBIG ? 507 : 500;
    wsk__logf(&conn->srv->logs, WSK_LOG_ERROR,
              "the body of a request cannot be stored in %s: %s "
              "(answered %d; TMPDIR names another place)",
              conn->srv->site.temp_dir, strerror(err), status);
    return status;
}

wsk_status wsk__body_file_read(struct wsk__conn *conn, void *data, size_t cap,
                               size_t *got)
{
    struct wsk__exchange *h = conn->h;
    ssize_t n = 0;

    *got = 0;
    if (cap > h->spilled - h->file_read)
        cap = (size_t)(h->spilled - h->file_read);
    if (cap == 0)
        return WSK_OK;
    do
        n = pread(h->file_fd, data, cap, (off_t)h->file_read);
    while (n < 0 && errno == EINTR);
    if (n == 0) /* somebody has cut it through /proc */
        errno = EIO;
    if (n <= 0)
        return WSK_E_SYS;
    h->file_read += (uint64_t)n;
    *got = (size_t)n;
    return WSK_OK;
}

void wsk__body_file_clear(struct wsk__exchange *h)
{
    if (h->file_fd >= 0)
        close(h->file_fd);
    if (h->file_counted > 0)
        atomic_fetch_sub(h->file_sum, h->file_counted);
    h->file_counted = 0;
    h->file_full = false;
    h->file_fd = -1;
    h->file_errno = 0;
    h->spilled = h->file_read = 0;
}

static void clear(struct wsk__conn *conn)
{
    wsk__body_file_clear(conn->h);
}

void wsk__body_file_drop(struct wsk__conn *conn)
{
    if (conn->h != NULL && conn->h->file_fd >= 0 &&
        !atomic_load(&conn->h->at_disk))
        wsk__exchange_offload(conn, clear);
}
