#include "ws/extension.h"

#include "base/ascii.h"

#include <stdio.h>

/* One element of the list, as far as permessage-deflate needs it. */
struct offer {
    bool usable;         /* permessage-deflate, as RFC 7692 7.1 allows it */
    bool server_alone;   /* server_no_context_takeover */
    bool client_alone;   /* client_no_context_takeover */
    bool client_window;  /* client_max_window_bits, with or without a value */
    uint8_t server_bits; /* 8..15; 0: server_max_window_bits is absent */
    uint8_t client_bits; /* 8..15; 0: no value */
};

struct scan {
    const char *p, *end;
};

/* ------------------------------------------------------------ grammar --- */

/* Return the next octet that is no white space, which RFC 6455 2.1 allows
 * between any two words; '\0' at the end, which no field can hold. */
static char peek(struct scan *s)
{
    while (s->p < s->end && (*s->p == ' ' || *s->p == '\t'))
        s->p++;
    return s->p < s->end ? *s->p : '\0';
}

static bool take(struct scan *s, char c)
{
    if (peek(s) != c)
        return false;
    s->p++;
    return true;
}

static bool take_token(struct scan *s, wsk_str *token)
{
    peek(s);
    token->p = s->p;
    while (s->p < s->end && wsk__is_tchar((unsigned char)*s->p))
        s->p++;
    token->len = (size_t)(s->p - token->p);
    return token->len > 0;
}

/* A value that is read octet by octet, because a quoted one may hide octets
 * behind backslashes. Only the size of a window matters. */
struct value {
    char text[2];
    size_t len;
};

static bool add_octet(struct value *v, char c)
{
    if (v->len < sizeof(v->text))
        v->text[v->len] = c;
    v->len++;
    return wsk__is_tchar((unsigned char)c);
}

/* Take a quoted string, whose content must be a token, too (RFC 6455 9.1). */
static bool take_quoted(struct scan *s, struct value *v)
{
    while (s->p < s->end && *s->p != '"') {
        if (*s->p == '\\' && ++s->p == s->end)
            return false;
        if (!add_octet(v, *s->p++))
            return false;
    }
    if (s->p == s->end)
        return false;
    s->p++;
    return v->len > 0;
}

static bool take_value(struct scan *s, struct value *v)
{
    wsk_str token;

    *v = (struct value){.len = 0};
    if (take(s, '"'))
        return take_quoted(s, v);
    if (!take_token(s, &token))
        return false;
    for (size_t i = 0; i < token.len; i++)
        add_octet(v, token.p[i]);
    return true;
}

/* Return a decimal number from 8 to 15 without leading zeros (RFC 7692 7.1.2);
 * 0 for any other value. */
static uint8_t window_bits(const struct value *v)
{
    if (v->len == 1 && (v->text[0] == '8' || v->text[0] == '9'))
        return (uint8_t)(v->text[0] - '0');
    if (v->len == 2 && v->text[0] == '1' && v->text[1] >= '0' &&
        v->text[1] <= '5')
        return (uint8_t)(10 + v->text[1] - '0');
    return 0;
}

/* ------------------------------------------------------------- offers --- */

static bool set_once(bool *flag)
{
    bool first = !*flag;

    *flag = true;
    return first;
}

/* Take a parameter. False when it is unknown, comes twice, or has a value that
 * RFC 7692 7.1 forbids; `v` is NULL without a value. */
static bool take_parameter(struct offer *o, wsk_str name, const struct value *v)
{
    if (wsk__str_is(name, "server_no_context_takeover"))
        return v == NULL && set_once(&o->server_alone);
    if (wsk__str_is(name, "client_no_context_takeover"))
        return v == NULL && set_once(&o->client_alone);
    if (wsk__str_is(name, "server_max_window_bits")) {
        if (v == NULL || o->server_bits != 0)
            return false;
        o->server_bits = window_bits(v);
        return o->server_bits != 0;
    }
    if (wsk__str_is(name, "client_max_window_bits")) {
        o->client_bits = v != NULL ? window_bits(v) : 0;
        return set_once(&o->client_window) &&
               (v == NULL || o->client_bits != 0);
    }
    return false;
}

/* Read one element with its parameters. False when it is malformed. */
static bool read_offer(struct scan *s, struct offer *o)
{
    struct value value;
    wsk_str name;

    *o = (struct offer){.usable = false};
    if (!take_token(s, &name))
        return false;
    o->usable = wsk__str_is(name, "permessage-deflate");
    while (take(s, ';')) {
        bool valued;

        if (!take_token(s, &name))
            return false;
        valued = take(s, '=');
        if (valued && !take_value(s, &value))
            return false;
        if (!take_parameter(o, name, valued ? &value : NULL))
            o->usable = false;
    }
    return true;
}

/* Place in the list that all fields together are; empty elements do not count
 * (RFC 9110 5.6.1.2). */
struct walk {
    const wsk_head *head;
    size_t field;   /* the next field to read */
    struct scan s;  /* the rest of the field before */
    bool separated; /* an element may follow: a comma came, or a field began */
};

enum step { ELEMENT, END, MALFORMED };

static bool next_field(struct walk *w)
{
    while (w->field < w->head->n_headers) {
        const wsk_header *field = &w->head->headers[w->field++];

        if (!wsk__str_ieq(field->name, "sec-websocket-extensions"))
            continue;
        w->s.p = field->value.p;
        w->s.end = field->value.p + field->value.len;
        return true;
    }
    return false;
}

static enum step next_offer(struct walk *w, struct offer *o)
{
    for (;;) {
        if (take(&w->s, ',')) {
            w->separated = true;
        } else if (w->s.p < w->s.end) {
            bool good = w->separated && read_offer(&w->s, o);

            w->separated = false;
            return good ? ELEMENT : MALFORMED;
        } else if (next_field(w)) {
            w->separated = true;
        } else {
            return END;
        }
    }
}

/* Find the first usable offer. False when the list is malformed. */
static bool read_offers(const wsk_head *head, struct offer *first)
{
    struct walk w = {.head = head};
    struct offer o;
    enum step step;

    *first = (struct offer){.usable = false};
    while ((step = next_offer(&w, &o)) == ELEMENT)
        if (o.usable && !first->usable)
            *first = o;
    return step == END;
}

const char *wsk__extensions_judge(const wsk_head *head)
{
    struct offer first;

    return read_offers(head, &first)
               ? NULL
               : "Sec-WebSocket-Extensions is not a list of extensions";
}

/* ------------------------------------------------------------- answer --- */

enum { WIDEST = 15, THRESHOLD = 128 };

static wsk_ws_deflate agreement(const struct offer *o, bool takeover)
{
    return (wsk_ws_deflate){
        .server_bits = o->server_bits != 0 ? o->server_bits : WIDEST,
        .client_bits = o->client_bits != 0 ? o->client_bits : WIDEST,
        .server_takeover = takeover && !o->server_alone,
        .client_takeover = takeover && !o->client_alone,
        .threshold = THRESHOLD,
    };
}

bool wsk_ws_agree_deflate(const wsk_head *head, bool takeover,
                          wsk_ws_deflate *agreed,
                          char text[WSK_WS_DEFLATE_TEXT])
{
    char server[32] = "", client[32] = "";
    struct offer o;

    if (!read_offers(head, &o) || !o.usable)
        return false;
    *agreed = agreement(&o, takeover);
    if (o.server_bits != 0)
        snprintf(server, sizeof(server), "; server_max_window_bits=%u",
                 (unsigned)o.server_bits);
    /* RFC 7692 7.1.2.2: allowed only because the client has named it. A client
     * that names it without a value may use the widest window, which needs no
     * answer. */
    if (o.client_bits != 0)
        snprintf(client, sizeof(client), "; client_max_window_bits=%u",
                 (unsigned)o.client_bits);
    snprintf(text, WSK_WS_DEFLATE_TEXT, "permessage-deflate%s%s%s%s",
             agreed->server_takeover ? "" : "; server_no_context_takeover",
             agreed->client_takeover ? "" : "; client_no_context_takeover",
             server, client);
    return true;
}

bool wsk__extensions_answer(const wsk_head *head, bool *deflates,
                            wsk_ws_deflate *agreed)
{
    struct walk w = {.head = head};
    struct offer o;
    enum step step;

    *deflates = false;
    while ((step = next_offer(&w, &o)) == ELEMENT) {
        /* A single element; and RFC 7692 7.1.2.2: with a value where the offer
         * has none. */
        if (!o.usable || *deflates || (o.client_window && o.client_bits == 0))
            return false;
        *deflates = true;
        *agreed = agreement(&o, true);
    }
    return step == END;
}
