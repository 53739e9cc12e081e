#include "net/request/admit.h"

#include "base/ascii.h"
#include "base/items.h"
#include "http/host.h"
#include "net/conn/conns.h"
#include "net/log/limits.h"
#include "net/log/log.h"
#include "wsocket.h"

#include <stdio.h>

enum { SHOWN = 400 }; /* bytes of a list in a line of the log */

/* Texts one behind the other, with something between, as far as they fit. */
struct joined {
    char text[SHOWN];
    size_t len, n;
};

static void join(struct joined *j, const char *between, wsk_str item)
{
    int n = snprintf(j->text + j->len, sizeof(j->text) - j->len, "%s%.*s",
                     j->n++ > 0 ? between : "",
                     (int)(item.len < SHOWN ? item.len : SHOWN), item.p);

    j->len += n < 0 ? 0 : (size_t)n;
    if (j->len >= sizeof(j->text))
        j->len = sizeof(j->text) - 1;
}

static struct joined join_list(const char *list)
{
    struct joined j = {.len = 0};
    size_t pos = 0;
    wsk_str item;

    while (wsk__words_next(list, &pos, &item))
        join(&j, ",", item);
    return j;
}

/* Show all of them: several are refused because they are several (RFC 6454
 * 7.3). */
static struct joined join_origins(const wsk_head *head)
{
    struct joined j = {.len = 0};

    for (size_t i = 0; i < head->n_headers; i++)
        if (wsk__str_ieq(head->headers[i].name, "origin") ||
            wsk__str_ieq(head->headers[i].name, "sec-websocket-origin"))
            join(&j, " and ", head->headers[i].value);
    return j;
}

static int shown_len(wsk_str s)
{
    return (int)(s.len < SHOWN ? s.len : SHOWN);
}

bool wsk__admits_host(struct wsk__conns *conns, const wsk_head *head)
{
    wsk_str host = head->host;
    unsigned long long n;
    struct joined list;

    if (wsk__host_allowed(host, conns->cfg->allowed_hosts))
        return true;
    if (host.len == 0)
        host = (wsk_str){"a request without Host", 22};
    if (!wsk__limit_due(conns->logs, WSK__LIMIT_HOSTS, &n))
        return false;
    list = join_list(conns->cfg->allowed_hosts);
    wsk__logf(conns->logs, WSK_LOG_WARNING,
              "request refused: allowed_hosts (%s) does not have %.*s: "
              "%llu since the start",
              list.text, shown_len(host), host.p, n);
    return false;
}

bool wsk__admits_origin(struct wsk__conns *conns, const wsk_head *head,
                        bool https)
{
    struct joined list, origins;
    unsigned long long n;

    if (wsk_ws_origin_allowed(wsk_ws_origin(head), head->host, https,
                              conns->cfg->ws_origins))
        return true;
    if (!wsk__limit_due(conns->logs, WSK__LIMIT_ORIGINS, &n))
        return false;
    list = join_list(conns->cfg->ws_origins);
    origins = join_origins(head);
    wsk__logf(conns->logs, WSK_LOG_WARNING,
              "WebSocket refused: ws_origins (%s) does not allow pages "
              "of %s%s on %s%.*s: %llu since the start",
              list.text, origins.text,
              origins.n > 1 ? " (more than one Origin)" : "",
              https ? "https://" : "", shown_len(head->host), head->host.p, n);
    return false;
}
