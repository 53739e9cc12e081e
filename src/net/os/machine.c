#include "net/os/machine.h"

#include "wsocket.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#if defined(__APPLE__)
#include <sys/sysctl.h>
#endif

enum { PATH_LONGEST = 4096, SELF_LONGEST = 16384 };

/* Read the beginning of a file as text; empty when it cannot be read. */
static void read_text(const char *path, char *text, size_t cap)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    size_t len = 0;
    ssize_t n;

    while (fd >= 0 && len < cap - 1 &&
           (n = read(fd, text + len, cap - 1 - len)) > 0)
        len += (size_t)n;
    if (fd >= 0)
        close(fd);
    text[len] = '\0';
}

/* Return the limit in a file of a group; UINT64_MAX for "max" and without a
 * file. */
static uint64_t limit_in(const char *folder, const char *name)
{
    char path[PATH_LONGEST + 64], text[64], *end;
    unsigned long long n;
    int len = snprintf(path, sizeof(path), "%s/%s", folder, name);

    if (len < 0 || (size_t)len >= sizeof(path))
        return UINT64_MAX;
    read_text(path, text, sizeof(text));
    n = strtoull(text, &end, 10);
    return end == text ? UINT64_MAX : (uint64_t)n;
}

/* Return the least limit of a group and of all above it, up to `root`. In a
 * container the groups above its own do not exist, which means no limit. */
static uint64_t least_above(const char *root, const char *group, size_t len,
                            const char *const names[2])
{
    uint64_t least = UINT64_MAX;
    char folder[PATH_LONGEST];
    size_t base = strlen(root);

    if (base + len >= sizeof(folder))
        len = 0;
    memcpy(folder, root, base);
    memcpy(folder + base, group, len);
    for (;;) {
        folder[base + len] = '\0';
        for (int i = 0; i < 2 && names[i] != NULL; i++) {
            uint64_t limit = limit_in(folder, names[i]);

            least = limit < least ? limit : least;
        }
        if (len == 0)
            return least;
        while (len > 0 && folder[base + len - 1] != '/')
            len--;
        len -= len > 0; /* leave the slash out */
    }
}

/* Return true if a list, separated by commas, has "memory". */
static bool has_memory(const char *list, size_t len)
{
    static const char name[] = "memory";
    size_t n = sizeof(name) - 1;

    for (size_t at = 0; at < len;) {
        const char *comma = memchr(list + at, ',', len - at);
        size_t item = comma != NULL ? (size_t)(comma - list) - at : len - at;

        if (item == n && memcmp(list + at, name, n) == 0)
            return true;
        at += item + 1;
    }
    return false;
}

/* Return true if a path goes up. */
static bool leaves(const char *path, size_t len)
{
    for (size_t i = 0; i + 2 < len; i++)
        if (memcmp(path + i, "/..", 3) == 0)
            return true;
    return false;
}

/* Return the limit for one line, "number:controllers:group". Version 2 has
 * number 0 and no controllers. */
static uint64_t limit_of_line(const char *line, size_t len, const char *root)
{
    static const char *const V1[2] = {"memory.limit_in_bytes", NULL};
    static const char *const V2[2] = {"memory.max", "memory.high"};
    static const char *const PLACES[2][2] = {{"/memory", "/memory,hugetlb"},
                                             {"", "/unified"}};
    const char *first = memchr(line, ':', len);
    const char *list = first != NULL ? first + 1 : line + len;
    const char *second = memchr(list, ':', (size_t)(line + len - list));
    bool v2 = second == list;
    uint64_t least = UINT64_MAX;

    if (second == NULL || (!v2 && !has_memory(list, (size_t)(second - list))))
        return UINT64_MAX;
    for (int i = 0; i < 2; i++) {
        char place[PATH_LONGEST];
        size_t n = (size_t)(line + len - second - 1);
        uint64_t limit;
        int used = snprintf(place, sizeof(place), "%s%s", root, PLACES[v2][i]);

        if (used < 0 || (size_t)used >= sizeof(place))
            continue;
        if (n == 1 || leaves(second + 1, n))
            n = 0; /* the root itself; or a group that is not mounted here */
        limit = least_above(place, second + 1, n, v2 ? V2 : V1);
        least = limit < least ? limit : least;
    }
    return least;
}

uint64_t wsk__cgroup_memory(const char *self, const char *root)
{
    uint64_t least = UINT64_MAX;

    while (*self != '\0') {
        size_t len = strcspn(self, "\n");
        uint64_t limit = limit_of_line(self, len, root);

        least = limit < least ? limit : least;
        self += len;
        self += *self == '\n';
    }
    return least;
}

static uint64_t physical(void)
{
#if defined(__APPLE__)
    uint64_t bytes = 0;
    size_t len = sizeof(bytes);

    if (sysctlbyname("hw.memsize", &bytes, &len, NULL, 0) == 0 && bytes > 0)
        return bytes;
#elif defined(_SC_PHYS_PAGES)
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);

    if (pages > 0 && page > 0)
        return (uint64_t)pages * (uint64_t)page;
#endif
    return UINT64_MAX;
}

uint64_t wsk__machine_memory(void)
{
    uint64_t bytes = physical();
#if defined(__linux__)
    char self[SELF_LONGEST];
    uint64_t limit;

    read_text("/proc/self/cgroup", self, sizeof(self));
    limit = wsk__cgroup_memory(self, "/sys/fs/cgroup");
    bytes = limit < bytes ? limit : bytes;
#endif
    return bytes;
}
