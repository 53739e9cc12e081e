/* net/board/board: memory that the worker processes of one service share. Each
 * number in it has one writer, so that none needs an atomic read-modify-write:
 * docs/internals/workers.md has the layout, and who writes what. */
#ifndef WSK_NET_OS_BOARD_H
#define WSK_NET_OS_BOARD_H

#include "wsocket.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    WSK__BOARD_VERSION = 2,
    WSK__BOARD_SEED = 32,
    WSK__BOARD_BLOCK = 16384,  /* bytes of a slot, of the header, of the sums */
    WSK__BOARD_HEAD = 256,     /* bytes of a block before its metrics */
    WSK__BOARD_WORKERS = 1000, /* most that a board is made for */
    WSK__BOARD_SLOTS = 2 * WSK__BOARD_WORKERS + 8,
    WSK__BOARD_GAUGES = 224,
    WSK__BOARD_COUNTERS = (WSK__BOARD_BLOCK - WSK__BOARD_HEAD) / 8 - 224,
};

/* The numbers of a worker. Written by that worker, each by one of its threads;
 * once it is gone, by wsk_board_clear(). */
struct wsk__board_metrics {
    _Atomic uint64_t counters[WSK__BOARD_COUNTERS]; /* added to the sums */
    _Atomic uint64_t gauges[WSK__BOARD_GAUGES];     /* forgotten */
};

/* Take and give back a reference; wsk_board_free() gives back one as well. */
wsk_board *wsk__board_ref(wsk_board *board);

/* Return WSK__BOARD_SEED random octets, which never change: what processes
 * agree on without a word is made of them. */
const uint8_t *wsk__board_seed(const wsk_board *board);

/* Take a slot for this process, in the state BOOT. WSK_E_ARG: there is no such
 * slot; WSK_E_STATE: a process has it. */
wsk_status wsk__board_enter(wsk_board *board, unsigned slot,
                            uint32_t generation);

/* Publish the state of a slot and its number of connections, with one store.
 * One thread at a time of the process that has the slot. */
void wsk__board_publish(wsk_board *board, unsigned slot, wsk_worker_state state,
                        unsigned connections);

/* Return the least number of connections of a slot that is SERVING; UINT32_MAX
 * if none is. */
unsigned wsk__board_least(const wsk_board *board);

/* Return the metrics of a slot. */
struct wsk__board_metrics *wsk__board_metrics(wsk_board *board, unsigned slot);

/* Add one to a counter of the sums. Only the parent, in the thread that calls
 * wsk_board_clear(). */
void wsk__board_count(wsk_board *board, unsigned counter);

/* Set and read a value of the parent's own. The gauges of the sums have no
 * other use, since those of the dead are forgotten. Only the parent sets. */
void wsk__board_set(wsk_board *board, unsigned gauge, uint64_t value);
uint64_t wsk__board_get(const wsk_board *board, unsigned gauge);

/* Add up the first n counters of all workers, the living and the dead. No sum
 * is ever less than an earlier one. False: the parent was ended while it
 * cleared a slot, and the sums may count that slot twice. */
bool wsk__board_sum(wsk_board *board, uint64_t *sums, size_t n);

#endif
