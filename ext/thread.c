/* ext/thread: what one thread of a server keeps from request to request. */
#include "thread.h"

static _Thread_local struct ext_thread *here;

struct ext_thread *ext_thread_here(void)
{
    return here;
}

void ext_thread_enter(struct ext_thread *thread)
{
    here = thread;
}
