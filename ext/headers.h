/* ext/headers: header fields from Python, checked, as views of their text. */
#ifndef WSK_EXT_HEADERS_H
#define WSK_EXT_HEADERS_H

#include "state.h"

/* More fields than this need an allocation. With this many, the object that
 * holds them is still small enough for pymalloc (512 bytes). */
#define EXT_FEW_HEADERS 10

struct ext_headers {
    PyObject *fields; /* tuple; keeps the text alive */
    wsk_header *items;
    size_t n;
    bool upgrades;   /* of a 426, which must name a protocol (9110 15.5.22) */
    bool has_length; /* a Content-Length is among them */
    uint64_t length; /* the Content-Length, if there is one */
    wsk_header few[EXT_FEW_HEADERS];
};

/* Make an empty set without zeroing the room for its fields. */
static inline void ext_headers_init(struct ext_headers *h)
{
    h->fields = NULL;
    h->items = NULL;
    h->n = 0;
    h->has_length = false;
    h->upgrades = false;
}

/* Fill an empty (zeroed, made or cleared) set from a list of (name, value),
 * which are str, as PEP 3333 has them. -1 with an exception set that names the
 * mistake; then the set must be cleared. With `st`, good names are remembered,
 * and a hop-by-hop field is left out with a warning; without it, such a field
 * is a mistake. */
int ext_headers_fill(struct ext_state *st, struct ext_headers *h,
                     PyObject *list);

void ext_headers_clear(struct ext_headers *h);

/* Move a set into one that is empty. */
void ext_headers_move(struct ext_headers *to, struct ext_headers *from);

/* Return the bytes of a str that is latin-1; they are NUL-terminated and live
 * as long as the str. `what` names it in an error. NULL with an exception set.
 */
const char *ext_latin1(PyObject *text, const char *what);

/* Check for control characters (RFC 9110 5.5): a CR or LF would let a value
 * write fields of its own. -1 with an exception set. */
int ext_check_text(PyObject *text, const char *p, const char *what);

#endif
