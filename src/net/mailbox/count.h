/* net/mailbox/count: messages that were sent, for the access log and for the
 * metrics. */
#ifndef WSK_NET_MAILBOX_COUNT_H
#define WSK_NET_MAILBOX_COUNT_H

#include "net/conn/lock.h"
#include "net/log/metrics.h"
#include "net/mailbox/served.h"

/* Count a message, or a piece that is not the last, of `len` bytes. */
static inline void wsk__ws_count_out_locked(struct wsk__served *ws, size_t len,
                                            bool whole) WSK__CONN_LOCKED
{
    wsk__number *numbers = wsk__conn_numbers_locked(ws->conn);

    ws->messages_out += whole;
    ws->octets_out += len;
    if (numbers == NULL)
        return;
    wsk__add(&numbers[WSK__N_WS_MESSAGES - WSK__N_WS + 1], whole);
    wsk__add(&numbers[WSK__N_WS_BYTES - WSK__N_WS + 1], len);
}

#endif
