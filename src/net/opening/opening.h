/* net/opening/opening: what a connection does before it speaks its protocol:
 * the header of the PROXY protocol, then the handshake of TLS, whose arithmetic
 * is done by threads of its own. */
#ifndef WSK_NET_CONN_OPENING_H
#define WSK_NET_CONN_OPENING_H

#include <stdbool.h>

struct wsk__conn;
struct wsk__ends;
struct wsk__opening;

/* Openings in the order in which they came, by one of their links. */
struct wsk__opening_list {
    struct wsk__opening *oldest, *newest;
};

/* The openings of a server that come to TLS. Leader. */
struct wsk__openings {
    struct wsk__opening_list all;
    struct wsk__opening_list waiting; /* for the others' handshakes */
    unsigned n;                       /* of all */
    unsigned n_asked;                 /* handshakes that are jobs now */
};

/* See conns->begin, which it is. */
bool wsk__opening_begin(struct wsk__conn *conn, struct wsk__ends *ends,
                        bool plain);

#endif
