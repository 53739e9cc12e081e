/* net/os/listen: listening sockets, and addresses as text. */
#ifndef WSK_NET_OS_LISTEN_H
#define WSK_NET_OS_LISTEN_H

#include "base/items.h"
#include "wsocket.h"

#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/types.h>

enum { WSK__LISTENERS = 32, WSK__ADDRESS = 46, WSK__LISTEN_ERROR = 640 };

/* An address as text, and its port. */
struct wsk__address {
    char text[WSK__ADDRESS]; /* "" for Unix sockets */
    uint16_t port;
};

/* Write an address as text; an IPv4 client of an IPv6 socket gets its own. */
void wsk__address_of(const struct sockaddr_storage *sa,
                     struct wsk__address *out);

/* The sockets that were opened. `path` is the file of a Unix socket, which is
 * removed at the end if it still is the same file. */
struct wsk__places {
    struct wsk__place {
        atomic_int fd; /* -1: closed. Metrics look at it from any thread */
        char *url;     /* for a person; owned */
        char *address; /* bound to; for a person; owned */
        char *path;    /* owned; NULL: no file to remove */
        dev_t dev;
        ino_t ino;
        bool inherited; /* other processes may accept at it */
        bool tls;       /* connections begin with a handshake of TLS */
    } at[WSK__LISTENERS];
    size_t n;
    bool trial; /* only bind: no listen(), and no file is left */
    bool tls;   /* of the sockets that are added next */
    char error[WSK__LISTEN_ERROR]; /* error message, for a person */
};

/*
 * Listen at one more address. With TCP, `localhost` means both families, ""
 * every address, port 0 one free port for all sockets. The file of a Unix
 * socket at which no server listens any more is removed first. Returns WSK_OK,
 * WSK_E_SYS with errno and `error`, or WSK_E_NOMEM; open sockets stay open.
 */
wsk_status wsk__listen(struct wsk__places *sockets,
                       const struct wsk__bind *bind, unsigned backlog);

/* Find the address at which a socket listens. True: all its connections have
 * that address, too; false: the socket listens at every address. */
bool wsk__listens_at(int fd, struct wsk__address *out);

/* Send small packets without waiting for an acknowledgement (TCP_NODELAY): the
 * server sends few, and complete ones. */
void wsk__send_at_once(int fd);

/*
 * Let no new client connect to the i-th socket, while those whose connection is
 * under way still do: a client is refused when it tries again after the socket
 * has closed. No other process may accept at it.
 */
void wsk__place_refuse_new(struct wsk__places *sockets, size_t i);

/* Wait until a connection can be accepted at one of the sockets, for at most
 * `ms`. */
void wsk__places_wait(const struct wsk__places *sockets, int ms);

/* Find how many connections wait at a listening TCP socket, and how many may.
 * False: the system does not tell. */
bool wsk__listen_queue(int fd, unsigned *length, unsigned *limit);

/* Close the i-th socket, and remove its file if `tidy`. */
void wsk__place_close(struct wsk__places *sockets, size_t i, bool tidy);

/* Close all sockets, and forget them. */
void wsk__places_clear(struct wsk__places *sockets, bool tidy);

/* Return true if a socket can be reached from this machine only. */
bool wsk__place_is_local(const struct wsk__place *place);

/* Return the port of the first TCP socket, or of the first with TLS; 0: there
 * is none. */
uint16_t wsk__places_port(const struct wsk__places *sockets, bool tls);

#endif
