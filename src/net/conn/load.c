#include "net/conn/load.h"

#include "net/server/server.h"
#include "wsocket.h"

#include <stdatomic.h>

bool wsk__memory_is_past(const wsk_server *srv)
{
    uint64_t limit = srv->cfg.memory_limit;

    return limit > 0 &&
           atomic_load(&srv->conns.counted) + atomic_load(&srv->sockets.heads) >
               limit;
}

bool wsk__heads_are_past(const wsk_server *srv)
{
    uint64_t limit = srv->cfg.memory_limit;

    return limit > 0 && atomic_load(&srv->sockets.heads) > limit / 2;
}
