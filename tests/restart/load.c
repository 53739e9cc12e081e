/*
 * load: clients of many kinds at once, and what became of each request.
 *
 *   load PORT|PATH [NAME=NUMBER]...
 *
 * The kinds, and how many clients of each; without any, the numbers in KINDS:
 *
 *   connect    a new connection for each request
 *   hesitate   the same, 0-20 ms before it speaks
 *   keep       keep-alive at full speed
 *   pause      keep-alive with pauses up to `pause` seconds
 *   pipeline   keep-alive, 4 requests at once
 *   upload     64 KiB, 1 KiB each 10 ms
 *   reader     an answer of 1 MiB, read 16 KiB each 10 ms
 *   echo       WebSockets, a message each 20-80 ms
 *   idle       WebSockets that send nothing
 *
 * Others: seconds=60, connections=1000000 (both bound the run), timeout=20
 * (seconds), pause=8, seed=1, trace=0 (1: a line on stderr for each loss).
 *
 * The server has GET /hello/N (the body is N), POST /upload (the body is the
 * number of octets received), GET /big (1 MiB of "a" to "w" in turn) and the
 * WebSocket /ws, which echoes. SIGTERM ends the run: nothing is opened any
 * more, what is open comes to its end. Then one line is printed, a JSON object;
 * SIGUSR1 prints one of the moment.
 *
 * How loss is counted. A connection is CONNECTED when the handshake of TCP is
 * through: from then on the server owes it an answer. A request that was SENT
 * is ANSWERED, or LOST in one of these ways:
 *
 *   unspoken    a new connection ended before its client had said anything
 *   reset       RST came before an octet of the answer
 *   closed      FIN came before an octet of the answer
 *   truncated   the answer began, and its end did not come
 *   timeout     no whole answer within `timeout`
 *   status      answered with another status than 200
 *   wrong       answered with a body that is not the request's
 *
 * A fair end is no loss, and is counted apart:
 *
 *   idle_closed  FIN on a connection that had been answered, and whose client
 *                had not yet sent the next request: RFC 9112 9.5 lets a server
 *                close it at any time. idle_reset is the same by RST
 *   race         on such a connection the FIN crossed the request: it was sent
 *                before the request reached the server, so no server could
 *                have known (RFC 9112 9.5). Shown by FIN with no octet of an
 *                answer, and either the FIN was here when send() returned and
 *                did not acknowledge the request, or the server's kernel
 *                answers the request by RST (it arrived after close()). A FIN
 *                without either is a loss: the request was there when the
 *                server closed. So is RST without FIN: the request lay unread
 *                in the server's socket. A new connection has no such excuse,
 *                since it was never idle
 *   unprocessed  requests pipelined behind an answer with Connection: close,
 *                which the server must not process (RFC 9112 9.6)
 *   refused      a connect that was refused; unconnected: any other failure
 *   unavailable  an upgrade that was answered 503
 *
 * The peek for a FIN just before send() and the look just after it are exact on
 * loopback, where a FIN is in our socket when the server's close() returns.
 *
 * At a Unix socket, /PATH, there is neither RST nor a time on the way. A
 * request that is sent after close() fails, and the connection was idle; one
 * that lay unread then ends by an error, which counts as a reset; and a FIN
 * that is here just after send(), and was not just before it, has crossed the
 * request. A queue that is full counts as unconnected, a missing file as
 * refused.
 *
 * A WebSocket is OPENED, ECHOED, and closed with a code (1005: without one). An
 * end of TCP without a Close frame is a VIOLATION (RFC 6455 7.1.1, 1006), and
 * so are an echo that differs or does not come, and a Close of ours that is not
 * answered. A message that was not echoed when the server's Close came is
 * counted apart (unechoed), since RFC 6455 5.5.1 lets an endpoint drop it.
 *
 * This program never resets a connection, except after a timeout: it shuts down
 * its side and reads to the end. So each RST that the kernel counts is the
 * server's, but for one to each refused connect.
 */
#include "load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define KIND_CLIENTS(id, name, clients) clients,

struct settings settings = {60, 1000000, 20, 8, 1, 0};
struct client clients[MAX_CLIENTS];
size_t client_count;
int64_t now, began;
unsigned long connections;
bool stopping;

static char rx[65536];
static int epoll_fd;
static uint16_t port;
static const char *path; /* of a Unix socket; or NULL */
static volatile sig_atomic_t stop_asked, report_asked;

void die(const char *what)
{
    perror(what);
    exit(EXIT_FAILURE);
}

static int64_t clock_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* A number from `low` to `high`, by the seed (xorshift). */
int64_t between(int64_t low, int64_t high)
{
    static uint64_t x;

    x = x ? x
          : 88172645463325252u ^ (uint64_t)settings.seed * 0x9e3779b97f4a7c15u;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return low + (int64_t)(x % (uint64_t)(high - low + 1));
}

int64_t in(int64_t ms)
{
    return now + ms;
}

int64_t timeout_ms(void)
{
    return (int64_t)settings.timeout * 1000;
}

bool is_websocket(const struct client *c)
{
    return c->kind == ECHO || c->kind == IDLE;
}

/* --------------------------------------------------------- connections --- */

int socket_error(const struct client *c)
{
    int error = 0;
    socklen_t len = sizeof error;

    getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len);
    return error;
}

static struct tcp_info tcp_info(const struct client *c)
{
    struct tcp_info info = {0};
    socklen_t len = sizeof info;

    getsockopt(c->fd, IPPROTO_TCP, TCP_INFO, &info, &len);
    return info;
}

/* Return true if the end is here, and what was sent had not been read before.
 */
static bool unix_end_crossed(const struct client *c)
{
    char peeked;
    int unread = 0;

    return recv(c->fd, &peeked, 1, MSG_PEEK) == 0 &&
           ioctl(c->fd, SIOCOUTQ, &unread) == 0 && unread > 0;
}

/* Return true if a FIN is here that does not acknowledge what was sent. */
bool fin_crossed(const struct client *c)
{
    struct tcp_info info = tcp_info(c);

    if (path != NULL)
        return unix_end_crossed(c);
    return info.tcpi_state == TCP_CLOSE_WAIT && info.tcpi_unacked > 0;
}

/* Close the connection; the client opens another after `ms`. */
void finish(struct client *c, int64_t ms)
{
    close(c->fd);
    c->fd = -1;
    c->state = RESTING;
    c->due = in(ms);
    c->limit = 0;
}

/* Read what is there: until EAGAIN, because events are told of once. A slow
 * reader takes one slice. */
static void hear(struct client *c)
{
    while (c->fd >= 0 && c->state != DOUBTFUL) {
        bool slow = c->kind == READER && c->state == ASKING;
        ssize_t n = recv(c->fd, rx, slow ? READ_SLICE : sizeof rx, 0);

        if (n > 0) {
            take(c, rx, (size_t)n);
        } else if (n == 0 || errno != EAGAIN) {
            c->was_reset |= n < 0;
            ended(c);
            return;
        } else if (!slow) {
            return;
        }
        if (slow && c->state == ASKING) {
            c->due = in(TICK_MS);
            return;
        }
    }
}

static bool may_open(void)
{
    return !stopping && connections < settings.connections;
}

static void connect_failed(struct client *c, int error)
{
    if (error == ECONNREFUSED || error == ENOENT)
        tally_of(c)->refused++;
    else
        tally_of(c)->unconnected++;
    finish(c, between(50, 150));
}

static void connected(struct client *c)
{
    tally_of(c)->connected++;
    c->state = SILENT;
    c->limit = 0;
    c->due = 0;
    if (c->kind == HESITATE)
        c->due = in(between(1, HESITATION_MS));
    else
        ask(c);
}

/* Each connection has an address of its own, nearly. So ports do not run out,
 * and none meets a TIME_WAIT, whose ACK the client's kernel answers by RST. */
static void bind_to_one_of_many(const struct client *c)
{
    struct sockaddr_in own = {.sin_family = AF_INET};
    int on = 1;

    own.sin_addr.s_addr =
        htonl(INADDR_LOOPBACK + 1 + (uint32_t)(connections % OWN_ADDRESSES));
    setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    if (bind(c->fd, (struct sockaddr *)&own, sizeof own) != 0)
        die("bind");
}

/* Make a socket and begin to connect it. Returns the result of connect(). */
static int dial_tcp(struct client *c)
{
    struct sockaddr_in peer = {.sin_family = AF_INET, .sin_port = htons(port)};
    int on = 1, small = READ_BUFFER;

    peer.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0)
        die("socket");
    bind_to_one_of_many(c);
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (c->kind == READER)
        setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    return connect(c->fd, (struct sockaddr *)&peer, sizeof peer);
}

static int dial_unix(struct client *c)
{
    struct sockaddr_un peer = {.sun_family = AF_UNIX};

    memcpy(peer.sun_path, path, strlen(path)); /* main() has measured it */
    c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0)
        die("socket");
    return connect(c->fd, (struct sockaddr *)&peer, sizeof peer);
}

static void open_connection(struct client *c)
{
    struct epoll_event event = {EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                                {.ptr = c}};

    connections++;
    c->state = CONNECTING;
    c->opened_at = now;
    c->due = 0;
    c->limit = in(timeout_ms());
    c->served = c->asked = c->answered = 0;
    c->was_reset = c->in_body = c->awaits_echo = false;
    c->unsent = c->head_len = 0;
    if ((path != NULL ? dial_unix(c) : dial_tcp(c)) != 0 &&
        errno != EINPROGRESS) {
        connect_failed(c, errno);
        return;
    }
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &event) != 0)
        die("epoll_ctl");
}

static void happened(struct client *c, uint32_t events)
{
    if (c->fd < 0)
        return;
    if (c->state == CONNECTING) {
        int error = socket_error(c);

        if (error == ECONNREFUSED || error == ETIMEDOUT) {
            connect_failed(c, error);
            return;
        }
        if (error == 0 && tcp_info(c).tcpi_state == TCP_SYN_SENT)
            return;
        connected(c);
        /* Of a connection that was made and is gone, the error was taken. */
        c->was_reset |= error != 0;
    }
    if (c->state == DOUBTFUL && (events & EPOLLERR))
        resolve_doubt(c, true);
    else if (!(c->kind == READER && c->state == ASKING))
        hear(c);
}

/* ---------------------------------------------------------------- time --- */

static void fall_due(struct client *c)
{
    c->due = 0;
    switch (c->state) {
    case RESTING:
        if (may_open())
            open_connection(c);
        break;
    case SILENT:
    case PAUSING:
        ask(c);
        break;
    case ASKING:
        if (c->unsent > 0)
            upload_slice(c);
        else
            hear(c);
        break;
    case DOUBTFUL:
        resolve_doubt(c, false);
        break;
    case OPEN:
        send_message(c);
        break;
    case CONNECTING:
    case WS_CLOSING:
    case WS_ASKED:
    case LEAVING:
        break;
    }
}

/* Do what is due; return how many milliseconds nothing will be. */
static int look_at_the_clock(void)
{
    int64_t next = in(100);

    for (size_t i = 0; i < client_count; i++) {
        struct client *c = &clients[i];

        if (c->limit && c->limit <= now)
            expired(c);
        if (c->due && c->due <= now)
            fall_due(c);
        if (c->due && c->due < next)
            next = c->due;
    }
    return next <= now ? 1 : (int)(next - now);
}

static void stop(void)
{
    stopping = true;
    for (size_t i = 0; i < client_count; i++) {
        struct client *c = &clients[i];

        if (c->state == PAUSING)
            leave(c, true);
        else if (c->state == OPEN)
            start_close(c);
    }
}

static bool all_rest(void)
{
    for (size_t i = 0; i < client_count; i++)
        if (clients[i].state != RESTING)
            return false;
    return true;
}

/* ---------------------------------------------------------------- main --- */

static void add_clients(enum kind kind, unsigned long n)
{
    tallies[kind].clients = n;
    for (unsigned long i = 0; i < n; i++) {
        if (client_count == MAX_CLIENTS) {
            fprintf(stderr, "at most %d clients\n", MAX_CLIENTS);
            exit(EXIT_FAILURE);
        }
        clients[client_count].kind = kind;
        clients[client_count].fd = -1;
        clients[client_count].due = 1;
        client_count++;
    }
}

static bool is_name(const char *name, const char *text, size_t n)
{
    return strlen(name) == n && memcmp(name, text, n) == 0;
}

static bool set(const char *name, size_t n, unsigned long number)
{
    const struct {
        const char *name;
        unsigned long *value;
    } known[] = {
        {"seconds", &settings.seconds}, {"connections", &settings.connections},
        {"timeout", &settings.timeout}, {"pause", &settings.pause},
        {"seed", &settings.seed},       {"trace", &settings.trace},
    };

    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (is_name(known[i].name, name, n)) {
            *known[i].value = number;
            return true;
        }
    for (size_t k = 0; k < KIND_COUNT; k++)
        if (is_name(kind_names[k], name, n)) {
            add_clients((enum kind)k, number);
            return true;
        }
    return false;
}

static void read_argument(const char *text)
{
    size_t n = strcspn(text, "=");
    const char *digits = text[n] ? text + n + 1 : "";
    char *end;
    unsigned long number = strtoul(digits, &end, 10);

    if (end == digits || *end != '\0' || !set(text, n, number)) {
        fprintf(stderr, "not NAME=NUMBER with a name that is known: %s\n",
                text);
        exit(EXIT_FAILURE);
    }
}

static void on_signal(int number)
{
    if (number == SIGUSR1)
        report_asked = 1;
    else
        stop_asked = 1;
}

static void run(void)
{
    struct epoll_event events[256];
    int wait = 0;

    for (;;) {
        int n = epoll_wait(epoll_fd, events, 256, wait);

        now = clock_ms();
        for (int i = 0; i < n; i++)
            happened(events[i].data.ptr, events[i].events);
        wait = look_at_the_clock();
        if (report_asked) {
            report_asked = 0;
            report();
        }
        if (!stopping &&
            (stop_asked || now - began > (int64_t)settings.seconds * 1000))
            stop();
        if (!may_open() && all_rest())
            return;
    }
}

int main(int argc, char **argv)
{
    static const unsigned long defaults[] = {KINDS(KIND_CLIENTS)};
    struct sigaction action = {.sa_handler = on_signal};

    if (argc > 1 && argv[1][0] == '/' &&
        strlen(argv[1]) < sizeof(((struct sockaddr_un *)0)->sun_path))
        path = argv[1];
    else
        port = argc > 1 ? (uint16_t)atoi(argv[1]) : 0;
    if (path == NULL && port == 0) {
        fprintf(stderr, "load PORT|PATH [NAME=NUMBER]...\n");
        return EXIT_FAILURE;
    }
    for (int i = 2; i < argc; i++)
        read_argument(argv[i]);
    if (client_count == 0)
        for (size_t k = 0; k < KIND_COUNT; k++)
            add_clients((enum kind)k, defaults[k]);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGUSR1, &action, NULL);
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (epoll_fd < 0)
        die("epoll_create1");
    began = now = clock_ms();
    run();
    report();
    return EXIT_SUCCESS;
}
