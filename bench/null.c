/*
 * null: the floor of the bench. A keep-alive server that answers every request
 * with the same octets, and does nothing else a server must do: it looks for
 * the empty line and believes the rest.
 *
 *   null PORT
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static const char ANSWER[] = "HTTP/1.1 200 OK\r\n"
                             "Server: null\r\n"
                             "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n"
                             "Content-Type: text/plain\r\n"
                             "Content-Length: 13\r\n"
                             "\r\n"
                             "Hello, World!";

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
        perror("null");
        exit(EXIT_FAILURE);
    }
    return fd;
}

static void watch(int epfd, int fd)
{
    struct epoll_event ev = {.events = EPOLLIN, .data.fd = fd};

    epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &ev);
}

static void accept_all(int epfd, int listener)
{
    int fd, on = 1;

    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >=
           0) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        watch(epfd, fd);
    }
}

/* The load comes from wrk, whose requests arrive whole. */
static void answer(int fd)
{
    char data[16384];
    ssize_t n = read(fd, data, sizeof data - 1);

    if (n <= 0) {
        close(fd);
        return;
    }
    data[n] = '\0';
    for (char *p = data; (p = strstr(p, "\r\n\r\n")) != NULL; p += 4)
        if (write(fd, ANSWER, sizeof ANSWER - 1) < 0)
            return;
}

int main(int argc, char **argv)
{
    struct epoll_event events[256];
    int epfd = epoll_create1(EPOLL_CLOEXEC);
    int listener = listen_on(argc > 1 ? argv[1] : "8080");

    watch(epfd, listener);
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
