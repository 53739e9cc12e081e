#include "engine.h"

#include "base/address.h"
#include "base/buf.h"
#include "base/mem.h"
#include "lib.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#ifdef WSK_TLS

enum {
    RECORD_HEAD = 5,
    RECORD_LAYER_FAILURE = 313, /* SSL_R_RECORD_LAYER_FAILURE of OpenSSL 3.2 */
};

enum state {
    SHAKING,
    OPEN,
    PEER_ENDED, /* close_notify has come */
    FAILED,
};

struct wsk__tls {
    SSL *ssl;
    void (*drop)(void *kept);
    void *kept;
    const wsk_str *names; /* protocols that a server speaks */
    size_t n_names;
    enum state state;
    bool has_ended; /* our close_notify is written */

    /* Lent for one call, for the functions of the BIO. */
    wsk_str *ct; /* NULL while nothing may be read */
    const struct wsk__tls_out *out;
    bool more; /* other bytes follow what is written now */

    struct wsk__buf left; /* ciphertext that `put` refused */
    bool is_gone;         /* `put` returned -1 */

    uint8_t length[2];  /* of the record that is being read */
    unsigned head;      /* octets of its head that were read, ..RECORD_HEAD */
    size_t rest;        /* octets of it that were not, once the head is */
    unsigned fruitless; /* records since the last plaintext */

    unsigned long error; /* of OpenSSL, once FAILED */
    const char *why;     /* in its place, if it is ours */
};

/* ---------------------------------------------------------------- BIO --- */

static struct wsk__tls *engine_of(BIO *bio)
{
    return BIO_get_data(bio);
}

static void fail_because(struct wsk__tls *tls, const char *why)
{
    if (tls->why == NULL)
        tls->why = why;
}

/* Follow the records in ciphertext that OpenSSL reads. */
static void walk(struct wsk__tls *tls, const uint8_t *p, size_t n)
{
    while (n > 0) {
        size_t step = n < tls->rest ? n : tls->rest;

        if (tls->rest == 0) {
            if (tls->head >= 3)
                tls->length[tls->head - 3] = *p;
            tls->head++;
            step = 1;
            if (tls->head == RECORD_HEAD)
                tls->rest = (size_t)tls->length[0] << 8 | tls->length[1];
        } else {
            tls->rest -= step;
        }
        if (tls->head == RECORD_HEAD && tls->rest == 0)
            tls->head = 0;
        p += step;
        n -= step;
    }
}

/* Return true if another record may be read. OpenSSL has a limit for empty
 * records, another for warnings, and none for KeyUpdates. */
static bool may_read(struct wsk__tls *tls)
{
    if (tls->head > 0 || tls->state != OPEN)
        return true;
    if (tls->fruitless > WSK__TLS_FRUITLESS) {
        fail_because(tls, "too many records without data");
        return false;
    }
    tls->fruitless++;
    return true;
}

/* Without read_ahead OpenSSL asks for the head of a record, then for the rest
 * of it, so that no other one is ever inside. */
static int bio_read(BIO *bio, char *to, int size)
{
    struct wsk__tls *tls = engine_of(bio);
    size_t n;

    BIO_clear_retry_flags(bio);
    if (tls->ct == NULL || tls->ct->len == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    if (size <= 0 || !may_read(tls))
        return -1;
    n = (size_t)size < tls->ct->len ? (size_t)size : tls->ct->len;
    memcpy(to, tls->ct->p, n);
    walk(tls, (const uint8_t *)to, n);
    tls->ct->p += n;
    tls->ct->len -= n;
    return (int)n;
}

/* Keep ciphertext. A peer that makes us answer and does not read fails. */
static bool keep_left(struct wsk__tls *tls, const uint8_t *p, size_t n)
{
    tls->left.cap = tls->state == SHAKING ? WSK__TLS_FLIGHT_MAX
                                          : WSK__TLS_LEFT_MAX;
    if (wsk__buf_put(&tls->left, p, n))
        return true;
    fail_because(tls, wsk__buf_len(&tls->left) + n > tls->left.cap
                          ? "the peer does not read"
                          : "out of memory");
    return false;
}

/* Send, and return how many bytes were taken. */
static size_t put(struct wsk__tls *tls, const uint8_t *p, size_t n, bool more)
{
    ptrdiff_t taken = tls->out->put(tls->out->to, p, n, more);

    assert(taken <= (ptrdiff_t)n);
    if (taken >= 0)
        return (size_t)taken;
    tls->is_gone = true;
    wsk__buf_free(&tls->left);
    return 0;
}

/* Take all of it, always: OpenSSL never has a write to repeat. The parts of a
 * flight leave together. */
static int bio_write(BIO *bio, const char *data, int size)
{
    struct wsk__tls *tls = engine_of(bio);
    const uint8_t *p = (const uint8_t *)data;
    size_t n = (size_t)size, taken = 0;

    BIO_clear_retry_flags(bio);
    if (size <= 0)
        return 0;
    if (tls->state != SHAKING && wsk__buf_len(&tls->left) == 0 && !tls->is_gone)
        taken = put(tls, p, n, tls->more);
    if (taken < n && !tls->is_gone && !keep_left(tls, p + taken, n - taken))
        return -1;
    return size;
}

static long bio_ctrl(BIO *bio, int what, long number, void *pointer)
{
    (void)bio;
    (void)number;
    (void)pointer;
    return what == BIO_CTRL_FLUSH;
}

static int bio_create(BIO *bio)
{
    BIO_set_init(bio, 1);
    return 1;
}

static BIO_METHOD *make_method(void)
{
    BIO_METHOD *made =
        BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "wsocket");

    if (made != NULL && (!BIO_meth_set_read(made, bio_read) ||
                         !BIO_meth_set_write(made, bio_write) ||
                         !BIO_meth_set_ctrl(made, bio_ctrl) ||
                         !BIO_meth_set_create(made, bio_create))) {
        BIO_meth_free(made);
        return NULL;
    }
    return made;
}

/* Return the one method of the process; NULL: memory is out. */
static BIO_METHOD *method(void)
{
    static _Atomic(BIO_METHOD *) shared;
    BIO_METHOD *known = atomic_load(&shared), *made;

    if (known != NULL)
        return known;
    made = make_method();
    if (made != NULL &&
        !atomic_compare_exchange_strong(&shared, &known, made)) {
        BIO_meth_free(made);
        made = known;
    }
    return made;
}

/* ------------------------------------------------------------ context --- */

/* Return the length of the name at list[at], and move *at to it; 0: there is
 * none, or it is cut off. */
static size_t next_name(const uint8_t *list, size_t len, size_t *at)
{
    size_t n = *at < len ? list[*at] : 0;

    ++*at;
    return n <= len - (*at < len ? *at : len) ? n : 0;
}

static bool is_offered(const uint8_t *list, size_t len, wsk_str name)
{
    size_t at = 0, n;

    while ((n = next_name(list, len, &at)) > 0) {
        if (n == name.len && memcmp(list + at, name.p, n) == 0)
            return true;
        at += n;
    }
    return false;
}

/* Pick a protocol (RFC 7301 3.2). SSL_select_next_proto() picks one that the
 * client has not offered if there is no common one. */
static int pick_protocol(SSL *ssl, const uint8_t **picked, uint8_t *len,
                         const uint8_t *list, unsigned size, void *unused)
{
    const struct wsk__tls *tls = SSL_get_app_data(ssl);

    (void)unused;
    if (tls == NULL || tls->n_names == 0)
        return SSL_TLSEXT_ERR_NOACK;
    for (size_t i = 0; i < tls->n_names; i++) {
        if (is_offered(list, size, tls->names[i])) {
            *picked = (const uint8_t *)tls->names[i].p;
            *len = (uint8_t)tls->names[i].len;
            return SSL_TLSEXT_ERR_OK;
        }
    }
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

bool wsk__tls_prepare(SSL_CTX *ctx, enum wsk__tls_role role)
{
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_read_ahead(ctx, 0);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    if (role == WSK__TLS_SERVER)
        SSL_CTX_set_alpn_select_cb(ctx, pick_protocol, NULL);
    return SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) == 1 &&
           SSL_CTX_set_max_early_data(ctx, 0) == 1;
}

/* ------------------------------------------------------------- engine --- */

struct wsk__tls *wsk__tls_new(SSL_CTX *ctx, enum wsk__tls_role role,
                              void (*drop)(void *kept), void *kept)
{
    BIO_METHOD *how = method();
    struct wsk__tls *tls = how ? wsk__calloc(sizeof(*tls)) : NULL;
    BIO *bio = tls ? BIO_new(how) : NULL;

    if (bio != NULL)
        tls->ssl = SSL_new(ctx);
    if (bio == NULL || tls->ssl == NULL ||
        SSL_set_app_data(tls->ssl, tls) != 1) {
        BIO_free(bio);
        wsk__tls_free(tls);
        return NULL;
    }
    BIO_set_data(bio, tls);
    SSL_set_bio(tls->ssl, bio, bio);
    if (role == WSK__TLS_SERVER)
        SSL_set_accept_state(tls->ssl);
    else
        SSL_set_connect_state(tls->ssl);
    wsk__buf_init(&tls->left, WSK__TLS_FLIGHT_MAX);
    tls->drop = drop;
    tls->kept = kept;
    return tls;
}

void wsk__tls_free(struct wsk__tls *tls)
{
    if (tls == NULL)
        return;
    SSL_free(tls->ssl);
    wsk__buf_free(&tls->left);
    if (tls->drop != NULL)
        tls->drop(tls->kept);
    wsk__free(tls);
}

/* Offer all names as a client: each with its length before it. */
static bool offer(struct wsk__tls *tls)
{
    size_t size = 0, at = 0;
    uint8_t *list;
    bool good;

    for (size_t i = 0; i < tls->n_names; i++)
        size += 1 + tls->names[i].len;
    list = wsk__alloc(size);
    if (list == NULL)
        return false;
    for (size_t i = 0; i < tls->n_names; i++) {
        list[at++] = (uint8_t)tls->names[i].len;
        memcpy(list + at, tls->names[i].p, tls->names[i].len);
        at += tls->names[i].len;
    }
    good = SSL_set_alpn_protos(tls->ssl, list, (unsigned)size) == 0;
    wsk__free(list);
    return good;
}

bool wsk__tls_speak(struct wsk__tls *tls, const wsk_str *names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        assert(names[i].len > 0 && names[i].len <= UINT8_MAX);
    tls->names = names;
    tls->n_names = n;
    return SSL_is_server(tls->ssl) || n == 0 || offer(tls);
}

/* Check the server's certificate for a name, or for an address. */
static bool check_name(SSL *ssl, const char *name, bool is_address)
{
    X509_VERIFY_PARAM *how = SSL_get0_param(ssl);

    SSL_set_verify(ssl, SSL_VERIFY_PEER, NULL);
    X509_VERIFY_PARAM_set_hostflags(how, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    if (is_address)
        return X509_VERIFY_PARAM_set1_ip_asc(how, name) == 1;
    return X509_VERIFY_PARAM_set1_host(how, name, 0) == 1;
}

bool wsk__tls_reach(struct wsk__tls *tls, const char *name, bool check)
{
    size_t len = strlen(name);
    struct wsk__ip unused;
    bool is_address = wsk__ip_read((wsk_str){name, len}, &unused);
    char *host;
    bool good;

    /* A dot at the end makes a name absolute, and is not part of what
     * certificates and SNI say (RFC 6066 3). */
    if (!is_address && len > 0 && name[len - 1] == '.')
        len--;
    host = len > 0 ? wsk__alloc(len + 1) : NULL;
    if (host == NULL)
        return false;
    memcpy(host, name, len);
    host[len] = '\0';
    good = (is_address || SSL_set_tlsext_host_name(tls->ssl, host) == 1) &&
           (!check || check_name(tls->ssl, host, is_address));
    wsk__free(host);
    return good;
}

/* Lend what a call needs to the functions of the BIO. OpenSSL judges a result
 * by the errors of the thread, among which may be those of other code. */
static void begin(struct wsk__tls *tls, wsk_str *ct,
                  const struct wsk__tls_out *out, bool more)
{
    tls->ct = ct;
    tls->out = out;
    tls->more = more;
    ERR_clear_error();
}

static bool is_of_tls(unsigned long error)
{
    int reason = ERR_GET_REASON(error);

    return ERR_GET_LIB(error) == ERR_LIB_SSL && reason >= 100 &&
           reason < 2 * SSL_AD_REASON_OFFSET && reason != RECORD_LAYER_FAILURE;
}

/* Take the error that says most, and forget all: the last one of TLS, which
 * names the alert. Else errors only say which part of OpenSSL has failed, and
 * the first one why. */
static unsigned long take_error(void)
{
    unsigned long best = ERR_peek_error(), next;

    while ((next = ERR_get_error()) != 0)
        if (is_of_tls(next))
            best = next;
    return best;
}

/* The connection has failed, unless it already had. */
static void fail(struct wsk__tls *tls, const char *otherwise)
{
    if (tls->state == FAILED)
        return;
    tls->error = take_error();
    if (tls->error == 0)
        fail_because(tls, otherwise);
    tls->state = FAILED;
}

/* The meaning of a call of OpenSSL that has not read what it wanted. A failure
 * of the BIO counts even if OpenSSL goes on: it does after a warning that could
 * not be sent. */
static enum wsk__tls_got no_success(struct wsk__tls *tls, int result)
{
    if (tls->why != NULL) {
        fail(tls, tls->why);
        return WSK__TLS_BAD;
    }
    switch (SSL_get_error(tls->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        return WSK__TLS_NONE;
    case SSL_ERROR_ZERO_RETURN:
        if (tls->state == OPEN) {
            tls->state = PEER_ENDED;
            return WSK__TLS_END;
        }
        fail(tls, "the peer ended the handshake");
        return WSK__TLS_BAD;
    default:
        fail(tls, "the connection is broken");
        return WSK__TLS_BAD;
    }
}

/* Send what is left. */
static enum wsk__tls_sent flush(struct wsk__tls *tls, bool more)
{
    size_t n = wsk__buf_len(&tls->left);

    if (n > 0 && !tls->is_gone) {
        size_t taken = put(tls, wsk__buf_data(&tls->left), n, more);

        if (!tls->is_gone)
            wsk__buf_ack(&tls->left, taken);
    }
    if (tls->is_gone)
        return WSK__TLS_GONE;
    if (wsk__buf_len(&tls->left) > 0)
        return WSK__TLS_FULL;
    wsk__buf_free(&tls->left); /* an idle connection holds none */
    return WSK__TLS_SENT;
}

/* Free what a key holds. The key itself belongs to OpenSSL. */
static void empty_key(EVP_PKEY *key)
{
    EVP_PKEY_set_type(key, EVP_PKEY_EC);
    EVP_PKEY_free(key);
}

/* Empty the keys of the key exchange. OpenSSL keeps them as long as the
 * connection, and reads neither after the handshake. The client's part takes 6
 * KB with ML-KEM; our own is a secret. */
static void forget_keys(SSL *ssl)
{
    EVP_PKEY *key;

    if (SSL_get_peer_tmp_key(ssl, &key) == 1)
        empty_key(key);
    if (SSL_get_tmp_key(ssl, &key) == 1)
        empty_key(key);
}

enum wsk__tls_got wsk__tls_shake(struct wsk__tls *tls, wsk_str *ct,
                                 const struct wsk__tls_out *out)
{
    enum wsk__tls_got got = WSK__TLS_BAD;
    int result;

    assert(tls->state == SHAKING || tls->state == FAILED);
    if (tls->state == FAILED)
        return WSK__TLS_BAD;
    begin(tls, ct, out, false);
    result = SSL_do_handshake(tls->ssl);
    if (result == 1 && tls->why == NULL)
        got = WSK__TLS_DONE;
    else if (no_success(tls, result) == WSK__TLS_NONE)
        got = WSK__TLS_MORE;
    flush(tls, false);
    if (got == WSK__TLS_DONE) {
        tls->state = OPEN;
        if (SSL_is_server(tls->ssl))
            forget_keys(tls->ssl);
    }
    ERR_clear_error();
    return got;
}

enum wsk__tls_got wsk__tls_feed(struct wsk__tls *tls, wsk_str *ct, uint8_t *to,
                                size_t cap, size_t *n,
                                const struct wsk__tls_out *out)
{
    enum wsk__tls_got got = WSK__TLS_SOME;

    assert(tls->state != SHAKING && cap > 0);
    *n = 0;
    begin(tls, ct, out, false);
    while (tls->state == OPEN && got == WSK__TLS_SOME && *n < cap) {
        size_t room = cap - *n < WSK__TLS_RECORD ? cap - *n : WSK__TLS_RECORD;
        int result = SSL_read(tls->ssl, to + *n, (int)room);

        if (result > 0) {
            *n += (size_t)result;
            tls->fruitless = 0;
        } else {
            got = no_success(tls, result);
        }
    }
    if (tls->state == OPEN)
        return *n > 0 ? WSK__TLS_SOME : WSK__TLS_NONE;
    ct->p += ct->len; /* nothing counts behind an end or a failure */
    ct->len = 0;
    return tls->state == PEER_ENDED ? WSK__TLS_END : WSK__TLS_BAD;
}

/* ------------------------------------------------------------ writing --- */

/* Pieces that are being written. */
struct cursor {
    const wsk_str *pieces; /* the first one is not empty, unless n is 0 */
    size_t n;
    size_t at;   /* bytes of the first piece that were written */
    size_t rest; /* bytes that were not, of all */
};

static void skip(struct cursor *c, size_t n)
{
    c->rest -= n;
    c->at += n;
    while (c->n > 0 && c->at >= c->pieces->len) {
        c->at -= c->pieces->len;
        c->pieces++;
        c->n--;
    }
}

static struct cursor start(const wsk_str *pieces, size_t n)
{
    struct cursor c = {pieces, n, 0, 0};

    for (size_t i = 0; i < n; i++)
        c.rest += pieces[i].len;
    skip(&c, 0);
    return c;
}

/* Gather the pieces that fit into a record; the last one may be cut. */
static wsk_str gather(const struct cursor *c, uint8_t *room)
{
    size_t at = c->at, have = 0;

    for (size_t i = 0; i < c->n && have < WSK__TLS_RECORD; i++) {
        size_t n = c->pieces[i].len - at, most = WSK__TLS_RECORD - have;

        n = n < most ? n : most;
        if (n > 0)
            memcpy(room + have, c->pieces[i].p + at, n);
        have += n;
        at = 0;
    }
    return (wsk_str){(char *)room, have};
}

/* Return the plaintext of the next record. */
static wsk_str next_record(const struct cursor *c, uint8_t *room)
{
    wsk_str first = {c->pieces->p + c->at, c->pieces->len - c->at};

    if (first.len < WSK__TLS_RECORD && first.len < c->rest)
        return gather(c, room);
    if (first.len > WSK__TLS_RECORD)
        first.len = WSK__TLS_RECORD;
    return first;
}

enum wsk__tls_sent wsk__tls_writev(struct wsk__tls *tls,
                                   const struct wsk__tls_out *out,
                                   const wsk_str *pieces, size_t n, bool more,
                                   uint8_t *room, size_t *taken)
{
    struct cursor c = start(pieces, n);
    enum wsk__tls_sent sent;

    assert(tls->state != SHAKING && !tls->has_ended);
    *taken = 0;
    begin(tls, NULL, out, more);
    if (tls->state == FAILED)
        return WSK__TLS_GONE;
    sent = flush(tls, more || c.rest > 0);
    while (sent == WSK__TLS_SENT && c.rest > 0) {
        wsk_str record = next_record(&c, room);
        int result;

        tls->more = more || record.len < c.rest;
        result = SSL_write(tls->ssl, record.p, (int)record.len);
        if (result <= 0) {
            /* With a part of a handshake message inside OpenSSL wants the rest
             * of it first. No peer has a reason to cut one. */
            fail(tls, "a handshake message is cut");
            return WSK__TLS_GONE;
        }
        skip(&c, (size_t)result);
        *taken += (size_t)result;
        if (tls->is_gone)
            sent = WSK__TLS_GONE;
        else if (wsk__buf_len(&tls->left) > 0)
            sent = WSK__TLS_FULL;
    }
    return sent;
}

enum wsk__tls_sent wsk__tls_write(struct wsk__tls *tls,
                                  const struct wsk__tls_out *out,
                                  const uint8_t *data, size_t len, bool more,
                                  size_t *taken)
{
    wsk_str piece = {(const char *)data, len};

    return wsk__tls_writev(tls, out, &piece, 1, more, NULL, taken);
}

enum wsk__tls_sent wsk__tls_flush(struct wsk__tls *tls,
                                  const struct wsk__tls_out *out)
{
    begin(tls, NULL, out, false);
    return flush(tls, false);
}

enum wsk__tls_sent wsk__tls_end(struct wsk__tls *tls,
                                const struct wsk__tls_out *out, bool more)
{
    begin(tls, NULL, out, more);
    if ((tls->state == OPEN || tls->state == PEER_ENDED) && !tls->has_ended) {
        tls->has_ended = true;
        if (SSL_shutdown(tls->ssl) < 0)
            fail(tls, "a handshake message is cut");
    }
    return flush(tls, more);
}

/* -------------------------------------------------------------- facts --- */

size_t wsk__tls_owes(const struct wsk__tls *tls)
{
    return wsk__buf_len(&tls->left);
}

bool wsk__tls_is_partial(const struct wsk__tls *tls)
{
    return tls->head > 0;
}

size_t wsk__tls_pending(const struct wsk__tls *tls)
{
    int n = SSL_pending(tls->ssl);

    return n > 0 && tls->state == OPEN ? (size_t)n : 0;
}

void wsk__tls_facts(const struct wsk__tls *tls, struct wsk__tls_facts *facts)
{
    const uint8_t *protocol;
    unsigned len;

    SSL_get0_alpn_selected(tls->ssl, &protocol, &len);
    *facts = (struct wsk__tls_facts){
        .version = SSL_get_version(tls->ssl),
        .cipher = SSL_get_cipher_name(tls->ssl),
        .name = SSL_get_servername(tls->ssl, TLSEXT_NAMETYPE_host_name),
        .protocol = {(const char *)protocol, len},
        .resumed = SSL_session_reused(tls->ssl) == 1,
    };
}

bool wsk__tls_peer_der(const struct wsk__tls *tls, uint8_t **der, size_t *len)
{
    X509 *certificate = SSL_get1_peer_certificate(tls->ssl);
    int size = certificate ? i2d_X509(certificate, NULL) : 0;
    uint8_t *p;

    *len = 0;
    *der = size > 0 ? wsk__alloc((size_t)size) : NULL;
    p = *der;
    if (p != NULL && i2d_X509(certificate, &p) == size)
        *len = (size_t)size;
    X509_free(certificate);
    if (*len > 0 || certificate == NULL)
        return true;
    wsk__free(*der);
    *der = NULL;
    return false;
}

void wsk__tls_reason(const struct wsk__tls *tls, char text[WSK__TLS_REASON_MAX])
{
    const char *before = "", *what = tls->why;
    int reason = ERR_GET_REASON(tls->error);

    text[0] = '\0';
    if (tls->state != FAILED)
        return;
    if (what == NULL && reason == ERR_R_MALLOC_FAILURE)
        what = "out of memory";
    if (what == NULL && ERR_GET_LIB(tls->error) == ERR_LIB_SSL) {
        if (reason > SSL_AD_REASON_OFFSET) {
            before = "alert of the peer: ";
            what = SSL_alert_desc_string_long(reason - SSL_AD_REASON_OFFSET);
        } else if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED) {
            before = "bad certificate: ";
            what =
                X509_verify_cert_error_string(SSL_get_verify_result(tls->ssl));
        }
    }
    if (what == NULL)
        what = ERR_reason_error_string(tls->error);
    snprintf(text, WSK__TLS_REASON_MAX, "%s%s", before,
             what ? what : "an error without a name");
}

void wsk__tls_leave_thread(void)
{
    OPENSSL_thread_stop();
}

#else /* No engine can be made; the linker wants the rest. */

void wsk__tls_leave_thread(void)
{
}

bool wsk__tls_prepare(struct ssl_ctx_st *ctx, enum wsk__tls_role role)
{
    (void)ctx, (void)role;
    return false;
}

struct wsk__tls *wsk__tls_new(struct ssl_ctx_st *ctx, enum wsk__tls_role role,
                              void (*drop)(void *kept), void *kept)
{
    (void)ctx, (void)role, (void)drop, (void)kept;
    return NULL;
}

void wsk__tls_free(struct wsk__tls *tls)
{
    (void)tls;
}

bool wsk__tls_speak(struct wsk__tls *tls, const wsk_str *names, size_t n)
{
    (void)tls, (void)names, (void)n;
    return false;
}

bool wsk__tls_reach(struct wsk__tls *tls, const char *name, bool check)
{
    (void)tls, (void)name, (void)check;
    return false;
}

enum wsk__tls_got wsk__tls_shake(struct wsk__tls *tls, wsk_str *ct,
                                 const struct wsk__tls_out *out)
{
    (void)tls, (void)ct, (void)out;
    return WSK__TLS_BAD;
}

enum wsk__tls_got wsk__tls_feed(struct wsk__tls *tls, wsk_str *ct, uint8_t *to,
                                size_t cap, size_t *n,
                                const struct wsk__tls_out *out)
{
    (void)tls, (void)ct, (void)to, (void)cap, (void)out;
    *n = 0;
    return WSK__TLS_BAD;
}

enum wsk__tls_sent wsk__tls_write(struct wsk__tls *tls,
                                  const struct wsk__tls_out *out,
                                  const uint8_t *data, size_t len, bool more,
                                  size_t *taken)
{
    (void)tls, (void)out, (void)data, (void)len, (void)more;
    *taken = 0;
    return WSK__TLS_GONE;
}

enum wsk__tls_sent wsk__tls_writev(struct wsk__tls *tls,
                                   const struct wsk__tls_out *out,
                                   const wsk_str *pieces, size_t n, bool more,
                                   uint8_t *room, size_t *taken)
{
    (void)tls, (void)out, (void)pieces, (void)n, (void)more, (void)room;
    *taken = 0;
    return WSK__TLS_GONE;
}

enum wsk__tls_sent wsk__tls_flush(struct wsk__tls *tls,
                                  const struct wsk__tls_out *out)
{
    (void)tls, (void)out;
    return WSK__TLS_GONE;
}

enum wsk__tls_sent wsk__tls_end(struct wsk__tls *tls,
                                const struct wsk__tls_out *out, bool more)
{
    (void)tls, (void)out, (void)more;
    return WSK__TLS_GONE;
}

size_t wsk__tls_owes(const struct wsk__tls *tls)
{
    (void)tls;
    return 0;
}

bool wsk__tls_is_partial(const struct wsk__tls *tls)
{
    (void)tls;
    return false;
}

size_t wsk__tls_pending(const struct wsk__tls *tls)
{
    (void)tls;
    return 0;
}

void wsk__tls_facts(const struct wsk__tls *tls, struct wsk__tls_facts *facts)
{
    (void)tls;
    *facts = (struct wsk__tls_facts){.version = ""};
}

bool wsk__tls_peer_der(const struct wsk__tls *tls, uint8_t **der, size_t *len)
{
    (void)tls;
    *der = NULL;
    *len = 0;
    return true;
}

void wsk__tls_reason(const struct wsk__tls *tls, char text[WSK__TLS_REASON_MAX])
{
    (void)tls;
    text[0] = '\0';
}

#endif

void wsk__tls_version(char text[WSK__TLS_VERSION_MAX])
{
    char why[WSK__TLS_LIB_WHY];

    if (!wsk__tls_lib_open(why))
        snprintf(text, WSK__TLS_VERSION_MAX, "no TLS: %s", why);
#ifdef WSK_TLS
    else
        snprintf(text, WSK__TLS_VERSION_MAX, "%s",
                 OpenSSL_version(OPENSSL_VERSION));
#endif
}
