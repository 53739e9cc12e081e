/* A Redis in memory: enough of it for broker/session. Octets in, octets out. */
#ifndef MEMORY_REDIS_H
#define MEMORY_REDIS_H

#include "wsocket.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MEMORY_CONNS = 16, MEMORY_SUBS = 64, MEMORY_WORDS = 512 };

struct memory_text {
    char *p;
    size_t len, cap;
};

struct memory_conn {
    bool open, hung; /* hung: it takes and says nothing */
    bool in_multi, is_in;
    size_t queued;
    struct memory_text in, out, held;
    char *subs[MEMORY_SUBS];
    size_t n_subs;
};

struct memory_redis {
    const char *password; /* NULL: none is needed */
    const char *refusal;  /* what every command is answered; NULL: nothing */
    const char *refused;  /* the only command that is; NULL: all of them */
    const char *role;     /* NULL: master */
    struct memory_conn conn[MEMORY_CONNS];
};

static inline void memory_put(struct memory_text *t, const void *p, size_t n)
{
    if (t->len + n > t->cap) {
        t->cap = 2 * (t->len + n);
        t->p = realloc(t->p, t->cap);
        if (t->p == NULL)
            abort();
    }
    if (n > 0)
        memcpy(t->p + t->len, p, n);
    t->len += n;
}

static inline void memory_drop(struct memory_text *t, size_t n)
{
    t->len -= n;
    if (t->len > 0)
        memmove(t->p, t->p + n, t->len);
}

static inline void memory_say(struct memory_conn *c, const char *text)
{
    memory_put(&c->out, text, strlen(text));
}

static inline void memory_say_bulk(struct memory_text *to, const char *p,
                                   size_t n)
{
    char head[32];

    memory_put(to, head, (size_t)snprintf(head, sizeof head, "$%zu\r\n", n));
    memory_put(to, p, n);
    memory_put(to, "\r\n", 2);
}

static inline void memory_close(struct memory_conn *c)
{
    for (size_t i = 0; i < c->n_subs; i++)
        free(c->subs[i]);
    free(c->in.p);
    free(c->out.p);
    free(c->held.p);
    *c = (struct memory_conn){0};
}

static inline struct memory_conn *memory_open(struct memory_redis *redis)
{
    for (int i = 0; i < MEMORY_CONNS; i++) {
        if (!redis->conn[i].open) {
            redis->conn[i].open = true;
            redis->conn[i].is_in = redis->password == NULL;
            return &redis->conn[i];
        }
    }
    abort();
}

static inline size_t memory_find(const struct memory_conn *c, wsk_str channel)
{
    size_t i = 0;

    while (i < c->n_subs && (strlen(c->subs[i]) != channel.len ||
                             memcmp(c->subs[i], channel.p, channel.len) != 0))
        i++;
    return i;
}

static inline long memory_publish(struct memory_redis *redis, wsk_str channel,
                                  wsk_str text)
{
    long n = 0;

    for (int i = 0; i < MEMORY_CONNS; i++) {
        struct memory_conn *c = &redis->conn[i];

        if (!c->open || memory_find(c, channel) == c->n_subs)
            continue;
        memory_say(c, "*3\r\n$7\r\nmessage\r\n");
        memory_say_bulk(&c->out, channel.p, channel.len);
        memory_say_bulk(&c->out, text.p, text.len);
        n++;
    }
    return n;
}

static inline void memory_subscribe(struct memory_conn *c, bool wants,
                                    wsk_str channel)
{
    size_t i = memory_find(c, channel);
    char text[32];

    if (wants && i == c->n_subs) {
        if (c->n_subs == MEMORY_SUBS)
            abort();
        c->subs[c->n_subs++] = strndup(channel.p, channel.len);
    } else if (!wants && i < c->n_subs) {
        free(c->subs[i]);
        c->subs[i] = c->subs[--c->n_subs];
    }
    memory_say(c, "*3\r\n");
    memory_say_bulk(&c->out, wants ? "subscribe" : "unsubscribe",
                    wants ? 9 : 11);
    memory_say_bulk(&c->out, channel.p, channel.len);
    snprintf(text, sizeof text, ":%zu\r\n", c->n_subs);
    memory_say(c, text);
}

static inline bool memory_is(wsk_str word, const char *name)
{
    return word.len == strlen(name) && memcmp(word.p, name, word.len) == 0;
}

/* Do what was queued, with nothing between. */
static inline void memory_exec(struct memory_redis *redis,
                               struct memory_conn *c);

static inline void memory_run(struct memory_redis *redis, struct memory_conn *c,
                              const wsk_str *words, size_t n, wsk_str octets)
{
    char text[64];

    if (redis->refusal != NULL &&
        (redis->refused == NULL || memory_is(words[0], redis->refused))) {
        memory_say(c, redis->refusal);
    } else if (memory_is(words[0], "AUTH")) {
        c->is_in = redis->password != NULL &&
                   memory_is(words[n - 1], redis->password);
        memory_say(c, c->is_in ? "+OK\r\n"
                               : "-WRONGPASS invalid username-password\r\n");
    } else if (!c->is_in) {
        memory_say(c, "-NOAUTH Authentication required.\r\n");
    } else if (memory_is(words[0], "ROLE")) {
        memory_say(c, redis->role != NULL
                          ? redis->role
                          : "*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n");
    } else if (memory_is(words[0], "SUBSCRIBE")) {
        for (size_t i = 1; i < n; i++)
            memory_subscribe(c, true, words[i]);
    } else if (memory_is(words[0], "UNSUBSCRIBE")) {
        for (size_t i = 1; i < n; i++)
            memory_subscribe(c, false, words[i]);
    } else if (memory_is(words[0], "MULTI")) {
        c->in_multi = true;
        memory_say(c, "+OK\r\n");
    } else if (memory_is(words[0], "EXEC")) {
        memory_exec(redis, c);
    } else if (c->in_multi) {
        memory_put(&c->held, octets.p, octets.len);
        c->queued++;
        memory_say(c, "+QUEUED\r\n");
    } else if (memory_is(words[0], "PUBLISH") && n == 3) {
        snprintf(text, sizeof text, ":%ld\r\n",
                 memory_publish(redis, words[1], words[2]));
        memory_say(c, text);
    } else {
        memory_say(c, "-ERR unknown command\r\n");
    }
}

/* Read one command of the beginning of a text. Returns its octets; 0: it is not
 * whole. */
static inline size_t memory_parse(const struct memory_text *t, wsk_str *words,
                                  size_t *n)
{
    const char *p = t->p, *end = t->p + t->len, *line;
    unsigned long len;

    if (t->len == 0 || (line = memchr(p, '\n', t->len)) == NULL)
        return 0;
    *n = strtoul(p + 1, NULL, 10);
    if (*n > MEMORY_WORDS)
        abort();
    p = line + 1;
    for (size_t i = 0; i < *n; i++) {
        if (p == end || (line = memchr(p, '\n', (size_t)(end - p))) == NULL)
            return 0;
        len = strtoul(p + 1, NULL, 10);
        p = line + 1;
        if ((size_t)(end - p) < len + 2)
            return 0;
        words[i] = (wsk_str){p, len};
        p += len + 2;
    }
    return (size_t)(p - t->p);
}

static inline void memory_exec(struct memory_redis *redis,
                               struct memory_conn *c)
{
    wsk_str words[MEMORY_WORDS];
    size_t n, len;
    char text[32];

    c->in_multi = false;
    snprintf(text, sizeof text, "*%zu\r\n", c->queued);
    memory_say(c, text);
    c->queued = 0;
    while ((len = memory_parse(&c->held, words, &n)) > 0) {
        memory_run(redis, c, words, n, (wsk_str){NULL, 0});
        memory_drop(&c->held, len);
    }
}

/* Run the commands that are whole. */
static inline void memory_serve(struct memory_redis *redis,
                                struct memory_conn *c)
{
    wsk_str words[MEMORY_WORDS];
    size_t n, len;

    while (!c->hung && (len = memory_parse(&c->in, words, &n)) > 0) {
        memory_run(redis, c, words, n, (wsk_str){c->in.p, len});
        memory_drop(&c->in, len);
    }
}

#endif
