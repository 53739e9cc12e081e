/* Messages between processes of one host, as octets. */
#include "harness.h"

#include "net/bus/folder.h"
#include "net/bus/wire.h"

static enum wsk__wire_found read_exactly(const struct wsk__wire *head,
                                         size_t len, struct wsk__wire *out)
{
    uint8_t octets[WSK__WIRE_HEAD + 64] = {0};
    unsigned char *copy;
    enum wsk__wire_found found;

    wsk__wire_write(octets, head);
    copy = exact(octets, len);
    found = wsk__wire_read(copy, len, out);
    free(copy);
    return found;
}

TEST(a_head_is_read_as_it_was_written)
{
    const struct wsk__wire head = {.kind = WSK__WIRE_MESSAGE,
                                   .flags = WSK__WIRE_TEXT,
                                   .body = 10,
                                   .names = 4,
                                   .number = 2};
    struct wsk__wire out;

    for (size_t len = 0; len < WSK__WIRE_HEAD + 10; len++)
        EXPECT(read_exactly(&head, len, &out) == WSK__WIRE_MORE);
    EXPECT(read_exactly(&head, WSK__WIRE_HEAD + 10, &out) == WSK__WIRE_GOOD);
    EXPECT(out.kind == head.kind && out.flags == head.flags && out.body == 10 &&
           out.names == 4 && out.number == 2);
}

TEST(bad_heads_are_refused_before_their_body_comes)
{
    static const struct wsk__wire BAD[] = {
        {.kind = (enum wsk__wire_kind)0},
        {.kind = (enum wsk__wire_kind)5, .body = 1},
        {.kind = WSK__WIRE_HELLO, .body = 0},
        {.kind = WSK__WIRE_HELLO, .body = 4, .names = 4},
        {.kind = WSK__WIRE_READY, .body = 1},
        {.kind = WSK__WIRE_MESSAGE, .body = 4, .names = 5, .number = 1},
        {.kind = WSK__WIRE_MESSAGE, .body = 4, .names = 4, .number = 0},
        {.kind = WSK__WIRE_MESSAGE, .body = 4, .names = 4, .number = 3},
        {.kind = WSK__WIRE_MESSAGE,
         .body = WSK__WIRE_BODY_MAX + 1,
         .names = 4,
         .number = 1},
        {.kind = WSK__WIRE_DISCONNECT, .body = 4, .names = 0, .number = 1000},
        {.kind = WSK__WIRE_DISCONNECT, .body = 4, .names = 4, .number = 65536},
    };
    struct wsk__wire out;
    unsigned char *bad = exact("\xb4", 1), *version = exact("\xb5\x63", 2);

    for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++)
        EXPECT(read_exactly(&BAD[i], WSK__WIRE_HEAD, &out) == WSK__WIRE_BAD);
    EXPECT(wsk__wire_read(bad, 1, &out) == WSK__WIRE_BAD);
    EXPECT(wsk__wire_read(version, 2, &out) == WSK__WIRE_OTHER_VERSION);
    free(bad);
    free(version);
}

static bool splits(const char *octets, size_t len, size_t n, wsk_str *names)
{
    const struct wsk__wire head = {.names = (uint32_t)len};
    unsigned char *copy = exact(octets, len);
    bool good = wsk__wire_names(copy, &head, names, n);

    free(copy);
    return good;
}

TEST(names_fill_their_place_exactly)
{
    wsk_str names[3];

    EXPECT(splits("\1a\2bc", 5, 2, names) && names[0].len == 1 &&
           names[1].len == 2);
    EXPECT(!splits("\1a\2bc", 5, 1, names));
    EXPECT(!splits("\1a\2bc", 5, 3, names));
    EXPECT(!splits("\1a\3bc", 5, 2, names));
    EXPECT(!splits("\1a\xff", 3, 2, names));
    EXPECT(splits("\0\0", 2, 2, names)); /* the names are judged elsewhere */
}

TEST(names_of_members_lead_nowhere_else)
{
    static const char *const BAD[] = {"",
                                      "1",
                                      "-",
                                      "1-",
                                      "1-0123456789abcde",
                                      "1-0123456789abcdef0",
                                      "a-0123456789abcdef",
                                      "1-0123456789ABCDEF",
                                      "../1-0123456789abcdef",
                                      "12345678901-0123456789abcdef",
                                      "1-0123456789abcdef.bits"};
    char name[WSK__MEMBER_NAME];

    wsk__member_name(name, UINT64_MAX);
    EXPECT(wsk__member_is_valid(name, strlen(name)));
    EXPECT(wsk__member_is_valid("1-0123456789abcdef", 18));
    for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++)
        EXPECT(!wsk__member_is_valid(BAD[i], strlen(BAD[i])));
}
