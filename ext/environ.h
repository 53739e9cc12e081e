/* ext/environ: a request head as a WSGI environ (PEP 3333). */
#ifndef WSK_EXT_ENVIRON_H
#define WSK_EXT_ENVIRON_H

#include "state.h"

/* What an environ is made from: the head and both ends of the connection. */
struct ext_source {
    const wsk_head *head;
    const char *peer;
    const char *local;
    uint16_t peer_port;
    uint16_t local_port;
    const char *scheme; /* NULL: http */
    const char *prefix; /* SCRIPT_NAME; NULL: none */
};

/* Keys that every environ has and every request sets. */
/* clang-format off */
#define EXT_SLOTS(X)                                                           \
    X(METHOD,   "REQUEST_METHOD")                                              \
    X(PATH,     "PATH_INFO")                                                   \
    X(QUERY,    "QUERY_STRING")                                                \
    X(RAW_URI,  "RAW_URI")                                                     \
    X(PROTOCOL, "SERVER_PROTOCOL")                                             \
    X(NAME,     "SERVER_NAME")                                                 \
    X(ADDR,     "REMOTE_ADDR")                                                 \
    X(URI,      "REQUEST_URI")                                                 \
    X(PORT,     "SERVER_PORT")                                                 \
    X(ADDRPORT, "REMOTE_PORT")
/* clang-format on */

enum ext_slot {
#define X(name, text) EXT_SLOT_##name,
    EXT_SLOTS(X)
#undef X
        EXT_SLOT_COUNT
};

/* One server's environs: what they have in common, and the values seen last,
 * for the next request often repeats them. */
struct ext_environ {
    PyObject *template;
    PyObject *last[EXT_SLOT_COUNT];
    uint16_t last_port[EXT_SLOT_COUNT]; /* of those that are ports */
};

/* The cache of header names in st->keys. */
int ext_environ_add(struct ext_state *st);
void ext_environ_remove(struct ext_state *st);

/* `errors` is wsgi.errors. -1 with an exception set. */
int ext_environ_init(struct ext_environ *e, struct ext_state *st,
                     PyObject *errors, bool multithread);
void ext_environ_clear(struct ext_environ *e);

/* A new dict, complete but for wsgi.input. */
PyObject *ext_environ_new(struct ext_environ *e, struct ext_state *st,
                          const struct ext_source *source);

/* A chunked body has arrived whole: applications see its length instead of its
 * coding, for frameworks read an empty body without CONTENT_LENGTH. */
int ext_environ_set_length(struct ext_state *st, PyObject *environ,
                           uint64_t len);

/* PATH_INFO of a head: percent-decoded, as latin-1. */
PyObject *ext_environ_path(const wsk_head *head);

/* Whether the path holds %00, which no application expects. */
bool ext_environ_path_has_nul(const wsk_head *head);

#endif
