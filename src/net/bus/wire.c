#include "net/bus/wire.h"

#include <string.h>

enum {
    MAGIC = 0xb5,
    NAME_LEAST = 2, /* octets of a name with its length */
};

void wsk__wire_write(uint8_t to[WSK__WIRE_HEAD], const struct wsk__wire *head)
{
    uint32_t numbers[3] = {head->body, head->names, head->number};

    to[0] = MAGIC;
    to[1] = WSK__WIRE_VERSION;
    to[2] = (uint8_t)head->kind;
    to[3] = head->flags;
    memcpy(to + 4, numbers, sizeof(numbers));
}

static bool is_good(const struct wsk__wire *head)
{
    if (head->body > WSK__WIRE_BODY_MAX || head->names > head->body)
        return false;
    switch (head->kind) {
    case WSK__WIRE_HELLO:
        return head->names == 0 && head->body > 0;
    case WSK__WIRE_READY:
        return head->body == 0;
    case WSK__WIRE_MESSAGE:
        return head->number > 0 && head->number <= head->names / NAME_LEAST;
    case WSK__WIRE_DISCONNECT:
        return head->names >= NAME_LEAST && head->number <= UINT16_MAX;
    }
    return false;
}

enum wsk__wire_found wsk__wire_read(const uint8_t *data, size_t len,
                                    struct wsk__wire *head)
{
    uint32_t numbers[3];

    if (len > 0 && data[0] != MAGIC)
        return WSK__WIRE_BAD;
    if (len > 1 && data[1] != WSK__WIRE_VERSION)
        return WSK__WIRE_OTHER_VERSION;
    if (len < WSK__WIRE_HEAD)
        return WSK__WIRE_MORE;
    memcpy(numbers, data + 4, sizeof(numbers));
    *head = (struct wsk__wire){.kind = (enum wsk__wire_kind)data[2],
                               .flags = data[3],
                               .body = numbers[0],
                               .names = numbers[1],
                               .number = numbers[2]};
    if (!is_good(head))
        return WSK__WIRE_BAD;
    return len - WSK__WIRE_HEAD < head->body ? WSK__WIRE_MORE : WSK__WIRE_GOOD;
}

size_t wsk__wire_put_name(uint8_t *to, wsk_str name)
{
    to[0] = (uint8_t)name.len;
    memcpy(to + 1, name.p, name.len);
    return name.len + 1;
}

bool wsk__wire_names(const uint8_t *body, const struct wsk__wire *head,
                     wsk_str *names, size_t n)
{
    size_t at = 0;

    for (size_t i = 0; i < n; i++) {
        if (at >= head->names || body[at] >= head->names - at)
            return false;
        names[i] = (wsk_str){(const char *)body + at + 1, body[at]};
        at += names[i].len + 1;
    }
    return at == head->names;
}
