/* net/topics/broker: the broker of a process, that of its options or of the bus
 * that it joins. */
#include "net/broker/redis.h"
#include "net/bus/notice.h"
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

/* Have topics use the broker of the processes that share their bus, if any. */
static wsk_status follow(wsk_topics *topics, char *error, size_t cap)
{
    char where[WSK__BROKER_WHERE], why[WSK__REDIS_WHY];
    char *prefix, *end;
    wsk_server_config cfg;

    if (!wsk__notice_read(wsk_topics_folder(topics), where, sizeof(where)))
        return WSK_OK;
    prefix = strchr(where, '\n');
    end = prefix == NULL ? NULL : strchr(prefix + 1, '\n');
    if (end == NULL) /* the member still writes */
        return WSK_OK;
    *prefix++ = '\0';
    *end = '\0';
    wsk_config_init(&cfg);
    if (wsk_config_set(&cfg, "broker", where, why) != WSK_OK ||
        wsk_config_set(&cfg, "broker_prefix", prefix, why) != WSK_OK) {
        snprintf(error, cap, "%s", why);
        return WSK_E_SYS;
    }
    return wsk_topics_open_broker(topics, &cfg, error, cap);
}

wsk_status wsk_topics_join(wsk_topics *topics, const char *folder, char *error,
                           size_t cap)
{
    wsk_status st = wsk__topics_join_folder(topics, folder, error, cap);

    return st == WSK_OK ? follow(topics, error, cap) : st;
}
