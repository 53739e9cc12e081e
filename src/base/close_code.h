/* base/close_code: the codes of Close frames. */
#ifndef WSK_BASE_CLOSE_CODE_H
#define WSK_BASE_CLOSE_CODE_H

#include <stdbool.h>

/* Return true for the codes that may stand in a Close frame (RFC 6455 7.4).
 * 1004 to 1006 and 1015 never do; between the ranges no meaning is defined.
 * 1012 to 1014 were added to the registry of 11.7 later. */
static inline bool wsk__is_close_code(unsigned code)
{
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
           (code >= 3000 && code <= 4999);
}

#endif
