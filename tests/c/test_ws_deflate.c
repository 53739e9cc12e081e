/* Compressed messages of ours, and what compression costs in memory. That every
 * window and level is honoured is shown by fuzz/fuzz_deflate.c. */
#include "harness.h"

#include "base/mem.h"
#include "ws/deflate.h"
#include "ws/inflate.h"
#include "ws/send.h"

#include <zlib.h>

static const wsk_ws_deflate FAST = {.threshold = 128, .server_bits = 15};

static uint8_t message[20000]; /* of words, and of noise from the middle on */

__attribute__((constructor)) static void fill(void)
{
    uint32_t seed = 1;

    for (size_t i = 0; i < sizeof(message); i++) {
        seed = seed * 1664525 + 1013904223;
        message[i] = i < sizeof(message) / 2
                         ? (uint8_t) "{\"price\": 12345},"[i % 17]
                         : (uint8_t)(seed >> 24);
    }
}

static const uint8_t *const noise = message + sizeof(message) / 2;

static wsk_ws *new_with(const wsk_ws_deflate *how, struct wsk__pool *pool)
{
    wsk_ws *ws = wsk_ws_new_server(NULL);

    EXPECT(wsk__ws_set_deflate(ws, how, pool) == WSK_OK);
    return ws;
}

/* The one frame that is owed, acknowledged: its first octet, and its payload
 * for as long as nothing else is sent. */
static int take_frame(wsk_ws *ws, const uint8_t **payload, size_t *len)
{
    const uint8_t *out = wsk_ws_out_buf(ws, len);
    size_t head = *len >= 2 && out[1] == 126 ? 4 : 2;
    int first = *len > 0 ? out[0] : -1;

    if (*len < head)
        return -1;
    *payload = out + head;
    *len -= head;
    EXPECT(head == 4 ? (size_t)(out[2] << 8 | out[3]) == *len : out[1] == *len);
    wsk_ws_out_ack(ws, *len + head);
    return first;
}

/* True if the payload inflates to data[0..n), 7692 7.2.2. */
static bool inflates_to(z_stream *z, const uint8_t *payload, size_t len,
                        const uint8_t *data, size_t n)
{
    uint8_t *whole = malloc(len + 4), *back = malloc(n + 1);
    bool good;

    memcpy(whole, payload, len);
    memcpy(whole + len, "\0\0\xff\xff", 4);
    z->next_in = whole;
    z->avail_in = (uInt)(len + 4);
    z->next_out = back;
    z->avail_out = (uInt)(n + 1);
    good = inflate(z, Z_SYNC_FLUSH) == Z_OK && z->avail_in == 0 &&
           z->avail_out == 1 && memcmp(back, data, n) == 0;
    free(whole);
    free(back);
    return good;
}

static void open_window(z_stream *z, int bits)
{
    *z = (z_stream){.zalloc = Z_NULL};
    EXPECT(inflateInit2(z, -bits) == Z_OK);
}

/* Send data and read it back: how long it was on the wire; 0: something is
 * wrong. */
static size_t sent(wsk_ws *ws, z_stream *z, const uint8_t *data, size_t n)
{
    const uint8_t *payload;
    size_t len;

    EXPECT(wsk_ws_send_message(ws, WSK_BINARY, data, n) == WSK_OK);
    if (take_frame(ws, &payload, &len) != 0xc2 ||
        !inflates_to(z, payload, len, data, n))
        return 0;
    return len;
}

TEST(the_example_of_the_rfc_is_what_we_send) /* RFC 7692 7.2.3.1, 7.2.3.2 */
{
    wsk_ws_deflate how = {.server_bits = 15, .server_takeover = true};
    wsk_ws *ws = new_with(&how, NULL);
    const uint8_t *payload;
    size_t len;

    wsk_ws_send_message(ws, WSK_TEXT, (const uint8_t *)"Hello", 5);
    EXPECT(take_frame(ws, &payload, &len) == 0xc1);
    EXPECT_OCTETS(payload, len, "\xf2\x48\xcd\xc9\xc9\x07\x00");
    wsk_ws_send_message(ws, WSK_TEXT, (const uint8_t *)"Hello", 5);
    EXPECT(take_frame(ws, &payload, &len) == 0xc1);
    EXPECT(len < 7); /* the second refers to the first */
    wsk_ws_free(ws);
}

TEST(messages_below_the_threshold_go_as_they_are)
{
    wsk_ws *ws = new_with(&FAST, NULL);
    const uint8_t *payload;
    size_t len;

    wsk_ws_send_message(ws, WSK_BINARY, message, 127);
    EXPECT(take_frame(ws, &payload, &len) == 0x82);
    EXPECT(len == 127 && memcmp(payload, message, len) == 0);
    wsk_ws_send_message(ws, WSK_BINARY, message, 128);
    EXPECT(take_frame(ws, &payload, &len) == 0xc2 && len < 60);
    wsk_ws_send_message(ws, WSK_BINARY, message, 0);
    EXPECT(take_frame(ws, &payload, &len) == 0x82 && len == 0);
    wsk_ws_free(ws);
}

TEST(an_empty_message_goes_as_it_is_whatever_the_threshold)
{
    wsk_ws_deflate how = {.server_bits = 15};
    wsk_ws *ws = new_with(&how, NULL);
    const uint8_t *payload;
    size_t len;

    wsk_ws_send_message(ws, WSK_TEXT, NULL, 0);
    EXPECT(take_frame(ws, &payload, &len) == 0x81 && len == 0);
    wsk_ws_free(ws);
}

TEST(a_message_is_not_compressed_when_the_sender_says_so)
{
    wsk_ws *ws = new_with(&FAST, NULL);
    const uint8_t *payload;
    size_t len;

    EXPECT(wsk_ws_send_with(ws, WSK_BINARY, message, 5000, WSK_SEND_PLAIN) ==
           WSK_OK);
    EXPECT(take_frame(ws, &payload, &len) == 0x82 && len == 5000);
    EXPECT(wsk_ws_send_with(ws, WSK_PING, message, 1, 0) == WSK_E_ARG);
    wsk_ws_free(ws);
}

TEST(frames_of_pieces_and_controls_are_never_compressed) /* RFC 7692 6.1 */
{
    wsk_ws *ws = new_with(&FAST, NULL);
    const uint8_t *payload;
    size_t len;

    wsk_ws_send_frame(ws, WSK_BINARY, false, message, 1000);
    EXPECT(take_frame(ws, &payload, &len) == 0x02 && len == 1000);
    EXPECT(wsk_ws_send_message(ws, WSK_BINARY, message, 1000) == WSK_E_STATE);
    wsk_ws_send_frame(ws, WSK_CONTINUATION, true, message, 1000);
    EXPECT(take_frame(ws, &payload, &len) == 0x80 && len == 1000);
    wsk_ws_send_frame(ws, WSK_PING, true, message, 125);
    EXPECT(take_frame(ws, &payload, &len) == 0x89 && len == 125);
    wsk_ws_free(ws);
}

/* A message in pieces, of which the first decides: each leaves as soon as it is
 * sent, and together they inflate to `n` octets of it. */
static void pieces_inflate(wsk_ws *ws, z_stream *z, const size_t *sizes,
                           size_t n_sizes)
{
    uint8_t whole[12000];
    const uint8_t *payload;
    size_t len, at = 0, n = 0;

    for (size_t i = 0; i < n_sizes; i++, n += len) {
        bool last = i + 1 == n_sizes;
        int first = i == 0 ? 0x42 : last ? 0x80 : 0x00;

        EXPECT((i == 0 ? wsk_ws_send_first(ws, WSK_BINARY, message, sizes[0], 0)
                       : wsk_ws_send_frame(ws, WSK_CONTINUATION, last,
                                           message + at, sizes[i])) == WSK_OK);
        at += sizes[i];
        EXPECT(take_frame(ws, &payload, &len) == first);
        EXPECT(last || sizes[i] == 0 ||
               memcmp(payload + len - 4, "\0\0\xff\xff", 4) == 0);
        memcpy(whole + n, payload, len);
    }
    EXPECT(n < at);
    EXPECT(inflates_to(z, whole, n, message, at));
}

TEST(a_message_in_pieces_is_compressed_as_its_first_one_is) /* RFC 7692 6.1 */
{
    static const size_t several[] = {1000, 5000, 0, 1, 4500};
    static const size_t open_end[] = {128, 0};
    wsk_ws_deflate how = FAST;
    z_stream z;

    for (how.server_bits = 8; how.server_bits <= 15; how.server_bits++)
        for (unsigned kind = 0; kind < 4; kind++) {
            wsk_ws *ws;

            how.level = kind & 1 ? 6 : 0;
            how.server_takeover = kind & 2;
            ws = new_with(&how, NULL);
            open_window(&z, how.server_bits == 8 ? 9 : how.server_bits);
            pieces_inflate(ws, &z, several, 5);
            pieces_inflate(ws, &z, open_end, 2);
            inflateEnd(&z);
            wsk_ws_free(ws);
        }
}

TEST(a_first_piece_that_is_short_or_plain_leaves_the_message_as_it_is)
{
    wsk_ws *ws = new_with(&FAST, NULL);
    const uint8_t *payload;
    size_t len;

    for (unsigned plain = 0; plain < 2; plain++) {
        EXPECT(wsk_ws_send_first(ws, WSK_TEXT, message, plain ? 1000 : 127,
                                 plain ? WSK_SEND_PLAIN : 0) == WSK_OK);
        EXPECT(take_frame(ws, &payload, &len) == 0x01 && len >= 127);
        wsk_ws_send_frame(ws, WSK_CONTINUATION, true, message, 1000);
        EXPECT(take_frame(ws, &payload, &len) == 0x80 && len == 1000);
    }
    wsk_ws_free(ws);
}

TEST(pings_and_what_follows_a_compressed_stream_are_what_they_were)
{
    wsk_ws *ws = new_with(&FAST, NULL);
    const uint8_t *payload;
    size_t len;

    EXPECT(wsk_ws_send_first(ws, WSK_PING, message, 1, 0) == WSK_E_ARG);
    wsk_ws_send_first(ws, WSK_BINARY, message, 1000, 0);
    EXPECT(take_frame(ws, &payload, &len) == 0x42);
    EXPECT(wsk_ws_send_first(ws, WSK_BINARY, message, 9, 0) == WSK_E_STATE);
    EXPECT(wsk_ws_send_message(ws, WSK_BINARY, message, 9) == WSK_E_STATE);
    wsk_ws_send_frame(ws, WSK_PING, true, message, 125);
    EXPECT(take_frame(ws, &payload, &len) == 0x89 && len == 125);
    wsk_ws_send_frame(ws, WSK_CONTINUATION, true, NULL, 0);
    EXPECT(take_frame(ws, &payload, &len) == 0x80 && len == 1);
    wsk_ws_send_frame(ws, WSK_BINARY, false, message, 1000);
    EXPECT(take_frame(ws, &payload, &len) == 0x02 && len == 1000);
    wsk_ws_free(ws);
}

static int refuse(void)
{
    return 0;
}

TEST(without_memory_a_piece_is_not_sent_and_the_next_try_goes_on)
{
    wsk_ws_deflate how = FAST;

    for (how.level = 0; how.level <= 6; how.level = (uint8_t)(how.level + 6)) {
        wsk_ws *ws = new_with(&how, NULL);
        const uint8_t *payload;
        uint8_t whole[4000];
        size_t len, n;
        z_stream z;

        open_window(&z, 15);
        wsk_ws_send_first(ws, WSK_BINARY, message, 1000, 0);
        EXPECT(take_frame(ws, &payload, &n) == 0x42);
        memcpy(whole, payload, n);
        for (long fails = 0; fails < 2; fails++) {
            wsk__mem_set_gate(refuse);
            EXPECT(wsk_ws_send_frame(ws, WSK_CONTINUATION, true, message + 1000,
                                     9000) == WSK_E_NOMEM);
            wsk__mem_set_gate(NULL);
        }
        EXPECT(wsk_ws_send_frame(ws, WSK_CONTINUATION, true, message + 1000,
                                 2000) == WSK_OK);
        EXPECT(take_frame(ws, &payload, &len) == 0x80);
        memcpy(whole + n, payload, len);
        EXPECT(inflates_to(&z, whole, n + len, message, 3000));
        inflateEnd(&z);
        wsk_ws_free(ws);
    }
}

TEST(noise_costs_a_few_octets) /* RFC 1951 3.2.4 */
{
    static uint8_t long_noise[200000];
    uint32_t seed = 7;
    z_stream z;

    open_window(&z, 15);
    for (size_t i = 0; i < sizeof(long_noise); i++)
        long_noise[i] = (uint8_t)((seed = seed * 1664525 + 1013904223) >> 24);
    for (int takeover = 0; takeover < 2; takeover++) {
        struct wsk__deflater d = {0};
        wsk_ws_deflate how = FAST;
        uint8_t *out = malloc(wsk__deflate_room(&how, sizeof(long_noise)));
        size_t n;

        how.server_takeover = takeover;
        n = wsk__deflate(&d, &how, NULL, long_noise, sizeof(long_noise), out);
        EXPECT(n == sizeof(long_noise) + 4 * 5 + 1);
        EXPECT(inflates_to(&z, out, n, long_noise, sizeof(long_noise)));
        n = wsk__deflate(&d, &how, NULL, noise, 10000, out);
        EXPECT(n == 10000 + 5 + 1);
        EXPECT(inflates_to(&z, out, n, noise, 10000));
        wsk__deflater_clear(&d, &how);
        free(out);
    }
    inflateEnd(&z);
}

TEST(every_level_and_window_is_read_back) /* RFC 7692 7.1.2.1 */
{
    for (uint8_t level = 0; level <= 9; level++)
        for (uint8_t bits = 8; bits <= 15; bits++) {
            wsk_ws_deflate how = {.level = level, .server_bits = bits};
            wsk_ws *ws = new_with(&how, NULL);

            for (size_t n = 1; n < sizeof(message); n = n * 3 + 1) {
                z_stream z;

                open_window(&z, bits);
                EXPECT(sent(ws, &z, message, n) > 0);
                inflateEnd(&z);
            }
            wsk_ws_free(ws);
        }
}

TEST(with_takeover_a_repeated_message_is_short) /* RFC 7692 7.1.1.1 */
{
    for (uint8_t level = 0; level <= 9; level++) {
        wsk_ws_deflate how = {
            .level = level, .server_bits = 15, .server_takeover = true};
        wsk_ws *ws = new_with(&how, NULL);
        z_stream z;

        open_window(&z, 15);
        EXPECT(sent(ws, &z, noise, 1000) > 900);
        for (int i = 0; i < 200; i++) { /* the history moves down meanwhile */
            size_t again = sent(ws, &z, noise, 1000);

            EXPECT(again > 0 && again < 120);
        }
        inflateEnd(&z);
        wsk_ws_free(ws);
    }
}

TEST(a_long_message_can_be_compressed_before_the_lock)
{
    wsk_ws *ws = new_with(&FAST, NULL);
    size_t len = 5000, got;
    uint8_t *block = wsk__ws_pack(ws, message, &len, 0);
    const uint8_t *payload;
    z_stream z;

    EXPECT(block != NULL && len < 5000);
    EXPECT(wsk__ws_send_packed(ws, WSK_BINARY, true, block, len) == WSK_OK);
    open_window(&z, 15);
    EXPECT(take_frame(ws, &payload, &got) == 0xc2);
    EXPECT(inflates_to(&z, payload, got, message, 5000));
    inflateEnd(&z);
    wsk_ws_send_frame(ws, WSK_TEXT, false, message, 1);
    EXPECT(wsk__ws_send_packed(ws, WSK_BINARY, true, block, len) ==
           WSK_E_STATE);
    wsk_ws_send_close(ws, 1000, NULL, 0);
    EXPECT(wsk__ws_send_packed(ws, WSK_BINARY, true, block, len) ==
           WSK_E_CLOSED);
    wsk__free(block);
    wsk_ws_free(ws);
}

TEST(what_is_short_or_plain_or_has_a_history_is_not)
{
    wsk_ws_deflate how = FAST;
    wsk_ws *ws = new_with(&how, NULL);
    size_t len = 1000;

    EXPECT(wsk__ws_pack(ws, message, &len, 0) == NULL && len == 1000);
    len = 5000;
    EXPECT(wsk__ws_pack(ws, message, &len, WSK_SEND_PLAIN) == NULL);
    wsk_ws_free(ws);
    how.server_takeover = true;
    ws = new_with(&how, NULL);
    EXPECT(wsk__ws_pack(ws, message, &len, 0) == NULL && len == 5000);
    wsk_ws_free(ws);
}

TEST(parameters_out_of_range_are_refused)
{
    wsk_ws *ws = wsk_ws_new_server(NULL);
    wsk_ws_deflate how = {.server_bits = 7};

    EXPECT(wsk_ws_set_deflate(ws, &how) == WSK_E_ARG);
    how.server_bits = 16;
    EXPECT(wsk_ws_set_deflate(ws, &how) == WSK_E_ARG);
    how.server_bits = 15;
    how.level = 10;
    EXPECT(wsk_ws_set_deflate(ws, &how) == WSK_E_ARG);
    EXPECT(!wsk__ws_deflates(ws));
    EXPECT(wsk_ws_set_deflate(ws, &FAST) == WSK_OK);
    EXPECT(wsk_ws_set_deflate(ws, &FAST) == WSK_E_STATE);
    wsk_ws_free(ws);
}

/* ------------------------------------------------------------- memory --- */

static long allocations, allowed;

static int count(void)
{
    allocations++;
    return 1;
}

static int refuse_later(void)
{
    return allowed-- > 0;
}

/* One compressed message from the peer: 200 times 'a'. */
static void receive_one(wsk_ws *ws)
{
    static const uint8_t FRAME[] = {0xc2, 0x86, 0x00, 0x00, 0x00, 0x00,
                                    0x4a, 0x4c, 0x1c, 0x1e, 0x00, 0x00};
    uint8_t *piece = exact(FRAME, sizeof(FRAME));
    wsk_ws_event ev;
    size_t used;

    EXPECT(wsk_ws_feed(ws, piece, sizeof(FRAME), &used) == WSK_OK);
    ev = wsk_ws_next(ws);
    EXPECT(ev.kind == WSK_WS_MESSAGE && ev.len == 200 && ev.data[0] == 'a');
    EXPECT(wsk_ws_next(ws).kind == WSK_WS_NONE);
    free(piece);
}

TEST(a_message_by_itself_leaves_no_state_behind) /* RFC 7692 7.1.1 */
{
    wsk_ws_deflate how = FAST;
    static struct wsk__pool pool;
    wsk_ws *ws, *other;
    long first;

    how.level = 6;
    ws = new_with(&how, &pool);
    other = new_with(&how, &pool);
    wsk__mem_set_gate(count);
    allocations = 0;
    receive_one(ws);
    wsk_ws_send_message(ws, WSK_BINARY, message, 1000);
    first = allocations;
    allocations = 0;
    receive_one(other); /* with the state that lies in the pool */
    wsk_ws_send_message(other, WSK_BINARY, message, 1000);
    EXPECT(allocations == 4 && first > 6);
    wsk__mem_set_gate(NULL);
    wsk_ws_free(ws);
    wsk_ws_free(other);
    wsk__pool_clear(&pool);
}

TEST(the_fast_compressor_needs_no_memory_but_the_queue)
{
    wsk_ws *ws = new_with(&FAST, NULL);

    wsk__mem_set_gate(count);
    allocations = 0;
    wsk_ws_send_message(ws, WSK_BINARY, message, 5000);
    EXPECT(allocations == 2);
    wsk__mem_set_gate(NULL);
    wsk_ws_free(ws);
}

TEST(without_memory_to_compress_a_message_goes_as_it_is)
{
    for (uint8_t level = 0; level < 2; level++) {
        wsk_ws_deflate how = {
            .level = level, .server_bits = 15, .server_takeover = true};
        bool plain = false, compressed = false;

        for (long nth = 0; nth < 12; nth++) {
            wsk_ws *ws = new_with(&how, NULL);
            const uint8_t *payload;
            wsk_status st;
            size_t len;

            allowed = nth;
            wsk__mem_set_gate(refuse_later);
            st = wsk_ws_send_message(ws, WSK_BINARY, message, 3000);
            wsk__mem_set_gate(NULL);
            EXPECT(st == WSK_OK || (nth < 2 && st == WSK_E_NOMEM));
            if (st == WSK_OK) {
                int first = take_frame(ws, &payload, &len);

                EXPECT(first == 0xc2 || (first == 0x82 && len == 3000));
                plain = plain || first == 0x82;
                compressed = compressed || first == 0xc2;
            }
            wsk_ws_free(ws);
        }
        EXPECT(plain && compressed);
    }
}

TEST(what_takeover_keeps_is_known_beforehand)
{
    wsk_ws_deflate how = FAST;

    EXPECT(wsk__deflate_bytes(&how) == 0);
    how.client_takeover = true;
    EXPECT(wsk__deflate_bytes(&how) == WSK__INFLATER_BYTES);
    how.server_takeover = true;
    EXPECT(wsk__deflate_bytes(&how) > 80000);
    how.server_bits = 8;
    EXPECT(wsk__deflate_bytes(&how) < 80000);
    how.level = 9;
    how.server_bits = 15;
    EXPECT(wsk__deflate_bytes(&how) > 300000);
}
