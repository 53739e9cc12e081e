#include "net/request/body_file.h"

#include "base/buf.h"
#include "net/log/limits.h"
#include "net/log/log.h"
#include "net/request/body.h"
#include "net/request/site.h"
#include "wsocket.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

/* Bytes of one write, of a body that goes to a file in any case. */
enum { STEP = 128 << 10 };

bool wsk__body_file_due(const struct wsk__body *body, const wsk_head *head,
                        uint64_t most)
{
    bool goes = body->file.fd >= 0 || head->content_length > most;

    if (most > STEP && goes)
        most = STEP;
    return wsk__buf_len(&body->buf) > most;
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

/* Reserve bytes of spill_limit, for the time of the request. */
static bool reserve(struct wsk__body_file *file, uint64_t bytes,
                    struct wsk__site *site, uint64_t limit)
{
    if (limit == 0)
        return true;
    file->sum = &site->body_file_bytes;
    file->counted += bytes;
    file->full = atomic_fetch_add(&site->body_file_bytes, bytes) + bytes >
                 limit;
    return !file->full;
}

void wsk__body_file_write(struct wsk__body *body, struct wsk__site *site,
                          uint64_t limit)
{
    struct wsk__body_file *file = &body->file;
    struct wsk__buf *buf = &body->buf;

    if (!reserve(file, wsk__buf_len(buf), site, limit))
        file->error = ENOSPC;
    else if (file->fd < 0)
        file->fd = open_nameless(site->temp_dir);
    if (file->fd < 0 && file->error == 0)
        file->error = errno;
    while (file->error == 0 && wsk__buf_len(buf) > 0) {
        ssize_t n = write(file->fd, wsk__buf_data(buf), wsk__buf_len(buf));

        if (n < 0 && errno != EINTR)
            file->error = errno;
        if (n > 0) {
            wsk__buf_ack(buf, (size_t)n);
            file->stored += (uint64_t)n;
        }
    }
    if (buf->size > 4 * (size_t)STEP || file->error != 0)
        wsk__buf_free(buf);
}

int wsk__body_file_failed(const struct wsk__body *body, struct wsk__logs *logs,
                          const char *temp_dir)
{
    int err = body->file.error, status;

    if (err == 0)
        return 0;
    if (body->file.full) {
        wsk__limit_hit(logs, WSK__LIMIT_BODY_FILES);
        return 507;
    }
    status = err == ENOSPC || err == EDQUOT || err == EFBIG ? 507 : 500;
    wsk__logf(logs, WSK_LOG_ERROR,
              "the body of a request cannot be stored in %s: %s "
              "(answered %d; TMPDIR names another place)",
              temp_dir, strerror(err), status);
    return status;
}

wsk_status wsk__body_file_read(struct wsk__body *body, void *data, size_t cap,
                               size_t *got)
{
    struct wsk__body_file *file = &body->file;
    ssize_t n = 0;

    *got = 0;
    if (cap > file->stored - file->read)
        cap = (size_t)(file->stored - file->read);
    if (cap == 0)
        return WSK_OK;
    do
        n = pread(file->fd, data, cap, (off_t)file->read);
    while (n < 0 && errno == EINTR);
    if (n == 0) /* another process has cut it, through /proc */
        errno = EIO;
    if (n <= 0)
        return WSK_E_SYS;
    file->read += (uint64_t)n;
    *got = (size_t)n;
    return WSK_OK;
}

void wsk__body_file_clear(struct wsk__body *body)
{
    struct wsk__body_file *file = &body->file;

    if (file->fd >= 0)
        close(file->fd);
    if (file->counted > 0)
        atomic_fetch_sub(file->sum, file->counted);
    *file = (struct wsk__body_file){.fd = -1};
}
