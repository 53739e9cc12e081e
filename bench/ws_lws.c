/*
 * ws_lws: the echo of the bench on libwebsockets, written as its documentation
 * asks: what was received is kept, and sent when the socket is writable.
 *
 *   ws_lws PORT
 */
#include <libwebsockets.h>
#include <stdlib.h>
#include <string.h>

enum { RX_BUFFER = 65536 };

struct message {
    struct message *next;
    size_t len, cap;
    int binary;
    unsigned char data[]; /* after LWS_PRE octets */
};

struct session {
    struct message *queue, **tail;
    struct message *open; /* what arrives now */
};

static struct message *grown(struct message *m, size_t more)
{
    size_t len = m != NULL ? m->len : 0, cap = m != NULL ? m->cap : 0;

    if (m == NULL || len + more > cap) {
        cap = len + more > 2 * cap ? len + more : 2 * cap;
        m = realloc(m, sizeof *m + LWS_PRE + cap);
        if (m == NULL)
            abort();
        m->len = len;
        m->cap = cap;
    }
    return m;
}

static void receive(struct lws *wsi, struct session *s, void *in, size_t len)
{
    struct message *m = s->open = grown(s->open, len);

    memcpy(m->data + LWS_PRE + m->len, in, len);
    m->len += len;
    if (!lws_is_final_fragment(wsi) || lws_remaining_packet_payload(wsi) > 0)
        return;
    m->binary = lws_frame_is_binary(wsi);
    m->next = NULL;
    *s->tail = m;
    s->tail = &m->next;
    s->open = NULL;
    lws_callback_on_writable(wsi);
}

static int send_one(struct lws *wsi, struct session *s)
{
    struct message *m = s->queue;
    int sent;

    if (m == NULL)
        return 0;
    s->queue = m->next;
    if (s->queue == NULL)
        s->tail = &s->queue;
    sent = lws_write(wsi, m->data + LWS_PRE, m->len,
                     m->binary ? LWS_WRITE_BINARY : LWS_WRITE_TEXT);
    if (s->queue != NULL)
        lws_callback_on_writable(wsi);
    sent = sent < (int)m->len ? -1 : 0;
    free(m);
    return sent;
}

static int on_event(struct lws *wsi, enum lws_callback_reasons reason,
                    void *user, void *in, size_t len)
{
    struct session *s = user;

    switch (reason) {
    case LWS_CALLBACK_ESTABLISHED:
        s->tail = &s->queue;
        break;
    case LWS_CALLBACK_RECEIVE:
        receive(wsi, s, in, len);
        break;
    case LWS_CALLBACK_SERVER_WRITEABLE:
        return send_one(wsi, s);
    default:
        break;
    }
    return 0;
}

int main(int argc, char **argv)
{
    static const struct lws_protocols protocols[] = {
        {.name = "echo",
         .callback = on_event,
         .per_session_data_size = sizeof(struct session),
         .rx_buffer_size = RX_BUFFER},
        {.name = NULL},
    };
    static const struct lws_extension extensions[] = {
        {"permessage-deflate", lws_extension_callback_pm_deflate,
         "permessage-deflate; client_no_context_takeover; "
         "server_no_context_takeover"},
        {NULL, NULL, NULL},
    };
    struct lws_context_creation_info info = {
        .port = argc > 1 ? atoi(argv[1]) : 8080,
        .iface = "127.0.0.1",
        .protocols = protocols,
        .extensions = argc > 2 ? extensions : NULL,
        .pt_serv_buf_size = RX_BUFFER,
        .gid = (gid_t)-1,
        .uid = (uid_t)-1,
    };
    struct lws_context *context;

    lws_set_log_level(LLL_ERR, NULL);
    context = lws_create_context(&info);
    while (context != NULL && lws_service(context, 0) >= 0)
        continue;
    return EXIT_FAILURE;
}
