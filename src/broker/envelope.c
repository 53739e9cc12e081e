#include "broker/envelope.h"

#include <assert.h>
#include <string.h>

enum { MAGIC = 0xfe, VERSION = 1 };

uint64_t wsk__octets_read(const void *p, size_t n)
{
    const uint8_t *from = p;
    uint64_t value = 0;

    for (size_t i = 0; i < n; i++)
        value = value << 8 | from[i];
    return value;
}

void wsk__octets_write(uint8_t *to, uint64_t value, size_t n)
{
    for (size_t i = n; i > 0; i--, value >>= 8)
        to[i - 1] = (uint8_t)value;
}

size_t wsk__envelope_size(const wsk_str *names, size_t n, size_t len)
{
    size_t size = WSK__ENVELOPE_HEAD + len;

    for (size_t i = 0; i < n; i++)
        size += 1 + names[i].len;
    return size;
}

void wsk__envelope_write(uint8_t *to, const struct wsk__envelope *e,
                         const wsk_str *names, size_t n)
{
    assert(n <= WSK__ENVELOPE_NAMES_MAX);
    to[0] = MAGIC;
    to[1] = VERSION;
    to[2] = (uint8_t)e->kind;
    to[3] = e->flags;
    wsk__octets_write(to + 4, n, 2);
    wsk__octets_write(to + 6, 0, 2);
    wsk__octets_write(to + 8, e->origin, 8);
    wsk__octets_write(to + 16, e->except, 8);
    wsk__octets_write(to + 24, e->seq, 8);
    to += WSK__ENVELOPE_HEAD;
    for (size_t i = 0; i < n; i++) {
        assert(names[i].len > 0 && names[i].len <= WSK__ENVELOPE_NAME_MAX);
        *to = (uint8_t)names[i].len;
        memcpy(to + 1, names[i].p, names[i].len);
        to += 1 + names[i].len;
    }
    if (e->message.len > 0)
        memcpy(to, e->message.p, e->message.len);
}

bool wsk__envelope_next_name(wsk_str *rest, wsk_str *name)
{
    if (rest->len == 0)
        return false;
    *name = (wsk_str){rest->p + 1, (uint8_t)*rest->p};
    if (name->len == 0 || name->len > rest->len - 1)
        return false;
    rest->p += 1 + name->len;
    rest->len -= 1 + name->len;
    return true;
}

/* Return true if the message is as long as its kind wants. */
static bool is_complete(const struct wsk__envelope *e)
{
    switch (e->kind) {
    case WSK__ENVELOPE_MESSAGE:
    case WSK__ENVELOPE_PROBE:
        return true;
    case WSK__ENVELOPE_GAP:
        return e->message.len == 4;
    case WSK__ENVELOPE_DISCONNECT:
        return e->message.len >= 2;
    case WSK__ENVELOPE_NONE:
        break;
    }
    return false;
}

bool wsk__envelope_read(wsk_str octets, struct wsk__envelope *e)
{
    const uint8_t *p = (const uint8_t *)octets.p;
    wsk_str rest, name;

    if (octets.len == 0 || p[0] != MAGIC) {
        *e = (struct wsk__envelope){.message = octets};
        return true;
    }
    if (octets.len < WSK__ENVELOPE_HEAD || p[1] != VERSION || p[2] == 0 ||
        p[2] > WSK__ENVELOPE_DISCONNECT)
        return false;
    *e = (struct wsk__envelope){
        .kind = (enum wsk__envelope_kind)p[2],
        .flags = p[3],
        .n_names = (uint16_t)wsk__octets_read(p + 4, 2),
        .origin = wsk__octets_read(p + 8, 8),
        .except = wsk__octets_read(p + 16, 8),
        .seq = wsk__octets_read(p + 24, 8),
    };
    rest = (wsk_str){octets.p + WSK__ENVELOPE_HEAD,
                     octets.len - WSK__ENVELOPE_HEAD};
    e->names.p = rest.p;
    for (size_t i = 0; i < e->n_names; i++)
        if (!wsk__envelope_next_name(&rest, &name))
            return false;
    e->names.len = (size_t)(rest.p - e->names.p);
    e->message = rest;
    return is_complete(e);
}
