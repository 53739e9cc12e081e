/* net/log/writer: lines to files without ever making a caller wait. Lines
 * gather in memory; one thread writes them. When it cannot keep up (a full
 * pipe), lines are dropped and counted. */
#ifndef WSK_NET_LOG_WRITER_H
#define WSK_NET_LOG_WRITER_H

#include "wsocket.h"

struct wsk__log;

/* fd stays the caller's: the log keeps a copy. NULL when memory or threads are
 * out. */
struct wsk__log *wsk__log_new(int fd);

/* Write nothing more until wsk__log_reopen(): lines that come meanwhile wait
 * for what that is given. */
void wsk__log_hold(struct wsk__log *log);

/* From now on write to a copy of fd; fd -1: to the same as before. False when
 * there is no copy to be had: then to the same as well. */
bool wsk__log_reopen(struct wsk__log *log, int fd);

/* Wait, for at most wait_ms, until all lines are written. NULL is legal. */
void wsk__log_flush(struct wsk__log *log, unsigned wait_ms);

/* Flush, for at most wait_ms, and stop the writer. NULL is legal. */
void wsk__log_free(struct wsk__log *log, unsigned wait_ms);

/* One line, without its newline; taken whole or dropped. NULL log is legal. */
void wsk__log_line(struct wsk__log *log, const char *text, size_t len);

#endif
