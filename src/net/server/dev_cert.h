/* net/server/dev_cert: certfile dev, a certificate for localhost that is made
 * at need and kept in the user's files. */
#ifndef WSK_NET_SERVER_DEV_CERT_H
#define WSK_NET_SERVER_DEV_CERT_H

#include "tls/set.h"
#include "wsocket.h"

enum { WSK__DEV_PATH = 1024 };

/* Find the file with a certificate and its key, or make it. `authority`
 * receives the file whose certificate a browser has to trust. False with
 * *fault. May wait for a disk, and for another process that does the same. */
bool wsk__dev_certificate(char file[WSK__DEV_PATH],
                          char authority[WSK__DEV_PATH],
                          struct wsk__tls_fault *fault);

#endif
