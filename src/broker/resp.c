#include "broker/resp.h"

#include "base/mem.h"

#include <string.h>

#ifdef WSK_REDIS

#include <hiredis/hiredis.h>
#include <hiredis/read.h>

enum {
    ELEMENTS_MAX = 1 << 16,
    SLACK = 65536, /* bytes that one feed may bring beyond `max` */
};

#if HIREDIS_MAJOR >= 1
typedef size_t elements;
#else
typedef int elements;
#endif

/* A text lies in `texts`, whose block may move until the reply is complete. */
struct wsk__resp {
    redisReader *reader;
    size_t max, fed; /* bytes since the last reply was complete */
    struct wsk__buf texts;
    struct wsk__reply reply; /* the one that is read now */
    const char *why;         /* NULL: nothing has failed */
};

/* Return the item that the reader fills; NULL: it lies too deep, or is one too
 * many. */
static struct wsk__reply_item *item_of(const redisReadTask *task)
{
    struct wsk__resp *resp = task->privdata;

    if (task->parent == NULL)
        return &resp->reply.self;
    if (task->parent->parent != NULL || task->idx >= WSK__REPLY_ITEMS)
        return NULL;
    if (resp->reply.n <= (size_t)task->idx)
        resp->reply.n = (size_t)task->idx + 1;
    return &resp->reply.items[task->idx];
}

static void *take_text(const redisReadTask *task, char *p, size_t len)
{
    struct wsk__resp *resp = task->privdata;
    struct wsk__reply_item *item = item_of(task);

    if (item == NULL)
        return resp;
    /* For now `number` is where the text begins. */
    item->number = (int64_t)wsk__buf_len(&resp->texts);
    item->text = (wsk_str){NULL, len};
    item->kind = task->type == REDIS_REPLY_ERROR    ? WSK__REPLY_ERROR
                 : task->type == REDIS_REPLY_STATUS ? WSK__REPLY_STATUS
                                                    : WSK__REPLY_TEXT;
    return wsk__buf_put(&resp->texts, p, len) ? resp : NULL;
}

static void *take_array(const redisReadTask *task, elements n)
{
    struct wsk__reply_item *item = item_of(task);

    if (n > ELEMENTS_MAX)
        return NULL;
    if (item != NULL)
        *item =
            (struct wsk__reply_item){WSK__REPLY_ARRAY, .number = (int64_t)n};
    return task->privdata;
}

static void *take_number(const redisReadTask *task, long long n)
{
    struct wsk__reply_item *item = item_of(task);

    if (item != NULL)
        *item = (struct wsk__reply_item){WSK__REPLY_NUMBER, .number = n};
    return task->privdata;
}

static void *take_nil(const redisReadTask *task)
{
    struct wsk__reply_item *item = item_of(task);

    if (item != NULL)
        *item = (struct wsk__reply_item){.kind = WSK__REPLY_NIL};
    return task->privdata;
}

static void drop(void *reply)
{
    (void)reply; /* a reply is the reader's own */
}

bool wsk__resp_is_there(void)
{
    return true;
}

struct wsk__resp *wsk__resp_new(size_t max)
{
    static redisReplyObjectFunctions take = {
        .createString = take_text,
        .createArray = take_array,
        .createInteger = take_number,
        .createNil = take_nil,
        .freeObject = drop,
    };
    struct wsk__resp *resp = wsk__calloc(sizeof(*resp));

    if (resp == NULL)
        return NULL;
    resp->reader = redisReaderCreateWithFunctions(&take);
    if (resp->reader == NULL) {
        wsk__free(resp);
        return NULL;
    }
    resp->reader->privdata = resp;
    resp->max = max;
    wsk__buf_init(&resp->texts, max + SLACK);
    return resp;
}

void wsk__resp_free(struct wsk__resp *resp)
{
    if (resp == NULL)
        return;
    redisReaderFree(resp->reader);
    wsk__buf_free(&resp->texts);
    wsk__free(resp);
}

bool wsk__resp_feed(struct wsk__resp *resp, const void *data, size_t len)
{
    resp->fed += len;
    return redisReaderFeed(resp->reader, data, len) == REDIS_OK;
}

/* Let the texts point at where they lie. */
static void place(struct wsk__resp *resp, struct wsk__reply_item *item)
{
    if (item->kind > WSK__REPLY_ERROR)
        return;
    item->text.p = item->text.len > 0
                       ? (char *)wsk__buf_data(&resp->texts) + item->number
                       : "";
    item->number = 0;
}

enum wsk__resp_got wsk__resp_next(struct wsk__resp *resp,
                                  struct wsk__reply *reply, const char **why)
{
    void *root = NULL;

    if (resp->why == NULL &&
        redisReaderGetReply(resp->reader, &root) != REDIS_OK)
        resp->why = resp->reader->err == REDIS_ERR_OOM
                        ? "a reply of Redis needs more memory than there is"
                        : "what came is not the protocol of Redis";
    if (resp->why == NULL && root == NULL && resp->fed > resp->max)
        resp->why = "a reply of Redis is longer than topic_message_max";
    if (resp->why != NULL) {
        *why = resp->why;
        return WSK__RESP_BAD;
    }
    if (root == NULL)
        return WSK__RESP_MORE;
    place(resp, &resp->reply.self);
    for (size_t i = 0; i < resp->reply.n; i++)
        place(resp, &resp->reply.items[i]);
    *reply = resp->reply;
    resp->reply = (struct wsk__reply){0};
    /* The rest in the reader belongs to replies to come. */
    resp->fed = resp->reader->len - resp->reader->pos;
    wsk__buf_ack(&resp->texts, wsk__buf_len(&resp->texts));
    return WSK__RESP_REPLY;
}

bool wsk__resp_write(struct wsk__buf *to, const wsk_str *words, size_t n)
{
    const char *argv[WSK__RESP_WORDS];
    size_t lens[WSK__RESP_WORDS];
    char *text = NULL;
    bool put;
    long long len; /* hiredis before 1.0 returns an int */

    for (size_t i = 0; i < n; i++) {
        argv[i] = words[i].p;
        lens[i] = words[i].len;
    }
    len = redisFormatCommandArgv(&text, (int)n, argv, lens);
    if (len < 0)
        return false;
    put = wsk__buf_put(to, text, (size_t)len);
    redisFreeCommand(text);
    return put;
}

#define TEXT_OF(name) TEXT(name)
#define TEXT(name) #name

const char *wsk__resp_library(void)
{
    return "hiredis " TEXT_OF(HIREDIS_MAJOR) "." TEXT_OF(
        HIREDIS_MINOR) "." TEXT_OF(HIREDIS_PATCH);
}

#else

const char *wsk__resp_library(void)
{
    return "no Redis";
}

bool wsk__resp_is_there(void)
{
    return false;
}

struct wsk__resp *wsk__resp_new(size_t max)
{
    (void)max;
    return NULL;
}

void wsk__resp_free(struct wsk__resp *resp)
{
    (void)resp;
}

bool wsk__resp_feed(struct wsk__resp *resp, const void *data, size_t len)
{
    (void)resp, (void)data, (void)len;
    return false;
}

enum wsk__resp_got wsk__resp_next(struct wsk__resp *resp,
                                  struct wsk__reply *reply, const char **why)
{
    (void)resp, (void)reply;
    *why = "this build has no Redis";
    return WSK__RESP_BAD;
}

bool wsk__resp_write(struct wsk__buf *to, const wsk_str *words, size_t n)
{
    (void)to, (void)words, (void)n;
    return false;
}

#endif
