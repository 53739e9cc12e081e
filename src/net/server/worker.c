/* net/server/worker: a server as one of several processes. */
#include "net/conn/adopt.h"
#include "net/conn/balance.h"
#include "net/os/life.h"
#include "net/os/wake.h"
#include "net/server/server.h"
#include "wsocket.h"

#include <stdatomic.h>

wsk_status wsk_server_set_board(wsk_server *srv, wsk_board *board,
                                unsigned slot, uint32_t generation)
{
    wsk_status st;

    if (srv->dispatch.started || srv->conns.balance.board != NULL)
        return WSK_E_STATE;
    st = wsk__balance_enter(&srv->conns, board, slot, generation);
    if (st == WSK_OK)
        atomic_store(&srv->conns.accept_asked, WSK__ACCEPT_LATER);
    return st;
}

wsk_status wsk_server_accept(wsk_server *srv, bool accept)
{
    if (srv->dispatch.started && wsk__forked(&srv->life))
        return WSK_E_STATE;
    atomic_store(&srv->conns.accept_again, accept);
    atomic_store(&srv->conns.accept_asked,
                 accept ? WSK__ACCEPT_ON : WSK__ACCEPT_OFF);
    if (srv->dispatch.started)
        wsk__wake(&srv->loop.wake);
    return WSK_OK;
}

wsk_status wsk_server_adopt(wsk_server *srv, int fd)
{
    if (!srv->dispatch.started || wsk__forked(&srv->life))
        return WSK_E_STATE;
    return wsk__adopt(&srv->conns, fd);
}
