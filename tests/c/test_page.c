/* The page of metrics, and the numbers that it shows. */
#include "harness.h"

#include "net/log/metrics.h"
#include "net/log/page.h"
#include "wsocket.h"

static uint64_t counters[WSK__COUNTERS];
static struct wsk__page_worker workers[3];

static struct wsk__page page_of(bool openmetrics)
{
    static const struct wsk__page_listener LISTENERS[] = {
        {"127.0.0.1:80", 3, 2048}, {"unix:/a\"b\\c\nd", 0, 1}};

    return (struct wsk__page){
        .openmetrics = openmetrics,
        .python = "3.11.2",
        .gil = "on",
        .counters = counters,
        .workers = workers,
        .n_workers = 1,
        .listeners = LISTENERS,
        .n_listeners = 2,
    };
}

/* The page as a string; free() it. */
static char *text_of(const struct wsk__page *page)
{
    size_t len = wsk__page_write(page, NULL, 0);
    char *text = malloc(len + 1);

    EXPECT(text != NULL && wsk__page_write(page, text, len) == len);
    text[len] = '\0';
    return text;
}

static bool has(const struct wsk__page *page, const char *what)
{
    char *text = text_of(page);
    bool found = strstr(text, what) != NULL;

    free(text);
    return found;
}

static void clear(void)
{
    memset(counters, 0, sizeof(counters));
    memset(workers, 0, sizeof(workers));
}

TEST(a_page_is_written_as_far_as_it_fits_and_not_a_byte_further)
{
    struct wsk__page page;
    size_t len;

    clear();
    memset(counters, 0xff, sizeof(counters));
    for (int openmetrics = 0; openmetrics < 2; openmetrics++) {
        page = page_of(openmetrics);
        len = wsk__page_write(&page, NULL, 0);
        EXPECT(len > 10000 && len < 1 << 18);
        for (size_t cap = 1; cap < len + 50; cap += cap < 300 ? 1 : 997) {
            char *block = malloc(cap);

            EXPECT(wsk__page_write(&page, block, cap) == len);
            free(block);
        }
    }
}

TEST(counters_have_their_suffix_and_openmetrics_names_the_family_without)
{
    struct wsk__page page = page_of(false);

    clear();
    counters[WSK__N_CODES + 204 - 100] = 7;
    EXPECT(has(&page, "# TYPE wsocket_http_requests_total counter\n"
                      "wsocket_http_requests_total{code=\"204\"} 7\n#"));
    EXPECT(!has(&page, "# EOF"));
    page = page_of(true);
    EXPECT(has(&page, "# TYPE wsocket_http_requests counter\n"
                      "wsocket_http_requests_total{code=\"204\"} 7\n#"));
    EXPECT(has(&page, "# TYPE wsocket_http_response_bytes counter\n"
                      "# UNIT wsocket_http_response_bytes bytes\n"
                      "wsocket_http_response_bytes_total 0\n"));
    EXPECT(has(&page, "\n# EOF\n"));
}

TEST(a_histogram_is_cumulative_and_in_seconds)
{
    struct wsk__page page = page_of(false);
    uint64_t *h = &counters[WSK__N_HTTP_DURATION];

    clear();
    h[0] = 2;
    h[1] = 1;
    h[WSK__BOUNDS] = 4;
    h[WSK__HISTOGRAM - 1] = 61234567890;
    EXPECT(has(&page, "duration_seconds_bucket{le=\"0.0005\"} 2\n"
                      "wsocket_http_request_duration_seconds_bucket"
                      "{le=\"0.001\"} 3\n"
                      "wsocket_http_request_duration_seconds_bucket"
                      "{le=\"0.0025\"} 3\n"));
    EXPECT(has(&page, "_seconds_bucket{le=\"10.0\"} 3\n"
                      "wsocket_http_request_duration_seconds_bucket"
                      "{le=\"+Inf\"} 7\n"
                      "wsocket_http_request_duration_seconds_sum 61.23456789\n"
                      "wsocket_http_request_duration_seconds_count 7\n"));
}

TEST(gauges_are_the_sum_of_the_workers_and_a_worker_has_its_own_lines)
{
    struct wsk__page page = page_of(false);

    clear();
    page.n_workers = 3;
    for (unsigned i = 0; i < 3; i++) {
        workers[i].number = i + 1;
        workers[i].gauges[WSK__G_WEBSOCKETS] = 10 + i;
        workers[i].gauges[WSK__G_RESIDENT] = i * 4096;
        workers[i].gauges[WSK__G_CPU] = 1500000000;
        workers[i].gauges[WSK__G_START] = 1700000000;
        workers[i].gauges[WSK__G_STATE + 1] = 1;
    }
    EXPECT(has(&page, "\nwsocket_websockets 33\n"));
    EXPECT(has(&page, "\nwsocket_workers{state=\"ready\"} 3\n"));
    EXPECT(has(&page, "wsocket_worker_cpu_seconds_total{worker=\"3\"} 1.5\n"));
    EXPECT(has(&page, "memory_bytes{worker=\"3\"} 8192\n"));
    EXPECT(!has(&page, "memory_bytes{worker=\"1\"}")); /* it does not know */
    workers[2].gauges[WSK__G_START] = 0;               /* one that boots */
    EXPECT(!has(&page, "seconds_total{worker=\"3\"}"));
    page.n_workers = 1;
    workers[0].number = 0;
    EXPECT(has(&page, "wsocket_worker_cpu_seconds_total 1.5\n"));
}

TEST(texts_in_labels_are_escaped)
{
    struct wsk__page page = page_of(false);

    clear();
    EXPECT(has(&page, "listen_queue_length{listener=\"127.0.0.1:80\"} 3\n"));
    EXPECT(has(&page, "{listener=\"unix:/a\\\"b\\\\c\\nd\"} 1\n"));
    EXPECT(has(&page,
               "version=\"" WSK_VERSION "\",python=\"3.11.2\",gil=\"on\"} "
               "1\n"));
}

TEST(refusals_have_their_limit_and_what_waits_is_none)
{
    struct wsk__page page = page_of(false);

    clear();
    counters[WSK__N_LIMITS + WSK__LIMIT_QUEUE] = 5;
    counters[WSK__N_LIMITS + WSK__LIMIT_SLOTS] = 6;
    EXPECT(has(&page, "wsocket_refused_total{reason=\"queue_limit\"} 5\n"));
    EXPECT(has(&page, "wsocket_waits_total{reason=\"threads\"} 6\n"));
    EXPECT(!has(&page, "wsocket_refused_total{reason=\"threads\"}"));
}

static bool wants(const char *accept, const char *more)
{
    wsk_header headers[] = {{{"Accept", 6}, {accept, strlen(accept)}},
                            {{"accept", 6}, {more, strlen(more)}}};
    wsk_head head = {.headers = headers, .n_headers = more[0] != '\0' ? 2 : 1};

    return wsk__page_wants_openmetrics(&head);
}

TEST(accept_chooses_the_format)
{
    static const struct {
        const char *accept, *more;
        bool openmetrics;
    } CASES[] = {
        {"*/*", "", false},
        {"", "", false},
        {",;, ;q", "", false},
        {"text/html,application/xhtml+xml;q=0.9,*/*;q=0.8", "", false},
        {"application/openmetrics-text", "", true},
        {"Application/OpenMetrics-Text ; Version=1.0.0; charset=utf-8", "",
         true},
        {"application/openmetrics-text;version=0.0.1", "", false},
        {"application/openmetrics-text;q=0", "", false},
        {"application/openmetrics-text;q=0.000", "", false},
        {"application/openmetrics-text;q=1.000", "", true},
        {"text/plain;q=0.9,application/openmetrics-text;q=0.8", "", false},
        {"text/plain;q=0.8", "application/openmetrics-text;q=0.9", true},
        /* Prometheus 2 and 3 */
        {"application/openmetrics-text;version=1.0.0;q=0.5,application/"
         "openmetrics-text;version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,"
         "*/*;q=0.2",
         "", true},
        {"text/plain;version=0.0.4;q=0.5,*/*;q=0.1", "", false},
    };

    for (size_t i = 0; i < sizeof(CASES) / sizeof(*CASES); i++)
        if (wants(CASES[i].accept, CASES[i].more) != CASES[i].openmetrics) {
            printf("%s\n", CASES[i].accept);
            EXPECT(false);
        }
}

TEST(a_duration_is_in_the_bucket_whose_bound_it_does_not_pass)
{
    EXPECT(wsk__bucket_of(wsk__bounds_short, 0) == 0);
    EXPECT(wsk__bucket_of(wsk__bounds_short, 500000) == 0);
    EXPECT(wsk__bucket_of(wsk__bounds_short, 500001) == 1);
    EXPECT(wsk__bucket_of(wsk__bounds_short, 10000000000) == WSK__BOUNDS - 1);
    EXPECT(wsk__bucket_of(wsk__bounds_short, 10000000001) == WSK__BOUNDS);
    EXPECT(wsk__bucket_of(wsk__bounds_long, UINT64_MAX) == WSK__BOUNDS);
    for (int i = 1; i < WSK__BOUNDS; i++) {
        EXPECT(wsk__bounds_short[i - 1] < wsk__bounds_short[i]);
        EXPECT(wsk__bounds_long[i - 1] < wsk__bounds_long[i]);
    }
}

TEST(a_code_that_a_peer_may_choose_makes_no_number_of_its_own)
{
    EXPECT(wsk__close_place(1000) == 0 && wsk__close_place(1015) == 15);
    EXPECT(wsk__close_place(3000) == 16 && wsk__close_place(3999) == 16);
    EXPECT(wsk__close_place(4000) == 17 && wsk__close_place(4999) == 17);
    EXPECT(wsk__close_place(1016) == 18 && wsk__close_place(2999) == 18);
    EXPECT(wsk__close_place(0) == 18 && wsk__close_place(65535) == 18);
    EXPECT(wsk__close_place(5000) == WSK__CLOSES - 1);
}

TEST(what_several_tables_have_is_added_up)
{
    static struct wsk__metrics metrics;
    uint64_t now = wsk__now_ns();

    memset(&metrics, 0, sizeof(metrics));
    wsk__count_answer(&metrics, 200, now, now + 9, 5, true);
    wsk__count_answer(&metrics, 200, now, now + 9, 5, false);
    wsk__count_late_answer(&metrics, 404, 9, 2, true);
    wsk__count_late_answer(&metrics, 200, 9, 2, false);
    wsk__count_refusal(&metrics, 400);
    wsk__count_answer(&metrics, 1, now, now + 9, 1, false); /* is none */
    wsk__count_refusal(&metrics, 999);
    wsk__observe_any(&metrics.any[WSK__N_HTTP_QUEUE], wsk__bounds_short, 2e6);
    wsk__add(&metrics.ws[3][WSK__N_WS_OPENS - WSK__N_WS], 2);
    wsk__add(&metrics.ws[60][WSK__N_WS_OPENS - WSK__N_WS], 4);
    wsk__metrics_sum(&metrics, counters);
    EXPECT(counters[WSK__N_CODES + 100] == 3);
    EXPECT(counters[WSK__N_CODES + 300] == 1);
    EXPECT(counters[WSK__N_CODES + 304] == 1);
    EXPECT(counters[WSK__N_CODES] == 2);
    EXPECT(counters[WSK__N_CODES + 1] == 6); /* each was answered with 101 */
    EXPECT(counters[WSK__N_WS_OPENS] == 6);
    EXPECT(counters[WSK__N_HTTP_BYTES + 1] == 15);
    EXPECT(counters[WSK__N_HTTP_QUEUE] == 2);
    EXPECT(counters[WSK__N_HTTP_QUEUE + 2] == 1);
    EXPECT(counters[WSK__N_HTTP_DURATION + WSK__HISTOGRAM - 1] == 5 * 9);
}

TEST(a_request_begins_where_the_one_before_it_in_that_turn_has_ended)
{
    static struct wsk__metrics metrics;
    uint64_t first;

    memset(&metrics, 0, sizeof(metrics));
    first = wsk__metrics_now(&metrics, 1);
    EXPECT(first != 0 && wsk__metrics_now(&metrics, 1) == first);
    wsk__count_answer(&metrics, 200, first, first + 7, 0, false);
    EXPECT(wsk__metrics_now(&metrics, 1) == first + 7);
    first = wsk__metrics_now(&metrics, 1);
    EXPECT(wsk__metrics_now(&metrics, 2) > first);
}

TEST(the_numbers_fit_into_a_slot_of_a_board)
{
    EXPECT(sizeof(uint64_t) * (WSK__COUNTERS + WSK__GAUGES) <= 12 << 10);
}

TEST(values_of_the_parent_are_shown_once_they_are_set)
{
    struct wsk__page page = page_of(false);

    clear();
    page.n_workers = 3;
    EXPECT(has(&page, "# TYPE wsocket_generation gauge\n#"));
    page.parent[WSK__P_GENERATION] = 7;
    page.parent[WSK__P_RELOADED] = 1800000000;
    EXPECT(has(&page, "\nwsocket_generation 7\n"));
    EXPECT(has(&page, "\nwsocket_last_reload_success_timestamp_seconds "
                      "1800000000\n"));
    page.openmetrics = true;
    EXPECT(has(&page, "# UNIT wsocket_last_reload_success_timestamp_seconds "
                      "seconds\n"));
    EXPECT(wsk__page_parent_value("generation") == WSK__P_GENERATION);
    EXPECT(wsk__page_parent_value("workers") == -1);
    EXPECT(wsk__page_parent_value("") == -1);
}

TEST(a_counter_is_found_by_its_name_and_label)
{
    EXPECT(wsk__page_counter("worker_exits", "crash") == WSK__N_EXITS + 5);
    EXPECT(wsk__page_counter("reloads", "failed") == WSK__N_RELOADS + 1);
    EXPECT(wsk__page_counter("reloads", "start") == -1);
    EXPECT(wsk__page_counter("handlers", "running") == -1); /* a gauge */
    EXPECT(wsk__page_counter("http_requests", "200") == -1);
    EXPECT(wsk__page_counter("refused", "") == -1);
}

TEST(handshakes_and_certificates_are_shown_where_there_is_tls)
{
    static const struct wsk__page_certificate CERTIFICATES[] = {
        {"a.example", "/etc/a \"1\".pem", 1900000000},
        {"a.example", "/etc/b.pem", 1900000001}};
    static struct wsk__metrics metrics;
    const wsk_tls_info full = {"TLSv1.3", "", "", false, {NULL, 0}};
    const wsk_tls_info resumed = {"TLSv1.2", "", "", true, {NULL, 0}};
    struct wsk__page page = page_of(false);

    clear();
    EXPECT(!has(&page, "wsocket_tls"));
    memset(&metrics, 0, sizeof(metrics));
    wsk__count_handshake(&metrics, &full, 2000000);
    wsk__count_handshake(&metrics, &full, 3000000);
    wsk__count_handshake(&metrics, &resumed, 1);
    wsk__count_handshake(&metrics, NULL, 5);
    wsk__metrics_sum(&metrics, counters);
    page.certificates = CERTIFICATES;
    page.n_certificates = 2;
    EXPECT(has(&page, "\nwsocket_tls_handshakes_total{result=\"full\","
                      "version=\"TLSv1.3\"} 2\n"));
    EXPECT(has(&page, "\nwsocket_tls_handshakes_total{result=\"resumed\","
                      "version=\"TLSv1.2\"} 1\n"));
    EXPECT(has(&page, "\nwsocket_tls_handshakes_total{result=\"failed\","
                      "version=\"\"} 1\n"));
    EXPECT(has(&page, "\nwsocket_tls_handshake_seconds_count 3\n"));
    EXPECT(has(&page, "\nwsocket_tls_certificate_end_seconds{name=\"a.example\""
                      ",file=\"/etc/a \\\"1\\\".pem\"} 1900000000\n"));
    clear();
}
