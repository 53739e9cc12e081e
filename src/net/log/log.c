#include "net/log/log.h"

#include "base/escape.h"
#include "base/items.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "net/log/writer.h"
#include "net/os/life.h"
#include "wsocket.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { LOG_LINE = 1024 };

/* Longest entry of the error log, in bytes; a longer one is cut. */
#define LOG_MOST ((size_t)2 << 20)

/* Bytes that an escaped byte takes at most. */
#define ESCAPED_MOST 4

/* Bytes of the mark of a cut, and those that a cut before a letter may lose. */
#define CUT (sizeof(WSK__CUT) - 1)
#define LETTER 3

/* Write time and process of an entry, and `label`. */
static size_t put_label(char *out, size_t cap, const char *label)
{
    time_t now = time(NULL);
    char stamp[32];
    struct tm tm;

    gmtime_r(&now, &tm);
    strftime(stamp, sizeof(stamp), "%Y-%m-%d %H:%M:%S", &tm);
    return (size_t)snprintf(out, cap, "[%s +0000] [%ld] %s", stamp,
                            (long)getpid(), label);
}

/* Return the bytes that the longest wrapped form of a text may have. */
static size_t wrapped_cap(size_t len, size_t most)
{
    return len + (len / (most - 2 * CUT - LETTER) + 1) * (2 * CUT + 1);
}

/* Copy a text of UTF-8 whose lines must have at most `most` bytes. A longer one
 * goes on in further lines; CUT stands at both sides of the break. Returns the
 * bytes written. */
static size_t wrap(char *out, const char *text, size_t len, size_t most)
{
    const char *end = text + len;
    size_t n = 0;

    while (text < end) {
        const char *stop = memchr(text, '\n', (size_t)(end - text));
        size_t line = (size_t)((stop != NULL ? stop + 1 : end) - text);
        size_t room = most;

        while (line > room + (stop != NULL)) {
            size_t piece =
                wsk__utf8_cut((const uint8_t *)text, line, room - CUT);

            memcpy(out + n, text, piece);
            memcpy(out + n + piece, WSK__CUT "\n" WSK__CUT, 2 * CUT + 1);
            n += piece + 2 * CUT + 1;
            text += piece;
            line -= piece;
            room = most - CUT;
        }
        memcpy(out + n, text, line);
        n += line;
        text += line;
    }
    return n;
}

/* Write an entry. Where other processes write to the same pipe, no line is too
 * long for it. Without memory for that, the entry is written as it is. */
static void put_lines(struct wsk__logs *logs, const char *text, size_t len)
{
    size_t most = wsk__log_longest(logs->error);
    char *block = NULL;

    if (logs->worker != 0 && len > most)
        block = wsk__alloc(wrapped_cap(len, most));
    if (block != NULL)
        wsk__log_line(logs->error, block, wrap(block, text, len, most));
    else
        wsk__log_line(logs->error, text, len);
    wsk__free(block);
}

/* Log an entry; without memory for a long one, only its beginning. */
static void put_entry(struct wsk__logs *logs, const char *label,
                      const char *text, size_t len, enum wsk__escape how)
{
    char small[LOG_LINE * ESCAPED_MOST + 64], *line = small, *block = NULL;
    size_t n, cap = sizeof(small);

    if (logs->error == NULL || wsk__forked(logs->life))
        return;
    if (len > LOG_LINE) {
        size_t size = len < LOG_MOST / ESCAPED_MOST ? len * ESCAPED_MOST + 64
                                                    : LOG_MOST;

        block = wsk__alloc(size);
        if (block != NULL) {
            line = block;
            cap = size;
        }
    }
    n = put_label(line, cap, label);
    n += wsk__escape(line + n, cap - n, text, len, how);
    put_lines(logs, line, n);
    wsk__free(block);
}

void wsk__log_entry(struct wsk__logs *logs, wsk_log_level level,
                    const char *text, size_t len)
{
    static const char *const LABEL[] = {
        "debug: ", "info: ", "warning: ", "error: ", "critical: "};

    if (level >= logs->level)
        put_entry(logs, LABEL[level], text, len, WSK__ESCAPE_LINE);
}

void wsk__log_text(struct wsk__logs *logs, const char *text, size_t len)
{
    put_entry(logs, "", text, len, WSK__ESCAPE_TEXT);
}

void wsk__logf(struct wsk__logs *logs, wsk_log_level level, const char *fmt,
               ...)
{
    char text[LOG_LINE];
    va_list args;
    int n;

    va_start(args, fmt);
    n = vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    if (n >= (int)sizeof(text)) {
        size_t at = sizeof(text) - sizeof(WSK__CUT) -
                    3; /* not inside a letter */

        at += wsk__utf8_cut((const uint8_t *)text + at, 4, 3);
        memcpy(text + at, WSK__CUT, sizeof(WSK__CUT));
        n = (int)(at + sizeof(WSK__CUT) - 1);
    }
    if (n > 0)
        wsk__log_entry(logs, level, text, (size_t)n);
}

bool wsk__log_parse_level(const char *name, wsk_log_level *level)
{
    static const char *const NAME[] = {"debug", "info", "warning", "error",
                                       "critical"};

    for (size_t i = 0; i < sizeof(NAME) / sizeof(*NAME); i++)
        if (strcmp(name, NAME[i]) == 0) {
            *level = (wsk_log_level)i;
            return true;
        }
    return false;
}

/* Try to open a file, and leave no new one behind. */
static int try_file(const char *path, int flags)
{
    int fd = open(path, flags);

    if (fd >= 0 || errno != ENOENT)
        return fd;
    fd = open(path, flags | O_CREAT | O_EXCL, 0640);
    if (fd >= 0)
        unlink(path);
    return fd;
}

/* Return fd if lines can be written to it; else -1 with errno. */
static int writable(int fd)
{
    int flags = fcntl(fd, F_GETFL);

    if (flags >= 0 && (flags & O_ACCMODE) != O_RDONLY)
        return fd;
    errno = EBADF;
    return -1;
}

/* Open a log by its option: `std` for itself, "-" and "fd:N", which must not be
 * closed, or a file. Returns the descriptor; -1 with errno. */
static int open_log(const char *path, const char *name, int std, bool trial,
                    bool *ours)
{
    const int flags = O_WRONLY | O_APPEND | O_CLOEXEC | O_NOCTTY;
    int fd;

    *ours = false;
    if (wsk__fd_parse((wsk_str){path, strlen(path)}, &fd))
        return writable(fd);
    if (strcmp(path, "-") == 0)
        return STDOUT_FILENO;
    if (strcmp(path, name) == 0)
        return std;
    *ours = true;
    return trial ? try_file(path, flags) : open(path, flags | O_CREAT, 0640);
}

bool wsk__log_is_off(const char *path)
{
    return path == NULL || path[0] == '\0' || strcmp(path, "none") == 0;
}

bool wsk__log_is_inherited(const char *path)
{
    int fd;

    return wsk__fd_parse((wsk_str){path, strlen(path)}, &fd);
}

bool wsk__log_move(struct wsk__log *log, int fd, const char *what, bool trial,
                   char *error, size_t cap)
{
    bool good = writable(fd) >= 0 && (trial || wsk__log_reopen(log, fd));
    int saved = errno;

    if (!good)
        snprintf(error, cap, "cannot write the %s fd:%d: %s", what, fd,
                 strerror(saved));
    errno = saved;
    return good;
}

bool wsk__log_refresh(struct wsk__log **log, const char *path, const char *what,
                      bool trial, char *error, size_t cap)
{
    bool replaces = *log != NULL && !trial;
    bool ours, good;
    int saved, fd;

    if (replaces)
        wsk__log_hold(*log);
    fd = open_log(path, "stderr", STDERR_FILENO, trial, &ours);
    good = fd >= 0;
    saved = errno;
    if (replaces)
        good = wsk__log_reopen(*log, fd) && good;
    else if (good && !trial)
        good = (*log = wsk__log_new(fd)) != NULL;
    if (fd >= 0)
        saved = errno;
    if (!good)
        snprintf(error, cap, "cannot write the %s %s: %s", what, path,
                 strerror(saved));
    if (ours && fd >= 0)
        close(fd);
    errno = saved;
    return good;
}
