#include "tls/fault.h"

#include "tls/lib.h"

#include <stdarg.h>
#include <stdio.h>

#ifdef WSK_TLS

bool wsk__tls_fail(struct wsk__tls_fault *fault, bool torn, const char *format,
                   ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(fault->text, sizeof(fault->text), format, args);
    va_end(args);
    fault->torn = torn;
    return false;
}

bool wsk__tls_ready(struct wsk__tls_fault *fault)
{
    char why[WSK__TLS_LIB_WHY];

    *fault = (struct wsk__tls_fault){"", false};
    return wsk__tls_lib_open(why) || wsk__tls_fail(fault, false, "%s", why);
}

bool wsk__tls_no_memory(struct wsk__tls_fault *fault)
{
    return wsk__tls_fail(fault, false, "out of memory");
}

const char *wsk__tls_why(void)
{
    const char *reason = ERR_reason_error_string(ERR_peek_error());

    ERR_clear_error();
    return reason != NULL ? reason : "OpenSSL does not say why";
}

#endif
