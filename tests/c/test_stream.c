/* A body too long to store is read by its handler; until that runs, the octets
 * that came with the head must not stay in a thread's receive buffer. */
#include "harness.h"

#include "client.h"

#include <pthread.h>

enum { BODY = 1536 << 10, EARLY = 16 << 10 };

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;

/* How many octets of the body are a 'b'; in the answer, as text. */
static void count(wsk_request *req)
{
    static char data[65536];
    char text[32];
    size_t got = 0, good = 0;
    wsk_status st;

    do {
        st = wsk_request_read(req, data, sizeof(data), &got);
        for (size_t i = 0; st == WSK_OK && i < got; i++)
            good += data[i] == 'b';
        if (st == WSK_E_AGAIN)
            st = wsk_request_wait(req);
        else if (got == 0)
            break;
    } while (st == WSK_OK);
    snprintf(text, sizeof(text), "%zu", good);
    wsk_request_respond(req, 200, NULL, 0, text, strlen(text));
}

static void handler(wsk_request *req, void *user)
{
    (void)user;
    if (wsk_request_head(req)->content_length > 0) {
        count(req);
        return;
    }
    pthread_mutex_lock(&gate);
    pthread_mutex_unlock(&gate);
    wsk_request_respond(req, 200, NULL, 0, "", 0);
}

/* All of the body arrives, or only its beginning before the handler runs. */
static void upload_beside_others(const char *more)
{
    static char body[BODY], noise[EARLY];
    struct served s = serve(handler, NULL, "threads=1");
    int holder = dial(&s), upload = dial(&s);
    char head[128], said[32] = "";

    memset(body, 'b', sizeof(body));
    memset(noise, 'c', sizeof(noise));
    memcpy(noise + sizeof(noise) - 4, "\r\n\r\n", 4);
    pthread_mutex_lock(&gate); /* the only slot is taken */
    say(holder, GET("/"));
    EXPECT(!hears(holder, 50));

    snprintf(head, sizeof(head),
             "POST / HTTP/1.1\r\nHost: x\r\n%sContent-Length: %d\r\n\r\n", more,
             BODY);
    memcpy(body, head, strlen(head)); /* in one write: head and beginning */
    say_octets(upload, body, EARLY);
    for (int i = 0; i < 8; i++) { /* answered without a handler */
        int other = dial(&s);

        say_octets(other, noise, sizeof(noise));
        EXPECT(hear_answer(other, NULL, 0) == 501);
        close(other);
    }
    pthread_mutex_unlock(&gate);
    EXPECT(hear_answer(holder, NULL, 0) == 200);
    memset(body, 'b', strlen(head));
    say_octets(upload, body, BODY - (EARLY - strlen(head)));
    EXPECT(hear_answer(upload, said, sizeof(said)) == 200);
    EXPECT(atoi(said) == BODY);
    close(holder);
    close(upload);
    wsk_server_free(s.srv);
}

TEST(a_body_that_waits_for_its_handler_is_not_overwritten)
{
    upload_beside_others("");
}

TEST(nor_is_one_whose_client_expected_100_and_did_not_wait) /* 9110 10.1.1 */
{
    upload_beside_others("Expect: 100-continue\r\n");
}
