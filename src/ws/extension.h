/* ws/extension: what the client offers in Sec-WebSocket-Extensions (RFC 6455
 * 9.1). The one extension we know is permessage-deflate (RFC 7692); what is
 * agreed of it is decided by wsk_ws_agree_deflate(). */
#ifndef WSK_WS_EXTENSION_H
#define WSK_WS_EXTENSION_H

#include "wsocket.h"

/* NULL when the offers are a list as the RFC writes it, or there are none; else
 * what is wrong, in one static line. */
const char *wsk__extensions_judge(const wsk_head *head);

/*
 * What a server has made of our offer of permessage-deflate (RFC 7692 7.1);
 * head has the fields of its answer. False when it is none that we may get.
 *
 * *deflates  whether it was agreed; then *agreed is as of
 *            wsk_ws_agree_deflate()
 */
bool wsk__extensions_answer(const wsk_head *head, bool *deflates,
                            wsk_ws_deflate *agreed);

#endif
