/* Handshakes of the engine: names, protocols, certificates, versions, both
 * roles, and what a handshake does when memory is out. */
#include "harness.h"

#ifdef WSK_TLS

#include "tls.h"

#include "tls/hello.h"

static const int VERSIONS[] = {TLS1_2_VERSION, TLS1_3_VERSION};

/* The alert that the client has got; -1: none. */
static int alert_of(struct pair *p)
{
    unsigned long error;

    SSL_do_handshake(p->other);
    error = ERR_peek_last_error();
    ERR_clear_error();
    return ERR_GET_REASON(error) > SSL_AD_REASON_OFFSET
               ? ERR_GET_REASON(error) - SSL_AD_REASON_OFFSET
               : -1;
}

/* Go on until one side has failed; the client's alert stays to be read. */
static void fail_to_connect(struct pair *p)
{
    for (int i = 0; i < 4 && p->last != WSK__TLS_BAD; i++) {
        other_shakes(p);
        pair_carry(p);
    }
    EXPECT(p->last == WSK__TLS_BAD && !p->is_open);
}

static void expect_failure(struct pair *p, int alert, const char *reason)
{
    wsk_str none = {NULL, 0};

    fail_to_connect(p);
    EXPECT(reason_is(p, reason));
    EXPECT(alert < 0 || alert_of(p) == alert);
    EXPECT(wsk__tls_shake(p->tls, &none, &p->way) == WSK__TLS_BAD);
    EXPECT(ERR_peek_error() == 0);
    pair_close(p);
}

/* ------------------------------------------------------------ versions --- */

TEST(old_versions_are_refused)
{
    static const int OLD[] = {TLS1_VERSION, TLS1_1_VERSION};

    for (int i = 0; i < 2; i++) {
        struct pair p;

        pair_open(&p, OLD[i]);
        SSL_set_security_level(p.other, 0);
        SSL_set_cipher_list(p.other, "ALL");
        expect_failure(&p, SSL_AD_PROTOCOL_VERSION, "unsupported protocol");
    }
}

TEST(a_client_without_a_common_cipher_is_refused)
{
    struct pair p;

    pair_open(&p, TLS1_2_VERSION);
    SSL_set_cipher_list(p.other, "ECDHE-RSA-AES128-GCM-SHA256");
    expect_failure(&p, SSL_AD_HANDSHAKE_FAILURE, "no shared cipher");
}

TEST(octets_that_are_no_tls_are_bad)
{
    struct pair p;

    pair_open(&p, TLS1_3_VERSION);
    pair_give(&p, (const uint8_t *)"GET / HTTP/1.1\r\n\r\n", 18);
    EXPECT(p.last == WSK__TLS_BAD && reason_is(&p, "http request"));
    pair_close(&p);
}

/* ------------------------------------------------------------ protocols --- */

static const wsk_str SPOKEN[] = {{"http/1.1", 8}, {"x", 1}};

static void offer(struct pair *p, const char *list, size_t n)
{
    EXPECT(SSL_set_alpn_protos(p->other, (const uint8_t *)list, (unsigned)n) ==
           0);
}

static bool protocol_is(const struct pair *p, const char *name)
{
    struct wsk__tls_facts facts;

    wsk__tls_facts(p->tls, &facts);
    return facts.protocol.len == strlen(name) &&
           strncmp(facts.protocol.p ? facts.protocol.p : "", name,
                   facts.protocol.len) == 0;
}

/* RFC 7301 3.2: the server's order counts. */
TEST(the_first_protocol_of_ours_that_is_offered_is_picked)
{
    static const struct {
        const char *offered, *picked;
    } CASES[] = {{"\2h2\10http/1.1", "http/1.1"},
                 {"\1x\10http/1.1", "http/1.1"},
                 {"\1x", "x"},
                 {"\11http/1.1x\10http/1.0\1x", "x"}};

    for (size_t i = 0; i < 8; i++) {
        struct pair p;

        pair_open(&p, VERSIONS[i % 2]);
        EXPECT(wsk__tls_speak(p.tls, SPOKEN, 2));
        offer(&p, CASES[i / 2].offered, strlen(CASES[i / 2].offered));
        EXPECT(pair_connect(&p) && protocol_is(&p, CASES[i / 2].picked));
        pair_close(&p);
    }
}

TEST(a_client_that_offers_no_protocol_gets_none)
{
    struct pair p;

    pair_open(&p, TLS1_3_VERSION);
    EXPECT(wsk__tls_speak(p.tls, SPOKEN, 2));
    EXPECT(pair_connect(&p) && protocol_is(&p, ""));
    pair_close(&p);
}

TEST(an_engine_without_protocols_picks_none)
{
    struct pair p;

    pair_open(&p, TLS1_3_VERSION);
    offer(&p, "\2h2", 3);
    EXPECT(pair_connect(&p) && protocol_is(&p, ""));
    pair_close(&p);
}

TEST(a_client_that_offers_none_of_ours_is_refused)
{
    for (int i = 0; i < 2; i++) {
        struct pair p;

        pair_open(&p, VERSIONS[i]);
        EXPECT(wsk__tls_speak(p.tls, SPOKEN, 2));
        offer(&p, "\2h2\7http/1.", 11);
        expect_failure(&p, SSL_AD_NO_APPLICATION_PROTOCOL,
                       "no application protocol");
    }
}

/* Put octets into the hello, in the place of those of the list of protocols. */
static void expect_bad_list(const char *list, size_t n)
{
    static const char WRITTEN[] = "\0\20\0\14\0\12\2h2\6http/1";
    struct pair p;
    size_t at = 0, size = sizeof(WRITTEN) - 1;

    pair_open(&p, TLS1_3_VERSION);
    EXPECT(wsk__tls_speak(p.tls, SPOKEN, 2));
    offer(&p, "\2h2\6http/1", 10);
    other_shakes(&p);
    pair_collect(&p);
    while (at + size < p.up.len && memcmp(p.up.p + at, WRITTEN, size) != 0)
        at++;
    EXPECT(at + size < p.up.len && n <= 12);
    memcpy(p.up.p + at + 4, list, n);
    pair_carry(&p);
    EXPECT(p.last == WSK__TLS_BAD && reason_is(&p, "bad extension"));
    EXPECT(alert_of(&p) == SSL_AD_DECODE_ERROR);
    pair_close(&p);
}

TEST(a_list_of_protocols_that_is_cut_or_empty_is_bad)
{
    expect_bad_list("\0\12\2h2\7http/1", 12);
    expect_bad_list("\0\12\377h2\6http/1", 12);
    expect_bad_list("\0\12\0h2\6http/1", 12);
    expect_bad_list("\0\12\2h2\0http/1", 12);
    expect_bad_list("\0\0", 2);
    expect_bad_list("\0\13", 2);
}

/* -------------------------------------------------------------- hellos --- */

/* The client's flight again, in records of `piece` octets. */
static struct bytes in_records(const struct bytes *flight, size_t piece)
{
    struct bytes all = {NULL, 0};
    size_t len = flight->len - 5;

    EXPECT(flight->len > 5 && flight->p[0] == 0x16);
    for (size_t at = 0; at < len; at += piece) {
        size_t n = len - at < piece ? len - at : piece;
        uint8_t head[] = {0x16, 3, 1, (uint8_t)(n >> 8), (uint8_t)n};

        append(&all, head, 5);
        append(&all, flight->p + 5 + at, n);
    }
    return all;
}

TEST(a_hello_in_records_of_any_size_is_read)
{
    static const size_t PIECES[] = {1, 2, 3, 4, 5, 100};

    for (size_t i = 0; i < 12; i++) {
        struct bytes hello;
        struct pair p;

        pair_open(&p, VERSIONS[i % 2]);
        p.piece = i < 6 ? 1 : SIZE_MAX;
        other_shakes(&p);
        pair_collect(&p);
        hello = in_records(&p.up, PIECES[i / 2]);
        clear(&p.up);
        pair_give(&p, hello.p, hello.len);
        clear(&hello);
        EXPECT(pair_connect(&p));
        pair_close(&p);
    }
}

/* Offer names without a meaning, so that the hello has some `size` octets. */
static void offer_much(struct pair *p, size_t size)
{
    static uint8_t list[20000];
    size_t at = 0;

    while (at < size) {
        list[at] = 200;
        memset(list + at + 1, 'z', 200);
        at += 201;
    }
    memcpy(list + at, "\10http/1.1", 9);
    offer(p, (const char *)list, at + 9);
}

/* In segments of any size: those with ML-KEM have some 1,800 octets, which
 * newer libraries send unasked. */
TEST(long_hellos_are_read)
{
    static const size_t SIZES[] = {1600, 14000};
    static const size_t PIECES[] = {1, 1460, SIZE_MAX};

    for (size_t i = 0; i < 6; i++) {
        struct wsk__tls_hello hello = {0};
        struct pair p;

        pair_open(&p, TLS1_3_VERSION);
        EXPECT(wsk__tls_speak(p.tls, SPOKEN, 2));
        offer_much(&p, SIZES[i / 3]);
        p.piece = PIECES[i % 3];
        other_shakes(&p);
        pair_collect(&p);
        EXPECT(p.up.len > SIZES[i / 3]);
        EXPECT(wsk__tls_hello_whole(&hello, p.up.p, p.up.len - 1) ==
               WSK__TLS_HELLO_NO);
        EXPECT(wsk__tls_hello_whole(&hello, p.up.p, p.up.len) ==
               WSK__TLS_HELLO_WHOLE);
        pair_carry(&p);
        EXPECT(pair_connect(&p) && protocol_is(&p, "http/1.1"));
        pair_close(&p);
    }
}

static bool name_is_refused(const char *name, size_t len)
{
    struct pair p;
    char filler[258] = {0, (char)len};
    size_t at = 0;
    bool refused;

    memset(filler + 2, '~', len);
    pair_open(&p, TLS1_3_VERSION);
    EXPECT(SSL_set_tlsext_host_name(p.other, filler + 2) == 1);
    other_shakes(&p);
    pair_collect(&p);
    while (memcmp(p.up.p + at, filler, 2 + len) != 0)
        at++;
    memcpy(p.up.p + at + 2, name, len);
    pair_carry(&p);
    refused = p.last == WSK__TLS_BAD;
    if (!refused) {
        struct wsk__tls_facts facts;

        wsk__tls_facts(p.tls, &facts);
        EXPECT(strlen(facts.name) == len && memcmp(facts.name, name, len) == 0);
    }
    pair_close(&p);
    return refused;
}

/* A name with NUL would be two names for those who read it. */
TEST(a_server_name_is_text)
{
    static char longest[255];

    memset(longest, 'a', sizeof(longest));
    EXPECT(!name_is_refused("example.com", 11));
    EXPECT(!name_is_refused("127.0.0.1", 9));
    EXPECT(!name_is_refused(longest, 255));
    EXPECT(name_is_refused("example.com\0evil", 16));
    EXPECT(name_is_refused("\0", 1));
}

/* --------------------------------------------------------- certificates --- */

static void start_asking(struct pair *p, int version, bool shows, bool known,
                         int how)
{
    SSL_CTX *ctx = server_context(), *other = client_context(version);

    if (shows)
        use_identity(other, &client_id);
    SSL_CTX_set_verify(ctx, how, NULL);
    if (known)
        trust(ctx, &client_id);
    must(pair_start(p, ctx, other, WSK__TLS_SERVER));
}

enum { REQUIRED = SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT };

TEST(the_certificate_of_a_client_is_handed_on)
{
    for (int i = 0; i < 2; i++) {
        struct pair p;
        uint8_t *der, *own = NULL;
        size_t len;
        int size = i2d_X509(client_id.certificate, &own);

        start_asking(&p, VERSIONS[i], true, true, REQUIRED);
        EXPECT(pair_connect(&p));
        EXPECT(wsk__tls_peer_der(p.tls, &der, &len));
        EXPECT(size > 0 && len == (size_t)size && memcmp(der, own, len) == 0);
        wsk__free(der);
        OPENSSL_free(own);
        pair_close(&p);
    }
}

TEST(a_client_without_a_certificate_has_none)
{
    struct pair p;
    uint8_t *der;
    size_t len;

    start_asking(&p, TLS1_3_VERSION, false, true, SSL_VERIFY_PEER);
    EXPECT(pair_connect(&p));
    EXPECT(wsk__tls_peer_der(p.tls, &der, &len) && der == NULL && len == 0);
    pair_close(&p);
}

TEST(a_client_without_the_certificate_that_it_needs_is_refused)
{
    struct pair p;

    start_asking(&p, TLS1_2_VERSION, false, true, REQUIRED);
    expect_failure(&p, SSL_AD_HANDSHAKE_FAILURE,
                   "peer did not return a certificate");
    start_asking(&p, TLS1_3_VERSION, false, true, REQUIRED);
    expect_failure(&p, -1, "peer did not return a certificate");
}

TEST(a_certificate_that_does_not_verify_ends_the_handshake)
{
    for (int i = 0; i < 4; i++) {
        struct pair p;

        start_asking(&p, VERSIONS[i % 2], true, false,
                     i < 2 ? REQUIRED : SSL_VERIFY_PEER);
        expect_failure(&p, -1, "bad certificate: self-signed certificate");
    }
}

/* A ticket says nothing about early data, which a thief may send again. */
TEST(a_ticket_resumes_and_allows_no_early_data)
{
    for (int i = 0; i < 2; i++) {
        struct wsk__tls_facts facts;
        SSL_SESSION *session;
        struct pair p, again;

        pair_open(&p, VERSIONS[i]);
        EXPECT(pair_connect(&p));
        EXPECT(SSL_read(p.other, &facts, 1) < 0); /* but a ticket */
        session = SSL_get1_session(p.other);
        EXPECT(SSL_SESSION_get_max_early_data(session) == 0);
        EXPECT(SSL_SESSION_is_resumable(session) == 1);
        must(pair_start(&again, p.ctx, p.other_ctx, WSK__TLS_SERVER));
        SSL_set_session(again.other, session);
        EXPECT(pair_connect(&again));
        wsk__tls_facts(again.tls, &facts);
        EXPECT(facts.resumed && SSL_session_reused(again.other) == 1);
        SSL_SESSION_free(session);
        pair_end(&again);
        pair_close(&p);
    }
}

/* ------------------------------------------------------------- clients --- */

/* An engine as the client of a server of OpenSSL's own. */
static void start_client(struct pair *p, bool trusts, const char *name)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    SSL_CTX *other = server_context();

    must(ctx != NULL && wsk__tls_prepare(ctx, WSK__TLS_CLIENT));
    if (trusts)
        trust(ctx, &server_id);
    must(pair_start(p, ctx, other, WSK__TLS_CLIENT));
    EXPECT(wsk__tls_reach(p->tls, name, true));
}

TEST(an_engine_is_a_client)
{
    static const char *const NAMES[] = {"localhost", "LOCALHOST", "localhost.",
                                        "127.0.0.1"};

    for (size_t i = 0; i < sizeof(NAMES) / sizeof(*NAMES); i++) {
        struct pair p;
        const char *said;

        start_client(&p, true, NAMES[i]);
        EXPECT(pair_connect(&p));
        said = SSL_get_servername(p.other, TLSEXT_NAMETYPE_host_name);
        EXPECT(i == 3 ? said == NULL : said != NULL && strlen(said) == 9);
        other_writes(&p, "hello", 5);
        pair_carry(&p); /* behind tickets */
        EXPECT(p.last == WSK__TLS_SOME && p.got.len == 5);
        EXPECT(pair_write(&p, "answer", 6) == 1);
        {
            struct bytes all = other_reads(&p);

            EXPECT(all.len == 6);
            clear(&all);
        }
        pair_close(&p);
    }
}

TEST(a_client_checks_whom_it_reaches)
{
    struct pair p;
    wsk_str none = {NULL, 0};

    for (int i = 0; i < 3; i++) {
        start_client(&p, i > 0, i == 1 ? "example.com" : "127.0.0.2");
        pair_shake(&p, &none);
        for (int k = 0; k < 3 && p.last == WSK__TLS_MORE; k++) {
            other_shakes(&p);
            pair_carry(&p);
        }
        EXPECT(p.last == WSK__TLS_BAD);
        EXPECT(reason_is(&p, i == 0   ? "bad certificate: self-signed "
                                        "certificate"
                             : i == 1 ? "bad certificate: hostname mismatch"
                                      : "bad certificate: IP address "
                                        "mismatch"));
        pair_close(&p);
    }
}

/* A server of TLS 1.2 asks for another handshake. */
TEST(a_client_does_not_shake_again)
{
    struct pair p;
    size_t had;

    start_client(&p, true, "localhost");
    SSL_set_max_proto_version(p.other, TLS1_2_VERSION);
    EXPECT(pair_connect(&p));
    had = p.seen.len;
    SSL_clear_options(p.other, SSL_OP_NO_RENEGOTIATION);
    EXPECT(SSL_renegotiate(p.other) == 1);
    other_shakes(&p);
    pair_carry(&p);
    EXPECT(p.last == WSK__TLS_NONE);
    EXPECT(p.seen.len > had && p.seen.len - had < 50); /* only an alert */
    pair_close(&p);
}

TEST(a_client_reaches_names_only)
{
    static char too_long[300];
    struct pair p;

    memset(too_long, 'a', sizeof(too_long) - 1);
    start_client(&p, true, "localhost");
    EXPECT(!wsk__tls_reach(p.tls, "", true));
    EXPECT(!wsk__tls_reach(p.tls, ".", true));
    EXPECT(!wsk__tls_reach(p.tls, too_long, true));
    pair_close(&p);
}

static int pick_x(SSL *ssl, const uint8_t **picked, uint8_t *len,
                  const uint8_t *list, unsigned size, void *unused)
{
    (void)ssl, (void)unused;
    EXPECT(size == 11 && memcmp(list, "\10http/1.1\1x", 11) == 0);
    *picked = (const uint8_t *)"x";
    *len = 1;
    return SSL_TLSEXT_ERR_OK;
}

TEST(a_client_offers_its_protocols)
{
    struct pair p;

    start_client(&p, true, "localhost");
    SSL_CTX_set_alpn_select_cb(p.other_ctx, pick_x, NULL);
    EXPECT(wsk__tls_speak(p.tls, SPOKEN, 2));
    EXPECT(pair_connect(&p) && protocol_is(&p, "x"));
    pair_close(&p);
}

/* ------------------------------------------------------- out of memory --- */

static int dropped;

static void drop_one(void *kept)
{
    EXPECT(kept == &dropped);
    dropped++;
}

TEST(the_owner_of_the_context_is_told_when_an_engine_is_freed)
{
    SSL_CTX *ctx = server_context();
    struct wsk__tls *tls =
        wsk__tls_new(ctx, WSK__TLS_SERVER, drop_one, &dropped);

    EXPECT(tls != NULL && dropped == 0);
    SSL_CTX_free(ctx);
    wsk__tls_free(tls);
    EXPECT(dropped == 1);
}

/* A whole connection in which allocation `nth` of the engine fails. False: it
 * has fewer. */
static bool lives_without(SSL_CTX *ctx, SSL_CTX *other, long nth)
{
    struct pair p;
    bool ran;
    size_t taken;

    allowed = nth;
    if (pair_start(&p, ctx, other, WSK__TLS_SERVER) &&
        wsk__tls_speak(p.tls, SPOKEN, 2) && pair_connect(&p)) {
        p.takes = 10;
        armed = true;
        wsk__tls_write(p.tls, &p.way, (const uint8_t *)"abc", 3, false, &taken);
        armed = false;
        pair_flush(&p);
        other_writes(&p, "abc", 3);
        SSL_shutdown(p.other);
        pair_carry(&p);
        EXPECT(p.last == WSK__TLS_END || p.last == WSK__TLS_BAD);
        EXPECT(p.last == WSK__TLS_BAD || p.got.len == 3);
        armed = true;
        wsk__tls_end(p.tls, &p.way, false);
        armed = false;
    }
    ran = allowed < 0;
    allowed = -1;
    if (p.last == WSK__TLS_BAD) {
        char reason[WSK__TLS_REASON_MAX];

        wsk__tls_reason(p.tls, reason);
        EXPECT(reason[0] != '\0');
    }
    pair_end(&p);
    ERR_clear_error();
    return ran;
}

TEST(an_engine_holds_when_one_allocation_fails)
{
    for (int i = 0; i < 2; i++) {
        SSL_CTX *ctx = server_context();
        SSL_CTX *other = client_context(VERSIONS[i]);
        long nth = 0;

        while (lives_without(ctx, other, nth))
            nth++;
        EXPECT(nth > 20);
        SSL_CTX_free(ctx);
        SSL_CTX_free(other);
    }
}

#else

TEST(without_tls_there_are_no_handshakes)
{
}

#endif
