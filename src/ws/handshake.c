/* ws/handshake: judge a request that wants to open a WebSocket (RFC 6455
 * 4.2.1), and read the client's offers. */
#include "ws/handshake.h"
#include "base/ascii.h"
#include "base/base64.h"
#include "base/items.h"
#include "base/sha1.h"
#include "ws/extension.h"
#include "wsocket.h"

/* RFC 6455 1.3. */
#define GUID "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

enum {
    KEY_LEN = WSK__BASE64_LEN(16),
    /* A client that offers more protocols than this is not serious; the limit
     * keeps the search for repeated ones short. */
    MAX_OFFERS = 64,
};

_Static_assert(WSK_WS_ACCEPT_LEN == WSK__BASE64_LEN(WSK__SHA1_LEN),
               "the header promises the length of Sec-WebSocket-Accept");

size_t wsk__count_fields(const wsk_head *head, const char *name, wsk_str *value)
{
    size_t count = 0;

    *value = (wsk_str){NULL, 0};
    for (size_t i = 0; i < head->n_headers; i++) {
        if (wsk__str_ieq(head->headers[i].name, name)) {
            *value = head->headers[i].value;
            count++;
        }
    }
    return count;
}

bool wsk__fields_list(const wsk_head *head, const char *name, const char *word)
{
    for (size_t i = 0; i < head->n_headers; i++) {
        wsk_str item;
        size_t pos = 0;

        if (!wsk__str_ieq(head->headers[i].name, name))
            continue;
        while (wsk__list_next(head->headers[i].value, &pos, &item))
            if (wsk__str_ieq(item, word))
                return true;
    }
    return false;
}

bool wsk_ws_next_offer(const wsk_head *head, size_t *pos, wsk_str *name)
{
    size_t base = 0; /* place of the field if all fields were joined */

    for (size_t i = 0; i < head->n_headers; i++) {
        const wsk_header *field = &head->headers[i];
        size_t local;

        if (!wsk__str_ieq(field->name, "sec-websocket-protocol"))
            continue;
        local = *pos > base ? *pos - base : 0;
        if (wsk__list_next(field->value, &local, name)) {
            *pos = base + local;
            return true;
        }
        base += field->value.len;
    }
    *pos = base;
    return false;
}

bool wsk_ws_offered(const wsk_head *head, const char *name)
{
    size_t pos = 0;
    wsk_str offer;

    while (wsk_ws_next_offer(head, &pos, &offer))
        if (wsk__str_is(offer, name))
            return true;
    return false;
}

bool wsk_ws_choose(const wsk_head *head, const char *preferred,
                   char name[WSK_WS_PROTOCOL_MAX])
{
    wsk_str item;
    size_t pos = 0;

    while (wsk__words_next(preferred, &pos, &item)) {
        if (item.len >= WSK_WS_PROTOCOL_MAX)
            continue;
        memcpy(name, item.p, item.len);
        name[item.len] = '\0';
        if (wsk_ws_offered(head, name))
            return true;
    }
    return false;
}

wsk_str wsk_ws_origin(const wsk_head *head)
{
    static const wsk_str several = {"", 0};
    wsk_str origin, draft;
    size_t n = wsk__count_fields(head, "origin", &origin);

    n += wsk__count_fields(head, "sec-websocket-origin", &draft);
    if (n > 1)
        return several;
    return origin.p != NULL ? origin : draft;
}

/* Judge the offered subprotocols: tokens, each of them once (RFC 6455 4.1, item
 * 10 of the requirements). Returns NULL when they are good. */
static const char *judge_offers(const wsk_head *head)
{
    wsk_str seen[MAX_OFFERS], offer;
    size_t n = 0, pos = 0;

    while (wsk_ws_next_offer(head, &pos, &offer)) {
        if (!wsk__is_token(offer.p, offer.len))
            return "Sec-WebSocket-Protocol is not a list of tokens";
        if (n == MAX_OFFERS)
            return "Sec-WebSocket-Protocol lists too many protocols";
        for (size_t i = 0; i < n; i++)
            if (seen[i].len == offer.len &&
                memcmp(seen[i].p, offer.p, offer.len) == 0)
                return "Sec-WebSocket-Protocol lists a protocol twice";
        seen[n++] = offer;
    }
    return NULL;
}

/* RFC 6455 4.2.2, item 5.4. */
void wsk__ws_accept_key(wsk_str key, char accept[WSK_WS_ACCEPT_LEN])
{
    char text[KEY_LEN + sizeof(GUID) - 1];
    uint8_t digest[WSK__SHA1_LEN];

    memcpy(text, key.p, KEY_LEN);
    memcpy(text + KEY_LEN, GUID, sizeof(GUID) - 1);
    wsk__sha1(text, sizeof(text), digest);
    wsk__base64_encode(digest, sizeof(digest), accept);
}

static wsk_ws_verdict refuse(int status, const char *reason)
{
    return (wsk_ws_verdict){.status = status, .reason = reason};
}

/* Accept the version; drafts 7 to 12 of RFC 6455 called themselves 7 and 8. */
static bool speaks(wsk_str version, bool drafts)
{
    return wsk__str_is(version, "13") ||
           (drafts && (wsk__str_is(version, "8") || wsk__str_is(version, "7")));
}

wsk_ws_verdict wsk_ws_judge(const wsk_head *head, bool drafts)
{
    wsk_ws_verdict verdict = {.status = 101, .reason = "a valid handshake"};
    wsk_str version, key;
    const char *why;
    size_t n;

    if (!wsk__str_is(head->method, "GET"))
        return refuse(405, "a WebSocket begins with GET");
    if (!wsk__fields_list(head, "upgrade", "websocket"))
        return refuse(400, "Upgrade does not list websocket");
    if (!wsk__fields_list(head, "connection", "upgrade"))
        return refuse(400, "Connection does not list upgrade");
    /* The version is judged before the key, whose form other versions may
     * change. */
    n = wsk__count_fields(head, "sec-websocket-version", &version);
    if (n != 1 || version.len == 0 ||
        memchr(version.p, ',', version.len) != NULL)
        return refuse(400, "Sec-WebSocket-Version is not one version");
    if (!speaks(version, drafts))
        return refuse(426, "only WebSocket version 13 is spoken here");
    n = wsk__count_fields(head, "sec-websocket-key", &key);
    if (n != 1 || !wsk__base64_is_16_octets(key.p, key.len))
        return refuse(400, "Sec-WebSocket-Key is not one key of 16 octets");
    /* Frames follow the head. With a body between, a proxy could see the frames
     * begin elsewhere. */
    if (head->chunked || head->content_length > 0)
        return refuse(400, "a WebSocket handshake has no body");
    why = judge_offers(head);
    if (why == NULL)
        why = wsk__extensions_judge(head);
    if (why != NULL)
        return refuse(400, why);

    wsk__ws_accept_key(key, verdict.accept);
    return verdict;
}
