/* net/topics/join: topics get their ways to other processes. */
#ifndef WSK_NET_TOPICS_JOIN_H
#define WSK_NET_TOPICS_JOIN_H

#include "net/topics/topics.h"

/* Join the bus of this host if the option says so: before the first use in this
 * process. `makes`: a folder may be made for it. No lock is held. */
void wsk__topics_join(struct wsk_topics *topics, bool makes);

/* Join the bus in a folder. WSK_E_SYS with a sentence: it cannot be had, or
 * there is another already. No lock is held. */
wsk_status wsk__topics_join_folder(struct wsk_topics *topics,
                                   const char *folder, char *error, size_t cap);

/* Use a way to other processes, for good: it is started, and stopped with the
 * topics. No lock is held. */
void wsk__topics_set_bus(struct wsk_topics *topics, struct wsk__route *bus);
void wsk__topics_set_broker(struct wsk_topics *topics,
                            struct wsk__route *broker);

#endif
