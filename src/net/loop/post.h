/* net/loop/post: posts, by which any thread asks the leader to look at a
 * source. */
#ifndef WSK_NET_LOOP_POST_H
#define WSK_NET_LOOP_POST_H

#include "net/os/locks.h"

#include <stdbool.h>
#include <stddef.h>

struct wsk__loop;
struct wsk__source;

/* Make the lock and the queue. */
void wsk__posts_open(struct wsk__loop *loop);

/* Ask the leader to look at a source, for the reasons in `what`: bits that the
 * source's op `posted` knows. Any thread that does not hold dispatch's lock. */
void wsk__post(struct wsk__loop *loop, struct wsk__source *source,
               unsigned what) WSK__EXCLUDES(wsk__cap_dispatch);

/* The same with a reference of the caller, which becomes the post's: the leader
 * drops it. A thread that is no dispatch's thread thus never drops the last
 * one, with which memory may go back to the application. */
void wsk__post_given(struct wsk__loop *loop, struct wsk__source *source,
                     unsigned what) WSK__EXCLUDES(wsk__cap_dispatch);

/* wsk__post() without a system call. True: the caller must wake the loop once
 * it holds no lock. A post after the end of the loop is lost. */
bool wsk__post_quietly(struct wsk__loop *loop, struct wsk__source *source,
                       unsigned what);

/* Take the oldest post, with its reference; NULL: there is none. Leader. */
struct wsk__source *wsk__next_post(struct wsk__loop *loop, unsigned *what);

/* Return the number of open posts. Leader. */
size_t wsk__count_posts(struct wsk__loop *loop);

/* Tell the sources of open posts, and of all that come from now on, that they
 * are orphans: the loop has ended. */
void wsk__close_posts(struct wsk__loop *loop);

#endif
