/*
 * What load.c, talk.c and tally.c share: clients, and what is counted.
 */
#ifndef RESTART_LOAD_H
#define RESTART_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    MAX_CLIENTS = 4096,
    HEAD_MAX = 4096,
    PIPELINED = 4,
    HESITATION_MS = 20,
    TICK_MS = 10, /* between two slices of an upload or a slow reader */
    UPLOAD = 65536,
    UPLOAD_SLICE = 1024,
    BIG = 1 << 20,
    READ_SLICE = 16384,
    READ_BUFFER = 16384,
    LETTERS = 23,
    OWN_ADDRESSES = 60000, /* from 127.0.0.2 on */
    END_MS = 10000,        /* for the FIN that must follow an end */
    DOUBT_MS = 1000        /* for the RST that proves a race */
};

/* The kind's name, and how many clients it has by default. */
#define KINDS(X)                                                               \
    X(CONNECT, "connect", 12)                                                  \
    X(HESITATE, "hesitate", 12)                                                \
    X(KEEP, "keep", 12)                                                        \
    X(PAUSE, "pause", 24)                                                      \
    X(PIPELINE, "pipeline", 4)                                                 \
    X(UPLOADER, "upload", 12)                                                  \
    X(READER, "reader", 12)                                                    \
    X(ECHO, "echo", 200)                                                       \
    X(IDLE, "idle", 300)

#define HOWS(X)                                                                \
    X(UNSPOKEN, "unspoken")                                                    \
    X(RESET, "reset")                                                          \
    X(CLOSED, "closed")                                                        \
    X(TRUNCATED, "truncated")                                                  \
    X(TIMEOUT, "timeout")                                                      \
    X(STATUS, "status")                                                        \
    X(WRONG, "wrong")

#define VIOLATIONS(X)                                                          \
    X(V_RESET, "reset")                                                        \
    X(V_CLOSED, "closed")                                                      \
    X(V_STALLED, "stalled")                                                    \
    X(V_WRONG, "wrong")                                                        \
    X(V_NO_CLOSE, "no_close_back")

#define KIND_ENUM(id, name, clients) id,
#define ENUM(id, name) id,

enum kind { KINDS(KIND_ENUM) KIND_COUNT };
enum how { HOWS(ENUM) HOW_COUNT };
enum violation { VIOLATIONS(ENUM) VIOLATION_COUNT };

enum state {
    RESTING, /* no connection; opens one at `due` */
    CONNECTING,
    SILENT,     /* connected, speaks at `due` */
    ASKING,     /* requests are sent or being sent; answers are owed */
    PAUSING,    /* kept alive, asks again at `due` */
    DOUBTFUL,   /* FIN instead of an answer; RST until `due` makes it a race */
    OPEN,       /* a WebSocket; an echo client sends at `due` */
    WS_CLOSING, /* both Close frames are sent; the FIN is owed */
    WS_ASKED,   /* our Close is sent, the server's is owed */
    LEAVING     /* nothing is owed but the FIN */
};

struct client {
    enum kind kind;
    enum state state;
    int fd;
    int64_t opened_at;
    int64_t due;       /* ms; 0: none */
    int64_t limit;     /* ms: what is owed must have come; 0: none */
    uint64_t serial;   /* of the first request of the batch, or the message */
    unsigned asked;    /* requests of the batch */
    unsigned answered; /* of these */
    unsigned served;   /* requests of the batches before, on this connection */
    size_t unsent;     /* octets of the upload that are still to be sent */
    bool crossed;      /* a FIN from before the batch came was here when send()
                          returned */
    bool was_reset;
    bool awaits_echo;
    /* The answer, or frame, that arrives: */
    size_t head_len;
    bool in_body;
    bool is_wrong;
    bool closes; /* Connection: close */
    int status;
    size_t body_len, body_at;
    char head[HEAD_MAX];
};

struct tally {
    unsigned long clients, connected, sent, answered, lost[HOW_COUNT];
    unsigned long race, unprocessed, unavailable, idle_closed, idle_reset;
    unsigned long refused, unconnected, unclosed, late_reset, stray;
};

struct sockets {
    unsigned long opened, messages, echoed, unechoed, closed_by_us;
    unsigned long reset_after_close, no_fin, violations[VIOLATION_COUNT];
    unsigned long codes[5000];
};

/* Settings of the command line. */
struct settings {
    unsigned long seconds, connections, timeout, pause, seed, trace;
};

extern struct settings settings;
extern struct client clients[MAX_CLIENTS];
extern size_t client_count;
extern int64_t now, began;        /* ms of the monotonic clock */
extern unsigned long connections; /* opened so far */
extern bool stopping;             /* open no more, end what is open */

/* load.c */
void die(const char *what);
int64_t between(int64_t low, int64_t high);
int64_t in(int64_t ms);
int64_t timeout_ms(void);
bool is_websocket(const struct client *c);
int socket_error(const struct client *c);
bool fin_crossed(const struct client *c);
void finish(struct client *c, int64_t ms);

/* talk.c: what is said on a connection, and how it ends */
void ask(struct client *c);
void upload_slice(struct client *c);
void send_message(struct client *c);
void start_close(struct client *c);
void leave(struct client *c, bool ours);
void take(struct client *c, const char *p, size_t n);
void ended(struct client *c);
void expired(struct client *c);
void resolve_doubt(struct client *c, bool reset_came);

/* tally.c */
extern struct tally tallies[KIND_COUNT];
extern struct sockets sockets;
extern unsigned long statuses[1000]; /* other than 200, of answers */
extern const char *const kind_names[KIND_COUNT];
extern const char *const how_names[HOW_COUNT];
extern const char *const violation_names[VIOLATION_COUNT];
struct tally *tally_of(const struct client *c);
void tell(const struct client *c, const char *what, const char *how);
void report(void);

#endif
