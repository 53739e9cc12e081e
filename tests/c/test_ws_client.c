/* The client's side of the engine and of the opening handshake, answered by the
 * server's side, and by answers that break a rule. */
#include "harness.h"

#include "base/mem.h"
#include "ws/conn.h"

static const uint8_t SEED[WSK_WS_SEED_LEN] = "thirty-two octets, not a secret";

static const wsk_ws_ask ASK = {
    .host = "server.example.com",
    .target = "/chat",
    .protocols = "chat, superchat",
    .deflate = true,
    .takeover = true,
    .nonce = "the sample nonce", /* RFC 6455 1.3 */
};

#define ANSWER                                                                 \
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"               \
    "Connection: Upgrade\r\n"                                                  \
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"

/* All that one engine owes, `step` octets at a time, into the other. */
static void carry(wsk_ws *from, wsk_ws *to, size_t step)
{
    size_t len, used;
    const uint8_t *out;

    while ((out = wsk_ws_out_buf(from, &len)) != NULL) {
        size_t n = len < step ? len : step;
        uint8_t *piece = exact(out, n);

        EXPECT(wsk_ws_feed(to, piece, n, &used) == WSK_OK);
        free(piece);
        wsk_ws_out_ack(from, used);
        if (used == 0)
            return; /* an event waits */
    }
}

#define EXPECT_MESSAGE(ws, lit)                                                \
    do {                                                                       \
        wsk_ws_event got = wsk_ws_next(ws);                                    \
        EXPECT(got.kind == WSK_WS_MESSAGE);                                    \
        EXPECT_OCTETS(got.data, got.len, lit);                                 \
    } while (0)

static void talk(const wsk_ws_deflate *deflate, size_t step)
{
    wsk_ws *client = wsk_ws_new_client(NULL, SEED);
    wsk_ws *server = wsk_ws_new_server(NULL);

    if (deflate != NULL) {
        EXPECT(wsk_ws_set_deflate(client, deflate) == WSK_OK);
        EXPECT(wsk_ws_set_deflate(server, deflate) == WSK_OK);
    }
    for (int i = 0; i < 3; i++) {
        EXPECT(wsk_ws_send_message(client, WSK_TEXT,
                                   (const uint8_t *)"hello hello hello",
                                   17) == WSK_OK);
        carry(client, server, step);
        EXPECT_MESSAGE(server, "hello hello hello");
        EXPECT(wsk_ws_send_message(server, WSK_BINARY,
                                   (const uint8_t *)"world world world",
                                   17) == WSK_OK);
        carry(server, client, step);
        EXPECT_MESSAGE(client, "world world world");
    }
    EXPECT(wsk_ws_send_message(server, WSK_TEXT, NULL, 0) == WSK_OK);
    carry(server, client, step);
    EXPECT_MESSAGE(client, "");
    EXPECT(wsk_ws_send_close(client, 1000, NULL, 0) == WSK_OK);
    carry(client, server, step);
    EXPECT(wsk_ws_next(server).kind == WSK_WS_CLOSED);
    carry(server, client, step);
    EXPECT(wsk_ws_next(client).clean);
    EXPECT(wsk_ws_done(client) && wsk_ws_done(server));
    wsk_ws_free(client);
    wsk_ws_free(server);
}

TEST(both_sides_understand_each_other_however_octets_are_cut)
{
    for (size_t step = 1; step < 40; step++)
        talk(NULL, step);
}

TEST(compressed_both_ways_with_every_window) /* RFC 7692 7.1 */
{
    for (uint8_t bits = 8; bits <= 15; bits++)
        for (int kept = 0; kept < 4; kept++) {
            wsk_ws_deflate agreed = {.server_bits = bits,
                                     .client_bits = (uint8_t)(23 - bits),
                                     .server_takeover = kept & 1,
                                     .client_takeover = kept & 2};

            talk(&agreed, 1);
            talk(&agreed, 1000);
        }
}

TEST(a_client_masks_every_frame_with_another_key) /* RFC 6455 5.3 */
{
    wsk_ws *ws = wsk_ws_new_client(NULL, SEED);
    uint8_t seen[12][4];

    for (int i = 0; i < 12; i++) {
        size_t len;
        const uint8_t *out;

        EXPECT(wsk_ws_send_frame(ws, WSK_PING, true, (const uint8_t *)"hi",
                                 2) == WSK_OK);
        out = wsk_ws_out_buf(ws, &len);
        EXPECT(len == 8 && out[1] == 0x82);
        EXPECT((out[6] ^ out[2]) == 'h' && (out[7] ^ out[3]) == 'i');
        memcpy(seen[i], out + 2, 4);
        for (int k = 0; k < i; k++)
            EXPECT(memcmp(seen[k], seen[i], 4) != 0);
        wsk_ws_out_ack(ws, len);
    }
    wsk_ws_free(ws);
}

TEST(a_masked_frame_of_a_server_fails_the_client) /* RFC 6455 5.1 */
{
    wsk_ws *ws = wsk_ws_new_client(NULL, SEED);
    size_t used;
    wsk_ws_event ev;

    wsk_ws_feed(ws, (const uint8_t *)"\x81\x80\0\0\0\0", 6, &used);
    ev = wsk_ws_next(ws);
    EXPECT(ev.kind == WSK_WS_CLOSED && ev.code == 1006 && !ev.clean);
    wsk_ws_free(ws);
}

TEST(the_request_is_that_of_the_rfc) /* RFC 6455 1.3 */
{
    char *head;
    size_t len;

    EXPECT(wsk_ws_ask_head(&ASK, &head, &len) == WSK_OK);
    EXPECT_OCTETS(head, len,
                  "GET /chat HTTP/1.1\r\nHost: server.example.com\r\n"
                  "Upgrade: websocket\r\nConnection: Upgrade\r\n"
                  "Sec-WebSocket-Version: 13\r\n"
                  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                  "Sec-WebSocket-Protocol: chat, superchat\r\n"
                  "Sec-WebSocket-Extensions: permessage-deflate; "
                  "client_max_window_bits\r\n\r\n");
    wsk_free(head);
}

TEST(what_cannot_stand_in_a_request_is_refused)
{
    static const wsk_header BAD[] = {
        {{"X", 1}, {"a\r\nb", 4}},
        {{"X Y", 3}, {"a", 1}},
        {{"Host", 4}, {"a", 1}},
        {{"Sec-WebSocket-Key", 17}, {"a", 1}},
    };
    static const char *const TARGETS[] = {"", "chat", "/a b", "/a#b", "/\x80"};
    wsk_ws_ask ask = ASK;
    char *head;
    size_t len;

    for (size_t i = 0; i < 4; i++) {
        ask.headers = &BAD[i];
        ask.n_headers = 1;
        EXPECT(wsk_ws_ask_head(&ask, &head, &len) == WSK_E_ARG);
    }
    ask = ASK;
    for (size_t i = 0; i < 5; i++) {
        ask.target = TARGETS[i];
        EXPECT(wsk_ws_ask_head(&ask, &head, &len) == WSK_E_ARG);
    }
    ask = ASK;
    ask.protocols = "a b";
    EXPECT(wsk_ws_ask_head(&ask, &head, &len) == WSK_E_ARG);
}

/* Whole and octet by octet: only the whole head is judged good, and what is
 * wrong is wrong either way. */
static wsk_status answer(const char *text, size_t len, wsk_ws_answer *got)
{
    wsk_status st = WSK_E_AGAIN;
    size_t used = 0;

    for (size_t n = 1; n <= len && st == WSK_E_AGAIN; n++) {
        char *piece = (char *)exact(text, n);

        st = wsk_ws_read_answer(&ASK, piece, n, &used, got);
        free(piece);
    }
    EXPECT(st != WSK_OK || used == len);
    EXPECT(wsk_ws_read_answer(&ASK, text, len, &used, got) == st);
    return st;
}

#define EXPECT_ANSWER(lit, want)                                               \
    do {                                                                       \
        wsk_ws_answer got;                                                     \
        EXPECT(answer(lit, sizeof(lit) - 1, &got) == (want));                  \
    } while (0)

TEST(an_answer_is_judged_by_every_rule) /* RFC 6455 4.1 */
{
    EXPECT_ANSWER(ANSWER "\r\n", WSK_OK);
    EXPECT_ANSWER(ANSWER "Sec-WebSocket-Protocol: superchat\r\n\r\n", WSK_OK);
    EXPECT_ANSWER(ANSWER "Sec-WebSocket-Protocol: super\r\n\r\n", WSK_E_ARG);
    EXPECT_ANSWER(ANSWER "Sec-WebSocket-Protocol: chat, superchat\r\n\r\n",
                  WSK_E_ARG);
    EXPECT_ANSWER(ANSWER "Upgrade\r\n\r\n", WSK_E_ARG);
    EXPECT_ANSWER(ANSWER "X: a\1b\r\n\r\n", WSK_E_ARG);
    EXPECT_ANSWER(ANSWER "X: a\n\r\n", WSK_E_ARG);
    EXPECT_ANSWER("HTTP/1.1 101\r\n\r\n", WSK_E_ARG);
    EXPECT_ANSWER("HTTP/1.1 10\r\n\r\n", WSK_E_ARG);
    EXPECT_ANSWER("ICY 200 OK\r\n\r\n", WSK_E_ARG);
    EXPECT_ANSWER("\r\n", WSK_E_ARG);
}

TEST(an_answer_of_deflate_is_read) /* RFC 7692 7.1 */
{
    static const char GOOD[] = ANSWER
        "Sec-WebSocket-Extensions: permessage-deflate; "
        "client_max_window_bits=9; server_no_context_takeover\r\n\r\n";
    wsk_ws_answer got;

    EXPECT(answer(GOOD, sizeof(GOOD) - 1, &got) == WSK_OK);
    EXPECT(got.deflates && got.deflate.client_bits == 9);
    EXPECT(got.deflate.server_bits == 15 && !got.deflate.server_takeover);
    EXPECT(got.deflate.client_takeover);
    EXPECT_ANSWER(ANSWER "Sec-WebSocket-Extensions: x-mux\r\n\r\n", WSK_E_ARG);
    EXPECT_ANSWER(ANSWER "Sec-WebSocket-Extensions: permessage-deflate; "
                         "client_max_window_bits\r\n\r\n",
                  WSK_E_ARG);
    EXPECT_ANSWER(ANSWER "Sec-WebSocket-Extensions: permessage-deflate; "
                         "server_max_window_bits=7\r\n\r\n",
                  WSK_E_ARG);
}

TEST(a_refused_answer_leaves_nothing_agreed)
{
    static const char BOTH[] = ANSWER
        "Sec-WebSocket-Protocol: superchat\r\n"
        "Sec-WebSocket-Extensions: permessage-deflate, "
        "permessage-deflate\r\n\r\n";
    wsk_ws_answer got;

    EXPECT(answer(BOTH, sizeof(BOTH) - 1, &got) == WSK_E_ARG);
    EXPECT(got.status == 101 && got.why != NULL);
    EXPECT(got.protocol.p == NULL && !got.deflates);
    EXPECT(got.deflate.server_bits == 0);
}

static long left;

static int gate(void)
{
    return left-- > 0;
}

TEST(out_of_memory_breaks_nothing)
{
    wsk_ws_deflate agreed = {
        .server_bits = 15, .client_bits = 15, .client_takeover = true};

    for (long n = 0; n < 40; n++) {
        wsk_ws *ws;
        char *head = NULL;
        size_t len;
        wsk_status st = WSK_E_NOMEM;

        left = n;
        wsk__mem_set_gate(gate);
        if (wsk_ws_ask_head(&ASK, &head, &len) == WSK_OK)
            wsk_free(head);
        ws = wsk_ws_new_client(NULL, SEED);
        if (ws != NULL && wsk_ws_set_deflate(ws, &agreed) == WSK_OK)
            st = wsk_ws_send_message(ws, WSK_TEXT, (const uint8_t *)"hello", 5);
        EXPECT(st == WSK_OK || st == WSK_E_NOMEM);
        wsk__mem_set_gate(NULL);
        wsk_ws_free(ws);
    }
}
