/* A server as one of several processes: orders to accept, and connections that
 * are handed to it, from other threads while it runs and stops. */
#include "harness.h"

#include "client.h"
#include "net/server/server.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>

static void handler(wsk_request *req, void *user)
{
    (void)user;
    wsk_request_respond(req, 200, NULL, 0, "ok", 2);
}

static wsk_worker look(const wsk_board *board, unsigned slot)
{
    wsk_worker worker = {0};

    EXPECT(wsk_board_look(board, slot, &worker) == WSK_OK);
    return worker;
}

static bool comes_to_state(const wsk_board *board, unsigned slot,
                           wsk_worker_state state)
{
    for (int ms = 0; ms < PATIENCE_MS; ms++, usleep(1000))
        if (look(board, slot).state == state)
            return true;
    return false;
}

static bool comes_to_count(const wsk_board *board, unsigned slot, unsigned n)
{
    for (int ms = 0; ms < PATIENCE_MS; ms++, usleep(1000))
        if (look(board, slot).connections == n)
            return true;
    return false;
}

static bool answers(int fd)
{
    return say(fd, GET("/")) && hear_answer(fd, NULL, 0) == 200;
}

static wsk_server *make(wsk_board *board, unsigned slot)
{
    wsk_server_config cfg;
    wsk_server *srv;

    wsk_config_init(&cfg);
    cfg.port = 0;
    cfg.log_level = "critical";
    srv = wsk_server_new(&cfg, handler, NULL, NULL);
    if (srv == NULL || wsk_server_set_board(srv, board, slot, 1) != WSK_OK)
        abort();
    return srv;
}

TEST(a_worker_serves_what_it_is_handed_and_accepts_when_told)
{
    wsk_board *board = wsk_board_new(1);
    struct served s = {make(board, 2), 0};
    int pair[2], early, late;

    EXPECT(wsk_server_adopt(s.srv, 0) == WSK_E_STATE);
    EXPECT(wsk_server_set_board(s.srv, board, 3, 1) == WSK_E_STATE);
    EXPECT(wsk_server_start(s.srv) == WSK_OK);
    s.port = wsk_server_port(s.srv);
    EXPECT(look(board, 2).state == WSK_WORKER_BOOT);
    EXPECT(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    fcntl(pair[1], F_SETFL, O_NONBLOCK);
    EXPECT(wsk_server_adopt(s.srv, pair[1]) == WSK_OK);
    EXPECT(answers(pair[0]));
    EXPECT((fcntl(pair[1], F_GETFL) & O_NONBLOCK) == 0);
    EXPECT((fcntl(pair[1], F_GETFD) & FD_CLOEXEC) != 0);
    EXPECT(look(board, 2).connections == 1);
    early = dial(&s);
    say(early, GET("/"));
    EXPECT(!hears(early, 100));
    EXPECT(wsk_server_accept(s.srv, true) == WSK_OK);
    EXPECT(hear_answer(early, NULL, 0) == 200);
    EXPECT(comes_to_state(board, 2, WSK_WORKER_SERVING));
    EXPECT(wsk_server_accept(s.srv, false) == WSK_OK);
    EXPECT(comes_to_state(board, 2, WSK_WORKER_READY));
    late = dial(&s);
    say(late, GET("/"));
    EXPECT(!hears(late, 100));
    EXPECT(answers(early) && answers(pair[0]));
    EXPECT(wsk_server_accept(s.srv, true) == WSK_OK);
    EXPECT(hear_answer(late, NULL, 0) == 200);
    close(late);
    close(early);
    close(pair[0]);
    EXPECT(comes_to_count(board, 2, 0));
    wsk_server_stop(s.srv, 1000);
    EXPECT(wsk_server_join(s.srv, PATIENCE_MS) == WSK_OK);
    EXPECT(look(board, 2).state == WSK_WORKER_GONE);
    wsk_server_free(s.srv);
    wsk_board_free(board);
}

TEST(an_order_to_accept_changes_nothing_once_the_worker_leaves)
{
    wsk_board *board = wsk_board_new(1);
    struct served s = {make(board, 0), 0};
    int fd;

    EXPECT(wsk_server_start(s.srv) == WSK_OK);
    EXPECT(wsk_server_accept(s.srv, true) == WSK_OK);
    s.port = wsk_server_port(s.srv);
    fd = dial(&s);
    EXPECT(say(fd, "GET / HTTP/1.1\r\n")); /* and the rest is awaited */
    EXPECT(comes_to_count(board, 0, 1));
    wsk_server_stop(s.srv, -1);
    EXPECT(comes_to_state(board, 0, WSK_WORKER_DRAINING));
    for (int i = 0; i < 20; i++) {
        EXPECT(wsk_server_accept(s.srv, i % 2 > 0) == WSK_OK);
        usleep(2000);
        EXPECT(look(board, 0).state == WSK_WORKER_DRAINING);
    }
    EXPECT(say(fd, "Host: x\r\n\r\n"));
    EXPECT(hear_answer(fd, NULL, 0) == 200);
    close(fd);
    EXPECT(wsk_server_join(s.srv, PATIENCE_MS) == WSK_OK);
    EXPECT(look(board, 0).state == WSK_WORKER_GONE);
    wsk_server_free(s.srv);
    wsk_board_free(board);
}

TEST(the_state_of_a_worker_is_that_of_its_process_alone)
{
    wsk_board *board = wsk_board_new(1);
    wsk_server *srv = make(board, 0);
    int status = 0;
    pid_t pid;

    EXPECT(wsk_server_start(srv) == WSK_OK);
    EXPECT(wsk_server_accept(srv, true) == WSK_OK);
    EXPECT(comes_to_state(board, 0, WSK_WORKER_SERVING));
    pid = fork();
    if (pid == 0) {
        bool good = wsk_server_accept(srv, false) == WSK_E_STATE &&
                    wsk_server_adopt(srv, 0) == WSK_E_STATE;

        wsk_server_free(srv);
        _exit(good ? 0 : 1);
    }
    EXPECT(waitpid(pid, &status, 0) == pid && status == 0);
    usleep(20000);
    EXPECT(look(board, 0).state == WSK_WORKER_SERVING);
    wsk_server_free(srv);
    EXPECT(look(board, 0).state == WSK_WORKER_GONE);
    wsk_board_free(board);
}

enum { THREADS = 4, HANDED = 100 };
static struct served busy;
static atomic_int served, refused;

/* Hand connections over, and talk through each, until the server has gone. */
static void *hand(void *unused)
{
    for (int i = 0; i < HANDED; i++) {
        struct timeval patience = {PATIENCE_MS / 1000, 0};
        int pair[2];

        if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0)
            abort();
        setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &patience,
                   sizeof(patience));
        if (wsk_server_adopt(busy.srv, pair[1]) != WSK_OK)
            abort();
        if (answers(pair[0]))
            atomic_fetch_add(&served, 1);
        else
            atomic_fetch_add(&refused, 1);
        close(pair[0]);
    }
    return unused;
}

static void *order(void *unused)
{
    for (int i = 0; i < 4 * HANDED; i++) {
        wsk_server_accept(busy.srv, i % 3 > 0);
        usleep(200);
    }
    return unused;
}

TEST(connections_are_handed_over_while_orders_come_and_the_server_stops)
{
    wsk_board *board = wsk_board_new(1);
    pthread_t threads[THREADS + 1];

    busy = (struct served){make(board, 0), 0};
    EXPECT(wsk_server_start(busy.srv) == WSK_OK);
    busy.port = wsk_server_port(busy.srv);
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, hand, NULL);
    pthread_create(&threads[THREADS], NULL, order, NULL);
    for (int ms = 0; ms < PATIENCE_MS && atomic_load(&served) < HANDED; ms++)
        usleep(1000);
    wsk_server_accept(busy.srv, true);
    wsk_server_stop(busy.srv, 1000);
    for (int i = 0; i <= THREADS; i++)
        pthread_join(threads[i], NULL);
    EXPECT(wsk_server_join(busy.srv, PATIENCE_MS) == WSK_OK);
    EXPECT(atomic_load(&served) >= HANDED);
    EXPECT(atomic_load(&served) + atomic_load(&refused) == THREADS * HANDED);
    EXPECT(look(board, 0).state == WSK_WORKER_GONE);
    wsk_server_free(busy.srv);
    wsk_board_free(board);
}
