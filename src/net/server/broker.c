/* net/server/broker: the options of a broker. */
#include "net/broker/redis.h"
#include "net/topics/join.h"
#include "net/topics/topics.h"
#include "wsocket.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

wsk_status wsk_topics_open_broker(wsk_topics *topics,
                                  const wsk_server_config *cfg, char *error,
                                  size_t cap)
{
    struct wsk__redis_config how = {
        .url = cfg->broker,
        .prefix = cfg->broker_prefix,
        .probe_ms = cfg->broker_probe_ms,
        .timeout_ms = cfg->broker_timeout_ms,
        .message_max = cfg->topic_message_max,
        .fails_down = strcmp(cfg->broker_down, "fail") == 0,
    };
    char text[WSK__REDIS_WHY];
    struct wsk__route *route = atomic_load(&topics->broker);

    if (cfg->broker == NULL || (route != NULL && wsk__redis_is_at(route, &how)))
        return WSK_OK;
    snprintf(text, sizeof(text),
             "broker: this process has another one already");
    errno = EINVAL;
    if (route == NULL && (route = wsk__redis_new(&how, text)) != NULL) {
        wsk__topics_set_broker(topics, route);
        errno = EACCES;
        if (wsk__redis_await(route, text))
            return WSK_OK;
    }
    snprintf(error, cap, "%s", text);
    return WSK_E_SYS;
}
