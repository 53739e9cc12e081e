#include "net/server/certs.h"

#include "base/ascii.h"
#include "base/items.h"
#include "base/mem.h"
#include "net/board/board.h"
#include "net/conn/conns.h"
#include "net/dispatch/offload.h"
#include "net/dispatch/thread.h"
#include "net/log/log.h"
#include "net/log/page.h"
#include "net/loop/loop.h"
#include "net/os/clock.h"
#include "net/os/life.h"
#include "net/os/machine.h"
#include "net/server/dev_cert.h"
#include "net/server/server.h"
#include "tls/engine.h"
#include "tls/set.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    LOOK_MS = 10000, /* between two looks at the files */
    TICK_MS = 50,    /* until a job that was asked for is looked at */
    QUICK_MS = 100,  /* between readings of files that do not fit together */
    QUICK_TRIES = 5, /* of which so many come before a warning */
    SLOW_MS = 1000,  /* and so many after it */
    SLOW_TRIES = 30,
    NICE = 5, /* of the thread that reads: it computes, too */
    DAY_S = 86400,
    SOON_DAYS = 14, /* before the end of a certificate it is warned of */
};

static int64_t now(void *unused)
{
    (void)unused;
    return wsk__wall_s();
}

/* ---------------------------------------------------------- the set --- */

static struct wsk__tls_set *hold(struct wsk__certs *certs)
{
    struct wsk__tls_set *set;

    pthread_mutex_lock(&certs->lock);
    set = certs->set != NULL ? wsk__tls_set_ref(certs->set) : NULL;
    pthread_mutex_unlock(&certs->lock);
    return set;
}

struct wsk__tls_set *wsk__certs_current(struct wsk__conns *conns)
{
    return hold(&WSK__OWNER(conns, struct wsk_server, conns)->certs);
}

struct wsk__page_certificate *wsk__certs_list(wsk_server *srv, size_t *n,
                                              struct wsk__tls_set **set)
{
    const struct wsk__tls_certificate *about;
    struct wsk__page_certificate *list = NULL;

    *n = 0;
    *set = hold(&srv->certs);
    if (*set != NULL)
        list = wsk__calloc(srv->certs.files.n_chains * sizeof(*list));
    while (list != NULL && *n < srv->certs.files.n_chains &&
           (about = wsk__tls_set_certificate(*set, *n)) != NULL) {
        list[*n] = (struct wsk__page_certificate){
            about->name, about->path,
            about->end > 0 ? (uint64_t)about->end : 0};
        ++*n;
    }
    return list;
}

/* Give the set to connections from now on; takes the reference. */
static void swap(struct wsk__certs *certs, struct wsk__tls_set *set)
{
    struct wsk__tls_set *old;

    pthread_mutex_lock(&certs->lock);
    old = certs->set;
    certs->set = set;
    pthread_mutex_unlock(&certs->lock);
    wsk__tls_set_unref(old); /* frees it, or the last connection does */
}

/* Return true if what is in use is as bad as a replacement may be. */
static bool is_worn(const struct wsk__tls_set *set)
{
    const struct wsk__tls_certificate *about;

    for (size_t i = 0; (about = wsk__tls_set_certificate(set, i)) != NULL; i++)
        if (about->out_of_order || about->end < wsk__wall_s())
            return true;
    return false;
}

static struct wsk__tls_set *load(struct wsk__certs *certs,
                                 struct wsk__tls_fault *fault)
{
    struct wsk__tls_config config = {.seed = certs->seed, .now = now};

    config.strict = certs->set != NULL && !is_worn(certs->set);
    return wsk__cert_files_load(&certs->files, &config, fault);
}

/* --------------------------------------------------------- the log --- */

/* Write a line. Of several workers one does, for all read the same files. */
__attribute__((format(printf, 3, 4))) static void
tell(wsk_server *srv, wsk_log_level level, const char *format, ...)
{
    char text[WSK_TLS_ERROR + 160];
    va_list args;
    int n;

    if (srv->logs.worker > 1)
        return;
    va_start(args, format);
    n = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (n > 0)
        wsk__log_entry(&srv->logs, level, text,
                       (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1);
}

static void date_of(int64_t seconds, char text[32])
{
    time_t at = (time_t)seconds;
    struct tm tm;

    if (gmtime_r(&at, &tm) == NULL ||
        strftime(text, 32, "%Y-%m-%d %H:%M UTC", &tm) == 0)
        text[0] = '\0';
}

/* Warn of certificates that end soon. */
static void tell_ends(wsk_server *srv, const struct wsk__tls_set *set)
{
    const struct wsk__tls_certificate *about;
    int64_t today = wsk__wall_s();

    srv->certs.told_end_s = today;
    for (size_t i = 0; (about = wsk__tls_set_certificate(set, i)) != NULL;
         i++) {
        int64_t left = about->end - today;
        char day[32];

        date_of(left < 0 ? about->end : about->start, day);
        if (left < 0)
            tell(srv, WSK_LOG_WARNING,
                 "the certificate in %s expired on %s: clients refuse it",
                 about->path, day);
        else if (about->start > today)
            tell(srv, WSK_LOG_WARNING,
                 "the certificate in %s counts from %s only: clients "
                 "refuse it until then",
                 about->path, day);
        else if (left < SOON_DAYS * DAY_S)
            tell(srv, WSK_LOG_WARNING,
                 "the certificate in %s expires in %d days", about->path,
                 (int)(left / DAY_S));
    }
}

static void tell_warnings(wsk_server *srv, const struct wsk__tls_set *set)
{
    const char *exposed = wsk__cert_files_exposed(&srv->certs.files), *text;
    const struct wsk__tls_certificate *about;

    if (exposed != NULL)
        tell(srv, WSK_LOG_WARNING,
             "every user of this machine may read the key in %s", exposed);
    for (size_t i = 0; (about = wsk__tls_set_certificate(set, i)) != NULL; i++)
        if (about->warning != NULL)
            tell(srv, WSK_LOG_WARNING, "%s", about->warning);
    for (size_t i = 0; (text = wsk__tls_set_warning(set, i)) != NULL; i++)
        tell(srv, WSK_LOG_WARNING, "%s", text);
    tell_ends(srv, set);
}

static void tell_new(wsk_server *srv, const struct wsk__tls_set *set)
{
    const struct wsk__tls_certificate *about;

    for (size_t i = 0; (about = wsk__tls_set_certificate(set, i)) != NULL;
         i++) {
        char end[32];

        date_of(about->end, end);
        tell(srv, WSK_LOG_INFO,
             "new certificate for %.400s: serial %.80s, expires %s",
             about->names[0] != '\0' ? about->names : about->path,
             about->serial, end);
    }
    tell_warnings(srv, set);
}

static void tell_fault(wsk_server *srv, const struct wsk__tls_fault *fault)
{
    struct wsk__certs *certs = &srv->certs;

    if (strcmp(certs->told.text, fault->text) == 0)
        return;
    certs->told = *fault;
    tell(srv, WSK_LOG_WARNING, "the certificates stay as they are: %s",
         fault->text);
}

/* ------------------------------------------------------- the start --- */

static bool refuse(wsk_server *srv, const struct wsk__tls_fault *fault)
{
    snprintf(srv->conns.places.error, sizeof(srv->conns.places.error), "%s",
             fault->text);
    errno = EINVAL;
    return false;
}

/* Choose what the keys of tickets are made of: workers share it. */
static bool choose_seed(wsk_server *srv)
{
    const wsk_board *board = srv->conns.balance.board;

    if (board == NULL)
        return wsk__random(srv->certs.seed, WSK__TLS_SEED);
    memcpy(srv->certs.seed, wsk__board_seed(board), WSK__TLS_SEED);
    return true;
}

_Static_assert((int)WSK__TLS_SEED == (int)WSK__BOARD_SEED, "one seed");

/* Find the certificate of `certfile dev`. */
static bool find_dev(wsk_server *srv, char certfile[WSK__DEV_PATH],
                     struct wsk__tls_fault *fault)
{
    char authority[WSK__DEV_PATH];

    srv->certs.is_dev = true;
    if (!wsk__dev_certificate(certfile, authority, fault))
        return false;
    tell(srv, WSK_LOG_INFO,
         "certfile dev: a certificate for localhost; clients that trust "
         "%s trust it",
         authority);
    return true;
}

/* Return true if a list names dev, which stands alone. */
static bool names_dev(const char *certfile)
{
    size_t pos = 0;
    wsk_str item;

    return wsk__items_next(certfile, &pos, &item) && wsk__str_is(item, "dev");
}

/* Read all files for the first time. */
static bool begin(wsk_server *srv, struct wsk__tls_fault *fault)
{
    struct wsk__certs *certs = &srv->certs;
    char dev[WSK__DEV_PATH], list[WSK__DEV_PATH + 1];
    const char *certfile = srv->cfg.certfile;

    if (names_dev(certfile)) {
        if (!find_dev(srv, dev, fault))
            return false;
        snprintf(list, sizeof(list), "%s\n", dev); /* commas are no ends then */
        certfile = list;
    }
    wsk__cert_files_close(&certs->files);
    if (!wsk__cert_files_open(&certs->files, &srv->cfg, certfile, fault))
        return false;
    certs->set = load(certs, fault);
    return certs->set != NULL;
}

bool wsk__certs_open(wsk_server *srv)
{
    struct wsk__certs *certs = &srv->certs;
    struct wsk__tls_fault fault = {"", false};
    size_t pos = 0;
    wsk_str item;

    if (certs->set != NULL || !wsk__items_next(srv->cfg.certfile, &pos, &item))
        return true;
    if (!choose_seed(srv))
        return refuse(srv, &(struct wsk__tls_fault){"no random bytes", false});
    if (!begin(srv, &fault))
        return refuse(srv, &fault);
    tell_warnings(srv, certs->set);
    return true;
}

bool wsk__certs_fit_places(wsk_server *srv)
{
    const struct wsk__places *places = &srv->conns.places;
    struct wsk__tls_fault fault = {"", false};

    for (size_t i = 0; srv->certs.is_dev && i < places->n; i++) {
        if (wsk__place_is_local(&places->at[i]))
            continue;
        snprintf(fault.text, sizeof(fault.text),
                 "certfile dev is for this machine only, and others can reach "
                 "%.300s",
                 places->at[i].address);
        return refuse(srv, &fault);
    }
    return true;
}

void wsk__certs_init(wsk_server *srv)
{
    static const struct wsk__offload_kind KIND = {
        .threads = 1, .nice = NICE, .leave = wsk__tls_leave_thread};

    wsk__offload_open(&srv->certs.offload, &srv->life, &KIND);
    pthread_mutex_init(&srv->certs.lock, NULL);
    pthread_mutex_init(&srv->certs.reading, NULL);
}

void wsk__certs_forget(wsk_server *srv)
{
    swap(&srv->certs, NULL);
    wsk__cert_files_close(&srv->certs.files);
}

void wsk__certs_close(wsk_server *srv)
{
    wsk__certs_forget(srv);
    wsk__offload_close(&srv->certs.offload);
    pthread_mutex_destroy(&srv->certs.lock);
    pthread_mutex_destroy(&srv->certs.reading);
}

/* ------------------------------------------------------- replacing --- */

/* Read the files, and use them if they are good. Reading. */
static bool replace(wsk_server *srv, struct wsk__tls_fault *fault)
{
    struct wsk__certs *certs = &srv->certs;
    struct wsk__tls_set *set = load(certs, fault);

    if (set == NULL)
        return false;
    certs->told.text[0] = '\0';
    wsk__tls_set_ref(set); /* a connection may need it to the end */
    swap(certs, set);
    tell_new(srv, set);
    wsk__tls_set_unref(set);
    return true;
}

static void pause_ms(long ms)
{
    nanosleep(&(struct timespec){.tv_nsec = ms * 1000000}, NULL);
}

wsk_status wsk_server_reload_tls(wsk_server *srv, char error[WSK_TLS_ERROR])
{
    struct wsk__certs *certs = &srv->certs;
    struct wsk__tls_fault fault = {"", false};
    bool good;

    if (error != NULL)
        error[0] = '\0';
    if (wsk__forked(&srv->life) || certs->files.n == 0)
        return WSK_E_STATE;
    pthread_mutex_lock(&certs->reading);
    good = replace(srv, &fault);
    for (int i = 0; !good && fault.torn && i < QUICK_TRIES; i++) {
        pause_ms(QUICK_MS);
        good = replace(srv, &fault);
    }
    if (!good)
        tell_fault(srv, &fault);
    /* A torn pair may still be whole soon: the watch goes on. */
    certs->tries = !good && fault.torn ? QUICK_TRIES + 1 : 0;
    pthread_mutex_unlock(&certs->reading);
    if (error != NULL)
        snprintf(error, WSK_TLS_ERROR, "%s", fault.text);
    return good ? WSK_OK : WSK_E_SYS;
}

/* ------------------------------------------------------- the watch --- */

/* Make the certificate of `certfile dev` anew in time. */
static void renew_dev(const struct wsk__certs *certs)
{
    char file[WSK__DEV_PATH], authority[WSK__DEV_PATH];
    struct wsk__tls_fault fault;

    if (certs->is_dev) /* a failure shows by the certificate's end */
        wsk__dev_certificate(file, authority, &fault);
}

/* Look at the files, and read them if they have changed, or did not fit
 * together. Return the time until the next look. Reading. */
static uint32_t look(wsk_server *srv)
{
    struct wsk__certs *certs = &srv->certs;
    struct wsk__tls_fault fault = {"", false};

    if (wsk__wall_s() - certs->told_end_s >= DAY_S) {
        renew_dev(certs);
        tell_ends(srv, certs->set);
    }
    if (wsk__cert_files_changed(&certs->files))
        certs->tries = 0;
    else if (certs->tries == 0)
        return certs->look_ms;
    if (replace(srv, &fault)) {
        certs->tries = 0;
        return certs->look_ms;
    }
    certs->tries++;
    if (fault.torn && certs->tries <= QUICK_TRIES)
        return QUICK_MS;
    tell_fault(srv, &fault);
    if (fault.torn && certs->tries <= QUICK_TRIES + SLOW_TRIES)
        return SLOW_MS;
    certs->tries = 0;
    return certs->look_ms;
}

static wsk_server *of_job(struct wsk__job *job)
{
    return WSK__OWNER(job, struct wsk_server, certs.job);
}

static void run_job(struct wsk__job *job)
{
    wsk_server *srv = of_job(job);
    uint32_t ms;

    pthread_mutex_lock(&srv->certs.reading);
    ms = look(srv);
    pthread_mutex_unlock(&srv->certs.reading);
    atomic_store(&srv->certs.wait_ms, ms);
}

static void end_job(struct wsk__job *job)
{
    wsk_server *srv = of_job(job);

    atomic_store(&srv->certs.busy, false);
    wsk__life_drop(&srv->life);
}

/* Ask for a look by a thread that may wait for disks. False: there is none. */
static bool ask(wsk_server *srv)
{
    struct wsk__certs *certs = &srv->certs;

    certs->job.run = run_job;
    certs->job.done = end_job;
    atomic_store(&certs->busy, true);
    wsk__life_hold(&srv->life);
    if (wsk__offload_ask(&certs->offload, &certs->job))
        return true;
    atomic_store(&certs->busy, false);
    wsk__life_drop(&srv->life);
    return false;
}

/* Ask for a look, or see what has come of it. */
static wsk__leads on_timer(struct wsk__thread *th, struct wsk__source *source)
{
    wsk_server *srv = WSK__OWNER(source, struct wsk_server, certs.timer);
    struct wsk__certs *certs = &srv->certs;
    uint32_t ms = TICK_MS;

    wsk__assert_leads(th);
    if (!atomic_load(&certs->busy)) {
        if (certs->asked)
            ms = atomic_load(&certs->wait_ms);
        else if (!ask(srv))
            ms = SLOW_MS;
        certs->asked = !certs->asked && ms == TICK_MS;
    }
    wsk__loop_set_timer(&srv->loop, source, srv->loop.now_ms + ms);
    return true;
}

void wsk__certs_watch(wsk_server *srv)
{
    static const struct wsk__source_ops TIMER = {.expired = on_timer};
    const char *look_ms = getenv("WSK_TEST_CERTIFICATES_MS");
    struct wsk__certs *certs = &srv->certs;

    if (certs->set == NULL)
        return;
    certs->look_ms = look_ms != NULL ? (uint32_t)atoi(look_ms) : LOOK_MS;
    certs->timer.ops = &TIMER;
    wsk__loop_set_timer(&srv->loop, &certs->timer,
                        wsk__now_ms() + certs->look_ms);
}
