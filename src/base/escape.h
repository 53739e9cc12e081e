/* base/escape: escape foreign text for a line that programs read. */
#ifndef WSK_BASE_ESCAPE_H
#define WSK_BASE_ESCAPE_H

#include <stddef.h>

/* Mark at the end of a text that was cut because it did not fit. */
#define WSK__CUT "..."

enum wsk__escape {
    WSK__ESCAPE_LINE, /* \xhh; letters of UTF-8 stay */
    WSK__ESCAPE_TEXT, /* the same for several lines: tabs and newlines stay, and
                         a bracket after a newline is set off by a blank */
    WSK__ESCAPE_ASCII, /* \xhh; of other letters, too, and of '"' and '\\' */
    WSK__ESCAPE_WORD,  /* the same, and of blanks: it stays one word */
    WSK__ESCAPE_JSON,  /* as in a string of JSON; letters of UTF-8 stay */
};

/*
 * Copy src to dst[0..cap) as UTF-8 that controls no terminal and, but for
 * WSK__ESCAPE_TEXT, stays one line. Escaped are controls (of C1, too), the
 * separators U+2028 and U+2029, the characters that turn the direction of text,
 * and bytes that are not UTF-8. JSON shows such a byte as the character of
 * Latin-1.
 *
 * A text that does not fit is cut before an escape or a letter, and ends with
 * WSK__CUT; where not even that fits, nothing is written. Returns the bytes
 * written.
 */
size_t wsk__escape(char *dst, size_t cap, const char *src, size_t len,
                   enum wsk__escape how);

#endif
