/* net/bus/notice: where the broker of a process is, in a file beside its
 * socket, so that a program which joins the bus can use it, too. */
#ifndef WSK_NET_BUS_NOTICE_H
#define WSK_NET_BUS_NOTICE_H

#include <stdbool.h>
#include <stddef.h>

/* The file of a member, instead of the one before. False with errno. */
bool wsk__notice_write(const char *folder, const char *name, const char *text);

/* Read that of any member; text ends with a NUL. False: none has one that
 * fits. */
bool wsk__notice_read(const char *folder, char *text, size_t cap);

#endif
