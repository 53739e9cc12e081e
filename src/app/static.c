#include "app/static.h"

#include "base/ascii.h"
#include "base/hash.h"
#include "base/items.h"
#include "base/mem.h"
#include "http/select.h"
#include "net/os/clock.h"
#include "wsocket.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#if defined(__linux__)
#include <linux/openat2.h>
#include <sys/syscall.h>
#endif

enum {
    MOUNTS = 32,
    PATH_CAP = 2048,
    KEPT = 64, /* files that are kept open, with three descriptors at most */
    FRESH_MS = 1000, /* age at which a name is looked up again */
    VARIANTS = 3,
};

/* A file, and the compressed variants of it beside it. */
static const struct {
    const char *suffix, *coding;
} VARIANT[VARIANTS] = {{"", NULL}, {".br", "br"}, {".gz", "gzip"}};

/* Result of looking a name up, found or not. */
struct entry {
    const struct mount *mount;
    char *name;
    int fds[VARIANTS]; /* -1: no such variant */
    int error;         /* errno if fds[0] is -1 */
    bool folder;       /* the name is a folder's */
    uint64_t looked_ms;
    unsigned refs; /* guarded by statics->lock */
};

struct mount {
    wsk_str url; /* without a slash at the end */
    int root;
};

struct wsk__statics {
    struct mount mounts[MOUNTS];
    size_t n;
    char *list; /* text that the urls point into */
    pthread_mutex_t lock;
    struct entry *slots[KEPT]; /* guarded by lock */
};

/* The path of a request, split into mount and name. */
struct target {
    const struct mount *mount;
    char path[PATH_CAP]; /* decoded, with a NUL */
    const char *name;    /* part of path, behind the mount and a slash */
    bool bad;            /* no file can have the name */
};

enum { FLAGS = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY };

struct fields {
    wsk_header at[10];
    size_t n;
};

/* The file and its state now, with which conditional requests are answered. */
struct described {
    struct wsk__validators v;
    uint64_t size;
    char etag[64], modified[WSK__HTTP_DATE + 1], range[80];
};

static bool add_mount(struct wsk__statics *s, wsk_str item, char *error,
                      size_t size)
{
    wsk_str url, folder;
    char path[PATH_CAP];
    int fd = -1;

    if (!wsk__static_parse(item, &url, &folder) || s->n == MOUNTS ||
        folder.len >= sizeof(path)) {
        errno = EINVAL;
    } else {
        memcpy(path, folder.p, folder.len);
        path[folder.len] = '\0';
        fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }
    if (fd < 0) {
        int saved = errno;

        snprintf(error, size, "cannot serve files as %.*s: %s",
                 (int)(item.len < 300 ? item.len : 300), item.p,
                 strerror(saved));
        errno = saved;
        return false;
    }
    s->mounts[s->n++] = (struct mount){url, fd};
    return true;
}

struct wsk__statics *wsk__statics_new(const char *list, char *error,
                                      size_t size)
{
    struct wsk__statics *s;
    size_t pos = 0;
    wsk_str item;

    if (list == NULL)
        return NULL;
    s = wsk__calloc(sizeof(*s));
    if (s == NULL)
        return NULL;
    pthread_mutex_init(&s->lock, NULL);
    s->list = wsk__memdup(list, strlen(list) + 1);
    if (s->list == NULL) {
        wsk__statics_free(s);
        errno = ENOMEM;
        return NULL;
    }
    while (wsk__items_next(s->list, &pos, &item))
        if (!add_mount(s, item, error, size)) {
            int saved = errno;

            wsk__statics_free(s);
            errno = saved;
            return NULL;
        }
    return s;
}

static void entry_free(struct entry *e)
{
    for (int i = 0; i < VARIANTS; i++)
        if (e->fds[i] >= 0)
            close(e->fds[i]);
    wsk__free(e->name);
    wsk__free(e);
}

void wsk__statics_free(struct wsk__statics *s)
{
    if (s == NULL)
        return;
    for (size_t i = 0; i < KEPT; i++)
        if (s->slots[i] != NULL)
            entry_free(s->slots[i]);
    for (size_t i = 0; i < s->n; i++)
        close(s->mounts[i].root);
    pthread_mutex_destroy(&s->lock);
    wsk__free(s->list);
    wsk__free(s);
}

/* Decode a path as the application would see it; false when it is too long. A
 * name with an encoded slash or NUL is no file's. */
static bool decode(wsk_str raw, char path[PATH_CAP], size_t *len, bool *bad)
{
    size_t n = 0;

    for (size_t i = 0; i < raw.len; i++) {
        int c = (unsigned char)raw.p[i];

        if (c == '%' && raw.len - i > 2 && wsk__hex(raw.p[i + 1]) >= 0 &&
            wsk__hex(raw.p[i + 2]) >= 0) {
            c = wsk__hex(raw.p[i + 1]) << 4 | wsk__hex(raw.p[i + 2]);
            i += 2;
            *bad |= c == '/' || c == '\0';
        }
        if (n + 1 >= PATH_CAP)
            return false;
        path[n++] = (char)c;
    }
    path[n] = '\0';
    *len = n;
    return true;
}

/* False for a name that would leave the folder, name a file twice, or show one
 * that begins with a dot: .env, .git and .htpasswd are not public. /.well-known
 * (RFC 8615) is. */
static bool is_plain(const char *name)
{
    while (*name != '\0') {
        size_t n = strcspn(name, "/");

        if (n == 0 ||
            (name[0] == '.' && !wsk__str_is((wsk_str){name, n}, ".well-known")))
            return false;
        name += n + (name[n] == '/');
    }
    return true;
}

static bool is_below(const struct mount *m, const char *path, size_t len)
{
    return len >= m->url.len && memcmp(path, m->url.p, m->url.len) == 0 &&
           (len == m->url.len || path[m->url.len] == '/');
}

/* Find the mount of a path; the longest one wins. */
static const struct mount *mount_of(const struct wsk__statics *s,
                                    const char *path, size_t len)
{
    const struct mount *best = NULL;

    for (size_t i = 0; i < s->n; i++)
        if (is_below(&s->mounts[i], path, len) &&
            (best == NULL || s->mounts[i].url.len > best->url.len))
            best = &s->mounts[i];
    return best;
}

bool wsk__static_is(const struct wsk__statics *s, const wsk_head *head)
{
    char path[PATH_CAP];
    size_t len = 0;
    bool bad = false;

    if (s == NULL || head->websocket)
        return false;
    if (memchr(head->path.p, '%', head->path.len) == NULL)
        return mount_of(s, head->path.p, head->path.len) != NULL;
    return decode(head->path, path, &len, &bad) &&
           mount_of(s, path, len) != NULL;
}

static void take_apart(const struct wsk__statics *s, wsk_str raw,
                       struct target *t)
{
    size_t len = 0;

    t->bad = false;
    if (!decode(raw, t->path, &len, &t->bad)) {
        t->bad = true;
        return;
    }
    t->mount = mount_of(s, t->path, len);
    if (t->mount == NULL) {
        t->bad = true;
        return;
    }
    t->name = t->path + t->mount->url.len;
    t->name += *t->name == '/';
    t->bad |= !is_plain(t->name);
    if (len == 0 || t->path[len - 1] != '/')
        return;
    t->bad |= len + sizeof("index.html") > PATH_CAP;
    if (!t->bad)
        memcpy(t->path + len, "index.html", sizeof("index.html"));
}

/* Open a file folder by folder, without following any symbolic link. */
static int open_walk(int root, const char *name)
{
    int at = root;

    for (;;) {
        char part[256];
        size_t n = strcspn(name, "/");
        bool last = name[n] == '\0';
        int next, saved;

        if (n >= sizeof(part)) {
            next = -1;
            saved = ENAMETOOLONG;
        } else {
            memcpy(part, name, n);
            part[n] = '\0';
            next =
                openat(at, part, FLAGS | O_NOFOLLOW | (last ? 0 : O_DIRECTORY));
            saved = errno;
        }
        if (at != root)
            close(at);
        if (last || next < 0) {
            errno = saved;
            return next;
        }
        at = next;
        name += n + 1;
    }
}

/* Open a file; symbolic links must not lead out of the folder. */
static int open_beneath(int root, const char *name)
{
#if defined(__linux__) && defined(SYS_openat2)
    struct open_how how = {.flags = (uint64_t)FLAGS,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
    long fd = syscall(SYS_openat2, root, name, &how, sizeof(how));

    if (fd >= 0 || (errno != ENOSYS && errno != EPERM))
        return (int)fd;
#endif
    return open_walk(root, name);
}

/* Open a regular file; -1 for anything else. */
static int open_file(int root, const char *name, bool *folder)
{
    struct stat st;
    int fd = open_beneath(root, name);

    if (fd < 0 || (fstat(fd, &st) == 0 && S_ISREG(st.st_mode)))
        return fd;
    *folder = S_ISDIR(st.st_mode);
    close(fd);
    errno = ENOENT;
    return -1;
}

static struct entry *look_up(const struct target *t, uint64_t now_ms)
{
    struct entry *e = wsk__calloc(sizeof(*e));
    char name[PATH_CAP + 4];
    bool folder = false;

    if (e == NULL)
        return NULL;
    e->mount = t->mount;
    e->name = wsk__memdup(t->name, strlen(t->name) + 1);
    e->looked_ms = now_ms;
    for (int i = 0; i < VARIANTS; i++)
        e->fds[i] = -1;
    if (e->name == NULL) {
        entry_free(e);
        return NULL;
    }
    if (t->name[0] == '\0') { /* the mount itself, without its slash */
        e->folder = true;
        e->error = ENOENT;
        return e;
    }
    for (int i = 0; i < VARIANTS && (i == 0 || e->fds[0] >= 0); i++) {
        snprintf(name, sizeof(name), "%s%s", t->name, VARIANT[i].suffix);
        e->fds[i] =
            open_file(t->mount->root, name, i == 0 ? &e->folder : &folder);
        if (i == 0)
            e->error = errno;
    }
    return e;
}

static struct entry **slot_of(struct wsk__statics *s, const struct target *t)
{
    uint32_t h = wsk__hash(t->name, strlen(t->name));

    return &s->slots[(h ^ (uint32_t)(t->mount - s->mounts)) % KEPT];
}

static void give_back_locked(struct entry *e)
{
    if (e != NULL && --e->refs == 0)
        entry_free(e);
}

static void give_back(struct wsk__statics *s, struct entry *e)
{
    pthread_mutex_lock(&s->lock);
    give_back_locked(e);
    pthread_mutex_unlock(&s->lock);
}

/* True if the system lacks something: the failure must not be remembered as if
 * the file were missing. */
static bool is_shortage(int err)
{
    return err == EMFILE || err == ENFILE || err == ENOMEM;
}

/* Return the entry for a name; give it back. NULL when memory is out. */
static struct entry *take(struct wsk__statics *s, const struct target *t)
{
    struct entry **slot = slot_of(s, t), *e;
    uint64_t now = wsk__now_ms();

    pthread_mutex_lock(&s->lock);
    e = *slot;
    if (e != NULL && e->mount == t->mount && strcmp(e->name, t->name) == 0 &&
        now - e->looked_ms < FRESH_MS) {
        e->refs++;
        pthread_mutex_unlock(&s->lock);
        return e;
    }
    pthread_mutex_unlock(&s->lock);

    e = look_up(t, now); /* without the lock, because the disk may be slow */
    if (e == NULL)
        return NULL;
    e->refs = 1;
    if (e->fds[0] < 0 && is_shortage(e->error))
        return e;
    pthread_mutex_lock(&s->lock);
    give_back_locked(*slot);
    *slot = e;
    e->refs++;
    pthread_mutex_unlock(&s->lock);
    return e;
}

static void add_field(struct fields *f, const char *name, const char *value)
{
    f->at[f->n++] = (wsk_header){{name, strlen(name)}, {value, strlen(value)}};
}

static void answer_error(wsk_request *req, int status, struct fields *f)
{
    char text[64];
    int n = snprintf(text, sizeof(text), "%d %s\n", status, wsk_reason(status));

    add_field(f, "Content-Type", "text/plain; charset=utf-8");
    wsk_request_respond(req, status, f->at, f->n, text, (size_t)n);
}

/* Redirect to a folder that was asked for without its slash: relative links in
 * its index would be wrong. */
static void answer_folder(wsk_request *req, struct fields *f)
{
    const wsk_head *head = wsk_request_head(req);
    char to[PATH_CAP + 512];
    int n = snprintf(to, sizeof(to), "%s%.*s/%s%.*s", wsk_request_prefix(req),
                     (int)head->path.len, head->path.p,
                     head->query.len ? "?" : "", (int)head->query.len,
                     head->query.p);

    if (n < 0 || (size_t)n >= sizeof(to)) {
        answer_error(req, 404, f);
        return;
    }
    add_field(f, "Location", to);
    answer_error(req, 308, f);
}

static int choose_variant(const struct entry *e, const wsk_head *head)
{
    for (int i = 1; i < VARIANTS; i++)
        if (e->fds[i] >= 0 && wsk__accepts_coding(head, VARIANT[i].coding))
            return i;
    return 0;
}

static int64_t nanoseconds(const struct stat *st)
{
#if defined(__APPLE__)
    return (int64_t)st->st_mtimespec.tv_nsec;
#else
    return (int64_t)st->st_mtim.tv_nsec;
#endif
}

static bool describe(int fd, int variant, struct described *d)
{
    struct stat st;

    if (fstat(fd, &st) != 0)
        return false;
    d->size = (uint64_t)st.st_size;
    snprintf(d->etag, sizeof(d->etag), "\"%llx.%llx-%llx%s\"",
             (unsigned long long)st.st_mtime,
             (unsigned long long)nanoseconds(&st),
             (unsigned long long)st.st_size, VARIANT[variant].suffix);
    d->v.now = (int64_t)time(NULL);
    /* RFC 9110 8.8.2.1: never later than now. */
    d->v.modified = st.st_mtime < d->v.now ? st.st_mtime : d->v.now;
    d->v.etag = (wsk_str){d->etag, strlen(d->etag)};
    wsk__date_write(d->v.modified, d->modified);
    return true;
}

static void answer_file(wsk_request *req, const struct entry *e,
                        struct fields *f)
{
    const wsk_head *head = wsk_request_head(req);
    int variant = choose_variant(e, head), status;
    uint64_t first = 0, last = 0, length;
    struct described d;

    if (!describe(e->fds[variant], variant, &d)) {
        answer_error(req, 500, f);
        return;
    }
    if (e->fds[1] >= 0 || e->fds[2] >= 0)
        add_field(f, "Vary", "Accept-Encoding");
    status = wsk__conditions(head, &d.v);
    if (status == 412) {
        answer_error(req, status, f);
        return;
    }
    add_field(f, "ETag", d.etag);
    add_field(f, "Last-Modified", d.modified);
    if (status == 304) {
        wsk_request_respond(req, status, f->at, f->n, NULL, 0);
        return;
    }
    add_field(f, "Accept-Ranges", "bytes");
    length = d.size;
    switch (wsk__range_of(head, &d.v, d.size, &first, &last)) {
    case WSK__RANGE_NONE:
        snprintf(d.range, sizeof(d.range), "bytes */%llu",
                 (unsigned long long)d.size);
        add_field(f, "Content-Range", d.range);
        answer_error(req, 416, f);
        return;
    case WSK__RANGE_PART:
        snprintf(d.range, sizeof(d.range), "bytes %llu-%llu/%llu",
                 (unsigned long long)first, (unsigned long long)last,
                 (unsigned long long)d.size);
        add_field(f, "Content-Range", d.range);
        length = last - first + 1;
        status = 206;
        break;
    case WSK__RANGE_WHOLE:
        break;
    }
    add_field(f, "Content-Type", wsk__media_type(e->name));
    if (variant > 0)
        add_field(f, "Content-Encoding", VARIANT[variant].coding);
    if (wsk_request_start(req, status, NULL, f->at, f->n, length) == WSK_OK &&
        wsk_request_send_file(req, e->fds[variant], first, length) == WSK_OK)
        wsk_request_finish(req);
}

void wsk__static_answer(struct wsk__statics *s, wsk_request *req)
{
    const wsk_head *head = wsk_request_head(req);
    struct fields f = {.n = 0};
    struct target t;
    struct entry *e;

    if (!wsk__str_is(head->method, "GET") &&
        !wsk__str_is(head->method, "HEAD")) {
        add_field(&f, "Allow", "GET, HEAD");
        answer_error(req, 405, &f);
        return;
    }
    take_apart(s, head->path, &t);
    if (t.bad) {
        answer_error(req, 404, &f);
        return;
    }
    e = take(s, &t);
    if (e == NULL) {
        answer_error(req, 503, &f);
        return;
    }
    if (e->fds[0] >= 0)
        answer_file(req, e, &f);
    else if (e->folder)
        answer_folder(req, &f);
    else
        answer_error(req, is_shortage(e->error) ? 503 : 404, &f);
    give_back(s, e);
}
