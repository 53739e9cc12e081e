/* Beyond the vectors: floods, memory, and the application's side. */
#include "harness.h"

#include "base/mem.h"
#include "ws/conn.h"
#include "ws/frame.h"

static const uint8_t KEY[4] = {0x37, 0xfa, 0x21, 0x3d};

/* Feed one masked frame whose events the test reads itself. Returns what
 * wsk_ws_feed() did with the last of it. */
static wsk_status feed_frame(wsk_ws *ws, wsk_opcode opcode, bool fin,
                             const void *data, size_t len)
{
    uint8_t *frame = malloc(len + WSK__FRAME_HEAD_MAX);
    size_t n = wsk__frame_write(frame, opcode, fin, len), used;
    uint8_t *piece;
    wsk_status st;

    frame[1] |= 0x80;
    memcpy(frame + n, KEY, 4);
    for (size_t i = 0; i < len; i++)
        frame[n + 4 + i] = ((const uint8_t *)data)[i] ^ KEY[i % 4];
    piece = exact(frame, n + 4 + len);
    st = wsk_ws_feed(ws, piece, n + 4 + len, &used);
    EXPECT(st != WSK_OK || used == n + 4 + len || wsk_ws_done(ws));
    free(piece);
    free(frame);
    return st;
}

#define FEED_FRAME(ws, opcode, lit)                                            \
    feed_frame(ws, opcode, true, lit, sizeof(lit) - 1)

#define EXPECT_EVENT(ws, want_kind, lit)                                       \
    do {                                                                       \
        wsk_ws_event got = wsk_ws_next(ws);                                    \
        EXPECT(got.kind == (want_kind));                                       \
        EXPECT_OCTETS(got.data, got.len, lit);                                 \
    } while (0)

#define EXPECT_CLOSED(ws, want_code, want_clean)                               \
    do {                                                                       \
        wsk_ws_event got = wsk_ws_next(ws);                                    \
        EXPECT(got.kind == WSK_WS_CLOSED);                                     \
        EXPECT(got.code == (want_code) && got.clean == (want_clean));          \
        EXPECT(wsk_ws_next(ws).kind == WSK_WS_NONE);                           \
    } while (0)

static const uint8_t *octets(const char *text)
{
    return (const uint8_t *)text;
}

#define EXPECT_OUT(ws, lit)                                                    \
    do {                                                                       \
        size_t owed_len;                                                       \
        const uint8_t *owed = wsk_ws_out_buf(ws, &owed_len);                   \
        EXPECT((owed == NULL) == (owed_len == 0));                             \
        EXPECT_OCTETS(owed ? owed : octets(""), owed_len, lit);                \
    } while (0)

static wsk_ws *new_with_limit(uint64_t ws_max_size)
{
    wsk_limits limits;

    wsk_limits_init(&limits);
    limits.ws_max_size = ws_max_size;
    return wsk_ws_new_server(&limits);
}

/* ------------------------------------------------------------- memory --- */

static long allocations;

static int count(void)
{
    allocations++;
    return 1;
}

static int refuse(void)
{
    return 0;
}

TEST(an_announced_size_reserves_nothing)
{
    wsk_ws *ws = wsk_ws_new_server(NULL);
    size_t used;

    allocations = 0;
    wsk__mem_set_gate(count);
    EXPECT(wsk_ws_feed(ws, octets("\x82\xff\0\0\0\0\0\x0f\xff\xff\1\2\3\4"), 14,
                       &used) == WSK_OK);
    EXPECT(used == 14 && allocations == 0);
    wsk__mem_set_gate(NULL);
    wsk_ws_free(ws);
}

TEST(a_message_in_small_pieces_grows_by_doubling)
{
    wsk_ws *ws = new_with_limit(1000000); /* no power of two */
    size_t used;
    wsk_ws_event ev;

    allocations = 0;
    wsk__mem_set_gate(count);
    wsk_ws_feed(ws, octets("\x82\xff\0\0\0\0\0\x0f\x42\x40\0\0\0\0"), 14,
                &used);
    for (int i = 0; i < 1000000; i++)
        wsk_ws_feed(ws, octets("x"), 1, &used);
    EXPECT(allocations < 20);
    wsk__mem_set_gate(NULL);
    ev = wsk_ws_next(ws);
    EXPECT(ev.kind == WSK_WS_MESSAGE && ev.len == 1000000);
    wsk_ws_free(ws);
}

/* An engine that has given its memory back needs more for the next frame. */
TEST(an_idle_engine_keeps_no_memory)
{
    wsk_ws *ws = wsk_ws_new_server(NULL);

    wsk__mem_set_gate(count);
    for (int i = 0; i < 3; i++) {
        allocations = 0;
        FEED_FRAME(ws, WSK_TEXT, "hello");
        EXPECT_EVENT(ws, WSK_WS_MESSAGE, "hello");
        EXPECT(wsk_ws_next(ws).kind == WSK_WS_NONE);
        EXPECT(allocations == 2);
        FEED_FRAME(ws, WSK_PONG, "p");
        EXPECT_EVENT(ws, WSK_WS_PONG, "p");
        EXPECT(wsk_ws_next(ws).kind == WSK_WS_NONE);
        EXPECT(allocations == 3);
    }
    wsk__mem_set_gate(NULL);
    wsk_ws_free(ws);
}

TEST(without_memory_nothing_is_taken_and_nothing_lost)
{
    wsk_ws *ws = wsk_ws_new_server(NULL);
    size_t used;

    wsk__mem_set_gate(refuse);
    EXPECT(wsk_ws_feed(ws, octets("\x81\x82\0\0\0\0hi"), 8, &used) ==
           WSK_E_NOMEM);
    EXPECT(used == 6); /* the header */
    EXPECT(wsk_ws_feed(ws, octets("hi"), 2, &used) == WSK_E_NOMEM);
    EXPECT(used == 0);
    wsk__mem_set_gate(NULL);
    EXPECT(wsk_ws_feed(ws, octets("hi"), 2, &used) == WSK_OK);
    EXPECT(used == 2);
    EXPECT_EVENT(ws, WSK_WS_MESSAGE, "hi");
    wsk_ws_free(ws);
}

TEST(what_could_not_be_queued_left_nothing_behind)
{
    wsk_ws *ws = wsk_ws_new_server(NULL);

    wsk__mem_set_gate(refuse);
    EXPECT(wsk_ws_send_message(ws, WSK_TEXT, octets("a"), 1) == WSK_E_NOMEM);
    EXPECT(wsk_ws_send_frame(ws, WSK_TEXT, false, octets("a"), 1) ==
           WSK_E_NOMEM);
    EXPECT(wsk_ws_send_close(ws, 1000, NULL, 0) == WSK_E_NOMEM);
    wsk__mem_set_gate(NULL);
    EXPECT_OUT(ws, "");
    EXPECT(wsk_ws_can_send(ws));
    EXPECT(wsk_ws_send_message(ws, WSK_TEXT, octets("a"), 1) == WSK_OK);
    EXPECT_OUT(ws, "\x81\x01"
                   "a");
    wsk_ws_free(ws);
}

TEST(a_length_no_block_can_have_is_out_of_memory)
{
    wsk_ws *ws = wsk_ws_new_server(NULL);

    EXPECT(wsk_ws_send_message(ws, WSK_BINARY, octets(""), SIZE_MAX) ==
           WSK_E_NOMEM);
    EXPECT(wsk_ws_send_message(ws, WSK_BINARY, octets(""), SIZE_MAX / 4) ==
           WSK_E_NOMEM);
    EXPECT_OUT(ws, "");
    wsk_ws_free(ws);
}

TEST(an_engine_is_not_born_without_memory)
{
    wsk__mem_set_gate(refuse);
    EXPECT(wsk_ws_new_server(NULL) == NULL);
    wsk__mem_set_gate(NULL);
    wsk_ws_free(NULL);
}

/* ------------------------------------------------------------- events --- */

TEST(feed_takes_nothing_while_an_event_waits)
{
    wsk_ws *ws = wsk_ws_new_server(NULL);
    const uint8_t *in = octets("\x81\x81\0\0\0\0"
                               "a"
                               "\x81\x81\0\0\0\0"
                               "b");
    size_t used;

    EXPECT(wsk_ws_feed(ws, in, 14, &used) == WSK_OK && used == 7);
    EXPECT(wsk_ws_feed(ws, in + 7, 7, &used) == WSK_OK && used == 0);
    EXPECT_EVENT(ws, WSK_WS_MESSAGE, "a");
    EXPECT(wsk_ws_feed(ws, in + 7, 7, &used) == WSK_OK && used == 7);
    EXPECT_EVENT(ws, WSK_WS_MESSAGE, "b");
    EXPECT(wsk_ws_next(ws).kind == WSK_WS_NONE);
    wsk_ws_free(ws);
}

TEST(after_the_end_feed_refuses_for_good)
{
    wsk_ws *ws = wsk_ws_new_server(NULL);
    size_t used;

    FEED_FRAME(ws, WSK_CLOSE, "\x03\xe8");
    EXPECT(wsk_ws_feed(ws, octets("x"), 1, &used) == WSK_OK && used == 0);
    EXPECT_CLOSED(ws, 1000, true);
    EXPECT(wsk_ws_feed(ws, octets("x"), 1, &used) == WSK_E_STATE && used == 0);
    EXPECT(wsk_ws_feed(ws, NULL, 0, &used) == WSK_E_STATE && used == 0);
    wsk_ws_free(ws);
}

TEST(a_message_that_waits_comes_before_the_end)
{
    wsk_ws *ws = wsk_ws_new_server(NULL);

    FEED_FRAME(ws, WSK_TEXT, "last words");
    wsk_ws_feed_eof(ws);
    wsk__ws_fail(ws, 1011, "too late");
    EXPECT_EVENT(ws, WSK_WS_MESSAGE, "last words");
    EXPECT_CLOSED(ws, 1006, false);
    EXPECT_OUT(ws, "");
    wsk_ws_free(ws);
}

TEST(a_ping_that_waits_comes_before_the_end)
{
    wsk_ws *ws = wsk_ws_new_server(NULL);

    FEED_FRAME(ws, WSK_PING, "still here");
    wsk_ws_feed_eof(ws);
    EXPECT_EVENT(ws, WSK_WS_PING, "still here");
    EXPECT_CLOSED(ws, 1006, false);
    wsk_ws_free(ws);
}

TEST(a_message_that_waits_survives_our_close)
{
    wsk_ws *ws = wsk_ws_new_server(NULL);

    FEED_FRAME(ws, WSK_TEXT, "hello");
    EXPECT(wsk_ws_send_close(ws, 1000, NULL, 0) == WSK_OK);
    EXPECT_EVENT(ws, WSK_WS_MESSAGE, "hello");
    wsk_ws_free(ws);
}

TEST(a_taken_message_outlives_the_engine)
{
    wsk_ws *ws = wsk_ws_new_server(NULL);
    void *first = NULL, *second = NULL;

    FEED_FRAME(ws, WSK_TEXT, "first");
    EXPECT_EVENT(ws, WSK_WS_MESSAGE, "first");
    EXPECT(wsk_ws_take_message(ws, &first) == WSK_OK);
    FEED_FRAME(ws, WSK_BINARY, "second");
    EXPECT_EVENT(ws, WSK_WS_MESSAGE, "second");
    EXPECT(wsk_ws_take_message(ws, &second) == WSK_OK);
    wsk_ws_free(ws);
    EXPECT_OCTETS(first, 5, "first");
    EXPECT_OCTETS(second, 6, "second");
    wsk_free(first);
    wsk_free(second);
}

TEST(only_a_message_just_returned_can_be_taken_and_once)
{
    wsk_ws *ws = wsk_ws_new_server(NULL);
    void *block = NULL;

    EXPECT(wsk_ws_take_message(ws, &block) == WSK_E_STATE);
    FEED_FRAME(ws, WSK_PING, "ping");
    EXPECT_EVENT(ws, WSK_WS_PING, "ping");
    EXPECT(wsk_ws_take_message(ws, &block) == WSK_E_STATE);
    FEED_FRAME(ws, WSK_TEXT, "text");
    EXPECT(wsk_ws_take_message(ws, &block) == WSK_E_STATE);
    EXPECT_EVENT(ws, WSK_WS_MESSAGE, "text");
    EXPECT(wsk_ws_take_message(ws, &block) == WSK_OK);
    EXPECT(wsk_ws_take_message(ws, &block) == WSK_E_STATE);
    wsk_free(block);
    FEED_FRAME(ws, WSK_TEXT, "text");
    EXPECT_EVENT(ws, WSK_WS_MESSAGE, "text");
    EXPECT(wsk_ws_next(ws).kind == WSK_WS_NONE);
    EXPECT(wsk_ws_take_message(ws, &block) == WSK_E_STATE);
    wsk_ws_free(ws);
}

TEST(an_empty_message_has_no_block)
{
    wsk_ws *ws = wsk_ws_new_server(NULL);
    void *block = ws;
    wsk_ws_event ev;

    FEED_FRAME(ws, WSK_TEXT, "");
    ev = wsk_ws_next(ws);
    EXPECT(ev.kind == WSK_WS_MESSAGE && ev.len == 0 && ev.data != NULL);
    EXPECT(wsk_ws_take_message(ws, &block) == WSK_OK);
    EXPECT(block == NULL);
    wsk_ws_free(ws);
}

TEST(octets_of_an_event_last_until_the_next_call)
{
    wsk_ws *ws = wsk_ws_new_server(NULL);
    wsk_ws_event ev;
    size_t len;

    FEED_FRAME(ws, WSK_PING, "ping");
    ev = wsk_ws_next(ws);
    wsk_ws_send_message(ws, WSK_TEXT, octets("more"), 4);
    wsk_ws_out_buf(ws, &len);
    wsk_ws_out_ack(ws, len);
    EXPECT_OCTETS(ev.data, ev.len, "ping");
    wsk_ws_free(ws);
}

/* ------------------------------------------------- fragments and sizes --- */

TEST(a_message_of_65536_fragments_passes)
{
    wsk_ws *ws = wsk_ws_new_server(NULL); /* a limit of 1 MiB */
    wsk_ws_event ev;

    for (int i = 0; i < 65536; i++)
        feed_frame(ws, i == 0 ? WSK_TEXT : WSK_CONTINUATION, i == 65535, "x",
                   1);
    ev = wsk_ws_next(ws);
    EXPECT(ev.kind == WSK_WS_MESSAGE && ev.len == 65536);
    wsk_ws_free(ws);
}

TEST(small_limits_allow_many_fragments_too)
{
    wsk_ws *ws = new_with_limit(4);

    for (int i = 0; i < 8192; i++)
        feed_frame(ws, i == 0 ? WSK_TEXT : WSK_CONTINUATION, i == 8191, "abcd",
                   i < 4);
    EXPECT_EVENT(ws, WSK_WS_MESSAGE, "aaaa");
    wsk_ws_free(ws);
}

TEST(endless_empty_fragments_are_too_big) /* RFC 6455 10.4 */
{
    wsk_ws *ws = wsk_ws_new_server(NULL);
    int fragments = 0;

    while (!wsk_ws_done(ws) && fragments < 1000000)
        feed_frame(ws, fragments++ == 0 ? WSK_TEXT : WSK_CONTINUATION, false,
                   "", 0);
    /* 1 MiB at 8 octets each, and 64 KiB that are free */
    EXPECT(fragments == (1048576 + 65536) / 8 + 1);
    EXPECT_CLOSED(ws, 1006, false);
    EXPECT_OUT(ws, "\x88\x11\x03\xf1"
                   "message too big");
    wsk_ws_free(ws);
}

TEST(fragments_are_counted_anew_for_each_message)
{
    wsk_ws *ws = new_with_limit(0);

    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 8192; i++)
            feed_frame(ws, i == 0 ? WSK_TEXT : WSK_CONTINUATION, i == 8191, "",
                       0);
        EXPECT_EVENT(ws, WSK_WS_MESSAGE, "");
    }
    wsk_ws_free(ws);
}

TEST(no_limit_is_too_large)
{
    wsk_ws *ws = new_with_limit(UINT64_MAX);
    size_t used;

    FEED_FRAME(ws, WSK_TEXT, "hello");
    EXPECT_EVENT(ws, WSK_WS_MESSAGE, "hello");
    wsk_ws_feed(ws,
                octets("\x02\x81\0\0\0\0"
                       "a"),
                7, &used);
    wsk_ws_feed(ws, octets("\x80\xff\x7f\xff\xff\xff\xff\xff\xff\xff\0\0\0\0"),
                14, &used);
    EXPECT_CLOSED(ws, 1006, false);
    wsk_ws_free(ws);
}

/* -------------------------------------------------------------- pings --- */

/* n pings, each with its number in `width` octets, whose events are dropped. */
static void flood(wsk_ws *ws, int from, int n, int width)
{
    char text[126];

    for (int i = from; i < from + n; i++) {
        snprintf(text, sizeof(text), "%0*d", width, i);
        EXPECT(feed_frame(ws, WSK_PING, true, text, (size_t)width) == WSK_OK);
        EXPECT(wsk_ws_next(ws).kind == WSK_WS_PING);
    }
}

static size_t out_len(const wsk_ws *ws)
{
    size_t len;

    wsk_ws_out_buf(ws, &len);
    return len;
}

TEST(a_flood_of_pings_is_answered_in_bounded_memory) /* RFC 6455 5.5.3 */
{
    wsk_ws *ws = wsk_ws_new_server(NULL);

    flood(ws, 0, 10000, 8);
    EXPECT(out_len(ws) > 4096 && out_len(ws) <= 4096 + 10);
    /* Once those have left, the newest is answered, and none between. */
    wsk_ws_out_ack(ws, out_len(ws));
    EXPECT_OUT(ws, "\x8a\x08"
                   "00009999");
    wsk_ws_out_ack(ws, 10);
    EXPECT_OUT(ws, "");
    wsk_ws_free(ws);
}

TEST(a_flood_of_long_pings_is_answered_in_bounded_memory)
{
    wsk_ws *ws = wsk_ws_new_server(NULL);
    size_t len;
    const uint8_t *out;

    flood(ws, 0, 1000, 125);
    EXPECT(out_len(ws) <= 4096 + 127);
    wsk_ws_out_ack(ws, out_len(ws));
    out = wsk_ws_out_buf(ws, &len);
    EXPECT(len == 127 && memcmp(out + 124, "999", 3) == 0);
    wsk_ws_free(ws);
}

TEST(a_flood_of_empty_pings_is_answered_in_bounded_memory)
{
    wsk_ws *ws = wsk_ws_new_server(NULL);

    for (int i = 0; i < 5000; i++) {
        FEED_FRAME(ws, WSK_PING, "");
        EXPECT(wsk_ws_next(ws).kind == WSK_WS_PING);
    }
    EXPECT(out_len(ws) == 4096 + 2);
    wsk_ws_out_ack(ws, 4096 + 2);
    EXPECT_OUT(ws, "\x8a\x00");
    wsk_ws_free(ws);
}

TEST(every_ping_of_a_peer_that_reads_is_answered) /* RFC 6455 5.5.2 */
{
    wsk_ws *ws = wsk_ws_new_server(NULL);
    size_t pongs = 0;

    for (int i = 0; i < 10000; i += 100) {
        flood(ws, i, 100, 8);
        pongs += out_len(ws) / 10;
        wsk_ws_out_ack(ws, out_len(ws));
    }
    EXPECT(pongs == 10000);
    wsk_ws_free(ws);
}

TEST(pongs_wait_for_pongs_but_not_for_messages)
{
    wsk_ws *ws = wsk_ws_new_server(NULL);
    size_t before;

    flood(ws, 0, 500, 8); /* the last some wait */
    before = out_len(ws);
    wsk_ws_send_message(ws, WSK_TEXT, octets("abc"), 3);
    wsk_ws_out_ack(ws, before - 1);
    EXPECT(out_len(ws) == 1 + 5);
    wsk_ws_out_ack(ws, 1); /* the pongs are through, the message is not */
    EXPECT_OUT(ws, "\x81\x03"
                   "abc"
                   "\x8a\x08"
                   "00000499");
    flood(ws, 500, 1, 8);
    EXPECT_OUT(ws, "\x81\x03"
                   "abc"
                   "\x8a\x08"
                   "00000499"
                   "\x8a\x08"
                   "00000500");
    wsk_ws_free(ws);
}

TEST(a_pong_that_waits_is_dropped_by_a_close) /* RFC 6455 5.5.1 */
{
    wsk_ws *ws = wsk_ws_new_server(NULL);

    flood(ws, 0, 500, 8);
    wsk_ws_send_close(ws, 1000, NULL, 0);
    wsk_ws_out_ack(ws, out_len(ws));
    EXPECT_OUT(ws, "");
    wsk_ws_free(ws);
}

TEST(a_pong_that_waits_is_dropped_by_the_end)
{
    wsk_ws *ws = wsk_ws_new_server(NULL);

    flood(ws, 0, 500, 8);
    wsk_ws_feed_eof(ws);
    wsk_ws_out_ack(ws, out_len(ws));
    EXPECT_OUT(ws, "");
    wsk_ws_free(ws);
}

TEST(a_pong_without_memory_comes_later)
{
    wsk_ws *ws = wsk_ws_new_server(NULL);
    size_t used;

    wsk_ws_feed(ws, octets("\x89\x82\0\0\0\0h"), 7, &used);
    wsk__mem_set_gate(refuse);
    EXPECT(wsk_ws_feed(ws, octets("i"), 1, &used) == WSK_OK && used == 1);
    EXPECT_EVENT(ws, WSK_WS_PING, "hi");
    EXPECT_OUT(ws, "");
    wsk__mem_set_gate(NULL);
    EXPECT(wsk_ws_feed(ws, NULL, 0, &used) == WSK_OK);
    EXPECT_OUT(ws, "\x8a\x02"
                   "hi");
    wsk_ws_free(ws);
}

TEST(a_server_may_send_pings_and_pongs_itself) /* RFC 6455 5.5.2, 5.5.3 */
{
    wsk_ws *ws = wsk_ws_new_server(NULL);
    uint8_t long_one[126] = {0};

    EXPECT(wsk_ws_send_frame(ws, WSK_PING, true, octets("p"), 1) == WSK_OK);
    EXPECT(wsk_ws_send_frame(ws, WSK_PONG, true, NULL, 0) == WSK_OK);
    EXPECT_OUT(ws, "\x89\x01"
                   "p"
                   "\x8a\x00");
    EXPECT(wsk_ws_send_frame(ws, WSK_PING, true, long_one, 126) == WSK_E_ARG);
    EXPECT(wsk_ws_send_frame(ws, WSK_PING, false, NULL, 0) == WSK_E_ARG);
    EXPECT(wsk_ws_send_frame(ws, WSK_PONG, true, long_one, 125) == WSK_OK);
    wsk_ws_free(ws);
}

/* ------------------------------------------------------------ sending --- */

TEST(a_message_can_be_sent_in_pieces_with_pings_between) /* RFC 6455 5.4 */
{
    wsk_ws *ws = wsk_ws_new_server(NULL);

    EXPECT(wsk_ws_send_frame(ws, WSK_TEXT, false, octets("a"), 1) == WSK_OK);
    EXPECT(wsk_ws_send_frame(ws, WSK_PING, true, NULL, 0) == WSK_OK);
    EXPECT(wsk_ws_send_frame(ws, WSK_CONTINUATION, false, octets("b"), 1) ==
           WSK_OK);
    EXPECT(wsk_ws_send_frame(ws, WSK_CONTINUATION, true, NULL, 0) == WSK_OK);
    EXPECT_OUT(ws, "\x01\x01"
                   "a"
                   "\x89\x00"
                   "\x00\x01"
                   "b"
                   "\x80\x00");
    EXPECT(wsk_ws_send_message(ws, WSK_BINARY, NULL, 0) == WSK_OK);
    wsk_ws_free(ws);
}

TEST(messages_are_not_sent_inside_each_other) /* RFC 6455 5.4 */
{
    wsk_ws *ws = wsk_ws_new_server(NULL);

    EXPECT(wsk_ws_send_frame(ws, WSK_CONTINUATION, true, NULL, 0) ==
           WSK_E_STATE);
    EXPECT(wsk_ws_send_frame(ws, WSK_BINARY, false, NULL, 0) == WSK_OK);
    EXPECT(wsk_ws_send_frame(ws, WSK_TEXT, true, NULL, 0) == WSK_E_STATE);
    EXPECT(wsk_ws_send_message(ws, WSK_TEXT, NULL, 0) == WSK_E_STATE);
    EXPECT_OUT(ws, "\x02\x00");
    wsk_ws_free(ws);
}

TEST(other_opcodes_are_refused)
{
    wsk_ws *ws = wsk_ws_new_server(NULL);

    EXPECT(wsk_ws_send_message(ws, WSK_PING, NULL, 0) == WSK_E_ARG);
    EXPECT(wsk_ws_send_message(ws, WSK_CONTINUATION, NULL, 0) == WSK_E_ARG);
    EXPECT(wsk_ws_send_frame(ws, WSK_CLOSE, true, NULL, 0) == WSK_E_ARG);
    EXPECT(wsk_ws_send_frame(ws, (wsk_opcode)3, true, NULL, 0) == WSK_E_ARG);
    EXPECT(wsk_ws_send_frame(ws, (wsk_opcode)11, true, NULL, 0) == WSK_E_ARG);
    EXPECT_OUT(ws, "");
    wsk_ws_free(ws);
}

TEST(what_has_been_written_is_acknowledged_piece_by_piece)
{
    wsk_ws *ws = wsk_ws_new_server(NULL);
    size_t len = 1;

    wsk_ws_send_message(ws, WSK_TEXT, octets("abc"), 3);
    wsk_ws_out_ack(ws, 3);
    EXPECT_OUT(ws, "bc");
    wsk_ws_out_ack(ws, 0);
    wsk_ws_out_ack(ws, 2);
    EXPECT(wsk_ws_out_buf(ws, &len) == NULL && len == 0);
    wsk_ws_free(ws);
}

TEST(a_large_message_is_sent_in_one_frame) /* RFC 6455 5.2 */
{
    wsk_ws *ws = wsk_ws_new_server(NULL);
    uint8_t *data = calloc(1, 100000);
    size_t len;
    const uint8_t *out;

    EXPECT(wsk_ws_send_message(ws, WSK_BINARY, data, 100000) == WSK_OK);
    out = wsk_ws_out_buf(ws, &len);
    EXPECT(len == 100010);
    EXPECT_OCTETS(out, 10, "\x82\x7f\0\0\0\0\0\x01\x86\xa0");
    free(data);
    wsk_ws_free(ws);
}

/* ------------------------------------------------------------ closing --- */

static wsk_status close_with(uint16_t code, const char *reason)
{
    wsk_ws *ws = wsk_ws_new_server(NULL);
    wsk_status st = wsk_ws_send_close(ws, code, octets(reason), strlen(reason));

    EXPECT((st == WSK_OK) == !wsk_ws_can_send(ws));
    EXPECT((st == WSK_OK) == (out_len(ws) > 0));
    wsk_ws_free(ws);
    return st;
}

TEST(only_codes_that_mean_something_are_sent) /* RFC 6455 7.4 */
{
    for (unsigned code = 0; code <= 0xffff; code++) {
        bool legal = (code >= 1000 && code <= 1003) ||
                     (code >= 1007 && code <= 1014) ||
                     (code >= 3000 && code <= 4999);

        EXPECT(close_with((uint16_t)code, "why") ==
               (legal ? WSK_OK : WSK_E_ARG));
    }
    EXPECT(close_with(1005, "") == WSK_OK);
}

TEST(a_reason_is_utf8) /* RFC 6455 5.5.1 */
{
    EXPECT(close_with(1000, "\xc3\xa4") == WSK_OK);
    EXPECT(close_with(1000, "\xc3") == WSK_E_ARG);
    EXPECT(close_with(1000, "\xed\xa0\x80") == WSK_E_ARG);
}

TEST(a_long_reason_is_cut_at_a_code_point) /* RFC 6455 5.5 */
{
    wsk_ws *ws = wsk_ws_new_server(NULL);
    char reason[200];
    const uint8_t *out;
    size_t len;

    memset(reason, 'r', 122);
    memcpy(reason + 122, "\xc3\xa4", 2);
    memset(reason + 124, 'r', 76);
    EXPECT(wsk_ws_send_close(ws, 1000, octets(reason), 200) == WSK_OK);
    out = wsk_ws_out_buf(ws, &len);
    EXPECT(len == 4 + 122 && out[1] == 2 + 122);
    EXPECT(memcmp(out + 4, reason, 122) == 0);
    wsk_ws_free(ws);
}

TEST(a_reason_of_123_octets_is_sent_whole) /* RFC 6455 5.5 */
{
    wsk_ws *ws = wsk_ws_new_server(NULL);
    char reason[123];

    memset(reason, 'r', 123);
    EXPECT(wsk_ws_send_close(ws, 1000, octets(reason), 123) == WSK_OK);
    EXPECT(out_len(ws) == 127);
    wsk_ws_free(ws);
}

TEST(a_second_close_is_no_error_and_no_frame) /* RFC 6455 5.5.1 */
{
    wsk_ws *ws = wsk_ws_new_server(NULL);

    EXPECT(wsk_ws_send_close(ws, 1000, NULL, 0) == WSK_OK);
    EXPECT(wsk_ws_send_close(ws, 1001, NULL, 0) == WSK_OK);
    EXPECT(wsk_ws_send_close(ws, 1, NULL, 0) == WSK_E_ARG);
    EXPECT_OUT(ws, "\x88\x02\x03\xe8");
    wsk_ws_free(ws);
}

TEST(after_a_close_nothing_can_be_sent) /* RFC 6455 5.5.1 */
{
    wsk_ws *ws = wsk_ws_new_server(NULL);

    EXPECT(wsk_ws_can_send(ws));
    wsk_ws_send_close(ws, 1000, NULL, 0);
    EXPECT(!wsk_ws_can_send(ws) && !wsk_ws_done(ws));
    EXPECT(wsk_ws_send_message(ws, WSK_TEXT, NULL, 0) == WSK_E_CLOSED);
    EXPECT(wsk_ws_send_frame(ws, WSK_PING, true, NULL, 0) == WSK_E_CLOSED);
    FEED_FRAME(ws, WSK_CLOSE, "\x03\xe8");
    EXPECT(wsk_ws_done(ws));
    EXPECT(wsk_ws_send_message(ws, WSK_TEXT, NULL, 0) == WSK_E_CLOSED);
    EXPECT_CLOSED(ws, 1000, true);
    wsk_ws_free(ws);
}

TEST(the_end_of_the_transport_ends_sending)
{
    wsk_ws *ws = wsk_ws_new_server(NULL);

    wsk_ws_feed_eof(ws);
    EXPECT(wsk_ws_done(ws) && !wsk_ws_can_send(ws));
    EXPECT(wsk_ws_send_message(ws, WSK_TEXT, NULL, 0) == WSK_E_CLOSED);
    EXPECT(wsk_ws_send_close(ws, 1000, NULL, 0) == WSK_OK);
    EXPECT_CLOSED(ws, 1006, false);
    EXPECT_OUT(ws, "");
    wsk_ws_free(ws);
}

TEST(a_deadline_fails_the_connection) /* RFC 6455 7.1.7 */
{
    wsk_ws *ws = wsk_ws_new_server(NULL);

    wsk__ws_fail(ws, 1011, "no pong in time");
    EXPECT(wsk_ws_done(ws));
    EXPECT_CLOSED(ws, 1006, false);
    wsk__ws_fail(ws, 1002, "the first failure wins");
    EXPECT_OUT(ws, "\x88\x11\x03\xf3"
                   "no pong in time");
    wsk_ws_free(ws);
}

TEST(a_deadline_after_our_close_sends_nothing_more) /* RFC 6455 5.5.1 */
{
    wsk_ws *ws = wsk_ws_new_server(NULL);

    wsk_ws_send_close(ws, 1000, NULL, 0);
    wsk__ws_fail(ws, 1011, "no Close in time");
    EXPECT_CLOSED(ws, 1006, false);
    EXPECT_OUT(ws, "\x88\x02\x03\xe8");
    wsk_ws_free(ws);
}

TEST(a_close_that_cannot_be_answered_is_not_clean)
{
    wsk_ws *ws = wsk_ws_new_server(NULL);
    size_t used;

    wsk_ws_feed(ws, octets("\x88\x82\0\0\0\0\x03"), 7, &used);
    wsk__mem_set_gate(refuse);
    EXPECT(wsk_ws_feed(ws, octets("\xe8"), 1, &used) == WSK_OK && used == 1);
    wsk__mem_set_gate(NULL);
    EXPECT(wsk_ws_done(ws));
    EXPECT_CLOSED(ws, 1000, false);
    wsk_ws_free(ws);
}

TEST(limits_are_copied)
{
    wsk_limits limits;
    wsk_ws *ws;

    wsk_limits_init(&limits);
    ws = wsk_ws_new_server(&limits);
    limits.ws_max_size = 1;
    FEED_FRAME(ws, WSK_TEXT, "more than one");
    EXPECT_EVENT(ws, WSK_WS_MESSAGE, "more than one");
    wsk_ws_free(ws);
}

/* ------------------------------------------------------ whole messages --- */

TEST(a_whole_message_is_lent_and_everything_else_is_fed)
{
    wsk_ws *ws = new_with_limit(5);
    wsk_message msg;
    size_t used;
    uint8_t out[5];

    /* Nothing is taken that is not there to its last octet. */
    for (size_t n = 0; n < 11; n++)
        EXPECT(wsk__ws_take_whole(ws, octets("\x81\x85\1\2\3\4hello"), n,
                                  &msg) == 0);
    EXPECT(wsk__ws_take_whole(ws, octets("\x81\x85\1\2\3\4\x69\x67\x6f\x68n"),
                              11, &msg) == 11);
    EXPECT(msg.masked && msg.opcode == WSK_TEXT && msg.len == 5);
    EXPECT(wsk_message_copy(&msg, out));
    EXPECT_OCTETS(out, 5, "hello");
    /* Too long, a fragment, a control frame, no mask, a length not in its
     * shortest form: feed() knows what to say. */
    EXPECT(!wsk__ws_take_whole(ws, octets("\x82\x86\0\0\0\0sixsix"), 12, &msg));
    EXPECT(!wsk__ws_take_whole(ws, octets("\1\x81\0\0\0\0a"), 7, &msg));
    EXPECT(!wsk__ws_take_whole(ws, octets("\x89\x81\0\0\0\0a"), 7, &msg));
    EXPECT(!wsk__ws_take_whole(ws, octets("\x82\1a"), 3, &msg));
    EXPECT(!wsk__ws_take_whole(ws, octets("\x82\xfe\0\1\0\0\0\0a"), 9, &msg));
    /* Nor is one inside another message, or behind an event. */
    wsk_ws_feed(ws, octets("\1\x81\0\0\0\0a"), 7, &used);
    EXPECT(!wsk__ws_take_whole(ws, octets("\x82\x81\0\0\0\0a"), 7, &msg));
    wsk_ws_feed(ws, octets("\x80\x81\0\0\0\0b"), 7, &used);
    EXPECT(!wsk__ws_take_whole(ws, octets("\x82\x81\0\0\0\0a"), 7, &msg));
    EXPECT_EVENT(ws, WSK_WS_MESSAGE, "ab");
    EXPECT(wsk__ws_take_whole(ws, octets("\x82\x80\0\0\0\0"), 6, &msg) == 6);
    EXPECT(msg.len == 0 && msg.opcode == WSK_BINARY);
    wsk_ws_free(ws);
}

TEST(frames_without_a_mask_are_read_where_that_is_allowed) /* RFC 6455 5.1 */
{
    wsk_limits limits;
    wsk_message msg;
    wsk_ws *ws;
    size_t used;

    wsk_limits_init(&limits);
    limits.ws_allow_unmasked = true;
    ws = wsk_ws_new_server(&limits);
    EXPECT(wsk__ws_take_whole(ws, octets("\x82\2hi"), 4, &msg) == 4);
    EXPECT_OCTETS(msg.data, msg.len, "hi");
    wsk_ws_feed(ws, octets("\x82\2hi"), 4, &used);
    EXPECT_EVENT(ws, WSK_WS_MESSAGE, "hi");
    wsk_ws_feed(ws, octets("\x89\0"), 2, &used);
    EXPECT_EVENT(ws, WSK_WS_PING, "");
    FEED_FRAME(ws, WSK_TEXT, "masked");
    EXPECT_EVENT(ws, WSK_WS_MESSAGE, "masked");
    wsk_ws_free(ws);
}
