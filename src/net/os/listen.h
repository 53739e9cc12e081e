/* net/os/listen: listening sockets, and addresses as text. */
#ifndef WSK_NET_OS_LISTEN_H
#define WSK_NET_OS_LISTEN_H

#include "base/items.h"
#include "wsocket.h"

#include <sys/socket.h>
#include <sys/types.h>

enum { WSK__LISTENERS = 32, WSK__ADDRESS = 46, WSK__LISTEN_ERROR = 640 };

/* An address as text and its port. */
struct wsk__address {
    char text[WSK__ADDRESS]; /* "" for Unix sockets */
    uint16_t port;
};

void wsk__address_of(const struct sockaddr_storage *sa,
                     struct wsk__address *out);

/* What was opened; `path` of a Unix socket, to be removed if it still is the
 * same file. */
struct wsk__places {
    struct wsk__place {
        int fd;
        char *url;     /* for a person; owned */
        char *address; /* bound to, for a person; owned */
        char *path;    /* owned; NULL: no file of ours */
        dev_t dev;
        ino_t ino;
    } at[WSK__LISTENERS];
    size_t n;
    bool trial; /* bind, and leave no trace: no listen(), no file */
    char error[WSK__LISTEN_ERROR]; /* what went wrong, for a person */
};

/*
 * Listen at one more place. Of TCP, `localhost` means both families, "" every
 * address, port 0 the same free port for every socket. Before a Unix socket,
 * one that nobody listens on any more is removed. WSK_E_SYS with errno and
 * `error`, WSK_E_NOMEM; what was open before stays so.
 */
wsk_status wsk__listen(struct wsk__places *sockets,
                       const struct wsk__bind *bind, unsigned backlog);

/* Where it listens. True: all its connections have that address, too; false: it
 * listens at every address. */
bool wsk__listens_at(int fd, struct wsk__address *out);

/* Small packets do not wait for an acknowledgement; ours are few and whole. */
void wsk__send_at_once(int fd);

/* Close the i-th, and remove its file if `tidy`. */
void wsk__place_close(struct wsk__places *sockets, size_t i, bool tidy);

/* Close all of them, and forget them. */
void wsk__places_clear(struct wsk__places *sockets, bool tidy);

/* The port of the first TCP socket; 0: there is none. */
uint16_t wsk__places_port(const struct wsk__places *sockets);

#endif
