/* Any messages, whole and in pieces, with pings between, cut anywhere: a server
 * and a client of ours understand each other, compressed or not. */
#include "log.h"

#include "ws/conn.h"
#include "wsocket.h"

enum { MESSAGE_MOST = 1 << 16 };

/* Messages sent, and messages received: each with its opcode before it and its
 * length behind. */
struct side {
    wsk_ws *ws;
    struct log said, heard;
    size_t begun; /* octets of the message that is being sent */
    bool closed;
};

static void end_of(struct log *log, size_t len)
{
    put(log, &len, sizeof(len));
}

/* RFC 6455 5.4, with RFC 7692 6.1: text of ASCII is never wrong. */
static void say(struct side *s, unsigned how, const uint8_t *data, size_t len)
{
    uint8_t opcode = (how & 1) != 0 ? WSK_BINARY : WSK_TEXT, text[256];
    unsigned flags = (how & 2) != 0 ? WSK_SEND_PLAIN : 0;
    bool pieces = (how & 4) != 0, fin = (how & 8) != 0, first = s->begun == 0;
    wsk_status st;

    for (size_t i = 0; i < len; i++)
        text[i] = data[i] & 0x7f;
    if (!first)
        st = wsk_ws_send_frame(s->ws, WSK_CONTINUATION, fin, text, len);
    else if (pieces)
        st = wsk_ws_send_first(s->ws, (wsk_opcode)opcode, text, len, flags);
    else
        st = wsk_ws_send_with(s->ws, (wsk_opcode)opcode, text, len, flags);
    REQUIRE(st == WSK_OK);
    if (first)
        put(&s->said, &opcode, 1);
    put(&s->said, text, len);
    if (first ? !pieces : fin) {
        end_of(&s->said, s->begun + len - !first);
        s->begun = 0;
    } else {
        s->begun += len + first; /* not 0, even for no octets */
    }
}

static void hear(struct side *s)
{
    wsk_ws_event ev;

    while ((ev = wsk_ws_next(s->ws)).kind != WSK_WS_NONE) {
        uint8_t opcode = (uint8_t)ev.opcode;

        REQUIRE(ev.kind != WSK_WS_CLOSED || ev.clean);
        s->closed |= ev.kind == WSK_WS_CLOSED;
        if (ev.kind != WSK_WS_MESSAGE)
            continue;
        put(&s->heard, &opcode, 1);
        put(&s->heard, ev.data, ev.len);
        end_of(&s->heard, ev.len);
    }
}

/* Carry the octets that one side owes to the other, at most `most` at once. */
static void carry(struct side *from, struct side *to, size_t most)
{
    const uint8_t *out;
    size_t len, used;

    while ((out = wsk_ws_out_buf(from->ws, &len)) != NULL) {
        uint8_t *piece = malloc(len < most ? len : most);

        REQUIRE(piece != NULL);
        len = len < most ? len : most;
        memcpy(piece, out, len);
        REQUIRE(wsk_ws_feed(to->ws, piece, len, &used) == WSK_OK);
        free(piece);
        hear(to);
        wsk_ws_out_ack(from->ws, used);
    }
}

static void agree(struct side *server, struct side *client, const uint8_t *how)
{
    wsk_ws_deflate agreed = {
        .server_bits = (uint8_t)(8 + (how[0] & 7)),
        .client_bits = (uint8_t)(8 + (how[0] >> 3 & 7)),
        .server_takeover = (how[0] & 64) != 0,
        .client_takeover = (how[0] & 128) != 0,
        .threshold = how[1] & 15,
        .level = (uint8_t)(how[1] >> 4) % 10,
    };

    REQUIRE(wsk_ws_set_deflate(server->ws, &agreed) == WSK_OK);
    REQUIRE(wsk_ws_set_deflate(client->ws, &agreed) == WSK_OK);
}

/* Each step: who and how, how long, and the octets. */
static void talk(struct side *server, struct side *client, const uint8_t *data,
                 size_t len)
{
    while (len >= 2) {
        unsigned how = data[0];
        size_t n = data[1] < len - 2 ? data[1] : len - 2;
        struct side *s = (how & 16) != 0 ? client : server;

        say(s, how, data + 2, n);
        if ((how & 32) != 0)
            REQUIRE(wsk_ws_send_frame(s->ws, WSK_PING, true, data + 2,
                                      n < 125 ? n : 125) == WSK_OK);
        if ((how & 64) != 0)
            carry(s, s == client ? server : client, 1 + (how & 7));
        data += 2 + n;
        len -= 2 + n;
    }
}

static void finish(struct side *from, struct side *to)
{
    if (from->begun > 0)
        say(from, 8, NULL, 0);
    carry(from, to, MESSAGE_MOST);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static const uint8_t seed[WSK_WS_SEED_LEN] = {1, 2, 3};
    struct side server = {.ws = wsk_ws_new_server(NULL)};
    struct side client = {.ws = wsk_ws_new_client(NULL, seed)};

    REQUIRE(server.ws != NULL && client.ws != NULL);
    if (len > 3 && (data[0] & 1) != 0)
        agree(&server, &client, data + 1);
    if (len > 3)
        talk(&server, &client, data + 3, len - 3);
    finish(&server, &client);
    finish(&client, &server);
    wsk_ws_send_close(server.ws, 1000, NULL, 0);
    carry(&server, &client, MESSAGE_MOST);
    carry(&client, &server, MESSAGE_MOST);
    REQUIRE(server.closed && client.closed);
    REQUIRE(same(&server.said, &client.heard));
    REQUIRE(same(&client.said, &server.heard));
    for (struct side *s = &server; s != NULL;
         s = s == &server ? &client : NULL) {
        free(s->said.p);
        free(s->heard.p);
        wsk_ws_free(s->ws);
    }
    return 0;
}
