#include "net/log/writer.h"

#include "base/buf.h"
#include "base/mem.h"
#include "net/os/locks.h"
#include "net/os/poller.h"
#include "net/os/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Most bytes that wait to be written: more than the longest entry of the error
 * log. */
enum { QUEUE_CAP = 4 << 20 };

struct wsk__log {
    int fd;
    pthread_t writer;
    pthread_mutex_t lock;
    pthread_cond_t wake;    /* for the writer: lines, or stop */
    pthread_cond_t drained; /* from the writer: all written, or ended */
    struct wsk__buf queue;  /* lines not yet written */
    size_t dropped;
    int next_fd;  /* descriptor to go on with; -1: the same */
    bool waiting; /* the writer waits for `wake` */
    bool held;    /* between hold() and reopen() */
    bool stop, gone;
    bool abandoned; /* free() has stopped waiting: the writer frees the log */
};

static void write_all(int fd, const uint8_t *data, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, data, len);

        if (n > 0) {
            data += n;
            len -= (size_t)n;
        } else if (n < 0 && errno == EAGAIN) {
            wsk__stream_wait_once(fd, WSK__WRITE, -1);
        } else if (n < 0 && errno != EINTR) {
            return; /* the reader is gone, and the lines are lost */
        }
    }
}

static void log_destroy(struct wsk__log *log)
{
    pthread_mutex_destroy(&log->lock);
    pthread_cond_destroy(&log->wake);
    pthread_cond_destroy(&log->drained);
    wsk__buf_free(&log->queue);
    if (log->fd >= 0)
        close(log->fd);
    if (log->next_fd >= 0)
        close(log->next_fd);
    wsk__free(log);
}

static void note_dropped_locked(struct wsk__log *log)
{
    char line[80];
    int n = snprintf(line, sizeof(line),
                     "wsocket: %zu log lines dropped, the log is too slow\n",
                     log->dropped);

    if (log->dropped > 0 && wsk__buf_put(&log->queue, line, (size_t)n))
        log->dropped = 0;
}

static void *log_writer(void *arg)
{
    struct wsk__log *log = arg;
    struct wsk__buf batch;
    bool abandoned;

    wsk__buf_init(&batch, QUEUE_CAP);
    pthread_mutex_lock(&log->lock);
    for (;;) {
        struct wsk__buf empty = batch;

        while ((wsk__buf_len(&log->queue) == 0 || log->held) && !log->stop) {
            log->waiting = true;
            pthread_cond_broadcast(&log->drained);
            pthread_cond_wait(&log->wake, &log->lock);
        }
        log->waiting = false;
        if (wsk__buf_len(&log->queue) == 0)
            break;
        if (log->next_fd >= 0) {
            close(log->fd);
            log->fd = log->next_fd;
            log->next_fd = -1;
        }
        batch = log->queue;
        log->queue = empty;
        note_dropped_locked(log);
        pthread_mutex_unlock(&log->lock);
        write_all(log->fd, wsk__buf_data(&batch), wsk__buf_len(&batch));
        wsk__buf_ack(&batch, wsk__buf_len(&batch));
        pthread_mutex_lock(&log->lock);
    }
    log->gone = true;
    abandoned = log->abandoned;
    pthread_cond_broadcast(&log->drained);
    pthread_mutex_unlock(&log->lock);
    wsk__buf_free(&batch);
    if (abandoned)
        log_destroy(log);
    return NULL;
}

struct wsk__log *wsk__log_new(int fd)
{
    struct wsk__log *log = wsk__calloc(sizeof(*log));
    sigset_t all, old;
    int failed;

    if (log == NULL)
        return NULL;
    log->next_fd = -1;
    log->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    wsk__buf_init(&log->queue, QUEUE_CAP);
    pthread_mutex_init(&log->lock, NULL);
    pthread_cond_init(&log->wake, NULL);
    pthread_cond_init(&log->drained, NULL);
    /* Signals of the process are for the program's own threads. */
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &old);
    failed = log->fd < 0 ? errno
                         : pthread_create(&log->writer, NULL, log_writer, log);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (failed) {
        log_destroy(log);
        errno = failed;
        return NULL;
    }
    pthread_detach(log->writer);
    return log;
}

void wsk__log_hold(struct wsk__log *log)
{
    pthread_mutex_lock(&log->lock);
    log->held = true;
    pthread_mutex_unlock(&log->lock);
}

bool wsk__log_reopen(struct wsk__log *log, int fd)
{
    int copy = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 3);
    int saved = errno, old;

    pthread_mutex_lock(&log->lock);
    old = copy < 0 ? -1 : log->next_fd;
    if (copy >= 0)
        log->next_fd = copy;
    log->held = false;
    pthread_cond_signal(&log->wake);
    pthread_mutex_unlock(&log->lock);
    if (old >= 0)
        close(old);
    errno = saved;
    return fd < 0 || copy >= 0;
}

/* Wait until the writer has written all, or has ended. */
static void await_drained_locked(struct wsk__log *log, unsigned wait_ms)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += wait_ms / 1000;
    until.tv_nsec += (long)(wait_ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        until.tv_sec++;
    }
    while (!log->gone &&
           (log->stop || !log->waiting || wsk__buf_len(&log->queue) > 0) &&
           pthread_cond_timedwait(&log->drained, &log->lock, &until) !=
               ETIMEDOUT)
        continue;
}

void wsk__log_flush(struct wsk__log *log, unsigned wait_ms)
{
    if (log == NULL)
        return;
    pthread_mutex_lock(&log->lock);
    await_drained_locked(log, wait_ms);
    pthread_mutex_unlock(&log->lock);
}

void wsk__log_free(struct wsk__log *log, unsigned wait_ms)
{
    bool gone;

    if (log == NULL)
        return;
    pthread_mutex_lock(&log->lock);
    log->stop = true;
    pthread_cond_signal(&log->wake);
    await_drained_locked(log, wait_ms);
    gone = log->gone;
    log->abandoned = !gone;
    pthread_mutex_unlock(&log->lock);
    if (gone)
        log_destroy(log);
}

void wsk__log_line(struct wsk__log *log, const char *text, size_t len)
{
    uint8_t *room;

    assert(!wsk__holds(WSK__LOCK_ANY)); /* formatting a line takes long */
    if (log == NULL)
        return;
    pthread_mutex_lock(&log->lock);
    room = wsk__buf_room(&log->queue, len + 1);
    if (room != NULL) {
        memcpy(room, text, len);
        room[len] = '\n';
        wsk__buf_grow_tail(&log->queue, len + 1);
    } else {
        log->dropped++;
    }
    if (log->waiting) {
        log->waiting = false; /* one signal is enough */
        pthread_cond_signal(&log->wake);
    }
    pthread_mutex_unlock(&log->lock);
}
