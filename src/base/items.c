#include "base/items.h"

#include "base/ascii.h"

const char wsk__default_access[] = "-";

static bool next_between(const char *list, const char *ends, size_t *pos,
                         wsk_str *item)
{
    while (list[*pos] != '\0') {
        const char *p = list + *pos;
        size_t len = strcspn(p, ends);

        *pos += len + (p[len] != '\0');
        *item = wsk__str_trim((wsk_str){p, len});
        if (item->len > 0)
            return true;
    }
    return false;
}

bool wsk__items_next(const char *list, size_t *pos, wsk_str *item)
{
    if (list == NULL)
        return false;
    return next_between(list, strchr(list, '\n') != NULL ? "\n" : ",", pos,
                        item);
}

bool wsk__words_next(const char *list, size_t *pos, wsk_str *item)
{
    return list != NULL && next_between(list, ",\n", pos, item);
}

static bool read_digits(wsk_str text, unsigned base, unsigned max,
                        unsigned *out)
{
    unsigned n = 0;

    if (text.len == 0 || text.len > 10)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        unsigned digit = (unsigned)(unsigned char)text.p[i] - '0';

        if (digit >= base || n > (max - digit) / base)
            return false;
        n = n * base + digit;
    }
    *out = n;
    return true;
}

/* Cut `text` at its last colon. */
static bool split_last(wsk_str text, wsk_str *before, wsk_str *after)
{
    size_t i = text.len;

    while (i > 0 && text.p[i - 1] != ':')
        i--;
    if (i == 0)
        return false;
    *before = (wsk_str){text.p, i - 1};
    *after = (wsk_str){text.p + i, text.len - i};
    return true;
}

static bool begins(wsk_str text, const char *with)
{
    size_t n = strlen(with);

    return text.len >= n && memcmp(text.p, with, n) == 0;
}

static bool parse_unix(wsk_str path, struct wsk__bind *bind)
{
    wsk_str before, mode;

    bind->kind = WSK__BIND_UNIX;
    bind->host = path;
    bind->number = 0;
    if (split_last(path, &before, &mode) && before.len > 0 && mode.len >= 3 &&
        read_digits(mode, 8, 0777, &bind->number))
        bind->host = before;
    /* sockaddr_un has room for some 100 bytes; an abstract name has no file. */
    return bind->host.len > 0 && bind->host.len < 100;
}

bool wsk__fd_parse(wsk_str text, int *fd)
{
    unsigned number;

    if (!begins(text, "fd:") ||
        !read_digits((wsk_str){text.p + 3, text.len - 3}, 10, INT32_MAX,
                     &number))
        return false;
    *fd = (int)number;
    return true;
}

bool wsk__bind_parse(wsk_str item, struct wsk__bind *bind)
{
    wsk_str port;
    int fd;

    if (begins(item, "unix:"))
        return parse_unix((wsk_str){item.p + 5, item.len - 5}, bind);
    if (begins(item, "fd:")) {
        bind->kind = WSK__BIND_FD;
        bind->host = (wsk_str){NULL, 0};
        if (!wsk__fd_parse(item, &fd))
            return false;
        bind->number = (unsigned)fd;
        return true;
    }
    bind->kind = WSK__BIND_TCP;
    if (!split_last(item, &bind->host, &port) ||
        !read_digits(port, 10, 65535, &bind->number))
        return false;
    if (bind->host.len >= 2 && bind->host.p[0] == '[' &&
        bind->host.p[bind->host.len - 1] == ']') {
        bind->host.p++;
        bind->host.len -= 2;
        return bind->host.len > 0 && bind->host.len <= WSK__BIND_HOST_MAX;
    }
    /* Without brackets the port cannot be told from the address. */
    return bind->host.len <= WSK__BIND_HOST_MAX &&
           (bind->host.len == 0 ||
            memchr(bind->host.p, ':', bind->host.len) == NULL);
}

unsigned wsk__forwarded_field(wsk_str name)
{
    static const struct {
        const char *name;
        unsigned field;
    } FIELDS[] = {
        {"forwarded", WSK__FORWARDED},
        {"x-forwarded-for", WSK__X_FOR},
        {"x-forwarded-proto", WSK__X_PROTO},
        {"x-forwarded-host", WSK__X_HOST},
        {"x-forwarded-port", WSK__X_PORT},
        {"x-forwarded-prefix", WSK__X_PREFIX},
    };

    for (size_t i = 0; i < sizeof FIELDS / sizeof FIELDS[0]; i++)
        if (wsk__str_ieq(name, FIELDS[i].name))
            return FIELDS[i].field;
    return 0;
}

bool wsk__forwarded_fields(const char *list, unsigned *fields)
{
    size_t pos = 0;
    wsk_str name;

    *fields = 0;
    while (wsk__words_next(list, &pos, &name)) {
        unsigned field = wsk__forwarded_field(name);

        if (field == 0)
            return false;
        *fields |= field;
    }
    return (*fields & WSK__FORWARDED) == 0 || *fields == WSK__FORWARDED;
}

bool wsk__static_parse(wsk_str item, wsk_str *url, wsk_str *folder)
{
    const char *equals = memchr(item.p, '=', item.len);

    if (equals == NULL || item.p[0] != '/')
        return false;
    *url = (wsk_str){item.p, (size_t)(equals - item.p)};
    while (url->len > 0 && url->p[url->len - 1] == '/')
        url->len--;
    *folder = (wsk_str){equals + 1, item.len - (size_t)(equals + 1 - item.p)};
    return folder->len > 0;
}

bool wsk__topic_policy_parse(wsk_str text, wsk_topic_policy *policy)
{
    static const char *const WORDS[] = {"close", "drop", "latest"};

    for (int i = 0; i < 3; i++) {
        if (!wsk__str_is(text, WORDS[i]))
            continue;
        *policy = (wsk_topic_policy)(WSK_TOPIC_CLOSE + i);
        return true;
    }
    return false;
}

/* Cut the first word off a text. */
static wsk_str next_word(wsk_str *text)
{
    wsk_str word = {text->p, 0};

    while (word.len < text->len && text->p[word.len] != ' ' &&
           text->p[word.len] != '\t')
        word.len++;
    *text = wsk__str_trim((wsk_str){text->p + word.len, text->len - word.len});
    return word;
}

/* Read "64k": digits and perhaps a unit; more than 0. */
static bool read_size(wsk_str text, uint64_t *out)
{
    static const char UNITS[] = "kmg";
    const char *unit;
    unsigned n, shift = 0;

    if (text.len > 1 &&
        (unit = strchr(UNITS, text.p[text.len - 1] | 0x20)) != NULL) {
        shift = 10 * (unsigned)(unit - UNITS + 1);
        text.len--;
    }
    if (!read_digits(text, 10, UINT32_MAX, &n) || n == 0)
        return false;
    *out = (uint64_t)n << shift;
    return true;
}

bool wsk__topic_rule_parse(wsk_str item, wsk_str *pattern,
                           struct wsk__topic_rule *rule)
{
    static const char POLICY[] = "policy=", BACKLOG[] = "backlog=";
    bool good = true;

    *rule = (struct wsk__topic_rule){WSK_TOPIC_USUAL, 0};
    *pattern = next_word(&item);
    while (good && item.len > 0) {
        wsk_str word = next_word(&item), value;
        const char *equals = memchr(word.p, '=', word.len);
        size_t name = equals != NULL ? (size_t)(equals - word.p) + 1 : 0;

        value = (wsk_str){word.p + name, word.len - name};
        word.len = name;
        if (wsk__str_is(word, POLICY))
            good = wsk__topic_policy_parse(value, &rule->policy);
        else
            good = wsk__str_is(word, BACKLOG) &&
                   read_size(value, &rule->backlog);
    }
    return good && (rule->policy != WSK_TOPIC_USUAL || rule->backlog > 0);
}

static bool fits(wsk_str pattern, wsk_str topic)
{
    if (pattern.p[pattern.len - 1] == '*')
        return topic.len >= pattern.len - 1 &&
               memcmp(topic.p, pattern.p, pattern.len - 1) == 0;
    return topic.len == pattern.len &&
           memcmp(topic.p, pattern.p, topic.len) == 0;
}

void wsk__topic_rule_for(const char *list, wsk_str topic,
                         struct wsk__topic_rule *rule)
{
    struct wsk__topic_rule said;
    wsk_str item, pattern;
    size_t pos = 0;

    while (wsk__items_next(list, &pos, &item)) {
        if (!wsk__topic_rule_parse(item, &pattern, &said) ||
            !fits(pattern, topic))
            continue;
        if (said.policy != WSK_TOPIC_USUAL)
            rule->policy = said.policy;
        if (said.backlog > 0)
            rule->backlog = said.backlog;
        return;
    }
}
