#include "net/bus/interest.h"

#include "base/hash.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    PAGE = 4096,
    SIZE = WSK__INTEREST_BITS / 8 + PAGE, /* of a file, in bytes */
    STUCK = 255,
};

_Static_assert(sizeof(wsk__interest_word) == 8, "processes agree on the bits");

bool wsk__interest_init(struct wsk__interest *mine)
{
    mine->bits = NULL;
    mine->counts = wsk__calloc(WSK__INTEREST_END);
    if (mine->counts != NULL)
        pthread_mutex_init(&mine->lock, NULL);
    return mine->counts != NULL;
}

void wsk__interest_clear(struct wsk__interest *mine)
{
    if (mine->bits != NULL)
        munmap((void *)mine->bits, SIZE);
    wsk__free(mine->counts);
    pthread_mutex_destroy(&mine->lock);
}

/* Write all of it, so that the room is there: a page without room would be a
 * signal. */
static bool fill(int fd)
{
    static const char NONE[PAGE];

    for (size_t i = 0; i < SIZE / sizeof(NONE); i++)
        if (write(fd, NONE, sizeof(NONE)) != (ssize_t)sizeof(NONE)) {
            errno = errno != 0 ? errno : ENOSPC;
            return false;
        }
    return true;
}

static void *map_file(const char *path, int flags, int protection)
{
    int fd = open(path, flags | O_CLOEXEC | O_NOFOLLOW, 0600);
    struct stat st;
    void *at = MAP_FAILED;
    int saved;

    if (fd < 0)
        return NULL;
    errno = 0;
    if ((flags & O_CREAT) == 0 || fill(fd)) {
        if (fstat(fd, &st) == 0 && st.st_size == SIZE && st.st_uid == geteuid())
            at = mmap(NULL, SIZE, protection, MAP_SHARED, fd, 0);
        else
            errno = EPROTO;
    }
    saved = errno;
    close(fd);
    errno = saved;
    return at == MAP_FAILED ? NULL : at;
}

bool wsk__interest_publish(struct wsk__interest *mine, const char *path)
{
    wsk__interest_word *bits =
        map_file(path, O_RDWR | O_CREAT | O_EXCL, PROT_READ | PROT_WRITE);
    wsk__interest_word *before;

    if (bits == NULL)
        return false;
    pthread_mutex_lock(&mine->lock);
    for (uint32_t i = 0; i < WSK__INTEREST_END; i++)
        if (mine->counts[i] > 0)
            atomic_fetch_or(&bits[i / 64], UINT64_C(1) << (i % 64));
    before = mine->bits;
    mine->bits = bits;
    pthread_mutex_unlock(&mine->lock);
    if (before != NULL)
        munmap((void *)before, SIZE);
    return true;
}

uint32_t wsk__interest_bit(wsk_str topic)
{
    static const uint64_t KEY[2] = {0, 0}; /* the same in all processes */

    return (uint32_t)wsk__hash_keyed(KEY, topic.p, topic.len) %
           WSK__INTEREST_BITS;
}

/* Set a count, and show whether it is 0. */
static void count_locked(struct wsk__interest *mine, uint32_t bit, uint8_t n)
{
    uint64_t mask = UINT64_C(1) << (bit % 64);
    bool was = mine->counts[bit] > 0;

    mine->counts[bit] = n;
    if (mine->bits == NULL || was == (n > 0))
        return;
    if (n > 0)
        atomic_fetch_or(&mine->bits[bit / 64], mask);
    else
        atomic_fetch_and(&mine->bits[bit / 64], ~mask);
}

void wsk__interest_add(struct wsk__interest *mine, wsk_str topic)
{
    uint32_t bit = wsk__interest_bit(topic);

    pthread_mutex_lock(&mine->lock);
    if (mine->counts[bit] < STUCK)
        count_locked(mine, bit, (uint8_t)(mine->counts[bit] + 1));
    pthread_mutex_unlock(&mine->lock);
}

void wsk__interest_remove(struct wsk__interest *mine, wsk_str topic)
{
    uint32_t bit = wsk__interest_bit(topic);

    pthread_mutex_lock(&mine->lock);
    if (mine->counts[bit] > 0 && mine->counts[bit] < STUCK)
        count_locked(mine, bit, (uint8_t)(mine->counts[bit] - 1));
    pthread_mutex_unlock(&mine->lock);
}

void wsk__interest_set_broker(struct wsk__interest *mine, bool takes)
{
    pthread_mutex_lock(&mine->lock);
    count_locked(mine, WSK__INTEREST_BROKER, 1);
    count_locked(mine, WSK__INTEREST_RELAY, takes);
    pthread_mutex_unlock(&mine->lock);
}

const wsk__interest_word *wsk__interest_map(const char *path)
{
    return map_file(path, O_RDONLY, PROT_READ);
}

void wsk__interest_unmap(const wsk__interest_word *bits)
{
    if (bits != NULL)
        munmap((void *)(uintptr_t)bits, SIZE);
}
