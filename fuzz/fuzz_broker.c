/* A session reads whatever two servers say, in any pieces, and stays in order:
 * the envelope in it, too. Each input is a list of steps: an octet that
 * chooses, one of a length, and so many octets. */
#include "fuzz.h"

#include "broker/session.h"

static const wsk_str TOPICS[] = {{"a", 1}, {"b", 1}};

static void check_envelope(const uint8_t *data, size_t len)
{
    struct wsk__envelope e;
    wsk_str rest, name;
    size_t n = 0;

    if (!wsk__envelope_read((wsk_str){(const char *)data, len}, &e))
        return;
    rest = e.names;
    while (wsk__envelope_next_name(&rest, &name)) {
        REQUIRE(name.len > 0);
        n++;
    }
    REQUIRE(rest.len == 0 && n == e.n_names);
    REQUIRE(e.message.len <= len);
}

/* Send what is to be sent, to nobody. */
static void send_all(struct wsk__session *s)
{
    for (int i = 0; i < WSK__LINKS; i++)
        wsk__buf_ack(&s->link[i].out, wsk__buf_len(&s->link[i].out));
}

static void take_events(struct wsk__session *s, uint64_t now_ms)
{
    struct wsk__session_event ev;

    do {
        wsk__session_next(s, now_ms, &ev);
        if (ev.what == WSK__SESSION_FAILED) {
            REQUIRE(s->why[0] != '\0');
            wsk__session_lost(s);
        }
        REQUIRE(ev.what != WSK__SESSION_GAP || s->phase == WSK__SESSION_UP);
        REQUIRE(ev.what != WSK__SESSION_CONFIRMED ||
                wsk__wanted_is_confirmed(&s->interest, ev.topic));
    } while (ev.what != WSK__SESSION_NOTHING && s->phase != WSK__SESSION_DOWN);
    send_all(s);
}

/* Say what a good Redis would: AUTH is not asked. */
static void answer_well(struct wsk__session *s, uint64_t now_ms)
{
    static const char ROLE[] = "*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n";
    static const char JOINED[] =
        "*3\r\n$9\r\nsubscribe\r\n$3\r\nw:n\r\n:1\r\n"
        "*3\r\n$9\r\nsubscribe\r\n$20\r\nw:n:0000000000000001\r\n:2\r\n";

    for (int i = 0; i < WSK__LINKS; i++)
        wsk__session_feed(s, (enum wsk__link_kind)i, ROLE, sizeof ROLE - 1,
                          now_ms);
    wsk__session_feed(s, WSK__LINK_SUBSCRIBE, JOINED, sizeof JOINED - 1,
                      now_ms);
    take_events(s, now_ms);
}

static void step(struct wsk__session *s, uint8_t what, const uint8_t *data,
                 size_t len, uint64_t *now_ms)
{
    struct wsk__envelope e = {.kind = WSK__ENVELOPE_MESSAGE,
                              .message = {(const char *)data, len}};
    wsk_str topic = TOPICS[what >> 4 & 1];

    if (s->phase == WSK__SESSION_DOWN)
        REQUIRE(wsk__session_begin(s, *now_ms));
    switch (what & 7) {
    case 0:
        wsk__session_want(s, topic);
        break;
    case 1:
        wsk__session_unwant(s, topic, *now_ms);
        break;
    case 2:
        wsk__session_publish(s, TOPICS, 1 + (what >> 4 & 1), &e, *now_ms);
        break;
    case 3:
        *now_ms += what;
        wsk__session_tick(s, *now_ms);
        break;
    case 4:
        answer_well(s, *now_ms);
        break;
    default:
        wsk__session_feed(s, (enum wsk__link_kind)(what >> 3 & 1), data, len,
                          *now_ms);
    }
    take_events(s, *now_ms);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct wsk__session_config cfg = {.prefix = {"w", 1},
                                      .node = 1,
                                      .message_max = 1 << 16,
                                      .probe_ms = 500,
                                      .timeout_ms = 200,
                                      .linger_ms = 50};
    struct wsk__session s;
    uint64_t now_ms = 1000;

    check_envelope(data, size);
    wsk__session_init(&s, &cfg);
    while (size >= 2) {
        size_t len = data[1] < size - 2 ? data[1] : size - 2;

        step(&s, data[0], data + 2, len, &now_ms);
        data += 2 + len;
        size -= 2 + len;
    }
    wsk__session_clear(&s);
    return 0;
}
