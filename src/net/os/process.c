#include "net/os/process.h"

#include <pthread.h>

atomic_uint wsk__fork_count;

static void in_forked_child(void)
{
    atomic_fetch_add(&wsk__fork_count, 1);
}

static void watch_forks(void)
{
    pthread_atfork(NULL, NULL, in_forked_child);
}

void wsk__watch_forks(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, watch_forks);
}
