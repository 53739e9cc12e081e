#include "net/os/file.h"

#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>
#if defined(__linux__)
#include <sys/syscall.h>
#endif

/* By its number, with RWF_NOWAIT: glibc 2.17 and musl before 1.2.5, on which
 * wheels run, have no preadv2(). */
enum { NOWAIT = 0x08 };

bool wsk__file_is_cached(int fd, uint64_t offset)
{
#if defined(__linux__) && defined(SYS_preadv2)
    struct iovec iov = {&(char){0}, 1};
    unsigned long low = (unsigned long)offset, high = offset >> 16 >> 16;

    return syscall(SYS_preadv2, fd, &iov, 1, low, high, NOWAIT) >= 0;
#else
    (void)fd;
    (void)offset;
    return false;
#endif
}

static struct wsk__file_stamp stamp_of(const struct stat *st)
{
    return (struct wsk__file_stamp)
    {
        .dev = st->st_dev, .ino = st->st_ino, .size = st->st_size,
        .mode = st->st_mode,
#if defined(__APPLE__)
        .changed = st->st_mtimespec,
#else
        .changed = st->st_mtim,
#endif
    };
}

void wsk__file_look(const char *path, struct wsk__file_stamp *stamp)
{
    struct stat st;

    memset(stamp, 0, sizeof(*stamp));
    if (stat(path, &st) == 0)
        *stamp = stamp_of(&st);
}

bool wsk__file_same(const struct wsk__file_stamp *a,
                    const struct wsk__file_stamp *b)
{
    return a->dev == b->dev && a->ino == b->ino && a->size == b->size &&
           a->mode == b->mode && a->changed.tv_sec == b->changed.tv_sec &&
           a->changed.tv_nsec == b->changed.tv_nsec;
}

/* Read until the end, for a file may grow meanwhile. */
static char *read_all(int fd, size_t most, size_t *len)
{
    char *text = wsk__alloc(most + 1);
    ssize_t n = 1;

    if (text == NULL) {
        errno = ENOMEM;
        return NULL;
    }
    for (*len = 0; n > 0 && *len<most; *len += n> 0 ? (size_t)n : 0)
        do
            n = read(fd, text + *len, most - *len);
        while (n < 0 && errno == EINTR);
    text[*len] = '\0';
    if (n >= 0)
        return text;
    wsk__file_forget(text, *len);
    return NULL;
}

char *wsk__file_read(const char *path, size_t most, size_t *len,
                     struct wsk__file_stamp *stamp)
{
    /* Opening a FIFO must not wait for its writer. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), saved;
    char *text = NULL;
    struct stat st;

    wsk__file_look(path, stamp);
    if (fd < 0)
        return NULL;
    if (fstat(fd, &st) == 0) {
        *stamp = stamp_of(&st);
        if (S_ISDIR(st.st_mode))
            errno = EISDIR;
        else if (!S_ISREG(st.st_mode))
            errno = EINVAL;
        else if (st.st_size > (off_t)most)
            errno = EFBIG;
        else /* one more shows that it has grown, and is another soon */
            text = read_all(fd, (size_t)st.st_size + 1, len);
    }
    saved = errno;
    close(fd);
    errno = saved;
    return text;
}

void wsk__file_forget(char *text, size_t len)
{
    volatile char *p = text;

    for (size_t i = 0; text != NULL && i < len; i++)
        p[i] = 0;
    wsk__free(text);
}
