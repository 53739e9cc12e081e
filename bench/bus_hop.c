/* One hop between two processes: bare Unix sockets, and the bus of a host.
 *
 *     bus_hop [rounds] [messages]
 *
 * Prints JSON: the median of a hop in microseconds for both (half of a round
 * trip), and for the bus messages of 128 octets per second, and microseconds of
 * CPU of both processes together for each. */
#include "net/bus/host.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { OCTETS = 128 };

static const wsk_str PING = {"ping", 4}, PONG = {"pong", 4},
                     FLOOD = {"flood", 5}, LAST = {"last", 4};
static const uint8_t block[OCTETS];
static long rounds = 20000, messages = 500000;
static struct wsk__route *bus;
static double *hops;
static atomic_long done, count;

static double now_us(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

static double cpu_us(int who)
{
    struct rusage r;

    getrusage(who, &r);
    return (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) * 1e6 +
           (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec);
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double median(void)
{
    qsort(hops, (size_t)rounds, sizeof(*hops), compare);
    return hops[rounds / 2];
}

static void publish(wsk_str topic)
{
    const struct wsk__bus_message m = {.topics = &topic,
                                       .n_topics = 1,
                                       .opcode = WSK_BINARY,
                                       .data = block,
                                       .len = OCTETS};

    bus->ops->publish(bus, &m);
}

/* ---------------------------------------------------------------- bare --- */

static double bare(void)
{
    char octets[OCTETS] = {0};
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0)
        return 0;
    if (fork() == 0) {
        close(pair[0]);
        while (recv(pair[1], octets, OCTETS, 0) > 0)
            send(pair[1], octets, OCTETS, 0);
        _exit(0);
    }
    close(pair[1]);
    for (long i = 0; i < rounds; i++) {
        double began = now_us();

        send(pair[0], octets, OCTETS, 0);
        recv(pair[0], octets, OCTETS, 0);
        hops[i] = (now_us() - began) / 2;
    }
    close(pair[0]);
    wait(NULL);
    return median();
}

/* ----------------------------------------------------------------- bus --- */

static bool is(const struct wsk__bus_message *m, wsk_str name)
{
    return m->topics[0].len == name.len &&
           memcmp(m->topics[0].p, name.p, name.len) == 0;
}

/* The other process: answers pings, and the last of a flood. */
static wsk_status echo(void *user, const struct wsk__bus_message *m)
{
    (void)user;
    if (is(m, PING) || is(m, LAST))
        publish(PONG);
    return WSK_OK;
}

/* This one: measures, in the thread of the bus. */
static wsk_status answer(void *user, const struct wsk__bus_message *m)
{
    static double began;
    long n = atomic_fetch_add(&count, 1);

    (void)user;
    (void)m;
    if (n > 0 && n <= rounds)
        hops[n - 1] = (now_us() - began) / 2;
    if (n < rounds) {
        began = now_us();
        publish(PING);
    } else {
        atomic_fetch_add(&done, 1);
    }
    return WSK_OK;
}

static wsk_status no_disconnect(void *user, wsk_str topic, uint16_t code,
                                wsk_str reason)
{
    (void)user, (void)topic, (void)code, (void)reason;
    return WSK_OK;
}

static void gap(void *user)
{
    (void)user;
    fprintf(stderr, "bus_hop: a gap\n");
}

static void line(void *user, wsk_log_level level, const char *text)
{
    (void)user, (void)level, (void)text;
}

static const struct wsk__route_events ECHO = {echo, no_disconnect, gap, line},
                                      ANSWER = {answer, no_disconnect, gap,
                                                line};

static void join(const char *folder, const struct wsk__route_events *events)
{
    char error[WSK__FOLDER_ERROR];

    bus = wsk__host_new(folder, false, error);
    if (bus == NULL)
        exit(1);
    bus->events = events;
    if (events == &ANSWER) {
        bus->ops->want(bus, PONG);
    } else {
        bus->ops->want(bus, PING);
        bus->ops->want(bus, FLOOD);
        bus->ops->want(bus, LAST);
    }
    bus->ops->start(bus);
    bus->ops->confirm(bus, PONG);
}

static void await(long n)
{
    while (atomic_load(&done) < n)
        usleep(1000);
}

/* The kernel's queue and ours hold 16 MiB: a flood stays within it. */
static void flood(void)
{
    enum { BATCH = 20000 };

    for (long sent = 0; sent < messages; sent += BATCH) {
        long before = atomic_load(&done);

        for (long i = 0; i < BATCH; i++)
            publish(FLOOD);
        publish(LAST);
        while (atomic_load(&done) == before)
            usleep(100);
    }
}

int main(int argc, char **argv)
{
    char folder[WSK__FOLDER_PATH], error[WSK__FOLDER_ERROR];
    double hop_bare, hop_bus, began, us, cpu, cpu_child = 0;
    int ready[2], end[2];
    char octet;
    pid_t child;

    if (argc > 1)
        rounds = atol(argv[1]);
    if (argc > 2)
        messages = atol(argv[2]);
    hops = calloc((size_t)rounds, sizeof(*hops));
    hop_bare = bare();
    if (!wsk__folder_make(folder, error) || pipe(ready) || pipe(end))
        return 1;
    child = fork();
    if (child == 0) {
        close(end[1]);
        join(folder, &ECHO);
        if (write(ready[1], "r", 1) != 1 || read(end[0], &octet, 1) < 0)
            _exit(1);
        cpu_child = cpu_us(RUSAGE_SELF); /* up to the flood */
        if (write(ready[1], &cpu_child, sizeof(cpu_child)) < 0 ||
            read(end[0], &octet, 1) < 0)
            _exit(1);
        cpu_child = cpu_us(RUSAGE_SELF) - cpu_child;
        if (write(ready[1], &cpu_child, sizeof(cpu_child)) < 0)
            _exit(1);
        bus->ops->stop(bus);
        _exit(0);
    }
    if (read(ready[0], &octet, 1) != 1)
        return 1;
    join(folder, &ANSWER);
    publish(PING);
    await(1);
    hop_bus = median();

    if (write(end[1], "e", 1) != 1 || read(ready[0], &cpu, sizeof(cpu)) < 0)
        return 1;
    cpu = cpu_us(RUSAGE_SELF);
    began = now_us();
    flood();
    us = now_us() - began;
    cpu = cpu_us(RUSAGE_SELF) - cpu;
    if (write(end[1], "e", 1) != 1)
        return 1;
    if (read(ready[0], &cpu_child, sizeof(cpu_child)) < 0)
        return 1;
    cpu += cpu_child;
    waitpid(child, NULL, 0);
    bus->ops->stop(bus);
    rmdir(folder);
    printf("{\"bare_us\": %.2f, \"bus_us\": %.2f, \"ratio\": %.2f, "
           "\"messages_per_s\": %.0f, \"cpu_us\": %.2f}\n",
           hop_bare, hop_bus, hop_bus / hop_bare, (double)messages / us * 1e6,
           cpu / (double)messages);
    return 0;
}
