/* ext/keys: header names as keys of an environ, and the values seen last.
 *
 * The common names stand in a table that all threads read and that none
 * changes. Others are learned by each thread for itself, so they cannot crowd
 * those out, and no lock is needed. */
#include "keys.h"

#define PLACES 128      /* a power of two; half of them stay free */
#define NAME_LONGEST 64 /* bytes of a name that is cached */

struct ext_key_table {
    size_t count;
    struct ext_key *places[PLACES]; /* NULL: free; see place_of() */
};

/* Spelled as most clients send them. */
static const char *const COMMON_NAMES[] = {
    "Accept",
    "Accept-Charset",
    "Accept-Encoding",
    "Accept-Language",
    "Authorization",
    "Cache-Control",
    "Connection",
    "Content-Length",
    "Content-Type",
    "Cookie",
    "DNT",
    "Expect",
    "Forwarded",
    "Host",
    "If-Match",
    "If-Modified-Since",
    "If-None-Match",
    "If-Range",
    "Keep-Alive",
    "Origin",
    "Pragma",
    "Priority",
    "Proxy-Authorization",
    "Range",
    "Referer",
    "sec-ch-ua",
    "sec-ch-ua-mobile",
    "sec-ch-ua-platform",
    "Sec-Fetch-Dest",
    "Sec-Fetch-Mode",
    "Sec-Fetch-Site",
    "Sec-Fetch-User",
    "Sec-WebSocket-Extensions",
    "Sec-WebSocket-Key",
    "Sec-WebSocket-Protocol",
    "Sec-WebSocket-Version",
    "TE",
    "Transfer-Encoding",
    "Upgrade",
    "Upgrade-Insecure-Requests",
    "User-Agent",
    "Via",
    "X-CSRFToken",
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "X-Forwarded-Port",
    "X-Forwarded-Proto",
    "X-Real-IP",
    "X-Request-ID",
    "X-Requested-With",
};

_Static_assert(Py_ARRAY_LENGTH(COMMON_NAMES) == EXT_KEYS_COMMON &&
                   EXT_KEYS_COMMON <= PLACES / 2 &&
                   EXT_KEYS_LEARNED <= PLACES / 2,
               "each name has a place and a value");

static const char *const SECRET_NAMES[] = {
    "authorization",
    "cookie",
    "proxy-authorization",
};

static unsigned char lower(char c)
{
    return (unsigned char)(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
}

static bool same_name(const struct ext_key *k, wsk_str name)
{
    if (k->len != name.len)
        return false;
    if (memcmp(k->name, name.p, name.len) == 0)
        return true;
    for (size_t i = 0; i < name.len; i++)
        if (lower(k->name[i]) != lower(name.p[i]))
            return false;
    return true;
}

static bool is_secret(const struct ext_key *k)
{
    for (size_t i = 0; i < Py_ARRAY_LENGTH(SECRET_NAMES); i++)
        if (same_name(k, (wsk_str){SECRET_NAMES[i], strlen(SECRET_NAMES[i])}))
            return true;
    return false;
}

PyObject *ext_keys_text(const struct ext_state *st, wsk_str name)
{
    static const char prefix[] = "HTTP_";
    size_t skip = sizeof prefix - 1;
    PyObject *key = PyUnicode_New((Py_ssize_t)(skip + name.len), 127);
    Py_UCS1 *out;

    if (key == NULL)
        return NULL;
    out = PyUnicode_1BYTE_DATA(key);
    memcpy(out, prefix, skip);
    for (size_t i = 0; i < name.len; i++) {
        unsigned char c = lower(name.p[i]);

        if (c >= 'a' && c <= 'z')
            c = (unsigned char)(c & ~0x20);
        out[skip + i] = c == '-' ? '_' : c;
    }
    /* PEP 3333: these two are named as in CGI, without the prefix. */
    if (PyUnicode_CompareWithASCIIString(key, "HTTP_CONTENT_TYPE") == 0)
        Py_SETREF(key, ext_ref(st->names.content_type));
    else if (PyUnicode_CompareWithASCIIString(key, "HTTP_CONTENT_LENGTH") == 0)
        Py_SETREF(key, ext_ref(st->names.content_length));
    return key;
}

static struct ext_key *key_new(const struct ext_state *st, wsk_str name,
                               size_t index)
{
    struct ext_key *k = PyMem_Malloc(sizeof *k + name.len);

    if (k == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    k->key = ext_keys_text(st, name);
    if (k->key == NULL) {
        PyMem_Free(k);
        return NULL;
    }
    PyUnicode_InternInPlace(&k->key);
    memcpy(k->name, name.p, name.len);
    k->len = (unsigned char)name.len;
    k->index = (unsigned)index;
    k->secret = is_secret(k);
    return k;
}

static void table_free(struct ext_key_table *t)
{
    for (size_t i = 0; t != NULL && i < PLACES; i++)
        if (t->places[i] != NULL) {
            Py_DECREF(t->places[i]->key);
            PyMem_Free(t->places[i]);
        }
    PyMem_Free(t);
}

/* Return the place of a name: its own, or the free one that it may have. */
static struct ext_key **place_of(struct ext_key_table *t, wsk_str name)
{
    size_t at = name.len * 31 + lower(name.p[0]);

    at = at * 31 + lower(name.p[name.len - 1]);
    at = at * 31 + lower(name.p[name.len / 2]);
    while (t->places[at % PLACES] != NULL &&
           !same_name(t->places[at % PLACES], name))
        at++;
    return &t->places[at % PLACES];
}

int ext_keys_add(struct ext_state *st)
{
    st->keys = PyMem_Calloc(1, sizeof *st->keys);
    if (st->keys == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    for (size_t i = 0; i < EXT_KEYS_COMMON; i++) {
        wsk_str name = {COMMON_NAMES[i], strlen(COMMON_NAMES[i])};
        struct ext_key *k = key_new(st, name, i);

        if (k == NULL)
            return -1;
        *place_of(st->keys, name) = k;
    }
    return 0;
}

void ext_keys_remove(struct ext_state *st)
{
    table_free(st->keys);
    st->keys = NULL;
}

static const struct ext_key *learn(const struct ext_state *st,
                                   struct ext_key_cache *cache, wsk_str name)
{
    struct ext_key **place;

    if (cache->learned == NULL)
        cache->learned = PyMem_Calloc(1, sizeof *cache->learned);
    if (cache->learned == NULL)
        return NULL;
    place = place_of(cache->learned, name);
    if (*place == NULL && cache->learned->count < EXT_KEYS_LEARNED) {
        *place = key_new(st, name, EXT_KEYS_COMMON + cache->learned->count);
        cache->learned->count += *place != NULL;
    }
    return *place;
}

const struct ext_key *ext_keys_find(const struct ext_state *st,
                                    struct ext_key_cache *cache, wsk_str name)
{
    const struct ext_key *k;

    if (name.len == 0 || name.len > NAME_LONGEST)
        return NULL;
    k = *place_of(st->keys, name);
    return k != NULL ? k : learn(st, cache, name);
}

void ext_keys_clear(struct ext_key_cache *cache)
{
    for (size_t i = 0; i < Py_ARRAY_LENGTH(cache->values); i++)
        Py_CLEAR(cache->values[i].last);
    table_free(cache->learned);
    cache->learned = NULL;
}
