/* base/items: options that are lists, and their items. */
#ifndef WSK_BASE_ITEMS_H
#define WSK_BASE_ITEMS_H

#include "wsocket.h"

/* Size of the option script_name at most, with its NUL. */
enum { WSK__SCRIPT_NAME = 128 };

/* Octets of a path in the option bus at most: sockets in the folder need some
 * more. */
enum { WSK__BUS_FOLDER = 66 };

/*
 * Walk a list option: elements are separated by line ends if there is one, else
 * by commas; white space around them does not count, empty ones are skipped.
 * *pos starts at 0. False at the end; a NULL list is empty.
 */
bool wsk__items_next(const char *list, size_t *pos, wsk_str *item);

/* The same for a list whose elements hold no comma: line ends and commas
 * separate. */
bool wsk__words_next(const char *list, size_t *pos, wsk_str *item);

enum wsk__bind_kind { WSK__BIND_TCP, WSK__BIND_UNIX, WSK__BIND_FD };

/* An address to listen on: "host:port", "[v6]:port", ":port", "unix:path",
 * "unix:path:mode" (octal) or "fd:N". */
struct wsk__bind {
    enum wsk__bind_kind kind;
    wsk_str host;    /* name or address of TCP, without brackets; or the path */
    unsigned number; /* port, mode (0: as umask() leaves it) or descriptor */
};

/* Read "close", "drop" or "latest". */
bool wsk__topic_policy_parse(wsk_str text, wsk_topic_policy *policy);

/* An exception for some topics. */
struct wsk__topic_rule {
    wsk_topic_policy policy; /* WSK_TOPIC_USUAL: not said */
    uint64_t backlog;        /* bytes; 0: not said */
};

/* Read an item of the option topics: a name, or a beginning with * at its end,
 * and words such as policy=drop and backlog=64k behind blanks. */
bool wsk__topic_rule_parse(wsk_str item, wsk_str *pattern,
                           struct wsk__topic_rule *rule);

/* Change in *rule what the first item says that fits the topic. */
void wsk__topic_rule_for(const char *list, wsk_str topic,
                         struct wsk__topic_rule *rule);

/* Longest name or address of TCP, or path of a Unix socket, in bytes. */
enum { WSK__BIND_HOST_MAX = 255 };

bool wsk__bind_parse(wsk_str item, struct wsk__bind *bind);

/* Read "fd:N", an inherited descriptor. False for any other text. */
bool wsk__fd_parse(wsk_str text, int *fd);

/* Split "/url=folder" into the beginning of a path, without a slash at its end,
 * and the folder with its files. */
bool wsk__static_parse(wsk_str item, wsk_str *url, wsk_str *folder);

/* Fields in which a proxy describes its client, a set. */
enum wsk__forwarded_field {
    WSK__FORWARDED = 1, /* RFC 7239 */
    WSK__X_FOR = 2,
    WSK__X_PROTO = 4,
    WSK__X_HOST = 8,
    WSK__X_PORT = 16,
    WSK__X_PREFIX = 32,
};

/* Return the field of that name, in any case; 0: none. */
unsigned wsk__forwarded_field(wsk_str name);

/* Read the set of the option forwarded_fields. False for an unknown name, and
 * for Forwarded beside X-Forwarded fields: a proxy that writes one kind lets
 * the other through, so both cannot be trusted. */
bool wsk__forwarded_fields(const char *list, unsigned *fields);

/* Value of access_logfile until a program sets it, if only to the same text: an
 * array of its own, which the compiler merges with no literal "-". */
extern const char wsk__default_access[];

#endif
