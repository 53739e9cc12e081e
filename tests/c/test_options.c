#include "harness.h"

#include "wsocket.h"

static wsk_server_config cfg;
static char error[160];

static wsk_status set(const char *name, const char *value)
{
    wsk_config_init(&cfg);
    memset(error, 'x', sizeof error);
    return wsk_config_set(&cfg, name, value, error);
}

static const wsk_option *find(const char *name)
{
    size_t n;
    const wsk_option *options = wsk_options(&n);

    for (size_t i = 0; i < n; i++)
        if (strcmp(options[i].name, name) == 0)
            return &options[i];
    abort();
}

TEST(defaults_are_those_of_the_list)
{
    wsk_config_init(&cfg);
    EXPECT(strcmp(cfg.host, "127.0.0.1") == 0);
    EXPECT(cfg.port == 8080);
    EXPECT(cfg.keep_alive_ms == 75000);
    EXPECT(strcmp(cfg.access_logfile, find("access_logfile")->default_text) ==
           0);
    EXPECT(cfg.limits.max_request_line == 16384);
    EXPECT(cfg.limits.max_body == 1073741824);
    EXPECT(cfg.limits.server_header && cfg.limits.date_header);
}

#define SKIP(name, dflt, help)
#define SAME(name, dflt, help) EXPECT(fresh.name == built.name);
#define SAME_TIME(name, dflt, help) EXPECT(fresh.name##_ms == built.name##_ms);
#define SAME_LIMIT(name, dflt, help)                                           \
    EXPECT(fresh.limits.name == built.limits.name);

TEST(the_default_texts_build_the_default_config)
{
    wsk_server_config fresh, built = {0};
    size_t n;
    const wsk_option *options = wsk_options(&n);

    wsk_config_init(&fresh);
    for (size_t i = 0; i < n; i++)
        if (options[i].default_text != NULL)
            EXPECT(wsk_config_set(&built, options[i].name,
                                  options[i].default_text, NULL) == WSK_OK);
    EXPECT(strcmp(fresh.host, built.host) == 0);
    WSK_SERVER_OPTIONS(SKIP, SAME, SAME, SAME_TIME, SAME)
    WSK_LIMIT_OPTIONS(SKIP, SAME_LIMIT, SAME_LIMIT, SKIP, SAME_LIMIT)
    WSK_PROCESS_OPTIONS(SKIP, SAME, SAME, SAME_TIME, SAME)
}

TEST(workers_are_a_number_or_auto)
{
    static const char *const GOOD[] = {"auto", "1", "4", "512", "0001"};
    static const char *const BAD[] = {"",    "0",  "513", "-1",
                                      "two", "1 ", "4.0", "99999999999"};
    wsk_server_config cfg;
    char error[160];

    wsk_config_init(&cfg);
    EXPECT(cfg.workers == NULL);
    for (size_t i = 0; i < sizeof GOOD / sizeof GOOD[0]; i++)
        EXPECT(wsk_config_set(&cfg, "workers", GOOD[i], error) == WSK_OK);
    for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++)
        EXPECT(wsk_config_set(&cfg, "workers", BAD[i], error) == WSK_E_ARG);
    EXPECT(strstr(error, "auto or a number from 1 to 512") != NULL);
}

TEST(default_texts_read_as_a_person_writes_them)
{
    EXPECT(strcmp(find("host")->default_text, "127.0.0.1") == 0);
    EXPECT(strcmp(find("threads")->default_text, "64") == 0);
    EXPECT(strcmp(find("keep_alive")->default_text, "75") == 0);
    EXPECT(strcmp(find("ws_close_timeout")->default_text, "5") == 0);
    EXPECT(strcmp(find("max_body")->default_text, "1073741824") == 0);
    EXPECT(strcmp(find("date_header")->default_text, "on") == 0);
}

TEST(each_option_has_a_name_and_one_line_of_help)
{
    size_t n;
    const wsk_option *options = wsk_options(&n);

    for (size_t i = 0; i < n; i++) {
        EXPECT(strspn(options[i].name, "abcdefghijklmnopqrstuvwxyz_") ==
               strlen(options[i].name));
        EXPECT(strlen(options[i].help) > 0);
        EXPECT(strchr(options[i].help, '\n') == NULL);
    }
}

TEST(text_is_borrowed)
{
    static const char host[] = "::1";

    EXPECT(set("host", host) == WSK_OK);
    EXPECT(cfg.host == host);
    EXPECT(set("host", "") == WSK_OK);
}

TEST(counts_are_digits_within_their_range)
{
    EXPECT(set("port", "0") == WSK_OK && cfg.port == 0);
    EXPECT(set("port", "65535") == WSK_OK && cfg.port == 65535);
    EXPECT(set("port", "65536") == WSK_E_ARG && cfg.port == 8080);
    EXPECT(strcmp(error, "port takes a number from 0 to 65535, not '65536'") ==
           0);
    EXPECT(set("threads", "0") == WSK_E_ARG && cfg.threads == 64);
    EXPECT(set("max_headers", "4294967295") == WSK_OK);
    EXPECT(cfg.limits.max_headers == UINT32_MAX);
    EXPECT(set("max_headers", "4294967296") == WSK_E_ARG);
    EXPECT(set("port", "") == WSK_E_ARG);
    EXPECT(set("port", "-1") == WSK_E_ARG);
    EXPECT(set("port", "+1") == WSK_E_ARG);
    EXPECT(set("port", " 1") == WSK_E_ARG);
    EXPECT(set("port", "1 ") == WSK_E_ARG);
    EXPECT(set("port", "0x10") == WSK_E_ARG);
    EXPECT(set("port", "1k") == WSK_E_ARG);
}

TEST(sizes_take_one_unit)
{
    EXPECT(set("max_body", "0") == WSK_OK && cfg.limits.max_body == 0);
    EXPECT(set("max_body", "64k") == WSK_OK && cfg.limits.max_body == 65536);
    EXPECT(set("max_body", "2M") == WSK_OK && cfg.limits.max_body == 2097152);
    EXPECT(set("max_body", "3g") == WSK_OK &&
           cfg.limits.max_body == 3221225472U);
    EXPECT(set("max_body", "18446744073709551615") == WSK_OK &&
           cfg.limits.max_body == UINT64_MAX);
    EXPECT(set("max_body", "18446744073709551616") == WSK_E_ARG);
    EXPECT(set("max_body", "17179869183g") == WSK_OK);
    EXPECT(set("max_body", "17179869184g") == WSK_E_ARG);
    EXPECT(set("max_body", "k") == WSK_E_ARG);
    EXPECT(set("max_body", "1kb") == WSK_E_ARG);
    EXPECT(set("max_body", "1t") == WSK_E_ARG);
    EXPECT(set("max_body", "1.5m") == WSK_E_ARG);
    EXPECT(cfg.limits.max_body == 1073741824);
}

TEST(times_are_decimal_seconds)
{
    EXPECT(set("keep_alive", "10") == WSK_OK && cfg.keep_alive_ms == 10000);
    EXPECT(set("keep_alive", "1.5") == WSK_OK && cfg.keep_alive_ms == 1500);
    EXPECT(set("keep_alive", "0.001") == WSK_OK && cfg.keep_alive_ms == 1);
    EXPECT(set("keep_alive", "2.0005") == WSK_OK && cfg.keep_alive_ms == 2001);
    EXPECT(set("keep_alive", "2.00049") == WSK_OK && cfg.keep_alive_ms == 2000);
    EXPECT(set("keep_alive", "0.30000000000000004") == WSK_OK &&
           cfg.keep_alive_ms == 300);
    EXPECT(set("keep_alive", "0.000") == WSK_OK && cfg.keep_alive_ms == 0);
    EXPECT(set("keep_alive", "4294967.295") == WSK_OK &&
           cfg.keep_alive_ms == UINT32_MAX);
    EXPECT(set("keep_alive", "4294967.296") == WSK_E_ARG);
    EXPECT(set("keep_alive", "99999999999999999999") == WSK_E_ARG);
    EXPECT(set("keep_alive", "1.") == WSK_E_ARG);
    EXPECT(set("keep_alive", ".5") == WSK_E_ARG);
    EXPECT(set("keep_alive", "1.2.3") == WSK_E_ARG);
    EXPECT(set("keep_alive", "1e3") == WSK_E_ARG);
    EXPECT(set("keep_alive", "10s") == WSK_E_ARG);
}

TEST(a_time_that_is_not_zero_never_turns_into_off)
{
    EXPECT(set("ws_ping_interval", "0.0000001") == WSK_OK);
    EXPECT(cfg.ws_ping_interval_ms == 1);
}

TEST(a_limit_under_which_no_request_could_come_is_refused)
{
    wsk_config_init(&cfg);
    EXPECT(set("max_headers", "0") == WSK_E_ARG);
    EXPECT(set("max_headers", "1") == WSK_OK);
    EXPECT(set("max_header_bytes", "0") == WSK_E_ARG);
    EXPECT(strstr(error, "takes octets above 0, such as") != NULL);
    EXPECT(set("max_header_bytes", "1") == WSK_OK);
    EXPECT(set("max_request_line", "0k") == WSK_E_ARG);
    EXPECT(set("head_timeout", "0") == WSK_E_ARG);
    EXPECT(strstr(error, "takes seconds above 0, such as") != NULL);
    EXPECT(set("head_timeout", "0.0001") == WSK_OK);
    EXPECT(cfg.head_timeout_ms == 1);
}

TEST(forwarded_fields_are_named_in_any_case_and_of_one_kind)
{
    EXPECT(set("forwarded_fields", "") == WSK_OK);
    EXPECT(set("forwarded_fields", "Forwarded") == WSK_OK);
    EXPECT(set("forwarded_fields", "X-Forwarded-For\nx-forwarded-host") ==
           WSK_OK);
    EXPECT(set("forwarded_fields",
               "x-forwarded-port, x-forwarded-prefix,x-forwarded-proto") ==
           WSK_OK);
    EXPECT(set("forwarded_fields", "x-forwarded-for x-forwarded-proto") ==
           WSK_E_ARG);
    EXPECT(set("forwarded_fields", "x-real-ip") == WSK_E_ARG);
    EXPECT(strstr(error, "not 'x-real-ip'") != NULL);
    EXPECT(set("forwarded_fields", "x-forwarded-proto\nforwarded") ==
           WSK_E_ARG);
    EXPECT(strstr(error, "not both") != NULL);
    EXPECT(strcmp(cfg.forwarded_fields, "x-forwarded-for,x-forwarded-proto") ==
           0);
}

TEST(allowed_hosts_are_names_and_addresses)
{
    static const char *const GOOD[] = {"shop.example",
                                       ".shop.example",
                                       "a.example,b.example\nc.example.",
                                       "*",
                                       "127.0.0.1, [::1]",
                                       "2001:db8::1",
                                       "a_b",
                                       ""};
    static const char *const BAD[] = {"shop.example:80",
                                      "http://shop.example",
                                      "*.shop.example",
                                      "[::1]:80",
                                      ".",
                                      "a b",
                                      "[::1",
                                      "a@b"};

    for (size_t i = 0; i < sizeof GOOD / sizeof GOOD[0]; i++)
        EXPECT(set("allowed_hosts", GOOD[i]) == WSK_OK);
    for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++)
        EXPECT(set("allowed_hosts", BAD[i]) == WSK_E_ARG);
    EXPECT(cfg.allowed_hosts == NULL);
}

TEST(a_host_has_at_most_255_octets)
{
    static const size_t LEN[] = {255, 256, 5000};

    for (size_t i = 0; i < 3; i++) {
        char *host = calloc(1, LEN[i] + 5);
        wsk_status right = LEN[i] == 255 ? WSK_OK : WSK_E_ARG;

        memset(host, 'a', LEN[i]);
        EXPECT(set("host", host) == right);
        memcpy(host + LEN[i], ":80", 4);
        EXPECT(set("bind", host) == right);
        host[0] = '[';
        host[LEN[i]] = 'a';
        memcpy(host + LEN[i] + 1, "]:8", 4);
        EXPECT(set("bind", host) == right);
        free(host);
    }
    EXPECT(strstr(error, "bind takes host:port") != NULL);
    EXPECT(set("host", "") == WSK_OK);
}

TEST(a_wrong_item_of_a_list_is_shown_by_itself)
{
    wsk_config_init(&cfg);
    EXPECT(set("trusted_proxies", "10.0.0.1, box") == WSK_E_ARG);
    EXPECT(strstr(error, ", not 'box'") != NULL);
    EXPECT(set("bind", "\nfd:3\nfd:x\nfd:4\n") == WSK_E_ARG);
    EXPECT(strstr(error, ", not 'fd:x'") != NULL);
}

TEST(an_origin_that_no_browser_could_send_is_refused) /* RFC 6454 6.2 */
{
    static const char *const GOOD[] = {
        "*",
        "same",
        "null",
        "",
        "http://[::1]:80",
        "same, https://example.com:8443,null",
        "\nsame,https://a.example\nhttps://b.example\n",
        "\nfile://\nmoz-extension://0b1f\n",
    };
    static const char *const BAD[] = {
        "example.com",
        "https://example.com/",
        "https://*.example.com",
        "https://me@a.example",
        "localhost:3000",
        "://a.example",
        "none",
        "https:/a",
        "https://a?b",
    };

    wsk_config_init(&cfg);
    for (size_t i = 0; i < sizeof GOOD / sizeof GOOD[0]; i++)
        EXPECT(set("ws_origins", GOOD[i]) == WSK_OK);
    for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++)
        EXPECT(set("ws_origins", BAD[i]) == WSK_E_ARG);
    EXPECT(strcmp(error, "ws_origins takes same, *, null or origins such as "
                         "https://example.com, not 'https://a?b'") == 0);
}

TEST(a_subprotocol_is_a_token) /* RFC 6455 4.1 */
{
    wsk_config_init(&cfg);
    EXPECT(set("ws_subprotocols", "v2.chat, v1") == WSK_OK);
    EXPECT(set("ws_subprotocols", "\na,b\nc\n") == WSK_OK);
    EXPECT(set("ws_subprotocols", "") == WSK_OK);
    EXPECT(set("ws_subprotocols", "\na\n<list_iterator object>\n") ==
           WSK_E_ARG);
    EXPECT(set("ws_subprotocols", "chat v2") == WSK_E_ARG);
    EXPECT(
        strstr(error, "names without blanks, such as chat.v2, not 'chat v2'"));
}

TEST(flags_are_on_or_off)
{
    EXPECT(set("date_header", "off") == WSK_OK && !cfg.limits.date_header);
    EXPECT(set("date_header", "on") == WSK_OK && cfg.limits.date_header);
    EXPECT(set("date_header", "true") == WSK_E_ARG);
    EXPECT(strcmp(error, "date_header takes on or off, not 'true'") == 0);
}

TEST(some_texts_are_chosen_from_a_few)
{
    EXPECT(set("log_level", "warning") == WSK_OK);
    EXPECT(set("log_level", "warn") == WSK_E_ARG);
    EXPECT(set("log_level", "") == WSK_E_ARG);
    EXPECT(set("ws_compression", "takeover") == WSK_OK);
    EXPECT(set("ws_compression", "on") == WSK_E_ARG);
    EXPECT(set("ws_compression_level", "9") == WSK_OK);
    EXPECT(set("ws_compression_level", "10") == WSK_E_ARG);
    EXPECT(set("ws_hide_upgrade", "never") == WSK_OK);
    EXPECT(set("ws_hide_upgrade", "auto always") == WSK_E_ARG);
    EXPECT(strcmp(error, "ws_hide_upgrade takes one of auto always never, "
                         "not 'auto always'") == 0);
}

TEST(an_unknown_name_names_the_nearest)
{
    EXPECT(set("prot", "1") == WSK_E_ARG);
    EXPECT(strcmp(error, "unknown option 'prot'; did you mean 'port'?") == 0);
    EXPECT(set("max-body", "1") == WSK_E_ARG);
    EXPECT(strstr(error, "'max_body'") != NULL);
    EXPECT(set("ws_ping_intervall", "1") == WSK_E_ARG);
    EXPECT(strstr(error, "'ws_ping_interval'") != NULL);
    EXPECT(set("", "1") == WSK_E_ARG);
    EXPECT(set("ws_pings_interval", "1") == WSK_E_ARG);
    EXPECT(strstr(error, "'ws_ping_interval'") != NULL);
}

TEST(a_name_that_is_like_no_option_is_only_called_unknown)
{
    EXPECT(set("xyzzy", "1") == WSK_E_ARG);
    EXPECT(strcmp(error, "unknown option 'xyzzy'") == 0);
    EXPECT(set("quiz", "1") == WSK_E_ARG);
    EXPECT(strcmp(error, "unknown option 'quiz'") == 0);
    EXPECT(set("", "1") == WSK_E_ARG);
    EXPECT(strcmp(error, "unknown option ''") == 0);
}

TEST(an_option_with_choices_names_them)
{
    EXPECT(strcmp(wsk_option_choices("buffer_body"), "auto always never") == 0);
    EXPECT(wsk_option_choices("host") == NULL);
    EXPECT(wsk_option_choices("bind") == NULL);
    EXPECT(wsk_option_choices("access_log_format") == NULL);
    EXPECT(wsk_option_choices("none") == NULL);
}

TEST(an_error_is_one_short_line_whatever_was_given)
{
    static char text[100000];

    memset(text, 'a', sizeof text - 1);
    text[3] = '\n';
    text[4] = (char)0xff;
    EXPECT(set(text, "1") == WSK_E_ARG);
    EXPECT(memchr(error, '\0', sizeof error) != NULL);
    EXPECT(strchr(error, '\n') == NULL);
    EXPECT(set("port", text) == WSK_E_ARG);
    EXPECT(memchr(error, '\0', sizeof error) != NULL);
    EXPECT(strncmp(error, "port takes", 10) == 0);
    EXPECT(strchr(error, '\n') == NULL && strchr(error, '\xff') == NULL);
}

TEST(the_error_text_may_be_unwanted)
{
    wsk_config_init(&cfg);
    EXPECT(wsk_config_set(&cfg, "nonsense", "1", NULL) == WSK_E_ARG);
    EXPECT(wsk_config_set(&cfg, "port", "x", NULL) == WSK_E_ARG);
}

TEST(options_of_tls_that_contradict_each_other_are_refused)
{
    static const struct {
        const char *names[3], *values[3], *error;
    } CASES[] = {
        {{"certfile"}, {"a.pem"}, NULL},
        {{"certfile", "keyfile"}, {"a.pem,b.pem", "a.key\nb.key"}, NULL},
        {{"certfile", "keyfile"}, {"a.pem,b.pem", "a.key"}, "as many keyfiles"},
        {{"keyfile"}, {"a.key"}, "keyfile takes a certfile"},
        {{"certfile", "cert_reqs"}, {"a.pem", "required"}, "no ca_certs"},
        {{"certfile", "cert_reqs"}, {"a.pem", "0"}, NULL},
        {{"certfile", "cert_reqs", "ca_certs"}, {"a.pem", "2", "ca.pem"}, NULL},
        {{"cert_reqs", "ca_certs"},
         {"optional", "ca.pem"},
         "cert_reqs takes a"},
        {{"ca_certs"}, {"ca.pem"}, "ca_certs takes a certfile"},
        {{"crl"}, {"crl.pem"}, "crl takes a certfile"},
        {{"tls_ticket_keys"}, {"k"}, "tls_ticket_keys takes a certfile"},
        {{"insecure_bind"}, {":80"}, "insecure_bind takes a certfile"},
        {{"certfile"}, {"dev"}, NULL},
        {{"certfile"}, {"a.pem,dev"}, "certfile dev makes"},
        {{"certfile", "keyfile"}, {"dev", "a.key"}, "certfile dev makes"},
    };

    for (size_t i = 0; i < sizeof(CASES) / sizeof(*CASES); i++) {
        wsk_server_config cfg;
        char error[160] = "";
        wsk_status st;

        wsk_config_init(&cfg);
        for (int k = 0; k < 3 && CASES[i].names[k] != NULL; k++)
            EXPECT(wsk_config_set(&cfg, CASES[i].names[k], CASES[i].values[k],
                                  error) == WSK_OK);
        st = wsk_config_check(&cfg, error);
        EXPECT(st == (CASES[i].error != NULL ? WSK_E_ARG : WSK_OK));
        EXPECT(CASES[i].error == NULL || strstr(error, CASES[i].error) != NULL);
    }
}

TEST(values_of_tls_options_are_checked)
{
    static const struct {
        const char *name, *good, *bad;
    } CASES[] = {
        {"cert_reqs", "optional", "maybe"}, {"tls_min", "1.3", "1.1"},
        {"redirect_https", "8443", "0"},    {"redirect_https", "on", "yes"},
        {"insecure_bind", ":80", "80:x"},   {"ciphers", "ECDHE+AESGCM", ""},
        {"tls_groups", "X25519", "\n"},     {"hsts", "63072000", "1 year"},
    };

    for (size_t i = 0; i < sizeof(CASES) / sizeof(*CASES); i++) {
        wsk_server_config cfg;
        char error[160];

        wsk_config_init(&cfg);
        EXPECT(wsk_config_set(&cfg, CASES[i].name, CASES[i].good, error) ==
               WSK_OK);
        EXPECT(wsk_config_set(&cfg, CASES[i].name, CASES[i].bad, error) ==
               WSK_E_ARG);
    }
}

TEST(every_status_has_its_text)
{
    EXPECT(strcmp(wsk_status_text(WSK_OK), "no error") == 0);
    EXPECT(strcmp(wsk_status_text(WSK_E_CUT),
                  "the request body ended before it was complete") == 0);
    EXPECT(strcmp(wsk_status_text((wsk_status)99), "unknown status") == 0);
}

TEST(the_version_is_that_of_the_header)
{
    char libraries[WSK_LIBRARIES_LEN];

    EXPECT(strcmp(wsk_version(), WSK_VERSION) == 0);
    wsk_libraries(libraries);
    EXPECT(strncmp(libraries, "zlib 1.", 7) == 0);
    EXPECT(strstr(libraries, ", OpenSSL ") || strstr(libraries, ", no TLS: "));
}
