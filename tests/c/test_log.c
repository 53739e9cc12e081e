#include "harness.h"

#include "net/log/limits.h"
#include "net/log/log.h"
#include "net/log/writer.h"
#include "net/os/clock.h"

#include <fcntl.h>
#include <unistd.h>

TEST(lines_arrive_whole_and_in_order)
{
    struct wsk__log *log;
    char got[64] = {0};
    int fds[2];
    ssize_t n;

    EXPECT(pipe(fds) == 0);
    log = wsk__log_new(fds[1]);
    wsk__log_line(log, "one", 3);
    wsk__log_line(log, "two", 3);
    wsk__log_free(log, 5000);
    n = read(fds[0], got, sizeof(got));
    EXPECT_OCTETS(got, (size_t)n, "one\ntwo\n");
    close(fds[0]);
    close(fds[1]);
}

TEST(a_flush_waits_for_what_was_said_before)
{
    struct wsk__log *log;
    char got[64] = {0};
    int fds[2];
    ssize_t n;

    EXPECT(pipe(fds) == 0);
    fcntl(fds[0], F_SETFL, O_NONBLOCK);
    log = wsk__log_new(fds[1]);
    wsk__log_flush(log, 5000); /* nothing to wait for */
    wsk__log_line(log, "one", 3);
    wsk__log_flush(log, 5000);
    n = read(fds[0], got, sizeof(got));
    EXPECT(n == 4 && memcmp(got, "one\n", 4) == 0);
    wsk__log_free(log, 5000);
    close(fds[0]);
    close(fds[1]);
}

TEST(lines_that_come_while_a_log_is_held_go_to_what_it_is_given)
{
    for (int given = 0; given < 2; given++) {
        int old[2], new[2];
        char got[16];
        struct wsk__log *log;

        EXPECT(pipe(old) == 0 && pipe(new) == 0);
        log = wsk__log_new(old[1]);
        wsk__log_line(log, "one", 3);
        EXPECT(read(old[0], got, sizeof(got)) == 4);
        wsk__log_hold(log);
        wsk__log_line(log, "two", 3);
        wsk__log_flush(log, 20); /* in vain */
        fcntl(old[0], F_SETFL, O_NONBLOCK);
        EXPECT(read(old[0], got, sizeof(got)) < 0);
        EXPECT(wsk__log_reopen(log, given ? new[1] : -1));
        wsk__log_free(log, 5000);
        EXPECT(read(given ? new[0] : old[0], got, sizeof(got)) == 4);
        EXPECT(memcmp(got, "two\n", 4) == 0);
        for (int i = 0; i < 2; i++) {
            close(old[i]);
            close(new[i]);
        }
    }
}

TEST(a_full_pipe_blocks_nobody_and_what_is_lost_is_counted)
{
    static char text[1000], got[1 << 23];
    struct wsk__log *log;
    size_t len = 0;
    int fds[2];
    ssize_t n;

    memset(text, 'x', sizeof(text));
    EXPECT(pipe(fds) == 0);
    log = wsk__log_new(fds[1]);
    for (int i = 0; i < 9000; i++)
        wsk__log_line(log, text, sizeof(text));
    wsk__log_line(log, "late", 4);
    fcntl(fds[0], F_SETFL, O_NONBLOCK);
    for (int i = 0; i < 2000 && strstr(got, "dropped") == NULL; i++) {
        n = read(fds[0], got + len, sizeof(got) - 1 - len);
        if (n > 0)
            len += (size_t)n;
        else
            usleep(1000);
    }
    EXPECT(strstr(got, "log lines dropped") != NULL);
    close(fds[0]); /* the rest has no reader, which ends the writer */
    wsk__log_free(log, 5000);
    close(fds[1]);
}

/* A thread may read the clock, and lose the race to one that reads it later. */
TEST(a_limit_is_told_once_a_second_however_threads_race)
{
    static struct wsk__logs logs;
    struct wsk__limit_counter *counter = &logs.limits[WSK__LIMIT_QUEUE];
    unsigned long long n;

    EXPECT(wsk__limit_due(&logs, WSK__LIMIT_QUEUE, &n) && n == 1);
    EXPECT(!wsk__limit_due(&logs, WSK__LIMIT_QUEUE, &n) && n == 2);
    atomic_store(&counter->told_ms, wsk__now_ms() + 100);
    EXPECT(!wsk__limit_due(&logs, WSK__LIMIT_QUEUE, &n) && n == 3);
    atomic_store(&counter->told_ms, wsk__now_ms() - 1000);
    EXPECT(wsk__limit_due(&logs, WSK__LIMIT_QUEUE, &n) && n == 4);
}
