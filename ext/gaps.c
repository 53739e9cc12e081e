#include "gaps.h"

#include "topic_names.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char ext_next_gap_doc[] =
    "next_gap($module)\n--\n\n"
    "Wait until something may have been missed, and return the topics.\n\n"
    ">>> wsocket._wsocket.next_gap()\n"
    "('orders',)";

enum { NAMES_MAX = 1 << 20 }; /* bytes; past it a gap is of all topics */

/* The gaps that no call of next_gap() has returned yet, as one. */
static struct gaps {
    long pid; /* of whom; in a forked child the lock may be held for ever */
    pthread_mutex_t lock;
    pthread_cond_t came;
    bool pending, of_all;
    char *names; /* each behind an octet of its length */
    size_t len;
} * current;

/* Return those of this process; NULL: memory is out. The GIL is held. */
static struct gaps *gaps_here(void)
{
    if (current == NULL || current->pid != (long)getpid()) {
        current = calloc(1, sizeof(*current));
        if (current == NULL)
            return NULL;
        current->pid = (long)getpid();
        pthread_mutex_init(&current->lock, NULL);
        pthread_cond_init(&current->came, NULL);
    }
    return current;
}

static void add_name(struct gaps *gaps, wsk_str name)
{
    char *grown = gaps->of_all || gaps->len + name.len >= NAMES_MAX
                      ? NULL
                      : realloc(gaps->names, gaps->len + 1 + name.len);

    if (grown == NULL) {
        gaps->of_all = true;
        return;
    }
    gaps->names = grown;
    grown[gaps->len] = (char)name.len;
    memcpy(grown + gaps->len + 1, name.p, name.len);
    gaps->len += 1 + name.len;
}

static void on_gap(wsk_topics *topics, const wsk_str *names, size_t n,
                   void *user)
{
    struct gaps *gaps = user;

    (void)topics;
    pthread_mutex_lock(&gaps->lock);
    gaps->pending = true;
    gaps->of_all |= n == 0;
    for (size_t i = 0; i < n; i++)
        add_name(gaps, names[i]);
    pthread_cond_signal(&gaps->came);
    pthread_mutex_unlock(&gaps->lock);
}

void ext_gaps_watch(wsk_topics *topics)
{
    struct gaps *gaps = gaps_here();

    if (gaps != NULL)
        wsk_topics_on_gap(topics, on_gap, gaps);
}

static PyObject *tuple_of(const char *names, size_t len)
{
    PyObject *list = PyList_New(0), *name, *tuple;
    int failed = list == NULL ? -1 : 0;

    for (size_t at = 0; at < len && failed == 0;
         at += 1 + (unsigned char)names[at]) {
        name = PyUnicode_DecodeUTF8(names + at + 1, (unsigned char)names[at],
                                    "replace");
        failed = name == NULL ? -1 : PyList_Append(list, name);
        Py_XDECREF(name);
    }
    tuple = failed == 0 ? PyList_AsTuple(list) : NULL;
    Py_XDECREF(list);
    return tuple;
}

/* Return the names of all topics of this process. */
static PyObject *all_topics(wsk_topics *topics)
{
    char *names = NULL;
    size_t n = 0;

    if (topics != NULL && wsk_topics_names(topics, &names, &n) != WSK_OK)
        return PyErr_NoMemory();
    return ext_topic_tuple(names, n);
}

PyObject *ext_next_gap(PyObject *module, PyObject *unused)
{
    struct ext_state *st = PyModule_GetState(module);
    struct gaps *gaps = gaps_here();
    PyObject *tuple;
    char *names;
    size_t len;
    bool of_all;

    (void)unused;
    if (gaps == NULL)
        return PyErr_NoMemory();
    Py_BEGIN_ALLOW_THREADS
    pthread_mutex_lock(&gaps->lock);
    while (!gaps->pending)
        pthread_cond_wait(&gaps->came, &gaps->lock);
    names = gaps->names;
    len = gaps->len;
    of_all = gaps->of_all;
    gaps->names = NULL;
    gaps->len = 0;
    gaps->pending = gaps->of_all = false;
    pthread_mutex_unlock(&gaps->lock);
    Py_END_ALLOW_THREADS
    tuple = of_all ? all_topics(st->topics) : tuple_of(names, len);
    free(names);
    return tuple;
}
