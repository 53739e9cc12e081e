/* ext/environ: a request head as a WSGI environ (PEP 3333). */
#ifndef WSK_EXT_ENVIRON_H
#define WSK_EXT_ENVIRON_H

#include "keys.h"
#include "state.h"

/* The input of an environ: the head and both ends of the connection. */
struct ext_source {
    const wsk_head *head;
    const char *peer;
    const char *local;
    uint16_t peer_port;
    uint16_t local_port;
    const char *scheme;    /* NULL: http */
    const char *prefix;    /* SCRIPT_NAME; NULL: none */
    const wsk_header *tls; /* variables of TLS; NULL: there is none */
    size_t n_tls;
};

/* Variables that each connection with TLS has, in this order: HTTPS,
 * SSL_PROTOCOL, SSL_CIPHER, SSL_TLS_SNI, SSL_CLIENT_VERIFY. */
enum { EXT_TLS_USUAL = 5 };

/* The environs of one thread: a copy of the template, with the values seen last
 * in it, for the next request often repeats them. Zeroed at first. */
struct ext_environ {
    PyObject *template;
    PyObject *last[EXT_SLOT_COUNT];
    uint16_t last_port[EXT_SLOT_COUNT]; /* of those that are ports */
    struct ext_key_cache keys;
    struct {
        PyObject *key, *last;
    } tls[EXT_TLS_USUAL];
};

void ext_environ_clear(struct ext_environ *e);

/* Make the template, the values that all environs of a server have. `errors` is
 * wsgi.errors. NULL with an exception set. */
PyObject *ext_environ_template(const struct ext_state *st, PyObject *errors,
                               bool multithread);

/* Make a dict, complete but for wsgi.input. `template` is the server's. */
PyObject *ext_environ_new(struct ext_environ *e, const struct ext_state *st,
                          PyObject *template, const struct ext_source *source);

/* Replace the coding of a chunked body that has arrived by its length:
 * frameworks read an empty body without CONTENT_LENGTH. */
int ext_environ_set_length(const struct ext_state *st, PyObject *environ,
                           uint64_t len);

/* Return PATH_INFO of a head: percent-decoded, as latin-1. */
PyObject *ext_environ_path(const wsk_head *head);

/* True if the path holds %00, which no application expects. */
bool ext_environ_path_has_nul(const wsk_head *head);

#endif
