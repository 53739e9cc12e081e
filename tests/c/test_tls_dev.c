/* Certificates for development. */
#include "harness.h"

#ifdef WSK_TLS

#include "tls_set.h"

#include "base/buf.h"
#include "tls/dev.h"

static struct wsk__tls_file buf_file(const char *path,
                                     const struct wsk__buf *buf)
{
    return (struct wsk__tls_file){
        path, {(const char *)wsk__buf_data(buf), wsk__buf_len(buf)}};
}

static bool verifies(const struct wsk__tls_file *authority,
                     const struct wsk__tls_file *leaf, const char *host)
{
    BIO *one = BIO_new_mem_buf(authority->text.p, (int)authority->text.len);
    BIO *other = BIO_new_mem_buf(leaf->text.p, (int)leaf->text.len);
    X509 *root = PEM_read_bio_X509(one, NULL, NULL, NULL);
    X509 *x509 = PEM_read_bio_X509(other, NULL, NULL, NULL);
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    X509_VERIFY_PARAM *how;
    bool good;

    must(X509_STORE_add_cert(store, root) == 1);
    must(X509_STORE_CTX_init(ctx, store, x509, NULL) == 1);
    how = X509_STORE_CTX_get0_param(ctx);
    X509_VERIFY_PARAM_set_purpose(how, X509_PURPOSE_SSL_SERVER);
    if (X509_VERIFY_PARAM_set1_ip_asc(how, host) != 1)
        must(X509_VERIFY_PARAM_set1_host(how, host, 0) == 1);
    good = X509_verify_cert(ctx) == 1;
    X509_STORE_CTX_free(ctx);
    X509_STORE_free(store);
    X509_free(root);
    X509_free(x509);
    BIO_free(one);
    BIO_free(other);
    ERR_clear_error();
    return good;
}

/* An authority of development, and a certificate of it. */
struct dev {
    struct wsk__buf certificate, key, both;
    struct wsk__tls_pair authority, pair;
};

static void dev_open(struct dev *dev)
{
    struct wsk__tls_fault fault;

    wsk__buf_init(&dev->certificate, 1 << 16);
    wsk__buf_init(&dev->key, 1 << 16);
    wsk__buf_init(&dev->both, 1 << 16);
    must(wsk__tls_dev_authority(now(NULL), &dev->certificate, &dev->key,
                                &fault));
    dev->authority =
        (struct wsk__tls_pair){buf_file("authority.pem", &dev->certificate),
                               buf_file("authority.key", &dev->key)};
    must(wsk__tls_dev_certificate(&dev->authority, now(NULL), &dev->both,
                                  &fault));
    dev->pair = (struct wsk__tls_pair){buf_file("dev.pem", &dev->both),
                                       {NULL, {NULL, 0}}};
}

static void dev_close(struct dev *dev)
{
    wsk__buf_free(&dev->certificate);
    wsk__buf_free(&dev->key);
    wsk__buf_free(&dev->both);
}

TEST(a_certificate_of_development_serves_this_machine)
{
    struct wsk__tls_config config;
    struct wsk__tls_set *set;
    struct dev dev;

    dev_open(&dev);
    config = config_of(&dev.pair, 1);
    set = set_of(&config);
    EXPECT(strcmp(wsk__tls_set_certificate(set, 0)->names,
                  "localhost *.localhost 127.0.0.1 ::1") == 0);
    EXPECT(wsk__tls_set_certificate(set, 0)->warning == NULL);
    wsk__tls_set_unref(set);
    EXPECT(verifies(&dev.authority.chain, &dev.pair.chain, "localhost"));
    EXPECT(verifies(&dev.authority.chain, &dev.pair.chain, "127.0.0.1"));
    EXPECT(verifies(&dev.authority.chain, &dev.pair.chain, "::1"));
    EXPECT(!verifies(&dev.authority.chain, &dev.pair.chain, "example.com"));
    dev_close(&dev);
}

TEST(a_certificate_of_development_is_renewed_in_time)
{
    int64_t today = now(NULL);
    struct wsk__buf none;
    struct wsk__tls_fault fault;
    struct dev dev, other;

    dev_open(&dev);
    dev_open(&other);
    EXPECT(wsk__tls_dev_signs(&dev.authority, today));
    EXPECT(!wsk__tls_dev_signs(&dev.authority, today + 3640LL * DAY));
    EXPECT(wsk__tls_dev_serves(&dev.authority, &dev.pair.chain, today));
    EXPECT(!wsk__tls_dev_serves(&dev.authority, &dev.pair.chain,
                                today + 24 * DAY));
    EXPECT(!wsk__tls_dev_serves(&other.authority, &dev.pair.chain, today));
    wsk__buf_init(&none, 1 << 16);
    dev.authority.key = other.authority.key;
    EXPECT(!wsk__tls_dev_signs(&dev.authority, today));
    EXPECT(!wsk__tls_dev_certificate(&dev.authority, today, &none, &fault));
    EXPECT(strstr(fault.text, "does not fit") != NULL);
    wsk__buf_free(&none);
    dev_close(&dev);
    dev_close(&other);
}

TEST(a_thief_of_the_authoritys_key_cannot_sign_for_other_hosts)
{
    struct authority evil, by;
    struct text forged = {NULL, 0};
    struct wsk__tls_file file;
    struct dev dev;
    BIO *bio;

    dev_open(&dev);
    bio = BIO_new_mem_buf(dev.authority.key.text.p,
                          (int)dev.authority.key.text.len);
    by.key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    BIO_free(bio);
    bio = BIO_new_mem_buf(dev.authority.chain.text.p,
                          (int)dev.authority.chain.text.len);
    by.x509 = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    BIO_free(bio);
    evil = make((struct wanted){
        .name = "e", .san = "DNS:example.com,IP:192.0.2.1", .by = &by});
    add_x509(&forged, &evil);
    file = as_file("forged.pem", forged);
    EXPECT(!verifies(&dev.authority.chain, &file, "example.com"));
    EXPECT(!verifies(&dev.authority.chain, &file, "192.0.2.1"));
    free(forged.p);
    forget(&evil);
    forget(&by);
    dev_close(&dev);
}

#else

TEST(without_tls_there_is_nothing_to_test)
{
}

#endif
