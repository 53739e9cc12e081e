#include "http/select.h"

#include "base/ascii.h"

#include <stdio.h>
#include <stdlib.h>

/* -------------------------------------------------------------- dates --- */

static const char DAYS[] = "SunMonTueWedThuFriSat";
static const char MONTHS[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

enum { DAY = 86400 };

/* Count the days from 1970-01-01 in the proleptic Gregorian calendar. The year
 * begins in March here, so that the leap day is its last. */
static int64_t days_from_civil(int64_t year, unsigned month, unsigned day)
{
    int64_t era;
    unsigned in_era, in_year;

    year -= month <= 2;
    era = (year >= 0 ? year : year - 399) / 400;
    in_era = (unsigned)(year - era * 400);
    in_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    return era * 146097 + (int64_t)(in_era * 365 + in_era / 4 - in_era / 100) +
           in_year - 719468;
}

static void civil_from_days(int64_t days, int64_t *year, unsigned *month,
                            unsigned *day)
{
    int64_t era;
    unsigned in_era, of_era, in_year, m;

    days += 719468;
    era = (days >= 0 ? days : days - 146096) / 146097;
    in_era = (unsigned)(days - era * 146097);
    of_era = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
    in_year = in_era - (365 * of_era + of_era / 4 - of_era / 100);
    m = (5 * in_year + 2) / 153;
    *day = in_year - (153 * m + 2) / 5 + 1;
    *month = m < 10 ? m + 3 : m - 9;
    *year = (int64_t)of_era + era * 400 + (*month <= 2);
}

void wsk__date_write(int64_t seconds, char text[WSK__HTTP_DATE + 1])
{
    static const int64_t LAST = 253402300799; /* the end of the year 9999 */
    int64_t year, days;
    unsigned month, day, left;

    seconds = seconds < 0 ? 0 : seconds > LAST ? LAST : seconds;
    days = seconds / DAY;
    left = (unsigned)(seconds % DAY);
    civil_from_days(days, &year, &month, &day);
    snprintf(text, WSK__HTTP_DATE + 1,
             "%.3s, %02u %.3s %04u %02u:%02u:%02u GMT",
             DAYS + 3 * ((days + 4) % 7), day % 100, MONTHS + 3 * (month - 1),
             (unsigned)year % 10000, left / 3600, left / 60 % 60, left % 60);
}

/* A place in a text that is being read. */
struct scan {
    const char *p, *end;
    bool bad;
};

static void expect(struct scan *s, const char *lit)
{
    size_t n = strlen(lit);

    if ((size_t)(s->end - s->p) < n || memcmp(s->p, lit, n) != 0)
        s->bad = true;
    else
        s->p += n;
}

/* Read exactly n digits; `padded`: blanks may stand for leading ones. */
static unsigned digits(struct scan *s, size_t n, bool padded)
{
    unsigned value = 0;

    if ((size_t)(s->end - s->p) < n)
        s->bad = true;
    for (size_t i = 0; i < n && !s->bad; i++, s->p++) {
        if (padded && *s->p == ' ' && i + 1 < n)
            continue;
        if (!wsk__is_digit(*s->p))
            s->bad = true;
        value = value * 10 + (unsigned)(*s->p - '0');
    }
    return value;
}

/* Read one of `n` names of three letters; returns its index. */
static unsigned name(struct scan *s, const char *names, unsigned n)
{
    for (unsigned i = 0; s->end - s->p >= 3 && i < n; i++)
        if (memcmp(s->p, names + (size_t)3 * i, 3) == 0) {
            s->p += 3;
            return i;
        }
    s->bad = true;
    return 0;
}

struct moment {
    unsigned year, month, day, hour, minute, second; /* month 1..12 */
};

static void clock_time(struct scan *s, struct moment *m)
{
    m->hour = digits(s, 2, false);
    expect(s, ":");
    m->minute = digits(s, 2, false);
    expect(s, ":");
    m->second = digits(s, 2, false);
}

/* Read "Sun, 06 Nov 1994 08:49:37 GMT". */
static void read_fixdate(struct scan *s, struct moment *m)
{
    expect(s, ", ");
    m->day = digits(s, 2, false);
    expect(s, " ");
    m->month = name(s, MONTHS, 12) + 1;
    expect(s, " ");
    m->year = digits(s, 4, false);
    expect(s, " ");
    clock_time(s, m);
    expect(s, " GMT");
}

/* Read "Sunday, 06-Nov-94 08:49:37 GMT". A year that seems more than fifty
 * years ahead is in the past (RFC 9110 5.6.7). */
static void read_rfc850(struct scan *s, struct moment *m, int64_t now)
{
    int64_t year;
    unsigned month, day;

    while (s->p < s->end && *s->p >= 'a' && *s->p <= 'z')
        s->p++;
    expect(s, ", ");
    m->day = digits(s, 2, false);
    expect(s, "-");
    m->month = name(s, MONTHS, 12) + 1;
    expect(s, "-");
    m->year = digits(s, 2, false);
    expect(s, " ");
    clock_time(s, m);
    expect(s, " GMT");
    civil_from_days(now / DAY, &year, &month, &day);
    m->year += (unsigned)(year / 100 * 100);
    if (m->year > (unsigned)year + 50)
        m->year -= 100;
}

/* Read "Sun Nov  6 08:49:37 1994". */
static void read_asctime(struct scan *s, struct moment *m)
{
    expect(s, " ");
    m->month = name(s, MONTHS, 12) + 1;
    expect(s, " ");
    m->day = digits(s, 2, true);
    expect(s, " ");
    clock_time(s, m);
    expect(s, " ");
    m->year = digits(s, 4, false);
}

bool wsk__date_read(wsk_str text, int64_t now, int64_t *seconds)
{
    struct scan s = {text.p, text.p + text.len, text.len < 4};
    struct moment m = {0};

    if (s.bad)
        return false;
    name(&s, DAYS, 7);
    if (!s.bad && *s.p == ',')
        read_fixdate(&s, &m);
    else if (!s.bad && *s.p == ' ')
        read_asctime(&s, &m);
    else if (!s.bad)
        read_rfc850(&s, &m, now);
    if (s.bad || s.p != s.end || m.day < 1 || m.day > 31 || m.hour > 23 ||
        m.minute > 59 || m.second > 60)
        return false;
    *seconds = days_from_civil(m.year, m.month, m.day) * DAY +
               (int64_t)m.hour * 3600 + m.minute * 60 + m.second;
    return true;
}

/* --------------------------------------------------------- conditions --- */

bool wsk__etag_listed(wsk_str list, wsk_str tag, bool weak)
{
    const char *p = list.p, *end = list.p + list.len;

    if (wsk__str_is(wsk__str_trim(list), "*"))
        return true;
    while (p < end) { /* a comma may stand inside the quotes */
        bool is_weak = end - p > 2 && memcmp(p, "W/\"", 3) == 0;
        const char *from = is_weak ? p + 2 : p;
        const char *close;

        if (*from != '"') {
            p++;
            continue;
        }
        close = memchr(from + 1, '"', (size_t)(end - from) - 1);
        if (close == NULL)
            return false;
        if ((weak || !is_weak) && (size_t)(close + 1 - from) == tag.len &&
            memcmp(from, tag.p, tag.len) == 0)
            return true;
        p = close + 1;
    }
    return false;
}

/* True if a field lists the tag; all its lines are one list (RFC 9110 5.3).
 * *there: the field was sent. */
static bool is_listed(const wsk_head *head, const char *name, wsk_str tag,
                      bool weak, bool *there)
{
    bool found = false;

    *there = false;
    for (size_t i = 0; i < head->n_headers && !found; i++)
        if (wsk__str_ieq(head->headers[i].name, name)) {
            *there = true;
            found = wsk__etag_listed(head->headers[i].value, tag, weak);
        }
    return found;
}

/* True if the field holds a date, and the file has changed since. */
static bool is_younger(wsk_str field, const struct wsk__validators *v,
                       bool *known)
{
    int64_t date;

    *known = field.p != NULL && wsk__date_read(field, v->now, &date);
    return *known && v->modified > date;
}

int wsk__conditions(const wsk_head *head, const struct wsk__validators *v)
{
    bool known, there;
    bool match = is_listed(head, "If-Match", v->etag, false, &there);

    if (there) {
        if (!match)
            return 412;
    } else if (is_younger(wsk_head_get(head, "If-Unmodified-Since"), v,
                          &known)) {
        return 412;
    }
    match = is_listed(head, "If-None-Match", v->etag, true, &there);
    if (there)
        return match ? 304 : 200;
    if (!is_younger(wsk_head_get(head, "If-Modified-Since"), v, &known) &&
        known)
        return 304;
    return 200;
}

/* True if If-Range holds (RFC 9110 13.1.5): a tag by strong comparison, a date
 * only if it is equal. */
static bool if_range_holds(const wsk_head *head,
                           const struct wsk__validators *v)
{
    wsk_str field = wsk_head_get(head, "If-Range");
    int64_t date;

    if (field.p == NULL)
        return true;
    if (field.len > 0 && (field.p[0] == '"' || field.p[0] == 'W'))
        return field.len == v->etag.len &&
               memcmp(field.p, v->etag.p, field.len) == 0;
    return wsk__date_read(field, v->now, &date) && date == v->modified;
}

/* Read "0-499", "500-" or "-500". Positions are written only with PART: a range
 * that is given up leaves none behind. */
static enum wsk__range read_range(wsk_str spec, uint64_t size, uint64_t *first,
                                  uint64_t *last)
{
    const char *dash = spec.len > 0 ? memchr(spec.p, '-', spec.len) : NULL;
    wsk_str from, to;
    uint64_t begin = 0, n = 0;

    if (dash == NULL)
        return WSK__RANGE_WHOLE;
    from = (wsk_str){spec.p, (size_t)(dash - spec.p)};
    to = (wsk_str){dash + 1, spec.len - from.len - 1};
    if ((from.len > 0 && !wsk__read_length(from, &begin)) ||
        (to.len > 0 && !wsk__read_length(to, &n)) ||
        (from.len == 0 && to.len == 0))
        return WSK__RANGE_WHOLE; /* another grammar: the whole file */
    if (from.len > 0 && to.len > 0 && n < begin)
        return WSK__RANGE_WHOLE; /* 9110 14.1.1: invalid */
    if (from.len == 0 ? n == 0 || size == 0 : begin >= size)
        return WSK__RANGE_NONE;
    if (from.len == 0)
        *first = n < size ? size - n : 0;
    else
        *first = begin;
    *last = from.len > 0 && to.len > 0 && n < size ? n : size - 1;
    return WSK__RANGE_PART;
}

enum wsk__range wsk__range_of(const wsk_head *head,
                              const struct wsk__validators *v, uint64_t size,
                              uint64_t *first, uint64_t *last)
{
    wsk_str field = wsk_head_get(head, "Range");
    wsk_str unit = {field.p, 6};

    for (size_t i = 0, n = 0; i < head->n_headers; i++)
        if (wsk__str_ieq(head->headers[i].name, "Range") && n++ > 0)
            return WSK__RANGE_WHOLE; /* two ranges, as on one line */

    if (field.p == NULL || field.len < 6 || !wsk__str_ieq(unit, "bytes=") ||
        !wsk__str_is(head->method, "GET") || !if_range_holds(head, v))
        return WSK__RANGE_WHOLE;
    return read_range(wsk__str_trim((wsk_str){field.p + 6, field.len - 6}),
                      size, first, last);
}

/* --------------------------------------------------------- negotiation --- */

/* True if the parameters of a list's member say q=0. */
static bool is_refused(wsk_str member, size_t from)
{
    wsk_str rest = wsk__str_trim((wsk_str){member.p + from, member.len - from});

    if (rest.len < 4 || rest.p[0] != ';')
        return false;
    rest = wsk__str_trim((wsk_str){rest.p + 1, rest.len - 1});
    if (rest.len < 3 || (rest.p[0] | 0x20) != 'q' || rest.p[1] != '=' ||
        rest.p[2] != '0')
        return false;
    for (size_t i = 3; i < rest.len; i++)
        if (rest.p[i] != '.' && rest.p[i] != '0')
            return false;
    return true;
}

/* Verdict of one line on the coding, and on all that it does not name. */
struct taken {
    bool named, good, any;
};

static void ask_line(wsk_str list, const char *coding, struct taken *t)
{
    wsk_str member;
    size_t pos = 0;

    while (!t->named && wsk__list_next(list, &pos, &member)) {
        size_t n = 0;

        while (n < member.len && wsk__is_tchar((unsigned char)member.p[n]))
            n++;
        if (wsk__str_ieq((wsk_str){member.p, n}, coding)) {
            t->named = true;
            t->good = !is_refused(member, n);
        } else if (n == 1 && member.p[0] == '*') {
            t->any = !is_refused(member, n);
        }
    }
}

bool wsk__accepts_coding(const wsk_head *head, const char *coding)
{
    struct taken t = {false, false, false};

    for (size_t i = 0; i < head->n_headers; i++)
        if (wsk__str_ieq(head->headers[i].name, "Accept-Encoding"))
            ask_line(head->headers[i].value, coding, &t);
    return t.named ? t.good : t.any;
}

static const struct type {
    const char *end, *type;
} TYPES[] = {
    {"7z", "application/x-7z-compressed"},
    {"aac", "audio/aac"},
    {"apng", "image/apng"},
    {"atom", "application/atom+xml"},
    {"avif", "image/avif"},
    {"bin", "application/octet-stream"},
    {"bmp", "image/bmp"},
    {"bz2", "application/x-bzip2"},
    {"cjs", "text/javascript; charset=utf-8"},
    {"css", "text/css; charset=utf-8"},
    {"csv", "text/csv; charset=utf-8"},
    {"eot", "application/vnd.ms-fontobject"},
    {"epub", "application/epub+zip"},
    {"flac", "audio/flac"},
    {"gif", "image/gif"},
    {"gz", "application/gzip"},
    {"htm", "text/html; charset=utf-8"},
    {"html", "text/html; charset=utf-8"},
    {"ico", "image/x-icon"},
    {"ics", "text/calendar; charset=utf-8"},
    {"jpeg", "image/jpeg"},
    {"jpg", "image/jpeg"},
    {"js", "text/javascript; charset=utf-8"},
    {"json", "application/json"},
    {"jsonld", "application/ld+json"},
    {"m4a", "audio/mp4"},
    {"map", "application/json"},
    {"md", "text/markdown; charset=utf-8"},
    {"mjs", "text/javascript; charset=utf-8"},
    {"mp3", "audio/mpeg"},
    {"mp4", "video/mp4"},
    {"mpeg", "video/mpeg"},
    {"oga", "audio/ogg"},
    {"ogg", "audio/ogg"},
    {"ogv", "video/ogg"},
    {"opus", "audio/ogg"},
    {"otf", "font/otf"},
    {"pdf", "application/pdf"},
    {"png", "image/png"},
    {"rss", "application/rss+xml"},
    {"rtf", "application/rtf"},
    {"svg", "image/svg+xml"},
    {"tar", "application/x-tar"},
    {"tif", "image/tiff"},
    {"tiff", "image/tiff"},
    {"ts", "video/mp2t"},
    {"ttf", "font/ttf"},
    {"txt", "text/plain; charset=utf-8"},
    {"vtt", "text/vtt; charset=utf-8"},
    {"wasm", "application/wasm"},
    {"wav", "audio/wav"},
    {"weba", "audio/webm"},
    {"webm", "video/webm"},
    {"webmanifest", "application/manifest+json"},
    {"webp", "image/webp"},
    {"woff", "font/woff"},
    {"woff2", "font/woff2"},
    {"xhtml", "application/xhtml+xml"},
    {"xml", "application/xml"},
    {"xz", "application/x-xz"},
    {"zip", "application/zip"},
    {"zst", "application/zstd"},
};

static int compare_type(const void *key, const void *row)
{
    return strcmp(key, ((const struct type *)row)->end);
}

const char *wsk__media_type(const char *file)
{
    const char *dot = strrchr(file, '.');
    const struct type *found;
    char end[16];
    size_t n = 0;

    if (dot == NULL || strchr(dot, '/') != NULL || strlen(dot) > sizeof end)
        return "application/octet-stream";
    for (dot++; dot[n] != '\0'; n++)
        end[n] = (char)wsk__lower((unsigned char)dot[n]);
    end[n] = '\0';
    found = bsearch(end, TYPES, sizeof TYPES / sizeof *TYPES, sizeof *TYPES,
                    compare_type);
    return found != NULL ? found->type : "application/octet-stream";
}
