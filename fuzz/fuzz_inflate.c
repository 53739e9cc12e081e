/* Any octets as compressed messages: the engine says the same however they are
 * cut into pieces, and passes no cap. */
#include "fuzz.h"

#include "base/utf8.h"
#include "ws/frame.h"
#include "wsocket.h"

#include <zlib.h>

enum { MOST = 65536 };

/* The octets of the input as messages: each begins with one that says how long
 * it is and where it is cut into two fragments. */
struct wire {
    uint8_t octets[MOST];
    size_t len;
};

static void put_frame(struct wire *w, wsk_opcode opcode, bool fin,
                      const uint8_t *data, size_t len)
{
    uint8_t head[WSK__FRAME_OWN_MAX];
    size_t n = wsk__frame_write(head, opcode, fin, len);

    REQUIRE(w->len + n + 4 + len <= MOST);
    head[0] |= opcode != WSK_CONTINUATION ? WSK__RSV1 : 0;
    head[1] |= 0x80;
    memcpy(w->octets + w->len, head, n);
    memset(w->octets + w->len + n, 0, 4); /* the key */
    if (len > 0)
        memcpy(w->octets + w->len + n + 4, data, len);
    w->len += n + 4 + len;
}

static void write_wire(struct wire *w, const uint8_t *data, size_t len)
{
    w->len = 0;
    while (len > 0) {
        wsk_opcode opcode = (data[0] & 1) != 0 ? WSK_TEXT : WSK_BINARY;
        size_t n = data[0] >> 1, cut;

        data++, len--;
        n = n < len && n < 127 ? n : len; /* 127: all the rest */
        cut = n / 3;
        put_frame(w, opcode, false, data, cut);
        put_frame(w, WSK_CONTINUATION, true, data + cut, n - cut);
        data += n, len -= n;
    }
}

/* Results of a run, and the contents of its messages. */
struct log {
    uint32_t sum; /* of everything, in order */
    unsigned messages;
    size_t out;
};

static void note(struct log *log, const void *data, size_t len)
{
    log->sum = (uint32_t)crc32(log->sum, data, (uInt)len);
}

static struct log run(const wsk_ws_deflate *how, uint64_t limit,
                      const struct wire *w, size_t piece)
{
    struct log log = {0};
    wsk_limits limits;
    const uint8_t *owed;
    wsk_ws *ws;
    size_t used;

    wsk_limits_init(&limits);
    limits.ws_max_size = limit;
    ws = wsk_ws_new_server(&limits);
    REQUIRE(ws != NULL && wsk_ws_set_deflate(ws, how) == WSK_OK);
    for (size_t at = 0; at < w->len && !wsk_ws_done(ws);) {
        size_t n = piece < w->len - at ? piece : w->len - at;
        uint8_t *part = malloc(n);
        wsk_ws_event ev;

        REQUIRE(part != NULL);
        memcpy(part, w->octets + at, n);
        REQUIRE(wsk_ws_feed(ws, part, n, &used) == WSK_OK && used <= n);
        at += used;
        while ((ev = wsk_ws_next(ws)).kind != WSK_WS_NONE) {
            REQUIRE(ev.len <= limit || ev.kind != WSK_WS_MESSAGE);
            REQUIRE(ev.opcode != WSK_TEXT || wsk__utf8_valid(ev.data, ev.len));
            note(&log, &ev.kind, sizeof(ev.kind));
            note(&log, &ev.len, sizeof(ev.len));
            note(&log, ev.data, ev.len);
            log.messages += ev.kind == WSK_WS_MESSAGE;
        }
        free(part);
    }
    owed = wsk_ws_out_buf(ws, &log.out);
    if (owed != NULL)
        note(&log, owed, log.out);
    wsk_ws_free(ws);
    return log;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static const uint64_t LIMITS[] = {1048576, 0, 10, 3000};
    static const size_t PIECES[] = {1, 3, 40};
    static struct wire w;
    wsk_ws_deflate how = {.server_bits = 15};
    struct log whole;

    if (len < 1 || len > 2048)
        return 0;
    how.client_takeover = (data[0] & 4) != 0;
    write_wire(&w, data + 1, len - 1);
    whole = run(&how, LIMITS[data[0] & 3], &w, MOST);
    for (size_t i = 0; i < sizeof(PIECES) / sizeof(*PIECES); i++) {
        struct log other = run(&how, LIMITS[data[0] & 3], &w, PIECES[i]);

        REQUIRE(other.sum == whole.sum && other.messages == whole.messages);
        REQUIRE(other.out == whole.out);
    }
    return 0;
}
