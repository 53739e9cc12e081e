#include "tls/names.h"

#include "base/ascii.h"
#include "base/mem.h"
#include "tls/certificate.h"
#include "tls/lib.h"

#include <string.h>

#ifdef WSK_TLS

/* The name that a connection asked for, with its length before it. */
struct asked {
    size_t len;
    char name[WSK__TLS_NAME + 1];
};

static CRYPTO_ONCE once = CRYPTO_ONCE_STATIC_INIT;
static int place = -1; /* of a struct asked among the data of an SSL */

static void forget(void *ssl, void *asked, CRYPTO_EX_DATA *data, int index,
                   long number, void *user)
{
    (void)ssl, (void)data, (void)index, (void)number, (void)user;
    wsk__free(asked);
}

static void find_place(void)
{
    place = CRYPTO_get_ex_new_index(CRYPTO_EX_INDEX_SSL, 0, NULL, NULL, NULL,
                                    forget);
}

static int order(wsk_str a, wsk_str b)
{
    int by = memcmp(a.p, b.p, a.len < b.len ? a.len : b.len);

    return by != 0 ? by : (a.len > b.len) - (a.len < b.len);
}

int wsk__tls_name_order(const void *a, const void *b)
{
    return order(((const struct wsk__tls_name *)a)->name,
                 ((const struct wsk__tls_name *)b)->name);
}

static struct ssl_ctx_st *search(const struct wsk__tls_names *names,
                                 wsk_str name)
{
    size_t low = 0, high = names->n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int by = order(name, names->at[middle].name);

        if (by == 0)
            return names->at[middle].ctx;
        if (by < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

struct ssl_ctx_st *wsk__tls_names_find(const struct wsk__tls_names *names,
                                       wsk_str name)
{
    struct ssl_ctx_st *ctx = search(names, name);
    const char *dot = memchr(name.p, '.', name.len);
    char wild[WSK__TLS_NAME + 1];
    size_t rest;

    if (ctx != NULL || dot == NULL || dot == name.p || name.len > WSK__TLS_NAME)
        return ctx;
    rest = name.len - (size_t)(dot - name.p);
    wild[0] = '*';
    memcpy(wild + 1, dot, rest);
    return search(names, (wsk_str){wild, rest + 1});
}

bool wsk__tls_is_name(wsk_str text)
{
    for (size_t i = 0; i < text.len; i++) {
        int c = wsk__lower((unsigned char)text.p[i]);

        if (!(c >= 'a' && c <= 'z') && !wsk__is_digit(c) && c != '-' &&
            c != '.' && c != '_')
            return false;
    }
    return text.len > 0 && text.len <= WSK__TLS_NAME;
}

/* Return the first name of the extension: a list of names, each with its type
 * and its length (RFC 6066 3). Empty if it has none, or is malformed, on which
 * OpenSSL passes judgement later. */
static wsk_str name_in(const uint8_t *p, size_t len)
{
    size_t n;

    if (len < 5 || (size_t)(p[0] << 8 | p[1]) != len - 2 || p[2] != 0)
        return (wsk_str){NULL, 0};
    n = (size_t)(p[3] << 8 | p[4]);
    return n <= len - 5 ? (wsk_str){(const char *)p + 5, n}
                        : (wsk_str){NULL, 0};
}

/* Keep the name with the connection. False: memory is out. */
static bool keep(SSL *ssl, wsk_str name, struct asked **kept)
{
    struct asked *asked = SSL_get_ex_data(ssl, place);

    if (asked == NULL) {
        asked = wsk__alloc(offsetof(struct asked, name) + name.len);
        if (asked == NULL)
            return false;
        if (SSL_set_ex_data(ssl, place, asked) != 1) {
            wsk__free(asked);
            return false;
        }
    } else if (asked->len != name.len) {
        return false;
    }
    asked->len = name.len;
    for (size_t i = 0; i < name.len; i++)
        asked->name[i] = (char)wsk__lower((unsigned char)name.p[i]);
    *kept = asked;
    return true;
}

/* Runs before the version is chosen and before a session is resumed. After a
 * HelloRetryRequest it runs again; the name is the same then (RFC 8446 4.1.2).
 */
static int on_client_hello(SSL *ssl, int *alert, void *user)
{
    const struct wsk__tls_names *names = user;
    wsk_str name = {NULL, 0};
    struct asked *asked = NULL;
    const uint8_t *p;
    SSL_CTX *ctx;
    size_t len;

    if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &p, &len) == 1)
        name = name_in(p, len);
    if (!wsk__tls_is_name(name))
        name.len = 0;
    if (!keep(ssl, name, &asked)) {
        *alert = SSL_AD_INTERNAL_ERROR;
        return SSL_CLIENT_HELLO_ERROR;
    }
    if (asked->len == 0)
        return SSL_CLIENT_HELLO_SUCCESS;
    ctx = wsk__tls_names_find(names, (wsk_str){asked->name, asked->len});
    if (ctx == NULL || SSL_set_SSL_CTX(ssl, ctx) != NULL)
        return SSL_CLIENT_HELLO_SUCCESS;
    *alert = SSL_AD_INTERNAL_ERROR;
    return SSL_CLIENT_HELLO_ERROR;
}

/* Tell OpenSSL that the name was heeded: a session keeps it then, and gives it
 * to connections that resume it. */
static int on_name(SSL *ssl, int *alert, void *user)
{
    (void)ssl, (void)alert, (void)user;
    return SSL_TLSEXT_ERR_OK;
}

bool wsk__tls_names_use(const struct wsk__tls_names *names,
                        struct ssl_ctx_st *ctx)
{
    if (CRYPTO_THREAD_run_once(&once, find_place) != 1 || place < 0)
        return false;
    SSL_CTX_set_client_hello_cb(ctx, on_client_hello, (void *)(uintptr_t)names);
    SSL_CTX_set_tlsext_servername_callback(ctx, on_name);
    return true;
}

wsk_str wsk__tls_name_asked(const struct ssl_st *ssl)
{
    const struct asked *asked = place >= 0 ? SSL_get_ex_data(ssl, place) : NULL;

    return asked != NULL ? (wsk_str){asked->name, asked->len}
                         : (wsk_str){"", 0};
}

#endif
