/* Records that no honest client sends. OpenSSL writes none of them, so they are
 * sealed here with the keys of the client, by RFC 8446 5 and 7, RFC 5288. */
#include "harness.h"

#ifdef WSK_TLS

#include "tls.h"

#include <openssl/kdf.h>

enum { ALERT = 21, HANDSHAKE = 22, DATA = 23 };
enum { KEY = 16, NONCE = 12, TAG = 16, SECRET = 48 };

struct sealer {
    struct pair p;
    bool is_13;
    uint8_t secret[SECRET];
    uint8_t key[KEY], nonce[NONCE];
    uint64_t seq;
};

static uint8_t logged[SECRET]; /* the secret of the connection begun last */

static void log_secret(const SSL *ssl, const char *line)
{
    const char *hex = strrchr(line, ' ') + 1;

    (void)ssl;
    if (strncmp(line, "CLIENT_TRAFFIC_SECRET_0 ", 24) != 0 &&
        strncmp(line, "CLIENT_RANDOM ", 14) != 0)
        return;
    for (size_t i = 0; i < strlen(hex) / 2 && i < SECRET; i++) {
        unsigned octet;

        EXPECT(sscanf(hex + 2 * i, "%2x", &octet) == 1);
        logged[i] = (uint8_t)octet;
    }
}

static void derive(const char *kdf, OSSL_PARAM *how, uint8_t *to, size_t n)
{
    EVP_KDF *is = EVP_KDF_fetch(NULL, kdf, NULL);
    EVP_KDF_CTX *ctx = EVP_KDF_CTX_new(is);

    must(ctx != NULL && EVP_KDF_derive(ctx, to, n, how) == 1);
    EVP_KDF_CTX_free(ctx);
    EVP_KDF_free(is);
}

/* HKDF-Expand-Label with an empty context (RFC 8446 7.1). */
static void expand(struct sealer *s, const char *label, uint8_t *to, size_t n)
{
    uint8_t info[40] = {(uint8_t)(n >> 8), (uint8_t)n,
                        (uint8_t)(6 + strlen(label))};
    uint8_t secret[32];
    int mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY;
    OSSL_PARAM how[] = {
        OSSL_PARAM_utf8_string("digest", "SHA256", 6),
        OSSL_PARAM_int("mode", &mode),
        OSSL_PARAM_octet_string("key", secret, sizeof(secret)),
        OSSL_PARAM_octet_string("info", info, 10 + strlen(label)),
        OSSL_PARAM_END};

    memcpy(secret, s->secret, sizeof(secret));
    memcpy(info + 3, "tls13 ", 6);
    memcpy(info + 9, label, strlen(label));
    derive("HKDF", how, to, n);
}

static void take_keys_13(struct sealer *s)
{
    expand(s, "key", s->key, KEY);
    expand(s, "iv", s->nonce, NONCE);
    s->seq = 0;
}

/* Of the key block (RFC 5246 6.3) the client's key and nonce. */
static void take_keys_12(struct sealer *s)
{
    uint8_t seed[13 + 64] = "key expansion", block[2 * KEY + 8];
    OSSL_PARAM how[] = {OSSL_PARAM_utf8_string("digest", "SHA256", 6),
                        OSSL_PARAM_octet_string("secret", s->secret, SECRET),
                        OSSL_PARAM_octet_string("seed", seed, sizeof(seed)),
                        OSSL_PARAM_END};

    SSL_get_server_random(s->p.other, seed + 13, 32);
    SSL_get_client_random(s->p.other, seed + 45, 32);
    derive("TLS1-PRF", how, block, sizeof(block));
    memcpy(s->key, block, KEY);
    memcpy(s->nonce, block + 2 * KEY, 4);
    s->seq = 1; /* Finished was the first */
}

static void sealer_open(struct sealer *s, int version)
{
    SSL_CTX *other = client_context(version);

    must(SSL_CTX_set_ciphersuites(other, "TLS_AES_128_GCM_SHA256") == 1);
    must(SSL_CTX_set_cipher_list(other, "ECDHE-ECDSA-AES128-GCM-SHA256") == 1);
    SSL_CTX_set_keylog_callback(other, log_secret);
    s->is_13 = version == TLS1_3_VERSION;
    must(pair_start(&s->p, server_context(), other, WSK__TLS_SERVER));
    EXPECT(pair_connect(&s->p));
    memcpy(s->secret, logged, SECRET);
    if (s->is_13)
        take_keys_13(s);
    else
        take_keys_12(s);
}

static void put_seq(uint8_t *to, uint64_t seq)
{
    for (int i = 0; i < 8; i++)
        to[i] ^= (uint8_t)(seq >> (56 - 8 * i));
}

static void encrypt(const struct sealer *s, const uint8_t *nonce,
                    const uint8_t *aad, int aad_len, const uint8_t *plain,
                    size_t len, uint8_t *to)
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int n = 0;

    must(ctx != NULL &&
         EVP_EncryptInit_ex(ctx, EVP_aes_128_gcm(), NULL, s->key, nonce) == 1);
    must(EVP_EncryptUpdate(ctx, NULL, &n, aad, aad_len) == 1);
    must(len == 0 || EVP_EncryptUpdate(ctx, to, &n, plain, (int)len) == 1);
    must(EVP_EncryptFinal_ex(ctx, to + len, &n) == 1);
    must(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, TAG, to + len) == 1);
    EVP_CIPHER_CTX_free(ctx);
}

/* Seal a record of `type` into `to`; returns its length. */
static size_t seal(struct sealer *s, uint8_t type, const void *data, size_t n,
                   uint8_t *to)
{
    uint8_t nonce[NONCE], plain[300], aad[13] = {0};
    size_t body = s->is_13 ? n + 1 + TAG : 8 + n + TAG;

    EXPECT(n < sizeof(plain));
    if (n > 0)
        memcpy(plain, data, n);
    plain[n] = type;
    memcpy(to, "\x17\x03\x03", 3);
    to[3] = (uint8_t)(body >> 8);
    to[4] = (uint8_t)body;
    memcpy(nonce, s->nonce, NONCE);
    if (s->is_13) {
        put_seq(nonce + 4, s->seq);
        encrypt(s, nonce, to, 5, plain, n + 1, to + 5);
    } else {
        to[0] = type;
        memset(nonce + 4, 0, 8);
        put_seq(nonce + 4, s->seq);
        memcpy(to + 5, nonce + 4, 8);
        put_seq(aad, s->seq);
        memcpy(aad + 8, to, 3);
        aad[11] = (uint8_t)(n >> 8);
        aad[12] = (uint8_t)n;
        encrypt(s, nonce, aad, 13, plain, n, to + 13);
    }
    s->seq++;
    return 5 + body;
}

/* Give the engine a record. */
static enum wsk__tls_got give(struct sealer *s, uint8_t type, const void *data,
                              size_t n)
{
    uint8_t record[400];

    pair_give(&s->p, record, seal(s, type, data, n, record));
    return s->p.last;
}

static enum wsk__tls_got give_data(struct sealer *s)
{
    return give(s, DATA, "data", 4);
}

/* A KeyUpdate that wants one in return (RFC 8446 4.6.3). */
static enum wsk__tls_got give_key_update(struct sealer *s)
{
    enum wsk__tls_got got = give(s, HANDSHAKE, "\x18\0\0\1\1", 5);

    expand(s, "traffic upd", s->secret, 32);
    take_keys_13(s);
    return got;
}

static enum wsk__tls_got give_nothing(struct sealer *s)
{
    return give(s, DATA, NULL, 0);
}

/* A hello of TLS 1.2 for another handshake. */
static enum wsk__tls_got give_hello(struct sealer *s)
{
    return give(s, HANDSHAKE, "\1\0\0\4abcd", 8);
}

static enum wsk__tls_got give_warning(struct sealer *s)
{
    return give(s, ALERT, "\1\x5a", 2);
}

/* The engine bears 32 in a row, and no more than one beyond. */
static void expect_budget(int version,
                          enum wsk__tls_got (*one)(struct sealer *))
{
    struct sealer s;

    sealer_open(&s, version);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < WSK__TLS_FRUITLESS; i++)
            EXPECT(one(&s) == WSK__TLS_NONE);
        EXPECT(give_data(&s) == WSK__TLS_SOME);
    }
    for (int i = 0; i < WSK__TLS_FRUITLESS; i++)
        EXPECT(one(&s) == WSK__TLS_NONE);
    if (one(&s) != WSK__TLS_BAD)
        EXPECT(give_data(&s) == WSK__TLS_BAD || give_data(&s) == WSK__TLS_BAD);
    pair_close(&s.p);
}

TEST(key_updates_without_data_have_a_budget)
{
    expect_budget(TLS1_3_VERSION, give_key_update);
}

TEST(empty_records_have_a_budget)
{
    expect_budget(TLS1_2_VERSION, give_nothing);
    expect_budget(TLS1_3_VERSION, give_nothing);
}

TEST(hellos_for_another_handshake_have_a_budget)
{
    expect_budget(TLS1_2_VERSION, give_hello);
}

/* OpenSSL's own limit is five. */
TEST(warnings_have_a_budget)
{
    for (int i = 0; i < 2; i++) {
        struct sealer s;
        int n = 0;

        sealer_open(&s, i ? TLS1_3_VERSION : TLS1_2_VERSION);
        while (n < 100 && give_warning(&s) == WSK__TLS_NONE)
            n++;
        EXPECT(n <= WSK__TLS_FRUITLESS && s.p.last == WSK__TLS_BAD);
        pair_close(&s.p);
    }
}

TEST(a_storm_of_kinds_has_one_budget)
{
    struct sealer s;
    int n = 0;

    sealer_open(&s, TLS1_3_VERSION);
    while (n < 100 && s.p.last != WSK__TLS_BAD) {
        n++;
        if (n % 2 == 0)
            give_key_update(&s);
        else
            give_nothing(&s);
    }
    EXPECT(n == WSK__TLS_FRUITLESS + 2);
    EXPECT(reason_is(&s.p, "too many records without data"));
    pair_close(&s.p);
}

/* Each wants an answer: one for all of them leaves, before the next data. */
TEST(key_updates_are_answered_and_keys_change)
{
    struct sealer s;
    struct bytes all;

    sealer_open(&s, TLS1_3_VERSION);
    for (int i = 0; i < 200; i++) {
        EXPECT(give_key_update(&s) == WSK__TLS_NONE);
        EXPECT(give_data(&s) == WSK__TLS_SOME);
        if (i % 10 == 0)
            EXPECT(pair_write(&s.p, "more", 4) == 1);
    }
    all = other_reads(&s.p);
    EXPECT(all.len == 80 && s.p.got.len == 800);
    clear(&all);
    pair_close(&s.p);
}

/* OpenSSL reads the rest of a handshake message before it writes anything. */
TEST(a_handshake_message_that_is_cut_ends_what_is_written)
{
    struct sealer s;

    sealer_open(&s, TLS1_3_VERSION);
    EXPECT(give(&s, HANDSHAKE, "\x18\0\0\1", 4) == WSK__TLS_NONE);
    EXPECT(pair_write(&s.p, "more", 4) == 0);
    EXPECT(reason_is(&s.p, "a handshake message is cut"));
    EXPECT(give_data(&s) == WSK__TLS_BAD);
    pair_close(&s.p);
}

/* A client that makes us answer and reads nothing. */
TEST(answers_that_are_not_read_have_a_limit)
{
    struct sealer s;
    int n = 0;

    sealer_open(&s, TLS1_2_VERSION);
    s.p.takes = 0;
    while (n < 10000 && give_hello(&s) == WSK__TLS_NONE &&
           give_data(&s) == WSK__TLS_SOME)
        n++;
    EXPECT(n > 1000 && n < 10000);
    EXPECT(reason_is(&s.p, "the peer does not read"));
    EXPECT(wsk__tls_owes(s.p.tls) <= WSK__TLS_LEFT_MAX);
    pair_close(&s.p);
}

TEST(another_handshake_is_refused)
{
    struct sealer s;

    sealer_open(&s, TLS1_2_VERSION);
    EXPECT(SSL_renegotiate(s.p.other) == 1);
    EXPECT(!other_shakes(&s.p));
    pair_carry(&s.p);
    EXPECT(s.p.last == WSK__TLS_NONE);
    EXPECT(!other_shakes(&s.p));
    pair_close(&s.p);
}

/* Content of an unknown type, and data in the midst of nothing. */
TEST(records_of_unknown_types_are_bad)
{
    for (int i = 0; i < 2; i++) {
        struct sealer s;

        sealer_open(&s, i ? TLS1_3_VERSION : TLS1_2_VERSION);
        EXPECT(give(&s, 99, "data", 4) == WSK__TLS_BAD);
        EXPECT(s.p.got.len == 0);
        pair_close(&s.p);
    }
}

#else

TEST(without_tls_there_are_no_records)
{
}

#endif
