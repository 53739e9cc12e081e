/* http/reply: which heads are legal, where a body ends, and the octets. */
#include "harness.h"

#include "http/reply.h"

#include <stdint.h>

#define UNKNOWN WSK_LENGTH_UNKNOWN

/* An answer to GET from HTTP/1.1, that stays; nothing is added. */
static struct wsk__reply answer(int status, uint64_t length)
{
    return (struct wsk__reply){
        .status = status, .length = length, .keep_alive = true};
}

static wsk_header field(const char *name, const char *value)
{
    return (wsk_header){{name, strlen(name)}, {value, strlen(value)}};
}

static wsk_status head_with(struct wsk__reply *r, struct wsk__buf *out,
                            const char *name, const char *value)
{
    wsk_header h = field(name, value);

    wsk__buf_init(out, 100000);
    r->headers = &h;
    r->n = 1;
    return wsk__reply_head(out, r);
}

static void expect_head(struct wsk__reply *r, const char *want, int line)
{
    struct wsk__buf out;
    bool same;

    wsk__buf_init(&out, 100000);
    EXPECT(wsk__reply_head(&out, r) == WSK_OK);
    same = wsk__buf_len(&out) == strlen(want) &&
           memcmp(wsk__buf_data(&out), want, strlen(want)) == 0;
    if (!same)
        printf("line %d: the head is\n%.*s", line, (int)wsk__buf_len(&out),
               (const char *)wsk__buf_data(&out));
    EXPECT(same);
    wsk__buf_free(&out);
}

#define EXPECT_HEAD(r, want) expect_head(&(r), want "\r\n", __LINE__)

static bool accepts(int status, const char *name, const char *value)
{
    struct wsk__reply r = answer(status, UNKNOWN);
    struct wsk__buf out;
    wsk_status st = head_with(&r, &out, name, value);

    EXPECT((st == WSK_OK) == (wsk__buf_len(&out) > 0));
    EXPECT(st == WSK_OK || st == WSK_E_ARG);
    wsk__buf_free(&out);
    return st == WSK_OK;
}

TEST(fields_keep_their_order_case_and_number) /* RFC 9110 5.3 */
{
    wsk_header headers[] = {field("X-b", "1"), field("x-A", ""),
                            field("X-B", "caf\xe9\t\"")};
    struct wsk__reply r = answer(200, 0);

    r.headers = headers;
    r.n = 3;
    EXPECT_HEAD(r, "HTTP/1.1 200 OK\r\nX-b: 1\r\nx-A: \r\nX-B: caf\xe9\t\"\r\n"
                   "Content-Length: 0\r\n");
}

TEST(date_and_server_are_added_unless_they_are_there) /* RFC 9110 6.6.1 */
{
    wsk_header headers[] = {field("date", "now"), field("SERVER", "mine")};
    struct wsk__reply r = answer(200, 0);

    r.date = "Thu, 01 Jan 1970 00:00:00 GMT";
    r.server = true;
    EXPECT_HEAD(r, "HTTP/1.1 200 OK\r\nServer: wsocket\r\n"
                   "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n"
                   "Content-Length: 0\r\n");
    r.headers = headers;
    r.n = 2;
    EXPECT_HEAD(r, "HTTP/1.1 200 OK\r\ndate: now\r\nSERVER: mine\r\n"
                   "Content-Length: 0\r\n");
}

TEST(https_is_told_unless_the_application_says_how) /* RFC 6797 7.1 */
{
    wsk_header header = field("STRICT-Transport-Security", "max-age=0");
    struct wsk__reply r = answer(200, 0);

    r.hsts = 31536000;
    EXPECT_HEAD(r, "HTTP/1.1 200 OK\r\n"
                   "Strict-Transport-Security: max-age=31536000\r\n"
                   "Content-Length: 0\r\n");
    r.hsts = UINT32_MAX;
    r.headers = &header;
    r.n = 1;
    EXPECT_HEAD(r, "HTTP/1.1 200 OK\r\n"
                   "STRICT-Transport-Security: max-age=0\r\n"
                   "Content-Length: 0\r\n");
}

TEST(the_longest_head_has_room)
{
    struct wsk__reply r = answer(426, UINT64_MAX - 1);
    wsk_header header = field("Upgrade", "x");
    struct wsk__buf out;

    r.date = "Thu, 01 Jan 1970 00:00:00 GMT";
    r.server = true;
    r.hsts = UINT32_MAX;
    r.headers = &header;
    r.n = 1;
    r.keep_alive = false;
    wsk__buf_init(&out, 100000);
    EXPECT(wsk__reply_head(&out, &r) == WSK_OK);
    EXPECT(out.tail <= out.size);
    wsk__buf_free(&out);
}

TEST(a_reason_is_free_text) /* RFC 9112 4 */
{
    struct wsk__reply r = answer(299, 0);

    EXPECT_HEAD(r, "HTTP/1.1 299 Unknown\r\nContent-Length: 0\r\n");
    r.reason = "";
    EXPECT_HEAD(r, "HTTP/1.1 299 \r\nContent-Length: 0\r\n");
    r.reason = "caf\xe9 au lait";
    EXPECT_HEAD(r, "HTTP/1.1 299 caf\xe9 au lait\r\nContent-Length: 0\r\n");
}

TEST(a_reason_cannot_split_the_answer) /* RFC 9112 11.1 */
{
    struct wsk__reply r = answer(200, 0);
    struct wsk__buf out;

    wsk__buf_init(&out, 1000);
    r.reason = "OK\r\nX: y";
    EXPECT(wsk__reply_head(&out, &r) == WSK_E_ARG);
    EXPECT(wsk__buf_len(&out) == 0);
    wsk__buf_free(&out);
}

TEST(statuses_that_are_no_final_answer_are_refused) /* RFC 9110 15 */
{
    EXPECT(accepts(200, "X", "y") && accepts(599, "X", "y"));
    EXPECT(accepts(101, "X", "y"));
    EXPECT(!accepts(100, "X", "y") && !accepts(103, "X", "y"));
    EXPECT(!accepts(199, "X", "y") && !accepts(600, "X", "y"));
    EXPECT(!accepts(0, "X", "y") && !accepts(-200, "X", "y"));
}

TEST(a_name_is_a_token) /* RFC 9110 5.1 */
{
    EXPECT(accepts(200, "a!#$%&'*+-.^_`|~9Z", "y"));
    EXPECT(!accepts(200, "", "y"));
    EXPECT(!accepts(200, "X Y", "y"));
    EXPECT(!accepts(200, "X:", "y"));
    EXPECT(!accepts(200, "X\r\nY", "y"));
    EXPECT(!accepts(200, "caf\xe9", "y"));
    EXPECT(!accepts(200, "content\rtype", "y"));
    EXPECT(!accepts(200, "Content\rLength", "1"));
}

TEST(a_value_cannot_split_the_answer) /* RFC 9112 11.1 */
{
    EXPECT(accepts(200, "X", " \t \xff "));
    EXPECT(!accepts(200, "X", "a\rb"));
    EXPECT(!accepts(200, "X", "a\nb"));
    EXPECT(!accepts(200, "X", "a\x7f"));
    EXPECT(!accepts(200, "X", "a\x01"));
    EXPECT(!accepts(200, "X", "0123456789abcdef0123456789abcdef\n"));
}

TEST(what_concerns_this_hop_is_not_the_applications_to_say) /* 9110 7.6.1 */
{
    static const char *const NAMES[] = {
        "TE",
        "Trailer",
        "Trailers",
        "Keep-Alive",
        "Proxy-Connection",
        "Transfer-Encoding",
        "Upgrade",
        "keep-ALIVE",
        "Proxy-Authenticate",
        "transfer-encoding",
        "Proxy-Authorization",
    };

    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++)
        EXPECT(!accepts(200, NAMES[i], "x"));
    /* Their neighbours in length are. */
    EXPECT(accepts(200, "TF", "x") && accepts(200, "Vary", "x"));
    EXPECT(accepts(200, "Expires", "x") && accepts(200, "Set-Cookie", "x"));
    EXPECT(accepts(200, "Location", "x") &&
           accepts(200, "Accept-Charset", "x"));
    EXPECT(accepts(200, "Proxy-Authentication", "x"));
}

TEST(upgrade_goes_through_where_it_belongs) /* RFC 9110 15.2.2, 15.5.22 */
{
    wsk_header up = field("Upgrade", "websocket");
    struct wsk__reply r = answer(101, UNKNOWN);

    r.headers = &up;
    r.n = 1;
    EXPECT_HEAD(r, "HTTP/1.1 101 Switching Protocols\r\n"
                   "Upgrade: websocket\r\nConnection: Upgrade\r\n");
    EXPECT(r.framing == WSK__FRAMING_NONE);
    r = answer(426, 0);
    r.headers = &up;
    r.n = 1;
    EXPECT_HEAD(r, "HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\n"
                   "Content-Length: 0\r\nConnection: Upgrade\r\n");
    r.keep_alive = false;
    EXPECT_HEAD(r, "HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\n"
                   "Content-Length: 0\r\nConnection: Upgrade, close\r\n");
}

TEST(connection_is_said_once_and_by_us) /* RFC 9112 9.6 */
{
    wsk_header headers[] = {field("CONNECTION", "keep-alive"),
                            field("Connection", "x, Close")};
    struct wsk__reply r = answer(200, 0);

    r.headers = headers;
    r.n = 1;
    EXPECT_HEAD(r, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n");
    EXPECT(r.keep_alive);
    r.n = 2;
    EXPECT_HEAD(r, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n"
                   "Connection: close\r\n");
    EXPECT(!r.keep_alive);
}

TEST(http_1_0_is_told_that_the_connection_stays) /* RFC 9112 9.3 */
{
    struct wsk__reply r = answer(200, 0);

    r.http10 = true;
    EXPECT_HEAD(r, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n"
                   "Connection: keep-alive\r\n");
    r.keep_alive = false;
    EXPECT_HEAD(r, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n"
                   "Connection: close\r\n");
}

TEST(a_length_from_the_application_counts) /* RFC 9112 6.2 */
{
    wsk_header length = field("content-length", "007");
    struct wsk__reply r = answer(200, UNKNOWN);

    r.headers = &length;
    r.n = 1;
    EXPECT_HEAD(r, "HTTP/1.1 200 OK\r\ncontent-length: 007\r\n");
    EXPECT(r.framing == WSK__FRAMING_LENGTH && r.length == 7);
    r.length = 7;
    EXPECT_HEAD(r, "HTTP/1.1 200 OK\r\ncontent-length: 007\r\n");
}

TEST(a_length_that_contradicts_is_refused) /* RFC 9112 6.2 */
{
    struct wsk__reply r = answer(200, 5);
    wsk_header twice[] = {field("Content-Length", "5"),
                          field("Content-Length", "5")};
    struct wsk__buf out;

    EXPECT(head_with(&r, &out, "Content-Length", "6") == WSK_E_ARG);
    r.headers = twice;
    r.n = 2;
    EXPECT(wsk__reply_head(&out, &r) == WSK_E_ARG);
    EXPECT(!accepts(200, "Content-Length", ""));
    EXPECT(!accepts(200, "Content-Length", "+5"));
    EXPECT(!accepts(200, "Content-Length", "5, 5"));
    EXPECT(!accepts(204, "Content-Length", "five"));
    EXPECT(!accepts(200, "Content-Length", "9223372036854775808"));
    EXPECT(accepts(200, "Content-Length", "9223372036854775807"));
}

TEST(no_length_on_204_and_101) /* RFC 9110 8.6 */
{
    wsk_header length = field("Content-Length", "0");
    struct wsk__reply r = answer(204, 5);

    EXPECT_HEAD(r, "HTTP/1.1 204 No Content\r\n");
    EXPECT(r.framing == WSK__FRAMING_NONE);
    r.headers = &length;
    r.n = 1;
    EXPECT_HEAD(r, "HTTP/1.1 204 No Content\r\n");
}

TEST(a_205_is_empty) /* RFC 9110 15.3.6 */
{
    wsk_header length = field("Content-Length", "5");
    struct wsk__reply r = answer(205, 5);

    EXPECT_HEAD(r, "HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n");
    EXPECT(r.framing == WSK__FRAMING_NONE);
    r.headers = &length;
    r.n = 1;
    r.length = WSK_LENGTH_UNKNOWN;
    EXPECT_HEAD(r, "HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n");
    EXPECT(r.framing == WSK__FRAMING_NONE);
}

TEST(a_304_has_the_length_that_200_would_have) /* RFC 9110 8.6 */
{
    wsk_header length = field("Content-Length", "5");
    struct wsk__reply r = answer(304, 0);

    EXPECT_HEAD(r, "HTTP/1.1 304 Not Modified\r\n");
    EXPECT(r.framing == WSK__FRAMING_NONE);
    r.headers = &length;
    r.n = 1;
    EXPECT_HEAD(r, "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n");
    EXPECT(r.framing == WSK__FRAMING_NONE);
}

TEST(head_has_the_length_that_get_would_have) /* RFC 9110 9.3.2 */
{
    wsk_header length = field("Content-Length", "5");
    struct wsk__reply r = answer(200, 7);

    r.to_head = true;
    EXPECT_HEAD(r, "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n");
    EXPECT(r.framing == WSK__FRAMING_NONE);
    r.length = UNKNOWN;
    EXPECT_HEAD(r, "HTTP/1.1 200 OK\r\n");
    EXPECT(r.framing == WSK__FRAMING_NONE && r.keep_alive);
    r.length = 0; /* nothing was yielded, and the client sees no body */
    r.headers = &length;
    r.n = 1;
    EXPECT_HEAD(r, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n");
}

TEST(an_unknown_length_is_chunked_or_closes) /* RFC 9112 6.3 */
{
    struct wsk__reply r = answer(200, UNKNOWN);

    EXPECT_HEAD(r, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n");
    EXPECT(r.framing == WSK__FRAMING_CHUNKED && r.keep_alive);
    r.http10 = true;
    EXPECT_HEAD(r, "HTTP/1.1 200 OK\r\nConnection: close\r\n");
    EXPECT(r.framing == WSK__FRAMING_CLOSE && !r.keep_alive);
}

TEST(the_longest_length_fits)
{
    struct wsk__reply r = answer(200, UNKNOWN - 1);

    EXPECT_HEAD(r, "HTTP/1.1 200 OK\r\n"
                   "Content-Length: 18446744073709551614\r\n");
}

TEST(a_head_without_memory_leaves_nothing)
{
    struct wsk__reply r = answer(200, 0);
    struct wsk__buf out;

    wsk__buf_init(&out, 20);
    EXPECT(wsk__reply_head(&out, &r) == WSK_E_NOMEM);
    EXPECT(!wsk__reply_chunk(&out, (const uint8_t *)"x", 20));
    EXPECT(!wsk__reply_chunk(&out, (const uint8_t *)"x", SIZE_MAX));
    EXPECT(wsk__buf_len(&out) == 0);
    wsk__buf_free(&out);
}

TEST(every_status_has_its_words) /* RFC 9110 15 */
{
    EXPECT(strcmp(wsk_reason(200), "OK") == 0);
    EXPECT(strcmp(wsk_reason(413), "Content Too Large") == 0);
    EXPECT(strcmp(wsk_reason(422), "Unprocessable Content") == 0);
    EXPECT(strcmp(wsk_reason(505), "HTTP Version Not Supported") == 0);
    EXPECT(strcmp(wsk_reason(999), "Unknown") == 0);
    EXPECT(strcmp(wsk_reason(-1), "Unknown") == 0);
}
