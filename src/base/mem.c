#include "mem.h"

#include "wsocket.h"

#include <stdlib.h>
#include <string.h>

static wsk__mem_gate *mem_gate;

void wsk__mem_set_gate(wsk__mem_gate *gate)
{
    mem_gate = gate;
}

void *wsk__realloc(void *p, size_t n)
{
    if (mem_gate != NULL && !mem_gate())
        return NULL;
    return realloc(p, n ? n : 1);
}

void *wsk__alloc(size_t n)
{
    return wsk__realloc(NULL, n);
}

void *wsk__calloc(size_t n)
{
    if (mem_gate != NULL && !mem_gate())
        return NULL;
    return calloc(1, n ? n : 1);
}

void *wsk__memdup(const void *p, size_t n)
{
    void *copy = wsk__alloc(n);

    if (copy != NULL && n > 0)
        memcpy(copy, p, n);
    return copy;
}

void wsk__free(void *p)
{
    free(p);
}

void wsk_free(void *block)
{
    wsk__free(block);
}
