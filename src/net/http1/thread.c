#include "net/http1/thread.h"

#include "base/buf.h"
#include "base/mem.h"
#include "http/head.h"
#include "http/select.h"
#include "net/dispatch/thread.h"
#include "net/os/clock.h"
#include "wsocket.h"

void wsk__date_refresh(struct wsk__date *date)
{
    int64_t now = wsk__wall_s();

    if (now == date->second)
        return;
    wsk__date_write(now, date->text);
    date->second = now;
}

static bool init(void *own, const wsk_server_config *cfg)
{
    struct wsk__http1_thread *http1 = own;

    http1->heads = wsk__head_store_new(&cfg->limits);
    wsk__buf_init(&http1->spare_out, SIZE_MAX / 4);
    return http1->heads != NULL;
}

static void clear(void *own)
{
    struct wsk__http1_thread *http1 = own;

    wsk__buf_free(&http1->spare_out);
    wsk__free(http1->heads);
}

const struct wsk__thread_room wsk__http1_thread_room = {
    .size = sizeof(struct wsk__http1_thread), .init = init, .clear = clear};
