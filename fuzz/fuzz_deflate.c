/* Any messages, at any window and level, with and without history: what our
 * compressors make of them zlib turns back, with a window of just that size. */
#include "fuzz.h"

#include "base/mem.h"
#include "ws/deflate.h"

#include <zlib.h>

/* One message, in blocks of exactly their sizes. zlib's window is honest only
 * when it has to leave what it has just written, so that it writes little at a
 * time. */
static void check(struct wsk__deflater *d, const wsk_ws_deflate *how,
                  z_stream *z, const uint8_t *data, size_t len)
{
    enum { STEP = 64 };
    size_t room = wsk__deflate_room(how, len);
    uint8_t *in = malloc(len), *out = malloc(room), back[STEP];
    size_t size, at = 0;

    REQUIRE(in != NULL && out != NULL);
    memcpy(in, data, len);
    size = wsk__deflate(d, how, NULL, in, len, out);
    REQUIRE(size <= room);
    if (size > 0) {
        uint8_t *whole = malloc(size + 4);

        REQUIRE(whole != NULL);
        REQUIRE(how->level > 0 || size <= len + len / 8192 + 6);
        memcpy(whole, out, size);
        memcpy(whole + size, "\0\0\xff\xff", 4);
        z->next_in = whole;
        z->avail_in = (uInt)(size + 4);
        do {
            int rc;

            z->next_out = back;
            z->avail_out = STEP;
            rc = inflate(z, Z_SYNC_FLUSH);
            REQUIRE(rc == Z_OK || rc == Z_BUF_ERROR);
            REQUIRE(STEP - z->avail_out <= len - at);
            REQUIRE(memcmp(back, in + at, STEP - z->avail_out) == 0);
            at += STEP - z->avail_out;
        } while (z->avail_in > 0 || z->avail_out == 0);
        REQUIRE(at == len);
        free(whole);
    }
    free(in);
    free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct wsk__deflater d = {0};
    wsk_ws_deflate how = {.level = 0};
    z_stream z = {.zalloc = Z_NULL};
    size_t repeats, n;

    if (len < 3)
        return 0;
    how.server_bits = (uint8_t)(8 + (data[0] & 7));
    how.server_takeover = (data[0] & 8) != 0;
    how.level = (data[0] & 0x80) != 0 ? (uint8_t)(data[0] >> 4 & 7) : 0;
    repeats = 1 + (data[1] & 15); /* the history fills up */
    REQUIRE(inflateInit2(&z, -(int)how.server_bits) == Z_OK);
    data += 2;
    len -= 2;
    while (repeats-- > 0)
        for (size_t at = 0; at < len; at += n) {
            n = 1 + data[at] * 16u; /* the first octet cuts the messages */
            n = n < len - at ? n : len - at;
            check(&d, &how, &z, data + at, n);
            if (!how.server_takeover)
                REQUIRE(inflateReset(&z) == Z_OK);
        }
    inflateEnd(&z);
    wsk__deflater_clear(&d, &how);
    return 0;
}
