/* Bodies that are complete before their handler runs, however long: the
 * beginning of a long one lies in a file without a name. */
#include "harness.h"

#include "client.h"
#include "net/conn/conn.h"
#include "net/dispatch/offload.h"
#include "net/http1/exchange.h"
#include "net/log/limits.h"
#include "net/server/server.h"

#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/resource.h>

enum { LONG = 1536 << 10 };

static atomic_int calls;
static uint8_t body[LONG];

/* An octet depends on its place, so that nothing can stand elsewhere. */
static uint8_t octet_at(size_t i)
{
    return (uint8_t)(i * 2654435761u >> 13);
}

static void fill_body(void)
{
    for (size_t i = 0; i < LONG; i++)
        body[i] = octet_at(i);
}

/* "length in-one-piece right-octets waited", however it is cut. */
static void account(wsk_request *req, void *user)
{
    uint64_t length = wsk_request_body_length(req);
    uint8_t data[10007];
    const uint8_t *whole;
    char text[128];
    size_t got = 0, len, at = 0, good = 0;
    bool in_place = wsk_request_body(req, &whole, &len), waited = false;
    wsk_status st;

    (void)user;
    atomic_fetch_add(&calls, 1);
    for (;;) {
        st = wsk_request_read(req, data, sizeof(data), &got);
        waited |= st == WSK_E_AGAIN;
        if (st == WSK_E_AGAIN && wsk_request_wait(req) == WSK_OK)
            continue;
        if (st != WSK_OK || got == 0)
            break;
        for (size_t i = 0; i < got; i++)
            good += data[i] == octet_at(at + i);
        at += got;
    }
    snprintf(text, sizeof(text), "%lld %d %zu %d",
             length == WSK_LENGTH_UNKNOWN ? -1LL : (long long)length, in_place,
             good, waited);
    wsk_request_respond(req, 200, NULL, 0, text, strlen(text));
}

static bool say_head(int fd, const char *fields)
{
    return say(fd, "POST / HTTP/1.1\r\nHost: x\r\n") && say(fd, fields) &&
           say(fd, "\r\n");
}

static void expect_account(int fd, const char *want)
{
    char said[128] = "";

    EXPECT(hear_answer(fd, said, sizeof(said)) == 200);
    EXPECT(strcmp(said, want) == 0);
    if (strcmp(said, want) != 0)
        printf("    %s, not %s\n", said, want);
}

/* Posts `len` octets, with one pause where the handler must not run yet. */
static int post_in_two(const struct served *s, size_t len)
{
    int fd = dial(s);
    char fields[64];

    fill_body();
    snprintf(fields, sizeof(fields), "Content-Length: %zu\r\n", len);
    EXPECT(say_head(fd, fields));
    EXPECT(say_octets(fd, body, len - 1));
    EXPECT(!hears(fd, 50));
    EXPECT(atomic_load(&calls) == 0);
    EXPECT(say_octets(fd, body + len - 1, 1));
    return fd;
}

static void expect_buffered(const char *options, size_t len, const char *want)
{
    struct served s = serve(account, NULL, options);
    int fd;

    atomic_store(&calls, 0);
    fd = post_in_two(&s, len);
    expect_account(fd, want);
    EXPECT(say(fd, GET("/"))); /* and the connection goes on */
    expect_account(fd, "0 1 0 0");
    close(fd);
    wsk_server_free(s.srv);
}

TEST(a_body_of_body_memory_stays_in_memory)
{
    expect_buffered("body_memory=300k", 300 << 10, "307200 1 307200 0");
}

TEST(a_longer_one_does_not_and_is_complete_before_the_handler_runs_all_the_same)
{
    expect_buffered("body_memory=300k", (300 << 10) + 1, "307201 0 307201 0");
    expect_buffered("", LONG, "1572864 0 1572864 0");
    expect_buffered("buffer_body=always", LONG, "1572864 0 1572864 0");
    expect_buffered("body_memory=0", 70000, "70000 0 70000 0");
}

static bool say_chunked(int fd, size_t step)
{
    char size[32];
    bool said = true;

    for (size_t at = 0; said && at < LONG; at += step) {
        size_t n = LONG - at < step ? LONG - at : step;

        snprintf(size, sizeof(size), "%zx\r\n", n);
        said = say(fd, size) && say_octets(fd, body + at, n) && say(fd, "\r\n");
    }
    return said && say(fd, "0\r\n\r\n");
}

TEST(a_long_chunked_body_has_a_length_once_it_is_complete) /* 9112 7.1 */
{
    struct served s = serve(account, NULL, "");
    int fd = dial(&s);

    fill_body();
    EXPECT(say_head(fd, "Transfer-Encoding: chunked\r\n"));
    EXPECT(say_chunked(fd, 50000));
    expect_account(fd, "1572864 0 1572864 0");
    EXPECT(say_head(fd, "Transfer-Encoding: chunked\r\n"));
    EXPECT(say_chunked(fd, 999));
    expect_account(fd, "1572864 0 1572864 0");
    close(fd);
    wsk_server_free(s.srv);
}

TEST(a_long_body_that_is_cut_reaches_no_handler) /* 9112 8 */
{
    struct served s = serve(account, NULL, "body_memory=64k");
    int fd = dial(&s);

    atomic_store(&calls, 0);
    fill_body();
    EXPECT(say_head(fd, "Content-Length: 1000000\r\n"));
    EXPECT(say_octets(fd, body, 999999));
    shutdown(fd, SHUT_WR);
    EXPECT(hear_answer(fd, NULL, 0) == 400);
    EXPECT(hears_end(fd));
    EXPECT(atomic_load(&calls) == 0);
    close(fd);
    wsk_server_free(s.srv);
}

TEST(one_that_is_malformed_far_behind_its_beginning_reaches_none_either)
{
    struct served s = serve(account, NULL, "body_memory=64k");
    int fd = dial(&s);

    atomic_store(&calls, 0);
    fill_body();
    EXPECT(say_head(fd, "Transfer-Encoding: chunked\r\n"));
    EXPECT(say(fd, "40000\r\n") && say_octets(fd, body, 0x40000));
    say(fd, "\r\nno size\r\n");
    EXPECT(hear_answer(fd, NULL, 0) == 400);
    EXPECT(hears_end(fd));
    EXPECT(atomic_load(&calls) == 0);
    close(fd);
    wsk_server_free(s.srv);
}

TEST(never_gives_the_body_to_the_handler_as_it_comes)
{
    struct served s = serve(account, NULL, "buffer_body=never");
    int fd = dial(&s);

    atomic_store(&calls, 0);
    fill_body();
    EXPECT(say_head(fd, "Content-Length: 1000\r\n"));
    EXPECT(comes_to(&calls, 1));
    EXPECT(say_octets(fd, body, 1000));
    expect_account(fd, "-1 0 1000 1");
    close(fd);
    wsk_server_free(s.srv);
}

/* RFC 9110 10.1.1: the 100 is the handler's to give, unless every body is to
 * be complete. */
TEST(a_client_that_waits_for_100_gets_it_once_from_whoever_reads)
{
    static const char fields[] =
        "Content-Length: 1000\r\nExpect: 100-continue\r\n";
    static const char *const options[] = {"", "buffer_body=always"};
    static const char *const want[] = {"-1 0 1000 1", "1000 1 1000 0"};

    fill_body();
    for (int i = 0; i < 2; i++) {
        struct served s = serve(account, NULL, options[i]);
        int fd = dial(&s);

        EXPECT(say_head(fd, fields));
        EXPECT(hear_answer(fd, NULL, 0) == 100);
        EXPECT(say_octets(fd, body, 1000));
        expect_account(fd, want[i]);
        close(fd);
        wsk_server_free(s.srv);
    }
}

static void expect_refusal(const char *dir, rlim_t file_size, int status)
{
    const char *was = getenv("TMPDIR");
    char *kept = was ? strdup(was) : NULL;
    struct rlimit old, lim;
    struct served s;
    int fd;

    getrlimit(RLIMIT_FSIZE, &old);
    lim = old;
    if (dir != NULL)
        setenv("TMPDIR", dir, 1);
    s = serve(account, NULL, "");
    fd = dial(&s);
    if (file_size > 0) {
        lim.rlim_cur = file_size;
        setrlimit(RLIMIT_FSIZE, &lim);
    }
    atomic_store(&calls, 0);
    fill_body();
    EXPECT(say_head(fd, "Content-Length: 1572864\r\n"));
    say_octets(fd, body, LONG);
    EXPECT(hear_answer(fd, NULL, 0) == status);
    EXPECT(hears_end(fd)); /* no reset, though much was not read */
    EXPECT(atomic_load(&calls) == 0);
    setrlimit(RLIMIT_FSIZE, &old);
    close(fd);
    wsk_server_free(s.srv);
    if (kept != NULL)
        setenv("TMPDIR", kept, 1);
    else
        unsetenv("TMPDIR");
    free(kept);
}

TEST(no_room_for_a_body_is_507) /* RFC 4918 11.5 */
{
    signal(SIGXFSZ, SIG_IGN);
    expect_refusal(NULL, 256 << 10, 507);
}

/* Each takes 100 KiB: the third is too much, until the first has gone. */
TEST(past_spill_limit_a_body_is_507_and_others_are_not)
{
    struct served s = serve(account, NULL, "body_memory=1k spill_limit=290k");
    int fds[4];

    fill_body();
    for (int i = 0; i < 3; i++) {
        fds[i] = dial(&s);
        EXPECT(say_head(fds[i], "Content-Length: 102401\r\n"));
        EXPECT(say_octets(fds[i], body, 102400));
        for (int ms = 0; ms < PATIENCE_MS && i < 2 &&
                         atomic_load(&s.srv->site.body_file_bytes) <
                             (unsigned)(i + 1) * 100000;
             ms++)
            usleep(1000);
    }
    EXPECT(hear_answer(fds[2], NULL, 0) == 507);
    EXPECT(limit_count(&s, WSK__LIMIT_BODY_FILES) == 1);
    fds[3] = post_in_two(&s, 80000); /* where the refused one had its place */
    expect_account(fds[3], "80000 0 80000 0");
    close(fds[3]);
    for (int i = 0; i < 2; i++) {
        EXPECT(say_octets(fds[i], body + 102400, 1));
        expect_account(fds[i], "102401 0 102401 0");
        close(fds[i]);
    }
    close(fds[2]);
    for (int ms = 0;
         ms < PATIENCE_MS && atomic_load(&s.srv->site.body_file_bytes) != 0;
         ms++)
        usleep(1000);
    EXPECT(atomic_load(&s.srv->site.body_file_bytes) == 0);
    atomic_store(&calls, 0);
    fds[0] = post_in_two(&s, 200000);
    expect_account(fds[0], "200000 0 200000 0");
    close(fds[0]);
    wsk_server_free(s.srv);
}

TEST(no_place_for_a_body_is_500)
{
    expect_refusal("/dev/null/none", 0, 500);
}

/* The only slot is free for others while twenty uploads are half done. */
#if defined(__GLIBC__)
/* A stack that no address space has room for. */
static void refuse_threads(bool refuse, size_t usual)
{
    pthread_attr_t attr;

    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, refuse ? (size_t)1 << 50 : usual);
    EXPECT(pthread_setattr_default_np(&attr) == 0);
    pthread_attr_destroy(&attr);
}

static size_t usual_stack(void)
{
    pthread_attr_t attr;
    size_t size = 0;

    pthread_getattr_default_np(&attr);
    pthread_attr_getstacksize(&attr, &size);
    pthread_attr_destroy(&attr);
    return size;
}

TEST(where_no_thread_can_be_made_for_the_disk_the_loop_writes)
{
    struct served s = serve(account, NULL, "body_memory=300k");
    size_t usual = usual_stack();
    int fd = dial(&s);

    EXPECT(say(fd, GET("/"))); /* by now all other threads are there */
    expect_account(fd, "0 1 0 0");
    close(fd);
    atomic_store(&calls, 0);
    refuse_threads(true, usual);
    fd = post_in_two(&s, LONG);
    expect_account(fd, "1572864 0 1572864 0");
    refuse_threads(false, usual);
    close(fd);
    wsk_server_free(s.srv);
}

struct counted {
    struct wsk__job job;
    int runs, ends;
};

static void count_run(struct wsk__job *job)
{
    ((struct counted *)job)->runs++;
}

static void count_end(struct wsk__job *job)
{
    ((struct counted *)job)->ends++;
}

/* No other thread is there to lock out. */
static void pretend_thread(struct wsk__offload *offload,
                           bool runs) WSK__NO_ANALYSIS
{
    offload->n_threads = runs;
}

static bool is_done(const struct wsk__offload *offload) WSK__NO_ANALYSIS
{
    return offload->first == NULL && offload->n_threads == 0;
}

TEST(what_others_asked_of_a_disk_thread_that_could_not_be_made_is_done)
{
    wsk_server *srv = wsk_server_new(NULL, account, NULL, NULL);
    struct counted jobs[3] = {{.runs = 0}};
    size_t usual = usual_stack();

    for (int i = 0; i < 3; i++)
        jobs[i].job = (struct wsk__job){.run = count_run, .done = count_end};
    pretend_thread(&srv->offload, true); /* another thread tries to make it */
    EXPECT(wsk__offload_ask(&srv->offload, &jobs[0].job));
    EXPECT(wsk__offload_ask(&srv->offload, &jobs[1].job));
    pretend_thread(&srv->offload, false);
    refuse_threads(true, usual);
    EXPECT(!wsk__offload_ask(&srv->offload, &jobs[2].job));
    refuse_threads(false, usual);
    EXPECT(jobs[0].runs == 1 && jobs[1].runs == 1 && jobs[2].runs == 0);
    EXPECT(jobs[0].ends == 1 && jobs[1].ends == 1 && jobs[2].ends == 0);
    EXPECT(is_done(&srv->offload));
    wsk_server_free(srv);
}
#endif

TEST(an_incomplete_upload_holds_no_handler)
{
    struct served s = serve(account, NULL, "threads=1");
    int fds[20], other = dial(&s);

    fill_body();
    for (int i = 0; i < 20; i++) {
        fds[i] = dial(&s);
        EXPECT(say_head(fds[i], "Content-Length: 1572864\r\n"));
        EXPECT(say_octets(fds[i], body, LONG - 1));
    }
    for (int i = 0; i < 20; i++) {
        EXPECT(say(other, GET("/")));
        expect_account(other, "0 1 0 0");
    }
    for (int i = 0; i < 20; i++) {
        EXPECT(say_octets(fds[i], body + LONG - 1, 1));
        expect_account(fds[i], "1572864 0 1572864 0");
        close(fds[i]);
    }
    close(other);
    wsk_server_free(s.srv);
}

/* Descriptors of files that have no name any more. */
static int nameless_files(void)
{
    DIR *dir = opendir("/proc/self/fd");
    struct dirent *entry;
    char path[512];
    int n = 0;

    while ((entry = readdir(dir)) != NULL) {
        ssize_t len =
            readlinkat(dirfd(dir), entry->d_name, path, sizeof(path) - 1);

        path[len > 0 ? len : 0] = '\0';
        n += strstr(path, " (deleted)") != NULL;
    }
    closedir(dir);
    return n;
}

static atomic_int open_when_left;

static void enter(void *thread)
{
    (void)thread;
}

static void leave(void *thread)
{
    (void)thread;
    atomic_store(&open_when_left, nameless_files());
}

static void answer_and_reset(wsk_request *req, void *user)
{
    atomic_store(&open_when_left, -1);
    account(req, user);
}

/* To free the blocks of a gigabyte takes a while. */
TEST(the_file_of_a_body_is_closed_when_the_interpreter_is_left)
{
    wsk_hooks hooks = {.enter = enter, .leave = leave};
    struct served s;
    wsk_server_config cfg;
    int fd, before = nameless_files();

    wsk_config_init(&cfg);
    cfg.port = 0;
    cfg.log_level = "critical";
    s.srv = wsk_server_new(&cfg, answer_and_reset, NULL, &hooks);
    EXPECT(wsk_server_start(s.srv) == WSK_OK);
    s.port = wsk_server_port(s.srv);
    fd = dial(&s);
    fill_body();
    EXPECT(say_head(fd, "Content-Length: 1572864\r\n"));
    EXPECT(say_octets(fd, body, LONG));
    expect_account(fd, "1572864 0 1572864 0");
    for (int ms = 0; ms < PATIENCE_MS && atomic_load(&open_when_left) < 0; ms++)
        usleep(1000);
    EXPECT(atomic_load(&open_when_left) == before + 1);
    close(fd);
    wsk_server_free(s.srv);
    EXPECT(nameless_files() == before);
}
