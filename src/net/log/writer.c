#include "net/log/writer.h"

#include "base/buf.h"
#include "base/mem.h"
#include "net/os/clock.h"
#include "net/os/locks.h"
#include "net/os/poller.h"
#include "net/os/process.h"
#include "net/os/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Most bytes that wait to be written: more than the longest entry of the error
 * log. */
enum { QUEUE_CAP = 4 << 20 };

struct wsk__log {
    atomic_bool narrow;   /* the descriptor, or the next one, takes only
                             WSK__LOG_WHOLE bytes as a whole */
    atomic_ullong n_lost; /* lines dropped since the start */

    /* writer */
    int fd;
    size_t failed; /* lines that could not be written, and no line says so */
    int why;       /* errno of the last of them */
    bool torn;     /* the file ends within a line that will not go on */
    bool told;     /* stderr knows of the failure that lasts */

    pthread_mutex_t lock;
    pthread_cond_t wake;    /* for the writer: lines, or stop */
    pthread_cond_t drained; /* from the writer: all written, or ended */
    struct wsk__buf queue;  /* lines not yet written */
    size_t dropped;         /* lines that found no room, and no line says so */
    int next_fd;            /* descriptor to go on with; -1: the same */
    bool has_writer;        /* a thread writes; until it ends */
    bool waiting;           /* the writer waits for `wake` */
    bool held;              /* between hold() and reopen() */
    bool stop;
    bool abandoned; /* free() has stopped waiting: the writer frees the log */

    struct wsk__log *next; /* in `all` */
};

/* Every log, for a forked child: no writer is left there. */
static pthread_mutex_t all_lock = PTHREAD_MUTEX_INITIALIZER;
static struct wsk__log *all;

static void before_fork(void)
{
    pthread_mutex_lock(&all_lock);
    for (struct wsk__log *log = all; log != NULL; log = log->next)
        pthread_mutex_lock(&log->lock);
}

static void after_fork(void)
{
    for (struct wsk__log *log = all; log != NULL; log = log->next)
        pthread_mutex_unlock(&log->lock);
    pthread_mutex_unlock(&all_lock);
}

/* The parent writes the lines that wait; the next line of the child makes a
 * writer of its own. Threads of the parent may stand in the conditions. */
static void in_child(void)
{
    for (struct wsk__log *log = all; log != NULL; log = log->next) {
        wsk__buf_ack(&log->queue, wsk__buf_len(&log->queue));
        log->dropped = log->failed = 0;
        atomic_store(&log->n_lost, 0);
        log->torn = log->told = false;
        log->has_writer = log->waiting = log->held = false;
        pthread_cond_init(&log->wake, NULL);
        wsk__cond_init(&log->drained);
    }
    after_fork();
}

static void watch_forks(void)
{
    pthread_atfork(before_fork, after_fork, in_child);
}

static void list_log(struct wsk__log *log)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, watch_forks);
    pthread_mutex_lock(&all_lock);
    log->next = all;
    all = log;
    pthread_mutex_unlock(&all_lock);
}

static void unlist_log(const struct wsk__log *log)
{
    struct wsk__log **at = &all;

    pthread_mutex_lock(&all_lock);
    while (*at != log)
        at = &(*at)->next;
    *at = log->next;
    pthread_mutex_unlock(&all_lock);
}

/* Return true if other processes may write to the same pipe or socket, which
 * then mixes what is longer than WSK__LOG_WHOLE. */
static bool is_narrow(int fd)
{
    struct stat st;

    return fstat(fd, &st) == 0 &&
           (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode));
}

static bool is_file(int fd)
{
    struct stat st;

    return fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}

/* Return the length of the whole lines in data[0..len). */
static size_t whole_lines(const uint8_t *data, size_t len)
{
    while (len > 0 && data[len - 1] != '\n')
        len--;
    return len;
}

/* Return how many bytes to write at once: whole lines that a pipe takes whole,
 * or one that is longer. */
static size_t piece_of(const uint8_t *data, size_t len)
{
    const uint8_t *end;
    size_t n;

    if (len <= WSK__LOG_WHOLE)
        return len;
    n = whole_lines(data, WSK__LOG_WHOLE);
    if (n > 0)
        return n;
    end = memchr(data + WSK__LOG_WHOLE, '\n', len - WSK__LOG_WHOLE);
    return end != NULL ? (size_t)(end - data) + 1 : len;
}

/* Write once. Returns -1 with errno for a failure that will not pass. */
static ssize_t write_once(int fd, const uint8_t *data, size_t len)
{
    for (;;) {
        ssize_t n = write(fd, data, len);

        if (n > 0)
            return n;
        if (n < 0 && errno == EAGAIN)
            wsk__stream_wait_once(fd, WSK__WRITE, -1);
        else if (n == 0)
            errno = EIO;
        if (n == 0 || (errno != EAGAIN && errno != EINTR))
            return -1;
    }
}

/* Remove the `n` bytes of a line that a short write has left at the end of a
 * file: a disk is full. Another process may be the first to find room again,
 * and its line would be glued to them. If the file has grown meanwhile, or
 * cannot be cut, the next line of this process begins with a line end. */
static void take_back(struct wsk__log *log, size_t n)
{
    off_t at = lseek(log->fd, 0, SEEK_CUR);
    struct stat st;

    if (at >= (off_t)n && fstat(log->fd, &st) == 0 && st.st_size == at &&
        ftruncate(log->fd, at - (off_t)n) == 0)
        lseek(log->fd, at - (off_t)n, SEEK_SET); /* without O_APPEND */
    else
        log->torn = true;
}

/* Write lines to a file. Returns the bytes of those that are there. */
static size_t write_file(struct wsk__log *log, const uint8_t *data, size_t len)
{
    size_t done = 0;

    while (done < len) {
        ssize_t n = write_once(log->fd, data + done, len - done);
        size_t whole;

        if (n < 0)
            break;
        whole = whole_lines(data + done, (size_t)n);
        if (whole < (size_t)n)
            take_back(log, (size_t)n - whole);
        done += whole;
        if (whole == 0) {
            errno = ENOSPC;
            break;
        }
    }
    return done;
}

/* Write lines to a pipe, a socket or a terminal. */
static size_t write_stream(int fd, bool narrow, const uint8_t *data, size_t len)
{
    size_t done = 0, left = 0; /* of the piece that is being written */

    while (done < len) {
        ssize_t n;

        if (left == 0)
            left = narrow ? piece_of(data + done, len - done) : len;
        n = write_once(fd, data + done, left);
        if (n < 0)
            break;
        done += (size_t)n;
        left -= (size_t)n;
    }
    return done;
}

static size_t count_lines(const uint8_t *data, size_t len)
{
    size_t n = 0;

    while (len > 0)
        n += data[--len] == '\n';
    return n;
}

/* Write lines, as many as can be. False: one could not be, and errno says why.
 */
static size_t write_lines(struct wsk__log *log, const uint8_t *data, size_t len)
{
    if (!is_file(log->fd))
        return write_stream(log->fd, is_narrow(log->fd), data, len);
    if (log->torn && write_once(log->fd, (const uint8_t *)"\n", 1) != 1)
        return 0;
    log->torn = false;
    return write_file(log, data, len);
}

/* Return true if both are the same file, or one is not open. */
static bool is_same(int a, int b)
{
    struct stat one, other;

    return fstat(a, &one) != 0 || fstat(b, &other) != 0 ||
           (one.st_dev == other.st_dev && one.st_ino == other.st_ino);
}

/* Say on standard error, unless that is the log or takes nothing now, that
 * lines cannot be written: no log may be left that could say so. */
static void tell_stderr(struct wsk__log *log)
{
    char link[32], path[160], line[320];
    int flags = fcntl(STDERR_FILENO, F_GETFL);
    ssize_t n;
    int len;

    if (log->told || flags < 0 || (flags & O_ACCMODE) == O_RDONLY ||
        is_same(log->fd, STDERR_FILENO))
        return;
    log->told = true;
    snprintf(link, sizeof(link), "/proc/self/fd/%d", log->fd);
    n = readlink(link, path, sizeof(path) - 1);
    path[n > 0 ? n : 0] = '\0';
    len = snprintf(line, sizeof(line),
                   "wsocket: the log %s cannot be written: %s; lines are "
                   "dropped and counted\n",
                   path, strerror(log->why));
    if (wsk__stream_wait_once(STDERR_FILENO, WSK__WRITE, 0) > 0 &&
        write(STDERR_FILENO, line, (size_t)len) < 0)
        return; /* this log and stderr have both failed */
}

/* Write a batch; count what could not be written. */
static void write_batch(struct wsk__log *log, const uint8_t *data, size_t len)
{
    size_t done = write_lines(log, data, len);

    if (done == len)
        return;
    log->why = errno;
    log->failed += count_lines(data + done, len - done);
    atomic_fetch_add(&log->n_lost, count_lines(data + done, len - done));
    tell_stderr(log);
}

/* Say how many lines were dropped. False: that cannot be written either. */
static bool tell_dropped(struct wsk__log *log, size_t n, const char *why)
{
    char line[160];
    int len = snprintf(line, sizeof(line),
                       "wsocket: %zu log lines dropped, %s\n", n, why);

    if (len < 0 || len >= (int)sizeof(line))
        return true;
    return write_lines(log, (const uint8_t *)line, (size_t)len) == (size_t)len;
}

/* Say which lines of earlier batches were dropped because a disk is full. */
static void tell_failed(struct wsk__log *log)
{
    if (log->failed > 0 && tell_dropped(log, log->failed, strerror(log->why))) {
        log->failed = 0;
        log->told = false;
    }
}

/* Say how many lines found no room while a batch was being written. */
static void tell_late(struct wsk__log *log, size_t dropped)
{
    if (dropped > 0 && !tell_dropped(log, dropped, "the log is too slow"))
        log->failed += dropped;
}

static void log_destroy(struct wsk__log *log)
{
    unlist_log(log);
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

static void *log_writer(void *arg)
{
    struct wsk__log *log = arg;
    struct wsk__buf batch;
    bool abandoned;

    wsk__buf_init(&batch, QUEUE_CAP);
    pthread_mutex_lock(&log->lock);
    for (;;) {
        struct wsk__buf empty = batch;
        size_t dropped;

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
            log->torn = false;
        }
        batch = log->queue;
        log->queue = empty;
        dropped = log->dropped;
        log->dropped = 0;
        pthread_mutex_unlock(&log->lock);
        tell_failed(log);
        write_batch(log, wsk__buf_data(&batch), wsk__buf_len(&batch));
        tell_late(log, dropped);
        wsk__buf_ack(&batch, wsk__buf_len(&batch));
        pthread_mutex_lock(&log->lock);
    }
    log->has_writer = false;
    abandoned = log->abandoned;
    pthread_cond_broadcast(&log->drained);
    pthread_mutex_unlock(&log->lock);
    wsk__buf_free(&batch);
    if (abandoned)
        log_destroy(log);
    return NULL;
}

/* Return true if the caller is to make the writer: the log has none, and is
 * said to have one from now on. */
static bool claim_writer_locked(struct wsk__log *log)
{
    bool claimed = !log->has_writer;

    log->has_writer = true;
    return claimed;
}

/* Make the writer that was claimed. False with errno: the log has none. */
static bool make_writer(struct wsk__log *log)
{
    pthread_t writer;
    int failed = wsk__thread_make(&writer, log_writer, log);

    if (failed == 0) {
        pthread_detach(writer);
        return true;
    }
    pthread_mutex_lock(&log->lock);
    log->has_writer = false;
    pthread_cond_broadcast(&log->drained);
    pthread_mutex_unlock(&log->lock);
    errno = failed;
    return false;
}

bool wsk__log_begin(struct wsk__log *log)
{
    bool claimed;

    if (log == NULL)
        return true;
    pthread_mutex_lock(&log->lock);
    claimed = claim_writer_locked(log);
    pthread_mutex_unlock(&log->lock);
    return !claimed || make_writer(log);
}

struct wsk__log *wsk__log_new(int fd)
{
    struct wsk__log *log = wsk__calloc(sizeof(*log));
    int copy = log != NULL ? fcntl(fd, F_DUPFD_CLOEXEC, 3) : -1;

    if (copy < 0) {
        wsk__free(log);
        return NULL;
    }
    log->next_fd = -1;
    log->fd = copy;
    atomic_init(&log->narrow, is_narrow(fd));
    wsk__buf_init(&log->queue, QUEUE_CAP);
    pthread_mutex_init(&log->lock, NULL);
    pthread_cond_init(&log->wake, NULL);
    wsk__cond_init(&log->drained);
    list_log(log);
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
    if (copy >= 0) {
        log->next_fd = copy;
        atomic_store(&log->narrow, is_narrow(copy));
    }
    log->held = false;
    pthread_cond_signal(&log->wake);
    pthread_mutex_unlock(&log->lock);
    if (old >= 0)
        close(old);
    errno = saved;
    return fd < 0 || copy >= 0;
}

/* Wait until the writer has written all, or has ended, or is not there. */
static void await_drained_locked(struct wsk__log *log, unsigned wait_ms)
{
    struct timespec until = wsk__wait_until(wait_ms);

    while (log->has_writer &&
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
    gone = !log->has_writer;
    log->abandoned = !gone;
    pthread_mutex_unlock(&log->lock);
    if (gone)
        log_destroy(log);
}

size_t wsk__log_longest(const struct wsk__log *log)
{
    return log != NULL && atomic_load(&log->narrow) ? WSK__LOG_WHOLE - 1
                                                    : SIZE_MAX;
}

uint64_t wsk__log_dropped(const struct wsk__log *log)
{
    return log != NULL ? atomic_load(&log->n_lost) : 0;
}

void wsk__log_line(struct wsk__log *log, const char *text, size_t len)
{
    uint8_t *room;
    bool claimed;

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
        atomic_fetch_add(&log->n_lost, 1);
    }
    if (log->waiting) {
        log->waiting = false; /* one signal is enough */
        pthread_cond_signal(&log->wake);
    }
    claimed = claim_writer_locked(log);
    pthread_mutex_unlock(&log->lock);
    if (claimed)
        make_writer(log); /* if it fails, the next line tries again */
}
