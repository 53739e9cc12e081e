/* net/request/mount: script_name: the path that the application is mounted at.
 */
#ifndef WSK_NET_REQUEST_MOUNT_H
#define WSK_NET_REQUEST_MOUNT_H

#include "wsocket.h"

struct wsk__conn;

/* A request begins, and proxies were heard: take script_name off its path.
 * False: the path is outside, and no proxy that is trusted has taken it off
 * before. */
bool wsk__mount_request(struct wsk__conn *conn);

/* SCRIPT_NAME of the open request. */
const char *wsk__mount_prefix(const struct wsk__conn *conn);

#endif
