/* The board: what its slots hold, who may take them, and that no sum of
 * counters ever falls. */
#include "harness.h"

#include "net/board/board.h"
#include "wsocket.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#if defined(__linux__)
#include <sys/syscall.h>
#endif
#include <sys/wait.h>
#include <unistd.h>

#if defined(__linux__)
static bool no_memfd;

/* In place of libc's, for the test of a system without memfd_create(). No call
 * has more than six arguments; those that are not there are not looked at. */
long syscall(long number, ...)
{
    long (*libc)(long, ...);
    void *symbol = dlsym(RTLD_NEXT, "syscall");
    long a[6];
    va_list args;

    if (no_memfd && number == SYS_memfd_create) {
        errno = ENOSYS;
        return -1;
    }
    memcpy(&libc, &symbol, sizeof(libc));
    va_start(args, number);
    for (size_t i = 0; i < 6; i++)
        a[i] = va_arg(args, long);
    va_end(args);
    return libc(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
#endif

static wsk_worker look(const wsk_board *board, unsigned slot)
{
    wsk_worker worker = {0};

    EXPECT(wsk_board_look(board, slot, &worker) == WSK_OK);
    return worker;
}

TEST(a_board_has_a_slot_for_each_worker_its_replacement_and_some_more)
{
    wsk_board *board = wsk_board_new(4);
    wsk_worker worker;

    EXPECT(board != NULL && wsk_board_workers(board) == 4);
    EXPECT(wsk_board_slots(board) == 16);
    EXPECT(wsk_board_look(board, 16, &worker) == WSK_E_ARG);
    EXPECT(look(board, 15).state == WSK_WORKER_FREE);
    EXPECT(look(board, 15).pid == 0);
    wsk_board_free(board);
    wsk_board_free(NULL);
}

TEST(a_number_of_workers_out_of_range_is_refused)
{
    wsk_board *board;

    errno = 0;
    EXPECT(wsk_board_new(0) == NULL && errno == EINVAL);
    errno = 0;
    EXPECT(wsk_board_new(WSK__BOARD_WORKERS + 1) == NULL && errno == EINVAL);
    board = wsk_board_new(WSK__BOARD_WORKERS);
    EXPECT(board != NULL && wsk_board_slots(board) == WSK__BOARD_SLOTS);
    EXPECT(look(board, WSK__BOARD_SLOTS - 1).state == WSK_WORKER_FREE);
    wsk_board_free(board);
}

TEST(the_states_have_words)
{
    EXPECT(strcmp(wsk_worker_state_text(WSK_WORKER_SERVING), "serving") == 0);
    EXPECT(strcmp(wsk_worker_state_text((wsk_worker_state)99), "unknown") == 0);
}

TEST(a_slot_is_taken_by_one_process_until_it_is_cleared)
{
    wsk_board *board = wsk_board_new(1);

    EXPECT(wsk__board_enter(board, 10, 1) == WSK_E_ARG);
    EXPECT(wsk__board_enter(board, 3, 7) == WSK_OK);
    EXPECT(look(board, 3).state == WSK_WORKER_BOOT);
    EXPECT(look(board, 3).pid == (uint32_t)getpid());
    EXPECT(look(board, 3).generation == 7);
    EXPECT(wsk__board_enter(board, 3, 8) == WSK_E_STATE);
    wsk__board_publish(board, 3, WSK_WORKER_GONE, 0);
    EXPECT(wsk__board_enter(board, 3, 8) == WSK_E_STATE);
    EXPECT(wsk_board_clear(board, 10) == WSK_E_ARG);
    EXPECT(wsk_board_clear(board, 3) == WSK_OK);
    EXPECT(look(board, 3).state == WSK_WORKER_FREE);
    EXPECT(look(board, 3).generation == 0);
    EXPECT(wsk__board_enter(board, 3, 8) == WSK_OK);
    wsk_board_free(board);
}

TEST(the_least_is_that_of_the_workers_that_serve)
{
    wsk_board *board = wsk_board_new(2);

    EXPECT(wsk__board_least(board) == UINT32_MAX);
    wsk__board_publish(board, 0, WSK_WORKER_SERVING, 9);
    wsk__board_publish(board, 1, WSK_WORKER_DRAINING, 1);
    wsk__board_publish(board, 2, WSK_WORKER_READY, 0);
    wsk__board_publish(board, 11, WSK_WORKER_SERVING, 5);
    EXPECT(wsk__board_least(board) == 5);
    wsk_board_clear(board, 11);
    EXPECT(wsk__board_least(board) == 9);
    wsk__board_publish(board, 0, WSK_WORKER_SERVING, UINT32_MAX);
    EXPECT(look(board, 0).state == WSK_WORKER_SERVING);
    EXPECT(look(board, 0).connections == UINT32_MAX >> 3);
    wsk_board_free(board);
}

TEST(values_of_the_parent_stay_when_a_slot_is_cleared)
{
    wsk_board *board = wsk_board_new(1);

    EXPECT(wsk_board_set(board, "generation", 3) == WSK_OK);
    EXPECT(wsk_board_set(board, "workers", 3) == WSK_E_ARG);
    EXPECT(wsk__board_enter(board, 0, 1) == WSK_OK);
    wsk__board_metrics(board, 0)->gauges[0] = 5;
    EXPECT(wsk_board_clear(board, 0) == WSK_OK);
    EXPECT(wsk__board_get(board, 0) == 3);
    wsk_board_free(board);
}

TEST(a_cleared_slot_leaves_its_counters_and_not_its_gauges)
{
    wsk_board *board = wsk_board_new(2);
    uint64_t sums[WSK__BOARD_COUNTERS] = {0};
    const size_t last = WSK__BOARD_COUNTERS - 1;

    for (unsigned slot = 0; slot < 3; slot++) {
        struct wsk__board_metrics *m = wsk__board_metrics(board, slot);

        EXPECT(wsk__board_enter(board, slot, 1) == WSK_OK);
        m->counters[0] = 10;
        m->counters[last] = 1000 + slot;
        m->gauges[WSK__BOARD_GAUGES - 1] = 5;
    }
    EXPECT(wsk__board_sum(board, sums, WSK__BOARD_COUNTERS));
    EXPECT(sums[0] == 30 && sums[1] == 0 && sums[last] == 3003);
    wsk_board_clear(board, 1);
    EXPECT(wsk__board_metrics(board, 1)->counters[last] == 0);
    EXPECT(wsk__board_metrics(board, 1)->gauges[WSK__BOARD_GAUGES - 1] == 0);
    EXPECT(wsk__board_sum(board, sums, WSK__BOARD_COUNTERS));
    EXPECT(sums[0] == 30 && sums[last] == 3003);
    wsk_board_clear(board, 1); /* counts nothing twice */
    EXPECT(wsk__board_sum(board, sums, 1) && sums[0] == 30);
    wsk_board_free(board);
}

enum { CLEARED = 3000 };
static atomic_bool recycling;

/* Workers come, count to 3 and go. */
static void *recycle(void *arg)
{
    wsk_board *board = arg;

    for (unsigned i = 0; i < CLEARED; i++) {
        unsigned slot = i % 4;

        if (wsk__board_enter(board, slot, i) != WSK_OK)
            abort();
        for (uint64_t n = 1; n <= 3; n++)
            for (int k = 0; k < 50; k++)
                atomic_store_explicit(
                    &wsk__board_metrics(board, slot)->counters[k], n,
                    memory_order_relaxed);
        wsk_board_clear(board, slot);
    }
    atomic_store(&recycling, false);
    return NULL;
}

TEST(no_sum_falls_while_workers_come_and_go)
{
    wsk_board *board = wsk_board_new(1);
    uint64_t sums[50], before[50] = {0};
    unsigned long looks = 0;
    pthread_t thread;

    atomic_store(&recycling, true);
    EXPECT(pthread_create(&thread, NULL, recycle, board) == 0);
    while (atomic_load(&recycling)) {
        if (!wsk__board_sum(board, sums, 50))
            continue;
        looks++;
        for (int k = 0; k < 50; k++)
            EXPECT(sums[k] >= before[k] && sums[k] <= 3 * CLEARED);
        memcpy(before, sums, sizeof(sums));
        if (checks_failed > 0)
            break;
    }
    pthread_join(thread, NULL);
    EXPECT(wsk__board_sum(board, sums, 50));
    EXPECT(sums[0] == 3 * CLEARED && sums[49] == 3 * CLEARED);
    EXPECT(looks > 0);
    wsk_board_free(board);
}

TEST(one_worker_is_the_first_until_its_slot_is_cleared)
{
    wsk_board *board = wsk_board_new(2);

    EXPECT(wsk_board_take_first(board, 1));
    EXPECT(!wsk_board_take_first(board, 0));
    EXPECT(wsk_board_take_first(board, 1));
    wsk_board_clear(board, 0); /* another's */
    EXPECT(!wsk_board_take_first(board, 0));
    wsk_board_clear(board, 1);
    EXPECT(wsk_board_take_first(board, 0));
    EXPECT(!wsk_board_take_first(board, 1));
    EXPECT(!wsk_board_take_first(board, 99));
    wsk_board_free(board);
}

TEST(a_forked_process_and_a_second_mapping_see_the_same)
{
    wsk_board *board = wsk_board_new(2), *other;
    int status = 0, fd = dup(wsk_board_fd(board));
    pid_t pid = fork();

    if (pid == 0)
        _exit(wsk__board_enter(board, 5, 3) == WSK_OK &&
                      wsk_board_take_first(board, 5)
                  ? 0
                  : 1);
    EXPECT(waitpid(pid, &status, 0) == pid && status == 0);
    other = wsk_board_open(fd);
    EXPECT(other != NULL && wsk_board_fd(other) == fd);
    EXPECT(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    EXPECT(wsk_board_workers(other) == 2 && wsk_board_slots(other) == 12);
    wsk_board_free(board);
    EXPECT(look(other, 5).pid == (uint32_t)pid);
    EXPECT(look(other, 5).generation == 3);
    EXPECT(!wsk_board_take_first(other, 0));
    wsk_board_free(other);
    EXPECT(fcntl(fd, F_GETFD) == -1);
}

static bool is_refused(int fd)
{
    wsk_board *board;

    errno = 0;
    board = wsk_board_open(fd);
    if (board == NULL) /* still the caller's */
        return errno == EBADMSG && fcntl(fd, F_GETFD) >= 0;
    wsk_board_free(board);
    return false;
}

/* A copy of a board's memory, of which one word is changed. */
static int copy_with(const wsk_board *board, off_t at, uint32_t word,
                     off_t size)
{
    char path[] = "/tmp/wsocket-board-XXXXXX", block[4096];
    int fd = mkstemp(path);

    unlink(path);
    for (off_t off = 0; off < size; off += (off_t)sizeof(block))
        if (pread(wsk_board_fd(board), block, sizeof(block), off) !=
                (ssize_t)sizeof(block) ||
            pwrite(fd, block, sizeof(block), off) != (ssize_t)sizeof(block))
            abort();
    if (at >= 0 && pwrite(fd, &word, sizeof(word), at) != sizeof(word))
        abort();
    return fd;
}

TEST(what_is_no_board_of_this_version_is_not_opened)
{
    wsk_board *board = wsk_board_new(1), *again;
    const off_t size = 12 * WSK__BOARD_BLOCK;
    static const off_t WORDS[] = {0, 4, 8, 12, 20};
    int pipe_fds[2], fd;

    errno = 0;
    EXPECT(wsk_board_open(-1) == NULL && errno == EBADF);
    EXPECT(pipe(pipe_fds) == 0);
    EXPECT(is_refused(pipe_fds[0]));
    close(pipe_fds[0]);
    close(pipe_fds[1]);
    for (size_t i = 0; i < sizeof(WORDS) / sizeof(*WORDS); i++) {
        fd = copy_with(board, WORDS[i], 0x7fffffff, size);
        EXPECT(is_refused(fd));
        close(fd);
    }
    fd = copy_with(board, -1, 0, size - WSK__BOARD_BLOCK);
    EXPECT(is_refused(fd));
    EXPECT(ftruncate(fd, 0) == 0 && is_refused(fd));
    close(fd);
    again = wsk_board_open(copy_with(board, -1, 0, size));
    EXPECT(again != NULL);
    wsk_board_free(again);
    wsk_board_free(board);
}

#if defined(__linux__)
TEST(without_a_memfd_a_temporary_file_does)
{
    const char *folder = getenv("TMPDIR");
    char *saved = folder != NULL ? strdup(folder) : NULL;
    wsk_board *board, *other;
    struct stat st;

    no_memfd = true;
    board = wsk_board_new(2);
    EXPECT(board != NULL);
    EXPECT(fstat(wsk_board_fd(board), &st) == 0 && st.st_nlink == 0);
    EXPECT((fcntl(wsk_board_fd(board), F_GETFD) & FD_CLOEXEC) != 0);
    EXPECT(wsk__board_enter(board, 11, 1) == WSK_OK);
    other = wsk_board_open(dup(wsk_board_fd(board)));
    EXPECT(other != NULL && look(other, 11).generation == 1);
    wsk_board_free(other);
    wsk_board_free(board);
    setenv("TMPDIR", "/nowhere", 1);
    errno = 0;
    EXPECT(wsk_board_new(2) == NULL && errno == ENOENT);
    unsetenv("TMPDIR");
    if (saved != NULL)
        setenv("TMPDIR", saved, 1);
    free(saved);
    no_memfd = false;
}

/* Else one process could end all others by SIGBUS. */
TEST(no_process_can_shorten_the_memory_of_the_others)
{
    wsk_board *board = wsk_board_new(1);

    errno = 0;
    EXPECT(ftruncate(wsk_board_fd(board), 0) != 0 && errno == EPERM);
    wsk_board_free(board);
}
#endif
