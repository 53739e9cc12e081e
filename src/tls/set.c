#include "tls/set.h"

#include "base/mem.h"
#include "tls/certificate.h"
#include "tls/clients.h"
#include "tls/engine.h"
#include "tls/fault.h"
#include "tls/lib.h"
#include "tls/names.h"
#include "tls/policy.h"
#include "tls/ticket.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#ifdef WSK_TLS

enum { TYPES = 8 }; /* certificates of one context, each of another key type */

/* A context, and the certificates in it by their index. */
struct context {
    SSL_CTX *ctx;
    size_t n, members[TYPES];
};

struct wsk__tls_set {
    atomic_uint refs;
    struct wsk__tls_identity *ids;
    size_t n_ids;
    struct context *contexts;
    size_t n_contexts;
    struct wsk__tls_names names;
    struct wsk__tls_tickets *tickets;
    struct wsk__tls_clients clients;
};

/* A name of a certificate. */
struct claim {
    struct wsk__tls_name name; /* the first member, for the order */
    size_t id;
};

static int claim_order(const void *a, const void *b)
{
    const struct claim *one = a, *other = b;
    int by = wsk__tls_name_order(&one->name, &other->name);

    return by != 0 ? by : (one->id > other->id) - (one->id < other->id);
}

/* Walk the names of a certificate; *pos starts at 0. */
static bool next_name(const struct wsk__tls_identity *id, size_t *pos,
                      wsk_str *name)
{
    const char *p = id->about.names + *pos;

    p += *p == ' ';
    *name = (wsk_str){p, strcspn(p, " ")};
    *pos = (size_t)(p - id->about.names) + name->len;
    return name->len > 0;
}

static size_t count_names(const struct wsk__tls_set *set)
{
    size_t n = 0, pos;
    wsk_str name;

    for (size_t i = 0; i < set->n_ids; i++)
        for (pos = 0; next_name(&set->ids[i], &pos, &name);)
            n++;
    return n;
}

/* List all names of all certificates in order. NULL: memory is out. */
static struct claim *list_claims(const struct wsk__tls_set *set, size_t n)
{
    struct claim *claims = wsk__alloc(n * sizeof(*claims));
    size_t at = 0, pos;
    wsk_str name;

    if (claims == NULL)
        return NULL;
    for (size_t i = 0; i < set->n_ids; i++)
        for (pos = 0; next_name(&set->ids[i], &pos, &name);)
            claims[at++] = (struct claim){{name, NULL}, i};
    if (n > 0)
        qsort(claims, n, sizeof(*claims), claim_order);
    return claims;
}

/* Put a certificate into a list, unless it has one of the same type of key. */
static void join(const struct wsk__tls_set *set, struct context *list,
                 size_t id)
{
    for (size_t i = 0; i < list->n; i++)
        if (set->ids[list->members[i]].type == set->ids[id].type)
            return;
    if (list->n < TYPES)
        list->members[list->n++] = id;
}

static bool same_members(const struct context *a, const struct context *b)
{
    return a->n == b->n &&
           memcmp(a->members, b->members, a->n * sizeof(*a->members)) == 0;
}

/* Put the certificates into a new context. */
static bool fill(const struct wsk__tls_set *set, struct context *context,
                 struct wsk__tls_fault *fault)
{
    for (size_t i = 0; i < context->n; i++) {
        const struct wsk__tls_identity *id = &set->ids[context->members[i]];

        ERR_clear_error();
        if (SSL_CTX_use_cert_and_key(context->ctx, id->leaf, id->key, id->chain,
                                     1) != 1)
            return wsk__tls_fail(fault, true,
                                 "the certificate in %s cannot be used: %s",
                                 id->about.path, wsk__tls_why());
    }
    return true;
}

/* Return the context of a list of certificates, which is made at need. NULL
 * with *fault. */
static SSL_CTX *context_of(struct wsk__tls_set *set, const struct context *list,
                           const struct wsk__tls_config *config,
                           struct wsk__tls_fault *fault)
{
    struct context *context;

    for (size_t i = 0; i < set->n_contexts; i++)
        if (same_members(&set->contexts[i], list))
            return set->contexts[i].ctx;
    context = wsk__realloc(set->contexts,
                           (set->n_contexts + 1) * sizeof(*set->contexts));
    if (context == NULL) {
        wsk__tls_no_memory(fault);
        return NULL;
    }
    set->contexts = context;
    context += set->n_contexts++;
    *context = *list;
    context->ctx = SSL_CTX_new(TLS_server_method());
    if (context->ctx == NULL ||
        !wsk__tls_prepare(context->ctx, WSK__TLS_SERVER) ||
        !wsk__tls_names_use(&set->names, context->ctx) ||
        !wsk__tls_tickets_use(set->tickets, context->ctx,
                              config->verify != WSK__TLS_VERIFY_NONE) ||
        !wsk__tls_clients_use(&set->clients, context->ctx)) {
        wsk__tls_no_memory(fault);
        return NULL;
    }
    if (!wsk__tls_policy_use(config, context->ctx, fault) ||
        !fill(set, context, fault))
        return NULL;
    return context->ctx;
}

/* List the certificates of the name that claims[from] has; return the first
 * claim of the next name. */
static size_t gather(const struct wsk__tls_set *set, const struct claim *claims,
                     size_t n, size_t from, struct context *list)
{
    size_t i = from;

    *list = (struct context){NULL, 0, {0}};
    for (;
         i < n && wsk__tls_name_order(&claims[from].name, &claims[i].name) == 0;
         i++)
        join(set, list, claims[i].id);
    return i;
}

/* Give clients that name no host, or one of no certificate, what clients of the
 * first certificate's first name get. */
static bool make_default(struct wsk__tls_set *set, const struct claim *claims,
                         size_t n, const struct wsk__tls_config *config,
                         struct wsk__tls_fault *fault)
{
    struct context list = {NULL, 0, {0}};
    size_t pos = 0;
    struct claim first = {{{NULL, 0}, NULL}, 0};

    join(set, &list, 0);
    if (next_name(&set->ids[0], &pos, &first.name.name))
        for (size_t i = 0; i < n; i++)
            if (wsk__tls_name_order(&first.name, &claims[i].name) == 0)
                join(set, &list, claims[i].id);
    return context_of(set, &list, config, fault) != NULL;
}

/* Warn of certificates that no client gets. */
static bool warn_of_idle(struct wsk__tls_set *set)
{
    for (size_t i = 0; i < set->n_ids; i++) {
        bool used = false;

        for (size_t k = 0; k < set->n_contexts; k++)
            for (size_t m = 0; m < set->contexts[k].n; m++)
                used |= set->contexts[k].members[m] == i;
        if (!used &&
            !wsk__tls_identity_warn(&set->ids[i],
                                    "the certificate in %s is never used: %s",
                                    set->ids[i].about.path,
                                    set->ids[i].about.names[0] != '\0'
                                        ? "others before it have its names"
                                        : "it has no names"))
            return false;
    }
    return true;
}

static bool make_contexts(struct wsk__tls_set *set,
                          const struct wsk__tls_config *config,
                          struct wsk__tls_fault *fault)
{
    size_t n = count_names(set);
    struct claim *claims = list_claims(set, n);
    struct context list;
    bool good;

    set->names.at = wsk__alloc(n * sizeof(*set->names.at));
    if (claims == NULL || set->names.at == NULL) {
        wsk__free(claims);
        return wsk__tls_no_memory(fault);
    }
    good = make_default(set, claims, n, config, fault);
    for (size_t i = 0, next; good && i < n; i = next) {
        struct wsk__tls_name *name = &set->names.at[set->names.n];

        next = gather(set, claims, n, i, &list);
        name->name = claims[i].name.name;
        name->ctx = context_of(set, &list, config, fault);
        good = name->ctx != NULL;
        set->names.n += good;
    }
    wsk__free(claims);
    return good && (warn_of_idle(set) || wsk__tls_no_memory(fault));
}

static bool read_pairs(struct wsk__tls_set *set,
                       const struct wsk__tls_config *config,
                       struct wsk__tls_fault *fault)
{
    set->ids = wsk__calloc(config->n_pairs * sizeof(*set->ids));
    if (set->ids == NULL)
        return wsk__tls_no_memory(fault);
    for (size_t i = 0; i < config->n_pairs; i++) {
        if (!wsk__tls_identity_read(&set->ids[i], &config->pairs[i], config,
                                    fault))
            return false;
        set->n_ids++;
    }
    return true;
}

static bool make(struct wsk__tls_set *set, const struct wsk__tls_config *config,
                 struct wsk__tls_fault *fault)
{
    if (!wsk__tls_policy_check(config, fault) ||
        !read_pairs(set, config, fault) ||
        !wsk__tls_clients_read(&set->clients, config, fault))
        return false;
    set->tickets = wsk__tls_tickets_new(config, set->clients.digest);
    if (set->tickets == NULL)
        return wsk__tls_no_memory(fault);
    return make_contexts(set, config, fault);
}

static void destroy(struct wsk__tls_set *set)
{
    for (size_t i = 0; i < set->n_contexts; i++)
        SSL_CTX_free(set->contexts[i].ctx);
    for (size_t i = 0; i < set->n_ids; i++)
        wsk__tls_identity_free(&set->ids[i]);
    wsk__tls_clients_clear(&set->clients);
    wsk__tls_tickets_free(set->tickets);
    wsk__free(set->names.at);
    wsk__free(set->contexts);
    wsk__free(set->ids);
    wsk__free(set);
}

struct wsk__tls_set *wsk__tls_set_new(const struct wsk__tls_config *config,
                                      struct wsk__tls_fault *fault)
{
    struct wsk__tls_set *set;

    if (!wsk__tls_ready(fault))
        return NULL;
    set = wsk__calloc(sizeof(*set));
    if (set == NULL) {
        wsk__tls_no_memory(fault);
        return NULL;
    }
    atomic_init(&set->refs, 1);
    if (!make(set, config, fault)) {
        ERR_clear_error();
        destroy(set);
        return NULL;
    }
    for (size_t i = 0; i < set->n_ids; i++)
        wsk__tls_identity_forget(&set->ids[i]);
    ERR_clear_error();
    return set;
}

struct wsk__tls_set *wsk__tls_set_ref(struct wsk__tls_set *set)
{
    atomic_fetch_add(&set->refs, 1);
    return set;
}

void wsk__tls_set_unref(struct wsk__tls_set *set)
{
    if (set != NULL && atomic_fetch_sub(&set->refs, 1) == 1)
        destroy(set);
}

struct ssl_ctx_st *wsk__tls_set_context(const struct wsk__tls_set *set)
{
    return set->contexts[0].ctx;
}

static void drop(void *set)
{
    wsk__tls_set_unref(set);
}

struct wsk__tls *wsk__tls_accept(struct wsk__tls_set *set)
{
    struct wsk__tls *tls =
        wsk__tls_new(wsk__tls_set_context(set), WSK__TLS_SERVER, drop, set);

    if (tls != NULL)
        wsk__tls_set_ref(set);
    return tls;
}

const struct wsk__tls_certificate *
wsk__tls_set_certificate(const struct wsk__tls_set *set, size_t i)
{
    return i < set->n_ids ? &set->ids[i].about : NULL;
}

const char *wsk__tls_set_warning(const struct wsk__tls_set *set, size_t i)
{
    return i < set->clients.n_warnings ? set->clients.warnings[i] : NULL;
}

#else

struct wsk__tls_set *wsk__tls_set_new(const struct wsk__tls_config *config,
                                      struct wsk__tls_fault *fault)
{
    static const struct wsk__tls_fault NONE = {
        "wsocket was built without TLS: certfile cannot be used", false};

    (void)config;
    *fault = NONE;
    return NULL;
}

struct wsk__tls_set *wsk__tls_set_ref(struct wsk__tls_set *set)
{
    return set;
}

void wsk__tls_set_unref(struct wsk__tls_set *set)
{
    (void)set;
}

struct ssl_ctx_st *wsk__tls_set_context(const struct wsk__tls_set *set)
{
    (void)set;
    return NULL;
}

struct wsk__tls *wsk__tls_accept(struct wsk__tls_set *set)
{
    (void)set;
    return NULL;
}

const struct wsk__tls_certificate *
wsk__tls_set_certificate(const struct wsk__tls_set *set, size_t i)
{
    (void)set, (void)i;
    return NULL;
}

const char *wsk__tls_set_warning(const struct wsk__tls_set *set, size_t i)
{
    (void)set, (void)i;
    return NULL;
}

#endif
