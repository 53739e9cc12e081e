/* net/broker/link: one connection to a broker, plain or over TLS. Only one
 * thread uses it. */
#ifndef WSK_NET_BROKER_LINK_H
#define WSK_NET_BROKER_LINK_H

#include "base/broker_url.h"
#include "net/broker/dial.h"
#include "net/os/stream.h"
#include "net/os/wake.h"

enum { WSK__LINK_WHY = 512 }; /* size of a sentence with its NUL */

/* How connections are made. */
struct wsk__broker_opening {
    const struct wsk__wake *wake;      /* ends a wait; not cleared */
    uint32_t timeout_ms;               /* to connect, and to shake hands */
    uint32_t silence_ms;               /* see wsk__dial() */
    const struct wsk__broker_url *url; /* of rediss: by TLS, with its files */
    const char *host; /* the name in the certificate, for TLS */
};

/* Connect. False with a sentence, also if the wake-up came. */
bool wsk__broker_open(struct wsk__stream *link,
                      const struct wsk__dial_place *place,
                      const struct wsk__broker_opening *how,
                      char why[WSK__LINK_WHY]);

/* End and close it, if it is open; also for the children of forks, which have
 * copies. */
void wsk__broker_close(struct wsk__stream *link);

#endif
