#include "harness.h"

#include "base/buf.h"
#include "base/mem.h"

static struct wsk__buf buf;

static int refuse(void)
{
    return 0;
}

static int moves; /* allocations that passed the gate */

static int count(void)
{
    moves++;
    return 1;
}

/* A buffer that holds the last `len` of `written` octets. */
static void fill(size_t cap, size_t written, size_t len)
{
    wsk__buf_init(&buf, cap);
    for (size_t i = 0; i < written; i++) {
        unsigned char c = (unsigned char)i;

        if (!wsk__buf_put(&buf, &c, 1))
            abort();
    }
    wsk__buf_ack(&buf, written - len);
}

TEST(what_is_put_comes_out_in_order)
{
    wsk__buf_init(&buf, 100);
    EXPECT(wsk__buf_put(&buf, "hello ", 6));
    EXPECT(wsk__buf_put(&buf, "world", 5));
    EXPECT_OCTETS(wsk__buf_data(&buf), wsk__buf_len(&buf), "hello world");
    wsk__buf_ack(&buf, 6);
    EXPECT_OCTETS(wsk__buf_data(&buf), wsk__buf_len(&buf), "world");
    wsk__buf_free(&buf);
}

TEST(an_unused_buffer_owns_nothing)
{
    wsk__buf_init(&buf, 100);
    EXPECT(buf.block == NULL);
    EXPECT(wsk__buf_put(&buf, NULL, 0));
    EXPECT(buf.block == NULL);
    wsk__buf_free(&buf);
}

TEST(nothing_is_taken_past_the_cap)
{
    fill(1000, 990, 990);
    EXPECT(!wsk__buf_put(&buf, "0123456789a", 11));
    EXPECT(wsk__buf_len(&buf) == 990);
    EXPECT(wsk__buf_put(&buf, "0123456789", 10));
    EXPECT(!wsk__buf_put(&buf, "x", 1));
    EXPECT(wsk__buf_room(&buf, SIZE_MAX) == NULL);
    wsk__buf_free(&buf);
}

TEST(the_cap_can_be_filled_whatever_was_read_before)
{
    for (size_t cap = 1; cap < 1200; cap += 7)
        for (size_t acked = 0; acked <= cap; acked += 13) {
            fill(cap, cap, cap - acked);
            EXPECT(buf.size <= cap);
            for (size_t n = 0; n < acked; n++)
                EXPECT(wsk__buf_put(&buf, "x", 1));
            EXPECT(!wsk__buf_put(&buf, "x", 1));
            EXPECT(buf.size <= 2 * cap);
            wsk__buf_free(&buf);
        }
}

/* Each octet is moved a bounded number of times: seen by the head, which a move
 * sets to zero, while a full queue is read and written one octet at a time. */
TEST(a_full_queue_is_not_moved_at_each_step)
{
    size_t moved = 0;

    fill(1000, 1000, 1000);
    for (int i = 0; i < 10000; i++) {
        wsk__buf_ack(&buf, 1);
        EXPECT(wsk__buf_put(&buf, "x", 1));
        moved += buf.head == 0;
    }
    EXPECT(moved <= 11);
    wsk__buf_free(&buf);
}

TEST(what_was_read_makes_room_again)
{
    fill(300, 300, 40);
    EXPECT(wsk__buf_room(&buf, 260) != NULL);
    EXPECT(wsk__buf_len(&buf) == 40);
    EXPECT(wsk__buf_data(&buf)[0] == (unsigned char)260);
    EXPECT(wsk__buf_data(&buf)[39] == (unsigned char)299);
    wsk__buf_free(&buf);
}

TEST(a_message_in_small_pieces_costs_few_moves)
{
    static const char piece[10] = "123456789";

    for (size_t cap = 1 << 20; cap < 1 << 21; cap += 300007) {
        wsk__buf_init(&buf, cap);
        moves = 0;
        wsk__mem_set_gate(count);
        while (wsk__buf_put(&buf, piece, sizeof piece))
            continue;
        wsk__mem_set_gate(NULL);
        EXPECT(wsk__buf_len(&buf) > cap - sizeof piece);
        EXPECT(moves <= 16);
        wsk__buf_free(&buf);
    }
}

TEST(out_of_memory_changes_nothing)
{
    fill(1 << 20, 200, 200);
    wsk__mem_set_gate(refuse);
    EXPECT(wsk__buf_room(&buf, 1000) == NULL);
    EXPECT(wsk__buf_len(&buf) == 200);
    EXPECT(wsk__buf_put(&buf, "x", 1)); /* fits without an allocation */
    wsk__mem_set_gate(NULL);
    EXPECT(wsk__buf_data(&buf)[199] == 199);
    wsk__buf_free(&buf);
}

TEST(a_freed_buffer_can_be_used_again)
{
    fill(50, 50, 50);
    wsk__buf_free(&buf);
    EXPECT(wsk__buf_len(&buf) == 0 && buf.block == NULL);
    EXPECT(wsk__buf_put(&buf, "again", 5));
    EXPECT_OCTETS(wsk__buf_data(&buf), wsk__buf_len(&buf), "again");
    wsk__buf_free(&buf);
}
