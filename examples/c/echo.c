/*
 * echo: a WebSocket server that sends back what it gets.
 *
 *   cc echo.c $(pkg-config --cflags --libs wsocket) -o echo
 *   ./echo port=8080 ws_max_size=64k
 *
 * Every option of docs/reference/options.md can be given.
 */
#include <wsocket.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static wsk_server *server;

static void on_connect(wsk_conn *conn, void *user)
{
    uint16_t port;
    const char *peer = wsk_conn_peer(conn, &port);

    (void)user;
    printf("connect %s:%u\n", peer, (unsigned)port);
}

static void on_message(wsk_conn *conn, const wsk_message *msg, void *user)
{
    (void)user;
    /* `true`: what was received as text is known to be UTF-8. */
    wsk_conn_send(conn, msg->opcode, msg->data, msg->len, true);
}

static void on_close(wsk_conn *conn, const wsk_close_info *info, void *user)
{
    (void)conn;
    (void)user;
    printf("close %u\n", (unsigned)info->code);
}

static const wsk_ws_handlers events = {
    .connect = on_connect,
    .message = on_message,
    .close = on_close,
};

static void stop(int signo)
{
    (void)signo;
    wsk_server_stop(server, -1); /* may be called from a signal handler */
}

/* NAME=VALUE, as often as you like. */
static bool configure(wsk_server_config *cfg, char **args)
{
    char error[160];

    wsk_config_init(cfg);
    for (; *args != NULL; args++) {
        char *value = strchr(*args, '=');

        if (value == NULL) {
            fprintf(stderr, "not NAME=VALUE: %s\n", *args);
            return false;
        }
        *value++ = '\0';
        if (wsk_config_set(cfg, *args, value, error) != WSK_OK) {
            fprintf(stderr, "%s\n", error);
            return false;
        }
    }
    return true;
}

int main(int argc, char **argv)
{
    wsk_server_config cfg;
    wsk_router *router = wsk_router_new();
    wsk_status st;

    if (!configure(&cfg, argv + (argc > 0)))
        return EXIT_FAILURE;
    if (router == NULL || wsk_route_ws(router, "/", &events, NULL) != WSK_OK) {
        fprintf(stderr, "out of memory\n");
        return EXIT_FAILURE;
    }
    server = wsk_server_new(&cfg, wsk_router_handler, router, NULL);
    if (server == NULL || wsk_server_listen(server) != WSK_OK) {
        perror("echo");
        return EXIT_FAILURE;
    }
    signal(SIGINT, stop);
    signal(SIGTERM, stop);
    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("ws://127.0.0.1:%u/\n", (unsigned)wsk_server_port(server));

    st = wsk_server_run(server);
    wsk_server_free(server);
    wsk_router_free(router);
    return st == WSK_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
