#include "net/request/segments.h"

#include "base/mem.h"
#include "net/dispatch/calls.h"
#include "net/os/file.h"
#include "wsocket.h"

#include <fcntl.h>
#include <sys/types.h>
#include <unistd.h>

enum {
    COPY = 64 << 10,
};

static const uint8_t NOTHING[1];

static void add(struct wsk__segments *segments, size_t queued,
                struct wsk__segment *segment)
{
    segment->before = queued - segments->before;
    if (segments->first == NULL)
        segments->first = segment;
    else
        segments->last->next = segment;
    segments->last = segment;
    segments->before = queued;
    segments->owed += segment->left;
}

wsk_status wsk__segments_add_file(struct wsk__segments *segments, size_t queued,
                                  int fd, uint64_t offset, uint64_t length,
                                  bool ends_by_close)
{
    struct wsk__segment *segment = wsk__calloc(sizeof(*segment));

    if (segment == NULL)
        return WSK_E_NOMEM;
    segment->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (segment->fd < 0) {
        wsk__free(segment);
        return WSK_E_SYS;
    }
    segment->offset = offset;
    segment->left = length;
    segment->ends_by_close = ends_by_close;
    add(segments, queued, segment);
    return WSK_OK;
}

wsk_status wsk__segments_add_lent(struct wsk__segments *segments, size_t queued,
                                  const uint8_t *data, size_t len,
                                  void (*release)(void *user), void *user)
{
    struct wsk__segment *segment = wsk__calloc(sizeof(*segment));

    if (segment == NULL)
        return WSK_E_NOMEM;
    segment->release.call = release;
    segment->release.user = user;
    segment->data = len > 0 ? data : NOTHING;
    segment->left = len;
    segment->fd = -1;
    add(segments, queued, segment);
    return WSK_OK;
}

void wsk__segments_ack(struct wsk__segments *segments, size_t n)
{
    segments->first->offset += n;
    segments->first->left -= n;
    segments->owed -= n;
}

void wsk__segments_drop_first(struct wsk__segments *segments,
                              struct wsk__dispatch *dispatch)
{
    struct wsk__segment *segment = segments->first;

    segments->first = segment->next;
    segments->before -= segment->before;
    segments->owed -= segment->left;
    if (segment->fd >= 0)
        close(segment->fd);
    if (segment->release.call == NULL) {
        wsk__free(segment);
    } else if (dispatch == NULL) {
        segment->release.next = segments->released;
        segments->released = &segment->release;
    } else {
        wsk__release_queue(dispatch, &segment->release);
    }
}

void wsk__segments_give_back(struct wsk__segments *segments)
{
    while (segments->released != NULL) {
        struct wsk__release *release = segments->released;

        segments->released = release->next;
        release->call(release->user);
        wsk__free(release);
    }
}

void wsk__segments_clear(struct wsk__segments *segments,
                         struct wsk__dispatch *dispatch)
{
    while (segments->first != NULL)
        wsk__segments_drop_first(segments, dispatch);
}

bool wsk__segment_in_memory(struct wsk__segment *segment, size_t n,
                            bool may_ask)
{
    uint64_t end = segment->offset + n;

    if (end > segment->warm && may_ask &&
        wsk__file_is_cached(segment->fd, segment->offset) &&
        wsk__file_is_cached(segment->fd, end - 1))
        segment->warm = end;
    return end <= segment->warm;
}

void wsk__segment_read_ahead(struct wsk__segment *segment)
{
    uint64_t at = segment->offset;
    uint64_t end = at + (segment->left < WSK__SEGMENT_STEP ? segment->left
                                                           : WSK__SEGMENT_STEP);
    char trash[COPY];

    while (at < end) {
        size_t n = end - at < COPY ? (size_t)(end - at) : COPY;
        ssize_t got = pread(segment->fd, trash, n, (off_t)at);

        if (got <= 0) /* sending finds the same, and reports it */
            break;
        at += (uint64_t)got;
    }
    segment->warm = end;
}
