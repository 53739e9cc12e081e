/* net/log/page: the numbers of a service as a page for Prometheus. Pure. */
#ifndef WSK_NET_LOG_PAGE_H
#define WSK_NET_LOG_PAGE_H

#include "net/log/metrics.h"
#include "wsocket.h"

/* The gauges of a worker. */
struct wsk__page_worker {
    unsigned number; /* from 1; 0: there is one process */
    uint64_t gauges[WSK__GAUGES];
};

/* A listening socket, and the connections that wait to be accepted. */
struct wsk__page_listener {
    const char *address;
    unsigned length, limit;
};

/* A certificate of TLS. */
struct wsk__page_certificate {
    const char *name, *file;
    uint64_t end; /* seconds since 1970 */
};

/* The content of a page. All is borrowed. */
struct wsk__page {
    bool openmetrics;         /* OpenMetrics 1.0, else the text format 0.0.4 */
    const char *python;       /* the version; "" without it */
    const char *gil;          /* "on" or "off"; "" without Python */
    const uint64_t *counters; /* WSK__COUNTERS, of all workers together */
    const struct wsk__page_worker *workers;
    size_t n_workers;
    uint64_t parent[WSK__PARENT_VALUES]; /* those that are 0 are left out */
    const struct wsk__page_listener *listeners;
    size_t n_listeners;
    const struct wsk__page_certificate *certificates;
    size_t n_certificates; /* 0: there is no TLS */
};

/* Write the page to out[0..cap), as far as it fits. Returns its length: write
 * it again where that is more than `cap`. */
size_t wsk__page_write(const struct wsk__page *page, char *out, size_t cap);

/* Find a counter by the name of its family, without "wsocket_" and "_total",
 * and the value of its label. -1: there is none. */
int wsk__page_counter(const char *name, const char *value);

/* Find a value of the parent's by the name of its family. -1: there is none. */
int wsk__page_parent_value(const char *name);

/* Return true if a request prefers OpenMetrics to the text format. */
bool wsk__page_wants_openmetrics(const wsk_head *head);

/* Return the media type of a page. */
const char *wsk__page_type(bool openmetrics);

#endif
