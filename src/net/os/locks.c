#include "net/os/locks.h"

#if !defined(NDEBUG)
_Thread_local unsigned wsk__locks_held;
#endif
