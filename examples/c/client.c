/*
 * client: lines of standard input go to a WebSocket, its messages to standard
 * output.
 *
 *   cc client.c $(pkg-config --cflags --libs wsocket) -o client
 *   echo hello | ./client ws://127.0.0.1:8080/
 *
 * The engine knows no sockets: this program moves the octets, with poll().
 */
#define _POSIX_C_SOURCE 200809L

#include <wsocket.h>

#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    LINE_MAX_LEN = 65536,
    QUIET_MS = 1000,         /* after the input's end, until we close: what
                                comes behind our Close is not told any more */
    CLOSE_TIMEOUT_MS = 5000, /* for the server's Close, once ours is sent */
};

struct client {
    int fd;
    wsk_ws *ws;
    char line[LINE_MAX_LEN]; /* the beginning of one */
    size_t line_len;
    bool over, clean;
};

/* "ws://host:port/path", whose parts are NUL-terminated. */
struct url {
    char authority[256], host[256], port[8];
    const char *target;
};

static bool read_url(const char *text, struct url *url)
{
    const char *from = text + 5, *colon;
    size_t len;

    if (strncmp(text, "ws://", 5) != 0)
        return false;
    len = strcspn(from, "/");
    if (len == 0 || len >= sizeof url->authority)
        return false;
    memcpy(url->authority, from, len);
    url->authority[len] = '\0';
    url->target = from[len] != '\0' ? from + len : "/";
    colon = strrchr(url->authority, ':');
    if (colon != NULL && strchr(colon, ']') == NULL) {
        snprintf(url->port, sizeof url->port, "%s", colon + 1);
        len = (size_t)(colon - url->authority);
    } else {
        snprintf(url->port, sizeof url->port, "80");
    }
    snprintf(url->host, sizeof url->host, "%.*s", (int)len, url->authority);
    if (url->host[0] == '[') /* an IPv6 address */
        snprintf(url->host, sizeof url->host, "%.*s", (int)len - 2,
                 url->authority + 1);
    return true;
}

static int dial(const struct url *url)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;
    int fd = -1;

    if (getaddrinfo(url->host, url->port, &hints, &found) != 0)
        return -1;
    for (struct addrinfo *a = found; a != NULL && fd < 0; a = a->ai_next) {
        fd = socket(a->ai_family, a->ai_socktype, a->ai_protocol);
        if (fd >= 0 && connect(fd, a->ai_addr, a->ai_addrlen) != 0) {
            close(fd);
            fd = -1;
        }
    }
    freeaddrinfo(found);
    return fd;
}

static bool send_all(int fd, const void *data, size_t len)
{
    const char *p = data;

    while (len > 0) {
        ssize_t n = send(fd, p, len, 0);

        if (n <= 0)
            return false;
        p += n;
        len -= (size_t)n;
    }
    return true;
}

static bool random_octets(void *data, size_t len)
{
    FILE *file = fopen("/dev/urandom", "rb");
    bool good = file != NULL && fread(data, 1, len, file) == len;

    if (file != NULL)
        fclose(file);
    return good;
}

static bool flush(struct client *c)
{
    const uint8_t *data;
    size_t len;

    while ((data = wsk_ws_out_buf(c->ws, &len)) != NULL) {
        if (!send_all(c->fd, data, len))
            return false;
        wsk_ws_out_ack(c->ws, len);
    }
    return true;
}

/* Print the events of the engine. */
static void tell(struct client *c)
{
    wsk_ws_event event;

    while ((event = wsk_ws_next(c->ws)).kind != WSK_WS_NONE) {
        if (event.kind == WSK_WS_MESSAGE) {
            fwrite(event.data, 1, event.len, stdout);
            putchar('\n');
        } else if (event.kind == WSK_WS_CLOSED) {
            fprintf(stderr, "closed: %u %.*s\n", (unsigned)event.code,
                    (int)event.len, (const char *)event.data);
            c->over = true;
            c->clean = event.clean;
        }
    }
}

static void take(struct client *c, const uint8_t *data, size_t len)
{
    while (len > 0 && !c->over) {
        size_t used;

        if (wsk_ws_feed(c->ws, data, len, &used) != WSK_OK)
            c->over = true;
        data += used;
        len -= used;
        tell(c);
    }
}

/* The opening handshake; what came behind the answer is taken. */
static bool shake_hands(struct client *c, const struct url *url)
{
    wsk_ws_ask ask = {.host = url->authority, .target = url->target};
    uint8_t answer[LINE_MAX_LEN];
    wsk_ws_answer said;
    size_t len = 0, used;
    wsk_status st;
    char *head;

    if (!random_octets(ask.nonce, sizeof ask.nonce) ||
        wsk_ws_ask_head(&ask, &head, &len) != WSK_OK)
        return false;
    st = send_all(c->fd, head, len) ? WSK_E_AGAIN : WSK_E_CLOSED;
    wsk_free(head);
    len = 0;
    while (st == WSK_E_AGAIN && len < sizeof answer) {
        ssize_t n = recv(c->fd, answer + len, sizeof answer - len, 0);

        if (n <= 0)
            break;
        len += (size_t)n;
        st = wsk_ws_read_answer(&ask, (const char *)answer, len, &used, &said);
    }
    if (st != WSK_OK) {
        fprintf(stderr, "client: %s\n",
                st == WSK_E_ARG ? said.why : "there was no answer");
        return false;
    }
    take(c, answer + used, len - used);
    return true;
}

/* Complete lines become messages. False at the end of the input. */
static bool read_lines(struct client *c)
{
    ssize_t n =
        read(STDIN_FILENO, c->line + c->line_len, sizeof c->line - c->line_len);
    char *end;

    if (n <= 0)
        return false;
    c->line_len += (size_t)n;
    while ((end = memchr(c->line, '\n', c->line_len)) != NULL ||
           c->line_len == sizeof c->line) {
        size_t len = end != NULL ? (size_t)(end - c->line) : c->line_len;
        size_t used = len + (end != NULL);

        wsk_ws_send_message(c->ws, WSK_TEXT, (const uint8_t *)c->line, len);
        memmove(c->line, c->line + used, c->line_len -= used);
    }
    return true;
}

static bool read_socket(struct client *c)
{
    uint8_t data[16384];
    ssize_t n = recv(c->fd, data, sizeof data, 0);

    if (n <= 0)
        wsk_ws_feed_eof(c->ws);
    else
        take(c, data, (size_t)n);
    tell(c);
    return n > 0;
}

static void run(struct client *c)
{
    struct pollfd fds[] = {{.fd = c->fd, .events = POLLIN},
                           {.fd = STDIN_FILENO, .events = POLLIN}};
    int timeout_ms = -1;

    while (flush(c) && !c->over) {
        if (poll(fds, 2, timeout_ms) == 0) {
            if (timeout_ms == CLOSE_TIMEOUT_MS)
                return;
            timeout_ms = CLOSE_TIMEOUT_MS;
            wsk_ws_send_close(c->ws, 1000, NULL, 0);
            continue;
        }
        if (fds[0].revents != 0 && !read_socket(c))
            return;
        if (fds[1].revents != 0 && !read_lines(c)) {
            fds[1].fd = -1; /* poll() passes over it */
            timeout_ms = QUIET_MS;
        }
    }
}

int main(int argc, char **argv)
{
    static struct client c;
    uint8_t seed[WSK_WS_SEED_LEN];
    struct url url;

    if (argc != 2 || !read_url(argv[1], &url)) {
        fprintf(stderr, "usage: client ws://host:port/path\n");
        return EXIT_FAILURE;
    }
    signal(SIGPIPE, SIG_IGN); /* a server that is gone is an error of send() */
    setvbuf(stdout, NULL, _IOLBF, 0);
    c.fd = dial(&url);
    if (c.fd < 0) {
        perror("client");
        return EXIT_FAILURE;
    }
    if (random_octets(seed, sizeof seed))
        c.ws = wsk_ws_new_client(NULL, seed);
    if (c.ws != NULL && shake_hands(&c, &url))
        run(&c);
    wsk_ws_free(c.ws);
    close(c.fd);
    return c.clean ? EXIT_SUCCESS : EXIT_FAILURE;
}
