#include "net/dispatch/offload.h"

#include "net/os/clock.h"
#include "net/os/life.h"
#include "net/os/locks.h"
#include "net/os/process.h"

#include <errno.h>
#include <stddef.h>

static void lock_jobs(struct wsk__offload *offload)
    WSK__ACQUIRE(wsk__cap_offload) WSK__NO_ANALYSIS
{
    wsk__lock(&offload->lock, WSK__LOCK_OFFLOAD);
}

static void unlock_jobs(struct wsk__offload *offload)
    WSK__RELEASE(wsk__cap_offload) WSK__NO_ANALYSIS
{
    wsk__unlock(&offload->lock, WSK__LOCK_OFFLOAD);
}

/* No other thread knows the lock yet. */
WSK__NO_ANALYSIS void wsk__offload_open(struct wsk__offload *offload,
                                        struct wsk__life *life,
                                        const struct wsk__offload_kind *kind)
{
    offload->life = life;
    offload->kind = *kind;
    offload->last = &offload->first;
    pthread_mutex_init(&offload->lock, NULL);
    wsk__cond_init(&offload->wake);
    pthread_cond_init(&offload->left, NULL);
}

void wsk__offload_end(struct wsk__offload *offload)
{
    lock_jobs(offload);
    offload->ended = true;
    pthread_cond_broadcast(&offload->wake);
    unlock_jobs(offload);
}

void wsk__offload_join(struct wsk__offload *offload)
{
    lock_jobs(offload);
    while (offload->n_alive > 0)
        pthread_cond_wait(&offload->left, &offload->lock);
    unlock_jobs(offload);
}

void wsk__offload_close(struct wsk__offload *offload)
{
    lock_jobs(offload); /* a thread that departs may still have it */
    unlock_jobs(offload);
    pthread_mutex_destroy(&offload->lock);
    pthread_cond_destroy(&offload->wake);
    pthread_cond_destroy(&offload->left);
}

/* Wait a moment for a job. */
static void await_job_locked(struct wsk__offload *offload)
    WSK__REQUIRES(wsk__cap_offload)
{
    struct timespec until = wsk__wait_until(offload->kind.idle_ms);

    offload->n_idle++;
    while (offload->first == NULL && !offload->ended &&
           pthread_cond_timedwait(&offload->wake, &offload->lock, &until) !=
               ETIMEDOUT)
        ;
    offload->n_idle--;
}

/* Take the oldest job. NULL: there is none, and the calling thread serves the
 * queue no more. `waits`: for a moment, first. */
static struct wsk__job *next_job(struct wsk__offload *offload, bool waits)
{
    struct wsk__job *job;

    lock_jobs(offload);
    if (waits && offload->first == NULL && offload->kind.idle_ms > 0)
        await_job_locked(offload);
    job = offload->first;
    if (job != NULL) {
        offload->first = job->next;
        offload->n--;
    }
    if (offload->first == NULL)
        offload->last = &offload->first;
    offload->n_threads -= job == NULL;
    unlock_jobs(offload);
    return job;
}

static void do_jobs(struct wsk__offload *offload, bool waits)
{
    struct wsk__job *job;

    while ((job = next_job(offload, waits)) != NULL) {
        job->run(job);
        job->done(job);
    }
}

/* Count a thread that is being made, and its reference to the server. */
static void arrive(struct wsk__offload *offload)
{
    wsk__life_hold(offload->life);
    lock_jobs(offload);
    offload->n_alive++;
    unlock_jobs(offload);
}

/* Count a thread that leaves. Once the lock is free, those that wait for it may
 * free the server, unless it had the last reference. */
static void depart(struct wsk__offload *offload)
{
    struct wsk__life *life = offload->life;
    bool last;

    lock_jobs(offload);
    if (--offload->n_alive == 0)
        pthread_cond_broadcast(&offload->left);
    last = wsk__life_let_go(life);
    unlock_jobs(offload);
    if (last)
        life->end(life);
}

static void *work(void *arg)
{
    struct wsk__offload *offload = arg;

    if (offload->kind.nice > 0)
        wsk__thread_be_nice(offload->kind.nice);
    do_jobs(offload, true);
    if (offload->kind.leave != NULL)
        offload->kind.leave();
    depart(offload);
    return NULL;
}

static bool start_thread(struct wsk__offload *offload)
{
    pthread_t thread;
    int failed;

    assert(!wsk__holds(WSK__LOCK_ANY)); /* to make a thread may take long */
    arrive(offload);
    failed = wsk__thread_make(&thread, work, offload);
    if (failed)
        depart(offload);
    else
        pthread_detach(thread);
    return !failed;
}

/* Queue a job. True: the caller must make a thread. */
static bool queue_job(struct wsk__offload *offload, struct wsk__job *job)
{
    bool start = false;

    lock_jobs(offload);
    job->next = NULL;
    *offload->last = job;
    offload->last = &job->next;
    if (offload->n_idle > offload->n)
        pthread_cond_signal(&offload->wake);
    else
        start = offload->n_threads < offload->kind.threads;
    offload->n++;
    offload->n_threads += start;
    unlock_jobs(offload);
    return start;
}

/* Forget the thread that could not be made. True: others are there; else the
 * job is taken back, and the calling thread has the place of one. */
static bool others_come(struct wsk__offload *offload, struct wsk__job *job)
{
    struct wsk__job **at = &offload->first;
    bool others;

    lock_jobs(offload);
    others = offload->n_threads > 1;
    if (others) {
        offload->n_threads--;
    } else {
        while (*at != job)
            at = &(*at)->next;
        *at = job->next;
        if (*at == NULL)
            offload->last = at;
        offload->n--;
    }
    unlock_jobs(offload);
    return others;
}

bool wsk__offload_ask(struct wsk__offload *offload, struct wsk__job *job)
{
    if (!queue_job(offload, job) || start_thread(offload) ||
        others_come(offload, job))
        return true;
    do_jobs(offload, false); /* other threads may have queued some since */
    return false;
}
