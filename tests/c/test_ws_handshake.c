#include "harness.h"

#include "wsocket.h"

/* A head whose strings lie in blocks of their exact size. */
static wsk_header fields[16];
static wsk_head head;
static bool drafts;

static wsk_str copy(const char *text)
{
    return (wsk_str){(char *)exact(text, strlen(text)), strlen(text)};
}

static void add(const char *name, const char *value)
{
    fields[head.n_headers++] = (wsk_header){copy(name), copy(value)};
}

static void begin(const char *method)
{
    head = (wsk_head){
        .method = copy(method), .headers = fields, .websocket = true};
    add("Host", "example.com");
}

static void end(void)
{
    free((char *)head.method.p);
    for (size_t i = 0; i < head.n_headers; i++) {
        free((char *)fields[i].name.p);
        free((char *)fields[i].value.p);
    }
}

/* The example of RFC 6455 1.2, but for the field called `without`. */
static void begin_valid(const char *without)
{
    static const char *const sample[][2] = {
        {"Upgrade", "websocket"},
        {"Connection", "Upgrade"},
        {"Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="},
        {"Sec-WebSocket-Version", "13"},
    };

    begin("GET");
    for (size_t i = 0; i < 4; i++)
        if (strcmp(sample[i][0], without) != 0)
            add(sample[i][0], sample[i][1]);
}

static int judged(void)
{
    wsk_ws_verdict verdict = wsk_ws_judge(&head, drafts);

    EXPECT(verdict.reason != NULL && verdict.reason[0] != '\0');
    return verdict.status;
}

/* The verdict on the sample with `value` in place of what `name` has. */
static int judged_with(const char *name, const char *value)
{
    int status;

    begin_valid(name);
    if (value != NULL)
        add(name, value);
    status = judged();
    end();
    return status;
}

TEST(the_example_of_the_rfc_is_accepted) /* RFC 6455 1.3 */
{
    wsk_ws_verdict verdict;

    begin_valid("");
    verdict = wsk_ws_judge(&head, drafts);
    EXPECT(verdict.status == 101);
    EXPECT_OCTETS(verdict.accept, sizeof(verdict.accept),
                  "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    end();
}

TEST(a_websocket_begins_with_get) /* RFC 6455 4.1, item 2 */
{
    static const char *const methods[] = {"POST", "HEAD", "get", "CONNECT"};

    for (size_t i = 0; i < 4; i++) {
        begin_valid("");
        free((char *)head.method.p);
        head.method = copy(methods[i]);
        EXPECT(judged() == 405);
        end();
    }
}

TEST(upgrade_lists_websocket_in_any_case) /* RFC 6455 4.2.1, item 3 */
{
    EXPECT(judged_with("Upgrade", "WebSocket") == 101);
    EXPECT(judged_with("Upgrade", "h2c, , websocket") == 101);
    EXPECT(judged_with("Upgrade", "websockets") == 400);
    EXPECT(judged_with("Upgrade", "web socket") == 400);
    EXPECT(judged_with("Upgrade", "") == 400);
    EXPECT(judged_with("Upgrade", NULL) == 400);
}

TEST(connection_lists_upgrade_in_any_case) /* RFC 6455 4.2.1, item 4 */
{
    EXPECT(judged_with("Connection", "keep-alive, upGRADE") == 101);
    EXPECT(judged_with("Connection", ",,Upgrade,") == 101);
    EXPECT(judged_with("Connection", "keep-alive") == 400);
    EXPECT(judged_with("Connection", "upgraded") == 400);
    EXPECT(judged_with("Connection", NULL) == 400);
}

TEST(lists_may_be_spread_over_several_fields) /* RFC 9110 5.3 */
{
    begin_valid("Connection");
    add("connection", "keep-alive");
    add("CONNECTION", "upgrade");
    add("upgrade", "h2c");
    EXPECT(judged() == 101);
    end();
}

TEST(there_is_exactly_one_key_of_sixteen_octets) /* RFC 6455 4.2.1, item 5 */
{
    EXPECT(judged_with("Sec-WebSocket-Key", NULL) == 400);
    EXPECT(judged_with("Sec-WebSocket-Key", "") == 400);
    EXPECT(judged_with("Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAA") == 400);
    EXPECT(judged_with("Sec-WebSocket-Key", "!!!!!!!!!!!!!!!!!!!!!!==") == 400);
    EXPECT(judged_with("Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA==") == 101);
    begin_valid("");
    add("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
    EXPECT(judged() == 400);
    end();
}

TEST(other_versions_are_told_ours) /* RFC 6455 4.4 */
{
    EXPECT(judged_with("Sec-WebSocket-Version", "99") == 426);
    EXPECT(judged_with("Sec-WebSocket-Version", "8") == 426);
    EXPECT(judged_with("Sec-WebSocket-Version", "0") == 426);
    EXPECT(judged_with("Sec-WebSocket-Version", "255") == 426);
    EXPECT(judged_with("Sec-WebSocket-Version", "013") == 426);
    EXPECT(judged_with("Sec-WebSocket-Version", "13.0") == 426);
}

TEST(a_list_of_versions_is_none) /* RFC 6455 4.1 */
{
    EXPECT(judged_with("Sec-WebSocket-Version", NULL) == 400);
    EXPECT(judged_with("Sec-WebSocket-Version", "") == 400);
    EXPECT(judged_with("Sec-WebSocket-Version", "13, 8") == 400);
    EXPECT(judged_with("Sec-WebSocket-Version", "13, 13") == 400);
    begin_valid("");
    add("Sec-WebSocket-Version", "13");
    EXPECT(judged() == 400);
    end();
}

TEST(another_version_is_named_even_with_another_kind_of_key)
{
    begin_valid("Sec-WebSocket-Version");
    fields[3].value.len = 5;
    add("Sec-WebSocket-Version", "25");
    EXPECT(judged() == 426);
    end();
}

TEST(a_handshake_has_no_body) /* RFC 9112 6: it would hide the frames */
{
    begin_valid("");
    head.has_length = true;
    EXPECT(judged() == 101); /* Content-Length: 0 */
    head.content_length = 7;
    EXPECT(judged() == 400);
    head.has_length = false;
    head.content_length = 0;
    head.chunked = true;
    EXPECT(judged() == 400);
    end();
}

TEST(protocols_are_tokens_and_named_once) /* RFC 6455 4.1, item 10 */
{
    EXPECT(judged_with("Sec-WebSocket-Protocol", "a, b,c") == 101);
    EXPECT(judged_with("Sec-WebSocket-Protocol", "a,,b") == 101);
    EXPECT(judged_with("Sec-WebSocket-Protocol", "") == 101);
    EXPECT(judged_with("Sec-WebSocket-Protocol", "chat, CHAT") == 101);
    EXPECT(judged_with("Sec-WebSocket-Protocol", "a, a") == 400);
    EXPECT(judged_with("Sec-WebSocket-Protocol", "a b") == 400);
    EXPECT(judged_with("Sec-WebSocket-Protocol", "\"a\"") == 400);
    EXPECT(judged_with("Sec-WebSocket-Protocol", "a;q=1") == 400);
}

TEST(protocols_of_several_fields_are_one_list) /* RFC 6455 11.3.4 */
{
    begin_valid("");
    add("Sec-WebSocket-Protocol", "a");
    add("Sec-WebSocket-Protocol", "b, a");
    EXPECT(judged() == 400);
    end();
}

TEST(a_flood_of_protocols_is_refused)
{
    char list[4 * 65 + 1] = "";

    for (int i = 0; i < 65; i++) {
        if (i == 64)
            EXPECT(judged_with("Sec-WebSocket-Protocol", list) == 101);
        sprintf(list + strlen(list), "p%02d,", i);
    }
    EXPECT(judged_with("Sec-WebSocket-Protocol", list) == 400);
}

TEST(unknown_extensions_are_passed_over) /* RFC 6455 9.1 */
{
    EXPECT(judged_with("Sec-WebSocket-Extensions", "x-none; a=1") == 101);
}

static bool next_is(size_t *pos, const char *want)
{
    wsk_str offer;

    return wsk_ws_next_offer(&head, pos, &offer) && offer.len == strlen(want) &&
           memcmp(offer.p, want, offer.len) == 0;
}

TEST(offers_are_walked_in_the_order_of_the_client) /* RFC 6455 4.2.2 */
{
    size_t pos = 0;
    wsk_str offer;

    begin_valid("");
    add("Sec-WebSocket-Protocol", " soap , wamp");
    add("Accept", "a, b");
    add("Sec-WebSocket-Protocol", "");
    add("Sec-WebSocket-Protocol", ",");
    add("sec-websocket-protocol", "mqtt,,v2,");
    EXPECT(next_is(&pos, "soap"));
    EXPECT(next_is(&pos, "wamp"));
    EXPECT(next_is(&pos, "mqtt"));
    EXPECT(next_is(&pos, "v2"));
    EXPECT(!wsk_ws_next_offer(&head, &pos, &offer));
    EXPECT(!wsk_ws_next_offer(&head, &pos, &offer));
    end();
}

TEST(an_offer_is_compared_to_the_letter) /* RFC 6455 4.1 */
{
    begin_valid("");
    add("Sec-WebSocket-Protocol", "chat, superchat");
    EXPECT(wsk_ws_offered(&head, "chat"));
    EXPECT(wsk_ws_offered(&head, "superchat"));
    EXPECT(!wsk_ws_offered(&head, "Chat"));
    EXPECT(!wsk_ws_offered(&head, "super"));
    EXPECT(!wsk_ws_offered(&head, ""));
    end();
}

TEST(without_offers_there_is_nothing_to_walk)
{
    size_t pos = 0;
    wsk_str offer;

    begin_valid("");
    EXPECT(!wsk_ws_next_offer(&head, &pos, &offer));
    EXPECT(!wsk_ws_offered(&head, "chat"));
    end();
}

TEST(the_first_preferred_protocol_that_was_offered_is_chosen)
{
    char name[WSK_WS_PROTOCOL_MAX];

    begin_valid("");
    add("Sec-WebSocket-Protocol", "soap, wamp, mqtt");
    EXPECT(wsk_ws_choose(&head, "v9, wamp,soap", name));
    EXPECT(strcmp(name, "wamp") == 0);
    EXPECT(wsk_ws_choose(&head, "\nv9,mqtt\nsoap\n", name));
    EXPECT(strcmp(name, "mqtt") == 0);
    EXPECT(!wsk_ws_choose(&head, "v9", name));
    EXPECT(!wsk_ws_choose(&head, "", name));
    EXPECT(!wsk_ws_choose(&head, NULL, name));
    end();
}

TEST(drafts_are_refused_unless_they_are_asked_for) /* RFC 6455 4.4 */
{
    EXPECT(judged_with("Sec-WebSocket-Version", "8") == 426);
    drafts = true;
    EXPECT(judged_with("Sec-WebSocket-Version", "8") == 101);
    EXPECT(judged_with("Sec-WebSocket-Version", "7") == 101);
    EXPECT(judged_with("Sec-WebSocket-Version", "9") == 426);
    drafts = false;
}

static bool origin_is(const char *want)
{
    wsk_str origin = wsk_ws_origin(&head);

    return origin.p != NULL && origin.len == strlen(want) &&
           memcmp(origin.p, want, origin.len) == 0;
}

TEST(an_origin_is_said_once_or_is_none)
{
    begin_valid("");
    EXPECT(wsk_ws_origin(&head).p == NULL);
    add("Origin", "http://example.com");
    EXPECT(origin_is("http://example.com"));
    add("Origin", "http://evil.example");
    EXPECT(origin_is(""));
    end();
    begin_valid("");
    add("Sec-WebSocket-Origin", "http://example.com");
    EXPECT(origin_is("http://example.com"));
    end();
}
