/* net/os/file: files that the server reads, and questions about one that no
 * portable call answers. */
#ifndef WSK_NET_OS_FILE_H
#define WSK_NET_OS_FILE_H

#include "wsocket.h"

#include <sys/types.h>
#include <time.h>

/* Return true if the byte at `offset` can be read without a disk; false where
 * the system does not tell. */
bool wsk__file_is_cached(int fd, uint64_t offset);

/* Facts by which two versions of a file are told apart; all zero: there is no
 * file. */
struct wsk__file_stamp {
    dev_t dev;
    ino_t ino;
    off_t size;
    mode_t mode;
    struct timespec changed; /* the contents */
};

/* Look at the file that has a name now, behind symbolic links. */
void wsk__file_look(const char *path, struct wsk__file_stamp *stamp);

bool wsk__file_same(const struct wsk__file_stamp *a,
                    const struct wsk__file_stamp *b);

/* Read a regular file of at most `most` bytes, and its stamp. Returns its
 * contents, followed by a NUL that *len does not count, for
 * wsk__file_forget(); NULL with errno, and *stamp is that of the name. */
char *wsk__file_read(const char *path, size_t most, size_t *len,
                     struct wsk__file_stamp *stamp);

/* Overwrite and free what was read, a secret perhaps; NULL is legal. */
void wsk__file_forget(char *text, size_t len);

#endif
