/*
 * null: the floor of the bench. A keep-alive server that answers every request
 * with the same octets, and does nothing else a server must do: it looks for
 * the empty line and believes the rest.
 *
 *   null PORT [CERTFILE KEYFILE [close]]
 *
 * With NULL_TLS it speaks TLS, by the shortest calls of OpenSSL that there are:
 * SSL_read() and SSL_write() on the descriptor, with buffers released, so that
 * an idle connection costs it what one of ours does. With `close` it ends each
 * connection after its answer.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#if defined(NULL_TLS)
#include <openssl/ssl.h>
#endif

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

#if defined(NULL_TLS)
enum { MAX_FD = 65536 };

static SSL_CTX *context;
static SSL *tls[MAX_FD];

static void prepare(char **args)
{
    context = SSL_CTX_new(TLS_server_method());
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    if (SSL_CTX_use_certificate_chain_file(context, args[0]) != 1 ||
        SSL_CTX_use_PrivateKey_file(context, args[1], SSL_FILETYPE_PEM) != 1)
        exit(EXIT_FAILURE);
}

static void begin(int fd)
{
    tls[fd] = SSL_new(context);
    SSL_set_fd(tls[fd], fd);
    SSL_set_accept_state(tls[fd]);
}

static void end(int fd)
{
    SSL_free(tls[fd]);
    close(fd);
}

/* 0: nothing yet; -1: the end. */
static ssize_t get(int fd, void *data, size_t size)
{
    int n = SSL_read(tls[fd], data, (int)size);

    return n > 0                                              ? n
           : SSL_get_error(tls[fd], n) == SSL_ERROR_WANT_READ ? 0
                                                              : -1;
}

static ssize_t put(int fd, const void *data, size_t size)
{
    return SSL_write(tls[fd], data, (int)size);
}
#else
static void prepare(char **args)
{
    (void)args;
}

static void begin(int fd)
{
    (void)fd;
}

static void end(int fd)
{
    close(fd);
}

static ssize_t get(int fd, void *data, size_t size)
{
    ssize_t n = read(fd, data, size);

    return n > 0 ? n : -1;
}

static ssize_t put(int fd, const void *data, size_t size)
{
    return write(fd, data, size);
}
#endif

static bool one_each; /* request for each connection */

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
        begin(fd);
        watch(epfd, fd);
    }
}

/* The load comes from wrk, whose requests arrive whole. */
static void answer(int fd)
{
    char data[16384];
    ssize_t n = get(fd, data, sizeof data - 1);

    if (n < 0) {
        end(fd);
        return;
    }
    data[n] = '\0';
    for (char *p = data; (p = strstr(p, "\r\n\r\n")) != NULL; p += 4) {
        bool failed = put(fd, ANSWER, sizeof ANSWER - 1) < 0;

        if (one_each)
            end(fd);
        if (failed || one_each)
            return;
    }
}

int main(int argc, char **argv)
{
    struct epoll_event events[256];
    int epfd = epoll_create1(EPOLL_CLOEXEC);
    int listener = listen_on(argc > 1 ? argv[1] : "8080");

    signal(SIGPIPE, SIG_IGN); /* of SSL_write() */
    one_each = argc > 4;
    prepare(argv + 2);
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
