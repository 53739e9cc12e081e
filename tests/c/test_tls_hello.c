/* The look at a ClientHello: over any records and any segments. */
#include "harness.h"

#include "tls/hello.h"

/* Write a handshake message of `len` octets into records of `piece` octets;
 * returns how long they are. */
static size_t write_hello(uint8_t *to, size_t len, size_t piece)
{
    size_t at = 0, n;

    for (size_t done = 0; done < len; done += n) {
        n = len - done < piece ? len - done : piece;
        memcpy(to + at, "\x16\x03\x01", 3);
        to[at + 3] = (uint8_t)(n >> 8);
        to[at + 4] = (uint8_t)n;
        for (size_t i = 0; i < n; i++) {
            size_t body = len - 4, octet = done + i;
            uint8_t head[] = {1, (uint8_t)(body >> 16), (uint8_t)(body >> 8),
                              (uint8_t)body};

            to[at + 5 + i] = octet < 4 ? head[octet] : 0x16;
        }
        at += 5 + n;
    }
    return at;
}

/* Look at all octets with a memory of their own. */
static enum wsk__tls_hello_is look(const void *data, size_t len)
{
    struct wsk__tls_hello hello = {0};
    uint8_t *block = exact(data, len);
    enum wsk__tls_hello_is is = wsk__tls_hello_whole(&hello, block, len);

    free(block);
    return is;
}

/* NO up to the last octet, then WHOLE; the octets may move meanwhile. */
static void expect_whole(const uint8_t *data, size_t len, size_t step)
{
    struct wsk__tls_hello hello = {0};

    for (size_t n = 0; n < len; n += step) {
        uint8_t *block = exact(data, n);

        EXPECT(wsk__tls_hello_whole(&hello, block, n) == WSK__TLS_HELLO_NO);
        free(block);
    }
    EXPECT(wsk__tls_hello_whole(&hello, data, len) == WSK__TLS_HELLO_WHOLE);
    EXPECT(look(data, len) == WSK__TLS_HELLO_WHOLE);
    EXPECT(look(data, len - 1) == WSK__TLS_HELLO_NO);
}

static uint8_t octets[7 * WSK__TLS_HELLO_MAX];

TEST(a_hello_is_whole_with_its_last_octet)
{
    static const size_t PIECES[] = {1, 2, 3, 4, 5, 100, 16384};

    for (size_t i = 0; i < sizeof(PIECES) / sizeof(*PIECES); i++) {
        expect_whole(octets, write_hello(octets, 517, PIECES[i]), 1);
        /* of the size that ML-KEM makes it */
        expect_whole(octets, write_hello(octets, 1772, PIECES[i]), 1);
        expect_whole(octets, write_hello(octets, 4, PIECES[i]), 1);
    }
}

TEST(a_hello_has_16_KiB_at_most)
{
    size_t len = write_hello(octets, WSK__TLS_HELLO_MAX, 16384);

    expect_whole(octets, len, 100);
    expect_whole(octets, write_hello(octets, WSK__TLS_HELLO_MAX, 1000), 100);
    write_hello(octets, WSK__TLS_HELLO_MAX + 1, 16384);
    EXPECT(look(octets, 8) == WSK__TLS_HELLO_NO);
    EXPECT(look(octets, 9) == WSK__TLS_HELLO_BAD);
}

TEST(a_hello_takes_32_KiB_with_the_heads_of_its_records_at_most)
{
    size_t len = write_hello(octets, WSK__TLS_HELLO_RAW / 6, 1);

    EXPECT(len == WSK__TLS_HELLO_RAW - 2);
    expect_whole(octets, len, 100);
    len = write_hello(octets, WSK__TLS_HELLO_MAX, 1);
    EXPECT(look(octets, WSK__TLS_HELLO_RAW - 1) == WSK__TLS_HELLO_NO);
    EXPECT(look(octets, WSK__TLS_HELLO_RAW) == WSK__TLS_HELLO_BAD);
    EXPECT(look(octets, len) == WSK__TLS_HELLO_BAD);
}

TEST(octets_behind_a_hello_do_not_count)
{
    size_t len = write_hello(octets, 300, 200);

    memset(octets + len, 0, 40000);
    EXPECT(look(octets, len + 1) == WSK__TLS_HELLO_WHOLE);
    EXPECT(look(octets, len + 40000) == WSK__TLS_HELLO_WHOLE);
}

/* The engine reads records, not parts of them. */
TEST(a_record_that_holds_more_than_the_hello_is_waited_for)
{
    size_t len = write_hello(octets, 300, 16384);

    octets[4] += 10;
    EXPECT(look(octets, len) == WSK__TLS_HELLO_NO);
    EXPECT(look(octets, len + 10) == WSK__TLS_HELLO_WHOLE);
}

TEST(what_is_no_hello_is_bad_at_once)
{
    EXPECT(look("G", 1) == WSK__TLS_HELLO_BAD);
    EXPECT(look("\x80\x2e\x01\x03\x01", 5) == WSK__TLS_HELLO_BAD); /* SSL 2 */
    EXPECT(look("\x15\x03\x01\0\2", 5) == WSK__TLS_HELLO_BAD); /* an alert */
    EXPECT(look("\x16", 1) == WSK__TLS_HELLO_NO);
    EXPECT(look("\x16\x02\x01\0\4", 5) == WSK__TLS_HELLO_BAD);
    EXPECT(look("\x16\x04\x01\0\4", 5) == WSK__TLS_HELLO_BAD);
    EXPECT(look("\x16\x03\x01\x40\x01", 5) == WSK__TLS_HELLO_BAD);
    EXPECT(look("\x16\x03\x01\x40\x00", 5) == WSK__TLS_HELLO_NO);
    EXPECT(look("\x16\x03\x01\0\4\2", 6) == WSK__TLS_HELLO_BAD);
    EXPECT(look("\x16\x03\x01\0\4\1", 6) == WSK__TLS_HELLO_NO);
    EXPECT(look("\x16\x03\x01\0\4\1\0\0\0", 9) == WSK__TLS_HELLO_WHOLE);
    EXPECT(look("\x16\x03\x01\0\1\1\x17", 7) == WSK__TLS_HELLO_BAD);
}

/* RFC 8446 5.1 */
TEST(an_empty_record_of_the_handshake_is_bad)
{
    EXPECT(look("\x16\x03\x01\0\0", 5) == WSK__TLS_HELLO_BAD);
    EXPECT(look("\x16\x03\x01\0\1\1\x16\x03\x01\0\0", 11) ==
           WSK__TLS_HELLO_BAD);
}
