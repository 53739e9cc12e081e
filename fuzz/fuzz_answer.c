/* A server's answer to a client's handshake: any octets. What is accepted must
 * be accepted in any two pieces as well, and used must lie inside. */
#include "fuzz.h"

#include "wsocket.h"

static const wsk_ws_ask ASK = {
    .host = "a",
    .target = "/",
    .protocols = "chat, superchat",
    .deflate = true,
    .takeover = true,
    .nonce = "the sample nonce",
};

static wsk_status read_exact(const uint8_t *data, size_t len, size_t *used,
                             wsk_ws_answer *answer)
{
    char *copy = malloc(len ? len : 1);
    wsk_status st;

    REQUIRE(copy != NULL);
    if (len > 0)
        memcpy(copy, data, len);
    st = wsk_ws_read_answer(&ASK, copy, len, used, answer);
    free(copy);
    return st;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    wsk_ws_answer whole, part;
    size_t used, cut;
    wsk_status st = read_exact(data, size, &used, &whole);

    if (used > size || (st == WSK_OK) != (whole.why == NULL))
        abort();
    if (st == WSK_OK && whole.status != 101)
        abort();
    /* A beginning is not complete, or it is the same answer. */
    for (cut = 0; cut < size; cut += 1 + size / 16) {
        size_t had;
        wsk_status early = read_exact(data, cut, &had, &part);

        if (early == WSK_OK && (st != WSK_OK || had != used))
            abort();
        if (st == WSK_OK && early == WSK_E_ARG)
            abort();
    }
    return 0;
}
