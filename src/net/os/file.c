#include "net/os/file.h"

#include <sys/types.h>
#include <sys/uio.h>

bool wsk__file_is_cached(int fd, uint64_t offset)
{
#if defined(__linux__) && defined(RWF_NOWAIT)
    char one;
    struct iovec iov = {&one, 1};

    return preadv2(fd, &iov, 1, (off_t)offset, RWF_NOWAIT) >= 0;
#else
    (void)fd;
    (void)offset;
    return false;
#endif
}
