/* wsk_request_detach(): from then on the server writes nothing there. */
#include "harness.h"

#include "client.h"

#include <stdatomic.h>

#define ATTEMPT                                                                \
    "GET /detach HTTP/1.1\r\nHost: t\r\nUpgrade: websocket\r\n"                \
    "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"                     \
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

static atomic_int kept = -1; /* a descriptor that outlives its handler */

/* Says "hi", then repeats what it hears until the end of it, which it tells. */
static void detach(wsk_request *req, void *user)
{
    const uint8_t *data;
    char octets[64];
    size_t len;
    ssize_t n;
    int fd;

    (void)user;
    if (!wsk_request_head(req)->websocket) {
        EXPECT(wsk_request_detach(req, &fd, &data, &len) == WSK_E_STATE);
        wsk_request_respond(req, 200, NULL, 0, "page", 4);
        return;
    }
    if (wsk_request_detach(req, &fd, &data, &len) != WSK_OK)
        return;
    EXPECT(wsk_request_detach(req, &fd, &data, &len) == WSK_E_STATE);
    EXPECT(wsk_request_respond(req, 200, NULL, 0, "no", 2) == WSK_E_STATE);
    say(fd, "hi");
    say_octets(fd, data, len);
    while ((n = recv(fd, octets, sizeof(octets), 0)) > 0)
        say_octets(fd, octets, (size_t)n);
    say(fd, "bye");
    if (atomic_load(&kept) == -2)
        atomic_store(&kept, fd);
    else
        close(fd);
}

static void send_file_or_detach(wsk_request *req, void *user)
{
    static const char OCTETS[100000];
    FILE *file;

    if (wsk_request_head(req)->websocket) {
        detach(req, user);
        return;
    }
    file = tmpfile();
    EXPECT(fwrite(OCTETS, 1, sizeof(OCTETS), file) == sizeof(OCTETS));
    fflush(file);
    wsk_request_start(req, 200, NULL, NULL, 0, sizeof(OCTETS));
    wsk_request_send_file(req, fileno(file), 0, sizeof(OCTETS));
    wsk_request_finish(req);
    fclose(file);
}

static bool hears_text(int fd, const char *text)
{
    char got[64];
    size_t len = strlen(text);

    return hear_octets(fd, got, len) && memcmp(got, text, len) == 0;
}

TEST(octets_behind_the_head_come_first_and_no_http_follows)
{
    struct served s = serve(detach, NULL, NULL);
    int fd = dial(&s);

    EXPECT(say(fd, ATTEMPT "early"));
    EXPECT(hears_text(fd, "hiearly"));
    EXPECT(say(fd, "late"));
    EXPECT(hears_text(fd, "late"));
    shutdown(fd, SHUT_WR);
    EXPECT(hears_text(fd, "bye"));
    EXPECT(hears_end(fd));
    close(fd);
    wsk_server_free(s.srv);
}

TEST(a_detached_connection_blocks_also_behind_a_file)
{
    struct served s = serve(send_file_or_detach, NULL, NULL);
    int fd = dial(&s);

    EXPECT(say(fd, GET("/")));
    EXPECT(hear_answer(fd, NULL, 0) == 200);
    EXPECT(say(fd, ATTEMPT));
    EXPECT(hears_text(fd, "hi"));
    usleep(20000);
    EXPECT(say(fd, "late"));
    EXPECT(hears_text(fd, "late"));
    close(fd);
    wsk_server_free(s.srv);
}

TEST(a_plain_request_cannot_be_detached)
{
    struct served s = serve(detach, NULL, NULL);
    int fd = dial(&s);

    EXPECT(say(fd, GET("/")));
    EXPECT(hear_answer(fd, NULL, 0) == 200);
    close(fd);
    wsk_server_free(s.srv);
}

TEST(handlers_that_took_their_connection_leave_their_threads_place_to_others)
{
    struct served s = serve(detach, NULL, "threads=1");
    int fds[8], fd;

    for (int i = 0; i < 8; i++) {
        fds[i] = dial(&s);
        EXPECT(say(fds[i], ATTEMPT));
        EXPECT(hears_text(fds[i], "hi"));
    }
    fd = dial(&s);
    EXPECT(say(fd, GET("/")));
    EXPECT(hear_answer(fd, NULL, 0) == 200);
    close(fd);
    for (int i = 0; i < 8; i++) {
        EXPECT(say(fds[i], "still"));
        EXPECT(hears_text(fds[i], "still"));
        close(fds[i]);
    }
    wsk_server_free(s.srv);
}

TEST(a_stop_ends_the_input_and_waits_for_the_last_word)
{
    struct served s = serve(detach, NULL, NULL);
    int fd = dial(&s);

    EXPECT(say(fd, ATTEMPT));
    EXPECT(hears_text(fd, "hi"));
    wsk_server_stop(s.srv, -1);
    EXPECT(hears_text(fd, "bye"));
    EXPECT(hears_end(fd));
    close(fd);
    EXPECT(wsk_server_join(s.srv, PATIENCE_MS) == WSK_OK);
    wsk_server_free(s.srv);
}

TEST(the_connection_ends_with_its_handler_whoever_has_a_descriptor)
{
    struct served s = serve(detach, NULL, NULL);
    int fd = dial(&s);
    char octet;

    atomic_store(&kept, -2);
    EXPECT(say(fd, ATTEMPT));
    EXPECT(hears_text(fd, "hi"));
    shutdown(fd, SHUT_WR);
    EXPECT(hears_text(fd, "bye"));
    EXPECT(hears_end(fd));
    EXPECT(recv(atomic_load(&kept), &octet, 1, 0) == 0);
    close(atomic_load(&kept));
    atomic_store(&kept, -1);
    close(fd);
    wsk_server_free(s.srv);
}
