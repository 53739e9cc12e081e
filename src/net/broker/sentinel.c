#include "net/broker/sentinel.h"

#include "base/ascii.h"
#include "broker/resp.h"
#include "net/os/clock.h"
#include "net/os/poller.h"

#include <stdio.h>
#include <string.h>

enum { ANSWER_MAX = 65536, ASK_MAX = 8192 };

static wsk_str str(const char *text)
{
    return (wsk_str){text, strlen(text)};
}

static bool fail(char why[WSK__LINK_WHY], const char *reason)
{
    snprintf(why, WSK__LINK_WHY, "Sentinel: %s", reason);
    return false;
}

/* Wait for `what`. False: the time is up, or the wake-up came. */
static bool await(const struct wsk__stream *link, unsigned what,
                  const struct wsk__broker_opening *how, uint64_t until_ms)
{
    uint64_t now = wsk__now_ms();
    struct wsk__dial_wait waits[] = {{link->fd, what, 0},
                                     {how->wake->fds[0], WSK__READ, 0}};

    if (now >= until_ms)
        return false;
    wsk__dial_wait(waits, 2, (int)(until_ms - now));
    return waits[0].got != 0 && waits[1].got == 0;
}

static bool send_all(const struct wsk__stream *link, struct wsk__buf *out,
                     const struct wsk__broker_opening *how, uint64_t until_ms)
{
    while (wsk__buf_len(out) > 0) {
        ssize_t n = wsk__stream_send(link, wsk__buf_data(out),
                                     wsk__buf_len(out), false);

        if (n > 0)
            wsk__buf_ack(out, (size_t)n);
        else if (!wsk__stream_is_full() ||
                 !await(link, WSK__WRITE, how, until_ms))
            return false;
    }
    return true;
}

/* Read the next reply. */
static bool read_reply(const struct wsk__stream *link, struct wsk__resp *resp,
                       const struct wsk__broker_opening *how, uint64_t until_ms,
                       struct wsk__reply *reply, char why[WSK__LINK_WHY])
{
    static _Thread_local char octets[WSK__STREAM_ROOM];
    const char *text;
    ssize_t n;

    for (;;) {
        enum wsk__resp_got got = wsk__resp_next(resp, reply, &text);

        if (got == WSK__RESP_REPLY)
            return true;
        if (got == WSK__RESP_BAD)
            return fail(why, text);
        if (!await(link, WSK__READ, how, until_ms))
            return fail(why, "it does not answer");
        n = wsk__stream_recv(link, octets, sizeof octets);
        if (n == 0 || (n < 0 && !wsk__stream_is_full()))
            return fail(why, "the connection has ended");
        if (n > 0 && !wsk__resp_feed(resp, octets, (size_t)n))
            return fail(why, "out of memory");
    }
}

/* Judge the answer to get-master-addr-by-name. */
static bool read_master(const struct wsk__reply *reply, char master[256],
                        unsigned *port, char why[WSK__LINK_WHY])
{
    const wsk_str *host = &reply->items[0].text;

    if (reply->self.kind == WSK__REPLY_ERROR) {
        snprintf(why, WSK__LINK_WHY, "Sentinel says: %.*s",
                 reply->self.text.len < 200 ? (int)reply->self.text.len : 200,
                 reply->self.text.p);
        return false;
    }
    if (reply->self.kind != WSK__REPLY_ARRAY || reply->n != 2)
        return fail(why, "it knows no master of that name");
    if (host->len == 0 || host->len > 255 ||
        !wsk__read_decimal(reply->items[1].text, 5, 65535, port))
        return fail(why, "what it answers is no address");
    memcpy(master, host->p, host->len);
    master[host->len] = '\0';
    return true;
}

static bool talk(const struct wsk__broker_url *url,
                 const struct wsk__stream *link, struct wsk__resp *resp,
                 const struct wsk__broker_opening *how, char master[256],
                 unsigned *port, char why[WSK__LINK_WHY])
{
    uint64_t until_ms = wsk__now_ms() + how->timeout_ms;
    wsk_str ask[] = {str("SENTINEL"), str("get-master-addr-by-name"),
                     str(url->name)};
    wsk_str auth[3] = {str("AUTH")};
    bool has_user = *url->sentinel_user != '\0';
    bool has_password = *url->sentinel_password != '\0';
    struct wsk__reply reply;
    struct wsk__buf out;
    bool good = true;

    auth[1] = str(has_user ? url->sentinel_user : url->sentinel_password);
    auth[2] = str(url->sentinel_password);
    wsk__buf_init(&out, ASK_MAX);
    if (has_password)
        good = wsk__resp_write(&out, auth, has_user ? 3 : 2);
    good = good && wsk__resp_write(&out, ask, 3);
    good = good && send_all(link, &out, how, until_ms);
    wsk__buf_free(&out);
    if (!good)
        return fail(why, "the connection has ended");
    if (has_password && !read_reply(link, resp, how, until_ms, &reply, why))
        return false;
    return read_reply(link, resp, how, until_ms, &reply, why) &&
           read_master(&reply, master, port, why);
}

bool wsk__sentinel_ask(const struct wsk__broker_url *url,
                       const struct wsk__dial_place *places, size_t n,
                       const struct wsk__broker_opening *how, char master[256],
                       unsigned *port, char why[WSK__LINK_WHY])
{
    struct wsk__resp *resp = wsk__resp_new(ANSWER_MAX);
    struct wsk__stream link = {.fd = -1};
    bool good = false;

    if (resp == NULL)
        return fail(why, "out of memory");
    for (size_t i = 0; i < n && !good; i++) {
        if (!wsk__broker_open(&link, &places[i], how, why))
            continue;
        good = talk(url, &link, resp, how, master, port, why);
        wsk__broker_close(&link);
        n = i + 1; /* a Sentinel has answered, for all its addresses */
    }
    wsk__resp_free(resp);
    return good;
}
