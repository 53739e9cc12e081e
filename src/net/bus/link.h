/* net/bus/link: one connection between two processes of a host. Who connects
 * sends its publications by it; the other reads them. */
#ifndef WSK_NET_BUS_LINK_H
#define WSK_NET_BUS_LINK_H

#include "base/buf.h"
#include "net/bus/folder.h"
#include "net/bus/interest.h"
#include "net/bus/wire.h"

#include <stdbool.h>

enum {
    WSK__LINK_QUEUE = 16 << 20, /* octets that wait for a peer, at most */
    WSK__LINK_FIRST_WAIT_MS = 50,
};

struct wsk__link {
    struct wsk__link *next;
    int fd;          /* -1: cut, and made anew at retry_ms */
    bool outgoing;   /* this process has connected */
    bool greeted;    /* the peer has sent its first message */
    bool owes_ready; /* an answer to its hello, once it is linked to */
    bool awaited;    /* the start waits for its greeting */
    bool cut;        /* a sender gives it up; the host's thread does the rest */
    bool gap;        /* publications were lost since the last hello */
    bool wants;      /* to write, in the poller */
    bool refused;    /* a message, as it was full or gone: no relay */
    bool doomed;     /* out of the list, freed with the batch of events */
    unsigned waits_ms; /* until the next try after this one */
    uint64_t retry_ms;
    struct wsk__buf in, out;
    const wsk__interest_word *bits; /* of the peer, if outgoing */
    char name[WSK__MEMBER_NAME];    /* of the peer; "": not told yet */
};

/* Make one that is cut. NULL: memory is out. */
struct wsk__link *wsk__link_new(bool outgoing, const char *name);

/* Close and free it. */
void wsk__link_free(struct wsk__link *link);

/* Close its descriptor, and drop what waits. */
void wsk__link_close(struct wsk__link *link);

/* Connect to its peer, and say hello in the name of this process. False, with
 * errno: ECONNREFUSED or ENOENT where the peer has gone. */
bool wsk__link_open(struct wsk__link *link, const char *folder,
                    const char *own_name);

/* Return true if the peer shows that it has a broker. */
bool wsk__link_has_broker(const struct wsk__link *link);

/* Send a message, or queue it. False: the link is cut, and there is a gap. */
bool wsk__link_send(struct wsk__link *link, const wsk_str *pieces, size_t n);

/* Send a message, whose head stands at the begin of the first of two pieces, to
 * a peer that passes it on to its broker: the oldest of a list that takes it,
 * so that a publisher's order is kept. Returns its link; NULL: none takes it.
 */
struct wsk__link *wsk__link_relay(struct wsk__link *list, struct wsk__wire head,
                                  const wsk_str pieces[2]);

/* Send what is queued. False: the peer has gone. */
bool wsk__link_flush(struct wsk__link *link);

enum wsk__link_read { WSK__LINK_GONE, WSK__LINK_EMPTY, WSK__LINK_READ };

/* Read some octets into `in`. GONE: the peer has closed, or memory is out. */
enum wsk__link_read wsk__link_read(struct wsk__link *link);

#endif
