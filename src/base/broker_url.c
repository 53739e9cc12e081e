#include "base/broker_url.h"

#include "base/ascii.h"

#include <stdio.h>
#include <string.h>

enum { REDIS_PORT = 6379, SENTINEL_PORT = 26379, HOST_MAX = 255 };

static const struct {
    const char *scheme;
    enum wsk__broker_kind kind;
    bool tls;
} SCHEMES[] = {
    {"redis://", WSK__BROKER_REDIS, false},
    {"rediss://", WSK__BROKER_REDIS, true},
    {"unix:", WSK__BROKER_UNIX, false},
    {"redis+sentinel://", WSK__BROKER_SENTINEL, false},
    {"rediss+sentinel://", WSK__BROKER_SENTINEL, true},
};

/* Decode %XX in place. False: there is a bad one, or a NUL or line end. */
static bool decode(char *text)
{
    char *to = text;

    for (const char *p = text; *p != '\0'; p++) {
        int c = (unsigned char)*p;

        if (c == '%') {
            int high = wsk__hex((unsigned char)p[1]);
            int low = high >= 0 ? wsk__hex((unsigned char)p[2]) : -1;

            if (low < 0)
                return false;
            c = high * 16 + low;
            p += 2;
        }
        if (c == '\0' || c == '\r' || c == '\n')
            return false;
        *to++ = (char)c;
    }
    *to = '\0';
    return true;
}

/* End the text at the first `mark`; returns what is behind, "" if there is
 * none. */
static char *split(char *text, char mark)
{
    char *at = strchr(text, mark);

    if (at == NULL)
        return text + strlen(text);
    *at = '\0';
    return at + 1;
}

static const char *read_query(struct wsk__broker_url *url, char *query)
{
    const struct {
        const char *name;
        const char **to;
        bool fits;
    } ROWS[] = {
        {"ca", &url->ca, url->tls},
        {"cert", &url->cert, url->tls},
        {"key", &url->key, url->tls},
        {"user", &url->user, url->kind == WSK__BROKER_UNIX},
        {"password", &url->password, url->kind == WSK__BROKER_UNIX},
        {"sentinel_user", &url->sentinel_user,
         url->kind == WSK__BROKER_SENTINEL},
        {"sentinel_password", &url->sentinel_password,
         url->kind == WSK__BROKER_SENTINEL},
    };

    while (*query != '\0') {
        char *next = split(query, '&'), *value = split(query, '=');
        size_t i = 0, n = sizeof ROWS / sizeof *ROWS;

        while (i < n && (!ROWS[i].fits || strcmp(ROWS[i].name, query) != 0))
            i++;
        if (i == n)
            return "it has an unknown word behind the ?";
        if (!decode(value))
            return "a % stands before two hexadecimal digits";
        *ROWS[i].to = value;
        query = next;
    }
    return NULL;
}

/* Read user:password@ or password-less user@, and return what is behind. */
static char *read_user(struct wsk__broker_url *url, char *text)
{
    char *at = strrchr(text, '@');
    char *password;

    if (at == NULL)
        return text;
    *at = '\0';
    password = split(text, ':');
    url->user = text;
    url->password = password;
    return decode(text) && decode(password) ? at + 1 : NULL;
}

bool wsk__broker_url_host(const struct wsk__broker_url *url, const char **at,
                          char host[256], unsigned *port)
{
    const char *p = *at, *end = p + strcspn(p, ","), *colon;

    *port = url->kind == WSK__BROKER_SENTINEL ? SENTINEL_PORT : REDIS_PORT;
    if (*p == '\0')
        return false;
    *at = *end == ',' ? end + 1 : end;
    if (*p == '[') {
        colon = memchr(p, ']', (size_t)(end - p));
        if (colon == NULL)
            return false;
        p++;
    } else {
        colon = memchr(p, ':', (size_t)(end - p));
    }
    if (colon == NULL)
        colon = end;
    if (colon == p || colon - p > HOST_MAX)
        return false;
    memcpy(host, p, (size_t)(colon - p));
    host[colon - p] = '\0';
    if (*colon == ']')
        colon++;
    return colon == end ||
           (*colon == ':' &&
            wsk__read_decimal((wsk_str){colon + 1, (size_t)(end - colon - 1)},
                              5, 65535, port) &&
            *port > 0);
}

static const char *check_hosts(const struct wsk__broker_url *url)
{
    const char *at = url->hosts;
    char host[256];
    unsigned port;
    size_t n = 0;

    while (*at != '\0') {
        if (!wsk__broker_url_host(url, &at, host, &port))
            return "a host is a name or an address, and a port of 1 to 65535";
        n++;
    }
    if (n == 0)
        return "it has no host";
    if (n > 1 && url->kind == WSK__BROKER_REDIS)
        return "several hosts are for redis+sentinel:// only";
    return NULL;
}

static const char *read_place(struct wsk__broker_url *url, char *text)
{
    char *path;

    if (url->kind == WSK__BROKER_UNIX) {
        url->hosts = text;
        if (!decode(text))
            return "a % stands before two hexadecimal digits";
        return *text == '\0' ? "unix: needs a path" : NULL;
    }
    text = read_user(url, text);
    if (text == NULL)
        return "a % stands before two hexadecimal digits";
    path = split(text, '/');
    url->hosts = text;
    if (url->kind == WSK__BROKER_SENTINEL) {
        url->name = path;
        if (*path == '\0' || !decode(path))
            return "redis+sentinel:// needs the name of a master: /name";
    } else if (strspn(path, "0123456789") != strlen(path)) {
        return "behind the host comes the number of a database, or nothing";
    }
    return check_hosts(url);
}

const char *wsk__broker_url_read(struct wsk__broker_url *url, const char *text)
{
    size_t len = strlen(text), i = 0, n = sizeof SCHEMES / sizeof *SCHEMES;
    const char *fault;
    char *query, *place;

    *url = (struct wsk__broker_url){.user = "",
                                    .password = "",
                                    .hosts = "",
                                    .name = "",
                                    .ca = "",
                                    .cert = "",
                                    .key = "",
                                    .sentinel_user = "",
                                    .sentinel_password = ""};
    if (len > WSK__BROKER_TEXT)
        return "it is longer than 1024 octets";
    while (i < n &&
           strncmp(text, SCHEMES[i].scheme, strlen(SCHEMES[i].scheme)) != 0)
        i++;
    if (i == n)
        return "it begins with redis://, rediss://, unix:, redis+sentinel:// "
               "or rediss+sentinel://";
    memcpy(url->text, text, len + 1);
    url->kind = SCHEMES[i].kind;
    url->tls = SCHEMES[i].tls;
    place = url->text + strlen(SCHEMES[i].scheme);
    query = split(place, '?');
    fault = read_place(url, place);
    return fault != NULL ? fault : read_query(url, query);
}

void wsk__broker_url_show(const struct wsk__broker_url *url, char *to,
                          size_t size)
{
    size_t i = 0;

    while (SCHEMES[i].kind != url->kind || SCHEMES[i].tls != url->tls)
        i++;
    snprintf(to, size, "%s%s%s%s", SCHEMES[i].scheme, url->hosts,
             *url->name != '\0' ? "/" : "", url->name);
}
