#include "net/request/segments.h"

#include "base/mem.h"
#include "net/conn/conn.h"
#include "net/dispatch/calls.h"
#include "net/http1/exchange.h"
#include "net/os/file.h"
#include "net/server/server.h"
#include "wsocket.h"

#include <fcntl.h>
#include <sys/types.h>
#include <unistd.h>

enum {
    STEP = 256 << 10, /* of a file, between two looks at the disk */
    COPY = 64 << 10,
};

static const uint8_t NOTHING[1];

static void add(struct wsk__conn *conn, struct wsk__segment *part)
{
    struct wsk__exchange *h = conn->h;
    size_t queued;

    wsk_http_out_buf(&h->http, &queued);
    part->before = queued - h->segments_before;
    if (h->segments == NULL)
        h->segments = part;
    else
        h->last_segment->next = part;
    h->last_segment = part;
    h->segments_before = queued;
    h->segments_owed += part->left;
}

void wsk__segment_ack(struct wsk__conn *conn, struct wsk__segment *part,
                      size_t n)
{
    part->offset += n;
    part->left -= n;
    conn->h->segments_owed -= n;
}

wsk_status wsk__segments_add_file(struct wsk__conn *conn, int fd,
                                  uint64_t offset, uint64_t length,
                                  bool ends_by_close)
{
    struct wsk__segment *part = wsk__calloc(sizeof(*part));

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

wsk_status wsk__segments_add_lent(struct wsk__conn *conn, const uint8_t *data,
                                  size_t len, void (*release)(void *user),
                                  void *user)
{
    struct wsk__segment *part = wsk__calloc(sizeof(*part));

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

void wsk__segments_drop_first(struct wsk__conn *conn)
{
    struct wsk__segment *part = conn->h->segments;

    conn->h->segments = part->next;
    conn->h->segments_before -= part->before;
    conn->h->segments_owed -= part->left;
    if (part->fd >= 0)
        close(part->fd);
    if (part->release.call == NULL) {
        wsk__free(part);
    } else if (conn->h->called) {
        part->release.next = conn->h->released;
        conn->h->released = &part->release;
    } else {
        wsk__release_queue(&conn->srv->dispatch, &part->release);
    }
}

void wsk__segments_give_back(struct wsk__conn *conn)
{
    while (conn->h->released != NULL) {
        struct wsk__release *release = conn->h->released;

        conn->h->released = release->next;
        release->call(release->user);
        wsk__free(release);
    }
}

void wsk__segments_free(struct wsk__conn *conn)
{
    while (conn->h->segments != NULL)
        wsk__segments_drop_first(conn);
}

void wsk__segment_read_ahead(struct wsk__conn *conn)
{
    struct wsk__segment *part = conn->h->segments;
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

bool wsk__segment_in_memory(const wsk_server *srv, struct wsk__segment *part,
                            size_t n)
{
    uint64_t end = part->offset + n;

    if (end > part->warm && !srv->site.plain_files &&
        wsk__file_is_cached(part->fd, part->offset) &&
        wsk__file_is_cached(part->fd, end - 1))
        part->warm = end;
    return end <= part->warm;
}
