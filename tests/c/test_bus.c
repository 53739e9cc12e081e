/* The bus of a host: members that share a folder, all in this process. */
#include "harness.h"

#include "net/bus/host.h"
#include "net/bus/wire.h"
#include "net/local/local.h"
#include "wsocket.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char folder[WSK__FOLDER_PATH];

static int held; /* or other processes would remove it between two members */

static void make_folder(void)
{
    char error[WSK__FOLDER_ERROR] = "";

    held = wsk__folder_make(folder, error);
    EXPECT(held >= 0);
}

static int n_files;

static void count_file(void *user, const char *name)
{
    (void)user;
    (void)name;
    n_files++;
}

static void pause_ms(long ms)
{
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

static bool within(int ms, bool (*is_so)(void))
{
    for (; ms > 0; ms -= 2) {
        if (is_so())
            return true;
        pause_ms(2);
    }
    return is_so();
}

static bool is_gone(void)
{
    return rmdir(folder) == 0;
}

/* Nothing is left in it once the last thread has ended. */
static void remove_folder(void)
{
    EXPECT(within(10000, is_gone));
    close(held);
}

/* ------------------------------------------------------ whole topics --- */

static wsk_topics *member(void)
{
    wsk_topics *topics = wsk_topics_new();
    char error[200] = "";

    EXPECT(wsk_topics_join(topics, folder, error, sizeof(error)) == WSK_OK);
    if (error[0] != '\0')
        printf("%s\n", error);
    return topics;
}

static wsk_listener *listen(wsk_topics *topics, const char *name)
{
    wsk_str topic = {name, strlen(name)};
    wsk_listener *listener = NULL;

    EXPECT(wsk_topics_listen(topics, &topic, 1, &listener) == WSK_OK);
    return listener;
}

static void say(wsk_topics *topics, const char *name, const char *text)
{
    wsk_str topic = {name, strlen(name)};

    EXPECT(wsk_topics_publish(topics, &topic, 1, WSK_TEXT, text, strlen(text),
                              0, NULL) == WSK_OK);
}

static bool hears(wsk_listener *listener, const char *text)
{
    wsk_message msg;
    bool same;

    if (wsk_listener_next(listener, 10000, &msg) != WSK_OK)
        return false;
    same = msg.len == strlen(text) && memcmp(msg.data, text, msg.len) == 0;
    wsk_message_free(&msg);
    return same;
}

TEST(what_one_member_publishes_reaches_all)
{
    wsk_topics *a, *b, *c;
    wsk_listener *at_a, *at_b, *at_c;

    make_folder();
    a = member();
    at_a = listen(a, "news");
    b = member();
    at_b = listen(b, "news");
    c = member();
    at_c = listen(c, "other");
    say(a, "news", "from a");
    say(c, "news", "from c");
    say(c, "other", "here");
    EXPECT(hears(at_a, "from a") && hears(at_a, "from c"));
    EXPECT(hears(at_c, "here"));
    /* Two publishers: their order is open. */
    EXPECT(hears(at_b, "from a") || hears(at_b, "from a"));
    wsk_listener_free(at_a);
    wsk_listener_free(at_b);
    wsk_listener_free(at_c);
    wsk_topics_unref(a);
    wsk_topics_unref(b);
    wsk_topics_unref(c);
    remove_folder();
}

TEST(who_publishes_and_ends_at_once_is_heard)
{
    wsk_topics *a, *b;
    wsk_listener *at_a;
    char text[40];

    make_folder();
    a = member();
    at_a = listen(a, "news");
    for (int i = 0; i < 50; i++) {
        b = member();
        snprintf(text, sizeof(text), "number %d", i);
        say(b, "news", text);
        wsk_topics_unref(b);
        EXPECT(hears(at_a, text));
    }
    wsk_listener_free(at_a);
    wsk_topics_unref(a);
    remove_folder();
}

/* Members that come and go. */
static atomic_bool churn_ends;

static void *churn(void *arg)
{
    (void)arg;
    while (!atomic_load(&churn_ends)) {
        wsk_topics *topics = member();
        wsk_listener *listener = listen(topics, "churn");

        wsk_listener_free(listener);
        wsk_topics_unref(topics);
    }
    return NULL;
}

TEST(once_subscribe_has_returned_what_another_member_publishes_arrives)
{
    int rounds = getenv("WSK_ROUNDS") ? atoi(getenv("WSK_ROUNDS")) : 2000;
    pthread_t thread;
    wsk_topics *a, *b;
    char name[40];
    int lost = 0;

    make_folder();
    a = member();
    b = member();
    atomic_store(&churn_ends, false);
    pthread_create(&thread, NULL, churn, NULL);
    for (int i = 0; i < rounds; i++) {
        wsk_listener *listener;

        snprintf(name, sizeof(name), "topic %d", i % 100);
        listener = listen(a, name);
        say(b, name, "hello");
        lost += !hears(listener, "hello");
        wsk_listener_free(listener);
        if (i % 500 == 499) { /* B dies, and another one comes */
            wsk_topics_unref(b);
            b = member();
        }
    }
    EXPECT(lost == 0);
    atomic_store(&churn_ends, true);
    pthread_join(thread, NULL);
    wsk_topics_unref(a);
    wsk_topics_unref(b);
    remove_folder();
}

TEST(a_member_that_has_just_joined_misses_nothing_of_the_others)
{
    wsk_topics *a, *b;

    make_folder();
    a = member();
    for (int i = 0; i < 200; i++) {
        wsk_listener *listener;

        b = member();
        listener = listen(b, "news");
        say(a, "news", "hello");
        EXPECT(hears(listener, "hello"));
        wsk_listener_free(listener);
        wsk_topics_unref(b);
    }
    wsk_topics_unref(a);
    remove_folder();
}

enum { SENDERS = 3, EACH = 1000 };

static void *send_numbers(void *arg)
{
    wsk_topics *topics = arg;
    char text[40];

    for (int i = 0; i < EACH; i++) {
        snprintf(text, sizeof(text), "%p %d", arg, i);
        say(topics, "numbers", text);
    }
    return NULL;
}

TEST(the_messages_of_each_publisher_come_once_and_in_order)
{
    wsk_topics *from[SENDERS], *to;
    pthread_t thread[SENDERS];
    int next[SENDERS] = {0}, wrong = 0;
    wsk_listener *listener;

    make_folder();
    to = member();
    listener = listen(to, "numbers");
    for (int i = 0; i < SENDERS; i++) {
        from[i] = member();
        pthread_create(&thread[i], NULL, send_numbers, from[i]);
    }
    for (int n = 0; n < SENDERS * EACH && wrong == 0; n++) {
        wsk_message msg;
        char text[40];
        void *who;
        int number;

        wsk_status st = wsk_listener_next(listener, 20000, &msg);

        EXPECT(st == WSK_OK);
        if (st != WSK_OK)
            break;
        snprintf(text, sizeof(text), "%.*s", (int)msg.len,
                 (const char *)msg.data);
        wsk_message_free(&msg);
        wrong += sscanf(text, "%p %d", &who, &number) != 2;
        for (int i = 0; i < SENDERS; i++)
            if (from[i] == who)
                wrong += number != next[i]++;
    }
    EXPECT(wrong == 0);
    for (int i = 0; i < SENDERS; i++) {
        EXPECT(next[i] == EACH);
        pthread_join(thread[i], NULL);
        wsk_topics_unref(from[i]);
    }
    wsk_listener_free(listener);
    wsk_topics_unref(to);
    remove_folder();
}

/* ------------------------------------------------- whole processes --- */

enum { SAYS = 20 }; /* messages of each process */

/* Wait for an octet, or the end. */
static bool wait_for(int fd)
{
    char c;

    return read(fd, &c, 1) == 1;
}

/* Be one of n processes: once all have subscribed, each hears SAYS numbers of
 * each, in order. */
static bool hear_all(int ready, int go, int n)
{
    wsk_topics *topics = member();
    wsk_listener *listener = listen(topics, "numbers");
    char text[40];
    int *next = calloc((size_t)n, sizeof(*next));
    int *pids = calloc((size_t)n, sizeof(*pids));
    bool good = write(ready, "r", 1) == 1 && wait_for(go);

    for (int i = 0; i < SAYS; i++) {
        snprintf(text, sizeof(text), "%d %d", (int)getpid(), i);
        say(topics, "numbers", text);
    }
    for (int heard = 0; heard < n * SAYS && good; heard++) {
        wsk_message msg;
        int pid, number, i = 0;

        good = wsk_listener_next(listener, 60000, &msg) == WSK_OK;
        if (!good)
            break;
        snprintf(text, sizeof(text), "%.*s", (int)msg.len,
                 (const char *)msg.data);
        wsk_message_free(&msg);
        good = sscanf(text, "%d %d", &pid, &number) == 2;
        while (i < n && pids[i] != 0 && pids[i] != pid)
            i++;
        good = good && i < n && number == next[i]++;
        if (good)
            pids[i] = pid;
    }
    free(next);
    free(pids);
    wsk_listener_free(listener);
    wsk_topics_leave(topics); /* its thread may have the last reference */
    wsk_topics_unref(topics);
    return good;
}

TEST(each_of_many_processes_hears_all_of_all)
{
    const char *many = getenv("WSK_MEMBERS");
    int n = many != NULL ? atoi(many) : 12, ready[2], go[2], failed = 0;

    make_folder();
    EXPECT(pipe(ready) == 0 && pipe(go) == 0);
    for (int i = 0; i < n; i++) {
        pid_t pid = fork();

        EXPECT(pid >= 0);
        if (pid == 0)
            _exit(!hear_all(ready[1], go[0], n));
    }
    for (int i = 0; i < n; i++)
        EXPECT(wait_for(ready[0]));
    for (int i = 0; i < n; i++)
        EXPECT(write(go[1], "g", 1) == 1);
    for (int i = 0; i < n; i++) {
        int status = 1;

        EXPECT(wait(&status) > 0);
        failed += status != 0;
    }
    EXPECT(failed == 0);
    for (int i = 0; i < 2; i++) {
        close(ready[i]);
        close(go[i]);
    }
    remove_folder();
}

/* ---------------------------------------------------- the route alone --- */

/* What a member was told. */
struct told {
    struct wsk__route *route;
    atomic_int messages, gaps, lines, disconnects;
    atomic_int relayed; /* of these, to be passed on */
    atomic_size_t octets;
    atomic_bool *stalls; /* its thread waits while this is set; or NULL */
};

static wsk_status message(void *user, const struct wsk__bus_message *m)
{
    struct told *told = user;

    while (told->stalls != NULL && atomic_load(told->stalls))
        pause_ms(1);
    atomic_fetch_add(&told->octets, m->len);
    atomic_fetch_add(&told->relayed, m->relay);
    atomic_fetch_add(&told->messages, 1);
    return WSK_OK;
}

static wsk_status disconnect(void *user, wsk_str topic, uint16_t code,
                             wsk_str reason, bool relay)
{
    struct told *told = user;

    atomic_fetch_add(&told->relayed, relay);
    EXPECT(topic.len == 1 && code == 4001 && reason.len == 3);
    atomic_fetch_add(&told->disconnects, 1);
    return WSK_OK;
}

static void gap(void *user, const wsk_str *names, size_t n)
{
    (void)names;
    (void)n;
    atomic_fetch_add(&((struct told *)user)->gaps, 1);
}

static void line(void *user, wsk_log_level level, const char *text)
{
    (void)level;
    if (strstr(text, "peer") == NULL) /* "bus: 1 peer" may come */
        atomic_fetch_add(&((struct told *)user)->lines, 1);
}

static const struct wsk__route_events EVENTS = {
    .message = message, .disconnect = disconnect, .gap = gap, .log = line};

static void join(struct told *told, bool wants)
{
    char error[WSK__FOLDER_ERROR] = "";

    memset(told, 0, sizeof(*told));
    told->route = wsk__host_new(folder, false, error);
    EXPECT(told->route != NULL);
    told->route->events = &EVENTS;
    told->route->user = told;
    if (wants)
        told->route->ops->want(told->route, (wsk_str){"t", 1});
    told->route->ops->start(told->route);
    told->route->ops->confirm(told->route, (wsk_str){"t", 1});
}

static void leave(struct told *told)
{
    told->route->ops->stop(told->route);
}

static wsk_status publish(struct told *told, const void *data, size_t len)
{
    const wsk_str name = {"t", 1};
    const struct wsk__bus_message m = {.topics = &name,
                                       .n_topics = 1,
                                       .opcode = WSK_BINARY,
                                       .data = data,
                                       .len = len};

    return told->route->ops->publish(told->route, &m);
}

static void send(struct told *told, const void *data, size_t len)
{
    EXPECT(publish(told, data, len) == WSK_OK);
}

static struct told here, there;

static bool has_one(void)
{
    return atomic_load(&here.messages) == 1;
}

static bool has_gap(void)
{
    return atomic_load(&here.gaps) > 0;
}

static bool has_line(void)
{
    return atomic_load(&here.lines) > 0;
}

static bool has_disconnect(void)
{
    return atomic_load(&here.disconnects) == 1;
}

TEST(a_disconnect_reaches_the_peers)
{
    make_folder();
    join(&here, false);
    join(&there, false);
    there.route->ops->disconnect(there.route, (wsk_str){"t", 1}, 4001,
                                 (wsk_str){"bye", 3});
    EXPECT(within(10000, has_disconnect));
    leave(&here);
    leave(&there);
    remove_folder();
}

TEST(a_peer_that_wants_nothing_is_sent_nothing)
{
    make_folder();
    join(&here, false);
    join(&there, false);
    send(&there, "x", 1);
    here.route->ops->want(here.route, (wsk_str){"t", 1});
    send(&there, "x", 1);
    EXPECT(within(10000, has_one));
    here.route->ops->unwant(here.route, (wsk_str){"t", 1});
    send(&there, "x", 1);
    leave(&there);
    leave(&here);
    EXPECT(atomic_load(&here.messages) == 1);
    EXPECT(atomic_load(&here.gaps) == 0);
    remove_folder();
}

static struct told also;

/* The relay of a disconnect is told as every peer, and once more. */
static bool have_heard_all(void)
{
    return atomic_load(&here.relayed) + atomic_load(&also.relayed) == 4 &&
           atomic_load(&here.disconnects) + atomic_load(&also.disconnects) == 3;
}

static int accepted;

static bool have_arrived(void)
{
    return atomic_load(&here.relayed) == accepted;
}

static bool is_taken_again(void)
{
    bool taken = publish(&there, "x", 1) == WSK_OK;

    accepted += taken;
    return taken;
}

TEST(one_peer_with_a_broker_passes_on_and_while_all_are_down_none_does)
{
    atomic_bool serves = true;
    wsk_str topic = {"t", 1}, why = {"bye", 3};

    make_folder();
    join(&here, true);
    join(&also, false);
    join(&there, false);
    EXPECT(!there.route->ops->peers_have_broker(there.route));
    here.route->ops->set_broker(here.route, false);
    also.route->ops->set_broker(also.route, false);
    EXPECT(there.route->ops->peers_have_broker(there.route));
    EXPECT(publish(&there, "x", 1) == WSK_E_AGAIN);
    also.route->ops->set_broker(also.route, true);
    EXPECT(publish(&there, "x", 1) == WSK_OK);
    also.route->ops->set_broker(also.route, false);
    here.route->ops->set_broker(here.route, true);
    EXPECT(publish(&there, "x", 1) == WSK_OK);
    also.route->ops->set_broker(also.route, true);
    EXPECT(publish(&there, "x", 1) == WSK_OK);
    EXPECT(there.route->ops->disconnect(there.route, topic, 4001, why) ==
           WSK_OK);
    EXPECT(within(10000, have_heard_all));
    leave(&here);
    leave(&also);
    EXPECT(atomic_load(&here.messages) + atomic_load(&also.messages) == 3);
    EXPECT(atomic_load(&here.messages) > 0 && atomic_load(&also.messages) > 0);
    EXPECT(publish(&there, "x", 1) == WSK_E_AGAIN); /* they may come back */
    there.route->serves = &serves;
    EXPECT(within(10000, is_taken_again));
    leave(&there);
    remove_folder();
}

TEST(a_relay_that_is_full_refuses_and_loses_nothing)
{
    enum { SIZE = 1 << 20, N = 40 };
    static char block[SIZE];
    atomic_bool stalls = true;

    make_folder();
    join(&here, false);
    here.stalls = &stalls;
    join(&there, false);
    here.route->ops->set_broker(here.route, true);
    accepted = 0;
    for (int i = 0; i < N; i++)
        accepted += publish(&there, block, SIZE) == WSK_OK;
    EXPECT(accepted >= 16 && accepted < N);
    atomic_store(&stalls, false);
    EXPECT(within(10000, have_arrived));
    EXPECT(within(10000, is_taken_again));
    EXPECT(within(10000, have_arrived));
    EXPECT(atomic_load(&here.gaps) == 0);
    leave(&here);
    leave(&there);
    remove_folder();
}

TEST(a_relay_that_retires_passes_on_what_has_come)
{
    enum { N = 2000 };
    wsk_status st;
    int sent = 0;

    make_folder();
    join(&here, false);
    join(&there, false);
    here.route->ops->set_broker(here.route, true);
    while (sent < N && publish(&there, "x", 1) == WSK_OK)
        sent++;
    wsk__host_retire(here.route);
    EXPECT(atomic_load(&here.relayed) == sent && sent == N);
    st = publish(&there, "x", 1);
    here.route->ops->set_broker(here.route, true);
    EXPECT(st == WSK_E_AGAIN && publish(&there, "x", 1) == WSK_E_AGAIN);
    leave(&here);
    leave(&there);
    remove_folder();
}

TEST(a_peer_that_does_not_read_is_cut_and_told_of_the_gap)
{
    enum { SIZE = 1 << 20, N = 40 };
    static char block[SIZE];
    atomic_bool stalls = true;
    int messages;

    make_folder();
    join(&here, true);
    here.stalls = &stalls;
    join(&there, false);
    for (int i = 0; i < N; i++) /* 40 MiB, and 16 MiB may wait */
        send(&there, block, SIZE);
    atomic_store(&stalls, false);
    EXPECT(within(10000, has_gap));
    messages = atomic_load(&here.messages);
    EXPECT(messages < N);
    for (int i = 0; i < 1000 && atomic_load(&here.messages) == messages; i++) {
        send(&there, "x", 1); /* and it goes on */
        pause_ms(2);
    }
    EXPECT(atomic_load(&here.messages) > messages);
    leave(&there);
    leave(&here);
    remove_folder();
}

static char first_name[WSK__MEMBER_NAME];

static void note_name(void *user, const char *name)
{
    (void)user;
    snprintf(first_name, sizeof(first_name), "%s", name);
}

static bool is_closed(int fd)
{
    char octet;

    for (int i = 0; i < 5000; i++) {
        ssize_t n = wsk__local_recv(fd, &octet, 1);

        if (n == 0 || (n < 0 && !wsk__local_is_full()))
            return true;
        pause_ms(2);
    }
    return false;
}

/* `here` works: it hears another member. */
static void hear_one_and_end(void)
{
    join(&there, false);
    send(&there, "x", 1);
    EXPECT(within(10000, has_one));
    leave(&there);
    leave(&here);
    remove_folder();
}

TEST(octets_of_strangers_close_their_connection_and_are_logged_once)
{
    static const char *const OCTETS[] = {"GET / HTTP/1.1\r\n\r\n",
                                         "\xb5\x01\x04", "\xb5\x02"};
    static const size_t LENGTHS[] = {18, 16, 2};
    char path[WSK__LOCAL_PATH], block[32];

    make_folder();
    join(&here, true);
    wsk__folder_scan(folder, note_name, NULL);
    wsk__member_path(path, folder, "", first_name, "");
    for (size_t i = 0; i < 3; i++) {
        int fd = wsk__local_connect(path);
        wsk_str piece = {block, LENGTHS[i]};

        memset(block, 0, sizeof(block));
        memcpy(block, OCTETS[i], strlen(OCTETS[i]));
        EXPECT(fd >= 0);
        EXPECT(wsk__local_sendv(fd, &piece, 1) == (ssize_t)piece.len);
        EXPECT(is_closed(fd));
        close(fd);
    }
    EXPECT(has_line() && atomic_load(&here.lines) == 1);
    hear_one_and_end();
}

TEST(files_of_the_dead_are_removed)
{
    char path[WSK__LOCAL_PATH], draft[WSK__LOCAL_PATH];
    int fd;

    make_folder();
    wsk__member_path(path, folder, "", "1-0123456789abcdef", "");
    wsk__member_path(draft, folder, ".", "1-0123456789abcdef", "");
    fd = wsk__local_listen(draft, path);
    EXPECT(fd >= 0);
    close(fd);
    join(&here, true);
    n_files = 0;
    wsk__folder_scan(folder, count_file, NULL);
    EXPECT(n_files == 1);
    leave(&here);
    remove_folder();
}

TEST(a_folder_that_was_removed_is_made_anew_and_the_gap_is_told)
{
    char command[WSK__LOCAL_PATH + 20];

    make_folder();
    join(&here, true);
    snprintf(command, sizeof(command), "rm -r '%s'", folder);
    EXPECT(system(command) == 0);
    EXPECT(within(15000, has_gap));
    hear_one_and_end();
}

static void touch(const char *in, const char *name)
{
    char path[WSK__LOCAL_PATH];
    FILE *file;

    snprintf(path, sizeof(path), "%s/%s", in, name);
    file = fopen(path, "w");
    EXPECT(file != NULL);
    fclose(file);
}

static bool is_there(const char *path)
{
    return access(path, F_OK) == 0;
}

/* Make the folder of a bus in `place` as a process does, with all files that
 * one may leave. */
static int leave_folder(const char *place, char path[WSK__FOLDER_PATH])
{
    char error[WSK__FOLDER_ERROR] = "";
    int fd;

    setenv("XDG_RUNTIME_DIR", place, 1);
    fd = wsk__folder_make(path, error);
    unsetenv("XDG_RUNTIME_DIR");
    EXPECT(fd >= 0 && strncmp(path, place, strlen(place)) == 0);
    touch(path, "1-0123456789abcdef");
    touch(path, "1-0123456789abcdef.bits");
    touch(path, ".2-0123456789abcdef");
    touch(path, "about");
    return fd;
}

TEST(a_folder_that_was_left_behind_is_removed_by_the_next_who_makes_one)
{
    char place[] = "/tmp/bus-test-XXXXXX", command[100];
    char dead[WSK__FOLDER_PATH], open[WSK__FOLDER_PATH], mine[WSK__FOLDER_PATH],
        used[WSK__FOLDER_PATH], last[WSK__FOLDER_PATH];
    int made, held;

    EXPECT(mkdtemp(place) != NULL);
    close(leave_folder(place, dead));
    held = leave_folder(place, used); /* its maker lives */
    EXPECT(!is_there(dead) && is_there(used));
    close(leave_folder(place, open));
    EXPECT(chmod(open, 0755) == 0); /* none of ours, it seems */
    close(leave_folder(place, mine));
    touch(mine, "of-the-user");
    snprintf(folder, sizeof(folder), "%s", used);
    join(&here, true);
    close(held); /* a member lives */
    made = leave_folder(place, last);
    EXPECT(is_there(used) && is_there(last));
    EXPECT(is_there(open) && is_there(mine));
    close(made);
    leave(&here);
    close(leave_folder(place, last));
    EXPECT(!is_there(used));
    snprintf(command, sizeof(command), "rm -r '%s'", place);
    EXPECT(system(command) == 0);
}

TEST(a_folder_that_others_can_enter_is_refused)
{
    char error[WSK__FOLDER_ERROR] = "";

    make_folder();
    EXPECT(chmod(folder, 0755) == 0);
    EXPECT(wsk__host_new(folder, false, error) == NULL);
    EXPECT(strstr(error, "0700") != NULL);
    EXPECT(wsk__host_new("relative", false, error) == NULL);
    EXPECT(wsk__host_new("/dev/null", false, error) == NULL);
    EXPECT(strstr(error, "no folder") != NULL);
    remove_folder();
}
