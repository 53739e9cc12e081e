#include "net/board/board.h"

#include "base/mem.h"
#include "net/os/machine.h"
#include "wsocket.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#if defined(__linux__)
#include <linux/memfd.h>
#include <sys/syscall.h>
#endif

enum {
    STATE_BITS = 3, /* of a load word; the rest is the count */
    COUNT_MAX = (int)(UINT32_MAX >> STATE_BITS),
    SUM_TRIES = 100000, /* looks at a slot that is being cleared */
};

static const char MAGIC[8] = {'w', 's', 'k', 'b', 'o', 'a', 'r', 'd'};

/* The first block. The loads lie side by side, not in the slots: the balance
 * reads all of them, and one line of the cache has 16. */
struct header {
    union {
        struct {
            char magic[8];
            uint32_t version;
            uint32_t block;   /* WSK__BOARD_BLOCK */
            uint32_t workers; /* for which the board was made */
            uint32_t slots;
            atomic_uint first;   /* 1 + slot of the first worker; 0: none */
            atomic_uint folding; /* odd while a slot is added to the sums */
        };
        char head[WSK__BOARD_HEAD];
    };
    atomic_uint load[WSK__BOARD_SLOTS]; /* count << STATE_BITS | state */
    uint8_t seed[WSK__BOARD_SEED];      /* fixed */
    char rest[WSK__BOARD_BLOCK - WSK__BOARD_HEAD -
              WSK__BOARD_SLOTS * sizeof(atomic_uint) - WSK__BOARD_SEED];
};

/* A slot; or, as the second block, the sums of the slots that were cleared. */
struct block {
    union {
        struct {
            atomic_uint pid; /* 0: free */
            atomic_uint generation;
        };
        char head[WSK__BOARD_HEAD];
    };
    struct wsk__board_metrics metrics;
};

struct memory {
    struct header header;
    struct block sums;
    struct block slots[];
};

struct wsk_board {
    atomic_uint refs;
    int fd;
    size_t size; /* bytes of *at */
    struct memory *at;
};

_Static_assert(sizeof(struct header) == WSK__BOARD_BLOCK, "one block");
_Static_assert(sizeof(struct block) == WSK__BOARD_BLOCK, "one block");
_Static_assert(sizeof(atomic_uint) == 4, "a word that processes share");

/* ------------------------------------------------------- the memory --- */

static size_t size_of(unsigned slots)
{
    return sizeof(struct memory) + slots * sizeof(struct block);
}

/* Return an unlinked temporary file of `size` bytes; -1 with errno. It is
 * written, not only made longer: a full disk must fail here, because later it
 * would end the process (SIGBUS). */
static int temporary_file(size_t size)
{
    static const char zeros[WSK__BOARD_BLOCK];
    const char *folder = getenv("TMPDIR");
    char path[1024];
    int fd, len = snprintf(path, sizeof(path), "%s/wsocket-XXXXXX",
                           folder != NULL ? folder : "/tmp");

    if (len < 0 || (size_t)len >= sizeof(path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    fd = mkstemp(path);
    if (fd < 0)
        return -1;
    unlink(path);
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    for (size_t at = 0; at < size; at += sizeof(zeros)) {
        ssize_t n = write(fd, zeros, sizeof(zeros));

        if (n == (ssize_t)sizeof(zeros))
            continue;
        errno = n < 0 ? errno : ENOSPC;
        len = errno;
        close(fd);
        errno = len;
        return -1;
    }
    return fd;
}

/* Return a descriptor of shared memory that no process can make shorter under
 * the others; -1 with errno. */
static int shared_memory(size_t size)
{
#if defined(__linux__)
    /* By its number: the glibc of the wheels, 2.17, lacks memfd_create(). */
    int fd = (int)syscall(SYS_memfd_create, "wsocket-board",
                          MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (fd >= 0 && ftruncate(fd, (off_t)size) == 0) {
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
        return fd;
    }
    if (fd >= 0)
        close(fd);
#endif
    return temporary_file(size);
}

/* Map `fd`, which the board owns from here on. NULL with errno. */
static wsk_board *map(int fd, size_t size)
{
    wsk_board *board = wsk__calloc(sizeof(*board));
    void *at;

    if (board == NULL) {
        errno = ENOMEM;
        return NULL;
    }
    at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED) {
        wsk__free(board);
        return NULL;
    }
    board->fd = fd;
    board->size = size;
    board->at = at;
    atomic_init(&board->refs, 1);
    return board;
}

wsk_board *wsk_board_new(unsigned workers)
{
    wsk_board *board;
    unsigned slots;
    int fd, saved;

    if (workers == 0 || workers > WSK__BOARD_WORKERS) {
        errno = EINVAL;
        return NULL;
    }
    slots = 2 * workers + 8;
    fd = shared_memory(size_of(slots));
    if (fd < 0)
        return NULL;
    board = map(fd, size_of(slots));
    if (board == NULL) {
        saved = errno;
        close(fd);
        errno = saved;
        return NULL;
    }
    if (!wsk__random(board->at->header.seed, WSK__BOARD_SEED)) {
        saved = errno;
        wsk_board_free(board);
        errno = saved;
        return NULL;
    }
    memcpy(board->at->header.magic, MAGIC, sizeof(MAGIC));
    board->at->header.version = WSK__BOARD_VERSION;
    board->at->header.block = WSK__BOARD_BLOCK;
    board->at->header.workers = workers;
    board->at->header.slots = slots;
    return board;
}

/* Return true if memory of this size is a board of this layout. */
static bool is_board(const struct header *header, size_t size)
{
    return memcmp(header->magic, MAGIC, sizeof(MAGIC)) == 0 &&
           header->version == WSK__BOARD_VERSION &&
           header->block == WSK__BOARD_BLOCK &&
           header->slots <= WSK__BOARD_SLOTS && size == size_of(header->slots);
}

wsk_board *wsk_board_open(int fd)
{
    wsk_board *board;
    struct stat st;
    int saved;

    if (fstat(fd, &st) != 0)
        return NULL;
    if (!S_ISREG(st.st_mode) || st.st_size < (off_t)sizeof(struct memory) ||
        st.st_size > (off_t)size_of(WSK__BOARD_SLOTS)) {
        errno = EBADMSG;
        return NULL;
    }
    board = map(fd, (size_t)st.st_size);
    if (board == NULL)
        return NULL;
    if (!is_board(&board->at->header, board->size)) {
        board->fd = -1; /* still the caller's */
        wsk_board_free(board);
        errno = EBADMSG;
        return NULL;
    }
    saved = fcntl(fd, F_GETFD);
    fcntl(fd, F_SETFD, saved | FD_CLOEXEC);
    return board;
}

wsk_board *wsk__board_ref(wsk_board *board)
{
    atomic_fetch_add(&board->refs, 1);
    return board;
}

void wsk_board_free(wsk_board *board)
{
    if (board == NULL || atomic_fetch_sub(&board->refs, 1) != 1)
        return;
    munmap(board->at, board->size);
    if (board->fd >= 0)
        close(board->fd);
    wsk__free(board);
}

const uint8_t *wsk__board_seed(const wsk_board *board)
{
    return board->at->header.seed;
}

int wsk_board_fd(const wsk_board *board)
{
    return board->fd;
}

unsigned wsk_board_workers(const wsk_board *board)
{
    return board->at->header.workers;
}

unsigned wsk_board_slots(const wsk_board *board)
{
    return board->at->header.slots;
}

/* -------------------------------------------------------- the workers --- */

const char *wsk_worker_state_text(wsk_worker_state state)
{
    switch (state) {
#define X(name, text)                                                          \
    case WSK_WORKER_##name:                                                    \
        return text;
        WSK_WORKER_STATE_LIST(X)
#undef X
    }
    return "unknown";
}

static unsigned load_of(const wsk_board *board, unsigned slot)
{
    return atomic_load_explicit(&board->at->header.load[slot],
                                memory_order_relaxed);
}

static wsk_worker_state state_of(unsigned load)
{
    return (wsk_worker_state)(load & ((1u << STATE_BITS) - 1));
}

wsk_status wsk_board_look(const wsk_board *board, unsigned slot,
                          wsk_worker *out)
{
    unsigned load;

    if (slot >= wsk_board_slots(board))
        return WSK_E_ARG;
    load = load_of(board, slot);
    *out = (wsk_worker){
        .state = state_of(load),
        .pid = atomic_load(&board->at->slots[slot].pid),
        .generation = atomic_load(&board->at->slots[slot].generation),
        .connections = load >> STATE_BITS,
    };
    return WSK_OK;
}

wsk_status wsk__board_enter(wsk_board *board, unsigned slot,
                            uint32_t generation)
{
    unsigned nobody = 0;

    if (slot >= wsk_board_slots(board))
        return WSK_E_ARG;
    if (!atomic_compare_exchange_strong(&board->at->slots[slot].pid, &nobody,
                                        (unsigned)getpid()))
        return WSK_E_STATE;
    atomic_store(&board->at->slots[slot].generation, generation);
    wsk__board_publish(board, slot, WSK_WORKER_BOOT, 0);
    return WSK_OK;
}

void wsk__board_publish(wsk_board *board, unsigned slot, wsk_worker_state state,
                        unsigned connections)
{
    if (connections > COUNT_MAX)
        connections = COUNT_MAX;
    atomic_store_explicit(&board->at->header.load[slot],
                          connections << STATE_BITS | (unsigned)state,
                          memory_order_relaxed);
}

unsigned wsk__board_least(const wsk_board *board)
{
    unsigned least = UINT32_MAX, n = wsk_board_slots(board);

    for (unsigned i = 0; i < n; i++) {
        unsigned load = load_of(board, i);

        if (state_of(load) == WSK_WORKER_SERVING && load >> STATE_BITS < least)
            least = load >> STATE_BITS;
    }
    return least;
}

bool wsk_board_take_first(wsk_board *board, unsigned slot)
{
    atomic_uint *first = &board->at->header.first;
    unsigned holder = 0;

    if (slot >= wsk_board_slots(board))
        return false;
    return atomic_compare_exchange_strong(first, &holder, slot + 1) ||
           holder == slot + 1;
}

/* -------------------------------------------------------- the numbers --- */

struct wsk__board_metrics *wsk__board_metrics(wsk_board *board, unsigned slot)
{
    return &board->at->slots[slot].metrics;
}

/* Acquire and release keep these on their side of the looks at `folding`, as
 * fences would; a worker's own stores may be relaxed. */
static uint64_t number(const _Atomic uint64_t *at)
{
    return atomic_load_explicit(at, memory_order_acquire);
}

static void set_number(_Atomic uint64_t *at, uint64_t value)
{
    atomic_store_explicit(at, value, memory_order_release);
}

/* Move the counters of a slot to the sums. A reader sees `folding` odd
 * meanwhile, for the counters stand in both places, or in neither. Pages that
 * were never written stay so. */
static void fold(wsk_board *board, struct wsk__board_metrics *from)
{
    struct wsk__board_metrics *to = &board->at->sums.metrics;
    atomic_uint *folding = &board->at->header.folding;
    unsigned odd = atomic_load(folding) | 1;

    atomic_store(folding, odd);
    for (size_t i = 0; i < WSK__BOARD_COUNTERS; i++) {
        uint64_t n = number(&from->counters[i]);

        if (n == 0)
            continue;
        set_number(&to->counters[i], number(&to->counters[i]) + n);
        set_number(&from->counters[i], 0);
    }
    for (size_t i = 0; i < WSK__BOARD_GAUGES; i++)
        if (number(&from->gauges[i]) != 0)
            set_number(&from->gauges[i], 0);
    atomic_store(folding, odd + 1);
}

wsk_status wsk_board_clear(wsk_board *board, unsigned slot)
{
    unsigned holder = slot + 1;

    if (slot >= wsk_board_slots(board))
        return WSK_E_ARG;
    /* First of all its count is no longer the least of anything. */
    wsk__board_publish(board, slot, WSK_WORKER_FREE, 0);
    fold(board, &board->at->slots[slot].metrics);
    atomic_compare_exchange_strong(&board->at->header.first, &holder, 0);
    atomic_store(&board->at->slots[slot].generation, 0);
    atomic_store(&board->at->slots[slot].pid, 0); /* last: it can be taken */
    return WSK_OK;
}

void wsk__board_count(wsk_board *board, unsigned counter)
{
    _Atomic uint64_t *at = &board->at->sums.metrics.counters[counter];

    set_number(at, number(at) + 1);
}

void wsk__board_set(wsk_board *board, unsigned gauge, uint64_t value)
{
    set_number(&board->at->sums.metrics.gauges[gauge], value);
}

uint64_t wsk__board_get(const wsk_board *board, unsigned gauge)
{
    return number(&board->at->sums.metrics.gauges[gauge]);
}

static void add_all(const wsk_board *board, uint64_t *sums, size_t n)
{
    unsigned slots = wsk_board_slots(board);

    for (size_t i = 0; i < n; i++)
        sums[i] = number(&board->at->sums.metrics.counters[i]);
    for (unsigned s = 0; s < slots; s++) {
        const struct block *slot = &board->at->slots[s];

        if (atomic_load_explicit(&slot->pid, memory_order_relaxed) == 0)
            continue;
        for (size_t i = 0; i < n; i++)
            sums[i] += number(&slot->metrics.counters[i]);
    }
}

bool wsk__board_sum(wsk_board *board, uint64_t *sums, size_t n)
{
    const atomic_uint *folding = &board->at->header.folding;

    for (int i = 0; i < SUM_TRIES; i++) {
        unsigned before = atomic_load(folding);

        if (before % 2 != 0 && i + 1 < SUM_TRIES)
            continue;
        add_all(board, sums, n);
        if (before % 2 == 0 && atomic_load(folding) == before)
            return true;
    }
    return false;
}
