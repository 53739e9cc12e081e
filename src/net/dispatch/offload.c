#include "net/dispatch/offload.h"

#include "net/os/life.h"
#include "net/os/locks.h"

#include <signal.h>
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
                                        struct wsk__life *life)
{
    offload->life = life;
    offload->last = &offload->first;
    pthread_mutex_init(&offload->lock, NULL);
}

void wsk__offload_close(struct wsk__offload *offload)
{
    pthread_mutex_destroy(&offload->lock);
}

/* Take the oldest job. NULL: there is none, and the calling thread serves the
 * queue no more. */
static struct wsk__job *next_job(struct wsk__offload *offload)
{
    struct wsk__job *job;

    lock_jobs(offload);
    job = offload->first;
    if (job != NULL)
        offload->first = job->next;
    if (offload->first == NULL)
        offload->last = &offload->first;
    offload->runs = job != NULL;
    unlock_jobs(offload);
    return job;
}

static void do_jobs(struct wsk__offload *offload)
{
    struct wsk__job *job;

    while ((job = next_job(offload)) != NULL) {
        job->run(job);
        job->done(job);
    }
}

static void *work(void *arg)
{
    struct wsk__offload *offload = arg;

    do_jobs(offload);
    wsk__life_drop(offload->life);
    return NULL;
}

static bool start_thread(struct wsk__offload *offload)
{
    pthread_t thread;
    sigset_t all, old;
    int failed;

    assert(!wsk__holds(WSK__LOCK_ANY)); /* to make a thread may take long */
    wsk__life_hold(offload->life);
    sigfillset(&all); /* signals are for the program's own threads */
    pthread_sigmask(SIG_BLOCK, &all, &old);
    failed = pthread_create(&thread, NULL, work, offload);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (failed)
        wsk__life_drop(offload->life);
    else
        pthread_detach(thread);
    return !failed;
}

/* Queue a job. True: the caller must make the thread. */
static bool queue_job(struct wsk__offload *offload, struct wsk__job *job)
{
    bool first;

    lock_jobs(offload);
    job->next = NULL;
    *offload->last = job;
    offload->last = &job->next;
    first = !offload->runs;
    offload->runs = true;
    unlock_jobs(offload);
    return first;
}

/* Take back a job that no thread will do. */
static void unqueue_job(struct wsk__offload *offload, struct wsk__job *job)
{
    struct wsk__job **at = &offload->first;

    lock_jobs(offload);
    while (*at != job)
        at = &(*at)->next;
    *at = job->next;
    if (*at == NULL)
        offload->last = at;
    unlock_jobs(offload);
}

bool wsk__offload_ask(struct wsk__offload *offload, struct wsk__job *job)
{
    if (!queue_job(offload, job) || start_thread(offload))
        return true;
    unqueue_job(offload, job);
    do_jobs(offload); /* other threads may have queued some since */
    return false;
}
