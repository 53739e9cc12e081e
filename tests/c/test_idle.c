/* At a limit, the connection that is idle for longest makes room for a new one;
 * requests and WebSockets do not. */
#include "harness.h"

#include "client.h"
#include "net/conn/conn.h"
#include "net/conn/idle.h"
#include "net/log/limits.h"
#include "net/server/server.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/resource.h>

static atomic_int waiting, open_door;

/* "/wait" waits for the door. A WebSocket waits for messages. */
static void handler(wsk_request *req, void *user)
{
    const wsk_head *head = wsk_request_head(req);
    wsk_message msg;
    wsk_conn *conn;

    (void)user;
    if (head->websocket) {
        if (wsk_request_upgrade(req, NULL, NULL, 0, &conn) != WSK_OK)
            return;
        while (wsk_conn_receive(conn, -1, &msg) == WSK_OK) {
            wsk_conn_send(conn, msg.opcode, msg.data, msg.len, true);
            wsk_message_free(&msg);
        }
        return;
    }
    if (head->path.len > 1) {
        atomic_fetch_add(&waiting, 1);
        while (atomic_load(&open_door) == 0)
            usleep(1000);
        atomic_fetch_sub(&waiting, 1);
    }
    wsk_request_respond(req, 200, NULL, 0, "ok", 2);
}

static int ask(int fd)
{
    return say(fd, GET("/")) ? hear_answer(fd, NULL, 0) : 0;
}

/* Dial n connections; each is accepted before the next is dialled. */
static void dial_all(const struct served *s, int *fds, int n)
{
    for (int i = 0; i < n; i++) {
        fds[i] = dial(s);
        for (int ms = 0; ms < PATIENCE_MS; ms++, usleep(1000))
            if (atomic_load(&s->srv->conns.n) > (unsigned)i)
                break;
    }
}

static void close_all(const int *fds, int n)
{
    for (int i = 0; i < n; i++)
        close(fds[i]);
}

TEST(silent_connections_make_room_the_oldest_first)
{
    enum { FULL = 8 };
    struct served s = serve(handler, NULL, "max_connections=8");
    int silent[FULL], other[3];

    dial_all(&s, silent, FULL);
    for (int i = 0; i < 3; i++) {
        other[i] = dial(&s);
        EXPECT(ask(other[i]) == 200);
        EXPECT(hears_end(silent[i]));
        for (int k = i + 1; k < FULL; k++)
            EXPECT(!hears(silent[k], 0));
    }
    EXPECT(limit_count(&s, WSK__LIMIT_CONNS) == 3);
    EXPECT(limit_count(&s, WSK__LIMIT_ACCEPT) == 0);
    close_all(silent, FULL);
    close_all(other, 3);
    wsk_server_free(s.srv);
}

TEST(one_that_was_heard_of_later_stays_longer)
{
    struct served s = serve(handler, NULL, "max_connections=2");
    int fds[2], third;

    dial_all(&s, fds, 2);
    usleep(1100000); /* the order is kept by the second */
    EXPECT(ask(fds[0]) == 200);
    third = dial(&s);
    EXPECT(ask(third) == 200);
    EXPECT(hears_end(fds[1]));
    EXPECT(ask(fds[0]) == 200);
    close_all(fds, 2);
    close(third);
    wsk_server_free(s.srv);
}

/* A request that runs, one that waits for its end, a head that has begun, and a
 * WebSocket. */
TEST(what_is_not_idle_goes_on_and_the_next_waits)
{
    struct served s = serve(handler, NULL, "max_connections=4");
    int runs = dial(&s), body = dial(&s), head = dial(&s);
    int ws = open_ws(&s, UPGRADE("/")), next;

    atomic_store(&open_door, 0);
    say(runs, GET("/wait"));
    say(body, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nb");
    say(head, "GET / HT");
    EXPECT(comes_to(&waiting, 1));
    next = dial(&s);
    say(next, GET("/"));
    EXPECT(!hears(next, 300)); /* accepting was tried again, too */
    EXPECT(limit_count(&s, WSK__LIMIT_ACCEPT) > 0);
    EXPECT(!hears(runs, 0) && !hears(body, 0) && !hears(head, 0) &&
           !hears(ws, 0));
    say(head, "TP/1.1\r\nHost: x\r\n\r\n"); /* answered, it is idle */
    EXPECT(hear_answer(head, NULL, 0) == 200);
    EXPECT(hear_answer(next, NULL, 0) == 200);
    EXPECT(hears_end(head));
    atomic_store(&open_door, 1);
    EXPECT(hear_answer(runs, NULL, 0) == 200);
    say(body, "b");
    EXPECT(hear_answer(body, NULL, 0) == 200);
    EXPECT(say_frame(ws, 1, "hi", 2) && hears(ws, PATIENCE_MS));
    close(runs);
    close(body);
    close(head);
    close(ws);
    close(next);
    wsk_server_free(s.srv);
}

TEST(
    websockets_are_told_of_the_end_although_they_were_passed_over) /* 6455 7.1.1
                                                                    */
{
    struct served s = serve(handler, NULL, "max_connections=2");
    int first = open_ws(&s, UPGRADE("/")), second = dial(&s), third;
    char data[126];
    size_t len;

    EXPECT(ask(second) == 200);
    third = dial(&s);
    EXPECT(ask(third) == 200);
    EXPECT(hears_end(second));
    wsk_server_stop(s.srv, 1000);
    EXPECT(hear_frame(first, data, &len) == 8 && len >= 2 &&
           memcmp(data, "\x03\xe9", 2) == 0);
    close(first);
    close(second);
    close(third);
    wsk_server_free(s.srv);
}

static unsigned count(const struct wsk__conn_list *list)
{
    unsigned n = 0;

    for (const struct wsk__conn *c = list->oldest; c != NULL; c = c->next)
        n++;
    return n;
}

/* Else each connection of an attacker who keeps heads unfinished costs a walk
 * over all of them. */
TEST(what_is_not_idle_is_looked_at_once_until_it_rests)
{
    enum { HEADS = 7 };
    struct served s = serve(handler, NULL, "max_connections=8");
    int heads[HEADS], silent = dial(&s), other, last;

    for (int i = 0; i < HEADS; i++) {
        heads[i] = dial(&s);
        say(heads[i], "GET / HTTP/1.1\r\nHost: x\r\n");
    }
    usleep(50000);
    other = dial(&s);
    EXPECT(ask(other) == 200);
    EXPECT(hears_end(silent));
    last = dial(&s);
    EXPECT(ask(last) == 200);
    EXPECT(hears_end(other));
    EXPECT(count(&s.srv->conns.resting) == 1 &&
           count(&s.srv->conns.parted) == HEADS);
    say(heads[3], "\r\n");
    EXPECT(hear_answer(heads[3], NULL, 0) == 200);
    close(last);
    for (int i = 0; i < 2; i++) {
        usleep(50000);
        last = dial(&s);
        EXPECT(ask(last) == 200);
    }
    EXPECT(hears_end(heads[3]));
    close_all(heads, HEADS);
    close(silent);
    close(other);
    close(last);
    wsk_server_free(s.srv);
}

/* Take descriptors until there are none. Returns how many are taken. */
static int take_all(int *taken, int n, int most)
{
    while (n < most && (taken[n] = dup(STDOUT_FILENO)) >= 0)
        n++;
    return n;
}

/* Connections that come when no descriptor can be had; but a thread that starts
 * may use one for a moment, and give it back to the first of them. */
TEST(when_descriptors_are_out_an_idle_connection_gives_its_own)
{
    enum { MOST = 64, LATE = 8 };
    struct served s = serve(handler, NULL, NULL);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(s.port)};
    struct timeval patience = {PATIENCE_MS / 1000, 0};
    int idle = dial(&s), late[LATE], taken[MOST], n = 0;
    struct rlimit was, low;

    EXPECT(ask(idle) == 200);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (int i = 0; i < LATE; i++) {
        late[i] = socket(AF_INET, SOCK_STREAM, 0);
        setsockopt(late[i], SOL_SOCKET, SO_RCVTIMEO, &patience,
                   sizeof(patience));
    }
    getrlimit(RLIMIT_NOFILE, &was);
    low = was;
    low.rlim_cur = MOST;
    EXPECT(setrlimit(RLIMIT_NOFILE, &low) == 0);
    for (int i = 0; i < LATE && limit_count(&s, WSK__LIMIT_FILES) == 0; i++) {
        n = take_all(taken, n, MOST);
        EXPECT(connect(late[i], (struct sockaddr *)&to, sizeof(to)) == 0);
        EXPECT(ask(late[i]) == 200);
    }
    setrlimit(RLIMIT_NOFILE, &was);
    EXPECT(hears_end(idle));
    EXPECT(limit_count(&s, WSK__LIMIT_FILES) == 1);
    close_all(taken, n);
    close_all(late, LATE);
    close(idle);
    wsk_server_free(s.srv);
}

TEST(the_first_octet_has_a_deadline_of_its_own)
{
    struct served s = serve(handler, NULL, "first_octet_timeout=0.1");
    int spoken = dial(&s), silent;

    EXPECT(ask(spoken) == 200);
    silent = dial(&s);
    EXPECT(hears_end(silent));
    EXPECT(ask(spoken) == 200); /* keep_alive counts for this one */
    close(spoken);
    close(silent);
    wsk_server_free(s.srv);
}

TEST(without_keep_alive_the_first_request_may_take_its_time)
{
    struct served s = serve(handler, NULL, "keep_alive=0");
    int fd = dial(&s);

    usleep(50000);
    EXPECT(ask(fd) == 200);
    EXPECT(hears_end(fd));
    close(fd);
    wsk_server_free(s.srv);
}
