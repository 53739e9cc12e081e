/* tls/engine: TLS 1.2 and 1.3 of one connection, octets in and octets out, for
 * a server or a client. The engine knows no descriptor, clock, thread or lock:
 * one thread at a time may call it, a reader and a writer included.
 *
 * Ciphertext comes in as a span, which wsk__tls_shake() and wsk__tls_feed()
 * shorten; it is borrowed for the call. Ciphertext leaves by way of `put`. The
 * part of a record that `put` refuses stays inside ("left") and goes first the
 * next time: nothing has to be repeated, and plaintext that was taken can be
 * forgotten.
 *
 * Without TLS (-Dtls=disabled) all functions are there, but no engine can be
 * made: wsk__tls_new() returns NULL. With TLS, wsk__tls_lib_open() comes before
 * everything else.
 */
#ifndef WSK_TLS_ENGINE_H
#define WSK_TLS_ENGINE_H

#include "wsocket.h"

struct wsk__tls;
struct ssl_ctx_st; /* SSL_CTX of OpenSSL */

enum {
    WSK__TLS_RECORD = 16384,       /* most plaintext of a record */
    WSK__TLS_INSIDE = 17408,       /* memory that a part of a record takes */
    WSK__TLS_FRUITLESS = 32,       /* most records in a row without plaintext */
    WSK__TLS_LEFT_MAX = 65536,     /* most bytes that are left, once open */
    WSK__TLS_FLIGHT_MAX = 1048576, /* and during the handshake */
    WSK__TLS_REASON_MAX = 128,     /* size of a reason with its NUL */
    WSK__TLS_VERSION_MAX = 448,    /* size of wsk__tls_version()'s text */
};

/* The way out, lent for each call. */
struct wsk__tls_out {
    /* Take some of p[0..n), n > 0, and return how much: 0 if there is no room
     * now, -1 if the connection is gone (then it is not called again). `more`:
     * other bytes follow at once. Must not call the engine. */
    ptrdiff_t (*put)(void *to, const uint8_t *p, size_t n, bool more);
    void *to;
};

/* Result of reading. */
enum wsk__tls_got {
    WSK__TLS_DONE, /* shake: the handshake is complete */
    WSK__TLS_MORE, /* shake: more ciphertext is needed */
    WSK__TLS_SOME, /* feed: there is plaintext; all is well */
    WSK__TLS_NONE, /* feed: no plaintext; more ciphertext is needed */
    WSK__TLS_END,  /* feed: the peer's close_notify has come; still, writing is
                      legal */
    WSK__TLS_BAD,  /* the connection has failed; wsk__tls_reason() says why. An
                      alert was written, if one is due: flush, then close */
};

/* Result of writing. */
enum wsk__tls_sent {
    WSK__TLS_SENT, /* all is taken, and has left */
    WSK__TLS_FULL, /* `put` refused some: bytes are left. Wait until there is
                      room, and call wsk__tls_flush(), or the same again with
                      the plaintext that was not taken */
    WSK__TLS_GONE, /* `put` returned -1, or the connection has failed */
};

enum wsk__tls_role { WSK__TLS_SERVER, WSK__TLS_CLIENT };

/*
 * Make a context fit for engines: no version below 1.2, no renegotiation,
 * compression, early data or session cache, buffers released, ALPN answered by
 * the engine. Certificates, names, tickets, ciphers, a higher version are the
 * caller's. Required of every context that an engine gets, and of those that a
 * callback for server names switches to. False: memory is out.
 */
bool wsk__tls_prepare(struct ssl_ctx_st *ctx, enum wsk__tls_role role);

/*
 * Make an engine over a context, which it refers to. `drop`, which may be NULL,
 * is called with `kept` when the engine is freed: the place of a reference to
 * the owner of the context. NULL: memory is out; `drop` is not called.
 */
struct wsk__tls *wsk__tls_new(struct ssl_ctx_st *ctx, enum wsk__tls_role role,
                              void (*drop)(void *kept), void *kept);

/* Free an engine; NULL is legal. Nothing is written, so that the child of a
 * fork ends no connection of its parent. */
void wsk__tls_free(struct wsk__tls *tls);

/* Free what the library keeps for the calling thread, which is about to end and
 * calls no engine any more. */
void wsk__tls_leave_thread(void);

/*
 * Say which protocols are spoken (RFC 7301), before the first wsk__tls_shake().
 * A server picks the first of them that the client offers; offers it others
 * only, the handshake fails with no_application_protocol. Without names, or
 * without an offer, none is picked. A client offers all. The names are
 * borrowed while the engine lives. False: memory is out.
 */
bool wsk__tls_speak(struct wsk__tls *tls, const wsk_str *names, size_t n);

/*
 * Say whom a client wants to reach, before the first wsk__tls_shake(): a DNS
 * name, which is sent as SNI (RFC 6066 3), or an address, which is not. With
 * `check` the server's certificate must be valid for it. False: memory is out,
 * or no such name can be.
 */
bool wsk__tls_reach(struct wsk__tls *tls, const char *name, bool check);

/*
 * Go on with the handshake: DONE, MORE, BAD. A client begins with an empty
 * span. `ct` is read up to the end of the handshake: what follows stays in it,
 * for wsk__tls_feed(). With any result bytes may be left. A call computes
 * up to 5 ms. BAD stays.
 */
enum wsk__tls_got wsk__tls_shake(struct wsk__tls *tls, wsk_str *ct,
                                 const struct wsk__tls_out *out);

/*
 * Decrypt into to[0..cap), cap > 0; *n is the plaintext there, with any result:
 * SOME, NONE, END, BAD. Before it returns, the span is empty or the place is
 * full. In the second case plaintext may be inside (wsk__tls_pending()): call
 * again, with an empty span, too. END and BAD stay, and drop what is fed to
 * them; they may come with plaintext, which counts.
 *
 * More than WSK__TLS_FRUITLESS records in a row without plaintext are BAD:
 * empty ones, KeyUpdates, warnings, renegotiation.
 */
enum wsk__tls_got wsk__tls_feed(struct wsk__tls *tls, wsk_str *ct, uint8_t *to,
                                size_t cap, size_t *n,
                                const struct wsk__tls_out *out);

/*
 * Put plaintext into records, WSK__TLS_RECORD bytes each, and send them: SENT,
 * FULL, GONE. *taken bytes are in records and never needed again; with FULL
 * they may be all of them. While bytes are left nothing is taken. `more`: other
 * bytes follow at once. Legal from DONE to wsk__tls_end().
 */
enum wsk__tls_sent wsk__tls_write(struct wsk__tls *tls,
                                  const struct wsk__tls_out *out,
                                  const uint8_t *data, size_t len, bool more,
                                  size_t *taken);

/*
 * The same of n pieces, short ones of which share a record: they are gathered
 * in `room`, WSK__TLS_RECORD bytes of the caller that are free again
 * afterwards. Long ones are encrypted from where they stand.
 */
enum wsk__tls_sent wsk__tls_writev(struct wsk__tls *tls,
                                   const struct wsk__tls_out *out,
                                   const wsk_str *pieces, size_t n, bool more,
                                   uint8_t *room, size_t *taken);

/* Send the bytes that are left: SENT, FULL, GONE. Legal at any time, and after
 * BAD, for the alert. */
enum wsk__tls_sent wsk__tls_flush(struct wsk__tls *tls,
                                  const struct wsk__tls_out *out);

/*
 * Send close_notify behind all that was written, at most once, and flush: SENT,
 * FULL, GONE. `more`: the end of the connection follows at once. Before the end
 * of the handshake, and after BAD, only flushes. Nothing may be written after
 * it.
 */
enum wsk__tls_sent wsk__tls_end(struct wsk__tls *tls,
                                const struct wsk__tls_out *out, bool more);

/* Return the number of bytes that are left. */
size_t wsk__tls_owes(const struct wsk__tls *tls);

/* Return true if a part of a record is inside, for which WSK__TLS_INSIDE bytes
 * are held. */
bool wsk__tls_is_partial(const struct wsk__tls *tls);

/* Return the number of bytes of plaintext that are inside. */
size_t wsk__tls_pending(const struct wsk__tls *tls);

/* Facts about a connection whose handshake is complete. The texts live as long
 * as the engine. */
struct wsk__tls_facts {
    const char *version; /* "TLSv1.3" */
    const char *cipher;  /* "TLS_AES_256_GCM_SHA384" */
    const char *name;    /* SNI that the client sent, as it sent it; or NULL */
    wsk_str protocol;    /* ALPN: one of wsk__tls_speak(); else empty, NULL */
    bool resumed;        /* from a ticket */
};

void wsk__tls_facts(const struct wsk__tls *tls, struct wsk__tls_facts *facts);

/* Return a copy of the peer's certificate as DER, of *len bytes; it is freed
 * with wsk__free(). *der is NULL if the peer has shown none. False: memory is
 * out. */
bool wsk__tls_peer_der(const struct wsk__tls *tls, uint8_t **der, size_t *len);

/* Write why the result was BAD: "no shared cipher", "alert of the peer: unknown
 * CA", "bad certificate: certificate has expired". A text of OpenSSL or of
 * ours, never of the peer; empty if nothing has failed. */
void wsk__tls_reason(const struct wsk__tls *tls,
                     char text[WSK__TLS_REASON_MAX]);

/* Write the name and version of the library, such as "OpenSSL 3.0.16", which
 * may be loaded for it; or why there is none. */
void wsk__tls_version(char text[WSK__TLS_VERSION_MAX]);

#endif
