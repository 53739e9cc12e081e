/* net/topics/join: topics get their ways to other processes. */
#ifndef WSK_NET_TOPICS_JOIN_H
#define WSK_NET_TOPICS_JOIN_H

#include "net/topics/topics.h"

/* Join the bus of this host if the option says so: before the first use in this
 * process. `makes`: a folder may be made for it. No lock is held. */
void wsk__topics_join(struct wsk_topics *topics, bool makes);

/* Tell the bus, if both are there, that this process has a broker, and whether
 * that takes publications. No lock is held. */
void wsk__topics_tell_broker(struct wsk_topics *topics);

/* Use a way to other processes, for good: it is started, and stopped with the
 * topics. No lock is held. */
void wsk__topics_set_bus(struct wsk_topics *topics, struct wsk__route *bus);
void wsk__topics_set_broker(struct wsk_topics *topics,
                            struct wsk__route *broker);

#endif
