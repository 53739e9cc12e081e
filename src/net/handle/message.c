#include "base/mem.h"
#include "net/dispatch/dispatch.h"
#include "net/dispatch/thread.h"
#include "net/handle/spare.h"
#include "ws/mask.h"
#include "wsocket.h"

void wsk_message_free(wsk_message *msg)
{
    if (wsk__self != NULL && msg->block != NULL)
        wsk__spare_put(&wsk__self->dispatch->spare, msg->block, msg->len);
    else
        wsk__free(msg->block);
    *msg = (wsk_message){.opcode = msg->opcode};
}

bool wsk_message_copy(const wsk_message *msg, void *to)
{
    static const uint8_t none[4];

    return wsk__mask_copy(to, msg->data, msg->len,
                          msg->masked ? msg->key : none, 0);
}
