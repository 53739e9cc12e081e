/*
 * wsocket.h: HTTP/1.1 and WebSocket for C programs.
 *
 * Three levels on the same engines:
 *
 *   wsk_http_*, wsk_ws_*   the engines. Sans-IO: bytes in, events out, bytes
 *                          out. No socket, clock, thread or callback inside.
 *   wsk_server_*           a server over the engines: sockets, deadlines, and
 *                          the threads that run handlers.
 *   wsk_route_*            paths and events for programs that need no more.
 *
 * Rules that hold for every function:
 *
 *   - A pointer is followed by its length in bytes. Text is not NUL-terminated,
 *     unless the parameter is a plain `const char *` without a length.
 *   - Arguments are borrowed for the call. A result that points into an object
 *     belongs to that object, and is valid until the moment the comment names.
 *   - NULL is legal only where a comment says so. Misuse is an assert in debug
 *     builds and WSK_E_STATE otherwise.
 *   - A status reports a failure on our side. A peer's mistake is no status: it
 *     is an event, and the answer to it is already queued.
 *   - Times are milliseconds (suffix _ms), sizes are bytes.
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

/** Return one line of English for a status; a static string. */
WSK_API const char *wsk_status_text(wsk_status st);

/** Return the version of the library, a static string such as "3.0.0". */
WSK_API const char *wsk_version(void);

enum { WSK_LIBRARIES_LEN = 512 };

/**
 * Write which libraries are in use, such as "zlib 1.2.13, hiredis 1.1.0,
 * OpenSSL 3.0.16"; "no Redis" instead of hiredis, and instead of OpenSSL why
 * there is no TLS. A build that loads OpenSSL at run time loads it now.
 */
WSK_API void wsk_libraries(char text[WSK_LIBRARIES_LEN]);

/** A borrowed run of bytes; the object it came from owns them. */
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
 * WSK_AUTO, and that of a TIME WSK_AUTO_MS, whose text is "auto".
 */
#define WSK_AUTO UINT64_MAX    /* of BYTES: "auto", the server decides */
#define WSK_AUTO_MS UINT32_MAX /* the same of a TIME */
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
    FLAG(accept_balance, true, "leave new connections to the workers that have fewer, where several processes share a listening socket and a board") \
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
    TIME(tls_handshake_timeout, 10000, "seconds from accepting a connection to the end of its TLS handshake, a PROXY header before it included") \
    TIME(first_octet_timeout, 30000, "seconds from accepting a connection to its first byte; then it is closed without an answer") \
    TIME(keep_alive, 75000, "seconds that a connection may be idle between requests; then it is closed without an answer") \
    TIME(graceful_timeout, 30000, "seconds that a stop waits for running handlers and for WebSockets") \
    TIME(stop_delay, 0, "seconds that a server serves on after SIGTERM, with Connection: close in its answers, before it stops; for balancers that still send clients") \
    TIME(drain_idle, 5000, "seconds for which a server that leaves its address to a successor still answers on idle connections") \
    FLAG(proxy_protocol, false, "require a PROXY protocol header, version 1 or 2, at the start of every connection; if trusted_proxies are given, accept it from them only") \
    TEXT(keyfile_password, NULL, "password of encrypted keys: file:PATH, env:NAME, or, in a file of options only, the password itself") \
    TEXT(ca_certs, NULL, "PEM file with the authorities that sign certificates of clients") \
    TEXT(crl, NULL, "PEM file with the lists of client certificates that are revoked; each authority of ca_certs needs one") \
    TEXT(cert_reqs, "none", "which certificate a client must have: none, optional (a bad one is refused, none is not) or required; 0, 1 and 2 mean the same") \
    TEXT(tls_min, "1.2", "least version of TLS: 1.2 or 1.3") \
    TEXT(ciphers, "ECDHE+AESGCM:ECDHE+CHACHA20", "ciphers of TLS 1.2, as OpenSSL names them; those of TLS 1.3 are the library's") \
    TEXT(tls_groups, "X25519MLKEM768:X25519:P-256:P-384", "groups for the key exchange of TLS, of which those count that the library has") \
    TEXT(redirect_https, "off", "answer plain HTTP 308, to the same URL with https: on (at the port of the first place with TLS), a port, or off; paths below /.well-known/acme-challenge/ are served") \
    COUNT(hsts, 0, "seconds for which browsers are told to use https only (Strict-Transport-Security), in answers by https that do not say it themselves; 0 means that they are not told") \
    TEXT(script_name, "", "path at which the application is mounted, such as /app; it is removed from every path and becomes SCRIPT_NAME, after what X-Forwarded-Prefix says; other paths are answered 404") \
    TEXT(access_logfile, "-", "file of the access log; - means standard output, fd:N an inherited descriptor, none turns it off") \
    TEXT(access_log_format, "combined", "format of the access log: combined, common, json, or a text such as %h \"%r\" %s %D, with the atoms h l u t r s b B f a D T M L p U q m H, %{Field}i of the request, %{Field}o of the answer, %{VARIABLE}e of the environment, %{worker}, and %{messages_in}w, %{sent_code}w and the like of a WebSocket that has ended") \
    TEXT(error_logfile, "stderr", "file of the server's own log; - means standard output, fd:N an inherited descriptor, none turns it off") \
    TEXT(metrics_bind, NULL, "where to answer /metrics (numbers for Prometheus), /ready and /live, without the application: host:port, [v6]:port, unix:path, unix:path:mode or fd:N; never the public address") \
    TEXT(ready_path, NULL, "path at which the main addresses answer whether the server takes requests, too: 200, or 503 while it stops") \
    TEXT(live_path, NULL, "path at which they answer 200 while the server lives") \
    TEXT(log_level, "info", "least severe messages to log; from warning on the access log is off unless access_logfile is given") \
    TIME(ws_ping_interval, 20000, "seconds of silence before a WebSocket is sent a ping; 0 turns pings off") \
    TIME(ws_ping_timeout, 20000, "seconds that a peer has to show a sign of life after a ping, 0 for no limit; if pings are off, seconds that it has to read some of what waits for it") \
    TIME(ws_close_timeout, 5000, "seconds to wait for the peer's Close frame") \
    TIME(ws_drain, WSK_AUTO_MS, "seconds over which a server that stops closes its WebSockets, each at a random moment, so that not all clients reconnect at once; auto means 1 s for 250 of them, and at most half of graceful_timeout") \
    COUNT(ws_stop_code, 1001, "code with which WebSockets are closed when the server stops") \
    COUNT(ws_restart_code, 1012, "code with which WebSockets are closed when the server leaves its address to a successor") \
    COUNT(ws_max_queue, 16, "maximum number of messages, or ws_max_size bytes of them, that wait for a handler; beyond it the peer is not read from") \
    BYTES(ws_send_limit, 1048576, "bytes that may wait to be sent to a peer; beyond it the peer is not read from, and send() in a blocking handler waits") \
    BYTES(ws_send_max, 16777216, "maximum bytes that may wait to be sent to a peer where send() cannot wait; beyond it ws_send_policy applies") \
    TEXT(ws_send_policy, "close", "what happens beyond ws_send_max: close (the WebSocket, with code 1013), or drop (the newest message)") \
    TEXT(ws_compression, "no-takeover", "how messages are compressed with permessage-deflate: off, no-takeover (each by itself), or takeover (they may refer to earlier ones, which costs memory per connection)") \
    TEXT(ws_compression_level, "fast", "how hard messages are compressed: fast, or the levels 1 to 9 of zlib, from least time to smallest messages") \
    BYTES(ws_compression_threshold, 128, "minimum size in bytes of a message that is compressed") \
    BYTES(ws_compression_memory, 67108864, "maximum memory in bytes that takeover keeps for all connections together; beyond it new ones get no-takeover") \
    COUNT(topics_max, 128, "maximum number of topics that one WebSocket subscribes to") \
    BYTES(topic_message_max, 1048576, "maximum size in bytes of a published message") \
    BYTES(topic_backlog, 1048576, "bytes that a topic keeps for subscribers that read slowly, 64 more counted for each message; past it topic_policy applies to them") \
    TEXT(topic_policy, "close", "what happens to a subscriber that lags so far behind a topic that its next message is gone: close (the WebSocket, with code 1013), drop (it goes on with the oldest that is kept), or latest (it only ever gets the newest)") \
    TEXT(bus, "auto", "how processes of this host that serve the same application share their topics: auto (all workers of one supervisor or of gunicorn, and what they start, by a folder of their own in WSOCKET_BUS), off, or a private folder (mode 0700), the same for all that share") \
    TEXT(broker, NULL, "Redis by which topics reach other hosts: redis://user:password@host:port, rediss:// for TLS (?ca=, cert= and key= name PEM files), unix:path, or redis+sentinel://host,host,host/name") \
    TEXT(broker_prefix, "wsocket", "beginning of the names of all channels: a topic has the channel prefix:t:topic") \
    TIME(broker_probe, 5000, "seconds after which a message of our own is sent through the broker; one that does not come back within as many more shows that the connections are dead") \
    TIME(broker_timeout, 2000, "seconds to connect to the broker, to wait for it at the start, and for a subscription to be confirmed") \
    TEXT(broker_down, "local", "who gets what is published while the broker is down: local (subscribers of the same process) or fail (nobody); publish() returns False either way") \
    FLAG(ws_allow_drafts, false, "accept drafts of the WebSocket protocol, which call themselves version 7 and 8") \
    TEXT(ws_hide_upgrade, "auto", "which rules of Werkzeug applications take a WebSocket: auto (WebSocket rules, then plain ones), always (plain rules only, because the Upgrade field is hidden), or never (WebSocket rules only)")

#define WSK_LIST_OPTIONS(LIST)                                                 \
    LIST(bind, bind, NULL, "where to listen, instead of host and port: host:port, [v6]:port, unix:path, unix:path:mode or fd:N; may be repeated") \
    LIST(certfile, certfile, NULL, "PEM file with a certificate and those of its issuers, which turns TLS on at every place of bind, host and port; or dev, which makes one for localhost; may be repeated: the client's server name chooses, and the first is for all others") \
    LIST(keyfile, keyfile, NULL, "PEM file with the key of a certfile, in the same order; without one the key stands in certfile; may be repeated") \
    LIST(tls_ticket_keys, tls_ticket_keys, NULL, "files of 80 random bytes from which the keys of TLS session tickets are made, for several machines behind one name; the first encrypts; without one they are made at the start; may be repeated") \
    LIST(insecure_bind, insecure_bind, NULL, "where to listen without TLS as well, in the forms of bind; may be repeated") \
    LIST(trusted_proxies, trusted_proxies, NULL, "proxies whose forwarded_fields count: addresses, networks such as 10.0.0.0/8, * for every peer, or unix for Unix sockets; may be repeated") \
    LIST(forwarded_fields, forwarded_fields, "x-forwarded-for,x-forwarded-proto", "header fields that trusted_proxies set or remove in every request: x-forwarded-for, -proto, -host, -port and -prefix, or forwarded alone; the others come from the client and are ignored; may be repeated") \
    LIST(allowed_hosts, allowed_hosts, NULL, "hosts that a request may name: names, .example.com for a domain and all below it, addresses, or *; ports are ignored; other hosts, or none, are answered 421; without this option every host is allowed; may be repeated") \
    LIST(static, static_folders, NULL, "folder whose files are served without the application, as /url=folder; may be repeated") \
    LIST(topics, topics, NULL, "topics with a policy or backlog of their own, as a name or a beginning with *, and what differs: ticker:* policy=latest backlog=64k; the first that fits counts; may be repeated") \
    LIST(ws_origins, ws_origins, "same", "origins whose pages may open WebSockets: same (the same host and port, and https if the site is known to use it; any loopback page on a loopback host), *, or a list such as same,https://example.com; null only if listed; others are answered 403; may be repeated") \
    LIST(ws_subprotocols, ws_subprotocols, NULL, "WebSocket subprotocols to choose from, preferred first; may be repeated")

/* Options of a program that serves with several processes. The library knows
 * their names and values only; a server of its own does not read them. */
#define WSK_PROCESS_OPTIONS(TEXT, COUNT, BYTES, TIME, FLAG)                    \
    TEXT(workers, NULL, "number of worker processes, with a supervisor that replaces them without losing a connection; auto means one for each core that the process may use; without this option one process serves, without a supervisor") \
    TIME(boot_timeout, 60000, "seconds from the start of a worker until it is ready; then it has failed and is killed") \
    TIME(worker_timeout, 30000, "seconds without a sign of life of a worker's event loop or interpreter; then it is replaced and killed; 0 turns this off, less than 3 is refused; handlers may take as long as they like") \
    COUNT(max_requests, 0, "number of requests, handshakes of WebSockets included, after which a worker is replaced; 0 means no limit") \
    BYTES(max_memory, 0, "resident memory of a worker in bytes beyond which it is replaced; 0 means no limit") \
    TIME(max_age, 0, "seconds after which a worker is replaced; 0 means no limit") \
    COUNT(max_jitter, 10, "percentage by which max_requests, max_memory and max_age vary at random, so that workers do not reach them together") \
    TIME(retire_timeout, 300000, "seconds, instead of graceful_timeout, that a worker has to end its work once it is replaced for max_requests, max_memory or max_age") \
    TEXT(pid_file, NULL, "file that has the PID of the supervisor while it runs") \
    TEXT(control, NULL, "path of a Unix socket, open to its owner only, at which wsocket reload, stop, status and upgrade reach the supervisor") \
    TEXT(hooks, NULL, "module with any of the functions post_fork, ready, draining and exit, each called with the worker in its process") \
    TEXT(master_hooks, NULL, "module with the function child_exit, called with a worker and its exit status in the supervisor") \
    FLAG(reload, false, "for development: replace the worker when a file of the application changes")

#define WSK_PROCESS_LIST_OPTIONS(LIST)                                         \
    LIST(reload_dirs, reload_dirs, NULL, "folders that reload watches; the working folder if there are none; may be repeated") \
    LIST(reload_patterns, reload_patterns, "*.py", "names of the files that reload watches; may be repeated")
/* clang-format on */

#define WSK_FIELD_LIST(name, field, dflt, help) const char *field;
#define WSK_FIELD_TEXT(name, dflt, help) const char *name;
#define WSK_FIELD_COUNT(name, dflt, help) uint32_t name;
#define WSK_FIELD_BYTES(name, dflt, help) uint64_t name;
#define WSK_FIELD_TIME(name, dflt, help) uint32_t name##_ms;
#define WSK_FIELD_FLAG(name, dflt, help) bool name;

/** Limits that the engines enforce. */
typedef struct wsk_limits {
    WSK_LIMIT_OPTIONS(WSK_FIELD_TEXT, WSK_FIELD_COUNT, WSK_FIELD_BYTES,
                      WSK_FIELD_TIME, WSK_FIELD_FLAG)
} wsk_limits;

/** Policies for a subscriber that lags so far behind a topic that its next
 * message is gone. */
typedef enum wsk_topic_policy {
    WSK_TOPIC_USUAL, /* as the options topics and topic_policy say */
    WSK_TOPIC_CLOSE, /* close it with 1013: it has no hole */
    WSK_TOPIC_DROP,  /* go on with the oldest message that is kept */
    WSK_TOPIC_LATEST /* send it the newest only, always */
} wsk_topic_policy;

/** Configuration of a server; see wsk_config_init(). */
typedef struct wsk_server_config {
    WSK_SERVER_OPTIONS(WSK_FIELD_TEXT, WSK_FIELD_COUNT, WSK_FIELD_BYTES,
                       WSK_FIELD_TIME, WSK_FIELD_FLAG)
    WSK_LIST_OPTIONS(WSK_FIELD_LIST)
    WSK_PROCESS_OPTIONS(WSK_FIELD_TEXT, WSK_FIELD_COUNT, WSK_FIELD_BYTES,
                        WSK_FIELD_TIME, WSK_FIELD_FLAG)
    WSK_PROCESS_LIST_OPTIONS(WSK_FIELD_LIST)
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
    const char *default_text; /* as for wsk_config_set(); NULL: not set */
    const char *help;         /* one line */
} wsk_option;

/** Return every option, in the order of the docs: a static array of *n rows. */
WSK_API const wsk_option *wsk_options(size_t *n);

/** Return the words that a TEXT option accepts, separated by blanks; NULL when
 * it accepts other values as well, or when there is no such option. Static. */
WSK_API const char *wsk_option_choices(const char *name);

/**
 * Check that the options of `cfg` do not contradict each other, once all are
 * set.
 *
 * error    at least 160 bytes, or NULL; receives one line that says which do
 *
 * Returns WSK_OK, or WSK_E_ARG: wsk_server_new() would refuse `cfg`.
 */
WSK_API wsk_status wsk_config_check(const wsk_server_config *cfg,
                                    char error[160]);

/** Fill `limits` with the defaults. */
WSK_API void wsk_limits_init(wsk_limits *limits);

/** Fill `cfg`, its limits included, with the defaults. */
WSK_API void wsk_config_init(wsk_server_config *cfg);

/**
 * Set one option from text: "8080", "1.5" seconds, "64k", "on".
 *
 * value    borrowed for as long as `cfg` is used, where the option is TEXT or
 *          LIST
 * error    at least 160 bytes, or NULL; receives one line that says which
 *          values are accepted (for an unknown name: the nearest known)
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
 * Fields with an underscore in the name have been dropped: CGI could not tell
 * them from those with a dash (RFC 3875 4.1.18).
 */
typedef struct wsk_head {
    wsk_str method;  /* a token */
    wsk_str target;  /* as sent, visible ASCII */
    wsk_str path;    /* origin form, not decoded; "*" for OPTIONS *; without the
                        option script_name, so it may be empty */
    wsk_str query;   /* after the first '?', not decoded; may be empty */
    wsk_str host;    /* authority of the target, else Host; may be empty */
    wsk_str version; /* as sent: "HTTP/1.1" */
    const wsk_header *headers;
    size_t n_headers;
    uint64_t content_length; /* 0 without a body or when chunked */
    bool has_length;         /* Content-Length was sent */
    bool chunked;
    bool http10;          /* HTTP/1.0: no chunked, no Upgrade */
    bool keep_alive;      /* requested by the client (RFC 9112 9.3) */
    bool expect_continue; /* Expect: 100-continue on HTTP/1.1 */
    bool websocket;       /* a handshake: HTTP/1.1, Upgrade lists websocket */
} wsk_head;

/**
 * Return the value of the first field called `name` (ASCII case ignored), which
 * is NUL-terminated; {NULL, 0} if there is none. Valid as long as the head.
 */
WSK_API wsk_str wsk_head_get(const wsk_head *head, const char *name);

/** Return the reason phrase of a status, "Not Found"; "Unknown" if it has
 * none. */
WSK_API const char *wsk_reason(int status);

/* --------------------------------------------------------- HTTP engine --- */

/** One HTTP/1.1 connection, server side; one thread at a time. */
typedef struct wsk_http wsk_http;

typedef enum wsk_http_event_kind {
    WSK_HTTP_NONE,   /* feed more, or answer the request that is open */
    WSK_HTTP_HEAD,   /* a request begins: .head */
    WSK_HTTP_DATA,   /* body bytes, without chunk framing: .data, .len */
    WSK_HTTP_END,    /* the request is complete */
    WSK_HTTP_FAILED, /* the peer broke a rule; .status is the answer, already
                        in out_buf() unless a response had begun; close after */
} wsk_http_event_kind;

typedef struct wsk_http_event {
    wsk_http_event_kind kind;
    const wsk_head *head; /* valid until the request has been answered */
    const uint8_t *data;  /* valid until the next call of feed() or next() */
    size_t len;
    int status;
} wsk_http_event;

/** Make an engine; limits may be NULL for the defaults, else they are copied.
 * NULL when memory is out. Free it with wsk_http_free(). */
WSK_API wsk_http *wsk_http_new(const wsk_limits *limits);
WSK_API void wsk_http_free(wsk_http *http); /* NULL is legal */

/**
 * Take bytes that arrived from the peer.
 *
 * data, len  borrowed until next() has returned WSK_HTTP_NONE
 * *used      bytes taken, 0..len; fewer only while an event waits in next(), or
 *            while a complete request waits for its answer: pipelined bytes
 *            stay with the caller until then
 *
 * Returns WSK_OK; WSK_E_NOMEM (the bytes up to *used are taken, try again with
 * the rest); WSK_E_STATE once the connection is over.
 */
WSK_API wsk_status wsk_http_feed(wsk_http *http, const uint8_t *data,
                                 size_t len, size_t *used);

/** Return the next event; WSK_HTTP_NONE when there is none. */
WSK_API wsk_http_event wsk_http_next(wsk_http *http);

/** Note that the peer will send no more than was fed. A request that is cut
 * short fails with 400; a complete one still gets its answer. */
WSK_API void wsk_http_feed_eof(wsk_http *http);

/** Queue a 100 (Continue), once, and only if the request asked for it and the
 * answer has not begun (RFC 9110 10.1.1). Returns WSK_OK, also when none is
 * due, or WSK_E_NOMEM. */
WSK_API wsk_status wsk_http_send_continue(wsk_http *http);

/**
 * Queue a 103 (Early Hints, RFC 8297) before the answer; may be called again.
 * HTTP/1.0 gets none. headers as for wsk_http_send_head(), but none about
 * framing or connection. Returns WSK_OK; WSK_E_ARG (an illegal header, nothing
 * queued); WSK_E_STATE (no request is open, or its answer has begun);
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
 * headers  sent in this order and case, duplicates kept. A name must be a
 *          token, a value free of controls. Connection may be given (its
 *          `close` is honoured); Transfer-Encoding, Keep-Alive, TE, Trailer and
 *          Proxy-* of RFC 9110 7.6.1 may not, and Upgrade only on 101 and 426
 * length   bytes of body to come, or WSK_LENGTH_UNKNOWN: then a Content-Length
 *          among the headers counts, else the body is chunked (HTTP/1.1) or
 *          ended by the close (HTTP/1.0)
 *
 * Date and Server are added when missing. HEAD, 204 and 304 get no body.
 *
 * Returns WSK_OK; WSK_E_ARG (an illegal header or status, nothing queued);
 * WSK_E_STATE (no request is open, or its answer has begun); WSK_E_NOMEM.
 */
WSK_API wsk_status wsk_http_send_head(wsk_http *http, int status,
                                      const char *reason,
                                      const wsk_header *headers, size_t n,
                                      uint64_t length);

/** Queue body bytes of the answer. Bytes past the announced length are
 * dropped, and wsk_http_send_end() reports it; len 0 is legal and queues
 * nothing. Returns WSK_OK, WSK_E_STATE or WSK_E_NOMEM (nothing queued). */
WSK_API wsk_status wsk_http_send_body(wsk_http *http, const uint8_t *data,
                                      size_t len);

/**
 * End the answer. No further events of its request follow: the rest of the body
 * is discarded if it is short, else the connection will close.
 *
 * Returns WSK_OK; WSK_E_ARG when the body was longer (cut) or shorter than
 * announced (the connection will close, RFC 9112 8); WSK_E_STATE; WSK_E_NOMEM
 * (not ended yet).
 */
WSK_API wsk_status wsk_http_send_end(wsk_http *http);

/** Set the text of the Date field, 29 bytes (RFC 9110 5.6.7), borrowed until
 * it is replaced; NULL (the default) sends none. The engine itself reads no
 * clock. */
WSK_API void wsk_http_set_date(wsk_http *http, const char *date);

/** Return the bytes to send to the peer, owned by `http` until any other call;
 * NULL and *len = 0 when there are none. */
WSK_API const uint8_t *wsk_http_out_buf(const wsk_http *http, size_t *len);

/** Drop the first `n` of those bytes: they have been sent. */
WSK_API void wsk_http_out_ack(wsk_http *http, size_t n);

/** Return true when the connection must be closed once out_buf() is empty. */
WSK_API bool wsk_http_done(const wsk_http *http);

/* -------------------------------------------------- WebSocket handshake --- */

#define WSK_WS_ACCEPT_LEN 28

/** Decision about an opening handshake (RFC 6455 4.2). */
typedef struct wsk_ws_verdict {
    int status;                     /* 101, or the refusal: 400, 405, 426 */
    const char *reason;             /* reason, one line for a person; static */
    char accept[WSK_WS_ACCEPT_LEN]; /* Sec-WebSocket-Accept; set on 101 */
} wsk_ws_verdict;

/** Judge a WebSocket handshake (head->websocket). A pure function. `drafts`
 * accepts versions 7 and 8 as well, whose frames are those of 13. */
WSK_API wsk_ws_verdict wsk_ws_judge(const wsk_head *head, bool drafts);

/** Return the origin of the page: the value of Origin, in the drafts of
 * Sec-WebSocket-Origin. {NULL, 0} without the field, as from programs that are
 * no browser; an empty text when there are several. */
WSK_API wsk_str wsk_ws_origin(const wsk_head *head);

/**
 * Return true if a page from `origin` may open a WebSocket on `host` (RFC 6455
 * 10.2). A pure function.
 *
 * origin   of wsk_ws_origin(); without one the answer is true
 * host     "example.com:8080", as the client named it
 * https    the client is known to have come by https: then no page of http is
 *          the same site, because anyone on the way could have written it. Pass
 *          false also where a proxy may have ended TLS without saying so
 * allowed  in the form of the option ws_origins
 */
WSK_API bool wsk_ws_origin_allowed(wsk_str origin, wsk_str host, bool https,
                                   const char *allowed);

/** Return true if the client offered the subprotocol `name` (NUL-terminated,
 * compared exactly, RFC 6455 4.1). */
WSK_API bool wsk_ws_offered(const wsk_head *head, const char *name);

/**
 * Walk the offered subprotocols: *pos starts at 0 and belongs to the walk.
 * Returns false when there are no more; else *name is set, valid as long as the
 * head.
 */
WSK_API bool wsk_ws_next_offer(const wsk_head *head, size_t *pos,
                               wsk_str *name);

#define WSK_WS_PROTOCOL_MAX 128

/**
 * Find the first of the names in `preferred` that the client offered, and copy
 * it to `name`, NUL-terminated. `preferred` is separated by commas or line
 * ends, in the form of the option ws_subprotocols; NULL is an empty list.
 * Returns false when there is none; names that do not fit are skipped.
 */
WSK_API bool wsk_ws_choose(const wsk_head *head, const char *preferred,
                           char name[WSK_WS_PROTOCOL_MAX]);

/* ------------------------------------------------ WebSocket compression --- */

/**
 * Parameters of permessage-deflate that were agreed (RFC 7692 7.1), and how
 * messages are compressed with them. Messages of any window are read.
 */
typedef struct wsk_ws_deflate {
    uint64_t threshold;   /* a shorter message is sent uncompressed */
    uint8_t level;        /* 0: the library's own, fast; 1 to 9: zlib's */
    uint8_t server_bits;  /* a server's refer back 2^this bytes, 8..15 */
    uint8_t client_bits;  /* the same of a client's; a server ignores it */
    bool server_takeover; /* a server's messages refer to its earlier ones */
    bool client_takeover; /* a client's messages do */
} wsk_ws_deflate;

#define WSK_WS_DEFLATE_TEXT 160

/**
 * Agree to the first acceptable offer of permessage-deflate. Returns false when
 * there is none. takeover false asks both sides to keep nothing between
 * messages.
 *
 * *agreed  set; level 0, threshold 128: change both as you like
 * text     NUL-terminated, the value of Sec-WebSocket-Extensions in the 101
 */
WSK_API bool wsk_ws_agree_deflate(const wsk_head *head, bool takeover,
                                  wsk_ws_deflate *agreed,
                                  char text[WSK_WS_DEFLATE_TEXT]);

/* ---------------------------------------------------- WebSocket client --- */

/** Request of a client (RFC 6455 4.1). Texts are NUL-terminated. */
typedef struct wsk_ws_ask {
    const char *host;          /* value of Host: "example.com:8080" */
    const char *target;        /* "/chat?room=1" */
    const char *protocols;     /* offered, separated by commas; NULL: none */
    const wsk_header *headers; /* more fields */
    size_t n_headers;
    bool deflate;      /* offer permessage-deflate */
    bool takeover;     /* let both sides keep data between messages */
    uint8_t nonce[16]; /* random */
} wsk_ws_ask;

/** Write the head of the request to a block for wsk_free(). Returns WSK_OK;
 * WSK_E_ARG (a text that cannot stand in a head, or a field that the handshake
 * itself writes); WSK_E_NOMEM. */
WSK_API wsk_status wsk_ws_ask_head(const wsk_ws_ask *ask, char **head,
                                   size_t *len);

/** Answer of a server. A refused one has agreed to nothing: `protocol`,
 * `deflates` and `deflate` are empty then. */
typedef struct wsk_ws_answer {
    int status;       /* 0: not HTTP */
    const char *why;  /* fault, a static line; NULL: none */
    wsk_str protocol; /* agreed, a view of the data; {NULL, 0}: none */
    wsk_str location; /* target of a redirection */
    bool deflates;
    wsk_ws_deflate deflate; /* as agreed, if `deflates` */
} wsk_ws_answer;

/**
 * Judge the answer to `ask` (RFC 6455 4.1), data[0..len).
 *
 * *used  on WSK_OK and WSK_E_ARG: bytes of the head
 *
 * Returns WSK_OK: the WebSocket is open, frames follow. WSK_E_AGAIN: not
 * complete, call again with more. WSK_E_ARG: refused, or no answer to this
 * request; see `why`. After a status of 1xx other than 101 the answer is still
 * to come (RFC 9110 15.2): call again with the data behind those *used bytes.
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
    WSK_WS_PIECE,   /* as MESSAGE, but more of the message follows; only after
                       wsk_ws_take_pieces() */
    WSK_WS_CLOSED,  /* exactly once, last: no more messages will come.
                       .code, .data/.len (reason), .clean */
} wsk_ws_event_kind;

typedef struct wsk_ws_event {
    wsk_ws_event_kind kind;
    wsk_opcode opcode;
    const uint8_t *data; /* valid until the next call of feed() or next() */
    size_t len;
    uint16_t code; /* CLOSED: RFC 6455 7.1.5; 1005: no code, 1006: no Close */
    bool clean;    /* CLOSED: both Close frames were exchanged */
} wsk_ws_event;

/**
 * Make a server's engine, to be fed with the bytes behind the handshake. limits
 * may be NULL for the defaults, else they are copied. NULL when memory is out.
 */
WSK_API wsk_ws *wsk_ws_new_server(const wsk_limits *limits);
WSK_API void wsk_ws_free(wsk_ws *ws); /* NULL is legal */

#define WSK_WS_SEED_LEN 32

/** The same for a client, which masks the frames it sends (RFC 6455 5.3) with
 * keys made of `seed`: random bytes that must stay secret. */
WSK_API wsk_ws *wsk_ws_new_client(const wsk_limits *limits,
                                  const uint8_t seed[WSK_WS_SEED_LEN]);

/**
 * Compress messages from now on, as agreed in the handshake (copied). Returns
 * WSK_OK; WSK_E_ARG (a window or level out of range); WSK_E_STATE (set before).
 */
WSK_API wsk_status wsk_ws_set_deflate(wsk_ws *ws, const wsk_ws_deflate *agreed);

/**
 * Take bytes that arrived from the peer.
 *
 * data, len  borrowed for the call; never kept, never changed
 * *used      bytes taken, 0..len; fewer only while an event waits in next()
 *
 * Returns WSK_OK; WSK_E_NOMEM (the bytes up to *used are taken, try again with
 * the rest); or WSK_E_STATE once the connection is over, for good. A peer's
 * mistake is no error here: next() returns WSK_WS_CLOSED, and the Close frame
 * is already in out_buf().
 */
WSK_API wsk_status wsk_ws_feed(wsk_ws *ws, const uint8_t *data, size_t len,
                               size_t *used);

/** Note that the peer will send no more, or that the transport is gone: the
 * code is 1006 if no Close frame came before (RFC 6455 7.1.5). */
WSK_API void wsk_ws_feed_eof(wsk_ws *ws);

/** Return the next event; WSK_WS_NONE when there is none. */
WSK_API wsk_ws_event wsk_ws_next(wsk_ws *ws);

/**
 * Take over the memory of the message that next() has just returned, so that it
 * outlives the engine's next call. *block is NULL when the message is empty;
 * else it begins with the message, and is freed with wsk_free(). Returns
 * WSK_OK, or WSK_E_STATE when the last event was no message.
 */
WSK_API wsk_status wsk_ws_take_message(wsk_ws *ws, void **block);

/**
 * Report the message that has begun, or else the next one, in pieces as it
 * arrives: PIECE events and, at its end, a MESSAGE, which may be empty. Text is
 * cut between code points. The length is not limited: at most 64 KiB, or as
 * much as had arrived before, are buffered at once.
 */
WSK_API void wsk_ws_take_pieces(wsk_ws *ws);

/**
 * Send one whole message. opcode is WSK_TEXT (the caller guarantees UTF-8) or
 * WSK_BINARY. Returns WSK_OK; WSK_E_ARG (another opcode); WSK_E_NOMEM (nothing
 * queued); WSK_E_CLOSED once a Close frame has been queued (RFC 6455 5.5.1);
 * WSK_E_STATE inside a message that wsk_ws_send_frame() has begun.
 */
WSK_API wsk_status wsk_ws_send_message(wsk_ws *ws, wsk_opcode opcode,
                                       const uint8_t *data, size_t len);

/** Flags for sending a message, a set. */
enum {
    WSK_SEND_VALID = 1, /* the text is known to be UTF-8 */
    WSK_SEND_PLAIN = 2, /* uncompressed, even if compression was agreed */
    WSK_SEND_KEEP = 4,  /* never dropped, as with ws_send_policy close */
};

/** Send a message with a set of these flags; returns as wsk_ws_send_message()
 * does. The engine takes all text for valid UTF-8. */
WSK_API wsk_status wsk_ws_send_with(wsk_ws *ws, wsk_opcode opcode,
                                    const uint8_t *data, size_t len,
                                    unsigned flags);

/**
 * Send the first piece of a message, compressed where a whole message of its
 * length and flags would be; then the later ones are compressed, too. Send
 * those with wsk_ws_send_frame(). Returns as wsk_ws_send_message() does.
 */
WSK_API wsk_status wsk_ws_send_first(wsk_ws *ws, wsk_opcode opcode,
                                     const uint8_t *data, size_t len,
                                     unsigned flags);

/**
 * Send one frame of a message in pieces: TEXT or BINARY first, then
 * CONTINUATION, `fin` on the last; or one PING or PONG of at most 125 bytes.
 * Returns as wsk_ws_send_message() does, and WSK_E_ARG (a control frame too
 * long or not final, or a Close), WSK_E_STATE (a message begun inside another,
 * or a continuation of none: RFC 6455 5.4).
 */
WSK_API wsk_status wsk_ws_send_frame(wsk_ws *ws, wsk_opcode opcode, bool fin,
                                     const uint8_t *data, size_t len);

/**
 * Begin or answer the closing handshake. code: 1000-1003, 1007-1014, 3000-4999,
 * or 1005 for a Close without a code. The reason is UTF-8, and is cut between
 * code points to 123 bytes (RFC 6455 5.5). Returns WSK_OK, also when a Close
 * was sent before; WSK_E_ARG for another code or an invalid reason;
 * WSK_E_NOMEM.
 */
WSK_API wsk_status wsk_ws_send_close(wsk_ws *ws, uint16_t code,
                                     const uint8_t *reason, size_t len);

/** Return the bytes to send to the peer (owned by `ws`); NULL and *len = 0
 * when there are none. */
WSK_API const uint8_t *wsk_ws_out_buf(const wsk_ws *ws, size_t *len);

/** Drop the first `n` of those bytes: they have been sent. A pong that was
 * held back may be queued by this: ask out_buf() again. */
WSK_API void wsk_ws_out_ack(wsk_ws *ws, size_t n);

/** Return true when both Close frames have passed, or the connection failed:
 * close the transport once out_buf() is empty. */
WSK_API bool wsk_ws_done(const wsk_ws *ws);

/** Return true while messages may still be sent (no Close has been queued). */
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

/** Answers a request: see "answering". To return without an answer sends a
 * 500; to return from an upgraded request ends the WebSocket with 1000, unless
 * it was attached to events. */
typedef void wsk_handler(wsk_request *req, void *user);

typedef enum wsk_log_level {
    WSK_LOG_DEBUG,
    WSK_LOG_INFO,
    WSK_LOG_WARNING,
    WSK_LOG_ERROR,
    WSK_LOG_CRITICAL,
} wsk_log_level;

/**
 * Hooks of a language binding; a plain C program needs none of them.
 *
 * Handlers run between enter() and leave(), on a thread that came through
 * wsk_server_work(); several handlers may run in one such stretch. Both get the
 * `user` of that call. enter() may wait (for an interpreter lock): the server
 * notices, and goes on with another thread.
 *
 * spawn() gets the `user` of the hooks. It must cause wsk_server_work() to be
 * called in a new thread, soon; it must neither block nor run the handler's
 * language. Any thread of the server may call it.
 */
typedef struct wsk_hooks {
    void (*enter)(void *user);
    void (*leave)(void *user);
    void (*spawn)(void *user);
    void *user;
} wsk_hooks;

/**
 * Make a server that does not listen yet. cfg is copied, texts included; NULL
 * takes the defaults. Every request is answered through `handler`. hooks may be
 * NULL. Returns NULL with errno set when that is not possible.
 */
WSK_API wsk_server *wsk_server_new(const wsk_server_config *cfg,
                                   wsk_handler *handler, void *user,
                                   const wsk_hooks *hooks);

/** Stop and free the server. Threads still inside a handler are abandoned: the
 * memory they use is kept until they return. NULL is legal. */
WSK_API void wsk_server_free(wsk_server *srv);

/** Bind and listen, if not done yet. Returns WSK_OK; WSK_E_SYS with errno. */
WSK_API wsk_status wsk_server_listen(wsk_server *srv);

/** Try all steps of wsk_server_listen(), and leave no trace: log files,
 * folders, addresses. Returns the same errors; WSK_E_STATE once the server
 * listens. */
WSK_API wsk_status wsk_server_can_start(wsk_server *srv);

/** Return one line for a person on why wsk_server_listen() or
 * wsk_server_start() has returned WSK_E_SYS: it names the address or the file.
 * Empty before. Owned by the server. */
WSK_API const char *wsk_server_error(const wsk_server *srv);

/** Return the i-th URL at which the server listens: "http://127.0.0.1:8080/"
 * or "unix:/run/app.sock"; NULL past the last, and before wsk_server_listen().
 * Owned by the server. */
WSK_API const char *wsk_server_url(const wsk_server *srv, size_t i);

/** Return the address that the i-th place is bound to: "0.0.0.0:8080" (every
 * address), "[::1]:8080", "unix:/run/app.sock", "fd:3 [::]:80" (an inherited
 * socket). NULL and owner as with wsk_server_url(). */
WSK_API const char *wsk_server_address(const wsk_server *srv, size_t i);

/** Return the descriptor of the i-th place, so that a program which never
 * starts this server may hand it to child processes, as "fd:N" of their `bind`;
 * -1 past the last. It is closed on exec, and belongs to the server. */
WSK_API int wsk_server_fd(const wsk_server *srv, size_t i);

/** Let no new client connect to the places that this server has bound, while
 * the connections that are under way or queued stay; the files of Unix sockets
 * are removed. For a program whose children accept there, before they leave
 * without a successor. */
WSK_API void wsk_server_refuse_new(wsk_server *srv);

/** Return the URL of metrics_bind, to which "metrics", "ready" and "live" are
 * added: "http://127.0.0.1:9464/" or "unix:/run/metrics.sock". NULL without
 * that option, and before wsk_server_listen(). Owned by the server. */
WSK_API const char *wsk_server_metrics_url(const wsk_server *srv);

/** Name the version of Python, and whether it has a GIL, to the metrics; texts
 * are static. Before wsk_server_start(). */
WSK_API void wsk_server_describe(wsk_server *srv, const char *python, bool gil);

/** Return the port of the first TCP listener; 0 before wsk_server_listen(). */
WSK_API uint16_t wsk_server_port(const wsk_server *srv);

/** Listen and begin to serve, on threads of the server's own or the spawn
 * hook's; does not wait. Returns WSK_OK, WSK_E_SYS, WSK_E_NOMEM, or WSK_E_STATE
 * (started before). */
WSK_API wsk_status wsk_server_start(wsk_server *srv);

/** Serve with this thread, until the started server has stopped, or has threads
 * to spare. For the spawn hook. `user` is given to the hooks enter() and
 * leave(). */
WSK_API void wsk_server_work(wsk_server *srv, void *user);

/** Report that the spawn hook could make no thread: requests that no thread
 * can answer get 503. */
WSK_API void wsk_server_no_thread(wsk_server *srv);

/** Call wsk_server_start(), and wait until wsk_server_stop() has taken effect.
 * Returns WSK_OK; WSK_E_TIMEOUT when handlers were still running after
 * graceful_timeout; the errors of wsk_server_start(). */
WSK_API wsk_status wsk_server_run(wsk_server *srv);

/**
 * How a server leaves. A time of WSK_AUTO_MS is what the options say.
 *
 * ms         for running handlers, bodies that arrive and WebSockets: the end
 *            in any case. Auto: graceful_timeout. 0: stop at once
 * idle_ms    for a request on a connection that is idle. Auto: drain_idle with
 *            a successor, 100 ms without
 * spread_ms  the time over which WebSockets are closed. Auto: ws_drain
 * delay_ms   serve on for so long before, with Connection: close in the
 *            answers. Auto: stop_delay
 * part       of `parts` servers that leave together, this is the part-th (from
 *            0): its WebSockets are closed in its share of spread_ms. parts 0
 *            means 1
 * code       for WebSockets; 0: ws_restart_code with a successor, else
 *            ws_stop_code
 * successor  another process accepts at the same listening sockets: those who
 *            wait there are left to it, and so are upgrades
 * alone      no other process accepts at inherited sockets (fd:N), or will, but
 *            others that leave together with this one: new clients are held off
 *            there, too, while those that wait are accepted
 */
typedef struct wsk_drain {
    uint32_t ms, idle_ms, spread_ms, delay_ms;
    uint32_t part, parts;
    uint16_t code;
    bool successor, alone;
} wsk_drain;

/**
 * Ask the server to leave, and lose nothing that was accepted. Does not wait;
 * async-signal-safe.
 *
 * Without a successor, the connections that wait to be accepted are accepted,
 * and further clients are refused. A connection that has sent nothing yet has
 * 1.5 s from its accept on; every request that comes is answered, with
 * Connection: close. An upgrade gets 503. WebSockets get a Close frame, at a
 * random moment of spread_ms, after the event `draining`.
 *
 * how   borrowed for the call; NULL: {WSK_AUTO_MS, ...} without delay or
 *       successor
 *
 * A second call replaces what the first has said about the rest of the way, but
 * the end never moves back; a call after the eighth stops at once.
 */
WSK_API void wsk_server_drain(wsk_server *srv, const wsk_drain *how);

/**
 * Ask the server to stop: wsk_server_drain() without a successor or a delay.
 *
 * A call after the first of either function, or drain_ms 0, stops at once.
 * drain_ms < 0 takes graceful_timeout.
 */
WSK_API void wsk_server_stop(wsk_server *srv, int drain_ms);

/** Work of a running server that a stop waits for. */
typedef struct wsk_pending {
    unsigned
        requests; /* handlers that run, or requests that wait for a thread */
    unsigned websockets; /* open WebSockets */
    unsigned others;     /* idle connections, and answers being sent */
} wsk_pending;

/** Count the pending work. Any thread, but no signal handler. */
WSK_API void wsk_server_pending(wsk_server *srv, wsk_pending *out);

/**
 * Wait for the stop to end, at most timeout_ms (< 0: without limit). Returns
 * WSK_OK when every handler has returned; WSK_E_TIMEOUT when timeout_ms is over
 * first; WSK_E_STATE when the drain is over and handlers are still running:
 * they are abandoned, and their sockets are closed.
 */
WSK_API wsk_status wsk_server_join(wsk_server *srv, int timeout_ms);

/** Open the log files again, after they were moved away. Any thread, but no
 * signal handler. Returns WSK_OK; WSK_E_SYS when one could not be opened: that
 * log goes on in its old file, and the error log says so. */
WSK_API wsk_status wsk_server_reopen_logs(wsk_server *srv);

enum { WSK_TLS_ERROR = 512 };

/**
 * Read the files of certfile, keyfile, ca_certs, crl, tls_ticket_keys and
 * keyfile_password again, and use them for new connections if they are good:
 * all of them, or none. The server does the same by itself within some seconds
 * after a file has changed. Connections keep what they began with.
 *
 * error    at least WSK_TLS_ERROR bytes, or NULL; receives a sentence that says
 *          which file is wrong, and why
 *
 * May take half a second: a certificate and a key that do not fit are read
 * again, as something may be replacing them. Any thread, but no signal handler.
 * Returns WSK_OK; WSK_E_SYS with `error`: all stays as it was, and the error
 * log says so; WSK_E_STATE: there is no TLS, or the server does not listen.
 */
WSK_API wsk_status wsk_server_reload_tls(wsk_server *srv,
                                         char error[WSK_TLS_ERROR]);

/** Let the logs go on in copies of the descriptors `access` and `error`, which
 * stay the caller's: for a program that opens the files of several processes.
 * -1 leaves a log where it is, and one that is turned off stays off. Every line
 * that is logged later goes there, until wsk_server_reopen_logs() opens a path
 * again. Any thread, but no signal handler. Returns WSK_OK; WSK_E_STATE before
 * wsk_server_listen(); WSK_E_SYS with errno when one cannot be written: it
 * goes on as before, and the error log says so. */
WSK_API wsk_status wsk_server_move_logs(wsk_server *srv, int access, int error);

/** Write one line to the error log, if `level` is at or above log_level. Never
 * blocks; control characters are escaped. An entry has at most 2 MiB in its
 * written form; a longer one ends in "...". */
WSK_API void wsk_server_log(wsk_server *srv, wsk_log_level level,
                            const char *text, size_t len);

/** Write text of the application as one entry of the error log: without a
 * level, for any log_level. Tabs and newlines stay; a line after the first that
 * begins with '[' is indented, so that only entries begin with it. The rest is
 * as with wsk_server_log(). */
WSK_API void wsk_server_log_text(wsk_server *srv, const char *text, size_t len);

/* ---------------------------------------------------- worker processes --- */

/**
 * Memory that the worker processes of one service share; each keeps its state
 * and counts in a slot of it. A parent makes the board and forks, as in
 * examples/c/prefork.c; a program that is executed opens it by its descriptor.
 *
 * Workers that share a listening socket (bind=fd:N) and a board accept by
 * count: one that has more connections than another lets the others accept
 * first. An idle worker always accepts, even if the board is wrong, so a worker
 * that is stopped, hangs or was killed delays no client.
 */
typedef struct wsk_board wsk_board;

/* clang-format off */
#define WSK_WORKER_STATE_LIST(X)                                               \
    X(FREE,     "free")     /* no process has the slot */                      \
    X(BOOT,     "boot")     /* of wsk_server_set_board() */                    \
    X(READY,    "ready")    /* serves, and accepts no connections */           \
    X(SERVING,  "serving")  /* accepts */                                      \
    X(DRAINING, "draining") /* a stop has begun */                             \
    X(GONE,     "gone")     /* the server has ended */
/* clang-format on */

typedef enum wsk_worker_state {
#define X(name, text) WSK_WORKER_##name,
    WSK_WORKER_STATE_LIST(X)
#undef X
} wsk_worker_state;

/** Return the word for a state; a static string. */
WSK_API const char *wsk_worker_state_text(wsk_worker_state state);

/** A slot of a board, at one moment. */
typedef struct wsk_worker {
    wsk_worker_state state;
    uint32_t pid; /* of the worker; 0: free */
    uint32_t generation;
    uint32_t connections; /* open */
} wsk_worker;

/** Make a board for 1 to 1000 workers: 2 * workers + 8 slots, for a replacement
 * beside each. NULL with errno. wsk_board_free() it: servers that have it keep
 * the memory as long as they need it. */
WSK_API wsk_board *wsk_board_new(unsigned workers);

/** Open the board that another process has made. The board owns fd, which
 * becomes close-on-exec. NULL with errno, and fd is still the caller's;
 * EBADMSG: it is no board, or one of another version of this library. */
WSK_API wsk_board *wsk_board_open(int fd);

WSK_API void wsk_board_free(wsk_board *board); /* NULL: does nothing */

/** Return the descriptor, which is close-on-exec; owned by the board. */
WSK_API int wsk_board_fd(const wsk_board *board);

/** Return what wsk_board_new() was given, and the number of slots. */
WSK_API unsigned wsk_board_workers(const wsk_board *board);
WSK_API unsigned wsk_board_slots(const wsk_board *board);

/** Read a slot, from 0. Returns WSK_OK; WSK_E_ARG (there is no such slot). */
WSK_API wsk_status wsk_board_look(const wsk_board *board, unsigned slot,
                                  wsk_worker *out);

/** Free the slot of a worker that has ended and been waited for: its counters
 * are added to those of the dead, and wsk_board_take_first() can succeed for
 * another. Only the parent, in one thread. Returns WSK_OK; WSK_E_ARG. */
WSK_API wsk_status wsk_board_clear(wsk_board *board, unsigned slot);

/**
 * Count what a parent does, for the metrics: "worker_starts" and "worker_exits"
 * by their reason ("start", "reload", "requests", "memory", "age", "crash",
 * "hung", "oom", "stop" or "more"), "reloads" by their result ("done" or
 * "failed"). Only the parent, in the thread that clears slots. Returns WSK_OK;
 * WSK_E_ARG (no such counter).
 */
WSK_API wsk_status wsk_board_count(wsk_board *board, const char *what,
                                   const char *why);

/**
 * Set a value of a parent's own, for the metrics: "generation", or
 * "last_reload_success_timestamp_seconds" (since 1970). The page leaves out
 * what is 0. Only the parent. Returns WSK_OK; WSK_E_ARG (no such value).
 */
WSK_API wsk_status wsk_board_set(wsk_board *board, const char *what,
                                 uint64_t value);

/** Return true if the worker in `slot` is the first one, which it becomes if
 * there is none, and stays until wsk_board_clear(). So work that only one
 * process must do has one, such as a scheduler. Any thread. */
WSK_API bool wsk_board_take_first(wsk_board *board, unsigned slot);

/** Give a server a slot, before the start, in the process that has made it and
 * will run it. It then starts without accepting: see wsk_server_accept().
 * `generation` is the parent's to choose. Returns WSK_OK; WSK_E_ARG (no such
 * slot); WSK_E_STATE (a process has it, or the server has one or has started).
 */
WSK_API wsk_status wsk_server_set_board(wsk_server *srv, wsk_board *board,
                                        unsigned slot, uint32_t generation);

/** Set the number of this worker among those of a service, from 1, before the
 * start: %{worker} of the access log, and a label of metrics. Lines of a worker
 * are made so that other processes may write to the same logs. 0, the default:
 * it is alone. */
WSK_API void wsk_server_set_worker(wsk_server *srv, unsigned number);

/**
 * Begin to accept connections, or cease; those that are open go on, and the
 * listening sockets stay open. Without a call a server accepts from its start
 * on, unless it has a board. One that accepts already looks at its sockets
 * again: tell the other workers so when one has died, which may have been woken
 * for a connection. Does not wait. Any thread; async-signal-safe.
 *
 * Returns WSK_OK; WSK_E_STATE (a forked child of the process that runs it).
 */
WSK_API wsk_status wsk_server_accept(wsk_server *srv, bool accept);

/** Serve a connection that the server has not accepted, such as one end of a
 * socketpair(). Once the server stops it is closed without an answer. Any
 * thread. Returns WSK_OK, and fd is the server's; WSK_E_ARG (no connected
 * stream socket); WSK_E_STATE (the server has not started); WSK_E_NOMEM. */
WSK_API wsk_status wsk_server_adopt(wsk_server *srv, int fd);

/** Return the number of CPUs that this process may use, at least 1: those it is
 * bound to, or as many as the quota of its control groups pays for, rounded up,
 * if that is less. */
WSK_API unsigned wsk_cpus(void);

/* ----------------------------------------------------------- answering --- */

/** Return the request's head; valid until the handler returns. */
WSK_API const wsk_head *wsk_request_head(const wsk_request *req);

/** Return the server that runs the handler. */
WSK_API wsk_server *wsk_request_server(const wsk_request *req);

/** Return the option ws_subprotocols, for wsk_ws_choose(); may be NULL. */
WSK_API const char *wsk_request_subprotocols(const wsk_request *req);

/** Return the numeric address of the peer ("127.0.0.1", "::1"; "" for Unix
 * sockets; "unknown" where a trusted proxy names its client by no address) and
 * its port; wsk_request_local() those of our end. Valid until the handler
 * returns. */
WSK_API const char *wsk_request_peer(const wsk_request *req, uint16_t *port);
WSK_API const char *wsk_request_local(const wsk_request *req, uint16_t *port);

/** Return the scheme by which the client came, as far as trusted proxies tell:
 * "http" or "https"; wsk_request_prefix() the beginning of the path that they
 * removed, followed by the option script_name: "" or "/app". The client's
 * address and the host it asked for (head->host, and the Host field) come from
 * them, too. Valid until the handler returns. */
WSK_API const char *wsk_request_scheme(const wsk_request *req);
WSK_API const char *wsk_request_prefix(const wsk_request *req);

/** The facts of a connection with TLS. */
typedef struct wsk_tls_info {
    const char *version; /* "TLSv1.2", "TLSv1.3" */
    const char *cipher;  /* "TLS_AES_256_GCM_SHA384" */
    const char *sni;     /* host that the client asked for, in lower case; "":
                            none */
    bool resumed;        /* from a ticket, without a full handshake */
    wsk_str certificate; /* DER of the client's certificate, which was verified;
                            empty if it has shown none */
} wsk_tls_info;

/** Write the facts of TLS about the request's connection; false, and *info is
 * unchanged, if it has none (a proxy may have). Valid until the handler
 * returns. */
WSK_API bool wsk_request_tls(const wsk_request *req, wsk_tls_info *info);

/** Return the same as *n variables with the names of mod_ssl: HTTPS,
 * SSL_PROTOCOL, SSL_CLIENT_S_DN and the like. NULL, and *n is 0, without TLS.
 * Valid until the handler returns. */
WSK_API const wsk_header *wsk_request_tls_variables(const wsk_request *req,
                                                    size_t *n);

/**
 * Read body bytes. Never waits for the peer, but for the disk where the body is
 * complete and wsk_request_body() does not have it: leave the interpreter then.
 *
 * *got   bytes copied, 0 at the end of the body
 *
 * Returns WSK_OK; WSK_E_AGAIN (none yet: wsk_request_wait()); WSK_E_CUT (the
 * body is malformed or the client is gone; a 400 follows); WSK_E_SYS (the
 * temporary file of a long body cannot be read).
 */
WSK_API wsk_status wsk_request_read(wsk_request *req, void *data, size_t cap,
                                    size_t *got);

/** Read on from byte `pos` of the body, or from its end if it is shorter.
 * Returns WSK_OK; WSK_E_STATE, and nothing has moved, when the body was not
 * complete before it was first read, or the request is answered. */
WSK_API wsk_status wsk_request_seek(wsk_request *req, uint64_t pos);

/** Return the length of the body; WSK_LENGTH_UNKNOWN while some is still to
 * come. */
WSK_API uint64_t wsk_request_body_length(const wsk_request *req);

/** Return the whole body without a copy, when it is in memory and nothing of
 * it was read: true, with *data valid until the handler returns. */
WSK_API bool wsk_request_body(wsk_request *req, const uint8_t **data,
                              size_t *len);

/**
 * Return true when the client no longer waits for the answer: it has closed the
 * connection or its own half of it, was reset, or was told that the handler
 * takes too long; a WebSocket has ended. Never waits. Any thread, until the
 * handler returns. A client that sends a half-close and still reads (RFC 9112
 * 9.6) is rare, and cannot be told from one that has left.
 */
WSK_API bool wsk_request_is_gone(const wsk_request *req);

/** Block until wsk_request_read() has data, an end or an error. Sends the
 * client its 100 (Continue) first. Another handler may run meanwhile; this one
 * returns when one of `threads` is free. Call it with the interpreter left.
 * Returns WSK_OK, WSK_E_CUT. */
WSK_API wsk_status wsk_request_wait(wsk_request *req);

/** Send a 103 (Early Hints) now. Parameters and returns as of
 * wsk_http_send_hints(), and WSK_E_CLOSED. */
WSK_API wsk_status wsk_request_hints(wsk_request *req,
                                     const wsk_header *headers, size_t n);

/** Begin the answer. Parameters and returns as of wsk_http_send_head().
 * Nothing is sent before the first body byte, a flush or the end. */
WSK_API wsk_status wsk_request_start(wsk_request *req, int status,
                                     const char *reason,
                                     const wsk_header *headers, size_t n,
                                     uint64_t length);

/** Write body bytes of the answer, all of them; never blocks. Returns
 * WSK_E_CLOSED when the client is gone; else as wsk_http_send_body() does. */
WSK_API wsk_status wsk_request_write(wsk_request *req, const void *data,
                                     size_t len);

/**
 * Write body bytes of the answer without a copy: they must not change until
 * release(user), which is called exactly once, when they have been sent or
 * never will be: by this thread at its next lend or when the handler returns,
 * or by another, between the hooks enter() and leave(), when the handler has
 * long returned. A slow reader occupies no thread. Nothing is sent before a
 * flush or the end. Call it inside the hooks.
 *
 * len  may be 0: then release(user) tells when all that was written before has
 *      been sent
 *
 * Returns WSK_OK; otherwise nothing was lent, and release is not called:
 * WSK_E_NOMEM (the answer is cut), WSK_E_STATE, WSK_E_CLOSED.
 */
WSK_API wsk_status wsk_request_lend(wsk_request *req, const void *data,
                                    size_t len, void (*release)(void *user),
                                    void *user);

/**
 * Write body bytes of the answer from a file, behind those written before:
 * `length` from `offset` on. The server sends the rest that the client does not
 * take at once after the handler has returned; a slow reader occupies no
 * thread. May wait for the disk: call it with the interpreter left.
 *
 * fd  a regular file, open for reading; stays the caller's, who may close it as
 *     soon as this returns (a duplicate is kept while it is needed). Its own
 *     position is neither used nor moved
 *
 * A small piece is read at once, and sent in one packet with the head. For
 * HEAD, 204 and 304 nothing is read; bytes past the announced length are
 * dropped.
 *
 * Returns WSK_OK; WSK_E_SYS with errno (the file cannot be read, or is shorter:
 * EIO), WSK_E_NOMEM: the answer is cut, as by wsk_request_abort(), and so it is
 * when the file becomes shorter later; WSK_E_ARG (past 2^63, nothing sent);
 * WSK_E_STATE; WSK_E_CLOSED.
 */
WSK_API wsk_status wsk_request_send_file(wsk_request *req, int fd,
                                         uint64_t offset, uint64_t length);

/** Send now all that was written. Returns WSK_OK; WSK_E_AGAIN when so much
 * waits for a slow reader that the caller should call wsk_request_drain();
 * WSK_E_CLOSED. */
WSK_API wsk_status wsk_request_flush(wsk_request *req);

/** Block until little waits to be sent. Call it with the interpreter left.
 * Returns WSK_OK, WSK_E_CLOSED. */
WSK_API wsk_status wsk_request_drain(wsk_request *req);

/** End the answer. Returns as wsk_http_send_end() does. When a handler
 * returns, the server does this for it. */
WSK_API wsk_status wsk_request_finish(wsk_request *req);

/** Cut the answer so that the client sees that it is incomplete, and close. */
WSK_API void wsk_request_abort(wsk_request *req);

/** Return true once the head of the answer can no longer be changed: it has
 * been sent, or waits to be. */
WSK_API bool wsk_request_head_sent(const wsk_request *req);

/** Start, write and finish an answer in one call. */
WSK_API wsk_status wsk_request_respond(wsk_request *req, int status,
                                       const wsk_header *headers, size_t n,
                                       const void *body, size_t len);

/**
 * Detach the connection of a WebSocket handshake from the server: the handler
 * speaks on it itself, and sends the 101. The server treats the request as
 * answered, frees the handler's place of `threads`, and closes the connection
 * when it returns. A stop ends the handler's input at once, and the connection
 * at the end of graceful_timeout.
 *
 * *fd         the connection, blocking; the caller's to close
 * *data, *len bytes that came behind the head; valid until the handler returns
 *
 * Returns WSK_OK; WSK_E_STATE (no handshake, or answered already); WSK_E_SYS.
 */
WSK_API wsk_status wsk_request_detach(wsk_request *req, int *fd,
                                      const uint8_t **data, size_t *len);

/**
 * Answer a WebSocket handshake with 101.
 *
 * protocol  the chosen subprotocol, NUL-terminated; NULL for none
 * headers   more fields for the 101
 * *conn     the WebSocket; owned by the request. wsk_conn_ref() to keep it
 *
 * Returns WSK_OK; WSK_E_STATE (no handshake, or answered already); WSK_E_ARG (a
 * protocol that was not offered, an illegal header); WSK_E_NOMEM; WSK_E_CLOSED.
 * A malformed handshake reaches no handler: the server answers it itself.
 */
WSK_API wsk_status wsk_request_upgrade(wsk_request *req, const char *protocol,
                                       const wsk_header *headers, size_t n,
                                       wsk_conn **conn);

/* ---------------------------------------------------------- WebSockets --- */

/** A message, owned by its receiver: free it with wsk_message_free(). */
typedef struct wsk_message {
    wsk_opcode opcode; /* WSK_TEXT or WSK_BINARY; WSK_PING, WSK_PONG */
    const uint8_t *data;
    size_t len;
    void *block; /* private */
    bool more;   /* the message goes on; see wsk_conn_receive_piece() */
    bool
        masked; /* only for wsk_conn_receive_masked(): see wsk_message_copy() */
    uint8_t key[4]; /* private */
} wsk_message;

WSK_API void wsk_message_free(wsk_message *msg);

/**
 * Copy a message's msg->len bytes to `to`, and unmask them if they are masked.
 * Returns true when all of them are ASCII.
 *
 * A masked message still lies where it was received, and its text has not been
 * validated: wsk_conn_receive_masked() is for callers that copy the bytes
 * anyway, and validate while they do. If the text is no UTF-8, call
 * wsk_conn_bad_text().
 */
WSK_API bool wsk_message_copy(const wsk_message *msg, void *to);

/** How a WebSocket ended: the peer's Close (RFC 6455 7.1.5), and ours. If
 * `failed` is set, this side failed the connection (7.1.7) for the reason that
 * it sent; then `code` is 1006. */
typedef struct wsk_close_info {
    uint16_t code; /* 1005: no code, 1006: no Close frame */
    bool clean;    /* both Close frames were exchanged */
    uint8_t len;
    char reason[123];   /* UTF-8, `len` bytes */
    uint16_t sent_code; /* 1005: no code, 0: no Close frame of ours */
    bool failed;
    uint8_t sent_len;
    char sent_reason[123]; /* UTF-8, `sent_len` bytes */
    const char *option; /* option whose limit was hit: "ws_max_size"; or NULL */
} wsk_close_info;

WSK_API wsk_conn *wsk_conn_ref(wsk_conn *conn); /* returns conn */
WSK_API void wsk_conn_unref(wsk_conn *conn);

/** Return the head of the opening handshake, read again from the bytes that
 * are kept of it: free it with wsk_free(), before the reference to the
 * connection is given up. NULL when memory is out. */
WSK_API wsk_head *wsk_conn_head(const wsk_conn *conn);

/** Return the numeric addresses of wsk_request_peer() and wsk_request_local();
 * valid while the connection is referenced. */
WSK_API const char *wsk_conn_peer(const wsk_conn *conn, uint16_t *port);
WSK_API const char *wsk_conn_local(const wsk_conn *conn, uint16_t *port);

/** Return the scheme (static) and the prefix of the opening handshake, as of
 * wsk_request_scheme() and wsk_request_prefix(); valid while the connection is
 * referenced. */
WSK_API const char *wsk_conn_scheme(const wsk_conn *conn);
WSK_API const char *wsk_conn_prefix(const wsk_conn *conn);

/** Write the facts of TLS about the connection, as wsk_request_tls() and
 * wsk_request_tls_variables() do; valid while it is referenced. */
WSK_API bool wsk_conn_tls(const wsk_conn *conn, wsk_tls_info *info);
WSK_API const wsk_header *wsk_conn_tls_variables(const wsk_conn *conn,
                                                 size_t *n);

/** Return the chosen subprotocol, or NULL; valid while the connection is
 * referenced. */
WSK_API const char *wsk_conn_protocol(const wsk_conn *conn);

/** Return true when compression was agreed in the handshake. */
WSK_API bool wsk_conn_deflates(const wsk_conn *conn);

/** Measure the round trip of the last of our pings that was answered, of the
 * server or the application, in microseconds. Returns false when there is none
 * yet. */
WSK_API bool wsk_conn_latency(const wsk_conn *conn, uint32_t *us);

/**
 * Choose if pings and pongs of the peer are reported to the application: as
 * events, or by wsk_conn_receive() with the opcode WSK_PING or WSK_PONG. They
 * are not, until wsk_conn_attach() is given a ping or a pong. Pings are
 * answered in any case. At most 16 wait; further ones are not reported.
 */
WSK_API void wsk_conn_hear_pings(wsk_conn *conn, bool hear);

/**
 * Wait for a message; only in the handler's own thread or one that holds a
 * reference, one thread at a time. Call it with the interpreter left, unless
 * timeout_ms is 0.
 *
 * timeout_ms  < 0: without limit; 0: only a message that is there
 *
 * Returns WSK_OK; WSK_E_TIMEOUT; WSK_E_CLOSED (wsk_conn_closed() says how);
 * WSK_E_STATE (another thread receives, or it is attached to events);
 * WSK_E_NOMEM.
 */
WSK_API wsk_status wsk_conn_receive(wsk_conn *conn, int timeout_ms,
                                    wsk_message *msg);

/** The same, but the message may come masked: it is not owned then, and is
 * valid until this thread receives again or its handler returns. */
WSK_API wsk_status wsk_conn_receive_masked(wsk_conn *conn, int timeout_ms,
                                           wsk_message *msg);

/**
 * The same, if a whole message is there. It never waits, not even for a
 * thread's turn, so the interpreter need not be left.
 *
 * Returns WSK_OK; WSK_E_AGAIN (call wsk_conn_receive_masked() to find out
 * more).
 */
WSK_API wsk_status wsk_conn_receive_ready(wsk_conn *conn, wsk_message *msg);

/** Return true when more has arrived than was received so far. */
WSK_API bool wsk_conn_has_more(const wsk_conn *conn);

/**
 * Wait for a piece of a message, as wsk_conn_receive() does for a whole one;
 * msg->more says that others follow. Text is cut between code points, and a
 * piece may be empty. ws_max_size does not limit the length of the message,
 * because it is not buffered. Until its last piece wsk_conn_receive() returns
 * WSK_E_STATE.
 */
WSK_API wsk_status wsk_conn_receive_piece(wsk_conn *conn, int timeout_ms,
                                          wsk_message *msg);

/** Fail the connection with 1007 (RFC 6455 8.1): a text that came masked is
 * not UTF-8. */
WSK_API void wsk_conn_bad_text(wsk_conn *conn);

/** Send a message. Any thread; never blocks. Text is checked for UTF-8 unless
 * `valid`. Returns WSK_OK; WSK_E_CLOSED; WSK_E_NOMEM; WSK_E_ARG (not UTF-8);
 * WSK_E_AGAIN (more than ws_send_max would wait to be sent, and ws_send_policy
 * dropped it). */
WSK_API wsk_status wsk_conn_send(wsk_conn *conn, wsk_opcode opcode,
                                 const void *data, size_t len, bool valid);

/** The same with a set of WSK_SEND_... flags. */
WSK_API wsk_status wsk_conn_send_with(wsk_conn *conn, wsk_opcode opcode,
                                      const void *data, size_t len,
                                      unsigned flags);

/** Send the first piece of a message, as wsk_ws_send_first() does; send the
 * others with wsk_conn_send_frame(). Text is not checked. */
WSK_API wsk_status wsk_conn_send_first(wsk_conn *conn, wsk_opcode opcode,
                                       const void *data, size_t len,
                                       unsigned flags);

/** Send one frame. Parameters and returns as of wsk_ws_send_frame(). */
WSK_API wsk_status wsk_conn_send_frame(wsk_conn *conn, wsk_opcode opcode,
                                       bool fin, const void *data, size_t len);

/** Begin the closing handshake, which the server completes; does not wait.
 * Returns as wsk_ws_send_close() does. */
WSK_API wsk_status wsk_conn_close(wsk_conn *conn, uint16_t code,
                                  const void *reason, size_t len);

/** Return the bytes that wait to be sent; wsk_conn_is_full() true if they are
 * more than ws_send_limit, or too many for memory_limit: then call
 * wsk_conn_drain() where blocking is possible; handlers of events are told by
 * `drain` when that has passed. */
WSK_API size_t wsk_conn_buffered(const wsk_conn *conn);
WSK_API bool wsk_conn_is_full(const wsk_conn *conn);

/** Block until little is buffered. Call it with the interpreter left. Returns
 * WSK_OK, WSK_E_TIMEOUT, WSK_E_CLOSED. */
WSK_API wsk_status wsk_conn_drain(wsk_conn *conn, int timeout_ms);

/** Return true once no more messages will come; then *info (may be NULL) is
 * set. */
WSK_API bool wsk_conn_closed(const wsk_conn *conn, wsk_close_info *info);

/** Return true while messages may be sent. */
WSK_API bool wsk_conn_can_send(const wsk_conn *conn);

/** Return true once the server leaves, see wsk_server_drain(): a Close frame
 * will follow soon. Any thread. */
WSK_API bool wsk_conn_draining(const wsk_conn *conn);

/**
 * Events instead of a waiting thread. For each connection they come one at a
 * time and in order: connect once, messages, close exactly once and last; after
 * that the server no longer uses `user`. All but close may be NULL. Callbacks
 * may block: other connections go on.
 *
 * drain comes among them, once, when no more than ws_send_limit waits again
 * after more did or wsk_conn_is_full() was true: a program that paused sending
 * goes on there. After a message was dropped it comes when the queue is empty.
 * It never comes once no more can be sent.
 *
 * draining comes among them, once, when the server leaves, before the Close
 * frame that ends the WebSocket: what it sends still reaches the peer, if it
 * returns within a second.
 */
typedef struct wsk_ws_handlers {
    void (*connect)(wsk_conn *conn, void *user);
    void (*message)(wsk_conn *conn, const wsk_message *msg, void *user);
    void (*ping)(wsk_conn *conn, const wsk_message *msg, void *user);
    void (*pong)(wsk_conn *conn, const wsk_message *msg, void *user);
    void (*drain)(wsk_conn *conn, void *user);
    void (*draining)(wsk_conn *conn, void *user);
    void (*close)(wsk_conn *conn, const wsk_close_info *info, void *user);
    bool masked; /* message may get them masked */
} wsk_ws_handlers;

/** Attach an upgraded connection to events; `handlers` is borrowed for the
 * life of the server. Returns WSK_OK; WSK_E_STATE (attached already). */
WSK_API wsk_status wsk_conn_attach(wsk_conn *conn,
                                   const wsk_ws_handlers *handlers, void *user);

/* -------------------------------------------------------------- topics --- */

/**
 * The topics of a process: what is published to one reaches the WebSockets that
 * have subscribed to it. Several servers may share one. Any thread may call any
 * function, without a loop and with or without the interpreter; none but
 * wsk_topics_publish() and wsk_listener_next() waits.
 *
 * All subscribers of a topic see one order, which agrees with that of each
 * publishing thread, over several topics, too. Each gets a publication once, if
 * it stays connected and does not lag: topic_backlog bytes of each topic are
 * kept for those that read slowly, and then the policy decides. What one thread
 * does to one WebSocket (publish, send, subscribe, unsubscribe, close) is seen
 * in that order. In a forked child nothing is reached.
 */
typedef struct wsk_topics wsk_topics;

/** Return true if a topic may have that name: 1 to 200 octets of UTF-8 without
 * control characters. */
WSK_API bool wsk_topic_is_valid(const char *name, size_t len);

/** Make one; NULL when memory is out. A server that was given none makes its
 * own. */
WSK_API wsk_topics *wsk_topics_new(void);
WSK_API wsk_topics *wsk_topics_ref(wsk_topics *topics); /* returns topics */
WSK_API void wsk_topics_unref(wsk_topics *topics);      /* NULL is legal */

/** Let a server use these topics; it takes a reference. Returns WSK_OK;
 * WSK_E_STATE once it has started. */
WSK_API wsk_status wsk_server_set_topics(wsk_server *srv, wsk_topics *topics);

/** Return a server's topics, without a reference; NULL before
 * wsk_server_listen(), if none were set. */
WSK_API wsk_topics *wsk_server_topics(const wsk_server *srv);

/**
 * Let a WebSocket get what is published to a topic from now on. Twice is once,
 * and changes the policy.
 *
 * topic, len  1 to 200 octets of UTF-8 without control characters; copied
 *
 * Returns WSK_OK; WSK_E_ARG (the name); WSK_E_CLOSED; WSK_E_AGAIN (it has as
 * many as topics_max); WSK_E_NOMEM (or the logs of all topics have a quarter of
 * memory_limit); WSK_E_STATE (a WebSocket that no server of
 * ours serves). Without WSK_OK nothing has changed.
 */
WSK_API wsk_status wsk_conn_subscribe(wsk_conn *conn, const char *topic,
                                      size_t len, wsk_topic_policy policy);

/**
 * Let the WebSocket that a handshake becomes have a topic before its 101
 * leaves, so that its client gets what is published once it is connected. Call
 * wsk_request_upgrade() next, for which `topic` is borrowed, and then
 * wsk_conn_subscribe(), which tells of errors. Length 0 takes that back.
 */
WSK_API void wsk_request_subscribe(wsk_request *req, const char *topic,
                                   size_t len, wsk_topic_policy policy);

/** End that. What was published before leaves first, as far as the peer takes
 * it now; nothing of the topic follows. False: it had not subscribed. */
WSK_API bool wsk_conn_unsubscribe(wsk_conn *conn, const char *topic,
                                  size_t len);

/** Copy the names of a WebSocket's topics, the newest first: *n texts, each
 * with a NUL behind it, in a block for wsk_free(), or NULL if there are none.
 * Returns WSK_OK or WSK_E_NOMEM. */
WSK_API wsk_status wsk_conn_topics(wsk_conn *conn, char **names, size_t *n);

/**
 * Publish a message to one or several topics. A WebSocket in more than one of
 * them gets one copy.
 *
 * opcode  WSK_TEXT or WSK_BINARY
 * flags   WSK_SEND_VALID, WSK_SEND_PLAIN; or 0
 * except  a WebSocket that gets no copy; or NULL
 *
 * The calling thread sends to at most 64 subscribers; those of a larger topic
 * are another thread's. Waits while that thread is more than half of
 * topic_backlog behind, and never for a subscriber. Call it with the
 * interpreter left.
 *
 * Returns WSK_OK, even if there is no subscriber; WSK_E_ARG (a name, the
 * opcode, text that is not UTF-8, more than topic_message_max bytes);
 * WSK_E_AGAIN (the broker is down; a process without one publishes by a process
 * of its bus that has one, and gets this if none of these is up); WSK_E_NOMEM
 * (it was not sent to all); WSK_E_CLOSED (in a forked child).
 */
WSK_API wsk_status wsk_topics_publish(wsk_topics *topics, const wsk_str *names,
                                      size_t n, wsk_opcode opcode,
                                      const void *data, size_t len,
                                      unsigned flags, const wsk_conn *except);

/** Return how many subscribers a topic has. */
WSK_API size_t wsk_topics_count(wsk_topics *topics, const char *topic,
                                size_t len);

/** Close all WebSockets that have subscribed to a topic, as wsk_conn_close()
 * does. Returns WSK_OK; WSK_E_ARG (name, code or reason); WSK_E_AGAIN (only
 * those in reach); WSK_E_CLOSED (in a forked child). */
WSK_API wsk_status wsk_topics_disconnect(wsk_topics *topics, const char *topic,
                                         size_t len, uint16_t code,
                                         const char *reason, size_t reason_len);

/** Numbers of a process: some of now, the others since the start. */
typedef struct wsk_topic_stats {
    /* Now: topics and their subscriptions; bytes that wait in logs; topics
     * whose subscribers are so many that they wait for a thread. */
    uint64_t topics, subscriptions, bytes, queued;

    /* `owed` are copies for subscribers: each was `passed` (sent, or not
     * because the subscriber is excluded or gets it by another topic),
     * `dropped` by its policy, `unread` when the subscriber left, or still
     * waits. */
    uint64_t published, owed, passed, sent, dropped, unread;

    /* Calls of wsk_topics_publish(), and those that returned WSK_E_AGAIN or
     * WSK_E_NOMEM; publications of other processes; gaps that were told. */
    uint64_t own, failed, others, gaps;

    /* Now: peers of the bus, and bytes that wait for them; 1 if the broker is
     * up or down, both 0 without one; bytes that wait for it. Since the start:
     * how often it was lost. */
    uint64_t bus_peers, bus_bytes;
    uint64_t broker_up, broker_down, broker_bytes, broker_outages;
} wsk_topic_stats;

WSK_API void wsk_topics_stats(wsk_topics *topics, wsk_topic_stats *out);

/** Return true if a call may have to wait for a broker: then leave the
 * interpreter before. */
WSK_API bool wsk_topics_may_wait(const wsk_topics *topics);

/** Join the processes that share a private folder (this user's, mode 0700; made
 * if there is none): they get what is published here, and we theirs. A server
 * does so as its option bus says. WSK_OK; WSK_E_SYS, and `error` tells why. */
WSK_API wsk_status wsk_topics_join(wsk_topics *topics, const char *folder,
                                   char *error, size_t cap);

/** Hold the folder of a bus, so that no other process removes it as one that
 * was left behind: for supervisors. With "" in `path`, which has room for `cap`
 * bytes, 67 suffice, make one there, after those that were left behind are
 * removed. WSK_OK and a descriptor, which is open for as long as that holds;
 * WSK_E_SYS, and `error` tells why. */
WSK_API wsk_status wsk_bus_hold(char *path, size_t cap, int *fd, char *error,
                                size_t error_cap);

/** Let publications go by the broker that the options name, if any. A server
 * does so as it starts. WSK_OK, also while it cannot be reached; WSK_E_SYS with
 * errno: it refuses us, or the topics have another broker, and `error` (768
 * bytes) tells why. */
WSK_API wsk_status wsk_topics_open_broker(wsk_topics *topics,
                                          const wsk_server_config *cfg,
                                          char *error, size_t cap);

/** Leave before the process ends: what waits is sent, within 2 seconds. */
WSK_API void wsk_topics_leave(wsk_topics *topics);

/** Return the folder of the bus ("" until it is joined; in a forked child the
 * parent's). */
WSK_API const char *wsk_topics_folder(const wsk_topics *topics);

/** Copy the names of all topics, as wsk_conn_topics() does. */
WSK_API wsk_status wsk_topics_names(wsk_topics *t, char **names, size_t *n);

/** Have a function called, or NULL, when publications of other processes may
 * have been missed, to n topics (0: to any), whose names are borrowed: by a
 * thread that must neither wait nor use the topics. */
typedef void wsk_gap(wsk_topics *topics, const wsk_str *names, size_t n,
                     void *user);
WSK_API void wsk_topics_on_gap(wsk_topics *topics, wsk_gap *on_gap, void *user);

/** A subscriber without a WebSocket: one thread at a time waits for what is
 * published. */
typedef struct wsk_listener wsk_listener;

/** Make one that gets what is published to the topics from now on. Returns
 * WSK_OK with *out; WSK_E_ARG (a name); WSK_E_NOMEM; WSK_E_CLOSED (in a forked
 * child); WSK_E_AGAIN (processes of the bus have a broker, and this one has
 * not: wsk_topics_open_broker()). */
WSK_API wsk_status wsk_topics_listen(wsk_topics *topics, const wsk_str *names,
                                     size_t n, wsk_listener **out);

/**
 * Wait for the next message; msg->block is the caller's, for
 * wsk_message_free(). A handler that waits here gives its place among `threads`
 * away, as in wsk_conn_receive(). Call it with the interpreter left.
 *
 * timeout_ms  0: do not wait; negative: for ever
 *
 * Returns WSK_OK; WSK_E_TIMEOUT; WSK_E_AGAIN (it has lagged, and messages are
 * gone: once, then it goes on with the oldest that is kept); WSK_E_NOMEM;
 * WSK_E_CLOSED (wsk_listener_close() was called).
 */
WSK_API wsk_status wsk_listener_next(wsk_listener *listener, int timeout_ms,
                                     wsk_message *msg);

/** Leave the topics, and let wsk_listener_next() return WSK_E_CLOSED. Any
 * thread. */
WSK_API void wsk_listener_close(wsk_listener *listener);

/** Close and free it; NULL is legal. */
WSK_API void wsk_listener_free(wsk_listener *listener);

/* ------------------------------------------------ WebSockets elsewhere --- */

/**
 * Transport of a WebSocket that no wsk_server serves: over the socket of
 * another server, or a client's. One thread at a time calls recv, one send;
 * none with a lock held, so a call may run an interpreter. Each may return
 * WSK_E_AGAIN when it was interrupted: the function that called it then returns
 * that, too.
 *
 * recv      wait for at most timeout_ms (< 0: without limit). WSK_OK and *got,
 *           0 at the end of the peer's bytes; WSK_E_TIMEOUT; WSK_E_CLOSED
 * send      write some bytes: WSK_OK and *sent; WSK_E_TIMEOUT when none could
 *           be written for timeout_ms; WSK_E_CLOSED
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

/** Return the transport of a stream socket; its `io` is made here, and owns
 * `fd`. NULL when memory is out: then `fd` is still the caller's. */
WSK_API const wsk_transport *wsk_transport_fd(int fd, void **io);

/** A client of TLS. Borrowed for the call; NULL: not given. */
typedef struct wsk_tls_client {
    const char *server_hostname; /* for which the server's certificate must be
                                    valid: a name, or an address. Required */
    const char *ca_certs; /* authorities to trust, PEM; NULL: the system's */
    const char *certfile; /* certificate of the client with its chain, PEM */
    const char *keyfile;  /* NULL: the key stands in certfile */
} wsk_tls_client;

enum { WSK_TLS_ERROR_LEN = 480 }; /* size of a sentence with its NUL */

/**
 * Shake hands as a client for at most timeout_ms (< 0: without limit), and
 * return the transport over TLS; its `io` owns `fd`, which a poll() must not
 * wait for: bytes may be inside. NULL with a sentence in `error`, such as why
 * the server is not trusted: then `fd` is still the caller's.
 */
WSK_API const wsk_transport *wsk_transport_tls(int fd,
                                               const wsk_tls_client *how,
                                               int timeout_ms, void **io,
                                               char error[WSK_TLS_ERROR_LEN]);

/** An opening handshake that another server has received. */
typedef struct wsk_adoption {
    const wsk_transport *transport; /* valid as long as the connection */
    void *io;
    const char *head; /* the request's head, its empty line included */
    size_t head_len;
    const void *early; /* bytes that were received behind it */
    size_t early_len;
    const char *peer, *local; /* addresses, may be "" */
    uint16_t peer_port, local_port;
    bool https; /* the client is known to have come by https; see ws_origins */
    const wsk_server_config
        *config; /* the ws_ options; valid as long as the connection */
} wsk_adoption;

/**
 * Make a request for wsk_request_head(), wsk_request_subprotocols() and
 * wsk_request_upgrade() alone, which writes the 101. Then wsk_conn_*() work as
 * with a server's, with two differences: a send waits until its bytes have been
 * written, and pings, deadlines and the closing handshake are handled only
 * while a thread is inside wsk_conn_receive() or wsk_conn_finish().
 *
 * *verdict  the answer to send when the handshake is refused
 *
 * Returns WSK_OK: *req owns how->io and is freed by wsk_request_disown().
 * WSK_E_ARG: refused. WSK_E_NOMEM.
 */
WSK_API wsk_status wsk_request_adopt(const wsk_adoption *how, wsk_request **req,
                                     wsk_ws_verdict *verdict);
WSK_API void wsk_request_disown(wsk_request *req);

/**
 * The same for a client whose handshake wsk_ws_read_answer() has accepted.
 * how->head is the request's, how->early has the bytes behind the answer.
 *
 * seed   as for wsk_ws_new_client()
 * *conn  a reference, which owns how->io
 *
 * Returns WSK_OK, WSK_E_NOMEM.
 */
WSK_API wsk_status wsk_conn_adopt_client(const wsk_adoption *how,
                                         const wsk_ws_answer *answer,
                                         const uint8_t seed[WSK_WS_SEED_LEN],
                                         wsk_conn **conn);

/**
 * End such a WebSocket: complete the closing handshake, with 1000 if it was not
 * begun, and shut the transport down; `at_once` without the handshake. Returns
 * WSK_OK, also when it was finished before; WSK_E_AGAIN when interrupted: call
 * again; WSK_E_STATE (a server's, or another thread receives).
 */
WSK_API wsk_status wsk_conn_finish(wsk_conn *conn, bool at_once);

/* --------------------------------------------------------------- routes --- */

/** A table from paths to handlers: make it first, then give wsk_router_handler
 * and the router to wsk_server_new(). */
typedef struct wsk_router wsk_router;

WSK_API wsk_router *wsk_router_new(void);         /* NULL when memory is out */
WSK_API void wsk_router_free(wsk_router *router); /* after its server */

/**
 * Answer requests for `path` (NUL-terminated, copied): an exact path, or one
 * that ends in '*' for every path with that beginning; percent-decoded. An
 * exact path wins over a '*', a longer '*' over a shorter; a second handler for
 * the same path replaces the first. Unknown paths are answered 404. Returns
 * WSK_OK, WSK_E_NOMEM, WSK_E_ARG (a path must begin with '/').
 */
WSK_API wsk_status wsk_route(wsk_router *router, const char *path,
                             wsk_handler *handler, void *user);

/** Accept WebSockets at `path`, with events. Plain requests for it go to the
 * handler of wsk_route(), if there is one, else they get 426. Returns as
 * wsk_route() does. */
WSK_API wsk_status wsk_route_ws(wsk_router *router, const char *path,
                                const wsk_ws_handlers *handlers, void *user);

/** The wsk_handler of a router; `router` is its user pointer. */
WSK_API void wsk_router_handler(wsk_request *req, void *router);

#ifdef __cplusplus
}
#endif

#endif /* WSOCKET_H */
