#include "net/conn/load.h"

#include "net/conn/conns.h"

#include <stdatomic.h>

bool wsk__memory_is_past(const struct wsk__conns *conns)
{
    uint64_t limit = conns->cfg->memory_limit;

    return limit > 0 &&
           atomic_load(&conns->counted) + atomic_load(&conns->heads) > limit;
}

bool wsk__heads_are_past(const struct wsk__conns *conns)
{
    uint64_t limit = conns->cfg->memory_limit;

    return limit > 0 && atomic_load(&conns->heads) > limit / 2;
}
