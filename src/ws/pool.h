/* ws/pool: states of zlib that wait for a message, of any connection. They are
 * large and expensive to make, and without context takeover a connection needs
 * them only now and then. Any thread may take and give. */
#ifndef WSK_WS_POOL_H
#define WSK_WS_POOL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

enum { WSK__POOL_SLOTS = 4 };

/* All zero when empty. */
struct wsk__slots {
    _Atomic(void *) slot[WSK__POOL_SLOTS];
};

struct wsk__pool {
    struct wsk__slots inflaters, deflaters;
};

/* Take one, which then is the caller's; NULL when there is none, or no pool. */
static inline void *wsk__slots_take(struct wsk__slots *s)
{
    void *state = NULL;

    for (int i = 0; s != NULL && state == NULL && i < WSK__POOL_SLOTS; i++)
        state = atomic_exchange(&s->slot[i], NULL);
    return state;
}

/* Give one. False, and it stays the caller's, when there is no room, or no
 * pool. */
static inline bool wsk__slots_give(struct wsk__slots *s, void *state)
{
    for (int i = 0; s != NULL && i < WSK__POOL_SLOTS; i++) {
        void *none = NULL;

        if (atomic_compare_exchange_strong(&s->slot[i], &none, state))
            return true;
    }
    return false;
}

#endif
