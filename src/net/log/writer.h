/* net/log/writer: writes lines to files, without making any caller wait. Lines
 * are gathered in memory; one thread writes them. When it cannot keep up (a
 * full pipe), or a disk is full, lines are dropped and counted. In a forked
 * child the first line makes another thread, and what waited at the fork is
 * written by the parent alone.
 *
 * Other processes may write to the same log: a write holds whole lines, and to
 * a pipe or a socket at most WSK__LOG_WHOLE bytes of them, unless one line
 * alone is longer. */
#ifndef WSK_NET_LOG_WRITER_H
#define WSK_NET_LOG_WRITER_H

#include "wsocket.h"

struct wsk__log;

/* Bytes that a pipe takes whole beside those of other processes: PIPE_BUF of
 * Linux. Where that is less (512 on macOS), lines can be torn that are longer.
 */
enum { WSK__LOG_WHOLE = 4096 };

/* Make a log. fd stays the caller's: the log keeps a copy. NULL when memory or
 * descriptors are out. */
struct wsk__log *wsk__log_new(int fd);

/* Make the thread that writes, which else the first line does. NULL is legal.
 * False with errno when there is none to be had; then the next line tries. */
bool wsk__log_begin(struct wsk__log *log);

/* Write nothing more until wsk__log_reopen(), to whose file the lines that come
 * meanwhile go. */
void wsk__log_hold(struct wsk__log *log);

/* Write to a copy of fd from now on; fd -1: to the same file as before. False
 * when fd cannot be copied: then to the same file, too. */
bool wsk__log_reopen(struct wsk__log *log, int fd);

/* Wait, for at most wait_ms, until all lines are written. NULL is legal. */
void wsk__log_flush(struct wsk__log *log, unsigned wait_ms);

/* Flush, for at most wait_ms, and stop the writer. NULL is legal. */
void wsk__log_free(struct wsk__log *log, unsigned wait_ms);

/* Return the length of the longest line, without its end, that a write to this
 * log never tears. */
size_t wsk__log_longest(const struct wsk__log *log);

/* Return how many lines were dropped since the log was made. NULL is legal. */
uint64_t wsk__log_dropped(const struct wsk__log *log);

/* Log one line, without its newline: the whole line, or none of it. NULL log is
 * legal. */
void wsk__log_line(struct wsk__log *log, const char *text, size_t len);

#endif
