/* topic/publication: one published message, as it leaves, shared by all who
 * still have to get it. */
#ifndef WSK_TOPIC_PUBLICATION_H
#define WSK_TOPIC_PUBLICATION_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

/* Forms of a publication besides the plain one: compressed for the widest
 * window, and for a narrow one. */
enum { WSK__PACKED_WIDE, WSK__PACKED_NARROW, WSK__PACKED };

struct wsk__publication {
    atomic_uint refs;
    uint32_t len;       /* of octets */
    uint64_t seq;       /* place among all of the process; set once, under the
                           locks of its topics' shards */
    const void *except; /* the owner of the subscriber that gets no copy; only
                           compared, for it may be gone */
    struct wsk__publication *packed[WSK__PACKED]; /* owned; or NULL. Fixed once
                                                     it is published */
    uint8_t octets[]; /* frames with their headers */
};

/* Memory that a publication is counted with, besides its octets. */
enum { WSK__PUBLICATION_COST = 64 };

/* Make one with room for `len` octets, and one reference. NULL: memory is out.
 */
struct wsk__publication *wsk__publication_new(size_t len);

static inline struct wsk__publication *
wsk__publication_ref(struct wsk__publication *p)
{
    atomic_fetch_add_explicit(&p->refs, 1, memory_order_relaxed);
    return p;
}

/* Give a reference back; NULL is legal. */
void wsk__publication_unref(struct wsk__publication *p);

/* Return what a topic's log counts for it. */
static inline size_t wsk__publication_cost(const struct wsk__publication *p)
{
    return WSK__PUBLICATION_COST + (size_t)p->len;
}

#endif
