/*
 * What a client of load says and hears on its connection: HTTP requests and
 * answers, WebSocket frames, and how all of it ends. How loss is counted stands
 * at the head of load.c.
 */
#include "load.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

static uint64_t serials;

static bool is_kept(const struct client *c)
{
    return c->kind == KEEP || c->kind == PAUSE || c->kind == PIPELINE;
}

/* ---------------------------------------------------------------- ends --- */

static void rest(struct client *c)
{
    finish(c, is_websocket(c) ? between(50, 150) : 0);
}

/* Count the requests that were not answered as lost, and end. */
static void lose(struct client *c, enum how first, enum how others)
{
    unsigned left = c->asked - c->answered;

    tell(c, "LOST", how_names[first]);
    tally_of(c)->lost[first]++;
    if (left > 1)
        tally_of(c)->lost[others] += left - 1;
    rest(c);
}

static void violate(struct client *c, enum violation how)
{
    tell(c, "VIOLATION", violation_names[how]);
    sockets.violations[how]++;
    rest(c);
}

/* Wait for the server's FIN; `ours`: it is for us to end. */
void leave(struct client *c, bool ours)
{
    c->state = LEAVING;
    c->due = 0;
    c->limit = in(END_MS);
    if (ours || c->unsent > 0)
        shutdown(c->fd, SHUT_WR);
}

static void race(struct client *c)
{
    tell(c, "race", "");
    tally_of(c)->race += c->asked - c->answered;
    rest(c);
}

static void end_of_asking(struct client *c)
{
    enum how end = c->was_reset ? RESET : CLOSED;

    if (c->head_len > 0 || c->in_body) {
        lose(c, TRUNCATED, end);
    } else if (c->was_reset || c->served == 0 || c->answered > 0) {
        lose(c, end, end);
    } else if (c->crossed || socket_error(c) != 0) {
        race(c);
    } else {
        c->state = DOUBTFUL;
        c->due = in(DOUBT_MS);
        c->limit = 0;
    }
}

static void end_of_idleness(struct client *c)
{
    if (c->was_reset)
        tally_of(c)->idle_reset++;
    else
        tally_of(c)->idle_closed++;
    rest(c);
}

/* FIN or RST has come. */
void ended(struct client *c)
{
    switch (c->state) {
    case RESTING:
    case CONNECTING:
    case DOUBTFUL:
        break;
    case SILENT:
        c->asked = c->answered = 0;
        lose(c, UNSPOKEN, UNSPOKEN);
        break;
    case ASKING:
        end_of_asking(c);
        break;
    case PAUSING:
        end_of_idleness(c);
        break;
    case OPEN:
        violate(c, c->was_reset ? V_RESET : V_CLOSED);
        break;
    case WS_ASKED:
        violate(c, V_NO_CLOSE);
        break;
    case WS_CLOSING:
        sockets.reset_after_close += c->was_reset;
        rest(c);
        break;
    case LEAVING:
        tally_of(c)->late_reset += c->was_reset;
        rest(c);
        break;
    }
}

/* The limit has passed. */
void expired(struct client *c)
{
    switch (c->state) {
    case RESTING:
    case SILENT:
    case PAUSING:
    case DOUBTFUL:
        break;
    case CONNECTING:
        tally_of(c)->unconnected++;
        finish(c, 0);
        break;
    case ASKING:
        lose(c, TIMEOUT, TIMEOUT);
        break;
    case OPEN:
        violate(c, V_STALLED);
        break;
    case WS_ASKED:
        violate(c, V_NO_CLOSE);
        break;
    case WS_CLOSING:
        sockets.no_fin++;
        rest(c);
        break;
    case LEAVING:
        tally_of(c)->unclosed++;
        rest(c);
        break;
    }
}

/* Whether RST followed the FIN that came instead of an answer. */
void resolve_doubt(struct client *c, bool reset_came)
{
    if (reset_came)
        race(c);
    else
        lose(c, CLOSED, CLOSED);
}

/* -------------------------------------------------------------- asking --- */

/* Send octets; false if the connection is gone. What is sent in whole is so
 * small that an empty socket buffer always takes it. */
static bool send_whole(struct client *c, const void *data, size_t n)
{
    ssize_t sent = send(c->fd, data, n, MSG_NOSIGNAL);

    if (sent == (ssize_t)n)
        return true;
    if (sent >= 0 || errno == EAGAIN)
        die("a socket buffer is full");
    c->was_reset = true;
    return false;
}

static size_t write_requests(struct client *c, char *to, size_t size)
{
    const char *end = is_kept(c) ? "" : "Connection: close\r\n";
    int n = 0;

    if (is_websocket(c))
        return (size_t)snprintf(
            to, size,
            "GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
    if (c->kind == UPLOADER)
        return (size_t)snprintf(to, size,
                                "POST /upload HTTP/1.1\r\nHost: localhost\r\n"
                                "Content-Length: %d\r\n%s\r\n",
                                UPLOAD, end);
    if (c->kind == READER)
        return (size_t)snprintf(
            to, size, "GET /big HTTP/1.1\r\nHost: localhost\r\n%s\r\n", end);
    for (unsigned i = 0; i < c->asked; i++)
        n += snprintf(to + n, size - (size_t)n,
                      "GET /hello/%llu HTTP/1.1\r\nHost: localhost\r\n%s\r\n",
                      (unsigned long long)(c->serial + i), end);
    return (size_t)n;
}

/* Send the next requests. A connection that was idle is looked at first: if the
 * server has closed it by now, nothing is sent. */
void ask(struct client *c)
{
    char requests[1024], peeked;
    size_t n;

    c->asked = c->kind == PIPELINE ? PIPELINED : 1;
    c->answered = 0;
    c->serial = serials + 1;
    c->head_len = 0;
    c->in_body = c->crossed = false;
    c->unsent = c->kind == UPLOADER ? UPLOAD : 0;
    if (c->served > 0) {
        ssize_t got = recv(c->fd, &peeked, 1, MSG_PEEK);

        c->was_reset = got < 0 && errno != EAGAIN;
        if (got == 0 || c->was_reset) {
            end_of_idleness(c);
            return;
        }
    }
    n = write_requests(c, requests, sizeof requests);
    if (!send_whole(c, requests, n) && c->served > 0) {
        end_of_idleness(c);
        return;
    }
    serials += c->asked;
    tally_of(c)->sent += c->asked;
    c->state = ASKING;
    c->limit = in(timeout_ms());
    c->due = c->unsent > 0 || c->kind == READER ? in(TICK_MS) : 0;
    if (c->served > 0)
        c->crossed = fin_crossed(c);
}

void upload_slice(struct client *c)
{
    static const char slice[UPLOAD_SLICE];
    size_t n = c->unsent < sizeof slice ? c->unsent : sizeof slice;
    ssize_t sent = send(c->fd, slice, n, MSG_NOSIGNAL);

    if (sent >= 0) {
        c->unsent -= (size_t)sent;
    } else if (errno != EAGAIN) {
        c->was_reset = true;
        c->unsent = 0; /* hear() finds out what came before */
    }
    c->due = c->unsent > 0 ? in(TICK_MS) : 0;
}

/* ------------------------------------------------------------- answers --- */

/* The value of a field, up to the end of its line; NULL without it. */
static const char *field(const struct client *c, const char *name)
{
    size_t n = strlen(name);

    for (const char *p = c->head; (p = strstr(p, "\r\n")) != NULL;) {
        p += 2;
        if (strncasecmp(p, name, n) == 0 && p[n] == ':') {
            for (p += n + 1; *p == ' ';)
                p++;
            return p;
        }
    }
    return NULL;
}

static bool field_is(const struct client *c, const char *name, const char *word)
{
    const char *value = field(c, name);

    return value && strncasecmp(value, word, strlen(word)) == 0;
}

static void upgraded(struct client *c)
{
    /* The accept key of RFC 6455 1.3, whose nonce we sent. */
    if (!field_is(c, "Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")) {
        lose(c, WRONG, WRONG);
        return;
    }
    tally_of(c)->answered++;
    c->answered = 1;
    sockets.opened++;
    c->state = OPEN;
    c->limit = 0;
    c->awaits_echo = false;
    c->due = c->kind == ECHO ? in(between(20, 80)) : 0;
    if (stopping)
        start_close(c);
}

/* The body that the answer must have, for those that are short. */
static bool is_expected(const struct client *c, const char *p, size_t n)
{
    char expected[32];

    if (c->kind == READER) {
        for (size_t i = 0; i < n; i++)
            if (p[i] != 'a' + (char)((c->body_at + i) % LETTERS))
                return false;
        return c->body_len == BIG;
    }
    if (c->kind == UPLOADER)
        snprintf(expected, sizeof expected, "%d", UPLOAD);
    else
        snprintf(expected, sizeof expected, "%llu",
                 (unsigned long long)(c->serial + c->answered));
    return c->body_len == strlen(expected) &&
           memcmp(expected + c->body_at, p, n) == 0;
}

static void answer_complete(struct client *c)
{
    struct tally *tally = tally_of(c);
    bool good = c->status == 200 && !c->is_wrong && !is_websocket(c);

    if (good) {
        tally->answered++;
    } else if (is_websocket(c) && c->status == 503) {
        tally->unavailable++;
    } else {
        enum how how = c->status == 200 ? WRONG : STATUS;

        tell(c, "LOST", how_names[how]);
        tally->lost[how]++;
        statuses[c->status]++;
    }
    c->answered++;
    c->head_len = 0;
    c->in_body = false;
    if (c->closes || !is_kept(c)) {
        tally->unprocessed += c->asked - c->answered;
        leave(c, !c->closes);
    } else if (c->answered == c->asked) {
        c->served += c->asked;
        c->limit = 0;
        if (stopping) {
            leave(c, true);
        } else if (c->kind == PAUSE) {
            c->state = PAUSING;
            c->due = in(between(0, (int64_t)settings.pause * 1000));
        } else {
            ask(c);
        }
    }
}

static void head_complete(struct client *c)
{
    const char *length;

    c->head[c->head_len] = '\0';
    c->status = c->head_len > 12 ? atoi(c->head + 9) : 0;
    if (c->status < 100 || c->status > 999) {
        lose(c, WRONG, WRONG);
        return;
    }
    if (c->status == 101 && is_websocket(c)) {
        upgraded(c);
        c->head_len = 0;
        return;
    }
    if (c->status < 200) {
        c->head_len = 0;
        return;
    }
    length = field(c, "Content-Length");
    c->closes = field_is(c, "Connection", "close") || !length ||
                (strncmp(c->head, "HTTP/1.0", 8) == 0 &&
                 !field_is(c, "Connection", "keep-alive"));
    c->body_len = length ? strtoul(length, NULL, 10) : 0;
    c->body_at = 0;
    c->is_wrong = c->body_len == 0;
    c->in_body = true;
    if (c->body_len == 0)
        answer_complete(c);
}

static size_t take_head(struct client *c, const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (c->head_len == HEAD_MAX - 1) {
            lose(c, WRONG, WRONG);
            return n;
        }
        c->head[c->head_len++] = p[i];
        if (c->head_len >= 4 &&
            memcmp(c->head + c->head_len - 4, "\r\n\r\n", 4) == 0) {
            head_complete(c);
            return i + 1;
        }
    }
    return n;
}

static size_t take_body(struct client *c, const char *p, size_t n)
{
    size_t left = c->body_len - c->body_at;

    n = n < left ? n : left;
    if (c->status == 200 && !c->is_wrong)
        c->is_wrong = !is_expected(c, p, n);
    c->body_at += n;
    if (c->body_at == c->body_len)
        answer_complete(c);
    return n;
}

/* ---------------------------------------------------------- WebSockets --- */

/* Send a frame of at most 125 octets (RFC 6455 5.2), masked. */
static void send_frame(struct client *c, int opcode, const char *p, size_t n)
{
    uint8_t frame[6 + 125];

    frame[0] = (uint8_t)(0x80 | opcode);
    frame[1] = (uint8_t)(0x80 | n);
    for (size_t i = 0; i < 4; i++)
        frame[2 + i] = (uint8_t)between(0, 255);
    for (size_t i = 0; i < n; i++)
        frame[6 + i] = (uint8_t)p[i] ^ frame[2 + i % 4];
    send_whole(c, frame, 6 + n); /* if it is gone, hear() finds out how */
}

static int message(const struct client *c, char text[32])
{
    return snprintf(text, 32, "message %llu", (unsigned long long)c->serial);
}

void send_message(struct client *c)
{
    char text[32];

    c->serial = ++serials;
    sockets.messages++;
    c->awaits_echo = true;
    c->due = 0;
    c->limit = in(timeout_ms());
    send_frame(c, 1, text, (size_t)message(c, text));
}

void start_close(struct client *c)
{
    c->state = WS_ASKED;
    c->due = 0;
    c->limit = in(END_MS);
    send_frame(c, 8, "\x03\xe8", 2); /* 1000 */
}

static void got_close(struct client *c, const char *p, size_t n)
{
    unsigned code = 1005; /* RFC 6455 7.1.5: there was none */

    if (n >= 2)
        code = (unsigned)(uint8_t)p[0] << 8 | (uint8_t)p[1];
    if (c->state == WS_ASKED) {
        sockets.closed_by_us++;
    } else {
        sockets.codes[code < 5000 ? code : 0]++;
        send_frame(c, 8, p, n < 2 ? 0 : 2);
    }
    sockets.unechoed += c->awaits_echo;
    c->state = WS_CLOSING;
    c->due = 0;
    c->limit = in(END_MS);
}

static void got_frame(struct client *c, const char *p, size_t n)
{
    char text[32];

    switch (c->head[0] & 15) {
    case 1:
        if (!c->awaits_echo || n != (size_t)message(c, text) ||
            memcmp(text, p, n) != 0) {
            violate(c, V_WRONG);
            return;
        }
        sockets.echoed++;
        c->awaits_echo = false;
        if (c->state == OPEN) {
            c->limit = 0;
            c->due = in(between(20, 80));
        }
        break;
    case 8:
        got_close(c, p, n);
        break;
    case 9:
        send_frame(c, 10, p, n);
        break;
    case 10:
        break;
    default:
        violate(c, V_WRONG);
    }
}

/* The server has only short frames to send. */
static size_t take_frame(struct client *c, const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        size_t len;

        c->head[c->head_len++] = p[i];
        if (c->head_len < 2)
            continue;
        len = (uint8_t)c->head[1];
        if (len > 125 || (c->head[0] & 0x70)) {
            violate(c, V_WRONG);
            return n;
        }
        if (c->head_len == 2 + len) {
            c->head_len = 0;
            got_frame(c, c->head + 2, len);
            return i + 1;
        }
    }
    return n;
}

void take(struct client *c, const char *p, size_t n)
{
    while (n > 0 && c->fd >= 0) {
        size_t used = n;

        if (c->state == ASKING)
            used = c->in_body ? take_body(c, p, n) : take_head(c, p, n);
        else if (c->state == OPEN || c->state == WS_ASKED)
            used = take_frame(c, p, n);
        else
            tally_of(c)->stray += c->state == SILENT || c->state == PAUSING;
        p += used;
        n -= used;
    }
}
