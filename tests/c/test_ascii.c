#include "harness.h"

#include "base/ascii.h"

static bool reads(const char *text, size_t digits, unsigned max, unsigned n)
{
    unsigned got = 0;

    return wsk__read_decimal((wsk_str){text, strlen(text)}, digits, max,
                             &got) &&
           got == n;
}

TEST(a_decimal_number_has_so_many_digits_and_nothing_else)
{
    EXPECT(reads("0", 5, 65535, 0));
    EXPECT(reads("65535", 5, 65535, 65535));
    EXPECT(reads("00080", 5, 65535, 80)); /* the caller may forbid zeros */
    EXPECT(reads("999999999", 9, 999999999, 999999999));
    EXPECT(!reads("65536", 5, 65535, 65536));
    EXPECT(!reads("000080", 5, 65535, 80));
    EXPECT(!reads("", 5, 65535, 0));
    EXPECT(!reads("+8", 5, 65535, 8));
    EXPECT(!reads("8 ", 5, 65535, 8));
    EXPECT(!reads("-1", 5, 65535, 1));
    EXPECT(!reads("1\xb2", 5, 65535, 12));
}
