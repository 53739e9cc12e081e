/* net/dispatch/offload: one thread that waits for disks in the leader's place,
 * and lives for as long as there are jobs. */
#ifndef WSK_NET_DISPATCH_OFFLOAD_H
#define WSK_NET_DISPATCH_OFFLOAD_H

#include "net/os/locks.h"

#include <pthread.h>
#include <stdbool.h>

struct wsk__life;

/* A job for the offload's thread, which calls both ops. */
struct wsk__job {
    WSK__GUARDED_BY(wsk__cap_offload) struct wsk__job *next;
    void (*run)(struct wsk__job *job);  /* may wait */
    void (*done)(struct wsk__job *job); /* post, and give references back; the
                                           job may be asked for again */
};

/* The queue of jobs. */
struct wsk__offload {
    struct wsk__life *life; /* fixed */
    pthread_mutex_t lock;
    WSK__GUARDED_BY(wsk__cap_offload) struct {
        struct wsk__job *first, **last;
        bool runs; /* there is a thread */
    };
};

/* Make the lock. */
void wsk__offload_open(struct wsk__offload *offload, struct wsk__life *life);

/* Destroy the lock. No job is left: each holds the server. */
void wsk__offload_close(struct wsk__offload *offload);

/* Have a job done. False: no thread can be made, and neither op was called. Any
 * thread that holds no lock; the job is not asked for already. */
bool wsk__offload_ask(struct wsk__offload *offload,
                      struct wsk__job *job) WSK__EXCLUDES_ALL;

#endif
