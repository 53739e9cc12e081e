/* ws/client: the client's side of the opening handshake (RFC 6455 4.1). */
#include "base/ascii.h"
#include "base/base64.h"
#include "base/buf.h"
#include "base/mem.h"
#include "ws/extension.h"
#include "ws/handshake.h"

enum {
    HEAD_MAX = 65536, /* bytes of a head, in either direction */
    FIELDS_MAX = 128, /* fields of an answer */
};

static void make_key(const wsk_ws_ask *ask, char key[WSK__WS_KEY_LEN])
{
    wsk__base64_encode(ask->nonce, sizeof(ask->nonce), key);
}

/* ------------------------------------------------------------- request --- */

static bool put_text(struct wsk__buf *to, const char *text)
{
    return wsk__buf_put(to, text, strlen(text));
}

static bool put_field(struct wsk__buf *to, const char *name, wsk_str value)
{
    return put_text(to, name) && put_text(to, ": ") &&
           wsk__buf_put(to, value.p, value.len) && put_text(to, "\r\n");
}

/* True if the text may stand as the target of a request line (RFC 9112 3.2). */
static bool is_target(const char *target)
{
    if (target[0] != '/')
        return false;
    for (; *target != '\0'; target++)
        if (*target <= ' ' || *target >= 0x7f || *target == '#')
            return false;
    return true;
}

/* True for a field that the handshake itself writes, and no caller may. */
static bool is_ours(wsk_str name)
{
    static const char *const OURS[] = {
        "host", "upgrade", "connection", "content-length", "transfer-encoding",
    };

    for (size_t i = 0; i < sizeof(OURS) / sizeof(*OURS); i++)
        if (wsk__str_ieq(name, OURS[i]))
            return true;
    return name.len >= 14 &&
           wsk__str_ieq((wsk_str){name.p, 14}, "sec-websocket-");
}

static bool is_legal(const wsk_ws_ask *ask)
{
    wsk_str protocols = {ask->protocols, 0}, name;
    size_t pos = 0;

    if (!is_target(ask->target) || ask->host[0] == '\0' ||
        !wsk__is_field_value(ask->host, strlen(ask->host)))
        return false;
    protocols.len = ask->protocols != NULL ? strlen(ask->protocols) : 0;
    while (wsk__list_next(protocols, &pos, &name))
        if (!wsk__is_token(name.p, name.len))
            return false;
    for (size_t i = 0; i < ask->n_headers; i++) {
        const wsk_header *h = &ask->headers[i];

        if (!wsk__is_token(h->name.p, h->name.len) || is_ours(h->name) ||
            !wsk__is_field_value(h->value.p, h->value.len))
            return false;
    }
    return true;
}

static bool put_head(struct wsk__buf *to, const wsk_ws_ask *ask)
{
    char key[WSK__WS_KEY_LEN];
    bool ok;

    make_key(ask, key);
    ok = put_text(to, "GET ") && put_text(to, ask->target) &&
         put_text(to, " HTTP/1.1\r\n") &&
         put_field(to, "Host", (wsk_str){ask->host, strlen(ask->host)}) &&
         put_text(to, "Upgrade: websocket\r\nConnection: Upgrade\r\n"
                      "Sec-WebSocket-Version: 13\r\n") &&
         put_field(to, "Sec-WebSocket-Key", (wsk_str){key, sizeof(key)});
    if (ok && ask->protocols != NULL && ask->protocols[0] != '\0')
        ok = put_field(to, "Sec-WebSocket-Protocol",
                       (wsk_str){ask->protocols, strlen(ask->protocols)});
    if (ok && ask->deflate)
        ok = put_text(to, "Sec-WebSocket-Extensions: permessage-deflate; "
                          "client_max_window_bits") &&
             (ask->takeover || put_text(to, "; client_no_context_takeover; "
                                            "server_no_context_takeover")) &&
             put_text(to, "\r\n");
    for (size_t i = 0; ok && i < ask->n_headers; i++) {
        wsk_str name = ask->headers[i].name;

        ok = wsk__buf_put(to, name.p, name.len) && put_text(to, ": ") &&
             wsk__buf_put(to, ask->headers[i].value.p,
                          ask->headers[i].value.len) &&
             put_text(to, "\r\n");
    }
    return ok && put_text(to, "\r\n");
}

wsk_status wsk_ws_ask_head(const wsk_ws_ask *ask, char **head, size_t *len)
{
    struct wsk__buf to;

    if (!is_legal(ask))
        return WSK_E_ARG;
    wsk__buf_init(&to, HEAD_MAX);
    if (!put_head(&to, ask)) {
        wsk__buf_free(&to);
        return WSK_E_NOMEM;
    }
    *len = wsk__buf_len(&to);
    *head = (char *)to.block; /* head is 0: nothing was read */
    return WSK_OK;
}

/* -------------------------------------------------------------- answer --- */

/* Take a line that ends in CRLF, without it; false when there is none. */
static bool take_line(const char *data, size_t len, size_t *pos, wsk_str *line)
{
    const char *end = memchr(data + *pos, '\n', len - *pos);

    if (end == NULL || end == data + *pos || end[-1] != '\r')
        return false;
    line->p = data + *pos;
    line->len = (size_t)(end - 1 - line->p);
    *pos = (size_t)(end + 1 - data);
    return true;
}

/* Return the status of "HTTP/1.1 101 Switching Protocols"; 0 when the line is
 * no status line. */
static int status_of(wsk_str line)
{
    unsigned status;

    if (line.len < 12 || memcmp(line.p, "HTTP/1.", 7) != 0 ||
        !wsk__is_digit(line.p[7]) || line.p[8] != ' ' ||
        (line.len > 12 && line.p[12] != ' ') ||
        !wsk__read_decimal((wsk_str){line.p + 9, 3}, 3, 999, &status))
        return 0;
    return status >= 100 ? (int)status : 0;
}

static bool read_field(wsk_str line, wsk_header *field)
{
    const char *colon = memchr(line.p, ':', line.len);
    size_t n = colon != NULL ? (size_t)(colon - line.p) : 0;

    if (n == 0 || !wsk__is_token(line.p, n))
        return false;
    field->name = (wsk_str){line.p, n};
    field->value = wsk__str_trim((wsk_str){colon + 1, line.len - n - 1});
    return wsk__is_field_value(field->value.p, field->value.len);
}

/* Return what is wrong with a 101, or NULL (RFC 6455 4.1, the items behind "If
 * the response lacks"). */
static const char *judge(const wsk_ws_ask *ask, const wsk_head *head,
                         wsk_ws_answer *answer)
{
    char key[WSK__WS_KEY_LEN], accept[WSK_WS_ACCEPT_LEN];
    wsk_str protocols = {ask->protocols, 0}, value, name;
    size_t pos = 0, n;

    if (!wsk__fields_list(head, "upgrade", "websocket"))
        return "the 101 does not say Upgrade: websocket";
    if (!wsk__fields_list(head, "connection", "upgrade"))
        return "the 101 does not say Connection: Upgrade";
    make_key(ask, key);
    wsk__ws_accept_key((wsk_str){key, sizeof(key)}, accept);
    n = wsk__count_fields(head, "sec-websocket-accept", &value);
    if (n != 1 || value.len != sizeof(accept) ||
        memcmp(value.p, accept, sizeof(accept)) != 0)
        return "Sec-WebSocket-Accept is not the answer to our key";
    n = wsk__count_fields(head, "sec-websocket-protocol", &value);
    if (n > 1)
        return "the server has chosen two subprotocols";
    if (n == 1) {
        protocols.len = ask->protocols != NULL ? strlen(ask->protocols) : 0;
        while (answer->protocol.p == NULL &&
               wsk__list_next(protocols, &pos, &name))
            if (name.len == value.len && memcmp(name.p, value.p, name.len) == 0)
                answer->protocol = value;
        if (answer->protocol.p == NULL)
            return "the server has chosen a subprotocol that was not offered";
    }
    if (!wsk__extensions_answer(head, &answer->deflates, &answer->deflate) ||
        (answer->deflates && !ask->deflate))
        return "the server has chosen an extension that was not offered";
    /* RFC 7692 7.1.1.1: a server that was asked for it must agree. */
    if (answer->deflates && !ask->takeover && answer->deflate.server_takeover)
        return "the server keeps what it was asked not to keep";
    return NULL;
}

wsk_status wsk_ws_read_answer(const wsk_ws_ask *ask, const char *data,
                              size_t len, size_t *used, wsk_ws_answer *answer)
{
    wsk_header fields[FIELDS_MAX];
    wsk_head head = {.headers = fields};
    size_t pos = 0;
    wsk_str line;

    *answer = (wsk_ws_answer){.why = "this is not HTTP/1.1"};
    *used = 0;
    if (!take_line(data, len, &pos, &line))
        return memchr(data, '\n', len) == NULL && len < HEAD_MAX ? WSK_E_AGAIN
                                                                 : WSK_E_ARG;
    answer->status = status_of(line);
    if (answer->status == 0)
        return WSK_E_ARG;
    answer->why = "the head of the answer is malformed";
    for (;;) {
        if (!take_line(data, len, &pos, &line))
            return memchr(data + pos, '\n', len - pos) == NULL && len < HEAD_MAX
                       ? WSK_E_AGAIN
                       : WSK_E_ARG;
        if (line.len == 0)
            break;
        if (head.n_headers == FIELDS_MAX ||
            !read_field(line, &fields[head.n_headers++]))
            return WSK_E_ARG;
    }
    *used = pos;
    wsk__count_fields(&head, "location", &answer->location);
    answer->why = answer->status == 101
                      ? judge(ask, &head, answer)
                      : "the server has not accepted the WebSocket";
    if (answer->why == NULL)
        return WSK_OK;
    answer->protocol = (wsk_str){NULL, 0}; /* refused: nothing is agreed */
    answer->deflates = false;
    answer->deflate = (wsk_ws_deflate){0};
    return WSK_E_ARG;
}
