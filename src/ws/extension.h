/* ws/extension: read the offers of Sec-WebSocket-Extensions (RFC 6455 9.1). The
 * one extension known is permessage-deflate (RFC 7692); wsk_ws_agree_deflate()
 * decides what is agreed. */
#ifndef WSK_WS_EXTENSION_H
#define WSK_WS_EXTENSION_H

#include "wsocket.h"

/* Judge the offers of a client: NULL when they are a list as the RFC writes it,
 * or there are none; else what is wrong, in one static line. */
const char *wsk__extensions_judge(const wsk_head *head);

/*
 * Read a server's answer to our offer of permessage-deflate (RFC 7692 7.1);
 * head has the fields of its answer. False when it answers anything that was
 * not offered.
 *
 *   *deflates  true if it was agreed; then *agreed is as of
 *              wsk_ws_agree_deflate()
 */
bool wsk__extensions_answer(const wsk_head *head, bool *deflates,
                            wsk_ws_deflate *agreed);

#endif
