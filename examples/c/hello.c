/*
 * hello: the smallest HTTP server.
 *
 *   cc hello.c $(pkg-config --cflags --libs wsocket) -o hello
 *   ./hello 8080 &
 *   curl http://127.0.0.1:8080/
 */
#include <wsocket.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

static wsk_server *server;

static void hello(wsk_request *req, void *user)
{
    static const char text[] = "Hello, World!\n";
    static const wsk_header type = {{"Content-Type", 12}, {"text/plain", 10}};

    (void)user;
    wsk_request_respond(req, 200, &type, 1, text, sizeof text - 1);
}

static void stop(int signo)
{
    (void)signo;
    wsk_server_stop(server, -1); /* may be called from a signal handler */
}

int main(int argc, char **argv)
{
    wsk_server_config cfg;
    wsk_router *router = wsk_router_new();
    char error[160];
    wsk_status st;

    wsk_config_init(&cfg);
    cfg.access_logfile = "none";
    if (argc > 1 && wsk_config_set(&cfg, "port", argv[1], error) != WSK_OK) {
        fprintf(stderr, "%s\n", error);
        return EXIT_FAILURE;
    }
    if (router == NULL || wsk_route(router, "/", hello, NULL) != WSK_OK) {
        fprintf(stderr, "out of memory\n");
        return EXIT_FAILURE;
    }
    server = wsk_server_new(&cfg, wsk_router_handler, router, NULL);
    if (server == NULL || wsk_server_listen(server) != WSK_OK) {
        perror("hello");
        return EXIT_FAILURE;
    }
    signal(SIGINT, stop);
    signal(SIGTERM, stop);
    printf("http://127.0.0.1:%u/\n", (unsigned)wsk_server_port(server));
    fflush(stdout);

    st = wsk_server_run(server);
    wsk_server_free(server);
    wsk_router_free(router);
    return st == WSK_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
