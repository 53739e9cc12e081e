/* ext/headers: header fields from Python, checked, as views of their text. */
#include "headers.h"

#include "errors.h"
#include "thread.h"

/* Bytes of a name that is remembered. */
#define LONGEST_GOOD 64

/* A result beside good (0) and an error (-1). */
enum { EXT_DROPPED = 1 };

const char *ext_latin1(PyObject *text, const char *what)
{
    if (!PyUnicode_Check(text)) {
        PyErr_Format(PyExc_TypeError, "%s must be a str, not %.100s", what,
                     Py_TYPE(text)->tp_name);
        return NULL;
    }
#if PY_VERSION_HEX < 0x030C0000
    if (PyUnicode_READY(text) < 0)
        return NULL;
#endif
    if (PyUnicode_KIND(text) != PyUnicode_1BYTE_KIND) {
        PyErr_Format(PyExc_ValueError,
                     "%s holds a character outside latin-1: %R", what, text);
        return NULL;
    }
    return (const char *)PyUnicode_1BYTE_DATA(text);
}

/* True if one of eight bytes is below a space (a tab, too) or is DEL. */
static bool has_control(const char *p)
{
    const uint64_t ones = UINT64_C(0x0101010101010101), high = ones << 7;
    uint64_t x, del;

    memcpy(&x, p, sizeof x);
    del = x ^ ones * 0x7f;
    return (((x - ones * 0x20) & ~x) | ((del - ones) & ~del)) & high;
}

int ext_check_text(PyObject *text, const char *p, const char *what)
{
    Py_ssize_t n = PyUnicode_GET_LENGTH(text), i = 0;

    if (n >= 8) {
        while (i + 8 < n && !has_control(p + i))
            i += 8;
        if (i + 8 >= n && !has_control(p + n - 8))
            return 0;
    }
    while (i < n) {
        unsigned char c = (unsigned char)p[i];

        if ((c < 0x20 && c != '\t') || c == 0x7f) {
            PyErr_Format(PyExc_ValueError, "%s holds a control character: %R",
                         what, text);
            return -1;
        }
        i++;
    }
    return 0;
}

/* RFC 9110 5.6.2: which of the ASCII characters a token may hold. */
static const uint32_t TOKEN[8] = {
    [1] = 0x03ff6cfa, /* !#$%&'*+-. and digits */
    [2] = 0xc7fffffe, /* capitals ^ _ */
    [3] = 0x57ffffff, /* ` small letters | ~ */
};

static int check_name(PyObject *name, wsk_str s)
{
    bool ok = s.len > 0;

    for (size_t i = 0; i < s.len && ok; i++) {
        unsigned char c = (unsigned char)s.p[i];

        ok = TOKEN[c / 32] >> (c % 32) & 1;
    }
    if (ok)
        return 0;
    PyErr_Format(PyExc_ValueError, "header name is not a token: %R", name);
    return -1;
}

/* Compare a name with one that is written in small letters and dashes. */
static bool same(wsk_str name, wsk_str small)
{
    if (name.len != small.len)
        return false;
    for (size_t i = 0; i < name.len; i++)
        if ((name.p[i] | 0x20) != small.p[i])
            return false;
    return true;
}

/* The fields of RFC 9110 7.6.1, and those that PEP 3333 has from RFC 2616
 * 13.5.1. Connection is not among them, because its `close` is the
 * application's only way to ask for that. */
static const wsk_str HOP[EXT_HOP_FIELDS] = {
    {"keep-alive", 10}, {"proxy-authenticate", 18},
    {"te", 2},          {"proxy-authorization", 19},
    {"trailer", 7},     {"transfer-encoding", 17},
    {"trailers", 8},    {"proxy-connection", 16},
    {"upgrade", 7},
};

/* Return the place of a name in HOP, or EXT_HOP_FIELDS. */
static size_t hop_of(wsk_str name)
{
    size_t i = 0;

    while (i < EXT_HOP_FIELDS && !same(name, HOP[i]))
        i++;
    return i;
}

/* Warn of a field that is dropped, at most once in a second for each name. A
 * program that copies another server's answer has such fields in it. */
static void tell_dropped(struct ext_state *st, PyObject *name, size_t i)
{
    time_t now = time(NULL);
    PyObject *text;

    if (atomic_exchange(&st->hop_told[i], now) == now)
        return;
    text = PyUnicode_FromFormat(
        "the application has set %R, a hop-by-hop header, which only the "
        "server sets (PEP 3333): it was left out of the answer",
        name);
    if (text == NULL || PyUnicode_AsUTF8(text) == NULL)
        PyErr_WriteUnraisable(name);
    else
        ext_log_warning(st, PyUnicode_AsUTF8(text));
    Py_XDECREF(text);
}

static bool is_length(wsk_str name)
{
    return name.len == 14 && (memcmp(name.p, "Content-Length", 14) == 0 ||
                              same(name, (wsk_str){"content-length", 14}));
}

/* Read a Content-Length: digits, and only once (RFC 9110 8.6). */
static int set_length(struct ext_headers *set, PyObject *text, wsk_str value)
{
    uint64_t n = 0;
    bool ok = value.len > 0;

    if (set->has_length) {
        PyErr_SetString(PyExc_ValueError,
                        "Content-Length is among the headers twice");
        return -1;
    }
    for (size_t i = 0; i < value.len && ok; i++) {
        ok = value.p[i] >= '0' && value.p[i] <= '9' && n < INT64_MAX / 10;
        n = n * 10 + (uint64_t)(value.p[i] - '0');
    }
    if (!ok) {
        PyErr_Format(PyExc_ValueError,
                     "Content-Length must be the number of octets in the "
                     "body, in digits, not %R",
                     text);
        return -1;
    }
    set->has_length = true;
    set->length = n;
    return 0;
}

/* Check a name. 0, or with `st` EXT_DROPPED for a field that is left out. */
static int check_once(struct ext_state *st, PyObject **good, PyObject *name,
                      wsk_str s, bool upgrades)
{
    size_t hop;

    if (good != NULL)
        good += ((uintptr_t)name >> 4) % EXT_GOOD_NAMES;
    if (good != NULL && *good == name)
        return 0;
    if (check_name(name, s) < 0)
        return -1;
    hop = hop_of(s);
    if (hop < EXT_HOP_FIELDS) {
        if (upgrades && same(s, (wsk_str){"upgrade", 7}))
            return 0;
        if (st != NULL) {
            tell_dropped(st, name, hop);
            return EXT_DROPPED;
        }
        PyErr_Format(PyExc_ValueError,
                     "%R is a hop-by-hop header, which only the server sets; "
                     "remove it",
                     name);
        return -1;
    }
    if (good != NULL && s.len <= LONGEST_GOOD && PyUnicode_CheckExact(name))
        Py_XSETREF(*good, ext_ref(name));
    return 0;
}

/* Set a view of one (name, value) of the application. */
static int set_header(struct ext_state *st, PyObject **good,
                      struct ext_headers *set, PyObject *field, wsk_header *h)
{
    PyObject *name, *value;
    int rc;

    if (!PyTuple_Check(field) || PyTuple_GET_SIZE(field) != 2) {
        PyErr_Format(PyExc_TypeError,
                     "a header must be a tuple (name, value), not %R", field);
        return -1;
    }
    name = PyTuple_GET_ITEM(field, 0);
    value = PyTuple_GET_ITEM(field, 1);
    h->name.p = ext_latin1(name, "header name");
    if (h->name.p == NULL)
        return -1;
    h->value.p = ext_latin1(value, "header value");
    if (h->value.p == NULL)
        return -1;
    h->name.len = (size_t)PyUnicode_GET_LENGTH(name);
    h->value.len = (size_t)PyUnicode_GET_LENGTH(value);
    rc = check_once(st, good, name, h->name, set->upgrades);
    if (rc < 0 || ext_check_text(value, h->value.p, "header value") < 0)
        return -1;
    if (rc == EXT_DROPPED)
        return rc;
    if (is_length(h->name))
        return set_length(set, value, h->value);
    return 0;
}

int ext_headers_fill(struct ext_state *st, struct ext_headers *h,
                     PyObject *list)
{
    struct ext_thread *here = st != NULL ? ext_thread_here() : NULL;
    PyObject **good = here != NULL ? here->good_names : NULL;
    size_t kept = 0;
    Py_ssize_t n;

    h->items = h->few;
    if (!PyList_Check(list)) {
        PyErr_Format(PyExc_TypeError,
                     "the headers must be a list of tuples, not %.100s",
                     Py_TYPE(list)->tp_name);
        return -1;
    }
    /* The list is the application's to change afterwards. */
    h->fields = PyList_AsTuple(list);
    if (h->fields == NULL)
        return -1;
    n = PyTuple_GET_SIZE(h->fields);
    if (n > EXT_FEW_HEADERS) {
        h->items = PyMem_New(wsk_header, (size_t)n);
        if (h->items == NULL) {
            PyErr_NoMemory();
            return -1;
        }
    }
    for (Py_ssize_t i = 0; i < n; i++) {
        int rc = set_header(st, good, h, PyTuple_GET_ITEM(h->fields, i),
                            &h->items[kept]);

        if (rc < 0)
            return -1;
        kept += rc != EXT_DROPPED;
    }
    h->n = kept;
    return 0;
}

void ext_headers_clear(struct ext_headers *h)
{
    PyObject *fields = h->fields;

    if (h->items != h->few)
        PyMem_Free(h->items);
    ext_headers_init(h);
    Py_XDECREF(fields); /* may run code of the application */
}

void ext_headers_move(struct ext_headers *to, struct ext_headers *from)
{
    to->fields = from->fields;
    to->n = from->n;
    to->has_length = from->has_length;
    to->length = from->length;
    to->items = from->items;
    if (from->items == from->few) {
        to->items = to->few;
        for (size_t i = 0; i < from->n; i++)
            to->few[i] = from->few[i];
    }
    ext_headers_init(from);
}
