#include "net/bus/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static const char BITS[] = ".bits";
static const char MADE[] =
    "wsocket-XXXXXX"; /* names of folders, for mkdtemp() */

enum { MADE_BEGIN = sizeof("wsocket-") - 1 };

static bool fail(char error[WSK__FOLDER_ERROR], const char *path,
                 const char *why)
{
    snprintf(error, WSK__FOLDER_ERROR, "bus: %.100s: %s", path, why);
    return false;
}

/* Check whose the folder is, and who can enter it; make it if there is none. */
static bool check(const char *path, char error[WSK__FOLDER_ERROR])
{
    struct stat st;

    if (path[0] != '/')
        return fail(error, path, "the path of a folder begins with /");
    if (strlen(path) >= WSK__FOLDER_PATH)
        return fail(error, path,
                    "the path is too long for sockets in the folder");
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        return fail(error, path, strerror(errno));
    if (lstat(path, &st) != 0)
        return fail(error, path, strerror(errno));
    if (!S_ISDIR(st.st_mode))
        return fail(error, path, "this is no folder");
    if (st.st_uid != geteuid())
        return fail(error, path, "the folder is another user's");
    if ((st.st_mode & 077) != 0)
        return fail(error, path,
                    "others can enter the folder; its mode must be 0700");
    return true;
}

static bool lock(int fd, int how)
{
    int failed;

    do
        failed = flock(fd, how);
    while (failed && errno == EINTR);
    return !failed;
}

static int open_folder(const char *path)
{
    return open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static bool is_at(int fd, const char *path)
{
    struct stat held, named;

    return fstat(fd, &held) == 0 && lstat(path, &named) == 0 &&
           held.st_dev == named.st_dev && held.st_ino == named.st_ino;
}

/* Another process may be removing it, which held it for itself. Where folders
 * cannot be locked, none is ever removed. */
int wsk__folder_hold(const char *path, char error[WSK__FOLDER_ERROR])
{
    enum { TRIES = 100 };

    for (int i = 0; i < TRIES; i++) {
        int fd;

        if (!check(path, error))
            return -1;
        fd = open_folder(path);
        if (fd >= 0) {
            lock(fd, LOCK_SH);
            if (is_at(fd, path))
                return fd;
            close(fd);
        } else if (errno != ENOENT) {
            break;
        }
    }
    fail(error, path, strerror(errno));
    return -1;
}

/* ------------------------------------------------ what was left behind --- */

/* Return true if a process of a bus makes files of that name: a socket, its
 * draft, its bits, or what tells who has made the folder. */
static bool is_of_a_member(const char *name)
{
    size_t len = strlen(name), cut = sizeof(BITS) - 1;

    if (strcmp(name, "about") == 0)
        return true;
    if (name[0] == '.')
        return wsk__member_is_valid(name + 1, len - 1);
    if (len > cut && strcmp(name + len - cut, BITS) == 0)
        len -= cut;
    return wsk__member_is_valid(name, len);
}

/* Remove a folder of this user's that no process holds, unless there is
 * something else in it. */
static void remove_unheld(const char *path)
{
    int fd = open_folder(path);
    const struct dirent *entry;
    struct stat st;
    DIR *dir;

    if (fd < 0)
        return;
    dir = fstat(fd, &st) == 0 && st.st_uid == geteuid() &&
                  (st.st_mode & 077) == 0 && lock(fd, LOCK_EX | LOCK_NB)
              ? fdopendir(fd)
              : NULL;
    if (dir == NULL) {
        close(fd);
        return;
    }
    while ((entry = readdir(dir)) != NULL)
        if (is_of_a_member(entry->d_name))
            unlinkat(fd, entry->d_name, 0);
    rmdir(path);
    closedir(dir);
}

static void sweep(const char *place)
{
    DIR *dir = opendir(place);
    const struct dirent *entry;
    char path[WSK__FOLDER_PATH];

    if (dir == NULL)
        return;
    while ((entry = readdir(dir)) != NULL)
        if (strlen(entry->d_name) == strlen(MADE) &&
            strncmp(entry->d_name, MADE, MADE_BEGIN) == 0 &&
            snprintf(path, sizeof(path), "%s/%s", place, entry->d_name) <
                WSK__FOLDER_PATH)
            remove_unheld(path);
    closedir(dir);
}

/* Make a folder in a place, and hold it. */
static int make_in(const char *place, char path[WSK__FOLDER_PATH],
                   char error[WSK__FOLDER_ERROR])
{
    if (snprintf(path, WSK__FOLDER_PATH, "%s/%s", place, MADE) >=
        WSK__FOLDER_PATH)
        errno = ENAMETOOLONG;
    else if (mkdtemp(path) != NULL)
        return wsk__folder_hold(path, error);
    fail(error, place, strerror(errno));
    return -1;
}

int wsk__folder_make(char path[WSK__FOLDER_PATH], char error[WSK__FOLDER_ERROR])
{
    const char *places[] = {getenv("XDG_RUNTIME_DIR"), getenv("TMPDIR"),
                            "/tmp"};
    int fd = -1;

    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]) && fd < 0; i++) {
        if (places[i] == NULL || places[i][0] != '/')
            continue;
        sweep(places[i]);
        fd = make_in(places[i], path, error);
    }
    return fd;
}

void wsk__member_name(char name[WSK__MEMBER_NAME], uint64_t number)
{
    snprintf(name, WSK__MEMBER_NAME, "%u-%016llx", (unsigned)getpid(),
             (unsigned long long)number);
}

bool wsk__member_is_valid(const char *name, size_t len)
{
    size_t i = 0, begin;

    while (i < len && name[i] >= '0' && name[i] <= '9')
        i++;
    if (i == 0 || i > 10 || i == len || name[i++] != '-')
        return false;
    begin = i;
    while (i < len && ((name[i] >= '0' && name[i] <= '9') ||
                       (name[i] >= 'a' && name[i] <= 'f')))
        i++;
    return i == len && i - begin == 16;
}

void wsk__member_path(char path[WSK__LOCAL_PATH], const char *folder,
                      const char *before, const char *name, const char *after)
{
    snprintf(path, WSK__LOCAL_PATH, "%s/%s%s%s", folder, before, name, after);
}

void wsk__member_remove(const char *folder, const char *name)
{
    char path[WSK__LOCAL_PATH];

    wsk__member_path(path, folder, "", name, "");
    unlink(path);
    wsk__member_path(path, folder, "", name, BITS);
    unlink(path);
}

bool wsk__folder_scan(const char *folder,
                      void (*found)(void *user, const char *name), void *user)
{
    DIR *dir = opendir(folder);
    const struct dirent *entry;

    if (dir == NULL)
        return false;
    while ((entry = readdir(dir)) != NULL)
        if (wsk__member_is_valid(entry->d_name, strlen(entry->d_name)))
            found(user, entry->d_name);
    closedir(dir);
    return true;
}
