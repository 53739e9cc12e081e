/* Certificates of clients: which are let in, and their facts. */
#include "harness.h"

#ifdef WSK_TLS

#include "tls_set.h"

/* Visit with one kind of certificate; true if the client was let in. */
static bool lets_in(struct wsk__tls_set *set, int version, enum shown shown,
                    const struct authority *by, const struct authority *foreign,
                    bool asks)
{
    struct authority is = client_of(shown, by, foreign);
    struct client who = {.version = version,
                         .sni = "a.example",
                         .is = shown != NONE ? &is : NULL};
    struct visit v;
    bool in = visit_open(&v, set, who), seen = asks && shown == GOOD;

    if (in) {
        EXPECT(variable_is(&v, "SSL_CLIENT_VERIFY", seen ? "SUCCESS" : "NONE"));
        EXPECT(variable_is(&v, "SSL_CLIENT_M_SERIAL", seen ? "77" : NULL));
        EXPECT((v.peer->info.certificate.len > 0) == seen);
    }
    visit_close(&v);
    forget(&is);
    return in;
}

TEST(a_client_is_let_in_by_cert_reqs_and_what_it_shows)
{
    /* A certificate that does not verify ends the handshake, with optional,
     * too. */
    static const bool LETS_IN[][SHOWN] = {
        [WSK__TLS_VERIFY_NONE] = {true, true, true, true, true},
        [WSK__TLS_VERIFY_OPTIONAL] = {true, true, false, false, false},
        [WSK__TLS_VERIFY_REQUIRED] = {false, true, false, false, false},
    };
    struct authority root =
        make((struct wanted){.name = "root", .signs = true});
    struct authority foreign =
        make((struct wanted){.name = "root", .signs = true});
    struct text signers = {NULL, 0}, lists = {NULL, 0};
    struct site site;
    struct wsk__tls_config config;

    site_open(&site, (struct wanted){.name = "a", .san = "DNS:a.example"});
    config = config_of(&site.pair, 1);
    add_x509(&signers, &root);
    add_list(&lists, &root, 0x666, DAY);
    config.ca_certs = as_file("ca.pem", signers);
    config.crl = as_file("crl.pem", lists);
    for (int reqs = WSK__TLS_VERIFY_NONE; reqs <= WSK__TLS_VERIFY_REQUIRED;
         reqs++) {
        struct wsk__tls_set *set;

        config.verify = (enum wsk__tls_verify)reqs;
        set = set_of(&config);
        for (int shown = NONE; shown < SHOWN; shown++)
            for (int v = TLS1_2_VERSION; v <= TLS1_3_VERSION; v++)
                EXPECT(lets_in(set, v, (enum shown)shown, &root, &foreign,
                               reqs != WSK__TLS_VERIFY_NONE) ==
                       LETS_IN[reqs][shown]);
        wsk__tls_set_unref(set);
    }
    free(signers.p);
    free(lists.p);
    site_close(&site);
    forget(&root);
    forget(&foreign);
}

TEST(a_clients_certificate_has_the_names_of_mod_ssl)
{
    struct authority root =
        make((struct wanted){.name = "root", .signs = true});
    struct authority is = client_of(GOOD, &root, NULL);
    struct text signers = {NULL, 0}, pem = {NULL, 0};
    struct site site;
    struct wsk__tls_config config;
    struct wsk__tls_set *set;
    struct visit v;
    uint8_t *der = NULL;
    int len = i2d_X509(is.x509, &der);

    site_open(&site, (struct wanted){.name = "a", .san = "DNS:a.example"});
    config = config_of(&site.pair, 1);
    add_x509(&signers, &root);
    config.ca_certs = as_file("ca.pem", signers);
    config.verify = WSK__TLS_VERIFY_OPTIONAL;
    set = set_of(&config);
    EXPECT(visit_open(&v, set, (struct client){.is = &is}));
    add_x509(&pem, &is);
    EXPECT(variable_is(&v, "SSL_TLS_SNI", ""));
    EXPECT(variable_is(&v, "SSL_CLIENT_CERT", pem.p));
    EXPECT(variable_is(&v, "SSL_CLIENT_S_DN", "CN=J\xc3\xb6rg\\, O=x"));
    EXPECT(variable_is(&v, "SSL_CLIENT_I_DN", "CN=root"));
    EXPECT(variable_is(&v, "SSL_CLIENT_SAN_Email_0", "j@example.com"));
    EXPECT(variable_is(&v, "SSL_CLIENT_SAN_Email_1", "k@example.com"));
    EXPECT(variable_is(&v, "SSL_CLIENT_SAN_Email_2", NULL));
    EXPECT(variable_is(&v, "SSL_CLIENT_SAN_DNS_0", "host.example"));
    EXPECT(wsk__tls_peer_get(v.peer, (wsk_str){"SSL_CLIENT_V_END", 16}).len ==
           strlen("Nov 30 01:51:45 2026 GMT"));
    EXPECT(v.peer->info.certificate.len == (size_t)len &&
           memcmp(v.peer->info.certificate.p, der, (size_t)len) == 0);
    visit_close(&v);
    wsk__tls_set_unref(set);
    OPENSSL_free(der);
    free(signers.p);
    free(pem.p);
    site_close(&site);
    forget(&is);
    forget(&root);
}

TEST(an_intermediate_authority_alone_may_sign_clients)
{
    struct authority root =
        make((struct wanted){.name = "root", .signs = true});
    struct authority middle =
        make((struct wanted){.name = "middle", .signs = true, .by = &root});
    struct authority is = client_of(GOOD, &middle, NULL);
    struct authority revoked = client_of(REVOKED, &middle, NULL);
    struct text signers = {NULL, 0}, lists = {NULL, 0};
    struct site site;
    struct wsk__tls_config config;
    struct wsk__tls_set *set;
    struct visit v;

    site_open(&site, (struct wanted){.name = "a", .san = "DNS:a.example"});
    config = config_of(&site.pair, 1);
    add_x509(&signers, &middle);
    add_list(&lists, &middle, 0x666, DAY);
    config.ca_certs = as_file("ca.pem", signers);
    config.verify = WSK__TLS_VERIFY_REQUIRED;
    set = set_of(&config);
    EXPECT(visit_open(&v, set, (struct client){.is = &is}));
    visit_close(&v);
    wsk__tls_set_unref(set);
    config.crl = as_file("crl.pem", lists);
    set = set_of(&config);
    EXPECT(wsk__tls_set_warning(set, 0) == NULL);
    EXPECT(visit_open(&v, set, (struct client){.is = &is}));
    visit_close(&v);
    EXPECT(!visit_open(&v, set, (struct client){.is = &revoked}));
    EXPECT(strcmp(v.why, "bad certificate: certificate revoked") == 0);
    visit_close(&v);
    wsk__tls_set_unref(set);
    free(signers.p);
    free(lists.p);
    site_close(&site);
    forget(&is);
    forget(&revoked);
    forget(&middle);
    forget(&root);
}

TEST(the_issuer_of_a_client_may_be_revoked)
{
    struct authority root =
        make((struct wanted){.name = "root", .signs = true});
    struct authority middle = make((struct wanted){
        .name = "middle", .signs = true, .by = &root, .serial = 0x555});
    struct authority is = client_of(GOOD, &middle, NULL);
    struct text signers = {NULL, 0};
    struct site site;
    struct wsk__tls_config config;

    site_open(&site, (struct wanted){.name = "a", .san = "DNS:a.example"});
    config = config_of(&site.pair, 1);
    config.verify = WSK__TLS_VERIFY_REQUIRED;
    add_x509(&signers, &root);
    config.ca_certs = as_file("ca.pem", signers);
    for (int revoked = 0; revoked < 2; revoked++) {
        struct text lists = {NULL, 0};
        struct wsk__tls_set *set;
        struct visit v;

        add_list(&lists, &middle, 1, DAY);
        add_list(&lists, &root, revoked ? 0x555 : 1, DAY);
        config.crl = as_file("crl.pem", lists);
        set = set_of(&config);
        EXPECT(
            visit_open(&v, set, (struct client){.is = &is, .via = &middle}) ==
            !revoked);
        visit_close(&v);
        wsk__tls_set_unref(set);
        free(lists.p);
    }
    free(signers.p);
    site_close(&site);
    forget(&is);
    forget(&middle);
    forget(&root);
}

TEST(options_of_clients_that_do_not_fit_are_told)
{
    struct authority root =
        make((struct wanted){.name = "root", .signs = true});
    struct authority other =
        make((struct wanted){.name = "other", .signs = true});
    struct text signers = {NULL, 0}, lists = {NULL, 0};
    struct site site;
    struct wsk__tls_config config;
    struct wsk__tls_set *set;

    site_open(&site, (struct wanted){.name = "a", .san = "DNS:a.example"});
    config = config_of(&site.pair, 1);
    config.verify = WSK__TLS_VERIFY_OPTIONAL;
    EXPECT(fault_is(&config, "cert_reqs asks clients for certificates, and "
                             "there are no ca_certs that sign them"));
    config.ca_certs = as_file("empty.pem", signers);
    EXPECT(fault_is(&config, "empty.pem has no certificate"));
    add_x509(&signers, &root);
    add_x509(&signers, &other);
    config.ca_certs = as_file("ca.pem", signers);
    config.crl = config.ca_certs;
    EXPECT(fault_is(&config, "ca.pem has no list of revoked certificates"));
    add_list(&lists, &root, 1, -60);
    config.crl = as_file("crl.pem", lists);
    set = set_of(&config);
    EXPECT(strcmp(wsk__tls_set_warning(set, 0),
                  "crl.pem has no list of CN=other, whose clients are all "
                  "refused therefore") == 0);
    EXPECT(strstr(wsk__tls_set_warning(set, 1),
                  "list 1 in crl.pem ran out on 20") != NULL);
    EXPECT(wsk__tls_set_warning(set, 2) == NULL);
    wsk__tls_set_unref(set);
    config.verify = WSK__TLS_VERIFY_NONE;
    set = set_of(&config);
    EXPECT(strcmp(wsk__tls_set_warning(set, 0),
                  "ca_certs has no effect: cert_reqs is none") == 0);
    wsk__tls_set_unref(set);
    free(signers.p);
    free(lists.p);
    site_close(&site);
    forget(&root);
    forget(&other);
}

#else

TEST(without_tls_there_is_nothing_to_test)
{
}

#endif
