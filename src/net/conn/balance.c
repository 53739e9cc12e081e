#include "net/conn/balance.h"

#include "net/board/board.h"
#include "net/conn/accept.h"
#include "net/conn/conns.h"
#include "net/conn/listeners.h"
#include "net/dispatch/calls.h"
#include "net/loop/loop.h"
#include "net/os/clock.h"
#include "net/os/life.h"
#include "net/os/poller.h"

#include <stdatomic.h>

enum { PASS_MS = 2 }; /* 1 to 2 ms by the clock */

static unsigned count_of(const struct wsk__conns *conns)
{
    return atomic_load_explicit(&conns->n, memory_order_relaxed);
}

static void publish(const struct wsk__conns *conns)
{
    const struct wsk__balance *balance = &conns->balance;

    if (balance->board != NULL)
        wsk__board_publish(balance->board, balance->slot, balance->state,
                           count_of(conns));
}

wsk_status wsk__balance_enter(struct wsk__conns *conns, wsk_board *board,
                              unsigned slot, uint32_t generation)
{
    wsk_status st = wsk__board_enter(board, slot, generation);

    if (st != WSK_OK)
        return st;
    conns->balance = (struct wsk__balance){
        .board = wsk__board_ref(board),
        .slot = slot,
        .state = WSK_WORKER_BOOT,
    };
    return WSK_OK;
}

void wsk__balance_leave(struct wsk__conns *conns)
{
    if (conns->balance.board == NULL)
        return;
    if (!wsk__forked(conns->life)) /* else the slot is the parent's */
        wsk__balance_say(conns, WSK_WORKER_GONE);
    wsk_board_free(conns->balance.board);
    conns->balance.board = NULL;
}

void wsk__balance_say(struct wsk__conns *conns, wsk_worker_state state)
{
    conns->balance.state = state;
    publish(conns);
}

void wsk__balance_count(struct wsk__conns *conns, unsigned n)
{
    atomic_store_explicit(&conns->n, n, memory_order_relaxed);
    publish(conns);
}

bool wsk__balance_is_above(const struct wsk__conns *conns)
{
    return conns->balance.board != NULL && conns->cfg->accept_balance &&
           count_of(conns) > wsk__board_least(conns->balance.board);
}

bool wsk__balance_gives_way(const struct wsk__conns *conns)
{
    if (conns->balance.board == NULL || !conns->cfg->accept_balance)
        return false;
    return wsk__balance_is_above(conns) || wsk__calls_wait(conns->dispatch);
}

bool wsk__balance_passes(const struct wsk__conns *conns,
                         struct wsk__listener *listener)
{
    bool again = listener->passed + 1 == conns->loop->turn;

    if (wsk__poller_is_exclusive(conns->loop->poller) ||
        !wsk__balance_is_above(conns))
        return false;
    if (!again)
        listener->passed_ms = wsk__now_ms();
    listener->passed = conns->loop->turn;
    return wsk__now_ms() - listener->passed_ms < PASS_MS;
}
