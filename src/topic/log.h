/* topic/log: publications of one topic that some subscriber has yet to get. The
 * caller holds the lock of the topic's shard. Entries have indexes, which grow
 * by one for as long as the topic exists. */
#ifndef WSK_TOPIC_LOG_H
#define WSK_TOPIC_LOG_H

#include "topic/publication.h"

#include <stdbool.h>

struct wsk__entry {
    struct wsk__publication *publication; /* a reference */
    uint32_t left; /* subscribers whose cursors have yet to pass it */
};

struct wsk__log {
    atomic_size_t *total; /* bytes of all logs */
    uint32_t n;           /* entries */
    uint32_t first;       /* place of the oldest in `ring` */
    uint32_t cap;         /* of `ring`, a power of two */
    uint64_t offered; /* index: those before were offered to every subscriber,
                         and may be dropped */
    uint64_t gone;    /* seq of the last that was dropped */
    size_t bytes;     /* of all entries */
    size_t fresh;     /* of those from `offered` on */
    struct wsk__entry ring[];
};

/* Make room for one more entry. A log that does not exist is made: none exists
 * while all have got everything. False: memory is out, and *log is as before.
 */
bool wsk__log_reserve(struct wsk__log **log, uint64_t head,
                      atomic_size_t *total);

/* Append, with a reference of its own; room was reserved. Entries that were
 * offered are dropped while the log has more than `backlog` bytes. `head` is
 * the index of the new entry. */
void wsk__log_append(struct wsk__log *log, struct wsk__publication *p,
                     uint32_t left, uint64_t head, size_t backlog);

/* Return the nth oldest entry. */
static inline struct wsk__entry *wsk__log_at(struct wsk__log *log, uint32_t nth)
{
    return &log->ring[(log->first + nth) & (log->cap - 1)];
}

/* Note that all before the index `upto` were offered to every subscriber. */
void wsk__log_offered(struct wsk__log *log, uint64_t head, uint64_t upto);

/* Free the oldest entries that every subscriber has passed, and the log with
 * the last entry. */
void wsk__log_settle(struct wsk__log **log, uint64_t head);

#endif
