/* net/topics/publish: publications reach subscribers, and other processes. */
#ifndef WSK_NET_TOPICS_PUBLISH_H
#define WSK_NET_TOPICS_PUBLISH_H

#include "net/bus/route.h"

struct wsk_topics;

/* Take what came from another process; returns as the events of struct
 * wsk__route_events do. A reference to the topics is held. */
wsk_status wsk__topics_message_came(struct wsk_topics *topics,
                                    const struct wsk__bus_message *message);
wsk_status wsk__topics_disconnect_came(struct wsk_topics *topics, wsk_str topic,
                                       uint16_t code, wsk_str reason,
                                       bool relay);

#endif
