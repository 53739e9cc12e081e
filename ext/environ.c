/* ext/environ: a request head as a WSGI environ (PEP 3333).
 *
 * This runs for every request, so three things are not made twice: the keys
 * (cached by header name), the constants (a template that is copied) and a
 * value that equals the one before it (a peer sends the same User-Agent again
 * and again). */
#include "environ.h"

/* -------------------------------------------------------- header names --- */

/* The names are the client's choice, so the cache is bounded; the common ones
 * are in it from the start and cannot be crowded out. */
#define KEY_PLACES 256 /* a power of two */
#define KEY_MOST 128   /* names in the cache, at half load */
#define KEY_LONGEST 64 /* octets of a cached name */

/* Longer values are not remembered. */
#define LAST_LONGEST 512

struct key {
    char name[KEY_LONGEST]; /* lower case */
    size_t len;             /* 0: a free place */
    PyObject *key;          /* HTTP_NAME */
    PyObject *last;         /* the value it had last, or NULL */
    uint64_t seen;          /* the request in which it occurred last */
    bool secret;            /* never remember a value */
};

struct ext_keys {
    struct key places[KEY_PLACES];
    size_t count;
    uint64_t request;                /* number of the request being unpacked */
    PyObject *slots[EXT_SLOT_COUNT]; /* the keys every request sets */
};

static const char *const COMMON_NAMES[] = {
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "authorization",
    "cache-control",
    "connection",
    "content-length",
    "content-type",
    "cookie",
    "dnt",
    "expect",
    "forwarded",
    "host",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "keep-alive",
    "origin",
    "pragma",
    "priority",
    "proxy-authorization",
    "range",
    "referer",
    "sec-ch-ua",
    "sec-ch-ua-mobile",
    "sec-ch-ua-platform",
    "sec-fetch-dest",
    "sec-fetch-mode",
    "sec-fetch-site",
    "sec-fetch-user",
    "sec-websocket-extensions",
    "sec-websocket-key",
    "sec-websocket-protocol",
    "sec-websocket-version",
    "te",
    "transfer-encoding",
    "upgrade",
    "upgrade-insecure-requests",
    "user-agent",
    "via",
    "x-csrftoken",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
    "x-real-ip",
    "x-request-id",
    "x-requested-with",
};

static const char *const SECRET_NAMES[] = {
    "authorization",
    "cookie",
    "proxy-authorization",
};

static unsigned char lower(char c)
{
    return (unsigned char)(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
}

static bool same_name(const struct key *k, wsk_str name)
{
    if (k->len != name.len)
        return false;
    for (size_t i = 0; i < name.len; i++)
        if ((unsigned char)k->name[i] != lower(name.p[i]))
            return false;
    return true;
}

static bool is_secret(const struct key *k)
{
    for (size_t i = 0; i < Py_ARRAY_LENGTH(SECRET_NAMES); i++)
        if (k->len == strlen(SECRET_NAMES[i]) &&
            memcmp(k->name, SECRET_NAMES[i], k->len) == 0)
            return true;
    return false;
}

/* The environ key of a header: "Accept-Encoding" is HTTP_ACCEPT_ENCODING. */
static PyObject *key_text(const struct ext_state *st, wsk_str name)
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
    /* PEP 3333: these two as CGI has them, without the prefix. */
    if (PyUnicode_CompareWithASCIIString(key, "HTTP_CONTENT_TYPE") == 0)
        Py_SETREF(key, ext_ref(st->names.content_type));
    else if (PyUnicode_CompareWithASCIIString(key, "HTTP_CONTENT_LENGTH") == 0)
        Py_SETREF(key, ext_ref(st->names.content_length));
    return key;
}

/* The cached key; NULL when the name is not in the cache and has no room there.
 * Then an exception may be set. */
static struct key *key_find(struct ext_state *st, wsk_str name)
{
    struct ext_keys *keys = st->keys;
    size_t place;

    if (name.len == 0 || name.len > KEY_LONGEST)
        return NULL;
    place = name.len * 31 + lower(name.p[0]);
    place = place * 31 + lower(name.p[name.len - 1]);
    place = place * 31 + lower(name.p[name.len / 2]);
    for (;; place++) {
        struct key *k = &keys->places[place % KEY_PLACES];

        if (same_name(k, name))
            return k;
        if (k->len != 0)
            continue;
        if (keys->count == KEY_MOST)
            return NULL;
        k->key = key_text(st, name);
        if (k->key == NULL)
            return NULL;
        PyUnicode_InternInPlace(&k->key);
        for (size_t i = 0; i < name.len; i++)
            k->name[i] = (char)lower(name.p[i]);
        k->len = name.len;
        k->secret = is_secret(k);
        keys->count++;
        return k;
    }
}

static const char *const SLOT_TEXTS[] = {
#define X(name, text) text,
    EXT_SLOTS(X)
#undef X
};

int ext_environ_add(struct ext_state *st)
{
    st->keys = PyMem_Calloc(1, sizeof *st->keys);
    if (st->keys == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    for (size_t i = 0; i < EXT_SLOT_COUNT; i++) {
        st->keys->slots[i] = PyUnicode_InternFromString(SLOT_TEXTS[i]);
        if (st->keys->slots[i] == NULL)
            return -1;
    }
    for (size_t i = 0; i < Py_ARRAY_LENGTH(COMMON_NAMES); i++) {
        wsk_str name = {COMMON_NAMES[i], strlen(COMMON_NAMES[i])};

        if (key_find(st, name) == NULL)
            return -1;
    }
    return 0;
}

void ext_environ_remove(struct ext_state *st)
{
    if (st->keys == NULL)
        return;
    for (size_t i = 0; i < KEY_PLACES; i++) {
        Py_XDECREF(st->keys->places[i].key);
        Py_XDECREF(st->keys->places[i].last);
    }
    for (size_t i = 0; i < EXT_SLOT_COUNT; i++)
        Py_XDECREF(st->keys->slots[i]);
    PyMem_Free(st->keys);
    st->keys = NULL;
}

/* -------------------------------------------------------------- values --- */

/* A latin-1 str; the one before it when that has the same octets. */
static PyObject *remember(PyObject **last, const char *p, size_t n)
{
    PyObject *was = *last;

    if (was != NULL && (size_t)PyUnicode_GET_LENGTH(was) == n &&
        memcmp(PyUnicode_1BYTE_DATA(was), p, n) == 0)
        return ext_ref(was);
    was = PyUnicode_DecodeLatin1(p, (Py_ssize_t)n, NULL);
    if (was != NULL && n <= LAST_LONGEST)
        Py_XSETREF(*last, ext_ref(was));
    return was;
}

/* Steals value, which may be NULL. */
static int set_take(PyObject *environ, PyObject *key, PyObject *value)
{
    int rc;

    if (value == NULL)
        return -1;
    rc = PyDict_SetItem(environ, key, value);
    Py_DECREF(value);
    return rc;
}

/* RFC 9110 5.3: repeated fields are one list; cookies have their own comma (RFC
 * 6265 5.4). */
static int join_value(PyObject *environ, PyObject *key, wsk_str value)
{
    PyObject *first = PyDict_GetItemWithError(environ, key);
    PyObject *next = PyUnicode_DecodeLatin1(value.p, (Py_ssize_t)value.len, 0);
    bool cookie = PyUnicode_CompareWithASCIIString(key, "HTTP_COOKIE") == 0;
    PyObject *joined = NULL;

    if (first != NULL && next != NULL)
        joined =
            PyUnicode_FromFormat("%U%s%U", first, cookie ? "; " : ", ", next);
    Py_XDECREF(next);
    return set_take(environ, key, joined);
}

static int set_uncached(const struct ext_state *st, PyObject *environ,
                        const wsk_header *h)
{
    PyObject *key = key_text(st, h->name);
    int rc = -1;

    if (key == NULL)
        return -1;
    switch (PyDict_Contains(environ, key)) {
    case 0:
        rc = set_take(
            environ, key,
            PyUnicode_DecodeLatin1(h->value.p, (Py_ssize_t)h->value.len, NULL));
        break;
    case 1:
        rc = join_value(environ, key, h->value);
        break;
    }
    Py_DECREF(key);
    return rc;
}

static int set_header(struct ext_state *st, PyObject *environ,
                      const wsk_header *h)
{
    struct key *k = key_find(st, h->name);
    PyObject *value;

    if (k == NULL)
        return PyErr_Occurred() ? -1 : set_uncached(st, environ, h);
    if (k->seen == st->keys->request)
        return join_value(environ, k->key, h->value);
    k->seen = st->keys->request;
    value = k->secret ? PyUnicode_DecodeLatin1(h->value.p,
                                               (Py_ssize_t)h->value.len, NULL)
                      : remember(&k->last, h->value.p, h->value.len);
    return set_take(environ, k->key, value);
}

/* -------------------------------------------------------------- the path ---
 */

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The octet that "%xx" at p stands for; -1 when it is no escape. */
static int unescape(const char *p, const char *end)
{
    int high, low;

    if (end - p < 3 || *p != '%')
        return -1;
    high = hex(p[1]);
    low = hex(p[2]);
    return high < 0 || low < 0 ? -1 : high << 4 | low;
}

bool ext_environ_path_has_nul(const wsk_head *head)
{
    const char *p = head->path.p;
    const char *end = p + head->path.len;

    while (p < end && (p = memchr(p, '%', (size_t)(end - p))) != NULL) {
        if (unescape(p, end) == 0)
            return true;
        p++;
    }
    return false;
}

/* What is no escape stays as it is: the client may have meant it. */
static PyObject *decode_path(wsk_str path)
{
    const char *p = path.p, *end = p + path.len;
    char *octets = PyMem_Malloc(path.len);
    PyObject *text;
    size_t n = 0;

    if (octets == NULL)
        return PyErr_NoMemory();
    while (p < end) {
        int c = unescape(p, end);

        octets[n++] = c < 0 ? *p : (char)c;
        p += c < 0 ? 1 : 3;
    }
    text = PyUnicode_DecodeLatin1(octets, (Py_ssize_t)n, NULL);
    PyMem_Free(octets);
    return text;
}

/* SCRIPT_NAME is empty, so PATH_INFO must not be, and begins with a slash (RFC
 * 3875 4.1.5): an absolute target may have no path at all (RFC 9112 3.2.2), and
 * the asterisk is none. */
static wsk_str path_of(const wsk_head *head)
{
    bool has_path = head->path.len > 0 && head->path.p[0] == '/';

    return has_path ? head->path : (wsk_str){"/", 1};
}

/* With script_name the path may be empty: asked for is that itself. */
static wsk_str path_info_of(const wsk_head *head)
{
    return head->path.len > 0 ? path_of(head) : (wsk_str){"", 0};
}

PyObject *ext_environ_path(const wsk_head *head)
{
    return decode_path(path_of(head));
}

/* ------------------------------------------------------------- environ --- */

/* The constants. The slots are in it too, so that the copy is made in a table
 * that already has room for them. */
static PyObject *make_template(const struct ext_state *st, PyObject *errors,
                               bool multithread)
{
    PyObject *dict = Py_BuildValue(
        "{s(ii) ss sO sN sO sO sO sO sO sO sO ss ss sN}", "wsgi.version", 1, 0,
        "wsgi.url_scheme", "http", "wsgi.errors", errors, "wsgi.multithread",
        PyBool_FromLong(multithread), "wsgi.multiprocess", Py_False,
        "wsgi.run_once", Py_False, "wsgi.input_terminated", Py_True,
        "wsgi.input", Py_None, "wsgi.file_wrapper", st->types.file,
        "wsgi.early_hints", Py_None, "wsocket.client_disconnected", Py_None,
        "SCRIPT_NAME", "", "GATEWAY_INTERFACE", "CGI/1.1", "SERVER_SOFTWARE",
        PyUnicode_FromFormat("wsocket/%s", wsk_version()));
    for (size_t i = 0; dict != NULL && i < EXT_SLOT_COUNT; i++)
        if (PyDict_SetItem(dict, st->keys->slots[i], st->names.empty) < 0)
            Py_CLEAR(dict);
    return dict;
}

int ext_environ_init(struct ext_environ *e, struct ext_state *st,
                     PyObject *errors, bool multithread)
{
    e->template = make_template(st, errors, multithread);
    return e->template == NULL ? -1 : 0;
}

void ext_environ_clear(struct ext_environ *e)
{
    Py_CLEAR(e->template);
    for (size_t i = 0; i < EXT_SLOT_COUNT; i++)
        Py_CLEAR(e->last[i]);
}

static wsk_str text_of(const char *s)
{
    return (wsk_str){s, strlen(s)};
}

/* The decimal digits of a port. */
static PyObject *port_text(uint16_t port)
{
    char digits[5], *p = digits + sizeof digits;
    PyObject *text;
    Py_ssize_t n;

    do
        *--p = (char)('0' + port % 10);
    while ((port = (uint16_t)(port / 10)) > 0);
    n = digits + sizeof digits - p;
    text = PyUnicode_New(n, 127);
    if (text != NULL)
        memcpy(PyUnicode_1BYTE_DATA(text), p, (size_t)n);
    return text;
}

/* PEP 3333: SERVER_NAME and SERVER_PORT are never empty; a Unix socket has
 * neither. The client's idea of them is HTTP_HOST. */
static wsk_str server_name(const struct ext_source *source)
{
    return text_of(*source->local != '\0' ? source->local : "localhost");
}

static bool is_last(PyObject *last, wsk_str value)
{
    return last != NULL && (size_t)PyUnicode_GET_LENGTH(last) == value.len &&
           (value.len == 0 ||
            memcmp(PyUnicode_1BYTE_DATA(last), value.p, value.len) == 0);
}

/* From now on the template has this value; NULL is an exception. */
static int set_slot(struct ext_environ *e, const struct ext_keys *keys,
                    enum ext_slot slot, PyObject *value)
{
    if (value == e->last[slot] && value != NULL)
        return 0;
    if (value == NULL ||
        PyDict_SetItem(e->template, keys->slots[slot], value) < 0) {
        Py_CLEAR(e->last[slot]); /* the template has another */
        return -1;
    }
    Py_XSETREF(e->last[slot], ext_ref(value));
    return 0;
}

/* Not by way of a cache: with many connections it would mostly miss. */
static int set_port(struct ext_environ *e, const struct ext_keys *keys,
                    enum ext_slot slot, uint16_t port)
{
    PyObject *text;
    int rc;

    if (e->last[slot] != NULL && e->last_port[slot] == port)
        return 0;
    text = port_text(port);
    rc = set_slot(e, keys, slot, text);
    Py_XDECREF(text);
    e->last_port[slot] = port;
    return rc;
}

/* The slots before URI, each a text of its own. What is too long to keep is
 * left in `longer`, and its bit in *which. */
#define TEXT_SLOTS EXT_SLOT_URI

static int set_texts(struct ext_environ *e, const struct ext_keys *keys,
                     const wsk_str values[TEXT_SLOTS],
                     PyObject *longer[TEXT_SLOTS], unsigned *which)
{
    int rc = 0;

    for (unsigned i = 0; i < TEXT_SLOTS && rc == 0; i++) {
        PyObject *value;

        if (is_last(e->last[i], values[i]))
            continue;
        value = PyUnicode_DecodeLatin1(values[i].p, (Py_ssize_t)values[i].len,
                                       NULL);
        if (value != NULL && values[i].len > LAST_LONGEST) {
            longer[i] = value;
            *which |= 1u << i;
            continue;
        }
        rc = set_slot(e, keys, (enum ext_slot)i, value);
        Py_XDECREF(value);
    }
    return rc;
}

/* Into the copy alone. Steals the values. */
static int set_longer(PyObject *environ, const struct ext_keys *keys,
                      PyObject *longer[TEXT_SLOTS], unsigned which)
{
    int rc = environ == NULL ? -1 : 0;

    for (unsigned i = 0; i < TEXT_SLOTS; i++) {
        if (!(which >> i & 1))
            continue;
        if (rc == 0)
            rc = PyDict_SetItem(environ, keys->slots[i], longer[i]);
        if (rc == 0 && i == EXT_SLOT_RAW_URI)
            rc = PyDict_SetItem(environ, keys->slots[EXT_SLOT_URI], longer[i]);
        Py_DECREF(longer[i]);
    }
    return rc;
}

/* The template holds the values of the request before, so that a copy of it
 * needs only what differs. */
static PyObject *copy_with_slots(struct ext_environ *e,
                                 const struct ext_keys *keys,
                                 const struct ext_source *source)
{
    const wsk_head *head = source->head;
    const wsk_str values[TEXT_SLOTS] = {
        [EXT_SLOT_METHOD] = head->method,
        [EXT_SLOT_PATH] = path_info_of(head),
        [EXT_SLOT_QUERY] = head->query,
        [EXT_SLOT_RAW_URI] = head->target,
        [EXT_SLOT_PROTOCOL] = head->version,
        [EXT_SLOT_NAME] = server_name(source),
        [EXT_SLOT_ADDR] = text_of(source->peer),
    };
    PyObject *longer[TEXT_SLOTS], *environ = NULL;
    unsigned which = 0;

    if (set_texts(e, keys, values, longer, &which) == 0 &&
        (e->last[EXT_SLOT_RAW_URI] == NULL || /* the first one is long */
         set_slot(e, keys, EXT_SLOT_URI, e->last[EXT_SLOT_RAW_URI]) == 0) &&
        set_port(e, keys, EXT_SLOT_PORT, source->local_port) == 0 &&
        set_port(e, keys, EXT_SLOT_ADDRPORT, source->peer_port) == 0)
        environ = PyDict_Copy(e->template);
    if (which != 0 && set_longer(environ, keys, longer, which) < 0)
        Py_CLEAR(environ);
    if (environ != NULL && memchr(head->path.p, '%', head->path.len) != NULL &&
        set_take(environ, keys->slots[EXT_SLOT_PATH], decode_path(head->path)) <
            0)
        Py_CLEAR(environ);
    return environ;
}

/* RFC 9112 3.2.2: the authority of an absolute target stands in for Host. */
static int set_host(const struct ext_state *st, PyObject *environ,
                    const wsk_head *head)
{
    if (head->target.p[0] == '/' || head->host.len == 0)
        return 0;
    return set_take(
        environ, st->names.http_host,
        PyUnicode_DecodeLatin1(head->host.p, (Py_ssize_t)head->host.len, NULL));
}

static int set_text(PyObject *environ, const char *key, const char *text)
{
    PyObject *name = PyUnicode_InternFromString(key);
    int rc = name == NULL ? -1
                          : set_take(environ, name, PyUnicode_FromString(text));

    Py_XDECREF(name);
    return rc;
}

/* What a proxy has said that the template does not have already. */
static int set_via(PyObject *environ, const struct ext_source *source)
{
    PyObject *name;
    int rc;

    if (source->scheme != NULL && strcmp(source->scheme, "http") != 0 &&
        set_text(environ, "wsgi.url_scheme", source->scheme) < 0)
        return -1;
    if (source->prefix == NULL || source->prefix[0] == '\0')
        return 0;
    name = PyUnicode_InternFromString("SCRIPT_NAME");
    rc = name == NULL ? -1
                      : set_take(environ, name,
                                 PyUnicode_DecodeLatin1(
                                     source->prefix,
                                     (Py_ssize_t)strlen(source->prefix), NULL));
    Py_XDECREF(name);
    return rc;
}

PyObject *ext_environ_new(struct ext_environ *e, struct ext_state *st,
                          const struct ext_source *source)
{
    PyObject *environ = copy_with_slots(e, st->keys, source);
    const wsk_head *head = source->head;

    if (environ == NULL)
        return NULL;
    st->keys->request++;
    for (size_t i = 0; i < head->n_headers; i++)
        if (set_header(st, environ, &head->headers[i]) < 0)
            goto failed;
    if (set_host(st, environ, head) < 0 || set_via(environ, source) < 0)
        goto failed;
    return environ;

failed:
    Py_XDECREF(environ);
    return NULL;
}

int ext_environ_set_length(struct ext_state *st, PyObject *environ,
                           uint64_t len)
{
    if (set_take(environ, st->names.content_length,
                 PyUnicode_FromFormat("%llu", (unsigned long long)len)) < 0)
        return -1;
    return PyDict_DelItem(environ, st->names.transfer_encoding);
}
