/* net/standalone/transport_tls: TLS over a stream socket as a transport, for
 * clients. */
#include "base/buf.h"
#include "base/mem.h"
#include "net/os/clock.h"
#include "net/os/file.h"
#include "net/os/poller.h"
#include "net/standalone/transport_fd.h"
#include "tls/client.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum {
    FILE_MOST = 4 << 20,
    FILES = 3,
    CIPHERTEXT = 16384, /* bytes of one read during the handshake */
};

struct tls_io {
    struct wsk__stream stream;
    struct wsk__buf in; /* decrypted, and not read yet; the receiving thread */
};

__attribute__((format(printf, 2, 3))) static bool say(char *error,
                                                      const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(error, WSK_TLS_ERROR_LEN, format, args);
    va_end(args);
    return false;
}

/* ------------------------------------------------------------ transport --- */

/* Take what is inside; an idle connection holds no block. */
static size_t take(struct tls_io *io, void *data, size_t cap)
{
    size_t len = wsk__buf_len(&io->in), n = len < cap ? len : cap;

    if (n > 0)
        memcpy(data, wsk__buf_data(&io->in), n);
    wsk__buf_ack(&io->in, n);
    if (n == len)
        wsk__buf_free(&io->in);
    return n;
}

/* Read what has come. WSK_E_AGAIN: nothing, and errno tells why. */
static wsk_status receive(struct tls_io *io, void *data, size_t cap,
                          size_t *got)
{
    bool direct = cap >= WSK__STREAM_ROOM;
    size_t room = direct ? cap : WSK__STREAM_ROOM;
    uint8_t *to = direct ? data : wsk__buf_room(&io->in, room);
    ssize_t n;

    if (to == NULL)
        return WSK_E_NOMEM;
    n = wsk__stream_recv(&io->stream, to, room);
    if (n < 0)
        return WSK_E_AGAIN;
    *got = (size_t)n;
    if (!direct) {
        wsk__buf_grow_tail(&io->in, (size_t)n);
        *got = take(io, data, cap);
    }
    return WSK_OK;
}

static wsk_status tls_recv(void *arg, void *data, size_t cap, int timeout_ms,
                           size_t *got)
{
    struct tls_io *io = arg;
    uint64_t until = wsk__now_ms() +
                     (uint64_t)(timeout_ms > 0 ? timeout_ms : 0);
    wsk_status st;

    *got = take(io, data, cap);
    if (*got > 0)
        return WSK_OK;
    while ((st = receive(io, data, cap, got)) == WSK_E_AGAIN) {
        uint64_t now = wsk__now_ms();
        int left = timeout_ms < 0 ? -1 : now < until ? (int)(until - now) : 0;

        st = wsk__transport_wait(&io->stream, WSK__READ, left);
        if (st != WSK_OK)
            break;
    }
    return st;
}

static void tls_shutdown(void *arg, bool both)
{
    const struct tls_io *io = arg;

    wsk__stream_end(&io->stream);
    if (both)
        wsk__stream_shut(&io->stream);
}

static void tls_free(void *arg)
{
    struct tls_io *io = arg;

    wsk__stream_close(&io->stream);
    wsk__buf_free(&io->in);
    wsk__free(io);
}

/* ------------------------------------------------------------ handshake --- */

/* Wait for the server; false with a sentence. */
static bool await(const struct tls_io *io, uint64_t until_ms, char *error)
{
    unsigned what = wsk__stream_owed(&io->stream) > 0 ? WSK__WRITE : 0;

    return wsk__stream_wait(&io->stream, WSK__READ | what, until_ms) ||
           say(error, "the TLS handshake took too long");
}

/* Read ciphertext: the octets, or 0 for nothing yet. -1 with a sentence. */
static ssize_t read_flight(const struct tls_io *io, uint8_t *data, char *error)
{
    ssize_t n = wsk__stream_discard(&io->stream, data, CIPHERTEXT);

    if (n > 0)
        return n;
    if (n < 0 && wsk__stream_is_full())
        return 0;
    say(error, "the server has ended the TLS handshake%s%s", n < 0 ? ": " : "",
        n < 0 ? strerror(errno) : "");
    return -1;
}

static bool shake(struct tls_io *io, uint64_t until_ms, char *error)
{
    struct wsk__stream_tls *tls = io->stream.tls;
    char reason[WSK__TLS_REASON_MAX];
    uint8_t data[CIPHERTEXT];
    wsk_str ct = {"", 0};
    ssize_t n = 1;
    bool fits;

    for (;;) {
        enum wsk__tls_got got = WSK__TLS_MORE;

        if (n > 0)
            got = wsk__stream_tls_shake(tls, &ct, &io->in, &fits);
        else
            wsk__stream_tls_flush(tls);
        if (got == WSK__TLS_DONE)
            return fits || say(error, "out of memory");
        if (got == WSK__TLS_BAD)
            break;
        if (!await(io, until_ms, error))
            return false;
        n = read_flight(io, data, error);
        if (n < 0)
            return false;
        ct = (wsk_str){(const char *)data, (size_t)n};
    }
    wsk__tls_reason(tls->engine, reason);
    return say(error, "the TLS handshake failed: %s", reason);
}

/* ----------------------------------------------------------------- files ---
 */

static int64_t wall_clock(void *unused)
{
    (void)unused;
    return wsk__wall_s();
}

/* Read a file that is named. False with a sentence. */
static bool read_file(struct wsk__tls_file *file, char *error)
{
    struct wsk__file_stamp stamp;

    if (file->path == NULL)
        return true;
    file->text.p =
        wsk__file_read(file->path, FILE_MOST, &file->text.len, &stamp);
    return file->text.p != NULL ||
           say(error, "cannot read %s: %s", file->path, strerror(errno));
}

/* Make the engine. NULL with a sentence. */
static struct wsk__tls *make_engine(const wsk_tls_client *how, char *error)
{
    struct wsk__tls_pair pair = {{.path = how->certfile},
                                 {.path = how->keyfile}};
    struct wsk__tls_config config = {.pairs = &pair,
                                     .n_pairs = how->certfile != NULL,
                                     .ca_certs = {.path = how->ca_certs},
                                     .now = wall_clock};
    struct wsk__tls_file *files[FILES] = {&pair.chain, &pair.key,
                                          &config.ca_certs};
    struct wsk__tls *engine = NULL;
    struct wsk__tls_fault fault;
    bool good = how->server_hostname != NULL ||
                say(error, "server_hostname is missing");

    good = good && (how->certfile != NULL || how->keyfile == NULL ||
                    say(error, "keyfile is given, and certfile is not"));
    for (size_t i = 0; i < FILES && good; i++)
        good = read_file(files[i], error);
    if (good) {
        engine = wsk__tls_connect(&config, how->server_hostname, &fault);
        if (engine == NULL)
            say(error, "%s", fault.text);
    }
    for (size_t i = 0; i < FILES; i++)
        wsk__file_forget((char *)(uintptr_t)files[i]->text.p,
                         files[i]->text.len);
    return engine;
}

const wsk_transport *wsk_transport_tls(int fd, const wsk_tls_client *how,
                                       int timeout_ms, void **io,
                                       char error[WSK_TLS_ERROR_LEN])
{
    static const wsk_transport TLS = {tls_recv, wsk__transport_send,
                                      tls_shutdown, tls_free};
    uint64_t until_ms = timeout_ms < 0 ? UINT64_MAX
                                       : wsk__now_ms() + (uint64_t)timeout_ms;
    struct wsk__tls *engine = make_engine(how, error);
    struct tls_io *made = engine != NULL ? wsk__calloc(sizeof(*made)) : NULL;

    if (made == NULL) {
        if (engine != NULL)
            say(error, "out of memory");
        wsk__tls_free(engine);
        return NULL;
    }
    made->stream = (struct wsk__stream){fd, wsk__stream_tls_new(fd, engine)};
    wsk__buf_init(&made->in, WSK__BUF_CAP_MAX);
    if (made->stream.tls == NULL) {
        say(error, "out of memory");
    } else if (shake(made, until_ms, error)) {
        *io = made;
        return &TLS;
    }
    made->stream.fd = -1; /* the caller's */
    tls_free(made);
    return NULL;
}
