#include "net/server/cert_files.h"

#include "base/items.h"
#include "base/mem.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { FILE_MOST = 4 << 20 };

/* The contents of all files while a set is made of them. */
struct contents {
    wsk_str *texts; /* as files->at */
    struct wsk__tls_pair *pairs;
    struct wsk__tls_file *tickets;
};

static bool fail(struct wsk__tls_fault *fault, bool torn, const char *format,
                 const char *what, const char *why)
{
    snprintf(fault->text, sizeof(fault->text), format, what, why);
    fault->torn = torn;
    return false;
}

/* ------------------------------------------------------------- names --- */

static size_t count(const char *list)
{
    size_t n = 0, pos = 0;
    wsk_str item;

    while (wsk__items_next(list, &pos, &item))
        n++;
    return n;
}

/* Add a file. False: memory is out. */
static bool add(struct wsk__cert_files *files, const char *path, size_t len)
{
    struct wsk__cert_file *file = &files->at[files->n];

    file->path = wsk__alloc(len + 1);
    if (file->path == NULL)
        return false;
    memcpy(file->path, path, len);
    file->path[len] = '\0';
    files->n++;
    return true;
}

static bool add_list(struct wsk__cert_files *files, const char *list)
{
    size_t pos = 0;
    wsk_str item;

    while (wsk__items_next(list, &pos, &item))
        if (!add(files, item.p, item.len))
            return false;
    return true;
}

/* Add the file of an option, if it has one; *place is where it stands. */
static bool add_one(struct wsk__cert_files *files, const char *path,
                    size_t *place)
{
    *place = path != NULL ? files->n : SIZE_MAX;
    return path == NULL || add(files, path, strlen(path));
}

/* Return the file that has the password; NULL: it is in none. */
static const char *password_file(const wsk_server_config *cfg)
{
    const char *text = cfg->keyfile_password;

    return text != NULL && strncmp(text, "file:", 5) == 0 ? text + 5 : NULL;
}

bool wsk__cert_files_open(struct wsk__cert_files *files,
                          const wsk_server_config *cfg, const char *certfile,
                          struct wsk__tls_fault *fault)
{
    enum { OTHERS = 3 };
    size_t n;

    *files = (struct wsk__cert_files){
        .cfg = cfg,
        .n_chains = count(certfile),
        .n_keys = count(cfg->keyfile),
        .n_tickets = count(cfg->tls_ticket_keys),
    };
    n = files->n_chains + files->n_keys + files->n_tickets + OTHERS;
    files->at = wsk__calloc(n * sizeof(*files->at));
    if (files->at != NULL && add_list(files, certfile) &&
        add_list(files, cfg->keyfile) &&
        add_list(files, cfg->tls_ticket_keys) &&
        add_one(files, cfg->ca_certs, &files->ca_certs) &&
        add_one(files, cfg->crl, &files->crl) &&
        add_one(files, password_file(cfg), &files->password))
        return true;
    return fail(fault, false, "%s%s", "out of memory", "");
}

void wsk__cert_files_close(struct wsk__cert_files *files)
{
    for (size_t i = 0; i < files->n; i++)
        wsk__free(files->at[i].path);
    wsk__free(files->at);
    *files = (struct wsk__cert_files){.n = 0};
}

bool wsk__cert_files_changed(const struct wsk__cert_files *files)
{
    for (size_t i = 0; i < files->n; i++) {
        struct wsk__file_stamp now;

        wsk__file_look(files->at[i].path, &now);
        if (!wsk__file_same(&now, &files->at[i].stamp))
            return true;
    }
    return false;
}

const char *wsk__cert_files_exposed(const struct wsk__cert_files *files)
{
    /* Without keyfiles, the keys stand behind the certificates. */
    size_t first = files->n_keys > 0 ? files->n_chains : 0;

    for (size_t i = first; i < first + files->n_chains; i++)
        if (files->at[i].stamp.mode & S_IROTH)
            return files->at[i].path;
    for (size_t i = 0; i < files->n_tickets; i++) {
        const struct wsk__cert_file *file =
            &files->at[files->n_chains + files->n_keys + i];

        if (file->stamp.mode & S_IROTH)
            return file->path;
    }
    return NULL;
}

/* ---------------------------------------------------------- contents --- */

static bool read_all(struct wsk__cert_files *files, struct contents *all,
                     struct wsk__tls_fault *fault)
{
    for (size_t i = 0; i < files->n; i++) {
        struct wsk__cert_file *file = &files->at[i];
        size_t len;
        char *text = wsk__file_read(file->path, FILE_MOST, &len, &file->stamp);

        if (text == NULL)
            return fail(fault, true, "cannot read %s: %s", file->path,
                        errno == EINVAL ? "it is no file" : strerror(errno));
        all->texts[i] = (wsk_str){text, len};
    }
    return true;
}

static struct wsk__tls_file file_at(const struct wsk__cert_files *files,
                                    const struct contents *all, size_t i)
{
    if (i == SIZE_MAX)
        return (struct wsk__tls_file){NULL, {NULL, 0}};
    return (struct wsk__tls_file){files->at[i].path, all->texts[i]};
}

static bool take_tickets(const struct wsk__cert_files *files,
                         struct contents *all, struct wsk__tls_fault *fault)
{
    size_t first = files->n_chains + files->n_keys;

    for (size_t i = 0; i < files->n_tickets; i++) {
        struct wsk__tls_file file = file_at(files, all, first + i);

        if (file.text.len != WSK__TLS_TICKET_FILE)
            return fail(fault, true,
                        "%s holds no keys of tickets, which are 80 random "
                        "bytes%s",
                        file.path, "");
        all->tickets[i] = file;
    }
    return true;
}

/* Find the password: the first line of a file, a variable of the environment,
 * or the option itself. */
static bool find_password(const struct wsk__cert_files *files,
                          const struct contents *all, const char **password,
                          struct wsk__tls_fault *fault)
{
    const char *text = files->cfg->keyfile_password;

    *password = text;
    if (files->password != SIZE_MAX) {
        char *line = (char *)(uintptr_t)all->texts[files->password].p;

        line[strcspn(line, "\r\n")] = '\0';
        *password = line;
    } else if (text != NULL && strncmp(text, "env:", 4) == 0) {
        *password = getenv(text + 4);
        if (*password == NULL)
            return fail(fault, false,
                        "keyfile_password: there is no variable %s in the "
                        "environment%s",
                        text + 4, "");
    }
    return true;
}

static enum wsk__tls_verify verify_of(const char *text)
{
    if (strcmp(text, "required") == 0 || strcmp(text, "2") == 0)
        return WSK__TLS_VERIFY_REQUIRED;
    if (strcmp(text, "optional") == 0 || strcmp(text, "1") == 0)
        return WSK__TLS_VERIFY_OPTIONAL;
    return WSK__TLS_VERIFY_NONE;
}

static struct wsk__tls_set *make(const struct wsk__cert_files *files,
                                 struct contents *all,
                                 struct wsk__tls_config *config,
                                 struct wsk__tls_fault *fault)
{
    if (!take_tickets(files, all, fault) ||
        !find_password(files, all, &config->password, fault))
        return NULL;
    for (size_t i = 0; i < files->n_chains; i++)
        all->pairs[i] = (struct wsk__tls_pair){
            file_at(files, all, i),
            file_at(files, all,
                    files->n_keys > 0 ? files->n_chains + i : SIZE_MAX)};
    config->pairs = all->pairs;
    config->n_pairs = files->n_chains;
    config->ca_certs = file_at(files, all, files->ca_certs);
    config->crl = file_at(files, all, files->crl);
    config->verify = verify_of(files->cfg->cert_reqs);
    config->min = files->cfg->tls_min;
    config->ciphers = files->cfg->ciphers;
    config->groups = files->cfg->tls_groups;
    config->tickets = all->tickets;
    config->n_tickets = files->n_tickets;
    return wsk__tls_set_new(config, fault);
}

struct wsk__tls_set *wsk__cert_files_load(struct wsk__cert_files *files,
                                          struct wsk__tls_config *config,
                                          struct wsk__tls_fault *fault)
{
    struct contents all = {
        .texts = wsk__calloc(files->n * sizeof(*all.texts)),
        .pairs = wsk__calloc(files->n_chains * sizeof(*all.pairs)),
        .tickets = wsk__calloc(files->n_tickets * sizeof(*all.tickets)),
    };
    struct wsk__tls_set *set = NULL;

    if (all.texts == NULL || all.pairs == NULL || all.tickets == NULL)
        fail(fault, false, "%s%s", "out of memory", "");
    else if (read_all(files, &all, fault))
        set = make(files, &all, config, fault);
    for (size_t i = 0; all.texts != NULL && i < files->n; i++)
        wsk__file_forget((char *)(uintptr_t)all.texts[i].p, all.texts[i].len);
    wsk__free(all.texts);
    wsk__free(all.pairs);
    wsk__free(all.tickets);
    return set;
}
