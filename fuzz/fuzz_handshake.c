/* Any header fields: the verdict on a handshake is one of the four, an accepted
 * one keeps its promises, and the walk over the offers agrees with it. */
#include "fuzz.h"

#include "base/ascii.h"
#include "wsocket.h"

enum { MAX_FIELDS = 32 };

/* Names worth a short code, so that inputs reach past the first check. */
static const char *const NAMES[] = {
    "Upgrade",
    "Connection",
    "Sec-WebSocket-Key",
    "Sec-WebSocket-Version",
    "Host",
    "Sec-WebSocket-Protocol",
    "Sec-WebSocket-Extensions",
};

static wsk_header fields[MAX_FIELDS];

/* Lines of a code and a value; the views point into data. */
static size_t split(const char *data, size_t len)
{
    size_t n = 0;

    while (len > 0 && n < MAX_FIELDS) {
        const char *nl = memchr(data, '\n', len);
        size_t line = nl ? (size_t)(nl - data) : len;

        if (line > 0) {
            const char *name = NAMES[(unsigned char)data[0] % 7];

            fields[n].name = (wsk_str){name, strlen(name)};
            fields[n++].value = wsk__str_trim((wsk_str){data + 1, line - 1});
        }
        line += nl != NULL;
        data += line;
        len -= line;
    }
    return n;
}

static void check_offers(const wsk_head *head, bool accepted)
{
    size_t pos = 0, before = 0;
    wsk_str offer;
    char name[64];

    while (wsk_ws_next_offer(head, &pos, &offer)) {
        REQUIRE(offer.len > 0 && pos > before);
        before = pos;
        if (!accepted)
            continue;
        REQUIRE(wsk__is_token(offer.p, offer.len));
        if (offer.len < sizeof(name)) {
            memcpy(name, offer.p, offer.len);
            name[offer.len] = '\0';
            REQUIRE(wsk_ws_offered(head, name));
        }
    }
    REQUIRE(!wsk_ws_next_offer(head, &pos, &offer));
}

static void check_deflate(const wsk_head *head)
{
    char text[WSK_WS_DEFLATE_TEXT];
    wsk_ws_deflate agreed;

    memset(text, 'x', sizeof(text));
    if (!wsk_ws_agree_deflate(head, true, &agreed, text))
        return;
    REQUIRE(memchr(text, '\0', sizeof(text)) != NULL);
    REQUIRE(agreed.server_bits >= 8 && agreed.server_bits <= 15);
    REQUIRE(agreed.server_takeover ==
            (strstr(text, "server_no_context_takeover") == NULL));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    wsk_head head = {.method = {"GET", 3}, .headers = fields};
    wsk_ws_verdict verdict;
    char *copy;

    if (len == 0)
        return 0;
    copy = malloc(len);
    REQUIRE(copy != NULL);
    memcpy(copy, data, len);
    if ((copy[0] & 1) != 0)
        head.method = (wsk_str){"POST", 4};
    head.chunked = (copy[0] & 2) != 0;
    head.has_length = (copy[0] & 4) != 0;
    head.content_length = (copy[0] & 12) == 12 ? 8 : 0;
    head.n_headers = split(copy + 1, len - 1);

    verdict = wsk_ws_judge(&head, false);
    REQUIRE(verdict.status == 101 || verdict.status == 400 ||
            verdict.status == 405 || verdict.status == 426);
    REQUIRE(verdict.reason != NULL);
    if (verdict.status == 101) {
        REQUIRE(wsk__str_is(head.method, "GET"));
        REQUIRE(!head.chunked && head.content_length == 0);
        REQUIRE(wsk_head_get(&head, "Sec-WebSocket-Key").len == 24);
        REQUIRE(verdict.accept[WSK_WS_ACCEPT_LEN - 1] == '=');
    }
    check_offers(&head, verdict.status == 101);
    check_deflate(&head);
    free(copy);
    return 0;
}
