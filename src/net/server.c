/* wsk_server_*: the life of a server. */
#include "base/format.h"
#include "base/mem.h"
#include "net/dispatch.h"
#include "net/log/access.h"
#include "net/log/log.h"
#include "net/log/writer.h"
#include "net/loop.h"
#include "net/os/machine.h"
#include "net/static.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#if defined(__linux__)
#include <sys/eventfd.h>
#endif

/* Of a machine that does not say what it has. */
#define UNKNOWN_MEMORY (UINT64_C(1) << 30)

enum { RESERVED_FDS = 16, LOG_FLUSH_MS = 1000 };

/* ---------------------------------------------------------------- log --- */

static bool parse_level(const char *name, wsk_log_level *level)
{
    static const char *const NAME[] = {"debug", "info", "warning", "error",
                                       "critical"};

    for (size_t i = 0; i < sizeof(NAME) / sizeof(*NAME); i++)
        if (strcmp(name, NAME[i]) == 0) {
            *level = (wsk_log_level)i;
            return true;
        }
    return false;
}

/* Of compression: "fast", or a digit of zlib's. */
static bool is_level(const char *text)
{
    return strcmp(text, "fast") == 0 ||
           (text[0] >= '1' && text[0] <= '9' && text[1] == '\0');
}

/* Leaves no new file behind. */
static int try_file(const char *path, int flags)
{
    int fd = open(path, flags);

    if (fd >= 0 || errno != ENOENT)
        return fd;
    fd = open(path, flags | O_CREAT | O_EXCL, 0640);
    if (fd >= 0)
        unlink(path);
    return fd;
}

/* A log's descriptor by its option: `std` for itself and "-", which must not be
 * closed, or a file; -1 with errno. */
static int open_log(const char *path, const char *name, int std, bool trial,
                    bool *ours)
{
    const int flags = O_WRONLY | O_APPEND | O_CLOEXEC | O_NOCTTY;

    *ours = false;
    if (strcmp(path, "-") == 0)
        return STDOUT_FILENO;
    if (strcmp(path, name) == 0)
        return std;
    *ours = true;
    return trial ? try_file(path, flags) : open(path, flags | O_CREAT, 0640);
}

static bool is_off(const char *path)
{
    return path == NULL || path[0] == '\0' || strcmp(path, "none") == 0;
}

/* Make *log, or let it go on with the file of that name as it is now: all that
 * is logged once that file is there comes into it. */
static bool refresh_log(wsk_server *srv, struct wsk__log **log,
                        const char *path, const char *what)
{
    bool trial = srv->places.trial, replaces = *log != NULL && !trial;
    bool ours, good;
    int saved, fd;

    if (replaces)
        wsk__log_hold(*log);
    fd = open_log(path, "stderr", STDERR_FILENO, trial, &ours);
    good = fd >= 0;
    saved = errno;
    if (replaces)
        good = wsk__log_reopen(*log, fd) && good;
    else if (good && !trial)
        good = (*log = wsk__log_new(fd)) != NULL;
    if (fd >= 0)
        saved = errno;
    if (!good)
        snprintf(srv->places.error, sizeof(srv->places.error),
                 "cannot write the %s %s: %s", what, path, strerror(saved));
    if (ours && fd >= 0)
        close(fd);
    errno = saved;
    return good;
}

/* From log_level warning on, the default access log is off: whoever asks for
 * less noise means both. */
static bool refresh_logs(wsk_server *srv)
{
    const char *access = srv->cfg.access_logfile;
    const char *error = srv->cfg.error_logfile;
    bool quiet = is_off(access) ||
                 (srv->access_by_default && srv->log_level >= WSK_LOG_WARNING);

    if (is_off(error)) {
        wsk__log_free(srv->error_log, LOG_FLUSH_MS);
        srv->error_log = NULL;
    } else if (!refresh_log(srv, &srv->error_log, error, "error log")) {
        return false;
    }
    return quiet || refresh_log(srv, &srv->access_log, access, "access log");
}

wsk_status wsk_server_reopen_logs(wsk_server *srv)
{
    char *why = srv->places.error;

    if (wsk__forked(srv) || !srv->listening)
        return WSK_OK;
    if (refresh_logs(srv))
        return WSK_OK;
    wsk_server_log(srv, WSK_LOG_ERROR, why, strlen(why));
    return WSK_E_SYS;
}

static void open_formats(wsk_server *srv)
{
    const char *format = wsk__format_of(srv->cfg.access_log_format);
    const char *p = format;
    struct wsk__atom atom;

    srv->log_timed = strcmp(format, "json") == 0;
    srv->log_notes = false;
    while (wsk__format_next(&p, &atom)) {
        srv->log_timed |= atom.what != 0 && strchr("DTML", atom.what) != NULL;
        srv->log_notes |= atom.what == 'o';
    }
    srv->log_timed &= srv->access_log != NULL;
    srv->log_notes &= srv->access_log != NULL;
}

/* ------------------------------------------------------------ new, free --- */

void wsk__server_ref(wsk_server *srv)
{
    atomic_fetch_add(&srv->refs, 1);
}

static void forget_places(wsk_server *srv)
{
    wsk__places_clear(&srv->places, !wsk__forked(srv));
}

void wsk__server_unref(wsk_server *srv)
{
    if (atomic_fetch_sub(&srv->refs, 1) != 1)
        return;
    forget_places(srv);
    wsk__statics_free(srv->statics);
    wsk__trust_clear(&srv->trust);
    if (srv->wake_fds[0] >= 0)
        close(srv->wake_fds[0]);
    if (srv->wake_fds[1] >= 0 && srv->wake_fds[1] != srv->wake_fds[0])
        close(srv->wake_fds[1]);
    while (srv->releases != NULL) { /* too late: nobody can run them */
        struct wsk__release *release = srv->releases;

        srv->releases = release->next;
        wsk__free(release);
    }
    wsk__poller_free(srv->poller);
    wsk__log_free(srv->access_log, LOG_FLUSH_MS);
    wsk__log_free(srv->error_log, LOG_FLUSH_MS);
    pthread_mutex_destroy(&srv->lock);
    pthread_mutex_destroy(&srv->post_lock);
    for (int i = 0; i < WSK__CONN_LOCKS; i++)
        pthread_mutex_destroy(&srv->conn_locks[i].mutex);
    pthread_cond_destroy(&srv->monitor_wake);
    pthread_cond_destroy(&srv->slot_free);
    pthread_cond_destroy(&srv->changed);
    wsk__pool_clear(&srv->pool);
    wsk__free(atomic_load(&srv->spare));
    wsk__free(srv->temp_dir);
    wsk__free(srv->log_env);
    wsk__free(srv->texts);
    wsk__free(srv);
}

/* The server's own copies of the texts in its configuration. */
static bool own_texts(wsk_server *srv)
{
    wsk_server_config *cfg = &srv->cfg;
    size_t size = 0;
    char *at;

#define TEXT(name, dflt, help)                                                 \
    size += cfg->name != NULL ? strlen(cfg->name) + 1 : 0;
#define LIST(name, field, dflt, help) TEXT(field, dflt, help)
#define NONE(name, dflt, help)
    WSK_SERVER_OPTIONS(TEXT, NONE, NONE, NONE, NONE)
    WSK_LIST_OPTIONS(LIST)
#undef TEXT
    srv->texts = at = wsk__alloc(size);
    if (at == NULL)
        return false;
#define TEXT(name, dflt, help)                                                 \
    if (cfg->name != NULL) {                                                   \
        size_t n = strlen(cfg->name) + 1;                                      \
        memcpy(at, cfg->name, n);                                              \
        cfg->name = at;                                                        \
        at += n;                                                               \
    }
    WSK_SERVER_OPTIONS(TEXT, NONE, NONE, NONE, NONE)
    WSK_LIST_OPTIONS(LIST)
#undef TEXT
#undef LIST
#undef NONE
    return true;
}

static bool prepare_bodies(wsk_server *srv)
{
    static const char *const NAME[] = {"auto", "always", "never"};
    const char *dir = getenv("TMPDIR");
    size_t i = 0;

    while (i < 3 && strcmp(srv->cfg.buffer_body, NAME[i]) != 0)
        i++;
    if (i == 3) {
        errno = EINVAL;
        return false;
    }
    srv->buffering = (enum wsk__buffering)i;
    if (dir == NULL || *dir == '\0')
        dir = "/tmp";
    srv->temp_dir = wsk__memdup(dir, strlen(dir) + 1);
    return srv->temp_dir != NULL;
}

static bool open_wake(int fds[2])
{
#if defined(__linux__)
    fds[0] = fds[1] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return fds[0] >= 0;
#else
    if (pipe(fds) != 0)
        return false;
    for (int i = 0; i < 2; i++) {
        fcntl(fds[i], F_SETFD, FD_CLOEXEC);
        fcntl(fds[i], F_SETFL, O_NONBLOCK);
    }
    return true;
#endif
}

/* As many descriptors as the system lets us have, less some for the program. */
static unsigned connection_limit(unsigned asked)
{
    struct rlimit lim;
    rlim_t free_fds;

    if (getrlimit(RLIMIT_NOFILE, &lim) != 0)
        return asked ? asked : 1024;
    if (lim.rlim_cur < lim.rlim_max) {
        lim.rlim_cur = lim.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &lim) != 0)
            getrlimit(RLIMIT_NOFILE, &lim);
    }
    free_fds = lim.rlim_cur > 2 * RESERVED_FDS ? lim.rlim_cur - RESERVED_FDS
                                               : lim.rlim_cur / 2;
    if (free_fds > INT32_MAX)
        free_fds = INT32_MAX;
    return asked && asked < free_fds ? asked : (unsigned)free_fds;
}

static bool prepare(wsk_server *srv)
{
    const char *poller = getenv("WSK_TEST_POLLER");
    const char *steal = getenv("WSK_TEST_STEAL_EVERY");

    srv->access_by_default = srv->cfg.access_logfile == wsk__default_access;
    if (!own_texts(srv))
        return false;
    if (srv->cfg.threads == 0 || srv->cfg.port > UINT16_MAX ||
        !is_level(srv->cfg.ws_compression_level) ||
        !parse_level(srv->cfg.log_level, &srv->log_level)) {
        errno = EINVAL;
        return false;
    }
    if (!prepare_bodies(srv))
        return false;
    srv->max_connections = connection_limit(srv->cfg.max_connections);
    srv->poller = wsk__poller_new(poller && strcmp(poller, "poll") == 0);
    if (srv->poller == NULL || !open_wake(srv->wake_fds))
        return false;
    srv->edge = wsk__poller_is_edge(srv->poller);
    srv->wake_source = WSK__SOURCE_WAKE;
    srv->plain_files = getenv("WSK_TEST_PLAIN_FILES") != NULL;
    srv->steal_every = steal != NULL ? atoi(steal) : 0;
    wsk__wheel_init(&srv->wheel, wsk__now_ms());
    srv->error_log = wsk__log_new(STDERR_FILENO);
    return srv->error_log != NULL &&
           wsk__poller_add(srv->poller, srv->wake_fds[0], &srv->wake_source,
                           true);
}

/* memory_limit=auto: the application needs some, too, and so does the kernel
 * for what it queues. */
static uint64_t auto_memory(void)
{
    uint64_t all = wsk__machine_memory();

    return (all != UINT64_MAX ? all : UNKNOWN_MEMORY) / 4;
}

wsk_server *wsk_server_new(const wsk_server_config *cfg, wsk_handler *handler,
                           void *user, const wsk_hooks *hooks)
{
    wsk_server *srv = wsk__calloc(sizeof(*srv));
    int saved;

    if (srv == NULL) {
        errno = ENOMEM;
        return NULL;
    }
    wsk__watch_forks();
    if (cfg != NULL)
        srv->cfg = *cfg;
    else
        wsk_config_init(&srv->cfg);
    if (srv->cfg.memory_limit == WSK_AUTO)
        srv->cfg.memory_limit = auto_memory();
    if (hooks != NULL)
        srv->hooks = *hooks;
    srv->handler = handler;
    srv->user = user;
    srv->wake_fds[0] = srv->wake_fds[1] = -1;
    srv->posts_tail = &srv->posts;
    srv->ready_tail = &srv->ready;
    srv->disk_tail = &srv->disk;
    atomic_init(&srv->refs, 1);
    atomic_init(&srv->forks, atomic_load(&wsk__fork_count));
    pthread_mutex_init(&srv->lock, NULL);
    pthread_mutex_init(&srv->post_lock, NULL);
    for (int i = 0; i < WSK__CONN_LOCKS; i++)
        pthread_mutex_init(&srv->conn_locks[i].mutex, NULL);
    pthread_cond_init(&srv->monitor_wake, NULL);
    pthread_cond_init(&srv->slot_free, NULL);
    pthread_cond_init(&srv->changed, NULL);
    if (prepare(srv))
        return srv;
    saved = errno;
    wsk__server_unref(srv);
    errno = saved;
    return NULL;
}

void wsk_server_free(wsk_server *srv)
{
    if (srv == NULL)
        return;
    if (srv->started && !wsk__forked(srv)) {
        wsk_server_stop(srv, 0);
        wsk_server_join(srv, -1);
    }
    wsk__server_unref(srv);
}

/* ------------------------------------------------------------- running --- */

static wsk_status open_places(wsk_server *srv)
{
    struct wsk__bind bind = {
        WSK__BIND_TCP, {srv->cfg.host, strlen(srv->cfg.host)}, srv->cfg.port};
    size_t pos = 0;
    wsk_status st;
    wsk_str item;

    if (!wsk__items_next(srv->cfg.bind, &pos, &item))
        return wsk__listen(&srv->places, &bind, srv->cfg.backlog);
    do
        st = wsk__bind_parse(item, &bind)
                 ? wsk__listen(&srv->places, &bind, srv->cfg.backlog)
                 : WSK_E_ARG;
    while (st == WSK_OK && wsk__items_next(srv->cfg.bind, &pos, &item));
    return st;
}

/* A long body would find out. */
static void look_at_temp_dir(wsk_server *srv)
{
    if (access(srv->temp_dir, W_OK | X_OK) != 0)
        wsk__server_logf(srv, WSK_LOG_WARNING,
                         "no room for bodies above body_memory, which are "
                         "answered 507: cannot write in %s: %s",
                         srv->temp_dir, strerror(errno));
}

/* All that can fail for what the system, or another program, has. With
 * places.trial nothing of it stays but what is in `srv`. */
static wsk_status open_all(wsk_server *srv)
{
    wsk_status st;

    if (!refresh_logs(srv))
        return WSK_E_SYS;
    look_at_temp_dir(srv);
    if (!wsk__access_read_environment(srv))
        return WSK_E_NOMEM;
    if (!wsk__trust_read(&srv->trust, &srv->cfg))
        return WSK_E_ARG;
    st = open_places(srv);
    if (st == WSK_OK && srv->statics == NULL) {
        srv->statics = wsk__statics_new(srv->cfg.static_folders,
                                        srv->places.error,
                                        sizeof(srv->places.error));
        if (srv->statics == NULL && srv->cfg.static_folders != NULL)
            st = WSK_E_SYS;
    }
    if (st != WSK_OK) {
        int saved = errno;

        forget_places(srv);
        errno = saved;
    }
    return st;
}

wsk_status wsk_server_listen(wsk_server *srv)
{
    wsk_status st;

    if (srv->listening)
        return WSK_OK;
    if (srv->started)
        return WSK_E_STATE;
    st = open_all(srv);
    if (st != WSK_OK)
        return st;
    open_formats(srv);
    for (size_t i = 0; i < srv->places.n; i++) {
        struct wsk__listener *l = &srv->listeners[i];

        *l = (struct wsk__listener){
            .source = WSK__SOURCE_LISTENER, .i = i, .batch = 1};
        wsk__send_at_once(srv->places.at[i].fd);
        l->fixed = wsk__listens_at(srv->places.at[i].fd, &l->local);
    }
    srv->port = wsk__places_port(&srv->places);
    srv->listening = true;
    return WSK_OK;
}

wsk_status wsk_server_can_start(wsk_server *srv)
{
    wsk_status st;
    int saved;

    if (srv->listening || srv->started)
        return WSK_E_STATE;
    srv->places.trial = true;
    st = open_all(srv);
    saved = errno;
    forget_places(srv);
    wsk__statics_free(srv->statics);
    srv->statics = NULL;
    wsk__trust_clear(&srv->trust);
    srv->places.trial = false;
    wsk__log_flush(srv->error_log, LOG_FLUSH_MS);
    errno = saved;
    return st;
}

const char *wsk_server_error(const wsk_server *srv)
{
    return srv->places.error;
}

const char *wsk_server_url(const wsk_server *srv, size_t i)
{
    return i < srv->places.n ? srv->places.at[i].url : NULL;
}

const char *wsk_server_address(const wsk_server *srv, size_t i)
{
    return i < srv->places.n ? srv->places.at[i].address : NULL;
}

uint16_t wsk_server_port(const wsk_server *srv)
{
    return srv->port;
}

wsk_status wsk_server_start(wsk_server *srv)
{
    wsk_status st;

    if (srv->started)
        return WSK_E_STATE;
    st = wsk_server_listen(srv);
    if (st != WSK_OK)
        return st;
    for (size_t i = 0; i < srv->places.n; i++)
        if (!wsk__poller_add(srv->poller, srv->places.at[i].fd,
                             &srv->listeners[i], true))
            return WSK_E_SYS;
    atomic_store(&srv->forks, atomic_load(&wsk__fork_count));
    if (!wsk__dispatch_start(srv))
        return WSK_E_SYS;
    srv->started = true;
    return WSK_OK;
}

static void thread_free(struct wsk__thread *th)
{
    pthread_cond_destroy(&th->wake);
    wsk__buf_free(&th->spare_out);
    wsk__out_free(th->ws_out);
    wsk__free(th->heads);
    wsk__free(th->rx);
    wsk__free(th);
}

static struct wsk__thread *thread_new(wsk_server *srv, void *lent)
{
    struct wsk__thread *th = wsk__calloc(sizeof(*th));

    if (th == NULL)
        return NULL;
    pthread_cond_init(&th->wake, NULL);
    th->srv = srv;
    th->lent = lent;
    th->rx = wsk__alloc(WSK__RX_SIZE);
    th->heads = wsk__head_store_new(&srv->cfg.limits);
    wsk__buf_init(&th->spare_out, SIZE_MAX / 4);
    if (th->rx == NULL || th->heads == NULL) {
        thread_free(th);
        return NULL;
    }
    return th;
}

/* A thread that was asked for has come (+1), or one has gone (-1). */
static void count_thread(wsk_server *srv, int change)
{
    wsk__dispatch_lock(srv);
    if (change > 0)
        srv->no_threads = false;
    if (change > 0 && srv->n_awaiting > 0)
        srv->n_awaiting--;
    srv->n_threads += (unsigned)change;
    pthread_cond_broadcast(&srv->changed);
    wsk__dispatch_unlock(srv);
}

void wsk_server_work(wsk_server *srv, void *lent)
{
    struct wsk__thread *th = thread_new(srv, lent);

    wsk__server_ref(srv);
    count_thread(srv, 1);
    if (th != NULL) {
        wsk__self = th;
        wsk__dispatch_work(th);
        wsk__self = NULL;
        if (wsk__forked(srv))
            return; /* a child's copy of what other threads were using */
        thread_free(th);
    }
    count_thread(srv, -1);
    wsk__server_unref(srv);
}

wsk_status wsk_server_run(wsk_server *srv)
{
    wsk_status st = wsk_server_start(srv);

    if (st != WSK_OK)
        return st;
    st = wsk_server_join(srv, -1);
    return st == WSK_E_STATE ? WSK_E_TIMEOUT : st;
}

void wsk_server_stop(wsk_server *srv, int drain_ms)
{
    int saved = errno; /* it may run inside a signal handler */

    if (wsk__forked(srv))
        return;
    if (atomic_load(&srv->stop_asked) == 0 || drain_ms == 0)
        atomic_store(&srv->stop_ms, drain_ms);
    atomic_fetch_add(&srv->stop_asked, 1);
    wsk__wake(srv);
    errno = saved;
}

void wsk_server_pending(wsk_server *srv, wsk_pending *out)
{
    unsigned conns = atomic_load(&srv->n_conns), handlers;

    *out = (wsk_pending){0};
    if (wsk__forked(srv))
        return;
    wsk__dispatch_lock(srv);
    handlers = srv->n_running + srv->n_parked + srv->n_ready;
    out->requests = handlers > srv->n_upgraded ? handlers - srv->n_upgraded : 0;
    wsk__dispatch_unlock(srv);
    out->websockets = atomic_load(&srv->n_websockets);
    handlers = out->requests + out->websockets;
    out->others = conns > handlers ? conns - handlers : 0;
}

static bool all_gone_locked(const wsk_server *srv)
{
    /* Our own threads come when they were asked for; others perhaps never. */
    bool expected = srv->hooks.spawn == NULL && srv->n_awaiting > 0;

    return srv->ended && srv->monitor_gone && srv->n_threads == 0 && !expected;
}

wsk_status wsk_server_join(wsk_server *srv, int timeout_ms)
{
    struct timespec until;
    wsk_status st = WSK_OK;

    if (!srv->started)
        return WSK_E_STATE;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += (timeout_ms < 0 ? 3600 : timeout_ms / 1000);
    until.tv_nsec += (timeout_ms < 0 ? 0 : timeout_ms % 1000) * 1000000L;
    if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        until.tv_sec++;
    }
    wsk__dispatch_lock(srv);
    while (!all_gone_locked(srv) && st == WSK_OK) {
        /* Spares leave at once; who is in a handler may never come. */
        bool stuck = srv->ended && srv->n_running + srv->n_parked > 0;

        if (stuck)
            st = WSK_E_STATE;
        else if (pthread_cond_timedwait(&srv->changed, &srv->lock, &until) ==
                 ETIMEDOUT) {
            if (timeout_ms < 0)
                until.tv_sec += 3600;
            else
                st = WSK_E_TIMEOUT;
        }
    }
    wsk__dispatch_unlock(srv);
    if (st != WSK_E_TIMEOUT) { /* what the program prints next comes behind */
        wsk__log_flush(srv->access_log, LOG_FLUSH_MS);
        wsk__log_flush(srv->error_log, LOG_FLUSH_MS);
    }
    return st;
}
