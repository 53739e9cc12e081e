/*
 * wsocket.h: HTTP/1.1 and WebSocket for C programs.
 *
 * Three levels, one engine room:
 *
 *   wsk_http_*, wsk_ws_*   the engines. Sans-IO: bytes in, events out, bytes
 *                          out. No socket, clock, thread or callback inside.
 *   wsk_server_*           a server over the engines: sockets, deadlines, and
 *                          the threads that run handlers.
 *   wsk_route_*            paths and events for programs that want no more.
 *
 * Rules that hold for every function:
 *
 *   - A pointer is followed by its length in octets. Text is octets, never
 *     NUL-terminated, unless the parameter is a plain `const char *` without
 *     a length.
 *   - Arguments are borrowed for the call. What a function lends out belongs
 *     to the object it came from, until the moment the function names.
 *   - NULL is legal only where a comment says so. Misuse is an assert in debug
 *     builds and WSK_E_STATE otherwise.
 *   - A status says what went wrong on our side. A peer's mistake is no status:
 *     it is an event, and the answer it deserves is already on its way.
 *   - Times are milliseconds (suffix _ms), sizes are octets.
 *
 * RFC numbers: 9110 and 9112 (HTTP), 6455 (WebSocket), 7692 (its compression).
 */
#ifndef WSOCKET_H
#define WSOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define WSK_API __attribute__((visibility("default")))
#else
#define WSK_API
#endif

#define WSK_VERSION "3.0.0.dev0"

/* ------------------------------------------------------------ status --- */

/* clang-format off */
#define WSK_STATUS_LIST(X)                                                     \
    X(WSK_OK,        "no error")                                               \
    X(WSK_E_NOMEM,   "out of memory")                                          \
    X(WSK_E_SYS,     "the operating system refused; errno says why")           \
    X(WSK_E_STATE,   "not possible in this state")                             \
    X(WSK_E_ARG,     "an argument is out of range")                            \
    X(WSK_E_AGAIN,   "not now: it would have to wait")                         \
    X(WSK_E_TIMEOUT, "the time is up")                                         \
    X(WSK_E_CLOSED,  "the connection is closed")                               \
    X(WSK_E_CUT,     "the request body ended before it was complete")
/* clang-format on */

typedef enum wsk_status {
#define X(name, text) name,
    WSK_STATUS_LIST(X)
#undef X
} wsk_status;

/** One line of English for a status; a static string. */
WSK_API const char *wsk_status_text(wsk_status st);

/** The version of the library, a static string such as "3.0.0". */
WSK_API const char *wsk_version(void);

/** A run of octets that somebody else owns. */
typedef struct wsk_str {
    const char *p;
    size_t len;
} wsk_str;

/* ----------------------------------------------------------- options --- */

/*
 * The one list of options. C fields, Python keywords, the command line and
 * docs/reference/options.md all grow from it.
 *
 *   TEXT(name, default, help)   const char *name
 *   COUNT(name, default, help)  uint32_t name
 *   BYTES(name, default, help)  uint64_t name; text forms accept k, m, g
 *   TIME(name, default, help)   uint32_t name##_ms; text forms are seconds
 *   FLAG(name, default, help)   bool name; text forms are on and off
 *   LIST(name, field, default, help)  const char *field: elements between line
 *                               ends, or between commas if there is no line end
 *                               (of forwarded_fields, allowed_hosts, ws_origins
 *                               and ws_subprotocols, which hold no commas,
 *                               between both); NULL is none
 *
 * The default of a TEXT or LIST may be NULL: not set. That of BYTES may be
 * WSK_AUTO, whose text is "auto".
 */
#define WSK_AUTO UINT64_MAX /* of BYTES: "auto", the server decides */
/* clang-format off */
#define WSK_LIMIT_OPTIONS(TEXT, COUNT, BYTES, TIME, FLAG)                      \
    BYTES(max_request_line, 16384, "maximum size of a request line in bytes; a longer one is answered 414") \
    BYTES(max_header_bytes, 65536, "maximum size of all header fields of a request in bytes; more are answered 431") \
    COUNT(max_headers, 100, "maximum number of header fields in a request; more are answered 431") \
    BYTES(max_body, 1073741824, "maximum size of a request body in bytes; a larger one is answered 413; 0 means no limit") \
    FLAG(server_header, true, "add a Server field to answers that have none")  \
    FLAG(date_header, true, "add a Date field to answers that have none")      \
    BYTES(ws_max_size, 1048576, "maximum size of a WebSocket message in bytes; a larger one closes the WebSocket with code 1009") \
    FLAG(ws_allow_unmasked, false, "also read frames that clients send without a mask")

#define WSK_SERVER_OPTIONS(TEXT, COUNT, BYTES, TIME, FLAG)                     \
    TEXT(host, "127.0.0.1", "name or address to listen on; localhost listens on IPv4 and IPv6, an empty text on every address") \
    COUNT(port, 8080, "TCP port to listen on; 0 picks a free one and prints it") \
    COUNT(backlog, 2048, "maximum number of connections that the kernel queues before they are accepted") \
    COUNT(threads, 64, "maximum number of handlers that run at once; those that wait for their peer (in receive(), for a body, or for a slow reader) do not count") \
    COUNT(max_parked, 10000, "maximum number of WebSocket handlers, and of other handlers that wait for their peer; beyond it an upgrade is answered 503, and a handler that waits counts in threads") \
    COUNT(max_connections, 0, "maximum number of open connections; at the maximum a new one closes the one that has been idle longest, or waits if none is idle; 0 means as many as the limit of file descriptors allows") \
    TEXT(buffer_body, "auto", "when to receive all of a request body before its handler runs: auto (unless the client waits for 100 Continue and fewer than a quarter of threads read such bodies), always, or never (the handler reads it as it arrives)") \
    BYTES(body_memory, 1048576, "maximum size in bytes of a buffered body that stays in memory; a larger one goes to a temporary file in TMPDIR or /tmp, and is answered 507 if there is no room") \
    COUNT(queue_limit, 1024, "maximum number of requests that wait for a thread; more are answered 503") \
    BYTES(memory_limit, WSK_AUTO, "maximum memory in bytes that all connections together hold for unfinished heads and bodies, for WebSocket messages and, up to half of it, for the heads of WebSocket handshakes; beyond it the connections that hold some are not read from, and are answered 503 or closed with code 1013 if that lasts, and no WebSocket is opened; auto means a quarter of the memory of the machine or control group, 0 no limit") \
    BYTES(spill_limit, 1073741824, "maximum size in bytes of the temporary files of all buffered bodies together; beyond it a body is answered 507; 0 means no limit") \
    BYTES(body_rate, 240, "minimum rate in bytes per second of a request body, or of a WebSocket message that has begun, after the first 10 seconds; 0 means no minimum") \
    BYTES(write_rate, 240, "minimum rate in bytes per second at which a client reads an answer, after the first 10 seconds; 0 means no minimum") \
    TIME(request_timeout, 0, "seconds that a handler may take before its client is answered 503, or cut off if the answer has begun; 0 means no limit") \
    TIME(head_timeout, 10000, "seconds from the first byte of a request to the end of its head") \
    TIME(first_octet_timeout, 30000, "seconds from accepting a connection to its first byte; then it is closed without an answer") \
    TIME(keep_alive, 75000, "seconds that a connection may be idle between requests; then it is closed without an answer") \
    TIME(graceful_timeout, 30000, "seconds that a stop waits for running handlers") \
    FLAG(proxy_protocol, false, "require a PROXY protocol header, version 1 or 2, at the start of every connection; if trusted_proxies are given, accept it from them only") \
    TEXT(script_name, "", "path at which the application is mounted, such as /app; it is removed from every path and becomes SCRIPT_NAME, after what X-Forwarded-Prefix says; other paths are answered 404") \
    TEXT(access_logfile, "-", "file of the access log; - means standard output, none turns it off") \
    TEXT(access_log_format, "combined", "format of the access log: combined, common, json, or a text such as %h \"%r\" %s %D, with the atoms h l u t r s b B f a D T M L p U q m H, %{Field}i of the request, %{Field}o of the answer, %{VARIABLE}e of the environment, and %{messages_in}w, %{sent_code}w and the like of a WebSocket that has ended") \
    TEXT(error_logfile, "stderr", "file of the server's own log; - means standard output, none turns it off") \
    TEXT(log_level, "info", "least severe messages to log; from warning on the access log is off unless access_logfile is given") \
    TIME(ws_ping_interval, 20000, "seconds of silence before a WebSocket is sent a ping; 0 turns pings off") \
    TIME(ws_ping_timeout, 20000, "seconds that a peer has to show a sign of life after a ping, 0 for no limit; if pings are off, seconds that it has to read some of what waits for it") \
    TIME(ws_close_timeout, 5000, "seconds to wait for the peer's Close frame") \
    COUNT(ws_max_queue, 16, "maximum number of messages, or ws_max_size bytes of them, that wait for a handler; beyond it the peer is not read from") \
    BYTES(ws_send_limit, 1048576, "bytes that may wait to be sent to a peer; beyond it the peer is not read from, and send() in a blocking handler waits") \
    BYTES(ws_send_max, 16777216, "maximum bytes that may wait to be sent to a peer where send() cannot wait; beyond it ws_send_policy applies") \
    TEXT(ws_send_policy, "close", "what happens beyond ws_send_max: close (the WebSocket, with code 1013), or drop (the newest message)") \
    TEXT(ws_compression, "no-takeover", "how messages are compressed with permessage-deflate: off, no-takeover (each by itself), or takeover (they may refer to earlier ones, which costs memory per connection)") \
    TEXT(ws_compression_level, "fast", "how hard messages are compressed: fast, or the levels 1 to 9 of zlib, from least time to smallest messages") \
    BYTES(ws_compression_threshold, 128, "minimum size in bytes of a message that is compressed") \
    BYTES(ws_compression_memory, 67108864, "maximum memory in bytes that takeover keeps for all connections together; beyond it new ones get no-takeover") \
    FLAG(ws_allow_drafts, false, "accept drafts of the WebSocket protocol, which call themselves version 7 and 8") \
    TEXT(ws_hide_upgrade, "auto", "which rules of Werkzeug applications take a WebSocket: auto (WebSocket rules, then plain ones), always (plain rules only, because the Upgrade field is hidden), or never (WebSocket rules only)")

#define WSK_LIST_OPTIONS(LIST)                                                 \
    LIST(bind, bind, NULL, "where to listen, instead of host and port: host:port, [v6]:port, unix:path, unix:path:mode or fd:N; may be repeated") \
    LIST(trusted_proxies, trusted_proxies, NULL, "proxies whose forwarded_fields count: addresses, networks such as 10.0.0.0/8, * for every peer, or unix for Unix sockets; may be repeated") \
    LIST(forwarded_fields, forwarded_fields, "x-forwarded-for,x-forwarded-proto", "header fields that trusted_proxies set or remove in every request: x-forwarded-for, -proto, -host, -port and -prefix, or forwarded alone; the others come from the client and are ignored; may be repeated") \
    LIST(allowed_hosts, allowed_hosts, NULL, "hosts that a request may name: names, .example.com for a domain and all below it, addresses, or *; ports are ignored; other hosts, or none, are answered 421; without this option every host is allowed; may be repeated") \
    LIST(static, static_folders, NULL, "folder whose files are served without the application, as /url=folder; may be repeated") \
    LIST(ws_origins, ws_origins, "same", "origins whose pages may open WebSockets: same (the same host and port, and https if the site is known to use it; any loopback page on a loopback host), *, or a list such as same,https://example.com; null only if listed; others are answered 403; may be repeated") \
    LIST(ws_subprotocols, ws_subprotocols, NULL, "WebSocket subprotocols to choose from, preferred first; may be repeated")
/* clang-format on */

#define WSK_FIELD_LIST(name, field, dflt, help) const char *field;
#define WSK_FIELD_TEXT(name, dflt, help) const char *name;
#define WSK_FIELD_COUNT(name, dflt, help) uint32_t name;
#define WSK_FIELD_BYTES(name, dflt, help) uint64_t name;
#define WSK_FIELD_TIME(name, dflt, help) uint32_t name##_ms;
#define WSK_FIELD_FLAG(name, dflt, help) bool name;

/** What the engines enforce. */
typedef struct wsk_limits {
    WSK_LIMIT_OPTIONS(WSK_FIELD_TEXT, WSK_FIELD_COUNT, WSK_FIELD_BYTES,
                      WSK_FIELD_TIME, WSK_FIELD_FLAG)
} wsk_limits;

/** What a server is made from; see wsk_config_init(). */
typedef struct wsk_server_config {
    WSK_SERVER_OPTIONS(WSK_FIELD_TEXT, WSK_FIELD_COUNT, WSK_FIELD_BYTES,
                       WSK_FIELD_TIME, WSK_FIELD_FLAG)
    WSK_LIST_OPTIONS(WSK_FIELD_LIST)
    wsk_limits limits;
} wsk_server_config;

typedef enum wsk_option_kind {
    WSK_OPTION_TEXT,
    WSK_OPTION_COUNT,
    WSK_OPTION_BYTES,
    WSK_OPTION_TIME,
    WSK_OPTION_FLAG,
    WSK_OPTION_LIST,
} wsk_option_kind;

/** One row of the list, for programs that read options from text. */
typedef struct wsk_option {
    const char *name; /* with underscores */
    wsk_option_kind kind;
    const char *default_text; /* as wsk_config_set() takes it; NULL: not set */
    const char *help;         /* one line */
} wsk_option;

/** Every option, in the order of the docs; a static array of *n rows. */
WSK_API const wsk_option *wsk_options(size_t *n);

/** The words that a TEXT option takes, between blanks; NULL when it takes
 * others as well, or when there is no such option. Static. */
WSK_API const char *wsk_option_choices(const char *name);

/** Fill `limits` with the defaults. */
WSK_API void wsk_limits_init(wsk_limits *limits);

/** Fill `cfg`, its limits included, with the defaults. */
WSK_API void wsk_config_init(wsk_server_config *cfg);

/**
 * Set one option from text: "8080", "1.5" seconds, "64k", "on".
 *
 * value    borrowed for as long as `cfg` is used, where the option is TEXT or
 *          LIST
 * error    at least 160 octets, or NULL; receives one line that says what is
 *          accepted (and, for an unknown name, the nearest known one)
 *
 * Returns WSK_OK, or WSK_E_ARG with `cfg` unchanged.
 */
WSK_API wsk_status wsk_config_set(wsk_server_config *cfg, const char *name,
                                  const char *value, char error[160]);

/* ------------------------------------------------------ request heads --- */

typedef struct wsk_header {
    wsk_str name;  /* as sent; a token */
    wsk_str value; /* without leading and trailing white space */
} wsk_header;

/**
 * A request head that passed every rule of RFC 9112; a view.
 *
 * Fields whose name holds an underscore have been dropped: they could be
 * mistaken for their twin with a dash (CGI, RFC 3875 4.1.18).
 */
typedef struct wsk_head {
    wsk_str method;  /* a token */
    wsk_str target;  /* as sent, visible ASCII */
    wsk_str path;    /* origin form, not decoded; "*" for OPTIONS *; without the
                        option script_name, so that it may be empty */
    wsk_str query;   /* after the first '?', not decoded; maybe empty */
    wsk_str host;    /* authority of the target, else Host; maybe empty */
    wsk_str version; /* as sent: "HTTP/1.1" */
    const wsk_header *headers;
    size_t n_headers;
    uint64_t content_length; /* 0 without a body or when chunked */
    bool has_length;         /* Content-Length was sent */
    bool chunked;
    bool http10;          /* HTTP/1.0: no chunked, no Upgrade */
    bool keep_alive;      /* what the client asked for (9112 9.3) */
    bool expect_continue; /* Expect: 100-continue on HTTP/1.1 */
    bool websocket;       /* an attempt: HTTP/1.1, Upgrade lists websocket */
} wsk_head;

/**
 * The value of the first field called `name` (ASCII case ignored), which is
 * NUL-terminated; {NULL, 0} if there is none. Same lifetime as the head. */
WSK_API wsk_str wsk_head_get(const wsk_head *head, const char *name);

/** The reason phrase of a status, "Not Found"; "Unknown" if it has none. */
WSK_API const char *wsk_reason(int status);

/* --------------------------------------------------------- HTTP engine --- */

/** One HTTP/1.1 connection, server side; one thread at a time. */
typedef struct wsk_http wsk_http;

typedef enum wsk_http_event_kind {
    WSK_HTTP_NONE,   /* feed more, or answer the request that is open */
    WSK_HTTP_HEAD,   /* a request begins: .head */
    WSK_HTTP_DATA,   /* body octets, unchunked: .data, .len */
    WSK_HTTP_END,    /* the request is complete */
    WSK_HTTP_FAILED, /* the peer broke a rule; .status is the answer, already
                        in out_buf() unless a response had begun; close after */
} wsk_http_event_kind;

typedef struct wsk_http_event {
    wsk_http_event_kind kind;
    const wsk_head *head; /* until the request has been answered */
    const uint8_t *data;  /* until the next call of feed() or next() */
    size_t len;
    int status;
} wsk_http_event;

/** A new engine; limits may be NULL for the defaults, else they are copied.
 * NULL when out of memory. Free it with wsk_http_free(). */
WSK_API wsk_http *wsk_http_new(const wsk_limits *limits);
WSK_API void wsk_http_free(wsk_http *http); /* NULL is legal */

/**
 * Take octets that arrived from the peer.
 *
 * data, len  borrowed until next() has returned WSK_HTTP_NONE
 * *used      octets taken, 0..len; short only while an event waits in next()
 *            or while a complete request waits for its answer: pipelined
 *            octets stay with the caller until then
 *
 * Returns WSK_OK; WSK_E_NOMEM (the octets up to *used are taken, try again
 * with the rest); WSK_E_STATE once the connection is over.
 */
WSK_API wsk_status wsk_http_feed(wsk_http *http, const uint8_t *data,
                                 size_t len, size_t *used);

/** The next event; WSK_HTTP_NONE when there is none. */
WSK_API wsk_http_event wsk_http_next(wsk_http *http);

/** The peer will send no more than was fed. A request that is cut short fails
 * with 400; a complete one still gets its answer. */
WSK_API void wsk_http_feed_eof(wsk_http *http);

/** Owe the peer a 100 (Continue), once and only if the request asked for it
 * and the answer has not begun (9110 10.1.1). WSK_OK also when none is due. */
WSK_API wsk_status wsk_http_send_continue(wsk_http *http);

/**
 * Owe the peer a 103 (Early Hints, RFC 8297) ahead of the answer; as often as
 * liked. HTTP/1.0 gets none. headers as for wsk_http_send_head(), but nothing
 * about framing or connection. WSK_OK; WSK_E_ARG (an illegal header, nothing
 * sent); WSK_E_STATE (no request is open, or its answer has begun);
 * WSK_E_NOMEM.
 */
WSK_API wsk_status wsk_http_send_hints(wsk_http *http,
                                       const wsk_header *headers, size_t n);

#define WSK_LENGTH_UNKNOWN UINT64_MAX

/**
 * Begin the answer to the open request.
 *
 * status   200..599, or 101
 * reason   NUL-terminated; NULL takes wsk_reason(status)
 * headers  sent in this order, in this case, duplicates kept. A name must be a
 *          token, a value free of controls; Connection may be given (its
 *          `close` is honoured); Transfer-Encoding, Keep-Alive, TE, Trailer
 *          and Proxy-* of 9110 7.6.1 may not, and Upgrade only on 101 and 426
 * length   octets of body to come, or WSK_LENGTH_UNKNOWN: then a
 *          Content-Length among the headers counts, else the body is chunked
 *          (HTTP/1.1) or ended by close (HTTP/1.0)
 *
 * Date and Server are added when missing. HEAD, 204 and 304 get no body.
 *
 * Returns WSK_OK; WSK_E_ARG (an illegal header or status, nothing sent);
 * WSK_E_STATE (no request is open, or its answer has begun); WSK_E_NOMEM.
 */
WSK_API wsk_status wsk_http_send_head(wsk_http *http, int status,
                                      const char *reason,
                                      const wsk_header *headers, size_t n,
                                      uint64_t length);

/** Body octets of the answer. Octets past the announced length are dropped,
 * and wsk_http_send_end() will say so; an empty run is legal and nothing. */
WSK_API wsk_status wsk_http_send_body(wsk_http *http, const uint8_t *data,
                                      size_t len);

/**
 * The answer is complete. Nothing more is told of its request: what is left of
 * the body is thrown away if it is short, else the connection will close.
 *
 * WSK_OK; WSK_E_ARG when it was longer (cut) or shorter than announced (the
 * connection will close, 9112 8); WSK_E_STATE; WSK_E_NOMEM (not ended yet).
 */
WSK_API wsk_status wsk_http_send_end(wsk_http *http);

/** The text of the Date field, 29 octets (9110 5.6.7), borrowed until replaced;
 * NULL (the default) sends none. The engine itself reads no clock. */
WSK_API void wsk_http_set_date(wsk_http *http, const char *date);

/** Octets owed to the peer, owned by `http` until the next call but this one;
 * NULL and *len = 0 when none. */
WSK_API const uint8_t *wsk_http_out_buf(const wsk_http *http, size_t *len);

/** The first `n` of those octets have been written. */
WSK_API void wsk_http_out_ack(wsk_http *http, size_t n);

/** True when the connection must be closed once out_buf() is empty. */
WSK_API bool wsk_http_done(const wsk_http *http);

/* -------------------------------------------------- WebSocket handshake --- */

#define WSK_WS_ACCEPT_LEN 28

/** What the handshake room decided about a request (RFC 6455 4.2). */
typedef struct wsk_ws_verdict {
    int status;                     /* 101, or the refusal: 400, 405, 426 */
    const char *reason;             /* why, one line for a person; static */
    char accept[WSK_WS_ACCEPT_LEN]; /* Sec-WebSocket-Accept; set on 101 */
} wsk_ws_verdict;

/** Judge a WebSocket attempt (head->websocket). A pure function. `drafts` takes
 * versions 7 and 8 as well, whose frames are those of 13. */
WSK_API wsk_ws_verdict wsk_ws_judge(const wsk_head *head, bool drafts);

/** Whose page it is: the value of Origin, in the drafts Sec-WebSocket-Origin.
 * {NULL, 0} from what is no browser; of several, an empty text. */
WSK_API wsk_str wsk_ws_origin(const wsk_head *head);

/**
 * Whether a page from `origin` may open a WebSocket on `host` (RFC 6455 10.2).
 * A pure function.
 *
 * origin   as wsk_ws_origin() has it; without one the answer is true
 * host     "example.com:8080", as the client named it
 * https    the client is known to have come by https: then no page of http is
 *          the same, which somebody on the way could have written. False also
 *          where a proxy may have ended TLS without a word
 * allowed  as the option ws_origins has it
 */
WSK_API bool wsk_ws_origin_allowed(wsk_str origin, wsk_str host, bool https,
                                   const char *allowed);

/** Whether the client offered the subprotocol `name` (NUL-terminated, compared
 * to the letter, RFC 6455 4.1). */
WSK_API bool wsk_ws_offered(const wsk_head *head, const char *name);

/**
 * Walk the offered subprotocols: *pos starts at 0 and belongs to the walk.
 * False when there is no more; else *name is set, and lives like the head. */
WSK_API bool wsk_ws_next_offer(const wsk_head *head, size_t *pos,
                               wsk_str *name);

#define WSK_WS_PROTOCOL_MAX 128

/**
 * The first of the names in `preferred` (commas or line ends between, as the
 * option ws_subprotocols has it; NULL is an empty list) that the client
 * offered, NUL-terminated in `name`; false when there is none, and for names
 * that do not fit.
 */
WSK_API bool wsk_ws_choose(const wsk_head *head, const char *preferred,
                           char name[WSK_WS_PROTOCOL_MAX]);

/* ------------------------------------------------ WebSocket compression --- */

/**
 * What permessage-deflate was agreed to be (RFC 7692 7.1), and how we send by
 * it. Messages of any window are read.
 */
typedef struct wsk_ws_deflate {
    uint64_t threshold;   /* a shorter message is sent as it is */
    uint8_t level;        /* 0: fast, ours; 1 to 9: zlib's */
    uint8_t server_bits;  /* a server's messages look back 2^this octets, 8..15
                           */
    uint8_t client_bits;  /* a client's; of no interest to a server */
    bool server_takeover; /* a server's messages refer to its earlier ones */
    bool client_takeover; /* a client's do */
} wsk_ws_deflate;

#define WSK_WS_DEFLATE_TEXT 160

/**
 * Agree to the first acceptable offer of permessage-deflate, if there is one:
 * false when there is none. takeover false asks both sides to keep nothing
 * between messages.
 *
 * *agreed  set; level 0, threshold 128: change both as you like
 * text     NUL-terminated, the value of Sec-WebSocket-Extensions in the 101
 */
WSK_API bool wsk_ws_agree_deflate(const wsk_head *head, bool takeover,
                                  wsk_ws_deflate *agreed,
                                  char text[WSK_WS_DEFLATE_TEXT]);

/* ---------------------------------------------------- WebSocket client --- */

/** What a client asks for (RFC 6455 4.1). Texts are NUL-terminated. */
typedef struct wsk_ws_ask {
    const char *host;          /* value of Host: "example.com:8080" */
    const char *target;        /* "/chat?room=1" */
    const char *protocols;     /* offered, commas between; NULL: none */
    const wsk_header *headers; /* more fields */
    size_t n_headers;
    bool deflate;      /* offer permessage-deflate */
    bool takeover;     /* with what is kept between messages */
    uint8_t nonce[16]; /* random */
} wsk_ws_ask;

/** The head of the request, for wsk_free(). WSK_OK; WSK_E_ARG (something that
 * cannot stand in a head, or that the handshake itself says); WSK_E_NOMEM. */
WSK_API wsk_status wsk_ws_ask_head(const wsk_ws_ask *ask, char **head,
                                   size_t *len);

/** What a server has answered. One that is refused has agreed on nothing:
 * `protocol`, `deflates` and `deflate` are empty then. */
typedef struct wsk_ws_answer {
    int status;       /* 0: no HTTP */
    const char *why;  /* what is wrong, a static line; NULL: nothing */
    wsk_str protocol; /* agreed, in the data; {NULL, 0}: none */
    wsk_str location; /* of a redirection */
    bool deflates;
    wsk_ws_deflate deflate; /* as agreed, if `deflates` */
} wsk_ws_answer;

/**
 * Judge the answer to `ask` (4.1), data[0..len).
 *
 * *used  on WSK_OK and WSK_E_ARG: octets of the head
 *
 * WSK_OK: the WebSocket is open, frames follow. WSK_E_AGAIN: not complete, call
 * again with more. WSK_E_ARG: it is refused, or no answer to this; see `why`.
 * After a status of 1xx that is not 101 the answer is still to come (RFC 9110
 * 15.2): call again with what follows those *used octets.
 */
WSK_API wsk_status wsk_ws_read_answer(const wsk_ws_ask *ask, const char *data,
                                      size_t len, size_t *used,
                                      wsk_ws_answer *answer);

/* ---------------------------------------------------- WebSocket engine --- */

typedef struct wsk_ws wsk_ws; /* one WebSocket; one thread at a time */

typedef enum wsk_opcode {
    WSK_CONTINUATION = 0x0,
    WSK_TEXT = 0x1,
    WSK_BINARY = 0x2,
    WSK_CLOSE = 0x8,
    WSK_PING = 0x9,
    WSK_PONG = 0xA,
} wsk_opcode;

typedef enum wsk_ws_event_kind {
    WSK_WS_NONE,    /* feed more */
    WSK_WS_MESSAGE, /* .opcode TEXT (valid UTF-8) or BINARY, .data, .len */
    WSK_WS_PING,    /* .data, .len; the pong is already in out_buf() */
    WSK_WS_PONG,    /* .data, .len */
    WSK_WS_PIECE,   /* as MESSAGE, but more of it follows; only after
                       wsk_ws_take_pieces() */
    WSK_WS_CLOSED,  /* exactly once, last: no more messages will come.
                       .code, .data/.len (reason), .clean */
} wsk_ws_event_kind;

typedef struct wsk_ws_event {
    wsk_ws_event_kind kind;
    wsk_opcode opcode;
    const uint8_t *data; /* until the next call of feed() or next() */
    size_t len;
    uint16_t code; /* CLOSED: RFC 6455 7.1.5; 1005 none, 1006 no Close */
    bool clean;    /* CLOSED: both Close frames were exchanged */
} wsk_ws_event;

/**
 * A new server-side engine, to be fed what follows the handshake. limits may
 * be NULL for the defaults, else they are copied. NULL when out of memory.
 */
WSK_API wsk_ws *wsk_ws_new_server(const wsk_limits *limits);
WSK_API void wsk_ws_free(wsk_ws *ws); /* NULL is legal */

#define WSK_WS_SEED_LEN 32

/** The same for the client's side: it masks what it sends (5.3), with keys
 * that come out of `seed`, random octets that nobody else knows. */
WSK_API wsk_ws *wsk_ws_new_client(const wsk_limits *limits,
                                  const uint8_t seed[WSK_WS_SEED_LEN]);

/**
 * Compress messages from now on, as agreed in the handshake (copied). WSK_OK;
 * WSK_E_ARG (a window or level out of range); WSK_E_STATE (done before).
 */
WSK_API wsk_status wsk_ws_set_deflate(wsk_ws *ws, const wsk_ws_deflate *agreed);

/**
 * Take octets that arrived from the peer.
 *
 * data, len  borrowed for the call; never kept, never changed
 * *used      octets taken, 0..len; short only while an event waits in next()
 *
 * Returns WSK_OK; WSK_E_NOMEM (the octets up to *used are taken, try again
 * with the rest); or WSK_E_STATE once the connection is over, for good. A
 * peer's mistake is no error here: next() yields WSK_WS_CLOSED and the Close
 * frame is already in out_buf().
 */
WSK_API wsk_status wsk_ws_feed(wsk_ws *ws, const uint8_t *data, size_t len,
                               size_t *used);

/** The peer will send no more, or the transport is gone: 1006 if no Close
 * frame came before it (7.1.5). */
WSK_API void wsk_ws_feed_eof(wsk_ws *ws);

/** The next event; WSK_WS_NONE when there is none. */
WSK_API wsk_ws_event wsk_ws_next(wsk_ws *ws);

/**
 * Take over the memory of the message that next() has just returned, so that
 * it outlives the engine's next call. *block is NULL when the message is empty;
 * else it begins with the message and is freed with wsk_free(). WSK_E_STATE
 * when the last event was no message.
 */
WSK_API wsk_status wsk_ws_take_message(wsk_ws *ws, void **block);

/**
 * Have the message that has begun, or else the next one, in pieces as it
 * arrives: PIECE events and, for its end, a MESSAGE, which may be empty. Text
 * is cut between code points. Its length is not limited: at most 64 KiB, or
 * what had arrived before, are held at once.
 */
WSK_API void wsk_ws_take_pieces(wsk_ws *ws);

/**
 * Send one whole message. opcode is WSK_TEXT (the caller vouches for UTF-8) or
 * WSK_BINARY, else WSK_E_ARG. WSK_OK, WSK_E_NOMEM (nothing queued),
 * WSK_E_CLOSED once a Close frame has been queued (5.5.1), WSK_E_STATE inside a
 * message that wsk_ws_send_frame() has begun.
 */
WSK_API wsk_status wsk_ws_send_message(wsk_ws *ws, wsk_opcode opcode,
                                       const uint8_t *data, size_t len);

/** How to send one message: a set of these. */
enum {
    WSK_SEND_VALID = 1, /* the text is known to be UTF-8 */
    WSK_SEND_PLAIN = 2, /* not compressed, whatever was agreed */
    WSK_SEND_KEEP = 4,  /* never dropped: as ws_send_policy close */
};

/** wsk_ws_send_message() with a say in it; the engine takes all text for valid.
 */
WSK_API wsk_status wsk_ws_send_with(wsk_ws *ws, wsk_opcode opcode,
                                    const uint8_t *data, size_t len,
                                    unsigned flags);

/**
 * Send the first piece of a message, compressed where a whole message of its
 * length and flags would be; the others are so, too, and are sent through
 * wsk_ws_send_frame(). Returns of wsk_ws_send_message().
 */
WSK_API wsk_status wsk_ws_send_first(wsk_ws *ws, wsk_opcode opcode,
                                     const uint8_t *data, size_t len,
                                     unsigned flags);

/**
 * Send one frame of a message in pieces: TEXT or BINARY first, then
 * CONTINUATION, `fin` on the last; or one PING or PONG of at most 125 octets.
 * Besides the returns of wsk_ws_send_message(): WSK_E_ARG (a control frame too
 * long or not final, or a Close), WSK_E_STATE (a message begun inside another,
 * or a continuation of none: 5.4).
 */
WSK_API wsk_status wsk_ws_send_frame(wsk_ws *ws, wsk_opcode opcode, bool fin,
                                     const uint8_t *data, size_t len);

/**
 * Begin or answer the closing handshake. code: 1000-1003, 1007-1014,
 * 3000-4999, or 1005 for a Close without a code. The reason is UTF-8 and cut at
 * a code point to 123 octets (5.5). WSK_OK also when a Close was already sent;
 * WSK_E_ARG for another code or an invalid reason; WSK_E_NOMEM.
 */
WSK_API wsk_status wsk_ws_send_close(wsk_ws *ws, uint16_t code,
                                     const uint8_t *reason, size_t len);

/** Octets owed to the peer (owned by `ws`); NULL and *len = 0 when none. */
WSK_API const uint8_t *wsk_ws_out_buf(const wsk_ws *ws, size_t *len);

/** The first `n` of those octets have been written. More may be owed now, a
 * pong that was held back: ask out_buf() again. */
WSK_API void wsk_ws_out_ack(wsk_ws *ws, size_t n);

/** Both Close frames are through, or the connection failed: close the
 * transport once out_buf() is empty. */
WSK_API bool wsk_ws_done(const wsk_ws *ws);

/** True while messages may still be sent (no Close has been queued). */
WSK_API bool wsk_ws_can_send(const wsk_ws *ws);

/** Free a block that the library handed over; NULL is legal. */
WSK_API void wsk_free(void *block);

/* -------------------------------------------------------------- server --- */

/** A listening server. Its functions may be called from any thread. */
typedef struct wsk_server wsk_server;

/** One HTTP request while its handler runs; that thread only. */
typedef struct wsk_request wsk_request;

/** One open WebSocket of a server; counted, any thread. */
typedef struct wsk_conn wsk_conn;

/** Answers a request: see "answering". Returning without an answer is a 500;
 * returning from an upgraded request ends the WebSocket with 1000, unless it
 * was attached to events. */
typedef void wsk_handler(wsk_request *req, void *user);

typedef enum wsk_log_level {
    WSK_LOG_DEBUG,
    WSK_LOG_INFO,
    WSK_LOG_WARNING,
    WSK_LOG_ERROR,
    WSK_LOG_CRITICAL,
} wsk_log_level;

/**
 * What a language binding plugs in; a plain C program needs none of it.
 *
 * Handlers run between enter() and leave(), on a thread that came through
 * wsk_server_work(); several handlers may run in one such stretch. `thread` is
 * what that call was given. enter() may wait (for an interpreter lock): the
 * server sees that and goes on with another thread.
 *
 * spawn() must cause wsk_server_work() to be called in a new thread, soon; it
 * must neither block nor run the handler's language. It is called from any
 * thread of the server.
 */
typedef struct wsk_hooks {
    void (*enter)(void *thread);
    void (*leave)(void *thread);
    void (*spawn)(void *user);
    void *user;
} wsk_hooks;

/**
 * A new server, not yet listening. cfg is copied, texts included; NULL takes
 * the defaults. Answers every request through `handler`. hooks may be NULL.
 * NULL with errno set when that is not possible.
 */
WSK_API wsk_server *wsk_server_new(const wsk_server_config *cfg,
                                   wsk_handler *handler, void *user,
                                   const wsk_hooks *hooks);

/** Stop and forget the server. Threads still inside a handler are abandoned:
 * the memory they use is kept until they return. NULL is legal. */
WSK_API void wsk_server_free(wsk_server *srv);

/** Bind and listen, if not done yet. WSK_E_SYS with errno on failure. */
WSK_API wsk_status wsk_server_listen(wsk_server *srv);

/** Try all that wsk_server_listen() would do, and leave no trace of it: log
 * files, folders, addresses. The same errors; WSK_E_STATE once it listens. */
WSK_API wsk_status wsk_server_can_start(wsk_server *srv);

/** One line on why wsk_server_listen() or wsk_server_start() said WSK_E_SYS,
 * for a person: it names the address or the file. Empty before; the server's.
 */
WSK_API const char *wsk_server_error(const wsk_server *srv);

/** Where it listens: "http://127.0.0.1:8080/" or "unix:/run/app.sock", the i-th
 * of them; NULL past the last, and before wsk_server_listen(). The server's. */
WSK_API const char *wsk_server_url(const wsk_server *srv, size_t i);

/** The address that the same place is bound to: "0.0.0.0:8080" is every one,
 * "[::1]:8080", "unix:/run/app.sock", "fd:3 [::]:80" an inherited socket. */
WSK_API const char *wsk_server_address(const wsk_server *srv, size_t i);

/** The port of the first TCP listener; 0 before wsk_server_listen(). */
WSK_API uint16_t wsk_server_port(const wsk_server *srv);

/** Listen and begin to serve, on threads of the server's own or the spawn
 * hook's; returns at once. WSK_E_SYS, WSK_E_NOMEM, WSK_E_STATE (started). */
WSK_API wsk_status wsk_server_start(wsk_server *srv);

/** Lend this thread to a started server; returns when the server has stopped
 * or has threads to spare. For the spawn hook. */
WSK_API void wsk_server_work(wsk_server *srv, void *thread);

/** The spawn hook found no thread: requests that nobody can answer get 503. */
WSK_API void wsk_server_no_thread(wsk_server *srv);

/** wsk_server_start() and wait until wsk_server_stop(). WSK_OK; WSK_E_TIMEOUT
 * when handlers were still running after graceful_timeout. */
WSK_API wsk_status wsk_server_run(wsk_server *srv);

/**
 * Ask the server to stop: no new connections, 1001 to WebSockets, answers that
 * have begun are finished. Returns at once; async-signal-safe.
 *
 * A second call, or drain_ms 0, is immediate. drain_ms < 0 takes
 * graceful_timeout.
 */
WSK_API void wsk_server_stop(wsk_server *srv, int drain_ms);

/** Of a running server; all that a stop waits for. */
typedef struct wsk_pending {
    unsigned requests;   /* handlers that run, or wait for a thread */
    unsigned websockets; /* that are open */
    unsigned others;     /* idle connections, and answers on their way */
} wsk_pending;

/** What is pending now; from any thread, but no signal handler. */
WSK_API void wsk_server_pending(wsk_server *srv, wsk_pending *out);

/**
 * Wait for the stop to end, at most timeout_ms (< 0: without limit). WSK_OK
 * when every handler has returned; WSK_E_TIMEOUT when timeout_ms is over first;
 * WSK_E_STATE when the drain is over and handlers are still running: they are
 * abandoned, their sockets are closed.
 */
WSK_API wsk_status wsk_server_join(wsk_server *srv, int timeout_ms);

/** Open the log files anew, after they were moved away. From any thread, but no
 * signal handler. WSK_OK; WSK_E_SYS: one could not be opened, it goes on where
 * it was, and the error log says so. */
WSK_API wsk_status wsk_server_reopen_logs(wsk_server *srv);

/** One line to the error log, if `level` is at or above log_level. Never
 * blocks; control characters are escaped. An entry is at most 2 MiB as it is
 * written; a longer one ends in "...". */
WSK_API void wsk_server_log(wsk_server *srv, wsk_log_level level,
                            const char *text, size_t len);

/** What the application says itself, as one entry of the error log: without a
 * level, and whatever log_level is. Tabs and newlines stay; a line after the
 * first that begins with '[' is indented, so that only entries do. The rest is
 * as with wsk_server_log(). */
WSK_API void wsk_server_log_text(wsk_server *srv, const char *text, size_t len);

/* ----------------------------------------------------------- answering --- */

/** The request's head, until the handler returns. */
WSK_API const wsk_head *wsk_request_head(const wsk_request *req);

/** The server that runs the handler. */
WSK_API wsk_server *wsk_request_server(const wsk_request *req);

/** The option ws_subprotocols, for wsk_ws_choose(); maybe NULL. */
WSK_API const char *wsk_request_subprotocols(const wsk_request *req);

/** Numeric address of the peer ("127.0.0.1", "::1"; "" for Unix sockets;
 * "unknown" where a trusted proxy names its client by no address) and its port,
 * or of our own end; until the handler returns. */
WSK_API const char *wsk_request_peer(const wsk_request *req, uint16_t *port);
WSK_API const char *wsk_request_local(const wsk_request *req, uint16_t *port);

/** How the client came, as far as trusted proxies tell: "http" or "https"; and
 * the beginning of the path that they took away, and then the option
 * script_name, "" or "/app". The client's
 * address and the host it asked for (head->host, and the Host field) are
 * theirs, too. Until the handler returns. */
WSK_API const char *wsk_request_scheme(const wsk_request *req);
WSK_API const char *wsk_request_prefix(const wsk_request *req);

/**
 * Body octets. Never waits for the peer, but for the disk where the body is
 * complete and wsk_request_body() does not have it: leave the interpreter then.
 *
 * *got   octets copied, 0 at the end of the body
 *
 * WSK_OK; WSK_E_AGAIN (none yet: wsk_request_wait()); WSK_E_CUT (the body is
 * malformed or the client is gone; a 400 follows); WSK_E_SYS (the temporary
 * file of a long body cannot be read).
 */
WSK_API wsk_status wsk_request_read(wsk_request *req, void *data, size_t cap,
                                    size_t *got);

/** Read on from octet `pos` of the body, or from its end if it has fewer.
 * WSK_OK; WSK_E_STATE when the body had not come whole before it was first
 * read, or the request is answered: nothing has moved then. */
WSK_API wsk_status wsk_request_seek(wsk_request *req, uint64_t pos);

/** Octets of the body; WSK_LENGTH_UNKNOWN while some are still to come. */
WSK_API uint64_t wsk_request_body_length(const wsk_request *req);

/** The whole body without a copy, when it is in memory and nothing of it was
 * read: true, and *data until the handler returns. */
WSK_API bool wsk_request_body(wsk_request *req, const uint8_t **data,
                              size_t *len);

/**
 * Whether nobody waits for the answer any more: the client has closed the
 * connection or its own half of it, was reset, or was told that the handler
 * takes too long; a WebSocket has ended. Never waits. By any thread, until the
 * handler returns. A client that sends a half-close and still reads (RFC 9112
 * 9.6) is rare, and not told from one that has left. */
WSK_API bool wsk_request_is_gone(const wsk_request *req);

/** Block until wsk_request_read() has something to say. Owes the client its
 * 100 (Continue) first. Another handler may run meanwhile; this one returns
 * when one of `threads` is free. Call it with the interpreter left. WSK_OK,
 * WSK_E_CUT. */
WSK_API wsk_status wsk_request_wait(wsk_request *req);

/** Send a 103 (Early Hints) now; parameters and returns of
 * wsk_http_send_hints(), or WSK_E_CLOSED. */
WSK_API wsk_status wsk_request_hints(wsk_request *req,
                                     const wsk_header *headers, size_t n);

/** Begin the answer; parameters and returns of wsk_http_send_head(). Nothing
 * leaves before the first body octet, a flush or the end. */
WSK_API wsk_status wsk_request_start(wsk_request *req, int status,
                                     const char *reason,
                                     const wsk_header *headers, size_t n,
                                     uint64_t length);

/** Body octets of the answer, taken whole; never blocks. WSK_E_CLOSED when the
 * client is gone; else the returns of wsk_http_send_body(). */
WSK_API wsk_status wsk_request_write(wsk_request *req, const void *data,
                                     size_t len);

/**
 * Body octets of the answer that are not copied: they stay as they are until
 * release(user), which is called exactly once, when they have left or never
 * will: by this thread at its next lend or when the handler returns, or by
 * another, between the hooks enter() and leave(), when it has long returned. A
 * slow reader holds no thread. Nothing is sent before a flush or the end. Call
 * it inside the hooks.
 *
 * len  may be 0: then release(user) tells when all that was written before has
 *      left
 *
 * WSK_OK; otherwise nothing was lent, and release is not called: WSK_E_NOMEM
 * (the answer is cut), WSK_E_STATE, WSK_E_CLOSED.
 */
WSK_API wsk_status wsk_request_lend(wsk_request *req, const void *data,
                                    size_t len, void (*release)(void *user),
                                    void *user);

/**
 * Body octets of the answer from a file, behind what was written: `length` from
 * `offset` on. What the client does not take at once is sent by the server when
 * the handler has long returned; a slow reader holds no thread. May wait for
 * the disk: call it with the interpreter left.
 *
 * fd  a regular file, open for reading; stays the caller's, who may close it as
 *     soon as this returns (a duplicate is kept while it is needed). Its own
 *     position is neither used nor moved
 *
 * A small piece is read at once, in one packet with the head. For HEAD, 204 and
 * 304 nothing is read; octets past the announced length are dropped.
 *
 * WSK_OK; WSK_E_SYS with errno (the file cannot be read, or is shorter:
 * EIO), WSK_E_NOMEM: the answer is cut, as by wsk_request_abort(), and so
 * it is when the file becomes shorter later; WSK_E_ARG (past 2^63, nothing
 * sent); WSK_E_STATE; WSK_E_CLOSED.
 */
WSK_API wsk_status wsk_request_send_file(wsk_request *req, int fd,
                                         uint64_t offset, uint64_t length);

/** Send now what was written. WSK_OK; WSK_E_AGAIN when so much waits for a slow
 * reader that the caller should wsk_request_drain(); WSK_E_CLOSED. */
WSK_API wsk_status wsk_request_flush(wsk_request *req);

/** Block until little waits. Call it with the interpreter left. WSK_OK,
 * WSK_E_CLOSED. */
WSK_API wsk_status wsk_request_drain(wsk_request *req);

/** The answer is complete. Returns of wsk_http_send_end(). A handler that
 * returns does this for itself. */
WSK_API wsk_status wsk_request_finish(wsk_request *req);

/** Cut the answer so that the client sees it is incomplete, and close. */
WSK_API void wsk_request_abort(wsk_request *req);

/** True once the head of the answer can no longer be changed: it has left or
 * waits to leave. */
WSK_API bool wsk_request_head_sent(const wsk_request *req);

/** start, write, finish in one. */
WSK_API wsk_status wsk_request_respond(wsk_request *req, int status,
                                       const wsk_header *headers, size_t n,
                                       const void *body, size_t len);

/**
 * Take the connection of a WebSocket attempt over: the handler speaks on it
 * by itself, 101 included. The server has answered then, holds no place of
 * `threads` for the handler, and closes the connection when it returns. A stop
 * ends the handler's input at once, and all at the end of graceful_timeout.
 *
 * *fd         the connection, blocking; the caller's to close
 * *data, *len octets that came behind the head; until the handler returns
 *
 * WSK_OK; WSK_E_STATE (no attempt, or answered already); WSK_E_SYS.
 */
WSK_API wsk_status wsk_request_take_socket(wsk_request *req, int *fd,
                                           const uint8_t **data, size_t *len);

/**
 * Answer a WebSocket attempt with 101.
 *
 * protocol  the chosen subprotocol, NUL-terminated; NULL for none
 * headers   more fields for the 101
 * *conn     the WebSocket; owned by the request. wsk_conn_ref() to keep it
 *
 * WSK_OK; WSK_E_STATE (no attempt, or answered already); WSK_E_ARG (a protocol
 * that was not offered, an illegal header); WSK_E_NOMEM; WSK_E_CLOSED.
 * A malformed attempt reaches no handler: the server has answered it. */
WSK_API wsk_status wsk_request_upgrade(wsk_request *req, const char *protocol,
                                       const wsk_header *headers, size_t n,
                                       wsk_conn **conn);

/* ---------------------------------------------------------- WebSockets --- */

/** A message. Owned by whoever received it: wsk_message_free(). */
typedef struct wsk_message {
    wsk_opcode opcode; /* WSK_TEXT or WSK_BINARY; WSK_PING, WSK_PONG */
    const uint8_t *data;
    size_t len;
    void *block;    /* private */
    bool more;      /* the message goes on; see wsk_conn_receive_piece() */
    bool masked;    /* only where it was asked for: see wsk_message_copy() */
    uint8_t key[4]; /* private */
} wsk_message;

WSK_API void wsk_message_free(wsk_message *msg);

/**
 * Copy a message's msg->len octets to `to`, without their mask if it is still
 * on. True when all of them are ASCII.
 *
 * A message that comes masked lies where it was received, and text has not been
 * looked at: that is for whoever asked for masked messages, who has a place for
 * the octets anyway and looks while it copies. If it is no UTF-8:
 * wsk_conn_bad_text().
 */
WSK_API bool wsk_message_copy(const wsk_message *msg, void *to);

/** How a WebSocket ended: what the peer's Close said (RFC 6455 7.1.5), and what
 * ours did. Where `failed` is set we gave the connection up (7.1.7) for the
 * reason that we sent; then `code` is 1006. */
typedef struct wsk_close_info {
    uint16_t code; /* 1005 no code, 1006 no Close frame */
    bool clean;    /* both Close frames were exchanged */
    uint8_t len;
    char reason[123];   /* UTF-8, `len` octets */
    uint16_t sent_code; /* 1005 no code, 0 no Close frame of ours */
    bool failed;
    uint8_t sent_len;
    char sent_reason[123]; /* UTF-8, `sent_len` octets */
    const char *option;    /* whose limit was passed: "ws_max_size"; or NULL */
} wsk_close_info;

WSK_API wsk_conn *wsk_conn_ref(wsk_conn *conn); /* returns conn */
WSK_API void wsk_conn_unref(wsk_conn *conn);

/** The head of the opening handshake, unpacked anew from the octets that are
 * kept of it: free it with wsk_free(), before the reference to the connection
 * is given up. NULL when out of memory. */
WSK_API wsk_head *wsk_conn_head(const wsk_conn *conn);

/** Numeric addresses as of wsk_request_peer(); as long as the connection is
 * referenced. */
WSK_API const char *wsk_conn_peer(const wsk_conn *conn, uint16_t *port);
WSK_API const char *wsk_conn_local(const wsk_conn *conn, uint16_t *port);

/** wsk_request_scheme() of the opening handshake, which is static, and
 * wsk_request_prefix(); as long as the connection is referenced. */
WSK_API const char *wsk_conn_scheme(const wsk_conn *conn);
WSK_API const char *wsk_conn_prefix(const wsk_conn *conn);

/** The chosen subprotocol, or NULL; as long as the connection is referenced. */
WSK_API const char *wsk_conn_protocol(const wsk_conn *conn);

/** True when compression was agreed in the handshake. */
WSK_API bool wsk_conn_deflates(const wsk_conn *conn);

/** Round trip of the last of our pings that was answered, whoever sent it, in
 * microseconds; false when there is none yet. */
WSK_API bool wsk_conn_latency(const wsk_conn *conn, uint32_t *us);

/**
 * Whether pings and pongs of the peer are told to the application: as events,
 * or by wsk_conn_receive() with the opcode WSK_PING or WSK_PONG. They are not,
 * until wsk_conn_attach() is given a ping or a pong. Pings are answered all the
 * same. At most 16 of them wait; what comes then is not told.
 */
WSK_API void wsk_conn_hear_pings(wsk_conn *conn, bool hear);

/**
 * Wait for a message; only in the handler's own thread or one that holds a
 * reference, one thread at a time. Call it with the interpreter left, unless
 * timeout_ms is 0.
 *
 * timeout_ms  < 0: without limit; 0: only what is there
 *
 * WSK_OK; WSK_E_TIMEOUT; WSK_E_CLOSED (wsk_conn_close_info() says how);
 * WSK_E_STATE (another thread receives, or it is attached to events);
 * WSK_E_NOMEM.
 */
WSK_API wsk_status wsk_conn_receive(wsk_conn *conn, int timeout_ms,
                                    wsk_message *msg);

/** The same, but the message may come masked: it is not owned then, and lies
 * there until this thread receives again or its handler returns. */
WSK_API wsk_status wsk_conn_receive_masked(wsk_conn *conn, int timeout_ms,
                                           wsk_message *msg);

/**
 * The same, if a message stands here whole. It never waits, not even for a
 * thread's turn, so the interpreter need not be left.
 *
 * WSK_OK; WSK_E_AGAIN (wsk_conn_receive_masked() will say what there is).
 */
WSK_API wsk_status wsk_conn_receive_ready(wsk_conn *conn, wsk_message *msg);

/** True when more has come than was received so far. */
WSK_API bool wsk_conn_has_more(const wsk_conn *conn);

/**
 * Wait for a piece of a message, as wsk_conn_receive() does for a whole one;
 * msg->more says that others follow. Text is cut between code points, and a
 * piece may be empty. The length of the message is not limited by ws_max_size:
 * it is not held. Until its last piece wsk_conn_receive() returns WSK_E_STATE.
 */
WSK_API wsk_status wsk_conn_receive_piece(wsk_conn *conn, int timeout_ms,
                                          wsk_message *msg);

/** A text that came masked is no UTF-8: fail the connection with 1007 (RFC 6455
 * 8.1). */
WSK_API void wsk_conn_bad_text(wsk_conn *conn);

/** Send a message; any thread; never blocks. Text is checked for UTF-8 unless
 * `valid`. WSK_OK, WSK_E_CLOSED, WSK_E_NOMEM, WSK_E_ARG (no UTF-8);
 * WSK_E_AGAIN (more than ws_send_max would wait to leave, and ws_send_policy
 * dropped it). */
WSK_API wsk_status wsk_conn_send(wsk_conn *conn, wsk_opcode opcode,
                                 const void *data, size_t len, bool valid);

/** The same with a set of WSK_SEND_... flags. */
WSK_API wsk_status wsk_conn_send_with(wsk_conn *conn, wsk_opcode opcode,
                                      const void *data, size_t len,
                                      unsigned flags);

/** Send the first piece of a message, as wsk_ws_send_first(); the others go
 * through wsk_conn_send_frame(). Text is not checked. */
WSK_API wsk_status wsk_conn_send_first(wsk_conn *conn, wsk_opcode opcode,
                                       const void *data, size_t len,
                                       unsigned flags);

/** Send one frame; parameters and returns of wsk_ws_send_frame(). */
WSK_API wsk_status wsk_conn_send_frame(wsk_conn *conn, wsk_opcode opcode,
                                       bool fin, const void *data, size_t len);

/** Begin the closing handshake and return; the server completes it. Returns of
 * wsk_ws_send_close(). */
WSK_API wsk_status wsk_conn_close(wsk_conn *conn, uint16_t code,
                                  const void *reason, size_t len);

/** Octets that were sent but have not left yet; and whether they are more than
 * ws_send_limit, or too many for memory_limit: then who can should
 * wsk_conn_drain(), and events are told when that is over (`drain`). */
WSK_API size_t wsk_conn_buffered(const wsk_conn *conn);
WSK_API bool wsk_conn_is_full(const wsk_conn *conn);

/** Block until little is buffered. Call it with the interpreter left. WSK_OK,
 * WSK_E_TIMEOUT, WSK_E_CLOSED. */
WSK_API wsk_status wsk_conn_drain(wsk_conn *conn, int timeout_ms);

/** True once no more messages will come; then *info (may be NULL) is set. */
WSK_API bool wsk_conn_closed(const wsk_conn *conn, wsk_close_info *info);

/** True while messages may be sent. */
WSK_API bool wsk_conn_can_send(const wsk_conn *conn);

/**
 * Events instead of a waiting thread. Per connection they come one at a time
 * and in order: connect once, messages, close exactly once and last; then
 * nothing refers to `user` any more. ping, pong and drain may be NULL, as may
 * connect and message. Callbacks may block: other connections go on.
 *
 * drain comes among them, once, when no more than ws_send_limit waits again
 * after more did or wsk_conn_is_full() was true: whoever sends until then goes
 * on in drain. After a message was dropped it comes when nothing waits. It
 * never comes once nothing more can be sent.
 */
typedef struct wsk_ws_handlers {
    void (*connect)(wsk_conn *conn, void *user);
    void (*message)(wsk_conn *conn, const wsk_message *msg, void *user);
    void (*ping)(wsk_conn *conn, const wsk_message *msg, void *user);
    void (*pong)(wsk_conn *conn, const wsk_message *msg, void *user);
    void (*drain)(wsk_conn *conn, void *user);
    void (*close)(wsk_conn *conn, const wsk_close_info *info, void *user);
    bool masked; /* message takes them with their mask on */
} wsk_ws_handlers;

/** Attach an upgraded connection to events; `handlers` is borrowed for the
 * life of the server. WSK_OK; WSK_E_STATE (attached already). */
WSK_API wsk_status wsk_conn_attach(wsk_conn *conn,
                                   const wsk_ws_handlers *handlers, void *user);

/* ------------------------------------------------ WebSockets elsewhere --- */

/**
 * How octets travel for a WebSocket that no wsk_server serves: over the socket
 * of another server, or a client's. One thread at a time calls recv, one send;
 * none with a lock held, so a call may run an interpreter. Any returns
 * WSK_E_AGAIN when it was interrupted: so does the function that called it.
 *
 * recv      wait for at most timeout_ms (< 0: without limit). WSK_OK and *got,
 *           0 at the end of what the peer sends; WSK_E_TIMEOUT; WSK_E_CLOSED
 * send      write some of it: WSK_OK and *sent; WSK_E_TIMEOUT when nothing
 *           could be written for timeout_ms; WSK_E_CLOSED
 * shutdown  no more will be sent; `both`: nor received
 * free      called once and last, from any thread
 */
typedef struct wsk_transport {
    wsk_status (*recv)(void *io, void *data, size_t cap, int timeout_ms,
                       size_t *got);
    wsk_status (*send)(void *io, const void *data, size_t len, int timeout_ms,
                       size_t *sent);
    void (*shutdown)(void *io, bool both);
    void (*free)(void *io);
} wsk_transport;

/** The transport of a stream socket, whose `io` is made here and owns `fd`.
 * NULL when out of memory: then `fd` is still the caller's. */
WSK_API const wsk_transport *wsk_transport_fd(int fd, void **io);

/** An opening handshake that another server has received. */
typedef struct wsk_adoption {
    const wsk_transport *transport; /* lives as long as what it serves */
    void *io;
    const char *head; /* the request's head, its empty line included */
    size_t head_len;
    const void *early; /* octets that were received behind it */
    size_t early_len;
    const char *peer, *local; /* addresses, maybe "" */
    uint16_t peer_port, local_port;
    bool https; /* the client is known to have come by it; see ws_origins */
    const wsk_server_config *config; /* the ws_ options; lives as long */
} wsk_adoption;

/**
 * A request for wsk_request_head(), wsk_request_subprotocols() and
 * wsk_request_upgrade() alone, which writes the 101. Then wsk_conn_*() work as
 * with a server's, but for this: a send waits until its octets have left, and
 * pings, deadlines and the closing handshake are attended to by whoever is
 * inside wsk_conn_receive() or wsk_conn_finish().
 *
 * *verdict  what to answer when the attempt is refused
 *
 * WSK_OK: *req owns how->io and is freed by wsk_request_disown(). WSK_E_ARG: it
 * is refused. WSK_E_NOMEM.
 */
WSK_API wsk_status wsk_request_adopt(const wsk_adoption *how, wsk_request **req,
                                     wsk_ws_verdict *verdict);
WSK_API void wsk_request_disown(wsk_request *req);

/**
 * The same for a client whose handshake wsk_ws_read_answer() has accepted.
 * how->head is the request's, how->early what came behind the answer.
 *
 * seed   as wsk_ws_new_client() has it
 * *conn  a reference, which owns how->io
 *
 * WSK_OK, WSK_E_NOMEM.
 */
WSK_API wsk_status wsk_conn_adopt_client(const wsk_adoption *how,
                                         const wsk_ws_answer *answer,
                                         const uint8_t seed[WSK_WS_SEED_LEN],
                                         wsk_conn **conn);

/**
 * End such a WebSocket: complete the closing handshake, with 1000 if it was not
 * begun, and shut the transport down; `at_once` without the handshake. WSK_OK,
 * also when it was finished before; WSK_E_AGAIN when interrupted: call again;
 * WSK_E_STATE (a server's, or another thread receives).
 */
WSK_API wsk_status wsk_conn_finish(wsk_conn *conn, bool at_once);

/* --------------------------------------------------------------- routes --- */

/** Paths to handlers; make it first, then give wsk_router_handler and the
 * router to wsk_server_new(). */
typedef struct wsk_router wsk_router;

WSK_API wsk_router *wsk_router_new(void);         /* NULL when out of memory */
WSK_API void wsk_router_free(wsk_router *router); /* after its server */

/**
 * Answer requests for `path` (NUL-terminated, copied): an exact path, or one
 * that ends in '*' for every path with that beginning; percent-decoded. An
 * exact path wins over a '*', a longer '*' over a shorter; a second handler for
 * the same path replaces the first. Unknown paths are answered 404. WSK_OK,
 * WSK_E_NOMEM, WSK_E_ARG (no path begins without '/').
 */
WSK_API wsk_status wsk_route(wsk_router *router, const char *path,
                             wsk_handler *handler, void *user);

/** Accept WebSockets at `path`, with events. Plain requests there go to its
 * wsk_route(), if it has one, else they get 426. */
WSK_API wsk_status wsk_route_ws(wsk_router *router, const char *path,
                                const wsk_ws_handlers *handlers, void *user);

/** The wsk_handler of a router; `router` is its user pointer. */
WSK_API void wsk_router_handler(wsk_request *req, void *router);

#ifdef __cplusplus
}
#endif

#endif /* WSOCKET_H */
