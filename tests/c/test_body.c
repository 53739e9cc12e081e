/* http/body: the decoder's own promises. What is legal is the matter of
 * tests/vectors/http.md. */
#include "harness.h"

#include "http/body.h"

static wsk_limits limits;
static struct wsk__body_scan body;
static const uint8_t *run;
static size_t used, run_len;
static int status;

static void begin(bool chunked, uint64_t length)
{
    wsk_head head = {
        .chunked = chunked, .has_length = !chunked, .content_length = length};

    wsk_limits_init(&limits);
    EXPECT(wsk__body_scan_begin(&body, &head, &limits) == 0);
}

static enum wsk__body_result take(const char *octets, size_t len)
{
    run = NULL;
    run_len = 0;
    return wsk__body_scan_take(&body, &limits, (const uint8_t *)octets, len,
                               &used, &run, &run_len, &status);
}

TEST(data_is_passed_on_where_it_lies) /* RFC 9112 6.2 */
{
    static const char octets[] = "helloGET";

    begin(false, 5);
    EXPECT(take(octets, 3) == WSK__BODY_DATA);
    EXPECT(used == 3 && run == (const uint8_t *)octets && run_len == 3);
    EXPECT(!wsk__body_scan_done(&body));
    EXPECT(take(octets + 3, 5) == WSK__BODY_DATA);
    EXPECT(used == 2 && run_len == 2);
    EXPECT(wsk__body_scan_done(&body));
    EXPECT(take(octets + 5, 3) == WSK__BODY_DONE && used == 0);
}

TEST(a_body_of_nothing_is_complete_at_once) /* RFC 9112 6.2 */
{
    begin(false, 0);
    EXPECT(wsk__body_scan_done(&body));
}

TEST(one_run_of_data_at_a_time) /* RFC 9112 7.1 */
{
    static const char octets[] =
        "5;x\r\nhello\r\n1\r\n!\r\n0\r\nA: b\r\n\r\nGET";

    begin(true, 0);
    EXPECT(take(octets, sizeof octets - 1) == WSK__BODY_DATA);
    EXPECT(used == 10 && run_len == 5 && memcmp(run, "hello", 5) == 0);
    EXPECT(take(octets + 10, 5) == WSK__BODY_MORE);
    EXPECT(used == 5);
    EXPECT(take(octets + 15, sizeof octets - 16) == WSK__BODY_DATA);
    EXPECT(used == 1 && *run == '!');
    EXPECT(take(octets + 16, sizeof octets - 17) == WSK__BODY_DONE);
    EXPECT(used == sizeof "\r\n0\r\nA: b\r\n\r\n" - 1);
    EXPECT(wsk__body_scan_done(&body));
}

TEST(a_length_beyond_the_limit_is_413) /* RFC 9110 15.5.14 */
{
    wsk_head head = {.has_length = true, .content_length = 6};

    wsk_limits_init(&limits);
    limits.max_body = 5;
    EXPECT(wsk__body_scan_begin(&body, &head, &limits) == 413);
    limits.max_body = 0; /* no limit */
    EXPECT(wsk__body_scan_begin(&body, &head, &limits) == 0);
}

TEST(what_is_taken_ends_at_the_failure) /* RFC 9112 7.1 */
{
    begin(true, 0);
    EXPECT(take("5x\r\n", 4) == WSK__BODY_BAD);
    EXPECT(used == 2 && status == 400);
}

/* Each octet in each place of a short body: legal or not, never a crash, and
 * data is never anything but what lies between the frames. */
TEST(any_octet_anywhere_is_taken_or_refused)
{
    static const char octets[] =
        "2 ;a=\"b\\c\";d=e ; f\r\nhi\r\n0\r\nX: y\r\n\r\n";
    size_t len = sizeof octets - 1;

    for (size_t at = 0; at < len; at++)
        for (int c = 0; c < 256; c++) {
            char *p = (char *)exact(octets, len);
            size_t done = 0;
            enum wsk__body_result result = WSK__BODY_MORE;

            p[at] = (char)c;
            begin(true, 0);
            while (done < len && result != WSK__BODY_BAD &&
                   result != WSK__BODY_DONE) {
                result = take(p + done, len - done);
                EXPECT(used > 0 && used <= len - done);
                done += used;
                EXPECT(result != WSK__BODY_DATA ||
                       (run + run_len == (uint8_t *)p + done));
            }
            free(p);
        }
}
