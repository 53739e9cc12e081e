#include "http/reply.h"

#include "base/ascii.h"

#include <string.h>

/* RFC 9110 15, 6585, 4918, 8297, 8470, 7725. */
/* clang-format off */
#define STATUS_LIST(X)                                                         \
    X(100, "Continue")                                                         \
    X(101, "Switching Protocols")                                              \
    X(102, "Processing")                                                       \
    X(103, "Early Hints")                                                      \
    X(200, "OK")                                                               \
    X(201, "Created")                                                          \
    X(202, "Accepted")                                                         \
    X(203, "Non-Authoritative Information")                                    \
    X(204, "No Content")                                                       \
    X(205, "Reset Content")                                                    \
    X(206, "Partial Content")                                                  \
    X(207, "Multi-Status")                                                     \
    X(208, "Already Reported")                                                 \
    X(226, "IM Used")                                                          \
    X(300, "Multiple Choices")                                                 \
    X(301, "Moved Permanently")                                                \
    X(302, "Found")                                                            \
    X(303, "See Other")                                                        \
    X(304, "Not Modified")                                                     \
    X(305, "Use Proxy")                                                        \
    X(307, "Temporary Redirect")                                               \
    X(308, "Permanent Redirect")                                               \
    X(400, "Bad Request")                                                      \
    X(401, "Unauthorized")                                                     \
    X(402, "Payment Required")                                                 \
    X(403, "Forbidden")                                                        \
    X(404, "Not Found")                                                        \
    X(405, "Method Not Allowed")                                               \
    X(406, "Not Acceptable")                                                   \
    X(407, "Proxy Authentication Required")                                    \
    X(408, "Request Timeout")                                                  \
    X(409, "Conflict")                                                         \
    X(410, "Gone")                                                             \
    X(411, "Length Required")                                                  \
    X(412, "Precondition Failed")                                              \
    X(413, "Content Too Large")                                                \
    X(414, "URI Too Long")                                                     \
    X(415, "Unsupported Media Type")                                           \
    X(416, "Range Not Satisfiable")                                            \
    X(417, "Expectation Failed")                                               \
    X(418, "I'm a teapot")                                                     \
    X(421, "Misdirected Request")                                              \
    X(422, "Unprocessable Content")                                            \
    X(423, "Locked")                                                           \
    X(424, "Failed Dependency")                                                \
    X(425, "Too Early")                                                        \
    X(426, "Upgrade Required")                                                 \
    X(428, "Precondition Required")                                            \
    X(429, "Too Many Requests")                                                \
    X(431, "Request Header Fields Too Large")                                  \
    X(451, "Unavailable For Legal Reasons")                                    \
    X(500, "Internal Server Error")                                            \
    X(501, "Not Implemented")                                                  \
    X(502, "Bad Gateway")                                                      \
    X(503, "Service Unavailable")                                              \
    X(504, "Gateway Timeout")                                                  \
    X(505, "HTTP Version Not Supported")                                       \
    X(506, "Variant Also Negotiates")                                          \
    X(507, "Insufficient Storage")                                             \
    X(508, "Loop Detected")                                                    \
    X(511, "Network Authentication Required")
/* clang-format on */

const char *wsk_reason(int status)
{
    switch (status) {
#define X(code, text)                                                          \
    case code:                                                                 \
        return text;
        STATUS_LIST(X)
#undef X
    }
    return "Unknown";
}

/* ---------------------------------------------------------- legality --- */

enum field {
    FIELD_UNKNOWN, /* any other, so perhaps no token */
    FIELD_PLAIN,
    FIELD_CONNECTION,
    FIELD_LENGTH,
    FIELD_DATE,
    FIELD_SERVER,
    FIELD_HSTS,
    FIELD_UPGRADE,
    FIELD_REFUSED, /* a field of this hop, which the application must not set:
                      RFC 9110 7.6.1, and those that PEP 3333 has from RFC
                      2616 13.5.1 */
};

static enum field field_of(wsk_str name)
{
    static const struct known {
        const char *name;
        enum field field;
    } KNOWN[] = {
        {"te", FIELD_REFUSED},
        {"date", FIELD_DATE},
        {"server", FIELD_SERVER},
        {"trailer", FIELD_REFUSED},
        {"upgrade", FIELD_UPGRADE},
        {"trailers", FIELD_REFUSED},
        {"connection", FIELD_CONNECTION},
        {"keep-alive", FIELD_REFUSED},
        {"content-type", FIELD_PLAIN}, /* nearly all answers have it */
        {"content-length", FIELD_LENGTH},
        {"proxy-connection", FIELD_REFUSED},
        {"transfer-encoding", FIELD_REFUSED},
        {"proxy-authenticate", FIELD_REFUSED},
        {"proxy-authorization", FIELD_REFUSED},
        {"strict-transport-security", FIELD_HSTS},
    };
    /* First name of each length, and behind the last name of it. */
    static const uint8_t FROM[] = {0,  0,  0,  1,  1,  2,  2,  3,  5,
                                   6,  6,  8,  8,  9,  9,  10, 10, 11,
                                   12, 13, 14, 14, 14, 14, 14, 14, 15};

    if (name.len + 1 < sizeof FROM)
        for (size_t i = FROM[name.len]; i < FROM[name.len + 1]; i++)
            if (wsk__name_matches(name, KNOWN[i].name, name.len))
                return KNOWN[i].field;
    return FIELD_UNKNOWN;
}

/* Framing and connection as the application's fields state them. */
struct survey {
    size_t octets; /* bytes of the fields when they are written */
    wsk_str length;
    bool close, date, server, hsts, upgrade;
    bool leaves_out; /* some fields are not written */
};

/* True if the application must not set Content-Length: there is none where no
 * body is possible (RFC 9110 8.6), and that of a 205 is 0 (15.3.6). */
static bool has_no_length(int status)
{
    return status == 204 || status == 101 || status == 205;
}

static bool survey_field(struct survey *s, int status, const wsk_header *h)
{
    if (!wsk__is_field_value(h->value.p, h->value.len))
        return false;
    s->octets += h->name.len + h->value.len + 4; /* ": " and CRLF */
    switch (field_of(h->name)) {
    case FIELD_UNKNOWN:
        return wsk__is_token(h->name.p, h->name.len);
    case FIELD_PLAIN:
        return true;
    case FIELD_CONNECTION:
        s->leaves_out = true;
        s->close |= wsk__list_has(h->value, "close");
        return true;
    case FIELD_LENGTH:
        if (s->length.p != NULL)
            return false;
        s->length = wsk__str_trim(h->value);
        s->leaves_out |= has_no_length(status);
        return true;
    case FIELD_DATE:
        s->date = true;
        return true;
    case FIELD_SERVER:
        s->server = true;
        return true;
    case FIELD_HSTS:
        s->hsts = true;
        return true;
    case FIELD_UPGRADE: /* 9110 15.2.2, 15.5.22 */
        s->upgrade = true;
        return status == 101 || status == 426;
    case FIELD_REFUSED:
        return false;
    }
    return false;
}

/* True if the head that the application chose is legal. */
static bool survey_reply(struct survey *s, const struct wsk__reply *r,
                         wsk_str reason)
{
    if (r->status != 101 && (r->status < 200 || r->status > 599))
        return false;
    if (!wsk__is_field_value(reason.p, reason.len))
        return false;
    for (size_t i = 0; i < r->n; i++)
        if (!survey_field(s, r->status, &r->headers[i]))
            return false;
    return true;
}

/* --------------------------------------------------------- decisions --- */

/*
 * Decide the framing (RFC 9112 6.3, seen from the sender). *announce is the
 * Content-Length to add, or WSK_LENGTH_UNKNOWN. False when the application
 * contradicts itself.
 */
static bool decide_framing(struct wsk__reply *r, const struct survey *s,
                           uint64_t *announce)
{
    uint64_t stated = r->length;

    *announce = WSK_LENGTH_UNKNOWN;
    if (s->length.p != NULL && !wsk__read_length(s->length, &stated))
        return false;
    r->framing = WSK__FRAMING_NONE;
    if (r->status == 101 || r->status == 204 || r->status == 304)
        return true;
    if (r->status == 205) {
        *announce = 0;
        return true;
    }
    if (s->length.p == NULL)
        *announce = r->length;
    if (r->to_head)
        return true;
    if (r->length != WSK_LENGTH_UNKNOWN && r->length != stated)
        return false;
    r->length = stated;
    if (stated != WSK_LENGTH_UNKNOWN)
        r->framing = WSK__FRAMING_LENGTH;
    else
        r->framing = r->http10 ? WSK__FRAMING_CLOSE : WSK__FRAMING_CHUNKED;
    return true;
}

/* Return the one Connection field, which includes the application's. */
static const char *connection_line(const struct wsk__reply *r, bool upgrade)
{
    if (r->status == 101)
        return "Connection: Upgrade\r\n";
    if (upgrade) /* RFC 9110 7.8: a sender of Upgrade lists it here */
        return r->keep_alive ? "Connection: Upgrade\r\n"
                             : "Connection: Upgrade, close\r\n";
    if (!r->keep_alive)
        return "Connection: close\r\n";
    return r->http10 ? "Connection: keep-alive\r\n" : ""; /* 9112 9.3 */
}

/* ----------------------------------------------------------- writing --- */

static inline uint8_t *put(uint8_t *to, const char *p, size_t len)
{
    if (len > 0)
        memcpy(to, p, len);
    return to + len;
}

/* Append a literal; the compiler knows its length. */
static inline uint8_t *put_text(uint8_t *to, const char *text)
{
    return put(to, text, strlen(text));
}

static uint8_t *put_number(uint8_t *to, uint64_t n, unsigned base)
{
    char digits[20];
    size_t at = sizeof digits;

    do
        digits[--at] = "0123456789abcdef"[n % base];
    while ((n /= base) > 0);
    return put(to, digits + at, sizeof digits - at);
}

/* Append what RFC 6797 7.1 wants of an answer that came by https. */
static uint8_t *put_hsts(uint8_t *to, uint32_t seconds)
{
    to = put_text(to, "Strict-Transport-Security: max-age=");
    to = put_number(to, seconds, 10);
    return put_text(to, "\r\n");
}

static bool is_left_out(const struct wsk__reply *r, wsk_str name)
{
    enum field field = field_of(name);

    return field == FIELD_CONNECTION ||
           (field == FIELD_LENGTH && has_no_length(r->status));
}

static uint8_t *put_fields(uint8_t *to, const struct wsk__reply *r,
                           const struct survey *s)
{
    for (size_t i = 0; i < r->n; i++) {
        const wsk_header *h = &r->headers[i];

        if (s->leaves_out && is_left_out(r, h->name))
            continue;
        to = put(to, h->name.p, h->name.len);
        to = put(to, ": ", 2);
        to = put(to, h->value.p, h->value.len);
        to = put(to, "\r\n", 2);
    }
    return to;
}

wsk_status wsk__reply_head(struct wsk__buf *out, struct wsk__reply *r)
{
    /* The longest head, without the reason and the application's fields. */
    static const char WORST[] =
        "HTTP/1.1 200 \r\nServer: wsocket\r\n"
        "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n"
        "Strict-Transport-Security: max-age=4294967295\r\n"
        "Content-Length: 18446744073709551615\r\n"
        "Transfer-Encoding: chunked\r\nConnection: Upgrade, close\r\n\r\n";
    struct survey s = {0};
    const char *text = r->reason ? r->reason : wsk_reason(r->status);
    const wsk_str reason = {text, strlen(text)};
    uint64_t announce;
    uint8_t *room, *to;

    if (!survey_reply(&s, r, reason) || !decide_framing(r, &s, &announce))
        return WSK_E_ARG;
    r->keep_alive &= !s.close && r->framing != WSK__FRAMING_CLOSE;

    to = room = wsk__buf_room(out, sizeof WORST + reason.len + s.octets);
    if (room == NULL)
        return WSK_E_NOMEM;
    to = put_text(to, "HTTP/1.1 ");
    to = put_number(to, (unsigned)r->status, 10);
    *to++ = ' ';
    to = put(to, reason.p, reason.len);
    to = put_text(to, "\r\n");
    if (r->server && !s.server)
        to = put_text(to, "Server: wsocket\r\n");
    if (r->date != NULL && !s.date) {
        to = put_text(to, "Date: ");
        to = put(to, r->date, 29);
        to = put_text(to, "\r\n");
    }
    if (r->hsts > 0 && !s.hsts)
        to = put_hsts(to, r->hsts);
    to = put_fields(to, r, &s);
    if (announce != WSK_LENGTH_UNKNOWN) {
        to = put_text(to, "Content-Length: ");
        to = put_number(to, announce, 10);
        to = put_text(to, "\r\n");
    } else if (r->framing == WSK__FRAMING_CHUNKED) {
        to = put_text(to, "Transfer-Encoding: chunked\r\n");
    }
    to = put_text(to, connection_line(r, s.upgrade));
    to = put_text(to, "\r\n");
    wsk__buf_grow_tail(out, (size_t)(to - room));
    return WSK_OK;
}

wsk_status wsk__reply_hints(struct wsk__buf *out, const wsk_header *headers,
                            size_t n)
{
    static const char LINE[] = "HTTP/1.1 103 Early Hints\r\n";
    const struct wsk__reply r = {.status = 103, .headers = headers, .n = n};
    struct survey s = {0};
    uint8_t *room, *to;

    for (size_t i = 0; i < n; i++)
        if (!survey_field(&s, r.status, &headers[i]) ||
            field_of(headers[i].name) > FIELD_PLAIN)
            return WSK_E_ARG;
    to = room = wsk__buf_room(out, sizeof LINE + 2 + s.octets);
    if (room == NULL)
        return WSK_E_NOMEM;
    to = put_fields(put_text(to, LINE), &r, &s);
    to = put_text(to, "\r\n");
    wsk__buf_grow_tail(out, (size_t)(to - room));
    return WSK_OK;
}

bool wsk__reply_chunk(struct wsk__buf *out, const uint8_t *data, size_t len)
{
    enum { FRAMING = 16 + 2 + 2 }; /* the longest size and two CRLFs */
    uint8_t *room, *to;

    if (len > SIZE_MAX - FRAMING)
        return false;
    to = room = wsk__buf_room(out, len + FRAMING);
    if (room == NULL)
        return false;
    to = put_number(to, len, 16);
    to = put_text(to, "\r\n");
    to = put(to, (const char *)data, len);
    to = put_text(to, "\r\n");
    wsk__buf_grow_tail(out, (size_t)(to - room));
    return true;
}

bool wsk__reply_chunk_open(struct wsk__buf *out, size_t len)
{
    uint8_t *room = wsk__buf_room(out, 16 + 2), *to;

    if (room == NULL)
        return false;
    to = put_text(put_number(room, len, 16), "\r\n");
    wsk__buf_grow_tail(out, (size_t)(to - room));
    return true;
}

bool wsk__reply_chunk_close(struct wsk__buf *out)
{
    return wsk__buf_put(out, "\r\n", 2);
}

bool wsk__reply_last_chunk(struct wsk__buf *out)
{
    return wsk__buf_put(out, "0\r\n\r\n", 5);
}

size_t wsk__reply_refusal_len(int status)
{
    return strlen("400 ") + strlen(wsk_reason(status)) + strlen("\n");
}

void wsk__reply_refusal(struct wsk__buf *out, struct wsk__reply *r)
{
    static const wsk_header FIELDS[] = {
        {{"Content-Type", 12}, {"text/plain", 10}},
        {{"Retry-After", 11}, {"1", 1}}};
    const char *reason = wsk_reason(r->status);
    size_t len = wsk__reply_refusal_len(r->status);
    uint8_t *to;

    r->reason = reason;
    r->headers = FIELDS;
    r->n = r->status == 503 ? 2 : 1; /* RFC 9110 15.6.4: it will pass */
    r->length = len;
    r->keep_alive = false;
    if (wsk__reply_head(out, r) != WSK_OK || r->to_head)
        return;
    to = wsk__buf_room(out, len);
    if (to == NULL)
        return;
    to = put_number(to, (unsigned)r->status, 10);
    to = put_text(to, " ");
    to = put_text(to, reason);
    put_text(to, "\n");
    wsk__buf_grow_tail(out, len);
}
