#include "net/broker/link.h"

#include "base/buf.h"
#include "net/broker/tls.h"
#include "net/os/clock.h"
#include "net/os/poller.h"

#include <stdio.h>
#include <string.h>

enum { READ = 4096, EARLY_MAX = 65536 };

/* Wait for a descriptor. False: the time is up, or the wake-up came. */
static bool await(int fd, unsigned what, const struct wsk__broker_opening *how,
                  uint64_t until_ms)
{
    for (;;) {
        uint64_t now = wsk__now_ms();
        struct wsk__dial_wait waits[] = {{fd, what, 0},
                                         {how->wake->fds[0], WSK__READ, 0}};

        if (now >= until_ms)
            return false;
        wsk__dial_wait(waits, 2, (int)(until_ms - now));
        if (waits[1].got != 0)
            return false;
        if (waits[0].got != 0)
            return true;
    }
}

static bool fail(char why[WSK__LINK_WHY], const char *what, const char *reason)
{
    snprintf(why, WSK__LINK_WHY, "%s: %s", what, reason);
    return false;
}

/* Read some octets of a handshake. */
static bool read_flight(int fd, const struct wsk__broker_opening *how,
                        uint64_t until_ms, char *octets, wsk_str *ct)
{
    const struct wsk__stream plain = {.fd = fd};
    ssize_t n;

    do {
        if (!await(fd, WSK__READ, how, until_ms))
            return false;
        n = wsk__stream_discard(&plain, octets, READ);
    } while (n < 0 && wsk__stream_is_full());
    *ct = (wsk_str){octets, n > 0 ? (size_t)n : 0};
    return n > 0;
}

static bool shake(struct wsk__stream *link,
                  const struct wsk__broker_opening *how, uint64_t until_ms,
                  char why[WSK__LINK_WHY])
{
    struct wsk__tls_fault fault;
    struct wsk__tls *engine = wsk__broker_tls_new(how->url, how->host, &fault);
    char octets[READ], reason[WSK__TLS_REASON_MAX];
    enum wsk__tls_got got;
    struct wsk__buf early;
    wsk_str ct = {octets, 0};
    bool fits = true;

    if (engine == NULL)
        return fail(why, "TLS", fault.text);
    link->tls = wsk__stream_tls_new(link->fd, engine);
    if (link->tls == NULL)
        return fail(why, "TLS", "out of memory");
    wsk__buf_init(&early, EARLY_MAX);
    while ((got = wsk__stream_tls_shake(link->tls, &ct, &early, &fits)) ==
           WSK__TLS_MORE)
        if (!read_flight(link->fd, how, until_ms, octets, &ct))
            return fail(why, "TLS", "the handshake does not end");
    /* Redis says nothing before it is asked. */
    fits = fits && wsk__buf_len(&early) == 0;
    wsk__buf_free(&early);
    wsk__tls_reason(engine, reason);
    return got == WSK__TLS_DONE && fits ? true : fail(why, "TLS", reason);
}

bool wsk__broker_open(struct wsk__stream *link,
                      const struct wsk__dial_place *place,
                      const struct wsk__broker_opening *how,
                      char why[WSK__LINK_WHY])
{
    uint64_t until_ms = wsk__now_ms() + how->timeout_ms;
    int error;

    *link = (struct wsk__stream){.fd = wsk__dial(place, how->silence_ms)};
    if (link->fd < 0)
        return fail(why, "connect", strerror(errno));
    if (!await(link->fd, WSK__WRITE, how, until_ms)) {
        wsk__broker_close(link);
        return fail(why, "connect", "no answer");
    }
    error = wsk__dial_result(link->fd);
    if (error != 0) {
        wsk__broker_close(link);
        return fail(why, "connect", strerror(error));
    }
    if (!how->url->tls || shake(link, how, until_ms, why))
        return true;
    wsk__broker_close(link);
    return false;
}

void wsk__broker_close(struct wsk__stream *link)
{
    if (link->fd >= 0)
        wsk__stream_shut(link);
    wsk__stream_close(link);
}
