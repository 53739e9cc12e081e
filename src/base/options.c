/* base/options: the option list of wsocket.h as data, and options from text. */
#include "base/address.h"
#include "base/ascii.h"
#include "base/broker_url.h"
#include "base/close_code.h"
#include "base/format.h"
#include "base/items.h"

#include <stdio.h>
#include <string.h>

const char *wsk_version(void)
{
    return WSK_VERSION;
}

const char *wsk_status_text(wsk_status st)
{
    switch (st) {
#define X(name, text)                                                          \
    case name:                                                                 \
        return text;
        WSK_STATUS_LIST(X)
#undef X
    }
    return "unknown status";
}

/* ---------------------------------------------------------- the list --- */

/*
 * The text of a TIME default, which is written in milliseconds: seconds. The
 * rows are constant, so the compiler does the division. The digits stand in an
 * array whose leading zeros are skipped; whole seconds end before the decimals.
 */
#define DIGIT(n, unit) (char)('0' + (n) / (unit) % 10)
#define SECONDS_TEXT(ms)                                                       \
    (&(const char[]){                                                          \
        DIGIT(ms, 100000000), DIGIT(ms, 10000000), DIGIT(ms, 1000000),         \
        DIGIT(ms, 100000), DIGIT(ms, 10000), DIGIT(ms, 1000),                  \
        (ms) % 1000 ? '.' : '\0', DIGIT(ms, 100), DIGIT(ms, 10), DIGIT(ms, 1), \
        '\0'}[((ms) < 100000000) + ((ms) < 10000000) + ((ms) < 1000000) +      \
              ((ms) < 100000) + ((ms) < 10000)])

#define FLAG_TEXT_true "on"
#define FLAG_TEXT_false "off"

#define ROW_TEXT(name, dflt, help) {#name, WSK_OPTION_TEXT, dflt, help},
#define ROW_COUNT(name, dflt, help) {#name, WSK_OPTION_COUNT, #dflt, help},
#define ROW_BYTES(name, dflt, help)                                            \
    {#name, WSK_OPTION_BYTES, (dflt) == WSK_AUTO ? "auto" : #dflt, help},
#define ROW_TIME(name, dflt, help)                                             \
    {#name, WSK_OPTION_TIME,                                                   \
     (dflt) == WSK_AUTO_MS ? "auto" : SECONDS_TEXT(dflt), help},
#define ROW_FLAG(name, dflt, help)                                             \
    {#name, WSK_OPTION_FLAG, FLAG_TEXT_##dflt, help},
#define ROW_LIST(name, field, dflt, help) {#name, WSK_OPTION_LIST, dflt, help},

static const wsk_option ROWS[] = {
    WSK_SERVER_OPTIONS(ROW_TEXT, ROW_COUNT, ROW_BYTES, ROW_TIME,
                       ROW_FLAG) WSK_LIST_OPTIONS(ROW_LIST)
        WSK_LIMIT_OPTIONS(ROW_TEXT, ROW_COUNT, ROW_BYTES, ROW_TIME, ROW_FLAG)
            WSK_PROCESS_OPTIONS(ROW_TEXT, ROW_COUNT, ROW_BYTES, ROW_TIME,
                                ROW_FLAG) WSK_PROCESS_LIST_OPTIONS(ROW_LIST)};

enum { N_ROWS = sizeof ROWS / sizeof ROWS[0] };

/* Offset of each row's field in a wsk_server_config. */
#define AT(name, dflt, help) offsetof(wsk_server_config, name),
#define AT_TIME(name, dflt, help) offsetof(wsk_server_config, name##_ms),
#define AT_LIST(name, field, dflt, help) offsetof(wsk_server_config, field),
#define AT_LIMIT(name, dflt, help) offsetof(wsk_server_config, limits.name),
#define AT_LIMIT_TIME(name, dflt, help)                                        \
    offsetof(wsk_server_config, limits.name##_ms),

static const size_t OFFSETS[] = {
    WSK_SERVER_OPTIONS(AT, AT, AT, AT_TIME, AT) WSK_LIST_OPTIONS(AT_LIST)
        WSK_LIMIT_OPTIONS(AT_LIMIT, AT_LIMIT, AT_LIMIT, AT_LIMIT_TIME, AT_LIMIT)
            WSK_PROCESS_OPTIONS(AT, AT, AT, AT_TIME, AT)
                WSK_PROCESS_LIST_OPTIONS(AT_LIST)};

const wsk_option *wsk_options(size_t *n)
{
    *n = N_ROWS;
    return ROWS;
}

#define SET(name, dflt, help) .name = (dflt),
#define SET_TIME(name, dflt, help) .name##_ms = (dflt),
#define SET_LIST(name, field, dflt, help) .field = (dflt),

void wsk_limits_init(wsk_limits *limits)
{
    *limits = (wsk_limits){WSK_LIMIT_OPTIONS(SET, SET, SET, SET_TIME, SET)};
}

void wsk_config_init(wsk_server_config *cfg)
{
    *cfg = (wsk_server_config){
        WSK_SERVER_OPTIONS(SET, SET, SET, SET_TIME, SET)
            WSK_LIST_OPTIONS(SET_LIST)
                WSK_PROCESS_OPTIONS(SET, SET, SET, SET_TIME, SET)
                    WSK_PROCESS_LIST_OPTIONS(SET_LIST)};
    cfg->access_logfile = wsk__default_access;
    wsk_limits_init(&cfg->limits);
}

/* ------------------------------------------------------- from text --- */

static bool good_bind(wsk_str item)
{
    struct wsk__bind bind;

    return wsk__bind_parse(item, &bind);
}

static bool good_host(wsk_str text)
{
    return text.len <= WSK__BIND_HOST_MAX;
}

static bool good_format(wsk_str text)
{
    return wsk__format_good(text.p);
}

/* Check a path that is compared with that of requests as it is. */
static bool good_path(wsk_str text)
{
    return text.len > 0 && text.p[0] == '/' &&
           wsk__is_target(text.p, text.p + text.len) &&
           memchr(text.p, '?', text.len) == NULL;
}

/* Check a file of a log: what begins like a descriptor is one. */
static bool good_log(wsk_str text)
{
    int fd;

    return text.len < 3 || memcmp(text.p, "fd:", 3) != 0 ||
           wsk__fd_parse(text, &fd);
}

/* Check a prefix in the form of SCRIPT_NAME: decoded, without a slash at its
 * end. */
static bool good_script_name(wsk_str text)
{
    if (text.len == 0)
        return true;
    if (text.len >= WSK__SCRIPT_NAME || text.p[0] != '/' ||
        text.p[text.len - 1] == '/')
        return false;
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.p[i] <= ' ' || strchr("%?#", text.p[i]) != NULL)
            return false;
    return true;
}

/* Check "on", "off" or a port to lead to. */
static bool good_redirect(wsk_str text)
{
    unsigned port;

    return wsk__str_is(text, "on") || wsk__str_is(text, "off") ||
           (wsk__read_decimal(text, 5, UINT16_MAX, &port) && port > 0);
}

/* Check a list of words that OpenSSL reads: it is one line. */
static bool good_words(wsk_str text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.p[i] < ' ' || text.p[i] > '~')
            return false;
    return text.len > 0;
}

static bool good_block(wsk_str item)
{
    struct wsk__block block;

    return wsk__block_read(item, &block);
}

static bool good_forwarded(wsk_str item)
{
    return wsk__forwarded_field(item) != 0;
}

/* Check a name, with or without a dot before it, or an address; no port, no
 * pattern. */
static bool good_host_name(wsk_str item)
{
    struct wsk__ip ip;

    if (wsk__str_is(item, "*"))
        return true;
    if (item.len > 2 && item.p[0] == '[' && item.p[item.len - 1] == ']')
        item = (wsk_str){item.p + 1, item.len - 2};
    if (memchr(item.p, ':', item.len) != NULL)
        return wsk__ip_read(item, &ip);
    for (size_t i = 0; i < item.len; i++)
        if (item.p[i] <= ' ' || strchr("/*?#@[]%,", item.p[i]) != NULL)
            return false;
    return item.len < 256 && !wsk__str_is(item, ".");
}

/* Check a number of processes, from 1 to 512, or "auto". */
static bool good_workers(wsk_str text)
{
    unsigned n = 0;

    if (wsk__str_is(text, "auto"))
        return true;
    for (size_t i = 0; i < text.len && i < 4; i++) {
        if (text.p[i] < '0' || text.p[i] > '9')
            return false;
        n = n * 10 + (unsigned)(text.p[i] - '0');
    }
    return text.len <= 4 && n >= 1 && n <= 512;
}

static bool good_static(wsk_str item)
{
    wsk_str url, folder;

    return wsk__static_parse(item, &url, &folder);
}

static bool good_topic_rule(wsk_str item)
{
    struct wsk__topic_rule rule;
    wsk_str pattern;

    return wsk__topic_rule_parse(item, &pattern, &rule);
}

static bool good_broker(wsk_str item)
{
    struct wsk__broker_url url;

    return wsk__broker_url_read(&url, item.p) == NULL;
}

static bool good_prefix(wsk_str item)
{
    return item.len > 0 && item.len <= 200 &&
           memchr(item.p, ' ', item.len) == NULL;
}

/* Check an origin that a browser can send (RFC 6454 6.2): it has no path, and
 * no pattern stands for several. */
static bool is_origin(wsk_str item)
{
    const char *colon = memchr(item.p, ':', item.len);
    size_t scheme = colon != NULL ? (size_t)(colon - item.p) : 0;

    if (wsk__str_is(item, "*") || wsk__str_is(item, "same") ||
        wsk__str_is(item, "null"))
        return true;
    if (scheme == 0 || item.len - scheme < 3 || memcmp(colon, "://", 3) != 0)
        return false;
    for (size_t i = scheme + 3; i < item.len; i++)
        if (strchr("/*?#@", item.p[i]) != NULL)
            return false;
    return true;
}

static bool is_protocol(wsk_str item) /* RFC 6455 4.1 */
{
    return wsk__is_token(item.p, item.len);
}

/* Check a code that an endpoint may send in a Close frame (RFC 6455 7.4). */
static bool good_close_code(wsk_str text)
{
    unsigned code = 0;

    for (size_t i = 0; i < text.len && code < 10000; i++)
        code = 10 * code + (unsigned)(text.p[i] - '0');
    return wsk__is_close_code(code);
}

#define CLOSE_CODES "a close code such as 1001, 1012 or 4000"

static bool good_bus(wsk_str text)
{
    return (text.len == 4 && memcmp(text.p, "auto", 4) == 0) ||
           (text.len == 3 && memcmp(text.p, "off", 3) == 0) ||
           (text.len > 1 && text.len <= WSK__BUS_FOLDER && text.p[0] == '/');
}

/* Limits of values which the kind of an option alone does not tell. */
static const struct rule {
    const char *name;
    uint32_t min, max;   /* of a COUNT; min of BYTES and of a TIME, too */
    const char *choices; /* of a TEXT: the words, between blanks; if `good` is
                            set, a description for the error message */
    bool (*good)(wsk_str item); /* of each item of a LIST, of a TEXT, or of a
                                   COUNT, which has only digits */
    bool words;                 /* items of the LIST hold no comma */
} RULES[] = {
    {"host", 0, 0, "a name or an address of at most 255 octets", good_host,
     false},
    {"port", 0, 65535, NULL, NULL, false},
    {"backlog", 1, INT32_MAX, NULL, NULL, false}, /* listen() takes an int */
    {"threads", 1, 10000, NULL, NULL, false},
    {"queue_limit", 1, UINT32_MAX, NULL, NULL, false},
    {"max_request_line", 1, 0, NULL, NULL, false},
    {"max_header_bytes", 1, 0, NULL, NULL, false},
    {"max_headers", 1, UINT32_MAX, NULL, NULL, false},
    {"head_timeout", 1, 0, NULL, NULL, false},
    {"tls_handshake_timeout", 1, 0, NULL, NULL, false},
    {"first_octet_timeout", 1, 0, NULL, NULL, false},
    {"buffer_body", 0, 0, "auto always never", NULL, false},
    {"log_level", 0, 0, "debug info warning error critical", NULL, false},
    {"metrics_bind", 0, 0, "host:port, unix:path or fd:N", good_bind, false},
    {"ready_path", 0, 0, "a path such as /ready", good_path, false},
    {"live_path", 0, 0, "a path such as /live", good_path, false},
    {"cert_reqs", 0, 0, "none optional required 0 1 2", NULL, false},
    {"tls_min", 0, 0, "1.2 1.3", NULL, false},
    {"ciphers", 0, 0, "names such as ECDHE+AESGCM, with colons between",
     good_words, false},
    {"tls_groups", 0, 0, "names such as X25519:P-256, with colons between",
     good_words, false},
    {"redirect_https", 0, 0, "on, off or a port such as 443", good_redirect,
     false},
    {"insecure_bind", 0, 0, "host:port, unix:path or fd:N", good_bind, false},
    {"script_name", 0, 0, "a path such as /app, without a slash at its end",
     good_script_name, false},
    {"access_logfile", 0, 0, "a file, -, none or fd:N", good_log, false},
    {"error_logfile", 0, 0, "a file, stderr, -, none or fd:N", good_log, false},
    {"access_log_format", 0, 0,
     "combined, common, json or atoms such as %h %r %s", good_format, false},
    {"bind", 0, 0, "host:port, unix:path or fd:N", good_bind, false},
    {"trusted_proxies", 0, 0, "addresses such as 10.0.0.0/8, ::1, * or unix",
     good_block, false},
    {"forwarded_fields", 0, 0,
     "x-forwarded-for, -proto, -host, -port, -prefix or forwarded",
     good_forwarded, true},
    {"allowed_hosts", 0, 0,
     "hosts without a port: shop.example, .shop.example, ::1 or *",
     good_host_name, true},
    {"static", 0, 0, "/url=folder", good_static, false},
    {"ws_compression", 0, 0, "off no-takeover takeover", NULL, false},
    {"ws_compression_level", 0, 0, "fast 1 2 3 4 5 6 7 8 9", NULL, false},
    {"ws_origins", 0, 0, "same, *, null or origins such as https://example.com",
     is_origin, true},
    {"ws_subprotocols", 0, 0, "names without blanks, such as chat.v2",
     is_protocol, true},
    {"ws_max_queue", 1, UINT32_MAX, NULL, NULL, false},
    {"ws_send_policy", 0, 0, "close drop", NULL, false},
    {"topics_max", 1, UINT32_MAX, NULL, NULL, false},
    {"topic_message_max", 1, 0, NULL, NULL, false},
    {"topic_backlog", 1, 0, NULL, NULL, false},
    {"topic_policy", 0, 0, "close drop latest", NULL, false},
    {"topics", 0, 0,
     "a name or beginning* and policy=close, drop or latest, or backlog=64k",
     good_topic_rule, false},
    {"bus", 0, 0, "auto, off or the path of a folder, of at most 66 octets",
     good_bus, false},
    {"broker", 0, 0,
     "redis://user:password@host:port, rediss://..., unix:path or "
     "redis+sentinel://host,host/name",
     good_broker, false},
    {"broker_prefix", 0, 0, "1 to 200 octets without blanks", good_prefix,
     false},
    {"broker_probe", 1, 0, NULL, NULL, false},
    {"broker_timeout", 1, 0, NULL, NULL, false},
    {"broker_down", 0, 0, "local fail", NULL, false},
    {"ws_hide_upgrade", 0, 0, "auto always never", NULL, false},
    {"ws_stop_code", 1000, 4999, CLOSE_CODES, good_close_code, false},
    {"ws_restart_code", 1000, 4999, CLOSE_CODES, good_close_code, false},
    {"workers", 0, 0, "auto or a number from 1 to 512", good_workers, false},
    {"boot_timeout", 1, 0, NULL, NULL, false},
    {"max_jitter", 0, 100, NULL, NULL, false},
};

static const struct rule *rule_of(const char *name)
{
    static const struct rule any = {NULL, 0, UINT32_MAX, NULL, NULL, false};

    for (size_t i = 0; i < sizeof RULES / sizeof RULES[0]; i++)
        if (strcmp(RULES[i].name, name) == 0)
            return &RULES[i];
    return &any;
}

const char *wsk_option_choices(const char *name)
{
    const struct rule *rule = rule_of(name);

    return rule->good == NULL ? rule->choices : NULL;
}

/* Read the digits at *text as a number of at most `max`, and move *text behind
 * them. */
static bool read_number(const char **text, uint64_t max, uint64_t *out)
{
    const char *p = *text;
    uint64_t n = 0;

    for (; *p >= '0' && *p <= '9'; p++) {
        uint64_t digit = (uint64_t)(*p - '0');

        if (n > (max - digit) / 10)
            return false;
        n = n * 10 + digit;
    }
    if (p == *text)
        return false;
    *text = p;
    *out = n;
    return true;
}

/* Read "65536", "64k" or "1g". */
static bool read_bytes(const char *text, uint64_t *out)
{
    static const char UNITS[] = "kmg";
    const char *unit;
    uint64_t n;

    if (!read_number(&text, UINT64_MAX, &n))
        return false;
    if (*text != '\0') {
        unsigned shift;

        unit = strchr(UNITS, *text | 0x20);
        if (unit == NULL || text[1] != '\0')
            return false;
        shift = 10 * (unsigned)(unit - UNITS + 1);
        if (n > UINT64_MAX >> shift)
            return false;
        n <<= shift;
    }
    *out = n;
    return true;
}

/* Read "10", "1.5" or "0.0004" seconds, rounded to milliseconds. Zero means
 * off, therefore a value that is not zero becomes 1 at least. */
static bool read_time(const char *text, uint32_t *out_ms)
{
    unsigned unit = 1000;
    bool zero;
    uint64_t tenths; /* of a millisecond; further digits are ignored */

    if (!read_number(&text, UINT32_MAX / 1000, &tenths))
        return false;
    zero = tenths == 0;
    tenths *= 10000;
    if (*text == '.') {
        for (text++; *text >= '0' && *text <= '9'; text++, unit /= 10) {
            tenths += (uint64_t)(*text - '0') * unit;
            zero = zero && *text == '0';
        }
        if (text[-1] == '.')
            return false;
    }
    tenths += 5;
    if (*text != '\0' || tenths / 10 > UINT32_MAX)
        return false;
    *out_ms = (uint32_t)(tenths / 10);
    *out_ms += *out_ms == 0 && !zero;
    return true;
}

/* True if an option of BYTES or a TIME accepts "auto". */
static bool may_be_auto(const wsk_option *opt)
{
    return strcmp(opt->default_text, "auto") == 0;
}

static bool read_flag(const char *text, bool *out)
{
    *out = strcmp(text, "on") == 0;
    return *out || strcmp(text, "off") == 0;
}

/* True if `text` is one of the words in `choices`, or `choices` is NULL. */
static bool is_choice(const char *text, const char *choices)
{
    size_t len = strlen(text);

    if (choices == NULL)
        return true;
    while (*choices != '\0') {
        size_t n = strcspn(choices, " ");

        if (n == len && memcmp(choices, text, n) == 0)
            return true;
        choices += n;
        choices += *choices == ' ';
    }
    return false;
}

/* Count the characters that two texts share in one order: their longest common
 * run, and those shared before and behind it (Ratcliff and Obershelp;
 * difflib.py). */
static size_t shared(wsk_str a, wsk_str b)
{
    size_t best = 0, at_a = 0, at_b = 0;

    for (size_t i = 0; i < a.len; i++)
        for (size_t j = 0; j < b.len; j++) {
            size_t n = 0;

            while (i + n < a.len && j + n < b.len && a.p[i + n] == b.p[j + n])
                n++;
            if (n > best) {
                best = n;
                at_a = i;
                at_b = j;
            }
        }
    if (best == 0)
        return 0;
    a.len -= at_a + best;
    b.len -= at_b + best;
    return shared((wsk_str){a.p, at_a}, (wsk_str){b.p, at_b}) + best +
           shared((wsk_str){a.p + at_a + best, a.len},
                  (wsk_str){b.p + at_b + best, b.len});
}

/* Check all items of a list; *item becomes the first that is not accepted. */
static bool are_good(const char *list, const struct rule *rule, wsk_str *item)
{
    size_t pos = 0;

    while (rule->good != NULL &&
           (rule->words ? wsk__words_next(list, &pos, item)
                        : wsk__items_next(list, &pos, item)))
        if (!rule->good(*item))
            return false;
    return true;
}

/* Return why items that are accepted one by one do not go together, or NULL. */
static const char *clash_of(const wsk_option *opt, const char *list)
{
    unsigned fields;

    if (strcmp(opt->name, "forwarded_fields") == 0 &&
        !wsk__forwarded_fields(list, &fields))
        return "forwarded_fields takes forwarded alone or x-forwarded fields, "
               "not both: the proxy lets through what it does not write";
    return NULL;
}

/* Return the option with the name most similar to `text`; NULL if all share
 * less than 60 % of both names, which is difflib's own cut-off. */
static const char *nearest_name(wsk_str text)
{
    size_t best = 60;
    const char *name = NULL;

    if (text.len == 0)
        return NULL;
    for (size_t i = 0; i < N_ROWS; i++) {
        wsk_str row = {ROWS[i].name, strlen(ROWS[i].name)};
        size_t percent = 200 * shared(row, text) / (row.len + text.len);

        if (percent >= best) {
            best = percent + 1;
            name = ROWS[i].name;
        }
    }
    return name;
}

/* Foreign text made part of one line: cut, and printable. */
struct quoted {
    char text[33];
};

static struct quoted quote(wsk_str text)
{
    struct quoted q;
    size_t n = 0;

    for (; n < text.len && n < sizeof q.text - 1; n++) {
        unsigned char c = (unsigned char)text.p[n];

        q.text[n] = c < 0x20 || c > 0x7e ? '?' : text.p[n];
    }
    q.text[n] = '\0';
    return q;
}

static wsk_status unknown(const char *name, char *error)
{
    struct quoted shown = quote((wsk_str){name, strlen(name)});
    const char *near;

    if (error == NULL)
        return WSK_E_ARG;
    /* Long names are cut first: comparing costs time by their length. */
    near = nearest_name((wsk_str){shown.text, strlen(shown.text)});
    if (near != NULL)
        snprintf(error, 160, "unknown option '%s'; did you mean '%s'?",
                 shown.text, near);
    else
        snprintf(error, 160, "unknown option '%s'", shown.text);
    return WSK_E_ARG;
}

static wsk_status refuse(const wsk_option *opt, const char *value, char *error)
{
    const struct rule *rule = rule_of(opt->name);
    wsk_str wrong = {value, strlen(value)};
    struct quoted shown;
    char wanted[64] = "";

    if (error == NULL)
        return WSK_E_ARG;
    if (opt->kind == WSK_OPTION_LIST && are_good(value, rule, &wrong)) {
        snprintf(error, 160, "%s", clash_of(opt, value));
        return WSK_E_ARG;
    }
    shown = quote(wrong);
    switch (opt->kind) {
    case WSK_OPTION_TEXT:
        snprintf(wanted, sizeof wanted, rule->good ? "%s" : "one of %s",
                 rule->choices);
        break;
    case WSK_OPTION_COUNT:
        if (rule->good != NULL)
            snprintf(wanted, sizeof wanted, "%s", rule->choices);
        else
            snprintf(wanted, sizeof wanted, "a number from %u to %u",
                     (unsigned)rule->min, (unsigned)rule->max);
        break;
    case WSK_OPTION_BYTES:
        snprintf(wanted, sizeof wanted,
                 "%soctets%s, such as 65536, 64k, 1m or 2g",
                 may_be_auto(opt) ? "auto or " : "",
                 rule->min > 0 ? " above 0" : "");
        break;
    case WSK_OPTION_TIME:
        snprintf(wanted, sizeof wanted, "%sseconds%s, such as 10 or 0.5",
                 may_be_auto(opt) ? "auto or " : "",
                 rule->min > 0 ? " above 0" : "");
        break;
    case WSK_OPTION_LIST:
        snprintf(wanted, sizeof wanted, "%s", rule->choices);
        break;
    case WSK_OPTION_FLAG:
        snprintf(wanted, sizeof wanted, "on or off");
        break;
    }
    snprintf(error, 160, "%s takes %s, not '%s'", opt->name, wanted,
             shown.text);
    return WSK_E_ARG;
}

/* Store `value` in the field of type `type` that lies `at` bytes into cfg. */
#define STORE(type, value)                                                     \
    memcpy((char *)cfg + at, &(type){value}, sizeof(type))

/* Set one row. False, and cfg is unchanged, when the value is not accepted. */
static bool set_row(wsk_server_config *cfg, size_t row, const char *text)
{
    const struct rule *rule = rule_of(ROWS[row].name);
    size_t at = OFFSETS[row];
    wsk_str item, all;
    uint64_t number;
    uint32_t ms;
    bool flag;

    switch (ROWS[row].kind) {
    case WSK_OPTION_TEXT:
        if (rule->good != NULL ? !rule->good((wsk_str){text, strlen(text)})
                               : !is_choice(text, rule->choices))
            return false;
        STORE(const char *, text);
        return true;
    case WSK_OPTION_LIST:
        if (!are_good(text, rule, &item) || clash_of(&ROWS[row], text) != NULL)
            return false;
        STORE(const char *, text);
        return true;
    case WSK_OPTION_COUNT:
        all = (wsk_str){text, strlen(text)};
        if (!read_number(&text, rule->max, &number) || *text != '\0' ||
            number < rule->min || (rule->good != NULL && !rule->good(all)))
            return false;
        STORE(uint32_t, (uint32_t)number);
        return true;
    case WSK_OPTION_BYTES:
        if (may_be_auto(&ROWS[row]) && strcmp(text, "auto") == 0)
            number = WSK_AUTO;
        else if (!read_bytes(text, &number) || number < rule->min)
            return false;
        STORE(uint64_t, number);
        return true;
    case WSK_OPTION_TIME:
        if (may_be_auto(&ROWS[row]) && strcmp(text, "auto") == 0)
            ms = WSK_AUTO_MS;
        else if (!read_time(text, &ms) || ms < rule->min)
            return false;
        STORE(uint32_t, ms);
        return true;
    case WSK_OPTION_FLAG:
        if (!read_flag(text, &flag))
            return false;
        STORE(bool, flag);
        return true;
    }
    return false;
}

wsk_status wsk_config_set(wsk_server_config *cfg, const char *name,
                          const char *value, char error[160])
{
    for (size_t i = 0; i < N_ROWS; i++) {
        if (strcmp(ROWS[i].name, name) != 0)
            continue;
        if (!set_row(cfg, i, value))
            return refuse(&ROWS[i], value, error);
        return WSK_OK;
    }
    return unknown(name, error);
}

/* Count the items of a list; *dev: one of them is "dev". */
static size_t count_items(const char *list, bool *dev)
{
    size_t n = 0, pos = 0;
    wsk_str item;

    while (wsk__items_next(list, &pos, &item)) {
        n++;
        *dev |= wsk__str_is(item, "dev");
    }
    return n;
}

/* Return what is wrong with the options of TLS; NULL: nothing is. An option
 * that protects must not be without effect. */
static const char *tls_clash(const wsk_server_config *cfg)
{
    bool dev = false, no_matter = false;
    size_t certificates = count_items(cfg->certfile, &dev);
    size_t keys = count_items(cfg->keyfile, &no_matter);
    bool asks = strcmp(cfg->cert_reqs, "none") != 0 &&
                strcmp(cfg->cert_reqs, "0") != 0;

    if (dev && (certificates > 1 || keys > 0))
        return "certfile dev makes a certificate and its key: it takes no "
               "other certfile, and no keyfile";
    if (certificates > 0) {
        if (keys > 0 && keys != certificates)
            return "there must be as many keyfiles as certfiles, or none: a "
                   "key may stand in its certfile";
        if (asks && cfg->ca_certs == NULL)
            return "cert_reqs asks clients for certificates, and there are no "
                   "ca_certs that sign them";
        return NULL;
    }
    return keys > 0                ? "keyfile takes a certfile, too"
           : asks                  ? "cert_reqs takes a certfile, too"
           : cfg->ca_certs != NULL ? "ca_certs takes a certfile, too"
           : cfg->crl != NULL      ? "crl takes a certfile, too"
           : count_items(cfg->tls_ticket_keys, &no_matter) > 0
               ? "tls_ticket_keys takes a certfile, too"
           : count_items(cfg->insecure_bind, &no_matter) > 0
               ? "insecure_bind takes a certfile, too: all other places are "
                 "without TLS, as it is"
               : NULL;
}

wsk_status wsk_config_check(const wsk_server_config *cfg, char error[160])
{
    const char *clash = tls_clash(cfg);

    if (clash != NULL) {
        if (error != NULL)
            snprintf(error, 160, "%s", clash);
        return WSK_E_ARG;
    }
    if (!wsk__is_close_code(cfg->ws_stop_code) ||
        !wsk__is_close_code(cfg->ws_restart_code)) {
        if (error != NULL)
            snprintf(error, 160,
                     "ws_stop_code and ws_restart_code take " CLOSE_CODES);
        return WSK_E_ARG;
    }
    if (cfg->ws_drain_ms == WSK_AUTO_MS ||
        cfg->ws_drain_ms <= cfg->graceful_timeout_ms)
        return WSK_OK;
    if (error != NULL)
        snprintf(error, 160,
                 "ws_drain (%g s) is above graceful_timeout (%g s), at which "
                 "WebSockets are cut off",
                 cfg->ws_drain_ms / 1000.0, cfg->graceful_timeout_ms / 1000.0);
    return WSK_E_ARG;
}
