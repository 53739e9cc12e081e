/* net/os/process: forks of this process, and what the system lets it have. */
#ifndef WSK_NET_OS_PROCESS_H
#define WSK_NET_OS_PROCESS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

/* Number of forks: each forked child adds one, for it lacks our threads. */
extern atomic_uint wsk__fork_count;

/* Begin to count forks; idempotent. */
void wsk__watch_forks(void);

/* Return the number of descriptors that the system permits, less some for the
 * program; at most `asked`, if that is not 0. */
unsigned wsk__descriptor_limit(unsigned asked);

/* Make a thread in which all signals are blocked: they are for the program's
 * own threads. Returns 0, or the error of pthread_create(). */
int wsk__thread_make(pthread_t *thread, void *(*work)(void *), void *arg);

/* Let the calling thread yield to others: add to its nice value, where each
 * thread has one, and ask for long time slices: Linux cuts those short. */
void wsk__thread_be_nice(int by);

/* Resources of this process. */
struct wsk__usage {
    uint64_t resident; /* bytes; 0: unknown */
    uint64_t cpu_ns;   /* of user and system */
    uint64_t fds;      /* open descriptors; 0: unknown */
};

void wsk__process_usage(struct wsk__usage *out);

#endif
