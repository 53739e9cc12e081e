/* net/log/access: lines of the access log: one for each answer, and one for the
 * end of each WebSocket. The caller fills a record, the log formats it. No lock
 * may be held. */
#ifndef WSK_NET_LOG_ACCESS_H
#define WSK_NET_LOG_ACCESS_H

#include "wsocket.h"

struct wsk__logs;
struct wsk__tls_peer;

/* How a WebSocket has ended, and what it has carried. */
struct wsk__access_end {
    wsk_close_info how;
    uint32_t messages_in, messages_out;
    uint64_t octets_in, octets_out; /* bytes of those messages */
};

/* The contents of one line. Texts are borrowed until it is written. */
struct wsk__access_record {
    const char *peer;     /* the client's address */
    const wsk_head *head; /* NULL: memory was out */
    int status;        /* of the answer; or the code that closed a WebSocket */
    uint64_t sent;     /* bytes of the answer's body */
    uint64_t us;       /* duration; 0 where wsk__access_begin() said 0 */
    const char *noted; /* from wsk__access_note(), or NULL */
    const struct wsk__tls_peer *tls;   /* NULL: there is no TLS */
    const struct wsk__access_end *end; /* NULL: the line tells of an answer */
};

/* Read the variables that the format names, once: a program may change its
 * environment while we log. Before the first line; false when memory is out. */
bool wsk__access_read_environment(struct wsk__logs *logs);

/* Return true if lines are written. */
bool wsk__access_is_on(const struct wsk__logs *logs);

/* Return wsk__now_ns() for a request that begins; 0 if no line will say how
 * long it took. */
uint64_t wsk__access_begin(const struct wsk__logs *logs);

/* Return the microseconds since then; 0 if no line says it. */
uint64_t wsk__access_us(const struct wsk__logs *logs, uint64_t began);

/* Copy the values of those fields of an answer that the format names: each with
 * its NUL, in order, for wsk__free(). NULL: it names none, or memory is out. */
char *wsk__access_note(const struct wsk__logs *logs, const wsk_header *headers,
                       size_t n);

/* Split a request line that was refused, for the head of a record. */
wsk_head wsk__access_head_of(wsk_str line);

/* Write a line, if lines are written. */
void wsk__access_write(const struct wsk__logs *logs,
                       const struct wsk__access_record *record);

#endif
