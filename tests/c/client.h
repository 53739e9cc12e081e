/* A blocking client on loopback for tests of the server, and a server to talk
 * to. Every wait is bounded. */
#ifndef CLIENT_H
#define CLIENT_H

#include "net/log/limits.h"
#include "net/server/server.h"
#include "wsocket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PATIENCE_MS = 10000 };

struct served {
    wsk_server *srv;
    uint16_t port;
};

/* Called for each server before it starts, and for each descriptor that a
 * client has; for tests over TLS. */
static void (*prepare_server)(wsk_server *srv);
static int (*prepare_client)(int fd);

/* `options`: "name=value name=value", over quiet test defaults. */
static inline struct served serve(wsk_handler *handler, void *user,
                                  const char *options)
{
    struct served s = {NULL, 0};
    wsk_server_config cfg;
    char copy[512], *save = NULL, error[160];

    wsk_config_init(&cfg);
    cfg.port = 0;
    cfg.log_level = "critical";
    snprintf(copy, sizeof(copy), "%s", options ? options : "");
    for (char *word = strtok_r(copy, " ", &save); word != NULL;
         word = strtok_r(NULL, " ", &save)) {
        char *equals = strchr(word, '=');

        *equals = '\0';
        if (wsk_config_set(&cfg, word, equals + 1, error) != WSK_OK)
            abort();
    }
    s.srv = wsk_server_new(&cfg, handler, user, NULL);
    if (s.srv != NULL && prepare_server != NULL)
        prepare_server(s.srv);
    if (s.srv == NULL || wsk_server_start(s.srv) != WSK_OK)
        abort();
    s.port = wsk_server_port(s.srv);
    return s;
}

static inline int dial(const struct served *s)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(s->port)};
    int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    struct timeval patience = {PATIENCE_MS / 1000, 0};

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0)
        abort();
    return prepare_client != NULL ? prepare_client(fd) : fd;
}

static inline bool say_octets(int fd, const void *data, size_t len)
{
    const char *p = data;

    while (len > 0) {
        ssize_t n = send(fd, p, len, MSG_NOSIGNAL);

        if (n <= 0)
            return false;
        p += n;
        len -= (size_t)n;
    }
    return true;
}

static inline bool say(int fd, const char *text)
{
    return say_octets(fd, text, strlen(text));
}

#define GET(path) "GET " path " HTTP/1.1\r\nHost: x\r\n\r\n"
/* `fields`: more lines of the head, each with its end. */
#define UPGRADE_WITH(path, fields)                                             \
    "GET " path " HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"               \
    "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n" fields              \
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
#define UPGRADE(path) UPGRADE_WITH(path, "")

/* Exactly n octets; false at an end, an error or out of patience. */
static inline bool hear_octets(int fd, void *to, size_t n)
{
    char *p = to;

    while (n > 0) {
        ssize_t got = recv(fd, p, n, 0);

        if (got <= 0)
            return false;
        p += got;
        n -= (size_t)got;
    }
    return true;
}

/* One HTTP answer with a Content-Length: its status, its body (cut to `cap`,
 * NUL-terminated); 0 when none came. */
static inline int hear_answer(int fd, char *body, size_t cap)
{
    char head[8192];
    size_t n = 0, len = 0;
    const char *field;

    while (n < 4 || memcmp(head + n - 4, "\r\n\r\n", 4) != 0)
        if (n + 1 >= sizeof(head) || !hear_octets(fd, head + n++, 1))
            return 0;
    head[n] = '\0';
    field = strstr(head, "Content-Length: ");
    if (field != NULL)
        len = (size_t)strtoul(field + 16, NULL, 10);
    for (size_t i = 0; i < len; i++) {
        char c;

        if (!hear_octets(fd, &c, 1))
            return 0;
        if (body != NULL && i + 1 < cap)
            body[i] = c, body[i + 1] = '\0';
    }
    if (body != NULL && len == 0)
        body[0] = '\0';
    return atoi(head + 9);
}

/* True if octets (or an end) arrive within ms. */
static inline bool hears(int fd, int ms)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};

    return poll(&p, 1, ms) > 0;
}

static inline int open_ws(const struct served *s, const char *request)
{
    int fd = dial(s);

    say(fd, request);
    if (hear_answer(fd, NULL, 0) != 101) {
        close(fd);
        return -1;
    }
    return fd;
}

/* A masked frame of at most 125 octets; the mask is zero. */
static inline bool say_frame(int fd, int opcode, const void *data, size_t len)
{
    char frame[131] = {(char)(0x80 | opcode), (char)(0x80 | len), 0, 0, 0, 0};

    memcpy(frame + 6, data, len);
    return say_octets(fd, frame, len + 6);
}

/* A frame of at most 125 octets: its opcode, or -1. */
static inline int hear_frame(int fd, char data[126], size_t *len)
{
    unsigned char head[2];

    if (!hear_octets(fd, head, 2) || head[1] > 125)
        return -1;
    *len = head[1];
    if (!hear_octets(fd, data, *len))
        return -1;
    data[*len] = '\0';
    return head[0] & 15;
}

/* Wait until a counter of the test is n. */
static inline bool comes_to(atomic_int *count, int n)
{
    for (int ms = 0; ms < PATIENCE_MS && atomic_load(count) != n; ms++)
        usleep(1000);
    return atomic_load(count) == n;
}

/* The same for a counter that may pass n meanwhile. */
static inline bool reaches(atomic_int *count, int n)
{
    for (int ms = 0; ms < PATIENCE_MS && atomic_load(count) < n; ms++)
        usleep(1000);
    return atomic_load(count) >= n;
}

/* Return how often a limit has been counted. */
static inline unsigned long long limit_count(const struct served *s,
                                             enum wsk__limit limit)
{
    return atomic_load(&s->srv->logs.limits[limit].n);
}

/* Wait until a limit has been hit. */
static inline bool is_hit(const struct served *s, enum wsk__limit limit)
{
    for (int ms = 0; ms < PATIENCE_MS && limit_count(s, limit) == 0; ms++)
        usleep(1000);
    return limit_count(s, limit) > 0;
}

/* Reads until the peer's end; false when it is a reset or never comes. */
static inline bool hears_end(int fd)
{
    char trash[4096];
    ssize_t n;

    while ((n = recv(fd, trash, sizeof(trash), 0)) > 0)
        continue;
    return n == 0;
}

/* Built so, a test's clients and servers speak TLS, and it need not know. */
#if defined(OVER_TLS) && defined(WSK_TLS)
#include "tls_peer.h"

__attribute__((constructor)) static void speak_tls(void)
{
    prepare_server = use_tls;
    prepare_client = tunnel;
}
#endif

#endif
