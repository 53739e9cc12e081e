/*
 * ws_load: echoes, and how many. The load of the benches of WebSockets.
 *
 *   ws_load PORT PATH CONNECTIONS SIZE IN_FLIGHT SECONDS [deflate] [tls] [fan]
 *
 * Each connection keeps IN_FLIGHT messages of SIZE octets under way; the first
 * answers are compared octet by octet, of the others the frames are counted.
 * With `deflate` the messages are JSON, compressed without takeover, and so
 * must the answers be. With `tls`, if it was compiled with LOAD_TLS, all goes
 * over TLS, whatever certificate there is. With `fan` only the first connection
 * sends, the server sends each message to all, and the next leaves when all
 * have one more. Prints one line: messages, seconds, errors. With `told` it
 * prints a line when all are open, too, and waits for one before it begins, and
 * before it closes them.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>
#if defined(LOAD_TLS)
#include <openssl/ssl.h>
#endif

enum { MAX_CONNS = 20000, RX = 1 << 18, HEAD_MAX = 14 };

struct conn {
    int fd;
    struct ssl_st *tls;     /* NULL: there is none */
    uint8_t head[HEAD_MAX]; /* of the frame that arrives */
    size_t head_len;
    uint64_t left;   /* payload octets of it still to come */
    uint64_t at;     /* payload octets of the message that came before */
    size_t owed;     /* octets of our frames still to be written */
    size_t frame_at; /* where in the frame the next of them lies */
    bool checked;    /* its first answer was right */
    uint8_t *first;  /* that answer, until it was compared */
};

static struct conn conns[MAX_CONNS];
static uint8_t *frame, *plain, *packed;
static size_t frame_len, plain_len, packed_len;
static bool deflates, secure, fans, told;
static size_t n_conns;
static uint64_t messages, errors;
static uint8_t rx[RX];

static double now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void die(const char *what)
{
    perror(what);
    exit(EXIT_FAILURE);
}

/* ---------------------------------------------------------- the octets --- */

/* Write and read as send() and recv() do; `flags` are for those. */
#if defined(LOAD_TLS)
static SSL_CTX *context;

static ssize_t result(struct conn *c, int n)
{
    int error = n > 0 ? SSL_ERROR_NONE : SSL_get_error(c->tls, n);

    errno = error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE
                ? EAGAIN
                : EPIPE;
    return n > 0 ? n : error == SSL_ERROR_ZERO_RETURN ? 0 : -1;
}

static ssize_t put(struct conn *c, const void *p, size_t n, int flags)
{
    return c->tls == NULL ? send(c->fd, p, n, flags)
                          : result(c, SSL_write(c->tls, p, (int)n));
}

static ssize_t get(struct conn *c, void *p, size_t n, int flags)
{
    return c->tls == NULL ? recv(c->fd, p, n, flags)
                          : result(c, SSL_read(c->tls, p, (int)n));
}

static bool begin_tls(struct conn *c)
{
    if (context == NULL) {
        context = SSL_CTX_new(TLS_client_method());
        SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE |
                                      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    }
    c->tls = SSL_new(context);
    return SSL_set_fd(c->tls, c->fd) == 1 && SSL_connect(c->tls) == 1;
}
#else
static ssize_t put(struct conn *c, const void *p, size_t n, int flags)
{
    return send(c->fd, p, n, flags);
}

static ssize_t get(struct conn *c, void *p, size_t n, int flags)
{
    return recv(c->fd, p, n, flags);
}

static bool begin_tls(struct conn *c)
{
    (void)c;
    return false;
}
#endif

/* ------------------------------------------------------------- messages --- */

/* JSON as a chat or a ticker would send it, cut at `size`. */
static void fill_json(uint8_t *to, size_t size)
{
    size_t n = 0;

    for (unsigned i = 0; n < size; i++) {
        char line[128];
        int k = snprintf(line, sizeof line,
                         "{\"id\":%u,\"symbol\":\"WSK%u\",\"bid\":%u.%02u,"
                         "\"ask\":%u.%02u,\"open\":true},",
                         1000 + i, i * 7 % 50, 100 + i % 9, i * 37 % 100,
                         101 + i % 9, i * 53 % 100);
        size_t take = (size_t)k < size - n ? (size_t)k : size - n;

        memcpy(to + n, line, take);
        n += take;
    }
}

static void pack(void)
{
    z_stream z = {0};

    packed_len = plain_len + 64;
    packed = malloc(packed_len);
    deflateInit2(&z, 6, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY);
    z.next_in = plain;
    z.avail_in = (uInt)plain_len;
    z.next_out = packed;
    z.avail_out = (uInt)packed_len;
    deflate(&z, Z_SYNC_FLUSH);
    packed_len = z.total_out - 4; /* RFC 7692 7.2.1 */
    deflateEnd(&z);
}

static void make_frame(size_t size)
{
    static const uint8_t key[4] = {0x1f, 0xa3, 0x5c, 0x77};
    const uint8_t *body;
    size_t len, n = 2;

    plain = malloc(size + 1);
    plain_len = size;
    fill_json(plain, size);
    if (deflates)
        pack();
    body = deflates ? packed : plain;
    len = deflates ? packed_len : plain_len;
    frame = malloc(len + HEAD_MAX);
    frame[0] = (uint8_t)(0x81 | (deflates ? 0x40 : 0));
    if (len < 126) {
        frame[1] = (uint8_t)(0x80 | len);
    } else {
        int octets = len <= 0xffff ? 2 : 8;

        frame[1] = octets == 2 ? 0xfe : 0xff;
        for (int i = octets - 1; i >= 0; i--)
            frame[n++] = (uint8_t)(len >> (8 * i));
    }
    memcpy(frame + n, key, 4);
    n += 4;
    for (size_t i = 0; i < len; i++)
        frame[n + i] = body[i] ^ key[i & 3];
    frame_len = n + len;
}

/* ----------------------------------------------------------- connections ---
 */

static void handshake(struct conn *c, const char *path)
{
    char text[2048];
    size_t n = 0;
    int len = snprintf(
        text, sizeof text,
        "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n%s\r\n",
        path,
        deflates ? "Sec-WebSocket-Extensions: permessage-deflate; "
                   "client_no_context_takeover; server_no_context_takeover\r\n"
                 : "");

    if (put(c, text, (size_t)len, MSG_NOSIGNAL) != len)
        die("handshake");
    do { /* octet by octet: what follows the head is a frame */
        if (n == sizeof text - 1 || get(c, text + n, 1, 0) != 1)
            die("handshake");
        text[++n] = '\0';
    } while (n < 4 || memcmp(text + n - 4, "\r\n\r\n", 4) != 0);
    if (strncmp(text, "HTTP/1.1 101", 12) != 0 ||
        (deflates && strstr(text, "permessage-deflate") == NULL)) {
        fprintf(stderr, "refused: %s\n", text);
        exit(EXIT_FAILURE);
    }
}

static void open_conn(struct conn *c, const char *port, const char *path)
{
    struct sockaddr_in addr = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)atoi(port)),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    int on = 1;

    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(c->fd, (struct sockaddr *)&addr, sizeof addr) < 0)
        die("connect");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (secure && !begin_tls(c))
        die("TLS");
    handshake(c, path);
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
    c->first = malloc((deflates ? packed_len : plain_len) * 2 + 64);
}

/* Write what is owed: whole frames, as many as fit into one call. */
static void write_owed(struct conn *c)
{
    static uint8_t *many;
    size_t room = frame_len * 64 < RX ? frame_len * 64 : frame_len;

    if (many == NULL) {
        many = malloc(room);
        for (size_t i = 0; i < room; i += frame_len)
            memcpy(many + i, frame, frame_len);
    }
    while (c->owed > 0) {
        size_t n = room - c->frame_at < c->owed ? room - c->frame_at : c->owed;
        ssize_t sent =
            put(c, many + c->frame_at, n, MSG_DONTWAIT | MSG_NOSIGNAL);

        if (sent < 0) {
            errors += errno != EAGAIN;
            return;
        }
        c->owed -= (size_t)sent;
        c->frame_at = (c->frame_at + (size_t)sent) % frame_len;
    }
}

/* A message has come whole: let the next leave. */
static void go_on(struct conn *c)
{
    messages++;
    if (!fans) {
        c->owed += frame_len;
    } else if (messages % n_conns == 0) {
        conns[0].owed += frame_len;
        write_owed(&conns[0]);
    }
}

/* The first answer of a connection must hold what was sent. */
static void check_first(struct conn *c)
{
    bool good = false;

    if ((c->head[0] & 0x40) != 0) {
        uint8_t *out = malloc(plain_len + 64);
        z_stream z = {0};

        memcpy(c->first + c->at, "\0\0\xff\xff", 4);
        inflateInit2(&z, -15);
        z.next_in = c->first;
        z.avail_in = (uInt)c->at + 4;
        z.next_out = out;
        z.avail_out = (uInt)plain_len + 64;
        inflate(&z, Z_SYNC_FLUSH);
        good = z.total_out == plain_len && !memcmp(out, plain, plain_len);
        inflateEnd(&z);
        free(out);
    } else {
        good = !deflates && c->at == plain_len &&
               memcmp(c->first, plain, plain_len) == 0;
    }
    errors += !good;
    c->checked = true;
    free(c->first);
    c->first = NULL;
}

static size_t take_payload(struct conn *c, const uint8_t *p, size_t n)
{
    if (n > c->left)
        n = (size_t)c->left;
    if (!c->checked && c->at + n <= plain_len)
        memcpy(c->first + c->at, p, n);
    c->at += n;
    c->left -= n;
    if (c->left > 0)
        return n;
    if ((c->head[0] & 0x0f) > 2) {
        errors++; /* a Close, or something nobody asked for */
    } else if ((c->head[0] & 0x80) != 0) {
        if (!c->checked)
            check_first(c);
        c->at = 0;
        go_on(c);
    }
    c->head_len = 0;
    return n;
}

/* One octet of a frame's header, whose length lies in its second octet. */
static void take_head(struct conn *c, uint8_t octet)
{
    unsigned length;
    size_t extended;

    c->head[c->head_len++] = octet;
    if (c->head_len < 2)
        return;
    length = c->head[1] & 0x7f;
    extended = length == 127 ? 8 : length == 126 ? 2 : 0;
    if (c->head_len < 2 + extended)
        return;
    c->left = extended == 0 ? length : 0;
    for (size_t i = 2; i < 2 + extended; i++)
        c->left = c->left << 8 | c->head[i];
    if (c->left == 0)
        take_payload(c, NULL, 0);
}

static bool in_payload(const struct conn *c)
{
    return c->left > 0;
}

/* True when there may be more. */
static bool read_some(struct conn *c)
{
    ssize_t got = get(c, rx, RX, MSG_DONTWAIT);
    size_t i = 0;

    if (got <= 0) {
        if (got < 0 && errno == EAGAIN)
            return false;
        errors++;
        close(c->fd);
        c->fd = -1;
        return false;
    }
    while (i < (size_t)got) {
        if (in_payload(c))
            i += take_payload(c, rx + i, (size_t)got - i);
        else
            take_head(c, rx[i++]);
    }
    write_owed(c);
    return got == RX || secure; /* records are read one by one */
}

/* ------------------------------------------------------------------ main ---
 */

static void run(int epfd, double seconds)
{
    struct epoll_event events[256];
    double end = now() + seconds;

    while (now() < end) {
        int n = epoll_wait(epfd, events, 256, 100);

        for (int i = 0; i < n; i++) {
            struct conn *c = events[i].data.ptr;

            if (c->fd >= 0 && (events[i].events & EPOLLOUT) != 0)
                write_owed(c);
            while (c->fd >= 0 && read_some(c))
                continue;
        }
    }
}

int main(int argc, char **argv)
{
    int epfd = epoll_create1(EPOLL_CLOEXEC);
    size_t n, in_flight;
    double began, seconds;

    if (argc < 7 || (n = (size_t)atoi(argv[3])) > MAX_CONNS) {
        fprintf(stderr, "ws_load PORT PATH CONNECTIONS SIZE IN_FLIGHT SECONDS "
                        "[deflate] [tls] [fan] [told]\n");
        return EXIT_FAILURE;
    }
    in_flight = (size_t)atoi(argv[5]);
    seconds = atof(argv[6]);
    for (int i = 7; i < argc; i++) {
        deflates |= strcmp(argv[i], "deflate") == 0;
        secure |= strcmp(argv[i], "tls") == 0;
        fans |= strcmp(argv[i], "fan") == 0;
        told |= strcmp(argv[i], "told") == 0;
    }
    n_conns = n;
    make_frame((size_t)atol(argv[4]));
    for (size_t i = 0; i < n; i++) {
        struct epoll_event ev = {.events = EPOLLIN | EPOLLOUT | EPOLLET,
                                 .data.ptr = &conns[i]};

        open_conn(&conns[i], argv[1], argv[2]);
        if (!fans)
            conns[i].owed = in_flight * frame_len;
        epoll_ctl(epfd, EPOLL_CTL_ADD, conns[i].fd, &ev);
    }
    if (fans)
        sleep(1); /* until all have subscribed */
    if (told) {
        puts("open");
        fflush(stdout);
        getchar();
    }
    if (fans) {
        conns[0].owed = in_flight * frame_len;
        write_owed(&conns[0]);
    }
    began = now();
    run(epfd, seconds);
    printf("{\"messages\": %llu, \"seconds\": %.3f, \"errors\": %llu}\n",
           (unsigned long long)messages, now() - began,
           (unsigned long long)errors);
    fflush(stdout);
    if (told)
        getchar(); /* the connections end with this process */
    return EXIT_SUCCESS;
}
