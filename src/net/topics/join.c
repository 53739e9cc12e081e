#include "net/topics/join.h"

#include "base/mem.h"
#include "net/bus/host.h"
#include "wsocket.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void begin_topic(struct wsk__topics *core, wsk_str name)
{
    struct wsk__route *route = wsk__topics_route(wsk__topics_of(core));

    route->ops->want(route, name);
}

static void end_topic(struct wsk__topics *core, wsk_str name)
{
    struct wsk__route *route = wsk__topics_route(wsk__topics_of(core));

    route->ops->unwant(route, name);
}

static const struct wsk__topics_watcher WATCHER = {.begin = begin_topic,
                                                   .end = end_topic};

/* A broker gets what the bus had. */
static void set_route(struct wsk_topics *topics,
                      _Atomic(struct wsk__route *) *at,
                      struct wsk__route *route)
{
    route->events = topics->events;
    route->user = topics;
    route->serves = &topics->serves;
    wsk__topics_watch(&topics->core, NULL);
    atomic_store(at, route);
    route->ops->start(route);
    wsk__topics_watch(&topics->core, &WATCHER);
}

/* Several threads may tell: the last word is what is so. */
void wsk__topics_tell_broker(struct wsk_topics *topics)
{
    struct wsk__route *bus = atomic_load(&topics->bus);
    bool takes;

    if (bus == NULL || atomic_load(&topics->broker) == NULL)
        return;
    do {
        takes = atomic_load(&topics->broker_takes);
        bus->ops->set_broker(bus, takes);
    } while (takes != atomic_load(&topics->broker_takes));
}

void wsk__topics_set_bus(struct wsk_topics *topics, struct wsk__route *bus)
{
    set_route(topics, &topics->bus, bus);
    wsk__topics_tell_broker(topics);
}

void wsk__topics_set_broker(struct wsk_topics *topics,
                            struct wsk__route *broker)
{
    set_route(topics, &topics->broker, broker);
    wsk__topics_tell_broker(topics);
}

/* Return the folder of the bus to join, that of the option, else of the
 * environment; NULL: there is none. *open: neither names one, or off. */
static const char *choose_folder(const struct wsk_topics *topics, bool *open)
{
    const char *given = topics->bus_option;

    if (given[0] == '\0' || strcmp(given, "auto") == 0)
        given = getenv("WSOCKET_BUS");
    *open = given == NULL || given[0] == '\0' || strcmp(given, "auto") == 0;
    return *open || strcmp(given, "off") == 0 ? NULL : given;
}

static void use_bus(struct wsk_topics *topics, struct wsk__route *bus,
                    const char *folder)
{
    snprintf(topics->folder, sizeof(topics->folder), "%s", folder);
    wsk__topics_set_bus(topics, bus);
    atomic_store_explicit(&topics->joined, true, memory_order_release);
}

static void join_locked(struct wsk_topics *topics, bool makes)
{
    char made[WSK__FOLDER_PATH], error[WSK__FOLDER_ERROR] = "";
    bool open;
    const char *folder = choose_folder(topics, &open);
    struct wsk__route *bus = NULL;
    int fd = -1; /* holds what is made until the bus does */

    if (open && makes)
        fd = wsk__folder_make(made, error);
    if (fd >= 0)
        folder = made;
    if (folder != NULL)
        bus = wsk__host_new(folder, folder == made, error);
    if (fd >= 0)
        close(fd);
    if (bus != NULL)
        use_bus(topics, bus, folder);
    else if (error[0] != '\0')
        topics->events->log(topics, WSK_LOG_ERROR, error);
    if (folder != NULL || makes)
        atomic_store_explicit(&topics->joined, true, memory_order_release);
}

void wsk__topics_join(struct wsk_topics *topics, bool makes)
{
    if (atomic_load_explicit(&topics->joined, memory_order_acquire))
        return;
    pthread_mutex_lock(&topics->join_lock);
    if (!atomic_load(&topics->joined))
        join_locked(topics, makes);
    pthread_mutex_unlock(&topics->join_lock);
}

wsk_status wsk_topics_join(wsk_topics *topics, const char *folder, char *error,
                           size_t cap)
{
    char why[WSK__FOLDER_ERROR] = "bus: another folder was joined already";
    struct wsk__route *bus = NULL;

    pthread_mutex_lock(&topics->join_lock);
    if (!atomic_load(&topics->joined))
        bus = wsk__host_new(folder, false, why);
    if (bus != NULL)
        use_bus(topics, bus, folder);
    pthread_mutex_unlock(&topics->join_lock);
    if (bus == NULL && cap > 0)
        snprintf(error, cap, "%s", why);
    return bus != NULL ? WSK_OK : WSK_E_SYS;
}

wsk_status wsk_bus_hold(char *path, size_t cap, int *fd, char *error,
                        size_t error_cap)
{
    char made[WSK__FOLDER_PATH], why[WSK__FOLDER_ERROR] = "";

    if (path[0] != '\0')
        *fd = wsk__folder_hold(path, why);
    else
        *fd = wsk__folder_make(made, why);
    if (*fd < 0)
        snprintf(error, error_cap, "%s", why);
    else if (path[0] == '\0')
        snprintf(path, cap, "%s", made);
    return *fd < 0 ? WSK_E_SYS : WSK_OK;
}

const char *wsk_topics_folder(const wsk_topics *topics)
{
    return topics->folder;
}

void wsk_topics_leave(wsk_topics *topics)
{
    struct wsk__route *bus = atomic_load(&topics->bus);
    struct wsk__route *broker = atomic_load(&topics->broker);

    if (wsk__topics_elsewhere(topics))
        return;
    if (bus != NULL && broker != NULL)
        wsk__host_retire(bus);
    if (broker != NULL && broker->ops->flush != NULL)
        broker->ops->flush(broker);
    if (bus != NULL)
        wsk__host_leave(bus);
}
