/* Each function that reads sixteen octets at once must agree with its twin that
 * reads one, for every beginning and end. */
#include "fuzz.h"

#include "base/ascii.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* A block of just this size, so that ASan sees an octet too many. */
    char *block = malloc(size ? size : 1);
    const char *end = block + size;

    REQUIRE(block != NULL);
    if (size > 0)
        memcpy(block, data, size);
    for (const char *p = block; p <= end && p <= block + 16; p++) {
        REQUIRE(wsk__find_control(p, end) == wsk__find_control_plain(p, end));
        REQUIRE(wsk__skip_common(p, end) == wsk__skip_common_plain(p, end));
        REQUIRE(wsk__is_target(p, end) == wsk__is_target_plain(p, end));
        REQUIRE(wsk__is_field_value(p, (size_t)(end - p)) ==
                (wsk__find_control_plain(p, end) == end));
    }
    free(block);
    return 0;
}
