/* base/mem: all memory of the heap comes from here, so that tests can make any
 * allocation fail. */
#ifndef WSK_BASE_MEM_H
#define WSK_BASE_MEM_H

#include <stddef.h>

/* The struct whose member `pointer` points at. */
#define WSK__OWNER(pointer, type, member)                                      \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

void *wsk__alloc(size_t n);  /* uninitialised; NULL when memory is out */
void *wsk__calloc(size_t n); /* zeroed */
void *wsk__realloc(void *p, size_t n); /* p stays valid on failure */
void *wsk__memdup(const void *p, size_t n);
void wsk__free(void *p);

/* Set a function for tests: every later allocation asks `gate` first and fails
 * if it returns false. NULL removes it. Not for use beside running servers. */
typedef int wsk__mem_gate(void);
void wsk__mem_set_gate(wsk__mem_gate *gate);

#endif
