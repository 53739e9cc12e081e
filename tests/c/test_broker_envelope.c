/* What surrounds a publication on its way through a broker. */
#include "broker/envelope.h"
#include "harness.h"

static const wsk_str NAMES[] = {{"orders", 6}, {"b", 1}};

static size_t write_sample(uint8_t *to, size_t n_names)
{
    struct wsk__envelope e = {
        .kind = WSK__ENVELOPE_MESSAGE,
        .flags = WSK__ENVELOPE_BINARY,
        .origin = 0x0102030405060708,
        .except = 9,
        .seq = UINT64_MAX,
        .message = {"hello", 5},
    };

    wsk__envelope_write(to, &e, NAMES, n_names);
    return wsk__envelope_size(NAMES, n_names, 5);
}

TEST(what_is_written_is_read_as_the_same)
{
    uint8_t octets[100];
    size_t len = write_sample(octets, 2);
    unsigned char *p = exact(octets, len);
    struct wsk__envelope e;
    wsk_str rest, name;

    EXPECT(len == 32 + 7 + 2 + 5);
    EXPECT(wsk__envelope_read((wsk_str){(char *)p, len}, &e));
    EXPECT(e.kind == WSK__ENVELOPE_MESSAGE && e.flags == WSK__ENVELOPE_BINARY);
    EXPECT(e.origin == 0x0102030405060708 && e.except == 9);
    EXPECT(e.seq == UINT64_MAX && e.n_names == 2);
    EXPECT_OCTETS(e.message.p, e.message.len, "hello");
    rest = e.names;
    EXPECT(wsk__envelope_next_name(&rest, &name));
    EXPECT_OCTETS(name.p, name.len, "orders");
    EXPECT(wsk__envelope_next_name(&rest, &name));
    EXPECT_OCTETS(name.p, name.len, "b");
    EXPECT(!wsk__envelope_next_name(&rest, &name));
    free(p);
}

TEST(octets_without_the_magic_are_a_message_as_they_are)
{
    struct wsk__envelope e;

    EXPECT(wsk__envelope_read((wsk_str){"hello", 5}, &e));
    EXPECT(e.kind == WSK__ENVELOPE_NONE && e.origin == 0 && e.except == 0);
    EXPECT_OCTETS(e.message.p, e.message.len, "hello");
    EXPECT(wsk__envelope_read((wsk_str){"", 0}, &e));
    EXPECT(e.kind == WSK__ENVELOPE_NONE && e.message.len == 0);
}

TEST(an_envelope_that_is_cut_anywhere_before_its_message_is_refused)
{
    uint8_t octets[100];
    size_t len = write_sample(octets, 2);

    for (size_t n = 1; n < len - 5; n++) {
        unsigned char *p = exact(octets, n);
        struct wsk__envelope e;

        EXPECT(!wsk__envelope_read((wsk_str){(char *)p, n}, &e));
        free(p);
    }
}

TEST(another_version_an_unknown_kind_and_an_empty_name_are_refused)
{
    static const struct {
        size_t at;
        uint8_t value;
    } BAD[] = {{1, 0}, {1, 2}, {2, 0}, {2, 5}, {32, 0}, {32, 255}, {5, 255}};
    uint8_t octets[100];
    size_t len = write_sample(octets, 2);

    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        struct wsk__envelope e;
        unsigned char *p = exact(octets, len);

        p[BAD[i].at] = BAD[i].value;
        EXPECT(!wsk__envelope_read((wsk_str){(char *)p, len}, &e));
        free(p);
    }
}

TEST(a_gap_without_its_age_and_a_disconnect_without_its_code_are_refused)
{
    for (uint8_t kind = WSK__ENVELOPE_GAP; kind <= WSK__ENVELOPE_DISCONNECT;
         kind++) {
        size_t needs = kind == WSK__ENVELOPE_GAP ? 4 : 2;

        for (size_t n = 0; n <= needs; n++) {
            struct wsk__envelope e = {.kind = (enum wsk__envelope_kind)kind,
                                      .message = {"abcd", n}};
            uint8_t octets[64];

            wsk__envelope_write(octets, &e, NULL, 0);
            EXPECT(wsk__envelope_read((wsk_str){(char *)octets, 32 + n}, &e) ==
                   (n == needs));
        }
    }
}
