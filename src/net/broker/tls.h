/* net/broker/tls: the files of a broker's URL. */
#ifndef WSK_NET_BROKER_TLS_H
#define WSK_NET_BROKER_TLS_H

#include "base/broker_url.h"
#include "tls/client.h"

/* Make the engine of a connection of rediss:// to a host. The files are read
 * anew, as they may have been replaced. NULL with *fault. */
struct wsk__tls *wsk__broker_tls_new(const struct wsk__broker_url *url,
                                     const char *host,
                                     struct wsk__tls_fault *fault);

#endif
