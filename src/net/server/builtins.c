#include "net/server/builtins.h"

#include "app/static.h"
#include "net/request/builtin.h"
#include "net/server/admin.h"
#include "net/server/server.h"
#include "wsocket.h"

static bool wants_file(const void *user, const wsk_head *head)
{
    return wsk__static_is(user, head);
}

static void answer_file(void *user, wsk_request *req)
{
    wsk__static_answer(user, req);
}

static void free_files(void *user)
{
    wsk__statics_free(user);
}

bool wsk__server_open_builtins(wsk_server *srv)
{
    struct wsk__builtins *builtins = &srv->site.builtins;
    struct wsk__statics *statics;

    if (builtins->n > 0)
        return true;
    wsk__server_open_health(srv);
    if (srv->cfg.static_folders == NULL)
        return true;
    statics = wsk__statics_new(srv->cfg.static_folders, srv->conns.places.error,
                               sizeof(srv->conns.places.error));
    if (statics == NULL)
        return false;
    builtins->at[builtins->n++] =
        (struct wsk__builtin){wants_file, answer_file, free_files, statics};
    return true;
}

void wsk__server_close_builtins(wsk_server *srv)
{
    struct wsk__builtins *builtins = &srv->site.builtins;

    while (builtins->n > 0) {
        const struct wsk__builtin *last = &builtins->at[--builtins->n];

        last->free(last->user);
    }
}
