/* ext/environ: a request head as a WSGI environ (PEP 3333).
 *
 * This runs for every request, so three things are kept: the keys (cached by
 * header name), the constants (a template that is copied), and the value that
 * a header had last (a peer sends the same User-Agent again and again). */
#include "environ.h"

/* Longer values are not remembered. */
#define LAST_LONGEST 512

/* -------------------------------------------------------------- values --- */

/* Return a latin-1 str, or the previous one if that has the same characters. */
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
    PyObject *key = ext_keys_text(st, h->name);
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

static int set_header(const struct ext_state *st, struct ext_key_cache *cache,
                      PyObject *environ, const wsk_header *h)
{
    const struct ext_key *k = ext_keys_find(st, cache, h->name);
    PyObject *value;

    if (k == NULL)
        return PyErr_Occurred() ? -1 : set_uncached(st, environ, h);
    if (cache->values[k->index].seen == cache->request)
        return join_value(environ, k->key, h->value);
    cache->values[k->index].seen = cache->request;
    value =
        k->secret
            ? PyUnicode_DecodeLatin1(h->value.p, (Py_ssize_t)h->value.len, NULL)
            : remember(&cache->values[k->index].last, h->value.p, h->value.len);
    return set_take(environ, k->key, value);
}

/* -------------------------------------------------------------- the path ---
 */

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Return the byte that "%xx" at p stands for; -1 if it is no escape. */
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

/* Decode a path. A percent sign that begins no escape stays: the client may
 * have meant it. */
static PyObject *decode_path(wsk_str path)
{
    const char *p = path.p, *end = p + path.len;
    char *bytes = PyMem_Malloc(path.len);
    PyObject *text;
    size_t n = 0;

    if (bytes == NULL)
        return PyErr_NoMemory();
    while (p < end) {
        int c = unescape(p, end);

        bytes[n++] = c < 0 ? *p : (char)c;
        p += c < 0 ? 1 : 3;
    }
    text = PyUnicode_DecodeLatin1(bytes, (Py_ssize_t)n, NULL);
    PyMem_Free(bytes);
    return text;
}

/* Return the path. SCRIPT_NAME is empty, so PATH_INFO must not be, and must
 * begin with a slash (RFC 3875 4.1.5): an absolute target may have no path at
 * all (RFC 9112 3.2.2), and the asterisk is no path. */
static wsk_str path_of(const wsk_head *head)
{
    bool has_path = head->path.len > 0 && head->path.p[0] == '/';

    return has_path ? head->path : (wsk_str){"/", 1};
}

/* Return the path below script_name, which may be empty. */
static wsk_str path_info_of(const wsk_head *head)
{
    return head->path.len > 0 ? path_of(head) : (wsk_str){"", 0};
}

PyObject *ext_environ_path(const wsk_head *head)
{
    return decode_path(path_of(head));
}

/* ------------------------------------------------------------- environ --- */

/* Make the template: the constants, and the slots, so that a copy has room for
 * them from the start. */
PyObject *ext_environ_template(const struct ext_state *st, PyObject *errors,
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
        if (PyDict_SetItem(dict, st->slots[i], st->names.empty) < 0)
            Py_CLEAR(dict);
    return dict;
}

void ext_environ_clear(struct ext_environ *e)
{
    Py_CLEAR(e->template);
    for (size_t i = 0; i < EXT_SLOT_COUNT; i++)
        Py_CLEAR(e->last[i]);
    for (size_t i = 0; i < EXT_TLS_USUAL; i++) {
        Py_CLEAR(e->tls[i].key);
        Py_CLEAR(e->tls[i].last);
    }
    ext_keys_clear(&e->keys);
}

static wsk_str text_of(const char *s)
{
    return (wsk_str){s, strlen(s)};
}

/* Return the decimal digits of a port. */
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

/* Return the server's name. PEP 3333: SERVER_NAME and SERVER_PORT are never
 * empty, and a Unix socket has neither. The client's idea of them is HTTP_HOST.
 */
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

/* Set a value in the template; NULL is an exception. */
static int set_slot(struct ext_environ *e, const struct ext_state *st,
                    enum ext_slot slot, PyObject *value)
{
    if (value == e->last[slot] && value != NULL)
        return 0;
    if (value == NULL ||
        PyDict_SetItem(e->template, st->slots[slot], value) < 0) {
        Py_CLEAR(e->last[slot]); /* the template has another */
        return -1;
    }
    Py_XSETREF(e->last[slot], ext_ref(value));
    return 0;
}

/* Set a port. Its text is not cached: with many connections a cache would
 * mostly miss. */
static int set_port(struct ext_environ *e, const struct ext_state *st,
                    enum ext_slot slot, uint16_t port)
{
    PyObject *text;
    int rc;

    if (e->last[slot] != NULL && e->last_port[slot] == port)
        return 0;
    text = port_text(port);
    rc = set_slot(e, st, slot, text);
    Py_XDECREF(text);
    e->last_port[slot] = port;
    return rc;
}

/* The slots before URI, each a text of its own. A text that is too long to keep
 * is left in `longer`, and its bit in *which. */
#define TEXT_SLOTS EXT_SLOT_URI

static int set_texts(struct ext_environ *e, const struct ext_state *st,
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
        rc = set_slot(e, st, (enum ext_slot)i, value);
        Py_XDECREF(value);
    }
    return rc;
}

/* Set the long texts in the copy alone. Steals the values. */
static int set_longer(PyObject *environ, const struct ext_state *st,
                      PyObject *longer[TEXT_SLOTS], unsigned which)
{
    int rc = environ == NULL ? -1 : 0;

    for (unsigned i = 0; i < TEXT_SLOTS; i++) {
        if (!(which >> i & 1))
            continue;
        if (rc == 0)
            rc = PyDict_SetItem(environ, st->slots[i], longer[i]);
        if (rc == 0 && i == EXT_SLOT_RAW_URI)
            rc = PyDict_SetItem(environ, st->slots[EXT_SLOT_URI], longer[i]);
        Py_DECREF(longer[i]);
    }
    return rc;
}

/* Copy the template. It holds the values of the previous request, so that only
 * values that differ are made anew. */
static PyObject *copy_with_slots(struct ext_environ *e,
                                 const struct ext_state *st,
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

    if (set_texts(e, st, values, longer, &which) == 0 &&
        (e->last[EXT_SLOT_RAW_URI] == NULL || /* the first one is long */
         set_slot(e, st, EXT_SLOT_URI, e->last[EXT_SLOT_RAW_URI]) == 0) &&
        set_port(e, st, EXT_SLOT_PORT, source->local_port) == 0 &&
        set_port(e, st, EXT_SLOT_ADDRPORT, source->peer_port) == 0)
        environ = PyDict_Copy(e->template);
    if (which != 0 && set_longer(environ, st, longer, which) < 0)
        Py_CLEAR(environ);
    if (environ != NULL && memchr(head->path.p, '%', head->path.len) != NULL &&
        set_take(environ, st->slots[EXT_SLOT_PATH], decode_path(head->path)) <
            0)
        Py_CLEAR(environ);
    return environ;
}

/* Set HTTP_HOST: the authority of an absolute target replaces Host (RFC 9112
 * 3.2.2). */
static int set_host(const struct ext_state *st, PyObject *environ,
                    const wsk_head *head)
{
    if (head->target.p[0] == '/' || head->host.len == 0)
        return 0;
    return set_take(
        environ, st->names.http_host,
        PyUnicode_DecodeLatin1(head->host.p, (Py_ssize_t)head->host.len, NULL));
}

static bool is_https(const struct ext_source *source)
{
    return source->scheme != NULL && strcmp(source->scheme, "https") == 0;
}

/* Set a variable of TLS. The values of the usual ones are mostly those of the
 * request before. */
static int set_tls_variable(struct ext_environ *e, PyObject *environ,
                            const struct ext_source *source, size_t i)
{
    const wsk_header *h = &source->tls[i];
    PyObject *key = i < EXT_TLS_USUAL ? e->tls[i].key : NULL, *value;
    int rc;

    key = key != NULL ? ext_ref(key) : PyUnicode_InternFromString(h->name.p);
    if (key == NULL)
        return -1;
    if (i < EXT_TLS_USUAL && e->tls[i].key == NULL)
        e->tls[i].key = ext_ref(key);
    value = i < EXT_TLS_USUAL
                ? remember(&e->tls[i].last, h->value.p, h->value.len)
                : PyUnicode_DecodeLatin1(h->value.p, (Py_ssize_t)h->value.len,
                                         NULL);
    rc = set_take(environ, key, value);
    Py_DECREF(key);
    return rc;
}

/* Set what TLS tells, with the names of mod_ssl. HTTPS and wsgi.url_scheme are
 * of one mind: a trusted proxy may say that its client came by http. */
static int set_tls(struct ext_environ *e, PyObject *environ,
                   const struct ext_source *source)
{
    for (size_t i = is_https(source) ? 0 : 1; i < source->n_tls; i++)
        if (set_tls_variable(e, environ, source, i) < 0)
            return -1;
    return 0;
}

/* Set scheme and SCRIPT_NAME where they are others than the template has. */
static int set_via(const struct ext_state *st, PyObject *environ,
                   const struct ext_source *source)
{
    PyObject *name;
    int rc;

    if (is_https(source) &&
        PyDict_SetItem(environ, st->names.url_scheme, st->names.https) < 0)
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

PyObject *ext_environ_new(struct ext_environ *e, const struct ext_state *st,
                          PyObject *template, const struct ext_source *source)
{
    PyObject *environ = NULL;
    const wsk_head *head = source->head;

    if (e->template == NULL)
        e->template = PyDict_Copy(template);
    if (e->template != NULL)
        environ = copy_with_slots(e, st, source);
    if (environ == NULL)
        return NULL;
    e->keys.request++;
    for (size_t i = 0; i < head->n_headers; i++)
        if (set_header(st, &e->keys, environ, &head->headers[i]) < 0)
            goto failed;
    if (set_host(st, environ, head) < 0 || set_via(st, environ, source) < 0 ||
        set_tls(e, environ, source) < 0)
        goto failed;
    return environ;

failed:
    Py_XDECREF(environ);
    return NULL;
}

int ext_environ_set_length(const struct ext_state *st, PyObject *environ,
                           uint64_t len)
{
    if (set_take(environ, st->names.content_length,
                 PyUnicode_FromFormat("%llu", (unsigned long long)len)) < 0)
        return -1;
    return PyDict_DelItem(environ, st->names.transfer_encoding);
}
