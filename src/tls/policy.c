#include "tls/policy.h"

#include "base/ascii.h"
#include "tls/fault.h"
#include "tls/lib.h"

#include <stdio.h>
#include <string.h>

#ifdef WSK_TLS

enum { WORD = 64, LIST = 1024 };

/* Groups that a library may lack: those of TLS 1.3, of RFC 7919, and of
 * draft-ietf-tls-ecdhe-mlkem. */
static const char *const KNOWN_GROUPS[] = {
    "X25519MLKEM768",
    "SecP256r1MLKEM768",
    "SecP384r1MLKEM1024",
    "X25519",
    "X448",
    "P-256",
    "P-384",
    "P-521",
    "secp256r1",
    "secp384r1",
    "secp521r1",
    "prime256v1",
    "MLKEM512",
    "MLKEM768",
    "MLKEM1024",
    "ffdhe2048",
    "ffdhe3072",
    "ffdhe4096",
    "ffdhe6144",
    "ffdhe8192",
};

/* Take the next word of a list; `separators` stand between. False at the end,
 * or if it is too long (then word[0] is NUL). */
static bool next_word(const char **list, const char *separators,
                      char word[WORD])
{
    size_t n;

    *list += strspn(*list, separators);
    n = strcspn(*list, separators);
    if (n == 0)
        return false;
    snprintf(word, WORD, "%.*s", n < WORD ? (int)n : 0, *list);
    *list += n;
    return true;
}

/* Check that each word is one of OpenSSL's: it passes over those it does not
 * know. Words that only take away (!RC4, -SHA1) and orders (@STRENGTH) may name
 * what is not there. */
static bool check_ciphers(SSL_CTX *ctx, const char *list,
                          struct wsk__tls_fault *fault)
{
    char word[WORD];

    while (next_word(&list, ": ,;", word)) {
        if (word[0] == '!' || word[0] == '-' || word[0] == '@')
            continue;
        if (SSL_CTX_set_cipher_list(ctx, word + (word[0] == '+')) != 1)
            return wsk__tls_fail(fault, false,
                                 "ciphers: OpenSSL has no cipher of TLS 1.2 "
                                 "called '%s'",
                                 word);
    }
    return true;
}

static bool is_known_group(const char *name)
{
    for (size_t i = 0; i < sizeof(KNOWN_GROUPS) / sizeof(*KNOWN_GROUPS); i++)
        if (wsk__str_ieq((wsk_str){name, strlen(name)}, KNOWN_GROUPS[i]))
            return true;
    return false;
}

/* Write those groups that the library has. */
static bool choose_groups(SSL_CTX *ctx, const char *list, char chosen[LIST],
                          struct wsk__tls_fault *fault)
{
    size_t len = 0;
    char word[WORD];

    chosen[0] = '\0';
    while (next_word(&list, ": ,", word)) {
        if (SSL_CTX_set1_groups_list(ctx, word) != 1) {
            if (is_known_group(word))
                continue;
            return wsk__tls_fail(fault, false,
                                 "tls_groups: no group is called '%s'", word);
        }
        len += (size_t)snprintf(chosen + len, LIST - len, "%s%s",
                                len > 0 ? ":" : "", word);
        if (len >= LIST)
            return wsk__tls_fail(fault, false, "tls_groups is too long");
    }
    if (len > 0)
        return true;
    return wsk__tls_fail(fault, false,
                         "tls_groups: this OpenSSL has none of them");
}

bool wsk__tls_policy_use(const struct wsk__tls_config *config,
                         struct ssl_ctx_st *ctx, struct wsk__tls_fault *fault)
{
    bool new_only = strcmp(config->min, "1.3") == 0;
    char groups[LIST];

    ERR_clear_error();
    if (!choose_groups(ctx, config->groups, groups, fault))
        return false;
    if (SSL_CTX_set_min_proto_version(ctx, new_only ? TLS1_3_VERSION
                                                    : TLS1_2_VERSION) != 1)
        return wsk__tls_fail(
            fault, false, "tls_min: this OpenSSL has no TLS %s", config->min);
    if (SSL_CTX_set_cipher_list(ctx, config->ciphers) != 1)
        return wsk__tls_fail(fault, false, "ciphers: nothing is left of '%s'",
                             config->ciphers);
    if (SSL_CTX_set1_groups_list(ctx, groups) != 1 ||
        SSL_CTX_set_dh_auto(ctx, 1) != 1)
        return wsk__tls_no_memory(fault);
    return true;
}

bool wsk__tls_policy_check(const struct wsk__tls_config *config,
                           struct wsk__tls_fault *fault)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    bool good = ctx != NULL ? check_ciphers(ctx, config->ciphers, fault) &&
                                  wsk__tls_policy_use(config, ctx, fault)
                            : wsk__tls_no_memory(fault);

    SSL_CTX_free(ctx);
    ERR_clear_error();
    return good;
}

#endif
