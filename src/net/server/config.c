#include "net/server/config.h"

#include "base/format.h"
#include "base/mem.h"
#include "broker/resp.h"
#include "net/handle/handshake.h"
#include "net/log/log.h"
#include "net/log/writer.h"
#include "net/os/machine.h"
#include "net/os/process.h"
#include "net/request/site.h"
#include "net/server/server.h"
#include "tls/engine.h"
#include "ws/deflate.h"
#include "wsocket.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Assumed if the system does not tell how much memory it has. */
#define UNKNOWN_MEMORY (UINT64_C(1) << 30)

/* Return true for a level of compression: "fast", or a digit of zlib's. */
static bool is_level(const char *text)
{
    return strcmp(text, "fast") == 0 ||
           (text[0] >= '1' && text[0] <= '9' && text[1] == '\0');
}

/* Copy the texts of the configuration. False: memory is out. */
static bool own_texts(wsk_server *srv)
{
    wsk_server_config *cfg = &srv->cfg;
    size_t size = 0;
    char *at;

#define TEXT(name, dflt, help)                                                 \
    size += cfg->name != NULL ? strlen(cfg->name) + 1 : 0;
#define LIST(name, field, dflt, help) TEXT(field, dflt, help)
#define NONE(name, dflt, help)
    WSK_SERVER_OPTIONS(TEXT, NONE, NONE, NONE, NONE)
    WSK_LIST_OPTIONS(LIST)
    WSK_PROCESS_OPTIONS(TEXT, NONE, NONE, NONE, NONE)
    WSK_PROCESS_LIST_OPTIONS(LIST)
#undef TEXT
    srv->texts = at = wsk__alloc(size);
    if (at == NULL)
        return false;
#define TEXT(name, dflt, help)                                                 \
    if (cfg->name != NULL) {                                                   \
        size_t n = strlen(cfg->name) + 1;                                      \
        memcpy(at, cfg->name, n);                                              \
        cfg->name = at;                                                        \
        at += n;                                                               \
    }
    WSK_SERVER_OPTIONS(TEXT, NONE, NONE, NONE, NONE)
    WSK_LIST_OPTIONS(LIST)
    WSK_PROCESS_OPTIONS(TEXT, NONE, NONE, NONE, NONE)
    WSK_PROCESS_LIST_OPTIONS(LIST)
#undef TEXT
#undef LIST
#undef NONE
    return true;
}

static bool prepare_bodies(wsk_server *srv)
{
    static const char *const NAME[] = {"auto", "always", "never"};
    const char *dir = getenv("TMPDIR");
    size_t i = 0;

    while (i < 3 && strcmp(srv->cfg.buffer_body, NAME[i]) != 0)
        i++;
    if (i == 3) {
        errno = EINVAL;
        return false;
    }
    srv->site.buffering = (enum wsk__buffering)i;
    if (dir == NULL || *dir == '\0')
        dir = "/tmp";
    srv->site.temp_dir = wsk__memdup(dir, strlen(dir) + 1);
    return srv->site.temp_dir != NULL;
}

bool wsk__server_prepare(wsk_server *srv)
{
    const char *steal = getenv("WSK_TEST_STEAL_EVERY");

    srv->logs.access_by_default = srv->cfg.access_logfile ==
                                  wsk__default_access;
    if (!own_texts(srv))
        return false;
    if (wsk_config_check(&srv->cfg, NULL) != WSK_OK || srv->cfg.threads == 0 ||
        srv->cfg.port > UINT16_MAX ||
        !is_level(srv->cfg.ws_compression_level) ||
        !wsk__log_parse_level(srv->cfg.log_level, &srv->logs.level)) {
        errno = EINVAL;
        return false;
    }
    if (!prepare_bodies(srv) ||
        !wsk__format_open(&srv->logs.format, srv->cfg.access_log_format))
        return false;
    srv->sockets.compression = wsk__compression_of(&srv->cfg);
    srv->sockets.drops = strcmp(srv->cfg.ws_send_policy, "drop") == 0;
    srv->cfg.max_connections = wsk__descriptor_limit(srv->cfg.max_connections);
    srv->site.plain_files = getenv("WSK_TEST_PLAIN_FILES") != NULL;
    srv->dispatch.steal_every = steal != NULL ? atoi(steal) : 0;
    srv->logs.error = wsk__log_new(STDERR_FILENO);
    return srv->logs.error != NULL;
}

uint64_t wsk__auto_memory(void)
{
    uint64_t all = wsk__machine_memory();

    return (all != UINT64_MAX ? all : UNKNOWN_MEMORY) / 4;
}

void wsk__look_at_temp_dir(wsk_server *srv)
{
    if (access(srv->site.temp_dir, W_OK | X_OK) != 0)
        wsk__logf(&srv->logs, WSK_LOG_WARNING,
                  "no room for bodies above body_memory, which are "
                  "answered 507: cannot write in %s: %s",
                  srv->site.temp_dir, strerror(errno));
}

void wsk_libraries(char text[WSK_LIBRARIES_LEN])
{
    char tls[WSK__TLS_VERSION_MAX];

    wsk__tls_version(tls);
    snprintf(text, WSK_LIBRARIES_LEN, "zlib %.32s, %s, %s", wsk__deflate_zlib(),
             wsk__resp_library(), tls);
}
