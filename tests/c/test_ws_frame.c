#include "harness.h"

#include "ws/frame.h"

/* Judge a header: the fault, or NULL with *frame filled. The octets lie in
 * blocks of their exact size. */
static const char *judge(const char *octets, size_t n, struct wsk__frame *frame)
{
    unsigned char *head = exact(octets, WSK__FRAME_START);
    uint8_t size = 0;
    const char *wrong = wsk__frame_start(head, WSK__MASK_MUST, false, &size);

    free(head);
    if (wrong != NULL)
        return wrong;
    EXPECT(size == n);
    if (size != n)
        return "the test has another length in mind";
    head = exact(octets, n);
    wrong = wsk__frame_read(head, frame);
    free(head);
    return wrong;
}

#define JUDGE(lit, frame) judge(lit, sizeof(lit) - 1, frame)

#define EXPECT_WRONG(lit, what)                                                \
    do {                                                                       \
        struct wsk__frame unread;                                              \
        const char *wrong = JUDGE(lit, &unread);                               \
        EXPECT(wrong != NULL && strcmp(wrong, what) == 0);                     \
    } while (0)

TEST(the_masked_example_of_the_rfc_is_read) /* RFC 6455 5.7 */
{
    struct wsk__frame f;

    EXPECT(JUDGE("\x81\x85\x37\xfa\x21\x3d", &f) == NULL);
    EXPECT(f.fin && f.opcode == WSK_TEXT && f.len == 5);
    EXPECT_OCTETS(f.key, 4, "\x37\xfa\x21\x3d");
}

TEST(lengths_are_read_in_their_three_forms) /* RFC 6455 5.2 */
{
    struct wsk__frame f;

    EXPECT(JUDGE("\x02\x80"
                 "\1\2\3\4",
                 &f) == NULL);
    EXPECT(!f.fin && f.opcode == WSK_BINARY && f.len == 0);
    EXPECT(JUDGE("\x82\xfd"
                 "\1\2\3\4",
                 &f) == NULL);
    EXPECT(f.len == 125);
    EXPECT(JUDGE("\x82\xfe\x00\x7e"
                 "\1\2\3\4",
                 &f) == NULL);
    EXPECT(f.len == 126);
    EXPECT(JUDGE("\x82\xfe\xff\xff"
                 "\1\2\3\4",
                 &f) == NULL);
    EXPECT(f.len == 65535);
    EXPECT(JUDGE("\x82\xff\0\0\0\0\0\1\0\0"
                 "\1\2\3\4",
                 &f) == NULL);
    EXPECT(f.len == 65536);
    EXPECT(JUDGE("\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff"
                 "\1\2\3\4",
                 &f) == NULL);
    EXPECT(f.len == UINT64_MAX >> 1);
    EXPECT_OCTETS(f.key, 4, "\1\2\3\4");
}

TEST(a_length_in_a_longer_form_is_wrong) /* RFC 6455 5.2: "minimal" */
{
    EXPECT_WRONG("\x82\xfe\x00\x7d"
                 "\1\2\3\4",
                 "length not in its shortest form");
    EXPECT_WRONG("\x82\xfe\x00\x00"
                 "\1\2\3\4",
                 "length not in its shortest form");
    EXPECT_WRONG("\x82\xff\0\0\0\0\0\0\xff\xff"
                 "\1\2\3\4",
                 "length not in its shortest form");
}

TEST(a_length_with_the_top_bit_set_is_wrong) /* RFC 6455 5.2 */
{
    EXPECT_WRONG("\x82\xff\x80\0\0\0\0\0\0\0"
                 "\1\2\3\4",
                 "length with the top bit set");
}

TEST(reserved_bits_are_wrong) /* RFC 6455 5.2; Autobahn 3 */
{
    for (unsigned rsv = 1; rsv < 8; rsv++)
        for (unsigned op = 0; op < 16; op++) {
            uint8_t head[2] = {(uint8_t)(0x80 | rsv << 4 | op), 0x80}, size;
            const char *wrong =
                wsk__frame_start(head, WSK__MASK_MUST, false, &size);

            EXPECT(wrong != NULL && strcmp(wrong, "reserved bit set") == 0);
        }
}

TEST(rsv1_begins_a_compressed_message) /* RFC 7692 6 */
{
    for (unsigned rsv = 1; rsv < 8; rsv++)
        for (unsigned op = 0; op < 16; op++) {
            uint8_t head[2] = {(uint8_t)(0x80 | rsv << 4 | op), 0x80}, size;
            const char *wrong =
                wsk__frame_start(head, WSK__MASK_MUST, true, &size);

            EXPECT((wrong == NULL) == (rsv == 4 && (op == 1 || op == 2)));
        }
}

TEST(reserved_opcodes_are_wrong) /* RFC 6455 5.2; Autobahn 4 */
{
    for (unsigned op = 0; op < 16; op++) {
        uint8_t head[2] = {(uint8_t)(0x80 | op), 0x80}, size;
        const char *wrong =
            wsk__frame_start(head, WSK__MASK_MUST, false, &size);

        if (op <= 2 || (op >= 8 && op <= 10))
            EXPECT(wrong == NULL);
        else
            EXPECT(wrong != NULL && strcmp(wrong, "unknown opcode") == 0);
    }
}

TEST(a_control_frame_is_final_and_short) /* RFC 6455 5.5; Autobahn 2.5, 5.1 */
{
    struct wsk__frame f;

    EXPECT(JUDGE("\x89\xfd"
                 "\1\2\3\4",
                 &f) == NULL);
    EXPECT_WRONG("\x09\x80", "control frame in fragments");
    EXPECT_WRONG("\x0a\x80", "control frame in fragments");
    EXPECT_WRONG("\x08\x80", "control frame in fragments");
    EXPECT_WRONG("\x89\xfe", "control frame too long");
    EXPECT_WRONG("\x88\xff", "control frame too long");
}

TEST(a_frame_that_is_not_masked_is_wrong) /* RFC 6455 5.1 */
{
    EXPECT_WRONG("\x81\x05", "frame not masked");
    EXPECT_WRONG("\x89\x00", "frame not masked");
}

TEST(headers_are_written_in_the_shortest_form_and_unmasked) /* RFC 6455 5.1 */
{
    uint8_t head[WSK__FRAME_OWN_MAX];
    size_t n;

    n = wsk__frame_write(head, WSK_TEXT, true, 5);
    EXPECT_OCTETS(head, n, "\x81\x05");
    n = wsk__frame_write(head, WSK_CONTINUATION, false, 125);
    EXPECT_OCTETS(head, n, "\x00\x7d");
    n = wsk__frame_write(head, WSK_BINARY, true, 126);
    EXPECT_OCTETS(head, n, "\x82\x7e\x00\x7e");
    n = wsk__frame_write(head, WSK_BINARY, true, 65535);
    EXPECT_OCTETS(head, n, "\x82\x7e\xff\xff");
    n = wsk__frame_write(head, WSK_BINARY, true, 65536);
    EXPECT_OCTETS(head, n, "\x82\x7f\0\0\0\0\0\1\0\0");
    n = wsk__frame_write(head, WSK_PONG, true, 0);
    EXPECT_OCTETS(head, n, "\x8a\x00");
}
