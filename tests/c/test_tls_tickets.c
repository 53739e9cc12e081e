/* Tickets: where they count, and for how long. */
#include "harness.h"

#ifdef WSK_TLS

#include "tls_set.h"

/* Visit with a session; true if it was resumed. */
static bool resumes(struct wsk__tls_set *set, struct client who)
{
    struct visit v;
    bool open = visit_open(&v, set, who);
    bool resumed = SSL_session_reused(v.ssl);

    EXPECT(open);
    if (open)
        EXPECT(v.peer->info.resumed == resumed);
    visit_close(&v);
    return resumed;
}

TEST(a_ticket_of_one_set_counts_in_another_with_the_same_seed)
{
    static const uint8_t OTHER_SEED[WSK__TLS_SEED] = "another seed";
    struct site site;
    struct wsk__tls_config config;

    site_open(&site, (struct wanted){.name = "a", .san = "DNS:a.example"});
    config = config_of(&site.pair, 1);
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        SSL_SESSION *session = NULL;
        struct client who = {
            .version = version, .sni = "a.example", .session = &session};
        struct wsk__tls_set *set = set_of(&config), *same = set_of(&config);
        struct wsk__tls_set *other;

        EXPECT(!resumes(set, who) && session != NULL);
        EXPECT(resumes(set, who));
        EXPECT(resumes(same, who));
        config.seed = OTHER_SEED;
        other = set_of(&config);
        config.seed = SEED;
        EXPECT(!resumes(other, who));
        EXPECT(!resumes(same, who)); /* the session is the other's now */
        SSL_SESSION_free(session);
        wsk__tls_set_unref(set);
        wsk__tls_set_unref(same);
        wsk__tls_set_unref(other);
    }
    site_close(&site);
}

TEST(a_ticket_of_one_name_does_not_count_under_another)
{
    /* CVE-2025-23419: a client that was let in under one name must not come in
     * under another without its certificate. */
    struct authority root =
        make((struct wanted){.name = "root", .signs = true});
    struct authority is = client_of(GOOD, &root, NULL);
    struct text signers = {NULL, 0};
    struct site sites[2];
    struct wsk__tls_pair pairs[2];
    struct wsk__tls_config config;

    site_open(&sites[0], (struct wanted){.name = "a", .san = "DNS:a.example"});
    site_open(&sites[1], (struct wanted){.name = "b", .san = "DNS:b.example"});
    pairs[0] = sites[0].pair;
    pairs[1] = sites[1].pair;
    add_x509(&signers, &root);
    config = config_of(pairs, 2);
    config.ca_certs = as_file("ca.pem", signers);
    for (int reqs = WSK__TLS_VERIFY_NONE; reqs <= WSK__TLS_VERIFY_OPTIONAL;
         reqs++)
        for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION;
             version++) {
            SSL_SESSION *session = NULL;
            struct client who = {.version = version,
                                 .sni = "a.example",
                                 .is = &is,
                                 .session = &session};
            struct wsk__tls_set *set;

            config.verify = (enum wsk__tls_verify)reqs;
            set = set_of(&config);
            EXPECT(!resumes(set, who) && session != NULL);
            EXPECT(resumes(set, who));
            who.is = NULL;
            who.sni = "b.example";
            EXPECT(!resumes(set, who));
            who.sni = NULL;
            EXPECT(!resumes(set, who));
            who.sni = "a.example";
            EXPECT(!resumes(set, who)); /* the last session had no name */
            SSL_SESSION_free(session);
            wsk__tls_set_unref(set);
        }
    free(signers.p);
    for (size_t i = 0; i < 2; i++)
        site_close(&sites[i]);
    forget(&is);
    forget(&root);
}

TEST(a_ticket_vouches_for_a_client_until_signers_or_lists_change)
{
    struct authority root =
        make((struct wanted){.name = "root", .signs = true});
    struct authority is = client_of(GOOD, &root, NULL);
    struct text signers = {NULL, 0}, lists = {NULL, 0};
    struct site site;
    struct wsk__tls_config config;

    site_open(&site, (struct wanted){.name = "a", .san = "DNS:a.example"});
    add_x509(&signers, &root);
    add_list(&lists, &root, 0x77, DAY); /* the client's own */
    config = config_of(&site.pair, 1);
    config.verify = WSK__TLS_VERIFY_REQUIRED;
    config.ca_certs = as_file("ca.pem", signers);
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        SSL_SESSION *session = NULL, *before;
        struct client who = {.version = version,
                             .sni = "a.example",
                             .is = &is,
                             .session = &session};
        struct wsk__tls_set *set = set_of(&config), *next;
        struct visit v;

        EXPECT(!resumes(set, who) && resumes(set, who));
        EXPECT(visit_open(&v, set, who) && SSL_session_reused(v.ssl));
        EXPECT(variable_is(&v, "SSL_CLIENT_VERIFY", "SUCCESS"));
        EXPECT(variable_is(&v, "SSL_CLIENT_M_SERIAL", "77"));
        visit_close(&v);
        config.crl = as_file("crl.pem", lists);
        next = set_of(&config);
        config.crl.path = NULL;
        before = session;
        SSL_SESSION_up_ref(before);
        EXPECT(!visit_open(&v, next, who));
        visit_close(&v);
        /* The certificate runs out, but not yet the ticket. */
        clock_ahead = DAY + 60;
        SSL_SESSION_free(session);
        session = before;
        EXPECT(!resumes(set, who)); /* past the keys' time, too */
        clock_ahead = 0;
        SSL_SESSION_free(session);
        wsk__tls_set_unref(set);
        wsk__tls_set_unref(next);
    }
    free(signers.p);
    free(lists.p);
    site_close(&site);
    forget(&is);
    forget(&root);
}

TEST(a_ticket_does_not_outlive_its_clients_certificate)
{
    struct authority root =
        make((struct wanted){.name = "root", .signs = true});
    struct authority is = make((struct wanted){
        .name = "short", .by = &root, .from = -60, .until = 600});
    struct text signers = {NULL, 0};
    struct site site;
    struct wsk__tls_config config;

    site_open(&site, (struct wanted){.name = "a", .san = "DNS:a.example"});
    add_x509(&signers, &root);
    config = config_of(&site.pair, 1);
    config.verify = WSK__TLS_VERIFY_REQUIRED;
    config.ca_certs = as_file("ca.pem", signers);
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        SSL_SESSION *session = NULL;
        struct client who = {.version = version,
                             .sni = "a.example",
                             .is = &is,
                             .session = &session};
        struct wsk__tls_set *set = set_of(&config);

        EXPECT(!resumes(set, who) && resumes(set, who));
        clock_ahead = 601;
        EXPECT(!resumes(set, who));
        clock_ahead = 0;
        SSL_SESSION_free(session);
        wsk__tls_set_unref(set);
    }
    free(signers.p);
    site_close(&site);
    forget(&is);
    forget(&root);
}

TEST(keys_of_tickets_change_with_the_time_and_the_past_one_still_counts)
{
    enum { PERIOD = 8 * 3600 };
    struct site site;
    struct wsk__tls_config config;
    int64_t into = now(NULL) % PERIOD;

    site_open(&site, (struct wanted){.name = "a", .san = "DNS:a.example"});
    config = config_of(&site.pair, 1);
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        SSL_SESSION *session = NULL, *first;
        struct client who = {
            .version = version, .sni = "a.example", .session = &session};
        struct wsk__tls_set *set = set_of(&config);

        clock_ahead = -into; /* the first second of a period */
        EXPECT(!resumes(set, who));
        first = SSL_SESSION_dup(session);
        clock_ahead = -into - 1; /* a worker whose clock is behind */
        EXPECT(resumes(set, who));
        for (int periods = 1; periods <= 2; periods++) {
            clock_ahead = -into + periods * PERIOD;
            SSL_SESSION_free(session);
            session = SSL_SESSION_dup(first);
            EXPECT(resumes(set, who) == (periods < 2));
            EXPECT(resumes(set, who)); /* a newer key is in use: renewed */
        }
        clock_ahead = 0;
        SSL_SESSION_free(first);
        SSL_SESSION_free(session);
        wsk__tls_set_unref(set);
    }
    site_close(&site);
}

TEST(files_of_ticket_keys_make_machines_agree_and_the_first_encrypts)
{
    char octets[2][WSK__TLS_TICKET_FILE];
    struct wsk__tls_file files[2];
    struct site site;
    struct wsk__tls_config config;

    for (size_t i = 0; i < 2; i++) {
        memset(octets[i], 'a' + (int)i, WSK__TLS_TICKET_FILE);
        files[i] = (struct wsk__tls_file){"ticket.key",
                                          {octets[i], WSK__TLS_TICKET_FILE}};
    }
    site_open(&site, (struct wanted){.name = "a", .san = "DNS:a.example"});
    config = config_of(&site.pair, 1);
    config.tickets = files;
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        SSL_SESSION *session = NULL;
        struct client who = {
            .version = version, .sni = "a.example", .session = &session};
        struct wsk__tls_set *old, *both, *young;

        config.n_tickets = 1;
        old = set_of(&config);
        config.tickets = files + 1;
        young = set_of(&config);
        config.tickets = (struct wsk__tls_file[]){files[1], files[0]};
        config.n_tickets = 2;
        both = set_of(&config);
        config.tickets = files;
        EXPECT(!resumes(old, who) && resumes(old, who));
        clock_ahead = 1000;         /* time does not count */
        EXPECT(resumes(both, who)); /* renewed: the first encrypts */
        clock_ahead = 0;
        EXPECT(resumes(young, who));
        EXPECT(!resumes(old, who));
        SSL_SESSION_free(session);
        wsk__tls_set_unref(old);
        wsk__tls_set_unref(both);
        wsk__tls_set_unref(young);
    }
    site_close(&site);
}

#else

TEST(without_tls_there_is_nothing_to_test)
{
}

#endif
