/* base/mem: the only door to the heap, so that tests can make any allocation
 * fail. */
#ifndef WSK_BASE_MEM_H
#define WSK_BASE_MEM_H

#include <stddef.h>

void *wsk__alloc(size_t n);            /* uninitialised; NULL when out */
void *wsk__calloc(size_t n);           /* zeroed */
void *wsk__realloc(void *p, size_t n); /* p stays valid on failure */
void *wsk__memdup(const void *p, size_t n);
void wsk__free(void *p);

/* For tests: every later allocation asks `gate` first and fails if it says
 * false. NULL takes the gate away. Not for use beside running servers. */
typedef int wsk__mem_gate(void);
void wsk__mem_set_gate(wsk__mem_gate *gate);

#endif
