#include "ws/queue.h"

#include "base/mem.h"

#include <assert.h>
#include <string.h>

enum {
    PONGS_MAX =
        4096, /* bytes of unsent pongs behind which no other is queued */
    KEEP_OUT = 131072 /* bytes of a queue that is worth keeping for others */
};

uint8_t *wsk__out_room(struct wsk__out **out, size_t n)
{
    if (*out == NULL) {
        *out = wsk__calloc(sizeof(**out));
        if (*out == NULL)
            return NULL;
        wsk__buf_init(&(*out)->buf, WSK__BUF_CAP_MAX);
    }
    return wsk__buf_room(&(*out)->buf, n);
}

bool wsk__out_put(struct wsk__out **out, const uint8_t *data, size_t len)
{
    uint8_t *room = wsk__out_room(out, len);

    if (room == NULL)
        return false;
    memcpy(room, data, len);
    wsk__out_grow(*out, len);
    return true;
}

bool wsk__out_put_frame(struct wsk__out **out, struct wsk__keys *keys,
                        wsk_opcode opcode, bool fin, const uint8_t *data,
                        size_t len)
{
    uint8_t head[WSK__FRAME_OWN_MAX];
    size_t n = wsk__frame_write(head, opcode, fin, len);
    uint8_t *room;

    if (len > WSK__BUF_CAP_MAX - WSK__FRAME_HEAD_MAX)
        return false;
    room = wsk__out_room(out, WSK__FRAME_HEAD_MAX + len);
    if (room == NULL)
        return false;
    memcpy(room, head, n);
    if (keys != NULL) {
        uint8_t key[4];

        wsk__keys_next(keys, key);
        n = wsk__frame_write_key(room, n, key);
        wsk__mask_copy(room + n, data, len, key, 0);
    } else if (len > 0) {
        memcpy(room + n, data, len);
    }
    wsk__out_grow(*out, n + len);
    return true;
}

bool wsk__out_put_pong(struct wsk__out **out, struct wsk__keys *keys,
                       const uint8_t *payload, uint8_t len)
{
    if ((*out != NULL && (*out)->pong_bytes > PONGS_MAX) ||
        !wsk__out_put_frame(out, keys, WSK_PONG, true, payload, len))
        return false;
    (*out)->pong_bytes += WSK__FRAME_START + (size_t)len;
    (*out)->pong_end = wsk__buf_len(&(*out)->buf);
    return true;
}

void wsk__out_ack(struct wsk__out *out, size_t n)
{
    assert(n <= wsk__buf_len(&out->buf));
    wsk__buf_ack(&out->buf, n);
    out->pong_end = n < out->pong_end ? out->pong_end - n : 0;
    if (out->pong_end == 0)
        out->pong_bytes = 0;
}

void wsk__out_lend(struct wsk__out **out, struct wsk__out **spare)
{
    if (*out == NULL) {
        *out = *spare;
        *spare = NULL;
    }
}

void wsk__out_return(struct wsk__out **out, struct wsk__out **spare)
{
    if (*out == NULL || wsk__buf_len(&(*out)->buf) > 0)
        return;
    if (*spare == NULL && (*out)->buf.size <= KEEP_OUT)
        *spare = *out;
    else
        wsk__out_free(*out);
    *out = NULL;
}

void wsk__out_free(struct wsk__out *out)
{
    if (out != NULL)
        wsk__buf_free(&out->buf);
    wsk__free(out);
}
