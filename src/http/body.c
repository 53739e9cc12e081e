#include "http/body.h"

#include "base/ascii.h"

/*
 * State of the chunked coding: the octets of chunk sizes, extensions, line ends
 * and trailers go through a table, state x class -> state (RFC 9112 7.1). A
 * pair that the table does not list is malformed.
 */
enum state {
    BAD,
    SIZE,     /* before the first digit of a chunk size */
    DIGITS,   /* inside the chunk size */
    EXT,      /* after ";" */
    EXT_NAME, /* inside the name of an extension */
    EXT_GAP,  /* in white space after a name */
    EXT_IS,   /* after "=" */
    EXT_TEXT, /* inside a token that is a value */
    QUOTED,   /* inside a quoted string */
    ESCAPE,   /* after its backslash */
    UNQUOTED, /* after the closing quote */
    EXT_END,  /* in white space after a value */
    SIZE_LF,  /* before the LF of the size line */
    DATA_CR,  /* before the CRLF after the data of a chunk */
    DATA_LF,
    TRAILER, /* before a trailer field or the last line */
    T_NAME,
    T_VALUE,
    T_LF,
    LAST_LF,
    TABLE_END,

    CHUNK = TABLE_END, /* inside the data of a chunk */
    LENGTH,            /* inside a body with Content-Length */
    DONE,
};

enum octet {
    CTL, /* controls, DEL */
    LF,
    CR,
    WS,    /* SP, HTAB */
    HEX,   /* hexadecimal digits */
    TCHAR, /* other tchars */
    SEMI,
    EQUALS,
    QUOTE,
    BSLASH,
    COLON,
    TEXT, /* other visible ASCII, octets above 0x7f */
    N_OCTETS,
};

/* clang-format off */
static const uint8_t NEXT[TABLE_END][N_OCTETS] = {
    [SIZE]     = {[HEX] = DIGITS},
    [DIGITS]   = {[HEX] = DIGITS, [SEMI] = EXT, [CR] = SIZE_LF},
    [EXT]      = {[WS] = EXT, [HEX] = EXT_NAME, [TCHAR] = EXT_NAME},
    [EXT_NAME] = {[HEX] = EXT_NAME, [TCHAR] = EXT_NAME, [WS] = EXT_GAP,
                  [EQUALS] = EXT_IS, [SEMI] = EXT, [CR] = SIZE_LF},
    [EXT_GAP]  = {[WS] = EXT_GAP, [EQUALS] = EXT_IS, [SEMI] = EXT},
    [EXT_IS]   = {[WS] = EXT_IS, [HEX] = EXT_TEXT, [TCHAR] = EXT_TEXT,
                  [QUOTE] = QUOTED},
    [EXT_TEXT] = {[HEX] = EXT_TEXT, [TCHAR] = EXT_TEXT, [WS] = EXT_END,
                  [SEMI] = EXT, [CR] = SIZE_LF},
    [QUOTED]   = {[WS] = QUOTED, [HEX] = QUOTED, [TCHAR] = QUOTED,
                  [SEMI] = QUOTED, [EQUALS] = QUOTED, [QUOTE] = UNQUOTED,
                  [BSLASH] = ESCAPE, [COLON] = QUOTED, [TEXT] = QUOTED},
    [ESCAPE]   = {[WS] = QUOTED, [HEX] = QUOTED, [TCHAR] = QUOTED,
                  [SEMI] = QUOTED, [EQUALS] = QUOTED, [QUOTE] = QUOTED,
                  [BSLASH] = QUOTED, [COLON] = QUOTED, [TEXT] = QUOTED},
    [UNQUOTED] = {[WS] = EXT_END, [SEMI] = EXT, [CR] = SIZE_LF},
    [EXT_END]  = {[WS] = EXT_END, [SEMI] = EXT},
    [SIZE_LF]  = {[LF] = CHUNK},
    [DATA_CR]  = {[CR] = DATA_LF},
    [DATA_LF]  = {[LF] = SIZE},
    [TRAILER]  = {[CR] = LAST_LF, [HEX] = T_NAME, [TCHAR] = T_NAME},
    [T_NAME]   = {[HEX] = T_NAME, [TCHAR] = T_NAME, [COLON] = T_VALUE},
    [T_VALUE]  = {[CR] = T_LF, [WS] = T_VALUE, [HEX] = T_VALUE,
                  [TCHAR] = T_VALUE, [SEMI] = T_VALUE, [EQUALS] = T_VALUE,
                  [QUOTE] = T_VALUE, [BSLASH] = T_VALUE, [COLON] = T_VALUE,
                  [TEXT] = T_VALUE},
    [T_LF]     = {[LF] = TRAILER},
    [LAST_LF]  = {[LF] = DONE},
};
/* clang-format on */

/* Octets of framing allowed beyond one for each octet of data: without a bound,
 * 100,000 chunks of one octet keep the server busy for nothing. */
enum { FRAMING_MAX = 65536 };

static enum octet octet_of(uint8_t c)
{
    switch (c) {
    case '\n':
        return LF;
    case '\r':
        return CR;
    case ' ':
    case '\t':
        return WS;
    case ';':
        return SEMI;
    case '=':
        return EQUALS;
    case '"':
        return QUOTE;
    case '\\':
        return BSLASH;
    case ':':
        return COLON;
    }
    if (wsk__is_tchar(c))
        return wsk__hex(c) >= 0 ? HEX : TCHAR;
    return c < 0x20 || c == 0x7f ? CTL : TEXT;
}

int wsk__body_scan_begin(struct wsk__body_scan *b, const wsk_head *head,
                         const wsk_limits *limits)
{
    *b = (struct wsk__body_scan){
        .left = head->content_length,
        .room = limits->max_body > 0 ? limits->max_body : UINT64_MAX,
        .slack = FRAMING_MAX,
        .state = head->chunked ? SIZE : LENGTH,
    };
    if (head->chunked)
        return 0;
    if (b->left > b->room)
        return 413;
    if (b->left == 0)
        b->state = DONE;
    return 0;
}

bool wsk__body_scan_done(const struct wsk__body_scan *b)
{
    return b->state == DONE;
}

/* Take one octet that is no data: returns 0, or the status of the failure. */
static int take_framing(struct wsk__body_scan *b, const wsk_limits *limits,
                        uint8_t c)
{
    enum state was = (enum state)b->state;

    b->state = NEXT[was][octet_of(c)];
    if (b->state == BAD)
        return 400;
    if (b->slack-- == 0)
        return was >= TRAILER ? 431 : 400;
    if (b->state == DIGITS) {
        if (b->left > (uint64_t)INT64_MAX >> 4)
            return 400;
        b->left = b->left << 4 | (unsigned)wsk__hex(c);
    } else if (was == TRAILER && b->state == T_NAME) {
        if (b->room-- == 0)
            return 431;
    } else if (was == SIZE_LF) {
        if (b->left > b->room)
            return 413;
        if (b->left == 0) {
            b->state = TRAILER;
            b->slack = limits->max_header_bytes + 2; /* and the last CRLF */
            b->room = limits->max_headers;
        }
    }
    return 0;
}

/* Take the part of data[0..len) that belongs to the current run of data. */
static size_t take_data(struct wsk__body_scan *b, size_t len)
{
    size_t n = b->left < len ? (size_t)b->left : len;

    b->left -= n;
    if (b->left == 0)
        b->state = b->state == LENGTH ? DONE : DATA_CR;
    b->room -= n;
    b->slack += n;
    return n;
}

enum wsk__body_result wsk__body_scan_take(struct wsk__body_scan *b,
                                          const wsk_limits *limits,
                                          const uint8_t *data, size_t len,
                                          size_t *used, const uint8_t **run,
                                          size_t *run_len, int *status)
{
    size_t at = 0;

    while (at < len && b->state < TABLE_END) {
        *status = take_framing(b, limits, data[at++]);
        if (*status != 0) {
            *used = at;
            return WSK__BODY_BAD;
        }
    }
    *used = at;
    if (b->state == DONE)
        return WSK__BODY_DONE;
    if (at == len)
        return WSK__BODY_MORE;
    *run = data + at;
    *run_len = take_data(b, len - at);
    *used = at + *run_len;
    return WSK__BODY_DATA;
}
