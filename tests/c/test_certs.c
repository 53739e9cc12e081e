/* Certificates of a server: threads that take the set in use while others
 * replace it. tests/python/test_tls_certificates.py has all that one client
 * sees. */
#include "harness.h"

#ifdef WSK_TLS

#include "net/conn/conns.h"
#include "net/server/certs.h"
#include "net/server/server.h"
#include "tls_set.h"
#include "wsocket.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PAIRS = 3, TAKERS = 2, RELOADERS = 2, RELOADS = 25 };

static char folder[64], chain[96], key[96];
static struct site sites[PAIRS];
static atomic_bool over;
static atomic_uint taken, good, bad;

static void write_file(const char *path, const struct text *text)
{
    char other[128];
    FILE *file;

    snprintf(other, sizeof(other), "%s.new", path);
    file = fopen(other, "w");
    must(file != NULL && fwrite(text->p, 1, text->len, file) == text->len);
    must(fclose(file) == 0 && rename(other, path) == 0);
}

static void make_files(void)
{
    snprintf(folder, sizeof(folder), "/tmp/wsocket-certs-XXXXXX");
    must(mkdtemp(folder) != NULL);
    snprintf(chain, sizeof(chain), "%s/chain.pem", folder);
    snprintf(key, sizeof(key), "%s/key.pem", folder);
    for (int i = 0; i < PAIRS; i++)
        site_open(&sites[i], (struct wanted){.name = "localhost",
                                             .san = "DNS:localhost",
                                             .serial = i + 1});
    write_file(chain, &sites[0].chain);
    write_file(key, &sites[0].key);
}

static void remove_files(void)
{
    unlink(chain);
    unlink(key);
    rmdir(folder);
    for (int i = 0; i < PAIRS; i++)
        site_close(&sites[i]);
}

static void answer(wsk_request *req, void *user)
{
    (void)user;
    wsk_request_respond(req, 200, NULL, 0, "hello", 5);
}

static wsk_server *make_server(void)
{
    wsk_server_config cfg;

    wsk_config_init(&cfg);
    cfg.host = "127.0.0.1";
    cfg.port = 0;
    cfg.certfile = chain;
    cfg.keyfile = key;
    cfg.access_logfile = cfg.error_logfile = "none";
    return wsk_server_new(&cfg, answer, NULL, NULL);
}

static void *take(void *srv)
{
    while (!atomic_load(&over)) {
        struct wsk__tls_set *set =
            wsk__certs_current(&((wsk_server *)srv)->conns);
        struct wsk__tls *tls = wsk__tls_accept(set);

        wsk__tls_set_unref(set);
        EXPECT(tls != NULL);
        wsk__tls_free(tls);
        atomic_fetch_add(&taken, 1);
    }
    return NULL;
}

static void *reload(void *srv)
{
    char error[WSK_TLS_ERROR];

    for (int i = 0; i < RELOADS; i++) {
        wsk_status st = wsk_server_reload_tls(srv, error);

        EXPECT((st == WSK_OK) == (error[0] == '\0'));
        atomic_fetch_add(st == WSK_OK ? &good : &bad, 1);
    }
    return NULL;
}

TEST(sets_are_taken_and_replaced_by_threads_and_by_the_watch)
{
    pthread_t threads[TAKERS + RELOADERS];
    wsk_server *srv;

    make_files();
    setenv("WSK_TEST_CERTIFICATES_MS", "5", 1);
    srv = make_server();
    EXPECT(srv != NULL && wsk_server_start(srv) == WSK_OK);
    for (int i = 0; i < TAKERS + RELOADERS; i++)
        must(pthread_create(&threads[i], NULL, i < TAKERS ? take : reload,
                            srv) == 0);
    for (int i = 0; i < 100; i++) {
        write_file(chain, &sites[i % PAIRS].chain);
        usleep(1000);
        write_file(key, &sites[i % PAIRS].key);
    }
    for (int i = TAKERS; i < TAKERS + RELOADERS; i++)
        pthread_join(threads[i], NULL);
    EXPECT(atomic_load(&good) + atomic_load(&bad) == RELOADS * RELOADERS);
    EXPECT(atomic_load(&good) > 0);
    wsk_server_stop(srv, 0);
    atomic_store(&over, true);
    for (int i = 0; i < TAKERS; i++)
        pthread_join(threads[i], NULL);
    EXPECT(atomic_load(&taken) > 0);
    wsk_server_join(srv, -1);
    wsk_server_free(srv);
    unsetenv("WSK_TEST_CERTIFICATES_MS");
    remove_files();
}

TEST(a_server_that_was_only_tried_holds_no_certificates)
{
    wsk_server *srv;

    make_files();
    srv = make_server();
    EXPECT(wsk_server_can_start(srv) == WSK_OK);
    EXPECT(wsk__certs_current(&srv->conns) == NULL);
    EXPECT(wsk_server_reload_tls(srv, NULL) == WSK_E_STATE);
    EXPECT(wsk_server_start(srv) == WSK_OK);
    EXPECT(wsk_server_reload_tls(srv, NULL) == WSK_OK);
    EXPECT(strncmp(wsk_server_url(srv, 0), "https://", 8) == 0);
    wsk_server_free(srv);
    write_file(key, &sites[1].key);
    srv = make_server();
    EXPECT(wsk_server_can_start(srv) == WSK_E_SYS);
    EXPECT(strstr(wsk_server_error(srv), "does not fit") != NULL);
    wsk_server_free(srv);
    remove_files();
}

#else

TEST(without_tls_there_is_nothing_to_test)
{
}

#endif
