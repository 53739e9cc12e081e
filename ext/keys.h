/* ext/keys: header names as keys of an environ, and the values seen last. */
#ifndef WSK_EXT_KEYS_H
#define WSK_EXT_KEYS_H

#include "state.h"

/* Names that a thread may learn, besides the common ones. They are the client's
 * choice, so there is a limit. */
#define EXT_KEYS_COMMON 50
#define EXT_KEYS_LEARNED 64

/* One header name. */
struct ext_key {
    PyObject *key;  /* HTTP_NAME */
    unsigned index; /* of its value in a cache */
    bool secret;    /* no value is ever remembered */
    unsigned char len;
    char name[]; /* as it is spelled most, or was at first */
};

/* The values of one thread: a peer sends the same User-Agent again and again.
 */
struct ext_key_cache {
    struct ext_key_table *learned; /* names that are not common; or NULL */
    uint64_t request;              /* number of the request being unpacked */
    struct {
        PyObject *last; /* the value it had last, or NULL */
        uint64_t seen;  /* the request in which it occurred last */
    } values[EXT_KEYS_COMMON + EXT_KEYS_LEARNED];
};

/* Make, and free, the table of the common names, which is never changed in
 * between. -1 with an exception set. */
int ext_keys_add(struct ext_state *st);
void ext_keys_remove(struct ext_state *st);

/* Find a name, or learn it. NULL where there is no room for it; an exception
 * may be set. */
const struct ext_key *ext_keys_find(const struct ext_state *st,
                                    struct ext_key_cache *cache, wsk_str name);

/* Return the environ key of a header: that of "Accept-Encoding" is
 * HTTP_ACCEPT_ENCODING. A new reference. */
PyObject *ext_keys_text(const struct ext_state *st, wsk_str name);

void ext_keys_clear(struct ext_key_cache *cache);

#endif
