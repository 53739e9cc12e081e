/*
 * What load has counted, and its report.
 */
#include "load.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>

#define KIND_NAME(id, name, clients) name,
#define NAME(id, name) name,

const char *const kind_names[] = {KINDS(KIND_NAME)};
const char *const how_names[] = {HOWS(NAME)};
const char *const violation_names[] = {VIOLATIONS(NAME)};

struct tally tallies[KIND_COUNT];
struct sockets sockets;
unsigned long statuses[1000];

struct tally *tally_of(const struct client *c)
{
    return &tallies[c->kind];
}

void tell(const struct client *c, const char *what, const char *how)
{
    struct sockaddr_in own = {0};
    socklen_t len = sizeof own;

    if (!settings.trace)
        return;
    getsockname(c->fd, (struct sockaddr *)&own, &len);
    fprintf(stderr,
            "%8.3f %s %s %s: port %u, %lld ms old, %u before, %u of %u "
            "answered, status %d, %zu of %zu octets\n",
            (double)(now - began) / 1e3, kind_names[c->kind], what, how,
            ntohs(own.sin_port), (long long)(now - c->opened_at), c->served,
            c->answered, c->asked, c->status, c->body_at, c->body_len);
}

static unsigned long sum(const unsigned long *numbers, size_t n)
{
    unsigned long all = 0;

    while (n > 0)
        all += numbers[--n];
    return all;
}

static void print_names(const char *key, const char *const *names,
                        const unsigned long *numbers, size_t n)
{
    printf("\"%s\": {", key);
    for (size_t i = 0; i < n; i++)
        printf("%s\"%s\": %lu", i ? ", " : "", names[i], numbers[i]);
    printf("}");
}

/* The numbers that are not 0, by their index. */
static void print_codes(const char *key, const unsigned long *numbers, size_t n)
{
    const char *comma = "";

    printf("\"%s\": {", key);
    for (size_t i = 0; i < n; i++) {
        if (numbers[i] == 0)
            continue;
        printf("%s\"%zu\": %lu", comma, i, numbers[i]);
        comma = ", ";
    }
    printf("}");
}

static void print_kind(const char *name, const struct tally *t)
{
    printf("\"%s\": {\"clients\": %lu, \"connected\": %lu, \"sent\": %lu, "
           "\"answered\": %lu, ",
           name, t->clients, t->connected, t->sent, t->answered);
    print_names("lost", how_names, t->lost, HOW_COUNT);
    printf(", \"race\": %lu, \"unprocessed\": %lu, \"unavailable\": %lu, "
           "\"idle_closed\": %lu, \"idle_reset\": %lu, \"refused\": %lu, "
           "\"unconnected\": %lu, \"unclosed\": %lu, \"late_reset\": %lu, "
           "\"stray\": %lu}",
           t->race, t->unprocessed, t->unavailable, t->idle_closed,
           t->idle_reset, t->refused, t->unconnected, t->unclosed,
           t->late_reset, t->stray);
}

static void print_websockets(void)
{
    printf("\"websockets\": {\"opened\": %lu, \"messages\": %lu, \"echoed\": "
           "%lu, \"unechoed\": %lu, \"closed_by_us\": %lu, "
           "\"reset_after_close\": %lu, \"no_fin\": %lu, ",
           sockets.opened, sockets.messages, sockets.echoed, sockets.unechoed,
           sockets.closed_by_us, sockets.reset_after_close, sockets.no_fin);
    print_codes("codes", sockets.codes, 5000);
    printf(", ");
    print_names("violations", violation_names, sockets.violations,
                VIOLATION_COUNT);
    printf("}");
}

/* Every request that was sent has exactly one end, or is still under way. */
static unsigned long under_way(void)
{
    unsigned long n = 0;

    for (size_t i = 0; i < client_count; i++)
        if (clients[i].state == ASKING || clients[i].state == DOUBTFUL)
            n += clients[i].asked - clients[i].answered;
    return n;
}

void report(void)
{
    unsigned long sent = 0, answered = 0, ends = 0, lost = 0, raced = 0;
    unsigned long refused = 0;

    printf("{\"seconds\": %.3f, \"kinds\": {", (double)(now - began) / 1e3);
    for (size_t k = 0, printed = 0; k < KIND_COUNT; k++) {
        const struct tally *t = &tallies[k];
        unsigned long all = sum(t->lost, HOW_COUNT);

        if (t->clients == 0)
            continue;
        printf("%s", printed++ ? ", " : "");
        print_kind(kind_names[k], t);
        sent += t->sent;
        answered += t->answered;
        ends += t->answered + all - t->lost[UNSPOKEN] + t->race +
                t->unprocessed + t->unavailable;
        lost += all;
        raced += t->race;
        refused += t->refused;
    }
    printf("}, ");
    print_websockets();
    printf(", ");
    print_codes("statuses", statuses, 1000);
    printf(", \"connections\": %lu, \"sent\": %lu, \"answered\": %lu, "
           "\"lost\": %lu, \"race\": %lu, \"refused\": %lu, \"violations\": "
           "%lu, \"under_way\": %lu, \"balanced\": %s}\n",
           connections, sent, answered, lost, raced, refused,
           sum(sockets.violations, VIOLATION_COUNT), under_way(),
           sent == ends + under_way() ? "true" : "false");
    fflush(stdout);
}
