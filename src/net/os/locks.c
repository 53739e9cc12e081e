#include "net/os/locks.h"

struct wsk__capability wsk__cap_dispatch;
struct wsk__capability wsk__cap_conn;
struct wsk__capability wsk__cap_offload;
struct wsk__capability wsk__cap_posts;
struct wsk__capability wsk__cap_tls;

#if !defined(NDEBUG)
_Thread_local unsigned wsk__locks_held;
_Thread_local const pthread_mutex_t *wsk__mutex_held;
#endif
