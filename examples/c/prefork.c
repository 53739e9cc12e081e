/*
 * prefork: worker processes that share a listening socket and a board.
 *
 *   cc prefork.c $(pkg-config --cflags --libs wsocket) -o prefork
 *   ./prefork 4 port=8080
 *
 * TERM and INT stop the workers, and then the parent. HUP replaces the workers:
 * the old ones stop once all the new ones accept. A worker that dies is started
 * anew, with a growing delay where they die young. If the parent dies, the
 * workers stop. Every option of docs/reference/options.md but bind can be
 * given.
 */
#define _POSIX_C_SOURCE 200809L

#include <wsocket.h>

#include <arpa/inet.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MOST = 64, SLOTS = 2 * MOST + 8, YOUNG_S = 1, DELAY_MOST_S = 30 };

static wsk_server_config cfg;
static wsk_board *board;
static unsigned workers, generation = 1;
static struct {
    pid_t pid; /* 0: the slot is free */
    unsigned generation;
    time_t since;
    bool told; /* to stop */
} child[SLOTS];
static int life[2];   /* a pipe that the parent alone could write to */
static sigset_t mask; /* of the process before ours */
static volatile sig_atomic_t stopping, reload;
static time_t start_after, delay;

static void hello(wsk_request *req, void *user)
{
    char text[64];
    int n = snprintf(text, sizeof(text), "hello from %ld\n", (long)getpid());

    (void)user;
    wsk_request_respond(req, 200, NULL, 0, text, (size_t)n);
}

/* ------------------------------------------------------------ a worker --- */

static wsk_server *server;

static void stop(int signo)
{
    (void)signo;
    wsk_server_stop(server, -1);
}

/* Others accept from now on: the connections that wait are left to them. */
static void leave(int signo)
{
    static const wsk_drain how = {.ms = WSK_AUTO_MS,
                                  .idle_ms = WSK_AUTO_MS,
                                  .spread_ms = WSK_AUTO_MS,
                                  .successor = true};

    (void)signo;
    wsk_server_drain(server, &how);
}

/* Another worker has died, which may have been woken for a connection. */
static void look_again(int signo)
{
    (void)signo;
    wsk_server_accept(server, true);
}

/* Wait for the parent's end, which closes the pipe. */
static void *watch_parent(void *unused)
{
    char byte;

    while (read(life[0], &byte, 1) < 0)
        ;
    wsk_server_stop(server, -1);
    return unused;
}

static int work(unsigned slot)
{
    pthread_t watcher;

    close(life[1]);
    server = wsk_server_new(&cfg, hello, NULL, NULL);
    if (server == NULL) {
        perror("a worker cannot start");
        return 1;
    }
    signal(SIGTERM, stop);
    signal(SIGUSR1, look_again);
    signal(SIGUSR2, leave);
    signal(SIGINT, SIG_IGN); /* Ctrl-C reaches the whole group */
    signal(SIGHUP, SIG_IGN);
    signal(SIGCHLD, SIG_DFL);
    sigprocmask(SIG_SETMASK, &mask, NULL); /* threads will inherit it */
    if (wsk_server_set_board(server, board, slot, generation) != WSK_OK ||
        wsk_server_start(server) != WSK_OK ||
        pthread_create(&watcher, NULL, watch_parent, NULL) != 0) {
        perror("a worker cannot start");
        return 1;
    }
    wsk_server_accept(server, true); /* ready */
    return wsk_server_join(server, -1) == WSK_OK ? 0 : 1;
}

/* ---------------------------------------------------------- the parent --- */

static void note(int signo)
{
    stopping |= signo == SIGTERM || signo == SIGINT;
    reload |= signo == SIGHUP;
}

static void start_worker(void)
{
    unsigned slot = 0, slots = wsk_board_slots(board);
    pid_t pid;

    while (slot < slots && child[slot].pid != 0)
        slot++;
    if (slot == slots)
        return;
    pid = fork();
    if (pid == 0)
        _exit(work(slot));
    if (pid < 0) {
        perror("fork");
        start_after = time(NULL) + 1;
        return;
    }
    child[slot].pid = pid;
    child[slot].generation = generation;
    child[slot].since = time(NULL);
    child[slot].told = false;
}

static void tell_all(int signo)
{
    for (unsigned i = 0; i < SLOTS; i++)
        if (child[i].pid != 0)
            kill(child[i].pid, signo);
}

/* The slots of workers that have ended are free again. */
static void reap(void)
{
    time_t now = time(NULL);
    bool died = false;
    pid_t pid;

    while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
        for (unsigned i = 0; i < SLOTS; i++)
            if (child[i].pid == pid) {
                bool young = now - child[i].since <= YOUNG_S;

                if (!child[i].told) {
                    died = true;
                    fprintf(stderr, "worker %ld has died\n", (long)pid);
                    delay = young ? 2 * delay + 1 : 0;
                    if (delay > DELAY_MOST_S)
                        delay = DELAY_MOST_S;
                    start_after = now + delay;
                }
                wsk_board_clear(board, i);
                child[i].pid = 0;
            }
    if (died)
        tell_all(SIGUSR1);
}

static void tell(bool old_only)
{
    for (unsigned i = 0; i < SLOTS; i++)
        if (child[i].pid != 0 && !child[i].told &&
            (!old_only || child[i].generation != generation)) {
            child[i].told = true;
            kill(child[i].pid, old_only ? SIGUSR2 : SIGTERM);
        }
}

/* Bring the workers to what they should be. False: the parent may end. */
static bool tend(void)
{
    unsigned living = 0, current = 0, accepting = 0;
    wsk_worker worker;

    reap();
    for (unsigned i = 0; i < SLOTS; i++)
        if (child[i].pid != 0) {
            living++;
            if (child[i].generation != generation)
                continue;
            current++;
            wsk_board_look(board, i, &worker);
            accepting += worker.state == WSK_WORKER_SERVING;
        }
    if (stopping) {
        tell(false);
        return living > 0;
    }
    for (; current < workers && time(NULL) >= start_after; current++)
        start_worker();
    if (accepting >= workers)
        tell(true);
    return true;
}

static int listen_at(uint16_t port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    socklen_t len = sizeof(at);

    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(fd, (struct sockaddr *)&at, len) == 0 &&
        listen(fd, (int)cfg.backlog) == 0 &&
        getsockname(fd, (struct sockaddr *)&at, &len) == 0) {
        printf("http://127.0.0.1:%u/\n", (unsigned)ntohs(at.sin_port));
        fflush(stdout);
        return fd;
    }
    perror("cannot listen");
    return -1;
}

static bool configure(int argc, char **argv)
{
    char error[160] = "usage: prefork WORKERS [NAME=VALUE]...";
    bool good = argc > 1;

    wsk_config_init(&cfg);
    workers = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 0;
    for (int i = 2; i < argc && good; i++) {
        char *value = strchr(argv[i], '=');

        if (value != NULL)
            *value++ = '\0';
        good = value != NULL &&
               wsk_config_set(&cfg, argv[i], value, error) == WSK_OK;
    }
    if (!good || workers == 0 || workers > MOST) {
        fprintf(stderr, "%s\n", error);
        return false;
    }
    return true;
}

int main(int argc, char **argv)
{
    static const int SIGNALS[] = {SIGTERM, SIGINT,  SIGHUP,
                                  SIGCHLD, SIGUSR1, SIGUSR2};
    char bind_to[32];
    sigset_t ours;
    int fd;

    if (!configure(argc, argv) || (fd = listen_at((uint16_t)cfg.port)) < 0)
        return 1;
    snprintf(bind_to, sizeof(bind_to), "fd:%d", fd);
    cfg.bind = bind_to;
    board = wsk_board_new(workers);
    if (board == NULL || pipe(life) != 0) {
        perror("prefork");
        return 1;
    }
    sigemptyset(&ours);
    for (size_t i = 0; i < sizeof(SIGNALS) / sizeof(*SIGNALS); i++) {
        sigaddset(&ours, SIGNALS[i]);
        signal(SIGNALS[i], note);
    }
    sigprocmask(SIG_BLOCK, &ours, &mask); /* but in pselect() */
    while (tend()) {
        /* New workers do not say that they accept: look again soon. */
        const struct timespec moment = {0, 100 * 1000 * 1000};

        pselect(0, NULL, NULL, NULL, &moment, &mask);
        generation += (unsigned)reload;
        reload = 0;
    }
    wsk_board_free(board);
    return 0;
}
