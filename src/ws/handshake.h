/* ws/handshake: the part of the opening handshake that both sides need. */
#ifndef WSK_WS_HANDSHAKE_H
#define WSK_WS_HANDSHAKE_H

#include "wsocket.h"

enum { WSK__WS_KEY_LEN = 24 }; /* base64 of 16 bytes */

/* Write the answer to a key of WSK__WS_KEY_LEN characters (RFC 6455 4.2.2, item
 * 5.4). */
void wsk__ws_accept_key(wsk_str key, char accept[WSK_WS_ACCEPT_LEN]);

/* Count the fields called `name`; *value is the last one's, or {NULL, 0}. */
size_t wsk__count_fields(const wsk_head *head, const char *name,
                         wsk_str *value);

/* True if a field called `name` lists `word`; ASCII case ignored. */
bool wsk__fields_list(const wsk_head *head, const char *name, const char *word);

#endif
