#include "net/topics/pump.h"

#include "net/os/locks.h"
#include "net/os/process.h"

#include <stddef.h>

enum {
    SLICES = 16, /* of WSK__PASS_MAX subscribers, until others have a turn */
};

void wsk__pump_init(struct wsk__pump *pump)
{
    pthread_mutex_init(&pump->lock, NULL);
    pthread_cond_init(&pump->moved, NULL);
    pump->last = &pump->first;
}

void wsk__pump_clear(struct wsk__pump *pump)
{
    pthread_cond_destroy(&pump->moved);
    pthread_mutex_destroy(&pump->lock);
}

static void append_locked(struct wsk__pump *pump, struct wsk__topic *topic)
{
    topic->next_due = NULL;
    *pump->last = topic;
    pump->last = &topic->next_due;
}

/* Take the next topic. NULL: there is none, and the calling thread is the
 * pump's no more. */
static struct wsk__topic *next_topic(struct wsk__pump *pump)
{
    struct wsk__topic *topic;

    pthread_mutex_lock(&pump->lock);
    topic = pump->first;
    if (topic != NULL)
        pump->first = topic->next_due;
    else
        pump->runs = false;
    if (pump->first == NULL)
        pump->last = &pump->first;
    pthread_cond_broadcast(&pump->moved);
    pthread_mutex_unlock(&pump->lock);
    return topic;
}

/* Pass over some subscribers of a topic. True: it stays queued. */
static bool turn(struct wsk__pump *pump, struct wsk__topic *topic)
{
    struct wsk__pass pass;
    int i = 0;

    wsk__pass_resume(pump->topics, topic, &pass);
    while (i < SLICES && wsk__pass_offer(pump->topics, &pass) > 0)
        i++;
    return wsk__pass_leave(pump->topics, &pass);
}

static void work_off(struct wsk__pump *pump)
{
    struct wsk__topic *topic;

    while ((topic = next_topic(pump)) != NULL) {
        if (!turn(pump, topic))
            continue;
        pthread_mutex_lock(&pump->lock);
        append_locked(pump, topic);
        pthread_mutex_unlock(&pump->lock);
    }
}

static void *work(void *arg)
{
    struct wsk__pump *pump = arg;

    work_off(pump);
    pump->release(pump->topics);
    return NULL;
}

static bool start_thread(struct wsk__pump *pump)
{
    pthread_t thread;
    int failed;

    assert(!wsk__holds(WSK__LOCK_ANY)); /* to make a thread may take long */
    atomic_fetch_add(pump->refs, 1);
    failed = wsk__thread_make(&thread, work, pump);
    if (failed)
        pump->release(pump->topics);
    else
        pthread_detach(thread);
    return !failed;
}

/* Wait while the pump is behind with a topic. */
static void wait_for(struct wsk__pump *pump, struct wsk__topic *topic)
{
    if (!wsk__topic_is_behind(pump->topics, topic))
        return;
    pthread_mutex_lock(&pump->lock);
    while (pump->runs && wsk__topic_is_behind(pump->topics, topic))
        pthread_cond_wait(&pump->moved, &pump->lock);
    pthread_mutex_unlock(&pump->lock);
}

void wsk__pump_ask(struct wsk__pump *pump, struct wsk__topic *topic)
{
    bool first = false;

    if (wsk__topic_queue(pump->topics, topic)) {
        pthread_mutex_lock(&pump->lock);
        append_locked(pump, topic);
        first = !pump->runs;
        pump->runs = true;
        pthread_mutex_unlock(&pump->lock);
    }
    if (first && !start_thread(pump))
        work_off(pump);
    wait_for(pump, topic);
    wsk__topic_unpin(pump->topics, topic);
}
