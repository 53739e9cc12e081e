#include "net/mailbox/thread.h"

#include "net/dispatch/thread.h"
#include "ws/queue.h"

static void clear(void *own)
{
    struct wsk__websocket_thread *websocket = own;

    wsk__out_free(websocket->out);
}

const struct wsk__thread_room wsk__websocket_thread_room = {
    .size = sizeof(struct wsk__websocket_thread), .clear = clear};
