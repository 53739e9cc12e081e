/* net/request/mount: script_name: the path that the application is mounted at.
 */
#ifndef WSK_NET_REQUEST_MOUNT_H
#define WSK_NET_REQUEST_MOUNT_H

#include "wsocket.h"

struct wsk__ends;

/* Take script_name, `name`, off the path of a request whose ends are known.
 * False: the path is outside, and no proxy that is trusted has taken it off
 * before. */
bool wsk__mount_request(const char *name, struct wsk__ends *ends,
                        wsk_head *head);

/* Return SCRIPT_NAME of a request. */
const char *wsk__mount_prefix(const char *name, const struct wsk__ends *ends);

#endif
