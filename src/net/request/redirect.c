#include "net/request/redirect.h"

#include "base/ascii.h"
#include "base/buf.h"
#include "http/host.h"
#include "net/conn/conns.h"
#include "net/conn/peer.h"
#include "wsocket.h"

#include <stdio.h>
#include <string.h>

enum { HTTPS = 443 }; /* the port that a URL leaves out (RFC 9110 4.2.2) */

/* Return true for the file with which a host proves to an authority that it
 * owns its name: the authority asks by http (RFC 8555 8.3). The rest of the
 * path is a token, so nothing else can be reached by way of "..". */
static bool is_acme_challenge(wsk_str path)
{
    static const char BELOW[] = "/.well-known/acme-challenge/";
    size_t n = sizeof(BELOW) - 1;

    return path.len > n && memcmp(path.p, BELOW, n) == 0 && path.p[n] != '.' &&
           memchr(path.p + n, '/', path.len - n) == NULL &&
           memchr(path.p + n, '%', path.len - n) == NULL;
}

bool wsk__redirects(const struct wsk__conns *conns,
                    const struct wsk__ends *ends, const wsk_head *head)
{
    return conns->https_port != 0 && !wsk__ends_https(ends) &&
           !is_acme_challenge(head->path);
}

static bool put(struct wsk__buf *to, wsk_str text)
{
    return text.len == 0 || wsk__buf_put(to, text.p, text.len);
}

bool wsk__redirect_location(struct wsk__buf *to, const wsk_head *head,
                            uint16_t port)
{
    static const wsk_str NOTHING = {"", 0}, SCHEME = {"https://", 8},
                         MARK = {"?", 1};
    char digits[sizeof(":65535")];
    wsk_str colon = {digits, 0}, path = head->path;
    bool asks = head->query.len > 0;

    if (port != HTTPS)
        colon.len =
            (size_t)snprintf(digits, sizeof digits, ":%u", (unsigned)port);
    if (wsk__str_is(path, "*")) /* RFC 9112 3.2.4: the server as a whole */
        path = NOTHING;
    return put(to, SCHEME) && put(to, wsk__host_name(head->host)) &&
           put(to, colon) && put(to, path) && put(to, asks ? MARK : NOTHING) &&
           put(to, head->query);
}
