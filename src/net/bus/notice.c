#include "net/bus/notice.h"

#include "net/bus/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static int open_notice(const char *folder, const char *name, int flags)
{
    char path[WSK__LOCAL_PATH];

    wsk__member_path(path, folder, "", name, WSK__NOTICE_SUFFIX);
    return open(path, flags | O_CLOEXEC | O_NOFOLLOW, 0600);
}

bool wsk__notice_write(const char *folder, const char *name, const char *text)
{
    size_t len = strlen(text);
    int fd = open_notice(folder, name, O_WRONLY | O_CREAT | O_TRUNC);
    ssize_t n;
    int saved;

    if (fd < 0)
        return false;
    n = write(fd, text, len);
    saved = n < 0 ? errno : ENOSPC;
    close(fd);
    errno = saved;
    return n == (ssize_t)len;
}

struct search {
    const char *folder;
    char *text;
    size_t cap;
    bool has_found;
};

static void look_at(void *user, const char *name)
{
    struct search *search = user;
    int fd = search->has_found ? -1
                               : open_notice(search->folder, name, O_RDONLY);
    ssize_t n;

    if (fd < 0)
        return;
    n = read(fd, search->text, search->cap);
    close(fd);
    if (n <= 0 || (size_t)n == search->cap)
        return;
    search->text[n] = '\0';
    search->has_found = true;
}

bool wsk__notice_read(const char *folder, char *text, size_t cap)
{
    struct search search = {.folder = folder, .text = text, .cap = cap};

    return wsk__folder_scan(folder, look_at, &search) && search.has_found;
}
