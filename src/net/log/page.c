#include "net/log/page.h"

#include "base/ascii.h"

#include <string.h>

struct out {
    char *p;
    size_t cap, n; /* n may pass cap: then only counted */
};

enum type { COUNTER, GAUGE, HISTOGRAM };
enum unit { PLAIN, BYTES, SECONDS, /* of ns */ WHOLE_SECONDS };
enum from {
    FROM_COUNTERS,
    FROM_GAUGES,  /* the sum of all workers */
    FROM_WORKERS, /* of each worker by itself */
    FROM_PARENT,  /* set by the supervisor */
};

/* Metrics of one name. */
struct family {
    const char *name; /* without "wsocket_" and "_total" */
    const char *help;
    enum type type;
    enum unit unit;
    enum from from;
    unsigned first, n; /* numbers, of which each has a value of the label */
    const char *label; /* NULL: n is 1 */
    const char *const *values; /* NULL: they are status codes */
    bool seen;                 /* those that are 0 are left out */
    const uint64_t *bounds;    /* of a histogram */
};

#define VALUES(...) ((const char *const[]){__VA_ARGS__})

static const char *const CLOSES[WSK__CLOSES] = {
    "1000", "1001", "1002", "1003", "1004", "1005", "1006",
    "1007", "1008", "1009", "1010", "1011", "1012", "1013",
    "1014", "1015", "3xxx", "4xxx", "other"};

static const char *const REASONS[WSK__REASONS] = {
    "start", "reload", "requests", "memory", "age",
    "crash", "hung",   "oom",      "stop",   "more"};

/* Limits at which something is refused or closed, by the option that allows
 * more; NULL: where something waits. */
static const char *const REFUSED[WSK__LIMITS] = {
    [WSK__LIMIT_QUEUE] = "queue_limit",
    [WSK__LIMIT_THREADS] = "system_threads",
    [WSK__LIMIT_MEMORY] = "memory_limit",
    [WSK__LIMIT_PARKED] = "max_parked",
    [WSK__LIMIT_WS_MEMORY] = "websocket_memory_limit",
    [WSK__LIMIT_BODY_FILES] = "spill_limit",
    [WSK__LIMIT_WS_SIZE] = "ws_max_size",
    [WSK__LIMIT_WS_RATE] = "body_rate",
    [WSK__LIMIT_WS_SEND] = "ws_send_max",
    [WSK__LIMIT_TOPIC] = "topic_backlog",
    [WSK__LIMIT_CONNS] = "max_connections",
    [WSK__LIMIT_FILES] = "system_descriptors",
    [WSK__LIMIT_ORIGINS] = "ws_origins",
    [WSK__LIMIT_HOSTS] = "allowed_hosts",
    [WSK__LIMIT_PROXY] = "proxy_protocol",
};

/* The others. */
static const char *const WAITED[WSK__LIMITS] = {
    [WSK__LIMIT_WAITS] = "max_parked",
    [WSK__LIMIT_SLOTS] = "threads",
    [WSK__LIMIT_INBOX] = "ws_max_queue",
};

static const struct family FAMILIES[] = {
    {"workers", "Worker processes by their state", GAUGE, PLAIN, FROM_GAUGES,
     WSK__G_STATE, 3, "state", VALUES("booting", "ready", "draining"), false,
     NULL},
    {"worker_starts", "Worker processes started, by the reason", COUNTER, PLAIN,
     FROM_COUNTERS, WSK__N_STARTS, WSK__REASONS, "reason", REASONS, true, NULL},
    {"worker_exits", "Worker processes that have ended, by the reason", COUNTER,
     PLAIN, FROM_COUNTERS, WSK__N_EXITS, WSK__REASONS, "reason", REASONS, true,
     NULL},
    {"reloads", "Reloads by their result", COUNTER, PLAIN, FROM_COUNTERS,
     WSK__N_RELOADS, 2, "result", VALUES("done", "failed"), true, NULL},
    {"last_reload_success_timestamp_seconds",
     "End of the last reload that was done, since 1970", GAUGE, WHOLE_SECONDS,
     FROM_PARENT, WSK__P_RELOADED, 1, NULL, NULL, true, NULL},
    {"generation", "Generation of the workers, 1 at the start", GAUGE, PLAIN,
     FROM_PARENT, WSK__P_GENERATION, 1, NULL, NULL, true, NULL},
    {"worker_resident_memory_bytes", "Resident memory", GAUGE, BYTES,
     FROM_WORKERS, WSK__G_RESIDENT, 1, NULL, NULL, true, NULL},
    {"worker_cpu_seconds", "CPU time, of user and system", COUNTER, SECONDS,
     FROM_WORKERS, WSK__G_CPU, 1, NULL, NULL, false, NULL},
    {"worker_start_time_seconds", "Start of the server, since 1970", GAUGE,
     WHOLE_SECONDS, FROM_WORKERS, WSK__G_START, 1, NULL, NULL, false, NULL},
    {"worker_open_fds", "Open descriptors", GAUGE, PLAIN, FROM_WORKERS,
     WSK__G_FDS, 1, NULL, NULL, true, NULL},

    {"connections",
     "Open connections: without a byte so far, with a request, idle or "
     "sending, "
     "WebSockets",
     GAUGE, PLAIN, FROM_GAUGES, WSK__G_CONNECTIONS, 4, "kind",
     VALUES("new", "http", "idle", "websocket"), false, NULL},
    {"connections_accepted", "Connections accepted", COUNTER, PLAIN,
     FROM_COUNTERS, WSK__N_ACCEPTED, 1, NULL, NULL, false, NULL},
    {"accept_pauses", "Pauses in accepting", COUNTER, PLAIN, FROM_COUNTERS,
     WSK__N_PAUSES, 2, "reason", VALUES("max_connections", "system"), false,
     NULL},
    {"refused", "Requests and connections refused or closed at a limit",
     COUNTER, PLAIN, FROM_COUNTERS, WSK__N_LIMITS, WSK__LIMITS, "reason",
     REFUSED, false, NULL},
    {"waits", "Times that something had to wait at a limit", COUNTER, PLAIN,
     FROM_COUNTERS, WSK__N_LIMITS, WSK__LIMITS, "reason", WAITED, false, NULL},

    {"http_requests", "Answers by their status; 101 opens a WebSocket", COUNTER,
     PLAIN, FROM_COUNTERS, WSK__N_CODES, WSK__CODES, "code", NULL, true, NULL},
    {"http_request_duration_seconds",
     "From the head of a request to the end of its handler", HISTOGRAM, SECONDS,
     FROM_COUNTERS, WSK__N_HTTP_DURATION, 1, NULL, NULL, false,
     wsk__bounds_short},
    {"http_queue_seconds", "From the head of a request to its handler",
     HISTOGRAM, SECONDS, FROM_COUNTERS, WSK__N_HTTP_QUEUE, 1, NULL, NULL, false,
     wsk__bounds_short},
    {"gil_wait_seconds", "Waiting for the interpreter", HISTOGRAM, SECONDS,
     FROM_COUNTERS, WSK__N_GIL_WAIT, 1, NULL, NULL, false, wsk__bounds_short},
    {"http_request_bytes", "Bytes of bodies received", COUNTER, BYTES,
     FROM_COUNTERS, WSK__N_HTTP_BYTES, 1, NULL, NULL, false, NULL},
    {"http_response_bytes", "Bytes of bodies sent", COUNTER, BYTES,
     FROM_COUNTERS, WSK__N_HTTP_BYTES + 1, 1, NULL, NULL, false, NULL},

    {"handlers", "Handlers that run, or wait for their peer", GAUGE, PLAIN,
     FROM_GAUGES, WSK__G_HANDLERS, 2, "state", VALUES("running", "parked"),
     false, NULL},
    {"handlers_limit", "Handlers that may run at once", GAUGE, PLAIN,
     FROM_GAUGES, WSK__G_HANDLERS_LIMIT, 1, NULL, NULL, false, NULL},
    {"queue_length", "Requests that wait for a thread", GAUGE, PLAIN,
     FROM_GAUGES, WSK__G_QUEUE, 1, NULL, NULL, false, NULL},
    {"lead_handovers", "Times that another thread took over the loop", COUNTER,
     PLAIN, FROM_COUNTERS, WSK__N_HANDOVERS, 1, NULL, NULL, false, NULL},
    {"buffered_bytes",
     "Input and output that connections hold, as memory_limit counts it", GAUGE,
     BYTES, FROM_GAUGES, WSK__G_BUFFERED, 1, NULL, NULL, false, NULL},

    {"websockets", "Open WebSockets", GAUGE, PLAIN, FROM_GAUGES,
     WSK__G_WEBSOCKETS, 1, NULL, NULL, false, NULL},
    {"websocket_opens", "WebSockets opened", COUNTER, PLAIN, FROM_COUNTERS,
     WSK__N_WS_OPENS, 1, NULL, NULL, false, NULL},
    {"websocket_closes", "WebSockets that have ended, by the close code",
     COUNTER, PLAIN, FROM_COUNTERS, WSK__N_WS_CLOSES, WSK__CLOSES, "code",
     CLOSES, true, NULL},
    {"websocket_messages", "Messages of WebSockets", COUNTER, PLAIN,
     FROM_COUNTERS, WSK__N_WS_MESSAGES, 2, "direction", VALUES("in", "out"),
     false, NULL},
    {"websocket_bytes", "Bytes of these messages", COUNTER, BYTES,
     FROM_COUNTERS, WSK__N_WS_BYTES, 2, "direction", VALUES("in", "out"), false,
     NULL},
    {"websocket_duration_seconds", "Time that WebSockets were open", HISTOGRAM,
     SECONDS, FROM_COUNTERS, WSK__N_WS_DURATION, 1, NULL, NULL, false,
     wsk__bounds_long},
    {"websocket_ping_rtt_seconds", "From a ping to its pong", HISTOGRAM,
     SECONDS, FROM_COUNTERS, WSK__N_WS_PING, 1, NULL, NULL, false,
     wsk__bounds_short},
    {"websocket_event_seconds", "Time that a handler of events took", HISTOGRAM,
     SECONDS, FROM_COUNTERS, WSK__N_WS_EVENT, 1, NULL, NULL, false,
     wsk__bounds_short},
    {"websocket_drops", "Messages dropped by ws_send_policy", COUNTER, PLAIN,
     FROM_COUNTERS, WSK__N_WS_DROPS, 1, NULL, NULL, false, NULL},

    {"topics", "Topics that have subscribers", GAUGE, PLAIN, FROM_GAUGES,
     WSK__G_TOPICS, 1, NULL, NULL, false, NULL},
    {"topic_subscriptions", "Subscriptions to topics", GAUGE, PLAIN,
     FROM_GAUGES, WSK__G_SUBSCRIPTIONS, 1, NULL, NULL, false, NULL},
    {"topic_publications",
     "Publications of each process, and those that have come in from others",
     COUNTER, PLAIN, FROM_COUNTERS, WSK__N_TOPIC_PUBLICATIONS, 2, "direction",
     VALUES("in", "out"), false, NULL},
    {"topic_publish_failures",
     "Publications that the broker did not take, or without memory", COUNTER,
     PLAIN, FROM_COUNTERS, WSK__N_TOPIC_FAILURES, 1, NULL, NULL, false, NULL},
    {"topic_copies_owed", "Copies of publications for subscribers", COUNTER,
     PLAIN, FROM_COUNTERS, WSK__N_TOPIC_OWED, 1, NULL, NULL, false, NULL},
    {"topic_copies",
     "Of them those that passed (sent, excluded, or sent by another topic), "
     "were dropped by the policy, or unread when the subscriber left; the "
     "others wait",
     COUNTER, PLAIN, FROM_COUNTERS, WSK__N_TOPIC_COPIES, 3, "result",
     VALUES("passed", "dropped", "unread"), false, NULL},
    {"topic_copies_sent", "Copies that were sent", COUNTER, PLAIN,
     FROM_COUNTERS, WSK__N_TOPIC_SENT, 1, NULL, NULL, false, NULL},
    {"topic_log_bytes", "Publications that wait for slow subscribers", GAUGE,
     BYTES, FROM_GAUGES, WSK__G_TOPIC_BYTES, 1, NULL, NULL, false, NULL},
    {"topic_queue_length",
     "Topics of many subscribers that wait for the thread that sends to them",
     GAUGE, PLAIN, FROM_GAUGES, WSK__G_TOPIC_QUEUE, 1, NULL, NULL, false, NULL},
    {"topic_gaps", "Times that ongap was told", COUNTER, PLAIN, FROM_COUNTERS,
     WSK__N_TOPIC_GAPS, 1, NULL, NULL, false, NULL},
    {"worker_bus_peers", "Processes that share the topics of this one", GAUGE,
     PLAIN, FROM_WORKERS, WSK__G_BUS_PEERS, 1, NULL, NULL, false, NULL},
    {"bus_queued_bytes", "Publications that wait for other processes", GAUGE,
     BYTES, FROM_GAUGES, WSK__G_BUS_BYTES, 1, NULL, NULL, false, NULL},
    {"broker_up", "Processes whose broker takes publications", GAUGE, PLAIN,
     FROM_GAUGES, WSK__G_BROKER, 1, NULL, NULL, false, NULL},
    {"broker_down", "Processes whose broker is down", GAUGE, PLAIN, FROM_GAUGES,
     WSK__G_BROKER + 1, 1, NULL, NULL, false, NULL},
    {"broker_outages", "Times that a process has lost its broker", COUNTER,
     PLAIN, FROM_COUNTERS, WSK__N_BROKER_OUTAGES, 1, NULL, NULL, false, NULL},
    {"broker_queued_bytes", "Publications that wait for the broker", GAUGE,
     BYTES, FROM_GAUGES, WSK__G_BROKER_BYTES, 1, NULL, NULL, false, NULL},

    {"log_lines_dropped", "Lines of a log that could not be written", COUNTER,
     PLAIN, FROM_COUNTERS, WSK__N_LOG_DROPS, 2, "log",
     VALUES("access", "error"), false, NULL},
};

/* -------------------------------------------------------------- texts --- */

static void put_bytes(struct out *o, const char *text, size_t len)
{
    if (len > 0 && o->n <= o->cap && len <= o->cap - o->n)
        memcpy(o->p + o->n, text, len);
    o->n += len;
}

static void put(struct out *o, const char *text)
{
    put_bytes(o, text, strlen(text));
}

/* Put a number of at least `width` digits. */
static void put_digits(struct out *o, uint64_t n, size_t width)
{
    char digits[20];
    size_t at = sizeof(digits);

    do
        digits[--at] = (char)('0' + n % 10);
    while ((n /= 10) > 0);
    while (sizeof(digits) - at < width)
        digits[--at] = '0';
    put_bytes(o, digits + at, sizeof(digits) - at);
}

/* Put nanoseconds as seconds: "0.0005", "2.5", "10.0". */
static void put_seconds(struct out *o, uint64_t ns)
{
    uint64_t rest = ns % 1000000000;
    size_t width = 9;

    put_digits(o, ns / 1000000000, 1);
    for (; width > 1 && rest % 10 == 0; width--)
        rest /= 10;
    put(o, ".");
    put_digits(o, rest, width);
}

static void put_value(struct out *o, enum unit unit, uint64_t value)
{
    if (unit == SECONDS)
        put_seconds(o, value);
    else
        put_digits(o, value, 1);
    put(o, "\n");
}

/* Put a pair of a label, behind those before it. Both formats escape '\\', '"'
 * and line ends. */
static void put_label(struct out *o, bool *any, const char *name,
                      const char *value)
{
    put(o, *any ? "," : "{");
    *any = true;
    put(o, name);
    put(o, "=\"");
    for (; *value != '\0'; value++) {
        if (*value == '\\' || *value == '"')
            put(o, "\\");
        if (*value == '\n')
            put(o, "\\n");
        else
            put_bytes(o, value, 1);
    }
    put(o, "\"");
}

/* ----------------------------------------------------------- families --- */

static void put_name(struct out *o, const char *name, const char *suffix)
{
    put(o, "wsocket_");
    put(o, name);
    put(o, suffix);
}

/* Put HELP and TYPE. OpenMetrics names a counter without its suffix. */
static void put_head(struct out *o, bool openmetrics, const char *name,
                     enum type type, enum unit unit, const char *help)
{
    static const char *const TYPES[] = {" counter\n", " gauge\n",
                                        " histogram\n"};
    const char *suffix = type == COUNTER && !openmetrics ? "_total" : "";

    put(o, "# HELP ");
    put_name(o, name, suffix);
    put(o, " ");
    put(o, help);
    put(o, ".\n# TYPE ");
    put_name(o, name, suffix);
    put(o, TYPES[type]);
    if (!openmetrics || unit == PLAIN)
        return;
    put(o, "# UNIT ");
    put_name(o, name, unit == BYTES ? " bytes\n" : " seconds\n");
}

static void put_histogram(struct out *o, const struct family *f,
                          const uint64_t *numbers)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i <= WSK__BOUNDS; i++) {
        sum += numbers[i];
        put_name(o, f->name, "_bucket{le=\"");
        if (i < WSK__BOUNDS)
            put_seconds(o, f->bounds[i]);
        else
            put(o, "+Inf");
        put(o, "\"} ");
        put_digits(o, sum, 1);
        put(o, "\n");
    }
    put_name(o, f->name, "_sum ");
    put_value(o, SECONDS, numbers[WSK__HISTOGRAM - 1]);
    put_name(o, f->name, "_count ");
    put_value(o, PLAIN, sum);
}

/* Put the i-th number of a family. */
static void put_number(struct out *o, const struct family *f, unsigned i,
                       unsigned worker, uint64_t value)
{
    char code[] = {(char)('1' + i / 100), (char)('0' + i / 10 % 10),
                   (char)('0' + i % 10), '\0'};
    struct out number;
    char digits[24];
    bool any = false;

    put_name(o, f->name, f->type == COUNTER ? "_total" : "");
    if (worker > 0) {
        number = (struct out){digits, sizeof(digits) - 1, 0};
        put_digits(&number, worker, 1);
        digits[number.n] = '\0';
        put_label(o, &any, "worker", digits);
    }
    if (f->label != NULL)
        put_label(o, &any, f->label, f->values != NULL ? f->values[i] : code);
    put(o, any ? "} " : " ");
    put_value(o, f->unit, value);
}

static uint64_t gauge_of(const struct wsk__page *page, unsigned i)
{
    uint64_t sum = 0;

    for (size_t w = 0; w < page->n_workers; w++)
        sum += page->workers[w].gauges[i];
    return sum;
}

static uint64_t value_of(const struct wsk__page *page, enum from from,
                         unsigned i)
{
    switch (from) {
    case FROM_COUNTERS:
        return page->counters[i];
    case FROM_PARENT:
        return page->parent[i];
    case FROM_GAUGES:
    case FROM_WORKERS:
        break;
    }
    return gauge_of(page, i);
}

static void put_numbers(struct out *o, const struct wsk__page *page,
                        const struct family *f)
{
    for (unsigned i = 0; i < f->n; i++) {
        uint64_t value = value_of(page, f->from, f->first + i);

        if ((value > 0 || !f->seen) &&
            (f->values == NULL || f->values[i] != NULL))
            put_number(o, f, i, 0, value);
    }
}

static void put_workers(struct out *o, const struct wsk__page *page,
                        const struct family *f)
{
    for (size_t w = 0; w < page->n_workers; w++) {
        const struct wsk__page_worker *worker = &page->workers[w];
        uint64_t value = worker->gauges[f->first];

        if (worker->gauges[WSK__G_START] == 0) /* not started yet */
            continue;
        if (value > 0 || !f->seen)
            put_number(o, f, 0, worker->number, value);
    }
}

static void put_family(struct out *o, const struct wsk__page *page,
                       const struct family *f)
{
    put_head(o, page->openmetrics, f->name, f->type, f->unit, f->help);
    if (f->type == HISTOGRAM)
        put_histogram(o, f, page->counters + f->first);
    else if (f->from == FROM_WORKERS)
        put_workers(o, page, f);
    else
        put_numbers(o, page, f);
}

/* ----------------------------------------------------- what is no number ---
 */

static void put_build(struct out *o, const struct wsk__page *page)
{
    bool any = false;

    put_head(o, page->openmetrics, "build_info", GAUGE, PLAIN,
             "The version of the server, 1");
    put_name(o, "build_info", "");
    put_label(o, &any, "version", WSK_VERSION);
    put_label(o, &any, "python", page->python);
    put_label(o, &any, "gil", page->gil);
    put(o, "} 1\n");
}

static void put_listeners(struct out *o, const struct wsk__page *page,
                          const char *name, const char *help, bool limit)
{
    put_head(o, page->openmetrics, name, GAUGE, PLAIN, help);
    for (size_t i = 0; i < page->n_listeners; i++) {
        const struct wsk__page_listener *l = &page->listeners[i];
        bool any = false;

        put_name(o, name, "");
        put_label(o, &any, "listener", l->address);
        put(o, "} ");
        put_value(o, PLAIN, limit ? l->limit : l->length);
    }
}

static void put_handshakes(struct out *o, const struct wsk__page *page)
{
    static const char *const LABELS[WSK__SHAKEN][2] = {
        [WSK__SHAKEN_FULL_12] = {"full", "TLSv1.2"},
        [WSK__SHAKEN_FULL_13] = {"full", "TLSv1.3"},
        [WSK__SHAKEN_RESUMED_12] = {"resumed", "TLSv1.2"},
        [WSK__SHAKEN_RESUMED_13] = {"resumed", "TLSv1.3"},
        [WSK__SHAKEN_FAILED] = {"failed", ""},
    };

    put_head(o, page->openmetrics, "tls_handshakes", COUNTER, PLAIN,
             "Handshakes of TLS, by result and version");
    for (unsigned i = 0; i < WSK__SHAKEN; i++) {
        bool any = false;

        put_name(o, "tls_handshakes", "_total");
        put_label(o, &any, "result", LABELS[i][0]);
        put_label(o, &any, "version", LABELS[i][1]);
        put(o, "} ");
        put_value(o, PLAIN, page->counters[WSK__N_HANDSHAKES + i]);
    }
}

static void put_tls(struct out *o, const struct wsk__page *page)
{
    static const struct family DURATION = {
        .name = "tls_handshake_seconds",
        .help = "From accepting a connection to the end of its handshake",
        .type = HISTOGRAM,
        .unit = SECONDS,
        .first = WSK__N_HANDSHAKE,
        .bounds = wsk__bounds_short,
    };

    put_handshakes(o, page);
    put_family(o, page, &DURATION);
    put_head(o, page->openmetrics, "tls_certificate_end_seconds", GAUGE,
             WHOLE_SECONDS, "End of a certificate, since 1970");
    for (size_t i = 0; i < page->n_certificates; i++) {
        const struct wsk__page_certificate *c = &page->certificates[i];
        bool any = false;

        put_name(o, "tls_certificate_end_seconds", "");
        put_label(o, &any, "name", c->name);
        put_label(o, &any, "file", c->file);
        put(o, "} ");
        put_value(o, WHOLE_SECONDS, c->end);
    }
}

size_t wsk__page_write(const struct wsk__page *page, char *out, size_t cap)
{
    struct out o = {out, cap, 0};

    put_build(&o, page);
    for (size_t i = 0; i < sizeof(FAMILIES) / sizeof(*FAMILIES); i++)
        put_family(&o, page, &FAMILIES[i]);
    put_listeners(&o, page, "listen_queue_length",
                  "Connections that wait to be accepted", false);
    put_listeners(&o, page, "listen_queue_limit",
                  "Connections that may wait to be accepted", true);
    if (page->n_certificates > 0)
        put_tls(&o, page);
    if (page->openmetrics)
        put(&o, "# EOF\n");
    return o.n;
}

int wsk__page_counter(const char *name, const char *value)
{
    for (size_t i = 0; i < sizeof(FAMILIES) / sizeof(*FAMILIES); i++) {
        const struct family *f = &FAMILIES[i];

        if (f->from != FROM_COUNTERS || f->values == NULL ||
            strcmp(f->name, name) != 0)
            continue;
        for (unsigned n = 0; n < f->n; n++)
            if (f->values[n] != NULL && strcmp(f->values[n], value) == 0)
                return (int)(f->first + n);
    }
    return -1;
}

int wsk__page_parent_value(const char *name)
{
    for (size_t i = 0; i < sizeof(FAMILIES) / sizeof(*FAMILIES); i++)
        if (FAMILIES[i].from == FROM_PARENT &&
            strcmp(FAMILIES[i].name, name) == 0)
            return (int)FAMILIES[i].first;
    return -1;
}

/* ------------------------------------------------------------- formats --- */

const char *wsk__page_type(bool openmetrics)
{
    return openmetrics
               ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
               : "text/plain; version=0.0.4; charset=utf-8";
}

/* Cut what stands before `c`, or all, off the beginning of a text. */
static wsk_str cut(wsk_str *text, char c)
{
    const char *at = text->len > 0 ? memchr(text->p, c, text->len) : NULL;
    wsk_str piece = {text->p, at != NULL ? (size_t)(at - text->p) : text->len};

    text->p += piece.len + (at != NULL);
    text->len -= piece.len + (at != NULL);
    return wsk__str_trim(piece);
}

/* Return a qvalue (RFC 9110 12.4.2) in thousandths. */
static int quality_of(wsk_str text)
{
    int q = text.len > 0 && text.p[0] == '1' ? 1000 : 0;
    int unit = 100;

    for (size_t i = 2; i < text.len && i < 5; i++, unit /= 10)
        if (wsk__is_digit((unsigned char)text.p[i]) && q < 1000)
            q += (text.p[i] - '0') * unit;
    return q;
}

/* Return how much a member of Accept wants the format, in thousandths; -1: it
 * names another one. */
static int wanted(wsk_str member, const char *type, const char *version)
{
    int q = 1000;

    if (!wsk__str_ieq(cut(&member, ';'), type))
        return -1;
    while (member.len > 0) {
        wsk_str value = cut(&member, ';');
        wsk_str name = cut(&value, '=');

        if (wsk__str_ieq(name, "q"))
            q = quality_of(value);
        else if (wsk__str_ieq(name, "version") && !wsk__str_is(value, version))
            return -1;
    }
    return q;
}

bool wsk__page_wants_openmetrics(const wsk_head *head)
{
    int open = 0, text = 0;

    for (size_t i = 0; i < head->n_headers; i++) {
        wsk_str list = head->headers[i].value;

        if (!wsk__str_ieq(head->headers[i].name, "accept"))
            continue;
        while (list.len > 0) {
            wsk_str member = cut(&list, ',');
            int o = wanted(member, "application/openmetrics-text", "1.0.0");
            int t = wanted(member, "text/plain", "0.0.4");

            open = o > open ? o : open;
            text = t > text ? t : text;
        }
    }
    return open > 0 && open >= text;
}
