/* http/conn: turns, answers, 100-continue, draining, and what a server needs
 * of an engine it embeds. What arrives is the matter of test_http_vectors.c. */
#include "harness.h"

#include "base/mem.h"
#include "http/conn.h"
#include "wsocket.h"

#define DATE "Thu, 01 Jan 1970 00:00:00 GMT"
#define OWN "Server: wsocket\r\nDate: " DATE "\r\n"
#define GET "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

static wsk_http *engine(void)
{
    wsk_http *http = wsk_http_new(NULL);

    wsk_http_set_date(http, DATE);
    return http;
}

/* Returns how many octets were taken. */
static size_t feed(wsk_http *http, const char *text, size_t len)
{
    uint8_t *piece = exact(text, len);
    size_t used;

    EXPECT(wsk_http_feed(http, piece, len, &used) == WSK_OK);
    /* Octets that stay with the caller are no longer read. */
    memset(piece + used, 0xa5, len - used);
    free(piece);
    return used;
}

#define FEED(http, lit)                                                        \
    EXPECT(feed(http, lit, sizeof(lit) - 1) == sizeof(lit) - 1)
#define EXPECT_EVENT(http, what) EXPECT(wsk_http_next(http).kind == (what))

static void expect_out(wsk_http *http, const char *want, int line)
{
    size_t len;
    const uint8_t *out = wsk_http_out_buf(http, &len);
    bool same = len == strlen(want) &&
                (len == 0 || memcmp(out, want, len) == 0);

    if (!same)
        printf("line %d: owed is\n%.*s", line, (int)len, (const char *)out);
    EXPECT(same);
    wsk_http_out_ack(http, len);
}

#define EXPECT_OUT(http, want) expect_out(http, want, __LINE__)

/* An engine with one open request. */
static wsk_http *engine_with(const char *request)
{
    wsk_http *http = engine();

    EXPECT(feed(http, request, strlen(request)) == strlen(request));
    EXPECT_EVENT(http, WSK_HTTP_HEAD);
    return http;
}

static void body(wsk_http *http, const char *text)
{
    EXPECT(wsk_http_send_body(http, (const uint8_t *)text, strlen(text)) ==
           WSK_OK);
}

static void respond(wsk_http *http, const char *text)
{
    EXPECT(wsk_http_send_head(http, 200, NULL, NULL, 0, strlen(text)) ==
           WSK_OK);
    body(http, text);
    EXPECT(wsk_http_send_end(http) == WSK_OK);
}

/* ------------------------------------------------------------- turns --- */

TEST(a_request_is_answered_and_the_next_one_follows) /* RFC 9112 9.3 */
{
    wsk_http *http = engine_with(GET);

    EXPECT_EVENT(http, WSK_HTTP_END);
    EXPECT_EVENT(http, WSK_HTTP_NONE);
    respond(http, "hello");
    EXPECT_OUT(http,
               "HTTP/1.1 200 OK\r\n" OWN "Content-Length: 5\r\n\r\nhello");
    EXPECT(!wsk_http_done(http));
    FEED(http, GET);
    EXPECT_EVENT(http, WSK_HTTP_HEAD);
    wsk_http_free(http);
}

TEST(octets_behind_a_request_stay_with_the_caller) /* RFC 9112 9.3.2 */
{
    wsk_http *http = engine();
    size_t used;

    EXPECT(feed(http, GET GET, 2 * strlen(GET)) == strlen(GET));
    EXPECT(feed(http, GET, strlen(GET)) == 0);
    EXPECT_EVENT(http, WSK_HTTP_HEAD);
    EXPECT(wsk_http_feed(http, (const uint8_t *)GET, 5, &used) == WSK_OK);
    EXPECT(used == 0);
    EXPECT_EVENT(http, WSK_HTTP_END);
    EXPECT(feed(http, GET, strlen(GET)) == 0);
    respond(http, "");
    FEED(http, GET);
    wsk_http_free(http);
}

TEST(a_head_and_its_body_may_be_told_after_one_call)
{
    static const char PUT[] =
        "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi";
    const uint8_t *octets = (const uint8_t *)PUT;
    size_t len = sizeof PUT - 1, used;
    wsk_http *http = engine();
    wsk_http_event ev;

    EXPECT(wsk_http_feed(http, octets, len, &used) == WSK_OK && used == len);
    EXPECT_EVENT(http, WSK_HTTP_HEAD);
    ev = wsk_http_next(http);
    EXPECT(ev.kind == WSK_HTTP_DATA && ev.len == 2);
    EXPECT(ev.data == octets + len - 2);
    EXPECT_EVENT(http, WSK_HTTP_END);
    wsk_http_free(http);
}

TEST(an_answer_without_a_request_is_refused)
{
    wsk_http *http = engine();

    EXPECT(wsk_http_send_head(http, 200, NULL, NULL, 0, 0) == WSK_E_STATE);
    EXPECT(wsk_http_send_body(http, (const uint8_t *)"x", 1) == WSK_E_STATE);
    EXPECT(wsk_http_send_end(http) == WSK_E_STATE);
    EXPECT(wsk_http_send_continue(http) == WSK_OK);
    EXPECT_OUT(http, "");
    wsk_http_free(http);
}

TEST(a_second_answer_is_refused)
{
    wsk_http *http = engine_with(GET);

    EXPECT(wsk_http_send_head(http, 200, NULL, NULL, 0, 0) == WSK_OK);
    EXPECT(wsk_http_send_head(http, 200, NULL, NULL, 0, 0) == WSK_E_STATE);
    EXPECT(wsk_http_send_end(http) == WSK_OK);
    EXPECT(wsk_http_send_end(http) == WSK_E_STATE);
    wsk_http_free(http);
}

TEST(an_illegal_answer_leaves_the_request_open)
{
    wsk_http *http = engine_with(GET);
    wsk_header bad = {{"X", 1}, {"a\r\nY: b", 7}};

    EXPECT(wsk_http_send_head(http, 200, NULL, &bad, 1, 0) == WSK_E_ARG);
    EXPECT_OUT(http, "");
    respond(http, "");
    EXPECT_OUT(http, "HTTP/1.1 200 OK\r\n" OWN "Content-Length: 0\r\n\r\n");
    wsk_http_free(http);
}

TEST(nothing_is_fed_to_an_engine_that_is_over)
{
    wsk_http *http = engine();
    size_t used;

    wsk_http_feed_eof(http);
    EXPECT(wsk_http_done(http));
    wsk_http_free(http);

    http = engine();
    FEED(http, "\n");
    EXPECT_EVENT(http, WSK_HTTP_FAILED);
    EXPECT(wsk_http_feed(http, (const uint8_t *)GET, 5, &used) == WSK_E_STATE);
    wsk_http_free(http);
}

/* ----------------------------------------------------------- the end --- */

TEST(a_client_that_wants_to_close_is_told_so_too) /* RFC 9112 9.6 */
{
    wsk_http *http =
        engine_with("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");

    respond(http, "x");
    EXPECT_OUT(http, "HTTP/1.1 200 OK\r\n" OWN
                     "Content-Length: 1\r\nConnection: close\r\n\r\nx");
    EXPECT(wsk_http_done(http));
    wsk_http_free(http);
}

TEST(the_application_may_close) /* RFC 9112 9.6 */
{
    wsk_http *http = engine_with(GET);
    wsk_header close = {{"connection", 10}, {"Close", 5}};

    EXPECT(wsk_http_send_head(http, 200, NULL, &close, 1, 0) == WSK_OK);
    EXPECT(!wsk_http_done(http));
    EXPECT(wsk_http_send_end(http) == WSK_OK);
    EXPECT_OUT(http, "HTTP/1.1 200 OK\r\n" OWN
                     "Content-Length: 0\r\nConnection: close\r\n\r\n");
    EXPECT(wsk_http_done(http));
    wsk_http_free(http);
}

TEST(keep_alive_of_http_1_0_is_confirmed) /* RFC 9112 9.3 */
{
    wsk_http *http =
        engine_with("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");

    respond(http, "x");
    EXPECT_OUT(http, "HTTP/1.1 200 OK\r\n" OWN
                     "Content-Length: 1\r\nConnection: keep-alive\r\n\r\nx");
    EXPECT(!wsk_http_done(http));
    wsk_http_free(http);
}

TEST(a_half_close_still_gets_its_answer) /* RFC 9112 9.6 */
{
    wsk_http *http = engine_with(GET);

    wsk_http_feed_eof(http);
    EXPECT_EVENT(http, WSK_HTTP_END);
    EXPECT_EVENT(http, WSK_HTTP_NONE);
    respond(http, "x");
    EXPECT_OUT(http, "HTTP/1.1 200 OK\r\n" OWN
                     "Content-Length: 1\r\nConnection: close\r\n\r\nx");
    EXPECT(wsk_http_done(http));
    wsk_http_free(http);
}

TEST(an_attempt_that_is_refused_ends_the_connection) /* RFC 6455 4.1 */
{
    wsk_http *http =
        engine_with("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n");

    respond(http, "");
    EXPECT_OUT(http, "HTTP/1.1 200 OK\r\n" OWN
                     "Content-Length: 0\r\nConnection: close\r\n\r\n");
    EXPECT(wsk_http_done(http));
    wsk_http_free(http);
}

TEST(after_101_the_octets_are_somebody_elses) /* RFC 9110 15.2.2 */
{
    wsk_http *http = engine_with("GET / HTTP/1.1\r\nHost: a\r\n"
                                 "Upgrade: websocket\r\n\r\n");
    wsk_header headers[] = {{{"Upgrade", 7}, {"websocket", 9}},
                            {{"Connection", 10}, {"Upgrade", 7}}};
    size_t used;

    EXPECT(wsk_http_send_head(http, 101, NULL, headers, 2, 0) == WSK_OK);
    EXPECT(wsk_http_send_end(http) == WSK_OK);
    EXPECT_OUT(http, "HTTP/1.1 101 Switching Protocols\r\n" OWN
                     "Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n");
    EXPECT(wsk_http_feed(http, (const uint8_t *)GET, 5, &used) == WSK_E_STATE);
    EXPECT(!wsk_http_done(http));
    wsk_http_free(http);
}

TEST(nothing_upgrades_on_http_1_0_or_before_the_body_has_come)
{
    wsk_http *http = engine_with("GET / HTTP/1.0\r\n\r\n");

    EXPECT(wsk_http_send_head(http, 101, NULL, NULL, 0, 0) == WSK_E_ARG);
    wsk_http_free(http);
    http = engine_with("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n"
                       "Content-Length: 1\r\n\r\n");
    EXPECT(wsk_http_send_head(http, 101, NULL, NULL, 0, 0) == WSK_E_STATE);
    wsk_http_free(http);
}

/* ----------------------------------------------------------- framing --- */

TEST(a_body_of_unknown_length_is_chunked) /* RFC 9112 7.1 */
{
    wsk_http *http = engine_with(GET);
    char long_text[301];

    memset(long_text, 'y', 300);
    long_text[300] = '\0';
    EXPECT(wsk_http_send_head(http, 200, NULL, NULL, 0, WSK_LENGTH_UNKNOWN) ==
           WSK_OK);
    EXPECT_OUT(http,
               "HTTP/1.1 200 OK\r\n" OWN "Transfer-Encoding: chunked\r\n\r\n");
    body(http, "");
    EXPECT_OUT(http, "");
    body(http, "hello");
    EXPECT_OUT(http, "5\r\nhello\r\n");
    body(http, long_text);
    wsk_http_out_ack(http, 5 + 300);
    EXPECT_OUT(http, "\r\n");
    EXPECT(wsk_http_send_end(http) == WSK_OK);
    EXPECT_OUT(http, "0\r\n\r\n");
    EXPECT(!wsk_http_done(http));
    wsk_http_free(http);
}

TEST(a_body_of_unknown_length_ends_http_1_0) /* RFC 9112 6.3 */
{
    wsk_http *http =
        engine_with("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");

    EXPECT(wsk_http_send_head(http, 200, NULL, NULL, 0, WSK_LENGTH_UNKNOWN) ==
           WSK_OK);
    body(http, "hello");
    EXPECT(wsk_http_send_end(http) == WSK_OK);
    EXPECT_OUT(http,
               "HTTP/1.1 200 OK\r\n" OWN "Connection: close\r\n\r\nhello");
    EXPECT(wsk_http_done(http));
    wsk_http_free(http);
}

TEST(head_and_bodiless_statuses_drop_the_body) /* RFC 9110 9.3.2, 15.3.5 */
{
    wsk_http *http = engine_with("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");

    EXPECT(wsk_http_send_head(http, 200, NULL, NULL, 0, 5) == WSK_OK);
    body(http, "hello");
    EXPECT(wsk_http_send_end(http) == WSK_OK);
    EXPECT_OUT(http, "HTTP/1.1 200 OK\r\n" OWN "Content-Length: 5\r\n\r\n");
    EXPECT(!wsk_http_done(http));
    wsk_http_free(http);
    http = engine_with(GET);
    EXPECT(wsk_http_send_head(http, 304, NULL, NULL, 0, WSK_LENGTH_UNKNOWN) ==
           WSK_OK);
    body(http, "hello");
    EXPECT(wsk_http_send_end(http) == WSK_OK);
    EXPECT_OUT(http, "HTTP/1.1 304 Not Modified\r\n" OWN "\r\n");
    wsk_http_free(http);
}

TEST(a_body_that_is_too_long_is_cut) /* RFC 9112 6.2 */
{
    wsk_http *http = engine_with(GET);

    EXPECT(wsk_http_send_head(http, 200, NULL, NULL, 0, 7) == WSK_OK);
    body(http, "hello");
    body(http, "hello");
    body(http, "hello");
    EXPECT(wsk_http_send_end(http) == WSK_E_ARG);
    EXPECT_OUT(http,
               "HTTP/1.1 200 OK\r\n" OWN "Content-Length: 7\r\n\r\nhellohe");
    EXPECT(!wsk_http_done(http));
    FEED(http, GET);
    respond(http, "");
    wsk_http_free(http);
}

TEST(a_body_that_is_too_short_closes) /* RFC 9112 8 */
{
    wsk_http *http = engine_with(GET);

    EXPECT(wsk_http_send_head(http, 200, NULL, NULL, 0, 7) == WSK_OK);
    body(http, "hello");
    EXPECT(wsk_http_send_end(http) == WSK_E_ARG);
    EXPECT(wsk_http_done(http));
    wsk_http_free(http);
}

TEST(a_caller_may_write_the_body_itself)
{
    wsk_http *http = engine_with(GET);

    EXPECT(wsk__http_admit_body(http, 5) == 0);
    EXPECT(wsk_http_send_head(http, 200, NULL, NULL, 0, 7) == WSK_OK);
    EXPECT(wsk__http_admit_body(http, 5) == 5);
    EXPECT(wsk__http_admit_body(http, 5) == 2);
    EXPECT(wsk_http_send_end(http) == WSK_E_ARG);
    FEED(http, GET);
    EXPECT(wsk_http_send_head(http, 200, NULL, NULL, 0, WSK_LENGTH_UNKNOWN) ==
           WSK_OK);
    EXPECT(wsk__http_admit_body(http, 5) == SIZE_MAX);
    EXPECT(wsk_http_send_end(http) == WSK_OK);
    FEED(http, "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
    EXPECT(wsk_http_send_head(http, 200, NULL, NULL, 0, 5) == WSK_OK);
    EXPECT(wsk__http_admit_body(http, 5) == 0);
    EXPECT(wsk_http_send_end(http) == WSK_OK);
    FEED(http, "GET / HTTP/1.0\r\n\r\n");
    EXPECT(wsk_http_send_head(http, 200, NULL, NULL, 0, WSK_LENGTH_UNKNOWN) ==
           WSK_OK);
    EXPECT(wsk__http_admit_body(http, 5) == 5);
    wsk_http_free(http);
}

/* ------------------------------------------------------ 100-continue --- */

#define EXPECTING                                                              \
    "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n"                       \
    "Expect: 100-continue\r\n\r\n"

TEST(a_100_leaves_once_and_when_it_is_asked_for) /* RFC 9110 10.1.1 */
{
    wsk_http *http = engine_with(EXPECTING);

    EXPECT(wsk_http_send_continue(http) == WSK_OK);
    EXPECT_OUT(http, "HTTP/1.1 100 Continue\r\n\r\n");
    EXPECT(wsk_http_send_continue(http) == WSK_OK);
    EXPECT_OUT(http, "");
    FEED(http, "hi");
    EXPECT_EVENT(http, WSK_HTTP_DATA);
    EXPECT_EVENT(http, WSK_HTTP_END);
    respond(http, "");
    EXPECT_OUT(http, "HTTP/1.1 200 OK\r\n" OWN "Content-Length: 0\r\n\r\n");
    EXPECT(!wsk_http_done(http));
    wsk_http_free(http);
}

TEST(no_100_when_the_body_is_coming_anyway) /* RFC 9110 10.1.1 */
{
    wsk_http *http = engine_with(EXPECTING "h");

    EXPECT(wsk_http_send_continue(http) == WSK_OK);
    EXPECT_OUT(http, "");
    wsk_http_free(http);
}

TEST(no_100_without_the_wish_or_after_the_answer_began) /* RFC 9110 10.1.1 */
{
    wsk_http *http =
        engine_with("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n");

    EXPECT(wsk_http_send_continue(http) == WSK_OK);
    EXPECT_OUT(http, "");
    wsk_http_free(http);
    http = engine_with("PUT / HTTP/1.0\r\nContent-Length: 2\r\n"
                       "Expect: 100-continue\r\n\r\n");
    EXPECT(wsk_http_send_continue(http) == WSK_OK);
    EXPECT_OUT(http, "");
    wsk_http_free(http);
    http = engine_with(EXPECTING);
    EXPECT(wsk_http_send_head(http, 200, NULL, NULL, 0, 0) == WSK_OK);
    wsk_http_out_ack(http, 1);
    wsk_http_free(http);
}

TEST(a_final_status_instead_of_100_closes) /* RFC 9110 10.1.1 */
{
    wsk_http *http = engine_with(EXPECTING);

    EXPECT(wsk_http_send_head(http, 403, NULL, NULL, 0, 0) == WSK_OK);
    EXPECT(wsk_http_send_continue(http) == WSK_OK);
    EXPECT(wsk_http_send_end(http) == WSK_OK);
    EXPECT_OUT(http, "HTTP/1.1 403 Forbidden\r\n" OWN
                     "Content-Length: 0\r\nConnection: close\r\n\r\n");
    EXPECT(wsk_http_done(http));
    wsk_http_free(http);
}

TEST(a_final_status_while_the_body_comes_does_not) /* RFC 9110 10.1.1 */
{
    wsk_http *http = engine_with(EXPECTING "h");

    respond(http, "");
    EXPECT_OUT(http, "HTTP/1.1 200 OK\r\n" OWN "Content-Length: 0\r\n\r\n");
    FEED(http, "i" GET);
    EXPECT_EVENT(http, WSK_HTTP_HEAD);
    wsk_http_free(http);
}

/* ----------------------------------------------------------- draining --- */

TEST(hints_go_ahead_of_the_answer) /* RFC 8297 2, RFC 9110 15.2 */
{
    static const wsk_header LINK = {{"Link", 4}, {"</a.css>", 8}};
    static const wsk_header BAD[] = {{{"Content-Length", 14}, {"1", 1}},
                                     {{"Connection", 10}, {"close", 5}},
                                     {{"Link", 4}, {"a\nb", 3}}};
    wsk_http *http = engine_with(GET);

    for (int i = 0; i < 3; i++)
        EXPECT(wsk_http_send_hints(http, &BAD[i], 1) == WSK_E_ARG);
    for (int i = 0; i < 2; i++) {
        EXPECT(wsk_http_send_hints(http, &LINK, 1) == WSK_OK);
        EXPECT_OUT(http, "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n");
    }
    wsk_http_send_head(http, 204, NULL, NULL, 0, 0);
    EXPECT_OUT(http, "HTTP/1.1 204 No Content\r\n" OWN "\r\n");
    EXPECT(wsk_http_send_hints(http, &LINK, 1) == WSK_E_STATE);
    wsk_http_free(http);

    http = engine_with("GET / HTTP/1.0\r\n\r\n");
    EXPECT(wsk_http_send_hints(http, &LINK, 1) == WSK_OK);
    EXPECT_OUT(http, "");
    wsk_http_free(http);
}

TEST(an_unread_body_is_thrown_away_unseen) /* RFC 9112 9.3 */
{
    wsk_http *http = engine_with("PUT / HTTP/1.1\r\nHost: a\r\n"
                                 "Transfer-Encoding: chunked\r\n\r\n");

    respond(http, "");
    FEED(http, "3\r\nabc\r\n");
    EXPECT_EVENT(http, WSK_HTTP_NONE);
    FEED(http, "0\r\n\r\n" GET);
    EXPECT_EVENT(http, WSK_HTTP_HEAD);
    EXPECT_EVENT(http, WSK_HTTP_END);
    wsk_http_free(http);
}

TEST(an_unread_body_that_is_broken_ends_the_connection_silently)
{
    wsk_http *http = engine_with("PUT / HTTP/1.1\r\nHost: a\r\n"
                                 "Transfer-Encoding: chunked\r\n\r\n");

    respond(http, "");
    wsk_http_out_ack(http, 1);
    feed(http, "x\r\n", 3);
    EXPECT_EVENT(http, WSK_HTTP_NONE);
    EXPECT(wsk_http_done(http));
    wsk_http_free(http);
}

TEST(a_long_unread_body_is_not_waited_for)
{
    wsk_http *http = engine_with("PUT / HTTP/1.1\r\nHost: a\r\n"
                                 "Content-Length: 262145\r\n\r\n");

    respond(http, "");
    EXPECT(wsk_http_done(http));
    wsk_http_free(http);
}

TEST(a_shorter_one_is_to_its_last_octet)
{
    static const char zeros[262144];
    wsk_http *http = engine_with("PUT / HTTP/1.1\r\nHost: a\r\n"
                                 "Content-Length: 262144\r\n\r\n");

    respond(http, "");
    EXPECT(feed(http, zeros, sizeof zeros) == sizeof zeros);
    EXPECT(!wsk_http_done(http));
    FEED(http, GET);
    EXPECT_EVENT(http, WSK_HTTP_HEAD);
    wsk_http_free(http);
}

TEST(an_unread_body_that_is_cut_short_ends_the_connection_silently)
{
    wsk_http *http = engine_with("PUT / HTTP/1.1\r\nHost: a\r\n"
                                 "Content-Length: 5\r\n\r\n");

    respond(http, "");
    wsk_http_feed_eof(http);
    EXPECT(wsk_http_done(http));
    EXPECT_EVENT(http, WSK_HTTP_NONE);
    wsk_http_free(http);
}

TEST(unread_chunks_are_not_waited_for_forever)
{
    wsk_http *http = engine_with("PUT / HTTP/1.1\r\nHost: a\r\n"
                                 "Transfer-Encoding: chunked\r\n\r\n");
    static uint8_t chunk[6 + 0x1000 + 2] = "1000\r\n";
    size_t taken = 0;

    memcpy(chunk + 6 + 0x1000, "\r\n", 2);
    respond(http, "");
    while (!wsk_http_done(http) && taken < 1024 * 1024) {
        EXPECT(feed(http, (const char *)chunk, sizeof chunk) == sizeof chunk ||
               wsk_http_done(http));
        taken += sizeof chunk;
    }
    EXPECT(taken > 250 * 1024 && taken < 270 * 1024);
    wsk_http_free(http);
    http = engine_with("PUT / HTTP/1.1\r\nHost: a\r\n"
                       "Transfer-Encoding: chunked\r\n\r\n");
    respond(http, "");
    feed(http, "100000\r\n", 8);
    EXPECT(wsk_http_done(http));
    wsk_http_free(http);
}

/* ----------------------------------------------------------- failures --- */

#define REFUSAL(status, length)                                                \
    "HTTP/1.1 " status "\r\n" OWN "Content-Type: text/plain\r\n"               \
    "Content-Length: " length "\r\nConnection: close\r\n\r\n"

TEST(a_bad_request_is_answered_by_the_engine) /* RFC 9112 2.2 */
{
    wsk_http *http = engine();
    wsk_http_event ev;

    FEED(http, "GET / HTTP/1.1\r\n\r\n");
    EXPECT_OUT(http, REFUSAL("400 Bad Request", "16") "400 Bad Request\n");
    ev = wsk_http_next(http);
    EXPECT(ev.kind == WSK_HTTP_FAILED && ev.status == 400);
    EXPECT_EVENT(http, WSK_HTTP_NONE);
    EXPECT(wsk_http_done(http));
    wsk_http_free(http);
}

TEST(a_bad_head_request_is_answered_without_a_body) /* RFC 9110 9.3.2 */
{
    wsk_http *http = engine();

    FEED(http, "\r\nHEAD / HTTP/1.1\r\n\r\n");
    EXPECT_OUT(http, REFUSAL("400 Bad Request", "16"));
    wsk_http_free(http);
    /* Found by the fuzzer: not a HEAD, however it is cut. */
    http = engine();
    FEED(http, "\r\n\rHEAD / HTTP/1.1\r\n\r\n");
    EXPECT_OUT(http, REFUSAL("400 Bad Request", "16") "400 Bad Request\n");
    wsk_http_free(http);
}

TEST(a_body_that_fails_is_answered_if_nothing_was) /* RFC 9112 8 */
{
    wsk_http *http =
        engine_with("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhi");

    EXPECT_EVENT(http, WSK_HTTP_DATA);
    wsk_http_feed_eof(http);
    EXPECT_EVENT(http, WSK_HTTP_FAILED);
    EXPECT_OUT(http, REFUSAL("400 Bad Request", "16") "400 Bad Request\n");
    EXPECT(wsk_http_send_head(http, 200, NULL, NULL, 0, 0) == WSK_E_STATE);
    EXPECT(wsk_http_done(http));
    wsk_http_free(http);
}

TEST(an_answer_that_began_survives_a_body_that_fails)
{
    wsk_http *http =
        engine_with("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhi");

    EXPECT_EVENT(http, WSK_HTTP_DATA);
    EXPECT(wsk_http_send_head(http, 200, NULL, NULL, 0, 2) == WSK_OK);
    wsk_http_feed_eof(http);
    EXPECT_EVENT(http, WSK_HTTP_FAILED);
    EXPECT(!wsk_http_done(http));
    body(http, "ok");
    EXPECT(wsk_http_send_end(http) == WSK_OK);
    EXPECT_OUT(http, "HTTP/1.1 200 OK\r\n" OWN "Content-Length: 2\r\n\r\nok");
    EXPECT(wsk_http_done(http));
    wsk_http_free(http);
}

TEST(a_server_refuses_in_its_own_name) /* RFC 9110 15.5.9 */
{
    wsk_http *http = engine();

    EXPECT(!wsk__http_head_begun(http));
    FEED(http, "\r\n");
    EXPECT(!wsk__http_head_begun(http));
    FEED(http, "HEAD / HT");
    EXPECT(wsk__http_head_begun(http));
    wsk__http_fail(http, 408);
    EXPECT(!wsk__http_head_begun(http));
    wsk__http_fail(http, 503); /* the first one wins */
    EXPECT_OUT(http, REFUSAL("408 Request Timeout", "20"));
    EXPECT(wsk__http_head(http) == NULL);
    EXPECT(wsk_http_done(http));
    wsk_http_free(http);
}

TEST(without_memory_for_a_refusal_the_close_has_to_do)
{
    wsk_http *http = engine();
    struct wsk__buf *out = &http->out;

    out->cap = 10;
    FEED(http, "GET / HTTP/1.1\r\n\r\n");
    EXPECT_EVENT(http, WSK_HTTP_FAILED);
    EXPECT_OUT(http, "");
    EXPECT(wsk_http_done(http));
    wsk_http_free(http);
}

TEST(without_memory_an_answer_can_be_tried_again)
{
    wsk_http *http = engine_with(GET);
    struct wsk__buf *out = &http->out;
    size_t cap = out->cap;

    out->cap = 10;
    EXPECT(wsk_http_send_head(http, 200, NULL, NULL, 0, 600) == WSK_E_NOMEM);
    out->cap = cap;
    EXPECT(wsk_http_send_head(http, 200, NULL, NULL, 0, 600) == WSK_OK);
    out->cap = 300;
    EXPECT(wsk_http_send_body(http, (const uint8_t[600]){0}, 600) ==
           WSK_E_NOMEM);
    out->cap = cap;
    EXPECT(wsk_http_send_body(http, (const uint8_t[600]){0}, 600) == WSK_OK);
    EXPECT(wsk_http_send_end(http) == WSK_OK);
    wsk_http_free(http);
}

/* ------------------------------------------------------- the embedder --- */

TEST(a_kept_head_outlives_the_octets_and_the_store)
{
    wsk_limits limits;
    struct wsk__head_store *store;
    struct wsk_http http;
    uint8_t *octets = exact(GET, strlen(GET));
    const wsk_head *head;
    size_t used;

    wsk_limits_init(&limits);
    store = wsk__head_store_new(&limits);
    wsk__http_init(&http, &limits);
    EXPECT(wsk__http_keep_head(&http) == WSK_E_STATE);
    wsk__http_lend(&http, store);
    EXPECT(wsk_http_feed(&http, octets, strlen(GET), &used) == WSK_OK);
    head = wsk_http_next(&http).head;
    EXPECT(head == &store->head && (const uint8_t *)head->method.p == octets);
    EXPECT(wsk__http_keep_head(&http) == WSK_OK);
    free(octets);
    wsk__free(store);
    head = wsk__http_head(&http);
    EXPECT(head->n_headers == 1);
    EXPECT_OCTETS(head->headers[0].value.p, head->headers[0].value.len, "a");
    EXPECT_OCTETS(head->path.p, head->path.len, "/");
    EXPECT(wsk__http_keep_head(&http) == WSK_OK);
    EXPECT(wsk__http_head(&http) == head);

    /* And the answer; until the handler is done with it. */
    respond(&http, "");
    EXPECT(wsk__http_head(&http) == head);
    EXPECT(feed(&http, GET, strlen(GET)) == 0);
    wsk__http_release(&http);
    EXPECT(wsk__http_head(&http) == NULL);
    wsk__http_clear(&http);
}

TEST(a_loan_does_not_disturb_an_open_request)
{
    wsk_limits limits;
    struct wsk__head_store *stores[2];
    struct wsk_http http;
    const wsk_head *head;

    wsk_limits_init(&limits);
    stores[0] = wsk__head_store_new(&limits);
    stores[1] = wsk__head_store_new(&limits);
    wsk__http_init(&http, &limits);
    wsk__http_lend(&http, stores[0]);
    FEED(&http, "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n");
    head = wsk_http_next(&http).head;
    wsk__http_lend(&http, stores[1]);
    EXPECT(wsk__http_head(&http) == head);
    respond(&http, "");
    wsk__http_lend(&http, stores[1]);
    EXPECT(wsk__http_head(&http) == head);
    FEED(&http, "hi");
    EXPECT(feed(&http, GET, strlen(GET)) == 0);
    wsk__http_release(&http);
    wsk__http_lend(&http, stores[1]);
    FEED(&http, GET);
    EXPECT(wsk_http_next(&http).head == &stores[1]->head);
    wsk__http_clear(&http);
    wsk__free(stores[0]);
    wsk__free(stores[1]);
}

TEST(the_last_request_says_so)
{
    wsk_http *http = engine_with(GET);

    wsk__http_last(http);
    respond(http, "");
    EXPECT_OUT(http, "HTTP/1.1 200 OK\r\n" OWN
                     "Content-Length: 0\r\nConnection: close\r\n\r\n");
    EXPECT(wsk_http_done(http));
    wsk_http_free(http);
}

TEST(a_cut_answer_has_no_last_chunk) /* RFC 9112 8 */
{
    wsk_http *http = engine_with(GET);

    EXPECT(wsk_http_send_head(http, 200, NULL, NULL, 0, WSK_LENGTH_UNKNOWN) ==
           WSK_OK);
    body(http, "hi");
    wsk__http_cut(http);
    EXPECT(wsk_http_done(http));
    EXPECT_OUT(http, "HTTP/1.1 200 OK\r\n" OWN
                     "Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n");
    EXPECT(wsk_http_send_end(http) == WSK_E_STATE);
    wsk_http_free(http);
}

TEST(an_upgraded_connection_keeps_its_head)
{
    wsk_http *http =
        engine_with("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n");

    EXPECT(wsk_http_send_head(http, 101, NULL, NULL, 0, 0) == WSK_OK);
    wsk__http_upgraded(http);
    wsk__http_release(http);
    EXPECT(wsk__http_head(http) != NULL && wsk__http_head(http)->websocket);
    EXPECT(!wsk_http_done(http));
    wsk_http_free(http);
}

TEST(an_idle_connection_is_small_and_owns_nothing)
{
    wsk_limits limits;
    struct wsk_http http;

    wsk_limits_init(&limits);
    wsk__http_init(&http, &limits);
    EXPECT(sizeof http <= 144);
    EXPECT(http.out.block == NULL);
    EXPECT(http.partial.block == NULL);
}

TEST(date_and_server_can_be_switched_off)
{
    wsk_limits limits;
    wsk_http *http;

    wsk_limits_init(&limits);
    limits.date_header = false;
    limits.server_header = false;
    http = wsk_http_new(&limits);
    wsk_http_set_date(http, DATE);
    FEED(http, GET);
    respond(http, "");
    EXPECT_OUT(http, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    wsk_http_free(http);
    wsk_http_free(NULL);
}
