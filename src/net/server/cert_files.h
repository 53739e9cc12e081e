/* net/server/cert_files: the files that the options of TLS name, read together,
 * and looked at for changes. */
#ifndef WSK_NET_SERVER_CERT_FILES_H
#define WSK_NET_SERVER_CERT_FILES_H

#include "net/os/file.h"
#include "tls/set.h"
#include "wsocket.h"

struct wsk__cert_file {
    char *path;                   /* owned */
    struct wsk__file_stamp stamp; /* of what was read last */
};

struct wsk__cert_files {
    const wsk_server_config *cfg; /* fixed */
    struct wsk__cert_file *at;    /* owned: chains, keys, tickets, others */
    size_t n, n_chains, n_keys, n_tickets;
    size_t ca_certs, crl, password; /* their places; SIZE_MAX: not given */
};

/* Read the names from the options, and from `certfile` in place of that one.
 * False with *fault: memory is out. */
bool wsk__cert_files_open(struct wsk__cert_files *files,
                          const wsk_server_config *cfg, const char *certfile,
                          struct wsk__tls_fault *fault);
void wsk__cert_files_close(struct wsk__cert_files *files);

/* Return true if a file is another one than at the last reading. May wait for a
 * disk. */
bool wsk__cert_files_changed(const struct wsk__cert_files *files);

/* Read all files, and make a set of them; `config` has what is no file. NULL
 * with *fault. May wait for a disk. */
struct wsk__tls_set *wsk__cert_files_load(struct wsk__cert_files *files,
                                          struct wsk__tls_config *config,
                                          struct wsk__tls_fault *fault);

/* Return the name of the first file with a key that everybody may read; NULL:
 * there is none. */
const char *wsk__cert_files_exposed(const struct wsk__cert_files *files);

#endif
