#include "net/os/process.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/resource.h>

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

enum {
    RESERVED_FDS = 16,
};

unsigned wsk__descriptor_limit(unsigned asked)
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
