#include "net/request/mount.h"

#include "base/ascii.h"
#include "net/conn/peer.h"
#include "wsocket.h"

#include <string.h>

/* Take `name` off a path that lies below it, %-escapes decoded. False: it lies
 * outside and is unchanged. */
static bool strip(const char *name, wsk_str *path)
{
    size_t at = 0;

    for (; *name != '\0'; name++) {
        size_t left = path->len - at, step = 1;
        int c;

        if (left == 0)
            return false;
        c = (unsigned char)path->p[at];
        if (c == '%' && left > 2 && wsk__hex(path->p[at + 1]) >= 0 &&
            wsk__hex(path->p[at + 2]) >= 0) {
            c = wsk__hex(path->p[at + 1]) << 4 | wsk__hex(path->p[at + 2]);
            step = 3;
        }
        if (c != (unsigned char)*name)
            return false;
        at += step;
    }
    if (at < path->len && path->p[at] != '/')
        return false; /* /apple is not below /app */
    path->p += at;
    path->len -= at;
    return true;
}

/* Return true if a proxy's prefix ends in `name`: the application's own is in
 * it already. */
static bool ends_in(const char *prefix, const char *name)
{
    size_t n = strlen(prefix), len = strlen(name);

    return n >= len && memcmp(prefix + n - len, name, len) == 0;
}

bool wsk__mount_request(const char *name, struct wsk__ends *ends,
                        wsk_head *head)
{
    struct wsk__proxy_info *proxy = ends->proxy;
    bool below;

    if (name == NULL || name[0] == '\0' || head->path.p[0] != '/')
        return true;
    below = strip(name, &head->path);
    if (proxy == NULL || proxy->prefix[0] == '\0')
        return below;
    if (ends_in(proxy->prefix, name))
        return true;
    memcpy(proxy->prefix + strlen(proxy->prefix), name, strlen(name) + 1);
    return below;
}

const char *wsk__mount_prefix(const char *name, const struct wsk__ends *ends)
{
    const struct wsk__proxy_info *proxy = ends->proxy;

    if (proxy != NULL && proxy->prefix[0] != '\0')
        return proxy->prefix;
    return name != NULL ? name : "";
}
