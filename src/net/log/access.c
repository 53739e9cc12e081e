#include "net/log/access.h"

#include "base/ascii.h"
#include "base/base64.h"
#include "base/buf.h"
#include "base/escape.h"
#include "base/format.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "net/log/log.h"
#include "net/log/writer.h"
#include "net/os/clock.h"
#include "tls/peer.h"
#include "wsocket.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

/* A text is cut at PIECE_MAX bytes, or earlier where many are long: TEXT_LEAST
 * bytes remain for each that follows, and room for all that is no text. */
enum { LINE_MAX_ = 8704, PIECE_MAX = 2048, TEXT_LEAST = 64, FIXED_MOST = 40 };

/* The same for the texts of a line of JSON, and for all that is no text. */
enum {
    JSON_FIXED = 1024,
    JSON_REMOTE = 256,
    JSON_METHOD = 64,
    JSON_TARGET = 3072,
    JSON_VERSION = 16,
    JSON_USER = 512,
    JSON_HOST = 512,
    JSON_REASON = 512,
    JSON_FIELD = 1536, /* Referer, User-Agent */
};

_Static_assert(JSON_FIXED + JSON_REMOTE + JSON_METHOD + JSON_TARGET +
                       JSON_VERSION + JSON_USER + JSON_HOST + 2 * JSON_FIELD <=
                   LINE_MAX_,
               "a line of JSON is always whole");

/* Texts of a line of JSON at most, and bytes that are left of each where the
 * line is too long for its log. */
enum { JSON_TEXTS = 12, JSON_LEAST = 64 };

struct line {
    char text[LINE_MAX_];
    size_t n;
    size_t most;  /* bytes that it may have, at most LINE_MAX_ */
    size_t later; /* bytes reserved for later pieces */

    /* of JSON: how long each text is, and may be */
    unsigned texts;
    size_t len[JSON_TEXTS], limit[JSON_TEXTS];
};

/* Longest user name that is shown, in bytes. */
enum { USER_MAX = 2048 };

/* A record while its line is written: the texts of %{x}o and %{x}e that are
 * still to come. */
struct subject {
    const struct wsk__access_record *r;
    const char *noted, *env;
    unsigned worker; /* 0: none */
};

/* ------------------------------------------------------------- pieces --- */

static void put_bytes(struct line *l, const char *text, size_t len)
{
    /* Only a format longer than a line comes to this cut. */
    len = wsk__utf8_cut((const uint8_t *)text, len, l->most - l->n);
    memcpy(l->text + l->n, text, len);
    l->n += len;
}

static void put(struct line *l, const char *text)
{
    put_bytes(l, text, strlen(text));
}

static void put_escaped(struct line *l, wsk_str s, enum wsk__escape how)
{
    size_t room = l->most - l->n;

    room -= l->later < room ? l->later : room;
    l->n += wsk__escape(l->text + l->n, room < PIECE_MAX ? room : PIECE_MAX,
                        s.p, s.len, how);
}

static void put_peer(struct line *l, wsk_str s)
{
    put_escaped(l, s, WSK__ESCAPE_ASCII);
}

static void put_or_dash(struct line *l, wsk_str s)
{
    if (s.len > 0)
        put_peer(l, s);
    else
        put(l, "-");
}

static void put_number(struct line *l, uint64_t n)
{
    char digits[20];
    size_t at = sizeof(digits);

    do
        digits[--at] = (char)('0' + n % 10);
    while ((n /= 10) > 0);
    put_bytes(l, digits + at, sizeof(digits) - at);
}

/* Most lines fall into the same second as the line before. */
static void put_time(struct line *l)
{
    static const char MONTH[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    static _Thread_local time_t second;
    static _Thread_local char text[64];
    time_t now = time(NULL);
    struct tm tm;

    if (now != second) {
        gmtime_r(&now, &tm);
        snprintf(text, sizeof(text), "[%02d/%.3s/%d:%02d:%02d:%02d +0000]",
                 tm.tm_mday, MONTH + 3 * tm.tm_mon, tm.tm_year + 1900,
                 tm.tm_hour, tm.tm_min, tm.tm_sec);
        second = now;
    }
    put(l, text);
}

static wsk_str field(const struct subject *s, const char *name)
{
    return s->r->head != NULL ? wsk_head_get(s->r->head, name)
                              : (wsk_str){NULL, 0};
}

static wsk_str method_of(const struct subject *s)
{
    return s->r->end != NULL ? (wsk_str){"WEBSOCKET", 9} : s->r->head->method;
}

/* Return the user-id of Basic credentials (RFC 7617 2), decoded to `name`;
 * empty for other schemes, and for text that no user-id can be. */
static wsk_str user_of(const struct subject *s, uint8_t name[USER_MAX])
{
    wsk_str given = field(s, "Authorization");
    wsk_str scheme = {given.p, 5};
    const uint8_t *colon;
    size_t n;

    if (given.len <= scheme.len || given.p[scheme.len] != ' ' ||
        !wsk__name_is(scheme, "basic"))
        return (wsk_str){NULL, 0};
    given.p += scheme.len;
    given.len -= scheme.len;
    for (; given.len > 0 && *given.p == ' '; given.len--)
        given.p++;
    n = wsk__base64_decode(given.p, given.len, name, USER_MAX);
    if (n == WSK__BASE64_BAD || n == 0)
        return (wsk_str){NULL, 0};
    colon = memchr(name, ':', n < USER_MAX ? n : USER_MAX);
    if (colon == NULL || colon == name)
        return (wsk_str){NULL, 0};
    return (wsk_str){(const char *)name, (size_t)(colon - name)};
}

/* Put the user as one word: without quotes a blank would end the field. */
static void put_user(struct line *l, const struct subject *s)
{
    uint8_t name[USER_MAX];
    wsk_str user = user_of(s, name);

    if (user.len > 0)
        put_escaped(l, user, WSK__ESCAPE_WORD);
    else
        put(l, "-");
}

static void put_request_line(struct line *l, const struct subject *s)
{
    const size_t more = TEXT_LEAST + 1;
    const wsk_str rest[] = {s->r->head->target, s->r->head->version};

    l->later += 2 * more;
    put_peer(l, method_of(s));
    for (int i = 0; i < 2; i++) {
        l->later -= more;
        if (rest[i].len > 0) /* a refused line may have fewer words */
            put(l, " ");
        put_peer(l, rest[i]);
    }
}

/* Return the room reserved for an atom, for any length of those before. */
static size_t least_of(const struct wsk__atom *atom)
{
    switch (atom->what) {
    case 0:
        return atom->name.len;
    case 'r':
        return 3 * TEXT_LEAST + 2;
    case 'h':
    case 'm':
    case 'u':
    case 'U':
    case 'q':
    case 'H':
    case 'f':
    case 'a':
    case 'i':
    case 'o':
    case 'e':
    case 'w':
        return TEXT_LEAST;
    default:
        return FIXED_MOST;
    }
}

/* ------------------------------------------------------------- format --- */

static void copy_name(char to[128], wsk_str name)
{
    size_t n = name.len < 127 ? name.len : 127;

    memcpy(to, name.p, n);
    to[n] = '\0';
}

/* Put %{messages_in}w, %{sent_code}w and the like. */
static void put_socket(struct line *l, const struct subject *s, wsk_str name)
{
    if (s->r->end == NULL)
        put(l, "-");
    else if (wsk__str_is(name, "messages_in"))
        put_number(l, s->r->end->messages_in);
    else if (wsk__str_is(name, "messages_out"))
        put_number(l, s->r->end->messages_out);
    else if (wsk__str_is(name, "octets_in"))
        put_number(l, s->r->end->octets_in);
    else if (wsk__str_is(name, "octets_out"))
        put_number(l, s->r->end->octets_out);
    else if (wsk__str_is(name, "close_code"))
        put_number(l, s->r->end->how.code);
    else if (wsk__str_is(name, "close_reason"))
        put_or_dash(l, (wsk_str){s->r->end->how.reason, s->r->end->how.len});
    else if (wsk__str_is(name, "sent_code") && s->r->end->how.sent_code != 0)
        put_number(l, s->r->end->how.sent_code);
    else if (wsk__str_is(name, "sent_reason"))
        put_or_dash(
            l, (wsk_str){s->r->end->how.sent_reason, s->r->end->how.sent_len});
    else
        put(l, "-");
}

/* Return the next of texts that stand one behind the other; NULL: none. */
static const char *next_text(const char **texts)
{
    const char *text = *texts;

    if (text != NULL)
        *texts += strlen(text) + 1;
    return text;
}

/* Put a variable of TLS, which a request's environ has and ours has not. */
static bool put_tls(struct line *l, const struct subject *s, wsk_str name)
{
    wsk_str value = {NULL, 0};

    if (s->r->tls != NULL)
        value = wsk__tls_peer_get(s->r->tls, name);
    if (value.p != NULL)
        put_or_dash(l, value);
    return value.p != NULL;
}

static void put_named(struct line *l, struct subject *s,
                      const struct wsk__atom *atom)
{
    char name[128];
    const char *value = NULL;

    copy_name(name, atom->name);
    switch (atom->what) {
    case 'i':
        put_or_dash(l, field(s, name));
        return;
    case 'w':
        put_socket(l, s, atom->name);
        return;
    case 'e':
        value = next_text(&s->env);
        if (put_tls(l, s, atom->name))
            return;
        break;
    case 'o':
        value = next_text(&s->noted);
        break;
    }
    put_or_dash(l, value != NULL ? (wsk_str){value, strlen(value)}
                                 : (wsk_str){NULL, 0});
}

static void put_duration(struct line *l, char what, uint64_t us)
{
    char text[40];

    switch (what) {
    case 'T':
        put_number(l, us / 1000000);
        return;
    case 'M':
        put_number(l, us / 1000);
        return;
    case 'D':
        put_number(l, us);
        return;
    }
    snprintf(text, sizeof(text), "%" PRIu64 ".%06u", us / 1000000,
             (unsigned)(us % 1000000));
    put(l, text);
}

/* Put a letter whose value comes from the request's head. */
static void put_of_head(struct line *l, const struct subject *s, char what)
{
    wsk_str none = {NULL, 0};
    const wsk_head *h = s->r->head;

    if (h == NULL) {
        put(l, "-");
        return;
    }
    switch (what) {
    case 'r':
        put_request_line(l, s);
        break;
    case 'm':
        put_peer(l, method_of(s));
        break;
    case 'u':
        put_user(l, s);
        break;
    case 'U':
        put_or_dash(l, h->path);
        break;
    case 'q':
        put_peer(l, h->query);
        break;
    case 'H':
        put_peer(l, h->version);
        break;
    case 'f':
        put_or_dash(l, wsk_head_get(h, "Referer"));
        break;
    case 'a':
        put_or_dash(l, wsk_head_get(h, "User-Agent"));
        break;
    default:
        put_or_dash(l, none);
    }
}

static void put_atom(struct line *l, struct subject *s,
                     const struct wsk__atom *atom)
{
    switch (atom->what) {
    case 0:
        put_bytes(l, atom->name.p, atom->name.len);
        break;
    case 'h':
        put_or_dash(l, (wsk_str){s->r->peer, strlen(s->r->peer)});
        break;
    case 't':
        put_time(l);
        break;
    case 's':
        put_number(l, (uint64_t)s->r->status);
        break;
    case 'b':
        if (s->r->sent == 0) {
            put(l, "-");
            break;
        }
        put_number(l, s->r->sent);
        break;
    case 'B':
        put_number(l, s->r->sent);
        break;
    case 'p':
        put_number(l, (uint64_t)getpid());
        break;
    case 'W':
        if (s->worker == 0)
            put(l, "-");
        else
            put_number(l, s->worker);
        break;
    case 'D':
    case 'T':
    case 'M':
    case 'L':
        put_duration(l, atom->what, s->r->us);
        break;
    case 'i':
    case 'o':
    case 'e':
    case 'w':
        put_named(l, s, atom);
        break;
    default: /* "l", the identity of RFC 1413, is never known */
        put_of_head(l, s, atom->what);
    }
}

/* --------------------------------------------------------------- JSON --- */

/* Put a value, cut to `most` bytes in its written form. */
static void put_json(struct line *l, const char *name, wsk_str value,
                     size_t most)
{
    unsigned i = l->texts++;

    assert(i < JSON_TEXTS);
    put(l, l->n == 0 ? "{\"" : ",\"");
    put(l, name);
    if (value.p == NULL) {
        put(l, "\":null");
        return;
    }
    put(l, "\":\"");
    if (most > l->limit[i])
        most = l->limit[i];
    l->len[i] =
        wsk__escape(l->text + l->n, most, value.p, value.len, WSK__ESCAPE_JSON);
    l->n += l->len[i];
    put(l, "\"");
}

static void put_json_number(struct line *l, const char *name, uint64_t value)
{
    put(l, ",\"");
    put(l, name);
    put(l, "\":");
    put_number(l, value);
}

static void put_json_time(struct line *l)
{
    struct timeval now;
    struct tm tm;
    char text[80];
    int n;

    gettimeofday(&now, NULL);
    gmtime_r(&now.tv_sec, &tm);
    n = snprintf(text, sizeof(text), "%04d-%02d-%02dT%02d:%02d:%02d.%03uZ",
                 tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour,
                 tm.tm_min, tm.tm_sec, (unsigned)(now.tv_usec / 1000) % 1000);
    put_json(l, "time", (wsk_str){text, (size_t)n}, sizeof(text));
}

/* Put what both sides have sent at the end of a WebSocket. */
static void put_json_end(struct line *l, const wsk_close_info *end)
{
    wsk_str reason = {end->len > 0 ? end->reason : NULL, end->len};
    wsk_str sent = {end->sent_len > 0 ? end->sent_reason : NULL, end->sent_len};

    put_json_number(l, "close_code", end->code);
    put_json(l, "close_reason", reason, JSON_REASON);
    if (end->sent_code != 0)
        put_json_number(l, "sent_code", end->sent_code);
    else
        put(l, ",\"sent_code\":null");
    put_json(l, "sent_reason", sent, JSON_REASON);
}

static void put_json_texts(struct line *l, const struct subject *s)
{
    const wsk_head *h = s->r->head;
    uint8_t name[USER_MAX];

    put_json_time(l);
    put_json(l, "remote", (wsk_str){s->r->peer, strlen(s->r->peer)},
             JSON_REMOTE);
    put_json(l, "user", user_of(s, name), JSON_USER);
    if (h != NULL) {
        put_json(l, "method", method_of(s), JSON_METHOD);
        put_json(l, "target", h->target, JSON_TARGET);
        put_json(l, "version", h->version, JSON_VERSION);
        put_json(l, "host", h->host, JSON_HOST);
    }
    put_json_number(l, s->r->end != NULL ? "code" : "status",
                    (uint64_t)s->r->status);
    put(l, ",\"duration\":");
    put_duration(l, 'L', s->r->us);
    if (s->r->end != NULL) {
        put_json_number(l, "messages_in", s->r->end->messages_in);
        put_json_number(l, "messages_out", s->r->end->messages_out);
        put_json_number(l, "octets_in", s->r->end->octets_in);
        put_json_number(l, "octets_out", s->r->end->octets_out);
        put_json_end(l, &s->r->end->how);
    } else {
        put_json_number(l, "octets", s->r->sent);
        put_json(l, "referer", field(s, "Referer"), JSON_FIELD);
    }
    put_json(l, "agent", field(s, "User-Agent"), JSON_FIELD);
    if (s->worker != 0)
        put_json_number(l, "worker", s->worker);
    put(l, "}");
}

/* Allow the longest text less, at least half of what it has, so that `over`
 * bytes fewer are written. False: all are short. */
static bool shorten_longest(struct line *l, size_t over)
{
    unsigned at = 0;
    size_t half;

    for (unsigned i = 1; i < l->texts; i++)
        if (l->len[i] > l->len[at])
            at = i;
    if (l->len[at] <= JSON_LEAST)
        return false;
    half = l->len[at] / 2;
    l->limit[at] = over < half ? l->len[at] - over : half;
    return true;
}

/* Put a line that is valid JSON however long it may be. */
static void put_json_line(struct line *l, const struct subject *s)
{
    size_t most = l->most;

    for (unsigned i = 0; i < JSON_TEXTS; i++)
        l->limit[i] = SIZE_MAX;
    l->most = sizeof(l->text);
    do {
        memset(l->len, 0, sizeof(l->len));
        l->n = l->texts = 0;
        put_json_texts(l, s);
    } while (l->n > most && shorten_longest(l, l->n - most));
}

/* -------------------------------------------------------------- lines --- */

static void put_format(struct line *l, struct subject *s,
                       const struct wsk__format *format)
{
    for (size_t i = 0; i < format->n; i++)
        l->later += least_of(&format->atoms[i]);
    for (size_t i = 0; i < format->n; i++) {
        l->later -= least_of(&format->atoms[i]);
        put_atom(l, s, &format->atoms[i]);
    }
}

bool wsk__access_is_on(const struct wsk__logs *logs)
{
    return logs->access != NULL;
}

void wsk__access_write(const struct wsk__logs *logs,
                       const struct wsk__access_record *record)
{
    struct subject s = {record, record->noted, logs->env, logs->worker};
    struct line l;

    if (logs->access == NULL)
        return;
    l.n = l.later = 0;
    l.most = wsk__log_longest(logs->access);
    if (l.most > sizeof(l.text))
        l.most = sizeof(l.text);
    if (logs->format.json)
        put_json_line(&l, &s);
    else
        put_format(&l, &s, &logs->format);
    wsk__log_line(logs->access, l.text, l.n);
}

bool wsk__access_read_environment(struct wsk__logs *logs)
{
    const struct wsk__format *format = &logs->format;
    struct wsk__buf texts;
    bool good = true;

    wsk__buf_init(&texts, SIZE_MAX / 4);
    for (size_t i = 0; good && i < format->n; i++) {
        char name[128];
        const char *value;

        if (format->atoms[i].what != 'e')
            continue;
        copy_name(name, format->atoms[i].name);
        value = getenv(name);
        if (value == NULL)
            value = "";
        good = wsk__buf_put(&texts, value, strlen(value) + 1);
    }
    wsk__free(logs->env);
    logs->env = NULL;
    if (good && wsk__buf_len(&texts) > 0)
        logs->env = wsk__memdup(wsk__buf_data(&texts), wsk__buf_len(&texts));
    good = good && (logs->env != NULL || wsk__buf_len(&texts) == 0);
    wsk__buf_free(&texts);
    return good;
}

uint64_t wsk__access_begin(const struct wsk__logs *logs)
{
    return logs->timed ? wsk__now_ns() : 0;
}

uint64_t wsk__access_us(const struct wsk__logs *logs, uint64_t began)
{
    return logs->timed ? (wsk__now_ns() - began) / 1000 : 0;
}

/* Find the next %{x}o of the format, from its atom *i on. */
static bool next_noted(const struct wsk__format *format, size_t *i,
                       char name[128])
{
    while (*i < format->n) {
        const struct wsk__atom *atom = &format->atoms[(*i)++];

        if (atom->what == 'o') {
            copy_name(name, atom->name);
            return true;
        }
    }
    return false;
}

static char *note(const struct wsk__logs *logs, const wsk_header *headers,
                  size_t n)
{
    const wsk_head answer = {.headers = headers, .n_headers = n};
    char name[128], *noted, *at;
    size_t size = 0, i = 0;

    while (next_noted(&logs->format, &i, name))
        size += wsk_head_get(&answer, name).len + 1;
    noted = at = wsk__alloc(size);
    if (noted == NULL)
        return NULL;
    for (i = 0; next_noted(&logs->format, &i, name); *at++ = '\0') {
        wsk_str value = wsk_head_get(&answer, name);

        if (value.len > 0)
            memcpy(at, value.p, value.len);
        at += value.len;
    }
    return noted;
}

char *wsk__access_note(const struct wsk__logs *logs, const wsk_header *headers,
                       size_t n)
{
    return logs->notes ? note(logs, headers, n) : NULL;
}

/* Take a line up to its next blank. */
static wsk_str next_word(wsk_str *line)
{
    const char *blank = line->len > 0 ? memchr(line->p, ' ', line->len) : NULL;
    wsk_str word = *line;

    if (blank != NULL)
        word.len = (size_t)(blank - line->p);
    line->p += word.len + (blank != NULL);
    line->len -= word.len + (blank != NULL);
    return word;
}

wsk_head wsk__access_head_of(wsk_str line)
{
    wsk_head head = {.method = next_word(&line)};
    const char *query;

    head.target = head.path = next_word(&line);
    head.version = line;
    query = memchr(head.target.p, '?', head.target.len);
    if (query != NULL) {
        head.path.len = (size_t)(query - head.path.p);
        head.query = (wsk_str){query + 1, head.target.len - head.path.len - 1};
    }
    return head;
}
