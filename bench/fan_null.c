/*
 * fan_null: the floor of the bench of topics. A server that does nothing but
 * send: it believes each handshake and each frame, and sends the payload of the
 * first that came to all connections, with one call for each.
 *
 *   fan_null PORT
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MOST = 65536, RX = 1 << 18 };

static const char ANSWER[] =
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
    "Connection: Upgrade\r\n"
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

static int all[MOST];
static size_t n_all;
static uint8_t frame[RX], rx[RX];
static size_t frame_len, asked_len; /* as it is sent, and as it comes */

static int listen_on(const char *port)
{
    struct sockaddr_in addr = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)atoi(port)),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int on = 1;

    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&addr, sizeof addr) < 0 ||
        listen(fd, 2048) < 0) {
        perror("fan_null");
        exit(EXIT_FAILURE);
    }
    return fd;
}

static void accept_all(int epfd, int listener)
{
    int fd, on = 1;

    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >=
           0) {
        struct epoll_event ev = {.events = EPOLLIN, .data.fd = fd};

        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &ev);
    }
}

/* Make the frame to send of the first masked one. */
static void learn(const uint8_t *p)
{
    size_t len = p[1] & 0x7f, head = 2;

    if (len == 126) {
        len = (size_t)(p[2] << 8 | p[3]);
        head = 4;
    }
    memcpy(frame, p, head);
    frame[1] &= 0x7f;
    for (size_t i = 0; i < len; i++)
        frame[head + i] = p[head + 4 + i] ^ p[head + (i & 3)];
    frame_len = head + len;
    asked_len = frame_len + 4;
}

static void forget(int fd)
{
    for (size_t i = 0; i < n_all; i++)
        if (all[i] == fd)
            all[i] = all[--n_all];
    close(fd);
}

static void answer(int fd)
{
    ssize_t n = recv(fd, rx, sizeof rx, 0);

    if (n <= 0) {
        forget(fd);
        if (n_all == 0)
            frame_len = 0; /* the next load may send another */
        return;
    }
    if (rx[0] == 'G') {
        if (n_all < MOST)
            all[n_all++] = fd;
        send(fd, ANSWER, sizeof ANSWER - 1, MSG_NOSIGNAL);
        return;
    }
    if (frame_len == 0)
        learn(rx);
    for (size_t sent = 0; sent + asked_len <= (size_t)n; sent += asked_len)
        for (size_t i = 0; i < n_all; i++)
            send(all[i], frame, frame_len, MSG_NOSIGNAL);
}

int main(int argc, char **argv)
{
    struct epoll_event events[256];
    struct rlimit files;
    int epfd = epoll_create1(EPOLL_CLOEXEC);
    int listener = listen_on(argc > 1 ? argv[1] : "8080");
    struct epoll_event ev = {.events = EPOLLIN, .data.fd = listener};

    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    epoll_ctl(epfd, EPOLL_CTL_ADD, listener, &ev);
    for (;;) {
        int n = epoll_wait(epfd, events, 256, -1);

        for (int i = 0; i < n; i++) {
            if (events[i].data.fd == listener)
                accept_all(epfd, listener);
            else
                answer(events[i].data.fd);
        }
    }
}
