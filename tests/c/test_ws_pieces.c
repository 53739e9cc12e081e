/* Messages that are given in pieces as they arrive: for all cuts, the pieces
 * are the message, no code point is split, and little is held. */
#include "harness.h"

#include "base/utf8.h"
#include "ws/conn.h"
#include "ws/frame.h"

#include <zlib.h>

enum { LENGTH = 300000, HELD_MOST = 65536 };

static uint8_t text[LENGTH]; /* code points of one to four octets */

__attribute__((constructor)) static void fill(void)
{
    static const char unit[] = "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"; /* 10 */

    for (size_t i = 0; i < LENGTH; i++)
        text[i] = (uint8_t)unit[i % 10];
}

/* The limit is far below the message. */
static wsk_ws *new_small(bool deflates)
{
    static const wsk_ws_deflate how = {.threshold = 128, .server_bits = 15};
    wsk_limits limits;
    wsk_ws *ws;

    wsk_limits_init(&limits);
    limits.ws_max_size = 100;
    ws = wsk_ws_new_server(&limits);
    if (deflates)
        EXPECT(wsk_ws_set_deflate(ws, &how) == WSK_OK);
    return ws;
}

/* A client's frame, its mask all zero; an exact block of *size octets. */
static uint8_t *frame_of(int first, const uint8_t *data, size_t len,
                         size_t *size)
{
    uint8_t *frame = malloc(len + WSK__FRAME_HEAD_MAX), *copy;
    size_t n = wsk__frame_write(frame, WSK_TEXT, true, len);

    frame[0] = (uint8_t)first;
    frame[1] |= 0x80;
    memset(frame + n, 0, 4);
    memcpy(frame + n + 4, data, len);
    *size = n + 4 + len;
    copy = exact(frame, *size);
    free(frame);
    return copy;
}

/* The pieces so far. */
struct got {
    uint8_t *data; /* LENGTH octets */
    size_t len, most;
    bool done;
};

static void take_events(wsk_ws *ws, struct got *got)
{
    for (;;) {
        wsk_ws_event ev = wsk_ws_next(ws);

        if (ev.kind == WSK_WS_NONE)
            return;
        EXPECT(ev.kind == WSK_WS_PIECE || ev.kind == WSK_WS_MESSAGE);
        EXPECT(ev.opcode == WSK_TEXT && !got->done);
        EXPECT(wsk__utf8_valid(ev.data, ev.len));
        EXPECT(got->len + ev.len <= LENGTH);
        if (got->len + ev.len > LENGTH)
            return;
        memcpy(got->data + got->len, ev.data, ev.len);
        got->len += ev.len;
        got->most = ev.len > got->most ? ev.len : got->most;
        got->done = ev.kind == WSK_WS_MESSAGE;
    }
}

/* Feed it in steps of `step` octets; the pieces must come to the text. */
static void play(wsk_ws *ws, const uint8_t *octets, size_t n, size_t step)
{
    struct got got = {.data = malloc(LENGTH)};

    wsk_ws_take_pieces(ws);
    for (size_t at = 0, used; at < n; at += used) {
        size_t len = n - at < step ? n - at : step;

        EXPECT(wsk_ws_feed(ws, octets + at, len, &used) == WSK_OK);
        take_events(ws, &got);
        if (used == 0 && at + len == n)
            break;
    }
    EXPECT(got.done && got.most <= HELD_MOST);
    EXPECT(got.len == LENGTH && memcmp(got.data, text, LENGTH) == 0);
    free(got.data);
}

TEST(pieces_are_the_message_and_split_no_code_point) /* RFC 6455 5.6 */
{
    static const size_t steps[] = {SIZE_MAX, 65536, 4097, 13, 1};
    size_t n;
    uint8_t *frame = frame_of(0x81, text, LENGTH, &n);
    wsk_ws *ws = new_small(false);

    for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++)
        play(ws, frame, n, steps[i]);
    wsk_ws_free(ws);
    free(frame);
}

static uint8_t *deflated(size_t *len)
{
    z_stream z = {.zalloc = Z_NULL};
    uint8_t *packed = malloc(LENGTH + 1000);

    EXPECT(deflateInit2(&z, 6, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY) == Z_OK);
    z.next_in = text;
    z.avail_in = LENGTH;
    z.next_out = packed;
    z.avail_out = LENGTH + 1000;
    EXPECT(deflate(&z, Z_SYNC_FLUSH) == Z_OK && z.avail_in == 0);
    *len = LENGTH + 1000 - z.avail_out - 4; /* RFC 7692 7.2.1 */
    deflateEnd(&z);
    return packed;
}

TEST(a_compressed_message_comes_in_pieces_however_much_it_inflates)
{
    static const size_t steps[] = {SIZE_MAX, 100, 1};
    size_t n, packed_len;
    uint8_t *packed = deflated(&packed_len);
    uint8_t *frame = frame_of(0xC1, packed, packed_len, &n);
    wsk_ws *ws = new_small(true);

    EXPECT(packed_len * 50 < LENGTH);
    for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++)
        play(ws, frame, n, steps[i]);
    wsk_ws_free(ws);
    free(frame);
    free(packed);
}

/* The next message is whole again, and limited. */
TEST(pieces_are_asked_for_by_the_message)
{
    static const uint8_t bye[] = "\x81\x82\0\0\0\0hi";
    size_t n, used;
    uint8_t *frame = frame_of(0x81, text, 200, &n);
    wsk_ws *ws = new_small(false);
    wsk_ws_event ev;

    wsk_ws_take_pieces(ws);
    wsk_ws_feed(ws, bye, 7, &used);
    ev = wsk_ws_next(ws);
    EXPECT(ev.kind == WSK_WS_PIECE && ev.len == 1 && ev.data[0] == 'h');
    EXPECT(wsk_ws_next(ws).kind == WSK_WS_NONE);
    wsk_ws_feed(ws, bye + 7, 1, &used);
    ev = wsk_ws_next(ws);
    EXPECT(ev.kind == WSK_WS_MESSAGE && ev.len == 1 && ev.data[0] == 'i');
    wsk_ws_feed(ws, bye, 8, &used);
    ev = wsk_ws_next(ws);
    EXPECT(ev.kind == WSK_WS_MESSAGE && ev.len == 2);
    wsk_ws_feed(ws, frame, n, &used);
    ev = wsk_ws_next(ws);
    EXPECT(ev.kind == WSK_WS_CLOSED); /* 1009 */
    wsk_ws_free(ws);
    free(frame);
}

TEST(a_piece_comes_before_the_ping_that_follows_it)
{
    static const uint8_t both[] = "\x01\x82\0\0\0\0hi\x89\x80\0\0\0\0";
    wsk_ws *ws = new_small(false);
    size_t used;
    wsk_ws_event ev;

    wsk_ws_take_pieces(ws);
    EXPECT(wsk_ws_feed(ws, both, 14, &used) == WSK_OK && used == 8);
    ev = wsk_ws_next(ws);
    EXPECT(ev.kind == WSK_WS_PIECE && ev.len == 2);
    wsk_ws_feed(ws, both + 8, 6, &used);
    EXPECT(wsk_ws_next(ws).kind == WSK_WS_PING);
    wsk_ws_free(ws);
}

TEST(the_last_piece_can_be_taken_over)
{
    static const uint8_t euro[] = "\x81\x84\0\0\0\0a\xe2\x82\xac";
    wsk_ws *ws = new_small(false);
    size_t used;
    wsk_ws_event ev;
    void *block;

    wsk_ws_take_pieces(ws);
    wsk_ws_feed(ws, euro, 9, &used);
    ev = wsk_ws_next(ws);
    EXPECT(ev.kind == WSK_WS_PIECE && ev.len == 1);
    wsk_ws_feed(ws, euro + 9, 1, &used);
    ev = wsk_ws_next(ws);
    EXPECT(ev.kind == WSK_WS_MESSAGE && ev.len == 3);
    EXPECT(wsk_ws_take_message(ws, &block) == WSK_OK);
    EXPECT(block != NULL && memcmp(block, euro + 7, 3) == 0);
    wsk_free(block);

    wsk_ws_take_pieces(ws);
    wsk_ws_feed(ws, (const uint8_t *)"\x02\x81\0\0\0\0a", 7, &used);
    EXPECT(wsk_ws_next(ws).kind == WSK_WS_PIECE);
    wsk_ws_feed(ws, (const uint8_t *)"\x80\x80\0\0\0\0", 6, &used);
    ev = wsk_ws_next(ws);
    EXPECT(ev.kind == WSK_WS_MESSAGE && ev.len == 0);
    EXPECT(wsk_ws_take_message(ws, &block) == WSK_OK && block == NULL);
    wsk_ws_free(ws);
}

TEST(a_message_that_is_too_long_is_held_until_somebody_says_how)
{
    size_t n, used, more;
    uint8_t *frame = frame_of(0x81, text, LENGTH, &n);
    wsk_ws *ws = new_small(false);
    const uint8_t *out;

    wsk__ws_hold(ws, true);
    EXPECT(wsk_ws_feed(ws, frame, n, &used) == WSK_OK && used == 14);
    EXPECT(wsk__ws_holds_one(ws));
    EXPECT(wsk_ws_feed(ws, frame + used, n - used, &more) == WSK_OK);
    EXPECT(more == 0 && wsk_ws_next(ws).kind == WSK_WS_NONE);
    play(ws, frame + used, n - used, 5000);

    wsk_ws_feed(ws, frame, n, &used);
    EXPECT(wsk__ws_holds_one(ws));
    wsk__ws_hold(ws, false);
    out = wsk_ws_out_buf(ws, &more);
    EXPECT(more > 4 && out[0] == 0x88 && out[2] == 0x03 && out[3] == 0xF1);
    wsk_ws_free(ws);
    free(frame);
}
