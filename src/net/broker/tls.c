#include "net/broker/tls.h"

#include "net/os/clock.h"
#include "net/os/file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { FILE_MAX = 1 << 20 };

/* Read a file; "" is none. False with *fault. */
static bool read_file(const char *path, struct wsk__tls_file *file,
                      struct wsk__tls_fault *fault)
{
    struct wsk__file_stamp stamp;
    size_t len = 0;
    char *text;

    *file = (struct wsk__tls_file){0};
    if (*path == '\0')
        return true;
    text = wsk__file_read(path, FILE_MAX, &len, &stamp);
    if (text == NULL) {
        snprintf(fault->text, sizeof fault->text, "%s: %s", path,
                 strerror(errno));
        return false;
    }
    *file = (struct wsk__tls_file){path, {text, len}};
    return true;
}

static void forget(struct wsk__tls_file *file)
{
    wsk__file_forget((char *)file->text.p, file->text.len);
}

static int64_t now(void *unused)
{
    (void)unused;
    return wsk__wall_s();
}

struct wsk__tls *wsk__broker_tls_new(const struct wsk__broker_url *url,
                                     const char *host,
                                     struct wsk__tls_fault *fault)
{
    struct wsk__tls_pair own = {{0}, {0}};
    struct wsk__tls_config config = {
        .pairs = &own, .n_pairs = *url->cert != '\0', .now = now};
    struct wsk__tls *engine = NULL;

    *fault = (struct wsk__tls_fault){0};
    if (read_file(url->ca, &config.ca_certs, fault) &&
        read_file(url->cert, &own.chain, fault) &&
        read_file(url->key, &own.key, fault))
        engine = wsk__tls_connect(&config, host, fault);
    forget(&config.ca_certs);
    forget(&own.chain);
    forget(&own.key);
    return engine;
}
