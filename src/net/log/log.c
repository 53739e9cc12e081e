#include "net/log/log.h"

#include "base/escape.h"
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
    wsk__log_line(logs->error, line, n);
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

/* Open a log by its option: `std` for itself and "-", which must not be closed,
 * or a file. Returns the descriptor; -1 with errno. */
static int open_log(const char *path, const char *name, int std, bool trial,
                    bool *ours)
{
    const int flags = O_WRONLY | O_APPEND | O_CLOEXEC | O_NOCTTY;

    *ours = false;
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
