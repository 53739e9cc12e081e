#include "net/os/machine.h"

#include "wsocket.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#if defined(__linux__)
#include <sched.h>
#elif defined(__APPLE__)
#include <sys/random.h>
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

/* Read the number that a file of a group begins with, and at `*next` one that
 * follows it. UINT64_MAX: "max", less than 0, or there is no file. */
static uint64_t limit_in(const char *folder, const char *name, uint64_t *next)
{
    char path[PATH_LONGEST + 64], text[64], *end;
    unsigned long long n;
    int len = snprintf(path, sizeof(path), "%s/%s", folder, name);

    if (len < 0 || (size_t)len >= sizeof(path))
        return UINT64_MAX;
    read_text(path, text, sizeof(text));
    n = strtoull(text, &end, 10);
    if (end == text || text[0] == '-')
        return UINT64_MAX;
    if (next != NULL)
        *next = strtoull(end, NULL, 10);
    return (uint64_t)n;
}

static uint64_t memory_v1(const char *folder)
{
    return limit_in(folder, "memory.limit_in_bytes", NULL);
}

static uint64_t memory_v2(const char *folder)
{
    uint64_t max = limit_in(folder, "memory.max", NULL);
    uint64_t high = limit_in(folder, "memory.high", NULL);

    return high < max ? high : max;
}

/* Return how many CPUs a quota pays for; both in microseconds. */
static uint64_t cpus_for(uint64_t quota, uint64_t period)
{
    if (quota == UINT64_MAX || quota == 0 || period == UINT64_MAX ||
        period == 0)
        return UINT64_MAX;
    return quota / period + (quota % period > 0);
}

static uint64_t cpu_v1(const char *folder)
{
    uint64_t period = limit_in(folder, "cpu.cfs_period_us", NULL);

    return cpus_for(limit_in(folder, "cpu.cfs_quota_us", NULL), period);
}

static uint64_t cpu_v2(const char *folder)
{
    uint64_t period = 0, quota = limit_in(folder, "cpu.max", &period);

    return cpus_for(quota, period);
}

/* A controller of version 1 or 2, [0] and [1]. */
struct controller {
    const char *name;
    const char *places[2][2]; /* below the root */
    uint64_t (*limit[2])(const char *folder);
};

static const struct controller MEMORY = {
    "memory",
    {{"/memory", "/memory,hugetlb"}, {"", "/unified"}},
    {memory_v1, memory_v2},
};

static const struct controller CPU = {
    "cpu",
    {{"/cpu", "/cpu,cpuacct"}, {"", "/unified"}},
    {cpu_v1, cpu_v2},
};

/* Return the least limit of a group and of all above it, up to `root`. In a
 * container the groups above its own do not exist, which means no limit. */
static uint64_t least_above(const char *root, const char *group, size_t len,
                            uint64_t (*limit_of)(const char *folder))
{
    uint64_t least = UINT64_MAX;
    char folder[PATH_LONGEST];
    size_t base = strlen(root);

    if (base + len >= sizeof(folder))
        len = 0;
    memcpy(folder, root, base);
    memcpy(folder + base, group, len);
    for (;;) {
        uint64_t limit;

        folder[base + len] = '\0';
        limit = limit_of(folder);
        least = limit < least ? limit : least;
        if (len == 0)
            return least;
        while (len > 0 && folder[base + len - 1] != '/')
            len--;
        len -= len > 0; /* leave the slash out */
    }
}

/* Return true if a list, separated by commas, has a name. */
static bool has_name(const char *list, size_t len, const char *name)
{
    size_t n = strlen(name);

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
static uint64_t limit_of_line(const char *line, size_t len, const char *root,
                              const struct controller *of)
{
    const char *first = memchr(line, ':', len);
    const char *list = first != NULL ? first + 1 : line + len;
    const char *second = memchr(list, ':', (size_t)(line + len - list));
    bool v2 = second == list;
    uint64_t least = UINT64_MAX;

    if (second == NULL ||
        (!v2 && !has_name(list, (size_t)(second - list), of->name)))
        return UINT64_MAX;
    for (int i = 0; i < 2; i++) {
        char place[PATH_LONGEST];
        size_t n = (size_t)(line + len - second - 1);
        uint64_t limit;
        int used =
            snprintf(place, sizeof(place), "%s%s", root, of->places[v2][i]);

        if (used < 0 || (size_t)used >= sizeof(place))
            continue;
        if (n == 1 || leaves(second + 1, n))
            n = 0; /* the root itself; or a group that is not mounted here */
        limit = least_above(place, second + 1, n, of->limit[v2]);
        least = limit < least ? limit : least;
    }
    return least;
}

static uint64_t least_of(const char *self, const char *root,
                         const struct controller *of)
{
    uint64_t least = UINT64_MAX;

    while (*self != '\0') {
        size_t len = strcspn(self, "\n");
        uint64_t limit = limit_of_line(self, len, root, of);

        least = limit < least ? limit : least;
        self += len;
        self += *self == '\n';
    }
    return least;
}

uint64_t wsk__cgroup_memory(const char *self, const char *root)
{
    return least_of(self, root, &MEMORY);
}

uint64_t wsk__cgroup_cpus(const char *self, const char *root)
{
    return least_of(self, root, &CPU);
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

/* Return the CPUs that the scheduler may give to this process; 0: unknown. */
static long scheduled(void)
{
#if defined(__linux__)
    enum { MOST = 1 << 16 };

    /* The call fails if the set is smaller than the kernel's. */
    for (int n = CPU_SETSIZE; n <= MOST; n *= 2) {
        cpu_set_t *set = CPU_ALLOC((size_t)n);
        size_t size = CPU_ALLOC_SIZE((size_t)n);
        int count = 0;

        if (set == NULL)
            break;
        if (sched_getaffinity(0, size, set) == 0)
            count = CPU_COUNT_S(size, set);
        CPU_FREE(set);
        if (count > 0)
            return count;
    }
#endif
#if defined(_SC_NPROCESSORS_ONLN)
    return sysconf(_SC_NPROCESSORS_ONLN);
#else
    return 0;
#endif
}

unsigned wsk_cpus(void)
{
    long cpus = scheduled();
    uint64_t n = cpus > 0 ? (uint64_t)cpus : 1;
#if defined(__linux__)
    char self[SELF_LONGEST];
    uint64_t limit;

    read_text("/proc/self/cgroup", self, sizeof(self));
    limit = wsk__cgroup_cpus(self, "/sys/fs/cgroup");
    n = limit < n ? limit : n;
#endif
    return n > 0 ? (unsigned)n : 1;
}

bool wsk__random(uint8_t *to, size_t n)
{
    enum { MOST = 256 }; /* of one call */

    for (size_t at = 0; at < n; at += MOST)
        if (getentropy(to + at, n - at < MOST ? n - at : MOST) != 0)
            return false;
    return true;
}
