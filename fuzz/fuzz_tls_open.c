/* Any octets as the beginning of a TLS connection, and any cut and order of
 * what a client and an engine do on one that is open. The first octet chooses.
 */
#include "fuzz.h"

#include "tls/engine.h"
#include "tls/hello.h"
#define WSK__TLS_PLAIN_NAMES
#include "tls/lib.h"

/* ---------------------------------------------------------------- hello --- */

/* The judgement is the same for every way in which the octets arrive. */
static void check_hello(const uint8_t *data, size_t len)
{
    struct wsk__tls_hello whole = {0}, grown = {0};
    enum wsk__tls_hello_is is = wsk__tls_hello_whole(&whole, data, len);
    enum wsk__tls_hello_is was = WSK__TLS_HELLO_NO;

    for (size_t n = 0, step = 0; was == WSK__TLS_HELLO_NO && step <= len - n;) {
        struct wsk__tls_hello alone = {0};
        uint8_t *block;

        n += step;
        block = malloc(n + 1);
        step = n < 40 || len - n < 50 ? 1 : 50;
        REQUIRE(block != NULL);
        memcpy(block, data, n);
        was = wsk__tls_hello_whole(&grown, block, n);
        REQUIRE(wsk__tls_hello_whole(&alone, block, n) == was);
        free(block);
    }
    REQUIRE(was == is);
    REQUIRE(is != WSK__TLS_HELLO_WHOLE || whole.at <= len);
    REQUIRE(is != WSK__TLS_HELLO_NO || len < WSK__TLS_HELLO_RAW);
}

#ifdef WSK_TLS

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

static SSL_CTX *server, *client;

static void make_contexts(void)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *x = X509_new();
    char why[WSK__TLS_LIB_WHY];

    REQUIRE(wsk__tls_lib_open(why));
    server = SSL_CTX_new(TLS_server_method());
    client = SSL_CTX_new(TLS_client_method());
    REQUIRE(key != NULL && x != NULL && server != NULL && client != NULL);
    REQUIRE(X509_set_pubkey(x, key) &&
            X509_gmtime_adj(X509_getm_notBefore(x), 0));
    REQUIRE(X509_gmtime_adj(X509_getm_notAfter(x), 864000) != NULL);
    REQUIRE(X509_sign(x, key, EVP_sha256()) > 0);
    REQUIRE(wsk__tls_prepare(server, WSK__TLS_SERVER));
    REQUIRE(SSL_CTX_use_certificate(server, x) == 1 &&
            SSL_CTX_use_PrivateKey(server, key) == 1);
    X509_free(x);
    EVP_PKEY_free(key);
}

/* ------------------------------------------------------------------- run ---
 */

struct run {
    struct wsk__tls *tls;
    struct wsk__tls_out way;
    SSL *other;
    BIO *in, *out;
    size_t takes;      /* bytes that `put` takes */
    size_t piece;      /* of ciphertext */
    size_t room;       /* of the wanted place */
    uint8_t sent, got; /* the next octet of plaintext: they count up */
    uint8_t back_sent, back_got;
    bool is_open, is_bad, has_ended;
};

static ptrdiff_t put(void *to, const uint8_t *p, size_t n, bool more)
{
    struct run *r = to;
    size_t take = n < r->takes ? n : r->takes;

    (void)more;
    REQUIRE(n > 0);
    if (take > 0)
        REQUIRE(BIO_write(r->in, p, (int)take) == (int)take);
    return (ptrdiff_t)take;
}

static void start(struct run *r)
{
    static const wsk_str SPOKEN = {"http/1.1", 8};

    *r = (struct run){.takes = SIZE_MAX, .piece = SIZE_MAX, .room = 300};
    r->way = (struct wsk__tls_out){put, r};
    r->tls = wsk__tls_new(server, WSK__TLS_SERVER, NULL, NULL);
    r->other = SSL_new(client);
    r->in = BIO_new(BIO_s_mem());
    r->out = BIO_new(BIO_s_mem());
    REQUIRE(r->tls && r->other && r->in && r->out);
    REQUIRE(wsk__tls_speak(r->tls, &SPOKEN, 1));
    SSL_set_bio(r->other, r->in, r->out);
    SSL_set_connect_state(r->other);
}

static void end(struct run *r)
{
    char reason[WSK__TLS_REASON_MAX];

    wsk__tls_reason(r->tls, reason);
    REQUIRE((reason[0] != '\0') == r->is_bad);
    wsk__tls_free(r->tls);
    SSL_free(r->other);
    ERR_clear_error();
}

static void feed(struct run *r, wsk_str *span)
{
    uint8_t *place = malloc(r->room);
    enum wsk__tls_got got;
    size_t n;

    REQUIRE(place != NULL);
    do {
        got = wsk__tls_feed(r->tls, span, place, r->room, &n, &r->way);
        REQUIRE(n <= r->room && (span->len == 0 || n == r->room));
        REQUIRE((got == WSK__TLS_SOME) <= (n > 0));
        REQUIRE(got != WSK__TLS_NONE || n == 0);
        REQUIRE(got != WSK__TLS_DONE && got != WSK__TLS_MORE);
        for (size_t i = 0; i < n; i++)
            REQUIRE(place[i] == r->got++);
        r->is_bad = got == WSK__TLS_BAD;
        REQUIRE(wsk__tls_owes(r->tls) <= WSK__TLS_FLIGHT_MAX);
    } while (span->len > 0 || wsk__tls_pending(r->tls) > 0);
    free(place);
}

/* Give ciphertext, in blocks of exactly its size. */
static void give(struct run *r, const uint8_t *data, size_t len)
{
    while (len > 0 && !r->is_bad) {
        size_t n = len < r->piece ? len : r->piece;
        uint8_t *block = malloc(n);
        wsk_str span = {(char *)block, n};

        REQUIRE(block != NULL);
        memcpy(block, data, n);
        if (!r->is_open) {
            enum wsk__tls_got got = wsk__tls_shake(r->tls, &span, &r->way);

            REQUIRE(got == WSK__TLS_DONE || got == WSK__TLS_MORE ||
                    got == WSK__TLS_BAD);
            REQUIRE(got != WSK__TLS_MORE || span.len == 0);
            r->is_open = got == WSK__TLS_DONE;
            r->is_bad = got == WSK__TLS_BAD;
        }
        if (r->is_open && span.len > 0)
            feed(r, &span);
        free(block);
        data += n;
        len -= n;
    }
}

/* Carry what the client has written; `flip` changes one bit of it. */
static void carry(struct run *r, size_t flip)
{
    static uint8_t block[70000];
    int n = BIO_read(r->out, block, sizeof(block));

    if (n <= 0)
        return;
    if (flip > 0)
        block[flip % (size_t)n] ^= (uint8_t)(1 << flip % 8);
    give(r, block, (size_t)n);
}

static void client_reads(struct run *r)
{
    uint8_t block[500];
    int n;

    while ((n = SSL_read(r->other, block, sizeof(block))) > 0)
        for (int i = 0; i < n; i++)
            REQUIRE(block[i] == r->back_got++);
    ERR_clear_error();
}

static void engine_writes(struct run *r, size_t len)
{
    static uint8_t room[WSK__TLS_RECORD];
    uint8_t data[1024];
    size_t taken;
    wsk_str pieces[] = {{(char *)data, len / 3},
                        {(char *)data + len / 3, len - len / 3}};

    for (size_t i = 0; i < len; i++)
        data[i] = (uint8_t)(r->back_sent + i);
    wsk__tls_writev(r->tls, &r->way, pieces, 2, false, room, &taken);
    REQUIRE(taken <= len);
    r->back_sent = (uint8_t)(r->back_sent + taken);
}

static void client_writes(struct run *r, size_t len)
{
    uint8_t data[1024];

    for (size_t i = 0; i < len; i++)
        data[i] = (uint8_t)(r->sent + i);
    if (len > 0 && SSL_write(r->other, data, (int)len) == (int)len)
        r->sent = (uint8_t)(r->sent + len);
    ERR_clear_error();
}

static void step(struct run *r, uint8_t what, uint8_t arg)
{
    switch (what % 9) {
    case 0:
        client_writes(r, arg * 4u);
        break;
    case 1:
        carry(r, 0);
        break;
    case 2:
        if (r->is_open && !r->has_ended)
            engine_writes(r, arg * 4u);
        break;
    case 3:
        client_reads(r);
        break;
    case 4:
        r->takes = arg == 255 ? SIZE_MAX : arg;
        wsk__tls_flush(r->tls, &r->way);
        break;
    case 5:
        r->piece = arg == 0 ? SIZE_MAX : arg;
        r->room = 1 + arg;
        break;
    case 6:
        SSL_key_update(r->other, SSL_KEY_UPDATE_REQUESTED);
        ERR_clear_error();
        break;
    case 7:
        carry(r, arg);
        break;
    default:
        if (arg % 2 == 0)
            SSL_shutdown(r->other);
        else
            wsk__tls_end(r->tls, &r->way, false);
        r->has_ended |= arg % 2 != 0;
        ERR_clear_error();
    }
}

/* A client of OpenSSL's own does what the octets say, and so does the engine.
 */
static void check_talk(const uint8_t *data, size_t len)
{
    struct run r;

    start(&r);
    for (int i = 0; i < 2; i++) {
        SSL_do_handshake(r.other);
        ERR_clear_error();
        carry(&r, len > 0 && i == 0 && data[0] > 200 ? data[0] : 0);
    }
    for (size_t i = 0; i + 1 < len && i < 200; i += 2)
        step(&r, data[i], data[i + 1]);
    end(&r);
}

/* Octets as they come, for one that shakes. */
static void check_raw(const uint8_t *data, size_t len)
{
    struct run r;

    if (len == 0)
        return;
    start(&r);
    r.piece = data[0] ? data[0] : SIZE_MAX;
    give(&r, data + 1, len - 1);
    REQUIRE(!r.is_open);
    end(&r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (server == NULL)
        make_contexts();
    if (len == 0)
        return 0;
    if (data[0] % 3 == 0)
        check_hello(data + 1, len - 1);
    else if (data[0] % 3 == 1)
        check_raw(data + 1, len - 1);
    else
        check_talk(data + 1, len - 1);
    return 0;
}

#else

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (len > 0)
        check_hello(data + 1, len - 1);
    return 0;
}

#endif
