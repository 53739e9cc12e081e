#include "net/access.h"

#include "net/log.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum { LINE_MAX_ = 4096, PIECE_MAX = 1024 };

struct line {
    char text[LINE_MAX_];
    size_t n;
};

static void put(struct line *l, const char *text)
{
    size_t len = strlen(text);

    if (len > sizeof(l->text) - l->n)
        len = sizeof(l->text) - l->n;
    memcpy(l->text + l->n, text, len);
    l->n += len;
}

static void put_peer(struct line *l, wsk_str s)
{
    size_t room = sizeof(l->text) - l->n;

    l->n += wsk__log_escape(l->text + l->n, room < PIECE_MAX ? room : PIECE_MAX,
                            s.p, s.len, true);
}

static void put_field(struct line *l, wsk_str s)
{
    put(l, " \"");
    if (s.p == NULL)
        put(l, "-");
    else
        put_peer(l, s);
    put(l, "\"");
}

static void put_time(struct line *l)
{
    static const char MONTH[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    time_t now = time(NULL);
    struct tm tm;
    char text[64];

    gmtime_r(&now, &tm);
    snprintf(text, sizeof(text), " - - [%02d/%.3s/%d:%02d:%02d:%02d +0000] \"",
             tm.tm_mday, MONTH + 3 * tm.tm_mon, tm.tm_year + 1900, tm.tm_hour,
             tm.tm_min, tm.tm_sec);
    put(l, text);
}

void wsk__access_log(wsk_server *srv, const wsk_request *req)
{
    const wsk_head *head = req->head;
    struct line l;
    char text[64];

    if (srv->access_log == NULL)
        return;
    l.n = 0;
    put(&l, req->conn->h->peer.text[0] ? req->conn->h->peer.text : "-");
    put_time(&l);
    put_peer(&l, head->method);
    put(&l, " ");
    put_peer(&l, head->target);
    put(&l, " ");
    put_peer(&l, head->version);
    snprintf(text, sizeof(text), "\" %d %llu", req->status,
             (unsigned long long)req->sent);
    put(&l, text);
    put_field(&l, wsk_head_get(head, "Referer"));
    put_field(&l, wsk_head_get(head, "User-Agent"));
    wsk__log_line(srv->access_log, l.text, l.n);
}
