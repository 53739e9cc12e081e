#include "net/os/listen.h"

#include "base/items.h"
#include "base/mem.h"
#include "wsocket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#if defined(__linux__)
#include <linux/filter.h>
#endif

void wsk__send_at_once(int fd)
{
    int on = 1;

    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

bool wsk__listen_queue(int fd, unsigned *length, unsigned *limit)
{
#if defined(__linux__)
    struct tcp_info info;
    socklen_t len = sizeof(info);

    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) != 0 ||
        info.tcpi_state != TCP_LISTEN) /* closed, and used for another */
        return false;
    *length = info.tcpi_unacked; /* of a listening socket they mean that */
    *limit = info.tcpi_sacked;
    return true;
#else
    (void)fd;
    (void)length;
    (void)limit;
    return false;
#endif
}

bool wsk__listens_at(int fd, struct wsk__address *out)
{
    struct sockaddr_storage sa = {0};
    socklen_t len = sizeof(sa);

    if (getsockname(fd, (struct sockaddr *)&sa, &len) != 0)
        return false;
    wsk__address_of(&sa, out);
    return strcmp(out->text, "0.0.0.0") != 0 && strcmp(out->text, "::") != 0;
}

void wsk__address_of(const struct sockaddr_storage *sa,
                     struct wsk__address *out)
{
    out->text[0] = '\0';
    out->port = 0;
    if (sa->ss_family == AF_INET) {
        struct sockaddr_in in;

        memcpy(&in, sa, sizeof(in));
        inet_ntop(AF_INET, &in.sin_addr, out->text, sizeof(out->text));
        out->port = ntohs(in.sin_port);
    } else if (sa->ss_family == AF_INET6) {
        struct sockaddr_in6 in6;

        memcpy(&in6, sa, sizeof(in6));
        /* An IPv4 client of a dual-stack socket is shown by its own address. */
        if (IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr))
            inet_ntop(AF_INET, in6.sin6_addr.s6_addr + 12, out->text,
                      sizeof(out->text));
        else
            inet_ntop(AF_INET6, &in6.sin6_addr, out->text, sizeof(out->text));
        out->port = ntohs(in6.sin6_port);
    }
}

/* ---------------------------------------------------------- bookkeeping --- */

static wsk_status refuse(struct wsk__places *s, const char *where,
                         const char *why)
{
    int saved = errno;

    snprintf(s->error, sizeof(s->error), "cannot listen on %s: %s", where,
             why != NULL ? why : strerror(saved));
    errno = saved;
    return WSK_E_SYS;
}

static char *copy_text(const char *text)
{
    return wsk__memdup(text, strlen(text) + 1);
}

/* Add a socket to the list; takes fd, also on failure. */
static wsk_status add(struct wsk__places *s, int fd, const char *url,
                      const char *address)
{
    struct wsk__place *place = &s->at[s->n];

    *place = (struct wsk__place){
        .fd = fd,
        .url = copy_text(url),
        .address = copy_text(address),
        .tls = s->tls,
    };
    if (place->url == NULL || place->address == NULL) {
        wsk__free(place->url);
        wsk__free(place->address);
        close(fd);
        errno = ENOMEM;
        return WSK_E_NOMEM;
    }
    s->n++;
    return WSK_OK;
}

static void remove_file(const struct wsk__place *place)
{
    struct stat st;

    if (lstat(place->path, &st) == 0 && st.st_dev == place->dev &&
        st.st_ino == place->ino)
        unlink(place->path);
}

/* Forget the file of a Unix socket; remove it if `tidy`. */
static void drop_file(struct wsk__place *place, bool tidy)
{
    if (place->path != NULL && tidy)
        remove_file(place);
    wsk__free(place->path);
    place->path = NULL;
}

/* Let the kernel drop each SYN that is no answer to ours, so that no handshake
 * begins. Those that have begun are completed by packets without SYN. Where
 * that cannot be set, the last handshakes may end in a reset. */
static void drop_syns(int fd)
{
#if defined(SO_ATTACH_FILTER)
    enum { FLAGS = 13, SYN = 2, ACK = 16 }; /* RFC 9293 3.1 */
    /* A filter of a TCP socket sees the packet from its TCP header on. */
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, FLAGS),
        BPF_STMT(BPF_ALU | BPF_AND | BPF_K, SYN | ACK),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYN, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, 0),
        BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
    };
    struct sock_fprog filter = {sizeof(code) / sizeof(*code), code};

    setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter));
#else
    (void)fd;
#endif
}

void wsk__place_refuse_new(struct wsk__places *s, size_t i)
{
    struct wsk__place *place = &s->at[i];

    if (place->path != NULL)
        drop_file(place, true);
    else
        drop_syns(place->fd);
}

void wsk__places_wait(const struct wsk__places *s, int ms)
{
    struct pollfd fds[WSK__LISTENERS];

    for (size_t i = 0; i < s->n; i++) /* a descriptor of -1 is ignored */
        fds[i] = (struct pollfd){.fd = s->at[i].fd, .events = POLLIN};
    poll(fds, (nfds_t)s->n, ms);
}

void wsk__place_close(struct wsk__places *s, size_t i, bool tidy)
{
    struct wsk__place *place = &s->at[i];

    drop_file(place, tidy);
    if (place->fd >= 0)
        close(place->fd);
    place->fd = -1;
}

/* Remove the socket that was added last. */
static void remove_place(struct wsk__places *s, bool tidy)
{
    wsk__place_close(s, --s->n, tidy);
    wsk__free(s->at[s->n].url);
    wsk__free(s->at[s->n].address);
}

void wsk__places_clear(struct wsk__places *s, bool tidy)
{
    while (s->n > 0)
        remove_place(s, tidy);
}

static bool family_of(int fd, struct sockaddr_storage *sa)
{
    socklen_t len = sizeof(*sa);

    memset(sa, 0, sizeof(*sa));
    return getsockname(fd, (struct sockaddr *)sa, &len) == 0;
}

static uint16_t port_of(int fd)
{
    struct sockaddr_storage sa;
    struct wsk__address a;

    if (!family_of(fd, &sa))
        return 0;
    wsk__address_of(&sa, &a);
    return a.port;
}

bool wsk__place_is_local(const struct wsk__place *place)
{
    struct sockaddr_storage sa;
    struct wsk__address a;

    if (!family_of(place->fd, &sa))
        return false;
    wsk__address_of(&sa, &a);
    return sa.ss_family == AF_UNIX || strncmp(a.text, "127.", 4) == 0 ||
           strcmp(a.text, "::1") == 0;
}

uint16_t wsk__places_port(const struct wsk__places *s, bool tls)
{
    for (size_t i = 0; i < s->n; i++) {
        uint16_t port = !tls || s->at[i].tls ? port_of(s->at[i].fd) : 0;

        if (port != 0)
            return port;
    }
    return 0;
}

/* ------------------------------------------------------------------ TCP --- */

static int listen_now(const struct wsk__places *s, int fd, unsigned backlog)
{
    if (s->trial) /* bind() has failed if another socket listens there */
        return 0;
    return listen(fd, backlog > INT32_MAX ? INT32_MAX : (int)backlog);
}

static int close_with_errno(int fd)
{
    int saved = errno;

    close(fd);
    errno = saved;
    return -1;
}

static int listen_at(const struct wsk__places *s, const struct addrinfo *ai,
                     unsigned backlog)
{
    int fd = socket(ai->ai_family, ai->ai_socktype, ai->ai_protocol);
    int on = 1;

    if (fd < 0)
        return -1;
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (ai->ai_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
    if (bind(fd, ai->ai_addr, ai->ai_addrlen) == 0 &&
        listen_now(s, fd, backlog) == 0)
        return fd;
    return close_with_errno(fd);
}

static void set_port(struct addrinfo *ai, uint16_t port)
{
    uint16_t net = htons(port);
    size_t at = ai->ai_family == AF_INET6
                    ? offsetof(struct sockaddr_in6, sin6_port)
                    : offsetof(struct sockaddr_in, sin_port);

    memcpy((char *)ai->ai_addr + at, &net, sizeof(net));
}

/* Return true if addresses of this family do not exist here; others may. */
static bool family_missing(int err)
{
    return err == EADDRNOTAVAIL || err == EAFNOSUPPORT;
}

/* A listening socket as text for a person: the URL by which a browser on this
 * machine finds it, and the address it is bound to. */
struct texts {
    char url[300], address[300];
};

static bool is_every_address(const char *address)
{
    return strcmp(address, "0.0.0.0") == 0 || strcmp(address, "::") == 0;
}

static bool is_v6_alone(int fd)
{
    int on = 0;
    socklen_t len = sizeof(on);

    return getsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, &len) == 0 && on;
}

/* Describe a socket that listens at `host`; NULL: at its own address. */
static void describe_tcp(int fd, const char *host, bool tls, struct texts *out)
{
    struct sockaddr_storage sa;
    struct wsk__address a = {.text = ""};

    if (family_of(fd, &sa))
        wsk__address_of(&sa, &a);
    if (is_every_address(a.text))
        host = is_v6_alone(fd) ? "::1" : "127.0.0.1";
    else if (host == NULL)
        host = a.text;
    snprintf(out->url, sizeof(out->url),
             strchr(host, ':') ? "http%s://[%s]:%u/" : "http%s://%s:%u/",
             tls ? "s" : "", host, (unsigned)a.port);
    snprintf(out->address, sizeof(out->address),
             strchr(a.text, ':') ? "[%s]:%u" : "%s:%u", a.text,
             (unsigned)a.port);
}

static wsk_status listen_all(struct wsk__places *s, const char *host,
                             struct addrinfo *list, uint16_t port,
                             unsigned backlog)
{
    size_t first = s->n;
    int saved = EADDRNOTAVAIL;

    for (struct addrinfo *ai = list; ai && s->n < WSK__LISTENERS;
         ai = ai->ai_next) {
        struct texts text;
        int fd;

        if (ai->ai_family != AF_INET && ai->ai_family != AF_INET6)
            continue;
        set_port(ai, port);
        fd = listen_at(s, ai, backlog);
        if (fd < 0) {
            saved = errno;
            if (!family_missing(errno))
                break;
            continue;
        }
        port = port != 0 ? port : port_of(fd);
        describe_tcp(fd, host, s->tls, &text);
        if (add(s, fd, text.url, text.address) != WSK_OK) {
            saved = ENOMEM;
            break;
        }
    }
    if (s->n > first && family_missing(saved))
        return WSK_OK;
    while (s->n > first)
        remove_place(s, false);
    errno = saved;
    return WSK_E_SYS;
}

static wsk_status listen_tcp(struct wsk__places *s, const char *host,
                             uint16_t port, unsigned backlog)
{
    /* Without a name, and not passive, the resolver returns this machine in
     * both families, however it resolves "localhost" (RFC 6761 6.3). */
    bool local = strcmp(host, "localhost") == 0;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_NUMERICSERV |
                                         (local ? 0 : AI_PASSIVE)};
    struct addrinfo *list = NULL;
    wsk_status st = WSK_E_SYS;
    char where[300];

    snprintf(where, sizeof(where), strchr(host, ':') ? "[%s]:%u" : "%s:%u",
             host[0] ? host : "*", (unsigned)port);
    /* With port 0, the port of the first family may be taken in the second. */
    for (int tries = port == 0 ? 8 : 1; st != WSK_OK && tries > 0; tries--) {
        int err =
            getaddrinfo(host[0] && !local ? host : NULL, "0", &hints, &list);

        if (err != 0) {
            errno = err == EAI_SYSTEM ? errno : EADDRNOTAVAIL;
            return refuse(s, where,
                          err == EAI_SYSTEM ? NULL : gai_strerror(err));
        }
        st = listen_all(s, host, list, port, backlog);
        err = errno;
        freeaddrinfo(list);
        errno = err;
        if (st != WSK_OK && errno != EADDRINUSE)
            break;
    }
    return st == WSK_OK ? st : refuse(s, where, NULL);
}

/* --------------------------------------------------------- Unix sockets --- */

/* Return true if no server listens at a socket file: a server that is killed
 * leaves the file behind. */
static bool is_stale(const struct sockaddr_un *sa)
{
    struct stat st;
    bool refused;
    int fd;

    if (lstat(sa->sun_path, &st) != 0 || !S_ISSOCK(st.st_mode))
        return false;
    fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (fd < 0)
        return false;
    fcntl(fd, F_SETFL, O_NONBLOCK);
    refused = connect(fd, (const struct sockaddr *)sa, sizeof(*sa)) != 0 &&
              errno == ECONNREFUSED;
    close(fd);
    return refused;
}

/* Return 0 if the file at this path may be replaced; -1 with errno. */
static int may_replace(const struct sockaddr_un *sa)
{
    struct sockaddr_un dir = *sa;
    char *slash = strrchr(dir.sun_path, '/');

    if (slash == NULL)
        return access(".", W_OK | X_OK);
    slash[slash == dir.sun_path] = '\0';
    return access(dir.sun_path, W_OK | X_OK);
}

/* Bind a Unix socket, in place of a file that may be replaced. errno is that of
 * the call that failed; calls that only find out more leave it alone. */
static int bind_anew(int fd, const struct sockaddr_un *sa, bool trial)
{
    if (!is_stale(sa)) {
        errno = EADDRINUSE;
        return -1;
    }
    if (trial)
        return may_replace(sa);
    return unlink(sa->sun_path) == 0
               ? bind(fd, (const struct sockaddr *)sa, sizeof(*sa))
               : -1;
}

/* Give up a socket whose file is ours. Returns -1, with errno unchanged. */
static int leave_unix(int fd, const char *path)
{
    int saved = errno;

    unlink(path);
    errno = saved;
    return close_with_errno(fd);
}

static int bind_unix(const struct sockaddr_un *sa, unsigned mode, bool trial)
{
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    if (fd < 0)
        return -1;
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    if (bind(fd, (const struct sockaddr *)sa, sizeof(*sa)) != 0) {
        if (errno != EADDRINUSE || bind_anew(fd, sa, trial) != 0)
            return close_with_errno(fd);
        if (trial)
            return fd;
    }
    /* No peer can connect yet, so the mode is never wider than requested. */
    if (mode != 0 && chmod(sa->sun_path, (mode_t)mode) != 0)
        return leave_unix(fd, sa->sun_path);
    if (trial)
        unlink(sa->sun_path);
    return fd;
}

static wsk_status listen_unix(struct wsk__places *s, const char *path,
                              unsigned mode, unsigned backlog)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    struct wsk__place *place = &s->at[s->n];
    bool trial = s->trial;
    char url[300];
    struct stat st;
    wsk_status status;
    int fd;

    snprintf(url, sizeof(url), "unix:%s", path);
    if (strlen(path) >= sizeof(sa.sun_path)) {
        errno = ENAMETOOLONG;
        return refuse(s, url, NULL);
    }
    memcpy(sa.sun_path, path, strlen(path) + 1);
    fd = bind_unix(&sa, mode, trial);
    if (fd >= 0 && !trial &&
        (listen_now(s, fd, backlog) != 0 || stat(path, &st) != 0))
        fd = leave_unix(fd, path);
    if (fd < 0)
        return refuse(s, url, NULL);
    status = add(s, fd, url, url);
    if (status == WSK_OK && !trial) {
        place->path = copy_text(path);
        place->dev = st.st_dev;
        place->ino = st.st_ino;
    }
    return status;
}

/* --------------------------------------------- inherited descriptors --- */

static void describe_fd(int fd, const struct sockaddr_storage *sa, bool tls,
                        struct texts *out)
{
    struct texts bound = {"", ""};
    struct sockaddr_un un;

    if (sa->ss_family == AF_INET || sa->ss_family == AF_INET6) {
        describe_tcp(fd, NULL, tls, &bound);
    } else if (sa->ss_family == AF_UNIX) {
        memcpy(&un, sa, sizeof(un));
        snprintf(bound.url, sizeof(bound.url), "unix:%s%.*s",
                 un.sun_path[0] == '\0' ? "@" : "",
                 (int)sizeof(un.sun_path) - 1,
                 un.sun_path + (un.sun_path[0] == '\0'));
        memcpy(bound.address, bound.url, sizeof(bound.url));
    }
    snprintf(out->address, sizeof(out->address), "fd:%d %.270s", fd,
             bound.address);
    if (bound.url[0] != '\0')
        memcpy(out->url, bound.url, sizeof(out->url));
}

static wsk_status inherit_fd(struct wsk__places *s, int fd)
{
    struct sockaddr_storage sa;
    struct texts text;
    int listening = 0;
    socklen_t len = sizeof(listening);

    snprintf(text.url, sizeof(text.url), "fd:%d", fd);
    if (!family_of(fd, &sa))
        return refuse(s, text.url, NULL);
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) != 0 ||
        !listening) {
        errno = EINVAL;
        return refuse(s, text.url, "it is no listening socket");
    }
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    if (!s->trial)
        fcntl(fd, F_SETFL, O_NONBLOCK);
    describe_fd(fd, &sa, s->tls, &text);
    if (add(s, fd, text.url, text.address) != WSK_OK)
        return WSK_E_NOMEM;
    s->at[s->n - 1].inherited = true;
    return WSK_OK;
}

/* ----------------------------------------------------------- any kind --- */

wsk_status wsk__listen(struct wsk__places *s, const struct wsk__bind *b,
                       unsigned backlog)
{
    char host[WSK__BIND_HOST_MAX + 1];

    if (s->n == WSK__LISTENERS) {
        errno = EMFILE;
        return refuse(s, "so many places", NULL);
    }
    /* A program may have filled its configuration without wsk_config_set(). */
    if (b->host.len >= sizeof(host)) {
        errno = ENAMETOOLONG;
        return refuse(s, "a host of more than 255 octets", NULL);
    }
    if (b->host.len > 0)
        memcpy(host, b->host.p, b->host.len);
    host[b->host.len] = '\0';
    switch (b->kind) {
    case WSK__BIND_TCP:
        return listen_tcp(s, host, (uint16_t)b->number, backlog);
    case WSK__BIND_UNIX:
        return listen_unix(s, host, b->number, backlog);
    case WSK__BIND_FD:
        return inherit_fd(s, (int)b->number);
    }
    return WSK_E_ARG;
}
