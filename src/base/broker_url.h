/* base/broker_url: the option broker, the address of a Redis:
 *
 *     redis://user:password@host:port/0         rediss:// with TLS
 *     unix:path                                 a Unix socket
 *     redis+sentinel://h1,h2:port,h3/name       rediss+sentinel:// with TLS
 *
 * Behind a "?" come ca, cert and key, paths of PEM files; for unix also user
 * and password; for Sentinel sentinel_user and sentinel_password. All texts may
 * have octets as %20. */
#ifndef WSK_BASE_BROKER_URL_H
#define WSK_BASE_BROKER_URL_H

#include "wsocket.h"

enum wsk__broker_kind {
    WSK__BROKER_REDIS,
    WSK__BROKER_UNIX,
    WSK__BROKER_SENTINEL,
};

enum { WSK__BROKER_TEXT = 1024 }; /* bytes of a URL at most */

/* The texts are NUL-terminated, and "" where they are not given. */
struct wsk__broker_url {
    enum wsk__broker_kind kind;
    bool tls;
    const char *user, *password;
    const char *hosts; /* of Sentinel several, between commas; of UNIX a path */
    const char *name;  /* of a master */
    const char *ca, *cert, *key;
    const char *sentinel_user, *sentinel_password;
    char text[WSK__BROKER_TEXT + 1]; /* of all of them */
};

/* Read one. NULL: *url is good, and holds pointers into itself; else a text
 * that says what is wrong. */
const char *wsk__broker_url_read(struct wsk__broker_url *url, const char *text);

/* Walk the hosts, [v6] without its brackets: *at begins as url->hosts. False at
 * the end, or if it is no host. */
bool wsk__broker_url_host(const struct wsk__broker_url *url, const char **at,
                          char host[256], unsigned *port);

/* Write the URL without its password, for people. */
void wsk__broker_url_show(const struct wsk__broker_url *url, char *to,
                          size_t size);

#endif
