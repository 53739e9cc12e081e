/* The engine of TLS against a client and a server of OpenSSL's own. */
#include "harness.h"

#ifdef WSK_TLS

#include "tls.h"

static const int VERSIONS[] = {TLS1_2_VERSION, TLS1_3_VERSION};

static bool bytes_are(struct bytes all, const void *data, size_t n)
{
    bool same = all.len == n && (n == 0 || memcmp(all.p, data, n) == 0);

    clear(&all);
    return same;
}

static bool got_is(struct pair *p, const void *data, size_t n)
{
    bool same = bytes_are(p->got, data, n);

    p->got = (struct bytes){NULL, 0};
    return same;
}

static uint8_t noise[200000];

__attribute__((constructor)) static void fill(void)
{
    uint32_t seed = 1;

    for (size_t i = 0; i < sizeof(noise); i++) {
        seed = seed * 1664525 + 1013904223;
        noise[i] = (uint8_t)(seed >> 24);
    }
}

/* Both ways, and both ends. */
static void expect_talk(struct pair *p)
{
    other_writes(p, "ping", 4);
    pair_carry(p);
    EXPECT(got_is(p, "ping", 4));
    EXPECT(pair_write(p, "pong", 4) > 0);
    EXPECT(bytes_are(other_reads(p), "pong", 4));
    SSL_shutdown(p->other);
    pair_carry(p);
    EXPECT(p->last == WSK__TLS_END);
    EXPECT(wsk__tls_end(p->tls, &p->way, false) != WSK__TLS_GONE);
    pair_flush(p);
    EXPECT(SSL_shutdown(p->other) == 1);
}

TEST(a_client_and_an_engine_talk)
{
    for (int i = 0; i < 2; i++) {
        struct wsk__tls_facts facts;
        struct pair p;

        pair_open(&p, VERSIONS[i]);
        SSL_set_tlsext_host_name(p.other, "Example.com");
        EXPECT(pair_connect(&p));
        wsk__tls_facts(p.tls, &facts);
        EXPECT(strcmp(facts.version, i ? "TLSv1.3" : "TLSv1.2") == 0);
        EXPECT(strcmp(facts.cipher, SSL_get_cipher_name(p.other)) == 0);
        EXPECT(strcmp(facts.name, "Example.com") == 0);
        EXPECT(facts.protocol.len == 0 && !facts.resumed);
        expect_talk(&p);
        EXPECT(reason_is(&p, ""));
        pair_close(&p);
    }
}

TEST(a_client_that_sends_no_name_has_none)
{
    struct wsk__tls_facts facts;
    struct pair p;

    pair_open(&p, TLS1_3_VERSION);
    EXPECT(pair_connect(&p));
    wsk__tls_facts(p.tls, &facts);
    EXPECT(facts.name == NULL);
    pair_close(&p);
}

/* ------------------------------------------------------------- reading --- */

/* A whole connection with a wanted place and pieces of given sizes. */
static void expect_whole(int version, size_t piece, size_t room, size_t takes)
{
    static const size_t SIZES[] = {1, 2, 16383, 16384, 16385, 40000};
    struct pair p;

    pair_open(&p, version);
    p.piece = piece;
    p.room = room;
    p.takes = takes;
    EXPECT(pair_connect(&p));
    for (size_t i = 0; i < sizeof(SIZES) / sizeof(*SIZES); i++) {
        other_writes(&p, noise, SIZES[i]);
        pair_carry(&p);
        EXPECT(got_is(&p, noise, SIZES[i]));
        EXPECT(pair_write(&p, noise, SIZES[i]) > 0);
        EXPECT(bytes_are(other_reads(&p), noise, SIZES[i]));
    }
    expect_talk(&p);
    pair_close(&p);
}

TEST(records_are_read_for_every_size_of_pieces_and_places)
{
    for (int i = 0; i < 2; i++) {
        expect_whole(VERSIONS[i], SIZE_MAX, 70000, SIZE_MAX);
        expect_whole(VERSIONS[i], 1, 70000, SIZE_MAX);
        expect_whole(VERSIONS[i], 5, 7, SIZE_MAX);
        expect_whole(VERSIONS[i], 16000, 16384, 16000);
        expect_whole(VERSIONS[i], SIZE_MAX, 100, 1000);
    }
}

/* Let a client write three records and its close_notify. */
static void write_little(struct pair *p)
{
    other_writes(p, "a", 1);
    other_writes(p, "bcd", 3);
    other_writes(p, "efghijklmnopqrst", 16);
    SSL_shutdown(p->other);
    pair_collect(p);
}

/* Flights of the client, and what it writes, are cut at octet `at`. True if it
 * lies in them. */
static bool cut_at(int version, size_t at)
{
    bool inside = false;
    struct pair p;

    pair_open(&p, version);
    for (int turn = 0; turn < 4; turn++) {
        size_t n;

        if (turn == 3)
            write_little(&p);
        else
            other_shakes(&p);
        pair_collect(&p);
        n = at < p.up.len ? at : p.up.len;
        inside |= at < p.up.len;
        pair_give(&p, p.up.p, n);
        EXPECT(n > 0 || p.last != WSK__TLS_BAD);
        pair_give(&p, p.up.p + n, p.up.len - n);
        clear(&p.up);
    }
    EXPECT(p.last == WSK__TLS_END);
    EXPECT(got_is(&p, "abcdefghijklmnopqrst", 20));
    pair_close(&p);
    return inside;
}

TEST(a_stream_is_read_the_same_for_every_cut)
{
    for (int i = 0; i < 2; i++) {
        size_t at = 0;

        while (cut_at(VERSIONS[i], at))
            at++;
        EXPECT(at > 150);
    }
}

/* What follows Finished in one segment is data. */
TEST(data_behind_the_handshake_stays_in_the_span)
{
    struct pair p;

    pair_open(&p, TLS1_3_VERSION);
    other_shakes(&p);
    pair_carry(&p);
    EXPECT(other_shakes(&p));
    other_writes(&p, "early", 5);
    pair_collect(&p);
    {
        wsk_str span = {(char *)p.up.p, p.up.len};

        pair_shake(&p, &span);
        EXPECT(p.last == WSK__TLS_DONE);
        EXPECT(span.len > 5 && span.len < 40);
        pair_feed(&p, &span);
    }
    EXPECT(got_is(&p, "early", 5));
    pair_close(&p);
}

TEST(a_part_of_a_record_is_told)
{
    struct pair p;

    pair_open(&p, TLS1_3_VERSION);
    EXPECT(pair_connect(&p));
    EXPECT(!wsk__tls_is_partial(p.tls));
    other_writes(&p, noise, 1000);
    pair_collect(&p);
    for (size_t i = 0; i + 1 < p.up.len; i++) {
        pair_give(&p, p.up.p + i, 1);
        EXPECT(p.last == WSK__TLS_NONE && wsk__tls_is_partial(p.tls));
    }
    pair_give(&p, p.up.p + p.up.len - 1, 1);
    EXPECT(p.last == WSK__TLS_SOME && !wsk__tls_is_partial(p.tls));
    pair_close(&p);
}

TEST(plaintext_that_finds_no_place_waits_inside)
{
    uint8_t place[100];
    struct pair p;
    wsk_str span;
    size_t n;

    pair_open(&p, TLS1_3_VERSION);
    EXPECT(pair_connect(&p));
    other_writes(&p, noise, 150);
    other_writes(&p, noise, 50);
    pair_collect(&p);
    span = (wsk_str){(char *)p.up.p, p.up.len};
    EXPECT(wsk__tls_feed(p.tls, &span, place, 100, &n, &p.way) ==
           WSK__TLS_SOME);
    EXPECT(n == 100 && span.len > 50 && wsk__tls_pending(p.tls) == 50);
    EXPECT(memcmp(place, noise, 100) == 0);
    EXPECT(wsk__tls_feed(p.tls, &span, place, 100, &n, &p.way) ==
           WSK__TLS_SOME);
    EXPECT(n == 100 && span.len == 0 && wsk__tls_pending(p.tls) == 0);
    EXPECT(wsk__tls_feed(p.tls, &span, place, 100, &n, &p.way) ==
           WSK__TLS_NONE);
    EXPECT(n == 0);
    pair_close(&p);
}

/* Besides a part of a record, which is WSK__TLS_INSIDE. From 3.2 on OpenSSL
 * keeps room for 32 records in each direction. */
static size_t most_of_an_idle_one(void)
{
    return OpenSSL_version_num() < 0x30200000 ? 14336 : 22528;
}

TEST(an_idle_connection_holds_little)
{
    for (int i = 0; i < 2; i++) {
        struct pair p;
        size_t held, idle;

        pair_open(&p, VERSIONS[i]);
        EXPECT(pair_connect(&p));
        other_writes(&p, noise, 30000);
        pair_carry(&p);
        EXPECT(pair_write(&p, noise, 30000) == 1);
        idle = live;
        pair_give(&p, (const uint8_t *)"\x17", 1);
        EXPECT(live > idle && live - idle <= WSK__TLS_INSIDE);
        held = live;
        wsk__tls_free(p.tls);
        p.tls = NULL;
        EXPECT(held - live < most_of_an_idle_one() + WSK__TLS_INSIDE);
        pair_close(&p);
    }
}

/* Return what a server's engine holds after a handshake with a group. */
static size_t held_after(const char *group)
{
    SSL_CTX *ctx = server_context(), *other = client_context(TLS1_3_VERSION);
    struct pair p;
    size_t held;

    must(SSL_CTX_set1_groups_list(ctx, group) == 1);
    must(SSL_CTX_set1_groups_list(other, group) == 1);
    must(pair_start(&p, ctx, other, WSK__TLS_SERVER));
    EXPECT(pair_connect(&p));
    other_writes(&p, "good", 4);
    pair_carry(&p);
    EXPECT(got_is(&p, "good", 4) && pair_write(&p, noise, 30000) == 1);
    held = live;
    wsk__tls_free(p.tls);
    p.tls = NULL;
    held -= live;
    pair_close(&p);
    return held;
}

/* They are of very different sizes. */
TEST(a_server_does_not_keep_the_keys_of_the_key_exchange)
{
    static const char *const GROUPS[] = {"P-256", "P-384", "ffdhe4096",
                                         "X25519MLKEM768"};
    size_t least = held_after("X25519");

    for (size_t i = 0; i < sizeof(GROUPS) / sizeof(*GROUPS); i++) {
        SSL_CTX *any = SSL_CTX_new(TLS_server_method());
        bool has = SSL_CTX_set1_groups_list(any, GROUPS[i]) == 1;

        SSL_CTX_free(any);
        ERR_clear_error();
        EXPECT(!has || held_after(GROUPS[i]) < least + 256);
    }
}

/* A record that was changed on its way. */
TEST(a_broken_record_is_bad_and_answered_with_an_alert)
{
    for (int i = 0; i < 2; i++) {
        struct pair p;
        size_t taken;

        pair_open(&p, VERSIONS[i]);
        EXPECT(pair_connect(&p));
        other_writes(&p, "good", 4);
        other_writes(&p, "bad", 3);
        pair_collect(&p);
        p.up.p[p.up.len - 1] ^= 1;
        pair_carry(&p);
        EXPECT(p.last == WSK__TLS_BAD && got_is(&p, "good", 4));
        EXPECT(reason_is(&p, "decryption failed or bad record mac"));
        EXPECT(SSL_read(p.other, noise, 1) <= 0);
        EXPECT(ERR_GET_REASON(ERR_get_error()) ==
               SSL_R_SSLV3_ALERT_BAD_RECORD_MAC);
        EXPECT(wsk__tls_write(p.tls, &p.way, noise, 1, false, &taken) ==
               WSK__TLS_GONE);
        EXPECT(taken == 0);
        EXPECT(wsk__tls_end(p.tls, &p.way, false) == WSK__TLS_SENT);
        pair_close(&p);
    }
}

/* ------------------------------------------------------------- writing --- */

/* Lengths of the records in what the engine has sent since `from`. */
static size_t records(const struct pair *p, size_t from, size_t *lengths)
{
    size_t n = 0;

    while (from + 5 <= p->seen.len && n < 20) {
        lengths[n] = (size_t)p->seen.p[from + 3] << 8 | p->seen.p[from + 4];
        from += 5 + lengths[n++];
    }
    EXPECT(from == p->seen.len);
    return n;
}

enum { AROUND = 17 }; /* octets of TLS 1.3 in a record, without its head */

TEST(head_and_body_leave_in_one_record)
{
    static uint8_t room[WSK__TLS_RECORD];
    const wsk_str pieces[] = {{NULL, 0},
                              {(char *)noise, 200},
                              {(char *)noise, 0},
                              {(char *)noise + 200, 16184},
                              {NULL, 0}};
    size_t lengths[20], from, taken;
    struct pair p;

    pair_open(&p, TLS1_3_VERSION);
    EXPECT(pair_connect(&p));
    from = p.seen.len;
    p.puts = p.puts_without_more = 0;
    EXPECT(wsk__tls_writev(p.tls, &p.way, pieces, 5, false, room, &taken) ==
           WSK__TLS_SENT);
    EXPECT(taken == 16384 && p.puts == 1 && p.puts_without_more == 1);
    EXPECT(records(&p, from, lengths) == 1 && lengths[0] == 16384 + AROUND);
    EXPECT(bytes_are(other_reads(&p), noise, 16384));
    EXPECT(wsk__tls_writev(p.tls, &p.way, pieces, 1, false, room, &taken) ==
           WSK__TLS_SENT);
    EXPECT(wsk__tls_writev(p.tls, &p.way, NULL, 0, false, room, &taken) ==
           WSK__TLS_SENT);
    EXPECT(taken == 0 && p.puts == 1);
    pair_close(&p);
}

TEST(long_bodies_fill_records_and_all_but_the_last_say_more)
{
    static uint8_t room[WSK__TLS_RECORD];
    const wsk_str pieces[] = {{(char *)noise, 200},
                              {(char *)noise + 200, 40000},
                              {(char *)noise + 40200, 10}};
    size_t lengths[20], from, taken;
    struct pair p;

    pair_open(&p, TLS1_3_VERSION);
    EXPECT(pair_connect(&p));
    for (int more = 0; more < 2; more++) {
        from = p.seen.len;
        p.puts = p.puts_without_more = 0;
        EXPECT(wsk__tls_writev(p.tls, &p.way, pieces, 3, more, room, &taken) ==
               WSK__TLS_SENT);
        EXPECT(taken == 40210 && p.puts == 3 &&
               p.puts_without_more == (more ? 0 : 1));
        EXPECT(records(&p, from, lengths) == 3);
        EXPECT(lengths[0] == 16384 + AROUND && lengths[1] == 16384 + AROUND &&
               lengths[2] == 40210 - 32768 + AROUND);
        EXPECT(bytes_are(other_reads(&p), noise, 40210));
    }
    pair_close(&p);
}

/* While bytes are left nothing is encrypted, so that they never grow. */
TEST(refused_bytes_go_first)
{
    struct pair p;
    size_t taken, left;

    pair_open(&p, TLS1_3_VERSION);
    EXPECT(pair_connect(&p));
    p.takes = 1000;
    EXPECT(wsk__tls_write(p.tls, &p.way, noise, 50000, false, &taken) ==
           WSK__TLS_FULL);
    EXPECT(taken == 16384);
    left = wsk__tls_owes(p.tls);
    EXPECT(left == 16384 + AROUND + 5 - 1000);
    p.takes = 0;
    EXPECT(wsk__tls_write(p.tls, &p.way, noise + 16384, 1000, false, &taken) ==
           WSK__TLS_FULL);
    EXPECT(taken == 0 && wsk__tls_owes(p.tls) == left);
    EXPECT(wsk__tls_flush(p.tls, &p.way) == WSK__TLS_FULL);
    p.takes = SIZE_MAX;
    EXPECT(wsk__tls_flush(p.tls, &p.way) == WSK__TLS_SENT);
    EXPECT(wsk__tls_owes(p.tls) == 0);
    EXPECT(pair_write(&p, noise + 16384, 33616) == 1);
    EXPECT(bytes_are(other_reads(&p), noise, 50000));
    pair_close(&p);
}

/* All plaintext is taken, but its last record has not left. */
TEST(full_may_come_with_everything_taken)
{
    struct pair p;
    size_t taken;

    pair_open(&p, TLS1_2_VERSION);
    EXPECT(pair_connect(&p));
    p.takes = 0;
    EXPECT(wsk__tls_write(p.tls, &p.way, noise, 10, false, &taken) ==
           WSK__TLS_FULL);
    EXPECT(taken == 10);
    EXPECT(wsk__tls_end(p.tls, &p.way, true) == WSK__TLS_FULL);
    EXPECT(wsk__tls_end(p.tls, &p.way, true) == WSK__TLS_FULL);
    p.takes = 1;
    pair_flush(&p);
    EXPECT(bytes_are(other_reads(&p), noise, 10));
    EXPECT(SSL_get_shutdown(p.other) == SSL_RECEIVED_SHUTDOWN);
    pair_close(&p);
}

/* "Connection reset": nothing more is asked of `put`. */
TEST(a_connection_that_is_gone_is_not_written_to)
{
    struct pair p;
    size_t taken;

    pair_open(&p, TLS1_3_VERSION);
    EXPECT(pair_connect(&p));
    p.takes = 0;
    EXPECT(wsk__tls_write(p.tls, &p.way, noise, 10, false, &taken) ==
           WSK__TLS_FULL);
    p.is_dead = true;
    EXPECT(wsk__tls_flush(p.tls, &p.way) == WSK__TLS_GONE);
    EXPECT(wsk__tls_owes(p.tls) == 0);
    p.puts = 0;
    EXPECT(wsk__tls_write(p.tls, &p.way, noise, 10, false, &taken) ==
           WSK__TLS_GONE);
    EXPECT(wsk__tls_end(p.tls, &p.way, false) == WSK__TLS_GONE);
    EXPECT(p.puts == 0);
    pair_close(&p);
}

TEST(a_connection_that_goes_while_it_is_written_to_is_gone)
{
    struct pair p;
    size_t taken;

    pair_open(&p, TLS1_3_VERSION);
    EXPECT(pair_connect(&p));
    p.is_dead = true;
    EXPECT(wsk__tls_write(p.tls, &p.way, noise, 50000, false, &taken) ==
           WSK__TLS_GONE);
    EXPECT(wsk__tls_owes(p.tls) == 0);
    pair_close(&p);
}

TEST(a_handshake_works_with_every_way_out)
{
    static const size_t TAKES[] = {1, 7, 100};

    for (int v = 0; v < 2; v++) {
        for (size_t i = 0; i < sizeof(TAKES) / sizeof(*TAKES); i++) {
            struct pair p;

            pair_open(&p, VERSIONS[v]);
            p.takes = TAKES[i];
            EXPECT(pair_connect(&p));
            expect_talk(&p);
            pair_close(&p);
        }
    }
}

/* A flight is one segment, not one for each message. */
TEST(a_flight_leaves_at_once)
{
    for (int i = 0; i < 2; i++) {
        struct pair p;

        pair_open(&p, VERSIONS[i]);
        EXPECT(pair_connect(&p));
        EXPECT(p.puts == 2); /* and Finished, or a ticket */
        pair_close(&p);
    }
}

/* A client may ask for records of 512 octets (RFC 6066 4). */
TEST(short_records_are_written_where_the_client_wants_them)
{
    SSL_CTX *other = client_context(TLS1_3_VERSION);
    struct pair p;

    SSL_CTX_set_tlsext_max_fragment_length(other,
                                           TLSEXT_max_fragment_length_512);
    must(pair_start(&p, server_context(), other, WSK__TLS_SERVER));
    EXPECT(pair_connect(&p));
    EXPECT(pair_write(&p, noise, 40000) == 1);
    EXPECT(bytes_are(other_reads(&p), noise, 40000));
    pair_close(&p);
}

/* ---------------------------------------------------------------- ends --- */

TEST(an_end_without_close_notify_is_no_failure)
{
    struct pair p;

    pair_open(&p, TLS1_3_VERSION);
    EXPECT(pair_connect(&p));
    other_writes(&p, "last", 4);
    pair_carry(&p);
    EXPECT(p.last == WSK__TLS_SOME && reason_is(&p, ""));
    pair_close(&p);
}

TEST(close_notify_ends_reading_but_not_writing)
{
    for (int i = 0; i < 2; i++) {
        struct pair p;

        pair_open(&p, VERSIONS[i]);
        EXPECT(pair_connect(&p));
        other_writes(&p, "last", 4);
        SSL_shutdown(p.other);
        pair_carry(&p);
        EXPECT(p.last == WSK__TLS_END && got_is(&p, "last", 4));
        pair_give(&p, (const uint8_t *)"rubbish", 7);
        EXPECT(p.last == WSK__TLS_END && p.got.len == 0);
        EXPECT(pair_write(&p, "answer", 6) == 1);
        EXPECT(bytes_are(other_reads(&p), "answer", 6));
        EXPECT(wsk__tls_end(p.tls, &p.way, false) == WSK__TLS_SENT);
        EXPECT(SSL_shutdown(p.other) == 1);
        pair_close(&p);
    }
}

TEST(close_notify_is_sent_once)
{
    struct pair p;
    size_t had;

    pair_open(&p, TLS1_3_VERSION);
    EXPECT(pair_connect(&p));
    p.puts_without_more = 0;
    EXPECT(wsk__tls_end(p.tls, &p.way, true) == WSK__TLS_SENT);
    EXPECT(p.puts_without_more == 0);
    had = p.seen.len;
    EXPECT(wsk__tls_end(p.tls, &p.way, false) == WSK__TLS_SENT);
    EXPECT(p.seen.len == had);
    /* The peer's data still count. */
    other_writes(&p, "late", 4);
    pair_carry(&p);
    EXPECT(got_is(&p, "late", 4));
    pair_close(&p);
}

/* An alert in plain text, before there are keys. */
TEST(close_notify_during_the_handshake_is_bad)
{
    struct pair p;

    pair_open(&p, TLS1_2_VERSION);
    other_shakes(&p);
    pair_carry(&p);
    EXPECT(p.last == WSK__TLS_MORE);
    pair_give(&p, (const uint8_t *)"\x15\x03\x03\0\2\1\0", 7);
    EXPECT(p.last == WSK__TLS_BAD);
    EXPECT(reason_is(&p, "the peer ended the handshake"));
    EXPECT(wsk__tls_end(p.tls, &p.way, false) == WSK__TLS_SENT);
    pair_close(&p);
}

TEST(an_engine_may_be_freed_and_ended_in_the_midst_of_a_handshake)
{
    struct pair p;

    pair_open(&p, TLS1_3_VERSION);
    EXPECT(wsk__tls_end(p.tls, &p.way, false) == WSK__TLS_SENT);
    other_shakes(&p);
    pair_carry(&p);
    EXPECT(wsk__tls_end(p.tls, &p.way, false) == WSK__TLS_SENT);
    pair_close(&p);
    wsk__tls_free(NULL);
}

/* -------------------------------------------------------------- errors --- */

/* Other code of the thread uses OpenSSL, too: Python's ssl. */
TEST(errors_of_others_do_not_count_and_ours_are_taken_away)
{
    struct pair p;

    pair_open(&p, TLS1_3_VERSION);
    ERR_raise(ERR_LIB_SSL, SSL_R_NO_SHARED_CIPHER);
    EXPECT(pair_connect(&p));
    ERR_raise(ERR_LIB_SSL, SSL_R_NO_SHARED_CIPHER);
    pair_give(&p, (const uint8_t *)"\x17", 1);
    EXPECT(p.last == WSK__TLS_NONE);
    pair_give(&p, (const uint8_t *)"\x03\x03\0\4rubbish", 10);
    EXPECT(p.last == WSK__TLS_BAD && ERR_peek_error() == 0);
    pair_close(&p);
}

#else

#include "tls/engine.h"

TEST(without_tls_no_engine_can_be_made)
{
    EXPECT(wsk__tls_new(NULL, WSK__TLS_SERVER, NULL, NULL) == NULL);
    wsk__tls_free(NULL);
}

#endif
