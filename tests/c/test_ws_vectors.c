/* tests/vectors/ws.md against the engine: each block whole, in every pair of
 * pieces, octet by octet, and with each allocation failing. */
#include "harness.h"

#include "base/mem.h"
#include "wsocket.h"

#include <ctype.h>
#include <stdint.h>

/* ------------------------------------------------------------- octets --- */

struct octets {
    uint8_t *p;
    size_t len, size;
};

static void put(struct octets *o, const void *data, size_t n)
{
    if (o->len + n > o->size) {
        o->size = (o->len + n) * 2;
        o->p = realloc(o->p, o->size);
        if (o->p == NULL)
            abort();
    }
    if (n > 0)
        memcpy(o->p + o->len, data, n);
    o->len += n;
}

static void put_byte(struct octets *o, unsigned c)
{
    put(o, &(uint8_t){(uint8_t)c}, 1);
}

static bool same(const struct octets *a, const struct octets *b)
{
    return a->len == b->len && (a->len == 0 || !memcmp(a->p, b->p, a->len));
}

/* ------------------------------------------------------------- blocks --- */

enum action { FEED, FEED_EOF, SEND, SEND_CLOSE };

struct step {
    enum action action;
    unsigned code; /* opcode of SEND, code of SEND_CLOSE */
    struct octets octets;
};

struct block {
    char *name;
    wsk_limits limits;
    wsk_ws_deflate deflate; /* server_bits 0: not agreed */
    struct step steps[64];
    size_t n_steps;
    struct octets events; /* as log_event() writes them */
    struct octets out;
};

static struct block *blocks;
static size_t n_blocks;

static void bad_line(const char *line)
{
    printf("tests/vectors/ws.md: cannot read: %s\n", line);
    exit(2);
}

static unsigned hex_pair(const char *s)
{
    char pair[3] = {s[0], s[0] ? s[1] : '\0', '\0'};

    if (!isxdigit((unsigned char)pair[0]) || !isxdigit((unsigned char)pair[1]))
        bad_line(s);
    return (unsigned)strtoul(pair, NULL, 16);
}

/* Read OCTETS as ws.md describes them. */
static void read_octets(const char *s, struct octets *o)
{
    size_t masked_from = SIZE_MAX, word = 0; /* where these begin in o */

    while (*s != '\0') {
        if (*s == ' ') {
            s++;
        } else if (*s == '*') {
            unsigned long times = strtoul(s + 1, (char **)&s, 10);
            size_t n = o->len - word;
            struct octets once = {0};

            put(&once, o->p + word, n);
            while (--times > 0)
                put(o, once.p, n);
            free(once.p);
        } else if (*s == '/') {
            s++;
            for (int i = 0; i < 4; i++, s += 2)
                put_byte(o, hex_pair(s));
            masked_from = o->len;
        } else if (*s == '"') {
            const char *end = strchr(s + 1, '"');

            word = o->len;
            if (end == NULL)
                bad_line(s);
            put(o, s + 1, (size_t)(end - s - 1));
            s = end + 1;
        } else {
            word = o->len;
            put_byte(o, hex_pair(s));
            s += 2;
        }
    }
    for (size_t i = masked_from; i < o->len; i++)
        o->p[i] ^= o->p[masked_from - 4 + (i - masked_from) % 4];
}

/* If `line` begins with `word`: what follows. */
static const char *after(const char *line, const char *word)
{
    size_t n = strlen(word);

    return strncmp(line, word, n) == 0 && (line[n] == ' ' || line[n] == '\0')
               ? line + n
               : NULL;
}

static void log_event(struct octets *log, unsigned kind, unsigned opcode,
                      unsigned code, bool clean, const void *data, size_t len)
{
    uint32_t size = (uint32_t)len;

    put_byte(log, kind);
    put_byte(log, opcode);
    put_byte(log, code >> 8);
    put_byte(log, code & 0xff);
    put_byte(log, clean);
    put(log, &size, 4);
    put(log, data, len);
}

static bool read_event(struct block *b, const char *line)
{
    static const struct {
        const char *word;
        wsk_ws_event_kind kind;
        wsk_opcode opcode;
    } words[] = {
        {"message text", WSK_WS_MESSAGE, WSK_TEXT},
        {"message binary", WSK_WS_MESSAGE, WSK_BINARY},
        {"ping", WSK_WS_PING, WSK_PING},
        {"pong", WSK_WS_PONG, WSK_PONG},
        {"closed", WSK_WS_CLOSED, WSK_CLOSE},
    };

    for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
        const char *rest = after(line, words[i].word);
        struct octets data = {0};
        unsigned code = 0;
        bool clean = false;

        if (rest == NULL)
            continue;
        if (words[i].kind == WSK_WS_CLOSED) {
            code = (unsigned)strtoul(rest, (char **)&rest, 10);
            clean = after(rest, " clean") != NULL;
            rest += clean ? strlen(" clean") : 0;
        }
        read_octets(rest, &data);
        log_event(&b->events, words[i].kind, words[i].opcode, code, clean,
                  data.p, data.len);
        free(data.p);
        return true;
    }
    return false;
}

static bool read_step(struct block *b, const char *line)
{
    static const struct {
        const char *word;
        enum action action;
        unsigned code;
    } words[] = {
        {"<", FEED, 0},
        {"eof", FEED_EOF, 0},
        {"send text", SEND, WSK_TEXT},
        {"send binary", SEND, WSK_BINARY},
        {"send ping", SEND, WSK_PING},
        {"send pong", SEND, WSK_PONG},
        {"send close", SEND_CLOSE, 0},
    };

    for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
        const char *rest = after(line, words[i].word);
        struct step *step = &b->steps[b->n_steps];

        if (rest == NULL)
            continue;
        step->action = words[i].action;
        step->code = words[i].code;
        if (step->action == SEND_CLOSE)
            step->code = (unsigned)strtoul(rest, (char **)&rest, 10);
        read_octets(rest, &step->octets);
        b->n_steps++;
        return true;
    }
    return false;
}

static void read_line(struct block *b, const char *line)
{
    const char *rest;

    if ((rest = after(line, "limit")) != NULL)
        b->limits.ws_max_size = strtoull(rest, NULL, 10);
    else if ((rest = after(line, "deflate")) != NULL)
        b->deflate = (wsk_ws_deflate){
            .server_bits = 15, .client_takeover = after(rest, " takeover")};
    else if ((rest = after(line, ">")) != NULL)
        read_octets(rest, &b->out);
    else if (!read_step(b, line) && !read_event(b, line))
        bad_line(line);
}

/* The vectors lie beside the folder of this file. */
static FILE *open_vectors(void)
{
    char path[4096] = __FILE__;
    char *slash = strrchr(path, '/');
    FILE *file;

    strcpy(slash ? slash + 1 : path, "../vectors/ws.md");
    file = fopen(path, "r");
    if (file == NULL) {
        perror(path);
        exit(2);
    }
    return file;
}

static void begin_block(const char *name)
{
    blocks = realloc(blocks, (n_blocks + 1) * sizeof(*blocks));
    if (blocks == NULL)
        abort();
    blocks[n_blocks] =
        (struct block){.name = (char *)exact(name, strlen(name) + 1)};
    wsk_limits_init(&blocks[n_blocks++].limits);
}

__attribute__((constructor)) static void read_vectors(void)
{
    FILE *file = open_vectors();
    char line[4096];
    bool inside = false;

    while (fgets(line, sizeof(line), file) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        if (after(line, "###") != NULL)
            begin_block(line + 4);
        else if (strcmp(line, "```") == 0)
            inside = !inside;
        else if (inside)
            read_line(&blocks[n_blocks - 1], line);
    }
    fclose(file);
}

__attribute__((destructor)) static void free_vectors(void)
{
    for (size_t i = 0; i < n_blocks; i++) {
        for (size_t s = 0; s < blocks[i].n_steps; s++)
            free(blocks[i].steps[s].octets.p);
        free(blocks[i].name);
        free(blocks[i].events.p);
        free(blocks[i].out.p);
    }
    free(blocks);
}

/* --------------------------------------------------------------- runs --- */

struct run {
    wsk_ws *ws;
    struct octets events;
    bool stuck;
};

static void drain(struct run *r)
{
    wsk_ws_event ev;

    while ((ev = wsk_ws_next(r->ws)).kind != WSK_WS_NONE)
        log_event(&r->events, ev.kind, ev.opcode, ev.code, ev.clean, ev.data,
                  ev.len);
}

/* Hand over p[0..n) in a block of exactly its size, trying again when memory
 * is out. */
static void feed(struct run *r, const uint8_t *p, size_t n)
{
    uint8_t *piece = exact(p, n);
    size_t at = 0;

    while (at < n) {
        size_t used, logged = r->events.len;
        wsk_status st = wsk_ws_feed(r->ws, piece + at, n - at, &used);

        at += used;
        drain(r);
        if (st == WSK_E_STATE)
            break;
        if (st == WSK_OK && used == 0 && r->events.len == logged) {
            r->stuck = true;
            break;
        }
    }
    free(piece);
}

static void act(struct run *r, const struct step *step)
{
    const struct octets *o = &step->octets;
    uint8_t *data = exact(o->p, o->len);
    wsk_opcode opcode = (wsk_opcode)step->code;
    wsk_status st = WSK_OK;

    do {
        if (step->action == FEED_EOF)
            wsk_ws_feed_eof(r->ws);
        else if (step->action == SEND_CLOSE)
            st = wsk_ws_send_close(r->ws, (uint16_t)step->code, data, o->len);
        else if (opcode == WSK_TEXT || opcode == WSK_BINARY)
            st = wsk_ws_send_message(r->ws, opcode, data, o->len);
        else
            st = wsk_ws_send_frame(r->ws, opcode, true, data, o->len);
    } while (st == WSK_E_NOMEM);
    drain(r);
    free(data);
}

static wsk_ws *new_engine(const struct block *b)
{
    wsk_ws *ws = wsk_ws_new_server(&b->limits);

    if (ws != NULL && b->deflate.server_bits != 0)
        EXPECT(wsk_ws_set_deflate(ws, &b->deflate) == WSK_OK);
    return ws;
}

static struct run run(const struct block *b, size_t first, size_t rest)
{
    struct run r = {0};

    while ((r.ws = new_engine(b)) == NULL)
        ;
    for (size_t i = 0; i < b->n_steps; i++) {
        const struct step *step = &b->steps[i];
        size_t n = first;

        if (step->action != FEED) {
            act(&r, step);
            continue;
        }
        for (size_t at = 0; at < step->octets.len; at += n, n = rest) {
            if (n > step->octets.len - at)
                n = step->octets.len - at;
            feed(&r, step->octets.p + at, n);
        }
    }
    return r;
}

static void end(struct run *r)
{
    wsk_ws_free(r->ws);
    free(r->events.p);
}

/* Run in pieces of `first` octets, then `rest`, and compare. */
static void expect_as_written(const struct block *b, size_t first, size_t rest)
{
    struct run r = run(b, first, rest);
    struct octets out = {0};
    size_t len;
    const uint8_t *data = wsk_ws_out_buf(r.ws, &len);
    bool good;

    put(&out, data, len);
    good = !r.stuck && same(&r.events, &b->events) && same(&out, &b->out);
    if (!good)
        printf("in pieces of %zu, then %zu: %s\n", first, rest, b->name);
    EXPECT(good);
    free(out.p);
    end(&r);
}

TEST(every_block_holds_when_it_comes_whole)
{
    EXPECT(n_blocks > 110);
    for (size_t i = 0; i < n_blocks; i++)
        expect_as_written(&blocks[i], SIZE_MAX, 1);
}

TEST(every_block_holds_octet_by_octet)
{
    for (size_t i = 0; i < n_blocks; i++)
        expect_as_written(&blocks[i], 1, 1);
}

TEST(every_block_holds_in_any_two_pieces)
{
    for (size_t i = 0; i < n_blocks; i++) {
        size_t longest = 0;

        for (size_t s = 0; s < blocks[i].n_steps; s++)
            if (blocks[i].steps[s].octets.len > longest)
                longest = blocks[i].steps[s].octets.len;
        for (size_t cut = 1; cut < longest && cut < 200; cut++)
            expect_as_written(&blocks[i], cut, SIZE_MAX);
    }
}

TEST(every_block_holds_in_pieces_of_odd_sizes)
{
    static const size_t sizes[] = {2, 3, 7, 13, 64, 1000};

    for (size_t i = 0; i < n_blocks; i++)
        for (size_t s = 0; s < sizeof(sizes) / sizeof(*sizes); s++)
            expect_as_written(&blocks[i], sizes[s], sizes[s]);
}

/* ------------------------------------------------------- out of memory --- */

static long allowed;  /* allocations until the next one fails */
static bool recovers; /* only one fails */

static int gate(void)
{
    if (allowed-- > 0)
        return 1;
    return allowed < -1 && recovers;
}

/* The length of the server's frame at p. */
static size_t frame_len(const uint8_t *p)
{
    if (p[1] == 126)
        return 4 + (size_t)(p[2] << 8 | p[3]);
    return 2 + (size_t)p[1];
}

/* True if `out` is `want` with some frames left out. */
static bool has_frames_of(const uint8_t *out, size_t len,
                          const struct octets *want)
{
    size_t at = 0;

    while (len > 0) {
        size_t n = frame_len(out);

        while (at < want->len &&
               (n > want->len - at || memcmp(want->p + at, out, n) != 0))
            at += frame_len(want->p + at);
        if (at >= want->len)
            return false;
        at += n;
        out += n;
        len -= n;
    }
    return true;
}

/* In a log of events: as if no close had been clean. */
static void forget_clean(struct octets *log)
{
    uint32_t len;

    for (size_t at = 0; at < log->len; at += 9 + len) {
        memcpy(&len, log->p + at + 5, 4);
        log->p[at + 4] = 0;
    }
}

/* A single failure costs at most the frame it was to hold: the events are the
 * same, but for a Close that could not be answered. */
TEST(every_block_holds_when_one_allocation_fails)
{
    for (size_t i = 0; i < n_blocks; i++) {
        struct block *b = &blocks[i];
        struct octets want = {0};

        put(&want, b->events.p, b->events.len);
        forget_clean(&want);
        recovers = true;
        for (long nth = 0;; nth++) {
            struct run r;
            size_t len;
            const uint8_t *out;
            bool good;

            allowed = nth;
            wsk__mem_set_gate(gate);
            r = run(b, SIZE_MAX, 1);
            wsk__mem_set_gate(NULL);
            forget_clean(&r.events);
            out = wsk_ws_out_buf(r.ws, &len);
            good = !r.stuck && same(&r.events, &want) &&
                   has_frames_of(out, len, &b->out);
            if (!good)
                printf("without allocation %ld: %s\n", nth, b->name);
            EXPECT(good);
            end(&r);
            if (allowed >= 0)
                break;
        }
        free(want.p);
    }
}

/* Feed until the first refusal; what counts is that nothing breaks or leaks. */
static void feed_until_refused(const struct block *b)
{
    wsk_ws *ws = new_engine(b);

    for (size_t i = 0; ws != NULL && i < b->n_steps; i++) {
        const struct octets *o = &b->steps[i].octets;
        wsk_status st = WSK_OK;
        size_t used;

        for (size_t at = 0; st == WSK_OK && at < o->len; at += used) {
            st = wsk_ws_feed(ws, o->p + at, o->len - at, &used);
            while (wsk_ws_next(ws).kind != WSK_WS_NONE)
                ;
        }
    }
    wsk_ws_free(ws);
}

TEST(memory_that_stays_out_breaks_nothing)
{
    recovers = false;
    for (size_t i = 0; i < n_blocks; i++)
        for (long nth = 0; nth < 8; nth++) {
            allowed = nth;
            wsk__mem_set_gate(gate);
            feed_until_refused(&blocks[i]);
            wsk__mem_set_gate(NULL);
        }
}
