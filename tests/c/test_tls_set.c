/* Sets of contexts: names, keys that fit, options, memory. */
#include "harness.h"

#ifdef WSK_TLS

#include "tls_set.h"

/* ------------------------------------------------------------- tests --- */

TEST(a_set_of_one_certificate_serves_both_versions)
{
    static const struct {
        int version;
        const char *text;
    } CASES[] = {{TLS1_2_VERSION, "TLSv1.2"}, {TLS1_3_VERSION, "TLSv1.3"}};
    struct site site;
    struct wsk__tls_config config;
    struct wsk__tls_set *set;

    site_open(&site, (struct wanted){.name = "a.example",
                                     .san = "DNS:a.example,IP:127.0.0.1"});
    config = config_of(&site.pair, 1);
    set = set_of(&config);
    for (size_t i = 0; i < 2; i++) {
        struct visit v;

        EXPECT(visit_open(
            &v, set,
            (struct client){.version = CASES[i].version, .sni = "A.Example"}));
        EXPECT(v.peer != NULL && v.peer->n == 5);
        EXPECT(variable_is(&v, "HTTPS", "on"));
        EXPECT(variable_is(&v, "SSL_PROTOCOL", CASES[i].text));
        EXPECT(variable_is(&v, "SSL_TLS_SNI", "a.example"));
        EXPECT(variable_is(&v, "SSL_CLIENT_VERIFY", "NONE"));
        EXPECT(variable_is(&v, "SSL_CLIENT_S_DN", NULL));
        EXPECT(!v.peer->info.resumed && v.peer->info.certificate.len == 0);
        visit_close(&v);
    }
    wsk__tls_set_unref(set);
    site_close(&site);
}

TEST(an_engine_keeps_the_set_with_which_it_began)
{
    struct site site;
    struct wsk__tls_config config;
    struct wsk__tls_set *set;
    struct visit v;

    site_open(&site, (struct wanted){.name = "a", .san = "DNS:a.example"});
    config = config_of(&site.pair, 1);
    set = set_of(&config);
    EXPECT(visit_open(&v, set, (struct client){.sni = "a.example"}));
    wsk__tls_set_unref(set);
    EXPECT(v.peer != NULL);
    visit_close(&v);
    site_close(&site);
}

TEST(facts_about_a_certificate_are_told)
{
    struct site site;
    struct wsk__tls_config config;
    struct wsk__tls_set *set;
    const struct wsk__tls_certificate *about;

    site_open(&site,
              (struct wanted){.name = "a",
                              .san = "DNS:A.example,DNS:*.b.example,IP:::1"});
    config = config_of(&site.pair, 1);
    set = set_of(&config);
    about = wsk__tls_set_certificate(set, 0);
    EXPECT(strcmp(about->path, "chain.pem") == 0);
    EXPECT(strcmp(about->name, "a.example") == 0);
    EXPECT(strcmp(about->names, "a.example *.b.example ::1") == 0);
    EXPECT(strcmp(about->serial, "1234ABCD") == 0);
    EXPECT(about->warning == NULL);
    EXPECT(about->end - about->start >= DAY && about->end > now(NULL));
    EXPECT(wsk__tls_set_certificate(set, 1) == NULL);
    EXPECT(wsk__tls_set_warning(set, 0) == NULL);
    wsk__tls_set_unref(set);
    site_close(&site);
}

TEST(a_client_gets_the_certificate_of_the_name_it_asks_for)
{
    static const struct {
        const char *asked, *got;
    } CASES[] = {
        {"a.example", "first"},
        {"A.EXAMPLE", "first"},
        {"b.example", "second"},
        {"x.b.example", "second"},
        {"exact.b.example", "third"},
        {"x.y.b.example", "first"},
        {".b.example", "first"},
        {"unknown.example", "first"},
        {NULL, "first"},
        {"b.exampl", "first"},
        {"b.example.", "first"},
        {"*.b.example", "first"},
    };
    struct site sites[3];
    struct wsk__tls_pair pairs[3];
    struct wsk__tls_config config;
    struct wsk__tls_set *set;

    site_open(&sites[0],
              (struct wanted){.name = "first", .san = "DNS:a.example"});
    site_open(&sites[1],
              (struct wanted){.name = "second",
                              .san = "DNS:b.example,DNS:*.b.example"});
    site_open(&sites[2],
              (struct wanted){.name = "third", .san = "DNS:exact.b.example"});
    for (size_t i = 0; i < 3; i++)
        pairs[i] = sites[i].pair;
    config = config_of(pairs, 3);
    set = set_of(&config);
    for (size_t i = 0; i < sizeof(CASES) / sizeof(*CASES); i++) {
        EXPECT(names(
            set,
            (struct client){.version = TLS1_3_VERSION, .sni = CASES[i].asked},
            CASES[i].got));
        EXPECT(names(
            set,
            (struct client){.version = TLS1_2_VERSION, .sni = CASES[i].asked},
            CASES[i].got));
    }
    wsk__tls_set_unref(set);
    for (size_t i = 0; i < 3; i++)
        site_close(&sites[i]);
}

TEST(of_two_certificates_of_a_name_the_clients_algorithms_choose)
{
    struct site sites[2];
    struct wsk__tls_pair pairs[2];
    struct wsk__tls_config config;
    struct wsk__tls_set *set;

    site_open(&sites[0], (struct wanted){.name = "ecdsa",
                                         .san = "DNS:a.example,DNS:b.example"});
    site_open(
        &sites[1],
        (struct wanted){.name = "rsa", .san = "DNS:a.example", .rsa = true});
    for (size_t i = 0; i < 2; i++)
        pairs[i] = sites[i].pair;
    config = config_of(pairs, 2);
    set = set_of(&config);
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        struct client who = {version, "a.example",
                             .signatures = "RSA-PSS+SHA256"};
        struct visit v;

        EXPECT(names(set, who, "rsa"));
        who.sni = NULL; /* the first certificate's first name has both */
        EXPECT(names(set, who, "rsa"));
        who.sni = "b.example";
        EXPECT(!visit_open(&v, set, who)); /* only ECDSA has that name */
        visit_close(&v);
        who.signatures = "ECDSA+SHA256";
        EXPECT(names(set, who, "ecdsa"));
        who.sni = "a.example";
        EXPECT(names(set, who, "ecdsa"));
    }
    EXPECT(wsk__tls_set_certificate(set, 1)->warning == NULL);
    wsk__tls_set_unref(set);
    for (size_t i = 0; i < 2; i++)
        site_close(&sites[i]);
}

TEST(a_certificate_that_nobody_gets_is_warned_of)
{
    struct site sites[3];
    struct wsk__tls_pair pairs[3];
    struct wsk__tls_config config;
    struct wsk__tls_set *set;

    site_open(&sites[0], (struct wanted){.name = "a", .san = "DNS:a.example"});
    site_open(&sites[1], (struct wanted){.name = "b", .san = "DNS:a.example"});
    site_open(&sites[2], (struct wanted){.name = "c"});
    for (size_t i = 0; i < 3; i++)
        pairs[i] = sites[i].pair;
    pairs[1].chain.path = "again.pem";
    pairs[2].chain.path = "nameless.pem";
    config = config_of(pairs, 3);
    set = set_of(&config);
    EXPECT(strcmp(wsk__tls_set_certificate(set, 1)->warning,
                  "the certificate in again.pem is never used: others before "
                  "it have its names") == 0);
    EXPECT(strcmp(wsk__tls_set_certificate(set, 2)->warning,
                  "the certificate in nameless.pem is never used: it has no "
                  "names") == 0);
    EXPECT(strcmp(wsk__tls_set_certificate(set, 2)->name, "nameless.pem") == 0);
    wsk__tls_set_unref(set);
    for (size_t i = 0; i < 3; i++)
        site_close(&sites[i]);
}

/* ------------------------------------------------------------- pairs --- */

TEST(a_bad_pair_is_named_in_one_sentence)
{
    struct site site, other;
    struct wsk__tls_pair pair = {{NULL, {NULL, 0}}, {NULL, {NULL, 0}}};
    struct wsk__tls_config config = config_of(&pair, 1);
    struct wsk__tls_file empty = {"empty.pem", {"", 0}};
    struct wsk__tls_file rubbish = {
        "rubbish.pem",
        {"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n", 59}};
    struct wsk__tls_file no_key = {
        "no-key.pem",
        {"-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n", 59}};

    site_open(&site, (struct wanted){.name = "a", .san = "DNS:a.example"});
    site_open(&other, (struct wanted){.name = "a", .san = "DNS:a.example"});
    pair = (struct wsk__tls_pair){empty, site.pair.key};
    EXPECT(fault_is(&config, "empty.pem has no certificate"));
    pair = (struct wsk__tls_pair){site.pair.key, site.pair.key};
    EXPECT(fault_is(&config, "key.pem has no certificate"));
    pair = (struct wsk__tls_pair){rubbish, site.pair.key};
    EXPECT(
        fault_begins(&config, "certificate 1 in rubbish.pem cannot be read: "));
    pair = (struct wsk__tls_pair){site.pair.chain, empty};
    EXPECT(fault_is(&config, "empty.pem has no private key"));
    pair = (struct wsk__tls_pair){site.pair.chain, {NULL, {NULL, 0}}};
    EXPECT(fault_is(&config, "chain.pem has no private key, and there is no "
                             "keyfile for it"));
    pair = (struct wsk__tls_pair){site.pair.chain, site.pair.chain};
    EXPECT(fault_is(&config, "chain.pem has no private key"));
    pair = (struct wsk__tls_pair){site.pair.chain, no_key};
    EXPECT(fault_begins(&config, "the key in no-key.pem cannot be read: "));
    pair = (struct wsk__tls_pair){site.pair.chain, other.pair.key};
    pair.key.path = "other.pem";
    EXPECT(fault_is(&config, "the key in other.pem does not fit the "
                             "certificate in chain.pem"));
    site_close(&site);
    site_close(&other);
}

TEST(a_cut_file_is_no_set_wherever_the_cut_is)
{
    struct site site;
    struct wsk__tls_pair pair = {{NULL, {NULL, 0}}, {NULL, {NULL, 0}}};
    struct wsk__tls_config config = config_of(&pair, 1);

    site_open(&site, (struct wanted){.name = "a", .san = "DNS:a.example"});
    for (size_t cut = 0; cut < site.chain.len - 1; cut += 7) {
        struct wsk__tls_fault fault;
        unsigned char *copy = exact(site.chain.p, cut);

        pair = site.pair;
        pair.chain.text = (wsk_str){(char *)copy, cut};
        EXPECT(wsk__tls_set_new(&config, &fault) == NULL && fault.torn);
        free(copy);
    }
    for (size_t cut = 0; cut < site.key.len - 1; cut += 7) {
        struct wsk__tls_fault fault;
        unsigned char *copy = exact(site.key.p, cut);

        pair = site.pair;
        pair.key.text = (wsk_str){(char *)copy, cut};
        EXPECT(wsk__tls_set_new(&config, &fault) == NULL && fault.torn);
        free(copy);
    }
    site_close(&site);
}

TEST(a_key_may_stand_in_the_chains_file_and_be_encrypted)
{
    struct site site;
    struct wsk__tls_pair pair = {{NULL, {NULL, 0}}, {NULL, {NULL, 0}}};
    struct wsk__tls_config config = config_of(&pair, 1);
    struct text both = {NULL, 0};

    site_open(&site, (struct wanted){.name = "a", .san = "DNS:a.example"});
    add_key(&both, &site.it, "open sesame");
    add_x509(&both, &site.it);
    pair = (struct wsk__tls_pair){as_file("both.pem", both), {NULL, {NULL, 0}}};
    EXPECT(fault_is(&config, "the key in both.pem is encrypted, and there is "
                             "no keyfile_password"));
    config.password = "wrong";
    EXPECT(fault_is(&config,
                    "keyfile_password does not open the key in both.pem"));
    config.password = "open sesame";
    wsk__tls_set_unref(set_of(&config));
    free(both.p);
    site_close(&site);
}

TEST(a_chain_out_of_order_is_a_warning_and_a_fault_if_strict)
{
    struct authority root =
        make((struct wanted){.name = "root", .signs = true});
    struct authority middle =
        make((struct wanted){.name = "middle", .signs = true, .by = &root});
    struct site site;
    struct wsk__tls_config config;
    struct wsk__tls_set *set;
    struct wsk__tls_pair pair;
    struct text wrong = {NULL, 0};

    site_open(&site, (struct wanted){
                         .name = "a", .san = "DNS:a.example", .by = &middle});
    add_x509(&wrong, &site.it);
    add_x509(&wrong, &root);
    add_x509(&wrong, &middle);
    pair = site.pair;
    pair.chain = as_file("wrong.pem", wrong);
    config = config_of(&pair, 1);
    set = set_of(&config);
    EXPECT(wsk__tls_set_certificate(set, 0)->out_of_order);
    EXPECT(strcmp(wsk__tls_set_certificate(set, 0)->warning,
                  "the chain in wrong.pem is out of order: certificate 2 did "
                  "not issue the one before it") == 0);
    wsk__tls_set_unref(set);
    config.strict = true;
    EXPECT(fault_is(&config, "the chain in wrong.pem is out of order: "
                             "certificate 2 did not issue the one before it"));
    free(wrong.p);
    site_close(&site);
    forget(&middle);
    forget(&root);
}

TEST(a_missing_intermediate_is_warned_of)
{
    struct authority root =
        make((struct wanted){.name = "root", .signs = true});
    struct site site;
    struct wsk__tls_config config;
    struct wsk__tls_set *set;

    site_open(&site, (struct wanted){.name = "a",
                                     .san = "DNS:a.example",
                                     .by = &root,
                                     .public = true});
    config = config_of(&site.pair, 1);
    set = set_of(&config);
    EXPECT(strcmp(wsk__tls_set_certificate(set, 0)->warning,
                  "chain.pem has no certificate of the issuer behind its own: "
                  "many clients will not trust it") == 0);
    wsk__tls_set_unref(set);
    site_close(&site);
    forget(&root);
}

TEST(an_expired_certificate_is_a_fault_only_if_strict)
{
    struct site site;
    struct wsk__tls_config config;
    struct wsk__tls_set *set;

    site_open(&site, (struct wanted){.name = "a",
                                     .san = "DNS:a.example",
                                     .from = -1000 * DAY,
                                     .until = -500 * DAY});
    config = config_of(&site.pair, 1);
    set = set_of(&config);
    EXPECT(wsk__tls_set_certificate(set, 0)->end < now(NULL));
    wsk__tls_set_unref(set);
    config.strict = true;
    {
        struct wsk__tls_fault fault;

        EXPECT(wsk__tls_set_new(&config, &fault) == NULL);
        EXPECT(strstr(fault.text, "the certificate in chain.pem expired on "
                                  "20") == fault.text);
        EXPECT(!fault.torn);
    }
    site_close(&site);
}

/* ------------------------------------------------------------ policy --- */

TEST(ciphers_and_groups_that_nobody_knows_are_faults)
{
    static const struct {
        const char *ciphers, *groups, *fault;
    } CASES[] = {
        {"ECDHE+AESGCM:NONSENSE", "X25519",
         "ciphers: OpenSSL has no cipher of TLS 1.2 called 'NONSENSE'"},
        {"TLS_AES_128_GCM_SHA256", "X25519",
         "ciphers: OpenSSL has no cipher of TLS 1.2 called "
         "'TLS_AES_128_GCM_SHA256'"},
        {"ECDHE+AESGCM:!ECDHE", "X25519",
         "ciphers: nothing is left of 'ECDHE+AESGCM:!ECDHE'"},
        {"ECDHE+AESGCM", "X25519:X25591",
         "tls_groups: no group is called 'X25591'"},
        {"ECDHE+AESGCM", "", "tls_groups: this OpenSSL has none of them"},
    };
    struct site site;
    struct wsk__tls_config config;

    site_open(&site, (struct wanted){.name = "a", .san = "DNS:a.example"});
    config = config_of(&site.pair, 1);
    for (size_t i = 0; i < sizeof(CASES) / sizeof(*CASES); i++) {
        config.ciphers = CASES[i].ciphers;
        config.groups = CASES[i].groups;
        EXPECT(fault_is(&config, CASES[i].fault));
    }
    config.ciphers = "ECDHE+AESGCM:!RC4:!NOTHING:@STRENGTH";
    config.groups = "X25519MLKEM768:P-256";
    wsk__tls_set_unref(set_of(&config));
    site_close(&site);
}

TEST(old_versions_and_other_ciphers_are_refused)
{
    struct site site;
    struct wsk__tls_config config;
    struct wsk__tls_set *set;
    struct visit v;

    site_open(&site, (struct wanted){.name = "a", .san = "DNS:a.example"});
    config = config_of(&site.pair, 1);
    set = set_of(&config);
    EXPECT(!visit_open(&v, set,
                       (struct client){.version = TLS1_2_VERSION,
                                       .ciphers = "ECDHE+AES:!AESGCM"}));
    EXPECT(strcmp(v.why, "no shared cipher") == 0);
    visit_close(&v);
    EXPECT(!visit_open(&v, set,
                       (struct client){.version = TLS1_1_VERSION,
                                       .ciphers = "ALL:@SECLEVEL=0"}));
    visit_close(&v);
    wsk__tls_set_unref(set);
    config.min = "1.3";
    set = set_of(&config);
    EXPECT(!visit_open(&v, set, (struct client){.version = TLS1_2_VERSION}));
    visit_close(&v);
    EXPECT(visit_open(&v, set, (struct client){.version = TLS1_3_VERSION}));
    visit_close(&v);
    wsk__tls_set_unref(set);
    site_close(&site);
}

/* ------------------------------------------------------------ memory --- */

static int allowed;

static int gate(void)
{
    return allowed-- > 0;
}

TEST(an_allocation_that_fails_leaves_no_set_and_no_leak)
{
    struct authority root =
        make((struct wanted){.name = "root", .signs = true});
    struct text signers = {NULL, 0};
    struct site site;
    struct wsk__tls_config config;
    struct wsk__tls_set *set = NULL;

    site_open(&site, (struct wanted){.name = "a",
                                     .san = "DNS:a.example,DNS:*.a.example"});
    add_x509(&signers, &root);
    config = config_of(&site.pair, 1);
    config.verify = WSK__TLS_VERIFY_OPTIONAL;
    config.ca_certs = as_file("ca.pem", signers);
    for (int n = 0; n < 200 && set == NULL; n++) {
        struct wsk__tls_fault fault;

        allowed = n;
        wsk__mem_set_gate(gate);
        set = wsk__tls_set_new(&config, &fault);
        wsk__mem_set_gate(NULL);
        EXPECT(set != NULL || strcmp(fault.text, "out of memory") == 0);
    }
    EXPECT(set != NULL);
    wsk__tls_set_unref(set);
    free(signers.p);
    site_close(&site);
    forget(&root);
}

#else

#include "tls/set.h"

TEST(without_tls_there_is_no_set_and_a_sentence_says_so)
{
    struct wsk__tls_config config = {.n_pairs = 0};
    struct wsk__tls_fault fault;

    EXPECT(wsk__tls_set_new(&config, &fault) == NULL);
    EXPECT(strstr(fault.text, "built without TLS") != NULL);
}

#endif
