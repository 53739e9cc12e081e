/* The option broker. */
#include "base/broker_url.h"
#include "harness.h"

TEST(a_url_is_read_into_its_parts)
{
    struct wsk__broker_url url;
    const char *at;
    char host[256], shown[200];
    unsigned port;

    EXPECT(wsk__broker_url_read(&url, "redis://joe:se%3acr%40t@[::1]:7000/0") ==
           NULL);
    EXPECT(url.kind == WSK__BROKER_REDIS && !url.tls);
    EXPECT(strcmp(url.user, "joe") == 0);
    EXPECT(strcmp(url.password, "se:cr@t") == 0);
    at = url.hosts;
    EXPECT(wsk__broker_url_host(&url, &at, host, &port));
    EXPECT(strcmp(host, "::1") == 0 && port == 7000);
    EXPECT(!wsk__broker_url_host(&url, &at, host, &port));
    wsk__broker_url_show(&url, shown, sizeof shown);
    EXPECT(strcmp(shown, "redis://[::1]:7000") == 0);

    EXPECT(wsk__broker_url_read(&url, "rediss://h?ca=/a%20b&cert=c&key=k") ==
           NULL);
    EXPECT(url.tls && strcmp(url.ca, "/a b") == 0);
    EXPECT(strcmp(url.cert, "c") == 0 && strcmp(url.key, "k") == 0);

    EXPECT(wsk__broker_url_read(&url, "unix:/run/redis.sock?password=x") ==
           NULL);
    EXPECT(url.kind == WSK__BROKER_UNIX);
    EXPECT(strcmp(url.hosts, "/run/redis.sock") == 0);
    EXPECT(strcmp(url.password, "x") == 0 && *url.user == '\0');
}

TEST(sentinel_has_several_hosts_and_the_name_of_a_master)
{
    static const char *const HOSTS[] = {"h1", "h2", "10.0.0.3"};
    static const unsigned PORTS[] = {26379, 5, 26379};
    struct wsk__broker_url url;
    const char *at;
    char host[256];
    unsigned port;

    EXPECT(wsk__broker_url_read(
               &url, "redis+sentinel://:pw@h1,h2:5,10.0.0.3/mymaster?"
                     "sentinel_password=s") == NULL);
    EXPECT(url.kind == WSK__BROKER_SENTINEL);
    EXPECT(strcmp(url.name, "mymaster") == 0);
    EXPECT(strcmp(url.password, "pw") == 0);
    EXPECT(strcmp(url.sentinel_password, "s") == 0);
    at = url.hosts;
    for (int i = 0; i < 3; i++) {
        EXPECT(wsk__broker_url_host(&url, &at, host, &port));
        EXPECT(strcmp(host, HOSTS[i]) == 0 && port == PORTS[i]);
    }
    EXPECT(!wsk__broker_url_host(&url, &at, host, &port));
}

TEST(what_is_no_url_is_refused_with_a_reason)
{
    static const char *const BAD[] = {
        "",
        "http://h",
        "redis:h",
        "redis://",
        "redis:///0",
        "redis://h:0",
        "redis://h:65536",
        "redis://h:",
        "redis://h:12x",
        "redis://h/db",
        "redis://a,b",
        "redis://[::1",
        "redis://%zz@h",
        "redis://u:%00@h",
        "redis://h?ca=x",
        "rediss://h?who=x",
        "redis+sentinel://h",
        "redis+sentinel://h,,i/name",
        "unix:",
    };

    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        struct wsk__broker_url url;

        if (wsk__broker_url_read(&url, BAD[i]) == NULL)
            printf("accepted: %s\n", BAD[i]);
        EXPECT(wsk__broker_url_read(&url, BAD[i]) != NULL);
    }
}
