/* net/handle/handshake: what is agreed in an opening handshake, and what is
 * kept of it. */
#ifndef WSK_NET_HANDLE_HANDSHAKE_H
#define WSK_NET_HANDLE_HANDSHAKE_H

#include "wsocket.h"

/* Facts about a handshake that its WebSocket keeps. A text that is NULL is kept
 * as "". */
struct wsk__handshake_facts {
    wsk_str head;    /* as received, with its empty line */
    size_t path_len; /* of the path without script_name; SIZE_MAX: all of it */
    const char *peer, *local;
    const char *protocol; /* agreed subprotocol */
    const char *prefix;   /* SCRIPT_NAME */
    const char *host;     /* the host by a proxy's word; "": the head's */
    uint16_t peer_port, local_port;
    bool https; /* the client came by https */
};

/* The facts in one block, in as few bytes as can be: idle WebSockets are many,
 * and most are never asked. */
struct wsk__handshake {
    uint32_t head_len, path_len;
    uint16_t peer_port, local_port;
    bool https;
    char text[]; /* the head, then each of enum wsk__handshake_text with its NUL
                  */
};

enum { WSK__HANDSHAKE_FIELDS = 5 };

enum wsk__handshake_text {
    WSK__HANDSHAKE_PEER,
    WSK__HANDSHAKE_LOCAL,
    WSK__HANDSHAKE_PROTOCOL,
    WSK__HANDSHAKE_PREFIX,
    WSK__HANDSHAKE_HOST
};

/* Return how many bytes wsk__handshake_write() needs at `to`. */
size_t wsk__handshake_size(const struct wsk__handshake_facts *facts);

/* Write the facts. */
void wsk__handshake_write(struct wsk__handshake *to,
                          const struct wsk__handshake_facts *facts);

/* Return how many bytes a handshake takes. */
size_t wsk__handshake_block(const struct wsk__handshake *kept);

/* Return one of the texts; "": there is none. */
const char *wsk__handshake_text(const struct wsk__handshake *kept,
                                enum wsk__handshake_text which);

/* Parse the head again, as the handler saw it, for wsk_free(). NULL: it is no
 * head, or memory is out. */
wsk_head *wsk__handshake_head(const struct wsk__handshake *kept,
                              const wsk_limits *limits);

/* Write the fields of the 101 (RFC 6455 4.2.2), which point into the arguments;
 * return how many. `protocol` may be NULL, `extensions` "". */
size_t wsk__handshake_fields(wsk_header to[WSK__HANDSHAKE_FIELDS],
                             const wsk_ws_verdict *verdict,
                             const char *protocol, const char *extensions);

/* The options of compression, parsed. */
struct wsk__compression {
    bool on;
    bool takeover;      /* messages may refer to earlier ones */
    uint8_t level;      /* 0: fast; else zlib's */
    uint64_t threshold; /* bytes */
};

struct wsk__compression wsk__compression_of(const wsk_server_config *cfg);

/* Agree on compression: what the options allow of what the client offers.
 * `text` is the value of Sec-WebSocket-Extensions; "" when false. */
bool wsk__agree_deflate(const wsk_head *head,
                        const struct wsk__compression *how, bool takeover,
                        wsk_ws_deflate *agreed, char text[WSK_WS_DEFLATE_TEXT]);

/* Set level and threshold from the options. */
void wsk__tune_deflate(const struct wsk__compression *how,
                       wsk_ws_deflate *agreed);

#endif
