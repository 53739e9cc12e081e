/* http/head: the parser's own promises. What is legal is the matter of
 * tests/vectors/http.md. */
#include "harness.h"

#include "base/ascii.h"
#include "base/mem.h"
#include "http/head.h"

#define TEXT                                                                   \
    "\r\nPOST http://b:81/c?d HTTP/1.1\r\nHost: a\r\nX_Y: dropped\r\n"         \
    "X-Z:  z \r\nContent-Length: 12\r\n\r\n"

static wsk_limits limits;
static struct wsk__head_store *store;
static size_t used;
static int status;

static void setup(void)
{
    wsk_limits_init(&limits);
    store = wsk__head_store_new(&limits);
    used = 0;
    status = 0;
}

static enum wsk__head_result parse(const char *text, size_t len,
                                   struct wsk__head_scan *scan)
{
    char *octets = (char *)exact(text, len);
    enum wsk__head_result result =
        wsk__head_parse(octets, len, scan, &limits, store, &used, &status);

    free(octets);
    return result;
}

static void expect_views(const wsk_head *head)
{
    EXPECT_OCTETS(head->method.p, head->method.len, "POST");
    EXPECT_OCTETS(head->target.p, head->target.len, "http://b:81/c?d");
    EXPECT_OCTETS(head->path.p, head->path.len, "/c");
    EXPECT_OCTETS(head->query.p, head->query.len, "d");
    EXPECT_OCTETS(head->host.p, head->host.len, "b:81");
    EXPECT_OCTETS(head->version.p, head->version.len, "HTTP/1.1");
    EXPECT(head->n_headers == 3);
    EXPECT_OCTETS(head->headers[1].name.p, head->headers[1].name.len, "X-Z");
    EXPECT_OCTETS(head->headers[1].value.p, head->headers[1].value.len, "z");
    EXPECT(head->has_length && head->content_length == 12);
}

TEST(views_point_into_the_text)
{
    static const char text[] = TEXT "body";
    struct wsk__head_scan scan = {0};

    setup();
    EXPECT(wsk__head_parse(text, sizeof text - 1, &scan, &limits, store, &used,
                           &status) == WSK__HEAD_OK);
    EXPECT(used == sizeof TEXT - 1);
    EXPECT(store->len == used - 2 && store->head.method.p == text + 2);
    EXPECT(store->head.headers == store->fields);
    expect_views(&store->head);
    wsk__free(store);
}

TEST(views_can_move_with_the_text)
{
    struct wsk__head_scan scan = {0};
    char *octets = (char *)exact(TEXT, sizeof TEXT - 1), *moved;

    setup();
    EXPECT(wsk__head_parse(octets, sizeof TEXT - 1, &scan, &limits, store,
                           &used, &status) == WSK__HEAD_OK);
    moved = (char *)exact(store->head.method.p, store->len);
    wsk__head_rebase(store, moved);
    free(octets);
    expect_views(&store->head);
    free(moved);
    wsk__free(store);
}

TEST(a_copy_stands_alone)
{
    struct wsk__head_scan scan = {0};
    char *octets = (char *)exact(TEXT, sizeof TEXT - 1);
    struct wsk__head_store *copy;

    setup();
    EXPECT(wsk__head_parse(octets, sizeof TEXT - 1, &scan, &limits, store,
                           &used, &status) == WSK__HEAD_OK);
    copy = wsk__head_copy(store);
    free(octets);
    wsk__free(store);
    EXPECT(copy->cap == 3 && copy->head.headers == copy->fields);
    expect_views(&copy->head);
    wsk__free(copy);
}

TEST(a_head_that_comes_in_pieces_reads_the_same)
{
    setup();
    for (size_t cut = 0; cut < sizeof TEXT - 1; cut++) {
        struct wsk__head_scan scan = {0};
        char *octets = (char *)exact(TEXT, sizeof TEXT - 1);

        EXPECT(parse(TEXT, cut, &scan) == WSK__HEAD_PARTIAL);
        /* Another connection used the store meanwhile. */
        memset(store->fields, 0xa5, store->cap * sizeof store->fields[0]);
        EXPECT(wsk__head_parse(octets, sizeof TEXT - 1, &scan, &limits, store,
                               &used, &status) == WSK__HEAD_OK);
        expect_views(&store->head);
        free(octets);
    }
    wsk__free(store);
}

TEST(no_octet_is_searched_twice)
{
    struct wsk__head_scan scan = {0};
    size_t before = 0;

    setup();
    for (size_t len = 1; len < sizeof TEXT - 1; len++) {
        EXPECT(parse(TEXT, len, &scan) == WSK__HEAD_PARTIAL);
        EXPECT(scan.at >= before && scan.at + 1 >= len);
        before = scan.at;
    }
    wsk__free(store);
}

/* A peer that sends as much as the cap has a verdict, so a buffer of that size
 * never overflows. */
TEST(a_head_of_the_cap_is_decided)
{
    static const char *const ENDLESS[] = {"a",  " ",        "\r\n",
                                          "\r", "a: b\r\n", "GET /"};
    char octets[4096];

    setup();
    limits.max_request_line = 100;
    limits.max_header_bytes = 300;
    limits.max_headers = UINT32_MAX;
    for (size_t i = 0; i < sizeof ENDLESS / sizeof *ENDLESS; i++)
        for (int started = 0; started < 2; started++) {
            struct wsk__head_scan scan = {0};
            size_t len = 0, n = strlen(ENDLESS[i]);

            if (started) {
                memset(octets, 'a', 89);
                memcpy(octets, "GET /", 5);
                memcpy(octets + 89, " HTTP/1.1\r\n", 11);
                len = 100;
            }
            while (len < wsk__head_cap(&limits)) {
                memcpy(octets + len, ENDLESS[i], n);
                len += n;
            }
            EXPECT(parse(octets, wsk__head_cap(&limits), &scan) ==
                   WSK__HEAD_BAD);
        }
    wsk__free(store);
}

TEST(a_store_is_never_larger_than_a_head_can_need)
{
    setup();
    EXPECT(store->cap == 100);
    wsk__free(store);
    limits.max_headers = UINT32_MAX;
    store = wsk__head_store_new(&limits);
    EXPECT(store->cap == 65536 / 4);
    wsk__free(store);
}

TEST(a_full_store_is_431) /* RFC 6585 5 */
{
    struct wsk__head_scan scan = {0};

    setup();
    store->cap = 1;
    EXPECT(parse(TEXT, sizeof TEXT - 1, &scan) == WSK__HEAD_BAD);
    EXPECT(status == 431);
    wsk__free(store);
}

TEST(limits_beyond_32_bits_count_as_large)
{
    struct wsk__head_scan scan = {0};

    setup();
    limits.max_request_line = UINT64_MAX;
    limits.max_header_bytes = UINT64_MAX;
    EXPECT(wsk__head_cap(&limits) < UINT32_MAX);
    EXPECT(parse(TEXT, sizeof TEXT - 1, &scan) == WSK__HEAD_OK);
    wsk__free(store);
}

TEST(the_first_of_several_fields_is_found)
{
    static const char text[] = "GET / HTTP/1.0\r\nX: 1\r\nx: 2\r\nY:\r\n\r\n";
    struct wsk__head_scan scan = {0};
    wsk_str value;

    setup();
    EXPECT(wsk__head_parse(text, sizeof text - 1, &scan, &limits, store, &used,
                           &status) == WSK__HEAD_OK);
    value = wsk_head_get(&store->head, "x");
    EXPECT_OCTETS(value.p, value.len, "1");
    value = wsk_head_get(&store->head, "y");
    EXPECT(value.p != NULL && value.len == 0);
    EXPECT(wsk_head_get(&store->head, "z").p == NULL);
    wsk__free(store);
}

/* One octet among others, at every place of blocks around the width of a
 * register, in memory that ends where the block does. */
static void look_at(size_t len, size_t at, int c)
{
    char *p = memset(malloc(len), 'a', len), *end = p + len;
    bool control = (c < 0x20 && c != '\t') || c == 0x7f;
    bool common = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
                  (c >= 'a' && c <= 'z') || c == '-' || c == '.';
    bool target = c > ' ' && c < 0x7f && c != '#';

    p[at] = (char)c;
    EXPECT(wsk__find_control_plain(p, end) == (control ? p + at : end));
    EXPECT(wsk__find_control(p, end) == (control ? p + at : end));
    EXPECT(wsk__skip_common_plain(p, end) == (common ? end : p + at));
    EXPECT(wsk__skip_common(p, end) == (common ? end : p + at));
    EXPECT(wsk__is_field_value(p, len) == !control);
    EXPECT(wsk__is_target_plain(p, end) == target);
    EXPECT(wsk__is_target(p, end) == target);
    free(p);
}

/* `lit` with one octet changed is still that name only by the case of a letter.
 */
static void rename_one(const char *lit, size_t len, size_t at)
{
    char *p = malloc(len);

    for (int c = 0; c < 256; c++) {
        bool letter = lit[at] != '-';
        bool same = c == lit[at] || (letter && c == (lit[at] & ~0x20));

        memcpy(p, lit, len);
        p[at] = (char)c;
        EXPECT(wsk__name_matches((wsk_str){p, len}, lit, len) == same);
    }
    free(p);
}

TEST(a_name_matches_by_its_letters_and_by_nothing_else)
{
    static const char lit[] = "proxy-authorization-te";

    for (size_t len = 1; len < sizeof lit; len++) {
        for (size_t at = 0; at < len; at++)
            rename_one(lit, len, at);
        EXPECT(!wsk__name_matches((wsk_str){lit, len - 1}, lit, len));
    }
}

TEST(sixteen_octets_are_judged_as_one_by_one) /* fuzz/fuzz_ascii.c */
{
    for (size_t len = 1; len <= 40; len++)
        for (size_t at = 0; at < len; at++)
            for (int c = 0; c < 256; c++)
                look_at(len, at, c);
}
