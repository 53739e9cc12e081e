/* base/escape: text that somebody else wrote, for a line that programs read. */
#ifndef WSK_BASE_ESCAPE_H
#define WSK_BASE_ESCAPE_H

#include <stddef.h>

/* What stands where a text was cut, as it does not fit. */
#define WSK__CUT "..."

enum wsk__escape {
    WSK__ESCAPE_LINE, /* \xhh; letters of UTF-8 stay */
    WSK__ESCAPE_TEXT, /* the same for several lines: tabs and newlines stay, and
                         a bracket after a newline is set off by a blank */
    WSK__ESCAPE_ASCII, /* \xhh; what is no ASCII, too, and '"' and '\\' */
    WSK__ESCAPE_WORD,  /* the same, and blanks: it stays one word */
    WSK__ESCAPE_JSON,  /* as in a string of JSON; letters of UTF-8 stay */
};

/*
 * Copy src to dst[0..cap) so that it stays UTF-8 that steers no terminal, and,
 * but for WSK__ESCAPE_TEXT, one line: controls (of C1, too), the separators
 * U+2028 and U+2029, the characters that turn the direction of text, and octets
 * that are no UTF-8 are escaped. In JSON such an octet is shown as Latin-1 has
 * it.
 *
 * What is longer is cut before an escape or a letter, and ends with WSK__CUT;
 * where not even that fits, nothing is written. Returns the octets written.
 */
size_t wsk__escape(char *dst, size_t cap, const char *src, size_t len,
                   enum wsk__escape how);

#endif
