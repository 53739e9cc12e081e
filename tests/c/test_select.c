#include "harness.h"

#include "http/select.h"

static const wsk_header *fields;
static size_t n_fields;
static wsk_head head = {.method = {"GET", 3}};

static wsk_str str(const char *text)
{
    return (wsk_str){text, strlen(text)};
}

/* A head with one field, or two. */
static const wsk_head *with(const char *a, const char *va, const char *b,
                            const char *vb)
{
    static wsk_header two[2];

    two[0] = (wsk_header){str(a), str(va)};
    if (b != NULL)
        two[1] = (wsk_header){str(b), str(vb)};
    fields = two;
    n_fields = b != NULL ? 2 : 1;
    head.headers = fields;
    head.n_headers = n_fields;
    return &head;
}

/* 1994-11-06 08:49:37, the example of RFC 9110 5.6.7. */
#define SUNDAY "Sun, 06 Nov 1994 08:49:37 GMT"
enum { SUNDAY_S = 784111777 };

static const struct wsk__validators FILE_AT = {
    .etag = {"\"abc\"", 5}, .modified = SUNDAY_S, .now = 1800000000};

static bool reads(const char *text, int64_t *seconds)
{
    char *copy = (char *)exact(text, strlen(text));
    bool good =
        wsk__date_read((wsk_str){copy, strlen(text)}, 1800000000, seconds);

    free(copy);
    return good;
}

TEST(all_three_forms_of_a_date_are_read) /* RFC 9110 5.6.7 */
{
    int64_t s = 0;

    EXPECT(reads(SUNDAY, &s) && s == SUNDAY_S);
    s = 0;
    EXPECT(reads("Sunday, 06-Nov-94 08:49:37 GMT", &s) && s == SUNDAY_S);
    s = 0;
    EXPECT(reads("Sun Nov  6 08:49:37 1994", &s) && s == SUNDAY_S);
    EXPECT(reads("Thu, 29 Feb 2024 23:59:60 GMT", &s) && s == 1709251200);
    EXPECT(reads("Tuesday, 01-Jan-30 00:00:00 GMT", &s) && s == 1893456000);
}

TEST(what_is_no_date_is_none)
{
    static const char *const BAD[] = {
        "",
        "Sun",
        "Sun,",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 CET",
        "Sun, 06 Nov 1994 08:49:37 GMT ",
        "Sun, 00 Nov 1994 08:49:37 GMT",
        "Sun, 32 Nov 1994 08:49:37 GMT",
        "Sun, 06 Now 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:49:37 GMT",
        "Sun, 6 Nov 1994 08:49:37 GMT",
        "Day, 06 Nov 1994 08:49:37 GMT",
        "Sun Nov 6 08:49:37 1994",
        "784111777",
    };
    int64_t s;

    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++)
        EXPECT(!reads(BAD[i], &s));
}

TEST(what_is_written_is_read_again)
{
    char text[WSK__HTTP_DATE + 1];
    int64_t back;

    wsk__date_write(SUNDAY_S, text);
    EXPECT(strcmp(text, SUNDAY) == 0);
    for (int64_t s = 0; s < 253402300800; s += 86400 * 13 + 3601) {
        wsk__date_write(s, text);
        EXPECT(strlen(text) == WSK__HTTP_DATE);
        EXPECT(wsk__date_read(str(text), s, &back) && back == s);
        if (checks_failed > 0)
            break;
    }
    wsk__date_write(-5, text);
    EXPECT(strcmp(text, "Thu, 01 Jan 1970 00:00:00 GMT") == 0);
    wsk__date_write(INT64_MAX, text);
    EXPECT(strcmp(text, "Fri, 31 Dec 9999 23:59:59 GMT") == 0);
}

TEST(entity_tags_are_compared_weakly_or_strongly) /* RFC 9110 8.8.3.2 */
{
    wsk_str tag = {"\"a,b\"", 5};

    EXPECT(wsk__etag_listed(str("\"a,b\""), tag, false));
    EXPECT(wsk__etag_listed(str("\"x\", \"a,b\""), tag, false));
    EXPECT(wsk__etag_listed(str("*"), tag, false));
    EXPECT(wsk__etag_listed(str("W/\"a,b\""), tag, true));
    EXPECT(!wsk__etag_listed(str("W/\"a,b\""), tag, false));
    EXPECT(!wsk__etag_listed(str("a,b"), tag, true));
    EXPECT(!wsk__etag_listed(str("\"a\", \"b\""), tag, true));
    EXPECT(!wsk__etag_listed(str("\"a,b"), tag, true));
    EXPECT(!wsk__etag_listed(str(""), tag, true));
    EXPECT(!wsk__etag_listed(str("W/"), tag, true));
}

static int judge(const char *a, const char *va, const char *b, const char *vb)
{
    return wsk__conditions(with(a, va, b, vb), &FILE_AT);
}

TEST(conditions_are_judged_in_their_order) /* RFC 9110 13.2.2 */
{
    static const char OLDER[] = "Sat, 05 Nov 1994 08:49:37 GMT";
    static const char YOUNGER[] = "Mon, 07 Nov 1994 08:49:37 GMT";

    EXPECT(judge("If-None-Match", "\"abc\"", NULL, NULL) == 304);
    EXPECT(judge("If-None-Match", "W/\"abc\"", NULL, NULL) == 304);
    EXPECT(judge("If-None-Match", "\"abd\"", NULL, NULL) == 200);
    EXPECT(judge("If-Modified-Since", SUNDAY, NULL, NULL) == 304);
    EXPECT(judge("If-Modified-Since", YOUNGER, NULL, NULL) == 304);
    EXPECT(judge("If-Modified-Since", OLDER, NULL, NULL) == 200);
    EXPECT(judge("If-Modified-Since", "yesterday", NULL, NULL) == 200);
    /* A tag makes the date mute: 13.1.3. */
    EXPECT(judge("If-Modified-Since", SUNDAY, "If-None-Match", "\"x\"") == 200);
    EXPECT(judge("If-Match", "\"abc\"", NULL, NULL) == 200);
    EXPECT(judge("If-Match", "\"x\"", NULL, NULL) == 412);
    EXPECT(judge("If-Match", "W/\"abc\"", NULL, NULL) == 412);
    EXPECT(judge("If-Match", "\"abc\"", "If-None-Match", "*") == 304);
    EXPECT(judge("If-Unmodified-Since", SUNDAY, NULL, NULL) == 200);
    EXPECT(judge("If-Unmodified-Since", OLDER, NULL, NULL) == 412);
    EXPECT(judge("If-Unmodified-Since", OLDER, "If-Match", "*") == 200);
}

/* The range chosen of 1000 octets: "first-last", "whole" or "none". */
static const char *chosen(const char *range, const char *if_range)
{
    static char text[64];
    uint64_t first = 0, last = 0;

    switch (wsk__range_of(
        with("Range", range, if_range ? "If-Range" : NULL, if_range), &FILE_AT,
        1000, &first, &last)) {
    case WSK__RANGE_WHOLE:
        return first == 0 && last == 0 ? "whole" : "half a result";
    case WSK__RANGE_NONE:
        return first == 0 && last == 0 ? "none" : "half a result";
    case WSK__RANGE_PART:
        break;
    }
    snprintf(text, sizeof text, "%u-%u", (unsigned)first, (unsigned)last);
    return text;
}

#define CHOOSES(range, what) EXPECT(strcmp(chosen(range, NULL), what) == 0)

TEST(one_range_is_a_part) /* RFC 9110 14.1.2 */
{
    CHOOSES("bytes=0-499", "0-499");
    CHOOSES("bytes=500-999", "500-999");
    CHOOSES("bytes=500-5000", "500-999");
    CHOOSES("bytes=500-", "500-999");
    CHOOSES("bytes=999-", "999-999");
    CHOOSES("bytes=-1", "999-999");
    CHOOSES("bytes=-5000", "0-999");
    CHOOSES("Bytes=0-0", "0-0");
    CHOOSES("bytes=1000-", "none");
    CHOOSES("bytes=1000-2000", "none");
    CHOOSES("bytes=-0", "none");
}

TEST(what_is_no_range_is_the_whole) /* RFC 9110 14.2 */
{
    CHOOSES("bytes=2-1", "whole");
    CHOOSES("bytes=", "whole");
    CHOOSES("bytes=-", "whole");
    CHOOSES("bytes=a-b", "whole");
    CHOOSES("bytes=1", "whole");
    CHOOSES("bytes=0x1-2", "whole");
    CHOOSES("bytes=99999999999999999999-", "whole");
    CHOOSES("items=0-1", "whole");
    CHOOSES("byte", "whole");
    CHOOSES("bytes=0-1,3-4", "whole");
    head.method = (wsk_str){"HEAD", 4};
    CHOOSES("bytes=0-1", "whole");
    head.method = (wsk_str){"GET", 3};
}

TEST(a_range_that_is_ignored_leaves_nothing_behind) /* RFC 9110 14.2 */
{
    CHOOSES("bytes=5-2", "whole");
    CHOOSES("bytes=5-x", "whole");
    CHOOSES("bytes=4-4,5-5", "whole");
    CHOOSES("bytes=100-199, 300-399", "whole");
    CHOOSES("bytes=7-99999999999999999999", "whole");
    CHOOSES("bytes=7--8", "whole");
    CHOOSES("bytes=-8-", "whole");
    CHOOSES("bytes=2000-", "none");
    CHOOSES("bytes=-0", "none");
}

TEST(a_range_holds_only_for_the_same_file) /* RFC 9110 13.1.5 */
{
    EXPECT(strcmp(chosen("bytes=0-1", "\"abc\""), "0-1") == 0);
    EXPECT(strcmp(chosen("bytes=0-1", "W/\"abc\""), "whole") == 0);
    EXPECT(strcmp(chosen("bytes=0-1", "\"x\""), "whole") == 0);
    EXPECT(strcmp(chosen("bytes=0-1", SUNDAY), "0-1") == 0);
    EXPECT(strcmp(chosen("bytes=0-1", "Mon, 07 Nov 1994 08:49:37 GMT"),
                  "whole") == 0);
    EXPECT(strcmp(chosen("bytes=0-1", ""), "whole") == 0);
}

TEST(nothing_can_be_had_of_an_empty_file)
{
    uint64_t first, last;

    EXPECT(wsk__range_of(with("Range", "bytes=0-", NULL, NULL), &FILE_AT, 0,
                         &first, &last) == WSK__RANGE_NONE);
    EXPECT(wsk__range_of(with("Range", "bytes=-1", NULL, NULL), &FILE_AT, 0,
                         &first, &last) == WSK__RANGE_NONE);
}

static bool takes(const char *list, const char *coding)
{
    return wsk__accepts_coding(with("Accept-Encoding", list, NULL, NULL),
                               coding);
}

TEST(a_coding_is_taken_where_it_is_accepted) /* RFC 9110 12.5.3 */
{
    EXPECT(takes("gzip, deflate, br", "br"));
    EXPECT(takes("GZIP", "gzip"));
    EXPECT(takes("br;q=1.0, gzip;q=0.8, *;q=0.1", "gzip"));
    EXPECT(takes("*", "br"));
    EXPECT(takes("gzip;q=0.001", "gzip"));
    EXPECT(!takes("gzip;q=0", "gzip"));
    EXPECT(!takes("gzip; q=0.000, *", "gzip"));
    EXPECT(!takes("*;q=0", "gzip"));
    EXPECT(!takes("", "gzip"));
    EXPECT(!takes("gzipped", "gzip"));
    EXPECT(!takes("identity", "gzip"));
}

TEST(lists_on_several_lines_are_one) /* RFC 9110 5.3 */
{
    EXPECT(wsk__accepts_coding(
        with("Accept-Encoding", "br", "Accept-Encoding", "gzip"), "gzip"));
    EXPECT(!wsk__accepts_coding(
        with("Accept-Encoding", "*", "Accept-Encoding", "gzip;q=0"), "gzip"));
    EXPECT(wsk__conditions(
               with("If-None-Match", "\"x\"", "If-None-Match", "\"abc\""),
               &FILE_AT) == 304);
    EXPECT(wsk__conditions(with("If-Match", "\"x\"", "If-Match", "\"abc\""),
                           &FILE_AT) == 200);
    EXPECT(wsk__conditions(with("If-Match", "\"x\"", "If-Match", "\"y\""),
                           &FILE_AT) == 412);
    EXPECT(strcmp(chosen("bytes=0-1", NULL), "0-1") == 0);
    EXPECT(wsk__range_of(with("Range", "bytes=0-1", "Range", "bytes=5-6"),
                         &FILE_AT, 1000, &(uint64_t){0},
                         &(uint64_t){0}) == WSK__RANGE_WHOLE);
}

TEST(types_go_by_the_end_of_the_name)
{
    EXPECT(strcmp(wsk__media_type("a/b.min.JS"),
                  "text/javascript; charset=utf-8") == 0);
    EXPECT(strcmp(wsk__media_type("x.7z"), "application/x-7z-compressed") == 0);
    EXPECT(strcmp(wsk__media_type("x.zst"), "application/zstd") == 0);
    EXPECT(strcmp(wsk__media_type("x.webmanifest"),
                  "application/manifest+json") == 0);
    EXPECT(strcmp(wsk__media_type("x"), "application/octet-stream") == 0);
    EXPECT(strcmp(wsk__media_type("x.css/y"), "application/octet-stream") == 0);
    EXPECT(strcmp(wsk__media_type("x."), "application/octet-stream") == 0);
    EXPECT(strcmp(wsk__media_type("x.averyveryverylongend"),
                  "application/octet-stream") == 0);
}
