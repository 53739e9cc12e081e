/* net/request/site: the handlers that answer the requests of a server. */
#ifndef WSK_NET_REQUEST_SITE_H
#define WSK_NET_REQUEST_SITE_H

#include "net/request/builtin.h"
#include "wsocket.h"

#include <stdatomic.h>

/* Which bodies are complete before their request is called. */
enum wsk__buffering {
    WSK__BUFFER_AUTO,   /* those that do not wait for a 100 (Continue) */
    WSK__BUFFER_ALWAYS, /* those, too */
    WSK__BUFFER_NEVER,  /* those that have come with their head */
};

struct wsk__site {
    wsk_server *srv;               /* fixed: for wsk_request_server() */
    wsk_handler *handler;          /* fixed */
    void *user;                    /* fixed: of the handler */
    enum wsk__buffering buffering; /* fixed: cfg.buffer_body */
    char *temp_dir;                /* fixed: for body files */
    struct wsk__builtins builtins; /* fixed once listening */
    struct wsk__builtin admin;     /* fixed: of connections of metrics_bind */
    bool plain_files;              /* fixed; test: no sendfile() */
    atomic_ullong body_file_bytes; /* in all body files */
    atomic_uint streaming;         /* requests whose handler was called before
                                      their body had come */
};

#endif
