#include "hello.h"

enum {
    RECORD_HEAD = 5,
    RECORD_MAX = 16384,
    MESSAGE_HEAD = 4,
    CLIENT_HELLO = 1
};

/* Return the length of the record whose head stands at p, or 0 if a ClientHello
 * cannot be in it: an empty one is not legal (RFC 8446 5.1). */
static size_t record_length(const uint8_t *p)
{
    size_t len = (size_t)p[3] << 8 | p[4];

    return p[0] == WSK__TLS_HELLO_FIRST && p[1] == 3 && len <= RECORD_MAX ? len
                                                                          : 0;
}

/* Read the message's head, which may stand in up to four records: its octet
 * number `have` is `octet`. False: no ClientHello, or one that is too long. */
static bool read_head(struct wsk__tls_hello *hello, uint8_t octet)
{
    if (hello->have == 0)
        return octet == CLIENT_HELLO;
    hello->want = hello->want << 8 | octet;
    if (hello->have < MESSAGE_HEAD - 1)
        return true;
    hello->want += MESSAGE_HEAD;
    return hello->want <= WSK__TLS_HELLO_MAX;
}

/* Count what a record, or the part of it that is there, has of the message.
 * False: it is no ClientHello. */
static bool count(struct wsk__tls_hello *hello, const uint8_t *p, size_t len)
{
    while (len > 0 && hello->have < MESSAGE_HEAD) {
        if (!read_head(hello, *p))
            return false;
        hello->have++;
        p++, len--;
    }
    hello->have += len;
    return true;
}

enum wsk__tls_hello_is wsk__tls_hello_whole(struct wsk__tls_hello *hello,
                                            const uint8_t *data, size_t len)
{
    struct wsk__tls_hello part;

    for (;;) {
        size_t there = len - hello->at, record;

        if (there > 0 && data[hello->at] != WSK__TLS_HELLO_FIRST)
            return WSK__TLS_HELLO_BAD;
        if (there < RECORD_HEAD)
            break;
        record = record_length(data + hello->at);
        if (record == 0)
            return WSK__TLS_HELLO_BAD;
        there -= RECORD_HEAD;
        part = *hello;
        if (!count(&part, data + hello->at + RECORD_HEAD,
                   there < record ? there : record))
            return WSK__TLS_HELLO_BAD;
        /* The engine reads whole records only, so the last one has to be
         * there with all that stands in it behind the message. */
        if (there < record)
            break;
        part.at += RECORD_HEAD + record;
        *hello = part;
        if (part.have >= MESSAGE_HEAD && part.have >= part.want)
            return part.at <= WSK__TLS_HELLO_RAW ? WSK__TLS_HELLO_WHOLE
                                                 : WSK__TLS_HELLO_BAD;
    }
    return len < WSK__TLS_HELLO_RAW ? WSK__TLS_HELLO_NO : WSK__TLS_HELLO_BAD;
}
