#include "harness.h"

#include "client.h"

static void say_user(wsk_request *req, void *user)
{
    const char *text = user;

    wsk_request_respond(req, 200, NULL, 0, text, strlen(text));
}

static void echo(wsk_conn *conn, const wsk_message *msg, void *user)
{
    (void)user;
    wsk_conn_send(conn, msg->opcode, msg->data, msg->len, true);
}

static const wsk_ws_handlers ECHO = {.message = echo};

static int ask(const struct served *s, const char *path, char body[64])
{
    char request[256];
    int fd = dial(s), status;

    snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: x\r\n\r\n",
             path);
    say(fd, request);
    status = hear_answer(fd, body, 64);
    close(fd);
    return status;
}

TEST(an_exact_path_wins_then_the_longest_beginning)
{
    wsk_router *router = wsk_router_new();
    struct served s;
    char body[64];

    EXPECT(wsk_route(router, "/*", say_user, "any") == WSK_OK);
    EXPECT(wsk_route(router, "/a/*", say_user, "a") == WSK_OK);
    EXPECT(wsk_route(router, "/a/b", say_user, "ab") == WSK_OK);
    EXPECT(wsk_route(router, "/a/b", say_user, "ab2") == WSK_OK);
    s = serve(wsk_router_handler, router, NULL);
    EXPECT(ask(&s, "/a/b", body) == 200 && strcmp(body, "ab2") == 0);
    EXPECT(ask(&s, "/a/b?q", body) == 200 && strcmp(body, "ab2") == 0);
    EXPECT(ask(&s, "/a/bc", body) == 200 && strcmp(body, "a") == 0);
    EXPECT(ask(&s, "/x", body) == 200 && strcmp(body, "any") == 0);
    wsk_server_free(s.srv);
    wsk_router_free(router);
}

TEST(what_has_no_route_is_not_found)
{
    wsk_router *router = wsk_router_new();
    struct served s;
    char body[64];

    EXPECT(wsk_route(router, "/a", say_user, "a") == WSK_OK);
    EXPECT(wsk_route(router, "no-slash", say_user, "a") == WSK_E_ARG);
    s = serve(wsk_router_handler, router, NULL);
    EXPECT(ask(&s, "/b", body) == 404);
    EXPECT(ask(&s, "/ab", body) == 404);
    wsk_server_free(s.srv);
    wsk_router_free(router);
}

TEST(a_websocket_route_answers_others_426) /* RFC 9110 15.5.22 */
{
    wsk_router *router = wsk_router_new();
    struct served s;
    char body[64], data[126];
    size_t len = 0;
    int ws;

    EXPECT(wsk_route_ws(router, "/ws", &ECHO, NULL) == WSK_OK);
    s = serve(wsk_router_handler, router, NULL);
    EXPECT(ask(&s, "/ws", body) == 426);
    ws = open_ws(&s, UPGRADE("/ws"));
    EXPECT(ws >= 0);
    say_frame(ws, 2, "hi", 2);
    EXPECT(hear_frame(ws, data, &len) == 2 && strcmp(data, "hi") == 0);
    close(ws);
    wsk_server_free(s.srv);
    wsk_router_free(router);
}

TEST(a_path_may_have_pages_and_websockets)
{
    wsk_router *router = wsk_router_new();
    struct served s;
    char body[64], data[126];
    size_t len = 0;
    int ws;

    EXPECT(wsk_route_ws(router, "*", &ECHO, NULL) == WSK_OK);
    EXPECT(wsk_route(router, "*", say_user, "page") == WSK_OK);
    s = serve(wsk_router_handler, router, NULL);
    EXPECT(ask(&s, "/x", body) == 200 && strcmp(body, "page") == 0);
    ws = open_ws(&s, UPGRADE("/x"));
    EXPECT(ws >= 0);
    say_frame(ws, 2, "hi", 2);
    EXPECT(hear_frame(ws, data, &len) == 2 && strcmp(data, "hi") == 0);
    close(ws);
    wsk_server_free(s.srv);
    wsk_router_free(router);
}

TEST(a_path_is_compared_without_its_percents) /* RFC 3986 6.2.2.2 */
{
    wsk_router *router = wsk_router_new();
    struct served s;
    char body[64];

    EXPECT(wsk_route(router, "/a b", say_user, "ab") == WSK_OK);
    EXPECT(wsk_route(router, "/c/*", say_user, "c") == WSK_OK);
    s = serve(wsk_router_handler, router, NULL);
    EXPECT(ask(&s, "/a%20b", body) == 200 && strcmp(body, "ab") == 0);
    EXPECT(ask(&s, "/%61%20%62", body) == 200);
    EXPECT(ask(&s, "/%63%2f", body) == 200 && strcmp(body, "c") == 0);
    EXPECT(ask(&s, "/a%20", body) == 404);
    EXPECT(ask(&s, "/c%2", body) != 200);
    EXPECT(ask(&s, "/c%252fx", body) == 404);
    wsk_server_free(s.srv);
    wsk_router_free(router);
}
