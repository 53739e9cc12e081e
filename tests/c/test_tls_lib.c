/* The library that TLS needs: linked, loaded, or not there. */
#include "harness.h"

#include "tls/lib.h"

#if defined(WSK_TLS_RUNTIME)

static bool fails_with(const char *place, const char *word)
{
    char why[WSK__TLS_LIB_WHY];

    setenv("WSOCKET_LIBSSL", place, 1);
    if (wsk__tls_lib_open(why))
        return false;
    printf("%s\n", why);
    return strstr(why, "OpenSSL 3") != NULL && strstr(why, word) != NULL &&
           strstr(why, place) != NULL;
}

/* The process has not opened any yet: the order of these tests counts. */
TEST(a_library_that_is_not_there_is_named)
{
    EXPECT(fails_with("libssl.so.none", "cannot open"));
    EXPECT(fails_with("libz.so.1", "lacks version 3.0"));
}

TEST(the_library_of_the_system_is_loaded)
{
    char why[WSK__TLS_LIB_WHY];

    setenv("WSOCKET_LIBSSL", "", 1);
    EXPECT(wsk__tls_lib_open(why) && why[0] == '\0');
    EXPECT(SSL_CTX_new(NULL) == NULL);
    ERR_clear_error();
    setenv("WSOCKET_LIBSSL", "libssl.so.none", 1);
    EXPECT(wsk__tls_lib_open(why)); /* it stays */
}

#elif defined(WSK_TLS)

TEST(a_library_that_is_linked_is_there)
{
    char why[WSK__TLS_LIB_WHY];

    EXPECT(wsk__tls_lib_open(why) && why[0] == '\0');
    EXPECT(wsk__tls_lib_open(why));
}

#else

TEST(a_build_without_tls_says_so)
{
    char why[WSK__TLS_LIB_WHY];

    EXPECT(!wsk__tls_lib_open(why));
    EXPECT(strcmp(why, "this build has no TLS") == 0);
}

#endif
