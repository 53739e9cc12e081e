#include "net/server/dev_cert.h"

#include "base/buf.h"
#include "net/os/clock.h"
#include "net/os/file.h"
#include "tls/dev.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MOST = 1 << 20 };

/* The files of an authority, and their contents. */
struct authority {
    char certificate[WSK__DEV_PATH], key[WSK__DEV_PATH];
    struct wsk__tls_pair pair; /* with owned texts */
};

static bool fail(struct wsk__tls_fault *fault, const char *what,
                 const char *path)
{
    snprintf(fault->text, sizeof(fault->text),
             "certfile dev: cannot %s %.300s: %s", what, path, strerror(errno));
    fault->torn = false;
    return false;
}

/* ------------------------------------------------------------- paths --- */

/* Write the path of a user's folder: that of a variable, or the usual one below
 * the home. False: there is neither. */
static bool user_folder(char path[WSK__DEV_PATH], const char *variable,
                        const char *usual, const char *name)
{
    const char *base = getenv(variable), *home = getenv("HOME");
    int n = -1;

    if (base != NULL && base[0] == '/')
        n = snprintf(path, WSK__DEV_PATH, "%s/%s", base, name);
    else if (home != NULL && home[0] == '/')
        n = snprintf(path, WSK__DEV_PATH, "%s/%s/%s", home, usual, name);
    return n > 0 && n < WSK__DEV_PATH;
}

static bool join(char path[WSK__DEV_PATH], const char *folder, const char *name)
{
    int n = snprintf(path, WSK__DEV_PATH, "%s/%s", folder, name);

    return n > 0 && n < WSK__DEV_PATH;
}

/* Make a folder and those above it, for this user only. */
static bool make_folder(const char *path, struct wsk__tls_fault *fault)
{
    char part[WSK__DEV_PATH];

    for (size_t i = 1; i <= strlen(path) && i < sizeof(part); i++) {
        if (path[i] != '/' && path[i] != '\0')
            continue;
        memcpy(part, path, i);
        part[i] = '\0';
        if (mkdir(part, 0700) != 0 && errno != EEXIST)
            return fail(fault, "make", part);
    }
    return true;
}

/* ------------------------------------------------------------- files --- */

/* Write a file for this user only, whole or not at all. */
static bool write_file(const char *path, const struct wsk__buf *text,
                       struct wsk__tls_fault *fault)
{
    size_t len = wsk__buf_len(text), at = 0;
    char other[WSK__DEV_PATH + 8];
    ssize_t n = 1;
    int fd;

    snprintf(other, sizeof(other), "%s.new", path);
    unlink(other);
    fd = open(other, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    while (fd >= 0 && at < len && n > 0) {
        n = write(fd, wsk__buf_data(text) + at, len - at);
        at += n > 0 ? (size_t)n : 0;
    }
    if (fd >= 0)
        close(fd);
    if (fd >= 0 && at == len && rename(other, path) == 0)
        return true;
    return fail(fault, "write", path);
}

/* Read a file; false if that cannot be done. */
static bool read_file(struct wsk__tls_file *file, const char *path)
{
    struct wsk__file_stamp stamp;
    size_t len;
    char *text = wsk__file_read(path, MOST, &len, &stamp);

    if (text == NULL)
        return false;
    *file = (struct wsk__tls_file){path, {text, len}};
    return true;
}

static void forget(struct wsk__tls_file *file)
{
    wsk__file_forget((char *)(uintptr_t)file->text.p, file->text.len);
    *file = (struct wsk__tls_file){NULL, {NULL, 0}};
}

static void forget_buf(struct wsk__buf *buf)
{
    if (buf->block != NULL)
        memset(buf->block, 0, buf->size);
    wsk__buf_free(buf);
}

/* --------------------------------------------------------- authority --- */

static void authority_forget(struct authority *by)
{
    forget(&by->pair.chain);
    forget(&by->pair.key);
}

/* Read an authority. False: there is none that can sign. */
static bool authority_read(struct authority *by, const char *folder,
                           const char *certificate, const char *key)
{
    if (join(by->certificate, folder, certificate) &&
        join(by->key, folder, key) &&
        read_file(&by->pair.chain, by->certificate) &&
        read_file(&by->pair.key, by->key) &&
        wsk__tls_dev_signs(&by->pair, wsk__wall_s()))
        return true;
    authority_forget(by);
    return false;
}

/* Read that of mkcert, which browsers of this machine trust if it is there. */
static bool mkcert_read(struct authority *by)
{
    char folder[WSK__DEV_PATH];
    const char *root = getenv("CAROOT");
#if defined(__APPLE__)
    const char *usual = "Library/Application Support";
#else
    const char *usual = ".local/share";
#endif

    if (root != NULL)
        snprintf(folder, sizeof(folder), "%s", root);
    else if (!user_folder(folder, "XDG_DATA_HOME", usual, "mkcert"))
        return false;
    return authority_read(by, folder, "rootCA.pem", "rootCA-key.pem");
}

static bool authority_make(struct authority *by, const char *folder,
                           struct wsk__tls_fault *fault)
{
    struct wsk__buf certificate, key;
    bool good;

    wsk__buf_init(&certificate, MOST);
    wsk__buf_init(&key, MOST);
    good = wsk__tls_dev_authority(wsk__wall_s(), &certificate, &key, fault) &&
           write_file(by->key, &key, fault) &&
           write_file(by->certificate, &certificate, fault);
    wsk__buf_free(&certificate);
    forget_buf(&key);
    if (good && authority_read(by, folder, "ca.pem", "ca.key"))
        return true;
    if (fault->text[0] == '\0')
        snprintf(fault->text, sizeof(fault->text),
                 "certfile dev: no authority can be made");
    return false;
}

/* ------------------------------------------------------- certificate --- */

static bool renew(const char *path, const struct authority *by,
                  struct wsk__tls_fault *fault)
{
    struct wsk__tls_file now = {NULL, {NULL, 0}};
    struct wsk__buf both;
    bool good = read_file(&now, path) &&
                wsk__tls_dev_serves(&by->pair, &now, wsk__wall_s());

    forget(&now);
    if (good)
        return true;
    wsk__buf_init(&both, MOST);
    good = wsk__tls_dev_certificate(&by->pair, wsk__wall_s(), &both, fault) &&
           write_file(path, &both, fault);
    forget_buf(&both);
    return good;
}

/* Let one process at a time make files in a folder. Returns a descriptor to
 * close; -1 with *fault. */
static int lock_folder(const char *folder, struct wsk__tls_fault *fault)
{
    char path[WSK__DEV_PATH];
    int fd = -1;

    if (join(path, folder, "lock"))
        fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        fail(fault, "write", path);
    else
        flock(fd, LOCK_EX);
    return fd;
}

bool wsk__dev_certificate(char file[WSK__DEV_PATH],
                          char authority[WSK__DEV_PATH],
                          struct wsk__tls_fault *fault)
{
    struct authority by = {.pair = {.chain = {NULL, {NULL, 0}}}};
    char folder[WSK__DEV_PATH];
    bool good;
    int fd;

    *fault = (struct wsk__tls_fault){"", false};
    if (!user_folder(folder, "XDG_STATE_HOME", ".local/state", "wsocket/tls")) {
        snprintf(fault->text, sizeof(fault->text),
                 "certfile dev: neither XDG_STATE_HOME nor HOME says where to "
                 "keep it");
        return false;
    }
    if (!make_folder(folder, fault))
        return false;
    fd = lock_folder(folder, fault);
    if (fd < 0)
        return false;
    good = join(file, folder, "localhost.pem") &&
           (mkcert_read(&by) ||
            authority_read(&by, folder, "ca.pem", "ca.key") ||
            authority_make(&by, folder, fault)) &&
           renew(file, &by, fault);
    memcpy(authority, by.certificate, WSK__DEV_PATH);
    authority_forget(&by);
    close(fd);
    return good;
}
