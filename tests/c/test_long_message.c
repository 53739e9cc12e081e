/* Long messages, which are read to where they will stand. */
#include "harness.h"

#include "client.h"

#include <pthread.h>

enum { LONG = 900000, FRAME_MAX = LONG + 14 };

static void echo(wsk_conn *conn, const wsk_message *msg, void *user)
{
    (void)user;
    wsk_conn_send(conn, msg->opcode, msg->data, msg->len, true);
}

static const wsk_ws_handlers ECHO = {.message = echo};

/* How the last blocking handler's connection ended. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t known;
    bool ended, upgraded;
    wsk_conn *conn;
    wsk_close_info info;
} last = {.lock = PTHREAD_MUTEX_INITIALIZER, .known = PTHREAD_COND_INITIALIZER};

static void tell(wsk_conn *conn, bool upgraded)
{
    pthread_mutex_lock(&last.lock);
    last.conn = conn;
    last.upgraded = upgraded;
    last.ended = !upgraded && wsk_conn_closed(conn, &last.info);
    pthread_cond_broadcast(&last.known);
    pthread_mutex_unlock(&last.lock);
}

static void handler(wsk_request *req, void *user)
{
    bool events = wsk_request_head(req)->path.len > 1;
    wsk_message msg;
    wsk_conn *conn;

    (void)user;
    if (wsk_request_upgrade(req, NULL, NULL, 0, &conn) != WSK_OK)
        return;
    if (events) {
        wsk_conn_attach(conn, &ECHO, NULL);
        return;
    }
    tell(conn, true);
    while (wsk_conn_receive(conn, -1, &msg) == WSK_OK) {
        wsk_conn_send(conn, msg.opcode, msg.data, msg.len, true);
        wsk_message_free(&msg);
    }
    tell(conn, false);
}

static size_t write_frame(uint8_t *to, int opcode, const uint8_t *data,
                          size_t len)
{
    static const uint8_t KEY[4] = {0x37, 0xfa, 0x21, 0x3d};
    size_t n = 2;

    to[0] = (uint8_t)(0x80 | opcode);
    to[1] = (uint8_t)(0x80 | (len < 126 ? len : 127));
    for (int i = 7; len >= 126 && i >= 0; i--)
        to[n++] = (uint8_t)((uint64_t)len >> (8 * i));
    memcpy(to + n, KEY, 4);
    n += 4;
    for (size_t i = 0; i < len; i++)
        to[n + i] = data[i] ^ KEY[i & 3];
    return n + len;
}

/* An unmasked frame of any length: its payload, for free(). */
static uint8_t *hear_long(int fd, int opcode, size_t *len)
{
    uint8_t head[10], *data;
    size_t more;

    if (!hear_octets(fd, head, 2) || head[0] != (0x80 | opcode))
        return NULL;
    more = head[1] == 127 ? 8 : head[1] == 126 ? 2 : 0;
    if (!hear_octets(fd, head + 2, more))
        return NULL;
    *len = more == 0 ? head[1] : 0;
    for (size_t i = 0; i < more; i++)
        *len = *len << 8 | head[2 + i];
    data = malloc(*len + 1);
    if (data != NULL && hear_octets(fd, data, *len))
        return data;
    free(data);
    return NULL;
}

static uint8_t *make_text(void)
{
    uint8_t *text = malloc(LONG);

    for (size_t i = 0; i < LONG; i++)
        text[i] = (uint8_t)('a' + i * 7 % 26);
    return text;
}

/* A long message with a short one behind it, in writes of every length: both
 * are echoed. */
static void exchange(int fd, const uint8_t *text, size_t len, size_t write)
{
    uint8_t *both = malloc((size_t)FRAME_MAX * 2);
    size_t n = write_frame(both, 1, text, len);

    n += write_frame(both + n, 2, text + 1, 3);
    for (size_t at = 0; at < n; at += write) {
        write = write * 3 < 300000 ? write * 3 : 1;
        if (write > n - at)
            write = n - at;
        say_octets(fd, both + at, write);
    }
    free(both);
    for (int i = 0; i < 2; i++) {
        size_t got_len = 0;
        uint8_t *got = hear_long(fd, 1 + i, &got_len);

        EXPECT(got != NULL && got_len == (i == 0 ? len : 3) &&
               memcmp(got, text + i, got_len) == 0);
        free(got);
    }
}

static void exchange_all(const char *handshake)
{
    static const size_t LENGTHS[] = {LONG, 200000, 65536, 131072, 131073, LONG};
    struct served s = serve(handler, NULL, NULL);
    int fd = open_ws(&s, handshake);
    uint8_t *text = make_text();

    EXPECT(fd >= 0);
    for (size_t i = 0; i < sizeof(LENGTHS) / sizeof(*LENGTHS); i++)
        exchange(fd, text, LENGTHS[i], i + 1);
    free(text);
    close(fd);
    wsk_server_free(s.srv);
}

TEST(a_long_message_is_received_whole)
{
    exchange_all(UPGRADE("/"));
}

TEST(a_long_message_is_delivered_whole)
{
    exchange_all(UPGRADE("/events"));
}

TEST(many_long_messages_at_once_do_not_mix)
{
    struct served s = serve(handler, NULL, NULL);
    uint8_t *text = make_text(), *frame = malloc(FRAME_MAX);
    int fd[6];

    for (int i = 0; i < 6; i++)
        fd[i] = open_ws(&s, i % 2 ? UPGRADE("/events") : UPGRADE("/"));
    for (size_t half = 0; half < 2; half++)
        for (size_t i = 0; i < 6; i++) {
            size_t n = write_frame(frame, 1, text + i, LONG - 6);

            say_octets(fd[i], frame + half * (n / 2),
                       half == 0 ? n / 2 : n - n / 2);
        }
    for (size_t i = 0; i < 6; i++) {
        size_t len = 0;
        uint8_t *got = hear_long(fd[i], 1, &len);

        EXPECT(got != NULL && len == LONG - 6 &&
               memcmp(got, text + i, len) == 0);
        free(got);
        close(fd[i]);
    }
    free(frame);
    free(text);
    wsk_server_free(s.srv);
}

TEST(text_that_goes_wrong_late_in_a_long_message_is_1007) /* RFC 6455 8.1 */
{
    struct served s = serve(handler, NULL, NULL);
    uint8_t *text = make_text(), *frame = malloc(FRAME_MAX);

    text[LONG / 2] = 0xff;
    for (int i = 0; i < 2; i++) {
        int fd = open_ws(&s, i ? UPGRADE("/events") : UPGRADE("/"));
        uint8_t head[4];

        say_octets(fd, frame, write_frame(frame, 1, text, LONG));
        EXPECT(hear_octets(fd, head, 4) && head[0] == 0x88);
        EXPECT((head[2] << 8 | head[3]) == 1007);
        close(fd);
    }
    free(frame);
    free(text);
    wsk_server_free(s.srv);
}

/* RFC 6455 7.1.2: what is left of the message is read past, up to the peer's
 * Close. */
TEST(a_close_amid_a_long_message_is_still_answered)
{
    struct served s = serve(handler, NULL, NULL);
    uint8_t *text = make_text(), *frame = malloc(FRAME_MAX), head[2];
    size_t n = write_frame(frame, 1, text, LONG);
    int fd;

    last.upgraded = last.ended = false;
    fd = open_ws(&s, UPGRADE("/"));
    say_octets(fd, frame, 300000);
    usleep(50000); /* long enough for its handler to wait amid the message */
    pthread_mutex_lock(&last.lock);
    while (!last.upgraded)
        pthread_cond_wait(&last.known, &last.lock);
    wsk_conn_close(last.conn, 4000, NULL, 0);
    pthread_mutex_unlock(&last.lock);
    EXPECT(hear_octets(fd, head, 2) && head[0] == 0x88);
    say_octets(fd, frame + 300000, n - 300000);
    say_octets(fd, frame,
               write_frame(frame, 8, (const uint8_t *)"\x0f\xa0", 2));
    pthread_mutex_lock(&last.lock);
    while (!last.ended)
        pthread_cond_wait(&last.known, &last.lock);
    EXPECT(last.info.code == 4000 && last.info.clean);
    pthread_mutex_unlock(&last.lock);
    free(frame);
    free(text);
    close(fd);
    wsk_server_free(s.srv);
}
