/* net/dispatch/offload: threads that do long work in the leader's place: that
 * wait for disks, or compute. They live only while there are jobs, and for a
 * moment after. */
#ifndef WSK_NET_DISPATCH_OFFLOAD_H
#define WSK_NET_DISPATCH_OFFLOAD_H

#include "net/os/locks.h"

#include <pthread.h>
#include <stdbool.h>

struct wsk__life;

/* A job for a thread of the offload, which calls both ops. */
struct wsk__job {
    WSK__GUARDED_BY(wsk__cap_offload) struct wsk__job *next;
    void (*run)(struct wsk__job *job);  /* may wait */
    void (*done)(struct wsk__job *job); /* post, and give references back; the
                                           job may be asked for again */
};

/* How a queue is served. */
struct wsk__offload_kind {
    unsigned threads;    /* at most; 1 or more */
    int nice;            /* added to the nice value of its threads */
    unsigned idle_ms;    /* for which a thread waits for the next job */
    void (*leave)(void); /* called by each thread at its end; or NULL */
};

/* The queue of jobs. */
struct wsk__offload {
    struct wsk__life *life;        /* fixed */
    struct wsk__offload_kind kind; /* fixed */
    pthread_mutex_t lock;
    pthread_cond_t wake, left; /* with it */
    WSK__GUARDED_BY(wsk__cap_offload) struct {
        struct wsk__job *first, **last;
        unsigned n;                 /* jobs in the queue */
        unsigned n_threads, n_idle; /* those that wait for jobs, too */
        unsigned n_alive; /* threads that may still run code of this process */
        bool ended;       /* they do not wait any more */
    };
};

/* Make the lock. */
void wsk__offload_open(struct wsk__offload *offload, struct wsk__life *life,
                       const struct wsk__offload_kind *kind);

/* Let threads that have no work end at once: the server has ended. */
void wsk__offload_end(struct wsk__offload *offload);

/* Wait for the last thread to leave, after that. What they do must not meet the
 * end of the process. */
void wsk__offload_join(struct wsk__offload *offload) WSK__EXCLUDES_ALL;

/* Destroy the lock. No job is left: each holds the server. */
void wsk__offload_close(struct wsk__offload *offload);

/* Have a job done. False: no thread can be made, and neither op was called. Any
 * thread that holds no lock; the job is not asked for already. */
bool wsk__offload_ask(struct wsk__offload *offload,
                      struct wsk__job *job) WSK__EXCLUDES_ALL;

#endif
