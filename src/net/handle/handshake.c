#include "net/handle/handshake.h"

#include "base/mem.h"
#include "http/head.h"
#include "net/conn/peer.h"
#include "wsocket.h"

#include <stddef.h>
#include <string.h>

enum { TEXTS = WSK__HANDSHAKE_HOST + 1 };

static const char *text_of(const struct wsk__handshake_facts *facts,
                           enum wsk__handshake_text which)
{
    const char *const texts[TEXTS] = {
        [WSK__HANDSHAKE_PEER] = facts->peer,
        [WSK__HANDSHAKE_LOCAL] = facts->local,
        [WSK__HANDSHAKE_PROTOCOL] = facts->protocol,
        [WSK__HANDSHAKE_PREFIX] = facts->prefix,
        [WSK__HANDSHAKE_HOST] = facts->host,
    };

    return texts[which] != NULL ? texts[which] : "";
}

size_t wsk__handshake_size(const struct wsk__handshake_facts *facts)
{
    size_t size = offsetof(struct wsk__handshake, text) + facts->head.len;

    for (int i = 0; i < TEXTS; i++)
        size += strlen(text_of(facts, (enum wsk__handshake_text)i)) + 1;
    return size;
}

void wsk__handshake_write(struct wsk__handshake *to,
                          const struct wsk__handshake_facts *facts)
{
    char *at = to->text;

    to->head_len = (uint32_t)facts->head.len;
    to->path_len = facts->path_len < UINT32_MAX ? (uint32_t)facts->path_len
                                                : UINT32_MAX;
    to->peer_port = facts->peer_port;
    to->local_port = facts->local_port;
    to->https = facts->https;
    memcpy(at, facts->head.p, facts->head.len);
    at += facts->head.len;
    for (int i = 0; i < TEXTS; i++) {
        const char *text = text_of(facts, (enum wsk__handshake_text)i);
        size_t size = strlen(text) + 1;

        memcpy(at, text, size);
        at += size;
    }
}

const char *wsk__handshake_text(const struct wsk__handshake *kept,
                                enum wsk__handshake_text which)
{
    const char *at = kept->text + kept->head_len;

    for (int i = 0; i < (int)which; i++)
        at += strlen(at) + 1;
    return at;
}

size_t wsk__handshake_block(const struct wsk__handshake *kept)
{
    const char *end =
        wsk__handshake_text(kept, (enum wsk__handshake_text)TEXTS);

    return (size_t)(end - (const char *)kept);
}

wsk_head *wsk__handshake_head(const struct wsk__handshake *kept,
                              const wsk_limits *limits)
{
    struct wsk__head_store *store = wsk__head_store_new(limits);
    struct wsk__head_scan scan = {0};
    const char *host = wsk__handshake_text(kept, WSK__HANDSHAKE_HOST);
    size_t used;
    int status;

    if (store == NULL ||
        wsk__head_parse(kept->text, kept->head_len, &scan, limits, store, &used,
                        &status) != WSK__HEAD_OK) {
        wsk__free(store);
        return NULL;
    }
    if (host[0] != '\0')
        wsk__head_set_host(&store->head, host);
    if (kept->path_len < store->head.path.len) {
        store->head.path.p += store->head.path.len - kept->path_len;
        store->head.path.len = kept->path_len;
    }
    return &store->head;
}

size_t wsk__handshake_fields(wsk_header to[WSK__HANDSHAKE_FIELDS],
                             const wsk_ws_verdict *verdict,
                             const char *protocol, const char *extensions)
{
    size_t n = 0;

    to[n++] = (wsk_header){{"Upgrade", 7}, {"websocket", 9}};
    to[n++] = (wsk_header){{"Connection", 10}, {"Upgrade", 7}};
    to[n++] = (wsk_header){{"Sec-WebSocket-Accept", 20},
                           {verdict->accept, WSK_WS_ACCEPT_LEN}};
    if (protocol != NULL)
        to[n++] = (wsk_header){{"Sec-WebSocket-Protocol", 22},
                               {protocol, strlen(protocol)}};
    if (extensions[0] != '\0')
        to[n++] = (wsk_header){{"Sec-WebSocket-Extensions", 24},
                               {extensions, strlen(extensions)}};
    return n;
}

struct wsk__compression wsk__compression_of(const wsk_server_config *cfg)
{
    const char *level = cfg->ws_compression_level;

    return (struct wsk__compression){
        .on = strcmp(cfg->ws_compression, "off") != 0,
        .takeover = strcmp(cfg->ws_compression, "takeover") == 0,
        .level = (uint8_t)(level[0] == 'f' ? 0 : level[0] - '0'),
        .threshold = cfg->ws_compression_threshold,
    };
}

void wsk__tune_deflate(const struct wsk__compression *how,
                       wsk_ws_deflate *agreed)
{
    agreed->level = how->level;
    agreed->threshold = how->threshold;
}

bool wsk__agree_deflate(const wsk_head *head,
                        const struct wsk__compression *how, bool takeover,
                        wsk_ws_deflate *agreed, char text[WSK_WS_DEFLATE_TEXT])
{
    text[0] = '\0';
    if (!how->on || !wsk_ws_agree_deflate(head, takeover, agreed, text))
        return false;
    wsk__tune_deflate(how, agreed);
    return true;
}
