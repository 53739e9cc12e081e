/* Any octets, in any pieces: the WebSocket engine says the same, and what it
 * says is lawful. */
#include "log.h"

#include "base/utf8.h"
#include "ws/conn.h"
#include "wsocket.h"

/* The first octets of an input choose the circumstances. */
struct setting {
    uint64_t limit;       /* ws_max_size */
    unsigned close_after; /* events, then the application closes; 0: never */
    bool take;            /* messages are taken over */
    bool reads;           /* the peer reads what it is owed, after each event */
    bool bare;            /* ws_allow_unmasked */
    bool pieces;          /* messages come in pieces */
};
enum { SETTING_LEN = 2, PIECE_MOST = 65536 };

struct run {
    const struct setting *setting;
    wsk_ws *ws;
    struct log events, out;
    struct log begun;  /* the pieces of a message, until its last */
    unsigned n_events; /* but for pieces: they depend on the cuts */
    unsigned n_pieces;
    bool lends; /* whole messages are taken where they stand */
    bool closed;
};

static void check(const struct run *r, const wsk_ws_event *ev)
{
    REQUIRE(!r->closed); /* nothing follows CLOSED */
    REQUIRE(ev->data != NULL);
    if (ev->kind == WSK_WS_MESSAGE || ev->kind == WSK_WS_PIECE) {
        REQUIRE(ev->kind == WSK_WS_MESSAGE || r->setting->pieces);
        REQUIRE(ev->len <= r->setting->limit ||
                (r->setting->pieces && ev->len <= PIECE_MOST));
        REQUIRE(ev->opcode == WSK_BINARY ||
                (ev->opcode == WSK_TEXT && wsk__utf8_valid(ev->data, ev->len)));
    } else {
        REQUIRE(ev->len <= 125);
    }
    if (ev->kind == WSK_WS_CLOSED) {
        REQUIRE(wsk_ws_done(r->ws) && !wsk_ws_can_send(r->ws));
        REQUIRE(wsk__utf8_valid(ev->data, ev->len));
    }
}

static void write_down(struct run *r, const wsk_ws_event *ev)
{
    uint8_t head[] = {(uint8_t)ev->kind, (uint8_t)ev->opcode,
                      (uint8_t)(ev->code >> 8), (uint8_t)ev->code, ev->clean};

    if (ev->kind == WSK_WS_PIECE || ev->kind == WSK_WS_MESSAGE) {
        put(&r->begun, ev->data, ev->len);
        r->n_pieces++;
        if (ev->kind == WSK_WS_PIECE)
            return;
        put(&r->events, head, sizeof(head));
        put(&r->events, &r->begun.len, sizeof(r->begun.len));
        put(&r->events, r->begun.p, r->begun.len);
        r->begun.len = 0;
        return;
    }
    put(&r->events, head, sizeof(head));
    put(&r->events, &ev->len, sizeof(ev->len));
    put(&r->events, ev->data, ev->len);
}

static void read_out(struct run *r)
{
    const uint8_t *data;
    size_t len;

    while ((data = wsk_ws_out_buf(r->ws, &len)) != NULL) {
        put(&r->out, data, len);
        wsk_ws_out_ack(r->ws, len);
    }
}

static void hear(struct run *r, const wsk_ws_event *ev)
{
    check(r, ev);
    write_down(r, ev);
    r->closed = ev->kind == WSK_WS_CLOSED;
    if (r->setting->reads)
        read_out(r);
}

static void close_in_time(struct run *r)
{
    if (++r->n_events == r->setting->close_after)
        wsk_ws_send_close(r->ws, 1000, (const uint8_t *)"enough", 6);
}

static void drain(struct run *r)
{
    wsk_ws_event ev;

    while ((ev = wsk_ws_next(r->ws)).kind != WSK_WS_NONE) {
        void *block;

        hear(r, &ev);
        if (r->setting->take && ev.kind == WSK_WS_MESSAGE) {
            REQUIRE(wsk_ws_take_message(r->ws, &block) == WSK_OK);
            REQUIRE((block == NULL) == (ev.len == 0));
            wsk_free(block);
        }
        if (r->setting->pieces && ev.kind == WSK_WS_MESSAGE)
            wsk_ws_take_pieces(r->ws);
        if (ev.kind != WSK_WS_PIECE)
            close_in_time(r);
    }
}

/* A message that stands whole in data, if that is tried; returns its octets. */
static size_t take_whole(struct run *r, const uint8_t *data, size_t len)
{
    wsk_message msg;
    wsk_ws_event ev = {.kind = WSK_WS_MESSAGE};
    size_t used = r->lends ? wsk__ws_take_whole(r->ws, data, len, &msg) : 0;
    uint8_t *plain;

    if (used == 0)
        return 0;
    plain = malloc(msg.len + 1);
    REQUIRE(plain != NULL && msg.data >= data && used <= len &&
            msg.data + msg.len == data + used);
    if (!wsk_message_copy(&msg, plain) && msg.opcode == WSK_TEXT &&
        !wsk__utf8_valid(plain, msg.len)) {
        wsk__ws_fail(r->ws, 1007, "text is not UTF-8");
    } else {
        ev.opcode = msg.opcode;
        ev.data = plain;
        ev.len = msg.len;
        hear(r, &ev);
        close_in_time(r);
    }
    free(plain);
    return used;
}

/* One piece, in a block of exactly its size. */
static void feed(struct run *r, const uint8_t *data, size_t len)
{
    uint8_t *piece = malloc(len ? len : 1);
    size_t at = 0, used;

    REQUIRE(piece != NULL);
    memcpy(piece, data, len);
    while (at < len) {
        unsigned before = r->n_events + r->n_pieces;
        wsk_status st = WSK_OK;

        used = take_whole(r, piece + at, len - at);
        if (used == 0)
            st = wsk_ws_feed(r->ws, piece + at, len - at, &used);

        REQUIRE(used <= len - at);
        at += used;
        drain(r);
        if (st != WSK_OK) {
            REQUIRE(st == WSK_E_STATE && r->closed && used == 0);
            break;
        }
        REQUIRE(at == len || r->n_events + r->n_pieces > before);
    }
    free(piece);
}

static uint32_t next_random(uint32_t *seed)
{
    *seed = *seed * 1664525 + 1013904223;
    return *seed >> 8;
}

/* Pieces of one octet (1), of all (0), or of random lengths up to `most`. */
static struct run run(const struct setting *setting, const uint8_t *data,
                      size_t len, uint32_t most, bool lends)
{
    struct run r = {.setting = setting, .lends = lends};
    wsk_limits limits;
    uint32_t seed = (uint32_t)len;
    size_t n;

    wsk_limits_init(&limits);
    limits.ws_max_size = setting->limit;
    limits.ws_allow_unmasked = setting->bare;
    r.ws = wsk_ws_new_server(&limits);
    REQUIRE(r.ws != NULL);
    if (setting->pieces)
        wsk_ws_take_pieces(r.ws);
    for (size_t at = 0; at < len; at += n) {
        n = most == 0 ? len : 1 + next_random(&seed) % most;
        n = n < len - at ? n : len - at;
        feed(&r, data + at, n);
    }
    wsk_ws_feed_eof(r.ws);
    drain(&r);
    REQUIRE(r.closed);
    read_out(&r);
    wsk_ws_free(r.ws);
    return r;
}

/* Check that the octets sent are whole unmasked frames, and that a Close is the
 * last of them. */
static void check_out(const struct log *out)
{
    size_t at = 0;
    bool closed = false;

    while (at < out->len) {
        const uint8_t *p = out->p + at;

        REQUIRE(!closed && out->len - at >= 2);
        REQUIRE(p[0] == (0x80 | WSK_PONG) || p[0] == (0x80 | WSK_CLOSE));
        REQUIRE(p[1] <= 125 && out->len - at >= 2u + p[1]);
        closed = p[0] == (0x80 | WSK_CLOSE);
        at += 2u + p[1];
    }
}

static void end(struct run *r)
{
    free(r->events.p);
    free(r->begun.p);
    free(r->out.p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static const uint64_t limits[] = {1048576, 0, 10, 300};
    static const uint32_t pieces[] = {1, 3, 40, 0, 40};
    struct setting setting;
    struct run whole;

    if (len < SETTING_LEN)
        return 0;
    setting.limit = limits[data[0] & 3];
    setting.take = (data[0] & 4) != 0;
    setting.reads = (data[0] & 8) != 0;
    setting.bare = (data[0] & 16) != 0;
    setting.pieces = (data[0] & 32) != 0;
    setting.close_after = data[1];
    data += SETTING_LEN;
    len -= SETTING_LEN;

    whole = run(&setting, data, len, 0, false);
    check_out(&whole.out);
    for (size_t i = 0; i < sizeof(pieces) / sizeof(*pieces); i++) {
        struct run other = run(&setting, data, len, pieces[i], i > 2);

        REQUIRE(same(&whole.events, &other.events));
        REQUIRE(same(&whole.out, &other.out));
        end(&other);
    }
    end(&whole);
    return 0;
}
