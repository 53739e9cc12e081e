/* net/os/file: questions about a file that no portable call answers. */
#ifndef WSK_NET_OS_FILE_H
#define WSK_NET_OS_FILE_H

#include "wsocket.h"

/* Return true if the byte at `offset` can be read without a disk; false where
 * the system does not tell. */
bool wsk__file_is_cached(int fd, uint64_t offset);

#endif
