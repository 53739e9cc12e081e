#include "net/os/process.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#if defined(__linux__)
#include <sys/syscall.h>
#endif

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
    KEEP_POLICY = 0x08,    /* SCHED_FLAG_KEEP_POLICY, since Linux 5.3 */
    LONG_SLICE = 20000000, /* ns; sched_setattr() takes 0.1 to 100 ms */
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

int wsk__thread_make(pthread_t *thread, void *(*work)(void *), void *arg)
{
    sigset_t all, old;
    int failed;

    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &old);
    failed = pthread_create(thread, NULL, work, arg);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return failed;
}

void wsk__thread_be_nice(int by)
{
#if defined(__linux__) /* elsewhere the value is the process's */
    struct {           /* struct sched_attr, which some C libraries lack */
        uint32_t size, policy;
        uint64_t flags;
        int32_t nice;
        uint32_t priority;
        uint64_t runtime, deadline, period; /* ns */
    } wanted = {.size = sizeof(wanted), .flags = KEEP_POLICY};

    wanted.nice = getpriority(PRIO_PROCESS, 0) + by;
    wanted.runtime = LONG_SLICE;
    if (syscall(SYS_sched_setattr, 0, &wanted, 0) != 0)
        setpriority(PRIO_PROCESS, 0, wanted.nice);
#else
    (void)by;
#endif
}

static uint64_t ns_of(struct timeval time)
{
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_usec * 1000;
}

/* Return the second number of /proc/self/statm, in bytes. */
static uint64_t resident(void)
{
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    char text[128], *at;
    uint64_t pages;
    ssize_t n;

    if (fd < 0)
        return 0;
    n = read(fd, text, sizeof(text) - 1);
    close(fd);
    text[n > 0 ? n : 0] = '\0';
    strtoull(text, &at, 10);
    pages = strtoull(at, NULL, 10);
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

void wsk__process_usage(struct wsk__usage *out)
{
    struct rusage usage;
    struct stat st;

    *out = (struct wsk__usage){.resident = resident()};
    if (getrusage(RUSAGE_SELF, &usage) == 0)
        out->cpu_ns = ns_of(usage.ru_utime) + ns_of(usage.ru_stime);
    /* The size of the folder is their number, since Linux 6.2. To count them
     * would take as long as they are many. */
    if (stat("/proc/self/fd", &st) == 0 && st.st_size > 0)
        out->fds = (uint64_t)st.st_size;
}
