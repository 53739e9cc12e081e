/* Logs that several processes share, and logs on a disk that is full.
 * LINES_OF_LOGS in the environment: how many lines the processes write,
 * together, to each log. */
#include "harness.h"

#include "net/log/access.h"
#include "net/log/log.h"
#include "net/log/writer.h"
#include "net/os/life.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WRITERS = 4, LONGEST = 16 << 10 };

/* What the texts of each writer consist of: nothing that a line has otherwise,
 * and nothing that is escaped. */
static const char LETTER[WRITERS] = {'@', '#', '$', '&'};

static unsigned long lines_wanted(void)
{
    const char *lines = getenv("LINES_OF_LOGS");

    return lines != NULL ? strtoul(lines, NULL, 10) : 6000;
}

static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525 + 1013904223;
    return *state >> 8;
}

/* Most lines are short, as in life; a few are as long as can be. */
static size_t next_length(uint32_t *state)
{
    uint32_t kind = next_random(state) % 16;

    return 1 + next_random(state) % (kind == 0   ? LONGEST
                                     : kind == 1 ? WSK__LOG_WHOLE + 10
                                                 : 200);
}

/* ------------------------------------------------------------ writers --- */

struct writer {
    struct wsk__life life;
    wsk_server_config cfg;
    struct wsk__logs logs;
    char text[LONGEST];
};

static void begin_writer(struct writer *w, unsigned i, int fd)
{
    memset(w, 0, sizeof(*w));
    memset(w->text, LETTER[i], sizeof(w->text));
    wsk_config_init(&w->cfg);
    w->logs.cfg = &w->cfg;
    w->logs.life = &w->life;
    w->logs.worker = i + 1;
    w->logs.format.json = true;
    w->logs.error = wsk__log_new(fd);
    w->logs.access = wsk__log_new(fd);
}

static void end_writer(struct writer *w)
{
    wsk__log_free(w->logs.error, 60000);
    wsk__log_free(w->logs.access, 60000);
}

/* Log a line of the access log, all of whose texts are long. */
static void put_access(struct writer *w, size_t len)
{
    wsk_header agent = {{"User-Agent", 10}, {w->text, len / 3}};
    wsk_head head = {.method = {"get", 3},
                     .target = {w->text, len},
                     .path = {w->text, len},
                     .version = {"x", 1},
                     .host = {w->text, len / 5},
                     .headers = &agent,
                     .n_headers = 1};
    struct wsk__access_record record = {
        .peer = "peer", .head = &head, .status = 200};

    wsk__access_write(&w->logs, &record);
}

/* Write every second line to the error log; no line may be dropped. */
static void write_to_pipe(unsigned i, int fd, unsigned long n)
{
    static struct writer w;
    uint32_t state = i + 1;

    begin_writer(&w, i, fd);
    for (unsigned long line = 0; line < n; line++) {
        size_t len = next_length(&state);

        if (line % 2 == 0)
            wsk__log_text(&w.logs, w.text, len);
        else
            put_access(&w, len);
        if (line % 64 == 0) {
            wsk__log_flush(w.logs.error, 60000);
            wsk__log_flush(w.logs.access, 60000);
        }
    }
    end_writer(&w);
}

/* Write numbered lines, and open the file again now and then, as for SIGUSR1.
 */
static void write_to_file(unsigned i, const char *path, unsigned long n)
{
    static struct writer w;
    uint32_t state = i + 1;
    char error[200], line[LONGEST + 64];
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT, 0600);

    begin_writer(&w, i, fd);
    close(fd);
    for (unsigned long k = 0; k < n; k++) {
        size_t len = next_length(&state);
        int head = snprintf(line, sizeof(line), "%u %lu ", i, k);

        memcpy(line + head, w.text, len);
        memcpy(line + head + len, " end", 4);
        wsk__log_line(w.logs.error, line, (size_t)head + len + 4);
        if (k % 64 == 0)
            wsk__log_flush(w.logs.error, 60000);
        if (k % 100 == 50)
            wsk__log_refresh(&w.logs.error, path, "log", false, error,
                             sizeof(error));
    }
    end_writer(&w);
}

/* ------------------------------------------------------------ readers --- */

/* Letters of each writer that have come, and lines that are none. */
struct seen {
    unsigned long long letters[WRITERS];
    unsigned long lines, torn;
};

static int writer_of(char c)
{
    const char *at = c != '\0' ? memchr(LETTER, c, WRITERS) : NULL;

    return at != NULL ? (int)(at - LETTER) : -1;
}

/* Count the letters of a line, all of which must be one writer's. */
static size_t letters_of(const char *line, size_t len, int *writer)
{
    size_t n = 0;

    *writer = -1;
    for (size_t i = 0; i < len; i++) {
        int who = writer_of(line[i]);

        if (who < 0)
            continue;
        if (*writer >= 0 && who != *writer)
            return 0;
        *writer = who;
        n++;
    }
    return n;
}

/* Look at a line of the pipe: it must be whole, and no longer than may be. */
static void see_line(struct seen *seen, const char *line, size_t len)
{
    int writer;
    size_t n = letters_of(line, len, &writer);
    bool json = line[0] == '{';
    bool good = n > 0 && len < WSK__LOG_WHOLE;

    if (json)
        good = good && len > 30 && memcmp(line, "{\"time\":\"", 9) == 0 &&
               memcmp(line + len - 12, ",\"worker\":", 10) == 0 &&
               line[len - 2] == (char)('1' + writer) && line[len - 1] == '}';
    else
        good = good && (line[0] == '[' || memcmp(line, "...", 3) == 0) &&
               (line[len - 1] == LETTER[writer] ||
                memcmp(line + len - 3, "...", 3) == 0);
    seen->lines++;
    seen->torn += !good;
    if (good && !json)
        seen->letters[writer] += n;
}

static void read_pipe(int fd, struct seen *seen)
{
    static char data[1 << 20];
    size_t have = 0;
    ssize_t n;

    while ((n = read(fd, data + have, sizeof(data) - have)) > 0) {
        char *from = data, *end;

        have += (size_t)n;
        while ((end = memchr(from, '\n', have - (size_t)(from - data))) !=
               NULL) {
            see_line(seen, from, (size_t)(end - from));
            from = end + 1;
        }
        have -= (size_t)(from - data);
        memmove(data, from, have);
        if (have == sizeof(data))
            break;
    }
    seen->torn += have > 0;
}

static unsigned long long letters_written(unsigned i, unsigned long n)
{
    unsigned long long sum = 0;
    uint32_t state = i + 1;

    for (unsigned long line = 0; line < n; line++) {
        size_t len = next_length(&state);

        sum += line % 2 == 0 ? len : 0;
    }
    return sum;
}

static bool all_ended_well(const pid_t *pids)
{
    bool good = true;

    for (int i = 0; i < WRITERS; i++) {
        int status = -1;

        good &= waitpid(pids[i], &status, 0) == pids[i] && status == 0;
    }
    return good;
}

TEST(lines_of_several_processes_share_a_pipe_whole)
{
    unsigned long n = lines_wanted() / WRITERS;
    struct seen seen = {{0}, 0, 0};
    pid_t pids[WRITERS];
    int fds[2];

    EXPECT(pipe(fds) == 0);
    for (unsigned i = 0; i < WRITERS; i++) {
        pids[i] = fork();
        if (pids[i] == 0) {
            close(fds[0]);
            write_to_pipe(i, fds[1], n);
            _exit(0);
        }
    }
    close(fds[1]);
    read_pipe(fds[0], &seen);
    close(fds[0]);
    EXPECT(all_ended_well(pids));
    EXPECT(seen.torn == 0);
    EXPECT(seen.lines >= n * WRITERS);
    for (unsigned i = 0; i < WRITERS; i++)
        EXPECT(seen.letters[i] == letters_written(i, n));
}

/* Check the lines of a file, and tick off their numbers. Returns the faults. */
static unsigned long read_file(const char *path, uint8_t *ticked,
                               unsigned long n)
{
    FILE *file = fopen(path, "r");
    unsigned long faults = 0;
    size_t size = 0;
    char *line = NULL;
    ssize_t len;

    if (file == NULL)
        return 1;
    while ((len = getline(&line, &size, file)) > 0) {
        unsigned long k, i;
        char *at;
        int writer;

        i = strtoul(line, &at, 10);
        k = strtoul(at, &at, 10);
        if (i >= WRITERS || k >= n || ticked[i * n + k]++ != 0 || len < 8 ||
            memcmp(line + len - 5, " end\n", 5) != 0 ||
            letters_of(at, (size_t)(line + len - at), &writer) == 0 ||
            writer != (int)i)
            faults++;
    }
    free(line);
    fclose(file);
    unlink(path);
    return faults;
}

TEST(each_line_of_several_processes_is_in_one_of_the_files)
{
    unsigned long n = lines_wanted() / WRITERS, faults = 0, missing = 0;
    uint8_t *ticked = calloc(WRITERS * n, 1);
    char path[64], old[96];
    pid_t pids[WRITERS];
    unsigned files = 0;

    snprintf(path, sizeof(path), "/tmp/wsk_log.%ld", (long)getpid());
    for (unsigned i = 0; i < WRITERS; i++) {
        pids[i] = fork();
        if (pids[i] == 0) {
            write_to_file(i, path, n);
            _exit(0);
        }
    }
    while (waitpid(pids[0], NULL, WNOHANG) == 0) {
        snprintf(old, sizeof(old), "%s.%u", path, files);
        files += rename(path, old) == 0;
        usleep(2000);
    }
    for (int i = 1; i < WRITERS; i++)
        waitpid(pids[i], NULL, 0);
    snprintf(old, sizeof(old), "%s.%u", path, files);
    files += rename(path, old) == 0;
    for (unsigned i = 0; i < files; i++) {
        snprintf(old, sizeof(old), "%s.%u", path, i);
        faults += read_file(old, ticked, n);
    }
    for (unsigned long k = 0; k < WRITERS * n; k++)
        missing += ticked[k] != 1;
    EXPECT(faults == 0);
    EXPECT(missing == 0);
    free(ticked);
}

/* ---------------------------------------------------------- full disks --- */

static void limit_file_size(rlim_t most)
{
    struct rlimit limit;

    getrlimit(RLIMIT_FSIZE, &limit);
    limit.rlim_cur = most;
    setrlimit(RLIMIT_FSIZE, &limit);
}

static size_t content_of(int fd, char *got, size_t cap)
{
    ssize_t n = pread(fd, got, cap - 1, 0);

    got[n > 0 ? n : 0] = '\0';
    return n > 0 ? (size_t)n : 0;
}

/* Fill a file that may grow to 10,000 bytes, then let it grow. */
static void fill_and_go_on(int fd, char *before, char *after, size_t cap)
{
    static char text[300];
    struct wsk__log *log = wsk__log_new(fd);

    memset(text, 'x', sizeof(text));
    limit_file_size(10000);
    for (int i = 0; i < 100; i++) {
        wsk__log_line(log, text, sizeof(text));
        if (i % 7 == 0)
            wsk__log_flush(log, 60000);
    }
    wsk__log_flush(log, 60000);
    content_of(fd, before, cap);
    EXPECT(wsk__log_dropped(log) >= 67);
    limit_file_size(RLIM_INFINITY);
    wsk__log_line(log, "late", 4);
    wsk__log_free(log, 60000);
    content_of(fd, after, cap);
}

/* Count the lines of x that are whole, and sum up those that are missing by
 * what the others say. False: a line is neither. */
static bool all_whole(const char *text, unsigned *lines, unsigned *missing)
{
    *lines = *missing = 0;
    for (const char *end; (end = strchr(text, '\n')) != NULL; text = end + 1) {
        unsigned n;

        if (end - text == 300 && strspn(text, "x") == 300)
            ++*lines;
        else if (sscanf(text, "wsocket: %u log lines dropped, ", &n) == 1)
            *missing += n;
        else if (strncmp(text, "late\n", 5) != 0)
            return false;
    }
    return *text == '\0';
}

TEST(a_full_disk_leaves_whole_lines_and_says_what_is_missing)
{
    static char before[20000], after[20000];
    int flags[] = {O_APPEND, 0};

    for (int i = 0; i < 2; i++) {
        char path[] = "/tmp/wsk_full.XXXXXX";
        unsigned lines, missing;
        int fd = mkstemp(path);

        fcntl(fd, F_SETFL, flags[i]);
        unlink(path);
        fill_and_go_on(fd, before, after, sizeof(before));
        EXPECT(all_whole(before, &lines, &missing));
        EXPECT(lines == 33);
        EXPECT(memcmp(before, after, strlen(before)) == 0);
        EXPECT(all_whole(after, &lines, &missing));
        EXPECT(lines == 33 && missing == 67);
        EXPECT(strcmp(after + strlen(after) - 6, "\nlate\n") == 0);
        EXPECT(strstr(after, strerror(ENOSPC)) != NULL);
        close(fd);
    }
}

#ifdef MFD_ALLOW_SEALING
/* As if it had the attribute "append only". */
TEST(a_torn_line_that_cannot_be_taken_back_stands_alone)
{
    static char before[20000], after[20000];
    int fd = memfd_create("log", MFD_ALLOW_SEALING);

    fcntl(fd, F_SETFL, O_APPEND);
    EXPECT(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK) == 0);
    fill_and_go_on(fd, before, after, sizeof(before));
    EXPECT(strlen(before) == 10000);
    EXPECT(after[10000] == '\n');
    EXPECT(strstr(after, "x\nwsocket: ") != NULL);
    EXPECT(strstr(after, " log lines dropped, ") != NULL);
    EXPECT(strstr(after, "\nlate\n") != NULL);
    close(fd);
}
#endif

TEST(lines_that_a_device_does_not_take_are_counted)
{
    int fd = open("/dev/full", O_WRONLY);
    struct wsk__log *log;

    if (fd < 0)
        return;
    log = wsk__log_new(fd);
    for (int i = 0; i < 10; i++)
        wsk__log_line(log, "line", 4);
    wsk__log_flush(log, 60000);
    EXPECT(wsk__log_dropped(log) == 10);
    wsk__log_free(log, 5000);
    close(fd);
}

/* Let standard error be `fd`, or as it was. */
static void redirect_stderr(int fd)
{
    static int before = -1;

    if (before < 0)
        before = dup(STDERR_FILENO);
    dup2(fd >= 0 ? fd : before, STDERR_FILENO);
}

/* Log lines to a device that takes none, while stderr is `fd`. */
static void log_to_full(int fd, int lines)
{
    int full = open("/dev/full", O_WRONLY);
    struct wsk__log *log = wsk__log_new(full);

    redirect_stderr(fd);
    for (int i = 0; i < lines; i++) {
        wsk__log_line(log, "line", 4);
        wsk__log_flush(log, 60000);
    }
    redirect_stderr(-1);
    wsk__log_free(log, 5000);
    close(full);
}

TEST(a_log_that_cannot_be_written_is_told_on_stderr_once)
{
    char got[200] = {0};
    int fds[2];

    if (access("/dev/full", W_OK) != 0)
        return;
    EXPECT(pipe(fds) == 0);
    log_to_full(fds[1], 5);
    EXPECT(fcntl(fds[0], F_SETFL, O_NONBLOCK) == 0);
    EXPECT(read(fds[0], got, sizeof(got) - 1) > 0);
    EXPECT(strstr(got, strerror(ENOSPC)) != NULL);
#ifdef __linux__
    EXPECT(strstr(got, "/dev/full") != NULL);
#endif
    EXPECT(strchr(got, '\n') == got + strlen(got) - 1); /* one line */
    close(fds[0]);
    close(fds[1]);
}

TEST(a_log_that_cannot_be_written_waits_for_no_room_on_stderr)
{
    char most[4096];
    int fds[2], null;

    EXPECT(pipe(fds) == 0 && fcntl(fds[1], F_SETFL, O_NONBLOCK) == 0);
    memset(most, 'x', sizeof(most));
    while (write(fds[1], most, sizeof(most)) > 0)
        continue;
    EXPECT(fcntl(fds[1], F_SETFL, 0) == 0);
    log_to_full(fds[1], 1); /* and does not hang */
    null = open("/dev/null", O_RDONLY);
    log_to_full(null, 1); /* nor where it cannot be written */
    close(null);
    close(fds[0]);
    close(fds[1]);
}

/* Log lines in a child that was forked while the parent's log is held. */
static int log_in_a_child(struct wsk__log *log)
{
    int status = -1;
    pid_t pid = fork();

    if (pid == 0) {
        wsk__log_line(log, "child", 5);
        wsk__log_free(log, 60000);
        _exit(0);
    }
    return waitpid(pid, &status, 0) == pid ? status : -1;
}

TEST(a_log_that_was_made_before_a_fork_is_written_by_both_processes)
{
    for (int writes_before = 0; writes_before <= 1; writes_before++) {
        const char *wanted = writes_before ? "before\nchild\nwaiting\n"
                                           : "child\nwaiting\n";
        struct wsk__log *log;
        char got[64] = {0};
        int fds[2];

        EXPECT(pipe(fds) == 0);
        log = wsk__log_new(fds[1]);
        if (writes_before)
            wsk__log_line(log, "before", 6);
        wsk__log_flush(log, 60000);
        wsk__log_hold(log);
        if (writes_before)
            wsk__log_line(log, "waiting", 7);
        EXPECT(log_in_a_child(log) == 0);
        if (!writes_before)
            wsk__log_line(log, "waiting", 7);
        wsk__log_reopen(log, -1);
        wsk__log_free(log, 60000);
        EXPECT(read(fds[0], got, sizeof(got) - 1) > 0);
        EXPECT(strcmp(got, wanted) == 0);
        close(fds[0]);
        close(fds[1]);
    }
}

/* ----------------------------------------------------------- one reader --- */

TEST(a_worker_has_its_number_in_the_line)
{
    static const char *const WANTED[] = {"- 7\n", "3 7\n"};
    const struct wsk__access_record record = {.peer = "p", .status = 7};

    for (unsigned i = 0; i < 2; i++) {
        struct wsk__logs logs = {.worker = i * 3};
        char got[64] = {0};
        int fds[2];

        EXPECT(pipe(fds) == 0);
        EXPECT(wsk__format_open(&logs.format, "%{worker} %s"));
        logs.access = wsk__log_new(fds[1]);
        wsk__access_write(&logs, &record);
        wsk__log_free(logs.access, 60000);
        EXPECT(read(fds[0], got, sizeof(got) - 1) > 0);
        EXPECT(strcmp(got, WANTED[i]) == 0);
        wsk__format_close(&logs.format);
        close(fds[0]);
        close(fds[1]);
    }
}
