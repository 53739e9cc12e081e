#define WSK__TLS_PLAIN_NAMES
#include "lib.h"

#include <stdio.h>

#ifdef WSK_TLS

/* Judge OPENSSL_init_ssl(). */
static bool has_started(int result, char why[WSK__TLS_LIB_WHY])
{
    why[0] = '\0';
    if (result != 1)
        snprintf(why, WSK__TLS_LIB_WHY, "OpenSSL cannot start");
    return result == 1;
}

/* OpenSSL's cleanup at the end of the process would free what a handler that
 * was given up still uses. The first call in a process decides. */
enum { START = OPENSSL_INIT_NO_ATEXIT };

#endif

#ifdef WSK_TLS_RUNTIME

#include "base/mem.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

_Atomic(const struct wsk__tls_functions *) wsk__tls_lib_loaded;

#ifdef __APPLE__
static const char *const PLACES[] = {"libssl.3.dylib", "libssl.4.dylib"};
#else
static const char *const PLACES[] = {"libssl.so.3", "libssl.so.4"};
#endif

enum { OLDEST = 0x30000000 };

/* Find a function. C turns no pointer to data into one to a function; POSIX
 * lets the bytes be copied (dlsym()). */
static bool find(void *library, const char *name, void *to)
{
    void *symbol = dlsym(library, name);

    memcpy(to, &symbol, sizeof(symbol));
    return symbol != NULL;
}

/* Fill the table; what is missing, or NULL. */
static const char *fill(void *library, struct wsk__tls_functions *table)
{
    unsigned long (*version)(void);

    if (!find(library, "OpenSSL_version_num", &version) || version() < OLDEST)
        return "version 3.0";
#define FIND(name)                                                             \
    if (!find(library, #name, &table->name))                                   \
        return #name;
    WSK__TLS_FUNCTIONS(FIND)
#undef FIND
    return NULL;
}

/* Load OpenSSL from one place, for good: it does not bear to be unloaded. */
static bool load(const char *place, struct wsk__tls_functions *table,
                 char why[WSK__TLS_LIB_WHY])
{
    void *library = dlopen(place, RTLD_NOW | RTLD_LOCAL);
    const char *missing = library ? fill(library, table) : NULL;

    if (library == NULL)
        snprintf(why, WSK__TLS_LIB_WHY, "TLS needs OpenSSL 3: %s", dlerror());
    else if (missing != NULL)
        snprintf(why, WSK__TLS_LIB_WHY, "TLS needs OpenSSL 3: %s lacks %s",
                 place, missing);
    return library != NULL && missing == NULL &&
           has_started(table->OPENSSL_init_ssl(START, NULL), why);
}

static bool load_one(struct wsk__tls_functions *table,
                     char why[WSK__TLS_LIB_WHY])
{
    const char *place = getenv("WSOCKET_LIBSSL");
    char later[WSK__TLS_LIB_WHY]; /* the first one is the usual one */

    if (place != NULL && place[0] != '\0')
        return load(place, table, why);
    if (load(PLACES[0], table, why))
        return true;
    for (size_t i = 1; i < sizeof(PLACES) / sizeof(*PLACES); i++)
        if (load(PLACES[i], table, later))
            return true;
    return false;
}

bool wsk__tls_lib_open(char why[WSK__TLS_LIB_WHY])
{
    const struct wsk__tls_functions *none = NULL;
    struct wsk__tls_functions *table;

    why[0] = '\0';
    if (wsk__tls_lib() != NULL)
        return true;
    table = wsk__calloc(sizeof(*table));
    if (table == NULL) {
        snprintf(why, WSK__TLS_LIB_WHY, "out of memory");
        return false;
    }
    if (load_one(table, why) &&
        atomic_compare_exchange_strong(&wsk__tls_lib_loaded, &none, table))
        return true;
    wsk__free(table); /* of a failure, or another thread has been faster */
    return wsk__tls_lib() != NULL;
}

#elif defined(WSK_TLS)

bool wsk__tls_lib_open(char why[WSK__TLS_LIB_WHY])
{
    return has_started(OPENSSL_init_ssl(START, NULL), why);
}

#else

bool wsk__tls_lib_open(char why[WSK__TLS_LIB_WHY])
{
    snprintf(why, WSK__TLS_LIB_WHY, "this build has no TLS");
    return false;
}

#endif
