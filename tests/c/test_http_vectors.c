/* tests/vectors/http.md against the engine: each block whole, in every pair of
 * pieces, octet by octet, and with each allocation failing; for an engine that
 * stands alone and for one that a server embeds. */
#include "harness.h"

#include "base/mem.h"
#include "http/conn.h"
#include "wsocket.h"

#include <ctype.h>

/* --------------------------------------------------------------- text --- */

struct text {
    char *p;
    size_t len, size;
};

static void put(struct text *t, const void *data, size_t n)
{
    if (t->len + n > t->size) {
        t->size = (t->len + n) * 2;
        t->p = realloc(t->p, t->size);
        if (t->p == NULL)
            abort();
    }
    if (n > 0)
        memcpy(t->p + t->len, data, n);
    t->len += n;
}

static void puts_to(struct text *t, const char *s)
{
    put(t, s, strlen(s));
}

/* As the vectors write octets; what is long as its length. */
static void put_escaped(struct text *t, const void *data, size_t len)
{
    const unsigned char *p = data;
    char number[32];

    if (len > 64) {
        snprintf(number, sizeof number, "(%zu octets)", len);
        puts_to(t, number);
        return;
    }
    for (size_t i = 0; i < len; i++) {
        bool plain = p[i] >= 0x20 && p[i] < 0x7f && p[i] != '\\';

        snprintf(number, sizeof number, plain ? "%c" : "\\x%02x", p[i]);
        puts_to(t, number);
    }
}

static void put_view(struct text *t, const char *label, wsk_str s)
{
    puts_to(t, label);
    put_escaped(t, s.p, s.len);
}

static bool same(const struct text *a, const struct text *b)
{
    return a->len == b->len && (a->len == 0 || !memcmp(a->p, b->p, a->len));
}

/* ------------------------------------------------------------- blocks --- */

struct block {
    char name[128];
    wsk_server_config cfg;
    struct text input;
    bool eof, fields;
    struct text log;
};

static struct block *blocks;
static size_t n_blocks;

static void bad_line(const char *line)
{
    printf("tests/vectors/http.md: cannot read: %s\n", line);
    exit(2);
}

static const char *read_escape(const char *s, struct text *to)
{
    static const char FROM[] = "rnt0\\", TO[] = "\r\n\t\0\\";
    const char *found = *s != '\0' ? strchr(FROM, *s) : NULL;
    char hex[3] = {0};

    if (found != NULL) {
        put(to, TO + (found - FROM), 1);
        return s + 1;
    }
    if (*s != 'x' || !isxdigit((unsigned char)s[1]))
        bad_line(s);
    memcpy(hex, s + 1, 2);
    put(to, &(char){(char)strtoul(hex, NULL, 16)}, 1);
    return s + 3;
}

/* Text up to a '}' or the end, with its escapes and repetitions undone. */
static const char *read_text(const char *s, struct text *to)
{
    while (*s != '\0' && *s != '}') {
        if (*s == '\\') {
            s = read_escape(s + 1, to);
        } else if (*s == '{') {
            unsigned long times = strtoul(s + 1, (char **)&s, 10);
            struct text once = {0};

            if (*s != '*')
                bad_line(s);
            s = read_text(s + 1, &once);
            if (*s++ != '}')
                bad_line(s);
            while (times-- > 0)
                put(to, once.p, once.len);
            free(once.p);
        } else {
            put(to, s++, 1);
        }
    }
    return s;
}

static void read_limit(struct block *b, const char *line)
{
    char name[64], value[64], error[160];

    if (sscanf(line, "limit %63s %63s", name, value) != 2 ||
        wsk_config_set(&b->cfg, name, value, error) != WSK_OK)
        bad_line(line);
}

static void read_line(struct block *b, const char *line)
{
    if (line[0] == '<' || line[0] == '|') {
        if (*read_text(line[1] ? line + 2 : line + 1, &b->input) != '\0')
            bad_line(line);
        if (line[0] == '|')
            puts_to(&b->input, "\r\n");
    } else if (strcmp(line, "eof") == 0) {
        b->eof = true;
    } else if (strcmp(line, "fields") == 0) {
        b->fields = true;
    } else if (strncmp(line, "limit ", 6) == 0) {
        read_limit(b, line);
    } else {
        puts_to(&b->log, line);
        puts_to(&b->log, "\n");
    }
}

/* The vectors lie beside the folder of this file. */
static FILE *open_vectors(void)
{
    char path[4096] = __FILE__;
    char *slash = strrchr(path, '/');
    FILE *file;

    strcpy(slash ? slash + 1 : path, "../vectors/http.md");
    file = fopen(path, "r");
    if (file == NULL) {
        perror(path);
        exit(2);
    }
    return file;
}

__attribute__((constructor)) static void read_vectors(void)
{
    FILE *file = open_vectors();
    char line[4096], name[128] = "";
    bool inside = false;

    while (fgets(line, sizeof line, file) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        if (strncmp(line, "### ", 4) == 0) {
            snprintf(name, sizeof name, "%.127s", line + 4);
        } else if (strcmp(line, "```") == 0) {
            inside = !inside;
            if (!inside)
                continue;
            blocks = realloc(blocks, (n_blocks + 1) * sizeof *blocks);
            if (blocks == NULL)
                abort();
            blocks[n_blocks] = (struct block){0};
            strcpy(blocks[n_blocks].name, name);
            wsk_config_init(&blocks[n_blocks++].cfg);
        } else if (inside) {
            read_line(&blocks[n_blocks - 1], line);
        }
    }
    fclose(file);
}

__attribute__((destructor)) static void free_vectors(void)
{
    for (size_t i = 0; i < n_blocks; i++) {
        free(blocks[i].input.p);
        free(blocks[i].log.p);
    }
    free(blocks);
}

/* --------------------------------------------------------------- runs --- */

struct run {
    const struct block *block;
    struct wsk_http *http;
    struct wsk_http embedded;
    struct wsk__head_store *store; /* lent to an embedded engine */
    const wsk_head *head;
    struct text log;
    struct text data; /* of the body so far */
    struct text seen; /* the line of the open head */
    bool refused;     /* the last octets sent are a refusal */
    bool stuck;
};

static void put_head(struct text *t, const wsk_head *head)
{
    char number[32];

    put_view(t, "head ", head->method);
    put_view(t, " ", head->target);
    if (head->path.len != head->target.len)
        put_view(t, " path=", head->path);
    if (head->query.len > 0)
        put_view(t, " query=", head->query);
    put_view(t, " host=", head->host);
    puts_to(t, head->http10 ? " 1.0" : "");
    snprintf(number, sizeof number, " length=%llu",
             (unsigned long long)head->content_length);
    puts_to(t, head->has_length ? number : "");
    puts_to(t, head->chunked ? " chunked" : "");
    puts_to(t, head->keep_alive ? "" : " close");
    puts_to(t, head->expect_continue ? " continue" : "");
    puts_to(t, head->websocket ? " websocket" : "");
    puts_to(t, "\n");
}

static void put_fields(struct text *t, const wsk_head *head)
{
    for (size_t i = 0; i < head->n_headers; i++) {
        put_view(t, "field ", head->headers[i].name);
        put_view(t, "=", head->headers[i].value);
        puts_to(t, "\n");
    }
}

/* Body data is told in one piece, however it came. */
static void flush_data(struct run *r)
{
    if (r->data.len == 0)
        return;
    puts_to(&r->log, "data ");
    put_escaped(&r->log, r->data.p, r->data.len);
    puts_to(&r->log, "\n");
    r->data.len = 0;
}

static void on_head(struct run *r, const wsk_head *head)
{
    put_head(&r->log, head);
    if (r->block->fields)
        put_fields(&r->log, head);
    r->seen.len = 0;
    put_head(&r->seen, head);
    put_fields(&r->seen, head);
    r->head = head;
    if (r->store == NULL)
        return;
    while (wsk__http_keep_head(r->http) == WSK_E_NOMEM)
        ;
    r->head = wsk__http_head(r->http);
}

/* The answer to every complete request: nothing. */
static void on_end(struct run *r)
{
    struct text now = {0};
    wsk_status st;

    put_head(&now, r->head);
    put_fields(&now, r->head);
    EXPECT(same(&now, &r->seen));
    free(now.p);
    do
        st = wsk_http_send_head(r->http, 204, NULL, NULL, 0, 0);
    while (st == WSK_E_NOMEM);
    EXPECT(st == WSK_OK);
    EXPECT(wsk_http_send_end(r->http) == WSK_OK);
    if (r->store != NULL)
        wsk__http_release(r->http);
}

static void on_failed(struct run *r, int status)
{
    char line[32];
    size_t len;
    const uint8_t *out = wsk_http_out_buf(r->http, &len);

    snprintf(line, sizeof line, "HTTP/1.1 %d ", status);
    r->refused = out != NULL && len > strlen(line) &&
                 memcmp(out, line, strlen(line)) == 0;
    snprintf(line, sizeof line, "failed %d\n", status);
    puts_to(&r->log, line);
    EXPECT(wsk_http_done(r->http));
}

static void on_event(struct run *r, const wsk_http_event *ev)
{
    size_t len;

    if (ev->kind == WSK_HTTP_DATA) {
        put(&r->data, ev->data, ev->len);
        return;
    }
    flush_data(r);
    switch (ev->kind) {
    case WSK_HTTP_HEAD:
        on_head(r, ev->head);
        break;
    case WSK_HTTP_END:
        puts_to(&r->log, "end\n");
        on_end(r);
        wsk_http_out_buf(r->http, &len);
        wsk_http_out_ack(r->http, len);
        break;
    case WSK_HTTP_FAILED:
        on_failed(r, ev->status);
        break;
    case WSK_HTTP_DATA:
    case WSK_HTTP_NONE:
        break;
    }
}

/* Returns how many events there were. */
static size_t take_events(struct run *r)
{
    wsk_http_event ev;
    size_t n = 0;

    for (; (ev = wsk_http_next(r->http)).kind != WSK_HTTP_NONE; n++)
        on_event(r, &ev);
    return n;
}

/* Lend a store, before octets come, that is full of another request's head. */
static void lend(struct run *r)
{
    size_t cap = r->store->cap;

    memset(r->store->fields, 0xa5, cap * sizeof r->store->fields[0]);
    memset(&r->store->head, 0xa5, sizeof r->store->head);
    wsk__http_lend(r->http, r->store);
}

/* Hand over p[0..n) in a block of exactly its size. */
static void feed(struct run *r, const char *p, size_t n)
{
    uint8_t *piece = exact(p, n);
    size_t at = 0;

    while (at < n && !r->stuck && !wsk_http_done(r->http)) {
        size_t used, told;
        wsk_status st;

        if (r->store != NULL)
            lend(r);
        st = wsk_http_feed(r->http, piece + at, n - at, &used);
        at += used;
        told = take_events(r);
        r->stuck = st == WSK_E_STATE ||
                   (st == WSK_OK && used == 0 && told == 0);
    }
    free(piece);
}

static void start(struct run *r, const struct block *b, bool embedded)
{
    const wsk_limits *limits = &b->cfg.limits;

    *r = (struct run){.block = b};
    if (!embedded) {
        while ((r->http = wsk_http_new(limits)) == NULL)
            ;
        return;
    }
    while ((r->store = wsk__head_store_new(limits)) == NULL)
        ;
    r->http = &r->embedded;
    wsk__http_init(r->http, limits);
}

static void run(struct run *r, size_t first, size_t rest)
{
    const struct text *in = &r->block->input;
    size_t n = first;

    for (size_t at = 0; at < in->len; at += n, n = rest) {
        if (n > in->len - at)
            n = in->len - at;
        feed(r, in->p + at, n);
    }
    if (r->block->eof) {
        wsk_http_feed_eof(r->http);
        take_events(r);
    }
    flush_data(r);
    if (wsk_http_done(r->http))
        puts_to(&r->log, "over\n");
}

static void stop(struct run *r)
{
    if (r->store == NULL)
        wsk_http_free(r->http);
    else
        wsk__http_clear(r->http);
    wsk__free(r->store);
    free(r->log.p);
    free(r->data.p);
    free(r->seen.p);
}

/* Run in pieces of `first` octets, then `rest`, and compare. */
static void expect_as_written(const struct block *b, size_t first, size_t rest)
{
    for (int embedded = 0; embedded < 2; embedded++) {
        struct run r;
        bool good;

        start(&r, b, embedded);
        run(&r, first, rest);
        good = !r.stuck && same(&r.log, &b->log) &&
               r.refused == (memmem(b->log.p, b->log.len, "failed", 6) != NULL);
        if (!good)
            printf("in pieces of %zu, then %zu%s: %s\n%.*s", first, rest,
                   embedded ? ", embedded" : "", b->name, (int)r.log.len,
                   r.log.p ? r.log.p : "");
        EXPECT(good);
        stop(&r);
    }
}

TEST(every_block_holds_when_it_comes_whole)
{
    EXPECT(n_blocks > 100);
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
    for (size_t i = 0; i < n_blocks; i++)
        for (size_t cut = 1; cut < blocks[i].input.len && cut < 300; cut++)
            expect_as_written(&blocks[i], cut, SIZE_MAX);
}

TEST(every_block_holds_in_pieces_of_odd_sizes)
{
    static const size_t sizes[] = {2, 3, 7, 13, 64, 1000, 5000};

    for (size_t i = 0; i < n_blocks; i++)
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
            expect_as_written(&blocks[i], sizes[s], sizes[s]);
}

/* ------------------------------------------------------- out of memory --- */

static long allowed; /* allocations until the next one fails */

static int gate(void)
{
    return allowed-- != 0;
}

/* A caller that tries again loses nothing; but a refusal is not tried again. */
static void expect_without(const struct block *b, size_t piece)
{
    for (long nth = 0;; nth++) {
        struct run r;
        bool good;

        for (int embedded = 0; embedded < 2; embedded++) {
            allowed = nth;
            wsk__mem_set_gate(gate);
            start(&r, b, embedded);
            run(&r, piece, piece);
            wsk__mem_set_gate(NULL);
            good = !r.stuck && same(&r.log, &b->log);
            if (!good)
                printf("without allocation %ld: %s\n", nth, b->name);
            EXPECT(good);
            stop(&r);
        }
        if (allowed >= 0)
            return;
    }
}

TEST(every_block_holds_when_one_allocation_fails)
{
    for (size_t i = 0; i < n_blocks; i++) {
        expect_without(&blocks[i], SIZE_MAX);
        expect_without(&blocks[i], 50);
    }
}
